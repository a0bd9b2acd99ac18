//! `run`: runs a command; where it fails, mends what its output says, and runs it again. That it passes then is the proof.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Read, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use contract::output::Output;
use contract::run::Exit;
use contract::signal::{self, Hold};
use contract::{sibling, state};
use rustix::process::{Pid, Signal, kill_process};

use crate::arguments;
use crate::asked::Asked;
use crate::mend::Mender;

/// So much of the end of what a command writes is diagnosed, in bytes.
const KEPT: usize = 16 << 20;
/// A log of that size takes well under a second.
const PATIENCE: Duration = Duration::from_mins(2);
/// So long after its end its output is waited for.
const LINGER: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(20);
/// What a shell adds to the number of the signal by which a command died.
const SIGNALLED: i32 = 128;

/// How a command ended.
struct Ran {
    status: ExitStatus,
    output: Vec<u8>,
    /// Somebody ended it: it did not fail.
    stopped: bool,
}

/// Runs a command until it passes, or nothing more can be done.
///
/// # Errors
/// It cannot be started, or state cannot be opened.
pub(crate) fn run(out: &mut Output, asked: &arguments::Run, state: &state::Options) -> anyhow::Result<Exit> {
    out.leave_stdout();
    for turn in 1.. {
        let ran = once(out, &asked.command)?;
        let status = status(ran.status);
        if ran.status.success() || ran.stopped {
            return Ok(Exit::Of(status));
        }
        out.hint(&format!("the command ended with {status}"));
        // The command may go on for ever, so that the lock is held for the repair alone.
        let mended = heal(out, &asked.mend, state, &ran.output);
        let mended = mended.unwrap_or_else(|e| {
            out.hint(&format!("{e:#}"));
            false
        });
        if !asked.mend.force {
            out.hint("nothing was changed; --force mends it");
        }
        if !mended || turn >= asked.max {
            return Ok(Exit::Of(status));
        }
        out.hint(&format!("running it again ({} of at most {})", turn + 1, asked.max));
    }
    unreachable!("it returns from within")
}

/// Mends what the output of a command says; whether anything was mended.
fn heal(out: &mut Output, options: &arguments::Mend, state: &state::Options, output: &[u8]) -> anyhow::Result<bool> {
    let mut mender = Mender::open(out, options.clone(), state)?;
    mender.speak();
    let answer = sibling::ask_about("diagnose", &["--log", "-"], output, PATIENCE)?;
    let mut found = false;
    for (record, line) in answer.records.iter().zip(&answer.lines) {
        if let Some(asked) = Asked::by(out, record, line)? {
            found = true;
            mender.attend(out, &asked)?;
        }
    }
    if !found {
        out.hint("nothing in what it wrote has a remedy");
    }
    Ok(mender.acted() > 0)
}

/// Runs it once. What it writes goes where ours goes, byte for byte, and is kept as well.
fn once(out: &Output, command: &[OsString]) -> anyhow::Result<Ran> {
    let (program, args) = command.split_first().context("there is no command")?;
    let hold = signal::hold()?;
    let mut child = match Command::new(program).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(e) => return not_started(out, &program.to_string_lossy(), &e),
    };
    let kept = Arc::new(Mutex::new(VecDeque::new()));
    let copies = [
        child.stdout.take().map(|from| copying(from, io::stdout(), &kept)),
        child.stderr.take().map(|from| copying(from, io::stderr(), &kept)),
    ];
    let (status, stopped) = wait(&mut child, &hold)?;
    // What it leaves behind may hold its streams for ever.
    let deadline = Instant::now() + LINGER;
    while copies.iter().flatten().any(|copy| !copy.is_finished()) && Instant::now() < deadline {
        thread::sleep(TICK);
    }
    let output = kept.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
    // By whoever stopped it; a crash is a failure.
    let by_hand = [Signal::TERM, Signal::INT, Signal::HUP, Signal::KILL, Signal::PIPE].map(|signal| Some(signal.as_raw()));
    Ok(Ran { status, output, stopped: stopped || by_hand.contains(&status.signal()) && status.signal().is_some() })
}

/// As a shell would have it, in its words and with its status (POSIX, 2.8.2).
fn not_started(out: &Output, program: &str, why: &io::Error) -> anyhow::Result<Ran> {
    let (status, said) = match why.kind() {
        io::ErrorKind::NotFound => (127, format!("sh: {program}: not found\n")),
        io::ErrorKind::PermissionDenied => (126, format!("sh: {program}: Permission denied\n")),
        _ => anyhow::bail!("cannot start {program}: {why}"),
    };
    out.hint(&format!("cannot start {program}: {why}"));
    Ok(Ran { status: ExitStatus::from_raw(status << 8), output: said.into_bytes(), stopped: false })
}

fn wait(child: &mut Child, hold: &Hold) -> io::Result<(ExitStatus, bool)> {
    let mut stopped = false;
    loop {
        let signal = hold.take_signal();
        stopped |= signal.is_some();
        if let Some(status) = child.try_wait()? {
            return Ok((status, stopped));
        }
        // Ctrl-C it has had from the terminal, if there is one.
        let passed = if io::stderr().is_terminal() { &[Signal::TERM, Signal::HUP][..] } else { &[Signal::TERM, Signal::HUP, Signal::INT] };
        let signal = passed.iter().copied().find(|known| Some(known.as_raw()) == signal);
        if let Some((signal, pid)) = signal.zip(i32::try_from(child.id()).ok().and_then(Pid::from_raw)) {
            // It may be over by now.
            let _ = kill_process(pid, signal);
        }
        thread::sleep(TICK);
    }
}

fn copying(from: impl Read + Send + 'static, to: impl Write + Send + 'static, kept: &Arc<Mutex<VecDeque<u8>>>) -> JoinHandle<()> {
    let kept = Arc::clone(kept);
    thread::spawn(move || copy(from, to, &kept))
}

/// Copies until the end, or until nobody reads any more: then the command finds its stream closed as well.
fn copy(mut from: impl Read, mut to: impl Write, kept: &Mutex<VecDeque<u8>>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        let mut all = kept.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(&buffer[..n]);
        let excess = all.len().saturating_sub(KEPT);
        all.drain(..excess);
        drop(all);
        if to.write_all(&buffer[..n]).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}

fn status(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| SIGNALLED + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
