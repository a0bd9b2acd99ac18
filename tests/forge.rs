//! A double of GitHub's REST API on loopback, as far as issues, comments and statuses go, which the official description referees.
//!
//! A test gives `url()`, `slug()` and `token()` of a [`Forge`] to the client under test, and looks at what stands there afterwards. Whoever
//! breaks the description, client or double, makes the test fail when the `Forge` is dropped.

mod api;
mod description;
mod render;
mod server;
mod state;

use std::sync::{Arc, Mutex};

pub(crate) use self::state::Issue;
use self::state::State;
use crate::double::trouble::Mischief;

/// A repository.
pub(crate) struct Forge(Arc<Mutex<State>>);

impl Forge {
    /// One of its own, with nothing in it.
    pub(crate) fn new() -> Self {
        let state = Arc::new(Mutex::new(State::new()));
        server::ready().admit(Arc::clone(&state));
        Self(state)
    }

    /// `OWNER/NAME`.
    pub(crate) fn slug(&self) -> String {
        self.0.lock().unwrap().slug.clone()
    }

    /// What a client takes for `https://api.github.com`.
    #[expect(clippy::unused_self, reason = "one server serves all, which is nothing that a test should know")]
    pub(crate) fn url(&self) -> String {
        server::ready().url()
    }

    pub(crate) fn token(&self) -> String {
        self.0.lock().unwrap().token.clone()
    }

    /// Opens an issue as somebody else would; its number.
    pub(crate) fn open(&self, title: &str, body: &str, labels: &[&str]) -> u64 {
        self.0.lock().unwrap().open(title, body, labels.iter().map(|label| (*label).to_owned()).collect()).number
    }

    /// Somebody else opens the same issue as the next client, a moment before.
    pub(crate) fn rival(&self) {
        self.0.lock().unwrap().has_rival = true;
    }

    pub(crate) fn issues(&self) -> Vec<Issue> {
        self.0.lock().unwrap().issues.clone()
    }

    /// The comments on a commit.
    pub(crate) fn comments(&self, commit: &str) -> Vec<String> {
        self.0.lock().unwrap().comments.iter().filter(|comment| comment.of == commit).map(|comment| comment.body.clone()).collect()
    }

    /// The statuses of a commit, oldest first: state and description.
    pub(crate) fn statuses(&self, commit: &str) -> Vec<(String, String)> {
        let state = self.0.lock().unwrap();
        let its = state.statuses.iter().filter(|status| status.of == commit);
        its.map(|status| (status.state.clone(), status.description.clone())).collect()
    }

    /// Spoils the next so many requests whose method and path contain `at` (`POST /issues`); what is said first comes first.
    pub(crate) fn trouble(&self, at: &str, times: usize, mischief: Mischief) {
        self.0.lock().unwrap().troubles.add(at, times, mischief);
    }

    /// What was asked so far: `METHOD /repos/…`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.0.lock().unwrap().requests.clone()
    }

    /// How many requests changed something.
    pub(crate) fn writes(&self) -> usize {
        self.requests().iter().filter(|request| !request.starts_with("GET ")).count()
    }
}

impl Drop for Forge {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let violations = std::mem::take(&mut self.0.lock().unwrap().violations);
            assert!(violations.is_empty(), "against GitHub's description of its API:\n{}", violations.join("\n"));
        }
    }
}
