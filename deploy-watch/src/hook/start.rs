//! What a push starts: the project's own `.husky/post-push`, as git would call it if it had one, else the watch.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use contract::run::Exit;

use super::HANDLED;
use super::announced::{HANDED, Push};
use super::proof::Proof;
use crate::repository::Repository;
use crate::trail::{Log, Names};

const POST_PUSH: &str = ".husky/post-push";

/// From here on there is something to tell, in the log.
pub(super) fn watch(repository: &Repository, push: &Push, proof: Proof, is_new: anyhow::Result<bool>) -> anyhow::Result<Exit> {
    if matches!(is_new, Ok(false)) {
        return Ok(Exit::Done);
    }
    repository.exclude_ours()?;
    let log = Log::open(&Names::of(&repository.top, &push.commit).log)?;
    let how = if proof == Proof::Reflog { "as git has noted" } else { "as the remote says" };
    log.note(&format!("pushed to {} of {}, {how}", push.branch, contract::redact::excerpt(&push.remote)));
    // What is not written down may be watched twice, which the lock of a watch forbids.
    if let Err(e) = is_new {
        log.note(&format!("{e:#}"));
    }
    let begun = if repository.top.join(POST_PUSH).is_file() { post_push(repository, push, &log) } else { ours(repository, push) };
    begun.inspect_err(|e| log.note(&format!("{e:#}"))).map(|()| Exit::Done)
}

/// Ends when it does, so that the log tells how that was.
fn post_push(repository: &Repository, push: &Push, log: &Log) -> anyhow::Result<()> {
    log.note(&format!("running {POST_PUSH}"));
    let mut script = script(&repository.top.join(POST_PUSH))?;
    script.current_dir(&repository.top).env_remove(HANDED);
    // What it pushes itself is not to end up here again.
    script.env(HANDLED, "1");
    for (name, value) in [("REMOTE", &push.remote), ("BRANCH", &push.branch), ("COMMIT", &push.commit)] {
        script.env(format!("DEPLOY_WATCH_{name}"), value);
    }
    // Ours leaves other branches alone, and knows by this which one is meant.
    script.env("MENDLINE_DEPLOY_BRANCH", &push.branch);
    script.stdin(Stdio::null()).stdout(log.handed()?).stderr(log.handed()?);
    let status = script.status().with_context(|| format!("cannot start {POST_PUSH}"))?;
    anyhow::ensure!(status.success(), "{POST_PUSH} failed ({status})");
    Ok(())
}

/// Husky runs any of its files with sh; one that says otherwise in its first line means it.
fn script(path: &Path) -> anyhow::Result<Command> {
    let text = fs::read(path).with_context(|| format!("cannot read {POST_PUSH}; make it readable"))?;
    let mode = path.metadata().with_context(|| format!("cannot look at {POST_PUSH}"))?.permissions().mode();
    if text.starts_with(b"#!") && mode & 0o111 != 0 {
        return Ok(Command::new(path));
    }
    let mut sh = Command::new("sh");
    sh.arg(path);
    Ok(sh)
}

/// In our place, so that the list of processes shows what goes on.
fn ours(repository: &Repository, push: &Push) -> anyhow::Result<()> {
    let mut watch = Command::new(std::env::current_exe().context("our own executable is gone")?);
    watch.args(["watch", &push.commit, &format!("--branch={}", push.branch), &format!("--remote={}", push.remote)]);
    watch.current_dir(&repository.top).env_remove(HANDED);
    Err(watch.exec()).context("cannot start the watch")
}
