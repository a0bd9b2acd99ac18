//! What the makers of environments put into one: venv, virtualenv, uv, and the pip that they seed.

use std::fs::{self, Metadata};
use std::io::Read as _;
use std::path::Path;

use super::remains::library_name;
use crate::backup::MARKER;

/// Right in the root, whatever is in it.
const AT_ROOT: [&str; 4] = ["pyvenv.cfg", "pip-selfcheck.json", MARKER, contract::missing::FILE];

/// The activate files, which people add lines to.
pub(super) const ACTIVATE: [&str; 9] = [
    "activate",
    "activate.csh",
    "activate.fish",
    "activate.nu",
    "activate.ps1",
    "Activate.ps1",
    "activate.xsh",
    "activate.bat",
    "activate_this.py",
];

/// Further files in `bin`.
const IN_BIN: [&str; 4] = ["deactivate.bat", "deactivate.csh", "deactivate.nu", "pydoc.bat"];

/// How the tag of a cache begins (bford.info/cachedir).
const CACHE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// Whether a maker put this file or link, which no RECORD names, at this place.
pub(super) fn made(venv: &Path, relative: &Path, meta: &Metadata) -> bool {
    let names: Option<Vec<&str>> = relative.iter().map(|name| name.to_str()).collect();
    let path = venv.join(relative);
    match names.as_deref() {
        Some([name]) => at_root(name, &path, meta),
        Some(["bin", name]) => is_interpreter(name) || ACTIVATE.contains(name) || IN_BIN.contains(name) || is_seed(name, &path),
        Some(["include", _]) => meta.is_symlink(),
        Some(["lib", library, _]) if library_name(library).is_some() => is_of_the_base(venv, library, &path, meta),
        Some(["lib" | "lib64", _, "site-packages", name]) => is_virtualenvs(name),
        _ => false,
    }
}

/// Whether a folder at this place is there in every environment.
pub(super) fn is_frame(relative: &Path) -> bool {
    let names: Option<Vec<&str>> = relative.iter().map(|name| name.to_str()).collect();
    match names.as_deref() {
        Some([] | ["bin" | "lib" | "lib64" | "include"]) => true,
        Some(["lib" | "lib64" | "include", library] | ["lib" | "lib64", library, "site-packages"]) => library_name(library).is_some(),
        _ => false,
    }
}

/// The lines of a `.gitignore` that hides a whole folder, as makers write it; any other is of a project.
pub(crate) fn hides_all(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).peekable();
    lines.peek().is_some() && lines.all(|line| line == "*")
}

fn at_root(name: &str, path: &Path, meta: &Metadata) -> bool {
    match name {
        "lib64" | ".Python" => meta.is_symlink(),
        ".lock" => meta.is_file() && meta.len() == 0,
        ".gitignore" => meta.is_file() && hides_all(&String::from_utf8_lossy(&beginning(path))),
        "CACHEDIR.TAG" => beginning(path).starts_with(CACHE),
        name => AT_ROOT.contains(&name),
    }
}

fn is_interpreter(name: &str) -> bool {
    let version = ["python", "pypy"].iter().find_map(|prefix| name.strip_prefix(prefix));
    version.is_some_and(|version| version.trim_end_matches(['t', 'd']).bytes().all(|b| b.is_ascii_digit() || b == b'.'))
        || name.starts_with("libpypy")
}

/// A script of pip, setuptools or wheel whose RECORD is gone.
fn is_seed(name: &str, path: &Path) -> bool {
    let is_named = ["pip", "easy_install", "wheel"]
        .iter()
        .any(|seed| name.strip_prefix(seed).is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-')));
    let has = |text: &[u8], what: &[u8]| text.windows(what.len()).any(|window| window == what);
    is_named && {
        let text = beginning(path);
        [&b"from pip"[..], b"from setuptools", b"easy_install", b"from wheel"].iter().any(|what| has(&text, what))
    }
}

/// Before version 20, virtualenv copied what Python takes to start, and linked the rest.
fn is_of_the_base(venv: &Path, library: &str, path: &Path, meta: &Metadata) -> bool {
    let is_old = venv.join("lib").join(library).join("orig-prefix.txt").is_file();
    is_old && (meta.is_symlink() || meta.is_file()) && path.file_name().is_some_and(|name| name != "site-packages")
}

fn is_virtualenvs(name: &str) -> bool {
    matches!(name, "_virtualenv.py" | "_virtualenv.pth") || Path::new(name).extension().is_some_and(|ending| ending == "virtualenv")
}

/// The first bytes of a regular file; none where it cannot be read, which makes it nobody's.
fn beginning(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    if path.symlink_metadata().is_ok_and(|meta| meta.is_file())
        && let Ok(file) = fs::File::open(path)
    {
        // What could not be read to its end is judged by what came before.
        let _ = file.take(4096).read_to_end(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gitignore_that_names_anything_is_of_a_project() {
        assert!(hides_all("# Created by venv\n*\n") && hides_all("*"));
        assert!(!hides_all("") && !hides_all("*.secret\n") && !hides_all("*\n!keep\n"));
    }

    #[test]
    fn interpreters_are_told_by_their_names() {
        for name in ["python", "python3", "python3.12", "python3.13t", "pypy3.10"] {
            assert!(is_interpreter(name), "{name}");
        }
        for name in ["python-deploy", "pythonista", "pypy-run.sh"] {
            assert!(!is_interpreter(name), "{name}");
        }
    }
}
