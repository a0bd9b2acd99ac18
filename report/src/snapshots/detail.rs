//! What is kept of the detail of an action of `snapshot` that is drawn among the others.

use contract::action::Action;
use serde::Deserialize;

use crate::snapshots::asked::Asked;
use crate::snapshots::due::Due;

#[derive(Debug)]
pub(crate) struct Detail {
    /// Absent where it cannot be read: a command without it would be about another store.
    pub(crate) asked: Option<Asked>,
    pub(crate) due: Option<Due>,
    /// Whether everything was put back after a command that failed, where that was asked for.
    pub(crate) rolled_back: Option<bool>,
}

impl Detail {
    pub(crate) fn of(action: &Action, now: &str) -> Self {
        let said = |name: &str| action.detail.as_ref()?.get(name);
        let asked = said("asked").map_or_else(|| Some(Asked::default()), |asked| Asked::deserialize(asked).ok().map(Asked::clipped));
        Self { asked, due: Due::read(action, now), rolled_back: said("rolled_back").and_then(|said| bool::deserialize(said).ok()) }
    }
}
