//! `venv-rebuild prune`: backups that are old and not among the newest go away.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use chrono::{NaiveDateTime, Utc};
use contract::action::{Action, Outcome};
use contract::lock::Held;
use contract::path::{Subject, absolute, shown};
use contract::record::About;
use contract::run::Exit;
use contract::signal;

use crate::journal::{self, Journal, Step, Tree};
use crate::patch::Patch;
use crate::session::{Matter, Session, Standing, Tally, Told};
use crate::{backup, patch, refuse, stamp, swap};

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
    let mut backups = Backups::new();
    let paths = paths.iter().map(|path| absolute(path)).collect::<Result<Vec<_>, _>>()?;
    for path in &paths {
        collect(session, path, &mut backups)?;
    }
    let mut tally = Tally::default();
    let mut tell = |told: Told| {
        tally.count(Some(told.standing));
        session.with_output(|out| out.write(&told.line))
    };
    for of_one in backups.into_values() {
        let (ours, unreadable) = sorted(of_one.into_values());
        for (backup, why) in unreadable {
            tell(session.tell(&Matter::of(&backup), &said(Outcome::Skipped, why), Standing::Ill)?)?;
        }
        for backup in due(ours, policy) {
            let matter = Matter::of(&backup);
            tell(match remove(session, &matter, &backup) {
                Err(e) if e.is::<Held>() => session.tell(&matter, &said(Outcome::Skipped, format!("{e:#}")), Standing::Busy),
                Err(e) => session.tell(&matter, &said(Outcome::Failed, format!("{e:#}")), Standing::Ill),
                told => told,
            }?)?;
        }
    }
    forget(session, state, &paths, policy)?;
    Ok(if session.force.is_some() { tally.exit() } else { Exit::Done })
}

fn said(outcome: Outcome, text: String) -> Action {
    Action { verb: VERB.to_owned(), outcome, text, ..Action::default() }
}

/// Backups by the folder and the name of their environment, each once by its own name, by whatever path it was met.
type Backups = BTreeMap<(PathBuf, OsString), BTreeMap<OsString, PathBuf>>;

fn add(found: &mut Backups, venv: &Path, backups: Vec<PathBuf>) {
    let folder = swap::parent(venv);
    let place = (folder.canonicalize().unwrap_or_else(|_| folder.to_owned()), venv.file_name().unwrap_or_default().to_owned());
    let named = backups.into_iter().map(|backup| (backup.file_name().unwrap_or_default().to_owned(), backup));
    found.entry(place).or_default().extend(named);
}

/// Gathers our backups by the environment that they are of: of the path itself, or below it.
fn collect(session: &Session<'_>, path: &Path, found: &mut Backups) -> anyhow::Result<()> {
    if path.join("pyvenv.cfg").exists() {
        add(found, path, backup::named(path)?);
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
            Some(venv) if !matches!(backup::marker(&folder), Ok(None)) => add(found, &venv, vec![folder]),
            _ => collect(session, &folder, found)?,
        }
    }
    Ok(())
}

/// Those that are ours, and those of which that cannot be seen, with the reason.
fn sorted(named: impl Iterator<Item = PathBuf>) -> (Vec<PathBuf>, Vec<(PathBuf, String)>) {
    let (mut ours, mut unreadable) = (Vec::new(), Vec::new());
    for backup in named {
        match backup::marker(&backup) {
            Ok(Some(_)) => ours.push(backup),
            Ok(None) => {}
            Err(e) => unreadable.push((backup, format!("it cannot be seen whether this is a backup of ours: {e:#}"))),
        }
    }
    (ours, unreadable)
}

/// The backups of one environment that go, newest first.
fn due(mut backups: Vec<PathBuf>, policy: Policy) -> Vec<PathBuf> {
    backups.sort_by_cached_key(|backup| std::cmp::Reverse((backup::since(backup), backup.clone())));
    backups.into_iter().skip(policy.keep).filter(|backup| is_older(&backup::since(backup), policy.older_than)).collect()
}

fn is_older(stamp: &str, than: Duration) -> bool {
    let made = stamp.get(..15).and_then(|stamp| NaiveDateTime::parse_from_str(stamp, "%Y%m%d_%H%M%S").ok());
    made.is_some_and(|made| (Utc::now().naive_utc() - made).to_std().is_ok_and(|age| age >= than))
}

/// Takes the name away first, in one step: a backup is there whole or not at all.
fn remove(session: &Session<'_>, matter: &Matter, backup: &Path) -> anyhow::Result<Told> {
    // Somebody has moved it; without the link alone, nothing would know of it any more.
    if let Ok(target) = fs::read_link(backup) {
        let text = format!("it is a link to {}, and stays; remove both if you like", shown(&target));
        return session.tell(matter, &said(Outcome::Skipped, text), Standing::Well);
    }
    let Some(force) = &session.force else {
        return session.tell(matter, &said(Outcome::Planned, "remove this backup".to_owned()), Standing::Well);
    };
    let venv = backup::backup_of(backup).context("it is not named as a backup")?;
    let _lock = force.lock(&venv)?;
    if let Some(refusal) = refuse::disturbing(&[backup], session.options.even_in_use) {
        return session.tell(matter, &said(Outcome::Skipped, refusal.text()), Standing::Ill);
    }
    let mut others = trees(&venv)?;
    others.remove(backup);
    let _hold = signal::hold()?;
    let id = stamp::id();
    let aside = swap::aside(&venv, &id);
    let step = Step::Removing { backup: Subject::from(backup), aside: Subject::from(&aside) };
    let journal = Journal::begin(&force.state, &id, &venv, VERB, &[], step)?;
    session.started(force, matter, VERB, "remove this backup")?;
    if let Err(e) = rustix::fs::rename(backup, &aside) {
        // Nothing was begun, so there is nothing for the next run to end.
        journal.end(&force.state)?;
        return Err(e).with_context(|| format!("cannot rename {}", shown(backup)));
    }
    let rest = || format!("what is left of it is at {}, and the next run with --force tries again", shown(&aside));
    swap::remove(&aside).with_context(rest)?;
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

/// The originals that patches saved go by the same policy as backups: of each environment the newest stay.
fn forget(session: &Session<'_>, state: &Path, paths: &[PathBuf], policy: Policy) -> anyhow::Result<()> {
    let mut of_each: BTreeMap<Subject, Vec<Patch>> = BTreeMap::new();
    for patch in patch::all(state)?.into_iter().rev() {
        if paths.iter().any(|path| patch.venv.as_path().starts_with(path)) {
            of_each.entry(patch.venv.clone()).or_default().push(patch);
        }
    }
    let old = of_each.into_values().flat_map(|patches| patches.into_iter().skip(policy.keep));
    for patch in old.filter(|patch| is_older(&patch.id, policy.older_than)) {
        let text = format!("forget how to take back `{}` ({})", patch.verb, patch.id);
        let matter = Matter::of(patch.venv.as_path());
        let told = match &session.force {
            None => session.tell(&matter, &said(Outcome::Planned, text), Standing::Well)?,
            Some(force) => {
                let _lock = match force.lock(patch.venv.as_path()) {
                    Err(e) if e.is::<Held>() => continue,
                    lock => lock?,
                };
                // A change that could not be ended yet needs them.
                if journal::is_open(state, &patch.id) {
                    continue;
                }
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
            due(backups.clone(), policy).into_iter().map(|path| path.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(gone(1, 14), [names[1], names[3], names[0]]);
        assert_eq!(gone(2, 14), [names[3], names[0]]);
        assert_eq!(gone(0, 1_000_000), [] as [&str; 0]);
    }

    #[test]
    fn a_backup_that_is_met_twice_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let (venv, backup) = (folder.path().join(".venv"), folder.path().join(".venv.backup_20200101_000000"));
        let mut found = Backups::new();
        for _ in 0..2 {
            add(&mut found, &venv, vec![backup.clone()]);
        }
        std::os::unix::fs::symlink(folder.path(), folder.path().join("way")).unwrap();
        add(&mut found, &folder.path().join("way/.venv"), vec![folder.path().join("way/.venv.backup_20200101_000000")]);
        let all: Vec<_> = found.into_values().collect();
        assert_eq!((all.len(), all[0].len()), (1, 1));
        assert!(due(all[0].values().cloned().collect(), Policy { keep: 1, older_than: Duration::ZERO }).is_empty());
    }
}
