//! A push as git announces it to `pre-push`, a line for each ref: local ref, local object, remote ref, remote object (githooks(5)).

use std::io::{self, IsTerminal as _, Read as _};

use anyhow::Context as _;
use chrono::{SecondsFormat, Utc};
use contract::process::Identity;
use serde::{Deserialize, Serialize};

use super::{proof, pusher};
use crate::arguments::PrePush;
use crate::repository::Repository;

/// The variable that hands a push to its waiter: the URL may hold a password, which is not for the list of processes.
pub(super) const HANDED: &str = "DEPLOY_WATCH_PUSH";
/// No push has more to say, in bytes; git does not mind that the rest is not read.
const LONGEST: u64 = 64 << 20;

/// One that has been announced, and may yet fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Push {
    pub(crate) remote: String,
    pub(crate) url: String,
    pub(crate) branch: String,
    pub(crate) commit: String,
    /// Where the branch is on the remote as yet.
    pub(crate) before: String,
    /// Whether git would note it: not where the remote-tracking branch is there already, as after a push that somebody undid.
    pub(crate) will_be_noted: bool,
    /// The `git push`; none where processes cannot be looked at.
    pub(crate) pusher: Option<Identity>,
    /// When, as records tell it.
    pub(crate) announced: String,
    /// For how long the remote is asked afterwards.
    pub(crate) patience_ms: u64,
}

impl Push {
    /// What git announces on standard input; none where the branch is not among it.
    pub(super) fn read(asked: &PrePush) -> anyhow::Result<Option<Self>> {
        let stdin = io::stdin();
        anyhow::ensure!(!stdin.is_terminal(), "git calls this with lines on standard input; deploy-watch install has it do so");
        let mut told = Vec::new();
        stdin.take(LONGEST).read_to_end(&mut told).context("cannot read what git announces")?;
        let Some((commit, before)) = told.split(|byte| *byte == b'\n').find_map(|line| of(line, &asked.branch)) else { return Ok(None) };
        // A hook runs in the top of the work tree; asking git for it would take as long again.
        let here = Repository { top: std::env::current_dir().context("there is no current folder")? };
        let will_be_noted = proof::noted(&here, &asked.remote, &asked.branch).as_ref() != Some(&commit);
        Ok(Some(Self {
            remote: asked.remote.clone(),
            url: asked.url.clone(),
            branch: asked.branch.clone(),
            commit,
            before,
            will_be_noted,
            pusher: pusher::find(),
            announced: Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
            patience_ms: u64::try_from(asked.patience.as_millis()).unwrap_or(u64::MAX),
        }))
    }

    pub(super) fn handed(&self) -> anyhow::Result<String> {
        serde_json::to_string(self).context("what is pushed cannot be handed on")
    }

    pub(super) fn taken() -> anyhow::Result<Self> {
        let handed = std::env::var(HANDED).with_context(|| format!("{HANDED} is not set; `deploy-watch hook pre-push` starts this"))?;
        serde_json::from_str(&handed).with_context(|| format!("{HANDED} holds no push"))
    }
}

/// The objects of a line about a branch that is not deleted: what it will be, and what it was.
fn of(line: &[u8], branch: &str) -> Option<(String, String)> {
    let line = str::from_utf8(line).ok()?;
    let [_, new, name, old] = line.split(' ').collect::<Vec<_>>()[..] else { return None };
    let is_object = |id: &str| id.len() >= 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_meant = name.strip_prefix("refs/heads/") == Some(branch) && is_object(new) && is_object(old);
    (is_meant && new.bytes().any(|byte| byte != b'0')).then(|| (new.to_owned(), old.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_for_its_remote_branch_alone() {
        let (new, old) = ("a".repeat(40), "0".repeat(40));
        let some = Some((new.clone(), old.clone()));
        for (line, expected) in [
            (format!("refs/heads/main {new} refs/heads/main {old}"), some.clone()),
            (format!("HEAD {new} refs/heads/main {old}"), some),
            (format!("(delete) {old} refs/heads/main {new}"), None),
            (format!("refs/heads/main {new} refs/heads/mainly {old}"), None),
            (format!("refs/heads/main {new} refs/tags/main {old}"), None),
            (format!("refs/heads/main {new} refs/heads/main"), None),
            ("refs/heads/main x refs/heads/main y".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(of(line.as_bytes(), "main"), expected, "{line}");
        }
        assert_eq!(of(b"\xff \xfe refs/heads/main \xfd", "main"), None);
    }
}
