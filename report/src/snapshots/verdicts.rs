//! `snapshot.probe` records: whether each snapshot can be read back.

use std::borrow::Cow;
use std::collections::HashMap;

use contract::path::Subject;
use contract::record::{Record, Status};
use serde::Deserialize;

use crate::actions::subject;
use crate::clip;
use crate::document::{Block, Column, Row, Table, Tone, counted, text_of};
use crate::environments::status;
use crate::seen::{Place, Seen};
use crate::snapshots::asked::Asked;

/// More whole snapshots than these are not listed unless asked for.
const WHOLE_LISTED: usize = 10;
/// So many faults of a snapshot are named, and so many files of a fault.
const NAMED: usize = 10;

/// The last verdict on each.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    of: HashMap<Place, Verdict>,
    asked: Asked,
}

#[derive(Debug)]
struct Verdict {
    status: Status,
    contents: u64,
    /// A content is lost that a file may still have.
    mendable: bool,
    faults: Vec<String>,
}

#[derive(Deserialize)]
struct Payload {
    status: Status,
    contents: u64,
    #[serde(default)]
    faults: Vec<Fault>,
    #[serde(default)]
    asked: Asked,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    code: String,
    text: String,
    #[serde(default)]
    files: Vec<Subject>,
}

impl Verdicts {
    pub(crate) fn push(&mut self, place: &Place, record: &Record) -> anyhow::Result<()> {
        let Payload { status, contents, faults, asked } = record.read()?;
        let mendable = faults.iter().any(|fault| fault.code == "content-damaged");
        let mut lines: Vec<String> = faults.iter().take(NAMED).map(told).collect();
        if faults.len() > NAMED {
            lines.push(format!("and {} more", faults.len() - NAMED));
        }
        self.of.insert(place.clone(), Verdict { status, contents, mendable, faults: lines });
        self.asked = asked.clipped();
        Ok(())
    }

    pub(crate) fn draw<'a>(&'a self, seen: &Seen, all: bool) -> Vec<Block<'a>> {
        if self.of.is_empty() {
            return Vec::new();
        }
        let mut rows: Vec<(&Place, &Verdict)> = self.of.iter().collect();
        rows.sort_unstable_by_key(|(place, verdict)| (std::cmp::Reverse(verdict.status.badness()), *place));
        let count = |status: Status| rows.iter().filter(|(_, verdict)| verdict.status == status).count();
        let whole = count(Status::Healthy);
        let counts = counts(rows.len(), &count);
        let mendable = rows.iter().any(|(_, verdict)| verdict.mendable);
        let folded = whole > WHOLE_LISTED && !all;
        if folded {
            rows.truncate(rows.len() - whole);
        }
        let several_hosts = seen.several_hosts();
        let table = Table {
            columns: &[Column::Mark("status"), Column::Id("snapshot"), Column::Word("contents")],
            below: Some("what is damaged"),
            rows: rows.len(),
            row: Box::new(move |i| row(rows[i], several_hosts)),
        };
        let mut blocks = vec![Block::Heading("Snapshots, read back".to_owned()), Block::Table(table)];
        if folded {
            blocks.push(Block::Line(Tone::Good, format!("✓ {whole} healthy, not listed; report --all lists them")));
        }
        blocks.push(Block::Line(Tone::Strong, counts));
        blocks.extend(if mendable { self.repair() } else { None });
        blocks
    }

    fn repair<'a>(&self) -> Option<Block<'a>> {
        let command = self.asked.also("snapshot verify --repair".to_owned())?;
        let lead = "Next: every file that is not named here can still be restored.".to_owned();
        Some(Block::Commands(lead, vec![(command, "puts back what files that are still there have")]))
    }
}

fn told(fault: &Fault) -> String {
    let named: Vec<String> = fault.files.iter().take(NAMED).map(text_of).collect();
    let more = if fault.files.len() > NAMED { format!(" and {} more", fault.files.len() - NAMED) } else { String::new() };
    let files = if named.is_empty() { String::new() } else { format!("; cannot be restored: {}{more}", named.join(", ")) };
    clip::text(format!("{}{files}", fault.text))
}

fn row<'a>((place, verdict): (&'a Place, &'a Verdict), several_hosts: bool) -> Row<'a> {
    let (tone, mark) = status(verdict.status);
    let cells =
        vec![Cow::Borrowed(mark), Cow::Owned(subject(Some(place), several_hosts)), Cow::Owned(counted(verdict.contents, "content"))];
    Row { tone, cells, below: verdict.faults.iter().map(|text| Cow::Borrowed(text.as_str())).collect(), command: None }
}

fn counts(all: usize, count: &impl Fn(Status) -> usize) -> String {
    let each = [(Status::Healthy, "healthy"), (Status::Degraded, "degraded"), (Status::Broken, "broken"), (Status::Unknown, "unknown")];
    let counted_each = each.iter().map(|(status, word)| (count(*status), word)).filter(|(n, _)| *n > 0);
    let parts: Vec<String> = counted_each.map(|(n, word)| format!("{n} {word}")).collect();
    format!("{}: {}", counted(all as u64, "snapshot"), parts.join(", "))
}
