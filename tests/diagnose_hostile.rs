//! `diagnose` on patterns and lines that are made to keep it busy: it ends, within a bound of memory.

use std::fs::File;
use std::io::Write as _;

use serde_json::{Value, json};
use tests::{Sandbox, arg};

use crate::vault::file;

/// Patterns on which a backtracking engine takes for ever, in the format of the user's own.
const PATTERNS: [&str; 6] = ["(a+)+b$", "^(a|aa)+b", "(x+x+)+y", r"(aaa)(a*)*\2b", "(?=(a+))(a*)*aaab", "(?<!b)(a|a?)+ERROR-[0-9]{5}"];
/// More than a few chunks and the tables, in kilobytes.
const MEMORY: u32 = 320_000;

#[test]
fn hostile_patterns_and_a_line_of_megabytes_come_to_an_end() {
    let sandbox = Sandbox::new();
    let entries = PATTERNS.iter().enumerate().map(|(i, pattern)| (format!("P{i}"), json!({ "pattern": pattern, "solution": "none" })));
    file(&sandbox.work("patterns.json"), Value::Object(entries.collect()).to_string());
    let mut log = File::create(sandbox.work("a.log")).unwrap();
    for _ in 0..8 {
        log.write_all(&vec![b'a'; 1 << 20]).unwrap();
    }
    log.write_all(b"\nModuleNotFoundError: No module named 'flask'\n").unwrap();
    for _ in 0..200 {
        writeln!(log, "{}ERROR-1234", "a".repeat(400)).unwrap();
    }
    drop(log);
    let diagnose = tests::binary("diagnose").display();
    let line = format!("ulimit -v {MEMORY}; exec timeout 300 {diagnose} --patterns patterns.json --log a.log");
    let ran = sandbox.command("bash", [arg("-c"), arg(line)]).within(sandbox.work("")).run();
    assert!([Some(0), Some(2)].contains(&ran.code), "{:?} {}", ran.code, ran.stderr);
    let codes: Vec<Value> = ran.of("diagnosis").iter().map(|one| one["data"]["code"].clone()).collect();
    assert!(codes.contains(&json!("python.module-missing")), "{codes:?}");
    assert_eq!(ran.of("log.summary")[0]["data"]["lines"], 202);
}
