//! The test suite of jsonrepair, and files that people really broke, where the folder with real data is at hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::json::{Consumer, Verdict, repair};

#[derive(Deserialize)]
struct Case {
    input: String,
    /// None where it has to be refused.
    expected: Option<String>,
}

fn folder(name: &str) -> Option<PathBuf> {
    let shared = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("MENDLINE_DATA").map_or_else(shared, PathBuf::from).join(name);
    if !folder.is_dir() {
        tell(&format!("SKIPPED: the folder with real data is not here: {}", folder.display()));
        return None;
    }
    Some(folder)
}

#[expect(clippy::print_stderr, reason = "the figures are what these tests are run for")]
fn tell(words: &str) {
    eprintln!("{words}");
}

fn cases() -> Vec<Case> {
    let Some(folder) = folder("json-repair") else { return Vec::new() };
    let lines = fs::read_to_string(folder.join("jsonrepair-3.14.1.jsonl")).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What became of a case, in a word.
fn outcome(case: &Case, lossy: bool) -> &'static str {
    let text = case.input.as_bytes();
    let is_valid = serde_json::from_str::<serde::de::IgnoredAny>(&case.input).is_ok();
    match (repair(text, Consumer::Strict, lossy), &case.expected) {
        (Verdict::Valid { .. }, Some(expected)) if is_valid && *expected == case.input => "valid, left alone",
        (Verdict::Refused(_), None) => "refused, as it must be",
        (Verdict::Refused(_), Some(_)) => "refused",
        (Verdict::Valid { .. }, _) | (Verdict::Repaired { .. }, None) => "WRONG",
        (Verdict::Repaired { text, .. }, Some(expected)) => judge(&text, expected),
    }
}

fn judge(text: &[u8], expected: &str) -> &'static str {
    let value = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).ok();
    match value(text) {
        None => "INVALID",
        Some(_) if text == expected.as_bytes() => "right to the letter",
        value if value == self::value(expected) => "right in value",
        Some(_) => "WRONG",
    }
}

fn value(text: &str) -> Option<serde_json::Value> {
    serde_json::from_str(text).ok()
}

fn count(cases: &[Case], lossy: bool) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for case in cases {
        let outcome = outcome(case, lossy);
        *counts.entry(outcome).or_default() += 1;
        if matches!(outcome, "WRONG" | "INVALID" | "right in value") || (lossy && outcome == "refused") {
            let became = repair(case.input.as_bytes(), Consumer::Strict, lossy);
            let text = if let Verdict::Repaired { text, .. } = &became { String::from_utf8_lossy(text) } else { "".into() };
            tell(&format!("  {outcome}: {:?}: {text:?} instead of {:?}", case.input, case.expected));
        }
    }
    counts
}

#[test]
fn the_suite_of_jsonrepair() {
    let cases = cases();
    if cases.is_empty() {
        return;
    }
    let (full, default) = (count(&cases, true), count(&cases, false));
    tell(&format!("with --allow-lossy: {full:?}\nby default: {default:?}"));
    for counts in [&full, &default] {
        assert_eq!(counts.get("WRONG").or(counts.get("INVALID")), None);
        assert_eq!(counts["refused, as it must be"], 13);
        assert_eq!(counts["valid, left alone"], 64);
    }
    assert!(full["right to the letter"] + full["valid, left alone"] >= 404, "{full:?}");
}

#[test]
fn files_that_people_broke() {
    let Some(folder) = folder("malformed-json") else { return };
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read(&path).unwrap();
        for lossy in [false, true] {
            let verdict = repair(&text, Consumer::of(&path).unwrap(), lossy);
            tell(&format!("{} {}: {}", path.display(), if lossy { "lossy" } else { "default" }, serde_json::to_string(&verdict).unwrap()));
            assert!(!matches!(verdict, Verdict::Valid { .. }));
        }
    }
}
