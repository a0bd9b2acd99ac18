//! What is kept of a stream: no more than will be drawn, so that a long one stays small.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use contract::action::{self, Action, Outcome};
use contract::input::Line;
use contract::path::Subject;
use contract::record::{End, Fault, Record, Status, VERSION};
use contract::venv::{self, Finding, Level, Probe};
use serde::Deserialize;

use crate::clip;
use crate::deployments::Deployments;
use crate::registries::Registries;
use crate::snapshots::{self, Kept};

/// What somebody changed by hand: `venv-rebuild` leaves it alone unless told to restore it.
const MODIFIED: &str = "package-modified";

/// A thing on a machine. The same path on another host is another thing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) host: Arc<str>,
    pub(crate) subject: Subject,
}

impl Place {
    fn new(host: Arc<str>, subject: Subject) -> Self {
        Self { host, subject: clip::subject(subject) }
    }

    /// The path, where a command line may name it.
    pub(crate) fn for_command(&self) -> Option<&Path> {
        for_command(&self.subject)
    }
}

/// A path, where a command line may name it: a relative path means another thing in another folder and may look like an option,
/// a shell drops what follows a NUL, and half a path is another path.
pub(crate) fn for_command(subject: &Subject) -> Option<&Path> {
    let path = subject.as_path();
    (path.is_absolute() && clip::is_whole(path) && !path.as_os_str().as_encoded_bytes().contains(&0)).then_some(path)
}

/// What `venv-rebuild` has for an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    Nothing,
    Repair,
    /// Only `--restore` does anything: all that it could mend was changed by hand.
    Restore,
}

/// The verdict on one environment.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) status: Status,
    pub(crate) python: Arc<str>,
    /// The worst fault, or why there is no verdict.
    pub(crate) worst: Box<str>,
    /// The code of the worst fault, where there is one.
    pub(crate) code: Option<Arc<str>>,
    pub(crate) faults: usize,
    pub(crate) remedy: Remedy,
    pub(crate) deep: bool,
}

/// How one action went.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) tool: Arc<str>,
    pub(crate) place: Option<Place>,
    pub(crate) action: Action,
    /// Of its record.
    pub(crate) id: String,
    /// Of an action of `snapshot`.
    pub(crate) detail: Option<snapshots::Detail>,
}

impl Step {
    /// The snapshot that it removes, where a table of its own tells of it.
    pub(crate) fn due(&self) -> Option<&snapshots::Due> {
        self.detail.as_ref()?.due.as_ref()
    }
}

/// One finding of any tool that explains.
#[derive(Debug)]
pub(crate) struct Diagnosis {
    pub(crate) place: Option<Place>,
    pub(crate) data: DiagnosisData,
}

/// The part of a `diagnosis` that is drawn.
#[derive(Debug, Deserialize)]
pub(crate) struct DiagnosisData {
    pub(crate) code: String,
    pub(crate) severity: Status,
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) manual: Option<String>,
    #[serde(default)]
    pub(crate) evidence: Vec<Evidence>,
    /// Ids of records; of more than two only that they are more.
    #[serde(default)]
    pub(crate) explains: Vec<String>,
}

/// Where a log says so.
#[derive(Debug, Deserialize)]
pub(crate) struct Evidence {
    #[serde(default)]
    pub(crate) line: Option<u64>,
    #[serde(default)]
    pub(crate) excerpt: String,
    /// Of a traceback, outermost first.
    #[serde(default)]
    pub(crate) frames: Vec<Frame>,
}

/// A line of source.
#[derive(Debug, Deserialize)]
pub(crate) struct Frame {
    pub(crate) file: String,
    pub(crate) line: u64,
}

/// Something that a tool could not do.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) tool: Arc<str>,
    pub(crate) place: Option<Place>,
    pub(crate) fault: Fault,
}

/// The first of many, and how many there were.
#[derive(Debug)]
pub(crate) struct Few<T> {
    kept: Vec<T>,
    count: u64,
}

impl<T> Few<T> {
    const MOST: usize = 100;

    fn push(&mut self, one: impl FnOnce() -> T) {
        self.count += 1;
        if self.kept.len() < Self::MOST {
            self.kept.push(one());
        }
    }

    pub(crate) fn kept(&self) -> &[T] {
        &self.kept
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self { kept: Vec::new(), count: 0 }
    }
}

/// One run of a tool.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Run {
    pub(crate) host: Arc<str>,
    pub(crate) tool: Arc<str>,
    id: Arc<str>,
}

/// What a stream held.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The last verdict on each.
    pub(crate) environments: HashMap<Place, Verdict>,
    /// Links and redirect files that lead to environments.
    pub(crate) aliases: u64,
    pub(crate) actions: Vec<Step>,
    pub(crate) snapshots: Kept,
    pub(crate) registries: Registries,
    pub(crate) deployments: Deployments,
    pub(crate) diagnoses: Vec<Diagnosis>,
    pub(crate) errors: Few<Trouble>,
    /// Lines, and payloads, that could not be read.
    pub(crate) refused: Few<String>,
    /// Records that are not drawn, by type.
    pub(crate) others: BTreeMap<String, u64>,
    /// Every run that wrote, and what its `end` said, if there was one.
    pub(crate) runs: BTreeMap<Run, Option<bool>>,
    /// The actions that have begun and whose outcome has not come yet.
    begun: HashMap<(Option<Place>, String), usize>,
    names: HashSet<Arc<str>>,
}

impl Seen {
    /// Takes in one line.
    pub(crate) fn take(&mut self, line: Line) {
        match line {
            Line::Other { number, why, .. } => self.refused.push(|| clip::text(format!("line {number}: {why}"))),
            Line::Record(record, _) => {
                if let Err(e) = self.take_record(&record) {
                    self.refused.push(|| clip::text(format!("{e:#}")));
                }
            }
        }
    }

    /// Whether a table has a row of what is wrong with this very thing.
    pub(crate) fn has_a_row(&self, place: &Place) -> bool {
        self.environments.contains_key(place) || self.registries.has(place)
    }

    fn take_record(&mut self, record: &Record) -> anyhow::Result<()> {
        let (host, tool) = (self.name(&record.host), self.name(&record.tool));
        let id = self.name(run_of(&record.id));
        let run = Run { host: Arc::clone(&host), tool: Arc::clone(&tool), id: Arc::clone(&id) };
        let place = record.subject.clone().map(|subject| Place::new(host, subject));
        if record.is("end") {
            self.runs.insert(run, Some(record.read::<End>()?.ok));
            return Ok(());
        }
        self.runs.entry(run).or_default();
        if let Some(place) = place.as_ref().filter(|_| record.v == VERSION)
            && (self.snapshots.take(record, place)? || self.registries.take(record, place)? || self.deployments.take(record, place)?)
        {
            return Ok(());
        }
        match (record.v, record.kind.as_str(), place) {
            (VERSION, venv::KIND, Some(place)) => {
                let verdict = self.verdict(record.read()?);
                self.environments.insert(place, verdict);
            }
            (VERSION, venv::ALIAS, _) => self.aliases += 1,
            // What it counts, the records before it have told.
            (VERSION, "registry.summary" | "log.summary", _) => {}
            (VERSION, action::KIND, Some(place)) if &*tool == snapshots::TOOL => {
                if let Some(action) = self.snapshots.take_action(&id, &place, record.read()?) {
                    let detail = Some(snapshots::Detail::of(&action, &record.ts));
                    self.step(Step { tool, place: Some(place), action: clipped_action(action), id: clip::text(record.id.clone()), detail });
                }
            }
            (VERSION, action::KIND, place) => {
                let id = clip::text(record.id.clone());
                self.step(Step { tool, place, action: clipped_action(record.read()?), id, detail: None });
            }
            (VERSION, "diagnosis", place) => self.diagnoses.push(Diagnosis { place, data: clipped_diagnosis(record.read()?) }),
            (VERSION, "error", place) => {
                let fault: Fault = record.read()?;
                self.errors.push(|| Trouble {
                    tool,
                    place,
                    fault: Fault { code: clip::text(fault.code), text: clip::text(fault.text), ..fault },
                });
            }
            (VERSION, other, _) => self.other(other),
            (version, other, _) => self.other(&format!("{other} (version {version})")),
        }
        Ok(())
    }

    fn other(&mut self, kind: &str) {
        *self.others.entry(clip::name(kind).into_owned()).or_default() += 1;
    }

    fn verdict(&mut self, probe: Probe) -> Verdict {
        let remedy = remedy(&probe.faults);
        let faults = probe.faults.len();
        let worst = probe.faults.into_iter().next();
        let code = worst.as_ref().map(|fault| self.name(&fault.code));
        let unseen = || probe.notes.into_iter().next().map(|note| note.text).or(probe.proof.why);
        let text = match probe.status {
            Status::Healthy => None,
            _ => worst.map(|fault| fault.text).or_else(unseen),
        };
        Verdict {
            status: probe.status,
            python: self.name(&probe.python.or(probe.minor).unwrap_or_else(|| "-".to_owned())),
            worst: clip::text(text.unwrap_or_default()).into(),
            code,
            faults,
            remedy,
            deep: probe.level == Level::Deep,
        }
    }

    /// Whether every run came to its end and saw everything.
    pub(crate) fn is_whole(&self) -> bool {
        !self.runs.is_empty() && self.refused.count() == 0 && self.runs.values().all(|end| *end == Some(true))
    }

    /// Whether nothing else wrote.
    pub(crate) fn is_only_of(&self, tool: &str) -> bool {
        self.runs.keys().all(|run| &*run.tool == tool)
    }

    /// Whether a path alone does not say what is meant.
    pub(crate) fn several_hosts(&self) -> bool {
        let first = self.runs.keys().next();
        self.runs.keys().any(|run| first.is_some_and(|first| first.host != run.host))
    }

    /// Adds an action; an outcome takes the place of the `started` that announced it.
    fn step(&mut self, step: Step) {
        let key = (step.place.clone(), step.action.verb.clone());
        if step.action.outcome == Outcome::Started {
            self.begun.insert(key, self.actions.len());
        } else if let Some(at) = self.begun.remove(&key) {
            self.actions[at] = step;
            return;
        }
        self.actions.push(step);
    }

    /// Keeps each name once.
    fn name(&mut self, name: &str) -> Arc<str> {
        let name = clip::name(name);
        if let Some(known) = self.names.get(&*name) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = name.into();
        self.names.insert(Arc::clone(&shared));
        shared
    }
}

/// The part of an id before the sequence number.
fn run_of(id: &str) -> &str {
    id.rsplit_once('.').map_or(id, |(run, _)| run)
}

/// As `venv-rebuild` decides it.
fn remedy(faults: &[Finding]) -> Remedy {
    let mut mendable = faults.iter().filter(|fault| fault.repair.is_some());
    match mendable.next() {
        None => Remedy::Nothing,
        Some(first) if first.code == MODIFIED && mendable.all(|fault| fault.code == MODIFIED) => Remedy::Restore,
        Some(_) => Remedy::Repair,
    }
}

pub(crate) fn clipped_action(action: Action) -> Action {
    let Action { verb, text, undo, log, .. } = action;
    let (verb, text) = (clip::name(&verb).into_owned(), clip::text(text));
    Action { verb, text, undo: undo.map(clip::subject), log: log.map(clip::subject), detail: None, ..action }
}

fn clipped_diagnosis(data: DiagnosisData) -> DiagnosisData {
    let DiagnosisData { code, severity, text, manual, evidence, mut explains } = data;
    explains.truncate(2);
    let evidence = evidence.into_iter().filter(|one| one.line.is_some()).take(1);
    let last = |frames: Vec<Frame>| frames.into_iter().last().map(|last| Frame { file: clip::text(last.file), ..last });
    let clipped = |one: Evidence| Evidence { excerpt: clip::text(one.excerpt), frames: Vec::from_iter(last(one.frames)), ..one };
    let evidence = evidence.map(clipped).collect();
    let (code, text, manual) = (clip::text(code), clip::text(text), manual.map(clip::text));
    DiagnosisData { code, severity, text, manual, evidence, explains: explains.into_iter().map(clip::text).collect() }
}
