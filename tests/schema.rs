//! The wire once more, strictly: consumers ignore what they do not know, so that here is where an unannounced field is noticed.

use serde::Deserialize;
use serde_json::Value;

type Map = serde_json::Map<String, Value>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is the fields")]
struct Header {
    v: u64,
    r#type: String,
    id: String,
    #[serde(default)]
    cause: Vec<String>,
    tool: String,
    host: String,
    ts: String,
    #[serde(default)]
    subject: Option<Value>,
    data: Map,
}

/// Required and optional keys of each payload.
const PAYLOADS: [(&str, &[&str], &[&str]); 20] = [
    (
        "venv.probe",
        &["status", "layout", "level", "proof", "faults", "took_ms"],
        &["creator", "python", "minor", "base", "pip", "packages", "notes"],
    ),
    ("venv.alias", &["of"], &[]),
    (
        "snapshot",
        &["seq", "time", "roots", "entries", "size", "added", "partial", "pinned"],
        &["description", "label", "user", "git", "pythons", "sealed_to", "took_ms", "absent", "store", "identity"],
    ),
    (
        "snapshot.entry",
        &["kind"],
        &[
            "mode",
            "uid",
            "gid",
            "mtime",
            "size",
            "sha256",
            "pieces",
            "sparse",
            "same_as",
            "target",
            "complete",
            "xattrs",
            "changed_while_read",
        ],
    ),
    ("snapshot.change", &["change"], &["before", "after", "diff"]),
    ("registry.probe", &["status", "agents", "active"], &["shape", "faults", "recommendations"]),
    ("registry.orphan", &["status", "alive", "attached", "panes"], &["agent_id", "created", "socket"]),
    ("registry.summary", &["registries", "agents", "active", "gone", "sessions", "orphans_judged"], &["orphans"]),
    ("tmux.session", &["alive", "attached", "panes"], &["agent_id", "created", "socket"]),
    ("snapshot.probe", &["status", "contents"], &["faults", "asked"]),
    ("diagnosis", &["code", "severity", "text", "evidence", "auto"], &["class", "count", "explains", "consequences", "remedy", "manual"]),
    ("heal.stats", &["remedy", "kind", "tried", "helped", "relapsed", "undone", "failed", "pending"], &["code", "at_least"]),
    ("log.summary", &["bytes", "lines", "unknown"], &[]),
    ("deploy.watch", &["commit", "provider", "run", "timeout_ms"], &["branch", "app", "watcher"]),
    ("deploy.state", &["commit", "provider", "phase"], &["branch", "app", "deployment", "text", "class"]),
    (
        "deploy.result",
        &["commit", "provider", "result", "text", "took_ms"],
        &["branch", "app", "deployment", "url", "class", "logs", "attempts"],
    ),
    ("deploy.word", &["word"], &[]),
    ("action", &["verb", "outcome", "changed", "verified"], &["text", "undo", "partial", "log", "detail", "took_ms"]),
    ("error", &["code", "text"], &["line"]),
    ("end", &["ok", "read", "wrote"], &[]),
];
const FINDING: (&[&str], &[&str]) = (&["code", "text"], &["severity", "evidence", "package", "repair", "sha256", "files", "agent"]);

/// Parses one line and insists that it is a record of a known type with no unknown and no missing field.
///
/// # Panics
/// It is not.
#[must_use]
#[track_caller]
pub fn check(line: &str) -> Value {
    let header: Header = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    assert_eq!(header.v, 1, "{line}");
    assert!(is_time(&header.ts), "{line}");
    assert!(header.cause.iter().all(|id| !id.is_empty()), "{line}");
    if let Some((_, required, optional)) = PAYLOADS.iter().find(|(kind, ..)| *kind == header.r#type) {
        keys(&header.data, required, optional, line);
    }
    for list in ["faults", "notes"] {
        for finding in header.data.get(list).and_then(Value::as_array).into_iter().flatten() {
            keys(finding.as_object().expect(line), FINDING.0, FINDING.1, line);
        }
    }
    serde_json::from_str(line).expect(line)
}

#[track_caller]
fn keys(map: &Map, required: &[&str], optional: &[&str], line: &str) {
    for key in required {
        assert!(map.contains_key(*key), "no `{key}`: {line}");
    }
    for (key, value) in map {
        assert!(required.contains(&key.as_str()) || optional.contains(&key.as_str()), "unannounced `{key}`: {line}");
        assert!(!value.is_null(), "`{key}` is null instead of absent: {line}");
    }
}

/// `2026-08-23T10:11:12.345Z`
fn is_time(ts: &str) -> bool {
    let shape: String = ts.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00.000Z"
}
