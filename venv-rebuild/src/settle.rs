//! The first thing of a run that may change something: what a crash interrupted ends in the old state or the new one.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use contract::action::{Action, Outcome};
use contract::lock::Held;
use contract::path::{Subject, shown};

use crate::edit::clear_temporaries;
use crate::journal::{self, Journal, Step, Tree};
use crate::session::{Force, Matter, Session, Standing};
use crate::{backup, in_use, patch, swap};

/// How long an installer that outlived its run may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ends every change whose run is dead, and says so; returns whether all could be ended. What could not stays on record.
///
/// # Errors
/// A journal cannot be read or removed, or a record not be written.
pub(crate) fn all(session: &Session<'_>) -> anyhow::Result<bool> {
    let Some(force) = &session.force else { return Ok(true) };
    let mut over = true;
    for journal in journal::all(&force.state)? {
        let _lock = match force.lock(journal.venv.as_path()) {
            Ok(lock) => lock,
            Err(e) if e.is::<Held>() => continue,
            Err(e) => return Err(e),
        };
        if let Some(journal) = journal::again(&force.state, &journal)? {
            over &= one(session, force, &journal)?;
        }
    }
    Ok(over)
}

fn one(session: &Session<'_>, force: &Force, journal: &Journal) -> anyhow::Result<bool> {
    let ended = end(&force.state, journal);
    let over = ended.is_ok();
    let action = described(journal, ended);
    force.log.warning(&format!("{}: {}", journal.venv, action.text));
    let matter = Matter { subject: journal.venv.clone(), cause: journal.cause.clone() };
    let told = session.tell_change(force, &matter, &action, Standing::Well)?;
    if over {
        journal.end(&force.state)?;
    }
    session.with_output(|out| out.write(&told.line))?;
    Ok(over)
}

/// The side of a change that the disk is on.
enum Side {
    Old,
    /// With the backup of the old one, where there is one.
    New(Option<PathBuf>),
}

/// Brings the disk to one side of the change.
fn end(state: &Path, journal: &Journal) -> anyhow::Result<Side> {
    let venv = journal.venv.as_path();
    match &journal.step {
        Step::Patching => match patch::open(state, &journal.id)? {
            Some(patch) => patch.restore(state).and_then(|()| patch.discard(state)).map(|()| Side::Old),
            None => patch::forget(state, &journal.id).map(|()| Side::Old),
        },
        Step::Building { aside } => {
            nobody_writes(aside.as_path())?;
            swap::remove(aside.as_path()).map(|()| Side::Old)
        }
        Step::Swapping { aside, old, new } => {
            nobody_writes(aside.as_path())?;
            swap::put_back(venv, aside.as_path(), *old, *new).map(|_| Side::Old)
        }
        Step::Keeping { aside, old, .. } => {
            let left = Tree::at(aside.as_path())? == Some(*old);
            if left {
                clear_temporaries(aside.as_path())?;
            }
            Ok(Side::New(left.then(|| backup::keep(venv, aside.as_path(), &journal.id)).transpose()?))
        }
        Step::Undoing { backup, old, new } => {
            let swapped = undone(venv, backup.as_path(), &journal.id, *old, *new)?;
            clear_temporaries(backup.as_path())?;
            Ok(if swapped { Side::New(Some(backup.as_path().to_owned())) } else { Side::Old })
        }
        Step::Removing { backup, aside } => {
            swap::remove(aside.as_path())?;
            Ok(if Tree::at(backup.as_path())?.is_none() { Side::New(None) } else { Side::Old })
        }
    }
}

/// Sees to it that the tree that stands aside says that it is a backup, and that the one in use does not.
pub(crate) fn undone(venv: &Path, backup: &Path, id: &str, old: Tree, new: Tree) -> anyhow::Result<bool> {
    let swapped = swap::unpark(venv, backup, old, new)?;
    backup::mark(backup, venv, id)?;
    backup::unmark(venv)?;
    Ok(swapped)
}

/// An installer can outlive the run that started it, and would write on into what is removed here.
fn nobody_writes(aside: &Path) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut users = in_use::writers(aside);
    while !users.is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
        users = in_use::writers(aside);
    }
    let first = users.first().map_or(0, |user| user.pid);
    anyhow::ensure!(users.is_empty(), "process {first} of a run that died still works on {}; end it, or wait for it", shown(aside));
    Ok(())
}

fn described(journal: &Journal, ended: anyhow::Result<Side>) -> Action {
    let (outcome, undo, text) = match ended.with_context(|| "a run died in the middle of this, and it cannot be put right yet") {
        Ok(Side::Old) => (Outcome::Undone, None, "a run died in the middle of this; the old state is back".to_owned()),
        Ok(Side::New(backup)) => (Outcome::Done, backup, "a run died at the end of this; the new state is in place".to_owned()),
        Err(e) => (Outcome::Failed, None, format!("{e:#}")),
    };
    // A repair that is kept had passed its check; of what was taken back or removed, the disk was looked at just now.
    let verified = outcome == Outcome::Done;
    let undo = undo.map(|backup| Subject::from(&backup));
    Action { verb: journal.verb.clone(), outcome, changed: verified, verified, text, undo, ..Action::default() }
}
