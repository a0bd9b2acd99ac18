//! Manifests: one snapshot each, as zstd-compressed JSON lines: a header, the entries sorted by path (component by component), and a last line with the hash of all before.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

use anyhow::Context as _;
use contract::path::{Subject, shown};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::store::address::Address;
use crate::store::seal::{Identities, SEALED};

/// The version that is written. Readers refuse a newer one: what they do not know they would not restore.
const VERSION: u64 = 1;
/// What the name of a manifest ends in.
pub(crate) const SUFFIX: &str = ".jsonl.zst";
/// A manifest is held in memory; a larger one is no manifest of ours.
const LARGEST: u64 = 2 << 30;
const LEVEL: i32 = 1;
/// No system call takes a longer path (`PATH_MAX` of Linux), so that none was ever read.
const LONGEST: usize = 4096;

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    pub(crate) name: String,
    /// Base64 (RFC 4648) of the value.
    pub(crate) value: String,
}

#[derive(Serialize, Deserialize)]
struct End {
    sha256: Address,
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

    fn is_another_name_of(&self, first: &Self) -> bool {
        let content = |entry: &Self| (entry.kind, entry.size, entry.sha256, entry.pieces.clone());
        first.kind == Kind::File && first.same_as.is_none() && content(self) == content(first)
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
    /// The bytes of the file.
    ///
    /// # Errors
    /// It is one that nobody would read again.
    pub(crate) fn render(&self) -> anyhow::Result<Vec<u8>> {
        self.check()?;
        let mut text = Vec::with_capacity(1024 + self.entries.len() * 256);
        line(&mut text, &self.header)?;
        let rendered = self.entries.par_chunks(1024).map(lines).collect::<anyhow::Result<Vec<_>>>()?;
        text.extend(rendered.into_iter().flatten());
        let sha256 = Address::of(&text);
        line(&mut text, &End { sha256 })?;
        zstd::bulk::compress(&text, LEVEL).context("cannot compress a manifest")
    }

    /// Reads and checks one.
    ///
    /// # Errors
    /// It cannot be read, is damaged, of a newer version, or names paths that no snapshot has.
    pub(crate) fn read(path: &Path, identities: &Identities) -> anyhow::Result<Self> {
        let read = || {
            let mut text = Vec::new();
            if is_sealed(path) {
                zstd::Decoder::new(identities.open(path)?)?.take(LARGEST).read_to_end(&mut text)?;
            } else {
                zstd::Decoder::new(File::open(path)?)?.take(LARGEST).read_to_end(&mut text)?;
            }
            Self::parse(&text)
        };
        read().with_context(|| format!("cannot read the manifest {}", shown(path)))
    }

    /// The entry of a path.
    pub(crate) fn at(&self, path: &Path) -> Option<&Entry> {
        self.entries.binary_search_by(|entry| entry.path.as_path().cmp(path)).ok().map(|at| &self.entries[at])
    }

    fn parse(text: &[u8]) -> anyhow::Result<Self> {
        let body = text.strip_suffix(b"\n").context("its end is missing")?;
        let last = body.iter().rposition(|byte| *byte == b'\n').context("it is one line")? + 1;
        let end: End = serde_json::from_slice(&body[last..]).context("its last line is no hash")?;
        anyhow::ensure!(Address::of(&text[..last]) == end.sha256, "it is damaged: its hash is another");
        let first = text.iter().position(|byte| *byte == b'\n').context("it is empty")? + 1;
        let header = header(&text[..first])?;
        let lines: Vec<&[u8]> = text[first..last].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let entry =
            |(number, line): (usize, &&[u8])| serde_json::from_slice(line).with_context(|| format!("line {} is no entry", number + 2));
        let entries = lines.par_iter().enumerate().map(entry).collect::<anyhow::Result<Vec<Entry>>>()?;
        let manifest = Self { header, entries };
        manifest.check()?;
        Ok(manifest)
    }

    /// A manifest can have been made by somebody who wants a restore to write where it should not.
    fn check(&self) -> anyhow::Result<()> {
        for root in &self.header.roots {
            anyhow::ensure!(is_plain(root.path.as_path()), "the root {} is no plain absolute path", root.path);
            anyhow::ensure!(is_plain(root.real.as_path()), "the root {} is no plain absolute path", root.real);
        }
        for entry in &self.header.above {
            anyhow::ensure!(is_plain(entry.path.as_path()), "{} is no plain absolute path", entry.path);
        }
        let (count, said) = (self.entries.len() as u64, self.header.entries);
        anyhow::ensure!(count == said, "it says that it has {said} entries and has {count}");
        let roots: HashSet<&Path> = self.header.roots.iter().map(|root| root.path.as_path()).collect();
        let mut before: Vec<&Entry> = Vec::new();
        let mut last: Option<&Path> = None;
        for entry in &self.entries {
            let path = entry.path.as_path();
            anyhow::ensure!(is_plain(path), "{} is no plain absolute path", entry.path);
            anyhow::ensure!(last.is_none_or(|last| last < path), "{} is out of order or stands twice", entry.path);
            last = Some(path);
            while before.last().is_some_and(|parent| !path.starts_with(parent.path.as_path())) {
                before.pop();
            }
            let parent = before.last();
            anyhow::ensure!(parent.is_none_or(|parent| parent.kind == Kind::Folder), "{} is below what is no folder", entry.path);
            // A root may lie in another one, below what is left out there or was not there.
            let is_in_folder = parent.is_some_and(|parent| path.parent() == Some(parent.path.as_path()));
            anyhow::ensure!(is_in_folder || roots.contains(path), "{} is beneath no root and no folder", entry.path);
            if let Some(same) = &entry.same_as {
                let first = self.at(same.as_path());
                anyhow::ensure!(
                    first.is_some_and(|first| first.path.as_path() < path && entry.is_another_name_of(first)),
                    "{} claims to be the same file as {same}, which is no such file before it",
                    entry.path
                );
            }
            if entry.kind == Kind::File {
                let sum: Option<u64> = entry.pieces.iter().try_fold(0, |sum: u64, piece| sum.checked_add(piece.size));
                let fits = if entry.sha256.is_some() { entry.pieces.is_empty() } else { sum == entry.size };
                anyhow::ensure!(entry.size.is_some() && fits, "the file {} has no content", entry.path);
            }
            let stood = matches!(entry.kind, Kind::File | Kind::Folder | Kind::Link);
            let known = entry.bits().is_some() && entry.time().is_some() && entry.uid.is_some() && entry.gid.is_some();
            anyhow::ensure!(known || !stood, "it does not say mode, owner and time of {}", entry.path);
            anyhow::ensure!(entry.kind != Kind::Link || entry.target.is_some(), "the link {} leads nowhere", entry.path);
            before.push(entry);
        }
        Ok(())
    }
}

/// Reads the header alone.
///
/// # Errors
/// As [`Manifest::read`], as far as the first line shows it.
pub(crate) fn read_header(path: &Path) -> anyhow::Result<Header> {
    let read = || {
        if is_sealed(path) {
            return header(&fs::read(open_header(path))?);
        }
        let mut first = Vec::new();
        BufReader::new(zstd::Decoder::new(File::open(path)?)?).take(64 << 20).read_until(b'\n', &mut first)?;
        header(first.strip_suffix(b"\n").context("its first line is torn")?)
    };
    read().with_context(|| format!("cannot read the manifest {}", shown(path)))
}

/// Absolute, and every component a name: what a restore may be led by.
pub(crate) fn is_plain(path: &Path) -> bool {
    let mut components = path.components();
    let rooted = components.next() == Some(Component::RootDir);
    let spelled: PathBuf = path.components().collect();
    let bytes = path.as_os_str().as_encoded_bytes();
    rooted
        && bytes.len() < LONGEST
        && path.file_name().is_some()
        && components.all(|component| matches!(component, Component::Normal(_)))
        && spelled.as_os_str() == path.as_os_str()
        && !bytes.contains(&0)
}

fn header(line: &[u8]) -> anyhow::Result<Header> {
    #[derive(Deserialize)]
    struct Version {
        v: u64,
    }
    let Version { v } = serde_json::from_slice(line).context("its first line is no header")?;
    anyhow::ensure!(v <= VERSION, "it is of a newer snapshot (version {v}); use that one");
    serde_json::from_slice(line).context("its first line is no header")
}

fn lines(entries: &[Entry]) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(entries.len() * 256);
    entries.iter().try_for_each(|entry| line(&mut text, entry)).map(|()| text)
}

fn line<T: Serialize>(text: &mut Vec<u8>, value: &T) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *text, value).context("cannot render a manifest")?;
    text.write_all(b"\n").context("cannot render a manifest")
}

/// The manifests of a folder by id, in no order.
///
/// # Errors
/// The folder cannot be listed.
pub(crate) fn ids(folder: &Path) -> anyhow::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).with_context(|| format!("cannot list {}", shown(folder))),
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.strip_suffix(SEALED).unwrap_or(&name).strip_suffix(SUFFIX).map(str::to_owned)).collect())
}

fn is_sealed(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(SEALED.as_bytes())
}

/// Beside a sealed manifest: what anybody may know of it.
pub(crate) fn open_header(sealed: &Path) -> PathBuf {
    let name = sealed.file_name().unwrap_or_default().to_string_lossy();
    sealed.with_file_name(name.replacen(&format!("{SUFFIX}{SEALED}"), ".header.json", 1))
}

impl Header {
    pub(crate) const VERSION: u64 = VERSION;

    /// What anybody may know of a sealed snapshot.
    pub(crate) fn opened(&self) -> Self {
        Self { roots: Vec::new(), excluded: Vec::new(), above: Vec::new(), git: Vec::new(), pythons: Vec::new(), ..self.clone() }
    }
}
