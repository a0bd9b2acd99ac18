//! The `delete` and `prune` actions of `snapshot`: what goes, told as in a list of snapshots.

use std::borrow::Cow;

use contract::action::{Action, Outcome};
use contract::path::Subject;
use serde::Deserialize;

use crate::actions::{counts, subject};
use crate::clip;
use crate::document::{Block, Column, Row, Table, Tone, counted, text_of};
use crate::seen::{Seen, Step};
use crate::snapshots::list::few;
use crate::snapshots::listed;
use crate::snapshots::measure::{age, size};

/// A snapshot that goes.
#[derive(Debug)]
pub(crate) struct Due {
    age: String,
    label: String,
    description: String,
    entries: u64,
    size: u64,
    of: Option<String>,
}

#[derive(Deserialize)]
struct Payload {
    time: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    description: String,
    entries: u64,
    size: u64,
    #[serde(default)]
    roots: Vec<Subject>,
}

impl Due {
    /// None where only the text says what goes, or why something does not.
    pub(crate) fn read(action: &Action, now: &str) -> Option<Self> {
        let goes = matches!(action.outcome, Outcome::Planned | Outcome::Started | Outcome::Done);
        let detail = action.detail.as_ref().filter(|_| goes && matches!(action.verb.as_str(), "delete" | "prune"))?;
        let Payload { time, label, description, entries, size, roots } = Payload::deserialize(detail).ok()?;
        let [age, label, description] = [age(&time, now), label, description].map(clip::text);
        Some(Self { age, label, description, entries, size, of: few("of", &roots, text_of) })
    }

    fn row<'a>(&'a self, step: &'a Step, several_hosts: bool) -> Row<'a> {
        let (tone, mark) = match (step.action.outcome, step.action.verb.as_str()) {
            (Outcome::Started, _) => (Tone::Warn, "? unfinished"),
            (_, "prune") => (Tone::Bad, "- prune"),
            _ => (Tone::Bad, "- delete"),
        };
        let cells = vec![
            Cow::Borrowed(mark),
            Cow::Owned(subject(step.place.as_ref(), several_hosts)),
            Cow::Borrowed(self.age.as_str()),
            Cow::Borrowed(self.label.as_str()),
            Cow::Owned(counted(self.entries, "path")),
            Cow::Owned(size(self.size)),
            Cow::Borrowed(self.description.as_str()),
        ];
        Row { tone, cells, below: self.of.iter().map(|of| Cow::Borrowed(of.as_str())).collect(), command: None }
    }
}

pub(crate) fn draw(seen: &Seen, all: bool) -> Vec<Block<'_>> {
    let due: Vec<(&Step, &Due)> = seen.actions.iter().filter_map(|step| Some((step, step.due()?))).collect();
    if due.is_empty() {
        return Vec::new();
    }
    let planned = due.iter().any(|(step, _)| step.action.outcome == Outcome::Planned);
    let heading = if planned { "Snapshots that would be removed" } else { "Snapshots, removed" };
    let counts = counts(due.iter().map(|(step, _)| *step), "snapshot");
    let several_hosts = seen.several_hosts();
    let (rows, more) = listed(due.len(), "snapshot", all);
    let table = Table {
        columns: &[
            Column::Mark("action"),
            Column::Id("snapshot"),
            Column::Text("age"),
            Column::Text("label"),
            Column::Text("paths"),
            Column::Word("size"),
            Column::Text("description"),
        ],
        below: Some("what it covers"),
        rows,
        row: Box::new(move |i| due[i].1.row(due[i].0, several_hosts)),
    };
    let heading = Block::Heading(heading.to_owned());
    [heading, Block::Table(table)].into_iter().chain(more).chain([Block::Line(Tone::Strong, counts)]).collect()
}
