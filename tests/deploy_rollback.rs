//! `deploy-watch --rollback-on-failure`: back to what is live, on a double of App Platform that the official description referees.

use serde_json::Value;
use tests::{Ran, Sandbox};

use crate::deploy::repository;
use crate::deploy_heal::{failed_build, of_web};
use crate::platform::{App, Deployment, Mischief};

const GOOD: &str = "54d4a727f457231062439895000d45437c7bb405";

/// A deployment that is live, and one of HEAD that fails for its types.
fn failed_after_a_good_one(sandbox: &Sandbox) -> (App, String) {
    let (commit, app) = (repository(sandbox), App::new());
    let good = app.deploy(Deployment::of(GOOD).phases(&["ACTIVE"]));
    app.deploy(failed_build(&commit, &of_web("src/a.ts(3,5): error TS2322: Type 'string' is not assignable to type 'number'.")));
    (app, good)
}

fn watch(sandbox: &Sandbox, app: &App, options: &[&str]) -> Ran {
    let (id, url) = (app.id(), app.url());
    let words = ["watch", "--app", &id, "--digitalocean-url", &url, "--interval", "1s", "--rollback-on-failure"];
    let run = sandbox.tool("deploy-watch", words.iter().chain(options)).within(sandbox.work(""));
    run.env("DIGITALOCEAN_ACCESS_TOKEN", app.token()).run()
}

/// What became of the rollback, and what is said of it.
fn rollbacks(ran: &Ran) -> Vec<(String, String)> {
    let text = |data: &Value, key: &str| data[key].as_str().unwrap_or_default().to_owned();
    let actions = ran.of("action");
    let its = actions.iter().map(|one| &one["data"]).filter(|data| data["verb"] == "rollback");
    its.map(|data| (text(data, "outcome"), text(data, "text"))).collect()
}

fn posts(app: &App) -> Vec<String> {
    let posts = app.requests().into_iter().filter(|request| request.method == "POST");
    posts.map(|request| request.path.rsplit_once(&app.id()).unwrap().1.to_owned()).collect()
}

#[test]
fn the_app_goes_back_to_what_is_live_and_it_is_said_that_it_is_pinned() {
    let sandbox = Sandbox::new();
    let (app, good) = failed_after_a_good_one(&sandbox);
    let planned = watch(&sandbox, &app, &[]).code(1);
    assert_eq!(rollbacks(&planned)[0].0, "planned", "{}", planned.stderr);
    assert_eq!(posts(&app), Vec::<String>::new());

    let ran = watch(&sandbox, &app, &["--heal", "--force"]).code(1);
    let told = rollbacks(&ran);
    assert_eq!(told.iter().map(|(outcome, _)| &**outcome).collect::<Vec<_>>(), ["started", "done"], "{}", ran.stderr);
    assert!(told[1].1.contains(&good) && told[1].1.contains("the app is pinned to it: no push is deployed until"), "{told:?}");
    assert_eq!(posts(&app), ["/rollback/validate", "/rollback"]);
    // The commit has failed all the same.
    assert_eq!(ran.of("deploy.result")[0]["data"]["result"], "error");

    // A second watch leaves it at that.
    let again = watch(&sandbox, &app, &["--force"]).code(1);
    assert!(rollbacks(&again)[0].1.contains("is pinned to") && posts(&app).len() == 2, "{}", again.stderr);
}

#[test]
fn a_rollback_that_the_platform_forbids_or_cannot_make_is_not_asked_for() {
    let sandbox = Sandbox::new();
    let (commit, app) = (repository(&sandbox), App::new());
    app.deploy(failed_build(&commit, &of_web("src/a.ts(3,5): error TS2322: no")));
    let nothing = watch(&sandbox, &app, &["--force"]).code(1);
    assert_eq!(rollbacks(&nothing), [("skipped".to_owned(), "nothing is live that it could go back to".to_owned())]);

    let sandbox = Sandbox::new();
    let (app, _) = failed_after_a_good_one(&sandbox);
    app.trouble("/rollback/validate", 1, Mischief::Error(403));
    let refused = watch(&sandbox, &app, &["--force"]).code(1);
    assert_eq!((&*rollbacks(&refused)[1].0, posts(&app)), ("failed", vec!["/rollback/validate".to_owned()]), "{}", refused.stderr);
}

#[test]
fn a_rollback_whose_answer_was_lost_is_looked_for() {
    let sandbox = Sandbox::new();
    let (app, _) = failed_after_a_good_one(&sandbox);
    app.trouble("/rollback/validate", 1, Mischief::Nothing);
    app.trouble("/rollback", 1, Mischief::HungUp);
    let ran = watch(&sandbox, &app, &["--force"]).code(1);
    assert_eq!(rollbacks(&ran)[1].0, "done", "{}", ran.stderr);
    assert_eq!(posts(&app), ["/rollback/validate", "/rollback"]);
}

#[test]
fn what_is_live_or_was_taken_back_by_the_platform_is_left_alone() {
    let sandbox = Sandbox::new();
    let (commit, app) = (repository(&sandbox), App::new());
    app.deploy(Deployment::of(&commit).phases(&["ACTIVE"]));
    let ran = watch(&sandbox, &app, &["--force"]).code(0);
    assert_eq!((rollbacks(&ran), posts(&app)), (vec![], vec![]));

    let sandbox = Sandbox::new();
    let (commit, app) = (repository(&sandbox), App::new());
    app.deploy(Deployment::of(GOOD).phases(&["ACTIVE"]));
    let failed = Deployment::of(&commit).phases(&["DEPLOYING", "ERROR"]).fails("deploy", "web", "DeployContainerExitNonZero", "x");
    let failed = app.deploy(failed);
    app.deploy(Deployment::of(GOOD).cause("AUTO_ROLLBACK").phases(&["ACTIVE"]).after(&failed, "ERROR"));
    let ran = watch(&sandbox, &app, &["--force"]).code(1);
    assert_eq!((&ran.of("deploy.result")[0]["data"]["result"], posts(&app)), (&"rolled_back".into(), vec![]));
}
