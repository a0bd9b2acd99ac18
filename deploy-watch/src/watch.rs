//! `watch`: follows one deployment, tells of each step, and of its end with what caused it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use contract::output::Output;
use contract::path::Subject;
use contract::process::Identity;
use contract::record::About;
use contract::run::Exit;
use contract::state;
use serde_json::{Map, Value, json};

use crate::arguments::Watch;
use crate::classify;
use crate::digitalocean::Platform;
use crate::exec;
use crate::outcome::{Ended, RESULT, STATE, State, WATCH};
use crate::repository::Repository;
use crate::trail::{Names, Trail};

/// Where the records of a watch go: to stdout, and to whoever looks on.
pub(crate) struct Voice<'w> {
    out: &'w mut Output,
    trail: &'w Trail,
    subject: Subject,
    /// What is in every record: the commit, the branch, and who deploys it.
    deploy: Map<String, Value>,
}

/// What is followed, and for how long.
pub(crate) struct Goal<'w> {
    pub(crate) repository: &'w Repository,
    pub(crate) commit: &'w str,
    pub(crate) branch: Option<&'w str>,
    pub(crate) begun: Instant,
    pub(crate) watch: &'w Watch,
    /// Where logs of deployments are kept.
    pub(crate) folder: &'w Path,
}

impl Goal<'_> {
    pub(crate) fn deadline(&self) -> Instant {
        self.begun + self.watch.timeout
    }

    pub(crate) fn left(&self) -> Duration {
        self.deadline().saturating_duration_since(Instant::now())
    }
}

pub(crate) fn run(out: &mut Output, watch: &Watch, options: &state::Options) -> anyhow::Result<Exit> {
    let repository = Repository::here()?;
    let commit = repository.commit(&watch.commit)?;
    let branch = watch.branch.clone().map_or_else(|| repository.branch(), |branch| Ok(Some(branch)))?;
    let folder = options.open()?.join("deploy");
    state::private_folder(&folder)?;
    repository.exclude_ours()?;
    let trail = Trail::begin(Names::of(&repository.top, &commit))?;
    // Whoever looks at the files wants to see the end, whether or not somebody reads the records.
    out.outlive_its_reader();
    let goal = Goal { repository: &repository, commit: &commit, branch: branch.as_deref(), begun: Instant::now(), watch, folder: &folder };
    match follow(out, &trail, &goal) {
        Ok(ended) => {
            trail.end(ended.outcome.old_word())?;
            Ok(ended.outcome.exit())
        }
        Err(e) => {
            trail.note(&format!("{e:#}"));
            trail.end("unknown")?;
            Err(e)
        }
    }
}

fn follow(out: &mut Output, trail: &Trail, goal: &Goal<'_>) -> anyhow::Result<Ended> {
    let mut voice = Voice { out, trail, subject: Subject::from(&*goal.repository.top), deploy: Map::new() };
    voice.deploy.insert("commit".to_owned(), goal.commit.into());
    voice.deploy.extend(goal.branch.map(|branch| ("branch".to_owned(), branch.into())));
    let ended = if goal.watch.teller.is_empty() {
        let platform = Platform::find(goal, trail)?;
        voice.deploy.insert("provider".to_owned(), "digitalocean".into());
        voice.deploy.insert("app".to_owned(), platform.app.clone().into());
        voice.begin(goal)?;
        platform.follow(goal, &mut voice)?
    } else {
        voice.deploy.insert("provider".to_owned(), "exec".into());
        voice.begin(goal)?;
        exec::follow(goal, &mut voice)?
    };
    let class = if ended.outcome.is_failure() { classify::tell(&ended.logs, &mut voice)? } else { None };
    voice.end(goal, &ended, class.as_deref())?;
    Ok(ended)
}

impl Voice<'_> {
    /// Who watches, so that `stop` ends nobody else.
    fn begin(&mut self, goal: &Goal<'_>) -> anyhow::Result<()> {
        let watcher = Identity::of(std::process::id());
        let timeout = u64::try_from(goal.watch.timeout.as_millis()).unwrap_or(u64::MAX);
        self.trail.say(&format!("watching {} for {} s at most", goal.commit, goal.watch.timeout.as_secs()));
        self.emit(WATCH, json!({ "timeout_ms": timeout, "watcher": watcher }))
    }

    /// One step of the deployment.
    pub(crate) fn state(&mut self, state: &State) -> anyhow::Result<()> {
        let words = if state.text.is_empty() { String::new() } else { format!(": {}", state.text) };
        self.trail.say(&format!("{}{words}", state.phase));
        let text = Some(&state.text).filter(|text| !text.is_empty());
        self.emit(STATE, json!({ "phase": state.phase, "deployment": state.deployment, "text": text }))
    }

    /// Says something that is no step.
    pub(crate) fn say(&self, text: &str) {
        self.trail.say(text);
    }

    /// Passes on what another tool found.
    pub(crate) fn pass(&mut self, line: &str) -> anyhow::Result<()> {
        self.trail.keep(format!("{line}\n").as_bytes())?;
        self.out.pass(line)
    }

    fn end(&mut self, goal: &Goal<'_>, ended: &Ended, class: Option<&str>) -> anyhow::Result<()> {
        self.trail.say(&format!("{}: {}", ended.outcome.word(), ended.text));
        let logs: Vec<Subject> = ended.logs.iter().map(Subject::from).collect();
        let took = u64::try_from(goal.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let data = json!({
            "result": ended.outcome,
            "text": ended.text,
            "deployment": ended.deployment,
            "url": ended.url,
            "class": class,
            "logs": Some(logs).filter(|logs| !logs.is_empty()),
            "took_ms": took,
        });
        self.emit(RESULT, data)
    }

    /// A field that has no value is absent.
    fn emit(&mut self, kind: &str, data: Value) -> anyhow::Result<()> {
        let Value::Object(own) = data else { anyhow::bail!("a record is an object") };
        let own = own.into_iter().filter(|(_, value)| !value.is_null());
        let data: Map<String, Value> = own.chain(self.deploy.clone()).collect();
        let rendered = self.out.render(kind, About { subject: Some(&self.subject), ..About::default() }, &data)?;
        self.trail.keep(&rendered.line).context("a watch that leaves nothing behind is none")?;
        self.out.write(&rendered)
    }
}
