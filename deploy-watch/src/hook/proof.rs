//! Whether a push came to pass: as git noted it here, or as the remote has it.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::announced::Push;
use crate::repository::Repository;

/// The reflog's words for a remote-tracking branch that a push moved.
const BY_PUSH: &str = "update by push";
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
        if repository
            .remote_ref(&push.url, &format!("refs/heads/{}", push.branch))
            .is_ok_and(|tip| tip.is_some_and(|tip| has(repository, push, &tip)))
        {
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
