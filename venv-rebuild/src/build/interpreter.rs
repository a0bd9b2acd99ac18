//! Interpreters that fit: found in the file layout, proven by one start.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use contract::child;

use super::places::candidates;
use super::remains::library_name;
use super::spec::has_magic;

/// How long an interpreter may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// Says version, implementation and whether the standard library is really there, between marks that nothing else prints.
const QUESTION: &str = "import sys, os
free = 't' in getattr(sys, 'abiflags', '')
print('mendline<%d.%d.%d %s%s>' % (sys.version_info[:3] + (sys.implementation.name, '-freethreaded' if free else '')))";

/// A Python that is no virtual environment's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interpreter {
    /// Absolute; stays valid through a patch update where the installation has such a name (Homebrew's `opt`, uv's minor links).
    pub(crate) path: PathBuf,
    /// `X.Y.Z`, as it answered.
    pub(crate) version: String,
    /// `cpython`, `cpython-freethreaded`, `pypy`, …
    pub(crate) implementation: String,
}

/// Finds interpreters of one minor version, best first: what `pyvenv.cfg` of `venv` names, PATH, pyenv, uv, Homebrew, the system, asdf and mise.
/// Each is proven by a start of it (5 s at most) when it is asked for, so that who takes the first pays for one start.
pub(crate) fn find(venv: &Path, minor: (u8, u8), implementation: &str) -> impl Iterator<Item = Interpreter> {
    let wanted = implementation.to_owned();
    let mut seen = HashSet::new();
    candidates(venv, minor, implementation)
        .into_iter()
        .filter_map(move |candidate| real(&candidate, minor))
        .filter(move |(_, canonical)| seen.insert(canonical.clone()))
        .filter_map(|(path, _)| prove(path))
        .filter(move |found| super::remains::minor(&found.version) == Some(minor) && found.implementation == wanted)
}

/// The name to use and the file behind it, if that is a binary of this version with its library, and of no virtual environment.
fn real(candidate: &Path, minor: (u8, u8)) -> Option<(PathBuf, PathBuf)> {
    let canonical = candidate.canonicalize().ok()?;
    if !canonical.is_file() || !has_magic(&canonical) || in_venv(&canonical) || !has_library(&canonical, minor) {
        return None;
    }
    // A generic name moves on to the next minor version one day, and a virtual environment goes away: what they lead to stays.
    let generic = !candidate.file_name()?.to_str()?.contains('.');
    let path = if generic || in_venv(candidate) { canonical.clone() } else { candidate.to_owned() };
    Some((path, canonical))
}

fn in_venv(python: &Path) -> bool {
    python.ancestors().skip(1).take(2).any(|folder| fs::symlink_metadata(folder.join("pyvenv.cfg")).is_ok())
}

/// Whether `lib/pythonX.Y` with the module that every start needs lies beside the binary's folder. Also sorts out the macOS stub of
/// `/usr/bin/python3`, which would open a dialogue when started.
fn has_library(python: &Path, minor: (u8, u8)) -> bool {
    let Some(prefix) = python.parent().and_then(Path::parent) else { return false };
    let folders = ["lib", "lib64"].map(|name| prefix.join(name));
    let libraries = folders.iter().flat_map(|folder| super::remains::entries(folder).into_iter().map(|name| (folder.join(&name), name)));
    libraries
        .filter(|(_, name)| library_name(name).is_some_and(|(_, found)| found == minor))
        .any(|(library, _)| library.join("encodings/__init__.py").is_file() || library.join("encodings/__init__.pyc").is_file())
}

fn prove(path: PathBuf) -> Option<Interpreter> {
    let mut command = Command::new(&path);
    super::environment::scrub(command.args(["-I", "-S", "-B", "-c", QUESTION]));
    // One that cannot be started or hangs is no candidate; the next one is asked.
    let answer = child::run(&mut command, PATIENCE, 4096).ok()?;
    let said = String::from_utf8(answer.stdout).ok().filter(|_| answer.ended.success())?;
    let (version, implementation) = said.split_once("mendline<")?.1.split_once('>')?.0.split_once(' ')?;
    Some(Interpreter { path, version: version.to_owned(), implementation: implementation.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_script_and_a_venv_are_no_interpreters() {
        let folder = tempfile::tempdir().unwrap();
        let (bin, shim) = (folder.path().join("bin"), folder.path().join("bin/python3.12"));
        fs::create_dir_all(folder.path().join("lib/python3.12/encodings")).unwrap();
        fs::create_dir(&bin).unwrap();
        let write = |path: &Path, bytes: &[u8]| {
            #[expect(clippy::disallowed_methods, reason = "a test's own file")]
            fs::write(path, bytes).unwrap();
        };
        write(&folder.path().join("lib/python3.12/encodings/__init__.py"), b"");
        write(&shim, b"#!/bin/sh\nexit 0\n");
        assert_eq!(real(&shim, (3, 12)), None);
        write(&shim, b"\x7fELF");
        let canonical = shim.canonicalize().unwrap();
        assert_eq!(real(&shim, (3, 12)), Some((shim.clone(), canonical.clone())));
        assert_eq!(real(&shim, (3, 11)), None);
        symlink("python3.12", bin.join("python3")).unwrap();
        assert_eq!(real(&bin.join("python3"), (3, 12)), Some((canonical.clone(), canonical)));
        write(&folder.path().join("pyvenv.cfg"), b"");
        assert_eq!(real(&shim, (3, 12)), None);
    }
}
