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

/// What `--explain` prints: every code with the first sentence of its meaning, in lines of at most `width` columns.
pub(crate) fn list(width: usize) -> String {
    const CODES: usize = 31;
    // Beside the codes a sentence needs some room.
    let beside = width >= 2 * CODES;
    let line = |entry: &Entry| {
        let first = entry.means.split_inclusive(". ").next().map_or(entry.means, str::trim_end);
        let text = wrapped(first, if beside { CODES } else { 4 }, width);
        if beside { format!("{:CODES$}{}", entry.code, text.trim_start()) } else { format!("{}\n{text}", entry.code) }
    };
    all().map(line).collect()
}

/// What `--explain CODE` prints; `None` where there is no such code.
pub(crate) fn explain(code: &str, width: usize) -> Option<String> {
    let entry = all().find(|entry| entry.code == code)?;
    let severity = match entry.severity {
        Some(Status::Broken) => "broken",
        Some(Status::Degraded) => "degraded",
        Some(Status::Unknown) => "unknown",
        Some(Status::Healthy) | None => "a note, no fault",
    };
    let Entry { code, means, arises, mends, .. } = entry;
    let paragraphs = [(*means).to_owned(), format!("How it arises: {arises}"), format!("What mends it: {mends}")];
    Some(paragraphs.iter().fold(format!("{code} ({severity})\n"), |page, text| format!("{page}\n{}", wrapped(text, 0, width.min(80)))))
}

/// A paragraph in indented lines of at most `width` columns.
fn wrapped(text: &str, indent: usize, width: usize) -> String {
    let (mut lines, mut used) = (String::new(), 0);
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length <= width {
            lines.push(' ');
            used += 1;
        } else {
            lines.push_str(if used > 0 { "\n" } else { "" });
            lines.push_str(&" ".repeat(indent));
            used = indent;
        }
        lines.push_str(word);
        used += length;
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
        assert!(explain("no-such-code", 80).is_none());
        let page = explain("interpreter-missing", 120).unwrap();
        assert!(page.contains("How it arises") && page.lines().all(|line| line.len() <= 80), "{page}");
    }

    #[test]
    fn the_list_fits_the_terminal_and_a_pipe_gets_a_line_for_each() {
        for width in [40, 60, 80, 120] {
            let list = list(width);
            assert!(list.lines().all(|line| line.chars().count() <= width), "{list}");
        }
        assert_eq!(list(usize::MAX).lines().count(), all().count());
        assert!(list(60).contains("\npip-missing\n    "), "{}", list(60));
    }
}
