//! The journal: what is in hand, on disk before it begins, so that the next run can end what a crash interrupted.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::Context as _;
use contract::path::{Subject, shown};
use contract::{replace, state};
use serde::{Deserialize, Serialize};

use crate::backup::backup_of;
use crate::swap;

/// The version of the file; a newer one is for a newer tool.
const VERSION: u64 = 1;

/// One change in hand, as `journal/ID.json` in the state folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Journal {
    v: u64,
    /// The change's id.
    pub(crate) id: String,
    /// The environment.
    pub(crate) venv: Subject,
    /// What was being done.
    pub(crate) verb: String,
    /// What asked for it.
    #[serde(default)]
    pub(crate) cause: Vec<String>,
    /// How far it is.
    pub(crate) step: Step,
}

/// How far a change is; each says how to end it from there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "at")]
pub(crate) enum Step {
    /// Files are being replaced one by one; the originals are in `undo/ID`.
    Patching,
    /// A new tree is being made; the environment is as it was.
    Building { aside: Subject },
    /// The trees are being exchanged, or the new one is in place and not yet verified.
    Swapping { aside: Subject, old: Tree, new: Tree },
    /// The new tree is verified; the old one is becoming a backup.
    Keeping { aside: Subject, old: Tree, new: Tree },
    /// A backup is being exchanged with what is in place.
    Undoing { backup: Subject, old: Tree, new: Tree },
    /// A backup is being moved to `aside`, and removed there.
    Removing { backup: Subject, aside: Subject },
}

/// A folder by its identity: names change in an exchange, this does not.
#[derive(Clone, Copy, Debug, Eq, Serialize, Deserialize)]
pub(crate) struct Tree {
    dev: u64,
    ino: u64,
    /// When it was made, in nanoseconds since the epoch, where the file system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    born: Option<u64>,
}

/// Not by the time: an overlay makes a folder of a lower layer anew at the first write to it.
impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        (self.dev, self.ino) == (other.dev, other.ino)
    }
}

impl Tree {
    /// Whether this is `before`, which a run made, and not a later one that got the number of one that was removed.
    pub(crate) fn is_still(self, before: Self) -> bool {
        self == before && self.born.zip(before.born).is_none_or(|(now, then)| now == then)
    }

    /// The folder at a path, links not followed; `None` where nothing is there.
    pub(crate) fn at(path: &Path) -> anyhow::Result<Option<Self>> {
        match path.symlink_metadata() {
            Ok(meta) => {
                let born = meta.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
                let born = born.and_then(|born| u64::try_from(born.as_nanos()).ok());
                Ok(Some(Self { dev: meta.dev(), ino: meta.ino(), born }))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).with_context(|| format!("cannot look at {}", shown(path))),
        }
    }

    /// The folder that must be at a path.
    pub(crate) fn of(path: &Path) -> anyhow::Result<Self> {
        Self::at(path)?.with_context(|| format!("{} is gone", shown(path)))
    }
}

impl Journal {
    /// Puts a new change on record.
    pub(crate) fn begin(state: &Path, id: &str, venv: &Path, verb: &str, cause: &[String], step: Step) -> anyhow::Result<Self> {
        state::private_folder(&state.join("journal"))?;
        let journal = Self { v: VERSION, id: id.to_owned(), venv: Subject::from(venv), verb: verb.to_owned(), cause: cause.to_vec(), step };
        journal.write(state)?;
        Ok(journal)
    }

    /// Puts the next step on record, before it is taken.
    pub(crate) fn step(&mut self, state: &Path, step: Step) -> anyhow::Result<()> {
        if self.step == step {
            return Ok(());
        }
        self.step = step;
        self.write(state)
    }

    /// Whether it speaks of nothing but what a change of its environment makes beside it: what it names is removed and exchanged.
    fn is_ours(&self) -> bool {
        let venv = self.venv.as_path();
        let is_aside = |path: &Subject| path.as_path() == swap::aside(venv, &self.id);
        let is_backup = |path: &Subject| backup_of(path.as_path()).is_some_and(|of| of == venv);
        let is_made = match &self.step {
            Step::Patching => true,
            Step::Building { aside } | Step::Swapping { aside, .. } | Step::Keeping { aside, .. } => is_aside(aside),
            Step::Undoing { backup, .. } => is_backup(backup),
            Step::Removing { backup, aside } => is_backup(backup) && is_aside(aside),
        };
        is_made && venv.is_absolute() && !self.id.contains('/')
    }

    /// Takes the change off the record: it has ended.
    pub(crate) fn end(&self, state: &Path) -> anyhow::Result<()> {
        let path = file(state, &self.id);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).with_context(|| format!("cannot remove {}", shown(&path))),
            _ => replace::sync_folder(&state.join("journal")),
        }
    }

    fn write(&self, state: &Path) -> anyhow::Result<()> {
        replace::write(&file(state, &self.id), &serde_json::to_vec(self).context("cannot render a journal")?)
    }
}

fn file(state: &Path, id: &str) -> PathBuf {
    state.join("journal").join(format!("{id}.json"))
}

/// Whether a change has not ended.
pub(crate) fn is_open(state: &Path, id: &str) -> bool {
    file(state, id).exists()
}

/// Every change that is in hand, or was when its run died, oldest first.
///
/// # Errors
/// One cannot be read, or is of a newer version: nothing may be changed before that is cleared up.
pub(crate) fn all(state: &Path) -> anyhow::Result<Vec<Journal>> {
    let folder = state.join("journal");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).with_context(|| format!("cannot list {}", shown(&folder))),
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|ext| ext == "json"));
    paths.sort();
    paths.iter().filter_map(|path| read(path).transpose()).collect()
}

/// Reads one; `None` where its run has ended it meanwhile.
fn read(path: &Path) -> anyhow::Result<Option<Journal>> {
    let bytes = match state::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", shown(path))),
    };
    let journal: Journal = serde_json::from_slice(&bytes).with_context(|| format!("cannot understand the journal {}", shown(path)))?;
    anyhow::ensure!(journal.v <= VERSION, "the journal {} is of a newer venv-rebuild; use that one", shown(path));
    anyhow::ensure!(journal.is_ours(), "the journal {} names folders that no change makes; look at it, and remove it", shown(path));
    Ok(Some(journal))
}

/// Reads a journal again, under the lock of its environment.
pub(crate) fn again(state: &Path, journal: &Journal) -> anyhow::Result<Option<Journal>> {
    read(&file(state, &journal.id))
}
