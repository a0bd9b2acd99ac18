//! The answers of the API.

use serde_json::{Value, json};

use super::render;
use super::state::{Comment, State, Status};
use crate::double::trouble::Mischief;
use crate::double::wire::{Answer, Asked};

/// Answers as GitHub does.
pub(super) fn answer(state: &mut State, asked: &Asked) -> Answer {
    if asked.token() != Some(&state.token) {
        return refused(401, "Bad credentials");
    }
    if asked.header("user-agent").is_none_or(str::is_empty) {
        return refused(403, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header");
    }
    let body: Value = serde_json::from_str(&asked.body).unwrap_or_default();
    let segments = asked.segments();
    match (asked.method.as_str(), &segments[3..]) {
        ("GET", ["issues"]) => listed(asked, open_issues(state, asked)),
        ("POST", ["issues"]) => open(state, &body),
        ("PATCH", ["issues", number]) => change(state, number, &body),
        ("GET", ["issues", number, "comments"]) => issue_comments(state, asked, number),
        ("POST", ["issues", number, "comments"]) => add(state, number, &body),
        ("GET", ["commits", commit, "comments"]) => {
            let its = state.comments.iter().filter(|comment| comment.of == *commit);
            listed(asked, its.map(|comment| render::commit_comment(state, comment)).collect())
        }
        ("POST", ["commits", commit, "comments"]) => comment_on(state, commit, &body),
        ("PATCH", ["comments", id]) => rewrite(state, id, &body),
        ("POST", ["statuses", commit]) => mark(state, commit, &body),
        _ => missing(),
    }
}

/// What GitHub answers instead of doing its work. Not all of it is in its description.
pub(super) fn refusal(mischief: Mischief) -> Option<Answer> {
    let limited = |status, message| refused(status, message).header("x-ratelimit-limit", 5000);
    match mischief {
        Mischief::Burst(seconds) => Some(
            limited(403, "You have exceeded a secondary rate limit.").header("retry-after", seconds).header("x-ratelimit-remaining", 4000),
        ),
        Mischief::Exhausted(seconds) => {
            let reset = chrono::Utc::now().timestamp().cast_unsigned() + seconds;
            Some(limited(403, "API rate limit exceeded").header("x-ratelimit-remaining", 0).header("x-ratelimit-reset", reset))
        }
        Mischief::Error(410) => Some(refused(410, "Issues has been disabled in this repository.")),
        Mischief::Error(status @ 500..) => Some(refused(status, "Server Error")),
        Mischief::Error(status) => Some(refused(status, "Resource not accessible by integration")),
        Mischief::BadGateway => Some(Answer::new(502, "text/html", "<html><h1>502 Bad Gateway</h1></html>")),
        _ => None,
    }
}

fn open_issues(state: &State, asked: &Asked) -> Vec<Value> {
    let labels: Vec<&str> = asked.query("labels").flat_map(|labels| labels.split(',')).collect();
    let has_labels = |its: &[String]| labels.iter().all(|label| its.iter().any(|its| its == label));
    let open = state.issues.iter().rev().filter(|issue| issue.is_open && has_labels(&issue.labels));
    open.map(|issue| render::issue(state, issue)).collect()
}

fn open(state: &mut State, body: &Value) -> Answer {
    let labels: Vec<String> = body["labels"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let (Some(title), text) = (body["title"].as_str(), body["body"].as_str().unwrap_or_default()) else { return invalid() };
    if std::mem::take(&mut state.has_rival) {
        state.open(title, &text.replace("deploy-watch:run=", "deploy-watch:run=rival"), labels.clone());
    }
    let number = state.open(title, text, labels).number;
    told(201, &state.issues.iter().find(|issue| issue.number == number).map(|issue| render::issue(state, issue)).unwrap_or_default())
}

fn change(state: &mut State, number: &str, body: &Value) -> Answer {
    let Some(issue) = state.issue(number) else { return missing() };
    if let Some(how) = body["state"].as_str() {
        issue.is_open = how == "open";
    }
    if let Some(text) = body["body"].as_str() {
        text.clone_into(&mut issue.body);
    }
    let issue = issue.clone();
    told(200, &render::issue(state, &issue))
}

fn issue_comments(state: &State, asked: &Asked, number: &str) -> Answer {
    let Some(issue) = state.issues.iter().find(|issue| issue.number.to_string() == number) else { return missing() };
    listed(asked, (0..issue.comments.len()).map(|at| render::issue_comment(state, issue, at)).collect())
}

fn add(state: &mut State, number: &str, body: &Value) -> Answer {
    let (Some(text), Some(issue)) = (body["body"].as_str(), state.issue(number)) else { return missing() };
    issue.comments.push(text.to_owned());
    let issue = issue.clone();
    told(201, &render::issue_comment(state, &issue, issue.comments.len() - 1))
}

fn comment_on(state: &mut State, commit: &str, body: &Value) -> Answer {
    let Some(text) = body["body"].as_str() else { return invalid() };
    let comment = Comment { id: state.comments.len() as u64 + 1, of: commit.to_owned(), body: text.to_owned() };
    let answer = told(201, &render::commit_comment(state, &comment));
    state.comments.push(comment);
    answer
}

fn rewrite(state: &mut State, id: &str, body: &Value) -> Answer {
    let Some(at) = state.comments.iter().position(|comment| comment.id.to_string() == id) else { return missing() };
    body["body"].as_str().unwrap_or_default().clone_into(&mut state.comments[at].body);
    told(200, &render::commit_comment(state, &state.comments[at]))
}

fn mark(state: &mut State, commit: &str, body: &Value) -> Answer {
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    let status = Status { of: commit.to_owned(), state: text("state"), context: text("context"), description: text("description") };
    if status.description.chars().count() > 140 {
        return invalid();
    }
    let answer = told(201, &render::status(state, &status));
    state.statuses.push(status);
    answer
}

/// A page of a list.
fn listed(asked: &Asked, all: Vec<Value>) -> Answer {
    let number = |name, default| asked.query(name).next().and_then(|value| value.parse().ok()).unwrap_or(default);
    let (page, size): (usize, usize) = (number("page", 1), number("per_page", 30));
    told(200, &all.into_iter().skip((page - 1) * size).take(size).collect::<Vec<_>>().into())
}

fn told(status: u16, body: &Value) -> Answer {
    Answer::new(status, "application/json", body.to_string()).header("x-ratelimit-limit", 5000).header("x-ratelimit-remaining", 4999)
}

/// An empty list.
pub(super) fn nothing() -> Answer {
    told(200, &json!([]))
}

pub(super) fn missing() -> Answer {
    refused(404, "Not Found")
}

fn invalid() -> Answer {
    refused(422, "Validation Failed")
}

fn refused(status: u16, message: &str) -> Answer {
    let body = json!({ "message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string() });
    Answer::new(status, "application/json", body.to_string())
}
