//! Going back to what is live ("Rollback an App"). The platform serves the last good deployment anyhow; what a rollback adds is that the app
//! is pinned to it, so that nothing else is deployed until a person says so.

use std::thread;
use std::time::Instant;

use anyhow::Context as _;
use contract::action::{Action, Outcome as How};
use serde_json::json;

use super::api::{App, Deployment, OneDeployment, Validity};
use super::which::{commit_of, is_over};
use super::{EVIDENCE, Platform};
use crate::http::Failure;
use crate::voice::Voice;
use crate::watch::Goal;

const VERB: &str = "rollback";

impl Platform<'_> {
    /// Goes back, or says what that would be, or why it does not.
    ///
    /// # Errors
    /// Nothing can be written here.
    pub(crate) fn roll_back(&self, cause: Option<&str>, goal: &Goal<'_>, voice: &mut Voice<'_>) -> anyhow::Result<()> {
        self.api.until(Instant::now() + EVIDENCE);
        let skipped = |text: &str| Action { outcome: How::Skipped, text: text.to_owned(), ..Action::default() };
        let action = match self.seen() {
            Err(e) => failed(&e.into()),
            Ok(App { pinned_deployment: Some(pinned), .. }) => skipped(&format!("the app is pinned to {} already", pinned.id)),
            Ok(App { active_deployment: None, .. }) => skipped("nothing is live that it could go back to"),
            Ok(App { active_deployment: Some(good), .. }) => self.back_to(&good, cause, goal, voice)?,
        };
        voice.action(cause, &Action { verb: VERB.to_owned(), ..action })
    }

    fn back_to(&self, good: &Deployment, cause: Option<&str>, goal: &Goal<'_>, voice: &mut Voice<'_>) -> anyhow::Result<Action> {
        let commit = commit_of(good).unwrap_or_default();
        let words = format!("go back to deployment {} of {}, and pin the app to it", good.id, &commit[..commit.len().min(7)]);
        let planned = Action {
            verb: VERB.to_owned(),
            text: words,
            detail: Some(json!({ "deployment": good.id, "commit": commit })),
            ..Action::default()
        };
        if !goal.watch.follow.heal.force {
            return Ok(planned);
        }
        let started = Action { outcome: How::Started, ..planned };
        voice.action(cause, &started)?;
        Ok(match self.ask_for(good, goal) {
            Ok(()) => Action {
                outcome: How::Done,
                changed: true,
                verified: true,
                text: format!(
                    "deployment {} of {} is live again, and the app is pinned to it: no push is deployed until the rollback is committed or reverted, \
                     in the console or by POST /v2/apps/{}/rollback/commit (or /revert)",
                    good.id,
                    &commit[..commit.len().min(7)],
                    self.app
                ),
                ..started
            },
            Err(e) => Action { detail: started.detail, ..failed(&e) },
        })
    }

    /// Asks for it, and looks on until it is live.
    fn ask_for(&self, good: &Deployment, goal: &Goal<'_>) -> anyhow::Result<()> {
        let body = json!({ "deployment_id": good.id, "skip_pin": false }).to_string();
        let path = |below: &str| format!("/v2/apps/{}/rollback{below}", self.app);
        let validity: Validity = self.api.post(&path("/validate"), &body).context("cannot ask whether a rollback is possible")?;
        let why = validity.error.map_or_else(String::new, |error| format!(": {} ({})", error.message, error.code));
        anyhow::ensure!(validity.valid, "the platform takes no rollback to {}{why}", good.id);
        let id = match self.api.post::<OneDeployment>(&path(""), &body) {
            // The answer may have been lost, and not the request.
            Err(Failure::Unseen(why)) => self.seen()?.pinned_deployment.map(|pinned| pinned.id).context(why)?,
            asked => asked.context("the platform refuses the rollback")?.deployment.id,
        };
        let deadline = Instant::now() + goal.watch.follow.timeout;
        self.api.until(deadline);
        loop {
            let now: OneDeployment = self.api.get(&format!("/v2/apps/{}/deployments/{id}", self.app)).context("cannot see the rollback")?;
            match now.deployment.phase.as_str() {
                "ACTIVE" => return Ok(()),
                phase if is_over(phase) => anyhow::bail!("the rollback is deployment {id}, and that is {phase}"),
                phase if Instant::now() + goal.watch.follow.interval >= deadline => {
                    anyhow::bail!(
                        "the rollback is deployment {id}, and that was still {phase} after {} s",
                        goal.watch.follow.timeout.as_secs()
                    )
                }
                _ => thread::sleep(goal.watch.follow.interval),
            }
        }
    }
}

fn failed(e: &anyhow::Error) -> Action {
    Action { outcome: How::Failed, text: format!("{e:#}"), ..Action::default() }
}
