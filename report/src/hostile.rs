//! What no stream can do, whatever it holds.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::golden::{drawn, record, screen, seen};
use crate::{markdown, summary};

#[test]
fn no_field_is_kept_at_any_length() {
    let long = "x".repeat(1 << 18);
    let fault = json!({"code": long, "severity": "broken", "text": long, "repair": "pip"});
    let data = json!({
        "status": "broken", "layout": "venv", "python": long, "level": "deep", "proof": {"by": "files"}, "faults": [fault], "took_ms": 1,
        "verb": long, "outcome": "started", "changed": true, "verified": true, "text": long, "undo": long, "log": long, "detail": long,
        "severity": "broken", "code": long, "manual": long, "of": long, "ok": true, "read": 0, "wrote": 0,
        "seq": 1, "time": long, "label": long, "description": long, "entries": 1, "size": 1, "added": 1, "roots": vec![&long; 20],
        "git": [{"path": long, "commit": long, "branch": long}], "pythons": [{"path": long, "version": long}], "kind": long, "mode": long,
        "target": long, "change": long, "before": {"kind": long, "mode": long}, "after": {"kind": long, "target": long}, "diff": long,
        "contents": 1,
    });
    let kinds = [
        "venv.probe",
        "venv.alias",
        "action",
        "diagnosis",
        "error",
        "end",
        "snapshot",
        "snapshot.entry",
        "snapshot.change",
        "snapshot.probe",
        &long,
    ];
    let lines: Vec<String> = kinds
        .iter()
        .map(|kind| record(&long, 1, kind, long.clone().into(), data.clone()).replace("\"m1\"", &format!("\"{long}\"")))
        .collect();
    let restore = |detail: Value| {
        let data = json!({"verb": "restore", "outcome": "planned", "changed": true, "verified": true, "text": long, "undo": long, "detail": detail});
        record("snapshot", 1, "action", long.clone().into(), data)
    };
    let removal = || {
        let detail = json!({"time": long, "label": long, "description": long, "roots": vec![&long; 20], "entries": 1, "size": 1});
        restore(detail).replace("\"restore\"", "\"delete\"")
    };
    let asked = json!({"paths": vec![&long; 10], "to": long, "store": long, "identity": long, "exact": true});
    let lines = [
        lines,
        vec![
            removal(),
            restore(json!({"change": "create", "diff": long, "traits": {"before": {"mode": ""}, "after": {"mode": long}}})),
            restore(json!({"counts": {"create": 1}, "asked": asked, "reload": vec![&long; 10]})),
        ],
    ]
    .concat();
    let kept = format!("{:?}", seen(&lines)).len();
    assert!(kept < 300_000, "{kept}");
}

fn any_record() -> impl Strategy<Value = String> {
    let text = || "\\PC{0,40}|[a-z /]{0,200}|[\\x00-\\x1f\u{202e}\u{fe0f}#]{0,8}";
    let status = prop_oneof!["healthy", "degraded", "broken", "odd"];
    let kind = prop_oneof![
        "venv\\.(probe|alias)",
        "snapshot(\\.entry|\\.change|\\.probe)?",
        "action",
        "action",
        "diagnosis",
        "error",
        "end",
        "\\PC{0,20}"
    ];
    let outcome = prop_oneof!["planned", "started", "done", "failed", "skipped", "undone", "cancelled", "odd"];
    (kind, text(), text(), status, outcome, prop::collection::vec((text(), any::<bool>()), 0..4), any::<(bool, bool)>()).prop_map(
        |(kind, subject, text, status, outcome, faults, (yes, no))| {
            let faults: Vec<Value> = faults.iter().map(|(text, mendable)| if *mendable { json!({"code": text, "text": text, "repair": "pip"}) } else { json!({"code": text, "text": text}) }).collect();
            let mut data = json!({
                "status": status, "layout": "venv", "python": text, "level": "deep", "proof": {"by": "files"}, "faults": faults, "took_ms": 1, "of": subject,
                "verb": text, "outcome": outcome, "changed": yes, "verified": no, "partial": yes, "text": text, "undo": subject, "log": subject,
                "severity": status, "code": text, "manual": text, "ok": yes, "read": 0, "wrote": 0,
            });
            data.as_object_mut().unwrap().extend(of_snapshot(&subject, &text, yes));
            let tool = if no { "snapshot" } else { &*text };
            if no {
                data["verb"] = if text.len() % 2 == 0 { "restore" } else { "delete" }.into();
            }
            record(tool, 1, &kind, subject.into(), data)
        },
    )
}

/// What the records of `snapshot` have besides.
fn of_snapshot(subject: &str, text: &str, step: bool) -> serde_json::Map<String, Value> {
    let detail = if step {
        json!({"change": "create", "diff": text, "traits": {"before": {"mode": ""}, "after": {"mode": text}}})
    } else {
        json!({"counts": {"create": 1}, "reload": [text], "time": text, "label": text, "description": text, "entries": 1, "size": 1, "roots": [subject]})
    };
    let data = json!({
        "seq": 1, "time": text, "label": text, "description": text, "entries": 1, "size": 1, "added": 1, "partial": step, "pinned": step,
        "roots": [subject], "git": [{"path": subject, "commit": text}], "kind": text, "mode": text, "target": subject, "change": text,
        "before": {"kind": "file", "size": 1}, "after": {"kind": "file", "target": subject}, "diff": text, "contents": 1, "detail": detail,
    });
    data.as_object().unwrap().clone()
}

/// Half a command is another command, so those alone may be longer than a line.
fn is_command(line: &str) -> bool {
    let line = line.trim_start();
    ["undo: ", "venv-probe ", "snapshot "].iter().any(|start| line.starts_with(start))
}

proptest! {
    #[test]
    fn no_line_is_wider_than_the_screen(lines in prop::collection::vec(any_record(), 0..8), width in 40_usize..120) {
        for line in screen(&lines, width).lines().filter(|line| !is_command(line)) {
            prop_assert!(unicode_width::UnicodeWidthStr::width(line) <= width, "{line:?}");
            prop_assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
        }
    }

    #[test]
    fn a_markdown_table_keeps_its_columns(lines in prop::collection::vec(any_record(), 0..8)) {
        let text = drawn(|out| markdown::draw(&summary::of(&seen(&lines), true), out));
        let mut columns = 0;
        for line in text.lines() {
            let bars = line.replace(r"\\", "").replace(r"\|", "").matches('|').count();
            if line.starts_with("| ") && columns > 0 {
                prop_assert_eq!(bars, columns, "{}", line);
            }
            columns = if line.starts_with('|') { bars } else { 0 };
        }
    }
}
