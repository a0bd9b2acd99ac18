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
use crate::session::{Force, Matter, Session, Standing, Tally, Told};
use crate::{backup, settle, stamp, swap};

const VERB: &str = "undo";

/// One way back.
enum Way {
    /// The tree that was there before.
    Backup(PathBuf),
    /// The files that were there before.
    Patch(Patch),
}

impl Way {
    /// A backup goes by its path as well, which is what the record of the change gives.
    fn is_called(&self, name: &str) -> bool {
        match self {
            Self::Backup(path) => path == Path::new(name) || path.file_name().is_some_and(|file| file == name),
            Self::Patch(patch) => patch.id == name,
        }
    }

    /// Sorts by time.
    fn id(&self) -> String {
        match self {
            Self::Backup(path) => backup::marker(path).ok().flatten().map_or_else(String::new, |marker| marker.id),
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
    let mut tally = Tally::default();
    for venv in venvs {
        let root = resolved(&absolute(venv)?);
        let matter = Matter { subject: Subject::from(&root), cause: Vec::new() };
        let told = match one(session, state, &matter, &root, to) {
            Err(e) if e.is::<Held>() => session.tell(&matter, &said(Outcome::Skipped, format!("{e:#}")), Standing::Busy),
            Err(e) => session.tell(&matter, &said(Outcome::Failed, format!("{e:#}")), Standing::Ill),
            told => told,
        }?;
        tally.count(Some(told.standing));
        session.with_output(|out| out.write(&told.line))?;
    }
    Ok(if session.force.is_some() { tally.exit() } else { Exit::Done })
}

fn said(outcome: Outcome, text: String) -> Action {
    Action { verb: VERB.to_owned(), outcome, text, ..Action::default() }
}

fn one(session: &Session<'_>, state: &Path, matter: &Matter, root: &Path, to: Option<&str>) -> anyhow::Result<Told> {
    let Some(force) = &session.force else {
        return session.tell(matter, &said(Outcome::Planned, way(state, root, to)?.text()), Standing::Well);
    };
    let _lock = force.lock(root)?;
    let way = way(state, root, to)?;
    let users = if session.options.even_in_use || matches!(way, Way::Patch(_)) { Vec::new() } else { users(root) };
    if !users.is_empty() {
        return session.tell(matter, &said(Outcome::Skipped, Refusal::InUse(users).text()), Standing::Ill);
    }
    let _hold = signal::hold()?;
    let step = match &way {
        Way::Backup(backup) => Step::Undoing { backup: Subject::from(backup), old: Tree::of(root)?, new: Tree::of(backup)? },
        Way::Patch(_) => Step::Patching,
    };
    let journal = Journal::begin(state, &stamp::id(), root, VERB, &[], step)?;
    session.started(force, matter, VERB, &way.text())?;
    let undo = match &way {
        Way::Backup(backup) => exchange(force, &journal, root, backup)?,
        Way::Patch(patch) => inverse(force, &journal, root, patch)?,
    };
    let action = Action { changed: true, undo: Some(undo), ..said(Outcome::Done, way.text()) };
    let told = session.tell_change(force, matter, &action, Standing::Well)?;
    journal.end(state)?;
    Ok(told)
}

fn way(state: &Path, root: &Path, to: Option<&str>) -> anyhow::Result<Way> {
    anyhow::ensure!(root.is_dir(), "there is no environment at {}; a backup of it can be renamed to that", shown(root));
    let backups = backup::backups(root)?.into_iter().map(Way::Backup);
    let patches = patch::all(state)?.into_iter().filter(|patch| patch.venv.as_path() == root);
    // One whose files were changed since would lose that change.
    let mut ways: Vec<Way> = backups.chain(patches.filter(Patch::is_untouched).map(Way::Patch)).collect();
    ways.sort_by_key(Way::id);
    match to {
        Some(name) => ways
            .into_iter()
            .find(|way| way.is_called(name))
            .with_context(|| format!("{} has no backup or change called {name}", shown(root))),
        None => ways.pop().with_context(|| format!("nothing that venv-rebuild did to {} can be taken back", shown(root))),
    }
}

fn exchange(force: &Force, journal: &Journal, root: &Path, backup: &Path) -> anyhow::Result<Subject> {
    let (old, new) = (Tree::of(root)?, Tree::of(backup)?);
    if let Err(e) = swap::exchange(root, backup) {
        journal.end(&force.state)?;
        return Err(e);
    }
    settle::undone(root, backup, &journal.id, old, new)?;
    Ok(Subject::from(backup))
}

/// The way back is a change of its own, with a way back: so undoing twice is as before.
fn inverse(force: &Force, journal: &Journal, root: &Path, patch: &Patch) -> anyhow::Result<Subject> {
    let mut back = Patch::begin(&journal.id, root, &patch.verb);
    let edits = patch.inverse(&force.state)?;
    if let Err(e) = back.apply(&force.state, &edits).and_then(|()| back.sync()) {
        back.restore(&force.state)?;
        back.discard(&force.state)?;
        journal.end(&force.state)?;
        return Err(e);
    }
    patch.discard(&force.state)?;
    Ok(Subject::from(journal.id.as_str()))
}
