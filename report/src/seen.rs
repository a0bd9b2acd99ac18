//! What is kept of a stream: no more than will be drawn, so that a long one stays small.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use contract::action::{self, Action, Outcome};
use contract::input::Line;
use contract::path::Subject;
use contract::record::{End, Fault, Record, Status, VERSION};
use contract::venv::{self, Level, Probe};
use serde::Deserialize;

/// No text is kept beyond this many bytes.
const LONGEST_TEXT: usize = 2000;

/// A thing on a machine. The same path on another host is another thing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) host: Rc<str>,
    pub(crate) subject: Subject,
}

/// The verdict on one environment.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) status: Status,
    pub(crate) python: Rc<str>,
    /// The worst fault, or why there is no verdict.
    pub(crate) worst: Box<str>,
    /// The code of the worst fault, where there is one.
    pub(crate) code: Option<Rc<str>>,
    pub(crate) faults: usize,
    /// Whether a repair is known for at least one of the faults.
    pub(crate) mendable: bool,
    pub(crate) deep: bool,
}

/// How one action went.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) tool: Rc<str>,
    pub(crate) place: Option<Place>,
    pub(crate) action: Action,
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
}

/// Something that a tool could not do.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) tool: Rc<str>,
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
    pub(crate) host: Rc<str>,
    pub(crate) tool: Rc<str>,
    id: Rc<str>,
}

/// What a stream held.
#[derive(Default)]
pub(crate) struct Seen {
    /// The last verdict on each.
    pub(crate) environments: HashMap<Place, Verdict>,
    /// Links and redirect files that lead to environments.
    pub(crate) aliases: u64,
    pub(crate) actions: Vec<Step>,
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
    names: HashSet<Rc<str>>,
}

impl Seen {
    /// Takes in one line.
    pub(crate) fn take(&mut self, line: Line) {
        match line {
            Line::Other { number, why, .. } => self.refused.push(|| clipped(format!("line {number}: {why}"))),
            Line::Record(record, _) => {
                if let Err(e) = self.take_record(&record) {
                    self.refused.push(|| clipped(format!("{e:#}")));
                }
            }
        }
    }

    fn take_record(&mut self, record: &Record) -> anyhow::Result<()> {
        let (host, tool) = (self.name(&record.host), self.name(&record.tool));
        let run = Run { host: Rc::clone(&host), tool: Rc::clone(&tool), id: self.name(run_of(&record.id)) };
        let place = record.subject.clone().map(|subject| Place { host, subject });
        if record.is("end") {
            self.runs.insert(run, Some(record.read::<End>()?.ok));
            return Ok(());
        }
        self.runs.entry(run).or_default();
        match (record.v, record.kind.as_str(), place) {
            (VERSION, venv::KIND, Some(place)) => {
                let verdict = self.verdict(record.read()?);
                self.environments.insert(place, verdict);
            }
            (VERSION, venv::ALIAS, _) => self.aliases += 1,
            (VERSION, action::KIND, place) => self.step(Step { tool, place, action: clipped_action(record.read()?) }),
            (VERSION, "diagnosis", place) => self.diagnoses.push(Diagnosis { place, data: record.read()? }),
            (VERSION, "error", place) => {
                let fault: Fault = record.read()?;
                self.errors.push(|| Trouble { tool, place, fault: Fault { text: clipped(fault.text), ..fault } });
            }
            (VERSION, other, _) => self.other(other.to_owned()),
            (version, other, _) => self.other(format!("{other} (version {version})")),
        }
        Ok(())
    }

    fn other(&mut self, kind: String) {
        *self.others.entry(clipped(kind)).or_default() += 1;
    }

    fn verdict(&mut self, probe: Probe) -> Verdict {
        let mendable = probe.faults.iter().any(|fault| fault.repair.is_some());
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
            worst: clipped(text.unwrap_or_default()).into(),
            code,
            faults,
            mendable,
            deep: probe.level == Level::Deep,
        }
    }

    /// Whether every run came to its end and saw everything.
    pub(crate) fn is_whole(&self) -> bool {
        !self.runs.is_empty() && self.refused.count() == 0 && self.runs.values().all(|end| *end == Some(true))
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
    fn name(&mut self, name: &str) -> Rc<str> {
        if let Some(known) = self.names.get(name) {
            return Rc::clone(known);
        }
        let shared: Rc<str> = name.into();
        self.names.insert(Rc::clone(&shared));
        shared
    }
}

/// The part of an id before the sequence number.
fn run_of(id: &str) -> &str {
    id.rsplit_once('.').map_or(id, |(run, _)| run)
}

fn clipped_action(action: Action) -> Action {
    Action { verb: clipped(action.verb), text: clipped(action.text), detail: None, ..action }
}

fn clipped(mut text: String) -> String {
    if text.len() > LONGEST_TEXT {
        text.truncate(text.floor_char_boundary(LONGEST_TEXT));
        text.push('…');
    }
    text
}
