//! `kill -9` of a watch that heals, at its system calls: what `--resume` makes of it.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tests::{Ran, Sandbox, arg, binary, write_program};

use crate::deploy_heal::{git, pushed};

/// The calls that start a program, or put something on the disk.
const CALLS: [&str; 6] = ["clone", "clone3", "vfork", "write", "fdatasync", "renameat"];
/// At most so many of one call, evenly chosen.
const OF_ONE_CALL: usize = 4;

/// Deploys what is pushed: the first commit fails for its lock file, any other is live.
fn teller(sandbox: &Sandbox, commit: &str) -> std::path::PathBuf {
    let lines = format!(
        r#"echo "$DEPLOY_WATCH_COMMIT" >>{seen}
[ "$DEPLOY_WATCH_COMMIT" = {commit} ] || {{ echo '{{"phase":"live","result":"active"}}'; exit; }}
printf 'npm error code EUSAGE\nnpm error `npm ci` can only install packages when your package.json and package-lock.json are in sync.\n' >"$DEPLOY_WATCH_LOGS/b.log"
echo '{{"phase":"failed","result":"error","logs":["'"$DEPLOY_WATCH_LOGS"'/b.log"]}}'"#,
        seen = sandbox.root().join("seen").display()
    );
    let path = sandbox.root().join("teller");
    write_program(&path, &lines);
    path
}

/// A healing watch under strace, which sees only what it does itself.
fn traced(sandbox: &Sandbox, commit: &str, expression: &str, log: &Path, options: &[&str]) -> Ran {
    let strace = ["-qq", "-e", expression, "-o"].map(arg).into_iter().chain([arg(log), arg(binary("deploy-watch"))]);
    let fixed = ["watch", "--heal", "--force", "--committer", "Bot <bot@example.org>", commit];
    let words = fixed.iter().chain(options).chain(&["--"]).map(arg);
    let words = words.chain([arg(teller(sandbox, commit))]);
    sandbox.command("strace", strace.chain(words)).within(sandbox.work("")).run()
}

/// Every point at which to kill it: a call, and the how-manieth it is.
fn points() -> Vec<(&'static str, usize)> {
    let sandbox = Sandbox::new();
    let commit = pushed(&sandbox, "npm");
    let log = sandbox.root().join("calls.log");
    let expression = format!("trace={}", CALLS.map(|call| format!("?{call}")).join(","));
    traced(&sandbox, &commit, &expression, &log, &[]).code(0).ok();
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for line in fs::read_to_string(log).unwrap().lines() {
        let called = line.split('(').next().unwrap_or_default();
        if let Some(call) = CALLS.into_iter().find(|call| *call == called) {
            *counts.entry(call).or_default() += 1;
        }
    }
    let evenly = |count: usize| (0..count.min(OF_ONE_CALL)).map(move |step| count - step * count / count.min(OF_ONE_CALL));
    counts.into_iter().flat_map(|(call, count)| evenly(count).map(move |nth| (call, nth))).collect()
}

#[test]
fn a_watch_that_is_killed_anywhere_goes_on_without_pushing_twice() {
    let points = points();
    assert!(points.len() >= 12, "{points:?}");
    let mut killed = 0;
    for (call, nth) in points {
        let sandbox = Sandbox::new();
        let commit = pushed(&sandbox, "npm");
        let ran = traced(&sandbox, &commit, &format!("inject={call}:signal=KILL:when={nth}"), Path::new("/dev/null"), &[]);
        killed += usize::from(ran.code != Some(0));
        let at = format!("{call} {nth}: {:?} {}", ran.code, ran.stderr);
        // What it had started goes on for a moment: a push of it may still arrive.
        let next = traced(&sandbox, &commit, "trace=none", Path::new("/dev/null"), &["--resume"]);
        assert_eq!(next.code, Some(0), "{at}\n{}", next.stderr);

        let remote = sandbox.root().join("remote.git");
        assert_eq!(git(&sandbox, &remote, &["rev-list", "--count", &format!("{commit}..main")]), "1", "{at}\n{}", next.stderr);
        let fix = git(&sandbox, &remote, &["rev-parse", "main"]);
        assert!(git(&sandbox, &remote, &["log", "-1", "--format=%(trailers)", "main"]).contains("Deploy-Watch-Attempt: 2/3"), "{at}");
        let seen = fs::read_to_string(sandbox.root().join("seen")).unwrap();
        assert_eq!(seen.lines().last(), Some(&*fix), "{at}: {seen}");
        assert_eq!(git(&sandbox, &remote, &["for-each-ref", "--format=%(refname)"]), "refs/heads/main", "{at}");
        assert_eq!(git(&sandbox, &sandbox.work(""), &["worktree", "list", "--porcelain"]).matches("worktree ").count(), 1, "{at}");
        assert_eq!(fs::read_to_string(sandbox.work(&format!(".deployment-status-{}.result", &commit[..7]))).unwrap(), "success\n", "{at}");
    }
    assert!(killed >= 12, "{killed}");
}
