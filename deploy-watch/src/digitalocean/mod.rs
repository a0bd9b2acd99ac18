//! DigitalOcean's App Platform.

mod api;
mod logs;
mod rollback;
#[cfg(test)]
mod tests;
mod which;

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use self::api::{App, Apps, Deployments, OneApp};
use self::which::Sight;
use crate::http::{self, Api, Failure};
use crate::outcome::{Ended, Outcome, State};
use crate::trail::Trail;
use crate::voice::Voice;
use crate::watch::Goal;

/// Under the names that doctl, the old system and DigitalOcean's own pages have for it.
const TOKENS: [&str; 3] = ["DIGITALOCEAN_ACCESS_TOKEN", "DIGITALOCEAN_TOKEN", "DIGITALOCEAN_API_TOKEN"];
/// So often the platform is asked again after a failure, since its own rollback shows a little later.
const SETTLING: usize = 3;
/// For the logs of a failed deployment.
const EVIDENCE: Duration = Duration::from_secs(30);

/// One app.
pub(crate) struct Platform<'t> {
    api: Api<'t>,
    /// Its id.
    pub(crate) app: String,
}

impl<'t> Platform<'t> {
    /// The app that is named, or the one that deploys the branch.
    ///
    /// # Errors
    /// There is no token, no such app or more than one, or the API cannot be asked.
    pub(crate) fn find(goal: &Goal<'_>, trail: &'t Trail) -> anyhow::Result<Self> {
        let api = Api::new(&goal.watch.follow.digitalocean_url, token()?, trail, goal.deadline());
        let app = match &goal.watch.follow.app {
            Some(name) => named(&api, name)?,
            None => deploying(&api, goal)?,
        };
        Ok(Self { api, app })
    }

    /// # Errors
    /// The API cannot be asked.
    pub(crate) fn follow(&self, goal: &Goal<'_>, voice: &mut Voice<'_>) -> anyhow::Result<Ended> {
        self.api.until(goal.deadline());
        let (mut told, mut settling) = (State::default(), 0);
        loop {
            let mut list = self.deployments().context("cannot list the deployments")?;
            let tries = which::tries(&list, &goal.commit);
            // What is followed is newer than what failed before.
            list.truncate(list.iter().position(|one| goal.after.as_deref() == Some(&*one.id)).unwrap_or(list.len()));
            let ours = which::of(&list, &goal.commit).map(|(_, ours)| ours);
            match which::judge(&list, &goal.commit) {
                Sight::Ended(ended) => return self.with_evidence(Ended { tries, ..ended }, ours, goal, voice),
                Sight::Failing(ended) if settling == SETTLING => return self.with_evidence(Ended { tries, ..ended }, ours, goal, voice),
                Sight::Failing(_) => settling += 1,
                Sight::Absent(newest) => {
                    if let Some(ended) = self.absent(goal, newest.as_deref())? {
                        return Ok(ended);
                    }
                }
                Sight::Running(state) => {
                    if state != told {
                        voice.state(&state)?;
                    }
                    told = state;
                    // One try: the next look comes soon, and what becomes of the deployment matters more.
                    if let Some(ours) = ours.filter(|_| told.phase == "DEPLOYING") {
                        self.capture(ours, goal, Duration::ZERO, voice)?;
                    }
                }
            }
            if Instant::now() + goal.watch.follow.interval >= goal.deadline() {
                return Ok(too_late(&told, goal));
            }
            thread::sleep(goal.watch.follow.interval);
        }
    }

    /// Has the newest commit of the branch deployed again, once.
    ///
    /// # Errors
    /// The API refuses, or it cannot be found out whether it was done.
    pub(crate) fn redeploy(&self, commit: &str) -> anyhow::Result<()> {
        let newest = || Ok::<_, Failure>(self.deployments()?.into_iter().next().map(|one| one.id));
        let before = newest().context("cannot list the deployments")?;
        let path = format!("/v2/apps/{}/deployments", self.app);
        match self.api.post::<serde::de::IgnoredAny>(&path, r#"{"force_build":true}"#) {
            Ok(_) => Ok(()),
            // The answer may have been lost, and not the request.
            Err(Failure::Unseen(why)) => {
                let is_done = newest().context("cannot list the deployments")? != before;
                anyhow::ensure!(is_done, "cannot ask for another deployment of {commit}: {why}");
                Ok(())
            }
            Err(refused) => Err(refused).with_context(|| format!("cannot ask for another deployment of {commit}")),
        }
    }

    /// Whether there is a deployment that was asked for after another one.
    ///
    /// # Errors
    /// The API cannot be asked.
    pub(crate) fn has_newer(&self, deployment: &str) -> anyhow::Result<bool> {
        let list = self.deployments().context("cannot list the deployments")?;
        Ok(list.iter().take_while(|one| one.id != deployment).any(|one| one.cause_details.r#type == "MANUAL"))
    }

    fn seen(&self) -> Result<App, Failure> {
        self.api.get::<OneApp>(&format!("/v2/apps/{}", self.app)).map(|one| one.app)
    }

    fn deployments(&self) -> Result<Vec<api::Deployment>, Failure> {
        self.api.get::<Deployments>(&format!("/v2/apps/{}/deployments?page=1&per_page=50", self.app)).map(|list| list.deployments)
    }

    /// What it means that the commit has no deployment; nothing as long as one may yet come.
    fn absent(&self, goal: &Goal<'_>, newest: Option<&str>) -> anyhow::Result<Option<Ended>> {
        if let Some(newest) = newest.filter(|newest| goal.repository.leads_to(&goal.commit, newest)) {
            let text = format!("{}, which contains it, was deployed in its place", &newest[..newest.len().min(7)]);
            return Ok(Some(Ended::new(Outcome::Superseded, text)));
        }
        let app = self.seen().context("cannot look at the app")?;
        if let Some(pinned) = app.pinned_deployment {
            let text = format!("the app is pinned to deployment {} by a rollback; commit or revert that first", pinned.id);
            return Ok(Some(Ended::new(Outcome::NotStarted, text)));
        }
        if goal.begun.elapsed() < goal.watch.follow.start_timeout {
            return Ok(None);
        }
        let is_off = app.spec.sources().all(|git| !git.deploy_on_push);
        let why = if is_off { "the app does not deploy on push" } else { "is it the branch that the app deploys?" };
        Ok(Some(Ended::new(
            Outcome::NotStarted,
            format!("no deployment of it began within {} s: {why}", goal.watch.follow.start_timeout.as_secs()),
        )))
    }

    /// Takes the logs that there are by now, and is patient for so long, whatever time is left for the deployment.
    fn capture(&self, ours: &api::Deployment, goal: &Goal<'_>, patience: Duration, voice: &Voice<'_>) -> anyhow::Result<Vec<PathBuf>> {
        self.api.until(Instant::now() + patience);
        let mut missed = |e: anyhow::Error| voice.say(&format!("a log could not be had this time: {e:#}"));
        let logs = logs::capture(&self.api, &self.app, ours, goal.folder, &mut missed);
        self.api.until(goal.deadline());
        logs
    }

    fn with_evidence(&self, ended: Ended, ours: Option<&api::Deployment>, goal: &Goal<'_>, voice: &mut Voice<'_>) -> anyhow::Result<Ended> {
        // How it ended is known, whatever else cannot be had by now.
        if ended.outcome == Outcome::Active {
            self.api.until(Instant::now() + EVIDENCE);
            return Ok(Ended { url: self.seen().ok().and_then(|app| app.live_url), ..ended });
        }
        let Some(ours) = ours.filter(|_| ended.outcome.is_failure()) else { return Ok(ended) };
        let logs = self.capture(ours, goal, EVIDENCE, voice)?;
        Ok(Ended { logs, ..ended })
    }
}

/// # Errors
/// None is in the environment.
pub(crate) fn token() -> anyhow::Result<String> {
    http::token(&TOKENS)
}

fn named(api: &Api<'_>, name: &str) -> anyhow::Result<String> {
    let is_id = name.len() == 36 && name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if is_id {
        return Ok(api.get::<OneApp>(&format!("/v2/apps/{name}")).with_context(|| format!("cannot look at the app {name}"))?.app.id);
    }
    let apps = all(api)?;
    let names: Vec<&str> = apps.iter().map(|app| app.spec.name.as_str()).collect();
    let found = apps.iter().find(|app| app.spec.name == name);
    found.map(|app| app.id.clone()).with_context(|| format!("there is no app `{name}`; there are {}", names.join(", ")))
}

/// The app that a component of this branch belongs to.
fn deploying(api: &Api<'_>, goal: &Goal<'_>) -> anyhow::Result<String> {
    let remote = &goal.watch.follow.remote;
    let place = goal.repository.on_forge(remote)?;
    let slug = place.with_context(|| format!("the remote `{remote}` is on no forge, so that --app must say which app is meant"))?.slug;
    let branch = goal.branch.context("HEAD is no branch, so that --branch must say which one was pushed")?;
    let is_meant = |app: &&App| app.spec.sources().any(|git| git.repo.as_deref() == Some(&*slug) && git.branch.as_deref() == Some(branch));
    let apps = all(api)?;
    let meant: Vec<&App> = apps.iter().filter(is_meant).collect();
    match meant[..] {
        [app] => Ok(app.id.clone()),
        [] => anyhow::bail!("no app deploys the branch {branch} of {slug}; --app names one"),
        _ => {
            let names: Vec<&str> = meant.iter().map(|app| app.spec.name.as_str()).collect();
            anyhow::bail!("{} apps deploy the branch {branch} of {slug} ({}); --app names one", meant.len(), names.join(", "))
        }
    }
}

fn all(api: &Api<'_>) -> anyhow::Result<Vec<App>> {
    let mut apps = Vec::new();
    for page in 1.. {
        let more: Apps = api.get(&format!("/v2/apps?page={page}&per_page=200")).context("cannot list the apps")?;
        apps.extend(more.apps);
        if more.links.pages.next.is_none() {
            break;
        }
    }
    Ok(apps)
}

fn too_late(last: &State, goal: &Goal<'_>) -> Ended {
    let after = goal.watch.follow.timeout.as_secs();
    let deployment = last.deployment.clone();
    let (outcome, text) = match last.phase.as_str() {
        "" => (Outcome::NotStarted, format!("no deployment of it began within {after} s")),
        phase if which::is_known(phase) => (Outcome::Timeout, format!("it was still {phase} after {after} s")),
        phase => (Outcome::UnknownPhase, format!("it was in phase `{phase}`, which nobody knows, after {after} s")),
    };
    Ended { deployment, ..Ended::new(outcome, text) }
}
