//! Payload of `diagnosis`: what is wrong, by which evidence, and what helps.

use std::collections::BTreeMap;

use contract::path::Subject;
use contract::record::Status;
use serde::Serialize;
use serde_json::Value;

/// The type of the record.
pub(crate) const KIND: &str = "diagnosis";

/// One cause, with all that it explains.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Diagnosis {
    #[serde(skip)]
    pub(crate) subject: Option<Subject>,
    /// Stable name.
    pub(crate) code: String,
    /// Of a build or deployment: the kind of failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) class: Option<String>,
    pub(crate) severity: Status,
    /// The cause in one sentence.
    pub(crate) text: String,
    /// How often it was seen, where it was not found in records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u64>,
    pub(crate) evidence: Vec<Evidence>,
    /// Ids of the records that need no other explanation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) explains: Vec<String>,
    /// What followed from it in the same logs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) consequences: Vec<Consequence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<Remedy>,
    /// Whether the remedy may be tried without a person.
    pub(crate) auto: bool,
    /// What a person should do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) manual: Option<String>,
}

/// Where it was seen.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Evidence {
    /// A log, or what a record is about.
    pub(crate) source: Subject,
    /// Counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u64>,
    /// Without secrets, and without what a platform puts before it.
    pub(crate) excerpt: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) captures: BTreeMap<String, String>,
    /// Of a traceback, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) frames: Vec<Frame>,
}

/// A line of source in a traceback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Frame {
    pub(crate) file: String,
    pub(crate) line: u64,
}

/// What followed from a cause.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Consequence {
    pub(crate) code: String,
    pub(crate) source: Subject,
    pub(crate) line: u64,
}

/// What may mend it: a name of a closed table, and what it needs to know.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Remedy {
    pub(crate) name: String,
    pub(crate) args: BTreeMap<String, Value>,
}
