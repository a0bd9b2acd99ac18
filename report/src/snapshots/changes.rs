//! `snapshot.change` records: how what is there differs from a snapshot, or one snapshot from another.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use contract::path::Subject;
use contract::record::Record;
use serde::Deserialize;

use crate::clip;
use crate::document::{Block, Column, Row, Table, Tone, counted, text_of};
use crate::seen::{Place, Seen};
use crate::snapshots::measure::size;
use crate::snapshots::traits::Traits;
use crate::snapshots::{listed, named, root_of, under};

/// One path that differs.
#[derive(Debug)]
pub(crate) struct Change {
    place: Place,
    kind: Box<str>,
    how: Box<str>,
    diff: Option<Box<str>>,
}

#[derive(Deserialize)]
struct Payload {
    change: String,
    #[serde(default)]
    before: Option<State>,
    #[serde(default)]
    after: Option<State>,
    #[serde(default)]
    diff: Option<String>,
}

#[derive(Deserialize)]
struct State {
    kind: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    target: Option<Subject>,
}

pub(crate) fn read(place: &Place, record: &Record) -> anyhow::Result<Change> {
    let Payload { change, before, after, diff } = record.read()?;
    let how = match (&before, &after) {
        (Some(before), Some(after)) => between(before, after, &record.read()?),
        (Some(only), None) | (None, Some(only)) => what(only),
        (None, None) => String::new(),
    };
    let (kind, how) = (clip::text(change).into(), clip::text(how).into());
    Ok(Change { place: place.clone(), kind, how, diff: diff.map(|diff| clip::diff(diff).into()) })
}

/// A file by its size, anything else by its kind.
fn what(state: &State) -> String {
    match (state.size, &state.target) {
        (Some(bytes), _) => size(bytes),
        (None, Some(target)) => format!("link to {}", text_of(target)),
        (None, None) => state.kind.clone(),
    }
}

fn between(before: &State, after: &State, traits: &Traits) -> String {
    if before.kind != after.kind {
        return format!("{} → {}", before.kind, after.kind);
    }
    let (was, is) = (what(before), what(after));
    traits.told((was != is).then(|| format!("{was} → {is}")))
}

pub(crate) fn draw<'a>(changes: &'a [Change], seen: &Seen, all: bool) -> Vec<Block<'a>> {
    if changes.is_empty() {
        return Vec::new();
    }
    let root = root_of(seen, changes.iter().map(|change| &change.place));
    let several_hosts = seen.several_hosts();
    let (rows, more) = listed(changes.len(), "path", all);
    let heading = Block::Heading(format!("Differences{}", under(root.as_ref())));
    let diffs = changes[..rows].iter().filter_map(|change| {
        let diff = change.diff.as_deref()?;
        Some(Block::Diff(named(&change.place, root.as_deref(), several_hosts).into_owned(), diff))
    });
    let diffs: Vec<_> = diffs.collect();
    let table = Table {
        columns: &[Column::Mark("change"), Column::Path("path"), Column::Text("what")],
        below: None,
        rows,
        row: Box::new(move |i| row(&changes[i], root.as_deref(), several_hosts)),
    };
    let counts = Block::Line(Tone::Strong, counts(changes));
    [heading, Block::Table(table)].into_iter().chain(more).chain([counts]).chain(diffs).collect()
}

fn row<'a>(change: &'a Change, root: Option<&Path>, several_hosts: bool) -> Row<'a> {
    let (tone, mark) = mark(&change.kind);
    // Where the content differs and its size does not, there is nothing else to say.
    let how = if &*change.kind == "modified" && &*change.how == "time" { "" } else { &*change.how };
    let cells = vec![Cow::Borrowed(mark), named(&change.place, root, several_hosts), Cow::Borrowed(how)];
    Row { tone, cells, below: Vec::new(), command: None }
}

fn mark(kind: &str) -> (Tone, &'static str) {
    match kind {
        "added" => (Tone::Good, "+ added"),
        "removed" => (Tone::Bad, "- removed"),
        "modified" => (Tone::Warn, "~ modified"),
        "retyped" => (Tone::Bad, "! retyped"),
        "traits" => (Tone::Plain, "· traits"),
        _ => (Tone::Plain, "? other"),
    }
}

fn counts(changes: &[Change]) -> String {
    let mut by_word: BTreeMap<&str, u64> = BTreeMap::new();
    for change in changes {
        let (_, mark) = mark(&change.kind);
        *by_word.entry(mark.split_once(' ').map_or(mark, |(_, word)| word)).or_default() += 1;
    }
    let parts: Vec<String> = by_word.iter().map(|(word, n)| format!("{n} {word}")).collect();
    format!("{}: {}", counted(changes.len() as u64, "difference"), parts.join(", "))
}
