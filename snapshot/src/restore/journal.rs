//! A restore in hand, on disk before it changes anything, so that whoever comes after a crash can take it back, or tidy up behind it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::{Subject, shown};
use contract::{replace, state};
use serde::{Deserialize, Serialize};

use crate::restore::ground::Identity;
use crate::restore::traits::Traits;

/// The version of the file; a newer one is for a newer tool.
const VERSION: u64 = 1;
/// What the names of files aside begin with: the new ones before they are in place, the old ones after that.
const ASIDE: &str = ".mendline-";

/// In bytes (`NAME_MAX` of Linux and macOS).
const LONGEST_NAME: usize = 255;

/// How far a restore is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    /// New files are made aside; nothing is changed yet.
    Staging,
    /// They are being exchanged with the old ones.
    Committing,
    /// All are; the old ones are being removed.
    Committed,
}

/// One name that changes hands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Swap {
    /// The folder.
    pub(crate) folder: Subject,
    /// The name in it.
    pub(crate) name: Subject,
    /// What stood there before; `None` for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) old: Option<Identity>,
    /// What shall stand there; `None` for nothing, or while it is not made yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) new: Option<Identity>,
    /// What that looked like when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) made: Option<Made>,
    /// What the old looked like when it was planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) was: Option<Made>,
}

/// What tells whether somebody wrote to what was put in place, or still to what it replaced: that a crash came, nobody need have noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    /// Bytes.
    pub(crate) size: u64,
    /// Seconds since 1970 and nanoseconds.
    pub(crate) mtime: (i64, i64),
    /// The same; of a folder it is not before that of anything in it.
    pub(crate) ctime: (i64, i64),
}

/// A folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) path: Subject,
    pub(crate) identity: Identity,
    /// When it was made, where the file system says so: seconds since 1970 and nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) born: Option<(i64, i64)>,
}

/// Traits that are given in place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Touch {
    pub(crate) path: Subject,
    pub(crate) identity: Identity,
    pub(crate) old: Traits,
    pub(crate) new: Traits,
}

/// `journal/ID.json` in the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Journal {
    v: u64,
    pub(crate) id: String,
    /// The snapshot that is restored.
    pub(crate) snapshot: String,
    /// The snapshot of what is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) safety: Option<String>,
    pub(crate) stage: Stage,
    /// By number; the number is in the name aside.
    pub(crate) swaps: Vec<Swap>,
    pub(crate) touches: Vec<Touch>,
    /// Other folders that a name changes hands in; only the way back gives them the time that they had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) around: Vec<Touch>,
    /// The folders in which names change hands. Another one at that path is another disk, or a copy, and none of ours is in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) folders: Vec<Place>,
    /// The folder of the journal itself: in another one it is of a store that this one is a copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) home: Option<Identity>,
    /// When what stands aside was last held against the snapshot of it: seconds since 1970 and nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) compared: Option<(i64, i64)>,
}

impl Journal {
    pub(crate) fn new(id: String, snapshot: String, swaps: Vec<Swap>, touches: Vec<Touch>) -> Self {
        Self {
            v: VERSION,
            id,
            snapshot,
            safety: None,
            stage: Stage::Staging,
            swaps,
            touches,
            around: Vec::new(),
            folders: Vec::new(),
            home: None,
            compared: None,
        }
    }

    /// The name aside of the swap with that number.
    pub(crate) fn aside(&self, number: usize) -> OsString {
        format!("{ASIDE}{}-{number}", self.id).into()
    }

    /// The name of the old file where the file system cannot exchange two.
    pub(crate) fn parked(&self, number: usize) -> OsString {
        format!("{ASIDE}{}-{number}-old", self.id).into()
    }

    /// The name of an old folder that is being removed.
    pub(crate) fn going(&self, number: usize) -> OsString {
        format!("{ASIDE}{}-{number}-going", self.id).into()
    }

    /// A name for what was written to since it was put in place, or aside: as much of its own as leaves room for the rest.
    pub(crate) fn kept(&self, name: &OsStr, number: u32) -> OsString {
        let further = if number == 0 { String::new() } else { format!("-{number}") };
        let end = format!(".kept-{}{further}", self.id);
        let mut kept = name.as_encoded_bytes().to_vec();
        kept.truncate(LONGEST_NAME - end.len());
        if name.to_str().is_some() {
            while std::str::from_utf8(&kept).is_err() {
                kept.pop();
            }
        }
        kept.extend_from_slice(end.as_bytes());
        <OsString as std::os::unix::ffi::OsStringExt>::from_vec(kept)
    }

    /// Puts it on the disk.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        replace::write(&self.path(folder), &serde_json::to_vec(self).context("cannot render a journal")?)
    }

    /// It is over.
    pub(crate) fn end(&self, folder: &Path) -> anyhow::Result<()> {
        let path = self.path(folder);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).with_context(|| format!("cannot remove {}", shown(&path))),
            _ => replace::sync_folder(folder),
        }
    }

    fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.json", self.id))
    }
}

/// Whether a name is of a file aside, of this restore or another one.
pub(crate) fn is_ours(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(ASIDE.as_bytes())
}

/// Every restore that is in hand, or was when its run died, oldest first.
///
/// # Errors
/// One cannot be read, or is of a newer version: nothing may be restored before that is cleared up.
pub(crate) fn all(folder: &Path) -> anyhow::Result<Vec<Journal>> {
    paths(folder)?.iter().map(|path| read(path)).collect()
}

/// Whether there is any, be it readable or not.
pub(crate) fn exist(folder: &Path) -> anyhow::Result<bool> {
    Ok(!paths(folder)?.is_empty())
}

/// Removes those that cannot be read; returns why.
pub(crate) fn remove_unreadable(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut why = Vec::new();
    for path in paths(folder)? {
        if let Err(e) = read(&path) {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", shown(&path)))?;
            why.push(format!("{e:#}"));
        }
    }
    Ok(why)
}

fn paths(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).with_context(|| format!("cannot list {}", shown(folder))),
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> anyhow::Result<Journal> {
    let bytes = state::read(path).with_context(|| format!("cannot read {}", shown(path)))?;
    let journal: Journal = serde_json::from_slice(&bytes)
        .with_context(|| format!("cannot understand the journal {}; `snapshot recover --abandon` gives that restore up", shown(path)))?;
    anyhow::ensure!(journal.v <= VERSION, "the journal {} is of a newer snapshot; use that one", shown(path));
    Ok(journal)
}
