//! What a repair of one environment takes: its Python, its packages, and the words for both.

use std::cell::{Cell, OnceCell};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::action::{Action, Outcome};
use contract::path::{Subject, shown};
use contract::record::Status;
use contract::venv::{Finding, Package, Probe, ProofKind, Repair};
use serde_json::{Map, Value, json};

use crate::build::{self, Belongings, Interpreter, PackageSet, Source, Spec};
use crate::cfg::Cfg;
use crate::edit::Edit;
use crate::ladder::{self, Case, Reason, Rungs, is_patch};
use crate::patient::Patient;
use crate::refuse::{self, Refusal};
use crate::session::Options;
use crate::traces::Traces;
use crate::{config, relink, relocate, tree};

/// What is done, in the words of a plan and in those of a report.
#[derive(Default)]
pub(crate) struct Words {
    pub(crate) plan: String,
    pub(crate) past: String,
}

impl Words {
    fn say(&mut self, now: &str, then: &str, what: &str) {
        self.plan(&format!("{now} {what}"));
        self.past(&format!("{then} {what}"));
    }

    fn plan(&mut self, step: &str) {
        add(&mut self.plan, step);
    }

    pub(crate) fn past(&mut self, step: &str) {
        add(&mut self.past, step);
    }
}

fn add(text: &mut String, step: &str) {
    if !text.is_empty() {
        text.push_str("; ");
    }
    text.push_str(step.trim_end());
}

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
    belongings: OnceCell<Belongings>,
    traces: OnceCell<Traces>,
}

impl<'a> Means<'a> {
    pub(crate) fn of(options: &'a Options, patient: &'a Patient) -> Self {
        let (spec, packages, interpreter, belongings) = (OnceCell::new(), OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { options, patient, spec, packages, interpreter, presuming: Cell::new(false), belongings, traces: OnceCell::new() }
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
            let described = self.described(&rungs, &case.targets);
            match described.and_then(|described| Ok((described, self.planned_refusal(&rungs, &case.targets)?))) {
                Ok(((words, mut detail), refusal)) => {
                    detail.extend(ladder_detail(case, &rungs, &tried, self.options.full));
                    return planned(&rungs, refusal.as_ref(), &words.plan, detail);
                }
                Err(e) => {
                    let why_not = format!("{e:#}");
                    tried.extend(rungs.iter().map(|rung| Reason { rung: *rung, why_not: why_not.clone() }));
                    match case.above(&rungs) {
                        Some(above) => rungs = above,
                        None => return unable(&rungs, &why_not, ladder_detail(case, &rungs, &tried, self.options.full)),
                    }
                }
            }
        }
    }

    fn planned_refusal(&self, rungs: &Rungs, targets: &[Finding]) -> anyhow::Result<Option<Refusal>> {
        if !is_patch(rungs) {
            return self.refusal(rungs, targets);
        }
        let edits = rungs.iter().map(|rung| self.edits(*rung, targets)).collect::<anyhow::Result<Vec<_>>>()?;
        if edits.iter().all(Vec::is_empty) { self.nothing(targets).map(Some) } else { Ok(None) }
    }

    /// What follows where no file would change: what works is left alone, and what does not is for a higher rung.
    ///
    /// # Errors
    /// It does not work.
    pub(crate) fn nothing(&self, targets: &[Finding]) -> anyhow::Result<Refusal> {
        anyhow::ensure!(self.patient.probe.status != Status::Broken, "there is nothing in the files that it could change");
        Ok(Refusal::Nothing(targets.first().map_or_else(String::new, |fault| fault.text.clone())))
    }

    /// Why a tree is not to be made for these rungs.
    ///
    /// # Errors
    /// What is in the old one cannot be seen.
    pub(crate) fn refusal(&self, rungs: &Rungs, targets: &[Finding]) -> anyhow::Result<Option<Refusal>> {
        let root = &self.patient.root;
        let refusal = refuse::swap(root, self.options.even_in_use, self.options.even_project);
        let refusal = refusal.or_else(|| refuse::linked(root, rungs, targets));
        if refusal.is_some() || !rungs.contains(&Repair::Rebuild) || self.options.leave_behind {
            return Ok(refusal);
        }
        let stuck = &self.belongings()?.stuck;
        Ok((!stuck.is_empty()).then(|| Refusal::Stuck(stuck.clone())))
    }

    /// What a rebuild carries over.
    ///
    /// # Errors
    /// A folder of the environment cannot be read.
    pub(crate) fn belongings(&self) -> anyhow::Result<&Belongings> {
        if let Some(found) = self.belongings.get() {
            return Ok(found);
        }
        let litter: Vec<PathBuf> = litter(&self.patient.probe.faults).iter().map(|path| path.as_path().to_owned()).collect();
        let found = build::belongings(&self.patient.root, self.packages()?, self.spec()?, &litter)?;
        Ok(self.belongings.get_or_init(|| found))
    }

    /// What the environment held when a tree was first to be made of it: to be asked for before that is looked at.
    ///
    /// # Errors
    /// A folder of the environment cannot be read.
    pub(crate) fn traces(&self) -> anyhow::Result<&Traces> {
        kept(&self.traces, || Traces::of(&self.patient.root))
    }

    /// What these rungs do, for a person and for a program.
    ///
    /// # Errors
    /// They cannot be done here.
    pub(crate) fn described(&self, rungs: &Rungs, targets: &[Finding]) -> anyhow::Result<(Words, Map<String, Value>)> {
        let (mut words, mut detail) = (Words::default(), Map::new());
        for rung in rungs {
            match rung {
                Repair::Config => words.say("write", "wrote", &format!("pyvenv.cfg for {}", shown(&self.base()?.path))),
                Repair::Relink => words.say("point", "pointed", &self.relinked(targets, &mut detail)?),
                Repair::Relocate => words.say("rewrite", "rewrote", "the paths in scripts, activate files and RECORD"),
                Repair::Litter => {
                    words.say("remove", "removed", &refuse::list(litter(targets).iter().map(ToString::to_string)));
                }
                Repair::Pip => words.say("put", "put", "pip back"),
                Repair::Packages => {
                    let packages = damaged(targets);
                    detail.insert("packages".to_owned(), json!(packages.len()));
                    words.say("reinstall", "reinstalled", &refuse::list(packages.iter().map(versioned)));
                }
                Repair::Rebuild | Repair::Other => {
                    words.say("build", "built", &self.rebuilt(&mut detail)?);
                    let own = &self.belongings()?.own;
                    let paths: Vec<PathBuf> = own.iter().map(|own| own.from.clone()).collect();
                    if !own.is_empty() {
                        let files = tree::unexplained(own.iter().map(|own| own.files).sum());
                        words.plan(&format!("carry over {files} ({})", tree::named(&paths)));
                    }
                }
            }
        }
        self.guessed(rungs, &mut words, &mut detail)?;
        Ok((words, detail))
    }

    /// One key of `pyvenv.cfg` stands nowhere else.
    fn guessed(&self, rungs: &Rungs, words: &mut Words, detail: &mut Map<String, Value>) -> anyhow::Result<()> {
        const KEY: &str = "include-system-site-packages";
        let writes = rungs.contains(&Repair::Config) || rungs.contains(&Repair::Rebuild);
        if writes && Cfg::read(&self.patient.root).context("cannot read pyvenv.cfg")?.get(KEY).is_none() {
            detail.insert("guessed".to_owned(), json!({KEY: false}));
            let guess = "guess that it was not to see the packages of its base, which nothing tells any more";
            words.say(guess, &guess.replacen("guess", "guessed", 1), "");
        }
        Ok(())
    }

    fn relinked(&self, targets: &[Finding], detail: &mut Map<String, Value>) -> anyhow::Result<String> {
        if targets.iter().all(|fault| fault.repair != Some(Repair::Relink) || fault.code.starts_with("lib64")) {
            return Ok("lib64 at lib".to_owned());
        }
        let found = self.interpreter()?;
        detail.insert("interpreter".to_owned(), json!(Subject::from(&found.path)));
        Ok(format!("bin/python at {} ({})", shown(&found.path), found.version))
    }

    fn rebuilt(&self, detail: &mut Map<String, Value>) -> anyhow::Result<String> {
        let (found, set) = (self.interpreter()?, self.packages()?);
        let packages = set.wanted();
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
        let noun = if packages == 1 { "package" } else { "packages" };
        Ok(format!("anew with {} ({}) and {packages} {noun} {source}", shown(&found.path), found.version))
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
