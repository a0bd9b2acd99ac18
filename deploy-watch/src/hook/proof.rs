//! Whether a push came to pass: as git noted it here, or as the remote has it.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use contract::child;
use serde::Serialize;

use super::announced::Push;
use crate::repository::Repository;

/// The reflog's words for a remote-tracking branch that a push moved.
const BY_PUSH: &str = "update by push";
/// For one answer of the remote.
const ANSWER: Duration = Duration::from_secs(30);
/// Between the first two questions, and then ever longer, up to this part of the time that there is. A server may take in what it got
/// after the client is gone.
const PAUSE: Duration = Duration::from_millis(250);
const PART: u32 = 8;

/// How it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Proof {
    /// The remote-tracking branch was moved by a push.
    Reflog,
    /// The remote has it.
    Remote,
}

/// Nothing where it is not proven within the time.
pub(super) fn of(repository: &Repository, push: &Push, patience: Duration) -> Option<Proof> {
    if push.will_be_noted && is_noted(repository, &push.remote, &push.branch, &push.commit) {
        return Some(Proof::Reflog);
    }
    let (deadline, mut pause) = (Instant::now() + patience, PAUSE);
    loop {
        if remote_tip(repository, &push.url, &push.branch).is_ok_and(|tip| tip.is_some_and(|tip| has(repository, push, &tip))) {
            return Some(Proof::Remote);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(patience / PART);
    }
}

/// A tip that was there before proves nothing, whatever it contains: a forced push back to an older commit may have been refused.
fn has(repository: &Repository, push: &Push, tip: &str) -> bool {
    tip != push.before && (tip == push.commit || repository.leads_to(&push.commit, tip))
}

/// Where the remote-tracking branch is.
pub(crate) fn noted(repository: &Repository, remote: &str, branch: &str) -> Option<String> {
    repository.text(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("refs/remotes/{remote}/{branch}")]).ok()?
}

/// Whether a push was the last that moved the remote-tracking branch, and moved it there.
pub(crate) fn is_noted(repository: &Repository, remote: &str, branch: &str, commit: &str) -> bool {
    let name = format!("refs/remotes/{remote}/{branch}");
    let last = repository.text(&["log", "--walk-reflogs", "--max-count=1", "--format=%H %gs", "--end-of-options", &name, "--"]);
    matches!(last, Ok(Some(last)) if last == format!("{commit} {BY_PUSH}"))
}

/// Where a branch of a remote is now; none where it has none.
///
/// # Errors
/// The remote cannot be asked without a person who answers.
pub(crate) fn remote_tip(repository: &Repository, url: &str, branch: &str) -> anyhow::Result<Option<String>> {
    let name = format!("refs/heads/{branch}");
    let mut git = silent_git(repository)?;
    git.args(["ls-remote", "--", url, &name]);
    let finished = child::run(&mut git, ANSWER, 1 << 20).context("cannot start git")?;
    anyhow::ensure!(finished.ended.success(), "the remote does not say where {branch} is");
    let said = String::from_utf8_lossy(&finished.stdout);
    let mut refs = said.lines().filter_map(|line| line.split_once('\t'));
    Ok(refs.find(|(_, its)| *its == name).map(|(tip, _)| tip.to_owned()))
}

/// Nobody is there to be asked. Unlike for questions that stay here, the person's settings count: they are how the remote is reached.
fn silent_git(repository: &Repository) -> anyhow::Result<Command> {
    let mut git = Command::new("git");
    git.arg("-C").arg(&repository.top).env("LC_ALL", "C");
    git.env("GIT_TERMINAL_PROMPT", "0").env("SSH_ASKPASS_REQUIRE", "never").env("GCM_INTERACTIVE", "never");
    let has_own_ssh = ["GIT_SSH", "GIT_SSH_COMMAND"].iter().any(|name| std::env::var_os(name).is_some());
    if !has_own_ssh && repository.text(&["config", "core.sshCommand"])?.is_none() {
        git.env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes");
    }
    Ok(git)
}
