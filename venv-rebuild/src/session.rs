//! What every part of a run shares: the options, the stream, and under `--force` the state folder, the log and the audit log.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use contract::action::{Action, KIND, Outcome};
use contract::audit::Audit;
use contract::lock::{self, Lock};
use contract::output::{Output, Rendered};
use contract::path::Subject;
use contract::record::About;
use contract::run::Exit;
use contract::state;
use sha2::{Digest as _, Sha256};

use crate::build;
use crate::log::Log;

/// What a caller may ask for.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Options {
    /// Straight to the rebuild.
    pub(crate) full: bool,
    /// What somebody changed by hand is to be as packaged again.
    pub(crate) restore: bool,
    /// Processes that use an environment are no hindrance.
    pub(crate) even_in_use: bool,
    /// A project in the root of an environment is no hindrance, and carried over.
    pub(crate) even_project: bool,
    /// What cannot be carried over may stay in the backup alone.
    pub(crate) leave_behind: bool,
    /// Environments at once.
    pub(crate) jobs: usize,
    /// How to build.
    pub(crate) build: build::Options,
}

/// One run.
pub(crate) struct Session<'a> {
    out: Mutex<&'a mut Output>,
    /// What the caller asked for.
    pub(crate) options: &'a Options,
    /// `None` in a dry run.
    pub(crate) force: Option<Force>,
}

/// What only a run has that may change things.
pub(crate) struct Force {
    /// The state folder.
    pub(crate) state: PathBuf,
    /// The log of this run.
    pub(crate) log: Log,
    audit: Mutex<Audit>,
}

/// How the environment stands after what was done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Healthy, or nothing is known against it.
    Well,
    /// Degraded or broken.
    Ill,
    /// Another run is at it.
    Busy,
}

/// A record of ours that waits for its turn on stdout.
pub(crate) struct Told {
    /// The record.
    pub(crate) line: Rendered,
    /// What it means for the exit status.
    pub(crate) standing: Standing,
}

/// What a record of ours is about.
#[derive(Clone, Debug)]
pub(crate) struct Matter {
    /// The environment.
    pub(crate) subject: Subject,
    /// Ids of the records that asked for it.
    pub(crate) cause: Vec<String>,
}

impl Matter {
    /// What nobody but the caller asked for.
    pub(crate) fn of(path: &Path) -> Self {
        Self { subject: Subject::from(path), cause: Vec::new() }
    }
}

impl<'a> Session<'a> {
    pub(crate) fn new(out: &'a mut Output, options: &'a Options, force: Option<Force>) -> Self {
        Self { out: Mutex::new(out), options, force }
    }

    /// Uses the stream; nothing is computed meanwhile.
    pub(crate) fn with_output<T>(&self, use_it: impl FnOnce(&mut Output) -> T) -> T {
        use_it(&mut self.out.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Renders an action for its turn.
    pub(crate) fn tell(&self, matter: &Matter, action: &Action, standing: Standing) -> anyhow::Result<Told> {
        Ok(Told { line: self.render(matter, action)?, standing })
    }

    /// Renders an action for its turn, and has it in the audit log first.
    pub(crate) fn tell_change(&self, force: &Force, matter: &Matter, action: &Action, standing: Standing) -> anyhow::Result<Told> {
        let told = self.tell(matter, action, standing)?;
        force.audit(&told.line)?;
        Ok(told)
    }

    /// Has `started` in the audit log before the first change.
    pub(crate) fn started(&self, force: &Force, matter: &Matter, verb: &str, text: &str) -> anyhow::Result<()> {
        let action = Action { verb: verb.to_owned(), outcome: Outcome::Started, text: text.to_owned(), ..Action::default() };
        force.audit(&self.render(matter, &action)?)
    }

    fn render(&self, matter: &Matter, action: &Action) -> anyhow::Result<Rendered> {
        let about = About { subject: Some(&matter.subject), cause: &matter.cause };
        self.with_output(|out| out.render(KIND, about, action))
    }
}

impl Force {
    /// Opens state folder, log and audit log, making what is missing.
    pub(crate) fn open(state: &state::Options, log_dir: Option<&Path>) -> anyhow::Result<Self> {
        let state = state.open()?;
        let log = Log::create(&log_dir.map_or_else(|| state.join("logs"), Path::to_owned))?;
        let audit = Mutex::new(Audit::open(&state)?);
        Ok(Self { state, log, audit })
    }

    /// Takes the lock of an environment: one change at a time, whatever spelling of its path.
    ///
    /// # Errors
    /// [`contract::lock::Held`], or the lock file cannot be made.
    pub(crate) fn lock(&self, venv: &Path) -> anyhow::Result<Lock> {
        let folder = venv.parent().and_then(|parent| parent.canonicalize().ok());
        let real = folder.zip(venv.file_name()).map_or_else(|| venv.to_owned(), |(folder, name)| folder.join(name));
        let digest = Sha256::digest(real.as_os_str().as_encoded_bytes());
        let name: String = digest
            .iter()
            .take(8)
            .flat_map(|byte| [byte >> 4, byte & 15])
            .filter_map(|nibble| char::from_digit(nibble.into(), 16))
            .collect();
        state::private_folder(&self.state.join("locks"))?;
        lock::take(&self.state.join("locks").join(format!("{name}.lock")))
    }

    fn audit(&self, line: &Rendered) -> anyhow::Result<()> {
        self.audit.lock().unwrap_or_else(PoisonError::into_inner).append(&line.line)
    }
}

/// What the exit status of a run with `--force` is made from.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Environments that are not well.
    pub(crate) ill: u64,
    busy: u64,
}

impl Tally {
    pub(crate) fn count(&mut self, standing: Option<Standing>) {
        match standing {
            Some(Standing::Ill) => self.ill += 1,
            Some(Standing::Busy) => self.busy += 1,
            Some(Standing::Well) | None => {}
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        match (self.ill, self.busy) {
            (0, 0) => Exit::Done,
            (0, _) => Exit::Busy,
            _ => Exit::Bad,
        }
    }
}

/// Milliseconds since `start`.
pub(crate) fn took(start: Instant) -> Option<u64> {
    u64::try_from(start.elapsed().as_millis()).ok()
}
