//! What a watch leaves in the root of the work tree, under the names that the system had which this replaces:
//!
//! - `.deployment-status-SHA7.log`: what happens, for people (`tail -f`);
//! - `.deployment-status-SHA7.jsonl`: the same as records;
//! - `.deployment-status-SHA7.result`: one word, once it is over;
//! - `.deployment-monitor-SHA7.pid`: the process, which holds a lock on it (flock(2)) for as long as it lives.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, Local, Utc};
use contract::action::{self, Action, Outcome};
use contract::lock::{self, Held, Mode};
use contract::output::hint;
use contract::path::{plain, shown};
use contract::record::Record;
use contract::replace;
use rustix::fs::OFlags;
use serde::Deserialize;

use crate::fingerprint;
use crate::github::TOLD;
use crate::heal::{FOLLOWED, Pending, is_remedy, shows_on_branch};
use crate::outcome::WATCH;
use crate::status::last;

/// The result of a watch that could not see the deployment.
pub(crate) const UNSEEN: &str = "unknown";

/// The four paths.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) log: PathBuf,
    pub(crate) records: PathBuf,
    pub(crate) result: PathBuf,
    pub(crate) pid: PathBuf,
}

#[derive(Deserialize)]
struct Begun {
    run: Option<String>,
}

/// What happens, for people.
#[derive(Debug)]
pub(crate) struct Log(File);

/// The files of a watch that goes on.
#[derive(Debug)]
pub(crate) struct Trail {
    names: Names,
    log: Log,
    records: File,
    /// Its lock is the watch.
    pid: File,
}

impl Names {
    pub(crate) fn of(top: &Path, commit: &str) -> Self {
        let sha7 = &commit[..commit.len().min(7)];
        let status = |end: &str| top.join(format!(".deployment-status-{sha7}.{end}"));
        Self {
            log: status("log"),
            records: status("jsonl"),
            result: status("result"),
            pid: top.join(format!(".deployment-monitor-{sha7}.pid")),
        }
    }

    /// Whether a watch came to a verdict. That it could not see the deployment is none.
    pub(crate) fn is_judged(&self) -> anyhow::Result<bool> {
        match fs::read_to_string(&self.result) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            word => Ok(word.with_context(|| format!("cannot read {}", shown(&self.result)))?.trim() != UNSEEN),
        }
    }

    /// Whether a watch goes on.
    pub(crate) fn is_watched(&self) -> anyhow::Result<bool> {
        let file = match OpenOptions::new().read(true).custom_flags(NO_LINK).open(&self.pid) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            file => file.with_context(|| format!("cannot open {}", shown(&self.pid)))?,
        };
        match lock::file(&file, &self.pid, Mode::Shared, Duration::ZERO) {
            Err(e) if e.is::<Held>() => Ok(true),
            free => free.map(|()| false),
        }
    }
}

/// A link in the place of one of the files could lead anywhere.
pub(crate) const NO_LINK: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits().cast_signed();

fn open(path: &Path) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600).custom_flags(NO_LINK);
    options.open(path).with_context(|| format!("cannot open {}", shown(path)))
}

/// Whether a crash has cut off the last record; the next must not be glued to it.
fn is_torn(path: &Path) -> anyhow::Result<bool> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", shown(path)))?;
    Ok(text.last().is_some_and(|byte| *byte != b'\n'))
}

impl Log {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        open(path).map(Self)
    }

    /// A log that cannot be written is no reason to look away from the deployment.
    pub(crate) fn note(&self, text: &str) {
        let _ = writeln!(&self.0, "[{}] {}", Local::now().format("%H:%M:%S"), plain(text));
    }

    /// For what a child says.
    pub(crate) fn handed(&self) -> anyhow::Result<File> {
        self.0.try_clone().context("cannot share the log")
    }
}

impl Trail {
    /// # Errors
    /// [`Held`]: another watch of this commit goes on. Or a file cannot be written.
    pub(crate) fn begin(names: Names) -> anyhow::Result<Self> {
        let mut pid = open(&names.pid)?;
        lock::file(&pid, &names.pid, Mode::Exclusive, Duration::ZERO)?;
        let (log, mut records) = (Log::open(&names.log)?, open(&names.records)?);
        pid.set_len(0)
            .and_then(|()| writeln!(pid, "{}", std::process::id()))
            .with_context(|| format!("cannot write {}", shown(&names.pid)))?;
        match fs::remove_file(&names.result) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(e).with_context(|| format!("cannot remove {}", shown(&names.result)));
            }
            _ => {}
        }
        if is_torn(&names.records)? {
            writeln!(records).with_context(|| format!("cannot write {}", shown(&names.records)))?;
        }
        Ok(Self { names, log, records, pid })
    }

    /// Says something to whoever looks on, in the log and on stderr.
    pub(crate) fn say(&self, text: &str) {
        hint(env!("CARGO_PKG_NAME"), text);
        self.note(text);
    }

    /// Says it in the log alone.
    pub(crate) fn note(&self, text: &str) {
        self.log.note(text);
    }

    /// Keeps a record.
    pub(crate) fn keep(&self, line: &[u8]) -> anyhow::Result<()> {
        (&self.records).write_all(line).with_context(|| format!("cannot write {}", shown(&self.names.records)))
    }

    /// What was tried by watches of this commit before, by the fingerprints of what it was tried against.
    pub(crate) fn tried(&self) -> anyhow::Result<Vec<String>> {
        let mut actions = self.actions()?;
        // Of one that was not told the end of, the branch tells whether it was done.
        if actions.last().is_some_and(|(action, _)| action.outcome == Outcome::Started && shows_on_branch(&action.verb)) {
            actions.pop();
        }
        let actions = actions.into_iter().filter(|(action, _)| action.outcome == Outcome::Started);
        Ok(actions.filter_map(|(action, _)| Some(action.detail?["fingerprint"].as_str()?.to_owned())).collect())
    }

    /// Which watch it is, for as long as it is one: the same in one that goes on where another was killed.
    pub(crate) fn run(&self, goes_on: bool) -> anyhow::Result<String> {
        let before = if goes_on { last(&self.names.records, &[WATCH])? } else { None };
        let before = before.and_then(|(record, _)| record.read::<Begun>().ok()?.run);
        Ok(before.unwrap_or_else(|| fingerprint::digits(format!("{:?} {}", Local::now(), std::process::id()).as_bytes())))
    }

    /// What was done about failures of this commit, by all of its watches.
    pub(crate) fn done(&self) -> anyhow::Result<Vec<Action>> {
        let actions = self.actions()?.into_iter().map(|(action, _)| action);
        Ok(actions.filter(|action| !action.verb.starts_with(TOLD)).collect())
    }

    /// The remedy that was begun last, if no end of it was told; else what was last followed to its end.
    pub(crate) fn pending(&self) -> anyhow::Result<Option<Pending>> {
        let mut actions: Vec<_> = self.actions()?.into_iter().filter(|(action, _)| is_remedy(&action.verb)).collect();
        let is_open = actions.last().is_some_and(|(action, _)| action.outcome == Outcome::Started);
        let of_deployment = |(action, _): &(Action, _)| action.detail.as_ref().is_some_and(|detail| detail[FOLLOWED].is_string());
        let last = if is_open { actions.pop() } else { actions.into_iter().rfind(of_deployment) };
        Ok(last.map(|(action, cause)| Pending { action, cause }))
    }

    /// How long ago something was begun of which no end was told: it may be on its way still.
    pub(crate) fn on_its_way(&self) -> anyhow::Result<Option<Duration>> {
        let Some((record, _)) = last(&self.names.records, &[action::KIND])? else { return Ok(None) };
        let is_open = record.read::<Action>().is_ok_and(|action| action.outcome == Outcome::Started);
        let begun = DateTime::parse_from_rfc3339(&record.ts).ok().filter(|_| is_open);
        Ok(begun.map(|begun| (Utc::now() - begun.to_utc()).to_std().unwrap_or_default()))
    }

    /// All actions, and the ids of their causes. A crash can tear the last line.
    fn actions(&self) -> anyhow::Result<Vec<(Action, String)>> {
        let text = fs::read(&self.names.records).with_context(|| format!("cannot read {}", shown(&self.names.records)))?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let records = text.lines().filter_map(|line| Record::parse(line).ok()).filter(|record| record.is(action::KIND));
        Ok(records.filter_map(|record| Some((record.read().ok()?, record.cause.into_iter().next().unwrap_or_default()))).collect())
    }

    /// Says how it ended.
    pub(crate) fn judge(&self, word: &str) -> anyhow::Result<()> {
        self.records.sync_data().with_context(|| format!("cannot sync {}", shown(&self.names.records)))?;
        replace::write(&self.names.result, format!("{word}\n").as_bytes())
    }

    /// The last thing that is done.
    pub(crate) fn end(self) -> anyhow::Result<()> {
        self.pid.set_len(0).with_context(|| format!("cannot write {}", shown(&self.names.pid)))
    }
}
