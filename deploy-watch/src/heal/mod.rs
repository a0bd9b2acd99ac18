//! What is done about a failed deployment: a remedy of a closed table, planned, made where nobody works, and proved by the next deployment.

mod branch;
mod budget;
mod lease;
mod lockfile;
mod manager;
mod resume;
mod worktree;

use std::path::PathBuf;

use anyhow::Context as _;
use contract::action::{Action, Outcome};
use serde_json::{Value, json};

use self::branch::{Branch, Pushed};
pub(crate) use self::budget::{Budget, root_of};
use self::lease::Lease;
use self::lockfile::Message;
pub(crate) use self::resume::Pending;
use crate::arguments::Heal;
use crate::classify::Cause;
use crate::digitalocean::Platform;
use crate::fingerprint;
use crate::repository::Repository;
use crate::voice::Voice;
use crate::watch::Goal;

/// Which deployment showed whether a remedy helped: the commit, in the detail of the action.
pub(crate) const FOLLOWED: &str = "followed";

/// What may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    LockfileUpdate,
    Redeploy,
}

/// How it goes on.
#[derive(Debug)]
pub(crate) enum Next {
    /// A deployment of this commit comes, none of those up to that one.
    Follow { commit: String, after: Option<String>, tried: Tried },
    /// The branch is elsewhere by now.
    Moved(String),
    /// Nothing is tried, or nothing more.
    Stop,
    /// Somebody else does what can be done.
    Elsewhere,
}

/// What was done, and is proved only by the deployment that follows.
#[derive(Debug)]
pub(crate) struct Tried {
    started: Action,
    cause: String,
}

/// One healer at one branch.
pub(crate) struct Healer<'h> {
    repository: &'h Repository,
    options: &'h Heal,
    branch: Option<Branch<'h>>,
    /// Where it works.
    folder: PathBuf,
    lease: Option<Lease<'h>>,
}

impl<'h> Healer<'h> {
    pub(crate) fn of(goal: &Goal<'h>) -> Self {
        let branch = goal.branch.map(|name| Branch { repository: goal.repository, remote: &goal.watch.follow.remote, name });
        // Two clones of one repository heal in folders of their own.
        let clone = fingerprint::digits(goal.repository.top.as_os_str().as_encoded_bytes());
        let name = format!("{clone}-{}", &goal.commit[..12]);
        let folder = goal.folder.join("worktrees").join(name);
        Self { repository: goal.repository, options: &goal.watch.follow.heal, branch, folder, lease: None }
    }

    /// Tries what helps, or says what that would be, or why nothing is. The platform is asked to deploy again, where there is one.
    ///
    /// # Errors
    /// Nothing can be written.
    pub(crate) fn attempt(
        &mut self,
        failed: &Failed<'_>,
        platform: Option<&Platform<'_>>,
        budget: &mut Budget,
        voice: &mut Voice<'_>,
    ) -> anyhow::Result<Next> {
        if !self.options.heals {
            return Ok(Next::Stop);
        }
        let fingerprint = failed.cause.fingerprint();
        let remedy = match self.remedy(failed, platform.is_some()).and_then(|remedy| budget.allows(&fingerprint).map(|()| remedy)) {
            Ok(remedy) => remedy,
            Err(why) => return declined(failed, why, voice),
        };
        let planned = Action {
            verb: remedy.verb().to_owned(),
            text: remedy.words(failed.commit),
            detail: Some(detail(failed, budget.next(), &fingerprint)),
            ..Action::default()
        };
        if !self.options.force {
            voice.action(Some(&failed.cause.id), &planned)?;
            return Ok(Next::Stop);
        }
        match self.refused_lease(budget) {
            Ok(None) => {}
            Ok(Some(who)) => return declined(failed, who, voice).map(|_| Next::Elsewhere),
            Err(e) => return declined(failed, format!("it cannot be made sure that nobody else heals it: {e:#}"), voice),
        }
        // On the disk before anything is done, so that whoever goes on after a crash does not do it again.
        let started = Action { outcome: Outcome::Started, ..planned };
        voice.action(Some(&failed.cause.id), &started)?;
        budget.spend(&fingerprint);
        match self.apply(remedy, failed, platform, budget, &fingerprint) {
            Ok(Applied::Follow { commit, after }) => {
                if commit != failed.commit {
                    budget.turn();
                }
                Ok(Next::Follow { commit, after, tried: Tried { started, cause: failed.cause.id.clone() } })
            }
            Ok(Applied::Moved(to)) => {
                budget.refund();
                let text = format!("the branch has moved to {} meanwhile, and nothing was pushed", &to[..to.len().min(7)]);
                voice.action(Some(&failed.cause.id), &Action { outcome: Outcome::Skipped, text, ..started })?;
                Ok(Next::Moved(to))
            }
            Err(e) => {
                budget.refund();
                voice.action(Some(&failed.cause.id), &Action { outcome: Outcome::Failed, text: format!("{e:#}"), ..started })?;
                Ok(Next::Stop)
            }
        }
    }

    /// Who else heals it, among machines; nobody where this is the one.
    ///
    /// # Errors
    /// The remote does not say, or would not have it.
    fn refused_lease(&mut self, budget: &Budget) -> anyhow::Result<Option<String>> {
        let Some(branch) = self.branch.as_ref().filter(|_| self.lease.is_none()) else { return Ok(None) };
        let is_one = self.repository.pushes_where_it_fetches(branch.remote)?;
        anyhow::ensure!(is_one, "{} is pushed to elsewhere than where it is asked (remote.{0}.pushurl)", branch.remote);
        match Lease::take(self.repository, branch.remote, &budget.root)? {
            Ok(lease) => {
                self.lease = Some(lease);
                Ok(None)
            }
            Err(who) => Ok(Some(who)),
        }
    }

    /// Another run may heal again. A lease that cannot be given back runs out by itself.
    pub(crate) fn give_back(&mut self, voice: &Voice<'_>) {
        if let Some(Err(e)) = self.lease.take().map(Lease::give_back) {
            voice.say(&format!("the lease could not be given back, and runs out by itself: {e:#}"));
        }
    }

    /// What may be tried, or why nothing may.
    fn remedy(&self, failed: &Failed<'_>, has_platform: bool) -> Result<Remedy, String> {
        let by_hand = || failed.cause.manual.clone().map_or_else(String::new, |manual| format!("; {manual}"));
        match failed.cause.remedy.as_deref() {
            // What is deployed again is the head of the branch, whatever that is by now.
            Some("lockfile-update" | "redeploy") if self.branch.is_none() => {
                Err("HEAD is no branch, so that --branch must say which one was pushed".to_owned())
            }
            Some("lockfile-update") => Ok(Remedy::LockfileUpdate),
            Some("redeploy") if has_platform => Ok(Remedy::Redeploy),
            Some("redeploy") => Err("nobody is known here who could be asked to deploy again".to_owned()),
            _ => Err(format!("only a person can help with {}{}", failed.cause.class, by_hand())),
        }
    }

    fn apply(
        &self,
        remedy: Remedy,
        failed: &Failed<'_>,
        platform: Option<&Platform<'_>>,
        budget: &Budget,
        fingerprint: &str,
    ) -> anyhow::Result<Applied> {
        let branch = self.branch.as_ref().context("it is not known which branch it is")?;
        let head = branch.head()?;
        if head != failed.commit {
            return Ok(Applied::Moved(head));
        }
        match remedy {
            Remedy::LockfileUpdate => {
                let message =
                    Message { committer: self.options.committer.as_ref(), root: &budget.root, attempt: budget.attempt(), fingerprint };
                let fix = lockfile::fix(self.repository, failed.commit, &self.folder, &message)?;
                match branch.forward(failed.commit, &fix)? {
                    Pushed::Done => Ok(Applied::Follow { commit: fix, after: None }),
                    Pushed::Moved(to) => Ok(Applied::Moved(to)),
                }
            }
            Remedy::Redeploy => {
                platform.context("there is nobody to ask")?.redeploy(failed.commit)?;
                Ok(Applied::Follow { commit: failed.commit.to_owned(), after: failed.deployment.map(str::to_owned) })
            }
        }
    }

    /// Tells whether what was tried helped, as the deployment that followed shows.
    ///
    /// # Errors
    /// Nothing can be written.
    pub(crate) fn conclude(mut tried: Tried, commit: &str, is_live: bool, voice: &mut Voice<'_>) -> anyhow::Result<()> {
        if let Some(detail) = &mut tried.started.detail {
            detail[FOLLOWED] = commit.into();
        }
        let action = if is_live {
            Action { outcome: Outcome::Done, changed: true, verified: true, ..tried.started }
        } else {
            let text = format!("{}; it did not help", tried.started.text);
            Action { outcome: Outcome::Failed, changed: true, text, ..tried.started }
        };
        voice.action(Some(&tried.cause), &action)
    }
}

/// What whoever goes on after a crash has to know.
fn detail(failed: &Failed<'_>, attempt: u32, fingerprint: &str) -> Value {
    let mut detail = json!({ "commit": failed.commit, "attempt": attempt, "fingerprint": fingerprint });
    if let Some(deployment) = failed.deployment {
        detail["deployment"] = deployment.into();
    }
    detail
}

fn declined(failed: &Failed<'_>, text: String, voice: &mut Voice<'_>) -> anyhow::Result<Next> {
    let action = Action { verb: "heal".to_owned(), outcome: Outcome::Skipped, text, ..Action::default() };
    voice.action(Some(&failed.cause.id), &action)?;
    Ok(Next::Stop)
}

enum Applied {
    Follow { commit: String, after: Option<String> },
    Moved(String),
}

/// A deployment that failed, and why.
pub(crate) struct Failed<'f> {
    pub(crate) commit: &'f str,
    pub(crate) deployment: Option<&'f str>,
    pub(crate) cause: &'f Cause,
}

/// Whether that is what an action does.
pub(crate) fn is_remedy(verb: &str) -> bool {
    Remedy::of(verb).is_some()
}

/// Whether what it does is a commit, which has the fingerprint with it.
pub(crate) fn shows_on_branch(verb: &str) -> bool {
    Remedy::of(verb) == Some(Remedy::LockfileUpdate)
}

impl Remedy {
    fn of(verb: &str) -> Option<Self> {
        [Self::LockfileUpdate, Self::Redeploy].into_iter().find(|remedy| remedy.verb() == verb)
    }

    fn verb(self) -> &'static str {
        match self {
            Self::LockfileUpdate => "lockfile-update",
            Self::Redeploy => "redeploy",
        }
    }

    fn words(self, commit: &str) -> String {
        let short = &commit[..commit.len().min(7)];
        match self {
            Self::LockfileUpdate => format!("make the lock file of {short} fit, in a work tree of its own, and push that as one commit"),
            Self::Redeploy => format!("deploy {short} again"),
        }
    }
}
