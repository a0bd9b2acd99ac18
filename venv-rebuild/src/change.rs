//! One change of one environment: on record before it begins, made, verified, and kept or taken back.

use std::panic;
use std::path::Path;
use std::thread;
use std::time::Instant;

use contract::action::{Action, Outcome};
use contract::path::Subject;
use contract::record::Status;
use contract::signal;
use contract::venv::{Level, Probe, Repair};
use serde_json::{Map, Value, json};

use crate::build::Untrusted;
use crate::journal::{Journal, Step, Tree};
use crate::ladder::{self, Case, Reason, Rungs, Verdict, is_patch, judge};
use crate::links::Linked;
use crate::means::{Means, ladder_detail, verb};
use crate::patch::{Patch, Unsaved};
use crate::patient::{self, Patient};
use crate::refuse::{self, Refusal};
use crate::session::{Force, Session, Standing, Told, took};
use crate::tree::{self, Filled};
use crate::{backup, stamp, swap};

/// The old state could not be put back: the journal stays, and the next run tries again.
#[derive(Debug)]
pub(crate) struct Stuck;

impl std::fmt::Display for Stuck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the old state could not be put back; the next run with --force tries again")
    }
}

/// A change in hand.
pub(crate) struct Change<'a, 's> {
    session: &'a Session<'s>,
    force: &'a Force,
    patient: &'a Patient,
    means: Means<'a>,
    case: Case,
    journal: Journal,
    tried: Vec<Reason>,
    stuck: bool,
}

/// What an attempt came to. The environment is as before but for [`Attempt::Kept`].
enum Attempt {
    Kept(Box<Kept>),
    Not { why: String, damaged: bool },
    Refused(Refusal),
}

struct Kept {
    undo: Subject,
    after: Probe,
    text: String,
    detail: Map<String, Value>,
    missing: Vec<(String, String)>,
}

impl<'a, 's> Change<'a, 's> {
    /// Makes the change that the case asks for; returns the record, and the verdict afterwards where something is other than before.
    pub(crate) fn make(
        session: &'a Session<'s>,
        force: &'a Force,
        patient: &'a Patient,
        case: Case,
    ) -> anyhow::Result<(Told, Option<Probe>)> {
        let start = Instant::now();
        let id = stamp::id();
        // Until the outcome is on record: the first signal waits for the roll-back.
        let _hold = signal::hold()?;
        let first = verb(&case.rungs);
        let aside = Subject::from(&swap::aside(&patient.root, &id));
        let step = if is_patch(&case.rungs) { Step::Patching } else { Step::Building { aside } };
        let journal = Journal::begin(&force.state, &id, &patient.root, &first, &patient.matter.cause, step)?;
        session.started(force, &patient.matter, &first, &ladder::worst(&patient.probe))?;
        force.log.info(&format!("{}: {first}: {}", patient.matter.subject, ladder::worst(&patient.probe)));
        let means = Means::of_change(session.options, patient);
        let mut change = Self { session, force, patient, means, case, journal, tried: Vec::new(), stuck: false };
        let (mut action, after, standing) = change.climb();
        action.took_ms = took(start);
        action.log = Some(Subject::from(&force.log.path));
        change.log_outcome(&action);
        let told = session.tell_change(force, &patient.matter, &action, standing)?;
        if !change.stuck {
            change.journal.end(&force.state)?;
        }
        Ok((told, after))
    }

    fn climb(&mut self) -> (Action, Option<Probe>, Standing) {
        // What an installer's cache brought back: it shares its files with environments by hard links, and has their damage.
        let (mut rungs, mut poison) = (self.case.rungs.clone(), None::<String>);
        loop {
            let (why, damaged) = match self.attempt(&rungs, poison.is_some()) {
                Ok(Attempt::Kept(kept)) => return self.kept(&rungs, *kept),
                Ok(Attempt::Refused(refusal)) => return self.refused(&rungs, &refusal),
                Ok(Attempt::Not { why, damaged }) => (why, damaged),
                Err(e) if e.is::<Stuck>() => {
                    self.stuck = true;
                    return self.failed(&rungs, Outcome::Failed, &format!("{e:#}"));
                }
                Err(e) if e.is::<Unsaved>() && !signal::interrupted() => return self.failed(&rungs, Outcome::Failed, &format!("{e:#}")),
                // No higher rung gets round that.
                Err(e) if e.is::<Untrusted>() => return self.refused(&rungs, &Refusal::Untrusted(format!("{e:#}"))),
                Err(e) => match e.downcast::<Linked>() {
                    Ok(Linked(link)) => return self.refused(&rungs, &Refusal::Linked(link)),
                    Err(e) => (format!("{e:#}"), false),
                },
            };
            if signal::interrupted() {
                return self.failed(&rungs, Outcome::Cancelled, "a signal came first; everything is as before");
            }
            self.force.log.warning(&format!("{}: {}: {why}", self.patient.matter.subject, verb(&rungs)));
            let why = match poison.take() {
                None if damaged => {
                    poison = Some(why);
                    continue;
                }
                None => why,
                Some(first) => format!("{first}; and without the installer's cache: {why}"),
            };
            self.tried.extend(rungs.iter().map(|rung| Reason { rung: *rung, why_not: why.clone() }));
            match self.case.above(&rungs) {
                Some(above) => rungs = above,
                None => return self.failed(&rungs, Outcome::Failed, &why),
            }
            self.case.climb();
        }
    }

    fn attempt(&mut self, rungs: &Rungs, fresh: bool) -> anyhow::Result<Attempt> {
        let attempt = self.attempt_once(rungs, fresh);
        let has_failed = match &attempt {
            Ok(attempt) => matches!(attempt, Attempt::Not { .. }),
            Err(e) => !e.is::<Stuck>(),
        };
        if has_failed && !signal::interrupted() && self.means.presumed_wrongly() {
            return self.attempt_once(rungs, fresh);
        }
        attempt
    }

    fn attempt_once(&mut self, rungs: &Rungs, fresh: bool) -> anyhow::Result<Attempt> {
        if is_patch(rungs) {
            return self.patch(rungs);
        }
        self.means.traces()?;
        if let Some(refusal) = self.means.refusal(rungs, &self.case.targets)? {
            return Ok(Attempt::Refused(refusal));
        }
        self.swap(rungs, fresh)
    }

    /// Replaces single files; puts the originals back unless that is seen to have helped.
    fn patch(&mut self, rungs: &Rungs) -> anyhow::Result<Attempt> {
        let state = &self.force.state;
        let mut patch = Patch::begin(&self.journal.id, &self.patient.root, &verb(rungs));
        self.journal.step(state, Step::Patching)?;
        let attempt = self.patched(&mut patch, rungs);
        if !matches!(attempt, Ok(Attempt::Kept(_))) {
            patch.take_back(state).map_err(|e| e.context(Stuck))?;
        }
        attempt
    }

    fn patched(&self, patch: &mut Patch, rungs: &Rungs) -> anyhow::Result<Attempt> {
        let (words, detail) = self.means.described(rungs, &self.case.targets)?;
        let mut changes = 0;
        for rung in rungs {
            let edits = self.means.edits(*rung, &self.case.targets)?;
            changes += edits.len();
            patch.apply(&self.force.state, &edits)?;
        }
        if changes == 0 {
            return self.means.nothing(&self.case.targets).map(Attempt::Refused);
        }
        // What the disk takes for the changes and what an interpreter takes to start need not be waited for one after the other.
        let (synced, after) = thread::scope(|scope| {
            let synced = scope.spawn(|| patch.sync(&self.force.state));
            let after = patient::judge(&self.patient.root, self.patient.probe.level == Level::Deep);
            (synced.join().unwrap_or_else(|panic| panic::resume_unwind(panic)), after)
        });
        let after = synced.and(after)?;
        Ok(match self.judge(rungs, &self.patient.probe, &after) {
            Verdict::Not(why) => Attempt::Not { why, damaged: false },
            Verdict::Mended => {
                let undo = Subject::from(self.journal.id.as_str());
                Attempt::Kept(Box::new(Kept { undo, after, text: words.past, detail, missing: Vec::new() }))
            }
        })
    }

    /// Makes a whole tree aside, exchanges it, and exchanges it back unless that is seen to have helped.
    fn swap(&mut self, rungs: &Rungs, fresh: bool) -> anyhow::Result<Attempt> {
        let state = &self.force.state;
        let root = &self.patient.root;
        let aside = swap::aside(root, &self.journal.id);
        self.journal.step(state, Step::Building { aside: Subject::from(&aside) })?;
        let (mut words, mut detail) = self.means.described(rungs, &self.case.targets)?;
        let before = self.before(rungs)?;
        let filled = match tree::fill(&self.means, self.force, &self.case, rungs, fresh, &aside) {
            Ok(filled) if !signal::interrupted() => filled,
            unfit => {
                swap::remove(&aside).map_err(|e| e.context(Stuck))?;
                unfit?;
                anyhow::bail!("interrupted");
            }
        };
        let Filled { missing, stuck, said, detail: more } = filled;
        let even_in_use = self.session.options.even_in_use;
        let is_stuck = !stuck.is_empty() && !self.session.options.leave_behind;
        if let Some(refusal) = if is_stuck { Some(Refusal::Stuck(stuck)) } else { refuse::disturbing(&[root], even_in_use) } {
            swap::remove(&aside).map_err(|e| e.context(Stuck))?;
            return Ok(Attempt::Refused(refusal));
        }
        for said in said {
            words.past(&said);
        }
        detail.extend(more);
        let (old, new) = (Tree::of(root)?, Tree::of(&aside)?);
        if let Err(e) = self.journal.step(state, Step::Swapping { aside: Subject::from(&aside), old, new }) {
            swap::remove(&aside).map_err(|e| e.context(Stuck))?;
            return Err(e);
        }
        let put_back = || {
            let beside = swap::put_back(root, &aside, old, new).and_then(|()| swap::displaced(&aside, new));
            beside.and_then(|beside| beside.map_or(Ok(()), |beside| swap::remove(&beside))).map_err(|e| e.context(Stuck))
        };
        match swap::exchange(root, &aside).and_then(|()| self.verified(rungs, &before, &missing, &aside)) {
            Ok(Ok(after)) => {
                self.journal.step(state, Step::Keeping { aside: Subject::from(&aside), old, new }).map_err(|e| e.context(Stuck))?;
                let kept = backup::keep(root, &aside, &self.journal.id).map_err(|e| e.context(Stuck))?;
                if let Some(advice) = swap::advice_within(&kept) {
                    words.past(advice);
                }
                let undo = Subject::from(&kept);
                Ok(Attempt::Kept(Box::new(Kept { undo, after, text: words.past, detail, missing })))
            }
            Ok(Err(not)) => put_back().map(|()| not),
            Err(e) => put_back().and(Err(e)),
        }
    }

    /// What was wrong before. All of it must be known of an environment that works, since a new one brings all anew.
    fn before(&self, rungs: &Rungs) -> anyhow::Result<Probe> {
        let probe = &self.patient.probe;
        let is_known = probe.level == Level::Deep || probe.status == Status::Broken || !rungs.contains(&Repair::Rebuild);
        if is_known { Ok(probe.clone()) } else { patient::judge(&self.patient.root, true) }
    }

    /// The verdict on the new tree; else why it is not kept. `old` is where the old one stands.
    fn verified(&self, rungs: &Rungs, before: &Probe, missing: &[(String, String)], old: &Path) -> anyhow::Result<Result<Probe, Attempt>> {
        let deep = before.level == Level::Deep || rungs.contains(&Repair::Packages) || rungs.contains(&Repair::Rebuild);
        let (traces, root, even_in_use) = (self.means.traces()?, &self.patient.root, self.session.options.even_in_use);
        // Somebody may have come between the last look and the exchange. Whoever started it by its name is seen by that.
        if let Some(refusal) = refuse::disturbing(&[root, old], even_in_use) {
            return Ok(Err(Attempt::Refused(refusal)));
        }
        let (changed, after) = thread::scope(|scope| {
            let changed = scope.spawn(|| traces.changed(old));
            let after = patient::judge(root, deep);
            (changed.join().unwrap_or_else(|panic| panic::resume_unwind(panic)), after)
        });
        let changed = changed?;
        if !changed.is_empty() && !even_in_use {
            return Ok(Err(Attempt::Refused(Refusal::Changed(changed))));
        }
        let after = after?;
        let damaged = after.faults.iter().any(|fault| fault.repair == Some(Repair::Packages));
        // Less than all of it is better than what was there only where nothing of that worked.
        let works = after.status != Status::Unknown && !after.faults.iter().any(|fault| fault.severity == Some(Status::Broken));
        Ok(match self.judge(rungs, before, &after) {
            Verdict::Not(why) if missing.is_empty() => Err(Attempt::Not { why, damaged }),
            _ if !missing.is_empty() && (before.status != Status::Broken || !works) => {
                Err(Attempt::Not { why: without(missing), damaged: false })
            }
            _ => Ok(after),
        })
    }

    fn judge(&self, rungs: &Rungs, before: &Probe, after: &Probe) -> Verdict {
        if !self.means.is_borne_out(after) {
            return Verdict::Not("the interpreter is not what its files say".to_owned());
        }
        judge(&self.case, rungs, before, after)
    }

    fn kept(&self, rungs: &Rungs, kept: Kept) -> (Action, Option<Probe>, Standing) {
        let left: Vec<&String> = kept.after.faults.iter().map(|fault| &fault.code).collect();
        let mut detail = kept.detail;
        detail.extend(self.ladder(rungs));
        if !left.is_empty() {
            detail.insert("left".to_owned(), json!(left));
        }
        let whole = kept.missing.is_empty();
        let mut text = kept.text;
        if !whole {
            detail.insert(
                "missing".to_owned(),
                json!(kept.missing.iter().map(|(name, why)| json!({"name": name, "why": why})).collect::<Vec<_>>()),
            );
            text = format!("{text}, but {}", without(&kept.missing));
        }
        let action = Action {
            verb: verb(rungs),
            outcome: if whole { Outcome::Done } else { Outcome::Failed },
            changed: true,
            verified: whole,
            text,
            undo: Some(kept.undo),
            partial: !whole,
            detail: Some(Value::Object(detail)),
            ..Action::default()
        };
        let standing = if whole && kept.after.status == Status::Healthy { Standing::Well } else { Standing::Ill };
        (action, whole.then_some(kept.after), standing)
    }

    fn refused(&self, rungs: &Rungs, refusal: &Refusal) -> (Action, Option<Probe>, Standing) {
        let (mut action, after, standing) = self.failed(rungs, Outcome::Skipped, &refusal.text());
        if let (Some(Value::Object(detail)), Some((key, value))) = (&mut action.detail, refusal.detail()) {
            detail.insert(key, value);
        }
        (action, after, standing)
    }

    fn failed(&self, rungs: &Rungs, outcome: Outcome, why: &str) -> (Action, Option<Probe>, Standing) {
        let detail = Some(Value::Object(self.ladder(rungs)));
        (Action { verb: verb(rungs), outcome, text: why.to_owned(), detail, ..Action::default() }, None, Standing::Ill)
    }

    fn ladder(&self, rungs: &Rungs) -> Map<String, Value> {
        ladder_detail(&self.case, rungs, &self.tried, self.session.options.full)
    }

    fn log_outcome(&self, action: &Action) {
        let line = format!("{}: {}: {}", self.patient.matter.subject, action.verb, action.text);
        match action.outcome {
            Outcome::Done => self.force.log.info(&line),
            Outcome::Skipped | Outcome::Cancelled => self.force.log.warning(&line),
            _ => self.force.log.error(&line),
        }
    }
}

fn without(missing: &[(String, String)]) -> String {
    let names = crate::refuse::list(missing.iter().map(|(name, _)| name.clone()));
    let why = missing.first().map_or("", |(_, why)| why);
    format!("{names} could not be installed: {why}")
}
