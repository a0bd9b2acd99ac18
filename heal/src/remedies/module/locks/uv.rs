//! The lock of uv.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::declared::is_index;
use super::{Archive, Locked};

#[derive(Deserialize)]
struct Uv {
    #[serde(default)]
    package: Vec<UvPackage>,
}

#[derive(Deserialize)]
struct UvPackage {
    name: String,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    source: BTreeMap<String, toml::Value>,
    #[serde(default)]
    dependencies: Vec<UvNeed>,
    #[serde(default)]
    wheels: Vec<Archive>,
}

#[derive(Deserialize)]
struct UvNeed {
    name: String,
    #[serde(default)]
    marker: Option<String>,
}

pub(super) fn read(text: &str) -> Option<Vec<Locked>> {
    let lock: Uv = toml::from_str(text).ok()?;
    let one = |package: UvPackage| {
        let registry = package.source.get("registry").and_then(toml::Value::as_str).filter(|url| is_index(url));
        Locked {
            is_source: registry.is_none() || package.version.is_none(),
            index: registry.map(str::to_owned),
            name: package.name,
            version: package.version.unwrap_or_default(),
            hashes: package.wheels.into_iter().filter_map(|wheel| wheel.hash).collect(),
            marker: None,
            needs: package.dependencies.into_iter().map(|need| (need.name, need.marker)).collect(),
        }
    };
    Some(lock.package.into_iter().map(one).collect())
}
