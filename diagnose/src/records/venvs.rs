//! Environments that are ill, those together that are for the same reason.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use contract::path::Subject;
use contract::record::{Record, Status};
use contract::venv::{Finding, Probe};
use serde_json::{Value, json};

use super::{Ill, named, seen};
use crate::diagnosis::{Diagnosis, Remedy};

/// Faults whose evidence lies outside the environment, so that others may have them for the same reason.
const SHARED: [&str; 5] = ["interpreter-missing", "stdlib-missing", "interpreter-library-missing", "minor-version-moved", "home-stale"];

/// Those that were met.
#[derive(Default)]
pub(super) struct Venvs {
    ill: Vec<Ill<Probe>>,
}

impl Venvs {
    pub(super) fn take(&mut self, record: &Record) -> anyhow::Result<()> {
        self.ill.extend(Ill::of(record, |probe: &Probe| probe.status)?);
        Ok(())
    }

    /// The environment in which a path is; the innermost.
    pub(super) fn around(&self, path: &Path) -> Option<PathBuf> {
        let around = self.ill.iter().map(|one| one.subject.as_path()).filter(|root| path.starts_with(root));
        around.max_by_key(|root| root.as_os_str().len()).map(Path::to_owned)
    }

    pub(super) fn diagnoses(self) -> Vec<Diagnosis> {
        let mut causes: BTreeMap<(String, Option<Subject>), Vec<Ill<Probe>>> = BTreeMap::new();
        for one in self.ill {
            let Some(worst) = one.probe.faults.first() else { continue };
            let shared = worst.evidence.clone().filter(|_| SHARED.contains(&worst.code.as_str()));
            // What is not shared is its own alone.
            let place = shared.or_else(|| Some(one.subject.clone()));
            causes.entry((worst.code.clone(), place)).or_default().push(one);
        }
        causes.into_values().map(diagnosis).collect()
    }
}

fn diagnosis(mut ill: Vec<Ill<Probe>>) -> Diagnosis {
    // Probes come as they are done.
    ill.sort_by(|one, other| one.subject.cmp(&other.subject));
    let worst: Finding = ill[0].probe.faults[0].clone();
    let subjects: Vec<Subject> = ill.iter().map(|one| one.subject.clone()).collect();
    let is_mendable = ill.iter().all(|one| one.probe.faults.iter().any(|fault| fault.repair.is_some()));
    let base = worst.evidence.clone().filter(|_| ill.len() > 1);
    let text = match &base {
        Some(base) => format!("{base}, on which {} environments rest ({}): {}", ill.len(), named(&subjects), worst.text),
        None => worst.text.clone(),
    };
    let evidence =
        ill.iter().map(|one| seen(&one.subject, &one.probe.faults.iter().map(|fault| fault.text.as_str()).collect::<Vec<_>>().join("; ")));
    let paths: Vec<Value> = subjects.iter().map(|subject| json!(subject)).collect();
    Diagnosis {
        subject: base.or_else(|| subjects.first().cloned()),
        code: format!("venv.{}", worst.code),
        class: None,
        severity: ill.iter().map(|one| one.probe.status).max_by_key(|status| status.badness()).unwrap_or(Status::Degraded),
        text,
        count: None,
        evidence: evidence.collect(),
        explains: ill.iter().map(|one| one.id.clone()).collect(),
        consequences: Vec::new(),
        auto: is_mendable,
        remedy: is_mendable.then(|| Remedy { name: "venv-rebuild".to_owned(), args: [("paths".to_owned(), Value::from(paths))].into() }),
        manual: (!is_mendable).then(|| format!("`venv-probe --explain {}` says what helps", worst.code)),
    }
}
