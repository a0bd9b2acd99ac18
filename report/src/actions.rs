//! `action` records: what was done or would be, how it went, and how to take it back.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use contract::action::{Action, Outcome};
use contract::path::Subject;
use contract::shell::quoted;

use crate::clip;
use crate::document::{Block, Column, Row, Table, Tone, counted, text_of};
use crate::environments::common_root;
use crate::seen::{Place, Seen, Step};
use crate::snapshots;

pub(crate) fn draw(seen: &Seen) -> Vec<Block<'_>> {
    let steps: Vec<&Step> = seen.actions.iter().filter(|step| step.due().is_none()).collect();
    if steps.is_empty() {
        return Vec::new();
    }
    let several_hosts = seen.several_hosts();
    let subjects = steps.iter().filter_map(|step| step.place.as_ref()).map(|place| place.subject.as_path());
    let root = if several_hosts { None } else { common_root(subjects) };
    let under = root.as_ref().map_or_else(String::new, |root| format!(" under {}", root.to_string_lossy()));
    let counts = counts(steps.iter().copied(), "action");
    let mut logs: Vec<&Subject> = steps.iter().filter_map(|step| step.action.log.as_ref()).collect();
    logs.dedup();
    let one_log = logs.len() == 1;
    let table = Table {
        columns: &[Column::Mark("outcome"), Column::Word("action"), Column::Path("subject")],
        below: Some("details"),
        rows: steps.len(),
        row: Box::new(move |i| {
            let step = steps[i];
            Row { command: undo(seen, step), ..row(step, root.as_deref(), several_hosts, one_log) }
        }),
    };
    let mut blocks = vec![Block::Heading(format!("Actions{under}")), Block::Table(table), Block::Line(Tone::Strong, counts)];
    if let [log] = logs[..] {
        blocks.push(Block::Line(Tone::Faint, format!("Log: {}", text_of(log))));
    }
    blocks
}

/// A row; what lies under `root` is named from there, and a log that all share is named once, below the table.
fn row<'a>(step: &'a Step, root: Option<&Path>, several_hosts: bool, one_log: bool) -> Row<'a> {
    let action = &step.action;
    let (tone, mark) = outcome(action);
    let mut below = Vec::new();
    if !action.text.is_empty() {
        below.push(shortened(&action.text, root));
    }
    if let Some(log) = action.log.as_ref().filter(|_| !one_log) {
        below.push(Cow::Owned(format!("log: {}", text_of(log))));
    }
    let place = subject(step.place.as_ref(), several_hosts);
    let place = shortened(&place, root).into_owned();
    let cells = vec![Cow::Borrowed(mark), Cow::Borrowed(action.verb.as_str()), Cow::Owned(place)];
    Row { tone, cells, below, command: None }
}

fn shortened<'a>(text: &'a str, root: Option<&Path>) -> Cow<'a, str> {
    let root = root.map(|root| format!("{}/", root.to_string_lossy()));
    match root.filter(|root| text.contains(root.as_str())) {
        Some(root) => Cow::Owned(text.replace(&root, "")),
        None => Cow::Borrowed(text),
    }
}

/// How to take a change back, where we know the words of the tool that made it.
fn undo(seen: &Seen, step: &Step) -> Option<String> {
    if step.action.changed && &*step.tool == snapshots::TOOL {
        return snapshots::undo(seen, step);
    }
    let (undo, path) = (step.action.undo.as_ref()?.as_path(), step.place.as_ref()?.for_command()?);
    let name = undo.file_name().filter(|name| clip::is_whole(undo) && is_no_option(name.as_bytes()))?;
    if step.action.changed && &*step.tool == "heal" && step.action.verb != "undo" {
        let is_id = step.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)) && is_no_option(step.id.as_bytes());
        return (is_id && step.action.undo.is_some()).then(|| format!("heal undo --force {}", step.id));
    }
    let known = step.action.changed && &*step.tool == "venv-rebuild";
    known.then(|| format!("venv-rebuild undo --force --to {} -- {}", quoted(Path::new(name)), quoted(path)))
}

/// Whether a name can be the value of an option and nothing else.
fn is_no_option(name: &[u8]) -> bool {
    !name.starts_with(b"-") && !name.contains(&0)
}

/// What a record is about, with its host where there are several.
pub(crate) fn subject(place: Option<&Place>, several_hosts: bool) -> String {
    let named = |subject: &Subject, host: &str| if several_hosts { format!("{host}:{}", text_of(subject)) } else { text_of(subject) };
    place.map_or_else(String::new, |place| named(&place.subject, &place.host))
}

/// The symbol and the words for an outcome. What was not seen to help is never drawn as mended.
pub(crate) fn outcome(action: &Action) -> (Tone, &'static str) {
    match action.outcome {
        Outcome::Planned => (Tone::Plain, "· planned"),
        Outcome::Started => (Tone::Warn, "? unfinished"),
        Outcome::Done if action.verified => (Tone::Good, "✓ done"),
        Outcome::Done => (Tone::Plain, "· done, not verified"),
        Outcome::Failed if action.partial => (Tone::Bad, "✗ failed in part"),
        Outcome::Failed => (Tone::Bad, "✗ failed"),
        Outcome::Skipped => (Tone::Warn, "- skipped"),
        Outcome::Undone => (Tone::Warn, "↩ undone"),
        Outcome::Cancelled => (Tone::Warn, "! cancelled"),
        Outcome::Other => (Tone::Plain, "? other"),
    }
}

/// How many of these there are, and how many ended how.
pub(crate) fn counts<'a>(steps: impl Iterator<Item = &'a Step>, one: &str) -> String {
    let mut all = 0;
    let mut by_word: BTreeMap<&str, u64> = BTreeMap::new();
    for step in steps {
        let (_, mark) = outcome(&step.action);
        all += 1;
        *by_word.entry(mark.split_once(' ').map_or(mark, |(_, words)| words)).or_default() += 1;
    }
    let parts: Vec<String> = by_word.iter().map(|(word, n)| format!("{n} {word}")).collect();
    format!("{}: {}", counted(all, one), parts.join("; "))
}
