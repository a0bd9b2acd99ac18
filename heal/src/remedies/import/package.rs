//! A folder of the project that is no package for want of `__init__.py`, so that a package of its name elsewhere goes before it.

use std::fs;
use std::path::{Path, PathBuf};

use contract::path::shown;
use serde_json::json;

use super::statement::From;
use super::{Case, Judged, Want, project, survey};
use crate::bounds::Bounds;
use crate::remedies::{Change, Plan, Step};

/// Judges a statement that takes modules from a package, if the one that it found is not the project's.
pub(super) fn judged(case: &Case<'_>, from: &From, names: &[&str]) -> anyhow::Result<Option<Judged>> {
    if from.level > 0 || case.asked.text("provider").is_none() {
        return Ok(None);
    }
    if project::provider(case).is_some_and(|provider| crate::project::is_own(&provider, case.bounds)) {
        return Ok(None);
    }
    let has_all = |entry: &PathBuf| names.iter().all(|name| project::is_module(entry, &submodule(&from.path, name)));
    let mut entries = project::entries(case);
    entries.retain(has_all);
    let Some(entry) = entries.pop() else { return Ok(None) };
    if !entries.is_empty() {
        return Judged::declined(format!("several folders of the project have {}", from.path.join("."))).map(Some);
    }
    let init = entry.join(from.path.iter().collect::<PathBuf>()).join("__init__.py");
    match init.metadata() {
        // One that has something in it is no such case.
        Ok(meta) => Ok((meta.len() == 0).then(|| Judged::Present(entry, wants(from, names)))),
        Err(_) => missing(case, from, &init).map(Some),
    }
}

fn missing(case: &Case<'_>, from: &From, init: &Path) -> anyhow::Result<Judged> {
    let name = from.path.join(".");
    let top = Want { module: from.path[0].clone(), name: String::new() };
    if survey::library(case.judge.python(), &[top])? == [true] {
        return Judged::declined(format!(
            "{name} is called as a module of the standard library, which it would hide: give the folder another name"
        ));
    }
    let folder = init.parent().unwrap_or(init);
    if !have_all(&siblings(folder, case.bounds)?) {
        return Judged::declined(format!("{} has no __init__.py, and the folders beside it do not all have one", shown(folder)));
    }
    let file = case.bounds.place(init)?;
    let words = format!("make it, empty: without it another {name} goes before it");
    let steps = vec![Step::Write { file: file.clone(), before: None, text: Vec::new() }];
    Ok(Judged::Plan(Plan::Change(Change { target: file, words, detail: json!({ "empty": true }), steps, check: None })))
}

/// The other folders beside one that have sources in them.
fn siblings(folder: &Path, bounds: &Bounds) -> anyhow::Result<Vec<PathBuf>> {
    let beside = fs::read_dir(folder.parent().unwrap_or(folder))?.collect::<Result<Vec<_>, _>>()?;
    let is_sibling =
        |path: &PathBuf| path != folder && path.is_dir() && crate::project::is_own(&path.join("x"), bounds) && has_sources(path);
    Ok(beside.iter().map(fs::DirEntry::path).filter(is_sibling).collect())
}

fn has_sources(folder: &Path) -> bool {
    let mut files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.any(|file| file.path().extension().is_some_and(|end| end == "py"))
}

fn have_all(folders: &[PathBuf]) -> bool {
    !folders.is_empty() && folders.iter().all(|folder| folder.join("__init__.py").is_file())
}

fn submodule(path: &[String], name: &str) -> Vec<String> {
    path.iter().cloned().chain([name.to_owned()]).collect()
}

fn wants(from: &From, names: &[&str]) -> Vec<Want> {
    names.iter().map(|name| Want { module: from.path.join("."), name: (*name).to_owned() }).collect()
}
