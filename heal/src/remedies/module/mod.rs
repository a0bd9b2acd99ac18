//! `install-module`: a module that is not there, where the project itself declares what brings it, into its own environment and nowhere else.
//!
//! An import name is no name of a distribution: under most that differ, an index has something else. What is not declared is therefore
//! only told, and what a vetted map knows is installed where a person names it.

mod choose;
mod declared;
mod foresee;
mod install;
mod locks;
mod names;
mod near;
mod own;
mod poetry;
mod pyproject;
mod requirement;
mod requirements;
mod stdlib;
mod surroundings;
mod target;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use contract::path::shown;
use contract::redact;
use serde_json::{Value, json};

use self::choose::Lines;
use self::declared::Source;
use self::foresee::Only;
pub(crate) use self::install::Install;
use self::install::Tool;
use self::target::{Seen, Target, refused};
use super::{Change, Declined, Plan, Step};
use crate::arguments::Mend;
use crate::asked::Asked;
use crate::bounds::Bounds;

pub(super) fn plan(asked: &Asked, bounds: &Bounds, options: &Mend) -> Plan {
    judge(asked, bounds, options).unwrap_or_else(Plan::Declined)
}

/// Without `--force` nothing of the project and of its packages is run, so that an import is only proved by a run that acts.
fn judge(asked: &Asked, bounds: &Bounds, options: &Mend) -> Result<Plan, Declined> {
    let module = module(asked)?;
    let near = near(asked, bounds)?;
    let target = Target::choose(asked, &near, bounds, options)?;
    let seen = target.look(module)?;
    if seen.found == module.split('.').count() {
        return if options.force { target.import(module, bounds.root()).map(|()| Plan::Passes) } else { Ok(Plan::Passes) };
    }
    rule_out(module, &near, &target, &seen, bounds, options)?;
    let above = target.venv.parent().unwrap_or(bounds.root());
    let sources = declared::read(&[&near, above], bounds.root(), &seen.markers);
    let wanted = wanted(module, &seen, &sources, options)?;
    let tool = Tool::of(seen.pip).ok_or_else(|| {
        let why = format!("{} has no pip, and uv is not on PATH; install uv, or run `python -m ensurepip` in it", shown(&target.venv));
        refused("no-installer", why)
    })?;
    let Lines { requirements, limits, hashed, is_whole } = wanted.lines;
    let only = is_whole.then_some(Only { name: wanted.name, here: seen.markers });
    let install = Install { venv: target.venv, tool, lines: requirements, limits, hashed, only };
    Ok(Plan::Change(change(module, &wanted.requirement, wanted.declared_in.as_ref(), install)))
}

/// What is to be installed, and who says so.
struct Wanted {
    /// Normalised.
    name: String,
    requirement: String,
    declared_in: Option<Value>,
    lines: Lines,
}

fn wanted(module: &str, seen: &Seen, sources: &[Source], options: &Mend) -> Result<Wanted, Declined> {
    if let Some(chosen) = choose::declared(module, seen.found, sources)? {
        let place = json!({ "file": contract::path::Subject::from(&*chosen.one.file), "line": chosen.one.number });
        return Ok(Wanted {
            name: chosen.one.name.clone(),
            requirement: chosen.one.shown(),
            declared_in: Some(place),
            lines: chosen.lines()?,
        });
    }
    let name = choose::allowed(module, &options.allow_new, sources)?;
    // It comes from where the project takes the rest.
    let index = sources.iter().find(|source| !source.options.is_empty() && source.refusal.is_none());
    let mut requirements = index.map(|source| source.options.clone()).unwrap_or_default();
    requirements.push(name.to_owned());
    Ok(Wanted { name: name.to_owned(), requirement: name.to_owned(), declared_in: None, lines: Lines { requirements, ..Lines::default() } })
}

fn change(module: &str, requirement: &str, declared_in: Option<&Value>, install: Install) -> Change {
    let excerpts = |lines: &[String]| lines.iter().map(|line| redact::excerpt(line)).collect::<Vec<_>>();
    let detail = json!({
        "module": module,
        "requirement": requirement,
        "declared_in": declared_in,
        "allowed": declared_in.is_none(),
        "environment": contract::path::Subject::from(&*install.venv),
        "argv": install.argv(),
        "requirements": excerpts(&install.lines),
        "constraints": excerpts(&install.limits),
    });
    let by = if declared_in.is_some() { "which the project declares" } else { "which --allow-new allows" };
    let words = format!("install {requirement}, {by}, with {}: it brings {module}", install.name());
    Change { target: install.venv.clone(), words, detail, steps: vec![Step::Install(install)], check: None }
}

/// Whether a dotted name can be meant of what is not the project's: Python itself has or had it, an environment has it, the project declares
/// it, or the vetted map knows it.
pub(super) fn is_foreign(module: &str, python: &Path, near: &Path, bounds: &Bounds) -> anyhow::Result<bool> {
    let top = module.split('.').next().unwrap_or(module);
    let seen = Seen::by(python, top).map_err(|why| anyhow::anyhow!("{} did not answer: {why}", shown(python)))?;
    let is_elsewhere = |origin: &str| !crate::project::is_own(Path::new(origin), bounds);
    let is_installed =
        seen.origin.as_deref().is_some_and(is_elsewhere) || own::elsewhere(top, near, bounds.root(), Path::new("")).is_some();
    // A lock lists the project itself, too.
    let is_declared = || {
        let sources = declared::read(&[near], bounds.root(), &seen.markers);
        own::project(top, near, bounds.root()).is_none() && !matches!(choose::declared(module, 0, &sources), Ok(None))
    };
    Ok(seen.stdlib || stdlib::absent(module, seen.minor()).is_some() || is_installed || names::is_known(module) || is_declared())
}

/// The dotted name of a module.
fn module(asked: &Asked) -> Result<&str, Declined> {
    let module = asked.text("module").ok_or_else(|| refused("no-module", "which module is missing is not told"))?;
    if module.starts_with('.') || module == "__main__" || module.starts_with("__main__.") {
        let why = "it is a relative import of what was not run as a part of its package; run it with `python -m PACKAGE.MODULE`";
        return Err(refused("relative-import", why));
    }
    let is_name = |part: &str| !part.starts_with(|c: char| c.is_ascii_digit()) && part.chars().all(|c| c.is_alphanumeric() || c == '_');
    if module.len() > 200 || !module.split('.').all(|part| !part.is_empty() && is_name(part)) {
        return Err(refused("no-module", format!("`{}` is no name of a module", redact::excerpt(module))));
    }
    Ok(module)
}

/// The folder of what failed, or where we are.
fn near(asked: &Asked, bounds: &Bounds) -> Result<PathBuf, Declined> {
    let Some(file) = asked.path("file") else { return Ok(bounds.based(Path::new(""))) };
    let file = bounds.place(&file).map_err(|e| refused("outside", format!("{e:#}")))?;
    Ok(file.parent().unwrap_or(bounds.root()).to_owned())
}

/// What installing does not help.
fn rule_out(module: &str, near: &Path, target: &Target, seen: &Seen, bounds: &Bounds, options: &Mend) -> Result<(), Declined> {
    let top = module.split('.').next().unwrap_or(module);
    if let Some(why) = stdlib::absent(module, seen.minor()) {
        return Err(refused("stdlib-version", why));
    }
    if seen.stdlib {
        let why =
            format!("{top} is a part of Python itself, which the Python of {} was built without; use another build", shown(&target.venv));
        return Err(refused("stdlib-part", why));
    }
    if let Some(path) = own::module(top, bounds.root()) {
        let why = format!("the project has {top} itself, at {}", shown(&path));
        let instead = if module == top { String::new() } else { format!("look whether {module} moved or is spelt otherwise; ") };
        let where_from = "run it from the folder where Python finds it, or install the project (`pip install -e .`)";
        return Err(refused("own-module", format!("{why}: {instead}{where_from}")));
    }
    if let Some(path) = own::project(top, near, bounds.root()) {
        let why = format!("{top} is the project itself, as {} says; install it (`pip install -e .`)", shown(&path));
        return Err(refused("own-project", why));
    }
    if seen.found > 0 && !seen.namespace {
        let place = seen.origin.as_deref().map(|origin| format!(" ({})", shown(Path::new(origin)))).unwrap_or_default();
        let why = format!("{top} is installed{place}, and this version of it has no {module}; ask for a version that has it");
        return Err(refused("submodule-missing", why));
    }
    let other = options.python.is_none().then(|| own::elsewhere(top, near, bounds.root(), &target.venv)).flatten();
    other.filter(|_| seen.found == 0).map_or(Ok(()), |venv| {
        let why = format!("{top} is not in {}, and it is in {}", shown(&target.venv), shown(&venv));
        let instead = "run it with the bin/python of that one, or name by --python the one that it is to go into";
        Err(refused("other-environment", format!("{why}; {instead}")))
    })
}
