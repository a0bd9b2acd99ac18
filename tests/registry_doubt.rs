//! What `tmux-registry` cannot tell is not gone, not an orphan and not zero; and what goes wrong half-way leaves a registry whole.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tests::Sandbox;

use crate::registry::{LONG_AGO, agent, dump, read, run, task};
use crate::registry_live::{Tmux, reaped, statuses};
use crate::vault::{chmod, file};
use crate::ward::{on_path, path_with};

/// A global registry of one task, with these agents.
#[expect(clippy::needless_pass_by_value, reason = "it is handed over as it is written down")]
fn global(sandbox: &Sandbox, agents: Value, active: usize) -> PathBuf {
    let path = sandbox.work("ws/registry/GLOBAL_REGISTRY.json");
    let whole = json!({"active_tasks": 1, "active_agents": active, "tasks": {"TASK-1": {"status": "INITIALIZED"}}, "agents": agents});
    dump(sandbox, &path, &whole);
    path
}

/// A process, gone afterwards.
struct Sleeper(Child);

impl Sleeper {
    fn new() -> Self {
        Self(Command::new("sleep").arg("600").spawn().unwrap())
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn who_may_be_alive_by_any_sign_is_not_gone() {
    let sandbox = Sandbox::new();
    let tmux = Tmux::new(&sandbox, "default");
    for name in ["=eq", "agent_emoji\u{1FAE8}", "42", "agent_be", "agent_old-news"] {
        tmux.session(name, "sleep 600");
    }
    let sleeper = Sleeper::new();
    let now = chrono::Local::now();
    let elsewhere = (now - chrono::TimeDelta::hours(8)).format("%Y-%m-%dT%H:%M:%S").to_string();
    let agents = [
        agent("eq", "working", json!({"tmux_session": "=eq"})),
        agent("emoji\u{1FAE8}", "working", json!({})),
        agent("number", "working", json!({"tmux_session": 42})),
        // Two processes, of which the second lives.
        agent(
            "two",
            "working",
            json!({"tmux_session": null, "claude_pid": 0, "cursor_pid": sleeper.0.id(), "last_update": "2999-01-01T00:00:00Z"}),
        ),
        // Its process has ended, and its session lives.
        agent("be", "working", json!({"tmux_session": null, "backend": "claude", "claude_pid": 999_999_999})),
        // It has just been started, and its first process has ended.
        agent(
            "new",
            "working",
            json!({"tmux_session": null, "backend": "claude", "claude_pid": 999_999_999, "started_at": now.to_rfc3339()}),
        ),
        agent("ageless", "working", json!({"started_at": null, "last_update": null})),
        // Whoever wrote these times lives in another time zone.
        agent("zone", "working", json!({"cursor_pid": sleeper.0.id(), "started_at": elsewhere, "last_update": elsewhere})),
        agent("old-news", "working", json!({"started_at": "2025-12-01T00:00:00Z", "last_update": null})),
    ];
    let path = task(&sandbox, "TASK-1", &agents, json!({}));
    let news = path.with_file_name("progress/old-news_progress.jsonl");
    file(&news, "{\"timestamp\":\"2025-11-20T00:00:00Z\",\"status\":\"completed\"}\n");
    let before = fs::read(&path).unwrap();
    assert!(run(&sandbox, 0, &["repair", "--all", "--force", "--all-gone"]).of("action").is_empty());
    assert_eq!(fs::read(&path).unwrap(), before);
    // And none of their sessions is nobody's.
    let ran = run(&sandbox, 0, &["reap", "--all", "--force", "--min-age", "0s", "--prefix", "agent"]);
    assert!(ran.of("action").is_empty(), "{}", ran.text());
}

#[test]
fn a_process_of_which_nothing_can_be_seen_has_not_ended() {
    let sandbox = Sandbox::new();
    let sleeper = Sleeper::new();
    let path = task(&sandbox, "TASK-1", &[agent("a", "working", json!({"backend": "cursor", "cursor_pid": sleeper.0.id()}))], json!({}));
    let before = fs::read(&path).unwrap();
    let tool = tests::binary("tmux-registry").display().to_string();
    let script = format!("mount -t tmpfs none /proc && exec {tool} repair --all --force --format json");
    let hidden = sandbox.command("unshare", ["-m", "sh", "-c", &script]).within(sandbox.work("")).run();
    if !crate::vault::is_root() {
        return crate::vault::skipped("a_process_of_which_nothing_can_be_seen_has_not_ended", "only root can hide /proc");
    }
    assert!(hidden.code(0).of("action").is_empty());
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_server_that_is_named_and_is_not_there_hides_no_other() {
    let sandbox = Sandbox::new();
    let path = task(&sandbox, "TASK-1", &[agent("a", "working", json!({}))], json!({}));
    let before = fs::read(&path).unwrap();
    let tmux = Tmux::new(&sandbox, "default");
    tmux.session("agent_a", "sleep 600");
    let elsewhere = sandbox.work("elsewhere");
    let unseen = |words: &[&str]| {
        let words = [&["repair", "--force", "--all"], words].concat();
        let tool = sandbox.tool("tmux-registry", words).env("MENDLINE_NO_OTHER_SERVERS", "false").within(sandbox.work(""));
        let ran = tool.run().code(2);
        assert!(ran.stderr.contains("that was not asked"), "{}", ran.stderr);
        assert_eq!(fs::read(&path).unwrap(), before);
    };
    unseen(&["-L", "deflaut"]);
    unseen(&["-S", elsewhere.to_str().unwrap()]);
    // Its socket is removed, and it lives on.
    let server = tmux.tmux(&["display-message", "-p", "#{pid}"]).trim().to_owned();
    fs::remove_file(&tmux.socket).unwrap();
    unseen(&["--all-sockets"]);
    unseen(&["-L", "default"]);
    assert!(Command::new("kill").arg(server).status().unwrap().success());
}

#[test]
fn neither_the_global_registry_nor_another_workspace_makes_few_of_many() {
    let sandbox = Sandbox::new();
    let sleeper = Sleeper::new();
    let lives = json!({"cursor_pid": sleeper.0.id(), "last_update": "2999-01-01T00:00:00Z"});
    let gone: Vec<Value> = (0..8).map(|number| agent(&format!("a{number}"), "working", json!({}))).collect();
    let path = task(&sandbox, "TASK-1", &gone, json!({}));
    let entries: serde_json::Map<String, Value> =
        (0..8).map(|number| (format!("a{number}"), json!({"task_id": "TASK-1", "status": "working", "started_at": LONG_AGO}))).collect();
    global(&sandbox, Value::Object(entries), 8);
    let others: Vec<Value> = (0..12).map(|number| agent(&format!("b{number}"), "working", lives.clone())).collect();
    let other = sandbox.work("other/TASK-2/AGENT_REGISTRY.json");
    dump(&sandbox, &other, &json!({"agents": others, "active_count": 12}));
    let said = run(&sandbox, 2, &["repair", "--all", "--force"]).stderr;
    assert!(said.contains("8 of 8 active agents below ") && said.contains("/ws would be ended"), "{said}");
    assert_eq!(statuses(&path), vec!["working"; 8]);
    // A plan shows what that would be.
    let planned = run(&sandbox, 0, &["repair", "--all"]);
    assert!(planned.stderr.contains("add --all-gone") && planned.of("action").len() == 2, "{}", planned.text());
    run(&sandbox, 0, &["repair", "--all", "--force", "--all-gone"]).ok();
    assert_eq!(statuses(&path), vec!["terminated"; 8]);
}

#[test]
fn a_global_entry_is_not_judged_without_what_its_task_knows() {
    let sandbox = Sandbox::new();
    let entry = json!({"x": {"task_id": "TASK-1", "started_at": LONG_AGO}});
    let path = task(&sandbox, "TASK-1", &[agent("x", "paused", json!({}))], json!({}));
    let whole = global(&sandbox, entry, 1);
    let before = fs::read(&whole).unwrap();
    run(&sandbox, 0, &["repair", "--all", "--force"]).ok();
    assert_eq!(fs::read(&whole).unwrap(), before);
    for text in ["{\"agents\": [NaN]}", "{\"agents\": [{\"id\": \"x\", \"id\": \"x\"}]}"] {
        file(&path, text);
        let _ = sandbox.tool("tmux-registry", ["repair", "--all", "--force"]).within(sandbox.work("")).run();
        assert_eq!(fs::read(&whole).unwrap(), before, "{text}");
    }
}

#[test]
fn a_global_entry_gets_what_its_task_knows_be_it_in_the_archive() {
    let sandbox = Sandbox::new();
    let ended = json!({"termination_reason": "pane_dead", "terminated_at": "2025-11-02T00:00:00", "last_update": "2025-11-02T00:00:00"});
    let agents = [agent("x", "terminated", ended), agent("z", "completed", json!({"completed_at": "2025-11-03T00:00:00"}))];
    task(&sandbox, "TASK-1", &agents, json!({}));
    let entry = |id: &str| json!({"task_id": "TASK-1", "started_at": LONG_AGO, "tmux_session": format!("agent_{id}")});
    let whole = global(&sandbox, json!({"x": entry("x"), "z": entry("z")}), 0);
    run(&sandbox, 0, &["compact", "--all", "--force", "--older-than", "1d"]).ok();
    run(&sandbox, 0, &["repair", "--all", "--force"]).ok();
    let agents = read(&whole)["agents"].clone();
    assert_eq!([&agents["x"]["termination_reason"], &agents["x"]["terminated_at"]], [&json!("pane_dead"), &json!("2025-11-02T00:00:00")]);
    assert_eq!([&agents["z"]["status"], &agents["z"]["completed_at"]], [&json!("completed"), &json!("2025-11-03T00:00:00")]);
}

#[test]
fn an_archive_that_cannot_be_read_is_not_an_empty_one() {
    let sandbox = Sandbox::new();
    let path = task(&sandbox, "TASK-1", &[agent("a", "completed", json!({})), agent("b", "completed", json!({}))], json!({}));
    chmod(&path, 0o640);
    run(&sandbox, 0, &["compact", "--all", "--force", "--older-than", "1d"]).ok();
    let archive = path.with_file_name("AGENT_REGISTRY.archive.jsonl");
    let whole = fs::read_to_string(&archive).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&archive.metadata().unwrap().permissions()) & 0o777, 0o640);
    file(&archive, whole.replacen("agent_id", "agent", 1));
    let before = fs::read(&path).unwrap();
    let checked = run(&sandbox, 0, &["check", "--all"]);
    assert_eq!(checked.of("registry.probe")[0]["data"]["faults"][0]["code"], "archive-unreadable", "{}", checked.text());
    assert!(run(&sandbox, 0, &["repair", "--all", "--force"]).of("action").is_empty());
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn an_archive_of_a_registry_of_any_name_is_another_file() {
    let sandbox = Sandbox::new();
    let path = sandbox.work("registry");
    dump(&sandbox, &path, &json!({"agents": [agent("a", "completed", json!({}))], "completed_count": 1}));
    run(&sandbox, 0, &["compact", path.to_str().unwrap(), "--force", "--older-than", "1d"]).ok();
    assert_eq!(read(&path)["agents"], json!([]));
    assert!(sandbox.work("registry.archive.jsonl").is_file());
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_not_waited_for() {
    let sandbox = Sandbox::new();
    let path = task(&sandbox, "TASK-1", &[agent("a", "working", json!({}))], json!({}));
    let torn = sandbox.work("ws/TASK-2/AGENT_REGISTRY.json");
    file(&torn, "{\"agents\": [");
    let stream = path.with_file_name("logs/a_stream.jsonl");
    fs::create_dir_all(stream.parent().unwrap()).unwrap();
    for pipe in [&stream, &torn.with_file_name("AGENT_REGISTRY.json.backup_x")] {
        assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    }
    run(&sandbox, 1, &["repair", "--all", "--force"]).ok();
    assert_eq!(statuses(&path), ["terminated"]);
}

#[test]
fn settings_with_agents_in_them_are_no_registry() {
    let sandbox = Sandbox::new();
    let settings = sandbox.work("settings.json");
    let text = "{\"agents\": {\"default\": {\"model\": \"x\", \"started_at\": \"2025-01-01T00:00:00\"}}}";
    file(&settings, text);
    let said = run(&sandbox, 2, &["repair", "--force", settings.to_str().unwrap()]).stderr;
    assert!(said.contains("it is no registry"), "{said}");
    assert_eq!(fs::read_to_string(&settings).unwrap(), text);
}

#[test]
fn a_linked_registry_is_read_and_its_sessions_are_its_own() {
    let sandbox = Sandbox::new();
    let tmux = Tmux::new(&sandbox, "default");
    tmux.session("agent_linked", "sh");
    let real = sandbox.root().join("real/AGENT_REGISTRY.json");
    dump(
        &sandbox,
        &real,
        &json!({"agents": [agent("linked", "completed", json!({})), agent("gone", "working", json!({}))], "active_count": 1}),
    );
    task(&sandbox, "TASK-2", &[], json!({}));
    fs::create_dir_all(sandbox.work("ws/TASK-1")).unwrap();
    std::os::unix::fs::symlink(&real, sandbox.work("ws/TASK-1/AGENT_REGISTRY.json")).unwrap();
    assert!(reaped(&run(&sandbox, 0, &["reap", "--all", "--force", "--min-age", "0s"])).is_empty());
    run(&sandbox, 0, &["repair", "--all", "--force"]).ok();
    assert_eq!(statuses(&real), ["completed", "terminated"]);
    assert_eq!(fs::read_dir(real.parent().unwrap()).unwrap().count(), 2, "the copy is beside the registry, and not beside the link");
}

#[test]
fn a_shell_that_works_by_itself_is_not_idle() {
    let sandbox = Sandbox::new();
    let tmux = Tmux::new(&sandbox, "default");
    tmux.session("agent_busy", "bash --norc");
    tmux.session("agent_waits", "bash");
    tmux.session("agent_idle", "bash");
    tmux.session("agent_named", "bash");
    for (name, keys) in [("busy", "while :; do :; done"), ("waits", "while :; do read -t 600 x </dev/tty; done")] {
        tmux.tmux(&["send-keys", "-t", &format!("=agent_{name}:"), keys, "Enter"]);
    }
    std::thread::sleep(Duration::from_secs(1));
    let path = task(&sandbox, "TASK-1", &[agent("x", "completed", json!({}))], json!({}));
    // A registry that names one while what it shows is being saved.
    let bin = sandbox.root().join("bin");
    let add = format!(
        "import json\nr = json.load(open({path:?}))\nr['agents'].append({{'id': 'named', 'status': 'completed'}})\njson.dump(r, open({path:?}, 'w'))\n",
        path = path.to_str().unwrap()
    );
    file(&bin.join("between.py"), &add);
    let wrapper = format!(
        "#!/bin/sh\ncase $* in *capture-pane*) python3 {bin}/between.py ;; esac\nexec {tmux} \"$@\"\n",
        bin = bin.display(),
        tmux = on_path("tmux").display()
    );
    file(&bin.join("tmux"), &wrapper);
    chmod(&bin.join("tmux"), 0o755);
    let words = ["reap", "--all", "--force", "--min-age", "0s"];
    let ran = sandbox.tool("tmux-registry", words).env("PATH", path_with(&bin)).within(sandbox.work("")).run().code(1);
    let expected = [("busy", "skipped"), ("idle", "done"), ("named", "failed"), ("waits", "skipped")];
    assert_eq!(reaped(&ran), expected.map(|(name, how)| (format!("agent_{name}"), how.to_owned())), "{}", ran.text());
    assert_eq!(tmux.names(), ["agent_busy", "agent_named", "agent_waits", "keeper"]);
}

#[test]
fn a_signal_in_the_middle_of_a_write_leaves_the_registry_whole() {
    let sandbox = Sandbox::new();
    let path = task(&sandbox, "TASK-1", &[], json!({"active_count": 100_000_000_000_u64}));
    let tool = tests::binary("tmux-registry").display().to_string();
    let slow = "inject=ftruncate:delay_enter=1500000";
    let words = ["-f", "-qq", "-o", "/dev/null", "-e", "trace=ftruncate", "-e", slow, &tool, "repair", "--all", "--force"];
    let mut child = sandbox.command("strace", words).within(sandbox.work("")).start();
    drop(child.stdin.take());
    let written = Instant::now() + Duration::from_secs(20);
    while fs::read_to_string(&path).unwrap().contains("100000000000") {
        assert!(Instant::now() < written, "it does not write");
        std::thread::sleep(Duration::from_millis(5));
    }
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap();
    let sent = Command::new("kill").args(["-INT", children.split_whitespace().next().unwrap()]).status().unwrap();
    assert!(sent.success());
    child.wait().unwrap();
    assert_eq!(read(&path)["active_count"], 0);
}

#[test]
fn what_is_whole_before_the_rest_of_an_older_text_is_the_registry() {
    let sandbox = Sandbox::new();
    let path = task(&sandbox, "TASK-1", &[agent("a", "completed", json!({"prompt": "long ".repeat(100)}))], json!({}));
    fs::copy(&path, path.with_file_name("AGENT_REGISTRY.json.backup_old")).unwrap();
    let old = fs::read_to_string(&path).unwrap();
    let new = serde_json::to_string(&json!({"agents": [agent("new", "completed", json!({}))], "completed_count": 1})).unwrap();
    file(&path, format!("{new}{}", &old[new.len()..]));
    let ran = run(&sandbox, 0, &["repair", "--all", "--force"]);
    assert_eq!(ran.of("action")[0]["data"]["verb"], "recover");
    assert_eq!(fs::read_to_string(&path).unwrap(), new);
}

fn dated(path: &Path, time: SystemTime) {
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn a_copy_that_says_to_be_of_the_future_is_not_the_newest() {
    let sandbox = Sandbox::new();
    let path = task(&sandbox, "TASK-1", &[agent("a", "working", json!({}))], json!({}));
    let future = SystemTime::now() + Duration::from_hours(20_000);
    for number in 0..6 {
        let copy = path.with_file_name(format!("AGENT_REGISTRY.json.backup_20251017_21353{number}-abcd"));
        file(&copy, "{\"agents\": [], \"active_count\": 0}");
        dated(&copy, future);
    }
    let done = run(&sandbox, 0, &["repair", "--all", "--force"]).of("action").remove(0);
    let copy = PathBuf::from(done["data"]["undo"].as_str().unwrap());
    assert!(copy.is_file(), "the copy of what there was is there");
    file(&path, "{\"agents\": [");
    run(&sandbox, 0, &["repair", "--all", "--force"]).ok();
    assert_eq!(fs::read(&path).unwrap(), fs::read(&copy).unwrap());
}

#[test]
fn a_torn_registry_keeps_no_other_waiting() {
    let sandbox = Sandbox::new();
    for number in 0..6 {
        file(&sandbox.work(&format!("ws/TASK-{number}/AGENT_REGISTRY.json")), "{\"agents\": [");
    }
    let path = task(&sandbox, "TASK-9", &[agent("a", "working", json!({}))], json!({}));
    let tasks: serde_json::Map<String, Value> = (0..6).map(|number| (format!("TASK-{number}"), json!({}))).collect();
    let agents: serde_json::Map<String, Value> =
        (0..6).map(|number| (format!("x{number}"), json!({"task_id": format!("TASK-{number}"), "started_at": LONG_AGO}))).collect();
    let whole = json!({"active_tasks": 99, "active_agents": 6, "tasks": tasks, "agents": agents});
    dump(&sandbox, &sandbox.work("ws/registry/GLOBAL_REGISTRY.json"), &whole);
    let ran = run(&sandbox, 1, &["repair", "--all", "--force"]);
    let first = ran.of("action").remove(0);
    assert_eq!((&first["subject"], &first["data"]["outcome"]), (&json!(path), &json!("done")), "{}", ran.text());
    assert_eq!(statuses(&path), ["terminated"]);
}

#[test]
fn a_registry_that_cannot_be_compacted_keeps_no_other_from_it() {
    let sandbox = Sandbox::new();
    let odd = sandbox.work("ws/TASK-0/AGENT_REGISTRY.json");
    file(&odd, "{\"tasks\": {}, \"agents\": {\"\\ud800x\": {\"status\": \"completed\"}}}");
    let path = task(&sandbox, "TASK-1", &[agent("a", "completed", json!({}))], json!({}));
    run(&sandbox, 2, &["compact", "--all", "--force", "--older-than", "1d"]).ok();
    assert_eq!(read(&path)["agents"], json!([]));
    // Who is held by somebody else is busy, and not bad.
    let held = task(&sandbox, "TASK-2", &[agent("a", "completed", json!({}))], json!({}));
    let held = fs::File::open(held).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockShared).unwrap();
    let words = ["compact", "--task", "TASK-2", "--force", "--older-than", "1d", "--wait", "0s"];
    run(&sandbox, 75, &words).ok();
}
