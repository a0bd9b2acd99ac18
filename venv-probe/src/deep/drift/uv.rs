//! `uv.lock`: a graph for every platform, from which this environment needs what the project's own package reaches.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use serde::Deserialize;

use super::wish::{Wish, holds};
use crate::bounded::text;
use crate::deep::markers::Markers;

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: Option<String>,
    #[serde(default)]
    source: Source,
    #[serde(default)]
    dependencies: Vec<Dependency>,
    #[serde(default, rename = "optional-dependencies")]
    optional: BTreeMap<String, Vec<Dependency>>,
}

#[derive(Default, Deserialize)]
struct Source {
    registry: Option<String>,
    editable: Option<String>,
    r#virtual: Option<String>,
    directory: Option<String>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    version: Option<String>,
    #[serde(default)]
    extra: Vec<String>,
    marker: Option<String>,
}

impl Source {
    fn is_here(&self) -> bool {
        [&self.editable, &self.r#virtual].into_iter().flatten().any(|path| path == ".")
    }

    /// Sources on this disk, whose version moves with them.
    fn is_local(&self) -> bool {
        self.editable.is_some() || self.r#virtual.is_some() || self.directory.is_some()
    }
}

/// Reads the lock.
pub(super) fn read(file: &Path, markers: &Markers) -> Option<Wish> {
    let lock: Lock = toml::from_str(&text(file)?).ok()?;
    let mut wish = Wish::new(file, true);
    let needed = needed(&lock, markers);
    for package in &lock.package {
        let version = package.version.as_deref().filter(|_| package.source.registry.is_some());
        let must = !package.source.is_local() && needed.contains(package.name.as_str());
        wish.lock(&package.name, version, must);
    }
    Some(wish)
}

/// The names that the project's own package reaches without its extras and groups.
fn needed<'a>(lock: &'a Lock, markers: &Markers) -> HashSet<&'a str> {
    let mut by_name: HashMap<&str, Vec<&Package>> = HashMap::new();
    for package in &lock.package {
        by_name.entry(&package.name).or_default().push(package);
    }
    let own = lock.package.iter().filter(|package| package.source.is_here());
    let mut queue: Vec<_> = own.flat_map(|package| &package.dependencies).collect();
    let (mut seen, mut needed) = (HashSet::new(), HashSet::new());
    while let Some(dependency) = queue.pop() {
        let visit = (&dependency.name, &dependency.version, &dependency.extra);
        if !holds(dependency.marker.as_deref(), markers) || !seen.insert(visit) {
            continue;
        }
        needed.insert(dependency.name.as_str());
        let packages = by_name.get(dependency.name.as_str()).into_iter().flatten();
        for package in packages.filter(|package| dependency.version.is_none() || dependency.version == package.version) {
            queue.extend(&package.dependencies);
            queue.extend(dependency.extra.iter().filter_map(|extra| package.optional.get(extra)).flatten());
        }
    }
    needed
}
