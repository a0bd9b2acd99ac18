//! Agent registries that do not fit what is alive; all of them together where tmux itself is gone.

use contract::path::Subject;
use contract::record::{Record, Status};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Ill, Probe, named, seen};
use crate::diagnosis::{Diagnosis, Remedy};

const REMEDY: &str = "registry-repair";

/// Those that were met.
#[derive(Default)]
pub(super) struct Registries {
    ill: Vec<Ill<Probe>>,
    /// Sessions of tmux, as the summary has them.
    sessions: Option<u64>,
}

#[derive(Deserialize)]
struct Summary {
    sessions: u64,
}

impl Ill<Probe> {
    fn has(&self, code: &str) -> bool {
        self.probe.faults.iter().any(|fault| fault.code == code)
    }
}

impl Registries {
    pub(super) fn take(&mut self, record: &Record) -> anyhow::Result<()> {
        self.ill.extend(Ill::of(record, |probe: &Probe| probe.status)?);
        Ok(())
    }

    pub(super) fn summary(&mut self, record: &Record) -> anyhow::Result<()> {
        let Summary { sessions } = record.read()?;
        self.sessions = Some(self.sessions.unwrap_or(0) + sessions);
        Ok(())
    }

    /// One for each, but one for all whose agents went with tmux; `is_whole` says that all sessions were seen.
    pub(super) fn diagnoses(self, is_whole: bool) -> Vec<Diagnosis> {
        let is_tmux_gone = is_whole && self.sessions == Some(0);
        let (with_it, others): (Vec<Ill<Probe>>, Vec<Ill<Probe>>) =
            self.ill.into_iter().partition(|one| is_tmux_gone && one.has("agent-gone"));
        let mut all: Vec<Diagnosis> = others.into_iter().map(|one| diagnosis(&[one])).collect();
        if !with_it.is_empty() {
            all.push(gone_with_tmux(&with_it));
        }
        all
    }
}

fn gone_with_tmux(ill: &[Ill<Probe>]) -> Diagnosis {
    let subjects: Vec<Subject> = ill.iter().map(|one| one.subject.clone()).collect();
    Diagnosis {
        code: "tmux.server-gone".to_owned(),
        text: format!("no tmux server runs, as after a reboot: the agents of {} went with it", named(&subjects)),
        ..diagnosis(ill)
    }
}

fn diagnosis(ill: &[Ill<Probe>]) -> Diagnosis {
    let subjects: Vec<Subject> = ill.iter().map(|one| one.subject.clone()).collect();
    let faults = || ill.iter().flat_map(|one| one.probe.faults.iter().map(move |fault| (&one.subject, fault)));
    let worst = faults().next().map(|(_, fault)| fault);
    let is_mendable = faults().any(|(_, fault)| fault.repair.is_some());
    let paths: Vec<Value> = subjects.iter().map(|subject| json!(subject)).collect();
    Diagnosis {
        subject: subjects.first().cloned(),
        code: format!("registry.{}", worst.map_or("ill", |fault| fault.code.as_str())),
        class: None,
        severity: ill.iter().map(|one| one.probe.status).max_by_key(|status| status.badness()).unwrap_or(Status::Degraded),
        text: worst.map_or_else(|| "the registry is not as it should be".to_owned(), |fault| fault.text.clone()),
        count: None,
        evidence: faults().map(|(subject, fault)| seen(subject, &fault.text)).collect(),
        explains: ill.iter().map(|one| one.id.clone()).collect(),
        consequences: Vec::new(),
        auto: is_mendable,
        remedy: is_mendable.then(|| Remedy { name: REMEDY.to_owned(), args: [("paths".to_owned(), Value::from(paths))].into() }),
        manual: (!is_mendable).then(|| "`tmux-registry check` on it says what a person must look at".to_owned()),
    }
}
