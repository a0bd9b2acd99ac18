//! The target interpreter as the judge: it alone knows what it compiles, and it never runs a line of what it is given.
//!
//! Starting it takes longer than compiling, so all candidates of a step go to one process, through `judge.py`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use contract::child::{self, Ended, Finished};
use contract::path::shown;
use serde::Serialize;

/// Compiling takes milliseconds; this is for a machine that is very busy.
const PATIENCE: Duration = Duration::from_secs(20);
/// The same for each candidate.
const PATIENCE_EACH: Duration = Duration::from_millis(250);
/// Bytes of an answer: at most some hundred lines of some hundred bytes.
const KEEP: usize = 1 << 20;
const SCRIPT: &str = include_str!("judge.py");

/// A version of Python, as `(3, 12)`.
pub(crate) type Version = (u32, u32);

/// An interpreter, and which version it says it is.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    python: PathBuf,
    pub(crate) version: Version,
}

/// What an interpreter has against a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Error {
    /// `SyntaxError`, `TabError`, …
    pub(crate) class: String,
    pub(crate) message: String,
    /// Absent where it names none, as for a NUL or an encoding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) offset: Option<usize>,
}

/// What it says of one candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    Compiles,
    /// It compiles, but statements before the first change have become others.
    Moved,
    Fails(Error),
}

/// A text to be judged.
pub(crate) struct Candidate {
    pub(crate) text: Vec<u8>,
    /// The statements of so many of its first bytes must be the same as those of these bytes alone.
    pub(crate) keep: usize,
}

impl Judge {
    /// Asks an interpreter for its version.
    ///
    /// # Errors
    /// It does not run, or is no Python.
    pub(crate) fn at(python: &Path) -> anyhow::Result<Self> {
        let mut judge = Self { python: python.to_owned(), version: (3, 0) };
        judge.version = judge.ask(&[])?.0;
        Ok(judge)
    }

    /// The interpreter.
    pub(crate) fn python(&self) -> &Path {
        &self.python
    }

    /// Judges one source as it is.
    ///
    /// # Errors
    /// The interpreter does not answer.
    pub(crate) fn one(&self, text: &[u8]) -> anyhow::Result<Ruling> {
        let mut rulings = self.all(&[Candidate { text: text.to_owned(), keep: 0 }])?;
        rulings.pop().context("the interpreter gave no answer")
    }

    /// Judges each of some candidates.
    ///
    /// # Errors
    /// The interpreter does not answer.
    pub(crate) fn all(&self, candidates: &[Candidate]) -> anyhow::Result<Vec<Ruling>> {
        let (_, rulings) = self.ask(candidates)?;
        ensure!(rulings.len() == candidates.len(), "{} stopped in the middle of its answer", shown(&self.python));
        Ok(rulings)
    }

    fn ask(&self, candidates: &[Candidate]) -> anyhow::Result<(Version, Vec<Ruling>)> {
        let context = || format!("cannot ask {} what it compiles", shown(&self.python));
        let mut finished = self.run(&["-I"], candidates).with_context(context)?;
        if String::from_utf8_lossy(&finished.stderr).contains("Unknown option: -I") {
            finished = self.run(&["-E", "-s"], candidates).with_context(context)?;
        }
        match finished.ended {
            Ended::Exited(status) if status.success() => parse(&finished.stdout).with_context(context),
            Ended::Exited(status) => {
                bail!("{} ended with {status}: {}", shown(&self.python), String::from_utf8_lossy(finished.stderr.trim_ascii()))
            }
            Ended::TimedOut => bail!("{} did not answer within {} s", shown(&self.python), patience(candidates).as_secs()),
            Ended::Interrupted => bail!("interrupted"),
        }
    }

    /// The script is an argument, so that no file of ours has to lie anywhere.
    fn run(&self, isolation: &[&str], candidates: &[Candidate]) -> io::Result<Finished> {
        let (reader, mut writer) = io::pipe()?;
        thread::scope(|scope| {
            scope.spawn(move || {
                for Candidate { text, keep } in candidates {
                    // Fails where the interpreter is gone, which its answer tells.
                    let _ = writer.write_all(format!("{} {keep}\n", text.len()).as_bytes()).and_then(|()| writer.write_all(text));
                }
            });
            // Made here, since it holds the end that is read from: the writer would wait for ever.
            let mut command = Command::new(&self.python);
            command.args(isolation).args(["-S", "-B", "-W", "ignore", "-c", SCRIPT]);
            child::run_fed(&mut command, reader.into(), patience(candidates), KEEP)
        })
    }
}

fn patience(candidates: &[Candidate]) -> Duration {
    PATIENCE + PATIENCE_EACH * u32::try_from(candidates.len()).unwrap_or(u32::MAX)
}

fn parse(answer: &[u8]) -> anyhow::Result<(Version, Vec<Ruling>)> {
    let answer = String::from_utf8_lossy(answer);
    let mut lines = answer.lines();
    let version = lines.next().and_then(|line| line.split_once(' ')).context("it is no Python")?;
    let version = (version.0.parse()?, version.1.parse()?);
    Ok((version, lines.map(ruling).collect::<anyhow::Result<_>>()?))
}

fn ruling(line: &str) -> anyhow::Result<Ruling> {
    let fields: Vec<&str> = line.splitn(5, '\t').collect();
    match fields[..] {
        ["ok"] => Ok(Ruling::Compiles),
        ["moved"] => Ok(Ruling::Moved),
        ["fail", class, at, offset, message] => Ok(Ruling::Fails(Error {
            class: class.to_owned(),
            message: message.to_owned(),
            line: at.parse().ok().filter(|line| *line > 0),
            offset: offset.parse().ok().filter(|offset| *offset > 0),
        })),
        _ => bail!("it said: {line}"),
    }
}
