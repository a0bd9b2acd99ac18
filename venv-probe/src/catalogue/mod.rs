//! Every fault and note that the probe knows: its stable code, how bad it is, the least that mends it, and the text of `--explain`.

pub(crate) mod identity;
pub(crate) mod interpreter;
pub(crate) mod packages;
pub(crate) mod startup;

use contract::record::Status;
use contract::venv::Repair;

/// One kind of finding. The code is a promise: records are grouped, filtered and repaired by it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) code: &'static str,
    /// Absent for a note.
    pub(crate) severity: Option<Status>,
    /// The least rung that mends it; absent where only a person can.
    pub(crate) repair: Option<Repair>,
    pub(crate) means: &'static str,
    pub(crate) arises: &'static str,
    pub(crate) mends: &'static str,
}

const BROKEN: Option<Status> = Some(Status::Broken);
const DEGRADED: Option<Status> = Some(Status::Degraded);
const UNKNOWN: Option<Status> = Some(Status::Unknown);

/// All entries, in the order of the documentation.
pub(crate) fn all() -> impl Iterator<Item = &'static Entry> {
    [interpreter::ALL, identity::ALL, startup::ALL, packages::ALL].into_iter().flatten().copied()
}

/// What `--explain` prints: every code with the first sentence of its meaning.
pub(crate) fn list() -> String {
    let first = |entry: &Entry| entry.means.split_inclusive(". ").next().map(str::trim_end);
    all().fold(String::new(), |list, entry| format!("{list}{:30} {}\n", entry.code, first(entry).unwrap_or(entry.means)))
}

/// What `--explain CODE` prints; `None` where there is no such code.
pub(crate) fn explain(code: &str) -> Option<String> {
    let entry = all().find(|entry| entry.code == code)?;
    let severity = match entry.severity {
        Some(Status::Broken) => "broken",
        Some(Status::Degraded) => "degraded",
        Some(Status::Unknown) => "unknown",
        Some(Status::Healthy) | None => "a note, no fault",
    };
    let Entry { code, means, arises, mends, .. } = entry;
    let paragraphs = [(*means).to_owned(), format!("How it arises: {arises}"), format!("What mends it: {mends}")];
    Some(paragraphs.iter().fold(format!("{code} ({severity})\n"), |page, text| format!("{page}\n{}", wrapped(text))))
}

/// A paragraph in lines that fit any terminal.
fn wrapped(text: &str) -> String {
    let (mut lines, mut width) = (String::new(), 0);
    for word in text.split(' ') {
        let length = word.chars().count();
        if width > 0 {
            lines.push(if width + length < 80 { ' ' } else { '\n' });
            width = if width + length < 80 { width + 1 } else { 0 };
        }
        lines.push_str(word);
        width += length;
    }
    lines + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_and_every_repair_is_explained() {
        let mut seen = HashSet::new();
        for entry in all() {
            assert!(seen.insert(entry.code), "{} twice", entry.code);
            assert!(entry.code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{}", entry.code);
            for text in [entry.means, entry.arises, entry.mends] {
                assert!(text.ends_with('.'), "{}: {text}", entry.code);
            }
        }
    }

    #[test]
    fn an_unknown_code_has_no_explanation() {
        assert!(explain("no-such-code").is_none());
        let page = explain("interpreter-missing").unwrap();
        assert!(page.contains("How it arises") && page.lines().all(|line| line.len() <= 80), "{page}");
    }
}
