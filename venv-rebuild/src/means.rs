//! What a repair of one environment takes: its Python, its packages, and the words for both.

use std::cell::{Cell, OnceCell};
use std::path::Path;

use anyhow::Context as _;
use contract::action::{Action, Outcome};
use contract::path::{Subject, shown};
use contract::record::Status;
use contract::venv::{Finding, Package, Probe, ProofKind, Repair};
use serde_json::{Map, Value, json};

use crate::build::{self, Interpreter, PackageSet, Source, Spec};
use crate::edit::Edit;
use crate::ladder::{self, Case, Reason, Rungs, is_patch};
use crate::patient::Patient;
use crate::refuse::{self, Refusal};
use crate::session::Options;
use crate::{config, relink, relocate};

/// What can be known of the means before anything is changed; each is found when it is first asked for, and kept.
pub(crate) struct Means<'a> {
    /// What the caller asked for.
    pub(crate) options: &'a Options,
    /// Whom it is for.
    pub(crate) patient: &'a Patient,
    spec: OnceCell<Spec>,
    packages: OnceCell<PackageSet>,
    interpreter: OnceCell<Interpreter>,
    /// Whether `interpreter` may be what files say and nobody has started, since the change starts it next.
    presuming: Cell<bool>,
}

impl<'a> Means<'a> {
    pub(crate) fn of(options: &'a Options, patient: &'a Patient) -> Self {
        let (spec, packages, interpreter) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { options, patient, spec, packages, interpreter, presuming: Cell::new(false) }
    }

    /// The same for a change that is verified by a start of the interpreter through the environment; where nothing worked before, one that
    /// turns out to be none does no harm until then.
    pub(crate) fn of_change(options: &'a Options, patient: &'a Patient) -> Self {
        Self { presuming: Cell::new(patient.probe.status == Status::Broken), ..Self::of(options, patient) }
    }

    pub(crate) fn spec(&self) -> anyhow::Result<&Spec> {
        kept(&self.spec, || build::spec(&self.patient.root, &self.patient.probe, &self.options.build))
    }

    pub(crate) fn packages(&self) -> anyhow::Result<&PackageSet> {
        kept(&self.packages, || build::package_set(&self.patient.root, &self.patient.probe, &self.options.build))
    }

    /// The best interpreter of the environment's own minor version.
    ///
    /// # Errors
    /// There is none on this machine.
    pub(crate) fn interpreter(&self) -> anyhow::Result<&Interpreter> {
        kept(&self.interpreter, || {
            let Spec { minor: (x, y), implementation, .. } = self.spec()?;
            let presumed =
                if self.presuming.get() { build::interpreter::presume(&self.patient.root, (*x, *y), implementation) } else { None };
            self.presuming.set(presumed.is_some());
            presumed.or_else(|| self.proven()).with_context(|| {
                format!("there is no {implementation} {x}.{y} on this machine: install it (`uv python install {x}.{y}`), or name another minor version with --python X.Y")
            })
        })
    }

    fn proven(&self) -> Option<Interpreter> {
        let Spec { minor, implementation, .. } = self.spec().ok()?;
        build::interpreter::find(&self.patient.root, *minor, implementation).next()
    }

    /// Whether the interpreter is what it was taken for, as a start shows: the one that this verdict rests on, else one of its own.
    pub(crate) fn is_borne_out(&self, after: &Probe) -> bool {
        let Some(presumed) = self.interpreter.get().filter(|_| self.presuming.get()) else { return true };
        let is_seen = after.proof.by != ProofKind::Files && after.python.as_ref() == Some(&presumed.version);
        is_seen || self.proven().as_ref() == Some(presumed)
    }

    /// Takes the interpreter that starts; returns whether another was presumed.
    pub(crate) fn presumed_wrongly(&mut self) -> bool {
        if !self.presuming.replace(false) {
            return false;
        }
        self.interpreter.take().is_some_and(|presumed| self.interpreter().ok() != Some(&presumed))
    }

    /// What the rung changes in single files.
    ///
    /// # Errors
    /// There is no interpreter for it, or a file cannot be read.
    pub(crate) fn edits(&self, rung: Repair, targets: &[Finding]) -> anyhow::Result<Vec<Edit>> {
        let root = &self.patient.root;
        match rung {
            Repair::Config => config::edits(root, &self.base()?),
            Repair::Relink => {
                let mut edits: Vec<Edit> = relink::lib64(root).into_iter().collect();
                if targets.iter().any(|fault| fault.repair == Some(Repair::Relink) && !fault.code.starts_with("lib64")) {
                    edits.extend(relink::edits(root, self.interpreter()?, self.spec()?.copies)?);
                }
                Ok(edits)
            }
            Repair::Relocate => {
                let stale = relocate::stale_roots(root, root)?;
                relocate::edits(root, &stale.iter().map(AsRef::as_ref).collect::<Vec<&Path>>(), root)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// What the links lead to, as long as they do; else what they should.
    fn base(&self) -> anyhow::Result<Interpreter> {
        let version = self.patient.probe.python.as_deref().or(self.patient.probe.minor.as_deref());
        config::base(&self.patient.root, version).map_or_else(|| self.interpreter().cloned(), Ok)
    }

    /// The action of a dry run.
    pub(crate) fn planned(&self, case: &Case) -> Action {
        let (mut rungs, mut tried) = (case.rungs.clone(), Vec::new());
        loop {
            match self.described(&rungs, &case.targets) {
                Ok((text, mut detail)) => {
                    detail.extend(ladder_detail(case, &rungs, &tried, self.options.full));
                    let refusal = if is_patch(&rungs) { None } else { self.refusal() };
                    return planned(&rungs, refusal.as_ref(), &text, detail);
                }
                Err(e) => {
                    let why_not = format!("{e:#}");
                    tried.extend(rungs.iter().map(|rung| Reason { rung: *rung, why_not: why_not.clone() }));
                    match ladder::above(&rungs) {
                        Some(above) => rungs = above,
                        None => return unable(&rungs, &why_not, ladder_detail(case, &rungs, &tried, self.options.full)),
                    }
                }
            }
        }
    }

    pub(crate) fn refusal(&self) -> Option<Refusal> {
        refuse::swap(&self.patient.root, self.options.even_in_use, self.options.even_project)
    }

    /// What these rungs do, for a person and for a program.
    ///
    /// # Errors
    /// They cannot be done here.
    pub(crate) fn described(&self, rungs: &Rungs, targets: &[Finding]) -> anyhow::Result<(String, Map<String, Value>)> {
        let (mut texts, mut detail) = (Vec::new(), Map::new());
        for rung in rungs {
            texts.push(match rung {
                Repair::Config => format!("write pyvenv.cfg for {}", shown(&self.base()?.path)),
                Repair::Relink => self.relinked(targets, &mut detail)?,
                Repair::Relocate => "rewrite the paths in scripts, activate files and RECORD".to_owned(),
                Repair::Litter => format!("remove {}", refuse::list(litter(targets).iter().map(ToString::to_string))),
                Repair::Pip => "put pip back".to_owned(),
                Repair::Packages => {
                    let packages = damaged(targets);
                    detail.insert("packages".to_owned(), json!(packages.len()));
                    format!("reinstall {}", refuse::list(packages.iter().map(versioned)))
                }
                Repair::Rebuild | Repair::Other => self.rebuilt(&mut detail)?,
            });
        }
        Ok((texts.join("; "), detail))
    }

    fn relinked(&self, targets: &[Finding], detail: &mut Map<String, Value>) -> anyhow::Result<String> {
        if targets.iter().all(|fault| fault.repair != Some(Repair::Relink) || fault.code.starts_with("lib64")) {
            return Ok("point lib64 at lib".to_owned());
        }
        let found = self.interpreter()?;
        detail.insert("interpreter".to_owned(), json!(Subject::from(&found.path)));
        Ok(format!("point bin/python at {} ({})", shown(&found.path), found.version))
    }

    fn rebuilt(&self, detail: &mut Map<String, Value>) -> anyhow::Result<String> {
        let (found, set) = (self.interpreter()?, self.packages()?);
        let packages = set.pins.len() + set.not_in_source.len();
        detail.insert("interpreter".to_owned(), json!(Subject::from(&found.path)));
        detail.insert("python".to_owned(), json!(found.version));
        detail.insert("packages".to_owned(), json!(packages));
        let source = match &set.source {
            Source::Lock(path) | Source::Requirements(path) => {
                detail.insert("source".to_owned(), json!(Subject::from(path)));
                format!("from {}", shown(path))
            }
            Source::Recovered => {
                detail.insert("source".to_owned(), json!("recovered"));
                "recovered from its own metadata".to_owned()
            }
        };
        if !set.not_in_source.is_empty() {
            let added: Vec<String> = set.not_in_source.iter().map(ToString::to_string).collect();
            detail.insert("not_in_source".to_owned(), json!(added));
        }
        if !set.options.is_empty() {
            detail.insert("options".to_owned(), json!(set.options));
        }
        if !set.unrecoverable.is_empty() {
            detail.insert(
                "unrecoverable".to_owned(),
                json!(set.unrecoverable.iter().map(|(name, why)| json!({"name": name, "why": why})).collect::<Vec<_>>()),
            );
        }
        Ok(format!("build anew with {} ({}) and {packages} packages {source}", shown(&found.path), found.version))
    }
}

fn planned(rungs: &Rungs, refusal: Option<&Refusal>, text: &str, mut detail: Map<String, Value>) -> Action {
    let text = refusal.map_or_else(|| text.to_owned(), Refusal::text);
    detail.extend(refusal.and_then(Refusal::detail));
    let outcome = if refusal.is_some() { Outcome::Skipped } else { Outcome::Planned };
    Action { verb: verb(rungs), outcome, text, detail: Some(Value::Object(detail)), ..Action::default() }
}

fn unable(rungs: &Rungs, why: &str, detail: Map<String, Value>) -> Action {
    Action { verb: verb(rungs), outcome: Outcome::Skipped, text: why.to_owned(), detail: Some(Value::Object(detail)), ..Action::default() }
}

/// The highest of the rungs, which is what people call the repair.
pub(crate) fn verb(rungs: &Rungs) -> String {
    ladder::name(rungs.last().copied().unwrap_or(Repair::Rebuild)).to_owned()
}

/// The part of the detail that says how the rungs were chosen.
pub(crate) fn ladder_detail(case: &Case, rungs: &Rungs, tried: &[Reason], full: bool) -> Map<String, Value> {
    let mut detail = Map::new();
    detail.insert("rung".to_owned(), json!(verb(rungs)));
    if rungs.len() > 1 {
        detail.insert("rungs".to_owned(), json!(rungs));
    }
    detail.insert("faults".to_owned(), json!(case.targets.iter().map(|fault| &fault.code).collect::<Vec<_>>()));
    detail.insert("reasons".to_owned(), json!(case.reasons(rungs, tried, full)));
    detail
}

/// What a cell holds, found if need be.
fn kept<T>(cell: &OnceCell<T>, find: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<&T> {
    match cell.get() {
        Some(found) => Ok(found),
        None => find().map(|found| cell.get_or_init(|| found)),
    }
}

/// The paths that are to go.
pub(crate) fn litter(targets: &[Finding]) -> Vec<Subject> {
    targets.iter().filter(|fault| fault.repair == Some(Repair::Litter)).filter_map(|fault| fault.evidence.clone()).collect()
}

/// The distributions that are to be installed again, each once.
pub(crate) fn damaged(targets: &[Finding]) -> Vec<Package> {
    let mut packages: Vec<Package> = Vec::new();
    for package in targets.iter().filter(|fault| fault.repair == Some(Repair::Packages)).filter_map(|fault| fault.package.clone()) {
        if !packages.iter().any(|known| known.name == package.name) {
            packages.push(package);
        }
    }
    packages
}

fn versioned(package: &Package) -> String {
    package.version.as_ref().map_or_else(|| package.name.clone(), |version| format!("{} {version}", package.name))
}
