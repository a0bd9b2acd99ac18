//! `snapshot run`: a risky command between two snapshots, and the way back if it fails.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use contract::action::{Action, KIND, Outcome};
use contract::audit::Audit;
use contract::output::Output;
use contract::path::{Subject, shown};
use contract::record::About;
use contract::run::Exit;
use contract::signal::{self, Hold};
use contract::state;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value, json};

use crate::capture::Captured;
use crate::capture::roots::Request;
use crate::create::{self, Words};
use crate::store::Store;
use crate::store::manifest::{Header, Manifest};
use crate::store::seal::Recipients;
use crate::{diff, restore, summary};

const VERB: &str = "run";
/// The label of the snapshots that are made before a command.
const BEFORE: &str = "auto-before-run";
/// The label of those that are made after it, of what it left.
pub(crate) const AFTER: &str = "auto-after-run";
/// How often it is looked whether the command is over.
const TICK: Duration = Duration::from_millis(20);

/// What is asked for.
pub(crate) struct Options {
    pub(crate) command: Vec<OsString>,
    pub(crate) rollback: bool,
    /// Who alone may read what is kept.
    pub(crate) recipients: Recipients,
}

/// Runs the command between two snapshots of what is asked for, and tells what it changed.
///
/// # Errors
/// The snapshot before it cannot be made whole; then nothing is run.
pub(crate) fn run(
    out: &mut Output,
    store: &Store,
    state: &state::Options,
    request: &mut Request,
    options: &Options,
) -> anyhow::Result<Exit> {
    let command = options.command.iter().map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ");
    let words = |when: &str, label: &str| Words {
        description: Some(format!("{when} `{command}`")),
        label: Some(label.to_owned()),
        recipients: options.recipients.clone(),
    };
    let start = Instant::now();
    let (kept, captured) = create::make(store, request, words("before", BEFORE), create::Care::Proof)?;
    let before = &kept.header;
    create::report(out, &captured.troubles)?;
    let took_ms = u64::try_from(start.elapsed().as_millis()).ok();
    summary::emit(out, store, before, false, &summary::Made { took_ms, absent: captured.absent })?;
    anyhow::ensure!(!before.partial || !options.rollback, "not everything could be kept, so it could not be put back; nothing was run");
    if options.rollback {
        store.read(&before.id).context("what was kept could not be put back; nothing was run")?;
    }

    // Without it there would be no way back.
    let mut audit = Audit::open(&state.open()?)?;
    let subject = Subject::from(before.id.as_str());
    let about = About { subject: Some(&subject), ..About::default() };
    let started = Action { verb: VERB.to_owned(), outcome: Outcome::Started, text: format!("`{command}`"), ..Action::default() };
    audit.append(&out.render(KIND, about, &started)?.line)?;

    let hold = signal::hold()?;
    let ended = ended(&options.command, &hold);
    let failed = !ended.as_ref().is_ok_and(ExitStatus::success);
    request.renew();
    let after = ended.is_ok().then(|| create::make(store, request, words("after", AFTER), create::Care::Usual));
    // Before anything is told of it, since that may fail, too.
    let back = (after.is_some() && failed && options.rollback).then(|| {
        // What ran as somebody else a moment ago may do so again.
        let all = restore::Options { exact: true, force: true, keep_setuid: true, ..restore::Options::default() };
        restore::run(out, store, state, &before.id, &all)
    });
    drop(hold);
    if let Some(after) = after {
        tell_changes(out, store, &kept, after)?;
    }
    let rolled_back = back.map(|back| back.or_else(|e| failure(out, before, "rollback.failed", &e).map(|()| Exit::Bad))).transpose()?;
    let seen = rolled_back.map(|_| restore::is_back(store, &kept));
    let is_seen = seen.as_ref().is_some_and(|seen| matches!(seen, Ok(None)));
    let rolled_back = rolled_back.map(|exit| exit == Exit::Done && is_seen);
    let differing = seen.transpose().or_else(|e| failure(out, before, "rollback.unseen", &e).map(|()| None))?.flatten();
    let action = Action {
        text: told(&command, &ended, rolled_back, differing),
        outcome: if failed { Outcome::Failed } else { Outcome::Done },
        changed: ended.is_ok() && rolled_back != Some(true),
        verified: !failed,
        undo: ended.is_ok().then(|| subject.clone()),
        detail: Some(Value::Object(detail(&ended, rolled_back, store))),
        ..Action { verb: VERB.to_owned(), ..Action::default() }
    };
    let rendered = out.render(KIND, about, &action)?;
    let audited = audit.append(&rendered.line);
    out.write(&rendered)?;
    if let Err(e) = audited {
        out.error("audit.failed", about, None, &format!("the audit log lacks how this ended: {e:#}"))?;
    }
    Ok(if failed { Exit::Bad } else { Exit::Done })
}

/// How the command ended, and what became of what it changed.
fn told(command: &str, ended: &io::Result<ExitStatus>, rolled_back: Option<bool>, differing: Option<(PathBuf, usize)>) -> String {
    let ending = match ended {
        Ok(status) => format!("`{command}` ended with {status}"),
        Err(e) => format!("`{command}` could not be started: {e}"),
    };
    let fate = match rolled_back {
        Some(true) => "; everything is as it was before",
        Some(false) => "; and what it changed could NOT all be put back",
        None => "",
    };
    let where_not = differing.map(|(first, more)| {
        let others = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!(": {}{others}", shown(&first))
    });
    format!("{ending}{fate}{}", where_not.unwrap_or_default())
}

/// As a shell would read it again.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

fn detail(ended: &io::Result<ExitStatus>, rolled_back: Option<bool>, store: &Store) -> Map<String, Value> {
    let code = ended.as_ref().ok().and_then(ExitStatus::code);
    let asked = store.asked();
    let known = [
        ("exit_status", Some(json!(code))),
        ("rolled_back", rolled_back.map(|rolled_back| json!(rolled_back))),
        ("asked", (!asked.is_empty()).then(|| json!(asked))),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Runs the command to its end. What it writes goes to stderr, since it is no records.
fn ended(command: &[OsString], hold: &Hold) -> io::Result<ExitStatus> {
    let (program, args) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let words_go_to = io::stderr().as_fd().try_clone_to_owned()?;
    let mut child = Command::new(program).args(args).stdout(Stdio::from(words_go_to)).spawn()?;
    loop {
        if let Some(status) = child.try_wait()? {
            // Ctrl-C was for the command, which shares our terminal; what comes after it is still to be done.
            let _ = hold.take_signal();
            return Ok(status);
        }
        pass_on(&child, hold.take_signal());
        thread::sleep(TICK);
    }
}

/// Whoever ends us means the command. Ctrl-C it has had from the terminal.
fn pass_on(child: &Child, signal: Option<i32>) {
    let signal = [Signal::TERM, Signal::HUP].into_iter().find(|known| Some(known.as_raw()) == signal);
    if let Some((signal, pid)) = signal.zip(i32::try_from(child.id()).ok().and_then(Pid::from_raw)) {
        // It may be over by now.
        let _ = kill_process(pid, signal);
    }
}

/// What the command changed; where that cannot be seen, that.
fn tell_changes(out: &mut Output, store: &Store, before: &Manifest, after: anyhow::Result<(Manifest, Captured)>) -> anyhow::Result<()> {
    let (after, captured) = match after {
        Ok(made) => made,
        Err(e) => return failure(out, &before.header, "after.failed", &e.context("what the command left could not be kept")),
    };
    create::report(out, &captured.troubles)?;
    summary::emit(out, store, &after.header, false, &summary::Made { took_ms: None, absent: captured.absent })?;
    diff::between(out, before, &after, None, |_| None).map(drop)
}

fn failure(out: &mut Output, before: &Header, code: &str, why: &anyhow::Error) -> anyhow::Result<()> {
    let subject = Subject::from(before.id.as_str());
    out.error(code, About { subject: Some(&subject), ..About::default() }, None, &format!("{why:#}"))
}
