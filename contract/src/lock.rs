//! One writer at a time, by an advisory `flock` on a file that is never deleted: a lock file that is removed can be held by two.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::path::shown;
use crate::signal;

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

/// How often a lock is tried that somebody else holds.
const TICK: Duration = Duration::from_millis(20);

/// Who else may hold the lock at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Those who share it, too.
    Shared,
    /// Nobody.
    Exclusive,
}

/// Takes the lock for ourselves alone, creating its file (mode 0600) where there is none.
///
/// # Errors
/// [`Held`], or the file cannot be opened.
pub fn take(path: &Path) -> anyhow::Result<Lock> {
    wait(path, Mode::Exclusive, Duration::ZERO)
}

/// Takes the lock, creating its file (mode 0600) where there is none, and waits for at most `patience` while somebody else holds it.
///
/// # Errors
/// [`Held`], a signal came first, or the file cannot be opened.
pub fn wait(path: &Path, mode: Mode, patience: Duration) -> anyhow::Result<Lock> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    let lock = options.open(path).with_context(|| format!("cannot open the lock file {}", shown(path)))?;
    file(&lock, path, mode, patience).map(|()| Lock(lock))
}

/// Locks an open file itself, for as long as it is open, as other programs do that write it (flock(2)).
///
/// # Errors
/// [`Held`], a signal came first, or the file cannot be locked.
pub fn file(file: &File, path: &Path, mode: Mode, patience: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        // By path: the standard library's own `File::try_lock` family has taken over the method names.
        let tried = match mode {
            Mode::Shared => fs2::FileExt::try_lock_shared(file),
            Mode::Exclusive => fs2::FileExt::try_lock_exclusive(file),
        };
        match tried {
            Ok(()) => return Ok(()),
            Err(e) if e.raw_os_error() != fs2::lock_contended_error().raw_os_error() => {
                return Err(e).with_context(|| format!("cannot lock {}", shown(path)));
            }
            Err(_) if Instant::now() >= deadline => return Err(Held(path.to_owned()).into()),
            Err(_) => std::thread::sleep(TICK),
        }
        anyhow::ensure!(!signal::interrupted(), "interrupted while another run held the lock {}", shown(path));
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

    #[test]
    fn readers_share_it_and_a_writer_waits_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        let readers = [(); 2].map(|()| wait(&path, Mode::Shared, Duration::ZERO).unwrap());
        assert!(take(&path).unwrap_err().is::<Held>());
        let writer = std::thread::spawn(move || wait(&path, Mode::Exclusive, Duration::from_mins(1)).is_ok());
        std::thread::sleep(TICK * 2);
        drop(readers);
        assert!(writer.join().unwrap());
    }
}
