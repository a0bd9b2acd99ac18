//! What the double knows of one app, and how time passes for it: with each look that a client takes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use chrono::{SecondsFormat, Utc};
use sha2::{Digest as _, Sha256};

use super::deployment::Deployment;
use crate::double::trouble::{Mischief, Troubles};
use crate::double::wire::Asked;
use crate::ward::hex;

/// One request as the client sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The path with its query.
    pub(crate) path: String,
    /// Whether a token came with it.
    pub(crate) bearer: bool,
    pub(crate) body: String,
}

/// An app.
pub(super) struct State {
    pub(super) id: String,
    pub(super) token: String,
    pub(super) repo: String,
    pub(super) branch: String,
    pub(super) deploy_on_push: bool,
    pub(super) components: Vec<(&'static str, String)>,
    /// Oldest first.
    pub(super) deployments: Vec<Deployment>,
    waiting: Vec<Deployment>,
    prepared: VecDeque<Deployment>,
    pub(super) pinned: Option<String>,
    listings: usize,
    pub(super) troubles: Troubles,
    pub(super) requests: Vec<Request>,
    /// What became of each of them.
    fates: Vec<Mischief>,
    pub(super) violations: Vec<String>,
}

impl State {
    pub(super) fn new(token: String) -> Self {
        Self {
            id: uuid(),
            token,
            repo: "example/shop".to_owned(),
            branch: "main".to_owned(),
            deploy_on_push: true,
            components: vec![("services", "web".to_owned())],
            deployments: Vec::new(),
            waiting: Vec::new(),
            prepared: VecDeque::new(),
            pinned: None,
            listings: 0,
            troubles: Troubles::default(),
            requests: Vec::new(),
            fates: Vec::new(),
            violations: Vec::new(),
        }
    }

    pub(super) fn deploy(&mut self, mut deployment: Deployment) -> String {
        let id = deployment.id.clone();
        deployment.listings = deployment.listings.saturating_add(self.listings);
        self.waiting.push(deployment);
        self.admit();
        id
    }

    pub(super) fn prepare(&mut self, deployment: Deployment) -> String {
        let id = deployment.id.clone();
        self.prepared.push_back(deployment);
        id
    }

    pub(super) fn take_prepared(&mut self) -> Option<Deployment> {
        self.prepared.pop_front()
    }

    /// Begins a deployment now, whatever it waits for.
    pub(super) fn begin(&mut self, mut deployment: Deployment) -> &Deployment {
        deployment.created_at = now();
        deployment.previous = self.active().map(|active| active.id.clone());
        self.deployments.push(deployment);
        self.deployments.last().expect("it was just added")
    }

    /// A client looks: time passes.
    pub(super) fn look(&mut self, is_listing: bool) {
        self.admit();
        self.listings += usize::from(is_listing);
        self.deployments.iter_mut().for_each(Deployment::advance);
    }

    fn admit(&mut self) {
        while let Some(at) = self.waiting.iter().position(|waiting| self.is_due(waiting)) {
            let deployment = self.waiting.remove(at);
            self.begin(deployment);
        }
    }

    /// A pinned app deploys no push, and what was pushed meanwhile waits.
    fn is_due(&self, waiting: &Deployment) -> bool {
        let came = |id: &str, phase: &str| self.find(id).is_some_and(|other| other.seen.is_some() && other.phase() == phase);
        self.listings >= waiting.listings
            && (self.pinned.is_none() || waiting.cause.ends_with("ROLLBACK"))
            && waiting.after.as_ref().is_none_or(|(id, phase)| came(id, phase))
    }

    pub(super) fn find(&self, id: &str) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.id == id)
    }

    /// The one that is served.
    pub(super) fn active(&self) -> Option<&Deployment> {
        self.deployments.iter().rfind(|deployment| deployment.phase() == "ACTIVE")
    }

    /// The phase as a client sees it: of all that came to be active only the last one is.
    pub(super) fn phase<'a>(&self, deployment: &'a Deployment) -> &'a str {
        match deployment.phase() {
            "ACTIVE" if self.active().is_none_or(|active| active.id != deployment.id) => "SUPERSEDED",
            phase => phase,
        }
    }

    /// Records a request and decides what becomes of it; `asked` then carries its number past the referee.
    pub(super) fn note(&mut self, asked: &mut Asked) -> Mischief {
        let mischief = self.troubles.next(&asked.target);
        self.fates.push(mischief);
        self.requests.push(Request {
            method: asked.method.clone(),
            path: asked.target.clone(),
            bearer: asked.authorization().is_some(),
            body: asked.body.clone(),
        });
        asked.number(self.requests.len() - 1);
        mischief
    }

    pub(super) fn fate(&self, asked: &Asked) -> Mischief {
        asked.numbered().and_then(|number| self.fates.get(number)).copied().unwrap_or(Mischief::Nothing)
    }
}

type Shared = Arc<Mutex<State>>;

/// All apps of all tests.
#[derive(Default)]
pub(super) struct Platform(Mutex<Vec<Shared>>);

impl Platform {
    pub(super) fn admit(&self, app: Shared) {
        self.0.lock().unwrap().push(app);
    }

    pub(super) fn find(&self, is_it: impl Fn(&State) -> bool) -> Vec<Shared> {
        let apps = self.0.lock().unwrap();
        apps.iter().filter(|app| is_it(&app.lock().unwrap())).cloned().collect()
    }

    /// Whose test is to hear of a request: the app that it names, or else the first that its token opens.
    pub(super) fn concerned(&self, asked: &Asked) -> Option<Shared> {
        let named = self.find(|app| asked.segments().contains(&app.id.as_str()));
        let first = || self.find(|app| asked.token() == Some(&app.token)).into_iter().next();
        named.into_iter().next().or_else(first)
    }
}

pub(super) fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// 64 hexadecimal digits that nobody had before.
pub(crate) fn random() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let seed = (std::process::id(), SystemTime::now(), COUNT.fetch_add(1, Ordering::Relaxed));
    hex(&Sha256::digest(format!("{seed:?}")))
}

pub(super) fn uuid() -> String {
    let digits = random();
    format!("{}-{}-4{}-a{}-{}", &digits[..8], &digits[8..12], &digits[13..16], &digits[17..20], &digits[20..32])
}
