//! `push`: pushes in the foreground, and then watches what was pushed. It needs no hook, since it knows how the push ended.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use anyhow::Context as _;
use contract::action::{Action, KIND, Outcome};
use contract::output::Output;
use contract::path::Subject;
use contract::record::About;
use contract::run::Exit;
use contract::state;

use crate::arguments::{Follow, Push, Teller, Watch};
use crate::hook::{HANDLED, is_noted, noted};
use crate::repository::Repository;
use crate::watch;

/// The branch of every remote that has it, and where git believes it to be.
type Tips = BTreeMap<String, String>;

/// The branch that is deployed where nobody names another.
const BRANCH: &str = "main";

pub(crate) fn run(out: &mut Output, push: Push, options: &state::Options) -> anyhow::Result<Exit> {
    // Whoever says it wants nothing to be pushed, which it would not keep from being.
    anyhow::ensure!(!push.follow.heal.dry_run, "a dry run of a push is git's: deploy-watch push -- --dry-run");
    let repository = Repository::here()?;
    let branch = push.follow.branch.clone().unwrap_or_else(|| BRANCH.to_owned());
    let before = tips(&repository, &branch)?;
    let mut git = Command::new("git");
    let status = git.arg("push").args(&push.words).env(HANDLED, "1").status().context("cannot start git")?;
    if !status.success() {
        tell(out, &repository, Outcome::Failed, &format!("git push failed ({status})"))?;
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        return Ok(Exit::Of(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)));
    }
    match pushed(&repository, &push.words, &branch, &before)? {
        None => {
            tell(out, &repository, Outcome::Skipped, &format!("nothing new is on {branch} of a remote, so there is nothing to watch"))?;
            Ok(Exit::Done)
        }
        Some((remote, commit)) => {
            tell(out, &repository, Outcome::Done, &format!("{branch} of {} is now {commit}", contract::redact::excerpt(&remote)))?;
            let follow = Follow { branch: Some(branch), remote, ..push.follow };
            watch::run(out, &Watch { commit, resume: false, follow, teller: Teller::default() }, options)
        }
    }
}

fn tell(out: &mut Output, repository: &Repository, outcome: Outcome, text: &str) -> anyhow::Result<()> {
    let is_done = outcome == Outcome::Done;
    let action =
        Action { verb: "push".to_owned(), outcome, changed: is_done, verified: is_done, text: text.to_owned(), ..Action::default() };
    out.emit(KIND, About { subject: Some(&Subject::from(&*repository.top)), ..About::default() }, &action).map(drop)
}

fn tips(repository: &Repository, branch: &str) -> anyhow::Result<Tips> {
    let remotes = repository.text(&["remote"])?.unwrap_or_default();
    Ok(remotes.lines().filter_map(|remote| Some((remote.to_owned(), noted(repository, remote, branch)?))).collect())
}

/// The remote that got something new, and what.
fn pushed(repository: &Repository, words: &[String], branch: &str, before: &Tips) -> anyhow::Result<Option<(String, String)>> {
    let after = tips(repository, branch)?;
    let mut moved = after.into_iter().filter(|(remote, tip)| before.get(remote) != Some(tip));
    if let Some(found) = moved.find(|(remote, tip)| is_noted(repository, remote, branch, tip)) {
        return Ok(Some(found));
    }
    // git notes nothing of a push to a URL.
    let Some(url) = words.iter().find(|word| !word.starts_with('-')).filter(|word| word.contains(['/', ':'])) else { return Ok(None) };
    let head = repository.commit("HEAD")?;
    let is_there = repository.remote_ref(url, &format!("refs/heads/{branch}")).is_ok_and(|tip| tip.as_ref() == Some(&head));
    Ok(is_there.then(|| (url.clone(), head)))
}
