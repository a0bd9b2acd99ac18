//! `repair-json`: edits in a text that does not parse; what is not certain only where that is allowed.

use std::fs;
use std::path::{Path, PathBuf};

use contract::redact;
use contract::secret::is_secret;
use serde_json::{Value, json};

use super::{Change, Declined, LARGEST, Plan, declined, edited, is_installed, text_in, text_of};
use crate::arguments::Mend;
use crate::asked::Asked;
use crate::bounds::Bounds;
use crate::json::{Consumer, Verdict, repair};

/// A file is opened at most so many lines before the one that reads it.
const BEFORE: usize = 6;
/// As many edits are told in a record.
const TOLD: usize = 100;

pub(super) fn plan(asked: &Asked, bounds: &Bounds, options: &Mend) -> anyhow::Result<Plan> {
    let named = match asked.path("file") {
        Some(_) => asked.clone(),
        None => match meant(asked, bounds) {
            Some(file) => asked.with("file", &file),
            None => return declined("which file it is about is told neither by the message nor by the lines that read it; name it"),
        },
    };
    let (file, before) = match text_of(&named, bounds)? {
        Ok(found) => found,
        Err(plan) => return Ok(plan),
    };
    if is_installed(&file) {
        return declined("it is part of an installed package: install that again");
    }
    let Some(consumer) = Consumer::of(&file) else { return declined("this is a format of its own, which is left alone") };
    Ok(match repair(&before, consumer, options.allow_lossy) {
        Verdict::Valid { .. } => Plan::Passes,
        Verdict::Repaired { edits, text, .. } => {
            let told: Vec<_> = edits.iter().take(TOLD).collect();
            let detail = json!({ "count": edits.len(), "edits": told });
            let words = edited(edits.iter().map(|edit| (edit.line as usize, edit.removed(&before), edit.insert)));
            Plan::Change(Change { check: Some(Box::new(named)), ..Change::of_text(file, before, text, words, detail) })
        }
        Verdict::Refused(mut refusal) => {
            refusal.excerpt = if is_secret(&file) { String::new() } else { redact::secrets(&refusal.excerpt) };
            let lossy = if refusal.would.is_empty() { "" } else { "; --allow-lossy mends it all the same" };
            let why = format!("line {}, column {}: {}{lossy}", refusal.line, refusal.column, refusal.why);
            Plan::Declined(Declined { why, detail: serde_json::to_value(&refusal).unwrap_or(Value::Null) })
        }
    })
}

/// The file that a message is about which names a line alone: the one that the lines of the program name which read it, if it is broken there.
fn meant(asked: &Asked, bounds: &Bounds) -> Option<PathBuf> {
    let line = u32::try_from(asked.line()?).ok()?;
    let mut all: Vec<PathBuf> = named_by_reader(asked, bounds).into_iter().filter(|file| breaks_at(file) == Some(line)).collect();
    all.dedup();
    all.pop().filter(|_| all.is_empty())
}

/// The line at which a file is no JSON any more.
fn breaks_at(file: &Path) -> Option<u32> {
    let text = fs::read(file).ok().filter(|text| text.len() as u64 <= LARGEST)?;
    match repair(&text, Consumer::of(file)?, true) {
        Verdict::Valid { .. } => None,
        Verdict::Repaired { edits, .. } => edits.first().map(|edit| edit.line),
        Verdict::Refused(refusal) => Some(refusal.line),
    }
}

/// The files in quotes in the line that read the text, or in the few before it, where it was opened.
fn named_by_reader(asked: &Asked, bounds: &Bounds) -> Vec<PathBuf> {
    let source = asked.path("reader").and_then(|file| text_in(&bounds.place(&file).ok()?));
    let number = asked.text("reader_line").and_then(|line| line.parse::<usize>().ok());
    let lines = source.as_deref().zip(number).map(|(source, number)| source.lines().take(number).skip(number.saturating_sub(BEFORE)));
    let quoted = lines.into_iter().flatten().flat_map(|line| line.split(['"', '\'']).skip(1).step_by(2));
    let named = quoted.map(Path::new).filter(|name| name.extension().is_some_and(|end| end == "json"));
    named.filter_map(|name| bounds.place(name).ok()).collect()
}
