//! `kill -9` of a watch that acts, at its system calls: what `--resume` makes of it.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tests::{Ran, Sandbox, arg, binary, write_program};

use crate::deploy::{left, read};
use crate::deploy_heal::{AWAY, failed_build, git, of_web, pushed};
use crate::forge::Forge;
use crate::platform::App;

/// The calls that start a program, put something on the disk, or send it away.
const CALLS: [&str; 9] = ["clone", "clone3", "vfork", "write", "fdatasync", "rename", "renameat", "connect", "sendto"];

/// A repository and its remote, copied for each time that a watch is killed.
struct Template {
    sandbox: Sandbox,
    commit: String,
}

impl Template {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let commit = pushed(&sandbox, "npm");
        // It lies elsewhere in each copy.
        git(&sandbox, &sandbox.work(""), &["remote", "set-url", "origin", "../remote.git"]);
        Self { sandbox, commit }
    }

    fn copy(&self) -> Sandbox {
        let sandbox = Sandbox::new();
        let parts = ["work", "remote.git"].map(|part| arg(self.sandbox.root().join(part)));
        sandbox.command("cp", [arg("-a")].into_iter().chain(parts).chain([arg(sandbox.root())])).run().code(0).ok();
        sandbox
    }
}

/// A watch that may act, under strace, which sees only what it does itself.
fn traced(sandbox: &Sandbox, expression: &str, log: &Path, words: &[String], tokens: [&str; 2]) -> Ran {
    let strace = ["-qq", "-e", expression, "-o"].map(arg).into_iter().chain([arg(log), arg(binary("deploy-watch"))]);
    let fixed = ["watch", "--heal", "--force", "--interval", "1s", "--committer", "Bot <bot@example.org>"].map(arg);
    let run = sandbox.command("strace", strace.chain(fixed).chain(words.iter().map(arg))).within(sandbox.work(""));
    run.env("DIGITALOCEAN_ACCESS_TOKEN", tokens[0]).env("GITHUB_TOKEN", tokens[1]).run()
}

/// Points at which to kill it, a call and the how-manieth it is, by what a run did that was not killed: at most so many of one call, evenly
/// chosen.
fn points(log: &Path, of_one_call: usize) -> Vec<(&'static str, usize)> {
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for line in fs::read_to_string(log).unwrap().lines() {
        let called = line.split('(').next().unwrap_or_default();
        if let Some(call) = CALLS.into_iter().find(|call| *call == called) {
            *counts.entry(call).or_default() += 1;
        }
    }
    let evenly = |count: usize| (0..count.min(of_one_call)).map(move |step| count - step * count / count.min(of_one_call));
    counts.into_iter().flat_map(|(call, count)| evenly(count).map(move |nth| (call, nth))).collect()
}

fn all_calls() -> String {
    format!("trace={}", CALLS.map(|call| format!("?{call}")).join(","))
}

/// Deploys what is pushed: the first commit fails for its lock file, any other is live.
fn teller(sandbox: &Sandbox, commit: &str) -> PathBuf {
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

#[test]
fn a_watch_that_is_killed_anywhere_goes_on_without_pushing_twice() {
    let template = Template::new();
    let commit = &template.commit;
    let run = |sandbox: &Sandbox, expression: &str, log: &Path, options: &[&str]| {
        let teller = teller(sandbox, commit).display().to_string();
        let words = options.iter().map(|option| (*option).to_owned()).chain([commit.clone(), "--".to_owned(), teller]);
        traced(sandbox, expression, log, &words.collect::<Vec<_>>(), ["", ""])
    };
    let first = template.copy();
    let log = first.root().join("calls.log");
    run(&first, &all_calls(), &log, &[]).code(0).ok();
    let (points, mut killed) = (points(&log, 3), 0);
    assert!(points.len() >= 12, "{points:?}");

    for (call, nth) in points {
        let sandbox = template.copy();
        let ran = run(&sandbox, &format!("inject={call}:signal=KILL:when={nth}"), Path::new("/dev/null"), &[]);
        killed += usize::from(ran.code != Some(0));
        let at = format!("{call} {nth}: {:?} {}", ran.code, ran.stderr);
        // What it had started goes on for a moment: a push of it may still arrive.
        let next = run(&sandbox, "trace=none", Path::new("/dev/null"), &["--resume"]);
        assert_eq!(next.code, Some(0), "{at}\n{}", next.stderr);

        let remote = sandbox.root().join("remote.git");
        assert_eq!(git(&sandbox, &remote, &["rev-list", "--count", &format!("{commit}..main")]), "1", "{at}\n{}", next.stderr);
        let fix = git(&sandbox, &remote, &["rev-parse", "main"]);
        assert!(git(&sandbox, &remote, &["log", "-1", "--format=%(trailers)", "main"]).contains("Deploy-Watch-Attempt: 2/3"), "{at}");
        let seen = fs::read_to_string(sandbox.root().join("seen")).unwrap();
        assert_eq!(seen.lines().last(), Some(&*fix), "{at}: {seen}");
        assert_eq!(git(&sandbox, &remote, &["for-each-ref", "--format=%(refname)"]), "refs/heads/main", "{at}");
        assert_eq!(git(&sandbox, &sandbox.work(""), &["worktree", "list", "--porcelain"]).matches("worktree ").count(), 1, "{at}");
        assert_eq!(read(&left(&sandbox, commit, "result")), "success\n", "{at}");
    }
    assert!(killed >= 12, "{killed}");
}

/// The registry is away, which one more deployment is asked for; that one fails for good, which becomes an issue.
#[test]
fn a_watch_that_is_killed_anywhere_goes_on_without_asking_twice_or_opening_a_second_issue() {
    let template = Template::new();
    let commit = &template.commit;
    let world = || {
        let (app, forge) = (App::new(), Forge::new());
        app.deploy(failed_build(commit, AWAY).phases(&["ERROR"]));
        let types = of_web("src/a.ts(3,5): error TS2322: Type 'string' is not assignable to type 'number'.");
        app.prepare(failed_build(commit, &types).cause("MANUAL").phases(&["ERROR"]));
        (app, forge)
    };
    let run = |sandbox: &Sandbox, (app, forge): &(App, Forge), expression: &str, log: &Path, options: &[&str]| {
        let (id, url, slug, github) = (app.id(), app.url(), forge.slug(), forge.url());
        let words = ["--app", &id, "--digitalocean-url", &url, "--github", "--github-repository", &slug, "--github-url", &github];
        let words: Vec<String> = words.iter().chain(options).chain(&[commit.as_str()]).map(|word| (*word).to_owned()).collect();
        traced(sandbox, expression, log, &words, [&app.token(), &forge.token()])
    };
    let first = template.copy();
    let log = first.root().join("calls.log");
    run(&first, &world(), &all_calls(), &log, &[]).code(1).ok();
    let (points, mut killed) = (points(&log, 2), 0);
    assert!(points.len() >= 12, "{points:?}");

    for (call, nth) in points {
        let (sandbox, world) = (template.copy(), world());
        let ran = run(&sandbox, &world, &format!("inject={call}:signal=KILL:when={nth}"), Path::new("/dev/null"), &[]);
        killed += usize::from(ran.code != Some(1));
        let at = format!("{call} {nth}: {:?} {}", ran.code, ran.stderr);
        let next = run(&sandbox, &world, "trace=none", Path::new("/dev/null"), &["--resume"]);
        assert_eq!(next.code, Some(1), "{at}\n{}", next.stderr);

        let (app, forge) = &world;
        let asked = app.requests().iter().filter(|request| request.method == "POST").count();
        let issues: Vec<_> = forge.issues().into_iter().map(|issue| (issue.is_open, issue.comments)).collect();
        assert_eq!((asked, issues), (1, vec![(true, vec![])]), "{at}\n{}", next.stderr);
        assert_eq!(forge.comments(commit).len(), 1, "{at}\n{}", next.stderr);
        assert_eq!(forge.statuses(commit).last().map(|(state, _)| &**state), Some("failure"), "{at}");
        assert_eq!(next.of("deploy.result")[0]["data"]["attempts"], 2, "{at}");
        assert_eq!(read(&left(&sandbox, commit, "result")), "failed\n", "{at}");
    }
    assert!(killed >= 12, "{killed}");
}
