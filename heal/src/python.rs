//! The interpreter that runs a source: named, else of the nearest environment, else the one on PATH.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use contract::child::{self, Finished};
use contract::path::{absolute, shown};
use contract::trust::Trust;

use crate::bounds::Bounds;

/// What environments are called that lie in a project.
const ENVIRONMENTS: [&str; 4] = [".venv", "venv", "env", ".env"];
/// An import can take long where it is the first.
const PATIENCE: Duration = Duration::from_mins(1);
const KEEP: usize = 256 << 10;

/// The environment that is nearest to a path, at or below the root.
pub(crate) fn environment(near: &Path, bounds: &Bounds) -> Option<PathBuf> {
    let folders = near.ancestors().take_while(|folder| bounds.holds(folder));
    let mut all = folders.flat_map(|folder| ENVIRONMENTS.map(|name| folder.join(name)));
    all.find(|venv| venv.join("pyvenv.cfg").is_file() && venv.join("bin/python").exists())
}

/// The interpreter for what lies at a path.
///
/// # Errors
/// Somebody else could exchange it.
pub(crate) fn interpreter(named: Option<&Path>, near: &Path, bounds: &Bounds) -> anyhow::Result<PathBuf> {
    let python = match named {
        Some(named) if named.components().count() > 1 => absolute(named)?,
        Some(named) => return on_path(&named.to_string_lossy()),
        None => match environment(near, bounds) {
            Some(venv) => venv.join("bin/python"),
            None => return on_path("python3"),
        },
    };
    trusted(&python).map(|()| python)
}

/// A program of PATH, of which relative folders do not count: they are the project's.
fn on_path(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all = std::env::split_paths(&path).filter(|folder| folder.is_absolute()).map(|folder| folder.join(name));
    all.find(|program| program.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0))
        .with_context(|| format!("there is no {name} on PATH; name one by --python"))
}

/// Lets a program be started, since nobody else decides what it is.
///
/// # Errors
/// Somebody else could have written it, or could exchange it.
pub(crate) fn trusted(program: &Path) -> anyhow::Result<()> {
    match Trust::default().breach(std::iter::once(program)) {
        Some(why) => anyhow::bail!("{} is not started: {why}", shown(program)),
        None => Ok(()),
    }
}

/// Runs an interpreter on a few lines of ours, in a folder, without writing byte code.
///
/// # Errors
/// It cannot be started.
pub(crate) fn ask<S: AsRef<OsStr>>(python: &Path, folder: &Path, script: &str, args: &[S]) -> anyhow::Result<Finished> {
    let mut command = Command::new(python);
    run(command.current_dir(folder), script, args)
}

/// The same where nothing but the standard library is seen: no folder, no variable and no package has any say.
///
/// # Errors
/// It cannot be started.
pub(crate) fn ask_alone<S: AsRef<OsStr>>(python: &Path, script: &str, args: &[S]) -> anyhow::Result<Finished> {
    let mut command = Command::new(python);
    run(command.args(["-I", "-S"]), script, args)
}

fn run<S: AsRef<OsStr>>(command: &mut Command, script: &str, args: &[S]) -> anyhow::Result<Finished> {
    command.args(["-B", "-W", "ignore", "-c", script]).args(args);
    child::run(command, PATIENCE, KEEP).with_context(|| format!("cannot start {}", shown(Path::new(command.get_program()))))
}
