//! A work tree of its own at the failed commit, so that nothing of the user's is touched: neither checkout nor index nor stash.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;
use contract::state;

use crate::repository::{Repository, git};

/// Gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Worktree<'r> {
    repository: &'r Repository,
    pub(crate) folder: PathBuf,
}

impl<'r> Worktree<'r> {
    /// # Errors
    /// git cannot make it.
    pub(crate) fn at(repository: &'r Repository, commit: &str, folder: &Path) -> anyhow::Result<Self> {
        if let Some(above) = folder.parent() {
            state::private_folder(above)?;
        }
        let worktree = Self { repository, folder: folder.to_owned() };
        // What a run left that was killed.
        worktree.remove();
        let path = folder.to_str().context("the state folder is not UTF-8")?;
        // Its hooks are for whoever works there.
        let add = ["-c", "core.hooksPath=/dev/null", "worktree", "add", "--quiet", "--detach", "--no-checkout", "--force", path, commit];
        repository.run(&add)?;
        // All of it, whatever part the user has checked out: what is not there would be gone from the lock file.
        let whole =
            git(folder, &["-c", "core.hooksPath=/dev/null", "-c", "core.sparseCheckout=false", "reset", "--quiet", "--hard", "HEAD"])?;
        whole.with_context(|| format!("git cannot check out {commit}"))?;
        anyhow::ensure!(!folder.join(".gitmodules").exists(), "the project has submodules, which are not there in a work tree of its own");
        Ok(worktree)
    }

    /// Paths that differ from the commit, those that git ignores left out.
    ///
    /// # Errors
    /// git does not say.
    pub(crate) fn changed(&self) -> anyhow::Result<Vec<String>> {
        let said = git(&self.folder, &["status", "--porcelain", "--no-renames", "-z", "--untracked-files=all"])?;
        let said = said.with_context(|| format!("git does not say what changed in {}", shown(&self.folder)))?;
        let text = String::from_utf8_lossy(&said).into_owned();
        Ok(text.split('\0').filter_map(|entry| entry.get(3..)).map(str::to_owned).collect())
    }

    /// This one alone: `git worktree prune` forgets every other that is not there right now, on a disk that is not mounted for one.
    fn remove(&self) {
        if let Some(path) = self.folder.to_str() {
            // Twice, since one of a run that was killed may be locked. What git does not know any more goes all the same.
            let _ = self.repository.run(&["worktree", "remove", "--force", "--force", path]);
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Drop for Worktree<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}
