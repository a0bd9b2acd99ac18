//! One agent of a registry, and how it is judged: by its own logs, tmux, its process and its age, in this order.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use contract::path::shown;
use serde::Deserialize;

use crate::document::{Fields, number, text};
use crate::logs::{self, Said};
use crate::process;
use crate::status;
use crate::times;
use crate::tmux::Sight;

/// What sessions of agents begin with.
pub(crate) const PREFIX: &str = "agent_";

/// What an agent is judged by.
pub(crate) struct Court<'a> {
    pub(crate) sight: &'a Sight,
    pub(crate) now: DateTime<Utc>,
    /// Who is younger may have no session yet.
    pub(crate) grace: Duration,
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
    pid: Option<i64>,
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
        let files: Files = fields.tracked_files.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        Some(Self {
            kind: text(fields.r#type),
            status: text(fields.status),
            session: text(fields.tmux_session).filter(|name| !name.is_empty()),
            task: text(fields.task_id),
            started: text(fields.started_at),
            updated: text(fields.last_update),
            sessionless: text(fields.backend).is_some() || fields.cursor_pid.is_some(),
            pid: number(fields.claude_pid).or(number(fields.cursor_pid)),
            log: files.log_file,
            progress: files.progress_file,
            id,
        })
    }

    /// The session that it should have: the one named, else the one that its id makes; none where it has a process alone.
    pub(crate) fn expected_session(&self) -> Option<String> {
        self.session.clone().or_else(|| (!self.sessionless).then(|| format!("{PREFIX}{}", self.id)))
    }

    /// When it was last heard of.
    fn heard(&self) -> Option<DateTime<Utc>> {
        [&self.updated, &self.started].into_iter().flatten().filter_map(|time| times::read(time)).max()
    }

    /// Judges it; `workspace` is the folder of its task.
    pub(crate) fn judge(&self, workspace: &Path, court: &Court<'_>) -> Fate {
        let updated = self.updated.as_deref().and_then(times::read);
        let own =
            |named: &Option<PathBuf>, usual: String| named.clone().filter(|path| path.is_file()).unwrap_or_else(|| workspace.join(usual));
        let result = logs::result(&own(&self.log, format!("logs/{}_stream.jsonl", self.id)));
        let said = result.or_else(|| logs::progress(&own(&self.progress, format!("progress/{}_progress.jsonl", self.id)), updated));
        if let Some(said) = said {
            return Fate::Ended(said);
        }
        let session = self.expected_session();
        let found = session.as_deref().map_or(&[][..], |name| court.sight.named(name));
        if let Some(live) = found.iter().find(|one| one.lives()) {
            return Fate::Alive(format!("the tmux session {} has a live pane", shown(Path::new(&live.name))));
        }
        if let Some(pid) = self.pid {
            if process::fate(pid, self.heard()) == process::Fate::Runs {
                return Fate::Alive(format!("its process {pid} runs"));
            }
            if session.is_none() {
                return Fate::Gone { reason: "process_gone", evidence: format!("its process {pid} has ended") };
            }
        }
        let is_young =
            self.started.as_deref().and_then(times::read).is_some_and(|at| times::age(at, court.now).is_none_or(|age| age < court.grace));
        match session {
            _ if is_young => Fate::Alive(format!("it was started less than {} s ago", court.grace.as_secs())),
            Some(_) if !court.sight.unseen.is_empty() => Fate::Unknown(court.sight.unseen.join("; ")),
            Some(name) if found.is_empty() => {
                Fate::Gone { reason: "session_not_found", evidence: format!("no tmux session is called {}", shown(Path::new(&name))) }
            }
            Some(name) => {
                Fate::Gone { reason: "pane_dead", evidence: format!("all panes of the tmux session {} are dead", shown(Path::new(&name))) }
            }
            None => Fate::Unknown("it names neither a session nor a process".to_owned()),
        }
    }

    /// Whether it counts as active as the registry has it. In the global registry one without a status has not reported yet.
    pub(crate) fn is_active(&self) -> bool {
        self.status.as_deref().is_some_and(status::is_active)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tmux::{Pane, Session, Socket};

    fn agent(json: &str) -> Agent {
        Agent::of(&serde_json::from_str(json).unwrap(), None).unwrap()
    }

    fn sight(name: &str, dead: bool) -> Sight {
        let pane = Pane { id: "%0".to_owned(), dead, pid: 1 };
        let session = Session { socket: Socket::Default, name: name.to_owned(), created: None, attached: 0, panes: vec![pane] };
        Sight { sessions: [(name.to_owned(), vec![session])].into(), unseen: Vec::new() }
    }

    fn fate(json: &str, sight: &Sight) -> Fate {
        let court = Court { sight, now: times::read("2026-01-02T00:00:00Z").unwrap(), grace: Duration::from_secs(30) };
        agent(json).judge(Path::new("/nonexistent"), &court)
    }

    #[test]
    fn a_session_is_its_own_by_its_whole_name_as_tmux_writes_it() {
        let one = r#"{"id":"tester.1-101112-abcdef","status":"working","tmux_session":"agent_tester.1-101112-abcdef","started_at":"2026-01-01T00:00:00Z"}"#;
        assert!(matches!(fate(one, &sight("agent_tester_1-101112-abcdef", false)), Fate::Alive(_)));
        assert!(matches!(fate(one, &sight("agent_tester_1-101112-abcdef-2", false)), Fate::Gone { reason: "session_not_found", .. }));
        assert!(matches!(fate(one, &sight("agent_tester_1-101112-abcdef", true)), Fate::Gone { reason: "pane_dead", .. }));
        let multi = r#"{"id":"multi_agent_tester","status":"working"}"#;
        assert_eq!(agent(multi).expected_session().as_deref(), Some("agent_multi_agent_tester"));
    }

    #[test]
    fn what_cannot_be_seen_is_not_gone_and_who_is_new_may_still_come() {
        let one = r#"{"id":"a","status":"working","started_at":"2026-01-01T23:59:40Z"}"#;
        assert!(matches!(fate(one, &Sight::default()), Fate::Alive(_)));
        let old = r#"{"id":"a","status":"working","started_at":"2026-01-01T23:59:00Z"}"#;
        assert!(matches!(fate(old, &Sight::default()), Fate::Gone { .. }));
        let blind = Sight { unseen: vec!["cannot start tmux".to_owned()], ..Sight::default() };
        assert_eq!(fate(old, &blind), Fate::Unknown("cannot start tmux".to_owned()));
    }

    #[test]
    fn a_process_is_enough_where_there_is_no_session() {
        let now = Utc::now().to_rfc3339();
        let own = format!(r#"{{"id":"a","status":"working","backend":"cursor","cursor_pid":{},"started_at":"{now}"}}"#, std::process::id());
        let court = Court { sight: &Sight::default(), now: Utc::now() + Duration::from_hours(1), grace: Duration::ZERO };
        assert!(matches!(agent(&own).judge(Path::new("/x"), &court), Fate::Alive(_)));
        let gone = r#"{"id":"a","status":"working","backend":"cursor","cursor_pid":999999999,"started_at":"2026-01-01T00:00:00Z"}"#;
        assert!(matches!(fate(gone, &Sight::default()), Fate::Gone { reason: "process_gone", .. }));
        let nothing = r#"{"id":"a","status":"working","backend":"cursor"}"#;
        assert!(matches!(fate(nothing, &Sight::default()), Fate::Unknown(_)));
    }
}
