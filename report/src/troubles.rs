//! What went wrong on the way: `error` records, lines that could not be read, streams that are not whole.

use std::borrow::Cow;

use crate::actions::subject;
use crate::document::{Block, Column, Row, Table, Tone, counted};
use crate::seen::{Few, Seen, Trouble};

pub(crate) fn draw(seen: &Seen) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    if seen.errors.count() + seen.refused.count() > 0 {
        blocks.push(Block::Heading("Errors".to_owned()));
    }
    if seen.errors.count() > 0 {
        blocks.push(errors(seen));
        blocks.extend(rest(&seen.errors));
    }
    if seen.refused.count() > 0 {
        blocks.push(refused(seen));
        blocks.extend(rest(&seen.refused));
    }
    blocks.extend(incomplete(seen).into_iter().map(|text| Block::Line(Tone::Bad, text)));
    blocks
}

fn errors(seen: &Seen) -> Block<'_> {
    let several_hosts = seen.several_hosts();
    let kept = seen.errors.kept();
    Block::Table(Table {
        columns: &[Column::Mark("error"), Column::Word("code"), Column::Path("subject")],
        below: Some("what happened"),
        rows: kept.len(),
        row: Box::new(move |i| error(&kept[i], several_hosts)),
    })
}

fn error(trouble: &Trouble, several_hosts: bool) -> Row<'_> {
    let cells = vec![
        Cow::Owned(format!("✗ {}", trouble.tool)),
        Cow::Borrowed(trouble.fault.code.as_str()),
        Cow::Owned(subject(trouble.place.as_ref(), several_hosts)),
    ];
    let text = match trouble.fault.line {
        Some(line) => Cow::Owned(format!("line {line}: {}", trouble.fault.text)),
        None => Cow::Borrowed(trouble.fault.text.as_str()),
    };
    Row { tone: Tone::Bad, cells, below: vec![text], command: None }
}

fn refused(seen: &Seen) -> Block<'_> {
    let kept = seen.refused.kept();
    let row = |i: usize| Row {
        tone: Tone::Bad,
        cells: vec![Cow::Borrowed("✗ not a record")],
        below: vec![Cow::Borrowed(kept[i].as_str())],
        command: None,
    };
    Block::Table(Table { columns: &[Column::Mark("error")], below: Some("what happened"), rows: kept.len(), row: Box::new(row) })
}

fn rest<'a, T>(few: &Few<T>) -> Option<Block<'a>> {
    let more = few.count() - few.kept().len() as u64;
    (more > 0).then(|| Block::Line(Tone::Faint, format!("and {more} more of these")))
}

/// Why absence from this stream proves nothing.
fn incomplete(seen: &Seen) -> Vec<String> {
    if seen.runs.is_empty() {
        return vec!["! Incomplete: no record came in, not even the end that every tool writes.".to_owned()];
    }
    let of = |end: Option<bool>| {
        let mut tools: Vec<&str> = seen.runs.iter().filter(|(_, said)| **said == end).map(|(run, _)| &*run.tool).collect();
        tools.sort_unstable();
        tools.dedup();
        (!tools.is_empty()).then(|| tools.join(", "))
    };
    let cut = of(None).map(|tools| format!("! Incomplete: the end of {tools} did not come. What is not listed may be ill all the same."));
    let blind = of(Some(false))
        .map(|tools| format!("! Incomplete: {tools} could not see or do everything. What is not listed may be ill all the same."));
    cut.into_iter().chain(blind).collect()
}

/// The types that nothing here draws, in a line.
pub(crate) fn others(seen: &Seen) -> Option<Block<'_>> {
    const NAMED: usize = 8;
    let mut parts: Vec<String> = seen.others.iter().take(NAMED).map(|(kind, n)| format!("{n} {kind}")).collect();
    if seen.others.len() > NAMED {
        parts.push(counted((seen.others.len() - NAMED) as u64, "more type"));
    }
    (!parts.is_empty()).then(|| Block::Line(Tone::Plain, format!("Also read, and not drawn: {}", parts.join(", "))))
}
