//! `venv-rebuild undo`: the newest change of an environment is taken back, or made again where it was taken back already.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::action::{Action, Outcome};
use contract::lock::Held;
use contract::path::{Subject, absolute, shown};
use contract::record::Status;
use contract::run::Exit;
use contract::signal;
use serde_json::{Value, json};

use crate::journal::{Journal, Step, Tree};
use crate::patch::{self, Patch};
use crate::patient::{self, resolved};
use crate::refuse;
use crate::session::{Force, Matter, Session, Standing, Tally, Told};
use crate::{backup, ladder, settle, stamp, swap};

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
            Self::Backup(path) => backup::since(path),
            Self::Patch(patch) => patch.id.clone(),
        }
    }

    /// Whether taking it back loses nothing: what is exchanged is kept.
    fn is_untouched(&self) -> bool {
        match self {
            Self::Backup(_) => true,
            Self::Patch(patch) => patch.is_untouched(),
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
        let matter = Matter::of(&root);
        let told = match one(session, state, &matter, &root, to) {
            Err(e) if e.is::<Held>() => session.tell(&matter, &said(Outcome::Skipped, format!("{e:#}")), Standing::Busy),
            Err(e) => session.tell(&matter, &said(Outcome::Failed, format!("{e:#}")), Standing::Ill),
            told => told,
        }?;
        tally.count(Some(told.standing));
        session.with_output(|out| out.write(&told.line))?;
    }
    Ok(tally.exit())
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
    if let Way::Backup(backup) = &way
        && let Some(refusal) = refuse::disturbing(&[root, backup], session.options.even_in_use)
    {
        return session.tell(matter, &said(Outcome::Skipped, refusal.text()), Standing::Ill);
    }
    let _hold = signal::hold()?;
    let step = match &way {
        Way::Backup(backup) => Step::Undoing { backup: Subject::from(backup), old: Tree::of(root)?, new: Tree::of(backup)? },
        Way::Patch(_) => Step::Patching,
    };
    let journal = Journal::begin(state, &stamp::id(), root, VERB, &[], step)?;
    session.started(force, matter, VERB, &way.text())?;
    let back = match &way {
        Way::Backup(backup) => exchange(force, &journal, root, backup)?,
        Way::Patch(patch) => inverse(force, &journal, root, patch)?,
    };
    let standing = if back.verified { Standing::Well } else { Standing::Ill };
    let told = session.tell_change(force, matter, &outcome(root, &way, &back), standing)?;
    journal.end(state)?;
    // Last: a crash before that makes the files again that this changed, and the originals must be there for the next try.
    if let (Way::Patch(patch), true) = (&way, back.verified) {
        patch.discard(state)?;
    }
    Ok(told)
}

/// What taking back came to.
struct Back {
    /// What makes the change again.
    undo: Subject,
    /// Whether the very tree, or the very bytes, that were there before the change were seen in place.
    verified: bool,
}

/// What was there before is back whatever it is worth: that is what was asked for. How it is judged now is told all the same.
fn outcome(root: &Path, way: &Way, back: &Back) -> Action {
    let (status, now) = judged(root);
    let mut done = way.text().replacen("exchange ", "exchanged ", 1);
    if let (Way::Backup(_), Some(advice)) = (way, swap::advice_within(back.undo.as_path())) {
        done = format!("{done}; {advice}");
    }
    let (outcome, text) = if back.verified {
        (Outcome::Done, format!("{done}; {now}"))
    } else {
        (Outcome::Failed, format!("{done}, but something else has changed it since; {now}"))
    };
    let (undo, detail) = (Some(back.undo.clone()), Some(json!({"status": status})));
    Action { changed: true, verified: back.verified, undo, detail, ..said(outcome, text) }
}

fn judged(root: &Path) -> (Value, String) {
    // What was mended may have been seen by a deep look alone.
    match patient::judge(root, true) {
        Ok(probe) => {
            let status = json!(probe.status);
            let worst = if probe.faults.is_empty() { String::new() } else { format!(": {}", ladder::worst(&probe)) };
            let text = format!("it is {} now{worst}", status.as_str().unwrap_or_default());
            (status, text)
        }
        Err(e) => (json!(Status::Unknown), format!("how it is now is unknown: {e:#}")),
    }
}

fn way(state: &Path, root: &Path, to: Option<&str>) -> anyhow::Result<Way> {
    anyhow::ensure!(root.is_dir(), "there is no environment at {}; a backup of it can be renamed to that", shown(root));
    let backups = backup::backups(root)?.into_iter().map(Way::Backup);
    let patches = patch::all(state)?.into_iter().filter(|patch| patch.venv.as_path() == root);
    let mut ways: Vec<Way> = backups.chain(patches.map(Way::Patch)).collect();
    ways.sort_by_key(Way::id);
    let way = match to {
        Some(name) => ways
            .into_iter()
            .find(|way| way.is_called(name))
            .with_context(|| format!("{} has no backup or change called {name}", shown(root)))?,
        None => ways.pop().with_context(|| format!("nothing that venv-rebuild did to {} can be taken back", shown(root)))?,
    };
    match &way {
        // To go on to an older one unasked would lose that, and more.
        Way::Patch(Patch { id, verb, .. }) if !way.is_untouched() => {
            anyhow::bail!(
                "the change `{verb}` ({id}) of {} is not taken back: its files were changed since; --to names another",
                shown(root)
            )
        }
        _ => Ok(way),
    }
}

fn exchange(force: &Force, journal: &Journal, root: &Path, backup: &Path) -> anyhow::Result<Back> {
    let (old, new) = (Tree::of(root)?, Tree::of(backup)?);
    if let Err(e) = swap::exchange(root, backup) {
        journal.end(&force.state)?;
        return Err(e);
    }
    let displaced = settle::undone(root, backup, &journal.id, old, new)?.context("the environments were not exchanged")?;
    let verified = Tree::at(root)? == Some(new) && Tree::at(&displaced)? == Some(old);
    Ok(Back { undo: Subject::from(&displaced), verified })
}

/// The way back is a change of its own, with a way back: so undoing twice is as before.
fn inverse(force: &Force, journal: &Journal, root: &Path, patch: &Patch) -> anyhow::Result<Back> {
    let mut back = Patch::begin(&journal.id, root, &patch.verb);
    let edits = patch.inverse(&force.state)?;
    if let Err(e) = back.apply(&force.state, &edits).and_then(|()| back.sync(&force.state)) {
        back.take_back(&force.state)?;
        journal.end(&force.state)?;
        return Err(e);
    }
    Ok(Back { undo: Subject::from(journal.id.as_str()), verified: back.is_untouched() })
}
