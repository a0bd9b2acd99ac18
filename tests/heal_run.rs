//! `heal run`: a command that fails is mended and run again, and what it writes and how it ends is its own.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tests::{Ran, Sandbox, arg};

use crate::heal::heal;
use crate::vault::{chmod, file, inventory, same};
use crate::ward::python;

const BROKEN: &str = "def f()\n    return 'it runs'\nprint(f())\n";

fn run(sandbox: &Sandbox, code: i32, words: &[&str], command: &[&dyn AsRef<std::ffi::OsStr>]) -> Ran {
    let all = ["run"].iter().chain(words).chain(&["--"]).map(arg);
    heal(sandbox, all.chain(command.iter().map(arg))).run().code(code)
}

#[test]
fn a_command_that_fails_is_mended_and_passes_then() {
    let sandbox = Sandbox::new();
    file(&sandbox.work("app.py"), BROKEN);
    let ran = run(&sandbox, 0, &["--force"], &[&python(), &"-B", &"app.py"]);
    assert_eq!(ran.text(), "it runs\n");
    for said in
        ["SyntaxError", "heal: the command ended with 1", "fix-syntax", ": done: line 1: insert `:`", "running it again (2 of at most 3)"]
    {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
}

#[test]
fn one_failure_after_the_other_is_mended_as_often_as_is_allowed() {
    let four = || {
        let sandbox = Sandbox::new();
        file(
            &sandbox.work("app.py"),
            "import json\nimport helper\nopen('logs/app.log', 'w')\njson.load(open('a.json'))\nprint(helper.f())\n",
        );
        file(&sandbox.work("a.json"), "[1,\n 2,]\n");
        file(&sandbox.work("helper.py"), "def f()\n    return open('c.toml').read()\n");
        file(&sandbox.work("c.toml.example"), "x = 1\n");
        sandbox
    };
    let command = |sandbox: &Sandbox, code, max: &str| run(sandbox, code, &["--force", "--max", max], &[&python(), &"-B", &"app.py"]);
    let ran = command(&four(), 0, "5");
    assert_eq!(ran.text(), "x = 1\n\n", "{}", ran.stderr);
    let stopped = command(&four(), 1, "2");
    assert_eq!(stopped.stderr.matches("running it again").count(), 1, "{}", stopped.stderr);
}

#[test]
fn without_force_it_is_run_once_and_nothing_is_touched() {
    let sandbox = Sandbox::new();
    file(&sandbox.work("app.py"), BROKEN);
    let before = inventory(&sandbox.work(""));
    let ran = run(&sandbox, 1, &[], &[&python(), &"-B", &"app.py"]);
    assert!(ran.stderr.contains("fix-syntax") && ran.stderr.contains(": planned: "), "{}", ran.stderr);
    assert!(!ran.stderr.contains("running it again"), "{}", ran.stderr);
    same(&before, &inventory(&sandbox.work("")));
    assert!(!sandbox.root().join("state").exists());
}

#[test]
fn its_output_and_its_status_are_its_own() {
    let sandbox = Sandbox::new();
    let odd = "printf 'a\\0\\377\\033[1mb'; printf 'no newline' >&2; exit 7";
    let ran = run(&sandbox, 7, &["--force"], &[&"sh", &"-c", &odd]);
    assert_eq!(ran.stdout, b"a\0\xff\x1b[1mb");
    assert!(ran.stderr.starts_with("no newline"), "{}", ran.stderr);
    assert!(ran.stderr.contains("nothing in what it wrote has a remedy"), "{}", ran.stderr);
    assert_eq!(run(&sandbox, 0, &["--force"], &[&"sh", &"-c", &"cat"]).text(), "");
    run(&sandbox, 143, &["--force"], &[&"sh", &"-c", &"kill -TERM $$"]).ok();
    assert!(run(&sandbox, 127, &[], &[&"no-such-program-at-all"]).stderr.contains("cannot start no-such-program-at-all"));
    file(&sandbox.work("run.sh"), "#!/bin/sh\necho it runs\n");
    chmod(&sandbox.work("run.sh"), 0o644);
    run(&sandbox, 126, &[], &[&"./run.sh"]).ok();
    assert_eq!(run(&sandbox, 0, &["--force"], &[&"./run.sh"]).text(), "it runs\n");
}

#[test]
fn it_reads_what_we_read() {
    let sandbox = Sandbox::new();
    let ran = heal(&sandbox, ["run", "--", "cat"]).input("to the command").run().code(0);
    assert_eq!(ran.text(), "to the command");
}

#[test]
fn a_remedy_that_does_not_make_it_pass_leaves_its_status() {
    let sandbox = Sandbox::new();
    file(&sandbox.work("app.py"), "def f()\n    return 1\nraise SystemExit(f() + 4)\n");
    let ran = run(&sandbox, 5, &["--force"], &[&python(), &"-B", &"app.py"]);
    assert_eq!(ran.stderr.matches("running it again").count(), 1, "{}", ran.stderr);
}

#[test]
fn a_signal_is_for_the_command_and_mends_nothing() {
    let sandbox = Sandbox::new();
    let script = sandbox.work("slow.sh");
    let lines = "#!/bin/sh\ntrap 'echo SyntaxError: invalid syntax >&2; exit 9' TERM\ntouch begun\nwhile :; do sleep 0.05; done\n";
    file(&script, lines);
    chmod(&script, 0o755);
    let child = heal(&sandbox, [arg("run"), arg("--force"), arg("--"), arg(&script)]).start();
    wait_for(&sandbox.work("begun"));
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(9));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("the command ended"), "{}", String::from_utf8_lossy(&output.stderr));
}

#[track_caller]
pub(crate) fn wait_for(path: &Path) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !path.exists() {
        assert!(Instant::now() < deadline, "{} does not come", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_it_did_is_in_the_history_and_can_be_taken_back() {
    let sandbox = Sandbox::new();
    file(&sandbox.work("app.py"), BROKEN);
    run(&sandbox, 0, &["--force"], &[&python(), &"-B", &"app.py"]).ok();
    let outcomes: Vec<Value> =
        heal(&sandbox, ["history"]).run().code(0).of("action").iter().map(|one| one["data"]["outcome"].clone()).collect();
    assert_eq!(outcomes, ["started", "done"]);
    heal(&sandbox, ["undo", "--force"]).run().code(0).ok();
    assert_eq!(fs::read_to_string(sandbox.work("app.py")).unwrap(), BROKEN);
}

#[test]
fn what_a_command_leaves_behind_is_not_waited_for() {
    let sandbox = Sandbox::new();
    let began = Instant::now();
    let ran = run(&sandbox, 0, &[], &[&"sh", &"-c", &"sleep 60 & echo $! >pid; echo begun"]);
    assert_eq!(ran.text(), "begun\n");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let pid = fs::read_to_string(sandbox.work("pid")).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn a_reader_that_is_gone_ends_the_command() {
    let sandbox = Sandbox::new();
    let line = format!("{} run -- yes | head -n 1", tests::binary("heal").display());
    let ran = sandbox.command("timeout", ["60", "bash", "-c", &line]).within(sandbox.work("")).run().code(0);
    assert_eq!(ran.text(), "y\n");
}
