//! `deploy-watch` on a double of DigitalOcean's App Platform that the official description referees.

use std::fs;

use serde_json::Value;
use tests::{Ran, Sandbox};

use crate::deploy::{left, read, repository};
use crate::platform::{App, Deployment, Mischief};

const OTHER: &str = "54d4a727f457231062439895000d45437c7bb405";
const STALE: &str = "web 2026-11-29T10:00:01.123456789Z npm error code EUSAGE\n\
    web 2026-11-29T10:00:01.223456789Z npm error `npm ci` can only install packages when your package.json and package-lock.json are in sync.\n";

/// A watch of HEAD in that app, one look a second.
fn watch(sandbox: &Sandbox, app: &App, options: &[&str]) -> Ran {
    let (id, url) = (app.id(), app.url());
    let words = ["watch", "--app", &id, "--digitalocean-url", &url, "--interval", "1s"];
    let run = sandbox.tool("deploy-watch", words.iter().chain(options)).within(sandbox.work(""));
    run.env("DIGITALOCEAN_ACCESS_TOKEN", app.token()).run()
}

fn result(ran: &Ran) -> Value {
    let mut results = ran.of("deploy.result");
    assert_eq!(results.len(), 1, "{}{}", ran.text(), ran.stderr);
    results.remove(0)["data"].take()
}

fn phases(ran: &Ran) -> Vec<String> {
    ran.of("deploy.state").iter().map(|state| state["data"]["phase"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_deployment_is_followed_until_it_is_live_and_the_older_one_is_not_taken_for_it() {
    let sandbox = Sandbox::new();
    let (commit, app) = (repository(&sandbox), App::new());
    app.deploy(Deployment::of(OTHER).phases(&["ACTIVE"]));
    let id = app.deploy(Deployment::of(&commit).idle("web").phases(&["BUILDING", "DEPLOYING", "ACTIVE"]).after_listings(1));
    let ran = watch(&sandbox, &app, &[]).code(0);
    assert_eq!(phases(&ran), ["BUILDING", "DEPLOYING"]);
    let result = result(&ran);
    assert_eq!((&result["result"], &result["deployment"], &result["app"]), (&"active".into(), &id.into(), &app.id().into()));
    assert!(result["url"].as_str().unwrap().starts_with("https://"), "{result}");
    assert_eq!(read(&left(&sandbox, &commit, "result")), "success\n");
}

#[test]
fn a_failed_build_is_explained_by_its_own_log_and_the_token_goes_to_the_api_alone() {
    let sandbox = Sandbox::new();
    let (commit, app) = (repository(&sandbox), App::new());
    app.deploy(Deployment::of(OTHER).phases(&["ACTIVE"]).log(
        "web",
        "BUILD",
        &["web 2026-11-29T09:00:00Z JavaScript heap out of memory\n"],
    ));
    let (first, second) = STALE.split_at(60);
    let failed = Deployment::of(&commit).phases(&["BUILDING", "ERROR"]).log("web", "BUILD", &[first, second]);
    app.deploy(failed.fails("build", "web", "BuildJobExitNonZero", "Your build job failed because it returned a non-zero exit code."));
    let ran = watch(&sandbox, &app, &[]).code(1);
    let result = result(&ran);
    assert_eq!((&result["result"], &result["class"]), (&"error".into(), &"lockfile_out_of_sync".into()));
    assert!(result["text"].as_str().unwrap().starts_with("web: BuildJobExitNonZero: Your build job failed"), "{result}");
    assert_eq!(ran.of("diagnosis")[0]["data"]["code"], "node.lockfile-stale");
    let logs: Vec<String> = result["logs"].as_array().unwrap().iter().map(|log| read(log.as_str().unwrap().as_ref())).collect();
    assert_eq!(logs[0], STALE);
    let archives: Vec<_> = app.requests().into_iter().filter(|request| request.path.starts_with("/archives/")).collect();
    assert!(archives.len() == 2 && archives.iter().all(|request| !request.bearer), "{archives:?}");
}

#[test]
fn a_failure_that_the_platform_took_back_is_none_of_the_old_commits_success() {
    let sandbox = Sandbox::new();
    let (commit, app) = (repository(&sandbox), App::new());
    app.deploy(Deployment::of(OTHER).phases(&["ACTIVE"]));
    let failed = Deployment::of(&commit).phases(&["BUILDING", "DEPLOYING", "DEPLOYING", "ERROR"]);
    let failed = failed.fails("deploy", "web", "DeployContainerExitNonZero", "Your container exited with a non-zero exit code.");
    let id = app.deploy(failed.log("web", "RUN", &["web 2026-11-29T10:00:01Z Error: Cannot find module 'express'\n"]));
    app.deploy(Deployment::of(OTHER).cause("AUTO_ROLLBACK").phases(&["DEPLOYING", "ACTIVE"]).after(&id, "ERROR"));
    let ran = watch(&sandbox, &app, &[]).code(1);
    let result = result(&ran);
    assert_eq!((&result["result"], &result["deployment"]), (&"rolled_back".into(), &id.into()));
    // By then the platform had that log no more.
    assert_eq!(result["class"], "missing_dependency", "{}{}", ran.text(), ran.stderr);
    assert_eq!(read(&left(&sandbox, &commit, "result")), "failed\n");
}

#[test]
fn a_failed_start_that_is_not_taken_back_is_a_failure_all_the_same() {
    let sandbox = Sandbox::new();
    let (commit, app) = (repository(&sandbox), App::new());
    let failed = Deployment::of(&commit).phases(&["DEPLOYING", "ERROR"]);
    app.deploy(failed.fails("deploy", "web", "DeployContainerHealthChecksFailed", "It does not answer."));
    let result = result(&watch(&sandbox, &app, &[]).code(1));
    assert_eq!((&result["result"], &result["class"]), (&"error".into(), &"health_check".into()), "{result}");
}

#[test]
fn what_a_newer_push_replaced_ends_without_blame() {
    for (phase, word) in [("CANCELED", "canceled"), ("SUPERSEDED", "superseded")] {
        let sandbox = Sandbox::new();
        let (commit, app) = (repository(&sandbox), App::new());
        let id = app.deploy(Deployment::of(&commit).phases(&["BUILDING", phase]));
        app.deploy(Deployment::of(OTHER).after(&id, phase));
        assert_eq!(result(&watch(&sandbox, &app, &[]).code(0))["result"], word);
    }
}

#[test]
fn what_never_begins_is_told_with_its_reason() {
    let sandbox = Sandbox::new();
    let (commit, app) = (repository(&sandbox), App::new());
    let old = app.deploy(Deployment::of(OTHER).phases(&["ACTIVE"]));
    app.deploy_on_push(false);
    let off = result(&watch(&sandbox, &app, &["--start-timeout", "1s"]).code(1));
    assert_eq!((&off["result"], off["text"].as_str().unwrap().contains("does not deploy on push")), (&"not_started".into(), true), "{off}");
    app.pin(&old);
    let pinned = result(&watch(&sandbox, &app, &[]).code(1));
    assert!(pinned["text"].as_str().unwrap().contains(&format!("pinned to deployment {old}")), "{pinned}");
    assert_eq!(read(&left(&sandbox, &commit, "result")), "not_started\n");
}

#[test]
fn a_commit_that_is_contained_in_a_deployed_one_was_replaced() {
    let sandbox = Sandbox::new();
    let (commit, app) = (repository(&sandbox), App::new());
    let git = |words: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
        sandbox.command("git", identity.iter().chain(words)).within(sandbox.work("")).run().code(0).text()
    };
    git(&["commit", "-q", "--allow-empty", "-m", "second"]);
    app.deploy(Deployment::of(git(&["rev-parse", "HEAD"]).trim()));
    let result = result(&watch(&sandbox, &app, &[&commit]).code(0));
    assert_eq!(
        (&result["result"], result["text"].as_str().unwrap().contains("which contains it")),
        (&"superseded".into(), true),
        "{result}"
    );
}

#[test]
fn the_time_is_over_at_some_point() {
    let sandbox = Sandbox::new();
    let (commit, app) = (repository(&sandbox), App::new());
    app.deploy(Deployment::of(&commit).phases(&["BUILDING"]));
    let result = result(&watch(&sandbox, &app, &["--timeout", "3s"]).code(1));
    assert_eq!((&result["result"], &result["text"]), (&"timeout".into(), &"it was still BUILDING after 3 s".into()));
    assert_eq!(read(&left(&sandbox, &commit, "result")), "timeout\n");
}

#[test]
fn load_and_lost_answers_are_waited_out_and_no_verdict() {
    let sandbox = Sandbox::new();
    let (commit, app) = (repository(&sandbox), App::new());
    app.deploy(Deployment::of(&commit).phases(&["BUILDING", "ACTIVE"]));
    for mischief in [Mischief::Burst(1), Mischief::Exhausted(2), Mischief::BadGateway, Mischief::Truncated, Mischief::HungUp] {
        app.trouble("/deployments", 1, mischief);
    }
    let ran = watch(&sandbox, &app, &["--timeout", "60s"]).code(0);
    assert_eq!(result(&ran)["result"], "active");
    assert_eq!(ran.stderr.matches("trying again in").count(), 5, "{}", ran.stderr);
}

#[test]
fn logs_that_cannot_be_had_hide_nothing_of_what_becomes_of_the_deployment() {
    let sandbox = Sandbox::new();
    let (commit, app) = (repository(&sandbox), App::new());
    app.deploy(Deployment::of(&commit).phases(&["DEPLOYING", "DEPLOYING", "ACTIVE"]));
    app.trouble("/logs", 99, Mischief::Error(500));
    let ran = watch(&sandbox, &app, &[]).code(0);
    assert_eq!(result(&ran)["result"], "active");
    assert!(ran.stderr.contains("a log could not be had this time"), "{}", ran.stderr);
}

#[test]
fn one_log_that_cannot_be_had_hides_no_other_and_a_lost_url_no_success() {
    let sandbox = Sandbox::new();
    let (commit, app) = (repository(&sandbox), App::new());
    let failed = Deployment::of(&commit).phases(&["ERROR"]).log("web", "BUILD", &[STALE]);
    app.deploy(failed.fails("build", "web", "BuildJobExitNonZero", "Your build job failed."));
    app.trouble("type=DEPLOY", 99, Mischief::Error(403));
    let ran = watch(&sandbox, &app, &[]).code(1);
    assert_eq!(result(&ran)["class"], "lockfile_out_of_sync", "{}", ran.stderr);

    let live = App::new();
    live.deploy(Deployment::of(&commit).phases(&["ACTIVE"]));
    // The app is looked at to find it, then its deployments, then its URL.
    live.trouble(&live.id(), 2, Mischief::Nothing);
    live.trouble(&live.id(), 99, Mischief::Error(403));
    let found = result(&watch(&sandbox, &live, &[]).code(0));
    assert_eq!((&found["result"], found.get("url")), (&"active".into(), None));
}

#[test]
fn what_is_refused_is_no_verdict_on_the_commit() {
    let sandbox = Sandbox::new();
    let (commit, app) = (repository(&sandbox), App::new());
    app.trouble("/deployments", 1, Mischief::Error(401));
    let ran = watch(&sandbox, &app, &[]).code(2);
    assert!(ran.stderr.contains("cannot list the deployments: 401"), "{}", ran.stderr);
    assert_eq!((ran.of("deploy.result").len(), read(&left(&sandbox, &commit, "result"))), (0, "unknown\n".to_owned()));
    app.trouble("/deployments", 99, Mischief::Error(500));
    let ran = watch(&sandbox, &app, &["--timeout", "4s"]).code(2);
    assert!(ran.stderr.contains("the API answers 500"), "{}", ran.stderr);
}

#[test]
fn the_app_is_found_by_its_name_or_by_what_it_deploys() {
    let sandbox = Sandbox::new();
    let (commit, app) = (repository(&sandbox), App::new());
    let other = app.sibling();
    other.source("example/other", "main");
    app.deploy(Deployment::of(&commit).phases(&["ACTIVE"]));
    let by = |words: &[&str]| {
        let url = app.url();
        let words = ["watch", "--digitalocean-url", &url, "--interval", "1s"].into_iter().chain(words.iter().copied());
        sandbox.tool("deploy-watch", words).within(sandbox.work("")).env("DIGITALOCEAN_TOKEN", app.token()).run()
    };
    assert!(by(&[]).code(2).stderr.contains("the remote `origin` is on no forge"));
    fs::write(
        sandbox.work(".git/config"),
        "[core]\nrepositoryformatversion = 0\n[remote \"origin\"]\nurl = git@github.com:example/shop.git\n",
    )
    .unwrap();
    assert_eq!(result(&by(&[]).code(0))["app"], app.id());
    assert!(by(&["--branch", "dev"]).code(2).stderr.contains("no app deploys the branch dev of example/shop"));
    assert!(by(&["--app", "nope"]).code(2).stderr.contains("there is no app `nope`; there are"));
    other.source("example/shop", "main");
    assert!(by(&[]).code(2).stderr.contains("2 apps deploy the branch main"));
}
