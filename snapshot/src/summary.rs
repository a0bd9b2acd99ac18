//! Payload of `snapshot`: what one snapshot is, as `create` and `list` tell it.

use std::collections::HashSet;

use anyhow::Context as _;
use contract::output::Output;
use contract::path::{Subject, shown};
use contract::record::About;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::store::Store;
use crate::store::manifest::{Header, Python, WorkTree};

/// The type of the record.
pub(crate) const KIND: &str = "snapshot";

#[derive(Serialize)]
struct Summary<'a> {
    seq: u64,
    time: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    user: &'a str,
    roots: Vec<&'a Subject>,
    entries: u64,
    size: u64,
    added: u64,
    partial: bool,
    pinned: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    sealed_to: &'a [String],
    #[serde(skip_serializing_if = "<[WorkTree]>::is_empty")]
    git: &'a [WorkTree],
    #[serde(skip_serializing_if = "<[Python]>::is_empty")]
    pythons: &'a [Python],
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ms: Option<u64>,
    #[serde(skip_serializing_if = "<[Subject]>::is_empty")]
    absent: &'a [Subject],
    #[serde(flatten)]
    asked: Map<String, Value>,
}

/// What is told of a snapshot that was just made.
#[derive(Default)]
pub(crate) struct Made {
    pub(crate) took_ms: Option<u64>,
    /// What was asked for and is not there.
    pub(crate) absent: Vec<Subject>,
}

/// Writes the record of one snapshot.
pub(crate) fn emit(out: &mut Output, store: &Store, header: &Header, pinned: bool, made: &Made) -> anyhow::Result<()> {
    let summary = Summary {
        seq: header.seq,
        time: &header.time,
        description: header.description.as_deref(),
        label: header.label.as_deref(),
        user: &header.user,
        roots: header.roots.iter().map(|root| &root.path).collect(),
        entries: header.entries,
        size: header.size,
        added: header.added,
        partial: header.partial,
        pinned,
        sealed_to: &header.sealed_to,
        git: &header.git,
        pythons: &header.pythons,
        took_ms: made.took_ms,
        absent: &made.absent,
        asked: store.asked(),
    };
    let subject = Subject::from(header.id.as_str());
    out.emit(KIND, About { subject: Some(&subject), ..About::default() }, &summary)?;
    Ok(())
}

/// The same for whoever only tells of them: what cannot be seen is said.
pub(crate) fn pinned_as_seen(out: &Output, store: &Store) -> HashSet<String> {
    pinned(store).unwrap_or_else(|e| {
        out.hint(&format!("{e:#}"));
        HashSet::new()
    })
}

/// The ids of the snapshots that are never pruned.
///
/// # Errors
/// They cannot be listed.
pub(crate) fn pinned(store: &Store) -> anyhow::Result<HashSet<String>> {
    if !store.exists() {
        return Ok(HashSet::new());
    }
    let folder = store.pins();
    let listed = std::fs::read_dir(&folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let listed = listed.with_context(|| {
        format!("cannot see what is pinned: cannot list {0}; where nothing was, `mkdir -m 700 {0}` says so", shown(&folder))
    })?;
    Ok(listed.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}
