//! `snapshot run`: a risky command between two snapshots, and the way back if it fails.

use std::io;
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use contract::action::{Action, KIND, Outcome};
use contract::output::Output;
use contract::path::Subject;
use contract::record::About;
use contract::run::Exit;
use contract::signal;
use contract::state;
use serde_json::json;

use crate::capture::roots::Request;
use crate::create::{self, Words};
use crate::store::Store;
use crate::{diff, restore, summary};

/// What is asked for.
pub(crate) struct Options {
    pub(crate) command: Vec<std::ffi::OsString>,
    pub(crate) rollback: bool,
}

/// Runs the command between two snapshots of what is asked for, and tells what it changed.
///
/// # Errors
/// A snapshot cannot be made, or the command cannot be started; nothing is run without a whole snapshot before it.
pub(crate) fn run(out: &mut Output, store: &Store, state: &state::Options, request: &Request, options: &Options) -> anyhow::Result<Exit> {
    let (program, args) = options.command.split_first().context("name a command behind `--`")?;
    let shown = options.command.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let words = |when: &str, label: &str| Words {
        description: Some(format!("{when} `{shown}`")),
        label: Some(label.to_owned()),
        ..Words::default()
    };
    let (before, captured) = create::make(store, request, words("before", "auto-before-run"), false)?;
    create::report(out, &captured.troubles)?;
    summary::emit(out, &before, false, &summary::Made::default())?;
    anyhow::ensure!(!before.partial || !options.rollback, "not everything could be kept, so it could not be put back; nothing was run");

    // Ctrl-C is for the command, which shares our terminal; what comes after it is still to be done.
    let hold = signal::hold()?;
    // The command's words are no records.
    let words_go_to = io::stderr().as_fd().try_clone_to_owned().context("cannot use standard error")?;
    let status = Command::new(program).args(args).stdout(Stdio::from(words_go_to)).status();
    let failed = !status.as_ref().is_ok_and(std::process::ExitStatus::success);
    let ran = status.is_ok();
    if ran {
        let (after, captured) = create::make(store, request, words("after", "auto-after-run"), false)?;
        create::report(out, &captured.troubles)?;
        summary::emit(out, &after, false, &summary::Made::default())?;
        diff::between(out, &store.read(&before.id)?, &store.read(&after.id)?, None, |_| None)?;
    }

    let subject = Subject::from(before.id.as_str());
    let about = About { subject: Some(&subject), ..About::default() };
    let text = match &status {
        Ok(status) => format!("`{shown}` ended with {status}"),
        Err(e) => format!("`{shown}` could not be started: {e}"),
    };
    let outcome = if failed { Outcome::Failed } else { Outcome::Done };
    let code = status.ok().and_then(|status| status.code());
    let action = Action {
        verb: "run".to_owned(),
        outcome,
        changed: ran,
        verified: !failed,
        text,
        detail: Some(json!({ "exit_status": code })),
        ..Action::default()
    };
    out.emit(KIND, about, &action)?;
    drop(hold);
    if ran && failed && options.rollback {
        let back = restore::Options { exact: true, force: true, ..restore::Options::default() };
        restore::run(out, store, state, &before.id, &back)?;
    }
    Ok(if failed { Exit::Bad } else { Exit::Done })
}
