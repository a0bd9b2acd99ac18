//! `venv.probe` records: the worst first, the healthy ones as a count where there are many, and the counts.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use contract::record::Status;

use crate::actions::subject;
use crate::document::{Block, Column, Row, Table, Tone, counted, text_of};
use crate::seen::{Place, Seen, Verdict};

/// More healthy environments than these are not listed unless asked for.
const HEALTHY_LISTED: usize = 10;

pub(crate) fn draw(seen: &Seen, all: bool) -> Vec<Block<'_>> {
    if seen.environments.is_empty() {
        return Vec::new();
    }
    let mut rows: Vec<(&Place, &Verdict)> = seen.environments.iter().collect();
    rows.sort_unstable_by_key(|(place, verdict)| (std::cmp::Reverse(verdict.status.badness()), *place));
    let healthy = rows.iter().filter(|(_, verdict)| verdict.status == Status::Healthy).count();
    let folded = healthy > HEALTHY_LISTED && !all;
    let counts = counts(&rows);
    let root = if seen.several_hosts() { None } else { common_root(rows.iter().map(|(place, _)| place.subject.as_path())) };
    if folded {
        rows.truncate(rows.len() - healthy);
    }
    let mut blocks = vec![Block::Heading(heading(seen, root.as_deref())), table(seen, rows, root)];
    if folded {
        blocks.push(Block::Line(Tone::Good, format!("✓ {healthy} healthy, not listed; report --all lists them")));
    }
    if seen.aliases > 0 {
        blocks.push(Block::Line(Tone::Faint, format!("{} of these (links, .venv files), not listed", counted(seen.aliases, "other name"))));
    }
    blocks.push(Block::Line(Tone::Strong, counts));
    blocks
}

fn heading(seen: &Seen, root: Option<&Path>) -> String {
    let before = if seen.actions.iter().any(|step| step.action.changed) { ", before the repair" } else { "" };
    let under = root.map_or_else(String::new, |root| format!(" under {}", root.to_string_lossy()));
    format!("Python environments{under}{before}")
}

fn table<'a>(seen: &Seen, rows: Vec<(&'a Place, &'a Verdict)>, root: Option<PathBuf>) -> Block<'a> {
    let several_hosts = seen.several_hosts();
    Block::Table(Table {
        columns: &[
            Column::Mark("status"),
            Column::Path("environment"),
            Column::Word("python"),
            Column::Text("what is wrong"),
            Column::Word("besides"),
        ],
        below: None,
        rows: rows.len(),
        row: Box::new(move |i| {
            let (place, verdict) = rows[i];
            let (tone, status) = status(verdict.status);
            let more = verdict.faults.saturating_sub(1);
            let cells = vec![
                Cow::Borrowed(status),
                Cow::Owned(named(place, root.as_deref(), several_hosts)),
                Cow::Borrowed(&*verdict.python),
                within(&verdict.worst, place),
                if more == 0 { Cow::Borrowed("") } else { Cow::Owned(format!("+{more} more")) },
            ];
            Row { tone, cells, below: Vec::new(), command: None }
        }),
    })
}

/// The symbol and the word for a status.
pub(crate) fn status(status: Status) -> (Tone, &'static str) {
    match status {
        Status::Healthy => (Tone::Good, "✓ healthy"),
        Status::Degraded => (Tone::Warn, "! degraded"),
        Status::Broken => (Tone::Bad, "✗ broken"),
        Status::Unknown => (Tone::Plain, "? unknown"),
    }
}

fn named(place: &Place, root: Option<&Path>, several_hosts: bool) -> String {
    let below = root.and_then(|root| place.subject.as_path().strip_prefix(root).ok());
    below.map_or_else(|| subject(Some(place), several_hosts), |below| below.to_string_lossy().into_owned())
}

/// The fault without the path that the row already names.
fn within<'a>(text: &'a str, place: &Place) -> Cow<'a, str> {
    let root = format!("{}/", text_of(&place.subject));
    if text.contains(&root) { Cow::Owned(text.replace(&root, "")) } else { Cow::Borrowed(text) }
}

fn counts(rows: &[(&Place, &Verdict)]) -> String {
    let each = [(Status::Healthy, "healthy"), (Status::Degraded, "degraded"), (Status::Broken, "broken"), (Status::Unknown, "unknown")];
    let parts: Vec<String> = each
        .iter()
        .map(|(status, word)| (rows.iter().filter(|(_, verdict)| verdict.status == *status).count(), word))
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{n} {word}"))
        .collect();
    format!("{}: {}", counted(rows.len() as u64, "environment"), parts.join(", "))
}

/// The deepest folder that holds them all; `None` where that says nothing: a single path, or `/`.
pub(crate) fn common_root<'a>(mut paths: impl Iterator<Item = &'a Path>) -> Option<PathBuf> {
    let first = paths.next()?;
    let mut root = first.parent()?;
    let mut several = false;
    for path in paths {
        several = true;
        while !path.parent().is_some_and(|parent| parent.starts_with(root)) {
            root = root.parent()?;
        }
    }
    (several && root.components().count() > 1).then(|| root.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(paths: &[&str]) -> Option<String> {
        common_root(paths.iter().map(Path::new)).map(|root| root.to_string_lossy().into_owned())
    }

    #[test]
    fn a_fault_does_not_repeat_the_path_of_its_row() {
        let place = Place { host: "m1".into(), subject: "/srv/a/.venv".into() };
        assert_eq!(within("/srv/a/.venv/bin/python may not be executed", &place), "bin/python may not be executed");
        assert_eq!(within("/srv/a/.venv2/bin/python is gone", &place), "/srv/a/.venv2/bin/python is gone");
    }

    #[test]
    fn the_common_root_is_a_folder_of_them_all() {
        assert_eq!(root(&["/srv/a/.venv", "/srv/ab/.venv"]).as_deref(), Some("/srv"));
        assert_eq!(root(&["/srv/a", "/srv/a/.venv"]).as_deref(), Some("/srv"));
        assert_eq!(root(&["/srv/a/.venv", "/home/b/.venv"]), None);
        assert_eq!(root(&["/srv/a/.venv"]), None);
        assert_eq!(root(&["odd", "/srv/a"]), None);
        assert_eq!(root(&[]), None);
    }
}
