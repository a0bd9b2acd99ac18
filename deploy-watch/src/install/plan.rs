//! What is to be changed so that the hook is in place, or is gone.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;

use super::block::{self, Call};
use super::made::is_made;
use super::place::{self, Place};
use crate::repository::Repository;

pub(super) const POST_PUSH: &str = include_str!("../../../scripts/hooks/husky/post-push");
/// Whatever a hook is written in, this would do.
const BY_HAND: &str = "have it run `deploy-watch hook pre-push \"$@\" || :` with git's lines on stdin";

/// A change, and what it is for.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) subject: PathBuf,
    pub(super) text: String,
    pub(super) change: Change,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is as it should be.
    Nothing,
    /// It is nothing that we may touch.
    Declined,
    /// A file, with this content from now on.
    Write { bytes: Vec<u8>, is_new: bool, is_run: bool },
    /// A hook, with what was there before us alone.
    Strip(Vec<u8>),
    /// A file that we made.
    Remove,
    /// Two of git's settings; none where they go.
    Settings(Option<String>),
}

fn step(subject: PathBuf, text: impl Into<String>, change: Change) -> Step {
    Step { subject, text: text.into(), change }
}

pub(super) fn install(repository: &Repository, branch: Option<&str>) -> anyhow::Result<Vec<Step>> {
    let branch = branch.map(|branch| place::branch(repository, branch)).transpose()?;
    let branch = branch.as_deref();
    match place::choose(repository)? {
        Place::Settings => settings(repository, branch).map(|step| vec![step]),
        Place::Husky => {
            let folder = place::husky(repository);
            Ok(vec![hook(folder.join("pre-push"), Call { program: "deploy-watch", branch }, false)?, post_push(folder.join("post-push"))?])
        }
        Place::Hooks => {
            let folder = place::hooks(repository)?;
            if place::is_of_this_clone(repository, &folder)? {
                return Ok(vec![hook(folder.join("pre-push"), Call { program: &place::program()?, branch }, true)?]);
            }
            let text = format!("core.hooksPath has other repositories use it, too; {BY_HAND}");
            Ok(vec![step(folder.join("pre-push"), text, Change::Declined)])
        }
    }
}

fn settings(repository: &Repository, branch: Option<&str>) -> anyhow::Result<Step> {
    let program = place::program()?;
    let setting = Call { program: &program, branch }.setting();
    // git puts its arguments behind whatever it finds there.
    let command = format!("f() {{ ! command -v {program} >/dev/null || {setting}{program} hook pre-push \"$@\" || :; }}; f");
    let subject = place::settings(repository)?;
    Ok(if is_set(repository, &command)? {
        step(subject, "git calls deploy-watch before each push already", Change::Nothing)
    } else {
        step(subject, "git calls deploy-watch before each push, beside all other hooks", Change::Settings(Some(command)))
    })
}

pub(super) fn is_set(repository: &Repository, command: &str) -> anyhow::Result<bool> {
    let its = |name: &str| repository.text(&["config", "--local", "--get-all", &format!("hook.deploy-watch.{name}")]);
    Ok(its("event")?.as_deref() == Some("pre-push") && its("command")?.as_deref() == Some(command))
}

/// A hook of which only some lines are ours.
fn hook(path: PathBuf, call: Call<'_>, is_run: bool) -> anyhow::Result<Step> {
    let whole = block::whole(call).into_bytes();
    let Some(there) = There::at(&path)? else {
        let change = Change::Write { bytes: whole, is_new: true, is_run };
        return Ok(step(path, "calls deploy-watch before each push", change));
    };
    let There { bytes: Some(old), is_executable } = there else {
        return Ok(step(path, format!("it is no file; {BY_HAND}"), Change::Declined));
    };
    let lacks_mode = is_run && !is_executable;
    if lacks_mode && old != whole {
        return Ok(step(path, "it cannot be executed, so git overlooks it; chmod +x it, or remove it, first", Change::Declined));
    }
    if is_run && !block::is_sh(&old) {
        return Ok(step(path, format!("it is not written in sh; {BY_HAND}"), Change::Declined));
    }
    Ok(match block::with(&old, call) {
        Ok(new) if new == old && !lacks_mode => step(path, "it calls deploy-watch already", Change::Nothing),
        Ok(bytes) => step(path, "calls deploy-watch before each push, too", Change::Write { bytes, is_new: lacks_mode, is_run }),
        Err(e) => step(path, format!("{e:#}"), Change::Declined),
    })
}

fn post_push(path: PathBuf) -> anyhow::Result<Step> {
    Ok(if There::at(&path)?.is_some() {
        step(path, "there is one already, which is run after each push", Change::Nothing)
    } else {
        let change = Change::Write { bytes: POST_PUSH.into(), is_new: true, is_run: true };
        step(path, "is run after each push, and watches its deployment in the background", change)
    })
}

/// Wherever any version of git, or of husky, would have had us put it.
pub(super) fn uninstall(repository: &Repository) -> anyhow::Result<Vec<Step>> {
    let mut steps = Vec::new();
    if repository.text(&["config", "--local", "--get-regexp", r"^hook\.deploy-watch\."])?.is_some() {
        steps.push(step(place::settings(repository)?, "git calls deploy-watch no more", Change::Settings(None)));
    }
    let (husky, hooks) = (place::husky(repository), place::hooks(repository)?);
    let mut folders = vec![husky.clone()];
    folders.extend(Some(hooks).filter(|hooks| *hooks != husky));
    for folder in folders {
        steps.extend(no_hook(repository, folder.join("pre-push"))?);
    }
    let post_push = husky.join("post-push");
    if is_made(repository, &post_push)? {
        let is_ours = There::at(&post_push)?.and_then(|there| there.bytes).is_some_and(|bytes| bytes == POST_PUSH.as_bytes());
        steps.push(if is_ours {
            step(post_push, "it is as install made it", Change::Remove)
        } else {
            step(post_push, "somebody has changed it since install made it; remove it by hand", Change::Declined)
        });
    }
    Ok(steps)
}

fn no_hook(repository: &Repository, path: PathBuf) -> anyhow::Result<Option<Step>> {
    let Some(There { bytes: Some(old), .. }) = There::at(&path)? else { return Ok(None) };
    let left = match block::without(&old) {
        Ok(None) => return Ok(None),
        Ok(Some(left)) => left,
        Err(e) => return Ok(Some(step(path, format!("{e:#}"), Change::Declined))),
    };
    Ok(Some(if left == b"#!/bin/sh\n" && is_made(repository, &path)? {
        step(path, "install made it, and nothing else is in it", Change::Remove)
    } else {
        step(path, "calls deploy-watch no more", Change::Strip(left))
    }))
}

/// What is at a path; no bytes where it is no file, or leads somewhere else.
pub(super) struct There {
    pub(super) bytes: Option<Vec<u8>>,
    pub(super) is_executable: bool,
}

impl There {
    pub(super) fn at(path: &Path) -> anyhow::Result<Option<Self>> {
        let meta = match path.symlink_metadata() {
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
            meta => meta.with_context(|| format!("cannot look at {}", shown(path)))?,
        };
        let bytes = meta.is_file().then(|| fs::read(path)).transpose().with_context(|| format!("cannot read {}", shown(path)))?;
        Ok(Some(Self { bytes, is_executable: meta.permissions().mode() & 0o111 != 0 }))
    }
}
