//! Remedies that a sibling has: its binary is run on the very record that names it, and what it says is passed on as it is.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use contract::action::{Action, KIND, Outcome};
use contract::output::Output;
use contract::record::Record;
use contract::sibling;

use crate::arguments::Name;

/// A rebuild of a large environment takes minutes.
const PATIENCE: Duration = Duration::from_hours(1);

/// What a sibling made of it.
#[derive(Default)]
pub(crate) struct Passed {
    pub(crate) changed: bool,
    pub(crate) failed: bool,
    pub(crate) actions: Vec<(Record, Action)>,
}

/// The command of a remedy that a sibling has.
pub(crate) fn command(name: Name) -> Option<(&'static str, &'static [&'static str])> {
    match name {
        Name::VenvRebuild => Some(("venv-rebuild", &[])),
        Name::RegistryRepair => Some(("tmux-registry", &["repair"])),
        _ => None,
    }
}

/// Runs a sibling on a diagnosis, and passes on what it says.
///
/// # Errors
/// It cannot be run, or nothing can be written.
pub(crate) fn pass(out: &mut Output, (tool, verb): (&str, &[&str]), diagnosis: &str, state: &Path, force: bool) -> anyhow::Result<Passed> {
    let mut words: Vec<OsString> = verb.iter().map(OsString::from).collect();
    words.extend(["--state-dir".into(), state.into()]);
    words.extend(force.then(|| "--force".into()));
    let answer = sibling::ask_about(tool, &words, format!("{diagnosis}\n").as_bytes(), PATIENCE)?;
    let mut passed = Passed { failed: !answer.whole, ..Passed::default() };
    for line in answer.lines.iter().filter(|line| *line != diagnosis) {
        out.pass(line)?;
    }
    for record in answer.records.into_iter().filter(|record| record.is(KIND)) {
        let action: Action = record.read()?;
        passed.changed |= action.changed;
        passed.failed |= !matches!(action.outcome, Outcome::Done | Outcome::Planned | Outcome::Started);
        passed.actions.push((record, action));
    }
    Ok(passed)
}
