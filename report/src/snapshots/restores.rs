//! The `restore` actions of `snapshot`: one for each path, then one for all of it.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use contract::action::{Action, Outcome};
use contract::path::{Subject, shown};
use serde::Deserialize;

use crate::actions::{outcome, subject};
use crate::clip;
use crate::document::{Block, Column, Row, Table, Tone};
use crate::seen::{Place, Seen, clipped_action};
use crate::snapshots::asked::Asked;
use crate::snapshots::measure::size;
use crate::snapshots::traits::Traits;
use crate::snapshots::{is_id, listed, named, root_of, under, way_back};

/// No more of what was not kept is named.
const NAMED: usize = 3;
/// No more advice is given.
const MOST: usize = 20;

/// All restores of a stream.
#[derive(Debug, Default)]
pub(crate) struct Restores(Vec<Restore>);

#[derive(Debug)]
struct Restore {
    run: Arc<str>,
    steps: Vec<Step>,
    /// Absent where the stream broke off.
    whole: Option<Whole>,
}

#[derive(Debug)]
struct Step {
    place: Place,
    change: Change,
    /// The size that it is to have.
    size: Option<u64>,
    what: Box<str>,
    diff: Option<Box<str>>,
}

/// In the order in which a person wants to see them: what takes something away comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Change {
    Delete,
    Retype,
    Overwrite,
    Create,
    Traits,
    Unchanged,
    #[serde(other)]
    Other,
}

#[derive(Debug)]
struct Whole {
    place: Place,
    action: Action,
    asked: Asked,
    reload: Vec<String>,
    counts: Counts,
    not_kept: NotKept,
}

/// Of a step.
#[derive(Deserialize)]
struct OfStep {
    change: Change,
    #[serde(default)]
    size_before: Option<u64>,
    #[serde(default)]
    size: Option<u64>,
    /// It never held still while it was kept.
    #[serde(default)]
    changed_while_read: bool,
    #[serde(default)]
    traits: Option<Traits>,
    #[serde(default)]
    diff: Option<String>,
}

/// Of all of it.
#[derive(Deserialize)]
struct OfWhole {
    counts: Counts,
    #[serde(default)]
    reload: Vec<String>,
    #[serde(default)]
    asked: Asked,
    #[serde(default)]
    not_kept: NotKept,
}

/// What was there then and is not in the snapshot.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NotKept {
    count: u64,
    paths: Vec<Subject>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Counts {
    create: u64,
    overwrite: u64,
    retype: u64,
    traits: u64,
    delete: u64,
    unchanged: u64,
}

impl Restores {
    /// Takes an action in if it is a part of a restore; gives it back if it is not.
    pub(crate) fn push(&mut self, run: &Arc<str>, place: &Place, action: Action) -> Option<Action> {
        if action.verb != "restore" {
            return Some(action);
        }
        let Some(detail) = &action.detail else { return Some(action) };
        if let Ok(step) = OfStep::deserialize(detail) {
            self.open(run).steps.push(step.at(place.clone()));
            return None;
        }
        let Ok(OfWhole { counts, reload, asked, not_kept }) = OfWhole::deserialize(detail) else { return Some(action) };
        let begun = self.0.iter().any(|restore| restore.is_open(run));
        // In the audit log it stands alone, and is an action like any other.
        if !begun && counts.changes() > 0 {
            return Some(action);
        }
        let reload = reload.into_iter().take(MOST).map(clip::text).collect();
        let whole = Whole {
            place: place.clone(),
            action: clipped_action(action),
            asked: asked.clipped(),
            reload,
            counts,
            not_kept: not_kept.clipped(),
        };
        self.open(run).whole = Some(whole);
        None
    }

    fn open(&mut self, run: &Arc<str>) -> &mut Restore {
        let at = self.0.iter().rposition(|restore| restore.is_open(run)).unwrap_or(self.0.len());
        if at == self.0.len() {
            self.0.push(Restore { run: Arc::clone(run), steps: Vec::new(), whole: None });
        }
        &mut self.0[at]
    }

    /// Whether something was put back.
    pub(crate) fn has_done(&self) -> bool {
        self.0.iter().filter_map(|restore| restore.whole.as_ref()).any(|whole| whole.action.outcome == Outcome::Done)
    }

    pub(crate) fn draw<'a>(&'a self, seen: &Seen, all: bool) -> Vec<Block<'a>> {
        self.0.iter().flat_map(|restore| restore.draw(seen, all)).collect()
    }
}

impl Restore {
    fn is_open(&self, run: &Arc<str>) -> bool {
        self.run == *run && self.whole.is_none()
    }

    fn draw<'a>(&'a self, seen: &Seen, all: bool) -> Vec<Block<'a>> {
        let root = root_of(seen, self.steps.iter().map(|step| &step.place));
        let several_hosts = seen.several_hosts();
        let mut steps: Vec<&Step> = self.steps.iter().collect();
        steps.sort_by_key(|step| step.change);
        let (rows, more) = listed(steps.len(), "path", all);
        steps.truncate(rows);
        let diffs: Vec<Block<'_>> = steps
            .iter()
            .filter_map(|step| Some(Block::Diff(named(&step.place, root.as_deref(), several_hosts).into_owned(), step.diff.as_deref()?)))
            .collect();
        let of = self.whole.as_ref().map_or_else(|| "a snapshot".to_owned(), |whole| subject(Some(&whole.place), several_hosts));
        let mut blocks = vec![Block::Heading(format!("Restore of {of}{}", under(root.as_ref())))];
        if !steps.is_empty() {
            blocks.push(Block::Table(Table {
                columns: &[Column::Mark("change"), Column::Path("path"), Column::Text("what")],
                below: None,
                rows,
                row: Box::new(move |i| steps[i].row(root.as_deref(), several_hosts)),
            }));
        }
        blocks.extend(more);
        let (ending, next) = self.whole.as_ref().map(|whole| (whole.ending(self.written()), whole.next())).unzip();
        blocks.extend(ending);
        blocks.extend(diffs);
        blocks.extend(next.into_iter().flatten());
        blocks
    }

    /// Bytes of the files that are written.
    fn written(&self) -> u64 {
        let made = self.steps.iter().filter(|step| matches!(step.change, Change::Create | Change::Overwrite | Change::Retype));
        made.filter_map(|step| step.size).fold(0, u64::saturating_add)
    }
}

impl OfStep {
    fn at(self, place: Place) -> Step {
        let what = clip::text(self.what()).into();
        Step { place, change: self.change, size: self.size, what, diff: self.diff.map(|diff| clip::diff(diff).into()) }
    }

    fn what(&self) -> String {
        let sizes = match (self.size_before, self.size) {
            (Some(before), Some(after)) if before != after => Some(format!("{} → {}", size(before), size(after))),
            (None, Some(after)) => Some(format!("+{}", size(after))),
            (Some(before), None) => Some(format!("-{}", size(before))),
            (Some(same), Some(_)) => Some(size(same)),
            (None, None) => None,
        };
        let what = match &self.traits {
            Some(traits) if self.change == Change::Traits => traits.told(None),
            Some(traits) => traits.told(sizes),
            None => sizes.unwrap_or_default(),
        };
        if self.changed_while_read { format!("{what}, changed while kept") } else { what }
    }
}

impl Step {
    fn row(&self, root: Option<&Path>, several_hosts: bool) -> Row<'_> {
        let (tone, mark) = match self.change {
            Change::Delete => (Tone::Bad, "- delete"),
            Change::Retype => (Tone::Bad, "! retype"),
            Change::Overwrite => (Tone::Warn, "~ overwrite"),
            Change::Create => (Tone::Good, "+ create"),
            Change::Traits => (Tone::Plain, "· traits"),
            Change::Unchanged => (Tone::Faint, "= unchanged"),
            Change::Other => (Tone::Plain, "? other"),
        };
        let cells = vec![Cow::Borrowed(mark), named(&self.place, root, several_hosts), Cow::Borrowed(&*self.what)];
        Row { tone, cells, below: Vec::new(), command: None }
    }
}

impl Whole {
    /// How it went, or would go.
    fn ending<'a>(&self, written: u64) -> Block<'a> {
        let (tone, mark) = outcome(&self.action);
        let told = self.counts.told();
        let bytes = |how: &str| if written == 0 { String::new() } else { format!("; {} {how}", size(written)) };
        match self.action.outcome {
            Outcome::Planned | Outcome::Done if self.counts.changes() == 0 && self.not_kept.count > 0 => {
                Block::Line(Tone::Strong, "All that the snapshot holds of it is as it was: there is nothing to restore.".to_owned())
            }
            Outcome::Planned | Outcome::Done if self.counts.changes() == 0 => {
                Block::Line(Tone::Strong, "Everything is as in the snapshot: there is nothing to restore.".to_owned())
            }
            Outcome::Planned => Block::Line(Tone::Strong, format!("{mark}: {told}{}", bytes("to write"))),
            Outcome::Done => Block::Line(Tone::Strong, format!("{mark}: {told}{}", bytes("written"))),
            _ => Block::Line(tone, format!("{mark}: {}", self.action.text)),
        }
    }

    fn next<'a>(&self) -> Vec<Block<'a>> {
        let mut blocks: Vec<Block<'a>> = self.not_kept.told().map(|told| Block::Line(Tone::Warn, told)).into_iter().collect();
        if self.action.outcome == Outcome::Planned && self.counts.changes() > 0 {
            blocks.push(self.to_do());
        }
        let back =
            self.action.undo.as_ref().filter(|_| self.action.changed).and_then(|undo| self.asked.also(way_back(undo.as_path().to_str()?)?));
        if let Some(back) = back {
            let lead = "What was replaced is in a snapshot of its own. The way back:".to_owned();
            blocks.push(Block::Commands(lead, vec![(back, "everything as it was before this restore")]));
        }
        if self.action.outcome == Outcome::Done && self.action.changed && self.action.undo.is_none() && self.counts.only_creates() {
            let text = "What was created was not there before: nothing was replaced.";
            blocks.push(Block::Line(Tone::Strong, text.to_owned()));
        }
        if matches!(self.action.outcome, Outcome::Planned | Outcome::Done) {
            blocks.extend(self.reload.iter().map(|advice| Block::Line(Tone::Strong, format!("Afterwards: {advice}"))));
        }
        blocks
    }

    fn to_do<'a>(&self) -> Block<'a> {
        let lead = "Nothing has been changed: this was a dry run.".to_owned();
        let command = self.place.subject.as_path().to_str().filter(|id| is_id(id)).and_then(|id| self.asked.command(id));
        let Some(command) = command else {
            return Block::Line(Tone::Strong, format!("{lead} The same command with --force does what is planned."));
        };
        Block::Commands(lead, vec![(command, "does it: all of it or nothing, after a snapshot of what it replaces")])
    }
}

impl NotKept {
    fn clipped(self) -> Self {
        Self { count: self.count, paths: self.paths.into_iter().take(NAMED).map(clip::subject).collect() }
    }

    fn told(&self) -> Option<String> {
        let named: Vec<String> = self.paths.iter().map(|path| shown(path.as_path())).collect();
        let more = self.count.saturating_sub(named.len() as u64);
        let others = if more == 0 { String::new() } else { format!(" and {more} more") };
        (self.count > 0).then(|| format!("! there then and not in the snapshot, so not brought back: {}{others}", named.join(", ")))
    }
}

impl Counts {
    fn changes(self) -> u64 {
        [self.create, self.overwrite, self.retype, self.traits, self.delete].into_iter().fold(0, u64::saturating_add)
    }

    fn only_creates(self) -> bool {
        self.create > 0 && self.create == self.changes()
    }

    fn told(self) -> String {
        let each = [
            (self.delete, "delete"),
            (self.retype, "retype"),
            (self.overwrite, "overwrite"),
            (self.create, "create"),
            (self.traits, "traits"),
            (self.unchanged, "unchanged"),
        ];
        let parts: Vec<String> = each.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
        if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
    }
}
