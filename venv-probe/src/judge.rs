//! The verdict on one environment: files first, a start only where files cannot tell, packages last.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use contract::path::{Subject, shown};
use contract::record::Status;
use contract::trust::Trust;
use contract::venv::{Finding, Layout, Level, Probe, Proof, ProofKind};

use crate::catalogue::{identity, interpreter as interpreter_catalogue};
use crate::classes::{Class, Classes};
use crate::config::Config;
use crate::findings::Findings;
use crate::interpreter::Interpreter;
use crate::layout::minor;
use crate::places::Places;
use crate::site::Site;
use crate::start::{Answer, Start};
use crate::startup::Startup;
use crate::{base, complaints, deep, interpreter, liveness, packages, places, scripts, startup};

/// When interpreters are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Spawn {
    /// Once for every environment
    Each,
    /// Once for all environments that share a base and execute the same start-up code
    Class,
    /// Never: files alone
    Never,
}

/// How far to look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) spawn: Spawn,
    pub(crate) deep: bool,
    pub(crate) timeout: Duration,
}

/// What all judgements of a run share.
pub(crate) struct Court {
    pub(crate) options: Options,
    pub(crate) classes: Classes,
    pub(crate) trust: Trust,
}

/// Judges what stands at `root`.
pub(crate) fn judge(root: &Path, layout: Layout, court: &Court) -> Probe {
    let started = Instant::now();
    let mut found = Findings::default();
    let mut probe = blank(layout, court.options.deep);
    match layout {
        Layout::Conda => {
            found.add(&identity::CONDA, "a conda environment; `conda doctor` judges it", None);
        }
        Layout::Windows => {
            found.add(&identity::FOREIGN_LAYOUT, "an environment of Windows, which cannot run here", None);
        }
        _ => environment(root, court, &mut probe, &mut found),
    }
    close(probe, found, started)
}

/// The verdict on a link or file that leads to an environment that is gone.
pub(crate) fn dangling(target: &Path, deep: bool) -> Probe {
    let mut found = Findings::default();
    let text = format!("redirects to {}, which is gone", shown(target));
    found.add(&identity::REDIRECT_DANGLING, text, Some(Subject::from(target)));
    close(blank(Layout::Redirect, deep), found, Instant::now())
}

fn blank(layout: Layout, deep: bool) -> Probe {
    Probe {
        status: Status::Unknown,
        layout,
        creator: None,
        python: None,
        minor: None,
        base: None,
        pip: None,
        packages: None,
        level: if deep { Level::Deep } else { Level::Default },
        proof: Proof { by: ProofKind::Files, of: None, why: None },
        faults: Vec::new(),
        notes: Vec::new(),
        took_ms: 0,
    }
}

fn close(mut probe: Probe, mut found: Findings, started: Instant) -> Probe {
    found.sort();
    if matches!(probe.layout, Layout::Venv | Layout::Redirect) {
        probe.status = found.status();
    }
    probe.faults = found.faults;
    probe.notes = found.notes;
    probe.took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    probe
}

fn environment(root: &Path, court: &Court, probe: &mut Probe, found: &mut Findings) {
    let config = match Config::read(root) {
        Ok(config) => config,
        Err(error) => {
            let path = root.join("pyvenv.cfg");
            found.add(&interpreter_catalogue::UNREADABLE, format!("{} cannot be read: {error}", shown(&path)), Some(Subject::from(&path)));
            return;
        }
    };
    let places = places::judge(root, found);
    let read = config.as_ref();
    let interpreter = interpreter::judge(root, read, &places.minors, court.options.deep, found);
    base::judge(root, read, &interpreter, found);
    let sites: Vec<PathBuf> = places.sites.iter().map(|(_, site)| site.clone()).collect();
    let scripts = scripts::judge(root, &sites, found);
    let subject = Patient::new(root, config, places, interpreter);
    startup::judge(&subject.startup, found);
    let answer = prove(&subject, court, probe, found);
    describe(&subject, answer.as_ref(), probe);
    let site = subject.site(answer.as_ref());
    let installed = packages::scan(&site);
    packages::judge(&installed, found);
    packages::judge_missing(root, &installed, found);
    complaints::blame(root, &installed, found);
    probe.packages = Some(installed.count());
    if site.folders.is_empty() {
        return;
    }
    let pip = packages::pip(&site, &installed, subject.config.seeded, scripts.pip, found);
    // What could not be read is neither there nor missing.
    probe.pip = (!found.has(&interpreter_catalogue::UNREADABLE)).then_some(pip);
    if court.options.deep {
        deep::judge(&site, &installed, found);
    }
}

/// What is known of an environment before anything is started.
pub(crate) struct Patient<'a> {
    pub(crate) root: &'a Path,
    pub(crate) config: Config,
    places: Places,
    pub(crate) interpreter: Interpreter,
    /// Site folders of the base that a start would read.
    bases: Vec<PathBuf>,
    startup: Startup,
}

/// What lies in a base's library and is not executed at a start: its own tests, and the packages of others.
const NOT_OF_THE_LIBRARY: [&str; 3] = ["test", "site-packages", "dist-packages"];

/// What lies beside a project's modules and is none.
const NO_MODULES: [&str; 2] = [".git", "node_modules"];

/// Whether files alone have shown that a start cannot succeed.
fn is_dead(fault: &Finding) -> bool {
    let of_interpreter =
        fault.code.starts_with("interpreter-") || ["stdlib-missing", "minor-version-moved", "unreadable"].contains(&fault.code.as_str());
    of_interpreter && fault.severity != Some(Status::Degraded)
}

/// Starts what must be started, and judges the answer.
fn prove(subject: &Patient<'_>, court: &Court, probe: &mut Probe, found: &mut Findings) -> Option<Answer> {
    let real = subject.interpreter.real.as_deref();
    // Of a dead one, too: whoever mends it executes what lies there.
    let breach = subject.breach(real, court);
    if let Some(why) = &breach {
        found.add(&interpreter_catalogue::NOT_TRUSTED, why.clone(), None);
    }
    let real = real?;
    if found.faults.iter().any(is_dead) {
        return None;
    }
    if let Some(why) = breach.or_else(|| subject.unfit(court.options.spawn)) {
        found.add(&interpreter_catalogue::NOT_STARTED, format!("no interpreter was started: {why}"), None);
        probe.proof.why = Some(why);
        return None;
    }
    let proven = court.classes.prove(subject.class(real, court.options.spawn), subject.root, court.options.timeout);
    let own = proven.of == subject.root;
    probe.proof =
        Proof { by: if own { ProofKind::Start } else { ProofKind::Class }, of: (!own).then(|| Subject::from(&proven.of)), why: None };
    let Start::Answered(answer) = proven.start else {
        liveness::judge(&proven.start, &subject.interpreter.path, &subject.startup, court.options.timeout, found);
        return None;
    };
    if own && !is_same_folder(&answer.prefix, subject.root) && !found.has(&identity::CONFIG_MISSING) {
        let text = format!("the interpreter takes {} for its environment", shown(&answer.prefix));
        found.add(&interpreter_catalogue::ESCAPES, text, Some(Subject::from(&answer.prefix)));
    }
    if own && !found.has(&identity::CONFIG_MISSING) {
        places::judge_path(&subject.places, &answer, found);
    }
    complaints::judge(&answer.stderr, &proven.of, subject.root, &subject.startup, found);
    match base::minor_of(&answer.version) {
        Some(version) if !subject.places.minors.is_empty() && !subject.places.minors.contains(&version) => {
            interpreter::minor_moved(version, &subject.places.minors, real, found);
        }
        _ => base::judge_patch(&answer, subject, court, found),
    }
    Some(answer)
}

impl<'a> Patient<'a> {
    fn new(root: &'a Path, config: Option<Config>, places: Places, interpreter: Interpreter) -> Self {
        // Without its configuration Python takes the base for its own.
        let inherits = config.as_ref().is_none_or(|config| config.system_site);
        let mut patient =
            Self { root, config: config.unwrap_or_default(), places, interpreter, bases: Vec::new(), startup: Startup::default() };
        if inherits {
            patient.bases = patient.minors().into_iter().flat_map(|minor| patient.inherited(minor, None)).collect();
        }
        patient.startup = startup::read(&patient.sites().chain(&patient.bases).cloned().collect::<Vec<_>>());
        patient
    }

    fn sites(&self) -> impl Iterator<Item = &PathBuf> {
        self.places.sites.iter().map(|(_, site)| site)
    }

    /// Who else decides what a start of this interpreter runs; not asked under `--spawn each`, which is the caller's word for it, nor
    /// under `--spawn never`, where nothing of it runs.
    pub(crate) fn breach(&self, real: Option<&Path>, court: &Court) -> Option<String> {
        if court.options.spawn != Spawn::Class {
            return None;
        }
        let below = |folder: &Path, except: &[&str]| court.trust.breach_below(folder, except);
        court
            .trust
            .breach(self.executed(real).iter().map(PathBuf::as_path))
            // By their real places, which most environments share.
            .or_else(|| {
                self.libraries(real)
                    .iter()
                    .filter_map(|path| fs::canonicalize(path).ok())
                    .find_map(|path| below(&path, &NOT_OF_THE_LIBRARY))
            })
            .or_else(|| self.anywhere().find_map(|folder| below(folder, &NO_MODULES)))
    }

    /// Where code may lie that a start executes and nothing names. For root, whose code may do anything, that is any folder whose path
    /// stands there.
    fn anywhere(&self) -> impl Iterator<Item = &PathBuf> {
        let named = rustix::process::geteuid().is_root().then_some(&self.startup.named);
        self.startup.folders.iter().chain(named.into_iter().flatten()).filter(|_| self.startup.boundless)
    }

    fn unfit(&self, spawn: Spawn) -> Option<String> {
        let old = self.places.minors.iter().any(|minor| *minor < (3, 4));
        match spawn {
            Spawn::Never => Some("--spawn never".to_owned()),
            _ if old => Some("a Python this old cannot be started in isolation".to_owned()),
            Spawn::Each | Spawn::Class => None,
        }
    }

    /// Everything that decides what a start runs: whoever can write to one of these can make us run anything.
    fn executed(&self, real: Option<&Path>) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = ["", "bin", "bin/python", "pyvenv.cfg", "lib"].iter().map(|below| self.root.join(below)).collect();
        paths.extend(real.map(Path::to_owned));
        paths.extend(self.config.home.clone());
        paths.extend(self.libraries(real));
        paths.extend(self.sites().flat_map(|site| [site.parent().map(Path::to_owned), Some(site.clone())]).flatten());
        paths.extend(self.bases.iter().cloned());
        paths.extend(self.startup.reached.iter().chain(&self.startup.named).cloned());
        paths
    }

    fn prefixes<'s>(&'s self, real: Option<&'s Path>) -> impl Iterator<Item = &'s Path> {
        [real.and_then(Path::parent), self.config.home.as_deref()].into_iter().flatten().filter_map(Path::parent)
    }

    /// The standard libraries that a start would use, and the shared ones that it would load.
    fn libraries(&self, real: Option<&Path>) -> Vec<PathBuf> {
        let minors = self.minors();
        self.prefixes(real).flat_map(|prefix| minors.iter().flat_map(move |minor| library(prefix, *minor))).collect()
    }

    /// Those of the packages; where there are none, what the interpreter's name says.
    fn minors(&self) -> BTreeSet<(u8, u8)> {
        let named = self.interpreter.real.as_deref().and_then(Path::file_name).and_then(minor);
        let known = self.places.minors.iter().copied();
        known.chain(named.filter(|_| self.places.minors.is_empty())).collect()
    }

    fn class(&self, real: &Path, spawn: Spawn) -> Class {
        Class {
            base: real.to_owned(),
            home: self.config.home.clone(),
            system_site: self.config.system_site,
            minors: self.places.minors.clone(),
            sites: self.places.sites.iter().filter_map(|(_, site)| site.strip_prefix(self.root).ok()).map(Path::to_owned).collect(),
            digest: self.startup.digest,
            alone: (spawn == Spawn::Each || self.startup.solitary || self.config.home.is_none()).then(|| self.root.to_owned()),
        }
    }

    fn site(&self, answer: Option<&Answer>) -> Site<'_> {
        let minor = answer.and_then(|answer| base::minor_of(&answer.version)).filter(|minor| self.places.minors.contains(minor));
        let minor = minor.or_else(|| self.places.minors.last().copied()).unwrap_or_default();
        let version = answer.map(|answer| answer.version.clone()).or_else(|| self.config.version.clone());
        Site {
            root: self.root,
            folders: self.places.of(minor),
            inherited: if self.config.system_site { self.inherited(minor, answer) } else { Vec::new() },
            minor,
            version: version.unwrap_or_else(|| format!("{}.{}", minor.0, minor.1)),
            implementation: answer
                .map(|answer| answer.implementation.clone())
                .or_else(|| self.config.implementation.clone())
                .unwrap_or_else(|| "cpython".to_owned()),
        }
    }

    /// Site folders of the base: as the interpreter said, else where they usually are.
    fn inherited(&self, (major, minor): (u8, u8), answer: Option<&Answer>) -> Vec<PathBuf> {
        let folders = answer.map_or_else(
            || {
                let prefix = self.config.home.as_deref().or(self.interpreter.real.as_deref().and_then(Path::parent)).and_then(Path::parent);
                let prefix = prefix.unwrap_or(Path::new("/usr"));
                let lib = format!("lib/python{major}.{minor}");
                vec![
                    prefix.join(&lib).join("site-packages"),
                    Path::new("/usr/local").join(&lib).join("dist-packages"),
                    PathBuf::from("/usr/lib/python3/dist-packages"),
                ]
            },
            |answer| answer.path.clone(),
        );
        let is_site = |folder: &PathBuf| folder.ends_with("site-packages") || folder.ends_with("dist-packages");
        let own: BTreeSet<_> = self.places.sites.iter().filter_map(|(_, site)| fs::canonicalize(site).ok()).collect();
        folders
            .into_iter()
            .filter(|folder| is_site(folder) && fs::canonicalize(folder).is_ok_and(|folder| !own.contains(&folder)))
            .collect()
    }
}

/// Where an installation keeps its standard library, and the shared library that the interpreter may need.
fn library(prefix: &Path, (major, minor): (u8, u8)) -> [PathBuf; 3] {
    ["lib/python", "lib64/python", "lib/libpython"].map(|name| {
        let end = if name.ends_with("libpython") { ".so.1.0" } else { "" };
        prefix.join(format!("{name}{major}.{minor}{end}"))
    })
}

fn describe(subject: &Patient<'_>, answer: Option<&Answer>, probe: &mut Probe) {
    probe.creator = subject.config.creator.map(str::to_owned);
    probe.python = answer.map(|answer| answer.version.clone()).or_else(|| subject.config.version.clone());
    probe.minor = subject.places.minors.last().map(|(major, minor)| format!("{major}.{minor}"));
    probe.base = subject.interpreter.real.as_ref().map(Subject::from);
}

fn is_same_folder(a: &Path, b: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
    matches!((identity(a), identity(b)), (Ok(a), Ok(b)) if a == b)
}
