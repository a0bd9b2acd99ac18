//! Where the hook of a clone has its place.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::Context as _;
use contract::shell::quoted;
use serde_json::Value;

use crate::repository::Repository;

/// Since this version git runs hooks that its settings name, beside all others.
const NAMES_HOOKS: (u32, u32) = (2, 54);

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// git's settings.
    Settings,
    /// A file of the team.
    Husky,
    /// A file of this clone.
    Hooks,
}

/// # Errors
/// git is missing.
pub(super) fn choose(repository: &Repository) -> anyhow::Result<Place> {
    let version = repository.text(&["version"])?.context("git does not say its version")?;
    if version_of(&version).is_some_and(|version| version >= NAMES_HOOKS) {
        return Ok(Place::Settings);
    }
    Ok(if is_husky(repository)? { Place::Husky } else { Place::Hooks })
}

fn is_husky(repository: &Repository) -> anyhow::Result<bool> {
    if hooks(repository)? == husky(repository).join("_") {
        return Ok(true);
    }
    let package = fs::read(repository.top.join("package.json")).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    let is_wanted = |of: &str| package.as_ref().is_some_and(|package| package[of].get("husky").is_some());
    // Version 8 and older have git look into the folder itself.
    Ok(husky(repository).is_dir()
        && ["dependencies", "devDependencies"].into_iter().any(is_wanted)
        && hooks(repository)? != husky(repository))
}

pub(super) fn husky(repository: &Repository) -> PathBuf {
    repository.top.join(".husky")
}

/// The folder where git looks for hooks; that of all linked work trees is one.
pub(super) fn hooks(repository: &Repository) -> anyhow::Result<PathBuf> {
    asked(repository, &["rev-parse", "--git-path", "hooks"])
}

/// The settings of this clone.
pub(super) fn settings(repository: &Repository) -> anyhow::Result<PathBuf> {
    Ok(common(repository)?.join("config"))
}

fn common(repository: &Repository) -> anyhow::Result<PathBuf> {
    asked(repository, &["rev-parse", "--git-common-dir"])
}

/// Whether a folder serves this clone alone.
pub(super) fn is_of_this_clone(repository: &Repository, folder: &Path) -> anyhow::Result<bool> {
    Ok(folder.starts_with(&repository.top) || folder.starts_with(common(repository)?))
}

fn asked(repository: &Repository, words: &[&str]) -> anyhow::Result<PathBuf> {
    let said = repository.text(words)?.with_context(|| format!("git {} says nothing", words.join(" ")))?;
    let path: PathBuf = repository.top.join(OsStr::from_bytes(said.as_bytes()));
    Ok(path.components().collect())
}

/// This very program, as a word of sh: what starts git need not have it on PATH.
///
/// # Errors
/// Its path is none that sh can read.
pub(super) fn program() -> anyhow::Result<String> {
    let word = quoted(&env::current_exe().context("our own executable is gone")?);
    anyhow::ensure!(!word.starts_with('$'), "{word} cannot be written into a hook; install deploy-watch elsewhere");
    Ok(word)
}

/// A branch as a word of sh.
///
/// # Errors
/// git knows no branch of that name.
pub(super) fn branch(repository: &Repository, name: &str) -> anyhow::Result<String> {
    let word = quoted(Path::new(name));
    let is_name = repository.text(&["check-ref-format", &format!("refs/heads/{name}")])?.is_some() && !word.starts_with('$');
    anyhow::ensure!(is_name, "`{}` is no name of a branch", contract::path::plain(name));
    Ok(word)
}

/// Of `git version 2.54.0.windows.1`.
fn version_of(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.split_whitespace().nth(2)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_they_are_told() {
        assert_eq!(version_of("git version 2.39.2 (Apple Git-143)"), Some((2, 39)));
        assert!(version_of("git version 2.54.0.windows.1").unwrap() >= NAMES_HOOKS);
        assert!(version_of("git version 3.0.0").unwrap() >= NAMES_HOOKS);
        assert_eq!(version_of("git"), None);
    }
}
