//! As much of GitHub's description as the double needs: all of it would take Prism half a minute.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value, json};

const PATHS: [&str; 6] = [
    "/repos/{owner}/{repo}/issues",
    "/repos/{owner}/{repo}/issues/{issue_number}",
    "/repos/{owner}/{repo}/issues/{issue_number}/comments",
    "/repos/{owner}/{repo}/commits/{commit_sha}/comments",
    "/repos/{owner}/{repo}/comments/{comment_id}",
    "/repos/{owner}/{repo}/statuses/{sha}",
];

/// Writes a description of these paths, and of what they refer to.
pub(super) fn cut(whole: &Path, to: &Path) {
    let mut whole: Value = serde_json::from_str(&std::fs::read_to_string(whole).unwrap()).unwrap();
    let paths: Map<String, Value> = PATHS.iter().map(|path| ((*path).to_owned(), without_examples(whole["paths"][path].take()))).collect();
    assert!(paths.values().all(Value::is_object), "GitHub's description has other paths");
    let mut named = BTreeSet::new();
    paths.values().for_each(|path| refer(path, &whole, &mut named));
    let mut components = json!({});
    for (kind, name) in &named {
        components[kind][name] = without_examples(whole["components"][kind][name].clone());
    }
    let cut = json!({ "openapi": whole["openapi"], "info": whole["info"], "paths": paths, "components": components });
    std::fs::write(to, cut.to_string()).unwrap();
}

fn without_examples(mut value: Value) -> Value {
    match &mut value {
        Value::Object(members) => {
            // A property may be called so; then it is a schema.
            members.retain(|name, its| !["example", "examples"].contains(&name.as_str()) || its.get("type").is_some());
            members.values_mut().for_each(|its| *its = without_examples(its.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|its| *its = without_examples(its.take())),
        _ => {}
    }
    value
}

/// Collects what is referred to: `#/components/KIND/NAME`.
fn refer(value: &Value, whole: &Value, named: &mut BTreeSet<(String, String)>) {
    match value {
        Value::Object(members) => {
            if let Some((kind, name)) =
                members.get("$ref").and_then(Value::as_str).and_then(|path| path["#/components/".len()..].split_once('/'))
            {
                let is_example = kind == "examples";
                if !is_example && named.insert((kind.to_owned(), name.to_owned())) {
                    refer(&whole["components"][kind][name], whole, named);
                }
            }
            members.values().for_each(|its| refer(its, whole, named));
        }
        Value::Array(items) => items.iter().for_each(|its| refer(its, whole, named)),
        _ => {}
    }
}
