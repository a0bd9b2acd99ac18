//! The programs that install: which one, and how it is asked.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use contract::path::shown;

use super::environment::scrub;
use super::options::Installer;
use super::ours;
use super::places::program;
use super::remains::entries;

/// A program that installs.
#[derive(Clone, Debug)]
pub(super) enum Tool {
    /// uv, by its path.
    Uv(PathBuf),
    /// pip, by the program and the arguments that start it, and the folder of wheels that it came in.
    Pip(PathBuf, Vec<OsString>, Option<PathBuf>),
}

/// uv where it is wanted and there.
///
/// # Errors
/// It is asked for by name and is not there.
pub(super) fn uv(installer: Installer) -> anyhow::Result<Option<PathBuf>> {
    match (installer, program("uv")) {
        (Installer::Pip, _) | (Installer::Auto, None) => Ok(None),
        (_, Some(uv)) => Ok(Some(uv)),
        (Installer::Uv, None) => bail!("uv is not on PATH: install it, or leave --installer out"),
    }
}

impl Tool {
    /// What installs into the environment of `python`, its `bin/python`: uv; the environment's own pip; the pip that comes with the
    /// interpreter, run from its wheel so that none stays behind; the interpreter's own pip.
    ///
    /// # Errors
    /// There is none of them.
    pub(super) fn choose(installer: Installer, python: &Path) -> anyhow::Result<Self> {
        if let Some(uv) = uv(installer)? {
            return Ok(Self::Uv(uv));
        }
        let words = |words: &[&OsStr]| words.iter().map(OsString::from).collect();
        if has_pip(python) {
            return Ok(Self::Pip(python.to_owned(), words(&["-I".as_ref(), "-m".as_ref(), "pip".as_ref()]), None));
        }
        let base = python.canonicalize().with_context(|| format!("cannot find the interpreter behind {}", shown(python)))?;
        if let Some((wheel, folder)) = bundled(&base).and_then(|folder| wheel(&folder, "pip").zip(Some(folder))) {
            return Ok(Self::Pip(python.to_owned(), words(&["-I".as_ref(), wheel.join("pip").as_ref()]), Some(folder)));
        }
        if has_pip(&base) {
            let arguments = words(&["-I".as_ref(), "-m".as_ref(), "pip".as_ref(), "--python".as_ref(), python.as_ref()]);
            return Ok(Self::Pip(base, arguments, None));
        }
        bail!("neither uv nor pip is there to install packages: {}", how_to_get_pip(&base));
    }

    /// Its name and, where that is quick to learn, its version.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Uv(_) => "uv",
            Self::Pip(..) => "pip",
        }
    }

    /// The start of an `install` into the environment of `python`.
    pub(super) fn install(&self, python: &Path) -> Command {
        let mut command = match self {
            Self::Uv(uv) => Command::new(uv),
            Self::Pip(program, ..) => Command::new(program),
        };
        match self {
            Self::Uv(_) => command.args(["pip", "install", "--no-progress", "--python"]).arg(python),
            Self::Pip(_, arguments, wheels) => {
                let quiet = ["install", "--no-input", "--disable-pip-version-check", "--progress-bar=off", "--no-warn-script-location"];
                command.args(arguments).args(quiet).args(wheels.iter().flat_map(|folder| [OsStr::new("--find-links"), folder.as_os_str()]))
            }
        };
        scrub(&mut command);
        command
    }
}

/// What a person can do about an interpreter without pip.
pub(super) fn how_to_get_pip(base: &Path) -> String {
    let name = base.file_name().and_then(OsStr::to_str).filter(|name| name.contains('.')).unwrap_or("python3");
    if base.starts_with("/usr/bin") {
        format!("install the package {name}-venv (apt install {name}-venv), or uv")
    } else {
        format!("{} has no ensurepip: install uv, or another build of Python", shown(base))
    }
}

/// Whether `lib/pythonX.Y` beside an interpreter's folder, or where Debian keeps it, has a pip that is whole enough to start, among packages that are
/// nobody else's: a start executes what they bring.
fn has_pip(python: &Path) -> bool {
    let Some(prefix) = python.parent().and_then(Path::parent) else { return false };
    let lib = prefix.join("lib");
    let libraries = entries(&lib).into_iter().map(|name| lib.join(name));
    let own = libraries.flat_map(|library| ["site-packages", "dist-packages"].map(|name| library.join(name)));
    let is_whole = |packages: &Path| packages.join("pip/_internal/__init__.py").is_file() && packages.join("pip/__main__.py").is_file();
    own.into_iter().any(|packages| is_whole(&packages) && ours::is_tree(&packages))
}

/// The folder with the wheels that `ensurepip` installs; `/usr/share/python-wheels` on Debian.
pub(super) fn bundled(base: &Path) -> Option<PathBuf> {
    let lib = base.parent()?.parent()?.join("lib");
    let named = base.file_name()?.to_str()?.to_owned();
    let mut libraries = entries(&lib);
    // Several minor versions may share a prefix.
    libraries.sort_by_key(|library| *library != named);
    let own = libraries.into_iter().map(|library| lib.join(library).join("ensurepip/_bundled"));
    own.chain([PathBuf::from("/usr/share/python-wheels")]).find(|folder| wheel(folder, "pip").is_some())
}

/// The version of the pip that [`Tool::choose`] runs from its wheel where the environment of `python` has none.
pub(super) fn bundled_version(python: &Path) -> Option<String> {
    let wheel = wheel(&bundled(&python.canonicalize().ok()?)?, "pip")?;
    wheel.file_name()?.to_str()?.split('-').nth(1).map(str::to_owned)
}

fn wheel(folder: &Path, name: &str) -> Option<PathBuf> {
    let prefix = format!("{name}-");
    let is_wheel = |file: &String| file.starts_with(&prefix) && Path::new(file).extension().is_some_and(|ending| ending == "whl");
    entries(folder).into_iter().rfind(is_wheel).map(|file| folder.join(file))
}
