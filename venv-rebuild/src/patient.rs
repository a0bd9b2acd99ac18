//! An environment and the verdict on it, given by `venv-probe`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use contract::path::{Subject, shown};
use contract::record::{Fault, Record};
use contract::sibling;
use contract::venv::{KIND, Level, Probe};

use crate::session::Matter;

/// Longer than any probe takes: interpreters that hang have a time-out of their own.
const PATIENCE: Duration = Duration::from_mins(30);

/// An environment that was judged.
#[derive(Debug)]
pub(crate) struct Patient {
    /// What its records are about.
    pub(crate) matter: Matter,
    /// Its folder, links in the last component followed.
    pub(crate) root: PathBuf,
    /// The verdict.
    pub(crate) probe: Probe,
    /// The machine that the verdict was given on, where that is not this one.
    pub(crate) elsewhere: Option<String>,
    /// Whether the verdict was given for this run.
    pub(crate) fresh: bool,
}

impl Patient {
    /// Takes the verdict of a record.
    ///
    /// # Errors
    /// The record has no subject, or no verdict in it.
    pub(crate) fn of(record: &Record, cause: Vec<String>, fresh: bool) -> anyhow::Result<Self> {
        let subject = record.subject.clone().with_context(|| format!("record {} does not say which environment it is about", record.id))?;
        anyhow::ensure!(subject.as_path().is_absolute(), "record {} does not say by an absolute path what it is about", record.id);
        let root = resolved(subject.as_path());
        let here = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let elsewhere = (record.host != here).then(|| record.host.clone());
        Ok(Self { matter: Matter { subject, cause }, root, probe: record.read()?, elsewhere, fresh })
    }

    /// Whether it was asked for by its path, and not met in a stream.
    pub(crate) fn is_named(&self) -> bool {
        self.matter.cause.is_empty()
    }

    /// Has it judged again, now.
    pub(crate) fn judge_again(&mut self, deep: bool) -> anyhow::Result<()> {
        self.probe = judge(&self.root, deep || self.probe.level == Level::Deep)?;
        self.fresh = true;
        Ok(())
    }
}

/// An environment that is a link is mended where it stands: a rename would only move the link.
pub(crate) fn resolved(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..40 {
        let Ok(target) = path.read_link() else { break };
        path = crate::layout::normal(&path.parent().unwrap_or(Path::new("/")).join(target));
    }
    path
}

/// The verdict on the environment in one folder.
///
/// # Errors
/// `venv-probe` is missing, was interrupted, or sees no environment there.
pub(crate) fn judge(root: &Path, deep: bool) -> anyhow::Result<Probe> {
    let (patients, faults) = judged(&[root.to_owned()], deep)?;
    let why = || faults.first().map_or_else(String::new, |fault| format!(": {}", fault.text));
    let here = patients.into_iter().find(|patient| patient.root == root || patient.matter.subject == Subject::from(root));
    here.map(|patient| patient.probe).with_context(|| format!("venv-probe sees no environment at {}{}", shown(root), why()))
}

/// The verdicts on every environment at or below these paths, and what went wrong meanwhile.
///
/// # Errors
/// `venv-probe` is missing, was interrupted, or writes what is no verdict.
pub(crate) fn judged(paths: &[PathBuf], deep: bool) -> anyhow::Result<(Vec<Patient>, Vec<Fault>)> {
    let mut args: Vec<_> = paths.iter().map(|path| path.clone().into_os_string()).collect();
    args.extend(deep.then(|| "--deep".into()));
    let answer = sibling::ask("venv-probe", &args, PATIENCE)?;
    let (mut patients, mut faults) = (Vec::new(), Vec::new());
    for record in &answer.records {
        if record.is(KIND) {
            patients.push(Patient::of(record, vec![record.id.clone()], true)?);
        } else if record.is("error") {
            faults.push(record.read::<Fault>()?);
        }
    }
    // Of what a probe that died did not say, nothing is known; what it could not see, it says itself.
    anyhow::ensure!(answer.whole || !faults.is_empty(), "venv-probe ended before it had seen everything; run it by hand to see why");
    Ok((patients, faults))
}
