//! What the records of probes say together: one diagnosis for all that share a cause.

mod registries;
mod venvs;

use std::path::{Path, PathBuf};

use contract::input::{Line, Lines};
use contract::output::Output;
use contract::path::{Subject, shown};
use contract::record::{About, End, Record, Status};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use self::registries::Registries;
use self::venvs::Venvs;
use crate::diagnosis::{Diagnosis, Evidence};

/// What a probe says, in so far as all of them say it in one way.
#[derive(Deserialize)]
struct Probe {
    status: Status,
    #[serde(default)]
    faults: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    code: String,
    text: String,
    #[serde(default)]
    repair: Option<String>,
}

/// A subject that is ill, with the verdict on it.
struct Ill<P> {
    id: String,
    subject: Subject,
    probe: P,
}

impl<P: DeserializeOwned> Ill<P> {
    /// Reads a verdict; none where it is not one of illness.
    fn of(record: &Record, status: impl Fn(&P) -> Status) -> anyhow::Result<Option<Self>> {
        let probe: P = record.read()?;
        let is_ill = matches!(status(&probe), Status::Broken | Status::Degraded);
        let subject = record.subject.clone().filter(|_| is_ill);
        Ok(subject.map(|subject| Self { id: record.id.clone(), subject, probe }))
    }
}

/// All records of a stream that say that something is wrong.
#[derive(Default)]
pub(crate) struct Records {
    venvs: Venvs,
    registries: Registries,
    others: Vec<Diagnosis>,
    /// Of each stream that came in, whether all was seen.
    ends: Vec<bool>,
}

impl Records {
    /// Reads a stream and passes all of it on.
    ///
    /// # Errors
    /// It cannot be read, or nothing can be written.
    pub(crate) fn read(out: &mut Output, lines: Lines<impl std::io::BufRead>) -> anyhow::Result<Self> {
        let mut records = Self::default();
        for line in lines {
            match line? {
                Line::Record(record, raw) => {
                    out.pass(&raw)?;
                    records.take(out, &record)?;
                }
                Line::Other { number, why, .. } => out.error("input.not-a-record", About::default(), Some(number), &why)?,
            }
        }
        Ok(records)
    }

    fn take(&mut self, out: &mut Output, record: &Record) -> anyhow::Result<()> {
        let taken = match record.kind.as_str() {
            _ if record.v != contract::record::VERSION => Ok(()),
            contract::venv::KIND => self.venvs.take(record),
            "registry.probe" => self.registries.take(record),
            "registry.summary" => self.registries.summary(record),
            "snapshot.probe" => self.snapshot(record),
            "end" => record.read::<End>().map(|end| self.ends.push(end.ok)),
            _ => Ok(()),
        };
        let Err(e) = taken else { return Ok(()) };
        let about = About { subject: record.subject.as_ref(), cause: std::slice::from_ref(&record.id) };
        out.error("input.bad-data", about, None, &format!("{e:#}"))
    }

    /// A snapshot that cannot be restored whole is for a person.
    fn snapshot(&mut self, record: &Record) -> anyhow::Result<()> {
        let probe: Probe = record.read()?;
        let Some(subject) = record.subject.clone().filter(|_| probe.status == Status::Broken) else { return Ok(()) };
        let evidence = probe.faults.iter().map(|fault| seen(&subject, &fault.text)).collect();
        let code = probe.faults.first().map_or("damaged", |fault| fault.code.as_str());
        self.others.push(Diagnosis {
            code: format!("snapshot.{code}"),
            class: None,
            severity: Status::Broken,
            text: format!("the snapshot {subject} cannot be restored whole"),
            count: None,
            evidence,
            explains: vec![record.id.clone()],
            consequences: Vec::new(),
            remedy: None,
            auto: false,
            manual: Some("look at the disk, and make another snapshot of what it kept".to_owned()),
            subject: Some(subject),
        });
        Ok(())
    }

    /// One diagnosis for each cause, the widest first.
    pub(crate) fn diagnoses(self) -> Vec<Diagnosis> {
        // That there is none of something is known only where all was seen.
        let is_whole = !self.ends.is_empty() && self.ends.iter().all(|ok| *ok);
        let mut all = self.venvs.diagnoses();
        all.extend(self.registries.diagnoses(is_whole));
        all.extend(self.others);
        all.sort_by_key(|one| std::cmp::Reverse((one.severity.badness(), one.explains.len())));
        all
    }

    /// The environment, among those that are ill, in which a path is.
    pub(crate) fn environment_of(&self, path: &Path) -> Option<PathBuf> {
        self.venvs.around(path)
    }
}

/// Evidence from a record.
fn seen(subject: &Subject, text: &str) -> Evidence {
    Evidence {
        source: subject.clone(),
        line: None,
        excerpt: text.to_owned(),
        captures: std::collections::BTreeMap::default(),
        frames: Vec::new(),
    }
}

/// Several subjects in a sentence.
fn named(subjects: &[Subject]) -> String {
    const SOME: usize = 3;
    let some: Vec<String> = subjects.iter().take(SOME).map(|subject| shown(subject.as_path())).collect();
    let more = subjects.len().saturating_sub(SOME);
    if more == 0 { some.join(", ") } else { format!("{} and {more} more", some.join(", ")) }
}
