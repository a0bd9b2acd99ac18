//! `lockfile-update`: a commit that makes the lock file fit, and nothing else, proved by the install that had failed.

use std::path::Path;

use anyhow::Context as _;
use contract::redact;

use super::budget::{ATTEMPT, FINGERPRINT, ROOT};
use super::manager::{self, Manager};
use super::worktree::Worktree;
use crate::arguments::Committer;
use crate::repository::{Repository, git, git_as_told};

/// What a commit of ours says.
pub(crate) struct Message<'m> {
    /// Without it, who git says one is.
    pub(crate) committer: Option<&'m Committer>,
    /// The commit that was pushed by somebody else.
    pub(crate) root: &'m str,
    /// `2/3`.
    pub(crate) attempt: String,
    pub(crate) fingerprint: &'m str,
}

/// Makes the commit; its name.
///
/// # Errors
/// The lock file is not what is wrong, another file would change, or the install fails as before: then there is none.
pub(crate) fn fix(repository: &Repository, failed: &str, folder: &Path, message: &Message<'_>) -> anyhow::Result<String> {
    let worktree = Worktree::at(repository, failed, folder)?;
    let manager = Manager::of(&worktree.folder)?;
    manager::run(&manager.update(), &worktree.folder)?;
    manager.keeps_format(&worktree.folder)?;
    let changed = without_modules(worktree.changed()?);
    anyhow::ensure!(!changed.is_empty(), "{} fits as it is, here", manager.lock);
    anyhow::ensure!(changed == [manager.lock], "more than {} would change: {}", manager.lock, redact::excerpt(&changed.join(", ")));
    manager::run(&manager.frozen(), &worktree.folder).context("it does not help")?;
    let after = without_modules(worktree.changed()?);
    anyhow::ensure!(after == changed, "the install changes more than {}: {}", manager.lock, redact::excerpt(&after.join(", ")));
    commit(&worktree.folder, manager.lock, message)
}

/// What is installed is no change of the project, whether or not git ignores it.
fn without_modules(changed: Vec<String>) -> Vec<String> {
    let is_installed =
        |path: &String| path.split('/').any(|part| part == "node_modules") || path.starts_with(".yarn/") || path.starts_with(".pnp.");
    changed.into_iter().filter(|path| !is_installed(path)).collect()
}

fn commit(folder: &Path, lock: &str, message: &Message<'_>) -> anyhow::Result<String> {
    let text = format!(
        "fix(deploy): update {lock}\n\nIt did not fit package.json, so that the deployment of {} failed. Made by deploy-watch.\n\n\
         {ROOT}: {}\n{ATTEMPT}: {}\n{FINGERPRINT}: {}\n",
        &message.root[..7],
        message.root,
        message.attempt,
        message.fingerprint
    );
    // Both names, and in each way in which git may have them: what is said here is meant.
    let identity: Vec<String> =
        message.committer.iter().flat_map(|who| ["user", "author", "committer"].map(|of| who.settings(of))).flatten().collect();
    let settings = identity.iter().flat_map(|setting| ["-c", setting]);
    let words = ["-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false"].into_iter().chain(settings);
    let words: Vec<&str> = words.chain(["commit", "--quiet", "--no-verify", "--message", &text, "--", lock]).collect();
    let made = if message.committer.is_some() { git_as_told(folder, &words)? } else { git(folder, &words)? };
    made.context("git cannot commit the lock file; does it know who you are? --committer says it")?;
    let made = git(folder, &["rev-parse", "HEAD"])?.context("the commit has no name")?;
    Ok(String::from_utf8_lossy(&made).into_owned())
}
