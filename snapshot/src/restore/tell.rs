//! The records of a restore: one for each path, and one for all of it.

use std::path::{Path, PathBuf};

use contract::action::{Action, KIND, Outcome};
use contract::output::Output;
use contract::path::{Subject, absolute};
use contract::record::About;
use serde_json::{Map, Value, json};

use crate::capture::mtime;
use crate::restore::plan::{Change, Plan, Step};
use crate::restore::traits::{Power, Traits};
use crate::restore::{Options, VERB, reload, spared};
use crate::store::Store;
use crate::store::contents::Contents;
use crate::store::manifest::Kind;
use crate::text_diff;

/// What each change is called.
const CHANGES: [(&str, Change); 6] = [
    ("create", Change::Create),
    ("overwrite", Change::Overwrite),
    ("retype", Change::Retype),
    ("traits", Change::Traits),
    ("delete", Change::Delete),
    ("unchanged", Change::Unchanged),
];

/// Up to so many paths are named in the record of the whole.
const SOME: usize = 10;
/// What is said of a file that never held still while it was kept.
const TORN: &str = "it changed while it was kept, so that this may be of no one moment";

/// Writes the records, and keeps them for the hooks.
pub(crate) struct Teller<'a> {
    pub(crate) out: &'a mut Output,
    pub(crate) store: &'a Store,
    pub(crate) plan: &'a Plan<'a>,
    pub(crate) options: &'a Options,
    pub(crate) told: Vec<u8>,
}

/// How it went.
#[derive(Default)]
pub(crate) struct Ending {
    pub(crate) outcome: Outcome,
    pub(crate) why: Option<String>,
    /// The snapshot of what was replaced.
    pub(crate) safety: Option<String>,
    pub(crate) took_ms: Option<u64>,
    /// Where what was written meanwhile to what was replaced is.
    pub(crate) spared: Vec<PathBuf>,
}

impl Teller<'_> {
    /// Tells of each path.
    pub(crate) fn steps(&mut self, outcome: Outcome) -> anyhow::Result<()> {
        // Afterwards there is nothing left to compare with.
        let contents = if self.options.text && outcome == Outcome::Planned { Some(self.store.contents()?) } else { None };
        let plan = self.plan;
        for step in &plan.steps {
            if step.change == Change::Unchanged && !self.options.unchanged {
                continue;
            }
            let done = outcome == Outcome::Done && step.change != Change::Unchanged;
            let mut detail = detail(step, contents.as_ref());
            detail.extend(traits(step, Power::ours(self.options.keep_setuid)).map(|traits| ("traits".to_owned(), traits)));
            let detail = Some(Value::Object(detail));
            let text = if is_torn(step) { TORN.to_owned() } else { String::new() };
            let action = Action { verb: VERB.to_owned(), outcome, changed: done, verified: done, text, detail, ..Action::default() };
            self.put(&Subject::from(&step.path), &action)?;
        }
        for (path, why) in &plan.left {
            let action = Action { verb: VERB.to_owned(), outcome: Outcome::Skipped, text: (*why).to_owned(), ..Action::default() };
            self.put(&Subject::from(path), &action)?;
        }
        Ok(())
    }

    pub(crate) fn put(&mut self, subject: &Subject, action: &Action) -> anyhow::Result<()> {
        let rendered = self.out.render(KIND, About { subject: Some(subject), ..About::default() }, action)?;
        self.told.extend_from_slice(&rendered.line);
        self.out.write(&rendered)
    }

    /// What becomes other than it was.
    pub(crate) fn changed(&self) -> impl Iterator<Item = &Path> {
        self.plan.changes().map(|step| step.path.as_path())
    }

    /// What was there when the snapshot was made, and is not in it.
    fn not_kept(&self) -> Vec<&Path> {
        let special = self.plan.special.iter();
        special.map(|entry| entry.path.as_path()).collect()
    }

    /// All of it in one.
    pub(crate) fn summary(&self, ending: &Ending) -> Action {
        let counts = CHANGES.map(|(name, change)| (name, self.plan.steps.iter().filter(|step| step.change == change).count()));
        let mut words: Vec<String> = counts.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{count} {name}")).collect();
        let torn = self.plan.steps.iter().filter(|step| is_torn(step)).count();
        words.extend((torn > 0).then(|| format!("{torn} that changed while kept")));
        let not_kept = self.not_kept();
        words.extend((!not_kept.is_empty()).then(|| format!("{} that could not be kept then", not_kept.len())));
        let spared = spared::words(&ending.spared);
        let words = if words.is_empty() { "there is nothing in it".to_owned() } else { words.join(", ") };
        let done = ending.outcome == Outcome::Done;
        let counts: Map<String, Value> = counts.into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect();
        let mut detail = Map::from_iter([("counts".to_owned(), Value::Object(counts))]);
        let asked = asked(self.options, self.store);
        if !asked.is_empty() {
            detail.insert("asked".to_owned(), Value::Object(asked));
        }
        detail.extend(spared::kept(&ending.spared));
        if !not_kept.is_empty() {
            let first: Vec<Subject> = not_kept.iter().take(SOME).map(|path| Subject::from(*path)).collect();
            detail.insert("not_kept".to_owned(), json!({ "count": not_kept.len(), "paths": first }));
        }
        let advice = reload::advice(self.changed());
        // Nobody reads what lies elsewhere.
        if !advice.is_empty() && ending.why.is_none() && self.options.to.is_none() {
            detail.insert("reload".to_owned(), json!(advice));
        }
        Action {
            verb: VERB.to_owned(),
            outcome: ending.outcome,
            changed: done && self.plan.changes().next().is_some(),
            verified: done,
            text: format!("{}{spared}", ending.why.clone().unwrap_or(words)),
            undo: ending.safety.as_deref().map(Subject::from),
            detail: Some(Value::Object(detail)),
            took_ms: ending.took_ms,
            ..Action::default()
        }
    }
}

/// Whether it brings a file that never held still.
fn is_torn(step: &Step<'_>) -> bool {
    !matches!(step.change, Change::Traits | Change::Unchanged | Change::Delete) && step.entry.is_some_and(|entry| entry.changed_while_read)
}

/// What the command line said besides the snapshot, so that the command with `--force` can be put together from the plan.
fn asked(options: &Options, store: &Store) -> Map<String, Value> {
    let subject = |path: &Path| json!(Subject::from(&absolute(path).unwrap_or_else(|_| path.to_owned())));
    let paths: Vec<Value> = options.paths.iter().map(|path| subject(path)).collect();
    let said = [
        ("exact", options.exact.then_some(json!(true))),
        ("keep_setuid", options.keep_setuid.then_some(json!(true))),
        ("paths", (!paths.is_empty()).then(|| json!(paths))),
        ("to", options.to.as_deref().map(subject)),
        ("run_hooks", options.hooks.as_deref().map(subject)),
    ];
    said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).chain(store.asked()).collect()
}

/// What of a path changes besides its content; a new content has another time anyway.
fn traits(step: &Step<'_>, power: Power) -> Option<Value> {
    let (entry, live) = step.entry.zip(step.before.as_ref()).filter(|_| matches!(step.change, Change::Traits | Change::Overwrite))?;
    let wanted = Traits::wanted(entry, power).ok()?;
    let time = |time: (i64, i64)| json!(mtime(time.0, time.1));
    let mode = |mode: u32| json!(format!("{mode:04o}"));
    let pairs = [
        ("mode", mode(live.mode), mode(wanted.mode)),
        ("uid", json!(live.uid), json!(wanted.uid)),
        ("gid", json!(live.gid), json!(wanted.gid)),
        ("mtime", time(live.mtime), time(wanted.mtime)),
    ];
    let with_time = step.change == Change::Traits;
    let differ = || pairs.iter().filter(|(name, before, after)| before != after && (with_time || *name != "mtime"));
    let before: Map<String, Value> = differ().map(|(name, before, _)| ((*name).to_owned(), before.clone())).collect();
    let after: Map<String, Value> = differ().map(|(name, _, after)| ((*name).to_owned(), after.clone())).collect();
    (with_time || !after.is_empty()).then(|| json!({ "before": before, "after": after }))
}

fn detail(step: &Step<'_>, contents: Option<&Contents>) -> Map<String, Value> {
    let mut detail = Map::from_iter([("change".to_owned(), json!(step.change))]);
    let before = step.before.as_ref().filter(|live| live.kind == Kind::File).map(|live| live.size);
    let after = step.entry.and_then(|entry| entry.size);
    let diff = contents.and_then(|contents| text_diff::live_to_entry(&step.path, before, step.entry, contents));
    detail.extend(before.map(|size| ("size_before".to_owned(), json!(size))));
    detail.extend(after.map(|size| ("size".to_owned(), json!(size))));
    if is_torn(step) {
        detail.insert("changed_while_read".to_owned(), json!(true));
    }
    detail.extend(diff.map(|diff| ("diff".to_owned(), json!(diff))));
    detail
}
