//! One agent of a registry, and how it is judged: by its own logs, tmux, its process and its age, in this order.

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
use crate::tmux::{Sight, is_odd};

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
        let time = |raw: Option<Raw<'_>>| text(raw).or_else(|| raw.map(|raw| raw.get().to_owned()).filter(|raw| raw != "null"));
        let files: Files = fields.tracked_files.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        Some(Self {
            kind: text(fields.r#type),
            status: text(fields.status),
            session: text(fields.tmux_session).filter(|name| !name.is_empty()),
            task: text(fields.task_id),
            started: time(fields.started_at),
            updated: time(fields.last_update),
            sessionless: text(fields.backend).is_some() || is_set(fields.cursor_pid),
            pid: pid(fields.claude_pid).or(pid(fields.cursor_pid)),
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
        if let Some(said) = self.said(workspace) {
            return Fate::Ended(said);
        }
        let session = self.expected_session();
        let found = session.as_deref().map_or(&[][..], |name| {
            let mut found = targets(name).into_iter().map(|name| court.sight.named(name));
            found.find(|found| !found.is_empty()).unwrap_or(&[])
        });
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
        let started = self.started.as_deref().map(times::read);
        let is_young = started.flatten().is_some_and(|at| times::age(at, court.now).is_none_or(|age| age < court.grace));
        match session {
            _ if is_young => Fate::Alive(format!("it was started less than {} s ago", court.grace.as_secs())),
            _ if started == Some(None) => Fate::Unknown("when it was started cannot be read".to_owned()),
            Some(_) if !court.sight.unseen.is_empty() => Fate::Unknown(court.sight.unseen.join("; ")),
            Some(name) if is_odd(&name) => Fate::Unknown("tmux shows a name like that of its session in another way".to_owned()),
            Some(name) if found.is_empty() => {
                Fate::Gone { reason: "session_not_found", evidence: format!("no tmux session is called {}", shown(Path::new(&name))) }
            }
            Some(name) => {
                Fate::Gone { reason: "pane_dead", evidence: format!("all panes of the tmux session {} are dead", shown(Path::new(&name))) }
            }
            None => Fate::Unknown("it names neither a session nor a process".to_owned()),
        }
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
            let heard = self.updated.as_deref().map(times::read);
            let log = own(&self.progress, format!("progress/{}_progress.jsonl", self.id)).filter(|_| heard != Some(None))?;
            logs::progress(&log, heard.flatten())
        };
        result.or_else(progress)
    }

    /// Whether it counts as active as the registry has it. In the global registry one without a status has not reported yet.
    pub(crate) fn is_active(&self) -> bool {
        self.status.as_deref().is_some_and(status::is_active)
    }
}

/// The number of a process, however it is written.
fn pid(raw: Option<Raw<'_>>) -> Option<i64> {
    let written = text(raw).or_else(|| raw.map(|raw| raw.get().to_owned()))?;
    written.strip_suffix(".0").unwrap_or(&written).trim().parse().ok()
}

/// The sessions that a name could mean: the one of that name, in which tmux makes `_` of colons; and as a target of tmux, where `=` insists on
/// the whole name and a window or a pane stands behind a colon.
fn targets(name: &str) -> [&str; 2] {
    let name = name.strip_prefix('=').unwrap_or(name);
    [name, name.split_once(':').map_or(name, |(session, _)| session)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tmux::Socket;

    fn agent(json: &str) -> Agent {
        Agent::of(&serde_json::from_str(json).unwrap(), None).unwrap()
    }

    fn sight(name: &str, dead: bool) -> Sight {
        let answer = format!("{} 1 1 0 %0 $0 9 {name}\n", u8::from(dead));
        Sight { sessions: [(name.to_owned(), crate::tmux::parse(&Socket::named("x"), &answer).unwrap())].into(), unseen: Vec::new() }
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
    fn a_target_of_tmux_names_its_session() {
        assert_eq!(
            [targets("=agent_x"), targets("agent_x:0.0"), targets("x")],
            [["agent_x", "agent_x"], ["agent_x:0.0", "agent_x"], ["x", "x"]]
        );
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
