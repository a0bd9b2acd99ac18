//! Interpreters that fit: found in the file layout, proven by one start, or presumed from their files by who will start them anyway.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use contract::child;

use super::ours;
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

/// The interpreter that [`find`] would most likely bring first, as the headers beside it have its version: `None` where the layout leaves any
/// doubt about what it is. Only a start shows whether it is that, and whether it lives.
pub(crate) fn presume(venv: &Path, minor: (u8, u8), implementation: &str) -> Option<Interpreter> {
    let (path, canonical) = candidates(venv, minor, implementation).iter().find_map(|candidate| real(candidate, minor))?;
    let own_name = format!("python{}.{}", minor.0, minor.1);
    // PyPy and the free-threaded builds have names of their own, also for the folder of their headers.
    if implementation != "cpython" || canonical.file_name()? != own_name.as_str() {
        return None;
    }
    let header = fs::read_to_string(canonical.parent()?.parent()?.join("include").join(own_name).join("patchlevel.h")).ok()?;
    let micro: u8 = header.lines().find_map(|line| line.strip_prefix("#define PY_MICRO_VERSION"))?.trim().parse().ok()?;
    Some(Interpreter { path, version: format!("{}.{}.{micro}", minor.0, minor.1), implementation: implementation.to_owned() })
}

/// The name to use and the file behind it, if that is a binary of this version with its library, of no virtual environment, and nobody
/// else's.
fn real(candidate: &Path, minor: (u8, u8)) -> Option<(PathBuf, PathBuf)> {
    let canonical = candidate.canonicalize().ok()?;
    if !canonical.is_file() || !has_magic(&canonical) || in_venv(&canonical) || !has_library(&canonical, minor) {
        return None;
    }
    // Before anything starts it, in a dry run as well.
    if !ours::is_interpreter(candidate, minor) {
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

    #[test]
    fn only_a_plain_layout_with_headers_is_presumed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            #[expect(clippy::disallowed_methods, reason = "a test's own file")]
            fs::write(path, bytes).unwrap();
        };
        let presumed = || presume(&root.join("venv"), (3, 12), "cpython").map(|found| (found.path, found.version));
        write("venv/pyvenv.cfg", format!("home = {}/bin\n", root.display()).as_bytes());
        write("bin/python3.12", b"\x7fELF");
        write("lib/python3.12/encodings/__init__.py", b"");
        assert_eq!(presumed(), None);
        write("include/python3.12/patchlevel.h", b"#define PY_MINOR_VERSION        12\n#define PY_MICRO_VERSION        4\n");
        assert_eq!(presumed(), Some((root.join("bin/python3.12"), "3.12.4".to_owned())));
        assert_eq!(presume(&root.join("venv"), (3, 12), "cpython-freethreaded"), None);
        fs::remove_file(root.join("bin/python3.12")).unwrap();
        write("bin/python3.12t", b"\x7fELF");
        symlink("python3.12t", root.join("bin/python3.12")).unwrap();
        assert_eq!(presumed(), None);
    }
}
