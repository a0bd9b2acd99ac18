//! Registries that others write at the same time: with the lock and without it, and a repair that is killed.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::Sandbox;

use crate::registry::{agent, read, run, task};

/// Python that holds the lock of a file as orchestrators do, says so, and does something with it.
fn python(sandbox: &Sandbox, path: &Path, doing: &str) -> Child {
    let script = format!(
        "import fcntl, json, sys, time\nf = open(sys.argv[1], 'r+')\nfcntl.flock(f.fileno(), fcntl.LOCK_EX)\nopen(sys.argv[1] + '.held', 'w').close()\n{doing}"
    );
    let child = Command::new("python3").args(["-c", &script]).arg(path).spawn().unwrap();
    let held = PathBuf::from(format!("{}.held", path.display()));
    let deadline = Instant::now() + Duration::from_secs(20);
    while !held.exists() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
    fs::remove_file(held).unwrap();
    let _ = sandbox;
    child
}

#[test]
fn the_lock_of_others_is_waited_for_and_their_change_is_seen() {
    let sandbox = Sandbox::new();
    let path = task(&sandbox, "TASK-1", &[agent("a", "working", json!({}))], json!({}));
    let mut holder = python(&sandbox, &path, "time.sleep(600)");
    let busy = run(&sandbox, 75, &["repair", "--force", "--all", "--wait", "0s"]);
    assert_eq!(busy.of("error")[0]["data"]["code"], "lock.held", "{}", busy.text());
    holder.kill().unwrap();
    holder.wait().unwrap();
    let add = "r = json.load(f)\nr['agents'].append({'id': 'b', 'status': 'completed', 'started_at': '2025-01-01T00:00:00'})\ntime.sleep(0.5)\nf.seek(0)\njson.dump(r, f, indent=2)\nf.truncate()";
    let mut writer = python(&sandbox, &path, add);
    run(&sandbox, 0, &["repair", "--force", "--all"]).ok();
    writer.wait().unwrap();
    let statuses: Vec<Value> = read(&path)["agents"].as_array().unwrap().iter().map(|agent| agent["status"].clone()).collect();
    assert_eq!(statuses, ["terminated", "completed"]);
}

#[test]
fn a_text_that_is_torn_for_a_moment_is_read_again() {
    let sandbox = Sandbox::new();
    let path = task(&sandbox, "TASK-1", &[agent("a", "completed", json!({}))], json!({}));
    let text = fs::read_to_string(&path).unwrap();
    crate::vault::file(&path, "");
    let script = "import sys, time; time.sleep(0.4); open(sys.argv[1], 'w').write(sys.argv[2])";
    let mut writer = Command::new("python3").args(["-c", script]).arg(&path).arg(&text).spawn().unwrap();
    let checked = run(&sandbox, 0, &["check", "--all"]);
    assert_eq!(checked.of("registry.probe")[0]["data"]["status"], "healthy");
    writer.wait().unwrap();
}

#[test]
fn a_torn_registry_comes_back_from_the_newest_copy_that_is_whole() {
    let sandbox = Sandbox::new();
    let path = task(&sandbox, "TASK-1", &[agent("a", "completed", json!({}))], json!({}));
    let whole = fs::read(&path).unwrap();
    for (name, content) in
        [("20250101_000000", b"{\"agents\": []}".to_vec()), ("20260101_000000", whole.clone()), ("20270101_000000", b"torn".to_vec())]
    {
        crate::vault::file(&path.with_file_name(format!("AGENT_REGISTRY.json.backup_{name}")), content);
    }
    crate::vault::file(&path, &whole[..whole.len() / 2]);
    let checked = run(&sandbox, 1, &["check", "--all", "--check"]);
    assert_eq!(checked.of("registry.probe")[0]["data"]["faults"][0]["repair"], "recover");
    assert_eq!(run(&sandbox, 0, &["repair", "--all"]).of("action")[0]["data"]["outcome"], "planned");
    assert_eq!(run(&sandbox, 0, &["repair", "--all", "--force"]).of("action")[0]["data"]["outcome"], "done");
    assert_eq!(fs::read(&path).unwrap(), whole);
    let torn: Vec<PathBuf> = fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| fs::read(path).unwrap() == whole[..whole.len() / 2])
        .collect();
    assert_eq!(torn.len(), 1, "what was torn is kept, too");
}

/// What the repair makes of it, and what there was, in the bytes that do not hang on the time.
fn outcome(path: &Path) -> Option<(i64, usize)> {
    let registry: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let gone = registry["agents"].as_array()?.iter().filter(|agent| agent["status"] == "terminated").count();
    Some((registry["active_count"].as_i64()?, gone))
}

#[test]
fn a_repair_that_is_killed_anywhere_leaves_the_old_or_the_new() {
    let agents: Vec<Value> =
        (0..40).map(|number| agent(&format!("agent-{number}"), "working", json!({"prompt": "x".repeat(200)}))).collect();
    let (old, new) = ((40, 0), (0, 40));
    let mut points = 0;
    for call in ["openat", "write", "ftruncate", "fsync", "fdatasync", "unlink", "flock"] {
        for nth in 1.. {
            let sandbox = Sandbox::new();
            let path = task(&sandbox, "TASK-1", &agents, json!({}));
            let inject = format!("inject={call}:signal=SIGKILL:when={nth}");
            let binary = tests::binary("tmux-registry");
            let words =
                ["-f", "-qq", "-o", "/dev/null", "-e", &inject, binary.to_str().unwrap(), "repair", "--all", "--force", "-L", "default"];
            let ran = sandbox.command("strace", words).within(sandbox.work("")).run();
            if ran.code == Some(0) {
                break;
            }
            points += 1;
            run(&sandbox, 0, &["repair", "--all", "--force"]).ok();
            let now = outcome(&path);
            // What was torn came back as it was, and the round after that mends it.
            assert!(now == Some(new) || now == Some(old), "{call} {nth}: {now:?}");
            run(&sandbox, 0, &["repair", "--all", "--force"]).ok();
            assert_eq!(outcome(&path), Some(new), "{call} {nth}");
            run(&sandbox, 0, &["check", "--all", "--check"]).ok();
        }
    }
    assert!(points >= 20, "{points}");
}

/// Adds agents one by one under the lock of the file, or only reads it, with its lock or without it.
fn writer(path: &Path, name: &str, seconds: f64, locked: bool) -> Child {
    let script = r"
import fcntl, json, sys, time
path, name, until, locked = sys.argv[1], sys.argv[2], time.time() + float(sys.argv[3]), sys.argv[4] == 'yes'
n = 0
while time.time() < until:
    if locked:
        with open(path, 'r+') as f:
            fcntl.flock(f.fileno(), fcntl.LOCK_EX)
            r = json.load(f)
            r['agents'].append({'id': f'{name}-{n}', 'status': 'completed', 'started_at': '2025-01-01T00:00:00'})
            r['total_spawned'] += 1
            f.seek(0); f.write(json.dumps(r, indent=2)); f.truncate()
        n += 1
    else:
        try:
            with open(path) as f:
                if name == 'reader':
                    fcntl.flock(f.fileno(), fcntl.LOCK_SH)
                json.load(f)
            n += 1
        except json.JSONDecodeError:
            # Who takes no lock may come in the middle, and tries again.
            if name == 'reader':
                print('torn', file=sys.stderr); sys.exit(9)
    time.sleep(0.01)
print(n)
";
    let locked = if locked { "yes" } else { "no" };
    let mut python = Command::new("python3");
    python.args(["-c", script]).arg(path).args([name, &seconds.to_string(), locked]);
    python.stdout(std::process::Stdio::piped()).spawn().unwrap()
}

fn nobody_is_lost(seconds: f64) {
    let sandbox = Sandbox::new();
    let path = task(&sandbox, "TASK-1", &[agent("a", "completed", json!({}))], json!({}));
    let writers = [("p", true), ("q", true), ("reader", false), ("looker", false), ("another", false)]
        .map(|(name, locked)| (name, locked, writer(&path, name, seconds, locked)));
    let deadline = Instant::now() + Duration::from_secs_f64(seconds);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while Instant::now() < deadline {
                    // Every time there is something to mend.
                    let held = sandbox.tool("tmux-registry", ["repair", "--all", "--force"]).within(sandbox.work("")).run();
                    assert_eq!(held.code, Some(0), "{}{}", held.stderr, held.text());
                }
            });
        }
    });
    let mut expected = 1;
    for (name, locked, child) in writers {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let count: usize = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        assert!(count > 0, "{name} did nothing");
        expected += if locked { count } else { 0 };
    }
    let registry = read(&path);
    assert_eq!(registry["agents"].as_array().unwrap().len(), expected);
    run(&sandbox, 0, &["repair", "--all", "--force"]).ok();
    assert_eq!(read(&path)["completed_count"], expected);
}

#[test]
fn eight_at_once_lose_nobody() {
    nobody_is_lost(3.0);
}

#[test]
#[ignore = "takes half a minute"]
fn eight_at_once_for_long_lose_nobody() {
    nobody_is_lost(20.0);
}

#[test]
fn a_file_that_is_no_registry_is_left_alone() {
    let sandbox = Sandbox::new();
    for text in ["{}", "[]", "{\"agents\": 7}", "\u{feff}{\"agents\": []}", "{\"agents\": [], \"agents\": []}"] {
        let path = sandbox.work("ws/TASK-1/AGENT_REGISTRY.json");
        crate::vault::file(&path, text);
        let ran = run(&sandbox, 0, &["check", "--all"]);
        assert_eq!(ran.of("registry.probe")[0]["data"]["status"], "broken", "{text}: {}", ran.text());
        run(&sandbox, 2, &["repair", "--all", "--force"]).ok();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}
