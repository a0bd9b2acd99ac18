//! How a deployment stands, and how it ended.

use std::path::PathBuf;

use contract::run::Exit;
use serde::{Deserialize, Serialize};

/// The types of the records.
pub(crate) const WATCH: &str = "deploy.watch";
pub(crate) const STATE: &str = "deploy.state";
pub(crate) const RESULT: &str = "deploy.result";

/// How a watch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// The commit is live.
    Active,
    /// It could not be built or started.
    Error,
    /// Somebody, or a newer push, called it off.
    Canceled,
    /// A newer one took its place.
    Superseded,
    /// It failed, and the platform went back to the last good one by itself.
    RolledBack,
    /// No deployment of the commit began.
    NotStarted,
    /// The branch is at another commit by now, so that nothing was pushed.
    Moved,
    /// It had not ended when the time was over.
    Timeout,
    /// The time was over in a phase that is not known.
    UnknownPhase,
}

impl Outcome {
    /// Who is replaced by something newer is not to blame.
    pub(crate) fn exit(self) -> Exit {
        match self {
            Self::Active | Self::Canceled | Self::Superseded => Exit::Done,
            Self::Error | Self::RolledBack | Self::NotStarted | Self::Moved | Self::Timeout | Self::UnknownPhase => Exit::Bad,
        }
    }

    /// Whether the commit itself failed, so that its logs tell why.
    pub(crate) fn is_failure(self) -> bool {
        matches!(self, Self::Error | Self::RolledBack)
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Error => "error",
            Self::Canceled => "canceled",
            Self::Superseded => "superseded",
            Self::RolledBack => "rolled_back",
            Self::NotStarted => "not_started",
            Self::Moved => "moved",
            Self::Timeout => "timeout",
            Self::UnknownPhase => "unknown_phase",
        }
    }

    /// The words of `.deployment-status-SHA.result`, which knew three.
    pub(crate) fn old_word(self) -> &'static str {
        match self {
            Self::Active => "success",
            Self::Error | Self::RolledBack => "failed",
            Self::Timeout => "timeout",
            other => other.word(),
        }
    }
}

/// What a platform says of a deployment that goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// As the platform calls it.
    pub(crate) phase: String,
    pub(crate) deployment: Option<String>,
    pub(crate) text: String,
}

/// What a platform says of one that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) deployment: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) text: String,
    /// What it wrote while it was built and started, the likeliest first.
    pub(crate) logs: Vec<PathBuf>,
    /// How often the commit was deployed, by whomever; 0 where nobody counts.
    pub(crate) tries: u32,
}

impl Ended {
    pub(crate) fn new(outcome: Outcome, text: impl Into<String>) -> Self {
        Self { outcome, deployment: None, url: None, text: text.into(), logs: Vec::new(), tries: 0 }
    }
}
