//! The lock of pipenv.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::declared::is_index;
use super::Locked;

#[derive(Deserialize)]
struct Pipenv {
    #[serde(rename = "_meta", default)]
    meta: Meta,
    #[serde(default)]
    default: BTreeMap<String, Entry>,
    #[serde(default)]
    develop: BTreeMap<String, Entry>,
}

#[derive(Default, Deserialize)]
struct Meta {
    #[serde(default)]
    sources: Vec<PipenvSource>,
}

#[derive(Deserialize)]
struct PipenvSource {
    name: String,
    url: String,
}

#[derive(Clone, Deserialize)]
struct Entry {
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    hashes: Vec<String>,
    #[serde(default)]
    index: Option<String>,
    #[serde(default)]
    markers: Option<String>,
}

/// It does not say what needs what, so that all of a section goes together.
pub(super) fn read(text: &str) -> Option<Vec<Locked>> {
    let mut lock: Pipenv = serde_json::from_str(text).ok()?;
    lock.develop.retain(|name, _| !lock.default.contains_key(name));
    let first = lock.meta.sources.first().map(|source| source.name.clone());
    let url = |name: Option<&String>| lock.meta.sources.iter().find(|source| Some(&source.name) == name).map(|source| source.url.clone());
    let of = |section: &BTreeMap<String, Entry>, beside: &BTreeMap<String, Entry>| -> Vec<Locked> {
        let needs: Vec<_> = section.keys().chain(beside.keys()).map(|name| (name.clone(), None)).collect();
        let one = |(name, entry): (&String, &Entry)| Locked {
            name: name.clone(),
            version: entry.version.as_deref().unwrap_or_default().trim_start_matches("==").to_owned(),
            hashes: entry.hashes.clone(),
            index: url(entry.index.as_ref().or(first.as_ref())).filter(|url| is_index(url)),
            is_source: entry.version.is_none(),
            marker: entry.markers.clone(),
            needs: needs.clone(),
        };
        section.iter().map(one).collect()
    };
    let mut all = of(&lock.default, &BTreeMap::new());
    all.extend(of(&lock.develop, &lock.default));
    Some(all)
}
