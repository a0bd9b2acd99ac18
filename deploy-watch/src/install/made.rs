//! Which files `install` made, so that `uninstall` removes no other: `deploy-watch.made` in the settings of the clone.

use std::path::Path;

use anyhow::Context as _;

use crate::repository::Repository;

const MADE: &str = "deploy-watch.made";

pub(super) fn is_made(repository: &Repository, path: &Path) -> anyhow::Result<bool> {
    let made = repository.text(&["config", "--local", "--get-all", MADE])?.unwrap_or_default();
    let name = name(repository, path);
    Ok(made.lines().any(|one| one == name))
}

pub(super) fn note(repository: &Repository, path: &Path) -> anyhow::Result<()> {
    if is_made(repository, path)? {
        return Ok(());
    }
    let noted = repository.text(&["config", "--local", "--add", MADE, &name(repository, path)])?;
    noted.map(drop).context("git does not take down what was made; are its settings writable?")
}

pub(super) fn forget(repository: &Repository, path: &Path) -> anyhow::Result<()> {
    if !is_made(repository, path)? {
        return Ok(());
    }
    let forgotten = repository.text(&["config", "--local", "--fixed-value", "--unset-all", MADE, &name(repository, path)])?;
    forgotten.map(drop).context("git does not forget what was made; are its settings writable?")
}

/// A clone may be moved.
fn name(repository: &Repository, path: &Path) -> String {
    path.strip_prefix(&repository.top).unwrap_or(path).to_string_lossy().into_owned()
}
