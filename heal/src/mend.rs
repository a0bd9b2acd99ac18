//! One thing that is to be mended: does the evidence still hold, and what would be done about it; how that is done stands in `change`.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::Utc;
use contract::action::{Action, KIND, Outcome};
use contract::audit::Audit;
use contract::lock::{self, Lock};
use contract::output::{Closed, Output};
use contract::path::{Subject, absolute, plain, shown};
use contract::record::About;
use contract::run::Exit;
use contract::state;
use serde_json::{Map, Value, json};

use crate::arguments::{Mend, Name};
use crate::asked::Asked;
use crate::bounds::Bounds;
use crate::history::{History, Key, Tally, word};
use crate::journal::{self, Journal};
use crate::remedies::{self, Change, Plan, sibling};
use crate::snapshot::Store;

const SPENT: &str = "--max-actions is reached";

/// What a run mends with, and how it went.
pub(crate) struct Mender {
    pub(crate) options: Mend,
    pub(crate) bounds: Bounds,
    /// How often each remedy helped before.
    history: BTreeMap<Key, Tally>,
    pub(crate) state: PathBuf,
    pub(crate) tools: Option<Tools>,
    pub(crate) acted: usize,
    pub(crate) failed: bool,
    /// Outcomes go to stderr in words, since stdout belongs to somebody else.
    speaks: bool,
}

/// What only a run has that acts.
pub(crate) struct Tools {
    pub(crate) audit: Audit,
    pub(crate) store: Store,
    log: Option<File>,
    _only_one: Lock,
}

impl Mender {
    /// Opens what a run needs; one that acts ends first what another began.
    ///
    /// # Errors
    /// Another run holds the lock, or state cannot be opened.
    pub(crate) fn open(out: &mut Output, options: Mend, state: &state::Options) -> anyhow::Result<Self> {
        let bounds = Bounds::of(&options.root, options.tracked)?;
        let folder = if options.force { state.open()? } else { state.folder()? };
        let tools = if options.force { Some(Tools::open(&options, &folder)?) } else { None };
        let history = History::read(&folder)?.tallies(Utc::now());
        let mut mender = Self { options, bounds, history, state: folder, tools, acted: 0, failed: false, speaks: false };
        if mender.tools.is_some() {
            out.outlive_its_reader();
            mender.recover(out)?;
        } else if Journal::read(&mender.state)?.is_some() {
            out.hint("a repair was interrupted; the next run with --force ends it");
        }
        Ok(mender)
    }

    /// From here on outcomes are told in words on stderr.
    pub(crate) fn speak(&mut self) {
        self.speaks = true;
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
        let asked = &remedies::routed(asked, &self.bounds, &self.options);
        let Some(name) = asked.name().filter(|name| self.is_wanted(*name)) else { return Ok(()) };
        let is_spent = self.options.max_actions.is_some_and(|most| self.acted >= most);
        if let Some(command) = sibling::command(name) {
            return if is_spent { self.decline(out, asked, SPENT, Value::Null) } else { self.sibling(out, command, asked) };
        }
        match remedies::plan(name, asked, &self.bounds, &self.options, &self.state) {
            Ok(Plan::Passes) => self.skip(out, asked, "the check passes: there is nothing to mend", Value::Null),
            Err(e) => self.decline(out, asked, &format!("{e:#}"), Value::Null),
            Ok(Plan::Declined(declined)) => self.decline(out, asked, &declined.why, declined.detail),
            Ok(Plan::Change(_)) if is_spent => self.decline(out, asked, SPENT, Value::Null),
            Ok(Plan::Change(change)) if self.tools.is_none() => {
                self.failed |= self.options.check;
                let action = self.action(asked, Outcome::Planned, &change.words, &change);
                self.tell(out, asked, &Subject::from(&*change.target), &action)
            }
            Ok(Plan::Change(change)) => self.change(out, name, asked, &change),
        }
    }

    fn sibling(&mut self, out: &mut Output, command: (&str, &[&str]), asked: &Asked) -> anyhow::Result<()> {
        if let Some(outside) = asked.paths.iter().find(|path| !self.bounds.really_holds(path)) {
            let why = format!("{} is not below {}; --root names another folder", shown(outside), shown(self.bounds.root()));
            return self.decline(out, asked, &why, Value::Null);
        }
        let passed = match sibling::pass(out, command, &asked.raw, &self.state, self.options.force) {
            Err(e) if !e.is::<Closed>() => return self.decline(out, asked, &format!("{e:#}"), Value::Null),
            passed => passed?,
        };
        for (record, action) in &passed.actions {
            self.say(out, record.subject.as_ref().unwrap_or(&Subject::from("-")), action);
        }
        if passed.actions.is_empty() {
            self.skip(out, asked, &format!("{} found nothing in it to mend", command.0), Value::Null)?;
        }
        self.acted += usize::from(passed.changed);
        self.failed |= passed.failed && self.options.force;
        Ok(())
    }

    fn is_wanted(&self, name: Name) -> bool {
        (self.options.only.is_empty() || self.options.only.contains(&name)) && !self.options.except.contains(&name)
    }

    /// What stays broken is what a run that acts answers for.
    fn decline(&mut self, out: &mut Output, asked: &Asked, why: &str, detail: Value) -> anyhow::Result<()> {
        self.failed |= self.options.force || self.options.check;
        self.skip(out, asked, why, detail)
    }

    fn skip(&mut self, out: &mut Output, asked: &Asked, why: &str, detail: Value) -> anyhow::Result<()> {
        let subject = asked.target().map(|path| Subject::from(&*self.bounds.based(&path)));
        let subject = subject.or_else(|| asked.subject.clone()).unwrap_or_else(|| Subject::from("-"));
        let detail = Some(detail).filter(|detail| !detail.is_null());
        let action = Action { verb: asked.remedy.clone(), outcome: Outcome::Skipped, text: why.to_owned(), detail, ..Action::default() };
        let rendered = out.render(KIND, About { subject: Some(&subject), cause: &asked.cause }, &action)?;
        if let Some(log) = self.tools.as_mut().and_then(|tools| tools.log.as_mut()) {
            log.write_all(&rendered.line).context("cannot write to the log")?;
        }
        self.say(out, &subject, &action);
        out.write(&rendered)
    }

    fn say(&self, out: &Output, subject: &Subject, action: &Action) {
        if self.speaks {
            out.hint(&format!("{} {subject}: {}: {}", action.verb, word(action.outcome), plain(&action.text)));
        }
    }

    pub(crate) fn action(&self, asked: &Asked, outcome: Outcome, words: &str, change: &Change) -> Action {
        let mut detail = match &change.detail {
            Value::Object(detail) => detail.clone(),
            _ => Map::new(),
        };
        let kind = kind(&change.target);
        if let Some(code) = &asked.code {
            detail.insert("code".to_owned(), code.as_str().into());
        }
        detail.insert("kind".to_owned(), kind.as_str().into());
        // What `undo` goes by; a plan needs none of it, and a hash takes as long as the plan.
        let steps = if outcome == Outcome::Planned { &[] } else { &change.steps[..] };
        let (writes, modes) = (journal::writes(steps), journal::modes(steps));
        if !writes.is_empty() {
            detail.insert("writes".to_owned(), json!(writes));
        }
        if !modes.is_empty() {
            detail.insert("modes".to_owned(), json!(modes));
        }
        if let Some(tally) = self.history.get(&(asked.remedy.clone(), asked.code.clone(), kind)) {
            detail.insert("history".to_owned(), json!({ "tried": tally.tried, "helped": tally.helped, "at_least": tally.at_least() }));
        }
        Action { verb: asked.remedy.clone(), outcome, text: words.to_owned(), detail: Some(detail.into()), ..Action::default() }
    }

    /// Tells of an outcome: first on the disk, if anything was done.
    pub(crate) fn tell(&mut self, out: &mut Output, asked: &Asked, subject: &Subject, action: &Action) -> anyhow::Result<()> {
        let rendered = out.render(KIND, About { subject: Some(subject), cause: &asked.cause }, action)?;
        let audited = self.tools.as_mut().map_or(Ok(()), |tools| tools.keep(&rendered.line));
        self.say(out, subject, action);
        out.write(&rendered)?;
        audited
    }
}

impl Tools {
    fn open(options: &Mend, state: &Path) -> anyhow::Result<Self> {
        let only_one = only_one(state)?;
        let folder = options.places.backup_dir.as_deref().map(absolute).transpose()?;
        let log = options.places.logs_dir.as_deref().map(log_in).transpose()?;
        Ok(Self { audit: Audit::open(state)?, store: Store { state: state.to_owned(), folder }, log, _only_one: only_one })
    }

    fn keep(&mut self, line: &[u8]) -> anyhow::Result<()> {
        self.audit.append(line)?;
        self.log.as_mut().map_or(Ok(()), |log| log.write_all(line)).context("cannot write to the log")
    }
}

/// The lock that runs have which act; `undo` is one of them.
///
/// # Errors
/// Another run has it.
pub(crate) fn only_one(state: &Path) -> anyhow::Result<Lock> {
    let locks = state.join("locks");
    state::private_folder(&locks)?;
    lock::take(&locks.join("heal.lock"))
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
