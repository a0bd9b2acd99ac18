//! What `snapshot` tells of: snapshots, what is in them, what differs, what a restore does, and whether everything can be read back.

mod asked;
mod changes;
mod detail;
mod due;
mod entries;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod golden_actions;
mod list;
mod measure;
mod restores;
mod room;
mod traits;
mod verdicts;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use contract::action::{Action, Outcome};
use contract::record::Record;

use crate::actions::subject;
use crate::document::{Block, Tone, counted};
use crate::environments::common_root;
use crate::seen::{Place, Seen, Step};

pub(crate) use detail::Detail;
pub(crate) use due::Due;

/// The tool whose actions are drawn here.
pub(crate) const TOOL: &str = "snapshot";
/// More rows than these are not listed unless asked for.
const LISTED: usize = 200;

/// What is kept of its records.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    list: list::List,
    entries: Vec<entries::Entry>,
    changes: Vec<changes::Change>,
    verdicts: verdicts::Verdicts,
    restores: restores::Restores,
    room: Vec<room::Room>,
}

impl Kept {
    /// Takes a record in if it is of a type that is drawn here; says whether it was.
    pub(crate) fn take(&mut self, record: &Record, place: &Place) -> anyhow::Result<bool> {
        match record.kind.as_str() {
            "snapshot" => self.list.push(place, record)?,
            "snapshot.entry" => self.entries.push(entries::read(place, record)?),
            "snapshot.change" => self.changes.push(changes::read(place, record)?),
            "snapshot.probe" => self.verdicts.push(place, record)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Takes an action in if it is a part of a restore, or about room; gives it back if it is not.
    pub(crate) fn take_action(&mut self, run: &Arc<str>, place: &Place, action: Action) -> Option<Action> {
        let action = self.restores.push(run, place, action)?;
        match room::read(&action) {
            None => Some(action),
            Some(room) => {
                self.room.push(room);
                None
            }
        }
    }

    /// Whether room is told of that a run without a dry run would make.
    pub(crate) fn has_planned_room(&self) -> bool {
        self.room.iter().any(room::Room::is_planned)
    }
}

pub(crate) fn draw(seen: &Seen, all: bool) -> Vec<Block<'_>> {
    let kept = &seen.snapshots;
    let mut blocks = kept.list.draw(seen);
    blocks.extend(entries::draw(&kept.entries, seen, all));
    blocks.extend(changes::draw(&kept.changes, seen, all));
    blocks.extend(kept.verdicts.draw(seen, all));
    blocks.extend(kept.restores.draw(seen, all));
    blocks.extend(due::draw(seen, all));
    blocks
}

/// What follows the actions.
pub(crate) fn draw_room(seen: &Seen) -> Vec<Block<'_>> {
    seen.snapshots.room.iter().filter_map(room::Room::draw).collect()
}

/// The folder that all these places share, where there is one and one host alone.
fn root_of<'a>(seen: &Seen, places: impl Iterator<Item = &'a Place>) -> Option<PathBuf> {
    if seen.several_hosts() { None } else { common_root(places.map(|place| place.subject.as_path())) }
}

/// ` under /srv`.
fn under(root: Option<&PathBuf>) -> String {
    root.map_or_else(String::new, |root| format!(" under {}", root.to_string_lossy()))
}

/// A path from there.
fn named<'a>(place: &Place, root: Option<&Path>, several_hosts: bool) -> Cow<'a, str> {
    let below = root.and_then(|root| place.subject.as_path().strip_prefix(root).ok());
    Cow::Owned(below.map_or_else(|| subject(Some(place), several_hosts), |below| below.to_string_lossy().into_owned()))
}

/// How many rows are drawn, and a line about those that are not.
fn listed<'a>(rows: usize, one: &str, all: bool) -> (usize, Option<Block<'a>>) {
    if all || rows <= LISTED {
        return (rows, None);
    }
    let more = counted((rows - LISTED) as u64, &format!("more {one}"));
    (LISTED, Some(Block::Line(Tone::Faint, format!("{more}, not listed; report --all lists them"))))
}

/// Whether it can be the id of a snapshot, and neither an option nor anything that a shell understands.
fn is_id(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    (1..=64).contains(&text.len()) && text.as_bytes()[0].is_ascii_alphanumeric() && text.bytes().all(plain)
}

/// The last word on a command that failed.
pub(crate) fn draw_roll_backs(seen: &Seen) -> Vec<Block<'_>> {
    let all = seen.actions.iter().filter(|step| step.action.outcome != Outcome::Done);
    all.filter_map(|step| step.detail.as_ref()?.rolled_back).map(roll_back).collect()
}

fn roll_back<'a>(done: bool) -> Block<'a> {
    let (tone, text) = if done {
        (Tone::Strong, "✓ Everything was put back: the paths that were named are as they were before the command.")
    } else {
        (Tone::Bad, "✗ Not everything was put back: the paths that were named may be as the command left them.")
    };
    Block::Line(tone, text.to_owned())
}

/// The command that takes a change back, where it is one of ours.
pub(crate) fn undo(seen: &Seen, step: &Step) -> Option<String> {
    let detail = step.detail.as_ref()?;
    let id = match step.action.verb.as_str() {
        "restore" => step.action.undo.as_ref()?,
        "run" if detail.rolled_back != Some(true) && !seen.snapshots.restores.has_done() => &step.place.as_ref()?.subject,
        _ => return None,
    };
    detail.asked.as_ref()?.also(way_back(id.as_path().to_str()?)?)
}

/// The command that restores a snapshot to the last bit, as far as its id is one.
fn way_back(id: &str) -> Option<String> {
    is_id(id).then(|| format!("snapshot restore {id} --exact --force"))
}
