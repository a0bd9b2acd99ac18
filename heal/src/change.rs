//! One change: keep what there is, do it, run the check again that had failed, and put everything back where it did not help. What is in hand
//! stands in the journal, so that a run that is killed is ended by the next.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use contract::action::{Action, KIND, Outcome};
use contract::output::Output;
use contract::path::{Subject, shown};
use contract::record::{About, Status};
use contract::signal::{self, Hold};
use contract::{sibling, venv};
use serde_json::{Map, Value, json};

use crate::arguments::Name;
use crate::asked::Asked;
use crate::bounds::Bounds;
use crate::history::History;
use crate::journal::{self, Journal, Tree};
use crate::mend::Mender;
use crate::remedies::{self, Change, Plan, Step};
use crate::snapshot::Store;

impl Mender {
    /// Makes a change, proves it or takes it back, and tells.
    ///
    /// # Errors
    /// Nothing can be written.
    pub(crate) fn change(&mut self, out: &mut Output, name: Name, asked: &Asked, change: &Change) -> anyhow::Result<()> {
        let (start, subject) = (Instant::now(), Subject::from(&*change.target));
        let hold = signal::hold()?;
        let started = self.action(asked, Outcome::Started, &change.words, change);
        let ended = match self.prepared(out, asked, change, &started)? {
            Ok(journal) => with_trees(self.carried_out(&hold, name, change, &journal, &started), &journal),
            Err(why) => Action { outcome: Outcome::Failed, text: why, ..started },
        };
        self.failed |= ended.outcome != Outcome::Done;
        self.acted += usize::from(ended.outcome == Outcome::Done);
        let is_over = is_over(&ended);
        self.tell(out, asked, &subject, &Action { took_ms: u64::try_from(start.elapsed().as_millis()).ok(), ..ended })?;
        // Only now: a run that is killed before is ended by the next.
        if is_over { journal::end(&self.state) } else { Ok(()) }
    }

    /// Everything that has to be on the disk before the first change; or why there is none.
    fn prepared(&mut self, out: &mut Output, asked: &Asked, change: &Change, started: &Action) -> anyhow::Result<Result<Journal, String>> {
        let Some(tools) = &mut self.tools else { anyhow::bail!("a dry run changes nothing") };
        let touched: Vec<PathBuf> = change.steps.iter().flat_map(Step::touches).collect();
        let snapshot = if touched.is_empty() { None } else { Some(tools.store.keep(&touched)) }.transpose();
        let snapshot = match snapshot {
            Ok(snapshot) => snapshot,
            Err(e) => return Ok(Err(format!("nothing was changed, since it could not be put back: {e:#}"))),
        };
        let subject = Subject::from(&*change.target);
        let journal = Journal::new(
            change.check.as_deref().unwrap_or(asked),
            subject.clone(),
            snapshot,
            tools.store.folder.as_deref(),
            self.bounds.roots(),
            &change.steps,
            started.detail.clone(),
        );
        journal.begin(&self.state)?;
        tools.audit.append(&out.render(KIND, About { subject: Some(&subject), cause: &asked.cause }, started)?.line)?;
        Ok(Ok(journal))
    }

    fn carried_out(&self, hold: &Hold, name: Name, change: &Change, journal: &Journal, started: &Action) -> Action {
        let applied = change.steps.iter().try_fold(Vec::new(), |replaced, step| {
            // Nobody put a link in the way since the plan.
            for path in step.touches() {
                anyhow::ensure!(self.bounds.place(&path)? == path, "the way to {} changed meanwhile; try again", shown(&path));
            }
            Ok([replaced, step.apply(&self.state)?].concat())
        });
        let proved = applied.and_then(|replaced| self.proof(name, &journal.asked).map(|()| replaced));
        let proved = proved.and_then(|replaced| journal.is_as_left().then_some(replaced).context("the check passes"));
        match proved {
            Ok(replaced) => {
                let done = with_replaced(started.clone(), &replaced);
                Action { outcome: Outcome::Done, changed: true, verified: true, undo: journal.undo(), ..done }
            }
            Err(why) => {
                let (interrupted, why) = (signal::interrupted(), format!("{why:#}"));
                let back = hold.regardless(|| self.taken_back(journal, &why, started));
                let is_cancelled = interrupted && !back.changed;
                if is_cancelled { Action { outcome: Outcome::Cancelled, ..back } } else { back }
            }
        }
    }

    /// Runs the check again that had failed.
    fn proof(&self, name: Name, asked: &Asked) -> anyhow::Result<()> {
        match remedies::plan(name, asked, &self.bounds, &self.options, &self.state)? {
            Plan::Passes => Ok(()),
            Plan::Declined(declined) => anyhow::bail!("the check still fails: {}", declined.why),
            Plan::Change(_) => anyhow::bail!("the check still fails"),
        }
    }

    fn taken_back(&self, journal: &Journal, why: &str, started: &Action) -> Action {
        if journal.snapshot.is_none() && journal.modes.is_empty() {
            return Action { outcome: Outcome::Failed, text: why.to_owned(), ..started.clone() };
        }
        if !journal.is_ours_alone() {
            let kept = journal.undo().map_or_else(String::new, |undo| format!("; what was before is kept: {undo}"));
            let text = format!("{why}; and somebody wrote to it meanwhile, so that it stays{kept}");
            return Action { outcome: Outcome::Failed, undo: journal.undo(), text, ..started.clone() };
        }
        let folder = journal.store.as_ref().map(|folder| folder.as_path().to_owned());
        let store = Store { state: self.state.clone(), folder };
        let back = journal::set_back(&journal.modes).and_then(|()| journal.snapshot.as_ref().map_or(Ok(()), |id| store.put_back(id)));
        match back {
            Ok(()) => Action { outcome: Outcome::Undone, verified: true, text: format!("{why}; all is as it was"), ..started.clone() },
            Err(e) => {
                let (undo, text) = (journal.undo(), format!("{why}; and {e:#}"));
                Action { outcome: Outcome::Failed, changed: true, undo, text, ..started.clone() }
            }
        }
    }

    /// Ends what a run began that did not come to its end: it stands if its check passes, else everything goes back.
    ///
    /// # Errors
    /// The journal cannot be read, or nothing can be written.
    pub(crate) fn recover(&mut self, out: &mut Output) -> anyhow::Result<()> {
        let Some(journal) = Journal::read(&self.state)? else { return Ok(()) };
        let _in_hand = signal::hold()?;
        journal.tidy()?;
        if self.was_told(&journal)? {
            return journal::end(&self.state);
        }
        let ended = self.recovered(&journal);
        self.failed |= ended.outcome == Outcome::Failed;
        self.tell(out, &journal.asked, &journal.target, &ended)?;
        if is_over(&ended) { journal::end(&self.state) } else { Ok(()) }
    }

    /// Whether that run had proved the change and told of it, and only its journal is left.
    fn was_told(&self, journal: &Journal) -> anyhow::Result<bool> {
        let Some(snapshot) = &journal.snapshot else { return Ok(false) };
        Ok(History::read(&self.state)?.standing().any(|entry| entry.action.undo.as_ref() == Some(snapshot)))
    }

    fn recovered(&self, journal: &Journal) -> Action {
        let asked = &journal.asked;
        let began = "an interrupted run had begun it";
        let mut detail = match &journal.detail {
            Some(Value::Object(detail)) => detail.clone(),
            _ => Map::new(),
        };
        detail.insert("recovered".to_owned(), true.into());
        let started = Action { verb: asked.remedy.clone(), text: began.to_owned(), detail: Some(detail.into()), ..Action::default() };
        if !journal.is_ours_alone() {
            let kept = journal.snapshot.as_ref().map_or_else(String::new, |id| format!("; snapshot {id} has what was before"));
            let text = format!("{began}, and it was written to since{kept}");
            return Action { outcome: Outcome::Failed, undo: journal.undo(), text, ..started };
        }
        let plan = |name| {
            let roots: Vec<PathBuf> = journal.roots.iter().map(|root| root.as_path().to_owned()).collect();
            let bounds = Bounds::of(&roots, true)?;
            remedies::plan(name, asked, &bounds, &self.options, &self.state)
        };
        // What an installer has half written can be imported, too.
        let is_whole = asked.name() != Some(Name::InstallModule) || is_healthy(journal.target.as_path());
        if is_whole && matches!(asked.name().map(plan), Some(Ok(Plan::Passes))) {
            let done = Action { outcome: Outcome::Done, changed: true, verified: true, undo: journal.undo(), ..started };
            return with_trees(done, journal);
        }
        self.taken_back(journal, began, &started)
    }
}

/// What came in the place of what, since the plan could not tell.
fn with_replaced(mut ended: Action, replaced: &[String]) -> Action {
    if !replaced.is_empty() {
        ended.text = format!("{}; it replaced {}", ended.text, replaced.join(", "));
        if let Some(detail) = ended.detail.as_mut().and_then(Value::as_object_mut) {
            detail.insert("replaced".to_owned(), json!(replaced));
        }
    }
    ended
}

/// What a change that stands has made of whole folders, so that nobody else's work in them goes with an `undo`.
fn with_trees(mut ended: Action, journal: &Journal) -> Action {
    if ended.outcome == Outcome::Done && !journal.trees.is_empty() {
        let of = |folder: &Subject| Tree { folder: folder.clone(), after: journal::tree(folder.as_path()) };
        let trees: Vec<Tree> = journal.trees.iter().map(of).collect();
        if let Some(detail) = ended.detail.as_mut().and_then(Value::as_object_mut) {
            detail.insert("trees".to_owned(), json!(trees));
        }
    }
    ended
}

/// Whether every file of an environment is as its package says, whoever installed it.
fn is_healthy(venv: &Path) -> bool {
    let words = [OsString::from("--deep"), venv.into()];
    let answer = sibling::ask("venv-probe", &words, Duration::from_mins(10));
    let probes = answer.into_iter().filter(|answer| answer.whole).flat_map(|answer| answer.records);
    let mut verdicts = probes.filter(|record| record.is(venv::KIND)).map(|record| record.read::<venv::Probe>());
    verdicts.next().is_some_and(|probe| probe.is_ok_and(|probe| probe.status == Status::Healthy))
}

/// Whether nothing is left that another run would have to put back.
fn is_over(ended: &Action) -> bool {
    !(ended.outcome == Outcome::Failed && ended.changed)
}
