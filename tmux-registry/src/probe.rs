//! `check`: what is wrong with each registry, and which sessions belong to none.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use chrono::SecondsFormat;
use contract::lock;
use contract::output::Output;
use contract::path::Subject;
use contract::record::{About, Status};
use contract::shell::quoted;
use contract::signal;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::agent::{Court, PREFIX};
use crate::arguments::Rules;
use crate::judge::{self, Fault, Judgement, Shape};
use crate::registry::{self, Corrupt};
use crate::tasks::{Patience, Tasks};
use crate::tmux::{self, Sight};

/// The type of the record of one registry.
pub(crate) const KIND: &str = "registry.probe";
/// The type of the record of all that were read.
const SUMMARY: &str = "registry.summary";
/// The type of the record of a session that no registry names.
const ORPHAN: &str = "registry.orphan";

#[derive(Serialize)]
struct Verdict<'a> {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    shape: Option<Shape>,
    agents: usize,
    active: usize,
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    faults: &'a [Fault],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recommendations: Vec<Recommendation>,
}

/// What a person should do, in the form of the validator that this replaces.
#[derive(Serialize)]
struct Recommendation {
    severity: &'static str,
    issue: String,
    action: String,
    details: Vec<String>,
}

/// What is known when all registries have been read.
#[derive(Default)]
pub(crate) struct Union {
    pub(crate) registries: usize,
    pub(crate) agents: usize,
    pub(crate) active: usize,
    /// Agents that a repair would end, and those of them that are gone.
    pub(crate) ended: usize,
    pub(crate) gone: usize,
    pub(crate) not_well: bool,
    /// Somebody else held one.
    pub(crate) busy: bool,
    /// Something was not read, so that what is not here may be there.
    pub(crate) unseen: bool,
    /// The sessions that may be those of agents, as loosely as can be.
    named: HashSet<String>,
}

/// Judges each registry and writes its record; tells of orphans where `all` of them were read.
///
/// # Errors
/// Nothing can be written.
pub(crate) fn run(out: &mut Output, registries: &[PathBuf], sight: &Sight, rules: Rules, all: bool) -> anyhow::Result<Union> {
    let mut union = Union { unseen: out.trouble(), ..Union::default() };
    blind(out, sight)?;
    for path in registries {
        anyhow::ensure!(!signal::interrupted(), "interrupted");
        union.add(out, path, sight, rules)?;
    }
    let orphans = union.orphans(sight, PREFIX);
    let judged = all && !union.unseen && sight.unseen.is_empty();
    for session in orphans.values().flatten().filter(|_| judged) {
        let subject = Subject::from(session.name.as_str());
        let mut data = of_session(session);
        data.insert("status".to_owned(), json!(Status::Degraded));
        out.emit(ORPHAN, About { subject: Some(&subject), ..About::default() }, &data)?;
    }
    if !judged && !orphans.is_empty() {
        let why = if all { "since not everything could be read" } else { "from these registries alone; --all reads every one" };
        out.hint(&format!("sessions that no registry names cannot be judged {why}"));
    }
    if registries.is_empty() && all {
        out.hint("there is no registry here; --workspace names the folder of them");
    }
    if registries.is_empty() && !all {
        return Ok(union);
    }
    let mut data = json!({
        "registries": union.registries, "agents": union.agents, "active": union.active, "gone": union.gone,
        "sessions": sight.all().count(), "orphans_judged": judged,
    });
    if judged {
        data["orphans"] = json!(orphans.values().map(Vec::len).sum::<usize>());
    }
    out.emit(SUMMARY, About::default(), &data)?;
    Ok(union)
}

/// What all registries say, for whoever acts on it; only what cannot be read is told.
///
/// # Errors
/// Nothing can be written.
pub(crate) fn read(out: &mut Output, registries: &[PathBuf], sight: &Sight, rules: Rules) -> anyhow::Result<Union> {
    let mut union = Union { unseen: out.trouble(), ..Union::default() };
    for path in registries {
        union.registries += 1;
        match judged(path, sight, rules) {
            Ok(judgement) => {
                union.unseen |= judgement.is_guarded();
                union.name(&judgement);
            }
            Err(e) => {
                union.unseen = true;
                union.busy |= e.is::<lock::Held>();
                let subject = Subject::from(path);
                out.error(registry::code(&e), About { subject: Some(&subject), ..About::default() }, None, &format!("{e:#}"))?;
            }
        }
    }
    Ok(union)
}

/// Says what could not be seen of tmux; then nothing is judged to be gone.
pub(crate) fn blind(out: &mut Output, sight: &Sight) -> anyhow::Result<()> {
    for why in &sight.unseen {
        out.error("tmux.unseen", About::default(), None, &format!("{why}; so no agent is taken for gone"))?;
    }
    Ok(())
}

/// Judges one registry as it is now.
///
/// # Errors
/// It cannot be read.
pub(crate) fn judged(path: &Path, sight: &Sight, rules: Rules) -> anyhow::Result<Judgement> {
    let court = Court::of(path, sight, rules.grace);
    let whole = registry::read(path, rules.wait)?;
    let tasks = Tasks::of(path, &whole, &court, Patience::Each(rules.wait))?;
    judge::judge(path, &whole, &tasks, &court)
}

impl Union {
    fn add(&mut self, out: &mut Output, path: &Path, sight: &Sight, rules: Rules) -> anyhow::Result<()> {
        self.registries += 1;
        let subject = Subject::from(path);
        let about = About { subject: Some(&subject), ..About::default() };
        match judged(path, sight, rules) {
            Ok(judgement) => {
                self.agents += judgement.tally.agents;
                self.active += judgement.tally.active;
                self.ended += judgement.changes.len();
                self.gone += judgement.changes.iter().filter(|change| change.reason.is_some()).count();
                self.not_well |= judgement.status() != Status::Healthy;
                self.unseen |= judgement.status() == Status::Unknown || judgement.is_guarded();
                self.name(&judgement);
                let verdict = Verdict {
                    status: judgement.status(),
                    shape: Some(judgement.shape),
                    agents: judgement.tally.agents,
                    active: judgement.tally.active,
                    faults: &judgement.faults,
                    recommendations: recommendations(path, &judgement),
                };
                out.emit(KIND, about, &verdict).map(drop)
            }
            Err(e) if e.is::<Corrupt>() => {
                (self.not_well, self.unseen) = (true, true);
                let is_torn = e.downcast_ref::<Corrupt>().is_some_and(|corrupt| corrupt.is_torn);
                let repair = (is_torn && registry::remains(path).is_ok()).then_some("recover");
                let fault = Fault {
                    code: if is_torn { "registry-corrupt" } else { "registry-malformed" },
                    severity: Status::Broken,
                    text: format!("{e:#}"),
                    agent: None,
                    evidence: None,
                    repair,
                };
                let verdict =
                    Verdict { status: Status::Broken, shape: None, agents: 0, active: 0, faults: &[fault], recommendations: Vec::new() };
                out.emit(KIND, about, &verdict).map(drop)
            }
            Err(e) => {
                self.unseen = true;
                self.busy |= e.is::<lock::Held>();
                out.error(registry::code(&e), about, None, &format!("{e:#}"))
            }
        }
    }

    fn name(&mut self, judgement: &Judgement) {
        self.named.extend(judgement.sessions.iter().map(|name| tmux::loose(name)));
    }

    /// Sessions with the name of an agent that no registry names, by their names. One that tmux cannot show as it is may be anybody's.
    pub(crate) fn orphans<'s>(&self, sight: &'s Sight, prefix: &str) -> BTreeMap<&'s str, Vec<&'s tmux::Session>> {
        let mut orphans: BTreeMap<&str, Vec<&tmux::Session>> = BTreeMap::new();
        for session in sight.all().filter(|session| self.is_orphan(session, prefix)) {
            orphans.entry(&session.name).or_default().push(session);
        }
        orphans
    }

    /// Whether no registry names a session that begins so.
    pub(crate) fn is_orphan(&self, session: &tmux::Session, prefix: &str) -> bool {
        let name = &session.name;
        name.starts_with(prefix) && !self.named.contains(&tmux::loose(name)) && !name.contains('\\')
    }
}

/// The recommendations of the validator that this replaces, each with the command that follows it.
fn recommendations(path: &Path, judgement: &Judgement) -> Vec<Recommendation> {
    let command = format!("tmux-registry repair --force -- {}", quoted(path));
    let mut all = Vec::new();
    let changes = |gone: bool| {
        judgement
            .changes
            .iter()
            .filter(move |change| change.reason.is_some() == gone)
            .map(|change| change.agent_id.clone())
            .collect::<Vec<_>>()
    };
    for (gone, what) in [(true, "zombie agents: active here, and gone"), (false, "agents that have come to their end, and are active here")]
    {
        let ids = changes(gone);
        if !ids.is_empty() {
            all.push(Recommendation { severity: "high", issue: format!("{} {what}", ids.len()), action: command.clone(), details: ids });
        }
    }
    for count in &judgement.counts {
        let details = vec![format!("{} -> {}", count.old, count.new)];
        all.push(Recommendation { severity: "high", issue: format!("{} mismatch", count.name), action: command.clone(), details });
    }
    let by_hand: Vec<String> = judgement.faults.iter().filter(|fault| fault.repair.is_none()).map(|fault| fault.text.clone()).collect();
    if !by_hand.is_empty() {
        all.push(Recommendation {
            severity: "medium",
            issue: format!("{} for a person to look at", by_hand.len()),
            action: "investigate".to_owned(),
            details: by_hand,
        });
    }
    all
}

/// Every session of tmux.
///
/// # Errors
/// Nothing can be written.
pub(crate) fn sessions(out: &mut Output, sight: &Sight) -> anyhow::Result<()> {
    blind(out, sight)?;
    for session in sight.all() {
        let subject = Subject::from(session.name.as_str());
        let data = of_session(session);
        out.emit("tmux.session", About { subject: Some(&subject), ..About::default() }, &data)?;
    }
    Ok(())
}

fn of_session(session: &tmux::Session) -> Map<String, Value> {
    let known = [
        ("socket", session.socket.told().map(|socket| json!(socket))),
        ("agent_id", session.name.strip_prefix(PREFIX).map(|id| json!(id))),
        ("created", session.created.map(|created| json!(created.to_rfc3339_opts(SecondsFormat::Secs, true)))),
        ("attached", Some(json!(session.attached))),
        ("alive", Some(json!(session.lives()))),
        ("panes", Some(json!(session.panes))),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
