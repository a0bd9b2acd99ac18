//! What a test says that becomes of a deployment.

/// A deployment, told in advance.
#[derive(Clone)]
pub(crate) struct Deployment {
    pub(super) id: String,
    pub(super) commit: String,
    pub(super) cause: String,
    pub(super) phases: Vec<String>,
    pub(super) failure: Option<Failure>,
    /// The components whose build is an old one.
    pub(super) reused: Vec<String>,
    /// The components for which there is nothing to do.
    pub(super) idle: Vec<String>,
    pub(super) logs: Vec<Log>,
    /// How many listings do not show it yet.
    pub(super) listings: usize,
    /// The deployment that must have come to a phase before.
    pub(super) after: Option<(String, String)>,
    /// The phase that was last seen, or none where nobody looked.
    pub(super) seen: Option<usize>,
    pub(super) created_at: String,
    pub(super) previous: Option<String>,
}

/// The step that fails.
#[derive(Clone)]
pub(super) struct Failure {
    pub(super) stage: String,
    pub(super) component: String,
    pub(super) code: String,
    pub(super) message: String,
}

/// The log of one component and type.
#[derive(Clone)]
pub(super) struct Log {
    pub(super) component: String,
    pub(super) kind: String,
    pub(super) archives: Vec<String>,
}

impl Deployment {
    /// A push of this commit that goes well.
    pub(crate) fn of(commit: &str) -> Self {
        let deployment = Self {
            id: super::state::uuid(),
            commit: commit.to_owned(),
            cause: "DEPLOY_ON_PUSH".to_owned(),
            phases: Vec::new(),
            failure: None,
            reused: Vec::new(),
            idle: Vec::new(),
            logs: Vec::new(),
            listings: 0,
            after: None,
            seen: None,
            created_at: String::new(),
            previous: None,
        };
        deployment.phases(&["PENDING_BUILD", "BUILDING", "PENDING_DEPLOY", "DEPLOYING", "ACTIVE"])
    }

    /// `MANUAL`, `AUTO_ROLLBACK`, and so on.
    pub(crate) fn cause(mut self, cause: &str) -> Self {
        cause.clone_into(&mut self.cause);
        self
    }

    /// The phases that one look after the other finds; it stays in the last.
    pub(crate) fn phases(mut self, phases: &[&str]) -> Self {
        self.phases = phases.iter().map(|phase| (*phase).to_owned()).collect();
        self
    }

    /// Which step fails, and what the platform says of it. Without this an ERROR names no step.
    pub(crate) fn fails(mut self, stage: &str, component: &str, code: &str, message: &str) -> Self {
        let [stage, component, code, message] = [stage, component, code, message].map(str::to_owned);
        self.failure = Some(Failure { stage, component, code, message });
        self
    }

    /// A step that goes well has a reason, too.
    pub(crate) fn reuses_build(mut self, component: &str) -> Self {
        self.reused.push(component.to_owned());
        self
    }

    /// A job for the case of a failure: its steps are pending for ever, and not all steps of a success succeed.
    pub(crate) fn idle(mut self, component: &str) -> Self {
        self.idle.push(component.to_owned());
        self
    }

    /// The log of a component and type (`BUILD`, `DEPLOY`, `RUN`), in so many archives.
    pub(crate) fn log(mut self, component: &str, kind: &str, archives: &[&str]) -> Self {
        let archives = archives.iter().map(|text| (*text).to_owned()).collect();
        self.logs.push(Log { component: component.to_owned(), kind: kind.to_owned(), archives });
        self
    }

    /// The platform takes its time: so many listings do not show it.
    pub(crate) fn after_listings(mut self, listings: usize) -> Self {
        self.listings = listings;
        self
    }

    /// It comes when somebody has seen another one in that phase.
    pub(crate) fn after(mut self, deployment: &str, phase: &str) -> Self {
        self.after = Some((deployment.to_owned(), phase.to_owned()));
        self
    }

    /// The phases it has come through, the present one last.
    pub(super) fn passed(&self) -> &[String] {
        &self.phases[..=self.seen.unwrap_or(0)]
    }

    pub(super) fn phase(&self) -> &str {
        self.passed().last().map_or("UNKNOWN", String::as_str)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase(), "ACTIVE" | "SUPERSEDED" | "ERROR" | "CANCELED")
    }

    pub(super) fn advance(&mut self) {
        self.seen = Some(self.seen.map_or(0, |at| (at + 1).min(self.phases.len() - 1)));
    }
}
