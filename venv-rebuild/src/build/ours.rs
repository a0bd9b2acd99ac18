//! Whether nobody but the caller and root decides what a repair executes: the environment, interpreters, installers, and what those read.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use contract::trust::Trust;

use super::pin::Pin;
use super::remains::{Remains, entries};

/// What is ours does not change hands within a run.
static TRUST: LazyLock<Trust> = LazyLock::new(Trust::default);

/// What lies in a standard library and is not executed by its start: its tests, and the packages of others.
const NOT_OF_THE_LIBRARY: [&str; 3] = ["test", "site-packages", "dist-packages"];

/// Files of these kinds are executed, or say what is, wherever in a source tree they lie.
const CODE: [&str; 7] = ["py", "pth", "toml", "cfg", "so", "sh", "in"];

/// Somebody else decides what would be executed: an error that no higher rung gets round.
#[derive(Debug)]
pub(crate) struct Untrusted(String);

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Untrusted {}

/// Who else decides what a start of the environment executes, as far as its layout tells; the probe looks closer, and its note may be missing.
pub(crate) fn breach_of_environment(venv: &Path) -> Option<String> {
    let remains = Remains::of(venv);
    let mut paths: Vec<PathBuf> = ["", "bin", "bin/python", "pyvenv.cfg", "lib"].iter().map(|below| venv.join(below)).collect();
    paths.extend(remains.library().map(|library| library.packages.clone()));
    paths.extend(entries(&venv.join("lib")).iter().map(|name| venv.join("lib").join(name)));
    if let Some(home) = remains.setting("home").map(Path::new).filter(|home| home.is_absolute()) {
        paths.push(home.to_owned());
        paths.extend(home.parent().zip(remains.minor()).map(|(prefix, minor)| prefix.join(library(minor))));
    }
    TRUST.breach(paths.iter().map(PathBuf::as_path))
}

/// Whether a start of this interpreter, without its packages, executes nobody else's code.
pub(super) fn is_interpreter(path: &Path, minor: (u8, u8)) -> bool {
    let Ok(real) = path.canonicalize() else { return false };
    let libraries: Vec<PathBuf> = real.ancestors().nth(2).into_iter().flat_map(|prefix| libraries(prefix, minor)).collect();
    TRUST.breach([path, &real].into_iter().chain(libraries.iter().map(PathBuf::as_path))).is_none()
        && libraries.iter().all(|library| TRUST.breach_below(library, &NOT_OF_THE_LIBRARY).is_none())
}

/// Insists that a start of this interpreter with its packages executes nobody else's code.
pub(super) fn with_packages(python: &Path, minor: (u8, u8)) -> Result<(), Untrusted> {
    let real = python.canonicalize().unwrap_or_else(|_| python.to_owned());
    let own = real.ancestors().nth(2).into_iter().flat_map(|prefix| libraries(prefix, minor)).map(|library| library.join("site-packages"));
    let debian = ["/usr/lib/python3".into(), PathBuf::from("/usr/local").join(library(minor))].map(|library| library.join("dist-packages"));
    let debian = debian.into_iter().filter(|_| real.starts_with("/usr/bin"));
    own.chain(debian).find_map(|packages| TRUST.breach_below(&packages, &[])).map_or(Ok(()), |why| Err(Untrusted(why)))
}

fn library((major, minor): (u8, u8)) -> String {
    format!("lib/python{major}.{minor}")
}

fn libraries(prefix: &Path, minor: (u8, u8)) -> Vec<PathBuf> {
    let names = [library(minor), library(minor).replacen("lib", "lib64", 1)];
    names.iter().filter_map(|name| prefix.join(name).canonicalize().ok()).collect()
}

/// Whether nobody else could have written a program, or a tree of packages.
pub(super) fn is_tree(path: &Path) -> bool {
    TRUST.breach_below(path, &[]).is_none()
}

/// Insists that nobody else could have written these files, which say what is installed and from where; and that the settings which uv reads
/// on the way up from `folder` are nobody else's either.
pub(super) fn files(files: &[PathBuf], folder: &Path) -> Result<(), Untrusted> {
    let settings = folder.ancestors().flat_map(|folder| ["uv.toml", "pyproject.toml"].map(|name| folder.join(name)));
    let there: Vec<PathBuf> = settings.filter(|file| file.symlink_metadata().is_ok()).collect();
    TRUST.breach(files.iter().chain(&there).map(PathBuf::as_path)).map_or(Ok(()), |why| Err(Untrusted(why)))
}

/// Insists the same of every source tree and archive of this machine that these lines of a requirements file name.
pub(super) fn sources<'a>(pins: impl Iterator<Item = &'a Pin>, options: &[String]) -> Result<(), Untrusted> {
    let lines = pins.map(|pin| pin.line.as_str()).chain(options.iter().map(String::as_str));
    lines.filter_map(local).try_for_each(|path| source(&path))
}

/// Insists it of one: building it executes what lies at its top, and whatever code that imports.
pub(super) fn source(path: &Path) -> Result<(), Untrusted> {
    let is_passed_over = |name: &str| name.starts_with('.') || name == "node_modules";
    let (mut paths, mut folders) = (vec![path.to_owned()], vec![path.to_owned()]);
    while let Some(folder) = folders.pop() {
        for name in entries(&folder) {
            let inner = folder.join(&name);
            // A link leads elsewhere, and whoever may change what is there may change what is built.
            if inner.is_dir() && !inner.is_symlink() {
                folders.extend((!is_passed_over(&name) && !inner.join("pyvenv.cfg").exists()).then_some(inner));
            } else if folder == path || inner.extension().is_some_and(|ending| CODE.iter().any(|code| ending == *code)) {
                paths.push(inner);
            }
        }
    }
    TRUST.breach(paths.iter().map(PathBuf::as_path)).map_or(Ok(()), |why| Err(Untrusted(why)))
}

/// The path in a `file:` address within a line.
fn local(line: &str) -> Option<PathBuf> {
    let address = &line[line.find("file://")?..];
    let end = address.find(|c: char| c.is_whitespace() || matches!(c, '#' | '[' | ';')).unwrap_or(address.len());
    super::recovered::local(&address[..end])
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_address_in_a_line_is_found() {
        let path = Some(PathBuf::from("/a b/c"));
        for line in [
            "-e file:///a%20b/c[dev]",
            "a @ file:///a%20b/c ; os_name == 'posix'",
            "git+file:///a%20b/c#egg=x",
            "--find-links file:///a%20b/c",
        ] {
            assert_eq!(local(line), path, "{line}");
        }
        assert_eq!(local("a==1"), None);
    }

    #[test]
    fn code_in_a_source_tree_counts_and_data_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let open = |below: &str| {
            let path = folder.path().join(below);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::File::create(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
            path
        };
        for below in ["var/upload.png", ".git/hooks.py", "node_modules/x.py"] {
            open(below);
        }
        assert!(source(folder.path()).is_ok());
        for below in ["setup.py", "MANIFEST", "pkg/version.py", "build/backend.py"] {
            let path = open(below);
            assert!(source(folder.path()).is_err(), "{below}");
            fs::remove_file(path).unwrap();
        }
    }
}
