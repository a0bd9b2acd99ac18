//! The lock that is no tool's own (PEP 751).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::declared::is_index;
use super::Locked;

#[derive(Deserialize)]
struct Pylock {
    #[serde(default)]
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    marker: Option<String>,
    #[serde(default)]
    index: Option<String>,
    #[serde(default)]
    dependencies: Vec<Need>,
    #[serde(default)]
    wheels: Vec<Wheel>,
    #[serde(default)]
    vcs: Option<toml::Table>,
    #[serde(default)]
    directory: Option<toml::Table>,
    #[serde(default)]
    archive: Option<toml::Table>,
}

#[derive(Deserialize)]
struct Need {
    name: String,
}

#[derive(Deserialize)]
struct Wheel {
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

/// Most tools leave out what needs what, so that all of it goes together then.
pub(super) fn read(text: &str) -> Option<Vec<Locked>> {
    let lock: Pylock = toml::from_str(text).ok()?;
    let names: Vec<String> = lock.packages.iter().map(|package| package.name.clone()).collect();
    let is_told = lock.packages.iter().any(|package| !package.dependencies.is_empty());
    let one = |package: Package| {
        let is_source = [&package.vcs, &package.directory, &package.archive].iter().any(|source| source.is_some());
        let needs = if is_told { package.dependencies.into_iter().map(|need| need.name).collect() } else { names.clone() };
        Locked {
            is_source: is_source || package.version.is_none(),
            name: package.name,
            version: package.version.unwrap_or_default(),
            hashes: package.wheels.iter().flat_map(|wheel| &wheel.hashes).map(|(how, hash)| format!("{how}:{hash}")).collect(),
            index: package.index.filter(|url| is_index(url)),
            marker: package.marker,
            needs: needs.into_iter().map(|name| (name, None)).collect(),
        }
    };
    Some(lock.packages.into_iter().map(one).collect())
}
