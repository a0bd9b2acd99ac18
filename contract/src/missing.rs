//! What a rebuild could not bring back, kept in the environment itself: it works, and must not pass for what it was.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use anyhow::Context as _;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use crate::path::shown;
use crate::replace;

/// The name of the file in the root of the environment. Who does without what is in it removes it.
pub const FILE: &str = "mendline-missing.json";

/// No such file is longer, in bytes.
const LONGEST: u64 = 1 << 20;

/// One distribution that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Normalised as the names specification (PEP 503) has it, else what is known in its place.
    pub name: String,
    /// The version that was installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why it could not be had.
    pub why: String,
}

#[derive(Serialize, Deserialize)]
struct List {
    v: u64,
    packages: Vec<Missing>,
}

/// What the environment lacks; nothing where no rebuild has said so.
///
/// # Errors
/// The file is there and is none of ours.
pub fn read(venv: &Path) -> io::Result<Vec<Missing>> {
    // Whoever owns the environment can put a pipe in its place.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::open(venv.join(FILE), flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => return Ok(Vec::new()),
        opened => fs::File::from(opened?),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes)?;
    let list: List = serde_json::from_slice(&bytes)?;
    Ok(list.packages)
}

/// Says what the environment lacks; with nothing to say the file goes.
///
/// # Errors
/// It cannot be written.
pub fn write(venv: &Path, packages: Vec<Missing>) -> anyhow::Result<()> {
    let path = venv.join(FILE);
    if packages.is_empty() {
        return match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).with_context(|| format!("cannot remove {}", shown(&path))),
            _ => Ok(()),
        };
    }
    let bytes = serde_json::to_vec(&List { v: 1, packages }).context("cannot render what is missing")?;
    replace::write(&path, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_is_no_file() {
        let venv = tempfile::tempdir().unwrap();
        assert_eq!(read(venv.path()).unwrap(), []);
        let missing = Missing { name: "a".to_owned(), version: Some("1".to_owned()), why: "gone".to_owned() };
        write(venv.path(), vec![missing.clone()]).unwrap();
        assert_eq!(read(venv.path()).unwrap(), [missing]);
        write(venv.path(), Vec::new()).unwrap();
        assert_eq!(fs::read_dir(venv.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_no_such_file_is_an_error_and_not_waited_for() {
        let venv = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/zero", venv.path().join(FILE)).unwrap();
        assert!(read(venv.path()).is_err());
        fs::remove_file(venv.path().join(FILE)).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, venv.path().join(FILE), rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        assert!(read(venv.path()).is_err());
    }
}
