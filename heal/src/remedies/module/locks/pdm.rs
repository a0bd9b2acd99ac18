//! The lock of pdm.

use serde::Deserialize;

use super::{Archive, Locked};

#[derive(Deserialize)]
struct Pdm {
    #[serde(default)]
    package: Vec<PdmPackage>,
}

#[derive(Deserialize)]
struct PdmPackage {
    name: String,
    #[serde(default)]
    version: Option<String>,
    /// Of one distribution there is an entry for each choice of extras, beside the plain one.
    #[serde(default)]
    extras: Vec<String>,
    #[serde(default)]
    marker: Option<String>,
    /// Requirements (PEP 508).
    #[serde(default)]
    dependencies: Vec<String>,
    #[serde(default)]
    files: Vec<Archive>,
    #[serde(default)]
    git: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    path: Option<String>,
}

pub(super) fn read(text: &str) -> Option<Vec<Locked>> {
    let lock: Pdm = toml::from_str(text).ok()?;
    let (plain, extra): (Vec<_>, Vec<_>) = lock.package.into_iter().partition(|package| package.extras.is_empty());
    let one = |package: PdmPackage| {
        let same = extra.iter().filter(|other| other.name == package.name).flat_map(|other| &other.dependencies);
        Locked {
            is_source: package.version.is_none() || [&package.git, &package.url, &package.path].iter().any(|source| source.is_some()),
            version: package.version.unwrap_or_default(),
            hashes: package.files.into_iter().filter_map(|file| file.hash).collect(),
            needs: package.dependencies.iter().chain(same).map(|need| need_of(need)).collect(),
            marker: package.marker,
            name: package.name,
            index: None,
        }
    };
    Some(plain.into_iter().map(one).collect())
}

/// The name of a requirement, and its marker.
fn need_of(requirement: &str) -> (String, Option<String>) {
    let (head, marker) = requirement.split_once(';').map_or((requirement, None), |(head, marker)| (head, Some(marker.trim().to_owned())));
    let name: String = head.trim().chars().take_while(|c| c.is_alphanumeric() || "-_.".contains(*c)).collect();
    (name, marker)
}
