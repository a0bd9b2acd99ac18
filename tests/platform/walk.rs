//! A plain client walks through all of the double.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::{App, Deployment, server};

/// What came, be it all of it or not; the status of nothing is 0.
pub(super) struct Got {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Got {
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {} {}", self.head, self.body))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Asks an address, with a token and a body or without.
#[track_caller]
pub(super) fn ask(method: &str, url: &str, token: Option<&str>, body: Option<&Value>) -> Got {
    let (host, target) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let token = token.map_or_else(String::new, |token| format!("authorization: Bearer {token}\r\n"));
    let body = body.map_or_else(String::new, |body| {
        let body = body.to_string();
        format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    });
    let end = if body.is_empty() { "\r\n" } else { "" };
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    write!(stream, "{method} /{target} HTTP/1.1\r\nhost: {host}\r\n{token}{body}{end}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    Got { status: head.get(9..12).map_or(0, |status| status.parse().unwrap()), head: head.to_owned(), body: body.to_owned() }
}

/// Asks below an app, as its owner.
#[track_caller]
pub(super) fn get(app: &App, below: &str) -> Got {
    ask("GET", &format!("{}/v2/apps/{}{below}", app.url(), app.id()), Some(&app.token()), None)
}

#[track_caller]
pub(super) fn post(app: &App, below: &str, body: Option<&Value>) -> Got {
    ask("POST", &format!("{}/v2/apps/{}{below}", app.url(), app.id()), Some(&app.token()), body)
}

pub(super) const SHA: &str = "9a4df0b8e161e323bc3cdf1dc71878080fe144fa";

fn is_refereed(test: &str) -> bool {
    let has = server::server().has_referee();
    if !has {
        crate::vault::skipped(test, "there is no referee");
    }
    has
}

#[test]
fn a_client_that_breaks_the_description_is_refused_and_told_of() {
    if !is_refereed("a_client_that_breaks_the_description_is_refused_and_told_of") {
        return;
    }
    let app = App::new();
    let id = app.deploy(Deployment::of(SHA));
    assert_eq!(get(&app, &format!("/deployments/{id}/logs?type=NOPE")).status, 422);
    assert_eq!(get(&app, &format!("/deployments/{id}/logs")).status, 422);
    assert_eq!(get(&app, "/deployments?per_page=500").status, 422);
    assert_eq!(post(&app, "/deployments", None).status, 422);
    assert_eq!(post(&app, "/deployments", Some(&json!({ "force_build": "yes" }))).status, 422);
    assert_eq!(ask("GET", &format!("{}/v2/apps/{}", app.url(), app.id()), None, None).status, 401);
    let violations = app.violations();
    assert!(violations.len() == 6 && violations[0].contains("type=NOPE") && violations[0].contains("allowed values"), "{violations:#?}");
    assert_eq!(app.requests().len(), 6);
}

#[test]
fn a_double_that_breaks_the_description_is_told_of() {
    if !is_refereed("a_double_that_breaks_the_description_is_told_of") {
        return;
    }
    let app = App::new();
    app.deploy(Deployment::of(SHA).phases(&["FAILED"]));
    let got = get(&app, "/deployments");
    assert!(got.status == 500 && got.header("sl-violations").is_some(), "{}", got.head);
    let violations = app.violations();
    assert!(violations.len() == 1 && violations[0].contains("PENDING_BUILD"), "{violations:#?}");
    assert!(app.violations().is_empty());
}

#[test]
#[should_panic(expected = "against DigitalOcean's description")]
fn an_objection_that_nobody_wants_fails_the_test() {
    let app = App::new();
    app.deploy(Deployment::of(SHA).phases(&["FAILED"]));
    drop(get(&app, "/deployments"));
    assert!(server::server().has_referee(), "as though against DigitalOcean's description");
}

#[test]
fn apps_are_found_by_their_account() {
    let (first, stranger) = (App::new(), App::new());
    let second = first.sibling();
    second.source("example/blog", "trunk");
    second.deploy_on_push(false);
    second.components(&[("services", "web"), ("workers", "mail"), ("jobs", "migrate"), ("static_sites", "docs")]);
    let all = ask("GET", &format!("{}/v2/apps?per_page=200", first.url()), Some(&first.token()), None);
    let apps = all.json()["apps"].take();
    assert_eq!(apps.as_array().unwrap().iter().map(|app| app["id"].as_str().unwrap()).collect::<Vec<_>>(), [first.id(), second.id()]);
    assert_eq!(apps[1]["spec"]["workers"][0]["github"], json!({ "repo": "example/blog", "branch": "trunk", "deploy_on_push": false }));
    assert_eq!(get(&second, "").json()["app"]["id"], second.id());
    let theirs = format!("{}/v2/apps/{}", first.url(), stranger.id());
    assert_eq!(ask("GET", &theirs, Some(&first.token()), None).status, 404);
    assert_eq!(ask("GET", &theirs, Some("dop_v1_of_nobody"), None).status, 401);
}

#[test]
fn lists_come_by_pages_and_by_types() {
    let app = App::new();
    let ids: Vec<String> = (0..5).map(|_| app.deploy(Deployment::of(SHA))).collect();
    let rollback = app.deploy(Deployment::of(SHA).cause("AUTO_ROLLBACK"));
    let (mut seen, mut next) = (Vec::new(), Some(format!("{}/v2/apps/{}/deployments?per_page=4", app.url(), app.id())));
    while let Some(url) = next {
        let page = ask("GET", &url, Some(&app.token()), None).json();
        assert_eq!(page["meta"]["total"], 6);
        seen.extend(page["deployments"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        next = page["links"]["pages"]["next"].as_str().map(str::to_owned);
    }
    let newest_first: Vec<_> = [rollback.clone()].into_iter().chain(ids.into_iter().rev()).collect();
    assert_eq!(seen, newest_first);
    let only = get(&app, "/deployments?deployment_types=AUTO_ROLLBACK&deployment_types=MANUAL").json();
    assert!(only["deployments"][0]["id"] == rollback && only["meta"]["total"] == 1, "{only}");
}

#[test]
fn what_is_asked_for_is_begun_cancelled_rolled_back_to_and_committed() {
    let app = App::new();
    let good = app.deploy(Deployment::of(SHA).phases(&["ACTIVE"]));
    let asked = app.prepare(Deployment::of(SHA).cause("MANUAL").phases(&["BUILDING"]));
    get(&app, "/deployments").json();
    let begun = post(&app, "/deployments", Some(&json!({ "force_build": true }))).json();
    assert!(begun["deployment"]["id"] == asked && begun["deployment"]["cause"] == "manual", "{begun}");
    assert_eq!(begun["deployment"]["previous_deployment_id"], good);
    let to = |id: &str| json!({ "deployment_id": id });
    let valid = |id: &str| post(&app, "/rollback/validate", Some(&to(id))).json();
    assert_eq!(valid(&asked)["error"]["code"], "incompatible_phase");
    assert_eq!(post(&app, &format!("/deployments/{asked}/cancel"), None).json()["deployment"]["phase"], "CANCELED");
    assert_eq!(post(&app, &format!("/deployments/{asked}/cancel"), None).status, 400);
    assert_eq!(valid(&asked)["error"]["code"], "incompatible_result");
    assert_eq!(valid(&good), json!({ "valid": true }));
    assert_eq!(post(&app, "/rollback", Some(&to(&asked))).status, 400);
    let back = post(&app, "/rollback", Some(&to(&good))).json()["deployment"].take();
    assert_eq!(back["cause_details"], json!({ "type": "MANUAL_ROLLBACK" }));
    assert_eq!(get(&app, "").json()["app"]["pinned_deployment"]["id"], back["id"]);
    assert_eq!(valid(&good)["error"]["code"], "app_pinned");
    assert_eq!(post(&app, "/deployments", Some(&json!({}))).status, 409);
    let committed = post(&app, "/rollback/commit", None);
    assert_eq!((committed.status, committed.header("content-length")), (200, Some("0")));
    assert_eq!(post(&app, "/rollback/commit", None).status, 400);
    post(&app, "/rollback", Some(&json!({ "deployment_id": good, "skip_pin": true }))).json();
    assert_eq!(get(&app, "").json()["app"].get("pinned_deployment"), None);
    assert_eq!(app.requests()[1].body, r#"{"force_build":true}"#);
    assert_eq!((post(&app, "/deployments", Some(&json!({}))).status, app.violations().len()), (500, 1));
}
