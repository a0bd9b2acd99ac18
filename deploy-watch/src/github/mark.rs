//! The status of a commit ("Create a commit status"), which shows beside it on GitHub.

use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use contract::redact;
use serde_json::json;

use super::GitHub;
use crate::http::{Failure, Method};
use crate::outcome::Outcome;
use crate::voice::Voice;

/// GitHub takes no longer description, in characters.
const LONGEST: usize = 140;

/// Tells of phases on a thread of its own, so that whatever GitHub does about it holds up nothing.
pub(super) struct Phases {
    marks: Sender<(String, String)>,
    thread: JoinHandle<Option<Failure>>,
}

impl GitHub<'_> {
    /// Says that a deployment goes on; once for each phase, and only as long as GitHub listens.
    pub(crate) fn mark_phase(&self, commit: &str, phase: &str) {
        let now = (commit.to_owned(), phase.to_owned());
        let is_told = self.marked.replace(now.clone()) == now;
        if is_told || !self.force || self.refuses_marks.get() {
            return;
        }
        let mut phases = self.phases.borrow_mut();
        // One that has given up says so when it is settled with.
        let _ = phases.get_or_insert_with(|| self.phases()).marks.send((self.mark_path(commit), self.mark_body("pending", phase)));
    }

    fn phases(&self) -> Phases {
        let (marks, due) = mpsc::channel::<(String, String)>();
        let access = self.api.access.clone();
        let thread = thread::spawn(move || due.iter().find_map(|(path, body)| access.try_once(Method::Post, &path, &body).err()));
        Phases { marks, thread }
    }

    /// Whatever was said of phases comes before what is said now.
    fn settle(&self, voice: &Voice<'_>) {
        let Some(Phases { marks, thread }) = self.phases.take() else { return };
        drop(marks);
        if let Ok(Some(e)) = thread.join() {
            self.refuses_marks.set(true);
            voice.say(&format!("GitHub has not taken the status of the commit, and is asked again at the end: {e}"));
        }
    }

    /// Says how it ended.
    pub(super) fn mark_end(&self, commit: &str, outcome: Outcome, text: &str, voice: &Voice<'_>) {
        let state = match outcome {
            Outcome::Active => "success",
            Outcome::Error | Outcome::RolledBack | Outcome::Timeout => "failure",
            // It is not live, whoever is to blame.
            Outcome::Canceled | Outcome::Superseded | Outcome::Moved | Outcome::NotStarted | Outcome::UnknownPhase => "error",
        };
        self.mark_last(commit, state, &format!("{}: {text}", outcome.word()), voice);
    }

    pub(super) fn mark_last(&self, commit: &str, state: &str, text: &str, voice: &Voice<'_>) {
        if !self.force {
            return;
        }
        self.settle(voice);
        if let Err(e) = self.api.insist(Method::Post, &self.mark_path(commit), &self.mark_body(state, text)) {
            voice.say(&format!("GitHub has not taken the status of how it ended: {e}"));
        }
    }

    fn mark_path(&self, commit: &str) -> String {
        self.path(&format!("statuses/{commit}"))
    }

    fn mark_body(&self, state: &str, text: &str) -> String {
        let description: String = redact::excerpt(text).chars().take(LONGEST).collect();
        json!({ "state": state, "context": self.context, "description": description }).to_string()
    }
}
