//! pip itself.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use contract::child::Ended;
use contract::path::shown;

use super::Run;
use super::environment::scrub;
use super::install::{Session, Way};
use super::pin::Pin;
use super::reason::reason;
use super::remains::{Remains, entries};
use super::spec::Spec;
use super::tool::{Tool, bundled, how_to_get_pip, uv};
use crate::relocate;

/// Puts pip into `clone`, as new and at the version that it had if that can be had, and makes its scripts say `final_path`.
///
/// # Errors
/// No way to get it worked.
pub(crate) fn seed_pip(clone: &Path, final_path: &Path, spec: &Spec, run: &mut Run<'_>) -> anyhow::Result<()> {
    let recorded = recorded(clone);
    // What is left of it would pass for the whole: ensurepip says "already satisfied".
    remove(clone)?;
    if !again(clone, final_path, recorded, spec, run)? {
        ensure(clone, spec, run)?;
    }
    relocate::rewrite(clone, &[clone], final_path).context("cannot make pip's scripts say where they will stand")
}

/// Installs the pip that comes with the interpreter, without a network: by uv where it is there (0.1 s), else by ensurepip (1 to 3 s).
pub(super) fn ensure(venv: &Path, spec: &Spec, run: &mut Run<'_>) -> anyhow::Result<()> {
    let python = venv.join("bin/python");
    let base = python.canonicalize().with_context(|| format!("cannot find the interpreter behind {}", shown(&python)))?;
    if let (Some(uv), Some(wheels)) = (uv(spec.installer)?, bundled(&home(venv).unwrap_or_else(|| base.clone()))) {
        let mut command = Tool::Uv(uv).install(&python);
        command.args(["--offline", "--no-config", "--no-index", "--no-deps", "--find-links"]).arg(wheels).arg("pip");
        if run(&mut command)?.ended.success() {
            return Ok(());
        }
    }
    let mut command = Command::new(&python);
    let finished = run(scrub(command.args(["-I", "-m", "ensurepip", "--default-pip"])))?;
    match finished.ended {
        Ended::Exited(status) if status.success() => Ok(()),
        Ended::Interrupted => bail!("a signal asked to stop"),
        Ended::TimedOut => bail!("ensurepip did not come to an end in time"),
        Ended::Exited(_) => {
            let reason = reason(&finished).unwrap_or_else(|| "it said nothing".to_owned());
            bail!("cannot put pip into the environment ({reason}): {}", how_to_get_pip(&base))
        }
    }
}

/// The interpreter that the environment is of: a copy in `bin` has no library beside it.
fn home(venv: &Path) -> Option<PathBuf> {
    let remains = Remains::of(venv);
    let (major, minor) = remains.minor()?;
    Path::new(remains.setting("home")?).join(format!("python{major}.{minor}")).canonicalize().ok()
}

fn recorded(venv: &Path) -> Option<Pin> {
    let remains = Remains::of(venv);
    let (dists, _) = super::dist::installed(&remains.library()?.packages);
    let pip = dists.into_iter().find(|dist| dist.name == "pip")?;
    Pin::exact("pip", &pip.version).ok()
}

/// Whether uv could install the recorded version; pip cannot install itself where it is not.
fn again(venv: &Path, final_path: &Path, pin: Option<Pin>, spec: &Spec, run: &mut Run<'_>) -> anyhow::Result<bool> {
    let (Some(uv), Some(pin)) = (uv(spec.installer)?, pin) else { return Ok(false) };
    let folder = final_path.parent().unwrap_or(final_path).to_owned();
    let mut session = Session::plain(Tool::Uv(uv), venv.join("bin/python"), folder, run);
    session.fresh = spec.fresh;
    Ok(session.install(vec![pin], &Way::EXACT)?.is_empty())
}

fn remove(venv: &Path) -> anyhow::Result<()> {
    for packages in Remains::of(venv).library().iter().map(|library| &library.packages) {
        let is_pip = |name: &&String| *name == "pip" || name.starts_with("pip-") && name.ends_with("-info");
        for name in entries(packages).iter().filter(is_pip) {
            remove_tree(&packages.join(name))?;
        }
    }
    for name in entries(&venv.join("bin")).iter().filter(|name| is_script(name)) {
        remove_tree(&venv.join("bin").join(name))?;
    }
    Ok(())
}

/// `pip`, `pip3`, `pip3.12`, `pip-3.12`.
fn is_script(name: &str) -> bool {
    name.strip_prefix("pip").is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '-'))
}

pub(super) fn remove_tree(path: &Path) -> anyhow::Result<()> {
    let remove = || match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    };
    remove().with_context(|| format!("cannot remove {}", shown(path)))
}
