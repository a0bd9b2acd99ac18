//! One thing that is to be mended: does the evidence still hold, what would be done, keep what there is, do it, run the failing check again, and
//! put back what did not help.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use chrono::Utc;
use contract::action::{Action, KIND, Outcome};
use contract::audit::Audit;
use contract::lock::{self, Lock};
use contract::output::Output;
use contract::path::{Subject, absolute, shown};
use contract::record::About;
use contract::run::Exit;
use contract::signal::{self, Hold};
use contract::state;
use serde_json::{Map, Value, json};

use crate::arguments::{Mend, Name};
use crate::asked::Asked;
use crate::bounds::Bounds;
use crate::history::History;
use crate::journal::{self, Journal};
use crate::remedies::{self, Change, Plan, sibling};
use crate::snapshot::Store;

/// What a run mends with, and how it went.
pub(crate) struct Mender {
    options: Mend,
    bounds: Bounds,
    history: History,
    state: PathBuf,
    tools: Option<Tools>,
    acted: usize,
    failed: bool,
}

/// What only a run has that acts.
struct Tools {
    audit: Audit,
    store: Store,
    log: Option<File>,
    _only_one: Lock,
}

impl Mender {
    /// Opens what a run needs; one that acts ends first what another began.
    ///
    /// # Errors
    /// Another run holds the lock, or state cannot be opened.
    pub(crate) fn open(out: &mut Output, options: Mend, state: &state::Options) -> anyhow::Result<Self> {
        let bounds = Bounds::of(options.root.as_deref(), options.tracked)?;
        let folder = if options.force { state.open()? } else { state.folder()? };
        let tools = if options.force { Some(Tools::open(&options, &folder)?) } else { None };
        let history = History::read(&folder)?;
        let mut mender = Self { options, bounds, history, state: folder, tools, acted: 0, failed: false };
        if mender.tools.is_some() {
            out.outlive_its_reader();
            mender.recover(out)?;
        } else if Journal::read(&mender.state)?.is_some() {
            out.hint("a repair was interrupted; the next run with --force ends it");
        }
        Ok(mender)
    }

    pub(crate) fn exit(&self) -> Exit {
        if self.failed { Exit::Bad } else { Exit::Done }
    }

    /// How many changes were made that stand.
    pub(crate) fn acted(&self) -> usize {
        self.acted
    }

    /// Mends one thing, or says what that would be, or why not.
    ///
    /// # Errors
    /// Nothing can be written.
    pub(crate) fn attend(&mut self, out: &mut Output, asked: &Asked) -> anyhow::Result<()> {
        let Some(name) = asked.name().filter(|name| self.is_wanted(*name)) else { return Ok(()) };
        if self.options.max_actions.is_some_and(|most| self.acted >= most) {
            return self.skip(out, asked, "--max-actions is reached", Value::Null);
        }
        if let Some(command) = sibling::command(name) {
            if asked.paths.is_empty() {
                return self.skip(out, asked, "which one it is about is not told; name its path to the tool itself", Value::Null);
            }
            let passed = sibling::pass(out, command, asked, &self.state, self.options.force)?;
            self.acted += usize::from(passed.changed);
            self.failed |= passed.failed && self.options.force;
            return Ok(());
        }
        match remedies::plan(name, asked, &self.bounds, &self.options) {
            Err(e) => self.skip(out, asked, &format!("{e:#}"), Value::Null),
            Ok(Plan::Passes) => self.skip(out, asked, "the check passes: there is nothing to mend", Value::Null),
            Ok(Plan::Declined(declined)) => self.skip(out, asked, &declined.why, declined.detail),
            Ok(Plan::Change(change)) if self.tools.is_none() => {
                let action = self.action(asked, Outcome::Planned, &change.words, &change);
                self.tell(out, asked, &Subject::from(&*change.target), &action)
            }
            Ok(Plan::Change(change)) => self.change(out, name, asked, &change),
        }
    }

    fn is_wanted(&self, name: Name) -> bool {
        (self.options.only.is_empty() || self.options.only.contains(&name)) && !self.options.except.contains(&name)
    }

    fn change(&mut self, out: &mut Output, name: Name, asked: &Asked, change: &Change) -> anyhow::Result<()> {
        let (start, subject) = (Instant::now(), Subject::from(&*change.target));
        let hold = signal::hold()?;
        let started = self.action(asked, Outcome::Started, &change.words, change);
        let ended = self.changed(out, &hold, name, asked, change, &started)?;
        self.failed |= ended.outcome != Outcome::Done;
        self.acted += usize::from(ended.outcome == Outcome::Done);
        self.tell(out, asked, &subject, &Action { took_ms: u64::try_from(start.elapsed().as_millis()).ok(), ..ended })?;
        drop(hold);
        Ok(())
    }

    /// Keeps, changes, checks, and takes back.
    fn changed(
        &mut self,
        out: &mut Output,
        hold: &Hold,
        name: Name,
        asked: &Asked,
        change: &Change,
        started: &Action,
    ) -> anyhow::Result<Action> {
        let failed = |text: String| Action { outcome: Outcome::Failed, text, ..started.clone() };
        let subject = Subject::from(&*change.target);
        let Some(tools) = &mut self.tools else { anyhow::bail!("a dry run changes nothing") };
        let touched: Vec<PathBuf> = change.steps.iter().map(remedies::Step::touches).collect();
        let snapshot = match tools.store.keep(&touched) {
            Ok(snapshot) => snapshot,
            Err(e) => return Ok(failed(format!("nothing was changed, since it could not be put back: {e:#}"))),
        };
        let writes = journal::writes(&change.steps);
        let journal = Journal::new(asked, subject.clone(), snapshot.clone(), tools.store.folder.as_deref(), self.bounds.root(), writes);
        journal.begin(&self.state)?;
        tools.audit.append(&out.render(KIND, About { subject: Some(&subject), cause: &asked.cause }, started)?.line)?;
        let applied = change.steps.iter().try_for_each(remedies::Step::apply);
        let proof = applied.and_then(|()| self.proof(name, asked));
        let ended = match proof {
            Ok(()) => Action { outcome: Outcome::Done, changed: true, verified: true, undo: Some(snapshot), ..started.clone() },
            Err(why) => hold.regardless(|| self.taken_back(&journal, &format!("{why:#}"), started)),
        };
        // Where it is not back, the next run tries again.
        if !(ended.outcome == Outcome::Failed && ended.changed) {
            journal::end(&self.state)?;
        }
        Ok(ended)
    }

    /// Runs the check again that had failed.
    fn proof(&self, name: Name, asked: &Asked) -> anyhow::Result<()> {
        match remedies::plan(name, asked, &self.bounds, &self.options)? {
            Plan::Passes => Ok(()),
            Plan::Declined(declined) => anyhow::bail!("the check still fails: {}", declined.why),
            Plan::Change(_) => anyhow::bail!("the check still fails"),
        }
    }

    fn taken_back(&self, journal: &Journal, why: &str, started: &Action) -> Action {
        let undo = Some(journal.snapshot.clone());
        let folder = journal.store.as_ref().map(|folder| folder.as_path().to_owned());
        let store = Store { state: self.state.clone(), folder };
        match store.put_back(&journal.snapshot) {
            Ok(()) if signal::interrupted() => {
                Action { outcome: Outcome::Cancelled, verified: true, text: "interrupted; all is as it was".to_owned(), ..started.clone() }
            }
            Ok(()) => Action { outcome: Outcome::Undone, verified: true, text: format!("{why}; all is as it was"), ..started.clone() },
            Err(e) => Action { outcome: Outcome::Failed, changed: true, undo, text: format!("{why}; and {e:#}"), ..started.clone() },
        }
    }

    /// Ends what a run began that did not come to its end: it stands if its check passes, else everything goes back.
    fn recover(&mut self, out: &mut Output) -> anyhow::Result<()> {
        let Some(journal) = Journal::read(&self.state)? else { return Ok(()) };
        let hold = signal::hold()?;
        let asked = &journal.asked;
        let started =
            Action { verb: asked.remedy.clone(), detail: Some(json!({ "code": asked.code, "recovered": true })), ..Action::default() };
        let there = Bounds::of(Some(journal.root.as_path()), true);
        let plan = |name| there.and_then(|bounds| remedies::plan(name, asked, &bounds, &self.options));
        // What an installer has half written can be imported, too.
        let is_one_write = asked.name() != Some(Name::InstallModule);
        let stands = is_one_write && matches!(asked.name().map(plan), Some(Ok(Plan::Passes)));
        let text = "an interrupted run had begun it";
        let ended = if !journal.is_ours_alone() {
            let text = format!("{text}, and it was written to since; snapshot {} has what was before", journal.snapshot);
            Action { outcome: Outcome::Failed, undo: Some(journal.snapshot.clone()), text, ..started }
        } else if stands {
            let undo = Some(journal.snapshot.clone());
            Action { outcome: Outcome::Done, changed: true, verified: true, undo, text: text.to_owned(), ..started }
        } else {
            self.taken_back(&journal, text, &started)
        };
        let is_over = !(ended.outcome == Outcome::Failed && ended.changed);
        self.failed |= ended.outcome == Outcome::Failed;
        self.tell(out, asked, &journal.target.clone(), &ended)?;
        if is_over {
            journal::end(&self.state)?;
        }
        drop(hold);
        Ok(())
    }

    fn skip(&mut self, out: &mut Output, asked: &Asked, why: &str, detail: Value) -> anyhow::Result<()> {
        let subject = asked.path("file").or(asked.path("path")).map(|path| self.bounds.based(&path));
        let subject = subject.map(|path| Subject::from(&*path)).or_else(|| asked.subject.clone()).unwrap_or_else(|| Subject::from("-"));
        let detail = Some(detail).filter(|detail| !detail.is_null());
        let action = Action { verb: asked.remedy.clone(), outcome: Outcome::Skipped, text: why.to_owned(), detail, ..Action::default() };
        let rendered = out.render(KIND, About { subject: Some(&subject), cause: &asked.cause }, &action)?;
        if let Some(log) = self.tools.as_mut().and_then(|tools| tools.log.as_mut()) {
            log.write_all(&rendered.line).context("cannot write to the log")?;
        }
        out.write(&rendered)
    }

    fn action(&self, asked: &Asked, outcome: Outcome, words: &str, change: &Change) -> Action {
        let mut detail = match &change.detail {
            Value::Object(detail) => detail.clone(),
            _ => Map::new(),
        };
        let kind = kind(&change.target);
        if let Some(code) = &asked.code {
            detail.insert("code".to_owned(), code.as_str().into());
        }
        detail.insert("kind".to_owned(), kind.as_str().into());
        let writes = journal::writes(&change.steps);
        if !writes.is_empty() {
            detail.insert("writes".to_owned(), json!(writes));
        }
        if let Some(tally) = self.history.tally(&asked.remedy, asked.code.as_deref(), &kind) {
            detail.insert("history".to_owned(), json!({ "tried": tally.tried, "helped": tally.helped, "at_least": tally.at_least() }));
        }
        Action { verb: asked.remedy.clone(), outcome, text: words.to_owned(), detail: Some(detail.into()), ..Action::default() }
    }

    /// Tells of an outcome: first on the disk, if anything was done.
    fn tell(&mut self, out: &mut Output, asked: &Asked, subject: &Subject, action: &Action) -> anyhow::Result<()> {
        let rendered = out.render(KIND, About { subject: Some(subject), cause: &asked.cause }, action)?;
        let audited = self.tools.as_mut().map_or(Ok(()), |tools| tools.keep(&rendered.line));
        out.write(&rendered)?;
        audited
    }
}

impl Tools {
    fn open(options: &Mend, state: &Path) -> anyhow::Result<Self> {
        let only_one = lock::take(&state.join("heal.lock"))?;
        let folder = options.places.backup_dir.as_deref().map(absolute).transpose()?;
        let log = options.places.logs_dir.as_deref().map(log_in).transpose()?;
        Ok(Self { audit: Audit::open(state)?, store: Store { state: state.to_owned(), folder }, log, _only_one: only_one })
    }

    fn keep(&mut self, line: &[u8]) -> anyhow::Result<()> {
        self.audit.append(line)?;
        self.log.as_mut().map_or(Ok(()), |log| log.write_all(line)).context("cannot write to the log")
    }
}

/// A file of its own for the records of this run.
fn log_in(folder: &Path) -> anyhow::Result<File> {
    state::private_folder(folder)?;
    let name = format!("heal_{}_{}.jsonl", Utc::now().format("%Y%m%d_%H%M%S"), std::process::id());
    let path = folder.join(name);
    let mut options = OpenOptions::new();
    options.create_new(true).append(true).mode(0o600);
    options.open(&path).with_context(|| format!("cannot make the log {}", shown(&path)))
}

/// What it is that is mended, as far as it matters for whether a remedy helps.
fn kind(target: &Path) -> String {
    let extension = target.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    extension.unwrap_or_else(|| if target.is_dir() { "folder" } else { "file" }.to_owned())
}
