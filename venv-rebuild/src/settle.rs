//! The first thing of a run that may change something: what a crash interrupted ends in the old state or the new one.

use std::path::Path;

use anyhow::Context as _;
use contract::action::{Action, Outcome};
use contract::lock::Held;
use contract::path::shown;

use crate::journal::{self, Journal, Step, Tree};
use crate::session::{Force, Matter, Session, Standing, Told};
use crate::{in_use, patch, swap};

/// Ends every change whose run is dead. What cannot be ended now is said and stays on record.
///
/// # Errors
/// A journal cannot be read or removed, or a record not be rendered.
pub(crate) fn all(session: &Session<'_>, force: &Force) -> anyhow::Result<Vec<Told>> {
    let mut told = Vec::new();
    for journal in journal::all(&force.state)? {
        let _lock = match force.lock(journal.venv.as_path()) {
            Ok(lock) => lock,
            Err(e) if e.is::<Held>() => continue,
            Err(e) => return Err(e),
        };
        let Some(journal) = journal::again(&force.state, &journal)? else { continue };
        let ended = end(&force.state, &journal);
        let over = ended.is_ok();
        let action = described(&journal, ended);
        force.log.warning(&format!("{}: {}", journal.venv, action.text));
        let matter = Matter { subject: journal.venv.clone(), cause: journal.cause.clone() };
        let standing = if over { Standing::Well } else { Standing::Ill };
        told.push(session.tell_change(force, &matter, &action, standing)?);
        if over {
            journal.end(&force.state)?;
        }
    }
    Ok(told)
}

/// Brings the disk to one side of the change; returns whether that is the new one.
fn end(state: &Path, journal: &Journal) -> anyhow::Result<bool> {
    let venv = journal.venv.as_path();
    match &journal.step {
        Step::Begun => Ok(false),
        Step::Patching => match patch::open(state, &journal.id)? {
            Some(patch) => patch.restore(state).and_then(|()| patch.discard(state)).map(|()| false),
            None => Ok(false),
        },
        Step::Building { aside } => {
            nobody_writes(aside.as_path())?;
            swap::remove(aside.as_path()).map(|()| false)
        }
        Step::Swapping { aside, old, new } => {
            nobody_writes(aside.as_path())?;
            swap::put_back(venv, aside.as_path(), *old, *new).map(|_| false)
        }
        Step::Keeping { aside, old, .. } => {
            if Tree::at(aside.as_path())? == Some(*old) {
                swap::keep(venv, aside.as_path(), &journal.id)?;
            }
            Ok(true)
        }
        Step::Undoing { backup, old, new } => undone(venv, backup.as_path(), &journal.id, *old, *new),
        Step::Removing { aside } => swap::remove(aside.as_path()).map(|()| true),
    }
}

/// Sees to it that the tree that stands aside says that it is a backup, and that the one in use does not.
pub(crate) fn undone(venv: &Path, backup: &Path, id: &str, old: Tree, new: Tree) -> anyhow::Result<bool> {
    let swapped = swap::unpark(venv, backup, old, new)?;
    swap::mark(backup, venv, id)?;
    swap::unmark(venv)?;
    Ok(swapped)
}

/// An installer can outlive the run that started it, and would write on into what is removed here.
fn nobody_writes(aside: &Path) -> anyhow::Result<()> {
    let users = in_use::writers(aside);
    let first = users.first().map_or(0, |user| user.pid);
    anyhow::ensure!(users.is_empty(), "process {first} of a run that died still works on {}; end it, or wait for it", shown(aside));
    Ok(())
}

fn described(journal: &Journal, ended: anyhow::Result<bool>) -> Action {
    let (outcome, changed, text) = match ended.with_context(|| "a run died in the middle of this, and it cannot be put right yet") {
        Ok(false) => (Outcome::Undone, false, "a run died in the middle of this; the old state is back".to_owned()),
        Ok(true) => (Outcome::Done, true, "a run died at the end of this; the new state is in place".to_owned()),
        Err(e) => (Outcome::Failed, false, format!("{e:#}")),
    };
    Action { verb: journal.verb.clone(), outcome, changed, text, ..Action::default() }
}
