//! `.venv` as a file: one line that says where the environment is. pipenv writes a path or a name, uv a path (as its fallback where it can make no link).

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::bounded;

/// More than any path.
const LONGEST: usize = 4096;

/// Where the file leads; `None` where it is not a redirection, or names an environment that only pipenv could find.
pub(crate) fn target(file: &Path) -> io::Result<Option<PathBuf>> {
    match bounded::read(file, LONGEST) {
        Ok(bytes) => Ok(named(file, &bytes)),
        // A pipe, or longer than any path.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(error) => Err(error),
    }
}

fn named(file: &Path, bytes: &[u8]) -> Option<PathBuf> {
    let line = bytes.trim_ascii();
    if line.is_empty() || line.contains(&b'\n') || line.contains(&0) {
        return None;
    }
    let named = Path::new(std::ffi::OsStr::from_bytes(line));
    if line.contains(&b'/') {
        return Some(file.parent()?.join(named));
    }
    let home = |name: &str, below: &str| std::env::var_os(name).map(|home| Path::new(&home).join(below).join(named));
    [home("WORKON_HOME", ""), home("HOME", ".local/share/virtualenvs")].into_iter().flatten().find(|path| path.is_dir())
}
