//! The repository whose commits are deployed, as git tells of it.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use contract::child::{self, Ended, Finished};
use contract::path::shown;
use contract::{redact, replace};

/// A remote can be slow.
const PATIENCE: Duration = Duration::from_mins(2);
const KEEP: usize = 1 << 20;
/// What a hook has in its environment that names another repository, or another index (`git rev-parse --local-env-vars`).
const OF_A_REPOSITORY: [&str; 14] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
];
/// What a watch leaves in the work tree.
const OURS: [&str; 2] = ["/.deployment-status-*", "/.deployment-monitor-*"];

/// A work tree.
#[derive(Debug)]
pub(crate) struct Repository {
    /// Its topmost folder.
    pub(crate) top: PathBuf,
}

/// A repository among those of a forge.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OnForge {
    pub(crate) host: String,
    /// `OWNER/NAME`.
    pub(crate) slug: String,
}

impl Repository {
    /// The one that we are in.
    ///
    /// # Errors
    /// There is none, or git is missing.
    pub(crate) fn here() -> anyhow::Result<Self> {
        let here = std::env::current_dir().context("there is no current folder")?;
        let top = git(&here, &["rev-parse", "--show-toplevel"])?.context("this is no work tree of git; run it in the repository")?;
        Ok(Self { top: PathBuf::from(OsStr::from_bytes(&top)) })
    }

    /// All digits of a commit that is named in whatever way (gitrevisions(7)).
    ///
    /// # Errors
    /// There is no such commit.
    pub(crate) fn commit(&self, name: &str) -> anyhow::Result<String> {
        let found = self.text(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")])?;
        found.with_context(|| format!("there is no commit `{name}` in {}", shown(&self.top)))
    }

    /// The branch that is checked out; none where HEAD is a commit.
    pub(crate) fn branch(&self) -> anyhow::Result<Option<String>> {
        self.text(&["symbolic-ref", "--short", "--quiet", "HEAD"])
    }

    /// Where a remote on a forge is.
    pub(crate) fn on_forge(&self, remote: &str) -> anyhow::Result<Option<OnForge>> {
        // A push can name a URL instead.
        let url = self.text(&["remote", "get-url", "--", remote])?;
        Ok(on_forge(url.as_deref().unwrap_or(remote)))
    }

    /// Makes sure that a commit is here, if the remote has it.
    ///
    /// # Errors
    /// It has not, or cannot be asked.
    pub(crate) fn obtain(&self, remote: &str, commit: &str) -> anyhow::Result<()> {
        if self.commit(commit).is_err() {
            self.run(&["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", remote, commit])?;
        }
        Ok(())
    }

    /// Whether a commit is among those that led to another; not where one is not here.
    pub(crate) fn leads_to(&self, old: &str, new: &str) -> bool {
        old != new && matches!(git(&self.top, &["merge-base", "--is-ancestor", old, new]), Ok(Some(_)))
    }

    /// Has git overlook what a watch leaves in the work tree (gitignore(5): `info/exclude` is this clone's alone).
    ///
    /// # Errors
    /// The list cannot be read or written.
    pub(crate) fn exclude_ours(&self) -> anyhow::Result<()> {
        let path = git(&self.top, &["rev-parse", "--git-path", "info/exclude"])?.context("git does not say where its excludes are")?;
        let path = self.top.join(OsStr::from_bytes(&path));
        let mut text = match std::fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            text => text.with_context(|| format!("cannot read {}", shown(&path)))?,
        };
        let is_there = |line: &&str| text.split(|byte| *byte == b'\n').any(|there| there == line.as_bytes());
        let missing: Vec<&str> = OURS.into_iter().filter(|line| !is_there(line)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        if !text.is_empty() && !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        text.extend(missing.iter().flat_map(|line| [line.as_bytes(), b"\n"]).flatten());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {}", shown(folder)))?;
        }
        replace::write(&path, &text)
    }

    /// Where a reference of a remote is now, by its full name; none where there is none.
    ///
    /// # Errors
    /// The remote cannot be asked without a person who answers.
    pub(crate) fn remote_ref(&self, remote: &str, name: &str) -> anyhow::Result<Option<String>> {
        let said = self.run(&["ls-remote", "--", remote, name]);
        let said = said.with_context(|| format!("cannot ask {} where {name} is", redact::excerpt(remote)))?;
        // The name is a pattern there, which other references end in, too.
        let mut all = said.lines().filter_map(|line| line.split_once('\t'));
        Ok(all.find(|(_, its)| *its == name).map(|(object, _)| object.to_owned()))
    }

    /// What git says where it must not fail.
    ///
    /// # Errors
    /// It fails; with the last that it says.
    pub(crate) fn run(&self, words: &[&str]) -> anyhow::Result<String> {
        self.fed(words, b"")
    }

    /// The same of a command that reads a little.
    ///
    /// # Errors
    /// As [`Repository::run`].
    pub(crate) fn fed(&self, words: &[&str], input: &[u8]) -> anyhow::Result<String> {
        let finished = finished(&self.top, words, input)?;
        let said = String::from_utf8_lossy(&finished.stderr).into_owned();
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        anyhow::ensure!(finished.ended.success(), "git: {}", redact::excerpt(last));
        Ok(String::from_utf8_lossy(finished.stdout.trim_ascii_end()).into_owned())
    }

    /// The value of a trailer of a commit (git-interpret-trailers(1)).
    pub(crate) fn trailer(&self, commit: &str, name: &str) -> anyhow::Result<Option<String>> {
        let format = format!("--format=%(trailers:key={name},valueonly)");
        Ok(self.text(&["log", "-1", &format, commit])?.filter(|value| !value.is_empty()))
    }

    /// What git says about this work tree; nothing where it exits with 1 or says that there is none.
    pub(crate) fn text(&self, words: &[&str]) -> anyhow::Result<Option<String>> {
        Ok(git(&self.top, words)?.map(|said| String::from_utf8_lossy(&said).into_owned()))
    }
}

/// What git says, without the end of its line; nothing where it says that there is none, or fails.
pub(crate) fn git(folder: &Path, words: &[&str]) -> anyhow::Result<Option<Vec<u8>>> {
    let finished = finished(folder, words, b"")?;
    Ok(finished.ended.success().then(|| finished.stdout.trim_ascii_end().to_owned()))
}

/// Runs git to its end, whatever that is.
fn finished(folder: &Path, words: &[&str], input: &[u8]) -> anyhow::Result<Finished> {
    let mut git = Command::new("git");
    for name in OF_A_REPOSITORY {
        git.env_remove(name);
    }
    git.env("GIT_OPTIONAL_LOCKS", "0").env("LC_ALL", "C").arg("-C").arg(folder).args(words);
    // Nobody is there to be asked for a password, and the hook of our own push starts no other watch.
    git.env("GIT_TERMINAL_PROMPT", "0").env("SSH_ASKPASS_REQUIRE", "never").env("GCM_INTERACTIVE", "never").env("DEPLOY_WATCH", "1");
    // The person's settings are how a remote is reached, where there are any.
    let has_own_ssh = ["GIT_SSH", "GIT_SSH_COMMAND"].iter().any(|name| std::env::var_os(name).is_some());
    if !has_own_ssh && reaches_out(words) && self::git(folder, &["config", "core.sshCommand"])?.is_none() {
        git.env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes");
    }
    let (reader, mut writer) = io::pipe().context("cannot make a pipe")?;
    writer.write_all(input).context("cannot write to git")?;
    drop(writer);
    let finished = child::run_fed(&mut git, reader.into(), PATIENCE, KEEP).context("cannot start git")?;
    match finished.ended {
        Ended::Exited(_) => Ok(finished),
        Ended::TimedOut => anyhow::bail!("git did not answer within {} s", PATIENCE.as_secs()),
        Ended::Interrupted => anyhow::bail!("interrupted"),
    }
}

fn reaches_out(words: &[&str]) -> bool {
    words.iter().any(|word| ["push", "fetch", "ls-remote"].contains(word))
}

/// Of `https://HOST/OWNER/NAME.git`, `git@HOST:OWNER/NAME` and their like.
fn on_forge(url: &str) -> Option<OnForge> {
    let (place, path) = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?,
        None => url.split_once(':')?,
    };
    let host = place.rsplit_once('@').map_or(place, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host).to_owned();
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    (path.split('/').count() == 2).then(|| OnForge { host, slug: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_is_known_in_every_spelling() {
        for url in ["https://github.com/o/r.git", "https://u:p@github.com/o/r", "git@github.com:o/r.git", "ssh://git@github.com:22/o/r/"] {
            assert_eq!(on_forge(url), Some(OnForge { host: "github.com".to_owned(), slug: "o/r".to_owned() }), "{url}");
        }
        for url in ["/srv/git/r.git", "../r", "https://github.com/"] {
            assert_eq!(on_forge(url), None, "{url}");
        }
    }
}
