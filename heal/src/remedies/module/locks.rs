//! Lock files of uv, poetry, pdm and pipenv, and the one of PEP 751: exact versions with their hashes, and what each needs here.

mod pdm;
mod pipenv;
mod poetry;
mod pylock;
mod uv;

use std::collections::HashMap;
use std::path::Path;

use pep508_rs::MarkerEnvironment;
use serde::Deserialize;

use super::declared::{Source, line_of, read_text};
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
        "uv.lock" => uv::read(&text)?,
        "poetry.lock" => poetry::read(&text)?,
        "pdm.lock" => pdm::read(&text)?,
        "pylock.toml" => pylock::read(&text)?,
        _ => pipenv::read(&text)?,
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

/// A file that brings it.
#[derive(Deserialize)]
struct Archive {
    #[serde(default)]
    hash: Option<String>,
}

#[cfg(test)]
mod tests;
