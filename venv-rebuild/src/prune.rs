//! `venv-rebuild prune`: backups that are old and not among the newest go away.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use chrono::{Local, NaiveDateTime};
use contract::action::{Action, Outcome};
use contract::lock::Held;
use contract::path::{Subject, absolute, shown};
use contract::record::About;
use contract::run::Exit;
use contract::signal;

use crate::in_use::users;
use crate::journal::{Journal, Step, Tree};
use crate::refuse::Refusal;
use crate::session::{Matter, Session, Standing, Tally, Told};
use crate::{backup, patch, stamp, swap};

const VERB: &str = "prune";
/// Folders that hold no environments of their own.
const CLOSED: [&str; 3] = ["node_modules", ".git", "site-packages"];

/// Which backups go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// The newest of each environment that stay.
    pub(crate) keep: usize,
    /// The age from which others go.
    pub(crate) older_than: Duration,
}

/// Removes what the policy lets go, at or below these paths.
///
/// # Errors
/// A record cannot be written.
pub(crate) fn run(session: &Session<'_>, state: &Path, paths: &[PathBuf], policy: Policy) -> anyhow::Result<Exit> {
    let mut backups = BTreeMap::new();
    let paths = paths.iter().map(|path| absolute(path)).collect::<Result<Vec<_>, _>>()?;
    for path in &paths {
        collect(session, path, &mut backups)?;
    }
    let mut tally = Tally::default();
    for backup in backups.values().flat_map(|of_one| due(of_one, policy)) {
        let matter = Matter { subject: Subject::from(backup), cause: Vec::new() };
        let told = match remove(session, &matter, backup) {
            Err(e) if e.is::<Held>() => session.tell(&matter, &said(Outcome::Skipped, format!("{e:#}")), Standing::Busy),
            Err(e) => session.tell(&matter, &said(Outcome::Failed, format!("{e:#}")), Standing::Ill),
            told => told,
        }?;
        tally.count(Some(told.standing));
        session.with_output(|out| out.write(&told.line))?;
    }
    forget(session, state, &paths, policy)?;
    Ok(if session.force.is_some() { tally.exit() } else { Exit::Done })
}

fn said(outcome: Outcome, text: String) -> Action {
    Action { verb: VERB.to_owned(), outcome, text, ..Action::default() }
}

/// Gathers our backups by the environment that they are of: of the path itself, or below it.
fn collect(session: &Session<'_>, path: &Path, found: &mut BTreeMap<PathBuf, Vec<PathBuf>>) -> anyhow::Result<()> {
    if path.join("pyvenv.cfg").exists() {
        let backups = backup::backups(path)?;
        found.entry(path.to_owned()).or_insert(backups);
        return Ok(());
    }
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) => {
            return session
                .with_output(|out| out.error("folder.unreadable", About::default(), None, &format!("cannot list {}: {e}", shown(path))));
        }
    };
    let folders = entries.filter_map(Result::ok).filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    for folder in folders.map(|entry| entry.path()).filter(|folder| !CLOSED.iter().any(|name| folder.ends_with(name))) {
        match backup::backup_of(&folder) {
            Some(venv) if backup::marker(&folder)?.is_some() => found.entry(venv).or_default().push(folder),
            _ => collect(session, &folder, found)?,
        }
    }
    Ok(())
}

/// The backups of one environment that go, newest first.
fn due(backups: &[PathBuf], policy: Policy) -> Vec<&PathBuf> {
    let mut backups: Vec<&PathBuf> = backups.iter().collect();
    backups.sort_by_key(|backup| std::cmp::Reverse(backup.file_name().map(ToOwned::to_owned)));
    backups
        .into_iter()
        .skip(policy.keep)
        .filter(|backup| backup::stamp(backup).is_some_and(|stamp| is_older(&stamp, policy.older_than)))
        .collect()
}

fn is_older(stamp: &str, than: Duration) -> bool {
    let made = stamp.get(..15).and_then(|stamp| NaiveDateTime::parse_from_str(stamp, "%Y%m%d_%H%M%S").ok());
    made.is_some_and(|made| (Local::now().naive_local() - made).to_std().is_ok_and(|age| age >= than))
}

/// Takes the name away first, in one step: a backup is there whole or not at all.
fn remove(session: &Session<'_>, matter: &Matter, backup: &Path) -> anyhow::Result<Told> {
    let Some(force) = &session.force else {
        return session.tell(matter, &said(Outcome::Planned, "remove this backup".to_owned()), Standing::Well);
    };
    let venv = backup::backup_of(backup).context("it is not named as a backup")?;
    let _lock = force.lock(&venv)?;
    let users = if session.options.even_in_use { Vec::new() } else { users(backup) };
    if !users.is_empty() {
        return session.tell(matter, &said(Outcome::Skipped, Refusal::InUse(users).text()), Standing::Ill);
    }
    let mut others = trees(&venv)?;
    others.remove(backup);
    let _hold = signal::hold()?;
    let id = stamp::id();
    let aside = swap::aside(&venv, &id);
    let step = Step::Removing { backup: Subject::from(backup), aside: Subject::from(&aside) };
    let journal = Journal::begin(&force.state, &id, &venv, VERB, &[], step)?;
    session.started(force, matter, VERB, "remove this backup")?;
    rustix::fs::rename(backup, &aside).with_context(|| format!("cannot rename {}", shown(backup)))?;
    swap::remove(&aside)?;
    let verified = Tree::at(backup)?.is_none() && Tree::at(&aside)?.is_none() && trees(&venv)? == others;
    let (said, standing) = if verified {
        (said(Outcome::Done, "removed this backup".to_owned()), Standing::Well)
    } else {
        let text = format!("removed this backup, but something else was changed beside {} meanwhile; look there", shown(&venv));
        (said(Outcome::Failed, text), Standing::Ill)
    };
    let told = session.tell_change(force, matter, &Action { changed: true, verified, ..said }, standing)?;
    journal.end(&force.state)?;
    Ok(told)
}

/// The environment and its backups, by what they are.
fn trees(venv: &Path) -> anyhow::Result<BTreeMap<PathBuf, Option<Tree>>> {
    let paths = backup::backups(venv)?.into_iter().chain([venv.to_owned()]);
    paths.map(|path| Ok((path.clone(), Tree::at(&path)?))).collect()
}

/// The originals that patches saved go by age alone: they are small, and what they could undo is soon built upon.
fn forget(session: &Session<'_>, state: &Path, paths: &[PathBuf], policy: Policy) -> anyhow::Result<()> {
    let ours =
        |patch: &patch::Patch| paths.iter().any(|path| patch.venv.as_path().starts_with(path)) && is_older(&patch.id, policy.older_than);
    for patch in patch::all(state)?.iter().filter(|patch| ours(patch)) {
        let text = format!("forget how to take back `{}` ({})", patch.verb, patch.id);
        let matter = Matter { subject: patch.venv.clone(), cause: Vec::new() };
        let told = match &session.force {
            None => session.tell(&matter, &said(Outcome::Planned, text), Standing::Well)?,
            Some(force) => {
                patch.discard(state)?;
                let verified = patch::open(state, &patch.id)?.is_none();
                session.tell_change(force, &matter, &Action { changed: true, verified, ..said(Outcome::Done, text) }, Standing::Well)?
            }
        };
        session.with_output(|out| out.write(&told.line))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_old_and_not_among_the_newest_goes() {
        let names = ["/a.backup_20200101_000000", "/a.backup_20210101_000000", "/a.backup_20990101_000000", "/a.backup_20200101_000000-01"];
        let backups: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
        let gone = |keep, days: u64| {
            let policy = Policy { keep, older_than: Duration::from_secs(days * 86400) };
            due(&backups, policy).into_iter().map(|path| path.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(gone(1, 14), [names[1], names[3], names[0]]);
        assert_eq!(gone(2, 14), [names[3], names[0]]);
        assert_eq!(gone(0, 1_000_000), [] as [&str; 0]);
    }
}
