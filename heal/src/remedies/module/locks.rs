//! Lock files of uv, poetry and pipenv: exact versions with their hashes, and what each needs here.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use pep508_rs::MarkerEnvironment;
use serde::Deserialize;

use super::declared::{Source, is_index, line_of, read_text};
use super::names::normalised;
use super::requirement::{Declared, Refusal, holds};
use super::requirements::is_hash;

/// The index that installers ask without being told.
const USUAL: &str = "https://pypi.org/simple";

/// One locked distribution, as far as all locks say it.
#[derive(Default)]
struct Locked {
    name: String,
    version: String,
    hashes: Vec<String>,
    /// None where an index has it that is not the usual one and cannot be told.
    index: Option<String>,
    is_source: bool,
    marker: Option<String>,
    /// Names, each with the marker under which it is needed.
    needs: Vec<(String, Option<String>)>,
}

/// Reads a lock; nothing where it cannot be read.
pub(super) fn read(path: &Path, here: &MarkerEnvironment) -> Option<Source> {
    let text = read_text(path)?;
    let locked = match path.file_name()?.to_str()? {
        "uv.lock" => uv(&text)?,
        "poetry.lock" => poetry(&text)?,
        _ => pipenv(&text)?,
    };
    let mut times: HashMap<String, usize> = HashMap::new();
    for one in &locked {
        *times.entry(normalised(&one.name)).or_default() += 1;
    }
    let mut source = Source { is_lock: true, ..Source::of(path) };
    source.hashed = locked.iter().filter(|one| !one.is_source).all(|one| !one.hashes.is_empty());
    source.all = locked.into_iter().map(|one| declared(one, &times, &text, path, here)).collect();
    Some(source)
}

fn declared(one: Locked, times: &HashMap<String, usize>, text: &str, path: &Path, here: &MarkerEnvironment) -> Declared {
    let begins = [format!("name = \"{}\"", one.name), format!("\"{}\": {{", one.name)];
    let number = line_of(text, |line| begins.iter().any(|begin| line.starts_with(begin)));
    let refuse = |refusal| Declared::refused(&one.name, path, number, refusal);
    if one.is_source {
        return refuse(Refusal::source());
    }
    if times.get(&normalised(&one.name)).is_some_and(|times| *times > 1) {
        return refuse(Refusal("forked", "its lock has several versions of it, of which only its own tool can choose".to_owned()));
    }
    if one.marker.as_deref().is_some_and(|marker| !holds(marker, here)) {
        return refuse(Refusal("marker", "its marker says that this Python on this machine does not want it".to_owned()));
    }
    let Some(read) = Declared::read(&format!("{}=={}", one.name, one.version), path, number, here) else {
        return refuse(Refusal("unreadable", "its lock has it in a way that is not understood; run its own tool".to_owned()));
    };
    let needs = one.needs.into_iter().filter(|(_, marker)| marker.as_deref().is_none_or(|marker| holds(marker, here)));
    let index = one.index.filter(|url| url.trim_end_matches('/') != USUAL).map(|url| format!("--index-url {url}"));
    let hashes = one.hashes.into_iter().filter(|hash| is_hash(hash)).collect();
    Declared { hashes, index, needs: needs.map(|(name, _)| normalised(&name)).collect(), ..read }
}

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

#[derive(Deserialize)]
struct Archive {
    #[serde(default)]
    hash: Option<String>,
}

fn uv(text: &str) -> Option<Vec<Locked>> {
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

fn poetry(text: &str) -> Option<Vec<Locked>> {
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
fn pipenv(text: &str) -> Option<Vec<Locked>> {
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

#[cfg(test)]
mod tests;
