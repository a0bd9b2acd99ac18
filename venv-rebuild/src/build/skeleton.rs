//! The environment itself, before any package is in it.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use contract::child::Ended;
use contract::path::shown;

use super::Run;
use super::environment::scrub;
use super::interpreter::Interpreter;
use super::ours;
use super::places::program;
use super::reason::reason;
use super::spec::{Creator, Spec};
use super::tool::uv;
use crate::edit::{Content, Edit};

/// Makes an environment without packages in `aside`, by what made the old one where that is at hand.
///
/// # Errors
/// The creator fails, or `run` does.
pub(super) fn make(spec: &Spec, interpreter: &Interpreter, aside: &Path, final_path: &Path, run: &mut Run<'_>) -> anyhow::Result<()> {
    ensure!(
        aside.to_str().is_some(),
        "the path {} is not UTF-8, where neither uv nor venv can make an environment: rename the folder",
        shown(final_path)
    );
    let mut command = match spec.creator {
        // uv makes no copies; it has the activate_this.py that users of virtualenv may rely on.
        Creator::Uv | Creator::Virtualenv if !spec.copies && uv(spec.installer)?.is_some() => by_uv(spec, interpreter)?,
        Creator::Virtualenv if program("virtualenv").is_some() => by_virtualenv(spec, interpreter)?,
        _ => by_venv(spec, interpreter)?,
    };
    let renamed = aside.file_name() != final_path.file_name();
    if let Some(prompt) = prompt(spec, renamed, final_path) {
        command.arg("--prompt").arg(prompt);
    }
    finish(scrub(command.arg(aside)), run)?;
    correct(spec, aside)
}

fn by_venv(spec: &Spec, interpreter: &Interpreter) -> anyhow::Result<Command> {
    ours::with_packages(&interpreter.path, spec.minor)?;
    let mut command = Command::new(&interpreter.path);
    // pip comes later and faster, and an interpreter without ensurepip can make the rest all the same.
    command.args(["-I", "-m", "venv", "--without-pip"]);
    flag(&mut command, spec.copies, "--copies");
    flag(&mut command, spec.system_site_packages, "--system-site-packages");
    Ok(command)
}

fn by_uv(spec: &Spec, interpreter: &Interpreter) -> anyhow::Result<Command> {
    let mut command = Command::new(program("uv").context("uv is gone")?);
    command.args(["venv", "--no-project", "--no-config", "--quiet", "--python"]).arg(&interpreter.path);
    flag(&mut command, spec.system_site_packages, "--system-site-packages");
    flag(&mut command, spec.relocatable, "--relocatable");
    Ok(command)
}

fn by_virtualenv(spec: &Spec, interpreter: &Interpreter) -> anyhow::Result<Command> {
    let mut command = Command::new(program("virtualenv").context("virtualenv is gone")?);
    command.args(["--no-seed", "--quiet", "--python"]).arg(&interpreter.path);
    flag(&mut command, spec.copies, "--always-copy");
    flag(&mut command, spec.system_site_packages, "--system-site-packages");
    Ok(command)
}

fn flag(command: &mut Command, on: bool, flag: &str) {
    if on {
        command.arg(flag);
    }
}

/// The standard library writes the folder's name into the activate files where there is no prompt: it must be the final one.
fn prompt<'a>(spec: &'a Spec, renamed: bool, final_path: &'a Path) -> Option<&'a OsStr> {
    let name = final_path.file_name().filter(|_| renamed && spec.creator == Creator::Venv);
    spec.prompt.as_deref().map(OsStr::new).or(name)
}

fn finish(command: &mut Command, run: &mut Run<'_>) -> anyhow::Result<()> {
    let finished = run(command)?;
    let program = shown(Path::new(command.get_program()));
    match finished.ended {
        Ended::Exited(status) if status.success() => Ok(()),
        Ended::Exited(status) => bail!("{program} made no environment: {}", reason(&finished).unwrap_or_else(|| status.to_string())),
        Ended::TimedOut => bail!("{program} made no environment in the time it had"),
        Ended::Interrupted => bail!("a signal asked to stop"),
    }
}

/// Makes `pyvenv.cfg` say what was wanted, where we got it another way: the next rebuild reads it.
fn correct(spec: &Spec, aside: &Path) -> anyhow::Result<()> {
    let path = aside.join("pyvenv.cfg");
    let text = fs::read(&path).with_context(|| format!("cannot read {}", shown(&path)))?;
    let mut lines: Vec<&[u8]> = text.split(|&b| b == b'\n').filter(|line| !line.is_empty()).collect();
    lines.retain(|line| spec.prompt.is_some() || !line.starts_with(b"prompt ="));
    let by_uv = lines.iter().any(|line| line.starts_with(b"uv ="));
    if spec.with_pip && by_uv {
        lines.push(b"seed = true");
    }
    let lines: Vec<Vec<u8>> =
        lines.into_iter().map(|line| if line.starts_with(b"command =") { command(line, spec) } else { line.to_vec() }).collect();
    let content = Content::File { bytes: [lines.join(&b'\n'), b"\n".to_vec()].concat(), mode: 0o644 };
    Edit { path: "pyvenv.cfg".into(), content }.apply_aside(aside)
}

fn command(line: &[u8], spec: &Spec) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(line) else { return line.to_vec() };
    let mut text = text.to_owned();
    if spec.with_pip {
        text = text.replacen(" --without-pip", "", 1).replacen(" --no-seed", "", 1);
    }
    // With no prompt asked for, the one that stands there is the folder's name, which we gave.
    if let (None, Some((before, after))) = (&spec.prompt, text.split_once(" --prompt=\""))
        && let Some((_, path)) = after.split_once("\" ")
    {
        text = format!("{before} {path}");
    }
    text.into_bytes()
}
