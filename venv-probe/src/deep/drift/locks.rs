//! Locks that are flat lists: poetry.lock, pdm.lock, pylock.toml (PEP 751), Pipfile.lock.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::wish::{Wish, holds};
use crate::bounded::text;
use crate::deep::markers::Markers;

#[derive(Deserialize)]
struct Poetry {
    #[serde(default)]
    package: Vec<PoetryPackage>,
}

#[derive(Deserialize)]
struct PoetryPackage {
    name: String,
    version: String,
    #[serde(default)]
    optional: bool,
    /// Absent before Poetry 2: then nothing says what is for development only.
    #[serde(default)]
    groups: Vec<String>,
    markers: Option<PoetryMarkers>,
    source: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PoetryMarkers {
    ForAll(String),
    ByGroup(BTreeMap<String, String>),
}

impl PoetryPackage {
    fn marker(&self) -> Option<&str> {
        match self.markers.as_ref()? {
            PoetryMarkers::ForAll(marker) => Some(marker),
            PoetryMarkers::ByGroup(markers) => markers.get("main").map(String::as_str),
        }
    }
}

/// Reads poetry.lock.
pub(super) fn poetry(file: &Path, markers: &Markers) -> Option<Wish> {
    let lock: Poetry = toml::from_str(&text(file)?).ok()?;
    let mut wish = Wish::new(file, true);
    for package in &lock.package {
        let must = !package.optional && package.groups.iter().any(|group| group == "main") && holds(package.marker(), markers);
        wish.lock(&package.name, package.source.is_none().then_some(&package.version), must);
    }
    Some(wish)
}

#[derive(Deserialize)]
struct Pdm {
    #[serde(default)]
    package: Vec<PdmPackage>,
}

#[derive(Deserialize)]
struct PdmPackage {
    name: String,
    version: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
    marker: Option<String>,
    path: Option<IgnoredAny>,
    git: Option<IgnoredAny>,
    url: Option<IgnoredAny>,
}

/// Reads pdm.lock.
pub(super) fn pdm(file: &Path, markers: &Markers) -> Option<Wish> {
    let lock: Pdm = toml::from_str(&text(file)?).ok()?;
    let mut wish = Wish::new(file, true);
    for package in &lock.package {
        let from_index = package.path.is_none() && package.git.is_none() && package.url.is_none();
        let must = from_index && package.groups.iter().any(|group| group == "default") && holds(package.marker.as_deref(), markers);
        wish.lock(&package.name, package.version.as_deref().filter(|_| from_index), must);
    }
    Some(wish)
}

#[derive(Deserialize)]
struct Pylock {
    #[serde(default)]
    packages: Vec<PylockPackage>,
}

#[derive(Deserialize)]
struct PylockPackage {
    name: String,
    version: Option<String>,
    marker: Option<String>,
    vcs: Option<IgnoredAny>,
    directory: Option<IgnoredAny>,
    archive: Option<IgnoredAny>,
}

/// Reads pylock.toml. Its markers for groups and extras are no markers of PEP 508: what they guard is not demanded.
pub(super) fn pylock(file: &Path, markers: &Markers) -> Option<Wish> {
    let lock: Pylock = toml::from_str(&text(file)?).ok()?;
    let mut wish = Wish::new(file, true);
    for package in &lock.packages {
        let from_index = package.vcs.is_none() && package.directory.is_none() && package.archive.is_none();
        let must = package.directory.is_none() && holds(package.marker.as_deref(), markers);
        wish.lock(&package.name, package.version.as_deref().filter(|_| from_index), must);
    }
    Some(wish)
}

#[derive(Deserialize)]
struct Pipfile {
    #[serde(default)]
    default: BTreeMap<String, PipfilePackage>,
    #[serde(default)]
    develop: BTreeMap<String, PipfilePackage>,
}

#[derive(Deserialize)]
struct PipfilePackage {
    version: Option<String>,
    markers: Option<String>,
    #[serde(default)]
    editable: bool,
    path: Option<String>,
}

/// Reads Pipfile.lock.
pub(super) fn pipfile(file: &Path, markers: &Markers) -> Option<Wish> {
    let lock: Pipfile = serde_json::from_str(&text(file)?).ok()?;
    let mut wish = Wish::new(file, true);
    for (packages, must) in [(&lock.default, true), (&lock.develop, false)] {
        for (name, package) in packages {
            let must = must && !package.editable && package.path.is_none() && holds(package.markers.as_deref(), markers);
            wish.lock(name, package.version.as_deref().and_then(|version| version.strip_prefix("==")), must);
        }
    }
    Some(wish)
}
