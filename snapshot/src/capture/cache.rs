//! What files looked like when they were read last, so that those that did not change are not read again. Disposable.

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::Subject;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::store::address::Address;
use crate::store::manifest::Piece;

/// Which file, and how it looked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Look {
    dev: u64,
    ino: u64,
    size: u64,
    /// Nanoseconds since 1970.
    mtime: i64,
    ctime: i64,
}

impl Look {
    pub(crate) fn of(meta: &Metadata) -> Self {
        let nanos = |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
        Self {
            dev: meta.dev(),
            ino: meta.ino(),
            size: meta.size(),
            mtime: nanos(meta.mtime(), meta.mtime_nsec()),
            ctime: nanos(meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// Whether a change after `at` (nanoseconds since 1970) would have given the file another look: what was written within one tick of
    /// the clock of its file system looks the same (git's "racy" problem). The tick of Linux is at most 10 ms; a file system that
    /// keeps whole seconds shows it by its zeros.
    pub(crate) fn is_settled(&self, at: i64) -> bool {
        let coarse = self.ctime % 1_000_000 == 0;
        let tick = if coarse { 2_000_000_000 } else { 50_000_000 };
        self.mtime.max(self.ctime).saturating_add(tick) < at
    }
}

/// What was in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    look: Look,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<Address>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) pieces: Vec<Piece>,
}

#[derive(Serialize, Deserialize)]
struct Line<K> {
    path: Subject,
    known: K,
}

/// What is known of the files of earlier snapshots.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    files: HashMap<PathBuf, Known>,
    /// Whether it is other than what was read.
    changed: bool,
}

const NAME: &str = "files.jsonl";
/// More files than this are not remembered: reading the list would cost more than it saves.
const MOST: usize = 1_000_000;

impl Cache {
    /// Reads it; one that is missing or damaged is empty.
    pub(crate) fn load(folder: &Path) -> Self {
        let Ok(text) = fs::read(folder.join(NAME)) else { return Self::default() };
        let lines = text.par_split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let parsed =
            lines.map(|line| serde_json::from_slice::<Line<Known>>(line).ok().map(|line| (line.path.as_path().to_owned(), line.known)));
        Self { files: parsed.collect::<Option<_>>().unwrap_or_default(), changed: false }
    }

    /// What a file holds that still looks as it did.
    pub(crate) fn known(&self, path: &Path, meta: &Metadata) -> Option<&Known> {
        self.files.get(path).filter(|known| known.look == Look::of(meta))
    }

    /// Remembers a file that looked like this when it was read from `at` on.
    pub(crate) fn remember(&mut self, path: &Path, look: Look, at: i64, sha256: Option<Address>, pieces: &[Piece]) {
        self.changed = true;
        if look.is_settled(at) {
            self.files.insert(path.to_owned(), Known { look, sha256, pieces: pieces.to_vec() });
        } else {
            self.files.remove(path);
        }
    }

    /// Forgets what is below `roots` and not among `seen`, which is sorted.
    pub(crate) fn forget_gone(&mut self, roots: &[PathBuf], seen: &[&Path]) {
        let before = self.files.len();
        // There may be as many roots as files.
        let roots: HashSet<&Path> = roots.iter().map(PathBuf::as_path).collect();
        let is_below = |path: &Path| path.ancestors().any(|above| roots.contains(above));
        self.files.retain(|path, _| !is_below(path) || seen.binary_search(&path.as_path()).is_ok());
        self.changed |= self.files.len() != before;
    }

    /// Writes it if it changed. It is not synced: what a crash leaves of it does not parse, and is not believed.
    pub(crate) fn save(&self, folder: &Path) -> anyhow::Result<()> {
        if !self.changed {
            return Ok(());
        }
        let mut text = Vec::with_capacity(self.files.len() * 200);
        for (path, known) in self.files.iter().take(MOST) {
            serde_json::to_writer(&mut text, &Line { path: Subject::from(path), known })?;
            text.push(b'\n');
        }
        let mut file = tempfile::NamedTempFile::with_prefix_in(".mendline-", folder).context("cannot write the cache")?;
        file.write_all(&text).context("cannot write the cache")?;
        file.persist(folder.join(NAME)).context("cannot write the cache")?;
        Ok(())
    }
}
