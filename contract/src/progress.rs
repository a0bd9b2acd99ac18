//! How far long work is: one line on stderr, only where stderr is a terminal, and gone when the work is done.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fs2::FileExt as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::fs::{Mode, OFlags};

/// Shorter work than this shows nothing: a line that flashes by helps no one.
const PATIENCE: Duration = Duration::from_millis(400);
const TICK: Duration = Duration::from_millis(100);

/// The line that stands on the terminal now, so that a hint can be written around it.
static SHOWN: Mutex<Option<Line>> = Mutex::new(None);

#[derive(Debug)]
struct Line {
    bar: ProgressBar,
    /// Held while the line stands: the tools of a pipeline share a terminal, and two lines would run into each other.
    _turn: Option<File>,
}

/// The progress of one job, to be shared between threads by reference. Without a terminal it does nothing at all.
#[derive(Debug)]
pub struct Progress(Option<Arc<Job>>);

#[derive(Debug)]
struct Job {
    tool: &'static str,
    what: &'static str,
    started: Instant,
    found: AtomicU64,
    done: AtomicU64,
    over: AtomicBool,
}

impl Progress {
    /// Begins a job on things that are called `what` in the plural, such as `environments`.
    #[must_use]
    pub fn start(tool: &'static str, what: &'static str) -> Self {
        if !io::stderr().is_terminal() {
            return Self(None);
        }
        let job = Arc::new(Job::new(tool, what));
        let waiting = Arc::downgrade(&job);
        // By the clock and not by events: the longest wait is the one in which nothing happens.
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(PATIENCE);
                if waiting.upgrade().is_none_or(|job| job.show(true)) {
                    break;
                }
            }
        });
        Self(Some(job))
    }

    /// `n` more things to work on are known. Who cannot know how many there will be, as of a stream, says nothing.
    pub fn found(&self, n: u64) {
        if let Some(job) = &self.0 {
            job.found.fetch_add(n, Ordering::Relaxed);
            job.show(false);
        }
    }

    /// The work on `n` more of them is over.
    pub fn done(&self, n: u64) {
        if let Some(job) = &self.0 {
            job.done.fetch_add(n, Ordering::Relaxed);
            job.show(false);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let Some(job) = self.0.take() else { return };
        job.over.store(true, Ordering::Relaxed);
        if let Some(line) = shown().take() {
            line.bar.finish_and_clear();
        }
    }
}

impl Job {
    fn new(tool: &'static str, what: &'static str) -> Self {
        Self { tool, what, started: Instant::now(), found: AtomicU64::new(0), done: AtomicU64::new(0), over: AtomicBool::new(false) }
    }

    /// Says whether a line stands, or none is wanted any more.
    fn show(&self, now: bool) -> bool {
        let mut shown = shown();
        let over = self.over.load(Ordering::Relaxed);
        if now && !over && shown.is_none() {
            let turn = turn();
            if turn.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock) {
                return false;
            }
            // Where nobody can wait for a turn, nobody does.
            *shown = Some(Line { bar: bar(self), _turn: turn.ok() });
        }
        if let Some(line) = &*shown {
            line.bar.set_message(self.message());
        }
        over || shown.is_some()
    }

    fn message(&self) -> String {
        let done = self.done.load(Ordering::Relaxed);
        match self.found.load(Ordering::Relaxed) {
            0 => format!("{done} {}", self.what),
            found => format!("{done} of {found} {}", self.what),
        }
    }
}

/// Writes to stderr without mixing into the line that stands there.
pub(crate) fn beside(write: impl FnOnce()) {
    match &*shown() {
        Some(line) => line.bar.suspend(write),
        None => write(),
    }
}

/// The terminal for this process alone; `WouldBlock` while another has it.
fn turn() -> io::Result<File> {
    let name = rustix::termios::ttyname(io::stderr(), Vec::new())?;
    let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
    let terminal = File::from(rustix::fs::open(OsStr::from_bytes(name.as_bytes()), flags, Mode::empty())?);
    terminal.try_lock_exclusive()?;
    Ok(terminal)
}

fn shown() -> std::sync::MutexGuard<'static, Option<Line>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bar(job: &Job) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10))
        .with_prefix(job.tool)
        .with_elapsed(job.started.elapsed());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}: {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_it_and_no_count_is_lost() {
        let progress = Progress(Some(Arc::new(Job::new("test", "things"))));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1000).for_each(|_| progress.done(1)));
            }
        });
        assert_eq!(progress.0.as_ref().unwrap().message(), "8000 things");
    }

    #[test]
    fn a_whole_is_named_where_it_is_known() {
        let progress = Progress(Some(Arc::new(Job::new("test", "things"))));
        progress.found(3);
        progress.done(1);
        assert_eq!(progress.0.as_ref().unwrap().message(), "1 of 3 things");
    }
}
