//! The first thing of a run that may change something: what a crash interrupted ends in the old state or the new one.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use contract::action::{Action, Outcome};
use contract::lock::Held;
use contract::path::{Subject, shown};
use contract::record::Status;

use crate::edit::clear_temporaries;
use crate::journal::{self, Journal, Step, Tree};
use crate::session::{Force, Matter, Session, Standing};
use crate::{backup, in_use, patch, patient, swap};

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

/// How a change ended that a crash had interrupted.
enum Side {
    /// The old state is in place; with what was kept of the new one, where that had been in use.
    Old(Option<PathBuf>),
    /// The new state is in place; with the backup of the old one, where there is one.
    New(Option<PathBuf>),
    /// It is another environment by now, and left alone.
    Another,
    /// The old state, but for these files: somebody has changed them since.
    Changed(Vec<PathBuf>),
    /// A backup is gone.
    Removed,
    /// A backup is still there.
    Kept,
}

/// Brings the disk to one side of the change.
fn end(state: &Path, journal: &Journal) -> anyhow::Result<Side> {
    let venv = journal.venv.as_path();
    match &journal.step {
        Step::Patching => patched(state, journal),
        Step::Building { aside } => {
            nobody_writes(aside.as_path())?;
            swap::remove(aside.as_path()).map(|()| Side::Old(None))
        }
        Step::Swapping { aside, old, new } => {
            nobody_writes(aside.as_path())?;
            swapped(venv, aside.as_path(), &journal.id, *old, *new)
        }
        Step::Keeping { aside, old, .. } => {
            let left = Tree::at(aside.as_path())? == Some(*old);
            if left {
                clear_temporaries(aside.as_path())?;
            }
            Ok(Side::New(left.then(|| backup::keep(venv, aside.as_path(), &journal.id)).transpose()?))
        }
        Step::Undoing { backup, old, new } => {
            let displaced = undone(venv, backup.as_path(), &journal.id, *old, *new)?;
            Ok(displaced.map_or(Side::Old(None), |displaced| Side::New(Some(displaced))))
        }
        Step::Removing { backup, aside } => {
            swap::remove(aside.as_path())?;
            Ok(if Tree::at(backup.as_path())?.is_none() { Side::Removed } else { Side::Kept })
        }
    }
}

/// Files go back to what they were only where they still are what the change made of them; and not at all where all is well by now, be it
/// that the change was through, or that somebody made the environment anew.
fn patched(state: &Path, journal: &Journal) -> anyhow::Result<Side> {
    let Some(patch) = patch::open(state, &journal.id)? else {
        return patch::forget(state, &journal.id).map(|()| Side::Old(None));
    };
    let venv = journal.venv.as_path();
    if !patch.is_of(Tree::at(venv)?) {
        return Ok(Side::Another);
    }
    let is_well = || patient::judge(venv, false).is_ok_and(|probe| probe.status == Status::Healthy);
    if patch.is_untouched() && is_well() {
        return Ok(Side::New(None));
    }
    let changed = patch.changed(state)?;
    if !changed.is_empty() && is_well() {
        return Ok(Side::Another);
    }
    patch.restore_untouched(state)?;
    if changed.is_empty() { patch.discard(state).map(|()| Side::Old(None)) } else { Ok(Side::Changed(changed)) }
}

/// The new tree may have been in use since the crash: what was put into it is somebody's.
fn swapped(venv: &Path, aside: &Path, id: &str, old: Tree, new: Tree) -> anyhow::Result<Side> {
    let was_live = swap::put_back(venv, aside, old, new)?;
    match swap::displaced(aside, new)? {
        Some(beside) if was_live => Ok(Side::Old(Some(backup::keep(venv, &beside, id)?))),
        Some(beside) => swap::remove(&beside).map(|()| Side::Old(None)),
        None => Ok(Side::Old(None)),
    }
}

/// Sees to it that the tree that was displaced says that it is a backup, of now, and that the one in use does not. Returns where the
/// displaced one is; `None` where nothing was exchanged.
pub(crate) fn undone(venv: &Path, backup: &Path, id: &str, old: Tree, new: Tree) -> anyhow::Result<Option<PathBuf>> {
    if Tree::at(backup)?.is_none()
        && let Some(kept) = backup::backups(venv)?.into_iter().find(|kept| Tree::at(kept).is_ok_and(|tree| tree == Some(old)))
    {
        return Ok(Some(kept));
    }
    if !swap::unpark(venv, backup, old, new)? {
        return Ok(None);
    }
    clear_temporaries(backup)?;
    backup::unmark(venv)?;
    backup::keep(venv, backup, id).map(Some)
}

/// An installer can outlive the run that started it, and would write on into what is removed here.
fn nobody_writes(aside: &Path) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let look = || in_use::writers(aside).context("cannot see which processes run");
    let mut users = look()?;
    while !users.is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
        users = look()?;
    }
    let first = users.first().map_or(0, |user| user.pid);
    anyhow::ensure!(users.is_empty(), "process {first} of a run that died still works on {}; end it, or wait for it", shown(aside));
    Ok(())
}

fn described(journal: &Journal, ended: anyhow::Result<Side>) -> Action {
    let died = "a run died in the middle of this";
    let (outcome, undo, text) = match ended.with_context(|| format!("{died}, and it cannot be put right yet")) {
        Ok(Side::Old(None)) => (Outcome::Undone, None, format!("{died}; the old state is back")),
        Ok(Side::Old(Some(kept))) => {
            (Outcome::Undone, None, format!("{died}; the old state is back, and what stood there meanwhile is kept as {}", shown(&kept)))
        }
        Ok(Side::New(backup)) => (Outcome::Done, backup, "a run died at the end of this; the new state is in place".to_owned()),
        Ok(Side::Another) => {
            (Outcome::Undone, None, format!("{died}; somebody has made another environment of it by now, which is left as it is"))
        }
        Ok(Side::Changed(files)) => {
            let files = crate::refuse::list(files.iter().map(|file| shown(file)));
            (Outcome::Undone, None, format!("{died}; the old state is back, but for what somebody has changed since: {files}"))
        }
        Ok(Side::Removed) => (Outcome::Done, None, "a run died while it removed this backup; it is gone now".to_owned()),
        Ok(Side::Kept) => (Outcome::Undone, None, "a run died before it removed this backup; it is still there".to_owned()),
        Err(e) => (Outcome::Failed, None, format!("{e:#}")),
    };
    // A repair that is kept had passed its check; of what was taken back or removed, the disk was looked at just now.
    let verified = outcome == Outcome::Done;
    let undo = undo.map(|backup| Subject::from(&backup));
    Action { verb: journal.verb.clone(), outcome, changed: verified, verified, text, undo, ..Action::default() }
}
