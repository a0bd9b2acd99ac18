//! What somebody wrote, after a crash, to what a restore had put in place: taking the restore back must not lose it.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use contract::path::{Subject, shown};
use rustix::fs::{Mode, OFlags, openat};
use serde_json::{Value, json};

use crate::restore::ground::{self, Live};
use crate::restore::journal::Made;
use crate::store::manifest::Kind;

/// What a file or folder looks like.
pub(crate) fn look(live: &Live) -> Made {
    Made { size: live.size, mtime: live.mtime, ctime: live.ctime }
}

/// Whether what stands at a name is as it was: a file of the same size and time, a folder with nothing in it that was written to after
/// `since`. Neither hangs on `ctime` alone, which a rename changes, and the going of another name.
///
/// # Errors
/// A folder in it cannot be read.
pub(crate) fn is_as_it_was(folder: &OwnedFd, name: &OsStr, made: &Made, since: (i64, i64)) -> io::Result<bool> {
    match ground::at(folder, name)? {
        None => Ok(true),
        Some(live) if live.kind == Kind::Folder => is_untouched(folder, Path::new(name), since),
        Some(live) => Ok(live.kind != Kind::File || (live.size, live.mtime) == (made.size, made.mtime)),
    }
}

/// Where it is now, for a sentence.
pub(crate) fn words(kept: &[PathBuf]) -> String {
    let [first, rest @ ..] = kept else { return String::new() };
    let others = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    format!("; what was written meanwhile is in {}{others}", shown(first))
}

/// The same for a record.
pub(crate) fn kept(kept: &[PathBuf]) -> Option<(String, Value)> {
    let paths: Vec<Subject> = kept.iter().map(Subject::from).collect();
    (!paths.is_empty()).then(|| ("kept".to_owned(), json!(paths)))
}

fn is_untouched(folder: &OwnedFd, top: &Path, since: (i64, i64)) -> io::Result<bool> {
    let mut waiting: Vec<PathBuf> = vec![top.to_owned()];
    while let Some(path) = waiting.pop() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let within = openat(folder, &path, flags, Mode::empty())?;
        let live = ground::open(&within)?;
        // The tree itself was renamed by us, and only that.
        if if path == top { is_newer(&live, since) } else { live.ctime > since } {
            return Ok(false);
        }
        for name in ground::names(&within)? {
            let Some(live) = ground::at(&within, &name)? else { continue };
            // One with other names changes when they come and go; what is written to it, its time shows.
            if live.kind == Kind::File && if live.names > 1 { is_newer(&live, since) } else { live.ctime > since } {
                return Ok(false);
            }
            if live.kind == Kind::Folder {
                waiting.push(path.join(&name));
            }
        }
    }
    Ok(true)
}

/// A time in the future, which can be restored, is no sign.
fn is_newer(live: &Live, since: (i64, i64)) -> bool {
    live.mtime > since && live.ctime > since
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write as _;
    use std::time::Duration;

    use super::*;
    use crate::restore::ground::Ground;

    #[test]
    fn what_is_written_later_shows_and_a_new_name_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let ground = Ground::default();
        let open = ground.folder(&top).unwrap();
        fs::create_dir_all(top.join("tree/deep")).unwrap();
        for path in ["file", "tree/deep/file"] {
            File::create(top.join(path)).unwrap().write_all(b"x").unwrap();
        }
        // A folder gets its traits when all in it is made.
        fs::set_permissions(top.join("tree"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let looks = ["file", "tree"].map(|name| look(&ground::at(&open, OsStr::new(name)).unwrap().unwrap()));
        // The clock of a file system may tick as slowly as 100 times a second.
        std::thread::sleep(Duration::from_millis(25));
        for name in ["file", "tree"] {
            ground::rename(&open, OsStr::new(name), OsStr::new(&format!("{name}-2"))).unwrap();
        }
        let is_as_it_was = |name: &str, look: &Made| is_as_it_was(&open, OsStr::new(name), look, look.ctime).unwrap();
        assert!(is_as_it_was("file-2", &looks[0]) && is_as_it_was("tree-2", &looks[1]));
        for path in ["file-2", "tree-2/deep/file"] {
            fs::OpenOptions::new().append(true).open(top.join(path)).unwrap().write_all(b"y").unwrap();
        }
        assert!(!is_as_it_was("file-2", &looks[0]) && !is_as_it_was("tree-2", &looks[1]));
    }
}
