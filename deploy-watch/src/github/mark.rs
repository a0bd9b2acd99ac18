//! The status of a commit ("Create a commit status"), which shows beside it on GitHub.

use std::time::{Duration, Instant};

use contract::redact;
use serde_json::json;

use super::GitHub;
use crate::http::{Failure, Method};
use crate::outcome::Outcome;
use crate::voice::Voice;

/// By this it is told from the statuses of others.
const CONTEXT: &str = "deploy-watch";
/// GitHub takes no longer description, in characters.
const LONGEST: usize = 140;
/// For one that tells of a phase: the deployment matters more.
const PATIENCE: Duration = Duration::from_secs(3);

impl GitHub<'_> {
    /// Says that a deployment goes on; once for each phase, and only as long as GitHub listens.
    pub(crate) fn mark_phase(&self, commit: &str, phase: &str) -> Option<Failure> {
        let now = (commit.to_owned(), phase.to_owned());
        let is_told = self.marked.replace(now.clone()) == now;
        if is_told || !self.force || self.refuses_marks.get() {
            return None;
        }
        self.api.until(Instant::now() + PATIENCE);
        let failure = self.mark(commit, "pending", phase).err();
        self.refuses_marks.set(failure.is_some());
        failure
    }

    /// Says how it ended, whatever became of what was said before.
    pub(super) fn mark_end(&self, commit: &str, outcome: Outcome, text: &str, voice: &Voice<'_>) {
        let state = match outcome {
            Outcome::Active => "success",
            Outcome::Error | Outcome::RolledBack | Outcome::Timeout => "failure",
            // It is not live, whoever is to blame.
            Outcome::Canceled | Outcome::Superseded | Outcome::Moved | Outcome::NotStarted | Outcome::UnknownPhase => "error",
        };
        self.mark_last(commit, state, &format!("{}: {text}", outcome.word()), voice);
    }

    pub(super) fn mark_lost(&self, commit: &str, why: &str, voice: &Voice<'_>) {
        self.mark_last(commit, "error", why, voice);
    }

    fn mark_last(&self, commit: &str, state: &str, text: &str, voice: &Voice<'_>) {
        if !self.force {
            return;
        }
        if let Err(e) = self.mark(commit, state, text) {
            voice.say(&format!("GitHub has no status of how it ended: {e}"));
        }
    }

    fn mark(&self, commit: &str, state: &str, text: &str) -> Result<(), Failure> {
        let description: String = redact::excerpt(text).chars().take(LONGEST).collect();
        let body = json!({ "state": state, "context": CONTEXT, "description": description });
        self.api.put(Method::Post, &self.path(&format!("statuses/{commit}")), &body.to_string())
    }
}
