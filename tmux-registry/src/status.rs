//! The words for how an agent is. Agents report them of themselves, so that there may be others.

/// It is at work.
const ACTIVE: [&str; 4] = ["running", "working", "blocked", "reviewing"];
/// Nothing follows.
const TERMINAL: [&str; 6] = ["completed", "phase_completed", "terminated", "error", "failed", "killed"];
/// Of a task: nothing follows.
const CLOSED: [&str; 6] = ["ARCHIVED", "COMPLETED", "FAILED", "TERMINATED", "CANCELLED", "completed"];

pub(crate) fn is_active(status: &str) -> bool {
    ACTIVE.contains(&status)
}

pub(crate) fn is_terminal(status: &str) -> bool {
    TERMINAL.contains(&status)
}

/// Whether a task is over.
pub(crate) fn is_closed(status: &str) -> bool {
    CLOSED.contains(&status)
}
