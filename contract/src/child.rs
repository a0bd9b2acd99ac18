//! Children that cannot hurt us: nothing of our streams, both pipes drained, a deadline, and the whole group killed at the end.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::signal;

/// How often a child is looked at that neither writes nor ends.
const TICK: Duration = Duration::from_millis(50);

/// The groups that run now. Starting and registering is one step under this lock, so that whoever ends them all misses none.
static LIVE: Mutex<Live> = Mutex::new(Live { groups: Vec::new(), over: false });

struct Live {
    groups: Vec<Pid>,
    /// No more are started.
    over: bool,
}

fn live() -> MutexGuard<'static, Live> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// Its time was over; its group was killed.
    TimedOut,
    /// A signal asked us to stop; its group was killed.
    Interrupted,
}

impl Ended {
    /// Whether it exited with 0.
    #[must_use]
    pub fn success(self) -> bool {
        matches!(self, Self::Exited(status) if status.success())
    }
}

/// Which of its two streams a child wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What a child left behind.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub ended: Ended,
    /// The last of its standard output.
    pub stdout: Vec<u8>,
    /// The last of its standard error.
    pub stderr: Vec<u8>,
}

/// Runs a command to its end or for `timeout`, keeping at most the last `keep` bytes of each stream.
///
/// # Errors
/// It cannot be started.
pub fn run(command: &mut Command, timeout: Duration, keep: usize) -> io::Result<Finished> {
    run_fed(command, Stdio::null(), timeout, keep)
}

/// Runs a command as [`run`] does, with something to read on its standard input.
///
/// # Errors
/// It cannot be started.
pub fn run_fed(command: &mut Command, stdin: Stdio, timeout: Duration, keep: usize) -> io::Result<Finished> {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let ended = follow_fed(command, stdin, timeout, &mut |stream, bytes| {
        let kept = if stream == Stream::Stdout { &mut stdout } else { &mut stderr };
        kept.extend_from_slice(bytes);
        if kept.len() > keep * 2 {
            kept.drain(..kept.len() - keep);
        }
    })?;
    for kept in [&mut stdout, &mut stderr] {
        kept.drain(..kept.len().saturating_sub(keep));
    }
    Ok(Finished { ended, stdout, stderr })
}

/// Runs a command to its end or for `timeout`, handing over what it writes as it comes.
///
/// The child gets a process group of its own through `posix_spawn`: a `pre_exec` hook would make std fall back to `fork` and `execvp`,
/// where the C library runs an empty or headerless file with `sh` and a dead interpreter looks alive.
///
/// # Errors
/// It cannot be started.
pub fn follow(command: &mut Command, timeout: Duration, sink: &mut dyn FnMut(Stream, &[u8])) -> io::Result<Ended> {
    follow_fed(command, Stdio::null(), timeout, sink)
}

fn follow_fed(command: &mut Command, stdin: Stdio, timeout: Duration, sink: &mut dyn FnMut(Stream, &[u8])) -> io::Result<Ended> {
    let deadline = Instant::now() + timeout;
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let Some((mut child, group)) = begin(command)? else { return Ok(Ended::Interrupted) };
    let mut pipes = Pipes { stdout: child.stdout.take(), stderr: child.stderr.take(), buffer: vec![0; 64 << 10] };
    let ended = watch(&group, &mut pipes, deadline, sink);
    // The leader is not reaped yet, so its number cannot have passed to a stranger.
    group.kill();
    drop(group);
    let status = child.wait()?;
    pipes.read_ready(Duration::ZERO, sink);
    Ok(ended.unwrap_or(Ended::Exited(status)))
}

/// Starts a command, unless it is all over.
fn begin(command: &mut Command) -> io::Result<Option<(Child, Group)>> {
    let mut live = live();
    if live.over {
        return Ok(None);
    }
    let child = command.spawn()?;
    let group = Group(i32::try_from(child.id()).ok().and_then(Pid::from_raw));
    live.groups.extend(group.0);
    Ok(Some((child, group)))
}

/// Returns `None` once the child has exited.
fn watch(group: &Group, pipes: &mut Pipes, deadline: Instant, sink: &mut dyn FnMut(Stream, &[u8])) -> Option<Ended> {
    let mut pause = Duration::from_micros(100);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let quiet = if pipes.open() {
            !pipes.read_ready(left.min(TICK), sink)
        } else {
            std::thread::sleep(pause.min(left));
            pause = (pause * 2).min(TICK);
            true
        };
        // A descendant may hold the pipes open after the leader is gone, so their end is not what we wait for.
        if (quiet || !pipes.open()) && group.leader_exited() {
            return None;
        }
        if signal::interrupted() {
            return Some(Ended::Interrupted);
        }
        if Instant::now() >= deadline {
            return Some(Ended::TimedOut);
        }
    }
}

struct Pipes {
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    buffer: Vec<u8>,
}

impl Pipes {
    fn open(&self) -> bool {
        self.stdout.is_some() || self.stderr.is_some()
    }

    /// Waits for at most `wait` and reads what is there; returns whether anything was, an end included.
    fn read_ready(&mut self, wait: Duration, sink: &mut dyn FnMut(Stream, &[u8])) -> bool {
        let (stdout, stderr) = readable(self.stdout.as_ref().map(AsFd::as_fd), self.stderr.as_ref().map(AsFd::as_fd), wait);
        if stdout {
            read_once(&mut self.stdout, &mut self.buffer, Stream::Stdout, sink);
        }
        if stderr {
            read_once(&mut self.stderr, &mut self.buffer, Stream::Stderr, sink);
        }
        stdout || stderr
    }
}

fn readable(stdout: Option<BorrowedFd<'_>>, stderr: Option<BorrowedFd<'_>>, wait: Duration) -> (bool, bool) {
    let mut fds: Vec<PollFd<'_>> = [stdout, stderr].into_iter().flatten().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    let wait = Timespec::try_from(wait).ok();
    // An interrupted poll reads as "nothing yet": the caller looks at the signal and comes again.
    if poll(&mut fds, wait.as_ref()).is_err() {
        return (false, false);
    }
    let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
    let stdout = stdout.is_some() && ready.next() == Some(true);
    let stderr = stderr.is_some() && ready.next() == Some(true);
    (stdout, stderr)
}

fn read_once<R: Read>(pipe: &mut Option<R>, buffer: &mut [u8], stream: Stream, sink: &mut dyn FnMut(Stream, &[u8])) {
    let Some(open) = pipe else { return };
    match open.read(buffer) {
        Ok(0) => *pipe = None,
        Ok(n) => sink(stream, &buffer[..n]),
        Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
        Err(_) => *pipe = None,
    }
}

/// A running group, known to the signal handler for as long as this lives.
struct Group(Option<Pid>);

impl Group {
    fn leader_exited(&self) -> bool {
        let Some(pid) = self.0 else { return true };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(pid), options), Ok(None))
    }

    fn kill(&self) {
        if let Some(pid) = self.0 {
            // Fails only where every member has already ended.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        live().groups.retain(|pid| Some(*pid) != self.0);
    }
}

/// Ends every child that runs, and starts no more: nobody wants their answers, or we are about to die.
pub fn end_all() {
    let mut live = live();
    live.over = true;
    for pid in &live.groups {
        // Fails only where every member has already ended.
        let _ = kill_process_group(*pid, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn more_output_than_a_pipe_holds_does_not_block() {
        let finished = run(&mut sh("yes | head -c 1000000; yes e | head -c 1000000 >&2; echo end"), Duration::from_secs(20), 4).unwrap();
        assert!(finished.ended.success());
        assert_eq!(finished.stdout, b"end\n");
        assert_eq!(finished.stderr, b"e\ne\n");
    }

    #[test]
    fn a_hung_child_and_its_children_are_ended() {
        let started = Instant::now();
        let finished = run(&mut sh("sleep 600 & echo $!; wait"), Duration::from_millis(300), 64).unwrap();
        assert_eq!(finished.ended, Ended::TimedOut);
        let grandchild = String::from_utf8(finished.stdout).unwrap();
        let alive = || std::fs::read_to_string(format!("/proc/{}/stat", grandchild.trim())).is_ok_and(|stat| !stat.contains(") Z"));
        while alive() {
            assert!(started.elapsed() < Duration::from_secs(20), "the grandchild lives on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_grandchild_that_keeps_the_pipe_open_does_not_delay_the_end() {
        let finished = run(&mut sh("sleep 600 & echo done"), Duration::from_mins(1), 64).unwrap();
        assert!(finished.ended.success());
        assert_eq!(finished.stdout, b"done\n");
    }
}
