//! The journal of the change in hand: what it is, and the snapshot that takes it back. A run that finds one ends what another began.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::{Subject, shown};
use contract::{replace, state};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::asked::Asked;
use crate::leftover;
use crate::remedies::{Step, aside};

const VERSION: u64 = 1;

/// A change that was begun.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Journal {
    v: u64,
    pub(crate) asked: Asked,
    pub(crate) target: Subject,
    /// The id of the snapshot, where the change touches anything that could be put back.
    #[serde(default)]
    pub(crate) snapshot: Option<Subject>,
    /// The store that has it, where it is not the usual one.
    #[serde(default)]
    pub(crate) store: Option<Subject>,
    /// The roots of that run.
    pub(crate) roots: Vec<Subject>,
    /// Its process, which is gone by now.
    pid: u32,
    /// What the processes bear that it started.
    mark: String,
    pub(crate) writes: Vec<Write>,
    /// A snapshot would have to read the file, which may be what is not allowed.
    #[serde(default)]
    pub(crate) modes: Vec<Mode>,
    /// Of the action as it was begun: what `undo` and the history go by.
    #[serde(default)]
    pub(crate) detail: Option<Value>,
    /// Folders that it makes or fills.
    #[serde(default)]
    pub(crate) trees: Vec<Subject>,
}

/// A folder that is made, or filled, as it is left.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tree {
    pub(crate) folder: Subject,
    pub(crate) after: String,
}

/// A file that gets another mode.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Mode {
    pub(crate) file: Subject,
    pub(crate) before: u32,
    pub(crate) after: u32,
}

/// A file that gets another text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Write {
    pub(crate) file: Subject,
    /// SHA-256 in hexadecimal digits; none where there is no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<String>,
    pub(crate) after: String,
    /// Its permission bits; none of a file that was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<u32>,
}

impl Journal {
    pub(crate) fn new(
        asked: &Asked,
        target: Subject,
        snapshot: Option<Subject>,
        store: Option<&Path>,
        roots: &[PathBuf],
        steps: &[Step],
        detail: Option<Value>,
    ) -> Self {
        let (store, roots) = (store.map(Subject::from), roots.iter().map(|root| Subject::from(&**root)).collect());
        Self {
            v: VERSION,
            asked: asked.clone(),
            target,
            snapshot,
            store,
            roots,
            pid: std::process::id(),
            mark: leftover::mark().to_owned(),
            writes: writes(steps),
            modes: modes(steps),
            detail,
            trees: steps.iter().filter_map(Step::tree).map(|folder| Subject::from(&*folder)).collect(),
        }
    }

    /// The change that was begun and not ended.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) fn read(state: &Path) -> anyhow::Result<Option<Self>> {
        let path = path(state);
        let bytes = match state::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.with_context(|| format!("cannot read {}", shown(&path)))?,
        };
        let journal: Self = serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is torn, or no journal of ours; look what it says, and remove it", shown(&path)))?;
        anyhow::ensure!(journal.v <= VERSION, "{} was written by a newer heal, which must end it", shown(&path));
        Ok(Some(journal))
    }

    /// Puts it on the disk, before the first change.
    ///
    /// # Errors
    /// It cannot be written: the change must not begin.
    pub(crate) fn begin(&self, state: &Path) -> anyhow::Result<()> {
        replace::write(&path(state), &serde_json::to_vec(self).context("cannot render the journal")?)
    }

    /// What takes the change back: the id of a snapshot, or the mode that was.
    pub(crate) fn undo(&self) -> Option<Subject> {
        let mode = || self.modes.first().map(|mode| Subject::from(format!("mode {:04o}", mode.before).as_str()));
        self.snapshot.clone().or_else(mode)
    }

    /// Ends what that run left behind, and removes the new texts that have not come to their place.
    ///
    /// # Errors
    /// One cannot be removed.
    pub(crate) fn tidy(&self) -> anyhow::Result<()> {
        leftover::end(&self.mark);
        for write in &self.writes {
            let aside = write.file.as_path().with_file_name(aside(self.pid));
            match fs::remove_file(&aside) {
                Err(e) if ![io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&e.kind()) => {
                    return Err(e).with_context(|| format!("cannot remove {}", shown(&aside)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether each of its files is as the change left it.
    pub(crate) fn is_as_left(&self) -> bool {
        self.writes.iter().all(|write| hash_of(write.file.as_path()).as_ref() == Some(&write.after))
    }

    /// Whether each of its files is as it was before, or as the change left it, so that nobody else's work is in it.
    pub(crate) fn is_ours_alone(&self) -> bool {
        self.writes.iter().all(|write| {
            let now = hash_of(write.file.as_path());
            now == write.before || now.as_deref() == Some(&write.after)
        })
    }
}

/// Takes the journal away, if there is one: the change is ended.
///
/// # Errors
/// It cannot be removed.
pub(crate) fn end(state: &Path) -> anyhow::Result<()> {
    let path = path(state);
    match fs::remove_file(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.with_context(|| format!("cannot remove {}", shown(&path))).and_then(|()| replace::sync_folder(state)),
    }
}

/// What is written by some steps.
pub(crate) fn writes(steps: &[Step]) -> Vec<Write> {
    let of = |step: &Step| match step {
        Step::Write { file, before, text } => {
            let mode = file.metadata().ok().map(|meta| meta.permissions().mode() & 0o7777);
            Some(Write { file: Subject::from(&**file), before: before.as_deref().map(hash), after: hash(text), mode })
        }
        _ => None,
    };
    steps.iter().filter_map(of).collect()
}

/// What modes are changed by some steps.
pub(crate) fn modes(steps: &[Step]) -> Vec<Mode> {
    let of = |step: &Step| match step {
        Step::Mode { file, before, mode } => Some(Mode { file: Subject::from(&**file), before: *before, after: *mode }),
        _ => None,
    };
    steps.iter().filter_map(of).collect()
}

/// The SHA-256 of a whole tree: names, kinds, sizes, modes, times and where links lead, not contents. Whoever adds, removes or writes anything
/// in it changes it.
pub(crate) fn tree(top: &Path) -> String {
    let (mut left, mut lines) = (vec![top.to_owned()], Vec::new());
    while let Some(path) = left.pop() {
        let Ok(meta) = path.symlink_metadata() else { continue };
        let link = fs::read_link(&path).unwrap_or_default();
        let is_folder = meta.is_dir();
        // Byte code comes by itself, and the time of a folder tells only of that.
        if path.extension().is_some_and(|end| end == "pyc") || path.file_name().is_some_and(|name| name == "__pycache__") {
            continue;
        }
        let (size, time) = if is_folder { (0, (0, 0)) } else { (meta.size(), (meta.mtime(), meta.mtime_nsec())) };
        lines.push(format!("{:?} {:o} {size} {time:?} {}", path.strip_prefix(top), meta.mode(), link.display()));
        if is_folder {
            left.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
    lines.sort_unstable();
    hash(lines.join("\n").as_bytes())
}

/// Gives files the modes that they had.
///
/// # Errors
/// One has yet another by now, or cannot be changed.
pub(crate) fn set_back(modes: &[Mode]) -> anyhow::Result<()> {
    for Mode { file, before, after } in modes {
        let file = file.as_path();
        let meta = file.symlink_metadata().with_context(|| format!("cannot look at {}", shown(file)))?;
        let now = meta.permissions().mode() & 0o7777;
        anyhow::ensure!(
            meta.is_file() && [*before, *after].contains(&now),
            "{} has mode {now:04o} by now; it had {before:04o}",
            shown(file)
        );
        fs::set_permissions(file, fs::Permissions::from_mode(*before))
            .with_context(|| format!("cannot change the mode of {}", shown(file)))?;
    }
    Ok(())
}

/// The SHA-256 of a file, in hexadecimal digits; none where it cannot be read.
pub(crate) fn hash_of(file: &Path) -> Option<String> {
    fs::read(file).ok().map(|bytes| hash(&bytes))
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn path(state: &Path) -> PathBuf {
    state.join("heal.journal")
}
