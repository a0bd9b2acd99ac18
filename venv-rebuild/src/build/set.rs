//! Which packages the new environment gets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::missing::{self, Missing};
use contract::path::shown;
use contract::venv::Probe;

use super::closure::needed;
use super::dist::Dist;
use super::markers::{Markers, allows, requirement};
use super::options::Options;
use super::pin::Pin;
use super::recovered::{Recovered, recover};
use super::remains::Remains;
use super::requirements::Requirements;
use super::{carry, locks, ours, project, redact, requirements};

/// Where the package set comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A lock file of the project.
    Lock(PathBuf),
    /// A requirements file of the project, or its pyproject.toml.
    Requirements(PathBuf),
    /// The metadata of what is installed in the broken environment.
    Recovered,
}

/// The packages of one environment.
#[derive(Clone, Debug)]
pub(crate) struct PackageSet {
    /// Where `pins` come from.
    pub(crate) source: Source,
    /// The files that say so.
    files: Vec<PathBuf>,
    /// What the source brings.
    pub(crate) pins: Vec<Pin>,
    /// What the broken environment holds and the source does not bring; restored behind it unless only the source is wanted.
    pub(crate) not_in_source: Vec<Pin>,
    /// Names that cannot be had again, each with the reason.
    pub(crate) unrecoverable: Vec<(String, String)>,
    /// Options of the requirements file that the installer gets, without secrets.
    pub(crate) options: Vec<String>,
    /// The same with secrets, as lines of a requirements file.
    pub(super) lines: Vec<String>,
    /// Whether the pins are all there is, dependencies included.
    pub(super) exact: bool,
    /// The project's own bounds for what is resolved.
    pub(super) limits: Vec<Pin>,
    /// What is installed in the broken environment, by name.
    pub(super) installed: BTreeMap<String, Pin>,
    /// The same, as it lies there.
    pub(super) dists: BTreeMap<String, Dist>,
    /// Names of those that no installer can bring again and that are good enough to be copied.
    pub(super) to_carry: Vec<String>,
    /// Metadata of those that have no RECORD and are carried over as they lie there.
    pub(crate) as_it_is: Vec<PathBuf>,
    /// (major, minor) of the library that it lies in.
    pub(super) minor: Option<(u8, u8)>,
    /// The broken environment.
    pub(super) venv: PathBuf,
    /// The installed versions that the source allows.
    pub(super) kept: Vec<Pin>,
    /// Whether what the source does not bring is left out.
    pub(super) only_source: bool,
    /// The folder that the installer runs in: the project's, whose configuration of the installer counts.
    pub(super) folder: PathBuf,
}

/// Decides which packages the new environment gets: the nearest lock or requirements file within the project, else what the broken
/// environment's own metadata says.
///
/// # Errors
/// The project's file cannot be read, or holds what cannot be honoured exactly; or [`super::Untrusted`].
pub(crate) fn package_set(venv: &Path, probe: &Probe, options: &Options) -> anyhow::Result<PackageSet> {
    let remains = Remains::of(venv);
    let found = remains.library().map(|library| with_missing(venv, recover(venv, &library.packages))).transpose()?;
    let set = match project::source(venv) {
        Some(source) => from_project(source, found.unwrap_or_default(), &markers(&remains, probe, options)?, options)?,
        None => found.map_or_else(nothing_left, recovered),
    };
    let is_other = options.python.is_some_and(|wanted| Some(wanted) != remains.minor());
    let set = if is_other { set } else { with_copies(as_they_lie(set, probe), venv) };
    let folder = set.source.path().and_then(Path::parent).or(venv.parent()).unwrap_or(venv).to_owned();
    ours::files(&set.files, &folder)?;
    ours::sources(set.pins.iter().chain(&set.not_in_source).chain(&set.limits), &set.lines)?;
    Ok(PackageSet { folder, venv: venv.to_owned(), minor: remains.library().map(|library| library.minor), ..set })
}

/// What an earlier rebuild could not bring back was installed once, too.
fn with_missing(venv: &Path, mut found: Recovered) -> anyhow::Result<Recovered> {
    let missing = missing::read(venv).with_context(|| format!("cannot read {} in {}", missing::FILE, shown(venv)))?;
    for Missing { name, version, why } in missing.into_iter().filter(|missing| !found.dists.contains_key(&missing.name)) {
        match version.and_then(|version| Pin::exact(&name, &version).ok()) {
            Some(pin) => drop(found.pins.insert(name, pin)),
            None => found.unrecoverable.push((name, why)),
        }
    }
    Ok(found)
}

/// Takes out what setuptools or distutils installed without a RECORD, unless the source brings it or it is damaged: nothing tells which
/// files it has, so they stay where they are and its metadata with them.
fn as_they_lie(mut set: PackageSet, probe: &Probe) -> PackageSet {
    let is_damaged = |name: &str| probe.faults.iter().any(|fault| fault.package.as_ref().is_some_and(|package| package.name == name));
    let is_recovered = set.source == Source::Recovered;
    let is_left = |name: &str| {
        set.not_in_source.iter().map(|pin| &pin.name).chain(set.unrecoverable.iter().map(|(name, _)| name)).any(|left| left == name)
    };
    let is_due = |name: &str| is_recovered || is_left(name);
    let eggs = set.dists.iter().filter(|(_, dist)| dist.info.extension().is_some_and(|ending| ending == "egg-info"));
    let eggs = eggs.filter(|(name, _)| !is_seed(name) && !is_damaged(name) && is_due(name) && !set.only_source);
    let names: BTreeSet<String> = eggs.map(|(name, _)| name.clone()).collect();
    set.as_it_is = names.iter().filter_map(|name| set.dists.get(name)).map(|dist| dist.info.clone()).collect();
    if is_recovered {
        set.pins.retain(|pin| !names.contains(&pin.name));
    }
    set.not_in_source.retain(|pin| !names.contains(&pin.name));
    set.unrecoverable.retain(|(name, _)| !names.contains(name));
    set.installed.retain(|name, _| !names.contains(name));
    set
}

/// Takes from the unrecoverable what can be copied.
fn with_copies(set: PackageSet, venv: &Path) -> PackageSet {
    let is_good = |name: &str| !set.only_source && set.dists.get(name).is_some_and(|dist| carry::proven(venv, dist).is_ok());
    let (good, lost): (Vec<_>, Vec<_>) = set.unrecoverable.iter().cloned().partition(|(name, _)| is_good(name));
    PackageSet { unrecoverable: lost, to_carry: good.into_iter().map(|(name, _)| name).collect(), ..set }
}

fn markers(remains: &Remains, probe: &Probe, options: &Options) -> anyhow::Result<Markers> {
    let minor = options.python.or_else(|| remains.minor());
    let full = [probe.python.as_deref(), remains.setting("version"), remains.setting("version_info"), probe.minor.as_deref()];
    let fits = |version: &&str| minor.is_none() || super::remains::minor(version) == minor;
    let full = full.into_iter().flatten().find(fits).map(|version| version.trim_end_matches(".final.0").to_owned());
    let version = full.or_else(|| minor.map(|(major, minor)| format!("{major}.{minor}"))).context("nothing tells its Python version")?;
    let implementation = remains.library().map_or("cpython", |library| library.implementation);
    Markers::of(&version, implementation)
}

fn recovered(found: Recovered) -> PackageSet {
    PackageSet {
        pins: found.pins.values().cloned().collect(),
        unrecoverable: found.unrecoverable,
        installed: found.pins,
        dists: found.dists,
        ..PackageSet::of(Source::Recovered)
    }
}

/// An environment without packages is better than one that does not start, and is not what was there.
fn nothing_left() -> PackageSet {
    let why = "no site-packages is left that says what was installed".to_owned();
    PackageSet { unrecoverable: vec![("every package".to_owned(), why)], ..PackageSet::of(Source::Recovered) }
}

fn from_project(source: Source, found: Recovered, markers: &Markers, options: &Options) -> anyhow::Result<PackageSet> {
    let (asked, exact) = match &source {
        Source::Lock(path) => (locks::read(path, markers, &found.pins)?, true),
        Source::Requirements(path) => {
            let asked = requirements::read(path)?;
            let exact = asked.wanted.iter().all(|pin| !pin.hashes.is_empty());
            (asked, exact)
        }
        Source::Recovered => return Ok(recovered(found)),
    };
    let brought = brought(&asked, &found, markers, exact);
    let missing = found.pins.values().filter(|pin| !brought.contains(&pin.name) && !is_seed(&pin.name));
    let lost = found.unrecoverable.into_iter().filter(|(name, _)| !brought.contains(name));
    Ok(PackageSet {
        not_in_source: missing.cloned().collect(),
        unrecoverable: lost.chain(asked.unreadable).collect(),
        options: asked.options.iter().map(|line| redact::excerpt(line)).collect(),
        kept: kept(&asked.wanted, &found.pins),
        pins: asked.wanted,
        lines: asked.options,
        files: asked.files,
        exact,
        limits: asked.constraints,
        installed: found.pins,
        dists: found.dists,
        only_source: options.only_source,
        ..PackageSet::of(source)
    })
}

impl Source {
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Lock(path) | Self::Requirements(path) => Some(path),
            Self::Recovered => None,
        }
    }
}

impl PackageSet {
    /// How many packages the new environment is to have.
    pub(crate) fn wanted(&self) -> usize {
        self.pins.len() + self.not_in_source.len()
    }

    /// Nothing, from there.
    fn of(source: Source) -> Self {
        Self {
            source,
            files: Vec::new(),
            pins: Vec::new(),
            not_in_source: Vec::new(),
            unrecoverable: Vec::new(),
            options: Vec::new(),
            lines: Vec::new(),
            exact: true,
            limits: Vec::new(),
            installed: BTreeMap::new(),
            dists: BTreeMap::new(),
            to_carry: Vec::new(),
            as_it_is: Vec::new(),
            minor: None,
            venv: PathBuf::new(),
            kept: Vec::new(),
            only_source: false,
            folder: PathBuf::new(),
        }
    }
}

/// What belongs to every environment and is nobody's requirement.
pub(super) fn is_seed(name: &str) -> bool {
    matches!(name, "pip" | "setuptools" | "wheel")
}

/// The names that the source brings: those in it and, where it is no lock, what they need.
fn brought(asked: &Requirements, found: &Recovered, markers: &Markers, exact: bool) -> BTreeSet<String> {
    let extras = |pin: &Pin| requirement(&pin.line).map(|parsed| parsed.extras).unwrap_or_default();
    // A path tells no name, but what was installed from it has one.
    let from = |pin: &Pin| found.pins.values().find(|was| pin.name.contains("://") && was.line.ends_with(&pin.name));
    let named = |pin: &Pin| from(pin).map_or(&pin.name, |was| &was.name).clone();
    let wanted: Vec<_> = asked.wanted.iter().map(|pin| (named(pin), extras(pin))).collect();
    if exact { wanted.into_iter().map(|(name, _)| name).collect() } else { needed(&found.dists, &wanted, markers) }
}

/// A rebuild is no upgrade: what is installed stays at its version as far as the project's file allows it.
fn kept(wanted: &[Pin], installed: &BTreeMap<String, Pin>) -> Vec<Pin> {
    let forbids = |pin: &Pin, version: &str| match requirement(&pin.line) {
        Some(parsed) => !allows(&parsed, version),
        None => true,
    };
    let releases = installed.values().filter(|pin| pin.line.contains("==") && !is_seed(&pin.name));
    releases
        .filter(|pin| {
            let version = pin.version.as_deref().unwrap_or_default();
            !wanted.iter().any(|asked| asked.name == pin.name && forbids(asked, version))
        })
        .cloned()
        .collect()
}
