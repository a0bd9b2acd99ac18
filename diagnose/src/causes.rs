//! From findings to diagnoses: what explains what, across logs and records.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use contract::path::Subject;
use serde_json::json;

use crate::catalogue::{Catalogue, Level};
use crate::diagnosis::{Consequence, Diagnosis};
use crate::log::Log;
use crate::log::findings::Finding;
use crate::records::Records;

/// Everything that is wrong, the causes of logs first in the order of the logs, then those of records, then what nobody knows.
///
/// `told` are the findings that were diagnosed while their log was read.
pub(crate) fn diagnoses(catalogue: &Catalogue, logs: &[Log], records: Records, told: &[Finding]) -> Vec<Diagnosis> {
    let ranked: Vec<Vec<Finding>> = logs.iter().map(|log| log.ranked(catalogue)).collect();
    let mut explained = Vec::new();
    let mut all = Vec::new();
    for (log, findings) in logs.iter().zip(&ranked) {
        all.extend(of_log(catalogue, log, findings, &ranked, &records, told, &mut explained));
    }
    let mut of_records = records.diagnoses();
    for (root, finding) in explained {
        let diagnosis = of_records.iter_mut().find(|one| concerns(one, &root));
        if let Some(diagnosis) = diagnosis {
            diagnosis.evidence.extend(finding.places);
        }
    }
    all.extend(of_records);
    all.extend(logs.iter().flat_map(|log| log.unknown(catalogue)));
    all
}

/// The causes in one log, with what followed from them.
fn of_log(
    catalogue: &Catalogue,
    log: &Log,
    findings: &[Finding],
    everywhere: &[Vec<Finding>],
    records: &Records,
    told: &[Finding],
    explained: &mut Vec<(PathBuf, Finding)>,
) -> Vec<Diagnosis> {
    let (mut causes, mut effects): (Vec<&Finding>, Vec<&Finding>) = (Vec::new(), Vec::new());
    for finding in findings {
        if let Some(root) = paths(finding).iter().find_map(|path| records.environment_of(path)) {
            explained.push((root, finding.clone()));
        } else if catalogue.get(finding.entry).level <= Level::Likely {
            causes.push(finding);
        } else {
            effects.push(finding);
        }
    }
    let is_explained = !causes.is_empty() || explained.iter().any(|(_, finding)| finding.source == log.source);
    if !is_explained {
        // What a platform says of the end is the answer where nothing else is, unless another log has the cause.
        let elsewhere = |effect: &&Finding| !has_cause_elsewhere(catalogue, effect, everywhere);
        causes.extend(effects.iter().copied().filter(elsewhere).take(1));
    }
    let is_told =
        |cause: &&&Finding| told.iter().any(|one| one.source == cause.source && one.entry == cause.entry && one.first == cause.first);
    let mut all: Vec<Diagnosis> = causes.iter().filter(|cause| !is_told(cause)).map(|cause| diagnosis(catalogue, log, cause)).collect();
    if let Some(first) = all.first_mut() {
        let of = |effect: &&Finding| Consequence {
            code: catalogue.get(effect.entry).code.clone(),
            source: effect.source.clone(),
            line: effect.first,
        };
        first.consequences = effects.iter().filter(|effect| causes.iter().all(|cause| !std::ptr::eq(*cause, **effect))).map(of).collect();
    }
    all
}

/// The diagnosis of one finding.
pub(crate) fn diagnosis(catalogue: &Catalogue, log: &Log, finding: &Finding) -> Diagnosis {
    let mut diagnosis = of_finding(catalogue, finding);
    // Whoever has the port is the program itself; the next release would fail in the same way.
    let port = finding.captures.get("port").filter(|_| diagnosis.code == "port.in-use");
    if port.is_some_and(|port| log.listened_before(port, finding.first)) {
        (diagnosis.remedy, diagnosis.auto) = (None, false);
    }
    diagnosis
}

/// The same, without what only the whole log tells.
pub(crate) fn of_finding(catalogue: &Catalogue, finding: &Finding) -> Diagnosis {
    let mut diagnosis = finding.diagnosis(catalogue);
    let interpreter = finding.captures.get("interpreter").map(Path::new);
    if let Some(root) = interpreter.and_then(environment).filter(|_| diagnosis.code == "venv.interpreter-gone") {
        let subject = Subject::from(root);
        if let Some(remedy) = &mut diagnosis.remedy {
            remedy.args.insert("paths".to_owned(), json!([subject]));
        }
        diagnosis.subject = Some(subject);
    }
    diagnosis
}

/// The environment that an interpreter would be of.
fn environment(interpreter: &Path) -> Option<&Path> {
    interpreter.parent().filter(|bin| bin.ends_with("bin")).and_then(Path::parent)
}

/// The paths that a finding names.
fn paths(finding: &Finding) -> BTreeSet<PathBuf> {
    let frames = finding.places.iter().flat_map(|place| place.frames.iter().map(|frame| frame.file.as_str()));
    finding.captures.values().map(String::as_str).chain(frames).filter(|text| text.starts_with('/')).map(PathBuf::from).collect()
}

/// Whether another log has a cause that names what this names.
fn has_cause_elsewhere(catalogue: &Catalogue, effect: &Finding, everywhere: &[Vec<Finding>]) -> bool {
    let named = paths(effect);
    let is_cause = |other: &&Finding| other.source != effect.source && catalogue.get(other.entry).level <= Level::Likely;
    everywhere.iter().flatten().filter(is_cause).any(|other| paths(other).iter().any(|path| named.contains(path)))
}

/// Whether a diagnosis of records is about that environment.
fn concerns(diagnosis: &Diagnosis, root: &Path) -> bool {
    diagnosis.evidence.iter().any(|evidence| evidence.source.as_path() == root)
}
