//! The answers of the API.

use serde_json::{Value, json};

use super::deployment::Deployment;
use super::state::{Platform, State, uuid};
use super::{logs, render, server};
use crate::double::trouble::Mischief;
use crate::double::wire::{Answer, Asked};

/// Answers as the platform does, after the mischief that is due.
pub(super) fn answer(platform: &Platform, asked: &Asked) -> Answer {
    let account = platform.find(|app| asked.token() == Some(&app.token));
    let (segments, Some(first)) = (asked.segments(), account.first()) else { return refused(401) };
    let named = |id: &str| account.iter().find(|app| app.lock().unwrap().id == id);
    match segments[..] {
        ["v2", "apps"] if asked.method == "GET" => {
            let refused = refusal(&first.lock().unwrap(), asked);
            refused.unwrap_or_else(|| listed("apps", asked, account.iter().map(|app| render::app(&app.lock().unwrap())).collect()))
        }
        ["v2", "apps", id, ref rest @ ..] => named(id).map_or_else(missing, |app| {
            let mut state = app.lock().unwrap();
            refusal(&state, asked).unwrap_or_else(|| route(&mut state, asked, rest))
        }),
        _ => missing(),
    }
}

/// What the platform answers instead of doing its work.
pub(super) fn refusal(state: &State, asked: &Asked) -> Option<Answer> {
    match state.fate(asked) {
        Mischief::Burst(seconds) => Some(refused(429).header("retry-after", seconds)),
        Mischief::Exhausted(seconds) => Some(limited(json_error(429, None), 0, seconds)),
        Mischief::Error(status) => Some(refused(status)),
        _ => None,
    }
}

fn route(state: &mut State, asked: &Asked, rest: &[&str]) -> Answer {
    match (asked.method.as_str(), rest) {
        ("GET", []) => ok(&json!({ "app": render::app(state) })),
        ("GET", ["logs"]) => logs::of_the_active(state, asked),
        ("GET", ["deployments"]) => list(state, asked),
        ("POST", ["deployments"]) => create(state),
        ("GET", ["deployments", id]) => {
            state.look(false);
            state.find(id).map_or_else(missing, |known| told(state, known))
        }
        ("POST", ["deployments", id, "cancel"]) => cancel(state, id),
        ("GET", ["deployments", id, "logs"]) => logs::of(state, asked, id, asked.query("component_name").next()),
        ("GET", ["deployments", id, "components", name, "logs"]) => logs::of(state, asked, id, Some(name)),
        ("POST", ["rollback", "commit"]) => commit(state),
        ("POST", ["rollback", "validate"]) => roll_back(state, asked, true),
        ("POST", ["rollback"]) => roll_back(state, asked, false),
        _ => missing(),
    }
}

fn list(state: &mut State, asked: &Asked) -> Answer {
    state.look(true);
    let wanted: Vec<&str> = asked.query("deployment_types").collect();
    let known = state.deployments.iter().rev().filter(|known| wanted.is_empty() || wanted.contains(&known.cause.as_str()));
    listed("deployments", asked, known.map(|known| render::deployment(state, known)).collect())
}

/// A page of a list, with the address of the next one.
fn listed(key: &str, asked: &Asked, all: Vec<Value>) -> Answer {
    let number = |name, default| asked.query(name).next().and_then(|value| value.parse().ok()).unwrap_or(default);
    let (page, size, total): (usize, usize, usize) = (number("page", 1), number("per_page", 20), all.len());
    let (address, last) = (asked.target.split('?').next().unwrap_or_default(), total.div_ceil(size));
    let at = |page: usize| format!("{}{address}?page={page}&per_page={size}", server::server().url());
    let pages = if page < last { json!({ "next": at(page + 1), "last": at(last) }) } else { json!({}) };
    let shown: Vec<Value> = all.into_iter().skip((page - 1) * size).take(size).collect();
    ok(&json!({ key: shown, "links": { "pages": pages }, "meta": { "total": total } }))
}

/// It builds the head of the branch, which only the test knows.
fn create(state: &mut State) -> Answer {
    if state.pinned.is_some() {
        return error(409, "the app is pinned to a deployment");
    }
    let Some(deployment) = state.take_prepared() else {
        state.violations.push("a deployment was asked for that the test did not prepare".to_owned());
        return error(500, "nothing is prepared");
    };
    begun(state, deployment)
}

fn begun(state: &mut State, deployment: Deployment) -> Answer {
    let id = state.begin(deployment).id.clone();
    state.find(&id).map_or_else(missing, |known| told(state, known))
}

fn cancel(state: &mut State, id: &str) -> Answer {
    let Some(known) = state.deployments.iter_mut().find(|known| known.id == id) else { return missing() };
    if known.is_over() {
        return error(400, "the deployment is over");
    }
    // What it came through stays: it has the logs of it.
    known.phases = known.passed().iter().cloned().chain(["CANCELED".to_owned()]).collect();
    known.seen = Some(known.phases.len() - 1);
    state.find(id).map_or_else(missing, |known| told(state, known))
}

fn roll_back(state: &mut State, asked: &Asked, only_asks: bool) -> Answer {
    let body: Value = serde_json::from_str(&asked.body).unwrap_or_default();
    let Some(target) = body["deployment_id"].as_str().and_then(|id| state.find(id)) else { return missing() };
    let objection = match target.phase() {
        _ if state.pinned.is_some() => Some(("app_pinned", "there is already a rollback in progress")),
        "ACTIVE" => None,
        _ if target.is_over() => Some(("incompatible_result", "deployment result is unsuitable for rollback")),
        _ => Some(("incompatible_phase", "deployment phase is unsuitable for rollback")),
    };
    match objection {
        None if only_asks => ok(&json!({ "valid": true })),
        Some((code, message)) if only_asks => ok(&json!({ "valid": false, "error": { "code": code, "message": message } })),
        Some((_, message)) => error(400, message),
        None => {
            let deployment = Deployment::of(&target.commit).cause("MANUAL_ROLLBACK").phases(&["PENDING_DEPLOY", "DEPLOYING", "ACTIVE"]);
            state.pinned = (body["skip_pin"] != true).then(|| deployment.id.clone());
            begun(state, deployment)
        }
    }
}

fn commit(state: &mut State) -> Answer {
    match state.pinned.take() {
        Some(_) => limited(Answer::empty(), 4999, 3600),
        None => error(400, "there is no rollback to commit"),
    }
}

fn told(state: &State, known: &Deployment) -> Answer {
    ok(&json!({ "deployment": render::deployment(state, known) }))
}

pub(super) fn ok(body: &Value) -> Answer {
    limited(Answer::new(200, "application/json", body.to_string()), 4999, 3600)
}

pub(super) fn missing() -> Answer {
    refused(404)
}

fn refused(status: u16) -> Answer {
    limited(json_error(status, None), 4999, 3600)
}

pub(super) fn error(status: u16, message: &str) -> Answer {
    limited(json_error(status, Some(message)), 4999, 3600)
}

fn json_error(status: u16, message: Option<&str>) -> Answer {
    let (id, usual) = match status {
        401 => ("unauthorized", "Unable to authenticate you."),
        403 => ("forbidden", "You are not authorized to perform this operation."),
        404 => ("not_found", "The resource you were accessing could not be found."),
        409 => ("conflict", "The request conflicts with the state of the resource."),
        429 => ("too_many_requests", "API rate limit exceeded."),
        500.. => ("server_error", "Unexpected server-side error"),
        _ => ("bad_request", "The request is not valid."),
    };
    let request = uuid();
    let body = json!({ "id": id, "message": message.unwrap_or(usual), "request_id": request });
    Answer::new(status, "application/json", body.to_string()).header("x-request-id", request)
}

/// The headers that come with every answer.
fn limited(answer: Answer, remaining: u64, seconds: u64) -> Answer {
    let reset = chrono::Utc::now().timestamp().cast_unsigned() + seconds;
    answer.header("ratelimit-limit", 5000).header("ratelimit-remaining", remaining).header("ratelimit-reset", reset)
}
