//! A second tree of the same files, so that installers can work on it and the first stays as it is, whatever is written to the second.
//! Only what has further names elsewhere (uv links files from its cache) gets one more: it was shared before, and a copy would cost the room.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, FileTimes, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;
use rustix::fs::{Gid, Uid, XattrFlags, fchown, fsetxattr, getxattr, getxattr_query, listxattr, listxattr_query};
use rustix::io::Errno;

/// Makes `to`, which is not there yet, a clone of what is at `from`. Returns what has none: sockets, pipes and devices.
///
/// # Errors
/// Anything cannot be read or made; what was made so far stays for the caller to remove.
pub(crate) fn make(from: &Path, to: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut plan = Plan::default();
    plan.entry(from, to)?;
    plan.files()?;
    // Inner ones first and after all files, since a mode may forbid what came before, and what comes changes the time.
    plan.folders.iter().rev().try_for_each(|(model, folder, meta)| {
        File::open(folder)
            .and_then(|opened| give(&opened, model, meta))
            .with_context(|| format!("cannot set owner, mode and times of {}", shown(folder)))
    })?;
    Ok(plan.special)
}

/// Gives a new file what the one that it replaces has besides content and mode: owner and extended attributes.
pub(crate) fn adopt(replaced: &Path, new: &File) -> io::Result<()> {
    let Ok(meta) = replaced.symlink_metadata() else { return Ok(()) };
    if meta.is_file() {
        give_owner(new, &meta)?;
        // As `cp -a`: what the file system does not take is left.
        let _ = copy_attributes(replaced, new);
    }
    Ok(())
}

/// An owner that we may not give is left, as `cp -a` leaves it.
fn give_owner(file: &File, meta: &Metadata) -> io::Result<()> {
    let made = file.metadata()?;
    if (made.uid(), made.gid()) == (meta.uid(), meta.gid()) {
        return Ok(());
    }
    match fchown(file, Some(Uid::from_raw(meta.uid())), Some(Gid::from_raw(meta.gid()))) {
        Err(Errno::PERM) | Ok(()) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Owner, extended attributes, mode and times.
fn give(folder: &File, model: &Path, meta: &Metadata) -> io::Result<()> {
    give_owner(folder, meta)?;
    // As `cp -a`: what the file system does not take is left.
    let _ = copy_attributes(model, folder);
    folder.set_permissions(Permissions::from_mode(meta.mode() & 0o7777))?;
    folder.set_times(FileTimes::new().set_accessed(meta.accessed()?).set_modified(meta.modified()?))
}

/// What is still to do once the folders stand.
#[derive(Default)]
struct Plan {
    folders: Vec<(PathBuf, PathBuf, Metadata)>,
    files: Vec<(PathBuf, PathBuf, Metadata)>,
    /// How many names each file has in the tree.
    names: HashMap<Inode, u64>,
    special: Vec<PathBuf>,
}

type Inode = (u64, u64);

fn inode(meta: &Metadata) -> Inode {
    (meta.dev(), meta.ino())
}

impl Plan {
    fn entry(&mut self, from: &Path, to: &Path) -> anyhow::Result<()> {
        let meta = from.symlink_metadata().with_context(|| format!("cannot read {}", shown(from)))?;
        if meta.is_dir() {
            self.folders.push((from.to_owned(), to.to_owned(), meta));
            return self.folder(from, to);
        }
        if meta.is_symlink() {
            fs::read_link(from).and_then(|target| symlink(target, to)).with_context(|| format!("cannot copy the link {}", shown(from)))?;
        } else if meta.is_file() {
            *self.names.entry(inode(&meta)).or_default() += 1;
            self.files.push((from.to_owned(), to.to_owned(), meta));
        } else {
            self.special.push(from.to_owned());
        }
        Ok(())
    }

    fn folder(&mut self, from: &Path, to: &Path) -> anyhow::Result<()> {
        DirBuilder::new().mode(0o700).create(to).with_context(|| format!("cannot make the folder {}", shown(to)))?;
        for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", shown(from)))? {
            let entry = entry.with_context(|| format!("cannot list {}", shown(from)))?;
            self.entry(&entry.path(), &to.join(entry.file_name()))?;
        }
        Ok(())
    }

    fn files(&self) -> anyhow::Result<()> {
        let mut copied: HashMap<Inode, &Path> = HashMap::new();
        for (from, to, meta) in &self.files {
            let has_names_elsewhere = self.names.get(&inode(meta)).is_some_and(|within| meta.nlink() > *within);
            let made = if has_names_elsewhere {
                link_or_copy(from, to, meta)
            } else if let Some(first) = copied.get(&inode(meta)) {
                link_or_copy(first, to, meta)
            } else {
                copied.insert(inode(meta), to);
                copy_or_link(from, to, meta)
            };
            made.with_context(|| format!("cannot clone {}", shown(from)))?;
        }
        Ok(())
    }
}

fn link_or_copy(from: &Path, to: &Path, meta: &Metadata) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(e) if cannot_link(&e) => copy(from, to, meta),
        linked => linked,
    }
}

/// Another file system below the root, a kernel that protects others' files, too many names, a file system without hard links.
fn cannot_link(e: &io::Error) -> bool {
    [Errno::XDEV, Errno::PERM, Errno::MLINK, Errno::OPNOTSUPP].iter().any(|errno| e.raw_os_error() == Some(errno.raw_os_error()))
}

/// What may not be read, or not be given to its owner, cannot be copied as it is.
fn copy_or_link(from: &Path, to: &Path, meta: &Metadata) -> io::Result<()> {
    match copy(from, to, meta) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            match fs::remove_file(to) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            fs::hard_link(from, to)
        }
        copied => copied,
    }
}

/// With owner, mode and times: Python holds the time of a source against the one in its `.pyc`.
fn copy(from: &Path, to: &Path, meta: &Metadata) -> io::Result<()> {
    // It clones the blocks where the file system can.
    fs::copy(from, to)?;
    let file = File::open(to)?;
    let made = file.metadata()?;
    if (made.uid(), made.gid()) != (meta.uid(), meta.gid()) {
        fchown(&file, Some(Uid::from_raw(meta.uid())), Some(Gid::from_raw(meta.gid())))?;
        file.set_permissions(Permissions::from_mode(meta.mode() & 0o7777))?;
    }
    // As `cp -a`: what the file system does not take is left.
    let _ = copy_attributes(from, &file);
    file.set_times(FileTimes::new().set_accessed(meta.accessed()?).set_modified(meta.modified()?))
}

/// Extended attributes, such as an interpreter's capabilities.
fn copy_attributes(from: &Path, to: &File) -> rustix::io::Result<()> {
    let mut names = vec![0; listxattr_query(from)?];
    let length = listxattr(from, &mut names[..])?;
    for name in names[..length].split(|&b| b == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; getxattr_query(from, name)?];
        let length = getxattr(from, name, &mut value[..])?;
        fsetxattr(to, name, &value[..length], XattrFlags::empty())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::replace;
    use rustix::fs::setxattr;
    use std::io::Write as _;

    fn folders() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("b"));
        fs::create_dir_all(from.join("lib/x")).unwrap();
        (folder, from, to)
    }

    /// As an editor that opens the file and cuts it.
    fn edit_in_place(path: &Path) {
        File::create(path).unwrap().write_all(b"new").unwrap();
    }

    #[test]
    fn an_edit_in_the_clone_leaves_the_first_as_it_is() {
        let (_folder, from, to) = folders();
        replace::write(&from.join("lib/x/f"), b"old").unwrap();
        symlink("lib", from.join("lib64")).unwrap();
        fs::set_permissions(from.join("lib"), Permissions::from_mode(0o550)).unwrap();
        make(&from, &to).unwrap();
        assert_eq!(to.join("lib64").read_link().unwrap(), Path::new("lib"));
        assert_eq!(to.join("lib").metadata().unwrap().mode() & 0o7777, 0o550);
        let modified = |path: &Path| path.join("lib/x").metadata().unwrap().modified().unwrap();
        assert_eq!(modified(&from), modified(&to));
        edit_in_place(&to.join("lib/x/f"));
        assert_eq!(fs::read(from.join("lib/x/f")).unwrap(), b"old");
    }

    #[test]
    fn what_was_shared_stays_shared_and_nothing_else_becomes_so() {
        let (folder, from, to) = folders();
        let cache = folder.path().join("cache");
        replace::write(&cache, b"old").unwrap();
        fs::hard_link(&cache, from.join("lib/cached")).unwrap();
        replace::write(&from.join("lib/one"), b"old").unwrap();
        fs::hard_link(from.join("lib/one"), from.join("lib/x/two")).unwrap();
        make(&from, &to).unwrap();
        let inode = |path: &Path| inode(&path.metadata().unwrap());
        assert_eq!(inode(&cache), inode(&to.join("lib/cached")));
        assert_eq!(inode(&to.join("lib/one")), inode(&to.join("lib/x/two")));
        edit_in_place(&to.join("lib/one"));
        assert_eq!(fs::read(from.join("lib/x/two")).unwrap(), b"old");
    }

    #[test]
    fn a_copy_has_the_mode_the_times_and_the_attributes() {
        let (_folder, from, to) = folders();
        let (old, new) = (from.join("lib/x/f"), to.join("lib/x/f"));
        replace::write(&old, b"old").unwrap();
        let takes_attributes = setxattr(&old, "user.origin", b"here", XattrFlags::empty()).is_ok();
        let _ = setxattr(from.join("lib/x"), "user.kept", b"too", XattrFlags::empty());
        fs::set_permissions(&old, Permissions::from_mode(0o4751)).unwrap();
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::new(86_400, 123_456_789);
        File::open(&old).unwrap().set_times(FileTimes::new().set_modified(long_ago)).unwrap();
        make(&from, &to).unwrap();
        let meta = new.metadata().unwrap();
        assert_eq!((meta.mode() & 0o7777, meta.modified().unwrap()), (0o4751, long_ago));
        let mut value = [0; 4];
        assert!(!takes_attributes || getxattr(&new, "user.origin", &mut value[..]) == Ok(4) && &value == b"here");
        let folder = to.join("lib/x");
        assert!(!takes_attributes || getxattr(&folder, "user.kept", &mut value[..]) == Ok(3) && value.starts_with(b"too"));
    }

    #[test]
    fn what_may_not_be_read_is_linked() {
        let (_folder, from, to) = folders();
        let (old, new) = (from.join("lib/x/f"), to.join("lib/x/f"));
        replace::write(&old, b"old").unwrap();
        fs::set_permissions(&old, Permissions::from_mode(0o000)).unwrap();
        make(&from, &to).unwrap();
        assert!(new.metadata().unwrap().nlink() == 2 || rustix::process::geteuid().is_root());
    }
}
