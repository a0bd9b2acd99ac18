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
}

impl Detail {
    pub(crate) fn of(action: &Action, now: &str) -> Self {
        let asked = action.detail.as_ref().and_then(|detail| detail.get("asked"));
        let asked = asked.map_or_else(|| Some(Asked::default()), |asked| Asked::deserialize(asked).ok().map(Asked::clipped));
        Self { asked, due: Due::read(action, now) }
    }
}
