//! What goes wrong reaches the client as it is, with a referee between them or without.

use std::time::{Duration, Instant};

use serde_json::json;

use super::walk::{SHA, ask, get, post};
use super::{App, Deployment, Mischief};

#[test]
fn limits_and_errors_come_in_the_form_of_the_platform_and_in_the_order_told() {
    let app = App::new();
    let all =
        [Mischief::Nothing, Mischief::Burst(7), Mischief::Exhausted(60), Mischief::Error(401), Mischief::Error(404), Mischief::Error(500)];
    for mischief in all {
        app.trouble("", 1, mischief);
    }
    let got: Vec<_> = (0..7).map(|_| get(&app, "")).collect();
    assert_eq!(got.iter().map(|got| got.status).collect::<Vec<_>>(), [200, 429, 429, 401, 404, 500, 200]);
    assert_eq!(
        (got[1].header("retry-after"), got[2].header("retry-after"), got[2].header("ratelimit-remaining")),
        (Some("7"), None, Some("0"))
    );
    let reset: i64 = got[2].header("ratelimit-reset").unwrap().parse().unwrap();
    assert!((50..=61).contains(&(reset - chrono::Utc::now().timestamp())), "{reset}");
    assert_eq!((&got[3].json()["id"], &got[5].json()["id"]), (&"unauthorized".into(), &"server_error".into()));
    assert_eq!(app.requests().len(), 7);
}

#[test]
fn what_no_referee_would_pass_reaches_the_client() {
    let app = App::new();
    app.trouble("", 1, Mischief::BadGateway);
    app.trouble("/deployments", 2, Mischief::Truncated);
    app.trouble("", 1, Mischief::Slow(Duration::from_millis(500)));
    app.deploy(Deployment::of(SHA));
    let bad = get(&app, "");
    assert!(bad.status == 502 && bad.header("content-type") == Some("text/html"), "{}", bad.head);
    for _ in 0..2 {
        let cut = get(&app, "/deployments");
        let length: usize = cut.header("content-length").unwrap().parse().unwrap();
        assert!(cut.status == 200 && !cut.body.is_empty() && cut.body.len() < length, "{} of {length}", cut.body.len());
    }
    let began = Instant::now();
    // Both truncated answers were looks.
    assert_eq!(get(&app, "/deployments").json()["deployments"][0]["phase"], "PENDING_DEPLOY");
    assert!(began.elapsed() >= Duration::from_millis(500), "{:?}", began.elapsed());
}

#[test]
fn a_connection_may_say_nothing_late_or_for_ever() {
    let app = App::new();
    app.trouble("", 1, Mischief::Late(Duration::from_millis(500)));
    app.trouble("/deployments", 1, Mischief::HungUp);
    let began = Instant::now();
    assert_eq!(get(&app, "").status, 200);
    assert!(began.elapsed() >= Duration::from_millis(500), "{:?}", began.elapsed());
    app.prepare(Deployment::of(SHA).cause("MANUAL"));
    // It is begun all the same, so that whoever asks again asks for two.
    assert_eq!(post(&app, "/deployments", Some(&json!({ "force_build": true }))).head, "");
    assert_eq!(get(&app, "/deployments").json()["meta"]["total"], 1);
}

#[test]
fn archives_have_troubles_of_their_own() {
    let app = App::new();
    let id = app.deploy(Deployment::of(SHA).phases(&["BUILDING"]).log("web", "BUILD", &["a line of some length\n"]));
    app.trouble("/archives/", 1, Mischief::Truncated);
    app.trouble("/archives/", 1, Mischief::Error(500));
    let url = get(&app, &format!("/deployments/{id}/logs?type=BUILD")).json()["historic_urls"][0].take();
    let fetch = || ask("GET", url.as_str().unwrap(), None, None);
    assert_eq!((fetch().body.as_str(), fetch().status, fetch().body.as_str()), ("a line of s", 500, "a line of some length\n"));
}
