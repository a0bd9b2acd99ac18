//! Faults of what is installed: pip, distributions on disk, their dependencies, and drift from what the project asks for.

use contract::venv::Repair;

use super::{DEGRADED, Entry};

pub(crate) const ALL: &[&Entry] = &[&PIP_MISSING];

pub(crate) const PIP_MISSING: Entry = Entry {
    code: "pip-missing",
    severity: DEGRADED,
    repair: Some(Repair::Pip),
    means: "pip is gone from an environment that was made with it.",
    arises: "A removal by hand, or an interrupted upgrade of pip.",
    mends: "Bootstrapping pip with ensurepip.",
};
