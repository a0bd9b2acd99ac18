//! The `…-contents` actions of `snapshot`: what the removal of snapshots sets free.

use contract::action::{Action, Outcome};
use serde::Deserialize;

use crate::document::{Block, Tone, counted};
use crate::snapshots::measure::size;

#[derive(Debug)]
pub(crate) struct Room {
    done: bool,
    detail: Detail,
}

#[derive(Debug, Deserialize)]
struct Detail {
    freed: u64,
    packs: u64,
}

pub(crate) fn read(action: &Action) -> Option<Room> {
    let detail = Detail::deserialize(action.detail.as_ref().filter(|_| action.verb.ends_with("-contents"))?).ok()?;
    Some(Room { done: action.outcome == Outcome::Done, detail })
}

impl Room {
    pub(crate) fn is_planned(&self) -> bool {
        !self.done && self.detail.freed > 0
    }

    pub(crate) fn draw<'a>(&self) -> Block<'a> {
        let Detail { freed, packs } = self.detail;
        let (verb, freed, packs) = (if self.done { "was" } else { "would be" }, size(freed), counted(packs, "pack"));
        Block::Line(Tone::Faint, format!("Room: {freed} of contents that no snapshot needs {verb} set free ({packs})"))
    }
}
