//! One writer at a time, by an advisory `flock` on a file that is never deleted: a lock file that is removed can be held by two.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::path::shown;

/// Held until dropped, or until the process dies in whatever way.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "closing the file is what unlocks")] File);

/// Somebody else holds the lock: exit status 75.
#[derive(Debug)]
pub struct Held(PathBuf);

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "another run holds the lock {}; try again when it is done", shown(&self.0))
    }
}

impl std::error::Error for Held {}

/// Takes the lock, creating its file (mode 0600) where there is none.
///
/// # Errors
/// [`Held`], or the file cannot be opened.
pub fn take(path: &Path) -> anyhow::Result<Lock> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    let file = options.open(path).with_context(|| format!("cannot open the lock file {}", shown(path)))?;
    // By path: the standard library's own `File::try_lock` family has taken over the method names.
    match fs2::FileExt::try_lock_exclusive(&file) {
        Ok(()) => Ok(Lock(file)),
        Err(e) if e.raw_os_error() == fs2::lock_contended_error().raw_os_error() => Err(Held(path.to_owned()).into()),
        Err(e) => Err(e).with_context(|| format!("cannot lock {}", shown(path))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_taker_is_told_and_the_third_gets_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        let first = take(&path).unwrap();
        assert!(take(&path).unwrap_err().is::<Held>());
        drop(first);
        take(&path).unwrap();
        assert!(path.exists());
    }
}
