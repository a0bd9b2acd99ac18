//! What the double knows of one repository.

use crate::double::trouble::Troubles;
use crate::platform::random;

/// An issue, as a test looks at it.
#[derive(Clone, Debug)]
pub(crate) struct Issue {
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) labels: Vec<String>,
    pub(crate) is_open: bool,
    pub(crate) comments: Vec<String>,
}

/// A comment on a commit.
pub(super) struct Comment {
    pub(super) id: u64,
    pub(super) of: String,
    pub(super) body: String,
}

/// A status of a commit.
pub(super) struct Status {
    pub(super) of: String,
    pub(super) state: String,
    pub(super) context: String,
    pub(super) description: String,
}

/// A repository.
pub(super) struct State {
    pub(super) slug: String,
    pub(super) token: String,
    pub(super) issues: Vec<Issue>,
    pub(super) comments: Vec<Comment>,
    pub(super) statuses: Vec<Status>,
    /// Somebody else opens the next issue at the same moment, and is the first.
    pub(super) has_rival: bool,
    pub(super) troubles: Troubles,
    pub(super) requests: Vec<String>,
    pub(super) violations: Vec<String>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            slug: format!("example/shop-{}", &random()[..12]),
            token: format!("ghp_{}", &random()[..36]),
            issues: Vec::new(),
            comments: Vec::new(),
            statuses: Vec::new(),
            has_rival: false,
            troubles: Troubles::default(),
            requests: Vec::new(),
            violations: Vec::new(),
        }
    }

    pub(super) fn open(&mut self, title: &str, body: &str, labels: Vec<String>) -> &Issue {
        let number = self.issues.len() as u64 + 1;
        let (title, body) = (title.to_owned(), body.to_owned());
        self.issues.push(Issue { number, title, body, labels, is_open: true, comments: Vec::new() });
        self.issues.last().expect("it was just added")
    }

    pub(super) fn issue(&mut self, number: &str) -> Option<&mut Issue> {
        self.issues.iter_mut().find(|issue| issue.number.to_string() == number)
    }
}
