//! Lock files: every package of the project at an exact version.
//!
//! Which extras and groups somebody had chosen is written nowhere but in what is installed: what a lock holds beyond its defaults is
//! brought if it was there.

mod pdm;
mod pipfile;
mod poetry;
mod pylock;
mod uv;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail, ensure};
use contract::path::{absolute, shown};
use serde::de::DeserializeOwned;

use super::markers::Markers;
use super::pin::{Pin, file_url};
use super::redact;
use super::requirements::{Requirements, is_hash, read_text};

/// Reads a lock file by its name: what of it is for this machine and this Python.
///
/// # Errors
/// It cannot be read, or is of a version whose format is not known.
pub(super) fn read(path: &Path, markers: &Markers, installed: &BTreeMap<String, Pin>) -> anyhow::Result<Requirements> {
    let text = read_text(path)?;
    let was_there = |name: &str| installed.contains_key(name);
    let parse = || match path.file_name().and_then(|name| name.to_str()) {
        Some("uv.lock") => uv::read(&text, markers, &was_there, installed.is_empty()),
        Some("pylock.toml") => pylock::read(&text, markers, &was_there),
        Some("poetry.lock") => poetry::read(&text, markers, &was_there, installed.is_empty()),
        Some("pdm.lock") => pdm::read(&text, markers, &was_there, installed.is_empty()),
        Some("Pipfile.lock") => pipfile::read(&text, markers, &was_there),
        _ => bail!("its format is not known"),
    };
    // What an error quotes of the lock may be long, or an address with a password.
    let locked = parse().map_err(|e| anyhow!(redact::excerpt(&format!("{e:#}"))));
    let locked = locked.with_context(|| format!("cannot read {}: lock the project again, or rebuild with another source", shown(path)))?;
    let mut found = Requirements { files: vec![path.to_owned()], ..Requirements::default() };
    for package in locked {
        match package.pin(path.parent().unwrap_or(path)) {
            Ok(pin) => found.wanted.push(pin),
            Err(reason) => found.unreadable.push((redact::excerpt(&package.name), redact::excerpt(&format!("{reason:#}")))),
        }
    }
    Ok(found)
}

/// Reads TOML. The parser's own error repeats the line, whatever it holds.
fn toml<T: DeserializeOwned>(text: &str) -> anyhow::Result<T> {
    toml::from_str(text).map_err(|e: toml::de::Error| {
        let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        anyhow!("line {}: {}", before.matches('\n').count() + 1, e.message())
    })
}

/// One package as a lock has it.
#[derive(Debug)]
struct Locked {
    name: String,
    version: Option<String>,
    origin: Origin,
    hashes: Vec<String>,
}

/// Where a lock has a package from.
#[derive(Debug)]
enum Origin {
    Index,
    /// A whole address, as installers take it.
    Url(String),
    /// Relative to the lock's folder.
    Path {
        path: PathBuf,
        editable: bool,
    },
}

impl Origin {
    fn repository(kind: &str, url: &str, commit: &str, folder: Option<&str>) -> anyhow::Result<Self> {
        ensure!(matches!(kind, "git" | "hg" | "bzr" | "svn"), "`{kind:?}` is no kind of repository that is installed from");
        ensure!(!commit.is_empty() && commit.bytes().all(|b| b.is_ascii_alphanumeric()), "`{commit:?}` is no commit");
        let url = url.strip_prefix(kind).and_then(|rest| rest.strip_prefix('+')).unwrap_or(url);
        let folder = folder.map(|folder| format!("#subdirectory={folder}")).unwrap_or_default();
        Ok(Self::Url(format!("{kind}+{url}@{commit}{folder}")))
    }
}

impl Locked {
    fn pin(&self, folder: &Path) -> anyhow::Result<Pin> {
        let mut pin = match &self.origin {
            Origin::Index => Pin::exact(&self.name, self.version.as_deref().context("it has no version")?)?,
            Origin::Url(url) => Pin::at_url(&self.name, url)?,
            Origin::Path { path, editable: true } => Pin::editable(&self.name, &tidy(&folder.join(path))?)?,
            Origin::Path { path, editable: false } => Pin::at_url(&self.name, &file_url(&tidy(&folder.join(path))?)?)?,
        };
        pin.version.clone_from(&self.version);
        if matches!(self.origin, Origin::Index) {
            pin.hashes = self.hashes.iter().filter(|hash| is_hash(hash)).cloned().collect();
        }
        Ok(pin)
    }
}

fn tidy(path: &Path) -> anyhow::Result<PathBuf> {
    Ok(crate::layout::normal(&absolute(path)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::fs;

    use super::*;

    /// What a lock brings: (name, line) where `installed` was there before.
    pub(super) fn brought(name: &str, text: &str, installed: &[&str]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        #[expect(clippy::disallowed_methods, reason = "a test's own file")]
        fs::write(&path, text).unwrap();
        let installed = installed.iter().map(|&name| (name.to_owned(), Pin::exact(name, "1").unwrap())).collect();
        let found = read(&path, &Markers::of("3.12.1", "cpython").unwrap(), &installed).unwrap();
        assert_eq!(found.unreadable, []);
        found.wanted.iter().map(|pin| pin.lines().replace(folder.path().to_str().unwrap(), "")).collect()
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text: String) {
            let markers = Markers::of("3.12.1", "cpython").unwrap();
            let any = |_: &str| true;
            for text in [&text, &format!("version = 1\n[[package]]\nname = {text:?}\nversion = \"1\"\nsource = {{ git = {text:?} }}")] {
                uv::read(text, &markers, &any, false).ok();
                pylock::read(text, &markers, &any).ok();
                poetry::read(text, &markers, &any, false).ok();
                pipfile::read(text, &markers, &any).ok();
            }
        }
    }
}
