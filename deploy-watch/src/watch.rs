//! `watch`: follows the deployment of one commit, and those that come of what is done about its failure.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use contract::audit::Audit;
use contract::lock::Held;
use contract::output::Output;
use contract::path::Subject;
use contract::process::Identity;
use contract::redact;
use contract::run::Exit;
use contract::state;
use serde_json::json;

use crate::arguments::Watch;
use crate::classify::{self, Cause};
use crate::digitalocean::Platform;
use crate::exec;
use crate::github::{GitHub, Story};
use crate::heal::{Budget, Failed, Healer, Next};
use crate::outcome::{Ended, Outcome};
use crate::repository::Repository;
use crate::trail::{Names, Trail, UNSEEN};
use crate::voice::Voice;

/// Who tells of a deployment where no platform is known.
const OTHER: &str = "exec";

/// So many looks long something that was asked for may take to show.
const SETTLING: u32 = 3;

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
    let commit = repository.commit(&watch.commit).map_err(|e| misplaced(e, watch))?;
    let branch = watch.follow.branch.clone().map_or_else(|| repository.branch(), |branch| Ok(Some(branch)))?;
    let state = options.open()?;
    let folder = state.join("deploy");
    state::private_folder(&folder)?;
    repository.exclude_ours()?;
    let trail = Trail::begin(Names::of(&repository.top, &commit)).map_err(|e| watched(e, &commit))?;
    // Whoever looks at the files wants to see the end, whether or not somebody reads the records.
    out.outlive_its_reader();
    let subject = Subject::from(&*repository.top);
    let (repository, branch, folder) = (&repository, branch.as_deref(), &*folder);
    let goal = Goal { repository, commit, after: None, branch, begun: Instant::now(), watch, folder };
    let github = GitHub::find(&goal, &trail);
    let voice = Voice::new(out, &trail, Audit::open(&state)?, subject, github.as_ref());
    match Watching::of(goal, &trail, github.as_ref()).and_then(|mut watching| watching.follow(voice)) {
        Ok(ended) => {
            trail.end()?;
            Ok(ended.outcome.exit())
        }
        Err(e) => {
            trail.note(&format!("{e:#}"));
            trail.judge(UNSEEN)?;
            trail.end()?;
            Err(e)
        }
    }
}

/// A program in the place of a commit was meant to tell of the deployment.
fn misplaced(e: anyhow::Error, watch: &Watch) -> anyhow::Error {
    let is_program = watch.teller.command.is_empty() && Path::new(&watch.commit).is_file();
    if is_program { e.context(format!("a command comes after `--`: deploy-watch watch -- {}", watch.commit)) } else { e }
}

fn watched(e: anyhow::Error, commit: &str) -> anyhow::Error {
    let short = &commit[..commit.len().min(7)];
    let hint = format!("it is being watched: deploy-watch logs {short} says what is seen, and deploy-watch stop {short} ends it");
    if e.is::<Held>() { e.context(hint) } else { e }
}

/// A watch that goes on.
struct Watching<'w> {
    goal: Goal<'w>,
    trail: &'w Trail,
    /// Where no other command tells of the deployment.
    platform: Option<Platform<'w>>,
    github: Option<&'w GitHub<'w>>,
    /// Which watch it is.
    run: String,
    /// The app, or the command that tells of it.
    app: String,
}

/// What the last deployment came to.
struct Last {
    ended: Ended,
    cause: Option<Cause>,
    /// Nobody does anything more about it.
    is_final: bool,
}

impl<'w> Watching<'w> {
    fn of(goal: Goal<'w>, trail: &'w Trail, github: Option<&'w GitHub<'w>>) -> anyhow::Result<Self> {
        let platform = if goal.watch.teller.command.is_empty() { Some(Platform::find(&goal, trail)?) } else { None };
        let run = trail.run(goal.watch.resume)?;
        let app = platform.as_ref().map_or_else(|| named(&goal.watch.teller.command), |platform| platform.app.clone());
        Ok(Self { goal, trail, platform, github, run, app })
    }

    fn follow(&mut self, mut voice: Voice<'_>) -> anyhow::Result<Ended> {
        let (begun, options) = (self.goal.begun, &self.goal.watch.follow);
        let mut budget = Budget::of(self.goal.repository, &self.goal.commit, options.heal.max_attempts, self.trail.tried()?)?;
        let mut healer = Healer::of(&self.goal);
        let last = self.attempts(&mut healer, &mut budget, &mut voice);
        let last = last.inspect_err(|e| self.github.iter().for_each(|github| github.lost(&self.goal.commit, &format!("{e:#}"), &voice)))?;
        let (ended, cause) = (last.ended, last.cause.as_ref());
        let is_spent = last.is_final && ended.outcome == Outcome::Error;
        if let Some(platform) = self.platform.as_ref().filter(|_| is_spent && options.rollback_on_failure) {
            platform.roll_back(cause.map(|cause| &*cause.id), &self.goal, &mut voice)?;
        }
        healer.give_back(&voice);
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        voice.end(&ended, cause.map(|cause| &*cause.class), budget.attempts(), took_ms)?;
        self.trail.judge(ended.outcome.old_word())?;
        // Last, since the result is worth more than what others are told of it.
        if let Some(github) = self.github.filter(|_| last.is_final) {
            github.ended(&self.story(&ended, cause, &budget.root, budget.attempts())?, self.goal.deadline(), &mut voice)?;
        }
        Ok(ended)
    }

    /// Follows one deployment after the other, for as long as something is tried in between.
    fn attempts(&mut self, healer: &mut Healer<'_>, budget: &mut Budget, voice: &mut Voice<'_>) -> anyhow::Result<Last> {
        let mut tried = None;
        if self.goal.watch.resume {
            self.settle(voice)?;
            let failed = self.goal.commit.clone();
            tried = healer.resume(self.trail.pending()?, self.platform.as_ref(), &mut self.goal, budget, voice)?;
            if let Some(github) = self.github.filter(|_| self.goal.commit != failed) {
                github.followed(&failed, &self.goal.commit, voice);
            }
        }
        self.begin(voice)?;
        loop {
            let ended = match &self.platform {
                Some(platform) => platform.follow(&self.goal, voice)?,
                None => exec::follow(&self.goal, voice)?,
            };
            budget.count(ended.tries);
            if let Some(tried) = tried.take() {
                Healer::conclude(tried, &self.goal.commit, ended.outcome == Outcome::Active, voice)?;
            }
            let cause = if ended.outcome.is_failure() { classify::tell(&ended.logs, voice)? } else { None };
            let Some(known) = &cause else { return Ok(Last { ended, cause, is_final: true }) };
            let failed = Failed { commit: &self.goal.commit, deployment: ended.deployment.as_deref(), cause: known };
            let attempt = budget.attempts();
            match healer.attempt(&failed, self.platform.as_ref(), budget, voice)? {
                Next::Stop => return Ok(Last { ended, cause, is_final: true }),
                Next::Elsewhere => return Ok(Last { ended, cause, is_final: false }),
                Next::Moved(to) => {
                    let text = format!("{}; the branch is at {} by now", ended.text, &to[..to.len().min(7)]);
                    return Ok(Last { ended: Ended { outcome: Outcome::Moved, text, ..ended }, cause, is_final: true });
                }
                Next::Follow { commit, after, tried: now } => {
                    if let Some(github) = self.github {
                        github.failed(&self.story(&ended, cause.as_ref(), &budget.root, attempt)?, voice)?;
                    }
                    voice.failed(ended, &known.class)?;
                    voice.say(&format!("attempt {}: following {commit}", budget.attempts()));
                    voice.with("commit", &commit);
                    (self.goal.commit, self.goal.after, self.goal.begun) = (commit, after, Instant::now());
                    tried = Some(now);
                }
            }
        }
    }

    /// What a killed watch had asked for may arrive after its end.
    fn settle(&self, voice: &Voice<'_>) -> anyhow::Result<()> {
        let enough = self.goal.watch.follow.interval * SETTLING;
        if let Some(left) = self.trail.on_its_way()?.and_then(|age| enough.checked_sub(age)) {
            voice.say(&format!("what had begun may be on its way still; looking in {} s", left.as_secs_f32().ceil()));
            thread::sleep(left);
        }
        Ok(())
    }

    /// What GitHub is told.
    fn story<'s>(&'s self, ended: &'s Ended, cause: Option<&'s Cause>, root: &'s str, attempt: u32) -> anyhow::Result<Story<'s>> {
        Ok(Story {
            run: &self.run,
            root,
            commit: &self.goal.commit,
            branch: self.goal.branch,
            app: &self.app,
            outcome: ended.outcome,
            text: &ended.text,
            attempt,
            cause,
            log: ended.logs.first().map(PathBuf::as_path),
            tried: self.trail.done()?,
        })
    }

    /// Says what is watched, and who watches, so that `stop` ends nobody else.
    fn begin(&self, voice: &mut Voice<'_>) -> anyhow::Result<()> {
        let (goal, timeout) = (&self.goal, self.goal.watch.follow.timeout);
        voice.with("commit", &goal.commit);
        if let Some(branch) = goal.branch {
            voice.with("branch", branch);
        }
        voice.with("provider", if self.platform.is_some() { "digitalocean" } else { OTHER });
        if let Some(platform) = &self.platform {
            voice.with("app", &platform.app);
        }
        voice.say(&format!("watching {} for {} s at most", goal.commit, timeout.as_secs()));
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        voice.begin(json!({ "timeout_ms": timeout_ms, "watcher": Identity::of(std::process::id()), "run": self.run }))
    }
}

/// A command by its file name and what it is given: where it lies differs from one machine to the next.
fn named(teller: &[String]) -> String {
    let (program, words) = teller.split_first().map_or(("", teller), |(program, words)| (&**program, words));
    let name = program.rsplit('/').next().unwrap_or_default();
    redact::excerpt(&[name].into_iter().chain(words.iter().map(String::as_str)).collect::<Vec<_>>().join(" "))
}
