//! How often it is tried. The budget travels with the commits that are made, so that no other process or machine begins to count anew.

use crate::repository::Repository;

/// Trailers of a commit of ours.
pub(super) const ROOT: &str = "Deploy-Watch-Root";
pub(super) const ATTEMPT: &str = "Deploy-Watch-Attempt";
pub(super) const FINGERPRINT: &str = "Deploy-Watch-Fingerprint";

/// The commit that a fix of ours is for; none where a commit is somebody else's.
///
/// # Errors
/// git does not say.
pub(crate) fn root_of(repository: &Repository, commit: &str) -> anyhow::Result<Option<String>> {
    let root = repository.trailer(commit, ROOT)?;
    Ok(root.filter(|root| root.len() == commit.len() && root.bytes().all(|b| b.is_ascii_hexdigit())))
}

/// Which deployment this is, of how many.
#[derive(Debug)]
pub(crate) struct Budget {
    /// The commit that somebody pushed.
    pub(crate) root: String,
    attempt: u32,
    /// Which deployment the first one of the present commit is.
    first: u32,
    most: u32,
    /// What was tried against already.
    tried: Vec<String>,
}

impl Budget {
    /// Of a commit, which may be a fix of ours; with what an earlier run of this machine tried.
    ///
    /// # Errors
    /// git does not say.
    pub(crate) fn of(repository: &Repository, commit: &str, most: u32, tried: Vec<String>) -> anyhow::Result<Self> {
        let root = root_of(repository, commit)?;
        let attempt = repository.trailer(commit, ATTEMPT)?.and_then(|attempt| attempt.split('/').next()?.trim().parse().ok());
        let before = repository.trailer(commit, FINGERPRINT)?;
        // A fix whose count is not known has spent all of it.
        let attempt = if root.is_some() { attempt.unwrap_or(most) } else { 1 };
        let (root, tried) = (root.unwrap_or_else(|| commit.to_owned()), tried.into_iter().chain(before).collect());
        Ok(Self { root, attempt, first: attempt, most, tried })
    }

    /// Counts what was deployed of the commit by others as well: no commit tells of a deployment that was only asked for again.
    pub(crate) fn count(&mut self, tries: u32) {
        self.attempt = self.attempt.max(self.first.saturating_add(tries).saturating_sub(1));
    }

    /// What is deployed next is another commit.
    pub(super) fn turn(&mut self) {
        self.first = self.attempt;
    }

    /// # Errors
    /// It is spent, or the same failure was tried against before: why.
    pub(super) fn allows(&self, fingerprint: &str) -> Result<(), String> {
        if self.tried.iter().any(|tried| tried == fingerprint) {
            return Err("it failed in the same way as before, so that nothing more is tried".to_owned());
        }
        if self.attempt >= self.most {
            return Err(format!("{} of {} attempts are spent", self.attempt, self.most));
        }
        Ok(())
    }

    pub(super) fn spend(&mut self, fingerprint: &str) {
        self.attempt += 1;
        self.tried.push(fingerprint.to_owned());
    }

    /// What was tried against that was not done after all.
    pub(super) fn forget(&mut self, fingerprint: &str) {
        self.tried.retain(|tried| tried != fingerprint);
    }

    /// Goes on with a deployment that an earlier run brought about; one whose number is not known is the last.
    pub(super) fn resume(&mut self, attempt: Option<u64>) {
        self.attempt = attempt.and_then(|attempt| u32::try_from(attempt).ok()).unwrap_or(self.most);
    }

    /// Which deployment this is.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempt
    }

    /// Which the next one would be.
    pub(super) fn next(&self) -> u32 {
        self.attempt + 1
    }

    /// `2/3`.
    pub(super) fn attempt(&self) -> String {
        format!("{}/{}", self.attempt, self.most)
    }
}
