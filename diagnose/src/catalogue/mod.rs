//! What is known of failures: patterns, and what each means. A list that comes with the tool, and those of the user.

mod builtin;
mod user;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use contract::record::Status;
use serde::Deserialize;

pub(crate) use self::user::{Complaint, group_name};
use crate::search::Search;

/// Where the user's patterns are, below the current folder.
const USUAL: &str = "config/autoheal_patterns.json";

/// How near to the cause a pattern is. The order is that in which patterns are tried on a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// A wording that means this and nothing else.
    #[default]
    Cause,
    /// A wording that mostly means this.
    Likely,
    /// What a platform or a client says of the end: the answer only where there is no cause.
    Result,
    /// What the last program says of the one before: the answer only where there is nothing else.
    Trailer,
    /// No failure; it decides between others.
    Note,
    /// It looks like an error, and nobody knows which.
    Unknown,
}

/// One failure.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Stable name.
    pub(crate) code: String,
    /// The name that the original's list has for it, under which a user may replace it.
    #[serde(default)]
    pub(crate) seed: Option<String>,
    #[serde(default)]
    pub(crate) class: Option<String>,
    #[serde(default)]
    pub(crate) level: Level,
    /// It may go away by itself.
    #[serde(default)]
    pub(crate) transient: bool,
    /// A program may try it again; where the log says so, it is as transient.
    #[serde(default)]
    pub(crate) retryable: bool,
    #[serde(default = "broken")]
    pub(crate) severity: Status,
    /// The cause in one sentence; `{name}` is what the group of that name matched.
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) manual: Option<String>,
    #[serde(default)]
    pub(crate) remedy: Option<String>,
    /// Codes of which this is a consequence where they came before it in a log.
    #[serde(default)]
    pub(crate) yields_to: Vec<String>,
    /// The groups by which two findings are two; all of them unless told otherwise.
    #[serde(default)]
    pub(crate) key: Option<Vec<String>>,
    pub(crate) patterns: Vec<String>,
    /// The file that it is from, unless it comes with the tool.
    #[serde(skip)]
    pub(crate) from: Option<PathBuf>,
}

fn broken() -> Status {
    Status::Broken
}

/// Entries in the order in which they are tried, and the search for all their patterns.
pub(crate) struct Catalogue {
    entries: Vec<Entry>,
    /// The entry of each pattern.
    of: Vec<usize>,
    pub(crate) search: Search,
    /// Patterns that come with lines around them.
    pub(crate) traced: BTreeSet<usize>,
}

impl Catalogue {
    /// The built-in entries (unless `bare`) with those of the user's files over them, and what is wrong with the latter.
    ///
    /// # Errors
    /// A file that was named cannot be read.
    pub(crate) fn load(files: &[PathBuf], bare: bool) -> anyhow::Result<(Self, Vec<Complaint>)> {
        let mut entries = if bare { Vec::new() } else { builtin::entries()? };
        let mut complaints = Vec::new();
        let usual = Path::new(USUAL);
        let named = if files.is_empty() && !bare && usual.is_file() { &[usual.to_owned()] } else { files };
        for file in named {
            let (users, wrong) = user::read(file)?;
            complaints.extend(wrong);
            for entry in users {
                user::insert(&mut entries, entry);
            }
        }
        let (catalogue, refused) = Self::of(entries);
        complaints.extend(refused);
        Ok((catalogue, complaints))
    }

    fn of(mut entries: Vec<Entry>) -> (Self, Vec<Complaint>) {
        entries.sort_by_key(|entry| entry.level);
        let of: Vec<usize> = entries.iter().enumerate().flat_map(|(number, entry)| entry.patterns.iter().map(move |_| number)).collect();
        let (search, refused) = Search::new(entries.iter().flat_map(|entry| &entry.patterns).map(String::as_str));
        let complaints = refused.into_iter().map(|refused| {
            let entry = &entries[of[refused.pattern]];
            Complaint { file: entry.from.clone(), entry: entry.code.clone(), reason: refused.reason }
        });
        let complaints = complaints.collect();
        let traced = (0..of.len()).filter(|pattern| entries[of[*pattern]].is_traced()).collect();
        (Self { entries, of, search, traced }, complaints)
    }

    /// The entry that a pattern belongs to, by its number.
    pub(crate) fn entry(&self, pattern: usize) -> usize {
        self.of[pattern]
    }

    pub(crate) fn get(&self, entry: usize) -> &Entry {
        &self.entries[entry]
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The slow patterns' entries.
    pub(crate) fn slow(&self) -> impl Iterator<Item = &Entry> {
        self.search.slow().iter().map(|pattern| self.get(self.entry(*pattern)))
    }
}

impl Entry {
    /// Whether the lines around say more: those of an exception, or those that tell of another attempt.
    fn is_traced(&self) -> bool {
        self.retryable || self.is_exception()
    }

    /// Whether it is the last line of a traceback of Python, or may be.
    pub(crate) fn is_exception(&self) -> bool {
        let is_python = |pattern: &String| pattern.contains("Error") || pattern.contains("Exception");
        self.level < Level::Note && self.patterns.iter().any(is_python)
    }
}
