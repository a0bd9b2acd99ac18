//! Where the records of a watch go: to stdout, to whoever looks on, and, of what changes something, to the audit log.

use contract::action::{self, Action, Outcome};
use contract::audit::Audit;
use contract::output::Output;
use contract::path::Subject;
use contract::record::About;
use serde_json::{Map, Value, json};

use crate::github::GitHub;
use crate::outcome::{Ended, RESULT, STATE, State, WATCH};
use crate::trail::Trail;

pub(crate) struct Voice<'v> {
    out: &'v mut Output,
    trail: &'v Trail,
    audit: Audit,
    subject: Subject,
    /// Told of each phase.
    github: Option<&'v GitHub<'v>>,
    /// What is in every record: the commit, the branch, and who deploys it.
    deploy: Map<String, Value>,
}

impl<'v> Voice<'v> {
    pub(crate) fn new(out: &'v mut Output, trail: &'v Trail, audit: Audit, subject: Subject, github: Option<&'v GitHub<'v>>) -> Self {
        Self { out, trail, audit, subject, github, deploy: Map::new() }
    }

    /// From here on, every record has this.
    pub(crate) fn with(&mut self, key: &str, value: &str) {
        self.deploy.insert(key.to_owned(), value.into());
    }

    /// It begins.
    pub(crate) fn begin(&mut self, data: Value) -> anyhow::Result<()> {
        self.emit(WATCH, data)?;
        self.mark("watching");
        Ok(())
    }

    /// One step of the deployment.
    pub(crate) fn state(&mut self, state: &State) -> anyhow::Result<()> {
        self.step(state, None)?;
        self.mark(&state.phase);
        Ok(())
    }

    /// The last step of a deployment that another one follows, and the class of its cause.
    pub(crate) fn failed(&mut self, ended: Ended, class: &str) -> anyhow::Result<()> {
        let state = State { phase: ended.outcome.word().to_owned(), deployment: ended.deployment, text: ended.text };
        self.step(&state, Some(class))
    }

    fn step(&mut self, state: &State, class: Option<&str>) -> anyhow::Result<()> {
        let words = if state.text.is_empty() { String::new() } else { format!(": {}", state.text) };
        self.say(&format!("{}{words}", state.phase));
        let text = Some(&state.text).filter(|text| !text.is_empty());
        self.emit(STATE, json!({ "phase": state.phase, "deployment": state.deployment, "text": text, "class": class }))
    }

    /// What is done about a failure.
    pub(crate) fn action(&mut self, cause: Option<&str>, action: &Action) -> anyhow::Result<()> {
        self.say(&format!("{} {}: {}", action.verb, word(action.outcome), action.text));
        let cause: Vec<String> = cause.map(str::to_owned).into_iter().collect();
        let rendered = self.out.render(action::KIND, About { subject: Some(&self.subject), cause: &cause }, action)?;
        self.trail.keep(&rendered.line)?;
        if !matches!(action.outcome, Outcome::Planned | Outcome::Skipped) {
            self.audit.append(&rendered.line)?;
        }
        self.out.write(&rendered)
    }

    /// Passes on what another tool found.
    pub(crate) fn pass(&mut self, line: &str) -> anyhow::Result<()> {
        self.trail.keep(format!("{line}\n").as_bytes())?;
        self.out.pass(line)
    }

    /// It is over.
    pub(crate) fn end(&mut self, ended: &Ended, class: Option<&str>, attempts: u32, took_ms: u64) -> anyhow::Result<()> {
        self.say(&format!("{}: {}", ended.outcome.word(), ended.text));
        let logs: Vec<Subject> = ended.logs.iter().map(Subject::from).collect();
        let data = json!({
            "result": ended.outcome,
            "text": ended.text,
            "deployment": ended.deployment,
            "url": ended.url,
            "class": class,
            "logs": Some(logs).filter(|logs| !logs.is_empty()),
            "attempts": attempts,
            "took_ms": took_ms,
        });
        self.emit(RESULT, data)
    }

    /// Says something that is no step.
    pub(crate) fn say(&self, text: &str) {
        self.trail.say(text);
    }

    /// Beside the commit on GitHub, once for each phase.
    fn mark(&self, phase: &str) {
        let commit = self.deploy.get("commit").and_then(Value::as_str).unwrap_or_default();
        self.github.iter().for_each(|github| github.mark_phase(commit, phase));
    }

    /// A field that has no value is absent.
    fn emit(&mut self, kind: &str, data: Value) -> anyhow::Result<()> {
        let Value::Object(own) = data else { anyhow::bail!("a record is an object") };
        let own = own.into_iter().filter(|(_, value)| !value.is_null());
        let data: Map<String, Value> = own.chain(self.deploy.clone()).collect();
        let rendered = self.out.render(kind, About { subject: Some(&self.subject), ..About::default() }, &data)?;
        self.trail.keep(&rendered.line)?;
        self.out.write(&rendered)
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Planned => "planned",
        Outcome::Started => "started",
        Outcome::Done => "done",
        Outcome::Failed => "failed",
        Outcome::Skipped => "skipped",
        Outcome::Undone => "undone",
        Outcome::Cancelled => "cancelled",
        Outcome::Other => "ended",
    }
}
