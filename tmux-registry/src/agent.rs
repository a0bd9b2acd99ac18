//! One agent of a registry, and how it is judged: by its own logs, tmux, its process and its age, in this order.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use contract::path::shown;
use serde::Deserialize;

use crate::document::{Fields, Raw, is_set, text};
use crate::logs::{self, Said};
use crate::process;
use crate::status;
use crate::times;
use crate::tmux::{Session, Sight};

/// What sessions of agents begin with.
pub(crate) const PREFIX: &str = "agent_";

/// What an agent is judged by.
pub(crate) struct Court<'a> {
    pub(crate) sight: &'a Sight,
    pub(crate) now: DateTime<Utc>,
    /// Who is younger may have no session yet.
    pub(crate) grace: Duration,
    /// Why its sessions may be where nobody looked.
    pub(crate) elsewhere: Option<String>,
}

impl<'a> Court<'a> {
    /// The court of one registry: whose it is, is whose tmux is to be asked.
    pub(crate) fn of(registry: &Path, sight: &'a Sight, grace: Duration) -> Self {
        let owner = registry.metadata().ok().map(|meta| meta.uid()).filter(|owner| !sight.asked.contains(owner));
        let elsewhere = owner.map(|owner| format!("the registry is user {owner}'s, whose tmux was not asked; -S names its socket"));
        Self { sight, now: Utc::now(), grace, elsewhere }
    }
}

/// An agent as a registry has it.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub(crate) id: String,
    pub(crate) kind: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) task: Option<String>,
    pub(crate) started: Option<String>,
    pub(crate) updated: Option<String>,
    /// It is known by its process, and not by a session.
    sessionless: bool,
    pids: Vec<i64>,
    log: Option<PathBuf>,
    progress: Option<PathBuf>,
}

/// How it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is at work, and why that is known.
    Alive(String),
    /// It came to an end of its own.
    Ended(Said),
    /// It is no more.
    Gone { reason: &'static str, evidence: String },
    /// Nothing of it could be seen.
    Unknown(String),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Files {
    log_file: Option<PathBuf>,
    progress_file: Option<PathBuf>,
}

impl Agent {
    /// Reads an agent; `id` is its key where the registry has one.
    pub(crate) fn of(fields: &Fields<'_>, id: Option<&str>) -> Option<Self> {
        let id = id.map(str::to_owned).or_else(|| text(fields.id)).filter(|id| !id.is_empty())?;
        let time = |raw: Option<Raw<'_>>| text(raw).or_else(|| raw.map(|raw| raw.get().to_owned()).filter(|raw| raw != "null"));
        let files: Files = fields.tracked_files.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        Some(Self {
            kind: text(fields.r#type),
            status: text(fields.status),
            session: fields.tmux_session.filter(|raw| is_set(Some(raw))).map(written).filter(|name| !name.is_empty()),
            task: text(fields.task_id),
            started: time(fields.started_at),
            updated: time(fields.last_update),
            sessionless: text(fields.backend).is_some() || is_set(fields.cursor_pid),
            pids: [fields.claude_pid, fields.cursor_pid].into_iter().filter_map(pid).collect(),
            log: files.log_file,
            progress: files.progress_file,
            id,
        })
    }

    /// The session that it should have: the one named, else the one that its id makes.
    fn expected_session(&self) -> String {
        self.session.clone().unwrap_or_else(|| format!("{PREFIX}{}", self.id))
    }

    /// The names of all sessions that may be its.
    pub(crate) fn claims(&self) -> impl Iterator<Item = String> {
        let named = self.session.iter().flat_map(|name| targets(name)).map(str::to_owned);
        named.chain([format!("{PREFIX}{}", self.id)])
    }

    /// When it was last heard of.
    fn heard(&self) -> Option<DateTime<Utc>> {
        self.times().filter_map(times::read).max()
    }

    fn times(&self) -> impl Iterator<Item = &str> {
        [&self.updated, &self.started].into_iter().flatten().map(String::as_str)
    }

    /// Judges it; `workspace` is the folder of its task.
    pub(crate) fn judge(&self, workspace: &Path, court: &Court<'_>) -> Fate {
        if let Some(said) = self.said(workspace) {
            return Fate::Ended(said);
        }
        let session = self.expected_session();
        let found: Vec<&Session> = targets(&session).into_iter().flat_map(|name| court.sight.named(name)).collect();
        if let Some(live) = found.iter().find(|one| one.lives()) {
            return Fate::Alive(format!("the tmux session {} has a live pane", shown(Path::new(&live.name))));
        }
        let doubt = self.times().map(times::doubt).max().unwrap_or_default();
        for pid in &self.pids {
            match process::fate(*pid, self.heard(), doubt) {
                process::Fate::Runs => return Fate::Alive(format!("its process {pid} runs")),
                process::Fate::Unseen => return Fate::Unknown(format!("there is a process {pid}, of which nothing can be seen")),
                process::Fate::Gone => {}
            }
        }
        let started = self.started.as_deref().or(self.updated.as_deref()).map(times::read);
        let is_young = started.flatten().is_some_and(|at| times::age(at, court.now).is_none_or(|age| age < court.grace));
        if is_young {
            return Fate::Alive(format!("it was started less than {} s ago", court.grace.as_secs()));
        }
        if started.flatten().is_none() {
            return Fate::Unknown("when it was started cannot be told".to_owned());
        }
        self.absent(&session, &found, court)
    }

    /// What it means that nothing of it is alive.
    fn absent(&self, session: &str, found: &[&Session], court: &Court<'_>) -> Fate {
        let name = shown(Path::new(session));
        if !court.sight.unseen.is_empty() {
            return Fate::Unknown(court.sight.unseen.join("; "));
        }
        if let Some(why) = &court.elsewhere {
            return Fate::Unknown(why.clone());
        }
        if let Some(other) = targets(session).into_iter().find_map(|name| court.sight.alike(name)) {
            return Fate::Unknown(format!("the tmux session {} may be its, which should be {name}", shown(Path::new(other))));
        }
        match (found.is_empty(), self.pids.last()) {
            (false, _) => Fate::Gone { reason: "pane_dead", evidence: format!("all panes of the tmux session {name} are dead") },
            (true, Some(pid)) if self.is_sessionless() => {
                Fate::Gone { reason: "process_gone", evidence: format!("its process {pid} has ended") }
            }
            (true, None) if self.is_sessionless() => Fate::Unknown("it names neither a session nor a process".to_owned()),
            (true, _) => Fate::Gone { reason: "session_not_found", evidence: format!("no tmux session is called {name}") },
        }
    }

    fn is_sessionless(&self) -> bool {
        self.sessionless && self.session.is_none()
    }

    /// What its own logs say of its end.
    fn said(&self, workspace: &Path) -> Option<Said> {
        let is_plain = !self.id.contains('/');
        let own = |named: &Option<PathBuf>, usual: String| {
            let named = named.as_ref().map(|path| workspace.join(path)).filter(|path| path.is_file());
            named.or_else(|| is_plain.then(|| workspace.join(usual)))
        };
        let started = self.started.as_deref().and_then(times::read);
        let result = own(&self.log, format!("logs/{}_stream.jsonl", self.id)).and_then(|log| logs::result(&log, started));
        let progress = || {
            // One whose time nobody can read may be newer.
            let is_readable = self.times().all(|time| times::read(time).is_some());
            let log = own(&self.progress, format!("progress/{}_progress.jsonl", self.id)).filter(|_| is_readable)?;
            logs::progress(&log, self.heard()?)
        };
        result.or_else(progress)
    }

    /// Whether it counts as active as the registry has it. In the global registry one without a status has not reported yet.
    pub(crate) fn is_active(&self) -> bool {
        self.status.as_deref().is_some_and(status::is_active)
    }
}

/// A value as text, whatever it is.
fn written(raw: Raw<'_>) -> String {
    text(Some(raw)).unwrap_or_else(|| raw.get().to_owned())
}

/// The number of a process, however it is written.
fn pid(raw: Option<Raw<'_>>) -> Option<i64> {
    let written = written(raw?);
    written.strip_suffix(".0").unwrap_or(&written).trim().parse().ok()
}

/// The sessions that a name could mean: the one of that name, in which tmux makes `_` of colons; and as a target of tmux, where `=` insists on
/// the whole name and a window or a pane stands behind a colon.
fn targets(name: &str) -> [&str; 3] {
    let bare = name.strip_prefix('=').unwrap_or(name);
    [name, bare, bare.split_once(':').map_or(bare, |(session, _)| session)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tmux::Socket;

    fn agent(json: &str) -> Agent {
        Agent::of(&serde_json::from_str(json).unwrap(), None).unwrap()
    }

    fn sight(name: &str, dead: bool) -> Sight {
        let answer = format!("{} 1 1 0 %0 $0 9 /dev/pts/0 {name}\n", u8::from(dead));
        Sight::of(crate::tmux::parse(&Socket::named("x"), &answer).unwrap(), Vec::new())
    }

    fn fate(json: &str, sight: &Sight) -> Fate {
        let court = Court { sight, now: times::read("2026-01-02T00:00:00Z").unwrap(), grace: Duration::from_secs(30), elsewhere: None };
        agent(json).judge(Path::new("/nonexistent"), &court)
    }

    #[test]
    fn a_session_is_its_own_by_its_whole_name_as_tmux_writes_it() {
        let one = r#"{"id":"tester.1-101112-abcdef","status":"working","tmux_session":"agent_tester.1-101112-abcdef","started_at":"2026-01-01T00:00:00Z"}"#;
        assert!(matches!(fate(one, &sight("agent_tester_1-101112-abcdef", false)), Fate::Alive(_)));
        assert!(matches!(fate(one, &sight("agent_tester_1-101112-abcdef-2", false)), Fate::Gone { reason: "session_not_found", .. }));
        assert!(matches!(fate(one, &sight("agent_tester_1-101112-abcdef", true)), Fate::Gone { reason: "pane_dead", .. }));
        let multi = r#"{"id":"multi_agent_tester","status":"working"}"#;
        assert_eq!(agent(multi).expected_session(), "agent_multi_agent_tester");
    }

    #[test]
    fn what_cannot_be_seen_is_not_gone_and_who_is_new_may_still_come() {
        let one = r#"{"id":"a","status":"working","started_at":"2026-01-01T23:59:40Z"}"#;
        assert!(matches!(fate(one, &Sight::default()), Fate::Alive(_)));
        let old = r#"{"id":"a","status":"working","started_at":"2026-01-01T23:59:00Z"}"#;
        assert!(matches!(fate(old, &Sight::default()), Fate::Gone { .. }));
        let blind = Sight::of(Vec::new(), vec!["cannot start tmux".to_owned()]);
        assert_eq!(fate(old, &blind), Fate::Unknown("cannot start tmux".to_owned()));
    }

    #[test]
    fn a_target_of_tmux_names_its_session() {
        assert_eq!(
            [targets("=agent_x"), targets("agent_x:0.0"), targets("x")],
            [["=agent_x", "agent_x", "agent_x"], ["agent_x:0.0", "agent_x:0.0", "agent_x"], ["x", "x", "x"]]
        );
    }

    #[test]
    fn a_process_is_enough_where_there_is_no_session() {
        let now = Utc::now().to_rfc3339();
        let own = format!(r#"{{"id":"a","status":"working","backend":"cursor","cursor_pid":{},"started_at":"{now}"}}"#, std::process::id());
        let sight = Sight::default();
        let court = Court { now: Utc::now() + Duration::from_hours(1), ..Court::of(Path::new("/"), &sight, Duration::ZERO) };
        assert!(matches!(agent(&own).judge(Path::new("/x"), &court), Fate::Alive(_)));
        let gone = r#"{"id":"a","status":"working","backend":"cursor","cursor_pid":999999999,"started_at":"2026-01-01T00:00:00Z"}"#;
        assert!(matches!(fate(gone, &Sight::default()), Fate::Gone { reason: "process_gone", .. }));
        let nothing = r#"{"id":"a","status":"working","backend":"cursor","started_at":"2026-01-01T00:00:00Z"}"#;
        assert!(matches!(fate(nothing, &Sight::default()), Fate::Unknown(_)));
    }
}
