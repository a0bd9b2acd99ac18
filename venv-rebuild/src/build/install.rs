//! Installing into one environment: all at once where that works, else everything but what cannot be had.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use contract::child::{Ended, Finished};
use tempfile::NamedTempFile;

use super::Run;
use super::pin::{Pin, normalised};
use super::reason::{is_unreachable, reason};
use super::tool::Tool;

/// How one attempt goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// From uv's cache alone.
    pub(super) offline: bool,
    /// With dependencies, which the installer chooses.
    pub(super) resolve: bool,
    /// Held to the versions that were installed.
    pub(super) as_it_was: bool,
}

impl Way {
    /// Exactly the pins: from the cache, then from the index.
    pub(super) const EXACT: [Self; 2] = {
        let way = Self { offline: true, resolve: false, as_it_was: false };
        [way, Self { offline: false, ..way }]
    };
    /// What the project asks for: at the versions that were there, then at others.
    pub(super) const RESOLVED: [Self; 4] = {
        let way = Self { offline: true, resolve: true, as_it_was: true };
        let free = Self { as_it_was: false, ..way };
        [way, Self { offline: false, ..way }, Self { offline: false, ..free }, free]
    };
}

/// One environment that packages are installed into.
pub(super) struct Session<'a, 'b> {
    /// What installs.
    pub(super) tool: Tool,
    /// The environment's `bin/python`, absolute: uv takes a folder named like a version for the version.
    pub(super) python: PathBuf,
    /// The project's folder, whose configuration of the installer counts.
    pub(super) folder: PathBuf,
    /// Lines of a requirements file that say where packages come from.
    pub(super) options: Vec<String>,
    /// The project's bounds for what is resolved.
    pub(super) limits: Vec<Pin>,
    /// The versions that were installed and that the project allows.
    pub(super) kept: Vec<Pin>,
    /// Whether caches are passed over.
    pub(super) fresh: bool,
    /// Whether what is installed is installed again.
    pub(super) again: bool,
    /// Set once the time of a call was over: what hung once is not waited for again.
    expired: Option<String>,
    /// Set once the index could not be reached: every further call would wait as long.
    unreachable: Option<String>,
    /// Runs a command.
    pub(super) run: &'a mut Run<'b>,
}

impl<'a, 'b> Session<'a, 'b> {
    /// A session that takes packages from where the user's own configuration says.
    pub(super) fn plain(tool: Tool, python: PathBuf, folder: PathBuf, run: &'a mut Run<'b>) -> Self {
        let (options, limits, kept) = (Vec::new(), Vec::new(), Vec::new());
        Self { tool, python, folder, options, limits, kept, fresh: false, again: false, expired: None, unreachable: None, run }
    }

    /// Installs pins; returns those that could not be, each with the reason. Everything else is there.
    ///
    /// # Errors
    /// The installer cannot be started, or a signal asked us to stop.
    pub(super) fn install(&mut self, pins: Vec<Pin>, ways: &[Way]) -> anyhow::Result<Vec<(Pin, String)>> {
        // One hash makes pip demand hashes of all, which a source tree cannot have.
        let (plain, hashed): (Vec<Pin>, Vec<Pin>) = pins.into_iter().partition(|pin| pin.hashes.is_empty());
        if matches!(self.tool, Tool::Uv(_)) {
            return self.install_together([hashed, plain].concat(), ways);
        }
        let mut failed = self.install_together(hashed, ways)?;
        failed.extend(self.install_together(plain, ways)?);
        Ok(failed)
    }

    fn install_together(&mut self, pins: Vec<Pin>, ways: &[Way]) -> anyhow::Result<Vec<(Pin, String)>> {
        let ways: Vec<Way> = ways.iter().copied().filter(|way| self.is_possible(*way)).collect();
        let mut failed = Vec::new();
        for way in &ways {
            match self.attempt(&pins, *way)? {
                Ok(()) => return Ok(Vec::new()),
                Err(reason) => failed = pins.iter().map(|pin| (pin.clone(), reason.clone())).collect(),
            }
        }
        for way in ways.iter().filter(|_| pins.len() > 1) {
            failed = self.all_but_the_guilty(failed, *way)?;
        }
        Ok(failed)
    }

    fn is_possible(&self, way: Way) -> bool {
        let cached = matches!(self.tool, Tool::Uv(_)) && !self.fresh;
        (!way.offline || cached) && (way.as_it_was || !way.resolve || !self.kept.is_empty())
    }

    /// Divides what fails until the guilty ones stand alone: those that the installer names from the others, else in halves.
    fn all_but_the_guilty(&mut self, pins: Vec<(Pin, String)>, way: Way) -> anyhow::Result<Vec<(Pin, String)>> {
        let attempted: Vec<Pin> = pins.iter().map(|(pin, _)| pin.clone()).collect();
        match self.attempt(&attempted, way)? {
            Ok(()) => Ok(Vec::new()),
            Err(reason) if pins.len() == 1 => Ok(attempted.into_iter().map(|pin| (pin, reason.clone())).collect()),
            Err(reason) => {
                let (first, second) = divided(pins, &reason);
                let mut failed = self.all_but_the_guilty(first, way)?;
                failed.extend(self.all_but_the_guilty(second, way)?);
                Ok(failed)
            }
        }
    }

    /// One call; the inner error is what the installer said.
    fn attempt(&mut self, pins: &[Pin], way: Way) -> anyhow::Result<Result<(), String>> {
        if pins.is_empty() {
            return Ok(Ok(()));
        }
        let asks_the_index = !way.offline && (way.resolve || pins.iter().any(Pin::is_of_an_index));
        if let Some(reason) = self.expired.as_ref().or(self.unreachable.as_ref().filter(|_| asks_the_index)) {
            return Ok(Err(reason.clone()));
        }
        match self.call(pins, way)? {
            Err(reason) if asks_the_index && is_unreachable(&reason) && pins.iter().all(Pin::is_of_an_index) => {
                let reason = format!("the index cannot be reached: {reason}");
                self.unreachable = Some(reason.clone());
                Ok(Err(reason))
            }
            outcome => Ok(outcome),
        }
    }

    fn call(&mut self, pins: &[Pin], way: Way) -> anyhow::Result<Result<(), String>> {
        let wanted = file(self.options.iter().filter(|line| !is_argument(line)).cloned().chain(pins.iter().map(Pin::lines)))?;
        let kept = self.kept.iter().filter(|_| way.as_it_was);
        let constraints = file(self.limits.iter().chain(kept).map(Pin::lines))?;
        let mut command = self.command(wanted.path(), way);
        if way.resolve {
            command.arg("-c").arg(constraints.path());
        }
        let finished = (self.run)(&mut command)?;
        self.judge(&finished)
    }

    fn command(&self, wanted: &Path, way: Way) -> Command {
        let mut command = self.tool.install(&self.python);
        command.current_dir(&self.folder).arg("-r").arg(wanted);
        let uv = matches!(self.tool, Tool::Uv(_));
        let has = |option: &str| self.options.iter().any(|line| line == option);
        let flags = [
            (!way.resolve, "--no-deps"),
            (uv && way.offline, "--offline"),
            (self.fresh, if uv { "--refresh" } else { "--no-cache-dir" }),
            (self.again, if uv { "--reinstall" } else { "--force-reinstall" }),
            (has("--pre"), if uv { "--prerelease=allow" } else { "--pre" }),
            (has("--require-hashes") && way.resolve, "--require-hashes"),
        ];
        command.args(flags.iter().filter(|(on, _)| *on).map(|(_, flag)| flag));
        command
    }

    fn judge(&mut self, finished: &Finished) -> anyhow::Result<Result<(), String>> {
        match finished.ended {
            Ended::Exited(status) if status.success() => Ok(Ok(())),
            Ended::Exited(status) => Ok(Err(reason(finished).unwrap_or_else(|| format!("{} ended with {status}", self.tool.name())))),
            Ended::TimedOut => {
                let reason = format!("{} did not come to an end in time", self.tool.name());
                self.expired = Some(reason.clone());
                Ok(Err(reason))
            }
            Ended::Interrupted => bail!("a signal asked to stop"),
        }
    }
}

/// The pins that a reason names and the others; halves where it names none or all.
fn divided(mut pins: Vec<(Pin, String)>, reason: &str) -> (Vec<(Pin, String)>, Vec<(Pin, String)>) {
    let words: Vec<String> = reason.split(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c)).filter_map(|word| normalised(word).ok()).collect();
    let is_named = |pin: &(Pin, String)| words.contains(&pin.0.name);
    if pins.iter().any(is_named) && !pins.iter().all(is_named) {
        return pins.into_iter().partition(|pin| !is_named(pin));
    }
    let second = pins.split_off(pins.len() / 2);
    (pins, second)
}

/// Options that uv takes as arguments alone; they hold no secret.
fn is_argument(line: &str) -> bool {
    matches!(line, "--pre" | "--require-hashes")
}

/// A file that nobody else can read: addresses in it may hold passwords.
fn file(lines: impl Iterator<Item = String>) -> anyhow::Result<NamedTempFile> {
    let write = || {
        let mut file = tempfile::Builder::new().prefix("mendline-").suffix(".txt").tempfile()?;
        lines.into_iter().try_for_each(|line| writeln!(file, "{line}"))?;
        file.flush()?;
        std::io::Result::Ok(file)
    };
    write().context("cannot write the list of packages for the installer to the temporary folder")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pins: &[(Pin, String)]) -> Vec<&str> {
        pins.iter().map(|(pin, _)| pin.name.as_str()).collect()
    }

    #[test]
    fn those_that_the_installer_names_are_tried_apart() {
        let pins = || ["a", "b-c", "d"].map(|name| (Pin::exact(name, "1").unwrap(), String::new())).to_vec();
        let (first, second) = divided(pins(), "Because b_C==1 was not found.");
        assert_eq!((names(&first), names(&second)), (vec!["a", "d"], vec!["b-c"]));
        let (first, second) = divided(pins(), "it broke");
        assert_eq!((names(&first), names(&second)), (vec!["a"], vec!["b-c", "d"]));
    }
}
