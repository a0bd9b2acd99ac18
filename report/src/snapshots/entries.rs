//! `snapshot.entry` records: what a snapshot is made of.

use std::borrow::Cow;
use std::path::Path;

use contract::path::Subject;
use contract::record::Record;
use serde::Deserialize;

use crate::clip;
use crate::document::{Block, Column, Row, Table, Tone, counted, text_of};
use crate::seen::{Place, Seen};
use crate::snapshots::measure::size;
use crate::snapshots::{listed, named, root_of, under};

/// One path of a snapshot.
#[derive(Debug)]
pub(crate) struct Entry {
    place: Place,
    kind: Box<str>,
    mode: Box<str>,
    size: Option<u64>,
    note: Box<str>,
}

#[derive(Deserialize)]
struct Payload {
    kind: String,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    target: Option<Subject>,
    #[serde(default)]
    same_as: Option<Subject>,
    #[serde(default)]
    changed_while_read: bool,
}

pub(crate) fn read(place: &Place, record: &Record) -> anyhow::Result<Entry> {
    let Payload { kind, mode, size, target, same_as, changed_while_read } = record.read()?;
    let note = match (target, same_as) {
        (Some(target), _) => format!("leads to {}", text_of(&target)),
        (_, Some(first)) => format!("the same file as {}", text_of(&first)),
        _ if changed_while_read => "changed while it was read".to_owned(),
        _ => String::new(),
    };
    let [kind, mode, note] = [kind, mode, note].map(|text| clip::text(text).into());
    Ok(Entry { place: place.clone(), kind, mode, size, note })
}

pub(crate) fn draw<'a>(entries: &'a [Entry], seen: &Seen, all: bool) -> Vec<Block<'a>> {
    if entries.is_empty() {
        return Vec::new();
    }
    let root = root_of(seen, entries.iter().map(|entry| &entry.place));
    let (rows, more) = listed(entries.len(), "path", all);
    let heading = Block::Heading(format!("Paths{}", under(root.as_ref())));
    let several_hosts = seen.several_hosts();
    let table = Table {
        columns: &[Column::Mark("kind"), Column::Word("mode"), Column::Word("size"), Column::Path("path"), Column::Text("note")],
        below: None,
        rows,
        row: Box::new(move |i| row(&entries[i], root.as_deref(), several_hosts)),
    };
    let files: u64 = entries.iter().filter_map(|entry| entry.size).sum();
    let counts = format!("{}, {}", counted(entries.len() as u64, "path"), size(files));
    [heading, Block::Table(table)].into_iter().chain(more).chain([Block::Line(Tone::Strong, counts)]).collect()
}

fn row<'a>(entry: &'a Entry, root: Option<&Path>, several_hosts: bool) -> Row<'a> {
    let (tone, mark) = match &*entry.kind {
        "file" => (Tone::Plain, "· file"),
        "folder" => (Tone::Plain, "/ folder"),
        "link" => (Tone::Plain, "→ link"),
        "absent" => (Tone::Faint, "- absent"),
        "special" => (Tone::Warn, "! not kept"),
        _ => (Tone::Warn, "? unknown"),
    };
    let cells = vec![
        Cow::Borrowed(mark),
        Cow::Borrowed(&*entry.mode),
        Cow::Owned(entry.size.map_or_else(String::new, size)),
        named(&entry.place, root, several_hosts),
        Cow::Borrowed(&*entry.note),
    ];
    Row { tone, cells, below: Vec::new(), command: None }
}
