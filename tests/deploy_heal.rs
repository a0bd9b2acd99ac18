//! `deploy-watch --heal`: a real project with a real package manager, a real bare remote, and a double of the platform.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use serde_json::{Value, json};
use tests::{Ran, Run, Sandbox};

use crate::deploy::{left, read};
use crate::platform::{App, Deployment};
use crate::vault::{file, inventory};
use crate::ward;

const OTHER: &str = "54d4a727f457231062439895000d45437c7bb405";
/// A registry that is not there: nothing is to be asked for.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:9/";
/// The registry was, for a moment.
pub(crate) const AWAY: &str = "web 2026-11-29T10:00:01.123456789Z npm error code ECONNRESET\n\
    web 2026-11-29T10:00:01.223456789Z npm error network request to https://registry.npmjs.org/left failed, reason: read ECONNRESET\n";
const WEB: &str = "web 2026-11-29T10:00:01.123456789Z ";

/// Runs git somewhere, as somebody.
pub(crate) fn git(sandbox: &Sandbox, folder: &Path, words: &[&str]) -> String {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
    sandbox.command("git", identity.iter().chain(words)).within(folder).run().code(0).text().trim().to_owned()
}

/// How a package manager makes a lock file, and what the platform runs. Those of yarn are called as `scripts/test` has them.
fn words(manager: &str) -> (&'static [&'static str], &'static [&'static str]) {
    match manager {
        "npm" => (&["install", "--package-lock-only"], &["ci"]),
        "pnpm" => (&["install", "--lockfile-only"], &["install", "--frozen-lockfile"]),
        "yarn-classic" => (&["install", "--ignore-scripts"], &["install", "--frozen-lockfile"]),
        _ => (&["install", "--mode=update-lockfile"], &["install", "--immutable"]),
    }
}

/// A project whose lock file lacks a dependency, pushed to a bare remote; the commit.
pub(crate) fn pushed(sandbox: &Sandbox, manager: &str) -> String {
    pushed_with(sandbox, manager, &json!({}))
}

/// The same with more in `package.json`.
pub(crate) fn pushed_with(sandbox: &Sandbox, manager: &str, fields: &Value) -> String {
    let (work, remote) = (sandbox.work(""), sandbox.root().join("remote.git"));
    git(sandbox, sandbox.root(), &["init", "-q", "--bare", "-b", "main", "remote.git"]);
    git(sandbox, &work, &["init", "-q", "-b", "main"]);
    git(sandbox, &work, &["remote", "add", "origin", remote.to_str().unwrap()]);
    for name in ["left", "right"] {
        file(&work.join(name).join("package.json"), format!("{{\"name\":\"{name}\",\"version\":\"1.0.0\"}}\n"));
    }
    let package = |names: &[&str]| {
        let needs: serde_json::Map<String, Value> =
            names.iter().map(|name| ((*name).to_owned(), format!("file:./{name}").into())).collect();
        let mut text = json!({ "name": "shop", "version": "1.0.0", "private": true, "dependencies": needs });
        fields.as_object().unwrap().iter().for_each(|(name, value)| text[name] = value.clone());
        file(&work.join("package.json"), serde_json::to_string_pretty(&text).unwrap() + "\n");
    };
    package(&["left"]);
    // Without one yarn takes the folder for a part of a project further up.
    if manager.starts_with("yarn-") {
        file(&work.join("yarn.lock"), "");
    }
    sandbox.command(manager, words(manager).0).within(&work).run().code(0).ok();
    file(&work.join(".gitignore"), "node_modules\n.yarn\n");
    package(&["left", "right"]);
    git(sandbox, &work, &["add", "-A"]);
    git(sandbox, &work, &["commit", "-q", "-m", "use right"]);
    git(sandbox, &work, &["push", "-q", "origin", "main"]);
    git(sandbox, &work, &["rev-parse", "HEAD"])
}

/// What the platform's install really says of it, as its log has it.
pub(crate) fn frozen_log(sandbox: &Sandbox, manager: &str) -> String {
    let clone = sandbox.root().join("platform");
    git(sandbox, sandbox.root(), &["clone", "-q", "remote.git", "platform"]);
    let ran = sandbox.command(manager, words(manager).1).within(clone).env("CI", "true").run().code(1);
    of_web(&(ran.text() + &ran.stderr))
}

/// Lines as the platform has them of its component.
pub(crate) fn of_web(text: &str) -> String {
    text.lines().fold(String::new(), |log, line| log + WEB + line + "\n")
}

pub(crate) fn failed_build(commit: &str, log: &str) -> Deployment {
    let failed = Deployment::of(commit).phases(&["BUILDING", "ERROR"]).log("web", "BUILD", &[log]);
    failed.fails("build", "web", "BuildJobExitNonZero", "Your build job failed because it returned a non-zero exit code.")
}

/// The platform deploys what is pushed: a thread that does so until it is told to stop.
pub(crate) struct DeployOnPush(Arc<AtomicBool>, Option<JoinHandle<Vec<String>>>);

impl DeployOnPush {
    pub(crate) fn of(app: Arc<App>, remote: PathBuf, first: &str, deploy: impl Fn(&str) -> Deployment + Send + 'static) -> Self {
        let (over, mut seen) = (Arc::new(AtomicBool::new(false)), vec![first.to_owned()]);
        let stop = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let head = fs::read_to_string(remote.join("refs/heads/main")).unwrap_or_default().trim().to_owned();
                if !head.is_empty() && seen.last() != Some(&head) {
                    app.deploy(deploy(&head));
                    seen.push(head);
                }
                sleep(Duration::from_millis(20));
            }
            seen.split_off(1)
        });
        Self(over, Some(thread))
    }

    /// What was pushed meanwhile.
    pub(crate) fn stop(mut self) -> Vec<String> {
        self.0.store(true, Ordering::Relaxed);
        self.1.take().unwrap().join().unwrap()
    }
}

/// What lies in `bin` of the sandbox comes first.
pub(crate) fn healing(sandbox: &Sandbox, app: &App, options: &[&str]) -> Run {
    let (id, url) = (app.id(), app.url());
    let words = ["watch", "--app", &id, "--digitalocean-url", &url, "--interval", "1s", "--heal", "--committer", "Bot <bot@example.org>"];
    let run = sandbox.tool("deploy-watch", words.iter().chain(options)).within(sandbox.work(""));
    let path = format!("{}:{}", sandbox.root().join("bin").display(), std::env::var("PATH").unwrap());
    run.env("DIGITALOCEAN_ACCESS_TOKEN", app.token()).env("PATH", path)
}

fn heal(sandbox: &Sandbox, app: &App, options: &[&str]) -> Ran {
    healing(sandbox, app, options).run()
}

pub(crate) fn actions(ran: &Ran) -> Vec<(String, String, String)> {
    let text = |data: &Value, key: &str| data[key].as_str().unwrap_or_default().to_owned();
    ran.of("action").iter().map(|one| &one["data"]).map(|data| (text(data, "verb"), text(data, "outcome"), text(data, "text"))).collect()
}

pub(crate) fn steps(ran: &Ran) -> Vec<String> {
    actions(ran).into_iter().map(|(verb, outcome, _)| format!("{verb} {outcome}")).collect()
}

fn result(ran: &Ran) -> Value {
    let mut results = ran.of("deploy.result");
    assert_eq!(results.len(), 1, "{}{}", ran.text(), ran.stderr);
    results.remove(0)["data"].take()
}

/// Work that nobody committed: changed, staged, untracked and stashed.
fn leave_work(sandbox: &Sandbox) {
    let work = sandbox.work("");
    file(&work.join("left/package.json"), "{ \"stashed\": true }\n");
    git(sandbox, &work, &["stash", "-q"]);
    file(&work.join("staged"), "staged\n");
    git(sandbox, &work, &["add", "staged"]);
    file(&work.join("left/package.json"), "{ \"changed\": true }\n");
    file(&work.join(".env"), "SECRET=1\n");
}

/// A deployment fails for its lock file, is mended in a commit of that file alone, and is live at the second attempt.
pub(crate) fn heals_a_lockfile(sandbox: &Sandbox, manager: &str, lock: &str, fields: &Value, registry: &str) {
    let (commit, app) = (pushed_with(sandbox, manager, fields), Arc::new(App::new()));
    app.deploy(Deployment::of(OTHER).phases(&["ACTIVE"]));
    let log = frozen_log(sandbox, manager);
    app.deploy(failed_build(&commit, &log));
    leave_work(sandbox);
    let work = sandbox.work("");
    // What a push of the user's would take along, and a work tree on a disk that is not mounted.
    git(sandbox, &work, &["config", "push.followTags", "true"]);
    git(sandbox, &work, &["tag", "-a", "-m", "mine", "v9"]);
    let (there, away) = (sandbox.root().join("there"), sandbox.root().join("away"));
    git(sandbox, &work, &["worktree", "add", "-q", "--detach", there.to_str().unwrap()]);
    fs::rename(&there, &away).unwrap();
    let stash = git(sandbox, &work, &["stash", "list"]);
    // What git does not touch by looking.
    let before = (inventory(&work.join("left")), read(&work.join(".env")), fs::read(work.join(".git/index")).unwrap());

    let heal = |options: &[&str]| healing(sandbox, &app, options).env("npm_config_registry", registry).run();
    let planned = heal(&[]).code(1);
    let cause = &planned.of("diagnosis")[0]["data"];
    assert_eq!((&cause["class"], &cause["remedy"]["name"]), (&"lockfile_out_of_sync".into(), &"lockfile-update".into()), "{log}");
    assert_eq!(steps(&planned), ["lockfile-update planned"], "{log}");
    let on_push = DeployOnPush::of(Arc::clone(&app), sandbox.root().join("remote.git"), &commit, |head| {
        Deployment::of(head).phases(&["BUILDING", "ACTIVE"])
    });
    let ran = heal(&["--force"]).code(0);
    let fixes = on_push.stop();
    assert_eq!(steps(&ran), ["lockfile-update started", "lockfile-update done"], "{}", ran.stderr);
    let phases: Vec<Value> = ran.of("deploy.state").iter().map(|state| state["data"]["phase"].clone()).collect();
    assert_eq!(phases, ["error", "BUILDING"]);
    let result = result(&ran);
    assert_eq!((&result["result"], &result["attempts"], &result["commit"]), (&"active".into(), &2.into(), &fixes[0].as_str().into()));
    assert_eq!((fixes.len(), read(&left(sandbox, &commit, "result"))), (1, "success\n".to_owned()));

    // Asked about the fix, it tells of what the fix is for.
    let status = sandbox.tool("deploy-watch", ["status", "origin/main"]).within(&work).run().code(0);
    assert_eq!(status.of("deploy.result")[0]["data"]["attempts"], 2);
    let swept = sandbox.tool("deploy-watch", ["sweep"]).within(&work).run().code(0);
    assert!(swept.stderr.contains("was judged already"), "{}", swept.stderr);
    // Whatever is seen of the old commit later.
    assert_eq!(steps(&heal(&["--force", &commit]).code(1)), ["heal skipped"]);
    sandbox.tool("deploy-watch", ["status", "origin/main"]).within(&work).run().code(0).ok();

    let remote = sandbox.root().join("remote.git");
    assert_eq!(git(sandbox, &remote, &["rev-parse", "main^"]), commit);
    assert_eq!(git(sandbox, &remote, &["diff", "--name-only", "main^", "main"]), lock);
    let message = git(sandbox, &remote, &["log", "-1", "--format=%an <%ae>%n%s%n%(trailers)", "main"]);
    assert!(message.starts_with(&format!("Bot <bot@example.org>\nfix(deploy): update {lock}\n")), "{message}");
    assert!(message.contains(&format!("Deploy-Watch-Root: {commit}\nDeploy-Watch-Attempt: 2/3\nDeploy-Watch-Fingerprint: ")), "{message}");
    assert_eq!(git(sandbox, &remote, &["for-each-ref", "--format=%(refname)"]), "refs/heads/main");

    ward::same(&before.0, &inventory(&work.join("left")));
    assert_eq!((before.1, before.2), (read(&work.join(".env")), fs::read(work.join(".git/index")).unwrap()));
    assert_eq!((git(sandbox, &work, &["rev-parse", "HEAD"]), git(sandbox, &work, &["stash", "list"])), (commit.clone(), stash));
    fs::rename(&away, &there).unwrap();
    assert_eq!(git(sandbox, &there, &["rev-parse", "HEAD"]), commit);
    assert_eq!(git(sandbox, &work, &["worktree", "list", "--porcelain"]).matches("worktree ").count(), 2);
}

#[test]
fn a_lock_file_of_pnpm_is_mended_pushed_and_deployed() {
    heals_a_lockfile(&Sandbox::new(), "pnpm", "pnpm-lock.yaml", &json!({}), NOWHERE);
}

#[test]
fn a_lock_file_of_npm_is_mended_pushed_and_deployed() {
    heals_a_lockfile(&Sandbox::new(), "npm", "package-lock.json", &json!({}), NOWHERE);
}

/// What is not checked out is a part of the project all the same.
#[test]
fn a_lock_file_is_mended_with_all_of_the_project() {
    let sandbox = Sandbox::new();
    let (work, commit) = (sandbox.work(""), pushed(&sandbox, "npm"));
    git(&sandbox, &work, &["sparse-checkout", "set", "--no-cone", "/*", "!/left"]);
    assert!(!work.join("left").exists());
    let app = Arc::new(App::new());
    app.deploy(failed_build(&commit, &frozen_log(&sandbox, "npm")));
    let remote = sandbox.root().join("remote.git");
    let on_push = DeployOnPush::of(Arc::clone(&app), remote.clone(), &commit, |head| Deployment::of(head).phases(&["BUILDING", "ACTIVE"]));
    heal(&sandbox, &app, &["--force"]).code(0).ok();
    assert_eq!(on_push.stop().len(), 1);
    let lock = git(&sandbox, &remote, &["show", "main:package-lock.json"]);
    assert!(lock.contains("\"left\": {") && lock.contains("\"right\": {"), "{lock}");
    assert!(!work.join("left").exists());
}

#[test]
fn what_fails_in_the_same_way_again_is_not_tried_again() {
    let sandbox = Sandbox::new();
    let (commit, app) = (pushed(&sandbox, "pnpm"), Arc::new(App::new()));
    let log = frozen_log(&sandbox, "pnpm");
    app.deploy(failed_build(&commit, &log));
    let remote = sandbox.root().join("remote.git");
    let on_push = DeployOnPush::of(Arc::clone(&app), remote, &commit, move |head| failed_build(head, &log));
    let ran = heal(&sandbox, &app, &["--force"]).code(1);
    assert_eq!(on_push.stop().len(), 1);
    assert_eq!(steps(&ran), ["lockfile-update started", "lockfile-update failed", "heal skipped"], "{}", ran.stderr);
    assert!(actions(&ran)[2].2.contains("failed in the same way as before"), "{}", ran.text());
    // Whoever looks at the fix, on whatever machine, knows that as well.
    let fix = git(&sandbox, &sandbox.work(""), &["rev-parse", "origin/main"]);
    let again = heal(&sandbox, &app, &["--force", &fix]).code(1);
    assert_eq!(steps(&again), ["heal skipped"]);
    assert_eq!(result(&again)["attempts"], 2);
}

#[test]
fn nothing_is_pushed_where_somebody_was_faster() {
    let sandbox = Sandbox::new();
    let (commit, app) = (pushed(&sandbox, "pnpm"), App::new());
    app.deploy(failed_build(&commit, &frozen_log(&sandbox, "pnpm")));
    let clone = sandbox.root().join("platform");
    git(&sandbox, &clone, &["commit", "-q", "--allow-empty", "-m", "newer"]);
    git(&sandbox, &clone, &["push", "-q", "origin", "main"]);
    let newer = git(&sandbox, &clone, &["rev-parse", "HEAD"]);
    let ran = heal(&sandbox, &app, &["--force"]).code(1);
    assert_eq!(steps(&ran), ["lockfile-update started", "lockfile-update skipped"], "{}", ran.stderr);
    assert_eq!(result(&ran)["result"], "moved");
    assert_eq!(git(&sandbox, &sandbox.root().join("remote.git"), &["rev-parse", "main"]), newer);
}

#[test]
fn what_would_change_more_than_the_lock_file_is_thrown_away() {
    let sandbox = Sandbox::new();
    let (commit, app) = (pushed(&sandbox, "pnpm"), App::new());
    app.deploy(failed_build(&commit, &frozen_log(&sandbox, "pnpm")));
    // A package manager that has ideas of its own.
    let real = sandbox.command("sh", ["-c", "command -v pnpm"]).run().code(0).text().trim().to_owned();
    let bin = sandbox.root().join("bin");
    tests::write_program(bin.join("pnpm"), &format!("[ \"$1\" = --version ] || echo >extra\nexec {real} \"$@\""));
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let words = ["watch", "--app", &app.id(), "--digitalocean-url", &app.url(), "--interval", "1s", "--heal", "--force"].map(str::to_owned);
    let run = sandbox.tool("deploy-watch", words).within(sandbox.work("")).env("PATH", path);
    let ran = run.env("DIGITALOCEAN_ACCESS_TOKEN", app.token()).run().code(1);
    assert_eq!(steps(&ran), ["lockfile-update started", "lockfile-update failed"], "{}", ran.stderr);
    assert!(actions(&ran)[1].2.contains("more than pnpm-lock.yaml would change: pnpm-lock.yaml, extra"), "{}", ran.text());
    assert_eq!(git(&sandbox, &sandbox.root().join("remote.git"), &["rev-parse", "main"]), commit);
}

#[test]
fn a_registry_that_was_away_is_asked_again_once() {
    let sandbox = Sandbox::new();
    let (commit, app) = (pushed(&sandbox, "npm"), App::new());
    let failed = app.deploy(failed_build(&commit, AWAY));
    let id = app.prepare(Deployment::of(&commit).cause("MANUAL").phases(&["BUILDING", "ACTIVE"]));
    let ran = heal(&sandbox, &app, &["--force"]).code(0);
    assert_eq!(steps(&ran), ["redeploy started", "redeploy done"], "{}", ran.stderr);
    assert_eq!((&result(&ran)["deployment"], failed == id), (&id.as_str().into(), false));
    let posts: Vec<_> = app.requests().into_iter().filter(|request| request.method == "POST").collect();
    assert_eq!((posts.len(), posts[0].body.as_str()), (1, "{\"force_build\":true}"));
}

#[test]
fn a_redeployment_whose_answer_was_lost_is_not_asked_for_twice() {
    let sandbox = Sandbox::new();
    let (commit, app) = (pushed(&sandbox, "npm"), App::new());
    app.deploy(failed_build(&commit, AWAY));
    app.prepare(Deployment::of(&commit).cause("MANUAL").phases(&["BUILDING", "ERROR"]).log("web", "BUILD", &[AWAY]).fails(
        "build",
        "web",
        "BuildJobExitNonZero",
        "x",
    ));
    // Two listings come first: that of the watch while it builds, that of the failure, and that before the request.
    app.trouble("/deployments", 3, crate::platform::Mischief::Nothing);
    app.trouble("/deployments/", 99, crate::platform::Mischief::Nothing);
    app.trouble("/deployments", 1, crate::platform::Mischief::HungUp);
    let ran = heal(&sandbox, &app, &["--force"]).code(1);
    assert_eq!(steps(&ran), ["redeploy started", "redeploy failed", "heal skipped"], "{}", ran.stderr);
    assert_eq!(app.requests().iter().filter(|request| request.method == "POST").count(), 1);
}

#[test]
fn what_only_a_person_can_mend_is_left_to_one() {
    let sandbox = Sandbox::new();
    let (commit, app) = (pushed(&sandbox, "npm"), App::new());
    for (log, why) in [
        ("src/a.ts(3,5): error TS2322: Type 'string' is not assignable to type 'number'.", "only a person can help with typescript"),
        (
            "Server listening on port 8080\nError: listen EADDRINUSE: address already in use :::8080",
            "only a person can help with port_conflict",
        ),
    ] {
        app.deploy(failed_build(&commit, &of_web(log)));
        let ran = heal(&sandbox, &app, &["--force"]).code(1);
        assert_eq!(steps(&ran), ["heal skipped"], "{}", ran.stderr);
        assert!(actions(&ran)[0].2.contains(why), "{}", ran.text());
    }
}

#[test]
fn one_machine_heals_at_a_time() {
    let sandbox = Sandbox::new();
    let (commit, app) = (pushed(&sandbox, "pnpm"), App::new());
    app.deploy(failed_build(&commit, &frozen_log(&sandbox, "pnpm")));
    let work = sandbox.work("");
    let lease = |age: u64| {
        let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() - age;
        let note = sandbox.root().join("note");
        fs::write(&note, json!({ "host": "elsewhere", "at": at }).to_string()).unwrap();
        let blob = git(&sandbox, &work, &["hash-object", "-w", note.to_str().unwrap()]);
        git(&sandbox, &work, &["push", "-q", "--force", "origin", &format!("{blob}:refs/deploy-watch/lease/{commit}")]);
    };
    lease(60);
    let ran = heal(&sandbox, &app, &["--force"]).code(1);
    assert_eq!(steps(&ran), ["heal skipped"], "{}", ran.stderr);
    assert!(actions(&ran)[0].2.starts_with("elsewhere has been healing it for 6"), "{}", ran.text());
    // One of a healer that died long ago is taken over.
    lease(7 * 60 * 60);
    let ran = heal(&sandbox, &app, &["--force", "--timeout", "3s"]).code(1);
    assert_eq!(steps(&ran)[0], "lockfile-update started", "{}", ran.stderr);
}
