//! The record: one JSON object a line, a header and then `data`.

use anyhow::Context as _;
use chrono::{SecondsFormat, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::path::Subject;

/// The version of the record that this crate writes and acts on. Others are passed on and never acted on.
pub const VERSION: u64 = 1;

/// A record as it was read: the header parsed, `data` still raw.
///
/// Unknown fields are ignored, so that a newer writer can add some.
#[derive(Debug, Deserialize)]
pub struct Record {
    /// Version of the record.
    pub v: u64,
    /// What `data` holds, such as `venv.probe`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Run and sequence number, unique.
    pub id: String,
    /// Ids of the records that this one answers.
    #[serde(default)]
    pub cause: Vec<String>,
    /// The tool that wrote it.
    pub tool: String,
    /// The machine that it was written on.
    pub host: String,
    /// UTC, milliseconds, `Z`.
    pub ts: String,
    /// What the record is about.
    #[serde(default)]
    pub subject: Option<Subject>,
    /// The payload, byte for byte.
    pub data: Box<RawValue>,
}

impl Record {
    /// Parses the header of one line.
    ///
    /// # Errors
    /// The line is not a JSON object, or lacks a field of the header.
    pub fn parse(line: &str) -> serde_json::Result<Self> {
        serde_json::from_str(line)
    }

    /// Whether this is a record of that type in the version that we act on.
    #[must_use]
    pub fn is(&self, kind: &str) -> bool {
        self.v == VERSION && self.kind == kind
    }

    /// Parses `data`.
    ///
    /// # Errors
    /// The payload does not have the form of its type.
    pub fn read<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_str(self.data.get()).with_context(|| format!("cannot read the data of {} record {}", self.kind, self.id))
    }
}

/// A record about to be written. The order of the fields is the order on the wire.
#[derive(Serialize)]
pub(crate) struct Draft<'a, T: Serialize> {
    v: u64,
    r#type: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    cause: &'a [String],
    tool: &'a str,
    host: &'a str,
    ts: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a Subject>,
    data: &'a T,
}

/// The parts of a header that the writer of one record decides; the rest is the run's.
#[derive(Clone, Copy, Default)]
pub struct About<'a> {
    /// What the record is about.
    pub subject: Option<&'a Subject>,
    /// Ids of the records that it answers.
    pub cause: &'a [String],
}

/// Who writes: the part of every header that is the same throughout a run.
pub(crate) struct Author<'a> {
    pub(crate) tool: &'a str,
    pub(crate) host: &'a str,
}

/// Renders one line, newline included.
pub(crate) fn line<T: Serialize>(author: &Author<'_>, id: &str, kind: &str, about: About<'_>, data: &T) -> serde_json::Result<Vec<u8>> {
    let draft = Draft {
        v: VERSION,
        r#type: kind,
        id,
        cause: about.cause,
        tool: author.tool,
        host: author.host,
        ts: Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
        subject: about.subject,
        data,
    };
    let mut line = serde_json::to_vec(&draft)?;
    line.push(b'\n');
    Ok(line)
}

/// Payload of `error`: something that a tool could not do or read.
#[derive(Debug, Serialize, Deserialize)]
pub struct Fault {
    /// Stable name, such as `input.not-a-record`.
    pub code: String,
    /// Line of the input, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The whole chain of reasons, ending in what to do.
    pub text: String,
}

/// Payload of `end`: the stream of one tool is whole.
#[derive(Debug, Serialize, Deserialize)]
pub struct End {
    /// False when anything was not seen or not read: then absence proves nothing.
    pub ok: bool,
    /// Records read.
    pub read: u64,
    /// Records of its own written before this one.
    pub wrote: u64,
}

/// The verdict on a subject, the same words everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Looked at, and nothing wrong.
    Healthy,
    /// It works, not as it should.
    Degraded,
    /// It does not work.
    Broken,
    /// It could not be seen. Nothing is ever repaired on this.
    #[serde(other)]
    Unknown,
}

impl Status {
    /// The order of badness: what was not seen is worse than health and no worse than a fault that was.
    #[must_use]
    pub fn badness(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Unknown => 1,
            Self::Degraded => 2,
            Self::Broken => 3,
        }
    }
}
