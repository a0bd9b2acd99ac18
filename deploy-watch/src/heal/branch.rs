//! The watched branch on its remote: where it is, and one step forward.

use anyhow::Context as _;

use crate::repository::Repository;

/// A branch on a remote.
#[derive(Debug)]
pub(crate) struct Branch<'r> {
    pub(crate) repository: &'r Repository,
    pub(crate) remote: &'r str,
    pub(crate) name: &'r str,
}

/// What became of a push.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It was seen there.
    Done,
    /// Somebody else was faster.
    Moved(String),
}

impl Branch<'_> {
    /// Where it is now.
    ///
    /// # Errors
    /// The remote cannot be asked, or has no such branch.
    pub(crate) fn head(&self) -> anyhow::Result<String> {
        let head = self.repository.remote_ref(self.remote, &format!("refs/heads/{}", self.name))?;
        head.with_context(|| format!("{} has no branch {}", self.remote, self.name))
    }

    /// Moves it from one commit to another that follows it, and only that.
    ///
    /// # Errors
    /// The remote refuses, or cannot be asked.
    pub(crate) fn forward(&self, from: &str, to: &str) -> anyhow::Result<Pushed> {
        anyhow::ensure!(self.repository.leads_to(from, to), "{to} does not follow {from}");
        let (lease, refspec) = (format!("--force-with-lease=refs/heads/{}:{from}", self.name), format!("{to}:refs/heads/{}", self.name));
        let pushed = self.repository.push(&lease, self.remote, &refspec);
        let now = self.head()?;
        match pushed {
            _ if now == to => Ok(Pushed::Done),
            _ if now != from => Ok(Pushed::Moved(now)),
            Err(e) => Err(e.context(format!("cannot push to the branch {}", self.name))),
            Ok(()) => anyhow::bail!("{} took the push, and its branch {} is where it was", self.remote, self.name),
        }
    }
}
