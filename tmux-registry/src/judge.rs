//! What is wrong with one registry, and the few bytes of it that would be other.

use std::collections::HashMap;
use std::path::Path;

use contract::record::Status;
use serde::Serialize;

use crate::agent::{Agent, Court, Fate};
use crate::archive;
use crate::counts::Tally;
use crate::document::{self, Edits, Fields, Members, Object, Raw, Top};
use crate::status;
use crate::tasks::{Tasks, There, open_tasks};
use crate::times::Style;

/// Faults of which nobody knows what they hide.
pub(crate) const UNREAD: [&str; 3] = ["agent-malformed", "task-unreadable", "archive-unreadable"];

/// Which of the two a registry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Shape {
    /// Agents in a list.
    Task,
    /// Agents by their ids.
    Global,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Fault {
    /// Stable; `docs/tmux-registry.md` has the list.
    pub(crate) code: &'static str,
    pub(crate) severity: Status,
    pub(crate) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) evidence: Option<String>,
    /// What `repair` does about it; absent where it does nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) repair: Option<&'static str>,
}

/// An agent that becomes another.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Change {
    pub(crate) agent_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) agent_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tmux_session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) old_status: Option<String>,
    pub(crate) new_status: String,
    /// Of one that is terminated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'static str>,
    pub(crate) evidence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_seen: Option<String>,
}

/// A number that becomes another.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Count {
    pub(crate) name: &'static str,
    pub(crate) old: i64,
    pub(crate) new: i64,
}

/// All of it.
pub(crate) struct Judgement {
    pub(crate) shape: Shape,
    pub(crate) tally: Tally,
    pub(crate) faults: Vec<Fault>,
    pub(crate) changes: Vec<Change>,
    pub(crate) counts: Vec<Count>,
    pub(crate) edits: Edits,
    /// The names of its agents' sessions, of those that could be there.
    pub(crate) sessions: Vec<String>,
    /// How each agent is here.
    pub(crate) statuses: HashMap<String, There>,
}

impl Judgement {
    /// Whether there may be agents, and sessions of them, that nobody can read here.
    pub(crate) fn is_guarded(&self) -> bool {
        self.faults.iter().any(|fault| UNREAD.contains(&fault.code))
    }

    /// The worst of it.
    pub(crate) fn status(&self) -> Status {
        self.faults.iter().map(|fault| fault.severity).max_by_key(|status| status.badness()).unwrap_or(Status::Healthy)
    }
}

/// Judges the registry at `path` with this text; `tasks` is what the registries of its tasks say, of a global one.
///
/// # Errors
/// It is no registry.
pub(crate) fn judge(path: &Path, whole: &str, tasks: &Tasks, court: &Court<'_>) -> anyhow::Result<Judgement> {
    let top = document::top(whole)?;
    let shape = Shape::of(&top);
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut judgement = Judgement {
        shape,
        tally: Tally::default(),
        faults: Vec::new(),
        changes: Vec::new(),
        counts: Vec::new(),
        edits: Edits::default(),
        sessions: Vec::new(),
        statuses: HashMap::new(),
    };
    let archived = archive::agents(path).unwrap_or_else(|e| {
        judgement.fault("archive-unreadable", Status::Unknown, None, format!("who was moved to the archive is not known: {e:#}"));
        HashMap::new()
    });
    judgement.tally.archived = archived.len();
    match shape {
        Shape::Task => {
            let agents: Vec<Raw<'_>> = serde_json::from_str(top.agents.get())?;
            for raw in agents {
                judgement.one(&Case { whole, raw, court }, None, |agent| Wanted::Fate(agent.judge(folder, court)));
            }
            judgement.hierarchy(top.agent_hierarchy, &archived);
        }
        Shape::Global => {
            let Members(agents) = serde_json::from_str(top.agents.get())?;
            for (id, raw) in &agents {
                judgement.one(&Case { whole, raw, court }, Some(id), |agent| tasks.wanted(agent, court));
            }
            for why in &tasks.unreadable {
                judgement.fault("task-unreadable", Status::Unknown, None, why.clone());
            }
            judgement.tally.open_tasks = open_tasks(&top);
        }
    }
    crate::counts::judge(&mut judgement, whole, &top);
    Ok(judgement)
}

impl Shape {
    pub(crate) fn of(top: &Top<'_>) -> Self {
        if top.agents.get().starts_with('[') { Self::Task } else { Self::Global }
    }
}

/// One agent within a registry.
struct Case<'a, 't> {
    whole: &'t str,
    raw: Raw<'t>,
    court: &'a Court<'a>,
}

/// Why an agent gets another status, and which.
struct Ruling {
    code: &'static str,
    status: String,
    /// Of one that is terminated.
    reason: Option<&'static str>,
    /// What its task says of it, which is said here, too.
    there: There,
    evidence: String,
    text: String,
}

/// What an agent is to be.
pub(crate) enum Wanted {
    /// It is over, and nobody says otherwise.
    Nothing,
    Fate(Fate),
    Task(There),
}

impl Judgement {
    /// Judges one agent; `wanted` is asked of those that are not over.
    fn one(&mut self, case: &Case<'_, '_>, key: Option<&str>, wanted: impl FnOnce(&Agent) -> Wanted) {
        self.tally.agents += 1;
        // A list would be taken for the fields in their order.
        let is_object = case.raw.get().starts_with('{');
        let fields: Result<Fields<'_>, _> = serde_json::from_str(if is_object { case.raw.get() } else { "null" });
        let agent = fields.as_ref().ok().and_then(|fields| Some((Agent::of(fields, key)?, fields)));
        let Some((agent, fields)) = agent else {
            let why = fields.err().map_or_else(|| "it has no id".to_owned(), |e| e.to_string());
            return self.fault(
                "agent-malformed",
                Status::Degraded,
                None,
                format!("agent {} of the list cannot be read: {why}", self.tally.agents),
            );
        };
        self.sessions.extend(agent.claims().filter(|name| case.court.sight.has_like(name)));
        if self.statuses.contains_key(&agent.id) {
            self.fault("duplicate-id", Status::Degraded, Some(&agent), format!("{} is there more than once", agent.id));
        }
        let status = agent.status.clone();
        let is_over = status.as_deref().is_some_and(status::is_terminal);
        let is_silent = !document::is_set(fields.status) && self.shape == Shape::Global;
        let is_known = is_over || agent.is_active() || is_silent;
        if !is_known {
            let said = status
                .as_deref()
                .map_or_else(|| "it has no status".to_owned(), |status| format!("its status `{status}` is none that is known"));
            self.fault("status-unknown", Status::Degraded, Some(&agent), format!("{}: {said}", agent.id));
        }
        let after = if is_known { self.mended(case, fields, &agent, wanted) } else { None };
        let written = status.unwrap_or_default();
        let after = after.unwrap_or(written);
        self.tally.add(&after, is_silent && after.is_empty());
        self.statuses.insert(agent.id, There { status: after, ..There::of(fields) });
    }

    /// The status that it gets, if another one.
    fn mended(&mut self, case: &Case<'_, '_>, fields: &Fields<'_>, agent: &Agent, wanted: impl FnOnce(&Agent) -> Wanted) -> Option<String> {
        let is_over = agent.status.as_deref().is_some_and(status::is_terminal);
        if is_over && self.shape == Shape::Task {
            return None;
        }
        let ruling = match wanted(agent) {
            Wanted::Nothing => return None,
            Wanted::Fate(fate) => self.by_fate(agent, fate)?,
            Wanted::Task(there) => self.by_task(agent, there, is_over)?,
        };
        let Ruling { code, status, reason, there, evidence, text } = ruling;
        let evidence_of = Some(evidence.clone());
        self.faults.push(Fault {
            code,
            severity: Status::Broken,
            text,
            agent: Some(agent.id.clone()),
            evidence: evidence_of,
            repair: Some("status"),
        });
        self.edit(case, fields, agent, (&status, reason, &there));
        self.changes.push(Change {
            agent_id: agent.id.clone(),
            agent_type: agent.kind.clone(),
            tmux_session: agent.session.clone(),
            old_status: agent.status.clone(),
            new_status: status.clone(),
            reason,
            evidence,
            last_seen: agent.updated.clone(),
        });
        Some(status)
    }

    /// What follows from how it is.
    fn by_fate(&mut self, agent: &Agent, fate: Fate) -> Option<Ruling> {
        let (id, was) = (&agent.id, agent.status.as_deref().unwrap_or("without a status"));
        match fate {
            Fate::Alive(_) => None,
            Fate::Unknown(why) => {
                self.fault("agent-unseen", Status::Unknown, Some(agent), format!("{id} could not be seen: {why}"));
                None
            }
            Fate::Ended(said) => {
                let text = format!("{id} has come to its end and is still {was}");
                Some(Ruling {
                    code: "agent-ended",
                    status: said.status,
                    reason: None,
                    there: There::default(),
                    evidence: said.evidence,
                    text,
                })
            }
            Fate::Gone { reason, evidence } => {
                let text = format!("{id} is {was} and is gone");
                Some(Ruling {
                    code: "agent-gone",
                    status: "terminated".to_owned(),
                    reason: Some(reason),
                    there: There::default(),
                    evidence,
                    text,
                })
            }
        }
    }

    /// What follows from what its task says. While it is at work its task knows more of it; one that says that it is over and is not is for
    /// a person.
    fn by_task(&mut self, agent: &Agent, there: There, is_over: bool) -> Option<Ruling> {
        let is_at_work = status::is_active(if is_over { &there.written } else { &there.status });
        if agent.status.as_deref() == Some(&*there.status) || is_at_work && !is_over {
            return None;
        }
        let was = agent.status.as_deref().unwrap_or("without a status");
        let text = format!(
            "{} is {was} here and {} in the registry of its task",
            agent.id,
            if is_at_work { &there.written } else { &there.status }
        );
        if is_at_work {
            self.fault("global-differs", Status::Degraded, Some(agent), text);
            return None;
        }
        Some(Ruling { code: "global-differs", status: there.status.clone(), reason: None, there, evidence: text.clone(), text })
    }

    /// Status, reason and times, in the order in which the original writes them, and the last sign of life besides.
    fn edit(&mut self, case: &Case<'_, '_>, fields: &Fields<'_>, agent: &Agent, (status, reason, there): (&str, Option<&str>, &There)) {
        let object = Object::of(case.whole, case.raw);
        let now = Style::of(agent.started.as_deref()).json(case.court.now);
        let mut set = |key: &str, old: Option<Raw<'_>>, value: &str| object.set(&mut self.edits, key, old, value);
        set("status", fields.status, &format!("\"{status}\""));
        let reason = reason.map(|reason| format!("\"{reason}\"")).or_else(|| there.reason.clone());
        if let Some(reason) = reason.filter(|_| status == "terminated") {
            set("termination_reason", fields.termination_reason, &reason);
        }
        if status == "terminated" {
            set("terminated_at", fields.terminated_at, there.terminated.as_deref().unwrap_or(&now));
        }
        if status == "completed" {
            set("completed_at", fields.completed_at, there.completed.as_deref().unwrap_or(&now));
        }
        set("last_update", fields.last_update, &now);
        if let Some(seen) = fields.last_update {
            set("last_seen", fields.last_seen, seen.get());
        }
    }

    fn fault(&mut self, code: &'static str, severity: Status, agent: Option<&Agent>, text: String) {
        self.faults.push(Fault { code, severity, text, agent: agent.map(|agent| agent.id.clone()), evidence: None, repair: None });
    }

    /// Every child and every parent in the hierarchy is an agent, or was.
    fn hierarchy(&mut self, hierarchy: Option<Raw<'_>>, archived: &HashMap<String, There>) {
        let Some(hierarchy) = hierarchy.and_then(|raw| serde_json::from_str::<HashMap<String, Vec<String>>>(raw.get()).ok()) else {
            return;
        };
        let names = hierarchy.iter().flat_map(|(parent, children)| children.iter().chain((parent != "orchestrator").then_some(parent)));
        let mut unknown: Vec<String> =
            names.filter(|id| !self.statuses.contains_key(*id) && !archived.contains_key(*id)).cloned().collect();
        unknown.sort();
        unknown.dedup();
        for id in unknown {
            self.fault("hierarchy-dangling", Status::Degraded, None, format!("the hierarchy names {id}, which is no agent"));
        }
    }
}
