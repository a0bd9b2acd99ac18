//! `kill -9` of `heal` at its system calls, one after the other, and calls that fail: what is on the disk then, and what the next run makes of it.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::json;
use tests::{Ran, Sandbox, arg};

use crate::heal::{diagnosis, heal};
use crate::vault::{Inventory, chmod, file, inventory, left_over, touch};
use crate::ward::python;

/// The calls that change a disk, or that the check rests on.
const CALLS: [&str; 16] = [
    "openat",
    "write",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "chmod",
    "fchmod",
    "fchmodat",
    "faccessat2",
    "fsync",
    "fdatasync",
    "flock",
    "statx",
];
/// At most so many of one call, evenly chosen.
const OF_ONE_CALL: usize = 3;

/// One strategy, on something that it mends.
struct Scenario {
    record: String,
    /// What it touches, below the place to work.
    touches: &'static str,
    prepare: fn(&Path),
}

fn scenarios() -> Vec<Scenario> {
    let record = |code, remedy, args| diagnosis(code, remedy, args);
    vec![
        Scenario {
            record: record("json.malformed", "repair-json", json!({"file": "c.json"})),
            touches: "c.json",
            prepare: |work| file(&work.join("c.json"), "{\"a\": [1,],}\n"),
        },
        Scenario {
            record: record("python.syntax", "fix-syntax", json!({"file": "app.py"})),
            touches: "app.py",
            prepare: |work| file(&work.join("app.py"), "def f()\n    return 1\n"),
        },
        Scenario {
            record: record("program.not-executable", "fix-permissions", json!({"path": "run.sh"})),
            touches: "run.sh",
            prepare: |work| {
                file(&work.join("run.sh"), "#!/bin/sh\n");
                chmod(&work.join("run.sh"), 0o640);
            },
        },
        Scenario { record: record("file.missing", "create-path", json!({"path": "a/b/app.log"})), touches: "a", prepare: |_| {} },
        Scenario {
            record: record("file.missing", "create-path", json!({"path": "c.toml"})),
            touches: "c.toml",
            prepare: |work| file(&work.join("c.toml.example"), "port = 1\n"),
        },
    ]
}

/// A fresh sandbox, with what is there before.
fn prepared(scenario: &Scenario) -> (Sandbox, Inventory) {
    let sandbox = Sandbox::new();
    let work = sandbox.work("");
    (scenario.prepare)(&work);
    if work.join(scenario.touches).exists() {
        touch(&work.join(scenario.touches), 1_700_000_000, 7);
    }
    let before = inventory(&work.join(scenario.touches));
    (sandbox, before)
}

fn words() -> [std::ffi::OsString; 3] {
    [arg("--force"), arg("--python"), arg(python())]
}

/// Runs it under strace, without what it starts.
fn traced(sandbox: &Sandbox, expression: &str, log: &Path, record: &str) -> Ran {
    let strace = ["-qq", "-e", expression, "-o"].map(arg).into_iter().chain([arg(log), arg(tests::binary("heal"))]);
    sandbox.command("strace", strace.chain(words())).within(sandbox.work("")).input(record).run()
}

/// Every point at which to disturb it: a call, and the how-manieth it is.
fn points(scenario: &Scenario) -> Vec<(&'static str, usize)> {
    let (sandbox, _) = prepared(scenario);
    let log = sandbox.root().join("calls.log");
    let expression = format!("trace={}", CALLS.map(|call| format!("?{call}")).join(","));
    traced(&sandbox, &expression, &log, &scenario.record).code(0).ok();
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for line in fs::read_to_string(log).unwrap().lines() {
        let called = line.split('(').next().unwrap_or_default();
        if let Some(call) = CALLS.into_iter().find(|call| *call == called) {
            *counts.entry(call).or_default() += 1;
        }
    }
    assert!(counts.len() > 3, "{counts:?}");
    counts.into_iter().flat_map(|(call, count)| evenly(count).into_iter().map(move |nth| (call, nth))).collect()
}

fn evenly(count: usize) -> Vec<usize> {
    let steps = count.min(OF_ONE_CALL);
    // The last ones are those of the change; the first ones load the program.
    let mut chosen: Vec<usize> = (0..steps).map(|step| count - step * count / steps).collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

/// What a whole run leaves.
fn mended(scenario: &Scenario) -> BTreeMap<String, String> {
    let (sandbox, before) = prepared(scenario);
    heal(&sandbox, words()).input(scenario.record.clone()).run().code(0).ok();
    let after = contents(&sandbox.work(scenario.touches));
    assert_ne!(inventory(&sandbox.work(scenario.touches)), before, "there is no change to disturb");
    after
}

/// Names, modes and texts: times differ from run to run.
fn contents(path: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    if !path.exists() {
        return all;
    }
    crate::ward::walk(path, &mut |path, meta| {
        let text = if meta.is_file() { fs::read_to_string(path).unwrap() } else { String::new() };
        let mode = std::os::unix::fs::PermissionsExt::mode(&meta.permissions());
        all.insert(path.file_name().unwrap().to_string_lossy().into_owned(), format!("{mode:o} {text}"));
    });
    all
}

#[test]
fn a_run_that_is_killed_anywhere_is_ended_by_the_next() {
    for scenario in scenarios() {
        let after = mended(&scenario);
        let mut killed = 0;
        for (call, nth) in points(&scenario) {
            let (sandbox, before) = prepared(&scenario);
            let ran = traced(&sandbox, &format!("inject={call}:signal=KILL:when={nth}"), Path::new("/dev/null"), &scenario.record);
            killed += usize::from(ran.code != Some(0));
            let at = format!("{call} {nth} of {}: {:?} {}", scenario.record, ran.code, ran.stderr);
            let next = heal(&sandbox, words()).run();
            assert!([Some(0), Some(1)].contains(&next.code), "{at}: {}{}", next.stderr, next.text());
            for action in next.of("action").iter().filter(|action| action["data"]["outcome"] == "done") {
                assert!(action["data"]["detail"]["kind"].is_string(), "{at}: {action}");
            }
            let touched = sandbox.work(scenario.touches);
            assert!(inventory(&touched) == before || contents(&touched) == after, "{at}: {:?}", contents(&touched));
            assert!(!sandbox.root().join("state/mendline/heal.journal").exists(), "{at}");
            assert_eq!(left_over(&sandbox.work("")), [""; 0].map(std::path::PathBuf::from), "{at}");
            let idle = heal(&sandbox, words()).run().code(0);
            assert_eq!(idle.of("action").len(), 0, "{at}");
        }
        assert!(killed > 5, "{}", scenario.record);
    }
}

#[test]
fn undo_spares_what_was_written_after_a_repair_that_was_interrupted() {
    let scenario = scenarios().swap_remove(0);
    let mut mended = 0;
    for (call, nth) in points(&scenario) {
        let (sandbox, _) = prepared(&scenario);
        let file = sandbox.work(scenario.touches);
        let ran = traced(&sandbox, &format!("inject={call}:signal=KILL:when={nth}"), Path::new("/dev/null"), &scenario.record);
        let (next, text) = (heal(&sandbox, words()).run(), fs::read_to_string(&file).unwrap());
        if text.ends_with(",}\n") {
            continue;
        }
        let at = format!("{call} {nth}: {:?}, {:?}", ran.code, next.code);
        let done = heal(&sandbox, ["history"]).run().code(0);
        assert_eq!(done.of("action").iter().filter(|action| action["data"]["outcome"] == "done").count(), 1, "{at}: {}", done.text());
        let later = text + "\n";
        fs::write(&file, &later).unwrap();
        heal(&sandbox, ["undo", "--force"]).run().code(1).ok();
        assert_eq!(fs::read_to_string(&file).unwrap(), later, "{at}");
        mended += 1;
    }
    assert!(mended > 1, "{mended}");
}

#[test]
fn whatever_fails_it_is_done_or_all_is_as_it_was() {
    for scenario in scenarios() {
        let after = mended(&scenario);
        let mut undone = 0;
        for (call, nth) in points(&scenario) {
            let (sandbox, before) = prepared(&scenario);
            let ran = traced(&sandbox, &format!("inject={call}:error=EIO:when={nth}"), Path::new("/dev/null"), &scenario.record);
            let at = format!("{call} {nth} of {}: {:?} {}{}", scenario.record, ran.code, ran.stderr, ran.text());
            assert!(ran.signal.is_none(), "{at}");
            heal(&sandbox, words()).run().ok();
            let touched = sandbox.work(scenario.touches);
            let (is_old, is_new) = (inventory(&touched) == before, contents(&touched) == after);
            assert!(is_old || is_new, "{at}: {:?}", contents(&touched));
            assert!(ran.code != Some(0) || is_new, "it says that it is done: {at}");
            let says = ran.text();
            undone += usize::from(says.contains("\"outcome\":\"undone\""));
            assert!(!says.contains("\"outcome\":\"done\"") || is_new, "{at}");
        }
        assert!(undone > 0, "no point at which the proof fails: {}", scenario.record);
    }
}
