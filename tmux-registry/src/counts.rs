//! The numbers of a registry, each against what it counts. `docs/tmux-registry.md` has the table of the rules.

use contract::record::Status;

use crate::document::{Raw, Top, number, span};
use crate::judge::{Count, Fault, Judgement, Shape, UNREAD};
use crate::status;

/// What there is to count when all is mended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) agents: usize,
    pub(crate) active: usize,
    pub(crate) completed: usize,
    pub(crate) terminal: usize,
    /// Moved to the archive.
    pub(crate) archived: usize,
    /// Tasks that are not over.
    pub(crate) open_tasks: usize,
}

impl Tally {
    /// Counts an agent; one that has not reported yet is at work.
    pub(crate) fn add(&mut self, status: &str, is_silent: bool) {
        self.active += usize::from(is_silent || status::is_active(status));
        self.completed += usize::from(status == "completed");
        self.terminal += usize::from(status::is_terminal(status));
    }
}

/// What a number may be, and what it becomes where it is not.
struct Rule<'t> {
    name: &'static str,
    raw: Option<Raw<'t>>,
    least: usize,
    most: usize,
    counts: &'static str,
}

/// Judges each number that is there; none is added.
pub(crate) fn judge(judgement: &mut Judgement, whole: &str, top: &Top<'_>) {
    let tally = judgement.tally;
    let all = tally.agents + tally.archived;
    let exactly = |name, raw, count, counts| Rule { name, raw, least: count, most: count, counts };
    let rules = match judgement.shape {
        Shape::Task => vec![
            exactly("active_count", top.active_count, tally.active, "agents at work"),
            // The orchestrator counts all that came to an end, whatever end, or those that completed alone.
            Rule {
                name: "completed_count",
                raw: top.completed_count,
                least: tally.completed,
                most: tally.terminal + tally.archived,
                counts: "agents that completed",
            },
            Rule { name: "total_spawned", raw: top.total_spawned, least: all, most: usize::MAX, counts: "agents that were ever there" },
        ],
        Shape::Global => vec![
            exactly("active_agents", top.active_agents, tally.active, "agents at work"),
            Rule {
                name: "total_agents_spawned",
                raw: top.total_agents_spawned,
                least: all,
                most: usize::MAX,
                counts: "agents that were ever there",
            },
            exactly("active_tasks", top.active_tasks, tally.open_tasks, "tasks that are not over"),
        ],
    };
    for rule in rules {
        rule.judge(judgement, whole);
    }
}

impl Rule<'_> {
    fn judge(&self, judgement: &mut Judgement, whole: &str) {
        let Some(raw) = self.raw else { return };
        let Some(old) = number(Some(raw)) else {
            judgement.faults.push(Fault {
                code: "count-wrong",
                severity: Status::Degraded,
                text: format!("{} is no number", self.name),
                agent: None,
                evidence: None,
                repair: None,
            });
            return;
        };
        let limit = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        if (limit(self.least)..=limit(self.most)).contains(&old) {
            return;
        }
        let new = limit(self.least);
        // Of agents that nobody can read, nobody can say whether they count.
        let hides = |code| UNREAD.contains(&code) || code == "status-unknown";
        let is_certain = !judgement.faults.iter().any(|fault| hides(fault.code));
        judgement.faults.push(Fault {
            code: "count-wrong",
            severity: Status::Degraded,
            text: format!("{} is {old}; {}: {new}", self.name, self.counts),
            agent: None,
            evidence: None,
            repair: is_certain.then_some("count"),
        });
        if !is_certain {
            return;
        }
        judgement.counts.push(Count { name: self.name, old, new });
        judgement.edits.replace(span(whole, raw), &new.to_string());
    }
}
