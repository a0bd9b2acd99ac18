//! What a restore would do: pure comparison, nothing is changed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;
use glob::Pattern;
use rayon::prelude::*;
use rustix::fs::{Mode, OFlags, openat, readlinkat};
use serde::{Deserialize, Serialize};

use crate::restore::ground::{Ground, Identity, Live};
use crate::restore::removal::Extra;
use crate::restore::traits::{Power, Traits};
use crate::restore::{content, ground};
use crate::store::Store;
use crate::store::manifest::{Entry, Kind, Manifest};

/// What is wanted.
pub(crate) struct Wish<'a> {
    pub(crate) manifest: &'a Manifest,
    /// Only these paths and what is below them; all where there is none.
    pub(crate) paths: Vec<PathBuf>,
    /// Into this folder instead of where it was.
    pub(crate) to: Option<PathBuf>,
    /// What was not there then goes.
    pub(crate) exact: bool,
    /// What the snapshot was told to leave out: none of it goes.
    pub(crate) excluded: Vec<Pattern>,
    pub(crate) power: Power,
}

/// What happens to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Change {
    /// It is not there.
    Create,
    /// It has another content, or leads elsewhere.
    Overwrite,
    /// It is of another kind.
    Retype,
    /// Only mode, owner, time or extended attributes differ.
    Traits,
    /// It was not there.
    Delete,
    /// It is as it was.
    Unchanged,
}

/// One path and what happens to it.
#[derive(Clone, Debug)]
pub(crate) struct Step<'a> {
    /// Where it is now, or will be.
    pub(crate) path: PathBuf,
    /// `None` for what was not there.
    pub(crate) entry: Option<&'a Entry>,
    pub(crate) change: Change,
    pub(crate) before: Option<Live>,
    /// It comes with a folder above it that is made anew.
    pub(crate) within: bool,
}

impl Step<'_> {
    /// Whether it makes a folder; one that no entry describes is only on the way to others.
    pub(crate) fn makes_folder(&self) -> bool {
        matches!(self.change, Change::Create | Change::Retype) && self.entry.is_none_or(|entry| entry.kind == Kind::Folder)
    }
}

/// All steps, sorted by path.
pub(crate) struct Plan<'a> {
    pub(crate) steps: Vec<Step<'a>>,
    /// What was not there and stays all the same, and why.
    pub(crate) left: Vec<(PathBuf, &'static str)>,
    /// What was there and could not be kept, so that it cannot come back.
    pub(crate) special: Vec<&'a Entry>,
}

impl<'a> Plan<'a> {
    /// Steps that change something.
    pub(crate) fn changes(&self) -> impl Iterator<Item = &Step<'a>> {
        self.steps.iter().filter(|step| step.change != Change::Unchanged)
    }

    /// The steps of what the snapshot holds, by its paths there.
    pub(crate) fn by_entry(&self) -> HashMap<&Path, &Step<'a>> {
        self.steps.iter().filter_map(|step| Some((step.entry?.path.as_path(), step))).collect()
    }
}

/// Compares a snapshot with what is there.
///
/// # Errors
/// A path cannot be looked at, nothing was asked for that the snapshot has, or a folder stands where a file was and may not go.
pub(crate) fn plan<'a>(wish: &Wish<'a>, ground: &Ground, store: &Store) -> anyhow::Result<Plan<'a>> {
    let entries = wish.manifest.below(&wish.paths)?;
    let none = wish.no_folders(&entries, ground)?;
    let step = |entry: &&'a Entry| wish.step(entry, ground, &none).transpose();
    let mut steps = entries.par_iter().filter_map(step).collect::<anyhow::Result<Vec<_>>>()?;
    part(&mut steps);
    link_hard(&mut steps);
    let mut left = Vec::new();
    if wish.exact {
        let mounts = wish.mounts()?;
        for entry in entries.iter().filter(|entry| entry.kind == Kind::Absent) {
            let extra = Extra { place: wish.place(entry.path.as_path())?, spelled: entry.path.as_path().to_owned() };
            // Where a link is on the way now, what it leads to is not what was not there.
            if !is_below(&none, &extra.place) && ground.is_reached(&extra.place) {
                wish.going(extra, &mounts, ground, &mut steps, &mut left)?;
            }
        }
        for extra in wish.extra(&entries, &mounts, ground, store, &none, &mut left)? {
            wish.going(extra, &mounts, ground, &mut steps, &mut left)?;
        }
    }
    let above = wish.missing_above(&steps, ground)?;
    steps.extend(above);
    steps.sort_by(|a, b| a.path.cmp(&b.path));
    folded(&steps)?;
    nest(&mut steps);
    wish.nothing_is_lost(&steps, ground, store)?;
    let special = entries.into_iter().filter(|entry| entry.kind == Kind::Special).collect();
    Ok(Plan { steps, left, special })
}

/// What were two files and have become one must be two again.
fn part(steps: &mut [Step<'_>]) {
    let mut owners: HashMap<Identity, &Path> = HashMap::new();
    for step in steps.iter_mut().filter(|step| matches!(step.change, Change::Unchanged | Change::Traits)) {
        let (Some(entry), Some(live)) = (step.entry.filter(|entry| entry.kind == Kind::File), &step.before) else { continue };
        let file = entry.same_as.as_ref().unwrap_or(&entry.path).as_path();
        if *owners.entry(live.identity).or_insert(file) != file {
            step.change = Change::Overwrite;
        }
    }
}

/// A name of a file that has several must be a name of that very file.
fn link_hard(steps: &mut [Step<'_>]) {
    let firsts: HashMap<&Path, (Change, Option<Live>)> =
        steps.iter().filter_map(|step| Some((step.entry?.path.as_path(), (step.change, step.before.clone())))).collect();
    let same: Vec<bool> = steps
        .iter()
        .map(|step| {
            let Some(first) = step.entry.and_then(|entry| entry.same_as.as_ref()).and_then(|first| firsts.get(first.as_path())) else {
                return true;
            };
            let identity = |live: &Option<Live>| live.as_ref().map(|live| live.identity);
            matches!(first.0, Change::Unchanged | Change::Traits) && identity(&first.1) == identity(&step.before)
        })
        .collect();
    for (step, same) in steps.iter_mut().zip(same) {
        if !same && matches!(step.change, Change::Unchanged | Change::Traits) {
            step.change = Change::Overwrite;
        }
    }
}

/// Roots that are told of as being apart and are not could ask for two things at one place.
fn folded(steps: &[Step<'_>]) -> anyhow::Result<()> {
    for pair in steps.windows(2) {
        let [above, step] = pair else { continue };
        let folder = above.entry.is_none_or(|entry| entry.kind == Kind::Folder);
        anyhow::ensure!(
            above.path != step.path && (folder || !step.path.starts_with(&above.path)),
            "the snapshot wants two things at {}",
            shown(&step.path)
        );
    }
    Ok(())
}

/// Marks what comes with a folder that is made anew.
fn nest(steps: &mut [Step<'_>]) {
    let mut made: Option<PathBuf> = None;
    for step in steps {
        step.within = made.as_ref().is_some_and(|above| step.path.starts_with(above));
        if !step.within && step.makes_folder() {
            made = Some(step.path.clone());
        }
    }
}

impl<'a> Wish<'a> {
    /// All that a snapshot holds, where it was.
    pub(super) fn all(manifest: &'a Manifest, power: Power) -> Self {
        // A glob that nobody can read any more leaves out nothing.
        let excluded = manifest.header.excluded.iter().filter_map(|glob| Pattern::new(glob).ok()).collect();
        Self { manifest, paths: Vec::new(), to: None, exact: false, excluded, power }
    }

    /// Where an entry goes: where its root really was, or below the folder that was named.
    pub(super) fn place(&self, path: &Path) -> anyhow::Result<PathBuf> {
        if self.to.is_some() {
            return Ok(moved(self.to.as_deref(), path));
        }
        let root = self.manifest.header.root_of(path).with_context(|| format!("{} is beneath no root", shown(path)))?;
        let below = path.strip_prefix(root.path.as_path()).unwrap_or(path);
        Ok(if below == Path::new("") { root.real.as_path().to_owned() } else { root.real.as_path().join(below) })
    }

    /// Where folders were and none is now: nothing is below that, even if a link is there and leads somewhere.
    fn no_folders(&self, entries: &[&'a Entry], ground: &Ground) -> anyhow::Result<HashSet<PathBuf>> {
        let mut none = HashSet::new();
        for entry in entries.iter().filter(|entry| entry.kind == Kind::Folder) {
            let path = self.place(entry.path.as_path())?;
            if !is_below(&none, &path) && ground.live(&path)?.is_none_or(|live| live.kind != Kind::Folder) {
                none.insert(path);
            }
        }
        Ok(none)
    }

    fn step(&self, entry: &'a Entry, ground: &Ground, none: &HashSet<PathBuf>) -> anyhow::Result<Option<Step<'a>>> {
        match entry.kind {
            Kind::Unknown => anyhow::bail!("{} is of a kind that this version does not know; use a newer snapshot", entry.path),
            Kind::Special | Kind::Absent => return Ok(None),
            Kind::File | Kind::Folder | Kind::Link => {}
        }
        let path = self.place(entry.path.as_path())?;
        let before = if is_below(none, &path) { None } else { ground.live(&path)? };
        let change = match (entry.kind, &before) {
            (_, None) => Change::Create,
            (kind, Some(live)) if live.kind != kind => Change::Retype,
            (_, Some(live)) => self.compare(entry, live, &path, ground).with_context(|| format!("cannot compare {}", shown(&path)))?,
        };
        Ok(Some(Step { path, entry: Some(entry), change, before, within: false }))
    }

    fn compare(&self, entry: &Entry, live: &Live, path: &Path, ground: &Ground) -> anyhow::Result<Change> {
        let same = match entry.kind {
            Kind::File => entry.size == Some(live.size) && holds(path, entry, ground)?,
            Kind::Link => {
                let (folder, name) = ground.place(path)?;
                let target = readlinkat(&*folder, name, Vec::new())?;
                entry.target.as_ref().is_some_and(|wanted| wanted.as_path().as_os_str().as_encoded_bytes() == target.to_bytes())
            }
            _ => true,
        };
        if !same {
            return Ok(Change::Overwrite);
        }
        let (has, wanted) = (Traits::live(path, live)?, Traits::wanted(entry, self.power)?);
        // A file that runs as somebody else, and did then, is not given that: it has it.
        let as_it_was = Traits::wanted(entry, Power { setuid: true, ..self.power })?;
        let fits = has.fits(&wanted, entry.kind, self.power) || has.fits(&as_it_was, entry.kind, self.power);
        // What a file is given, all its names have, and some may be elsewhere.
        let shared = entry.kind == Kind::Link || entry.kind == Kind::File && live.names > 1;
        Ok(if fits {
            Change::Unchanged
        } else if shared {
            Change::Overwrite
        } else {
            Change::Traits
        })
    }

    /// The folders that are missing above what is made.
    fn missing_above(&self, steps: &[Step<'a>], ground: &Ground) -> anyhow::Result<Vec<Step<'a>>> {
        let planned: HashSet<&Path> = steps.iter().map(|step| step.path.as_path()).collect();
        let mut missing = BTreeSet::new();
        for step in steps.iter().filter(|step| step.change == Change::Create) {
            for above in step.path.ancestors().skip(1) {
                if planned.contains(above) || missing.contains(above) || ground.live(above)?.is_some() {
                    break;
                }
                missing.insert(above.to_owned());
            }
        }
        let mut known: HashMap<PathBuf, &'a Entry> = HashMap::new();
        if !missing.is_empty() {
            known.extend(self.manifest.header.above.iter().map(|entry| (moved(self.to.as_deref(), entry.path.as_path()), entry)));
            for entry in self.manifest.entries.iter().filter(|entry| entry.kind == Kind::Folder) {
                known.insert(self.place(entry.path.as_path())?, entry);
            }
        }
        let step = |path: PathBuf| Step { entry: known.get(&path).copied(), path, change: Change::Create, before: None, within: false };
        Ok(missing.into_iter().map(step).collect())
    }
}

pub(super) fn is_below(folders: &HashSet<PathBuf>, path: &Path) -> bool {
    !folders.is_empty() && path.ancestors().skip(1).any(|above| folders.contains(above))
}

/// A path below another root.
fn moved(to: Option<&Path>, path: &Path) -> PathBuf {
    to.map_or_else(|| path.to_owned(), |to| to.join(path.strip_prefix("/").unwrap_or(path)))
}

/// The names in a folder.
pub(crate) fn names(path: &Path, ground: &Ground) -> anyhow::Result<BTreeSet<OsString>> {
    let list = || -> anyhow::Result<BTreeSet<OsString>> {
        let (parent, name) = ground.place(path)?;
        let folder = openat(&*parent, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        Ok(ground::names(&folder)?.into_iter().collect())
    };
    list().with_context(|| format!("cannot list {}", shown(path)))
}

/// Whether a file that is there has the content of an entry.
fn holds(path: &Path, entry: &Entry, ground: &Ground) -> anyhow::Result<bool> {
    let (folder, name) = ground.place(path)?;
    let file = openat(&*folder, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    let file = File::from(file);
    Ok(file.metadata()?.is_file() && content::is_of(&file, entry)?)
}
