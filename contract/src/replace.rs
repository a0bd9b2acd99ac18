//! Replacing a file so that a reader, and a crash, sees the old one or the new one and never half of either.

use std::fs::{File, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::Context as _;
use rustix::fs::{Gid, Uid, fchown};
use tempfile::Builder;

use crate::path::shown;

/// Writes `bytes` to `path` through a temporary file in the same folder: mode and owner kept (0600 where the file is new), synced, renamed,
/// the folder synced. Other names of the same inode (hard links, as uv makes into its cache) keep the old content.
///
/// # Errors
/// `path` is a symlink or not a regular file (it could lead anywhere), or any step fails; then nothing has changed.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    through(path, bytes, Builder::new().prefix(".mendline-"))
}

/// The same through a file of a name that the caller chooses, in the same folder, so that it can be told and removed after a crash. Nothing may
/// be there.
///
/// # Errors
/// As [`write()`].
pub fn write_through(path: &Path, bytes: &[u8], name: &str) -> anyhow::Result<()> {
    through(path, bytes, Builder::new().prefix(name).rand_bytes(0))
}

fn through(path: &Path, bytes: &[u8], aside: &Builder<'_, '_>) -> anyhow::Result<()> {
    let old = existing(path).with_context(|| format!("cannot replace {}", shown(path)))?;
    replace(path, bytes, old.as_ref(), aside).with_context(|| format!("cannot replace {}", shown(path)))
}

fn existing(path: &Path) -> io::Result<Option<Metadata>> {
    match path.symlink_metadata() {
        Ok(old) if old.is_file() => Ok(Some(old)),
        Ok(_) => Err(io::Error::other("not a regular file")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn replace(path: &Path, bytes: &[u8], old: Option<&Metadata>, aside: &Builder<'_, '_>) -> anyhow::Result<()> {
    let folder = path.parent().context("it has no parent folder")?;
    let mut new = aside.tempfile_in(folder)?;
    new.write_all(bytes)?;
    if let Some(old) = old {
        let now = new.as_file().metadata()?;
        if (now.uid(), now.gid()) != (old.uid(), old.gid()) {
            fchown(new.as_file(), Some(Uid::from_raw(old.uid())), Some(Gid::from_raw(old.gid())))?;
        }
        new.as_file().set_permissions(std::fs::Permissions::from_mode(old.mode() & 0o7777))?;
    }
    new.as_file().sync_all()?;
    // The error holds the file, which is not to stay for as long as somebody keeps that.
    new.persist(path).map_err(|e| e.error)?;
    sync_folder(folder)
}

/// Makes renames and removals in a folder durable.
///
/// # Errors
/// The folder cannot be opened or synced.
pub fn sync_folder(folder: &Path) -> anyhow::Result<()> {
    File::open(folder).and_then(|f| f.sync_all()).with_context(|| format!("cannot sync the folder {}", shown(folder)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn mode_stays_and_a_hard_link_keeps_the_old_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let (path, cache) = (folder.path().join("a"), folder.path().join("cache"));
        File::create(&path).unwrap().write_all(b"old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        fs::hard_link(&path, &cache).unwrap();
        write(&path, b"new").unwrap();
        assert_eq!((fs::read(&path).unwrap(), fs::read(&cache).unwrap()), (b"new".to_vec(), b"old".to_vec()));
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o755);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_symlink_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        assert!(format!("{:#}", write(&path, b"x").unwrap_err()).contains("not a regular file"));
        assert!(path.is_symlink());
    }
}
