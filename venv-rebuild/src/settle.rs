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

/// Ends every change whose run is dead, and says so; returns whether all could be ended. What could not stays on record. What is left of a
/// backup harms no environment, and counts where backups are to be removed (`pruning`).
///
/// # Errors
/// A journal cannot be read or removed, or a record not be written.
pub(crate) fn all(session: &Session<'_>, pruning: bool) -> anyhow::Result<bool> {
    let Some(force) = &session.force else { return Ok(true) };
    let mut over = true;
    for journal in journal::all(&force.state)? {
        let _lock = match force.lock(journal.venv.as_path()) {
            Ok(lock) => lock,
            Err(e) if e.is::<Held>() => continue,
            Err(e) => return Err(e),
        };
        if let Some(journal) = journal::again(&force.state, &journal)? {
            let ended = one(session, force, &journal)?;
            over &= ended || !pruning && matches!(journal.step, Step::Removing { .. });
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
    /// The new state is in place; with the way back, where there is one.
    New(Option<PathBuf>),
    /// What stands there by now is another, and is left alone; with what was kept of the old state.
    Another(Option<PathBuf>),
    /// Somebody has changed it since, it is well, and it is left alone; with the folder that holds the originals.
    Well(PathBuf),
    /// Not even the folder that it was in is there any more.
    Gone,
    /// The old state, but for these files, which somebody has changed since; with the folder that holds the originals.
    Changed(Vec<PathBuf>, PathBuf),
    /// A backup is gone.
    Removed,
    /// A backup is still there.
    Kept,
}

/// Brings the disk to one side of the change.
fn end(state: &Path, journal: &Journal) -> anyhow::Result<Side> {
    let venv = journal.venv.as_path();
    if Tree::at(swap::parent(venv))?.is_none() {
        return Ok(Side::Gone);
    }
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
        Step::Undoing { backup, old, new } => exchanged(venv, backup.as_path(), &journal.id, *old, *new),
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
        return Ok(Side::Another(Some(patch.originals(state))));
    }
    let is_well = || patient::judge(venv, false).is_ok_and(|probe| probe.status == Status::Healthy);
    if patch.is_untouched() && is_well() {
        return Ok(Side::New(Some(PathBuf::from(&journal.id))));
    }
    if !patch.changed(state)?.is_empty() && is_well() {
        return Ok(Side::Well(patch.originals(state)));
    }
    let changed = patch.restore(state)?;
    if changed.is_empty() { patch.discard(state).map(|()| Side::Old(None)) } else { Ok(Side::Changed(changed, patch.originals(state))) }
}

/// The new tree may have been in use since the crash: what was put into it is somebody's.
fn swapped(venv: &Path, aside: &Path, id: &str, old: Tree, new: Tree) -> anyhow::Result<Side> {
    let (here, old_beside) = (Tree::at(venv)?, swap::displaced(aside, old)?);
    let is_new = here.is_some_and(|here| here.is_still(new));
    if here == Some(old) || old_beside.is_some() && (is_new || here.is_none()) {
        if is_new {
            // Before it is displaced: this run can die as well, and the next one must know that it was in use.
            backup::mark(venv, venv, id)?;
        }
        swap::put_back(venv, aside, old, new)?;
        return Ok(Side::Old(beside(venv, aside, id, new)?));
    }
    let kept = old_beside.map(|old| backup::keep(venv, &old, id)).transpose()?;
    let kept = beside(venv, aside, id, new)?.or(kept);
    Ok(Side::Another(kept))
}

/// Ends the new tree where it stands beside the environment: it is kept if it was in use, and nobody's if not.
fn beside(venv: &Path, aside: &Path, id: &str, new: Tree) -> anyhow::Result<Option<PathBuf>> {
    let Some(beside) = swap::displaced(aside, new)? else { return Ok(None) };
    if backup::marker(&beside)?.is_some() {
        return backup::keep(venv, &beside, id).map(Some);
    }
    swap::remove(&beside).map(|()| None)
}

/// An exchange of what was in use with a backup; either may be anywhere by now.
fn exchanged(venv: &Path, backup: &Path, id: &str, old: Tree, new: Tree) -> anyhow::Result<Side> {
    let (here, old_beside) = (Tree::at(venv)?, swap::displaced(backup, old)?);
    if here == Some(new) && old_beside.is_none() {
        backup::unmark(venv)?;
        let kept = backup::backups(venv)?.into_iter().find(|kept| Tree::at(kept).is_ok_and(|tree| tree == Some(old)));
        return Ok(Side::New(kept));
    }
    let is_parked = old_beside.as_deref().is_some_and(|old| old != backup);
    if here.map_or(is_parked, |here| here == old || here == new) {
        let displaced = undone(venv, backup, id, old, new)?;
        return Ok(displaced.map_or(Side::Old(None), |displaced| Side::New(Some(displaced))));
    }
    let kept = old_beside.map(|old| backup::keep(venv, &old, id)).transpose()?;
    Ok(Side::Another(kept))
}

/// Sees to it that the tree that was displaced says that it is a backup, of now, and that the one in use does not. Returns where the
/// displaced one is; `None` where nothing was exchanged.
pub(crate) fn undone(venv: &Path, backup: &Path, id: &str, old: Tree, new: Tree) -> anyhow::Result<Option<PathBuf>> {
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
    anyhow::ensure!(users.is_empty(), "process {first} of that run still works on {}; end it, or wait for it", shown(aside));
    Ok(())
}

fn described(journal: &Journal, ended: anyhow::Result<Side>) -> Action {
    let died = "a run broke off in the middle of this";
    let (outcome, undo, text) = match ended.with_context(|| format!("{died}, and it cannot be put right yet")) {
        Ok(Side::Old(None)) => (Outcome::Undone, None, format!("{died}; the old state is back")),
        Ok(Side::Old(Some(kept))) => {
            (Outcome::Undone, None, format!("{died}; the old state is back, and what stood there meanwhile is kept as {}", shown(&kept)))
        }
        Ok(Side::New(backup)) => (Outcome::Done, backup, "a run broke off at the end of this; the new state is in place".to_owned()),
        Ok(Side::Another(kept)) => {
            let there = journal.venv.as_path().symlink_metadata().is_ok();
            let now = if there {
                "what stands there by now is another environment, and is left as it is"
            } else {
                "nothing stands there any more"
            };
            let kept = kept.map_or_else(String::new, |kept| format!("; what was there before is kept in {}", shown(&kept)));
            (Outcome::Undone, None, format!("{died}; {now}{kept}"))
        }
        Ok(Side::Well(originals)) => {
            let text = format!(
                "somebody has changed it since, and it is well, so it is left as it is; the originals are kept in {}",
                shown(&originals)
            );
            (Outcome::Undone, None, format!("{died}; {text}"))
        }
        Ok(Side::Gone) => (Outcome::Undone, None, format!("{died}, and the folder that it was in is gone")),
        Ok(Side::Changed(files, originals)) => {
            let files = crate::refuse::list(files.iter().map(|file| shown(file)));
            let text = format!(
                "the old state is back, but for what somebody has changed since: {files}; the originals are kept in {}",
                shown(&originals)
            );
            (Outcome::Undone, None, format!("{died}; {text}"))
        }
        Ok(Side::Removed) => (Outcome::Done, None, "a run broke off while it removed this backup; it is gone now".to_owned()),
        Ok(Side::Kept) => (Outcome::Undone, None, "a run broke off before it removed this backup; it is still there".to_owned()),
        Err(e) => (Outcome::Failed, None, format!("{e:#}")),
    };
    // A repair that is kept had passed its check; of what was taken back or removed, the disk was looked at just now.
    let verified = outcome == Outcome::Done;
    let undo = undo.map(|backup| Subject::from(&backup));
    Action { verb: journal.verb.clone(), outcome, changed: verified, verified, text, undo, ..Action::default() }
}
