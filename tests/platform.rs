//! A double of DigitalOcean's App Platform on loopback, which remembers what was asked of it and is refereed by the official description.
//!
//! A test describes what the platform is going to do with an [`App`], gives `url()` and `token()` to the client under test, and looks at
//! `requests()` afterwards. Whoever breaks the description, client or double, makes the test fail when the `App` is dropped.
//!
//! client -> door (records, spoils answers) -> Prism (validates both ways) -> back (answers); archives of logs are fetched from the back.

mod api;
mod archives;
mod deployment;
mod logs;
mod mischief;
mod render;
mod scenes;
mod server;
mod state;
mod walk;

use std::sync::{Arc, Mutex};

pub(crate) use crate::double::trouble::Mischief;
pub(crate) use deployment::Deployment;
use state::State;
pub(crate) use state::{Request, random};

/// An app, its account, and what becomes of it.
pub(crate) struct App(Arc<Mutex<State>>);

impl App {
    /// One with the service `web`, built from `main` of `example/shop` with each push, in an account of its own.
    pub(crate) fn new() -> Self {
        Self::admitted(State::new(format!("dop_v1_{}", state::random())))
    }

    /// Another app of the same account, which lists after this one.
    pub(crate) fn sibling(&self) -> Self {
        Self::admitted(State::new(self.token()))
    }

    fn admitted(state: State) -> Self {
        let state = Arc::new(Mutex::new(state));
        server::ready().platform.admit(Arc::clone(&state));
        Self(state)
    }

    pub(crate) fn id(&self) -> String {
        self.0.lock().unwrap().id.clone()
    }

    /// What a client takes for `https://api.digitalocean.com`.
    #[expect(clippy::unused_self, reason = "one server serves all, which is nothing that a test should know")]
    pub(crate) fn url(&self) -> String {
        server::server().url()
    }

    pub(crate) fn token(&self) -> String {
        self.0.lock().unwrap().token.clone()
    }

    /// Where it is built from: `owner/name`, and a branch.
    pub(crate) fn source(&self, repo: &str, branch: &str) {
        let mut state = self.0.lock().unwrap();
        (state.repo, state.branch) = (repo.to_owned(), branch.to_owned());
    }

    pub(crate) fn deploy_on_push(&self, on: bool) {
        self.0.lock().unwrap().deploy_on_push = on;
    }

    /// What it consists of: kinds (`services`, `workers`, `jobs`, `static_sites`) and names.
    pub(crate) fn components(&self, components: &[(&'static str, &str)]) {
        self.0.lock().unwrap().components = components.iter().map(|(kind, name)| (*kind, (*name).to_owned())).collect();
    }

    /// Lets a deployment come, at once or when it says so; returns its id.
    pub(crate) fn deploy(&self, deployment: Deployment) -> String {
        self.0.lock().unwrap().deploy(deployment)
    }

    /// What becomes of the next deployment that the client asks for; returns its id.
    pub(crate) fn prepare(&self, deployment: Deployment) -> String {
        self.0.lock().unwrap().prepare(deployment)
    }

    /// As after a rollback that nobody committed: no push is deployed.
    pub(crate) fn pin(&self, deployment: &str) {
        self.0.lock().unwrap().pinned = Some(deployment.to_owned());
    }

    /// Spoils the next so many requests whose path contains `at`; what is said first comes first.
    pub(crate) fn trouble(&self, at: &str, times: usize, mischief: Mischief) {
        self.0.lock().unwrap().troubles.add(at, times, mischief);
    }

    /// What was asked about it so far, as the client sent it. A list of all apps counts for the first of its account.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.0.lock().unwrap().requests.clone()
    }

    /// Takes what the referee objected to. A test that wants objections calls this.
    pub(crate) fn violations(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().violations)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let violations = self.violations();
            assert!(violations.is_empty(), "against DigitalOcean's description of its API:\n{}", violations.join("\n"));
        }
    }
}
