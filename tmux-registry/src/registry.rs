//! A registry as a file that others write, too: locked as they lock it, read until it is whole, rewritten in place behind a copy.
//!
//! The file is never exchanged for another: who waits for its lock would then hold the lock of a file that nobody reads.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use chrono::Utc;
use contract::lock::{self, Mode};
use contract::path::shown;
use contract::{replace, signal};

use crate::document;

/// How long a text that is torn is read again: some writers take no lock, and empty the file before they write.
const TORN: Duration = Duration::from_millis(1500);
/// In bytes; a larger file is no registry.
const LARGEST: u64 = 1 << 30;
/// As many copies are kept beside a registry.
const COPIES: usize = 5;

/// It cannot be read as a registry, and not because somebody is at it.
#[derive(Debug)]
pub(crate) struct Corrupt {
    why: String,
    /// A part of it is missing, or a part of an older text is left behind it: a write broke off. Anything else somebody has written so.
    pub(crate) is_torn: bool,
}

impl std::fmt::Display for Corrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Corrupt {}

/// Somebody wrote to it, without its lock, while it was judged.
#[derive(Debug)]
pub(crate) struct Changed;

impl std::fmt::Display for Changed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("somebody wrote to it without its lock at the same time; try again")
    }
}

impl std::error::Error for Changed {}

/// The code of the record that says why a registry was not read or mended.
pub(crate) fn code(why: &anyhow::Error) -> &'static str {
    if why.is::<lock::Held>() { "lock.held" } else { "registry.unreadable" }
}

/// A registry that nobody else writes who locks it.
pub(crate) struct Held {
    file: File,
    pub(crate) path: PathBuf,
    since: Instant,
}

/// Reads a whole registry, with others.
///
/// # Errors
/// [`Corrupt`], [`lock::Held`], or it cannot be read.
pub(crate) fn read(path: &Path, patience: Duration) -> anyhow::Result<String> {
    whole(path, || {
        let held = open(path, Mode::Shared, patience)?;
        held.text()
    })
}

/// Reads a whole registry, with others, while somebody waits for us: what is torn is not read again.
///
/// # Errors
/// As [`read`].
pub(crate) fn glance(path: &Path, patience: Duration) -> anyhow::Result<String> {
    open(path, Mode::Shared, patience)?.text()
}

/// Locks a registry for ourselves, and reads it whole.
///
/// # Errors
/// [`Corrupt`], [`lock::Held`], or it cannot be read.
pub(crate) fn hold_whole(path: &Path, patience: Duration) -> anyhow::Result<(Held, String)> {
    whole(path, || {
        let held = hold(path, patience)?;
        let text = held.text()?;
        Ok((held, text))
    })
}

/// Locks a registry for ourselves, whatever is in it.
///
/// # Errors
/// [`lock::Held`], or it cannot be opened.
pub(crate) fn hold(path: &Path, patience: Duration) -> anyhow::Result<Held> {
    open(path, Mode::Exclusive, patience)
}

fn open(path: &Path, mode: Mode, patience: Duration) -> anyhow::Result<Held> {
    loop {
        let is_file = path.metadata().with_context(|| format!("cannot open {}", shown(path)))?.is_file();
        anyhow::ensure!(is_file, "{} is no file", shown(path));
        let file = OpenOptions::new()
            .read(true)
            .write(mode == Mode::Exclusive)
            .open(path)
            .with_context(|| format!("cannot open {}", shown(path)))?;
        lock::file(&file, path, mode, patience)?;
        let (meta, there) = (file.metadata()?, path.metadata().with_context(|| format!("cannot look at {}", shown(path)))?);
        anyhow::ensure!(meta.is_file() && meta.len() <= LARGEST, "{} is no registry", shown(path));
        // Whoever replaces the file instead of writing it leaves the waiting with the old one.
        if (meta.dev(), meta.ino()) == (there.dev(), there.ino()) {
            return Ok(Held { file, path: path.to_owned(), since: Instant::now() });
        }
    }
}

/// Whether it cannot be read since a write broke off, or goes on.
pub(crate) fn is_torn_by_a_write(e: &anyhow::Error) -> bool {
    e.downcast_ref::<Corrupt>().is_some_and(|corrupt| corrupt.is_torn)
}

/// Registries that were waited for until there was no more hope, and have not been whole since: they are not waited for again.
static HOPELESS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Reads again what is torn, with pauses in which no lock is held.
fn whole<T>(path: &Path, read: impl Fn() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let hopeless = || HOPELESS.lock().unwrap_or_else(PoisonError::into_inner);
    let patience = if hopeless().contains(path) { Duration::ZERO } else { TORN };
    let (deadline, mut pause) = (Instant::now() + patience, Duration::from_millis(10));
    loop {
        match read() {
            Err(e) if is_torn_by_a_write(&e) && Instant::now() < deadline && !signal::interrupted() => {
                thread::sleep(pause.min(deadline.saturating_duration_since(Instant::now())));
                pause *= 2;
            }
            Err(e) if is_torn_by_a_write(&e) => {
                hopeless().insert(path.to_owned());
                return Err(e);
            }
            read => {
                hopeless().remove(path);
                return read;
            }
        }
    }
}

impl Held {
    /// What is in it.
    ///
    /// # Errors
    /// [`Corrupt`], or it cannot be read.
    pub(crate) fn text(&self) -> anyhow::Result<String> {
        let mut bytes = Vec::new();
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))
            .and_then(|_| file.read_to_end(&mut bytes))
            .with_context(|| format!("cannot read {}", shown(&self.path)))?;
        let is_torn = is_torn(&bytes);
        parsed(bytes).map_err(|why| Corrupt { why: format!("{}: {why:#}", shown(&self.path)), is_torn }.into())
    }

    /// Writes another text in its place, behind a copy of what there was, and reads it back; returns the copy.
    ///
    /// # Errors
    /// It cannot be written; what there was is there again, or is in the copy, which the error names.
    pub(crate) fn write(&mut self, old: &[u8], new: &str) -> anyhow::Result<PathBuf> {
        let copy = self.copy(old)?;
        // As late as can be: there are writers that take no lock, and some that put another file in its place.
        if !self.is_in_place()? || fs::read(&self.path).ok().as_deref() != Some(old) {
            drop(fs::remove_file(&copy));
            return Err(Changed.into());
        }
        let written = self.put(new.as_bytes()).and_then(|()| Ok(fs::read(&self.path)? == new.as_bytes()));
        match written {
            Ok(true) => {}
            Ok(false) => anyhow::bail!("{} is other than what was written to it; what there was is in {}", shown(&self.path), shown(&copy)),
            Err(e) => {
                let back =
                    self.put(old).map_or_else(|_| format!("what there was is in {}", shown(&copy)), |()| "it is as it was".to_owned());
                return Err(e.context(format!("cannot write {}; {back}", shown(&self.path))));
            }
        }
        self.forget_old_copies(&copy);
        Ok(copy)
    }

    /// Whether the path still leads to this file.
    fn is_in_place(&self) -> anyhow::Result<bool> {
        let (meta, there) = (self.file.metadata()?, self.path.metadata().with_context(|| format!("cannot look at {}", shown(&self.path)))?);
        Ok((meta.dev(), meta.ino()) == (there.dev(), there.ino()))
    }

    fn put(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(bytes)?;
        self.file.set_len(bytes.len() as u64)?;
        Ok(self.file.sync_all()?)
    }

    fn copy(&self, old: &[u8]) -> anyhow::Result<PathBuf> {
        let mode = self.file.metadata()?.mode() & 0o777;
        loop {
            let real = real(&self.path);
            let copy = real.with_file_name(format!("{}{}", copies_of(&real)?, stamp()));
            let mut file = match OpenOptions::new().write(true).create_new(true).mode(mode).open(&copy) {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => continue,
                file => file.with_context(|| format!("cannot make the copy {}", shown(&copy)))?,
            };
            let written = file.write_all(old).and_then(|()| file.sync_all()).inspect_err(|_| drop(fs::remove_file(&copy)));
            written.with_context(|| format!("cannot write the copy {}", shown(&copy)))?;
            replace::sync_folder(real.parent().context("a registry is in a folder")?)?;
            return Ok(copy);
        }
    }

    /// Copies that are no more needed cost room, and nothing else.
    fn forget_old_copies(&self, new: &Path) {
        let copies = copies(&self.path).unwrap_or_default();
        let ours = copies.iter().filter(|copy| is_our_copy(copy) && *copy != new);
        for copy in ours.skip(COPIES - 1) {
            drop(fs::remove_file(copy));
        }
    }

    /// For how long it has been locked.
    pub(crate) fn since(&self) -> Duration {
        self.since.elapsed()
    }
}

/// What can be had of a torn registry, and where it is from.
///
/// # Errors
/// Nothing.
pub(crate) fn remains(path: &Path) -> anyhow::Result<(String, String)> {
    if let Some(text) = fs::read(path).ok().and_then(|bytes| beginning(&bytes)) {
        return Ok(("what stands before the rest of an older one".to_owned(), text));
    }
    newest_copy(path).map(|(copy, text)| (format!("the copy {}", shown(&copy)), text))
}

/// The registry at the beginning of a text that goes on after it: who wrote a shorter one over it died before they cut off the rest.
fn beginning(bytes: &[u8]) -> Option<String> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<serde::de::IgnoredAny>();
    values.next()?.ok()?;
    parsed(bytes[..values.byte_offset()].to_vec()).ok()
}

/// Whether a text ends before its end, or goes on after it.
fn is_torn(bytes: &[u8]) -> bool {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<serde::de::IgnoredAny>();
    match values.next() {
        None => true,
        Some(Err(e)) => e.is_eof(),
        Some(Ok(_)) => values.next().is_some_and(|rest| rest.is_err()),
    }
}

fn parsed(bytes: Vec<u8>) -> anyhow::Result<String> {
    anyhow::ensure!(!bytes.is_empty(), "it is empty");
    let text = String::from_utf8(bytes).context("it is not UTF-8")?;
    document::top(&text)?;
    Ok(text)
}

/// The bytes of a registry, whatever they are.
pub(crate) fn bytes(held: &Held) -> anyhow::Result<Vec<u8>> {
    fs::read(&held.path).with_context(|| format!("cannot read {}", shown(&held.path)))
}

/// Where a registry is; what goes with it is beside it, and not beside a link to it.
pub(crate) fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn copies_of(path: &Path) -> anyhow::Result<String> {
    Ok(format!("{}.backup_", path.file_name().context("a registry has a name")?.to_string_lossy()))
}

fn stamp() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    format!("{}-{:04x}", Utc::now().format("%Y%m%d_%H%M%S"), RandomState::new().hash_one(0) & 0xffff)
}

/// Whether a copy has a name as we give it: `….backup_YYYYMMDD_HHMMSS-xxxx`.
fn is_our_copy(copy: &Path) -> bool {
    let name = copy.file_name().unwrap_or_default().to_string_lossy();
    let stamp = name.rsplit_once(".backup_").map_or("", |(_, stamp)| stamp);
    let shape: String = stamp.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape.len() == 20 && shape.starts_with("00000000_000000-") && stamp[16..].chars().all(|c| c.is_ascii_hexdigit())
}

/// The copies beside a registry, newest first, those of other tools included. Those that say to be of the future are of no known time, and
/// come last.
fn copies(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let path = &real(path);
    let (folder, begin) = (path.parent().context("a registry is in a folder")?, copies_of(path)?);
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", shown(folder)))?;
    let mut copies: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&begin)))
        .collect();
    let now = SystemTime::now() + Duration::from_mins(1);
    let modified = |copy: &PathBuf| copy.metadata().and_then(|meta| meta.modified()).ok().filter(|modified| *modified <= now);
    copies.sort_by_cached_key(|copy| std::cmp::Reverse((modified(copy), copy.clone())));
    Ok(copies)
}

/// The newest copy of a registry that is one, and what is in it.
fn newest_copy(path: &Path) -> anyhow::Result<(PathBuf, String)> {
    let text = |copy: &Path| fs::read(copy).ok().and_then(|bytes| parsed(bytes).ok());
    // Whatever is no file, such as a pipe that nobody writes to, need not end.
    let whole = |copy: PathBuf| copy.metadata().is_ok_and(|meta| meta.is_file()).then(|| text(&copy)).flatten().map(|text| (copy, text));
    copies(path)?.into_iter().find_map(whole).with_context(|| format!("there is no copy of {} that can be read", shown(path)))
}
