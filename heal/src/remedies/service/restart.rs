//! One restart: stop what we started, start it again, and wait until it is well; a few times, ever later.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use contract::path::shown;
use contract::process::Identity;
use contract::{redact, signal, state};

use super::ledger::{Ledger, MOST};
use super::listed::Service;
use super::manager::Way;
use super::owner;
use crate::python;

/// After each attempt, in seconds, as the reference of the field has it: 1, 4, 16.
const DELAYS: [u64; 3] = [1, 4, 16];
/// How long a service may take until it is well.
const START: Duration = Duration::from_secs(15);
const TICK: Duration = Duration::from_millis(100);
/// So much of the end of its output is told, in bytes.
const TAIL: usize = 2000;

/// What is restarted.
#[derive(Debug)]
pub(crate) struct Restart {
    pub(super) service: Service,
    pub(super) ledger: Ledger,
}

impl Restart {
    /// # Errors
    /// It is not well after the attempts that are left; what was started for it is ended again.
    pub(crate) fn apply(&self, state: &Path) -> anyhow::Result<()> {
        loop {
            let attempt = self.ledger.recent()?;
            self.ledger.count()?;
            let Err(why) = self.attempt(state) else { return Ok(()) };
            if attempt + 1 >= MOST {
                return Err(why.context(format!("gave up after {MOST} attempts within ten minutes")));
            }
            pause(DELAYS[attempt.min(DELAYS.len() - 1)])?;
        }
    }

    fn attempt(&self, state: &Path) -> anyhow::Result<()> {
        let Way::Command(argv) = &self.service.way else {
            self.service.way.ask_manager(&self.service.folder)?;
            return self.well(None);
        };
        if let Some(running) = self.ledger.running()? {
            running.end_group();
            self.ledger.set_running(None)?;
        }
        let port = self.service.health.address().port;
        if let Some(stranger) = owner::listener(port) {
            anyhow::bail!("process {stranger} has port {port}, and heal did not start it; end it, or have its manager restart it");
        }
        let log = self.log(state)?;
        let old = log.metadata().map_or(0, |meta| meta.len());
        let mut child = self.start(argv, &log)?;
        let started = Identity::of(child.id());
        self.ledger.set_running(started.clone())?;
        self.well(Some(&mut child)).or_else(|why| {
            if let Some(started) = &started {
                started.end_group();
            }
            // It is over, and only its number is left.
            let _ = child.try_wait();
            self.ledger.set_running(None)?;
            let tail = redact::excerpt(&tail(&log, old));
            Err(if tail.is_empty() { why } else { why.context(format!("it wrote: {tail}")) })
        })
    }

    /// Waits until it is well, or is over, or took too long.
    fn well(&self, mut child: Option<&mut Child>) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        loop {
            if let Some(status) = child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                anyhow::bail!("{} ended with {status}", self.service.name);
            }
            match self.service.health.check() {
                Ok(()) => return Ok(()),
                Err(why) if Instant::now() > deadline => return Err(why),
                Err(_) => anyhow::ensure!(!signal::interrupted(), "interrupted"),
            }
            thread::sleep(TICK);
        }
    }

    /// Starts it in a group of its own, so that what ends us does not end it.
    fn start(&self, argv: &[String], log: &Path) -> anyhow::Result<Child> {
        let (program, words) = argv.split_first().context("there is no command")?;
        let folder = &self.service.folder;
        let program = if program.contains('/') { folder.join(program) } else { PathBuf::from(program) };
        if program.components().count() > 1 {
            python::trusted(&program)?;
        }
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600);
        let output = options.open(log).with_context(|| format!("cannot open {}", shown(log)))?;
        let mut command = Command::new(&program);
        command.args(words).current_dir(folder).process_group(0);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        command.spawn().with_context(|| format!("cannot start {}", shown(&program)))
    }

    fn log(&self, state: &Path) -> anyhow::Result<PathBuf> {
        let folder = state.join("services");
        state::private_folder(&folder)?;
        let name: String = self.service.name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
        Ok(folder.join(format!("{name}.log")))
    }
}

/// Waits, a quarter more or less, so that not all services of a machine come at once.
fn pause(seconds: u64) -> anyhow::Result<()> {
    let jitter = u64::from(std::process::id()) % 500;
    let deadline = Instant::now() + Duration::from_millis(seconds * (750 + jitter));
    while Instant::now() < deadline {
        anyhow::ensure!(!signal::interrupted(), "interrupted");
        thread::sleep(TICK);
    }
    Ok(())
}

/// The end of what was written to a log after it was so long.
fn tail(log: &Path, old: u64) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let new = bytes.get(usize::try_from(old).unwrap_or(usize::MAX)..).unwrap_or_default();
    let text = String::from_utf8_lossy(&new[new.len().saturating_sub(TAIL)..]).into_owned();
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}
