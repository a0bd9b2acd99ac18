//! Installing into one environment: the argument vector, what its installer reads, and whether anything conflicts that did not before.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use contract::child::{self, Ended, Finished};
use contract::path::shown;
use contract::{redact, sibling};

use super::foresee::{Only, installed, replaced};
use super::surroundings::scrub;
use super::target::last_line;
use crate::{leftover, python};

/// Wheels can be large, and a network slow.
const PATIENCE: Duration = Duration::from_mins(15);
const KEEP: usize = 256 << 10;
/// The names of what an installer reads, in a folder of its own.
const REQUIREMENTS: &str = "requirements.txt";
const LIMITS: &str = "constraints.txt";

/// What installs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    /// The environment's own.
    Pip,
    /// By its path.
    Uv(PathBuf),
}

/// One installation.
#[derive(Debug)]
pub(crate) struct Install {
    pub(super) venv: PathBuf,
    pub(super) tool: Tool,
    /// Lines of a requirements file; may hold passwords.
    pub(super) lines: Vec<String>,
    /// Lines of a constraints file.
    pub(super) limits: Vec<String>,
    pub(super) hashed: bool,
    /// What alone may be replaced, where more than the module is installed.
    pub(super) only: Option<Only>,
}

impl Tool {
    /// pip where the environment has it, else uv.
    pub(super) fn of(has_pip: bool) -> Option<Self> {
        if has_pip {
            return Some(Self::Pip);
        }
        sibling::locate("uv").ok().filter(|uv| python::trusted(uv).is_ok()).map(Self::Uv)
    }
}

impl Install {
    /// All that an installer writes lies below the environment, and not only in its packages and in `bin`: a wheel can have data for
    /// `share` and `etc`, too.
    pub(crate) fn touches(&self) -> PathBuf {
        self.venv.clone()
    }

    /// Its arguments. It is run in a folder that has the files which are named here.
    pub(super) fn argv(&self) -> Vec<String> {
        let mut words = self.start("install");
        words.extend(match self.tool {
            Tool::Pip => {
                ["--no-input", "--require-virtualenv", "--progress-bar=off", "--no-warn-script-location"].map(str::to_owned).to_vec()
            }
            Tool::Uv(_) => vec!["--no-progress".to_owned()],
        });
        words.extend(["--only-binary", ":all:", "-r", REQUIREMENTS].map(str::to_owned));
        if !self.limits.is_empty() {
            words.extend(["-c", LIMITS].map(str::to_owned));
        }
        words.extend(self.hashed.then(|| "--require-hashes".to_owned()));
        words
    }

    fn start(&self, command: &str) -> Vec<String> {
        let python = self.venv.join("bin/python").display().to_string();
        match &self.tool {
            Tool::Pip => [&python, "-I", "-B", "-m", "pip", command, "--disable-pip-version-check"].map(str::to_owned).to_vec(),
            Tool::Uv(uv) => [&uv.display().to_string(), "pip", command, "--python", &python].map(str::to_owned).to_vec(),
        }
    }

    /// Tells what other versions were replaced, in words.
    ///
    /// # Errors
    /// It cannot be installed, or conflicts with what was there; the caller puts back what there was.
    pub(crate) fn apply(&self) -> anyhow::Result<Vec<String>> {
        let folder = tempfile::tempdir().context("there is no room for a temporary folder")?;
        self.only.as_ref().map_or(Ok(()), |only| self.spares(only, folder.path()))?;
        let (before, versions) = (self.conflicts(folder.path())?, installed(&self.venv));
        let finished = self.run_in(folder.path(), &[])?;
        anyhow::ensure!(finished.ended.success(), "{} failed: {}", self.name(), reason(&finished));
        let now = self.conflicts(folder.path())?;
        let new: Vec<&str> = now.difference(&before).map(String::as_str).collect();
        anyhow::ensure!(new.is_empty(), "it conflicts with what is installed: {}", new.join("; "));
        Ok(replaced(&versions, &installed(&self.venv)))
    }

    /// Runs the installer in a folder, with what it reads and with more arguments.
    ///
    /// # Errors
    /// It cannot be started, or does not end.
    pub(super) fn run_in(&self, folder: &Path, more: &[&str]) -> anyhow::Result<Finished> {
        lay(folder, REQUIREMENTS, &self.lines)?;
        lay(folder, LIMITS, &self.limits)?;
        let words = self.argv().into_iter().chain(more.iter().map(|word| (*word).to_owned()));
        run(&words.collect::<Vec<_>>(), folder)
    }

    pub(super) fn name(&self) -> &'static str {
        match self.tool {
            Tool::Pip => "pip",
            Tool::Uv(_) => "uv",
        }
    }

    /// What the installer says does not fit together.
    fn conflicts(&self, folder: &Path) -> anyhow::Result<BTreeSet<String>> {
        let finished = run(&self.start("check"), folder)?;
        let says = |line: &&str| match self.tool {
            Tool::Pip => [" requires ", " has requirement ", " is not supported "].iter().any(|words| line.contains(words)),
            Tool::Uv(_) => line.starts_with("The package "),
        };
        let said = [finished.stdout, finished.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        Ok(said.lines().filter(says).map(redact::excerpt).collect())
    }
}

#[expect(clippy::disallowed_methods, reason = "nobody reads it after this run")]
fn lay(folder: &Path, name: &str, lines: &[String]) -> anyhow::Result<()> {
    let path = folder.join(name);
    let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    fs::write(&path, text).with_context(|| format!("cannot write {}", shown(&path)))
}

fn run(argv: &[String], folder: &Path) -> anyhow::Result<Finished> {
    let (program, words) = argv.split_first().context("there is no installer")?;
    let mut command = Command::new(program);
    command.args(words).current_dir(folder);
    scrub(&mut command);
    command.env(leftover::VARIABLE, leftover::mark());
    let finished = child::run(&mut command, PATIENCE, KEEP).with_context(|| format!("cannot start {program}"))?;
    match finished.ended {
        Ended::Exited(_) => Ok(finished),
        Ended::TimedOut => anyhow::bail!("{program} did not end within {} minutes", PATIENCE.as_secs() / 60),
        Ended::Interrupted => anyhow::bail!("interrupted"),
    }
}

/// What an installer says went wrong: its errors, else its last line.
fn reason(finished: &Finished) -> String {
    let text = String::from_utf8_lossy(&finished.stderr);
    let errors: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("ERROR: ")).collect();
    if errors.is_empty() { last_line(&finished.stderr) } else { redact::excerpt(&errors.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(tool: Tool, hashed: bool, limits: &[&str]) -> String {
        let limits = limits.iter().map(|&line| line.to_owned()).collect();
        Install { venv: "/p/.venv".into(), tool, lines: vec!["--index-url https://u:p@h/".to_owned()], limits, hashed, only: None }
            .argv()
            .join(" ")
    }

    #[test]
    fn nothing_is_ever_built_and_nothing_secret_is_an_argument() {
        let pip = install(Tool::Pip, false, &[]);
        assert!(
            pip.starts_with("/p/.venv/bin/python -I -B -m pip install ") && pip.ends_with("--only-binary :all: -r requirements.txt"),
            "{pip}"
        );
        let uv = install(Tool::Uv("/bin/uv".into()), true, &["a<2"]);
        assert!(uv.starts_with("/bin/uv pip install --python /p/.venv/bin/python "), "{uv}");
        assert!(uv.ends_with("--only-binary :all: -r requirements.txt -c constraints.txt --require-hashes"), "{uv}");
        for words in [pip, uv] {
            assert!(!words.contains("u:p") && !words.contains("break-system") && !words.contains("sudo"), "{words}");
        }
    }
}
