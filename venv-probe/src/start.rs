//! Starting an interpreter to see whether it lives: it must say back a word that it cannot know otherwise.

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use contract::child::{self, Ended, Finished};

/// What an interpreter said of itself.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// `X.Y.Z`.
    pub(crate) version: String,
    pub(crate) implementation: String,
    pub(crate) prefix: PathBuf,
    /// `sys.path`, folders that do not exist included.
    pub(crate) path: Vec<PathBuf>,
    /// What it, or start-up code, wrote to stderr; the last of it.
    pub(crate) stderr: String,
}

/// How a start went.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    Answered(Answer),
    /// It ended with success and without the word.
    Silent,
    Hung,
    /// It ended with an error.
    Failed {
        stderr: String,
        signal: Option<i32>,
    },
    /// The kernel would not run it.
    Refused(io::ErrorKind, String),
    /// A signal asked us to stop.
    Interrupted,
    /// Not tried, since others that start the same way hang.
    Shunned,
}

/// How much of its site machinery an interpreter is to start with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum With {
    Site,
    /// `-S`: none of the environment's own start-up code runs.
    Nothing,
}

/// More than any honest answer; noise before it is let go.
const KEEP: usize = 64 << 10;

/// Starts `python` and waits for at most `timeout`.
pub(crate) fn start(python: &Path, with: With, timeout: Duration) -> Start {
    let word = format!("{:016x}{:016x}", RandomState::new().hash_one(1), RandomState::new().hash_one(2));
    match child::run(&mut command(python, with, &word), timeout, KEEP) {
        Ok(finished) => outcome(&finished, &word),
        Err(e) => Start::Refused(e.kind(), e.to_string()),
    }
}

/// `-I` keeps out the caller's environment and folder, `-B` keeps `.pyc` files from being written into the environment;
/// what `-I` lets through (`LD_LIBRARY_PATH`, `__PYVENV_LAUNCHER__`, …) is scrubbed.
fn command(python: &Path, with: With, word: &str) -> Command {
    let mut command = Command::new(python);
    command.args(if with == With::Site { &["-I", "-B"][..] } else { &["-I", "-B", "-S"] });
    // os.write, since start-up code may have replaced sys.stdout.
    command.args(["-c", &format!(
        "import os,sys\nw='{word}'\nos.write(1,os.fsencode('\\n'+'\\x1f'.join([w,'%d.%d.%d'%sys.version_info[:3],sys.implementation.name,sys.prefix,'\\x1e'.join(sys.path),w])+'\\n'))"
    )]);
    command.env_clear().current_dir("/").env("LC_ALL", "C.UTF-8");
    for name in ["PATH", "HOME", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

fn outcome(finished: &Finished, word: &str) -> Start {
    let stderr = String::from_utf8_lossy(&finished.stderr).into_owned();
    if let Some(answer) = answer(&finished.stdout, word, &stderr) {
        return Start::Answered(answer);
    }
    match finished.ended {
        Ended::TimedOut => Start::Hung,
        Ended::Interrupted => Start::Interrupted,
        Ended::Exited(status) if status.success() => Start::Silent,
        Ended::Exited(status) => Start::Failed { stderr, signal: signal_of(status) },
    }
}

fn signal_of(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

fn answer(stdout: &[u8], word: &str, stderr: &str) -> Option<Answer> {
    use std::os::unix::ffi::OsStringExt as _;
    let path = |bytes: &[u8]| PathBuf::from(std::ffi::OsString::from_vec(bytes.to_vec()));
    let at = stdout.windows(word.len()).position(|window| window == word.as_bytes())?;
    let fields: Vec<&[u8]> = stdout[at..].split(|&b| b == 0x1f).collect();
    let [_, version, implementation, prefix, path_list, end, ..] = fields[..] else { return None };
    end.starts_with(word.as_bytes()).then(|| Answer {
        version: String::from_utf8_lossy(version).into_owned(),
        implementation: String::from_utf8_lossy(implementation).into_owned(),
        prefix: path(prefix),
        path: path_list.split(|&b| b == 0x1e).map(path).collect(),
        stderr: stderr.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORD: &str = "0123456789abcdef";

    #[test]
    fn the_answer_is_found_among_noise_and_needs_both_words() {
        let good = format!("noise\n{WORD}\x1f3.12.1\x1fcpython\x1f/v\x1f/a\x1e/b\x1f{WORD}\nbye");
        let answer = answer(good.as_bytes(), WORD, "").unwrap();
        assert_eq!((answer.version.as_str(), answer.prefix.as_path(), answer.path.len()), ("3.12.1", Path::new("/v"), 2));
        for bad in [format!("{WORD}\x1f3.12.1\x1fcpython"), format!("{WORD}\n"), "hello".to_owned(), String::new()] {
            assert!(super::answer(bad.as_bytes(), WORD, "").is_none(), "{bad}");
        }
    }
}
