//! Where things stand in an environment on Unix.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// Every `site-packages`, relative to the root: below `lib`, and below `lib64` where that is a folder of its own.
pub(crate) fn site_packages(venv: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for lib in ["lib", "lib64"] {
        let is_folder = venv.join(lib).symlink_metadata().is_ok_and(|meta| meta.is_dir());
        let Ok(versions) = fs::read_dir(venv.join(lib)) else { continue };
        for version in versions.filter_map(Result::ok).filter(|_| is_folder) {
            let relative = Path::new(lib).join(version.file_name()).join("site-packages");
            if is_python(&version.file_name()) && venv.join(&relative).is_dir() {
                found.push(relative);
            }
        }
    }
    found.sort();
    found
}

pub(crate) fn is_python(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b"python") || name.as_bytes().starts_with(b"pypy")
}

/// The regular files of `bin`, by name.
///
/// # Errors
/// `bin` is there and cannot be read.
pub(crate) fn scripts(venv: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(venv.join("bin")) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            names.push(Path::new("bin").join(entry.file_name()));
        }
    }
    names.sort();
    Ok(names)
}

/// Takes `.` and `..` out of a path without a look at the disk, as the paths of a RECORD file want it.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if normal.file_name().is_some() => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

/// A path from its bytes.
pub(crate) fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_of_a_record_is_found_below_the_root() {
        let path = normal(Path::new("lib/python3.12/site-packages/./../../../bin/flask"));
        assert_eq!(path, Path::new("bin/flask"));
        assert_eq!(normal(Path::new("../x")), Path::new("../x"));
    }
}
