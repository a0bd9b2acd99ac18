//! `venv-rebuild undo`: the newest change of an environment is taken back, or made again where it was taken back already.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::action::{Action, Outcome};
use contract::lock::Held;
use contract::path::{Subject, absolute, shown};
use contract::run::Exit;
use contract::signal;

use crate::in_use::users;
use crate::journal::{Journal, Step, Tree};
use crate::patch::{self, Patch};
use crate::patient::resolved;
use crate::refuse::Refusal;
use crate::session::{Force, Matter, Session, Standing};
use crate::{settle, stamp, swap};

const VERB: &str = "undo";

/// One way back.
enum Way {
    /// The tree that was there before.
    Backup(PathBuf),
    /// The files that were there before.
    Patch(Patch),
}

impl Way {
    fn name(&self) -> String {
        match self {
            Self::Backup(path) => path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            Self::Patch(patch) => patch.id.clone(),
        }
    }

    fn stamp(&self) -> String {
        match self {
            Self::Backup(path) => swap::stamp(path).unwrap_or_default(),
            Self::Patch(patch) => patch.id.clone(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Backup(path) => format!("exchange it with {}", shown(path)),
            Self::Patch(patch) => format!("put the files of `{}` ({}) back", patch.verb, patch.id),
        }
    }
}

/// Takes back the newest change, or the one called `to`, of each environment.
///
/// # Errors
/// The state folder cannot be used, or a record cannot be written.
pub(crate) fn run(session: &Session<'_>, state: &Path, venvs: &[PathBuf], to: Option<&str>) -> anyhow::Result<Exit> {
    let (mut ill, mut busy) = (false, false);
    for venv in venvs {
        let root = resolved(&absolute(venv)?);
        let matter = Matter { subject: Subject::from(&root), cause: Vec::new() };
        let (action, standing) = match one(session, state, &matter, &root, to) {
            Ok(action) => (action, Standing::Well),
            Err(e) if e.is::<Held>() => (said(Outcome::Skipped, format!("{e:#}")), Standing::Busy),
            Err(e) => (said(Outcome::Failed, format!("{e:#}")), Standing::Ill),
        };
        let ended = action.changed || action.outcome == Outcome::Failed;
        let told = match &session.force {
            Some(force) if ended => session.tell_change(force, &matter, &action, standing)?,
            _ => session.tell(&matter, &action, standing)?,
        };
        ill |= standing == Standing::Ill || action.outcome == Outcome::Skipped && standing == Standing::Well;
        busy |= standing == Standing::Busy;
        session.with_output(|out| out.write(&told.line))?;
    }
    Ok(if ill {
        Exit::Bad
    } else if busy {
        Exit::Busy
    } else {
        Exit::Done
    })
}

fn said(outcome: Outcome, text: String) -> Action {
    Action { verb: VERB.to_owned(), outcome, text, ..Action::default() }
}

fn one(session: &Session<'_>, state: &Path, matter: &Matter, root: &Path, to: Option<&str>) -> anyhow::Result<Action> {
    let Some(force) = &session.force else { return Ok(said(Outcome::Planned, way(state, root, to)?.text())) };
    let _lock = force.lock(root)?;
    let way = way(state, root, to)?;
    let users = if session.options.even_in_use || matches!(way, Way::Patch(_)) { Vec::new() } else { users(root) };
    if !users.is_empty() {
        return Ok(said(Outcome::Skipped, Refusal::InUse(users).text()));
    }
    let _hold = signal::hold()?;
    let mut journal = Journal::begin(state, &stamp::id(), root, VERB, &[])?;
    session.started(force, matter, VERB, &way.text())?;
    let undo = match &way {
        Way::Backup(backup) => exchange(force, &mut journal, root, backup)?,
        Way::Patch(patch) => inverse(force, &mut journal, root, patch)?,
    };
    journal.end(state)?;
    Ok(Action { changed: true, undo: Some(undo), ..said(Outcome::Done, way.text()) })
}

fn way(state: &Path, root: &Path, to: Option<&str>) -> anyhow::Result<Way> {
    anyhow::ensure!(root.is_dir(), "there is no environment at {}; a backup of it can be renamed to that", shown(root));
    let backups = swap::backups(root)?.into_iter().map(Way::Backup);
    let patches = patch::all(state)?.into_iter().filter(|patch| patch.venv.as_path() == root);
    // One whose files were changed since would lose that change.
    let mut ways: Vec<Way> = backups.chain(patches.filter(Patch::is_untouched).map(Way::Patch)).collect();
    ways.sort_by_key(Way::stamp);
    match to {
        Some(name) => ways
            .into_iter()
            .find(|way| way.name() == name)
            .with_context(|| format!("{} has no backup or change called {name}", shown(root))),
        None => ways.pop().with_context(|| format!("nothing that venv-rebuild did to {} can be taken back", shown(root))),
    }
}

fn exchange(force: &Force, journal: &mut Journal, root: &Path, backup: &Path) -> anyhow::Result<Subject> {
    let (old, new) = (Tree::of(root)?, Tree::of(backup)?);
    journal.step(&force.state, Step::Undoing { backup: Subject::from(backup), old, new })?;
    if let Err(e) = swap::exchange(root, backup) {
        journal.end(&force.state)?;
        return Err(e);
    }
    settle::undone(root, backup, &journal.id, old, new)?;
    Ok(Subject::from(backup))
}

/// The way back is a change of its own, with a way back: so undoing twice is as before.
fn inverse(force: &Force, journal: &mut Journal, root: &Path, patch: &Patch) -> anyhow::Result<Subject> {
    journal.step(&force.state, Step::Patching)?;
    let mut back = Patch::begin(&journal.id, root, &patch.verb);
    let edits = patch.inverse(&force.state)?;
    if let Err(e) = back.apply(&force.state, &edits) {
        back.restore(&force.state)?;
        back.discard(&force.state)?;
        journal.end(&force.state)?;
        return Err(e);
    }
    patch.discard(&force.state)?;
    Ok(Subject::from(journal.id.as_str()))
}
