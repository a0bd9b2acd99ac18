//! What a log says, grouped, and which of it is the cause.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use contract::path::Subject;
use contract::redact::GONE;

use super::reach::is_out_of_reach;
use super::trace::Place;
use crate::catalogue::{Catalogue, Entry, Level};
use crate::diagnosis::{Diagnosis, Evidence, Frame, Remedy};

/// A line without a name for what it is about belongs to one with it that is no farther away.
const NEAR: u64 = 20;
/// Exceptions that were raised from one another are no farther apart.
const CHAIN: u64 = 100;
/// As many places of one finding are shown.
const PLACES: usize = 3;
/// As many findings of one entry are told apart.
const OF_ONE: usize = 20;

/// One line that says what is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Sighting {
    pub(crate) entry: usize,
    pub(crate) line: u64,
    pub(crate) excerpt: String,
    pub(crate) captures: BTreeMap<String, String>,
    pub(crate) frames: Vec<Frame>,
    pub(crate) place: Place,
    pub(crate) is_retried: bool,
}

/// The same thing, seen as often as it was.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) entry: usize,
    pub(crate) source: Subject,
    pub(crate) count: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) captures: BTreeMap<String, String>,
    pub(crate) places: Vec<Evidence>,
    place: Place,
    /// The last line of it behind which it was tried again.
    retried: u64,
}

/// All findings of one log.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) all: Vec<Finding>,
}

impl Findings {
    /// Takes a sighting, and says whether it is the first of its kind.
    pub(crate) fn add(&mut self, catalogue: &Catalogue, source: &Subject, seen: Sighting) -> bool {
        let entry = catalogue.get(seen.entry);
        let of_entry: Vec<usize> = (0..self.all.len()).filter(|at| self.all[*at].entry == seen.entry).collect();
        let same = of_entry.iter().copied().find(|at| key(entry, &self.all[*at].captures) == key(entry, &seen.captures));
        // npm says the code on one line, and the package on another.
        let near = || of_entry.iter().copied().rev().find(|at| self.all[*at].is_part_of(entry, &seen));
        let is_full = of_entry.len() >= OF_ONE;
        let at = same.or_else(near).or_else(|| of_entry.last().copied().filter(|_| is_full));
        if seen.is_retried {
            self.retry_chain(catalogue, seen.line);
        }
        if let Some(at) = at {
            self.all[at].take(source, seen);
            return false;
        }
        let mut finding = Finding {
            entry: seen.entry,
            source: source.clone(),
            count: 0,
            first: seen.line,
            last: seen.line,
            captures: BTreeMap::new(),
            places: Vec::new(),
            place: seen.place,
            retried: 0,
        };
        finding.take(source, seen);
        self.all.push(finding);
        true
    }

    /// What an exception was raised from was tried again with it.
    fn retry_chain(&mut self, catalogue: &Catalogue, line: u64) {
        let is_inner =
            |one: &&mut Finding| catalogue.get(one.entry).retryable && one.place != Place::Alone && line.saturating_sub(one.last) <= CHAIN;
        self.all.iter_mut().filter(is_inner).for_each(|inner| inner.retried = inner.last);
    }

    /// The cause first: what is no consequence before what is, what stays before what may go away, the surer before the likely, the earlier
    /// before the later.
    pub(crate) fn ranked(&self, catalogue: &Catalogue) -> Vec<Finding> {
        let mut ranked = self.all.clone();
        ranked.sort_by_key(|finding| self.rank(catalogue, finding));
        ranked
    }

    fn rank(&self, catalogue: &Catalogue, finding: &Finding) -> (Level, bool, bool, Level, Reverse<bool>, u64) {
        let entry = catalogue.get(finding.entry);
        let kind = if entry.level <= Level::Likely { Level::Cause } else { entry.level };
        let yields = entry
            .yields_to
            .iter()
            .any(|code| self.all.iter().any(|other| catalogue.get(other.entry).code == *code && other.first <= finding.first));
        let is_effect = yields || matches!(finding.place, Place::Consequence | Place::Handled);
        let is_transient = entry.transient || finding.is_retried();
        (kind, is_effect, is_transient, entry.level, Reverse(finding.place == Place::Cause), finding.first)
    }
}

impl Finding {
    fn take(&mut self, source: &Subject, seen: Sighting) {
        self.count += 1;
        (self.first, self.last) = (self.first.min(seen.line), self.last.max(seen.line));
        if seen.is_retried {
            self.retried = self.retried.max(seen.line);
        }
        for (name, value) in &seen.captures {
            self.captures.entry(name.clone()).or_insert_with(|| value.clone());
        }
        if self.places.len() < PLACES {
            let Sighting { line, excerpt, captures, frames, .. } = seen;
            self.places.push(Evidence { source: source.clone(), line: Some(line), excerpt, captures, frames });
        }
    }

    /// Whether what is seen is another line of the same block: one of the two does not say what it is about.
    fn is_part_of(&self, entry: &Entry, seen: &Sighting) -> bool {
        let (mine, its) = (key(entry, &self.captures), key(entry, &seen.captures));
        let agrees = mine.iter().all(|(name, value)| its.get(name).is_none_or(|other| other == value));
        (mine.is_empty() || its.is_empty() || agrees) && seen.line.abs_diff(self.last) <= NEAR
    }

    /// Whether it was tried again each time, the last one included.
    fn is_retried(&self) -> bool {
        self.retried >= self.last
    }

    /// Whether it can be nothing but the cause, wherever the log ends: nothing goes before it.
    pub(crate) fn is_surely_first(&self, catalogue: &Catalogue) -> bool {
        let entry = catalogue.get(self.entry);
        entry.level == Level::Cause && !entry.transient && !entry.retryable && entry.yields_to.is_empty() && self.place == Place::Alone
    }

    pub(crate) fn diagnosis(&self, catalogue: &Catalogue) -> Diagnosis {
        let entry = catalogue.get(self.entry);
        let remedy = entry.remedy.as_deref().filter(|remedy| self.can_be_mended_by(remedy));
        Diagnosis {
            subject: Some(self.source.clone()),
            code: entry.code.clone(),
            class: entry.class.clone(),
            severity: entry.severity,
            text: filled(&entry.text, &self.captures),
            count: Some(self.count),
            evidence: self.places.clone(),
            explains: Vec::new(),
            consequences: Vec::new(),
            auto: remedy.is_some_and(|remedy| self.can_be_acted_on(remedy)),
            remedy: remedy.map(|name| Remedy { args: self.args(name), name: name.to_owned() }),
            manual: entry.manual.as_deref().map(|text| filled(text, &self.captures)),
        }
    }

    /// Whether it says what a remedy is to act on, and that is nothing that is never touched.
    fn can_be_mended_by(&self, remedy: &str) -> bool {
        match remedy {
            "create-path" | "fix-permissions" => self.captures.get("path").is_some_and(|path| !is_out_of_reach(path)),
            "install-module" => self.captures.contains_key("module"),
            _ => true,
        }
    }

    /// Whether what a remedy is to act on is told as it is, and not masked or escaped.
    fn can_be_acted_on(&self, remedy: &str) -> bool {
        let is_whole = |value: &String| !value.contains(GONE) && !value.contains("\\u{");
        ["redeploy", "lockfile-update"].contains(&remedy) || self.captures.values().all(is_whole)
    }

    /// What was captured, and where in the project's own files the traceback ends unless the message says so itself.
    fn args(&self, remedy: &str) -> BTreeMap<String, serde_json::Value> {
        let mut args: BTreeMap<String, serde_json::Value> =
            self.captures.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        // What raised it in a library is not what is to be mended.
        let own = |frame: &&Frame| !["/lib/python", "site-packages/", "<frozen"].iter().any(|part| frame.file.contains(part));
        let innermost = self.places.iter().find_map(|place| place.frames.iter().rev().find(own));
        // Of a text that was read, the traceback does not tell the file, only who read it.
        let (file, line) = if remedy == "repair-json" { ("reader", "reader_line") } else { ("file", "line") };
        if let Some(frame) = innermost.filter(|_| !args.contains_key("file")) {
            args.insert(file.to_owned(), frame.file.as_str().into());
            args.entry(line.to_owned()).or_insert_with(|| frame.line.to_string().into());
        }
        args
    }
}

/// What tells two findings of one entry apart.
fn key<'c>(entry: &Entry, captures: &'c BTreeMap<String, String>) -> BTreeMap<&'c str, &'c str> {
    let counts = |name: &str| entry.key.as_ref().is_none_or(|key| key.iter().any(|one| one == name));
    captures.iter().filter(|(name, _)| counts(name)).map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// A sentence with what was captured in it; what was not is "it" where it stands.
fn filled(text: &str, captures: &BTreeMap<String, String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else { break };
        filled.push_str(before);
        filled.push_str(captures.get(name).map_or("…", String::as_str));
        rest = behind;
    }
    filled + rest
}
