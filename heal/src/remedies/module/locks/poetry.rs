//! The lock of poetry.

use serde::Deserialize;

use super::super::declared::is_index;
use super::{Archive, Locked};

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
    files: Vec<Archive>,
    #[serde(default)]
    dependencies: toml::Table,
    #[serde(default)]
    source: Option<PoetrySource>,
}

#[derive(Deserialize)]
struct PoetrySource {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    url: String,
}

pub(super) fn read(text: &str) -> Option<Vec<Locked>> {
    let lock: Poetry = toml::from_str(text).ok()?;
    let one = |package: PoetryPackage| {
        let index = package.source.as_ref().filter(|source| source.kind == "legacy" && is_index(&source.url));
        let needed = |need: &toml::Value| need.get("optional").and_then(toml::Value::as_bool) != Some(true);
        let marker = |need: &toml::Value| need.get("markers").and_then(toml::Value::as_str).map(str::to_owned);
        Locked {
            is_source: package.source.is_some() && index.is_none(),
            index: index.map(|source| source.url.clone()),
            hashes: package.files.into_iter().filter_map(|file| file.hash).collect(),
            needs: package.dependencies.iter().filter(|(_, need)| needed(need)).map(|(name, need)| (name.clone(), marker(need))).collect(),
            name: package.name,
            version: package.version,
            marker: None,
        }
    };
    Some(lock.package.into_iter().map(one).collect())
}
