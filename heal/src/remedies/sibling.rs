//! Remedies that a sibling has: its binary is run, and its records are passed on.

use std::ffi::OsString;
use std::time::Duration;

use contract::action::{Action, KIND, Outcome};
use contract::output::Output;
use contract::path::Subject;
use contract::record::About;
use contract::sibling;

use crate::arguments::Name;
use crate::asked::Asked;

/// A rebuild of a large environment takes minutes.
const PATIENCE: Duration = Duration::from_hours(1);

/// What a sibling made of it.
#[derive(Default)]
pub(crate) struct Passed {
    pub(crate) changed: bool,
    pub(crate) failed: bool,
}

/// The command of a remedy that a sibling has.
pub(crate) fn command(name: Name) -> Option<(&'static str, &'static [&'static str])> {
    match name {
        Name::VenvRebuild => Some(("venv-rebuild", &[])),
        Name::RegistryRepair => Some(("tmux-registry", &["repair"])),
        _ => None,
    }
}

/// Runs a sibling on what a diagnosis names, and passes on what it did.
///
/// # Errors
/// It cannot be run, or nothing can be written.
pub(crate) fn pass(
    out: &mut Output,
    (tool, verb): (&str, &[&str]),
    asked: &Asked,
    state: &std::path::Path,
    force: bool,
) -> anyhow::Result<Passed> {
    let mut words: Vec<OsString> = verb.iter().map(OsString::from).collect();
    words.extend(["--state-dir".into(), state.into()]);
    words.extend(force.then(|| "--force".into()));
    words.extend(asked.paths.iter().map(|path| path.as_path().as_os_str().to_owned()));
    let answer = sibling::ask(tool, &words, PATIENCE)?;
    let mut passed = Passed { failed: !answer.whole, ..Passed::default() };
    for record in &answer.records {
        let about = About { subject: record.subject.as_ref(), cause: &asked.cause };
        if record.is("error") {
            out.emit("error", about, &record.data)?;
        }
        if !record.is(KIND) {
            continue;
        }
        let action: Action = record.read()?;
        passed.changed |= action.changed;
        passed.failed |= matches!(action.outcome, Outcome::Failed | Outcome::Undone);
        let subject = record.subject.clone().unwrap_or_else(|| Subject::from(tool));
        out.emit(KIND, About { subject: Some(&subject), cause: &asked.cause }, &action)?;
    }
    Ok(passed)
}
