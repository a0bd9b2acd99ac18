//! Where a restore works: folders that are reached without following a single link, and names in them.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use contract::path::shown;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, Stat, chmodat, fstat, fsync, openat, renameat, renameat_with, stat, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

use crate::store::manifest::Kind;

/// As many folders are kept open, below what any system allows a process.
const OPEN: usize = 100;

/// Folders by their paths, opened one component at a time, each only if it is a folder and no link: a link that somebody puts on the way
/// between plan and write stops the restore and leads it nowhere.
#[derive(Default)]
pub(crate) struct Ground(Mutex<HashMap<PathBuf, Arc<OwnedFd>>>);

/// A folder that is open.
pub(crate) type Folder = Arc<OwnedFd>;

#[cfg(target_os = "linux")]
const WALK: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const WALK: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Ground {
    /// Opens the folder at an absolute path.
    ///
    /// # Errors
    /// It or a folder above it is missing or no folder (`ENOENT`: then nothing is below it), or a link (`ENOTDIR` or `ELOOP`).
    pub(crate) fn folder(&self, path: &Path) -> io::Result<Folder> {
        if let Some(open) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(path) {
            return Ok(Arc::clone(open));
        }
        let folder = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => {
                let parent = self.folder(parent)?;
                match openat(&*parent, name, WALK, Mode::empty()) {
                    Err(Errno::NOTDIR) if at(&parent, name)?.is_some_and(|live| live.kind != Kind::Link) => return Err(Errno::NOENT.into()),
                    opened => opened?,
                }
            }
            _ => openat(CWD, "/", WALK, Mode::empty())?,
        };
        let folder = Arc::new(folder);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= OPEN {
            open.clear();
        }
        open.insert(path.to_owned(), Arc::clone(&folder));
        Ok(folder)
    }

    /// The folder that a path is in, and its name there.
    ///
    /// # Errors
    /// As [`Ground::folder`], with the path in words.
    pub(crate) fn place<'p>(&self, path: &'p Path) -> anyhow::Result<(Folder, &'p OsStr)> {
        let (parent, name) = path.parent().zip(path.file_name()).with_context(|| format!("{} has no name", shown(path)))?;
        let folder = self.folder(parent).with_context(|| format!("cannot reach the folder {} without following a link", shown(parent)))?;
        Ok((folder, name))
    }

    /// What stands at a path, a link not followed; `None` where nothing does, or the folder is missing.
    ///
    /// # Errors
    /// A folder above it is a link or no folder, or may not be entered.
    pub(crate) fn live(&self, path: &Path) -> anyhow::Result<Option<Live>> {
        let looked = || -> io::Result<Option<Live>> {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(io::ErrorKind::InvalidInput.into()) };
            match self.folder(parent) {
                Ok(folder) => at(&folder, name),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(e) => Err(e),
            }
        };
        looked().with_context(|| format!("cannot look at {} without following a link", shown(path)))
    }

    /// Whether the folder that a path is in is there, and no link on the way to it.
    pub(crate) fn is_reached(&self, path: &Path) -> bool {
        path.parent().is_some_and(|parent| self.folder(parent).is_ok())
    }

    /// Forgets what is open: folders have been exchanged for others.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A file or folder behind its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) dev: u64,
    ino: u64,
}

impl Identity {
    /// Of what is at a path, links followed.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        Ok(Live::of(&stat(path)?).identity)
    }

    /// Whether two are of the same file, if they are of the same file system: the number of a device is another one after each mount.
    pub(crate) fn is_same(self, other: Self) -> bool {
        self.ino == other.ino
    }
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) kind: Kind,
    pub(crate) identity: Identity,
    pub(crate) size: u64,
    /// How many names it has.
    pub(crate) names: u64,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds since 1970 and nanoseconds.
    pub(crate) mtime: (i64, i64),
    pub(crate) ctime: (i64, i64),
}

impl Live {
    fn of(stat: &Stat) -> Self {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Folder,
            FileType::Symlink => Kind::Link,
            _ => Kind::Special,
        };
        #[expect(clippy::unnecessary_cast, clippy::cast_possible_wrap, reason = "the types of these fields differ between systems")]
        Self {
            kind,
            identity: Identity { dev: stat.st_dev as u64, ino: stat.st_ino as u64 },
            size: u64::try_from(stat.st_size).unwrap_or(0),
            names: stat.st_nlink as u64,
            mode: (stat.st_mode as u32) & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctime: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }

    /// Whether a file is the one that was looked at before, with nothing written to it since. A folder's time changes with its entries.
    pub(crate) fn is_still(&self, before: &Self) -> bool {
        self.kind == before.kind
            && self.identity == before.identity
            && (self.kind == Kind::Folder || (self.size, self.mtime) == (before.size, before.mtime))
    }

    /// Whether nothing at all was done to it since, not even behind its old time. What was renamed does not pass; and a file with more
    /// names is not asked, since one that it gets or loses shows, too.
    pub(crate) fn is_untouched_since(&self, before: &Self) -> bool {
        self.is_still(before) && (self.kind == Kind::Folder || before.names > 1 || self.ctime == before.ctime)
    }
}

/// When an open folder was made, where the file system says so (statx(2), `STATX_BTIME`): seconds since 1970 and nanoseconds.
pub(crate) fn born(folder: &OwnedFd) -> Option<(i64, i64)> {
    let made = File::from(folder.try_clone().ok()?).metadata().ok()?.created().ok()?;
    let since = made.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some((i64::try_from(since.as_secs()).ok()?, since.subsec_nanos().into()))
}

/// What is open.
pub(crate) fn open(file: impl AsFd) -> io::Result<Live> {
    Ok(Live::of(&fstat(file)?))
}

/// What stands at a name in a folder.
pub(crate) fn at(folder: &OwnedFd, name: &OsStr) -> io::Result<Option<Live>> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(Live::of(&stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Whether two open folders are one.
pub(crate) fn is_same(a: &OwnedFd, b: &OwnedFd) -> io::Result<bool> {
    Ok(Live::of(&fstat(a)?).identity == Live::of(&fstat(b)?).identity)
}

/// Exchanges two names of a folder in one step, where the file system can; says whether it could.
pub(crate) fn exchange(folder: &OwnedFd, a: &OsStr, b: &OsStr) -> io::Result<bool> {
    match renameat_with(folder, a, folder, b, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Renames within a folder and never replaces anything.
pub(crate) fn rename(folder: &OwnedFd, from: &OsStr, to: &OsStr) -> io::Result<()> {
    match renameat_with(folder, from, folder, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match at(folder, to)? {
            None => Ok(renameat(folder, from, folder, to)?),
            Some(_) => Err(Errno::EXIST.into()),
        },
        renamed => Ok(renamed?),
    }
}

/// Removes what stands at a name, whole trees included, following no link. The folders in a tree come up to its top before they go, so
/// that no depth takes more open files than a process may have.
pub(crate) fn remove(folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match at(folder, name)? {
        None => return Ok(()),
        Some(live) if live.kind != Kind::Folder => return unlink(folder, name, AtFlags::empty()),
        Some(_) => {}
    }
    let top = opened_up(folder, name)?;
    let mut pending = names(&top)?;
    let mut number = 0_u64;
    while let Some(child) = pending.pop() {
        if !is_folder(&top, &child)? {
            unlink(&top, &child, AtFlags::empty())?;
            continue;
        }
        let within = opened_up(&top, &child)?;
        for grandchild in names(&within)? {
            if !is_folder(&within, &grandchild)? {
                unlink(&within, &grandchild, AtFlags::empty())?;
                continue;
            }
            // A folder that may not be written to may not be moved either.
            opened_up(&within, &grandchild)?;
            let mut free = OsString::from(number.to_string());
            while at(&top, &free)?.is_some() {
                number += 1;
                free = OsString::from(number.to_string());
            }
            renameat(&within, &grandchild, &top, &free)?;
            pending.push(free);
        }
        unlink(&top, &child, AtFlags::REMOVEDIR)?;
    }
    unlink(folder, name, AtFlags::REMOVEDIR)
}

fn is_folder(folder: &OwnedFd, name: &OsStr) -> io::Result<bool> {
    Ok(at(folder, name)?.is_some_and(|live| live.kind == Kind::Folder))
}

fn unlink(folder: &OwnedFd, name: &OsStr, flags: AtFlags) -> io::Result<()> {
    match unlinkat(folder, name, flags) {
        Err(Errno::NOENT) => Ok(()),
        removed => Ok(removed?),
    }
}

/// Opens a folder that is to go, after its owner has got every right to it back; root needs none, and must not give a folder that
/// somebody puts a link to another mode.
fn opened_up(folder: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
    if !geteuid().is_root() && at(folder, name)?.is_some_and(|live| live.kind == Kind::Folder && live.mode & 0o700 != 0o700) {
        chmodat(folder, name, Mode::RWXU, AtFlags::empty())?;
    }
    Ok(openat(folder, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?)
}

/// The names in an open folder.
pub(crate) fn names(folder: &OwnedFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(folder)? {
        let entry = entry?;
        let name = <OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// Makes the names of a folder durable.
pub(crate) fn sync(folder: &OwnedFd) -> io::Result<()> {
    match fsync(&reopened(folder)?) {
        // A file system that keeps nothing has nothing to make durable.
        Err(Errno::INVAL) => Ok(()),
        synced => Ok(synced?),
    }
}

/// Makes everything durable that was written to the file system of a folder.
pub(crate) fn sync_all(folder: &OwnedFd) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return Ok(rustix::fs::syncfs(&reopened(folder)?)?);
    #[cfg(not(target_os = "linux"))]
    return sync(folder);
}

fn reopened(folder: &OwnedFd) -> io::Result<File> {
    Ok(openat(folder, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_link_is_followed_anywhere_on_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        fs::create_dir_all(top.join("real/deep")).unwrap();
        symlink("real", top.join("way")).unwrap();
        let ground = Ground::default();
        assert!(ground.folder(&top.join("real/deep")).is_ok());
        assert!(ground.folder(&top.join("way/deep")).is_err() && ground.folder(&top.join("way")).is_err());
        assert_eq!(ground.live(&top.join("way")).unwrap().unwrap().kind, Kind::Link);
        assert!(ground.live(&top.join("gone/x")).unwrap().is_none());
        File::create(top.join("file")).unwrap();
        assert!(ground.live(&top.join("file/x")).unwrap().is_none() && ground.live(&top.join("way/x")).is_err());
    }

    #[test]
    fn a_tree_is_removed_and_what_its_links_lead_to_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        fs::create_dir_all(top.join("tree/a/b")).unwrap();
        fs::create_dir(top.join("outside")).unwrap();
        File::create(top.join("outside/kept")).unwrap();
        symlink("../../outside", top.join("tree/a/link")).unwrap();
        remove(&Ground::default().folder(&top).unwrap(), OsStr::new("tree")).unwrap();
        assert!(!top.join("tree").exists() && top.join("outside/kept").exists());
    }
}
