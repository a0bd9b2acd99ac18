//! `pyproject.toml`: dependencies (PEP 621), and groups of them (PEP 735).

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::wish::Wish;
use crate::bounded::text;
use crate::deep::markers::Markers;
use crate::deep::requirement;
use crate::packages::name::normal;

#[derive(Deserialize)]
struct Pyproject {
    project: Option<Project>,
    #[serde(default, rename = "dependency-groups")]
    groups: BTreeMap<String, Vec<toml::Value>>,
    #[serde(default)]
    tool: toml::Table,
}

#[derive(Deserialize)]
struct Project {
    name: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
    #[serde(default, rename = "optional-dependencies")]
    optional: BTreeMap<String, Vec<String>>,
}

/// Reads what the project demands; `None` where it demands nothing here, or leaves it to another file (`dynamic`).
pub(super) fn read(file: &Path, markers: &Markers) -> Option<Wish> {
    let pyproject = parse(file)?;
    let demands = pyproject.project.as_ref().is_some_and(|project| !project.dependencies.is_empty());
    let other_tool = pyproject.tool.get("poetry").is_some_and(|poetry| poetry.get("dependencies").is_some());
    (demands || other_tool).then(|| wish(file, &pyproject, markers))
}

/// Reads every name that the project mentions.
pub(super) fn names(file: &Path, markers: &Markers) -> Option<Wish> {
    Some(wish(file, &parse(file)?, markers))
}

fn parse(file: &Path) -> Option<Pyproject> {
    toml::from_str(&text(file)?).ok()
}

fn wish(file: &Path, pyproject: &Pyproject, markers: &Markers) -> Wish {
    let mut wish = Wish::new(file, false);
    if let Some(project) = &pyproject.project {
        take(&mut wish, &project.dependencies, true, markers);
        // A project may ask for extras of its own; it need not be installed itself.
        if let Some(name) = project.name.as_deref().map(normal) {
            wish.required.remove(&name);
            wish.known.insert(name);
        }
        for names in project.optional.values() {
            take(&mut wish, names, false, markers);
        }
    }
    for group in pyproject.groups.values() {
        let names: Vec<_> = group.iter().filter_map(|entry| entry.as_str().map(str::to_owned)).collect();
        take(&mut wish, &names, false, markers);
    }
    // These say in their own way what they ask for.
    wish.open |= ["poetry", "pdm", "hatch", "uv", "flit"].iter().any(|tool| pyproject.tool.get(*tool).is_some_and(asks));
    wish
}

fn asks(tool: &toml::Value) -> bool {
    ["dependencies", "group", "dev-dependencies", "envs", "metadata"].iter().any(|key| tool.get(key).is_some())
}

fn take(wish: &mut Wish, lines: &[String], must: bool, markers: &Markers) {
    for line in lines {
        match requirement::read(line) {
            Some(requirement) => wish.add(&requirement, must, markers),
            None => wish.open = true,
        }
    }
}
