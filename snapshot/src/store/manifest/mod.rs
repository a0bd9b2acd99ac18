//! Manifests: one snapshot each, as zstd-compressed JSON lines: a header, the entries sorted by path (component by component), and a last line with the hash of all before.

mod check;
mod file;

use std::path::{Path, PathBuf};

use contract::path::{Subject, shown};
use serde::{Deserialize, Serialize};

pub(crate) use self::check::is_plain;
pub(crate) use self::file::{SUFFIX, ids, open_header, read_header};
use crate::store::address::Address;

/// The first line: what the snapshot is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) v: u64,
    /// `YYYYMMDD_HHMMSS-xxxx`, UTC.
    pub(crate) id: String,
    /// Counts the snapshots of a store: their order, whatever the clock did.
    pub(crate) seq: u64,
    /// RFC 3339, UTC, milliseconds.
    pub(crate) time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<String>,
    pub(crate) host: String,
    pub(crate) user: String,
    /// Name and version of the writer.
    pub(crate) tool: String,
    pub(crate) roots: Vec<Root>,
    /// Globs of what was left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) excluded: Vec<String>,
    /// Folders above the roots, so that they can be made again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) above: Vec<Entry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) git: Vec<WorkTree>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) pythons: Vec<Python>,
    pub(crate) entries: u64,
    /// Of all files, in bytes.
    pub(crate) size: u64,
    /// Bytes that this snapshot added to the store.
    pub(crate) added: u64,
    /// The age recipients that it is sealed to; the first line that anybody may read then names no path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) sealed_to: Vec<String>,
    /// Beside a sealed manifest alone: the SHA-256 of the paths of its roots, with a NUL between each two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) roots_sha256: Option<Address>,
    /// Some of what was asked for could not be read, or not without a change meanwhile.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) partial: bool,
}

/// Something that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Root {
    /// As it was named, absolute.
    pub(crate) path: Subject,
    /// Where that was, the links above it followed: what a restore writes to.
    pub(crate) real: Subject,
}

/// State of a git work tree at the time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkTree {
    /// Its top folder.
    pub(crate) path: String,
    /// Absent before the first commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
    /// Absent where HEAD is detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) branch: Option<String>,
    /// Files that differ from HEAD, untracked ones included.
    pub(crate) dirty: u64,
    pub(crate) stashes: u64,
    /// Why git did not say more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// A Python environment beside what was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Python {
    /// Its folder.
    pub(crate) path: Subject,
    /// As `pyvenv.cfg` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
}

/// What stood at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    File,
    Folder,
    Link,
    /// Nothing, where something was asked for.
    Absent,
    /// What cannot be kept: a socket, a device, a pipe. A restore leaves it alone.
    Special,
    /// A kind that a newer writer knows.
    #[serde(other)]
    Unknown,
}

/// One path. Fields that a kind has not are absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) path: Subject,
    pub(crate) kind: Kind,
    /// Permission bits, setuid, setgid and sticky included, in octal as `chmod` takes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) uid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) gid: Option<u32>,
    /// Seconds since 1970 with nine decimals, as `touch -d @…` takes them and `stat -c %.9Y` prints them. Before 1970 the decimals count on
    /// from the seconds, and theirs do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mtime: Option<String>,
    /// Of a file, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    /// Of a file that is one content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<Address>,
    /// Of a large file, which has no `sha256` of its own: the contents that make it up, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) pieces: Vec<Piece>,
    /// Of a file: zeros are holes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) sparse: bool,
    /// Of a file: another path of the very same file (a hard link), which stands before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) same_as: Option<Subject>,
    /// Of a link: where it leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<Subject>,
    /// Of a folder: everything in it is among the entries, so that what is not was not there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) complete: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) xattrs: Vec<Attribute>,
    /// It changed each time that it was read: the content may be of no one moment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) changed_while_read: bool,
}

/// A part of a large file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Piece {
    /// Absent for a hole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<Address>,
    /// In bytes.
    pub(crate) size: u64,
}

/// An extended attribute (xattr(7)); POSIX ACLs are those named `system.posix_acl_access` and `system.posix_acl_default`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attribute {
    pub(crate) name: Subject,
    /// Base64 (RFC 4648) of the value.
    pub(crate) value: String,
}

impl Entry {
    /// An entry of which nothing but the kind is known yet.
    pub(crate) fn new(path: &Path, kind: Kind) -> Self {
        Self {
            path: Subject::from(path),
            kind,
            mode: None,
            uid: None,
            gid: None,
            mtime: None,
            size: None,
            sha256: None,
            pieces: Vec::new(),
            sparse: false,
            same_as: None,
            target: None,
            complete: false,
            xattrs: Vec::new(),
            changed_while_read: false,
        }
    }

    /// The mode as a number.
    pub(crate) fn bits(&self) -> Option<u32> {
        self.mode.as_deref().and_then(|mode| u32::from_str_radix(mode, 8).ok()).filter(|mode| *mode <= 0o7777)
    }

    /// The time in seconds since 1970 and nanoseconds.
    pub(crate) fn time(&self) -> Option<(i64, i64)> {
        let (seconds, nanos) = self.mtime.as_deref()?.split_once('.').filter(|(_, nanos)| nanos.len() == 9)?;
        Some((seconds.parse().ok()?, nanos.parse::<u32>().ok()?.into()))
    }

    /// The addresses of the contents that a file is made of.
    pub(crate) fn contents(&self) -> impl Iterator<Item = Address> + '_ {
        self.sha256.into_iter().chain(self.pieces.iter().filter_map(|piece| piece.sha256))
    }
}

/// A whole snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) header: Header,
    pub(crate) entries: Vec<Entry>,
}

impl Manifest {
    /// The entry of a path.
    pub(crate) fn at(&self, path: &Path) -> Option<&Entry> {
        self.entries.binary_search_by(|entry| entry.path.as_path().cmp(path)).ok().map(|at| &self.entries[at])
    }
}

impl Manifest {
    /// What is at and below these paths; all where there is none.
    ///
    /// # Errors
    /// Nothing is at one.
    pub(crate) fn below(&self, paths: &[PathBuf]) -> anyhow::Result<Vec<&Entry>> {
        for path in paths {
            let is_there = self.entries.iter().any(|entry| entry.path.as_path().starts_with(path));
            anyhow::ensure!(is_there, "the snapshot {} holds nothing at {}", self.header.id, shown(path));
        }
        let is_meant = |entry: &&Entry| paths.is_empty() || paths.iter().any(|path| entry.path.as_path().starts_with(path));
        Ok(self.entries.iter().filter(is_meant).collect())
    }

    /// Leaves only that.
    pub(crate) fn narrow(&mut self, paths: &[PathBuf]) {
        self.entries.retain(|entry| paths.is_empty() || paths.iter().any(|path| entry.path.as_path().starts_with(path)));
    }
}

impl Header {
    /// The version that is written. Readers refuse a newer one: what they do not know they would not restore.
    pub(crate) const VERSION: u64 = 1;

    /// The root that a path is in; of several the innermost.
    pub(crate) fn root_of(&self, path: &Path) -> Option<&Root> {
        let around = self.roots.iter().filter(|root| path.starts_with(root.path.as_path()));
        around.max_by_key(|root| root.path.as_path().as_os_str().len())
    }

    /// What anybody may know of a sealed snapshot.
    pub(crate) fn opened(&self) -> Self {
        let roots_sha256 = Some(self.hash_of_roots());
        Self {
            roots: Vec::new(),
            excluded: Vec::new(),
            above: Vec::new(),
            git: Vec::new(),
            pythons: Vec::new(),
            roots_sha256,
            ..self.clone()
        }
    }

    /// What tells snapshots of other paths apart without the paths.
    pub(crate) fn hash_of_roots(&self) -> Address {
        let paths = self.roots.iter().map(|root| root.path.as_path().as_os_str().as_encoded_bytes());
        Address::of(&paths.collect::<Vec<_>>().join(&0))
    }
}
