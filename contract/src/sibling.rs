//! Running another tool of the family: found beside our own executable, else on PATH, and asked for records.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;

use crate::child::{self, Ended};
use crate::input::{Line, Lines};
use crate::record::{End, Record};

/// More than any sibling says about the subjects of one call.
const KEEP: usize = 64 << 20;

/// What a sibling said.
#[derive(Debug)]
pub struct Answer {
    /// Its records but for `end`, in order.
    pub records: Vec<Record>,
    /// All of them as they were read, `end` included.
    pub lines: Vec<String>,
    /// Whether its stream was whole, so that absence from it means something.
    pub whole: bool,
}

/// Finds the executable of a tool: the one that was installed with us, before any other of that name.
///
/// # Errors
/// There is none.
pub fn locate(name: &str) -> anyhow::Result<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|me| me.parent().map(|folder| folder.join(name)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside
        .into_iter()
        .chain(std::env::split_paths(&path).filter(|folder| folder.is_absolute()).map(|folder| folder.join(name)))
        .find(|candidate| is_executable(candidate))
        .with_context(|| format!("{name} is neither beside this tool nor on PATH; install it with scripts/install"))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Runs a tool and reads its records.
///
/// # Errors
/// It is missing, hangs, is interrupted, or writes what is no record.
pub fn ask<S: AsRef<OsStr>>(name: &str, args: &[S], timeout: Duration) -> anyhow::Result<Answer> {
    ask_about(name, args, b"", timeout)
}

/// Runs a tool on something that it reads, and reads its records; what it passes on is among them.
///
/// # Errors
/// As [`ask`].
pub fn ask_about<S: AsRef<OsStr>>(name: &str, args: &[S], input: &[u8], timeout: Duration) -> anyhow::Result<Answer> {
    let mut command = Command::new(locate(name)?);
    command.args(args).args(["--format", "json"]);
    let (reader, mut writer) = io::pipe().context("cannot make a pipe")?;
    let finished = thread::scope(|scope| {
        // A tool that does not read its input closes it; that is its right.
        scope.spawn(move || writer.write_all(input));
        child::run_fed(&mut command, reader.into(), timeout, KEEP)
    });
    let finished = finished.with_context(|| format!("cannot start {name}"))?;
    match finished.ended {
        Ended::Exited(_) => {}
        Ended::TimedOut => anyhow::bail!("{name} did not finish within {} s", timeout.as_secs()),
        Ended::Interrupted => anyhow::bail!("interrupted while {name} ran"),
    }
    let mut answer = Answer { records: Vec::new(), lines: Vec::new(), whole: false };
    for line in Lines::new(&finished.stdout[..]) {
        let (record, line) = match line? {
            Line::Record(record, line) => (record, line),
            Line::Other { number, why, .. } => anyhow::bail!("line {number} of {name} is no record: {why}"),
        };
        answer.lines.push(line);
        if record.is("end") {
            answer.whole = record.read::<End>()?.ok;
        } else {
            answer.records.push(record);
        }
    }
    Ok(answer)
}
