//! A deployment that any command tells of, with a line of JSON on standard output for each change:
//!
//! ```json
//! {"phase":"building","deployment":"7f3a","text":"3 of 5 images"}
//! {"phase":"done","result":"error","text":"the image cannot be pulled","url":"https://…","logs":["/tmp/rollout.log"]}
//! ```
//!
//! The line that has a `result` is the last; what is written to standard error is shown. The command finds what it is to follow in
//! `DEPLOY_WATCH_COMMIT`, `DEPLOY_WATCH_BRANCH` and `DEPLOY_WATCH_TIMEOUT` (seconds), and has `DEPLOY_WATCH_LOGS` as a folder for logs.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use contract::child::{self, Ended as Exited, Stream};
use contract::redact;
use contract::state;
use serde::Deserialize;

use crate::outcome::{Ended, Outcome, State};
use crate::voice::Voice;
use crate::watch::Goal;

/// No line is longer, in bytes.
const LONGEST: usize = 1 << 20;

/// A line of the protocol.
#[derive(Deserialize)]
struct Told {
    phase: String,
    deployment: Option<String>,
    #[serde(default)]
    text: String,
    url: Option<String>,
    result: Option<Outcome>,
    #[serde(default)]
    logs: Vec<PathBuf>,
}

/// What has come of both streams.
#[derive(Default)]
struct Heard {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    count: usize,
    last: Option<State>,
    ended: Option<Ended>,
}

/// # Errors
/// The command cannot be started, writes what is no such line, or ends without a result.
pub(crate) fn follow(goal: &Goal<'_>, voice: &mut Voice<'_>) -> anyhow::Result<Ended> {
    let (program, words) = goal.watch.teller.command.split_first().context("there is no command")?;
    let logs = goal.folder.join(&goal.commit);
    state::private_folder(&logs)?;
    let mut command = Command::new(program);
    command.args(words).current_dir(&goal.repository.top);
    command.env("DEPLOY_WATCH_COMMIT", &goal.commit).env("DEPLOY_WATCH_BRANCH", goal.branch.unwrap_or_default());
    command.env("DEPLOY_WATCH_TIMEOUT", goal.left().as_secs().to_string()).env("DEPLOY_WATCH_LOGS", &logs);
    let (mut heard, mut failed) = (Heard::default(), None);
    let exited = child::follow(&mut command, goal.left(), &mut |stream, bytes| {
        if failed.is_none() {
            failed = heard.take(stream, bytes, voice).err();
        }
    });
    let exited = exited.with_context(|| format!("cannot start {program}"))?;
    let failed = failed.or_else(|| heard.rest(voice).err());
    if let Some(e) = failed {
        return Err(e.context(format!("{program} does not tell of a deployment")));
    }
    match (heard.ended, exited) {
        (Some(ended), exited) => {
            if let Some(how) = unlike_its_result(exited) {
                voice.say(&format!("{program} told how the deployment ended, and then {how}"));
            }
            // Where the command runs is where its paths begin.
            Ok(Ended { logs: ended.logs.iter().map(|log| goal.repository.top.join(log)).collect(), ..ended })
        }
        (None, Exited::TimedOut) => {
            let phase = heard.last.map_or_else(|| "it said nothing".to_owned(), |state| format!("it was still {}", state.phase));
            Ok(Ended::new(Outcome::Timeout, format!("{phase} after {} s", goal.watch.follow.timeout.as_secs())))
        }
        (None, Exited::Interrupted) => anyhow::bail!("interrupted"),
        (None, Exited::Exited(status)) => anyhow::bail!("{program} ended ({status}) without a result"),
    }
}

/// Whoever wrote the command may want to know.
fn unlike_its_result(exited: Exited) -> Option<String> {
    match exited {
        Exited::Exited(status) if status.success() => None,
        Exited::Exited(status) => Some(format!("failed ({status})")),
        Exited::TimedOut => Some("went on until the time was over".to_owned()),
        Exited::Interrupted => Some("was interrupted".to_owned()),
    }
}

impl Heard {
    fn take(&mut self, stream: Stream, bytes: &[u8], voice: &mut Voice<'_>) -> anyhow::Result<()> {
        let kept = if stream == Stream::Stdout { &mut self.stdout } else { &mut self.stderr };
        kept.extend_from_slice(bytes);
        anyhow::ensure!(kept.len() <= LONGEST, "a line is longer than {LONGEST} bytes");
        let Some(end) = kept.iter().rposition(|byte| *byte == b'\n') else { return Ok(()) };
        let whole: Vec<u8> = kept.drain(..=end).collect();
        self.lines(stream, &whole, voice)
    }

    /// A last line that does not end.
    fn rest(&mut self, voice: &mut Voice<'_>) -> anyhow::Result<()> {
        let (stdout, stderr) = (std::mem::take(&mut self.stdout), std::mem::take(&mut self.stderr));
        self.lines(Stream::Stderr, &stderr, voice)?;
        self.lines(Stream::Stdout, &stdout, voice)
    }

    fn lines(&mut self, stream: Stream, whole: &[u8], voice: &mut Voice<'_>) -> anyhow::Result<()> {
        for line in String::from_utf8_lossy(whole).lines().filter(|line| !line.trim().is_empty()) {
            match stream {
                Stream::Stderr => voice.say(&redact::excerpt(line)),
                Stream::Stdout => self.line(line, voice)?,
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &str, voice: &mut Voice<'_>) -> anyhow::Result<()> {
        self.count += 1;
        anyhow::ensure!(self.ended.is_none(), "line {} comes after the result", self.count);
        let told: Told = serde_json::from_str(line).with_context(|| format!("line {} is `{}`", self.count, redact::excerpt(line)))?;
        let state = State { phase: redact::excerpt(&told.phase), deployment: told.deployment, text: redact::excerpt(&told.text) };
        if let Some(outcome) = told.result {
            let text = if state.text.is_empty() { state.phase } else { state.text };
            self.ended = Some(Ended { outcome, deployment: state.deployment, url: told.url, text, logs: told.logs, tries: 0 });
        } else if self.last.as_ref() != Some(&state) {
            voice.state(&state)?;
            self.last = Some(state);
        }
        Ok(())
    }
}
