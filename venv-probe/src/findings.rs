//! What one environment's judgement gathers on its way.

use contract::path::Subject;
use contract::record::Status;
use contract::venv::{Finding, Package};

use crate::catalogue::Entry;

/// The longest text of a finding, in bytes: it quotes what a file says, and that may be anything.
const LONGEST: usize = 1000;

/// The longest path that a system takes, so that nothing is at a longer one.
const PATH_MAX: usize = 4096;

/// Faults and notes, in the order in which they were met.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) faults: Vec<Finding>,
    pub(crate) notes: Vec<Finding>,
}

impl Findings {
    /// Adds one; an entry without a severity is a note. Saying the same twice (as Python's site module does) says it once.
    pub(crate) fn add(&mut self, entry: &Entry, text: impl Into<String>, evidence: Option<Subject>) -> &mut Finding {
        let finding = Finding {
            code: entry.code.to_owned(),
            severity: entry.severity,
            text: short(text.into()),
            evidence: evidence.filter(|evidence| evidence.as_path().as_os_str().len() <= PATH_MAX),
            package: None,
            repair: entry.repair,
        };
        let list = if entry.severity.is_some() { &mut self.faults } else { &mut self.notes };
        let at = list.iter().position(|known| *known == finding).unwrap_or(list.len());
        if at == list.len() {
            list.push(finding);
        }
        &mut list[at]
    }

    /// Adds one that concerns a distribution.
    pub(crate) fn add_package(&mut self, entry: &Entry, package: Package, text: impl Into<String>, evidence: Option<Subject>) {
        self.add(entry, text, evidence).package = Some(package);
    }

    /// The worst of the faults.
    pub(crate) fn status(&self) -> Status {
        self.faults.iter().filter_map(|fault| fault.severity).max_by_key(|status| status.badness()).unwrap_or(Status::Healthy)
    }

    /// Whether a fault with this entry's code was found.
    pub(crate) fn has(&self, entry: &Entry) -> bool {
        self.faults.iter().any(|fault| fault.code == entry.code)
    }

    /// Puts the worst first; equals keep the order in which they were found.
    pub(crate) fn sort(&mut self) {
        self.faults.sort_by_key(|fault| std::cmp::Reverse(fault.severity.map(Status::badness)));
    }
}

fn short(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::packages::UNREADABLE;

    #[test]
    fn what_a_file_says_does_not_make_a_finding_long() {
        let mut found = Findings::default();
        let long = "é".repeat(100_000);
        let finding = found.add(&UNREADABLE, &long, Some(Subject::from(&long)));
        assert_eq!((finding.text.chars().count(), &finding.evidence), (501, &None));
    }
}
