//! Runs the real binaries in a sandbox of their own: no home, no state and no settings of the person who runs the tests.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Every tool of the workspace, and the ways to call it that stand for all others. A new one is tested for its manners the day it stands here.
pub const TOOLS: [Tool; 8] = [
    Tool { name: "venv-probe", ways: &[Way { args: &["-"], stdin: Stdin::Filtered }, Way { args: &["."], stdin: Stdin::Unread }] },
    Tool { name: "venv-rebuild", ways: &[Way { args: &[], stdin: Stdin::Filtered }, Way { args: &["."], stdin: Stdin::Unread }] },
    Tool {
        name: "snapshot",
        ways: &[
            Way { args: &["create", "-"], stdin: Stdin::Taken },
            Way { args: &["list"], stdin: Stdin::Unread },
            Way { args: &["create", "/etc/passwd"], stdin: Stdin::Told },
        ],
    },
    Tool {
        name: "tmux-registry",
        ways: &[
            Way { args: &["check", "-"], stdin: Stdin::Filtered },
            Way { args: &["repair"], stdin: Stdin::Filtered },
            Way { args: &["sessions"], stdin: Stdin::Unread },
            Way { args: &["check", "--all"], stdin: Stdin::Told },
        ],
    },
    Tool { name: "diagnose", ways: &[Way { args: &[], stdin: Stdin::Filtered }] },
    Tool {
        name: "heal",
        ways: &[
            Way { args: &[], stdin: Stdin::Filtered },
            Way { args: &["undo"], stdin: Stdin::Unread },
            Way { args: &["history"], stdin: Stdin::Told },
        ],
    },
    // Each of its commands is about a repository, so that nowhere else has it anything to do.
    Tool { name: "deploy-watch", ways: &[] },
    Tool { name: "report", ways: &[Way { args: &[], stdin: Stdin::Drawn }] },
];

/// A binary.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// What it is called.
    pub name: &'static str,
    /// At least one way for everything that it does with its streams.
    pub ways: &'static [Way],
}

/// One way to call a tool. In an empty folder, and without input, there is nothing to do.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// The arguments.
    pub args: &'static [&'static str],
    /// What becomes of standard input.
    pub stdin: Stdin,
}

/// What a tool does with its standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdin {
    /// Passes records on and adds its own.
    Filtered,
    /// Draws records for a person, and writes none.
    Drawn,
    /// Takes from it what to work on, and passes nothing on.
    Taken,
    /// Leaves it alone.
    Unread,
    /// Leaves it alone, and has something to tell in an empty folder, too.
    Told,
}

/// The path of a tool's binary, built once for the whole run.
///
/// # Panics
/// The workspace does not build.
#[must_use]
pub fn binary(tool: &str) -> &'static Path {
    static BINARIES: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    BINARIES.get_or_init(build).get(tool).unwrap_or_else(|| panic!("the workspace builds no {tool}"))
}

/// `cargo test` does not build the binaries of other packages, and only cargo knows where it puts them.
fn build() -> HashMap<String, PathBuf> {
    // What cargo tells this process of its package is something else to build scripts that look at it: ring's, and all that needs it.
    let mut cargo = Command::new(env!("CARGO"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"CARGO_PKG_")) {
        cargo.env_remove(name);
    }
    cargo.env_remove("CARGO_MANIFEST_DIR");
    let output = cargo
        .args(["build", "--workspace", "--bins", "--message-format=json"])
        .current_dir(workspace())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "the workspace does not build");
    String::from_utf8_lossy(&output.stdout).lines().filter_map(executable).collect()
}

fn executable(message: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(message).ok()?;
    let path = message.get("executable")?.as_str()?;
    Some((message["target"]["name"].as_str()?.to_owned(), path.into()))
}

/// The root of the workspace.
///
/// # Panics
/// Never: a package lies in a folder.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the workspace")
}

/// A home, a state folder and a place to work, gone afterwards.
#[derive(Debug)]
pub struct Sandbox(TempDir);

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox {
    /// Makes an empty one.
    ///
    /// # Panics
    /// There is no room for it.
    #[must_use]
    pub fn new() -> Self {
        Self(tempfile::Builder::new().prefix("mendline-test-").tempdir().expect("a temporary folder"))
    }

    /// Its root. `home`, `state` and `work` lie below it.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.0.path()
    }

    /// A path below the place to work, which is created.
    ///
    /// # Panics
    /// It cannot be created.
    #[must_use]
    pub fn work(&self, below: &str) -> PathBuf {
        let work = self.root().join("work");
        std::fs::create_dir_all(&work).expect("the place to work");
        work.join(below)
    }

    /// Prepares a run of one of our tools.
    pub fn tool<S: AsRef<OsStr>>(&self, tool: &str, args: impl IntoIterator<Item = S>) -> Run {
        self.command(binary(tool), args)
    }

    /// Prepares a run of any program, in the same sandbox, our binaries first on its PATH.
    ///
    /// # Panics
    /// PATH cannot be put together.
    pub fn command<S: AsRef<OsStr>>(&self, program: impl AsRef<OsStr>, args: impl IntoIterator<Item = S>) -> Run {
        let mut command = Command::new(program);
        let ours = binary("venv-probe").parent().expect("binaries lie in a folder").to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([ours].into_iter().chain(std::env::split_paths(&path))).expect("a PATH");
        command.args(args).env_clear().env("PATH", path).current_dir(self.root());
        for (name, below) in [("HOME", "home"), ("XDG_STATE_HOME", "state")] {
            command.env(name, self.root().join(below));
        }
        // No test sees the tmux of whoever runs it, nor is seen by it.
        command.env("TMUX_TMPDIR", self.root()).env("MENDLINE_NO_OTHER_SERVERS", "true");
        for name in
            ["PIP_INDEX_URL", "PIP_CERT", "SSL_CERT_FILE", "UV_CACHE_DIR", "MENDLINE_WHEELS", "MENDLINE_PYTHON", "PYENV_ROOT", "TMPDIR"]
        {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        Run { command, input: Vec::new() }
    }
}

/// A run about to begin.
#[derive(Debug)]
pub struct Run {
    command: Command,
    input: Vec<u8>,
}

impl Run {
    /// Gives it standard input; without this it reads an empty one.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the current folder.
    #[must_use]
    pub fn within(mut self, folder: impl AsRef<Path>) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn run(self) -> Ran {
        let input = self.input.clone();
        let mut child = self.start();
        let mut stdin = child.stdin.take().expect("a pipe");
        // A tool that does not read its input closes it; that is its right.
        let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().expect("it ends");
        feeder.join().expect("the feeder ends");
        Ran { code: output.status.code(), signal: output.status.signal(), stdout: output.stdout, stderr: text(&output.stderr) }
    }

    /// Starts it and leaves all three streams to the caller.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn start(mut self) -> Child {
        let program = self.command.get_program().to_owned();
        self.command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}", text(program.as_encoded_bytes())))
    }

    /// Runs it with its standard output going into this file.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn run_into(mut self, stdout: impl Into<Stdio>) -> Ran {
        let mut child = self.command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped()).spawn().expect("it starts");
        drop(child.stdin.take().map(|mut stdin| stdin.write_all(&self.input)));
        let mut stderr = Vec::new();
        child.stderr.take().expect("a pipe").read_to_end(&mut stderr).expect("its stderr");
        let status = child.wait().expect("it ends");
        Ran { code: status.code(), signal: status.signal(), stdout: Vec::new(), stderr: text(&stderr) }
    }
}

/// Gives a child standard input and waits until it has taken all of it: then it has begun its work, and catches signals.
///
/// # Panics
/// It does not read.
pub fn feed(child: &mut Child, bytes: &[u8]) {
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(bytes).expect("it reads");
    let deadline = Instant::now() + Duration::from_secs(20);
    while rustix::io::ioctl_fionread(&stdin).expect("a pipe knows what is in it") > 0 {
        assert!(Instant::now() < deadline, "it does not read");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.stdin = Some(stdin);
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a run left behind.
#[must_use = "assert what it said, or call `ok`"]
#[derive(Debug)]
pub struct Ran {
    /// Its exit status; absent where a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: String,
}

impl Ran {
    /// Insists on an exit status, showing what was said where it is another.
    ///
    /// # Panics
    /// It is another.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stderr:\n{}\nstdout:\n{}", self.stderr, self.text());
        self
    }

    /// Nothing more is asked of it.
    pub fn ok(self) {}

    /// Its standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        text(&self.stdout)
    }

    /// Its records, each checked against the strict schema.
    ///
    /// # Panics
    /// A line is no record, or has a field that the contract does not name.
    #[must_use]
    #[track_caller]
    pub fn records(&self) -> Vec<Value> {
        self.text().lines().map(crate::schema::check).collect()
    }

    /// The records of one type.
    ///
    /// # Panics
    /// As [`Ran::records`].
    #[must_use]
    #[track_caller]
    pub fn of(&self, kind: &str) -> Vec<Value> {
        self.records().into_iter().filter(|record| record["type"] == kind).collect()
    }
}

/// Copies a program that is to be started. Another process does it: while a file is open for writing in this one, a child that another
/// test begins at that moment has it open too, and the program cannot be started (`ETXTBSY`, execve(2)).
///
/// # Panics
/// It cannot be copied.
pub fn copy_program(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    let copied = Command::new("cp").arg("--").args([from.as_ref(), to.as_ref()]).status().expect("cp starts");
    assert!(copied.success(), "{} cannot be copied", from.as_ref().display());
}

/// Puts a program of a few lines of sh somewhere; not from this process either.
///
/// # Panics
/// It cannot be written.
pub fn write_program(path: impl AsRef<Path>, lines: &str) {
    let mut install = Command::new("install")
        .args(["-D", "-m", "755", "/dev/stdin"])
        .arg(path.as_ref())
        .stdin(Stdio::piped())
        .spawn()
        .expect("install starts");
    write!(install.stdin.take().expect("a pipe"), "#!/bin/sh\n{lines}\n").expect("it reads");
    assert!(install.wait().expect("it ends").success(), "{} cannot be written", path.as_ref().display());
}

/// A path as an argument.
#[must_use]
pub fn arg(path: impl AsRef<OsStr>) -> OsString {
    path.as_ref().to_owned()
}

pub mod schema;
