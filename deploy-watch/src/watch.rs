//! `watch`: follows the deployment of one commit, and those that come of what is done about its failure.

use std::path::Path;
use std::time::{Duration, Instant};

use contract::audit::Audit;
use contract::output::Output;
use contract::path::Subject;
use contract::process::Identity;
use contract::run::Exit;
use contract::state;
use serde_json::json;

use crate::arguments::Watch;
use crate::classify;
use crate::digitalocean::Platform;
use crate::exec;
use crate::heal::{Budget, Failed, Healer, Next};
use crate::outcome::{Ended, Outcome, State};
use crate::repository::Repository;
use crate::trail::{Names, Trail, UNSEEN};
use crate::voice::Voice;

/// What is followed, and for how long.
#[derive(Clone)]
pub(crate) struct Goal<'w> {
    pub(crate) repository: &'w Repository,
    pub(crate) commit: String,
    /// The deployment of it that failed before: it and those before it are none.
    pub(crate) after: Option<String>,
    pub(crate) branch: Option<&'w str>,
    pub(crate) begun: Instant,
    pub(crate) watch: &'w Watch,
    /// Where logs of deployments are kept.
    pub(crate) folder: &'w Path,
}

impl Goal<'_> {
    pub(crate) fn deadline(&self) -> Instant {
        self.begun + self.watch.follow.timeout
    }

    pub(crate) fn left(&self) -> Duration {
        self.deadline().saturating_duration_since(Instant::now())
    }
}

pub(crate) fn run(out: &mut Output, watch: &Watch, options: &state::Options) -> anyhow::Result<Exit> {
    let repository = Repository::here()?;
    let commit = repository.commit(&watch.commit)?;
    let branch = watch.follow.branch.clone().map_or_else(|| repository.branch(), |branch| Ok(Some(branch)))?;
    let state = options.open()?;
    let folder = state.join("deploy");
    state::private_folder(&folder)?;
    repository.exclude_ours()?;
    let trail = Trail::begin(Names::of(&repository.top, &commit))?;
    // Whoever looks at the files wants to see the end, whether or not somebody reads the records.
    out.outlive_its_reader();
    let voice = Voice::new(out, &trail, Audit::open(&state)?, Subject::from(&*repository.top));
    let (repository, branch, folder) = (&repository, branch.as_deref(), &*folder);
    let goal = Goal { repository, commit, after: None, branch, begun: Instant::now(), watch, folder };
    match follow(voice, &trail, goal) {
        Ok(ended) => {
            trail.end(ended.outcome.old_word())?;
            Ok(ended.outcome.exit())
        }
        Err(e) => {
            trail.note(&format!("{e:#}"));
            trail.end(UNSEEN)?;
            Err(e)
        }
    }
}

/// Follows one deployment after the other, for as long as something is tried in between.
fn follow(mut voice: Voice<'_>, trail: &Trail, mut goal: Goal<'_>) -> anyhow::Result<Ended> {
    let begun = goal.begun;
    let platform = if goal.watch.follow.teller.is_empty() { Some(Platform::find(&goal, trail)?) } else { None };
    let mut budget = Budget::of(goal.repository, &goal.commit, goal.watch.follow.heal.max_attempts, trail.tried()?)?;
    let mut healer = Healer::of(&goal, platform.as_ref());
    let mut tried = if goal.watch.resume { healer.resume(trail.pending()?, &mut goal, &mut budget, &voice)? } else { None };
    begin(&mut voice, &goal, platform.as_ref())?;
    let (ended, class) = loop {
        let ended = match &platform {
            Some(platform) => platform.follow(&goal, &mut voice)?,
            None => exec::follow(&goal, &mut voice)?,
        };
        if let Some(tried) = tried.take() {
            Healer::conclude(tried, &goal.commit, ended.outcome == Outcome::Active, &mut voice)?;
        }
        let cause = if ended.outcome.is_failure() { classify::tell(&ended.logs, &mut voice)? } else { None };
        let Some(cause) = cause else { break (ended, None) };
        let failed = Failed { commit: &goal.commit, deployment: ended.deployment.as_deref(), cause: &cause };
        match healer.attempt(&failed, &mut budget, &mut voice)? {
            Next::Stop => break (ended, Some(cause.class)),
            Next::Moved(to) => {
                let text = format!("{}; the branch is at {} by now", ended.text, &to[..to.len().min(7)]);
                break (Ended { outcome: Outcome::Moved, text, ..ended }, Some(cause.class));
            }
            Next::Follow { commit, after, tried: now } => {
                voice.state(&State { phase: ended.outcome.word().to_owned(), deployment: ended.deployment, text: ended.text })?;
                voice.say(&format!("attempt {}: following {commit}", budget.attempts()));
                voice.with("commit", &commit);
                goal = Goal { commit, after, begun: Instant::now(), ..goal };
                tried = Some(now);
            }
        }
    };
    healer.give_back(&voice);
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    voice.end(&ended, class.as_deref(), budget.attempts(), took_ms)?;
    Ok(ended)
}

/// Says what is watched, and who watches, so that `stop` ends nobody else.
fn begin(voice: &mut Voice<'_>, goal: &Goal<'_>, platform: Option<&Platform<'_>>) -> anyhow::Result<()> {
    voice.with("commit", &goal.commit);
    if let Some(branch) = goal.branch {
        voice.with("branch", branch);
    }
    voice.with("provider", if platform.is_some() { "digitalocean" } else { "exec" });
    if let Some(platform) = platform {
        voice.with("app", &platform.app);
    }
    voice.say(&format!("watching {} for {} s at most", goal.commit, goal.watch.follow.timeout.as_secs()));
    let timeout_ms = u64::try_from(goal.watch.follow.timeout.as_millis()).unwrap_or(u64::MAX);
    voice.begin(json!({ "timeout_ms": timeout_ms, "watcher": Identity::of(std::process::id()) }))
}
