//! Payload of `action`: what a tool did, would do, or declined to do to one subject.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::path::Subject;

/// The type of the record.
pub const KIND: &str = "action";

/// One step of a tool on one subject.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// What is done, such as `rebuild`.
    pub verb: String,
    /// How it went.
    pub outcome: Outcome,
    /// Whether anything on the machine is other than before.
    pub changed: bool,
    /// Whether it was seen to have its effect: the check that had failed was run again and passed; of what was taken back or
    /// removed, what is in place now was looked at.
    pub verified: bool,
    /// For a person: the plan, the reason, what to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// What would bring the old state back: a path, or an id that the tool's `undo` takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Subject>,
    /// Some of it succeeded and stands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// The full log of what was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Subject>,
    /// What only this verb has, under stable lower-case keys; each tool documents its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
    /// Milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
}

/// How an action went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// A dry run: this is what `--force` would do.
    #[default]
    Planned,
    /// On disk before the first change.
    Started,
    /// Done, and seen to have helped.
    Done,
    /// It did not help, or could not be done.
    Failed,
    /// Declined, for the reason in `text`.
    Skipped,
    /// The old state is back.
    Undone,
    /// A signal came first; the old state is back.
    Cancelled,
    /// An outcome that a newer writer knows.
    #[serde(other)]
    Other,
}
