//! Issues, comments and statuses as GitHub words them.

use serde_json::{Map, Value, json};

use super::state::{Comment, Issue, State, Status};

const NOW: &str = "2026-11-29T10:00:00Z";

/// `*_url` and their like, all below one address.
fn urls(names: &[&str], base: &str) -> Map<String, Value> {
    names.iter().map(|name| ((*name).to_owned(), json!(format!("{base}/{name}")))).collect()
}

fn with(mut value: Value, more: Map<String, Value>) -> Value {
    value.as_object_mut().expect("an object").extend(more);
    value
}

fn user() -> Value {
    let names = [
        "avatar_url",
        "events_url",
        "followers_url",
        "following_url",
        "gists_url",
        "html_url",
        "organizations_url",
        "received_events_url",
        "repos_url",
        "starred_url",
        "subscriptions_url",
        "url",
    ];
    let user = json!({ "login": "octocat", "id": 1, "node_id": "U_1", "gravatar_id": "", "type": "User", "site_admin": false });
    with(user, urls(&names, "https://api.github.example/users/octocat"))
}

fn page(state: &State, below: &str) -> String {
    format!("https://github.example/{}/{below}", state.slug)
}

pub(super) fn issue(state: &State, issue: &Issue) -> Value {
    let labels: Vec<Value> = issue.labels.iter().map(|name| json!({ "name": name })).collect();
    let told = json!({
        "id": issue.number, "node_id": "I_1", "number": issue.number, "title": issue.title, "body": issue.body, "labels": labels,
        "state": if issue.is_open { "open" } else { "closed" }, "locked": false, "comments": issue.comments.len(), "user": user(),
        "assignee": null, "milestone": null, "closed_at": null, "created_at": NOW, "updated_at": NOW, "author_association": "OWNER",
    });
    let names = ["url", "repository_url", "labels_url", "comments_url", "events_url"];
    let told = with(told, urls(&names, &page(state, "api")));
    with(told, Map::from_iter([("html_url".to_owned(), json!(page(state, &format!("issues/{}", issue.number))))]))
}

pub(super) fn issue_comment(state: &State, issue: &Issue, at: usize) -> Value {
    let told = json!({
        "id": issue.number * 1000 + at as u64, "node_id": "C_1", "body": issue.comments[at], "user": user(), "author_association": "OWNER",
        "created_at": NOW, "updated_at": NOW, "html_url": page(state, &format!("issues/{}#issuecomment-{at}", issue.number)),
    });
    with(told, urls(&["url", "issue_url"], &page(state, "api")))
}

pub(super) fn commit_comment(state: &State, comment: &Comment) -> Value {
    json!({
        "id": comment.id, "node_id": "CC_1", "body": comment.body, "commit_id": comment.of, "user": user(), "author_association": "OWNER",
        "path": null, "position": null, "line": null, "created_at": NOW, "updated_at": NOW, "url": page(state, "api/url"),
        "html_url": page(state, &format!("commit/{}#commitcomment-{}", comment.of, comment.id)),
    })
}

pub(super) fn status(state: &State, status: &Status) -> Value {
    json!({
        "id": 1, "node_id": "S_1", "state": status.state, "context": status.context, "description": status.description, "target_url": null,
        "avatar_url": null, "creator": user(), "created_at": NOW, "updated_at": NOW, "url": page(state, "api/url"),
    })
}
