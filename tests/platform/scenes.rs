//! What the platform plays, as a client sees it by looking again and again.

use serde_json::Value;

use super::walk::{SHA, ask, get};
use super::{App, Deployment};

const NEXT: &str = "54d4a727f457231062439895000d45437c7bb405";

/// Phases by a listing each, newest first.
fn listing(app: &App) -> Vec<String> {
    let list = get(app, "/deployments").json();
    list["deployments"].as_array().unwrap().iter().map(|one| one["phase"].as_str().unwrap().to_owned()).collect()
}

fn error_step(step: &Value) -> Option<&Value> {
    let inner = || step["steps"].as_array().into_iter().flatten().find_map(error_step);
    inner().or_else(|| (step["status"] == "ERROR").then_some(step))
}

#[test]
fn a_deployment_takes_its_time_and_succeeds() {
    let app = App::new();
    let old = app.deploy(Deployment::of(SHA).phases(&["ACTIVE"]));
    let new = app.deploy(Deployment::of(NEXT).after_listings(2));
    assert_eq!((listing(&app), listing(&app)), (vec!["ACTIVE".to_owned()], vec!["ACTIVE".to_owned()]));
    assert_eq!(listing(&app), ["PENDING_BUILD", "ACTIVE"]);
    assert_eq!(get(&app, "").json()["app"]["pending_deployment"]["id"], new);
    let one = get(&app, &format!("/deployments/{new}")).json()["deployment"].take();
    assert_eq!(
        (&one["phase"], &one["progress"]["running_steps"], &one["progress"]["total_steps"]),
        (&"BUILDING".into(), &2.into(), &6.into())
    );
    assert_eq!((&one["services"][0]["source_commit_hash"], &one["cause_details"]["git_push"]["commit_sha"]), (&NEXT.into(), &NEXT.into()));
    assert_eq!(one["cause"], "commit 54d4a72 pushed to github/example/shop");
    assert_eq!(get(&app, "").json()["app"]["in_progress_deployment"]["id"], new);
    assert_eq!((listing(&app), listing(&app)[0].as_str()), (vec!["PENDING_DEPLOY".to_owned(), "ACTIVE".to_owned()], "DEPLOYING"));
    assert_eq!(listing(&app), ["ACTIVE", "SUPERSEDED"]);
    let state = get(&app, "").json()["app"].take();
    assert_eq!((&state["active_deployment"]["id"], &state["active_deployment"]["previous_deployment_id"]), (&new.into(), &old.into()));
    assert_eq!(state["active_deployment"]["progress"]["success_steps"], 6);
}

#[test]
fn a_failed_build_names_its_step_and_has_its_log_in_the_archives_alone() {
    let app = App::new();
    app.deploy(Deployment::of(SHA).phases(&["ACTIVE"]).log("web", "RUN", &["listening\n"]).log("web", "BUILD", &["all is well\n"]));
    let failed = Deployment::of(NEXT).phases(&["PENDING_BUILD", "BUILDING", "ERROR"]);
    let failed = failed.fails("build", "web", "BuildJobExitNonZero", "Your build job failed.").log("web", "BUILD", &["one\n", "two\n"]);
    let id = app.deploy(failed);
    let logs = |kind: &str| get(&app, &format!("/deployments/{id}/components/web/logs?type={kind}"));
    listing(&app);
    assert_eq!((logs("BUILD").status, logs("DEPLOY").status), (400, 400));
    assert_eq!((listing(&app)[0].as_str(), listing(&app)[0].as_str()), ("BUILDING", "ERROR"));
    let one = get(&app, &format!("/deployments/{id}")).json()["deployment"]["progress"].take();
    let step = error_step(&one).unwrap();
    assert_eq!((&step["name"], &step["reason"]["code"]), (&"web".into(), &"BuildJobExitNonZero".into()));
    assert_eq!((&one["error_steps"], &one["success_steps"], &one["pending_steps"]), (&1.into(), &1.into(), &4.into()));

    let urls = logs("BUILD").json()["historic_urls"].take();
    let urls: Vec<&str> = urls.as_array().unwrap().iter().map(|url| url.as_str().unwrap()).collect();
    let texts: String = urls.iter().map(|url| ask("GET", url, None, None).body).collect();
    assert_eq!(texts, "one\ntwo\n");
    assert_eq!(ask("GET", urls[0], Some(&app.token()), None).status, 400);
    assert_eq!(ask("GET", urls[0].split('?').next().unwrap(), None, None).status, 403);
    let mut asked = app.requests().into_iter().filter(|request| request.path.starts_with("/archives/")).map(|request| request.bearer);
    assert!(asked.by_ref().take(2).all(|bearer| !bearer) && asked.next() == Some(true));

    // The trap: these are of the one that went well.
    let served = get(&app, "/logs?type=BUILD").json()["historic_urls"][0].take();
    assert_eq!(ask("GET", served.as_str().unwrap(), None, None).body, "all is well\n");
    assert_eq!(get(&app, &format!("/deployments/{id}/components/nope/logs?type=BUILD")).status, 404);
}

#[test]
fn a_failed_deployment_is_rolled_back_by_the_platform_and_loses_its_logs() {
    let app = App::new();
    app.components(&[("services", "web"), ("workers", "mail")]);
    app.deploy(Deployment::of(SHA).phases(&["ACTIVE"]));
    let failed = Deployment::of(NEXT).phases(&["BUILDING", "DEPLOYING", "ERROR"]).log("web", "RUN", &["gone\n"]);
    let failed = failed.log("web", "DEPLOY", &["a\n"]).log("mail", "DEPLOY", &["b\n"]);
    let id = app.deploy(failed.fails("deploy", "web", "DeployContainerHealthChecksFailed", "It does not answer."));
    app.deploy(Deployment::of(SHA).cause("AUTO_ROLLBACK").phases(&["DEPLOYING", "ACTIVE"]).after(&id, "ERROR"));
    let run = || get(&app, &format!("/deployments/{id}/logs?type=RUN"));
    assert_eq!((listing(&app), listing(&app)[0].as_str()), (vec!["BUILDING".to_owned(), "ACTIVE".to_owned()], "DEPLOYING"));
    assert_eq!(run().json()["historic_urls"].as_array().unwrap().len(), 1);
    assert_eq!(listing(&app), ["ERROR", "ACTIVE"]);
    assert!(run().status == 400 && run().body.contains("final_cleanup"), "{}", run().body);
    let deploy = |more: &str| get(&app, &format!("/deployments/{id}/logs?type=DEPLOY{more}")).json()["historic_urls"].take();
    assert_eq!((deploy("").as_array().unwrap().len(), deploy("&component_name=mail").as_array().unwrap().len()), (2, 1));
    assert_eq!((listing(&app), listing(&app)), (words(&["DEPLOYING", "ERROR", "ACTIVE"]), words(&["ACTIVE", "ERROR", "SUPERSEDED"])));
    let list = get(&app, "/deployments").json()["deployments"].take();
    assert_eq!(
        (&list[0]["cause_details"]["type"], error_step(&list[1]["progress"]).unwrap()["name"].as_str()),
        (&"AUTO_ROLLBACK".into(), Some("wait"))
    );
}

#[test]
fn a_success_may_have_reasons_and_pending_steps() {
    let app = App::new();
    app.components(&[("services", "web"), ("jobs", "cleanup")]);
    let id = app.deploy(Deployment::of(SHA).phases(&["ACTIVE"]).reuses_build("web").idle("cleanup"));
    let progress = get(&app, &format!("/deployments/{id}")).json()["deployment"]["progress"].take();
    assert_eq!((&progress["success_steps"], &progress["pending_steps"], &progress["total_steps"]), (&7.into(), &2.into(), &9.into()));
    assert_eq!(progress["steps"][0]["steps"][1]["steps"][0]["reason"]["code"], "PreviousBuildReused");
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn a_push_supersedes_another_and_none_comes_while_the_app_is_pinned() {
    let app = App::new();
    let good = app.deploy(Deployment::of(SHA).phases(&["ACTIVE"]));
    let first = app.deploy(Deployment::of(SHA).phases(&["BUILDING", "CANCELED"]));
    app.deploy(Deployment::of(NEXT).phases(&["PENDING_BUILD", "ACTIVE"]).after(&first, "BUILDING"));
    assert_eq!(listing(&app), ["BUILDING", "ACTIVE"]);
    assert_eq!(listing(&app), ["PENDING_BUILD", "CANCELED", "ACTIVE"]);
    assert_eq!(listing(&app), ["ACTIVE", "CANCELED", "SUPERSEDED"]);
    app.pin(&good);
    app.deploy(Deployment::of(SHA));
    assert_eq!((listing(&app).len(), get(&app, "").json()["app"]["pinned_deployment"]["id"].as_str()), (3, Some(good.as_str())));
}
