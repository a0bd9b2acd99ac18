//! The new environment, built aside.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use anyhow::Context as _;

use super::dist::installed;
use super::install::{Session, Way};
use super::interpreter::Interpreter;
use super::pin::Pin;
use super::remains::Remains;
use super::set::{PackageSet, is_seed};
use super::spec::Spec;
use super::tool::{Tool, bundled_version, uv};
use super::{Failed, Run, carry, seed, skeleton};
use crate::relocate;

/// What a build came to.
#[derive(Debug)]
pub(crate) struct Built {
    /// The installer that did it: `uv`, `pip`.
    pub(crate) installer: &'static str,
    /// What could not be installed, each with the reason. Everything else is there.
    pub(crate) failed: Failed,
    /// What has another version than before.
    pub(crate) changed: Vec<Change>,
    /// Names that no installer could bring and that were copied from the broken environment, proven by their hashes.
    pub(crate) carried: Vec<String>,
}

/// A distribution whose version changed, as the project's file wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Its normalised name.
    pub(crate) name: String,
    /// Its version in the broken environment.
    pub(crate) was: String,
    /// Its version now.
    pub(crate) now: String,
}

/// Builds the environment in `aside`, which does not exist yet, and makes its scripts, activate files and configuration say `final_path`.
///
/// # Errors
/// The environment itself cannot be made, or `run` fails. A package that cannot be installed is no error.
pub(crate) fn create(
    spec: &Spec,
    interpreter: &Interpreter,
    set: &PackageSet,
    aside: &Path,
    final_path: &Path,
    run: &mut Run<'_>,
) -> anyhow::Result<Built> {
    skeleton::make(spec, interpreter, aside, final_path, run)?;
    let python = aside.join("bin/python");
    if spec.with_pip && uv(spec.installer)?.is_none() && !brings_itself(set, &python) {
        seed::ensure(aside, spec, run)?;
    }
    let base = base(aside, spec, interpreter);
    let mut session = Session::plain(Tool::choose(spec.installer, &python)?, python, set.folder.clone(), run);
    session.base = base.map(Path::to_owned);
    (session.options, session.limits, session.kept) = (set.lines.clone(), set.limits.clone(), set.kept.clone());
    session.fresh = spec.fresh;
    let mut failed = session.install(wanted(spec, set), if set.exact { &Way::EXACT } else { &Way::RESOLVED })?;
    let mut there = present(aside)?;
    let missing = missing(&there, spec, set, &failed);
    if !missing.is_empty() {
        failed.extend(session.install(missing, &Way::EXACT)?);
        there = present(aside)?;
    }
    let installer = session.tool.name();
    let not_there = not_there(&there, spec, set, &failed);
    failed.extend(not_there.into_iter().map(|pin| (pin, format!("{installer} reports no error, and it is not there"))));
    let carried = carry_over(spec, set, aside, &there, &mut failed)?;
    if !carried.is_empty() {
        there = present(aside)?;
    }
    // The pip and setuptools of long ago may be nowhere to be had: those that come with the interpreter do.
    if spec.with_pip && !there.contains_key("pip") {
        seed::ensure(aside, spec, run)?;
        there = present(aside)?;
    }
    failed.retain(|(pin, _)| !is_seed(&pin.name) || !there.contains_key(&pin.name));
    settle(aside, final_path, base, &carried).context("cannot make the new environment say where it will stand")?;
    Ok(Built { installer, failed, changed: changed(&there, set), carried })
}

/// The interpreter, where whoever made the environment has linked it by the path that it calls itself, which is what uv writes into scripts
/// for it. Those of a relocatable environment find theirs from where they stand.
fn base<'a>(aside: &Path, spec: &Spec, interpreter: &'a Interpreter) -> Option<&'a Path> {
    let own_name = interpreter.path.file_name()?;
    let mut names = [own_name, OsStr::new("python")].into_iter();
    let is_linked = names.any(|name| aside.join("bin").join(name).read_link().is_ok_and(|target| target == interpreter.path));
    (is_linked && !spec.relocatable).then_some(&interpreter.path)
}

/// Whether the pip that comes with the interpreter is the one to have: run from its wheel, it installs itself with all the rest, and pip is
/// started once and not twice.
fn brings_itself(set: &PackageSet, python: &Path) -> bool {
    let version = bundled_version(python);
    set.pins.iter().any(|pin| pin.name == "pip" && pin.hashes.is_empty() && pin.version.is_some() && pin.version == version)
}

/// Copies what could not be installed from the broken environment where that is as good as installing it; returns the names.
fn carry_over(spec: &Spec, set: &PackageSet, aside: &Path, there: &Versions, failed: &mut Failed) -> anyhow::Result<Vec<String>> {
    let mut carried = Vec::new();
    // One that is not whole stays in the list of what could not be installed, with the installer's reason.
    let proven = |pin: &Pin| {
        let dist = set.dists.get(&pin.name).filter(|dist| set.minor == Some(spec.minor) && pin.allows(&dist.version))?;
        Some((dist.name.clone(), carry::proven(&set.venv, dist).ok()?))
    };
    let known = set.to_carry.iter().filter_map(|name| set.dists.get(name));
    let known = known.map(|dist| Ok((dist.name.clone(), carry::proven(&set.venv, dist)?))).collect::<anyhow::Result<Vec<_>>>()?;
    for (name, files) in failed.iter().filter_map(|(pin, _)| proven(pin)).chain(known).filter(|(name, _)| !there.contains_key(name)) {
        carry::over(&set.venv, aside, &files)?;
        carried.push(name);
    }
    carried.sort();
    failed.retain(|(pin, _)| !carried.contains(&pin.name));
    Ok(carried)
}

/// What was carried over has scripts of the place where the broken environment was made, which need not be where it stands.
fn settle(aside: &Path, final_path: &Path, base: Option<&Path>, carried: &[String]) -> anyhow::Result<()> {
    let mut roots = if carried.is_empty() { Vec::new() } else { relocate::stale_roots(aside, final_path)? };
    roots.extend([Some(aside), base].into_iter().flatten().map(Path::to_owned));
    relocate::rewrite(aside, &roots.iter().map(AsRef::as_ref).collect::<Vec<&Path>>(), final_path)
}

/// pip is no package of the project, unless the project says so.
fn wanted(spec: &Spec, set: &PackageSet) -> Vec<Pin> {
    set.pins.iter().filter(|pin| spec.with_pip || pin.name != "pip").cloned().collect()
}

/// Versions by name.
type Versions = BTreeMap<String, String>;

fn present(venv: &Path) -> anyhow::Result<Versions> {
    let remains = Remains::of(venv);
    let library = remains.library().context("the new environment has no site-packages")?;
    Ok(installed(&library.packages).0.into_iter().map(|dist| (dist.name, dist.version)).collect())
}

/// What was there and is not, however it came: it is put back at the version that it had.
fn missing(there: &Versions, spec: &Spec, set: &PackageSet, failed: &[(Pin, String)]) -> Vec<Pin> {
    let is_due =
        |name: &str| !there.contains_key(name) && !failed.iter().any(|(pin, _)| pin.name == name) && (spec.with_pip || name != "pip");
    set.installed.values().filter(|pin| !set.only_source && is_due(&pin.name)).cloned().collect()
}

/// What should be there and is not, and nobody said so. A marker may leave a requirement out, and an address tells no name.
fn not_there(there: &Versions, spec: &Spec, set: &PackageSet, failed: &[(Pin, String)]) -> Vec<Pin> {
    let is_told = |pin: &Pin| failed.iter().any(|(other, _)| other.name == pin.name);
    let is_due = |pin: &Pin| !pin.line.contains(';') && !pin.name.contains("://") && !is_seed(&pin.name);
    let also = set.installed.values().filter(|pin| !set.only_source && !set.pins.iter().any(|other| other.name == pin.name)).cloned();
    wanted(spec, set).into_iter().chain(also).filter(|pin| is_due(pin) && !is_told(pin) && !there.contains_key(&pin.name)).collect()
}

fn changed(there: &Versions, set: &PackageSet) -> Vec<Change> {
    let differ = set.installed.iter().filter_map(|(name, pin)| {
        let (was, now) = (pin.version.as_ref()?, there.get(name)?);
        (was != now).then(|| Change { name: name.clone(), was: was.clone(), now: now.clone() })
    });
    differ.collect()
}
