//! `snapshot` records: a line for each, and where there is only one, what it covers.

use std::borrow::Cow;
use std::collections::HashMap;

use contract::path::Subject;
use contract::record::Record;
use serde::Deserialize;

use crate::actions::subject;
use crate::clip;
use crate::document::{Block, Column, Row, Table, Tone, counted, text_of};
use crate::seen::{Place, Seen};
use crate::snapshots::asked::Asked;
use crate::snapshots::measure::{age, size};
use crate::snapshots::{is_id, way_back};

/// So many roots, work trees and environments of a snapshot are named.
const NAMED: usize = 5;

/// The last that was said of each.
#[derive(Debug, Default)]
pub(crate) struct List(HashMap<Place, Snapshot>);

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each may be so or not, whatever the others are")]
struct Snapshot {
    seq: u64,
    age: String,
    label: String,
    description: String,
    entries: u64,
    size: u64,
    added: u64,
    partial: bool,
    pinned: bool,
    sealed: bool,
    /// This run made it.
    new: bool,
    covers: Vec<String>,
    asked: Asked,
}

#[derive(Deserialize)]
struct Payload {
    seq: u64,
    time: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    description: String,
    entries: u64,
    size: u64,
    added: u64,
    #[serde(default)]
    partial: bool,
    #[serde(default)]
    pinned: bool,
    #[serde(default)]
    sealed_to: Vec<String>,
    #[serde(default)]
    roots: Vec<Subject>,
    #[serde(default)]
    git: Vec<WorkTree>,
    #[serde(default)]
    pythons: Vec<Python>,
    #[serde(default)]
    took_ms: Option<u64>,
    #[serde(default)]
    absent: Vec<Subject>,
    #[serde(default)]
    store: Option<Subject>,
    #[serde(default)]
    identity: Option<Subject>,
}

#[derive(Deserialize)]
struct WorkTree {
    path: String,
    #[serde(default)]
    commit: Option<String>,
    #[serde(default)]
    branch: Option<String>,
    #[serde(default)]
    dirty: u64,
    #[serde(default)]
    stashes: u64,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize)]
struct Python {
    path: Subject,
    #[serde(default)]
    version: Option<String>,
}

impl List {
    pub(crate) fn push(&mut self, place: &Place, record: &Record) -> anyhow::Result<()> {
        let Payload { seq, time, label, description, entries, size, added, partial, pinned, .. } = record.read()?;
        let Payload { sealed_to, roots, git, pythons, took_ms, absent, store, identity, .. } = record.read()?;
        let covers = [
            few("of", &roots, text_of),
            few("git", &git, work_tree),
            few("python", &pythons, python),
            few("nothing is there", &absent, text_of),
        ];
        let snapshot = Snapshot {
            seq,
            age: clip::text(age(&time, &record.ts)),
            label: clip::text(label),
            description: clip::text(description),
            entries,
            size,
            added,
            partial,
            pinned,
            sealed: !sealed_to.is_empty(),
            new: took_ms.is_some(),
            covers: covers.into_iter().flatten().collect(),
            asked: Asked::at(store, identity),
        };
        self.0.insert(place.clone(), snapshot);
        Ok(())
    }

    pub(crate) fn draw<'a>(&'a self, seen: &Seen) -> Vec<Block<'a>> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut rows: Vec<(&Place, &Snapshot)> = self.0.iter().collect();
        rows.sort_unstable_by_key(|(place, snapshot)| (&place.host, snapshot.seq, &place.subject));
        let counts = counts(&rows);
        let next = next(&rows);
        let (alone, several_hosts) = (rows.len() == 1, seen.several_hosts());
        let table = Table {
            columns: &[
                Column::Mark("state"),
                Column::Id("snapshot"),
                Column::Text("age"),
                Column::Text("label"),
                Column::Text("paths"),
                Column::Word("size"),
                Column::Word("added"),
                Column::Text("description"),
            ],
            below: alone.then_some("what it covers"),
            rows: rows.len(),
            row: Box::new(move |i| row(rows[i], alone, several_hosts)),
        };
        let mut blocks = vec![Block::Heading("Snapshots".to_owned()), Block::Table(table), Block::Line(Tone::Strong, counts)];
        blocks.extend(next);
        blocks
    }
}

fn row<'a>((place, snapshot): (&'a Place, &'a Snapshot), alone: bool, several_hosts: bool) -> Row<'a> {
    let (tone, state) = match (snapshot.partial, snapshot.pinned, snapshot.sealed) {
        (true, false, _) => (Tone::Warn, "! partial"),
        (true, true, _) => (Tone::Warn, "! partial, pinned"),
        (false, true, false) => (Tone::Good, "* pinned"),
        (false, true, true) => (Tone::Good, "* pinned, encrypted"),
        (false, false, true) => (Tone::Plain, "· encrypted"),
        (false, false, false) => (Tone::Plain, "·"),
    };
    let cells = vec![
        Cow::Borrowed(state),
        Cow::Owned(subject(Some(place), several_hosts)),
        Cow::Borrowed(snapshot.age.as_str()),
        Cow::Borrowed(snapshot.label.as_str()),
        Cow::Owned(counted(snapshot.entries, "path")),
        Cow::Owned(size(snapshot.size)),
        Cow::Owned(format!("+{}", size(snapshot.added))),
        Cow::Borrowed(snapshot.description.as_str()),
    ];
    let below = if alone { snapshot.covers.iter().map(|text| Cow::Borrowed(text.as_str())).collect() } else { Vec::new() };
    Row { tone, cells, below, command: None }
}

fn counts(rows: &[(&Place, &Snapshot)]) -> String {
    let count = |is: fn(&Snapshot) -> bool| rows.iter().filter(|(_, snapshot)| is(snapshot)).count();
    let each = [(count(|one| one.partial), "partial"), (count(|one| one.pinned), "pinned"), (count(|one| one.sealed), "encrypted")];
    let parts = each.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!(", {n} {word}"));
    counted(rows.len() as u64, "snapshot") + &parts.collect::<String>()
}

/// Who has just made one wants to know how it is used.
fn next<'a>(rows: &[(&Place, &Snapshot)]) -> Option<Block<'a>> {
    let [(place, snapshot)] = rows else { return None };
    let id = place.subject.as_path().to_str().filter(|id| snapshot.new && is_id(id))?;
    let commands = [
        (format!("snapshot diff {id}"), "what has changed since"),
        (format!("snapshot restore {id}"), "what a restore would do"),
        (way_back(id)?, "everything as it is now"),
    ];
    let commands: Option<_> = commands.into_iter().map(|(command, does)| Some((snapshot.asked.also(command)?, does))).collect();
    Some(Block::Commands("Later:".to_owned(), commands?))
}

pub(crate) fn few<T>(title: &str, all: &[T], text: impl Fn(&T) -> String) -> Option<String> {
    let named: Vec<String> = all.iter().take(NAMED).map(text).collect();
    let more = if all.len() > NAMED { format!(" and {} more", all.len() - NAMED) } else { String::new() };
    (!all.is_empty()).then(|| clip::text(format!("{title}: {}{more}", named.join(", "))))
}

fn work_tree(tree: &WorkTree) -> String {
    if let Some(error) = &tree.error {
        return format!("{} ({error})", tree.path);
    }
    let commit = tree.commit.as_deref().map_or("no commit yet", |commit| commit.get(..12).unwrap_or(commit));
    let branch = tree.branch.as_deref().unwrap_or("no branch");
    let dirty = if tree.dirty == 0 { String::new() } else { format!(", {}", counted(tree.dirty, "changed file")) };
    let stashes = match tree.stashes {
        0 => String::new(),
        1 => ", 1 stash".to_owned(),
        n => format!(", {n} stashes"),
    };
    format!("{} ({branch} at {commit}{dirty}{stashes})", tree.path)
}

fn python(python: &Python) -> String {
    format!("{} ({})", text_of(&python.path), python.version.as_deref().unwrap_or("version unknown"))
}
