//! Installing into one environment: all at once where that works, else everything but what cannot be had.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use contract::child::{Ended, Finished};
use contract::path::shown;
use tempfile::NamedTempFile;

use super::pin::{Pin, normalised};
use super::reason::{is_unreachable, reason};
use super::tool::Tool;
use super::{Failed, Run};

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
    /// The interpreter that `python` leads to, if uv would write exactly this path into scripts for it. It has asked that one before, and would
    /// have to start one that is new to it, which takes longer than installing.
    pub(super) base: Option<PathBuf>,
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
        Self { tool, python, base: None, folder, options, limits, kept, fresh: false, again: false, expired: None, unreachable: None, run }
    }

    /// Installs pins; returns those that could not be, each with the reason. Everything else is there.
    ///
    /// # Errors
    /// The installer cannot be started, or a signal asked us to stop.
    pub(super) fn install(&mut self, pins: Vec<Pin>, ways: &[Way]) -> anyhow::Result<Failed> {
        // One hash makes pip demand hashes of all, which a source tree cannot have.
        let (plain, hashed): (Vec<Pin>, Vec<Pin>) = pins.into_iter().partition(|pin| pin.hashes.is_empty());
        if matches!(self.tool, Tool::Uv(_)) {
            return self.install_together(&[hashed, plain].concat(), ways);
        }
        let mut failed = self.install_together(&hashed, ways)?;
        failed.extend(self.install_together(&plain, ways)?);
        Ok(failed)
    }

    fn install_together(&mut self, pins: &[Pin], ways: &[Way]) -> anyhow::Result<Failed> {
        let mut told = Vec::new();
        for way in ways.iter().copied().filter(|way| self.is_possible(*way)).collect::<Vec<_>>() {
            match self.attempt(pins, way)? {
                Ok(()) => return Ok(Vec::new()),
                Err(reason) => told.push((way, reason)),
            }
        }
        let last = told.last().map(|(_, reason)| reason.clone()).unwrap_or_default();
        let mut failed: Failed = pins.iter().map(|pin| (pin.clone(), last.clone())).collect();
        for (way, reason) in told.into_iter().filter(|_| pins.len() > 1) {
            let is_all = failed.len() == pins.len();
            failed = if is_all { self.apart(failed, &reason, way)? } else { self.all_but_the_guilty(failed, way)? };
        }
        Ok(failed)
    }

    fn is_possible(&self, way: Way) -> bool {
        let cached = matches!(self.tool, Tool::Uv(_)) && !self.fresh;
        (!way.offline || cached) && (way.as_it_was || !way.resolve || !self.kept.is_empty())
    }

    /// Divides what fails until the guilty ones stand alone: those that the installer names from the others, else in halves.
    fn all_but_the_guilty(&mut self, pins: Failed, way: Way) -> anyhow::Result<Failed> {
        let attempted: Vec<Pin> = pins.iter().map(|(pin, _)| pin.clone()).collect();
        match self.attempt(&attempted, way)? {
            Ok(()) => Ok(Vec::new()),
            Err(reason) if pins.len() == 1 => Ok(attempted.into_iter().map(|pin| (pin, reason.clone())).collect()),
            Err(reason) => self.apart(pins, &reason, way),
        }
    }

    fn apart(&mut self, pins: Failed, reason: &str, way: Way) -> anyhow::Result<Failed> {
        let (first, second) = divided(pins, reason);
        let mut failed = self.all_but_the_guilty(first, way)?;
        failed.extend(self.all_but_the_guilty(second, way)?);
        Ok(failed)
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
        let wanted = self.file(self.options.iter().filter(|line| !is_argument(line)).cloned().chain(pins.iter().map(Pin::lines)))?;
        let kept = self.kept.iter().filter(|_| way.as_it_was);
        let constraints = self.file(self.limits.iter().chain(kept).map(Pin::lines))?;
        let mut command = self.command(wanted.path(), way);
        if way.resolve {
            command.arg("-c").arg(constraints.path());
        }
        let finished = (self.run)(&mut command)?;
        let told = self.judge(&finished)?;
        // A build can need what only the environment itself has.
        if told.is_err() && way.offline && self.expired.is_none() && self.base.take().is_some() {
            return self.call(pins, way);
        }
        Ok(told)
    }

    /// A file that nobody else can read: addresses in it may hold passwords. It lies in the new tree, with which it goes even where we
    /// are killed.
    fn file(&self, lines: impl Iterator<Item = String>) -> anyhow::Result<NamedTempFile> {
        let folder = self.root();
        let write = || {
            let mut file = tempfile::Builder::new().prefix(".mendline-").suffix(".txt").tempfile_in(folder)?;
            lines.into_iter().try_for_each(|line| writeln!(file, "{line}"))?;
            file.flush()?;
            std::io::Result::Ok(file)
        };
        write().with_context(|| format!("cannot write the list of packages for the installer to {}", shown(folder)))
    }

    /// The environment.
    fn root(&self) -> &Path {
        self.python.ancestors().nth(2).unwrap_or(&self.folder)
    }

    fn command(&self, wanted: &Path, way: Way) -> Command {
        let mut command = match &self.base {
            Some(base) if way.offline => {
                let mut command = self.tool.install(base);
                command.arg("--prefix").arg(self.root());
                command
            }
            _ => self.tool.install(&self.python),
        };
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
fn divided(mut pins: Failed, reason: &str) -> (Failed, Failed) {
    let words: Vec<String> =
        reason.split(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c)).filter_map(|word| normalised(word).ok()).collect();
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    /// Names and flags of one call.
    type Call = (Vec<String>, Vec<String>);

    /// What an installer does with these names.
    type Fake<'a> = &'a dyn Fn(&[String], &[String]) -> (Ended, String);

    /// Installs `names`; returns the calls (names, flags) and what failed.
    fn installed(names: &[&str], ways: &[Way], kept: bool, fake: Fake<'_>) -> (Vec<Call>, Vec<(String, String)>) {
        let mut calls = Vec::new();
        let mut run = |command: &mut Command| {
            let words: Vec<String> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
            let file = words.iter().position(|word| word == "-r").unwrap() + 1;
            let names: Vec<String> = fs::read_to_string(&words[file]).unwrap().lines().map(|line| line.replace("==1", "")).collect();
            let flags: Vec<String> = words[file + 1..].iter().filter(|word| word.starts_with('-')).cloned().collect();
            let (ended, stderr) = fake(&names, &flags);
            calls.push((names, flags));
            Ok(Finished { ended, stdout: Vec::new(), stderr: stderr.into_bytes() })
        };
        let pin = |name: &&str| if name.contains(':') { Pin::at_url("u", name) } else { Pin::exact(name, "1") }.unwrap();
        let venv = tempfile::tempdir().unwrap();
        let mut session = Session::plain(Tool::Uv("uv".into()), venv.path().join("bin/python"), "/".into(), &mut run);
        session.kept = names.iter().filter(|_| kept).map(pin).collect();
        let failed = session.install(names.iter().map(pin).collect(), ways).unwrap();
        (calls, failed.into_iter().map(|(pin, reason)| (pin.name, reason)).collect())
    }

    fn end(code: i32, stderr: &str) -> (Ended, String) {
        (Ended::Exited(ExitStatus::from_raw(code << 8)), stderr.to_owned())
    }

    #[test]
    fn one_call_is_enough_where_the_cache_has_all() {
        let (calls, failed) = installed(&["a", "b"], &Way::EXACT, false, &|_, _| end(0, ""));
        assert_eq!(calls, [(vec!["a".to_owned(), "b".to_owned()], vec!["--no-deps".to_owned(), "--offline".to_owned()])]);
        assert_eq!(failed, []);
    }

    #[test]
    fn the_guilty_are_found_and_the_rest_is_installed() {
        let there = std::cell::RefCell::new(Vec::new());
        let fake = |names: &[String], _: &[String]| {
            if let Some(guilty) = names.iter().find(|name| ["c", "g"].contains(&name.as_str())) {
                return end(1, &format!("error: {guilty} was not found"));
            }
            there.borrow_mut().extend_from_slice(names);
            end(0, "")
        };
        let (_, failed) = installed(&["a", "b", "c", "d", "e", "f", "g"], &Way::EXACT, false, &fake);
        assert_eq!(failed, [("c".to_owned(), "c was not found".to_owned()), ("g".to_owned(), "g was not found".to_owned())]);
        assert_eq!(*there.borrow(), ["a", "b", "d", "e", "f"]);
    }

    #[test]
    fn what_hangs_once_is_not_waited_for_again() {
        let (calls, failed) = installed(&["a", "b"], &Way::EXACT, false, &|_, _| (Ended::TimedOut, String::new()));
        assert_eq!((calls.len(), failed.len()), (1, 2));
        assert_eq!(failed[1].1, "uv did not come to an end in time");
    }

    #[test]
    fn an_index_that_does_not_answer_is_asked_once_and_addresses_still() {
        let fake = |names: &[String], flags: &[String]| match names {
            [only] if only.contains("://") => end(0, ""),
            _ if flags.iter().any(|flag| flag == "--offline") => end(1, "error: not in the cache"),
            _ => end(2, "error: dns error"),
        };
        let (calls, failed) = installed(&["a", "b", "c", "https://h/u.zip"], &Way::EXACT, false, &fake);
        let online: Vec<_> = calls.iter().filter(|(_, flags)| flags.len() == 1).map(|(names, _)| names.len()).collect();
        assert_eq!(online, [4, 3]);
        assert_eq!(failed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(failed[2].1, "the index cannot be reached: dns error");
    }

    #[test]
    fn what_cannot_be_installed_for_the_base_is_tried_by_the_environments_own_interpreter() {
        let mut calls = Vec::new();
        let mut run = |command: &mut Command| {
            let words: Vec<String> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
            let has = |flag: &str| words.iter().any(|word| word == flag);
            let python = words[words.iter().position(|word| word == "--python").unwrap() + 1].clone();
            calls.push((python, has("--prefix"), has("--offline")));
            let code = i32::from(calls.len() < 3) << 8;
            Ok(Finished { ended: Ended::Exited(ExitStatus::from_raw(code)), stdout: Vec::new(), stderr: Vec::new() })
        };
        let venv = tempfile::tempdir().unwrap();
        let python = venv.path().join("bin/python");
        let mut session = Session::plain(Tool::Uv("uv".into()), python.clone(), "/".into(), &mut run);
        session.base = Some("/opt/p/bin/python3.12".into());
        assert_eq!(session.install(vec![Pin::exact("a", "1").unwrap()], &Way::EXACT).unwrap(), []);
        let own = python.to_str().unwrap().to_owned();
        assert_eq!(calls, [("/opt/p/bin/python3.12".to_owned(), true, true), (own.clone(), false, true), (own, false, false)]);
    }

    #[test]
    fn versions_are_given_up_only_where_they_do_not_fit() {
        let fake =
            |_: &[String], flags: &[String]| if flags.iter().any(|flag| flag == "--offline") { end(1, "error: x") } else { end(0, "") };
        let (calls, _) = installed(&["a"], &Way::RESOLVED, true, &fake);
        assert_eq!(calls.last().unwrap().1, ["-c"]);
        assert_eq!(calls.len(), 2);
    }

    #[test]
    fn those_that_the_installer_names_are_tried_apart() {
        let names = |pins: &[(Pin, String)]| pins.iter().map(|(pin, _)| pin.name.clone()).collect::<Vec<_>>();
        let pins = || ["a", "b-c", "d"].map(|name| (Pin::exact(name, "1").unwrap(), String::new())).to_vec();
        let (first, second) = divided(pins(), "Because b_C==1 was not found.");
        assert_eq!((names(&first), names(&second)), (vec!["a".to_owned(), "d".to_owned()], vec!["b-c".to_owned()]));
        let (first, _) = divided(pins(), "it broke");
        assert_eq!(names(&first), ["a"]);
    }
}
