//! Going on where a watch was killed: what had begun is looked for before it is done again.

use contract::action::{Action, Outcome};

use super::budget::{Budget, ROOT};
use super::{FOLLOWED, Healer, Remedy, Tried};
use crate::digitalocean::Platform;
use crate::voice::Voice;
use crate::watch::Goal;

/// A remedy that was begun, and of which no end was told; or the last one that came to its end.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) action: Action,
    /// The id of the diagnosis.
    pub(crate) cause: String,
}

impl Healer<'_> {
    /// Where the killed watch had done it, the deployment that comes of it is what is followed; else all is as before it.
    ///
    /// # Errors
    /// The remote or the platform cannot be asked.
    pub(crate) fn resume(
        &mut self,
        pending: Option<Pending>,
        platform: Option<&Platform<'_>>,
        goal: &mut Goal<'_>,
        budget: &mut Budget,
        voice: &Voice<'_>,
    ) -> anyhow::Result<Option<Tried>> {
        // The killed one may have left it.
        if let Some(why) = self.options.force.then(|| self.refused_lease(budget)).flatten() {
            voice.say(&why);
        }
        let Some(pending) = pending else { return Ok(None) };
        let detail = pending.action.detail.clone().unwrap_or_default();
        let text = |key: &str| detail[key].as_str().unwrap_or_default().to_owned();
        let (commit, failed, remedy) = (text("commit"), text("deployment"), Remedy::of(&pending.action.verb));
        if pending.action.outcome != Outcome::Started {
            goal.commit = text(FOLLOWED);
            goal.after = Some(failed).filter(|_| remedy == Some(Remedy::Redeploy));
            budget.resume(detail["attempt"].as_u64());
            return Ok(None);
        }
        goal.commit.clone_from(&commit);
        let done = match remedy {
            Some(Remedy::LockfileUpdate) => self.pushed_fix(&commit, budget)?.map(|fix| (fix, None)),
            Some(Remedy::Redeploy) => match platform {
                Some(platform) if platform.has_newer(&failed)? => Some((commit, Some(failed))),
                _ => None,
            },
            None => None,
        };
        let Some((commit, after)) = done else {
            budget.forget(&text("fingerprint"));
            return Ok(None);
        };
        (goal.commit, goal.after) = (commit, after);
        budget.resume(detail["attempt"].as_u64());
        Ok(Some(Tried { started: pending.action, cause: pending.cause }))
    }

    /// The head of the branch, if it is a fix of ours of that commit.
    fn pushed_fix(&self, commit: &str, budget: &Budget) -> anyhow::Result<Option<String>> {
        let Some(branch) = &self.branch else { return Ok(None) };
        let head = branch.head()?;
        let is_next = self.repository.commit(&format!("{head}^")).is_ok_and(|before| before == commit);
        let is_ours = is_next && self.repository.trailer(&head, ROOT)?.as_ref() == Some(&budget.root);
        Ok(is_ours.then_some(head))
    }
}
