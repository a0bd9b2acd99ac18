//! A store holds copies of secrets: nobody else reads it, and git never takes it along.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use contract::path::shown;
use contract::{child, replace};

const PATIENCE: Duration = Duration::from_secs(10);

/// Has git ignore a folder from within.
pub(crate) fn ignored(folder: &Path) -> anyhow::Result<()> {
    let ignore = folder.join(".gitignore");
    if ignore.exists() { Ok(()) } else { replace::write(&ignore, b"*\n") }
}

/// Insists that git, where the folder is in a work tree of it, would not track what comes into it.
///
/// # Errors
/// It would, or could not be asked.
pub(crate) fn untracked(folder: &Path) -> anyhow::Result<()> {
    if !folder.ancestors().any(|above| above.join(".git").exists()) {
        return Ok(());
    }
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).args(["check-ignore", "-q", "packs/x"]);
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        git.env_remove(name);
    }
    let finished = child::run(&mut git, PATIENCE, 4096);
    let is_ignored = finished.as_ref().is_ok_and(|finished| finished.ended.success());
    anyhow::ensure!(
        is_ignored,
        "{} is in a git work tree that would track it, and snapshots hold secrets; choose another folder with --store",
        shown(folder)
    );
    Ok(())
}
