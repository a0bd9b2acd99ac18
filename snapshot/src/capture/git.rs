//! The state of every git work tree that a snapshot touches: restoring files does not move HEAD, so somebody will want to know where it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use contract::child::{self, Ended};
use rayon::prelude::*;

use crate::store::manifest::WorkTree;

/// An answer that takes longer than this is done without: the file system monitor of git is known to hang.
const PATIENCE: Duration = Duration::from_secs(5);
/// As many bytes of an answer are counted.
const KEEP: usize = 16 << 20;

/// The state of the work trees with these top folders.
pub(crate) fn states(tops: &[PathBuf]) -> Vec<WorkTree> {
    tops.par_iter().map(|top| state(top)).collect()
}

/// The top folder of the work tree that a path is in.
pub(crate) fn top(path: &Path) -> Option<PathBuf> {
    path.ancestors().find(|above| above.join(".git").exists()).map(Path::to_owned)
}

fn state(top: &Path) -> WorkTree {
    let path = top.to_string_lossy().into_owned();
    let failed = |why: String| WorkTree { path: path.clone(), error: Some(why), ..WorkTree::default() };
    let status = ["--no-optional-locks", "status", "--porcelain=v2", "--branch", "--show-stash", "--ignore-submodules=dirty", "-z"];
    let answer = filters(top).and_then(|settings| git(top, &settings, &status));
    answer.map_or_else(failed, |answer| parse(&path, &answer))
}

/// Settings without the programs that the configuration of the work tree itself names for the files in it (gitattributes(5), "filter"):
/// whoever keeps a tree has not agreed to run what is in it.
fn filters(top: &Path) -> Result<Vec<(String, &'static str)>, String> {
    if names_no_filter(top) {
        return Ok(Vec::new());
    }
    let keys = git(top, &[], &["config", "--show-scope", "--name-only", "-z", "--get-regexp", r"^filter\..*\.(clean|process)$"]);
    // Where there are none, git ends with 1 and says nothing.
    let keys = keys.or_else(|why| if why.is_empty() { Ok(Vec::new()) } else { Err(why) })?;
    let items: Vec<_> = keys.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let own = items.chunks_exact(2).filter(|pair| !["system", "global"].contains(&&*pair[0]));
    let without = |key: &str| {
        let driver = key.rsplit_once('.').map_or(key, |(driver, _)| driver);
        [(key.to_owned(), ""), (format!("{driver}.required"), "false")]
    };
    Ok(own.flat_map(|pair| without(&pair[1])).collect())
}

/// Whether the configuration shows at first sight that there is none, which spares a start of git.
fn names_no_filter(top: &Path) -> bool {
    let config = fs::read(top.join(".git/config")).map(|bytes| bytes.to_ascii_lowercase());
    let has = |config: &[u8], word: &str| config.windows(word.len()).any(|window| window == word.as_bytes());
    config.is_ok_and(|config| !["filter", "include", "worktreeconfig"].iter().any(|word| has(&config, word)))
}

/// What git answers, or why it does not.
fn git(top: &Path, settings: &[(String, &str)], words: &[&str]) -> Result<Vec<u8>, String> {
    let mut git = Command::new("git");
    git.arg("-C").arg(top).args(words);
    // A hook's variables are about another work tree.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"] {
        git.env_remove(name);
    }
    // In a clone that has not everything a look would fetch the rest, by a program that the tree may name.
    git.env("GIT_NO_LAZY_FETCH", "1");
    // git(1): by the environment, since a key may have `=` in it.
    let monitor = ("core.fsmonitor".to_owned(), "false");
    let all = settings.iter().chain([&monitor]);
    git.env("GIT_CONFIG_COUNT", (settings.len() + 1).to_string());
    for (number, (key, value)) in all.enumerate() {
        git.env(format!("GIT_CONFIG_KEY_{number}"), key).env(format!("GIT_CONFIG_VALUE_{number}"), value);
    }
    let finished = child::run(&mut git, PATIENCE, KEEP).map_err(|e| format!("cannot start git: {e}"))?;
    match finished.ended {
        Ended::Exited(status) if status.success() => Ok(finished.stdout),
        Ended::Exited(_) => Err(String::from_utf8_lossy(finished.stderr.trim_ascii()).into_owned()),
        Ended::TimedOut => Err(format!("git did not answer within {} s", PATIENCE.as_secs())),
        Ended::Interrupted => Err("interrupted".to_owned()),
    }
}

/// git-status(1), "Porcelain Format Version 2", with `-z`.
fn parse(path: &str, output: &[u8]) -> WorkTree {
    let mut tree = WorkTree { path: path.to_owned(), ..WorkTree::default() };
    let mut items = output.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    while let Some(item) = items.next() {
        match item.split_once(' ') {
            Some(("#", header)) => match header.split_once(' ') {
                Some(("branch.oid", oid)) if oid != "(initial)" => tree.commit = Some(oid.to_owned()),
                Some(("branch.head", head)) if head != "(detached)" => tree.branch = Some(head.to_owned()),
                Some(("stash", count)) => tree.stashes = count.parse().unwrap_or(0),
                _ => {}
            },
            Some(("2", _)) => {
                tree.dirty += 1;
                // The old name of a renamed file.
                items.next();
            }
            Some(("1" | "u" | "?", _)) => tree.dirty += 1,
            _ => {}
        }
    }
    tree
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read() {
        let output = b"# branch.oid 0123abcd\0# branch.head main\0# branch.upstream origin/main\0# stash 2\0\
            1 .M N... 100644 100644 100644 a b file name\x002 R. N... 100644 100644 100644 a b R100 new\0old\0? untracked\0";
        let tree = parse("/p", output);
        assert_eq!((tree.commit.as_deref(), tree.branch.as_deref(), tree.dirty, tree.stashes), (Some("0123abcd"), Some("main"), 3, 2));
        let fresh = parse("/p", b"# branch.oid (initial)\0# branch.head (detached)\0");
        assert_eq!((fresh.commit, fresh.branch, fresh.dirty), (None, None, 0));
    }
}
