//! `tmux-registry check` and `repair` on registries as orchestrators write them, without any tmux server: as after a reboot.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::{Ran, Sandbox};

use crate::vault::file;

pub(crate) const LONG_AGO: &str = "2025-10-17T21:35:38.243152";

/// An agent of a task; `more` goes over it.
#[expect(clippy::needless_pass_by_value, reason = "it is handed over as it is written down")]
pub(crate) fn agent(id: &str, status: &str, more: Value) -> Value {
    let mut agent = json!({
        "id": id, "type": "tester", "tmux_session": format!("agent_{id}"), "parent": "orchestrator", "depth": 1, "status": status,
        "started_at": LONG_AGO, "progress": 10, "last_update": LONG_AGO, "prompt": "müde ☃",
    });
    agent.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    agent
}

/// Writes JSON as Python's `json.dump(…, indent=2)` does: ASCII alone, keys in their order, no newline at the end.
pub(crate) fn dump(sandbox: &Sandbox, path: &Path, value: &Value) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let script = "import json, sys; json.dump(json.load(sys.stdin), open(sys.argv[1], 'w'), indent=2)";
    sandbox.command("python3", ["-c", script, path.to_str().unwrap()]).input(value.to_string()).run().code(0).ok();
}

/// A task registry with these agents and true numbers, but for `more`.
#[expect(clippy::needless_pass_by_value, reason = "it is handed over as it is written down")]
pub(crate) fn task(sandbox: &Sandbox, id: &str, agents: &[Value], more: Value) -> PathBuf {
    let path = sandbox.work(&format!("ws/{id}/AGENT_REGISTRY.json"));
    let is = |status: &[&str]| agents.iter().filter(|agent| status.contains(&agent["status"].as_str().unwrap_or_default())).count();
    let mut registry = json!({
        "task_id": id, "task_description": "a task", "workspace": "${workspaceFolder}/ws", "client_cwd": null, "status": "INITIALIZED",
        "agents": agents, "agent_hierarchy": {}, "max_agents": 45, "total_spawned": agents.len(),
        "active_count": is(&["running", "working", "blocked", "reviewing"]), "completed_count": is(&["completed"]),
        "spiral_checks": {"enabled": true, "violations": 0, "ratio": 1.50, "big": 123_456_789_012_345_678_901_234_567_890_f64},
    });
    registry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    dump(sandbox, &path, &registry);
    path
}

pub(crate) fn run(sandbox: &Sandbox, code: i32, words: &[&str]) -> Ran {
    sandbox.tool("tmux-registry", words).within(sandbox.work("")).run().code(code)
}

pub(crate) fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The codes of the faults of the only registry that was judged, with their agents.
fn faults(ran: &Ran) -> Vec<(String, String)> {
    let probe = ran.of("registry.probe").remove(0);
    let faults = probe["data"]["faults"].as_array().cloned().unwrap_or_default();
    let text = |fault: &Value, name: &str| fault[name].as_str().unwrap_or_default().to_owned();
    faults.iter().map(|fault| (text(fault, "code"), text(fault, "agent"))).collect()
}

#[test]
fn after_a_reboot_the_gone_are_terminated_and_the_last_sign_of_life_stays() {
    let sandbox = Sandbox::new();
    let agents = [agent("a-1", "working", json!({})), agent("b-1", "completed", json!({})), agent("c-1", "reviewing", json!({}))];
    let path = task(&sandbox, "TASK-1", &agents, json!({}));
    let before = fs::read_to_string(&path).unwrap();
    let planned = run(&sandbox, 0, &["repair", path.to_str().unwrap()]);
    assert_eq!(planned.of("action")[0]["data"]["text"], "terminated 2 zombies, corrected active_count (2 -> 0)");
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    assert!(!sandbox.root().join("state").exists(), "a plan leaves nothing behind");

    let done = run(&sandbox, 0, &["repair", "--force", path.to_str().unwrap()]).of("action").remove(0)["data"].clone();
    assert_eq!((&done["outcome"], &done["verified"], &done["changed"]), (&json!("done"), &json!(true), &json!(true)));
    let after = read(&path);
    let gone = &after["agents"][0];
    assert_eq!((&gone["status"], &gone["termination_reason"]), (&json!("terminated"), &json!("session_not_found")));
    assert_eq!((&gone["last_seen"], &gone["terminated_at"]), (&json!(LONG_AGO), &gone["last_update"]));
    assert_eq!((&after["agents"][1], &after["active_count"]), (&agents[1], &json!(0)));
    // The copy is what there was, and everything else is, to the byte, as Python would have written it.
    assert_eq!(fs::read_to_string(done["undo"].as_str().unwrap()).unwrap(), before);
    let script = "import json, sys; text = open(sys.argv[1]).read(); sys.exit(json.dumps(json.loads(text), indent=2) != text)";
    sandbox.command("python3", ["-c", script, path.to_str().unwrap()]).run().code(0).ok();
    let now = fs::read_to_string(&path).unwrap();
    let gone: Vec<&str> = before.lines().map(|line| line.trim_end_matches(',')).filter(|line| !now.contains(line)).collect();
    assert_eq!(gone, ["  \"active_count\": 2", "      \"status\": \"working\"", "      \"status\": \"reviewing\""]);
}

#[test]
fn raw_letters_and_utc_stay_where_a_registry_has_them() {
    let sandbox = Sandbox::new();
    let path = sandbox.work("ws/TASK-1/AGENT_REGISTRY.json");
    let text = "{\n  \"agents\": [\n    {\n      \"id\": \"müde-☃\",\n      \"status\": \"running\",\n      \"started_at\": \"2025-10-17T21:35:38.243Z\"\n    }\n  ],\n  \"active_count\": 1\n}\n";
    file(&path, text);
    run(&sandbox, 0, &["repair", "--force", "--all"]).ok();
    let after = fs::read_to_string(&path).unwrap();
    let time = read(&path)["agents"][0]["terminated_at"].as_str().unwrap().to_owned();
    assert!(time.ends_with('Z') && time.len() == 24, "{time}");
    let ending = format!(
        ",\n      \"termination_reason\": \"session_not_found\",\n      \"terminated_at\": \"{time}\",\n      \"last_update\": \"{time}\"\n    }}"
    );
    assert_eq!(after, text.replace("running", "terminated").replace("\n    }", &ending).replace("count\": 1", "count\": 0"));
}

#[test]
fn where_nothing_is_wrong_not_a_byte_is_touched() {
    let sandbox = Sandbox::new();
    let path = task(&sandbox, "TASK-1", &[agent("b-1", "completed", json!({}))], json!({}));
    crate::vault::touch(&path, 1_600_000_000, 5);
    let before = (fs::read(&path).unwrap(), path.metadata().unwrap().modified().unwrap());
    let ran = run(&sandbox, 0, &["repair", "--force", "--all"]);
    assert!(ran.of("action").is_empty(), "{}", ran.text());
    assert_eq!((fs::read(&path).unwrap(), path.metadata().unwrap().modified().unwrap()), before);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn what_an_agent_says_of_its_own_end_goes_before_everything_else() {
    let sandbox = Sandbox::new();
    let said = [("ended", "completed"), ("failed", "failed"), ("told", "completed"), ("stale", "terminated"), ("torn", "terminated")];
    let agents: Vec<Value> = said.iter().map(|(id, _)| agent(id, "working", json!({}))).collect();
    let path = task(&sandbox, "TASK-1", &agents, json!({}));
    let log = |below: &str, text: &str| file(&path.with_file_name(below), text);
    log("logs/ended_stream.jsonl", "{\"type\":\"system\"}\n{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false}\n");
    log("logs/failed_stream.jsonl", "{\"type\":\"result\",\"subtype\":\"error_during_execution\",\"is_error\":true}\n");
    log(
        "progress/told_progress.jsonl",
        "{\"timestamp\":\"2025-10-17T22:00:00\",\"agent_id\":\"told\",\"status\":\"completed\",\"progress\":100}\n",
    );
    log("progress/stale_progress.jsonl", "{\"timestamp\":\"2025-10-17T20:00:00\",\"agent_id\":\"stale\",\"status\":\"completed\"}\n");
    log("logs/torn_stream.jsonl", "{\"type\":\"result\",\"subty");
    run(&sandbox, 0, &["repair", "--force", "--all"]).ok();
    let after = read(&path);
    let statuses: Vec<(&str, &str)> = after["agents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| (agent["id"].as_str().unwrap(), agent["status"].as_str().unwrap()))
        .collect();
    assert_eq!(statuses, said);
    assert!(after["agents"][0]["completed_at"].is_string() && after["agents"][0].get("terminated_at").is_none());
    assert_eq!(after["completed_count"], 2);
}

#[test]
fn what_is_not_known_is_reported_and_never_guessed() {
    let sandbox = Sandbox::new();
    let nameless = json!({"type": "x", "status": "working"});
    let agents = [
        agent("odd", "pondering", json!({})),
        nameless,
        agent("twice", "completed", json!({})),
        agent("twice", "completed", json!({})),
        agent("remote", "working", json!({"tmux_session": "", "backend": "cursor"})),
        json!("no object"),
    ];
    let path =
        task(&sandbox, "TASK-1", &agents, json!({"agent_hierarchy": {"orchestrator": ["odd", "nobody"], "ghost": []}, "active_count": 7}));
    let before = fs::read(&path).unwrap();
    let ran = run(&sandbox, 1, &["check", "--check", path.to_str().unwrap()]);
    let codes = faults(&ran);
    for fault in [
        ("status-unknown", "odd"),
        ("agent-malformed", ""),
        ("duplicate-id", "twice"),
        ("agent-unseen", "remote"),
        ("hierarchy-dangling", ""),
        ("count-wrong", ""),
    ] {
        assert!(codes.contains(&(fault.0.to_owned(), fault.1.to_owned())), "{fault:?}: {codes:?}");
    }
    assert_eq!(codes.iter().filter(|(code, _)| code == "agent-malformed").count(), 2);
    run(&sandbox, 0, &["repair", "--force", path.to_str().unwrap()]).ok();
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn who_has_just_started_may_have_no_session_yet() {
    let sandbox = Sandbox::new();
    let now = "import datetime; print(datetime.datetime.now().isoformat(), end='')";
    let now = sandbox.command("python3", ["-c", now]).run().code(0).text();
    let path = task(&sandbox, "TASK-1", &[agent("new", "running", json!({"started_at": now, "last_update": now}))], json!({}));
    assert!(run(&sandbox, 0, &["repair", "--all"]).of("action").is_empty());
    let planned = run(&sandbox, 0, &["repair", "--all", "--grace", "0s"]);
    assert_eq!(planned.of("action").len(), 1, "{}", path.display());
}

#[test]
fn numbers_follow_their_rules() {
    let sandbox = Sandbox::new();
    let agents = [agent("a", "completed", json!({})), agent("b", "terminated", json!({})), agent("c", "failed", json!({}))];
    for (name, value, mended) in [
        ("active_count", 2, 0),
        ("completed_count", 0, 1),
        ("completed_count", 3, 3),
        ("completed_count", 4, 1),
        ("total_spawned", 2, 3),
        ("total_spawned", 9, 9),
    ] {
        let path = task(&sandbox, "TASK-1", &agents, json!({name: value}));
        run(&sandbox, 0, &["repair", "--force", "--all"]).ok();
        assert_eq!(read(&path)[name], mended, "{name} {value}");
    }
}

#[test]
fn the_global_registry_follows_those_of_the_tasks() {
    let sandbox = Sandbox::new();
    task(&sandbox, "TASK-1", &[agent("done", "completed", json!({})), agent("gone", "working", json!({}))], json!({}));
    let path = sandbox.work("ws/registry/GLOBAL_REGISTRY.json");
    let entry = |task: &str, id: &str| json!({"task_id": task, "type": "tester", "parent": "orchestrator", "started_at": LONG_AGO, "tmux_session": format!("agent_{id}")});
    let mut done = entry("TASK-1", "done");
    done["status"] = json!("working");
    let global = json!({
        "created_at": LONG_AGO, "total_tasks": 3, "active_tasks": 3, "total_agents_spawned": 1, "active_agents": 7,
        "tasks": {"TASK-1": {"status": "INITIALIZED"}, "TASK-2": {"status": "ARCHIVED"}, "TASK-3": {"status": "INITIALIZED"}},
        "agents": {"done": done, "gone": entry("TASK-1", "gone"), "lost": entry("TASK-3", "lost")},
    });
    dump(&sandbox, &path, &global);
    run(&sandbox, 0, &["repair", "--force", "--all"]).ok();
    let after = read(&path);
    let status = |id: &str| after["agents"][id]["status"].clone();
    assert_eq!([status("done"), status("gone"), status("lost")], [json!("completed"), json!("terminated"), json!("terminated")]);
    let numbers = ["active_agents", "total_agents_spawned", "active_tasks"].map(|name| after[name].as_i64().unwrap());
    assert_eq!(numbers, [0, 3, 2]);
    let again = run(&sandbox, 0, &["check", "--all", "--check"]);
    assert_eq!(again.of("registry.probe").len(), 2);
}

#[test]
fn registries_are_found_in_folders_of_any_name_and_depth_or_by_their_task() {
    let sandbox = Sandbox::new();
    for id in ["TASK-1", "${workspaceFolder}/.agent-workspace/TASK-2", "a/b/c/d/TASK-3"] {
        task(&sandbox, id, &[agent("x", "working", json!({}))], json!({}));
    }
    let probed = |words: &[&str]| run(&sandbox, 0, words).of("registry.probe").len();
    assert_eq!(probed(&["check", "--all"]), 3);
    assert_eq!(probed(&["check", "--task", "TASK-2"]), 1);
    assert_eq!(probed(&["check", "--task", "TASK-2", "--task", "TASK-3", "--workspace", "ws"]), 2);
    let said = run(&sandbox, 2, &["check", "--task", "TASK-9"]).stderr;
    assert!(said.contains("no AGENT_REGISTRY.json of the task TASK-9"), "{said}");
}

#[test]
fn a_check_pipes_into_a_repair() {
    let sandbox = Sandbox::new();
    let path = task(&sandbox, "TASK-1", &[agent("x", "working", json!({}))], json!({}));
    let checked = run(&sandbox, 0, &["check", "--all"]);
    let repaired = sandbox.tool("tmux-registry", ["repair", "--force"]).input(checked.stdout.clone()).run().code(0);
    assert!(repaired.stdout.starts_with(&checked.stdout), "what came in is passed on byte for byte");
    assert_eq!(read(&path)["agents"][0]["status"], "terminated");
}

#[test]
fn a_repair_that_would_end_most_stops_while_others_live() {
    let sandbox = Sandbox::new();
    let mut agents: Vec<Value> = (0..6).map(|number| agent(&format!("a{number}"), "working", json!({}))).collect();
    let ours = json!({"cursor_pid": std::process::id(), "backend": "cursor", "tmux_session": "", "last_update": "2999-01-01T00:00:00"});
    agents.push(agent("alive", "working", ours));
    let path = task(&sandbox, "TASK-1", &agents, json!({}));
    let before = fs::read(&path).unwrap();
    for (force, code) in [("--force", 2), ("--dry-run", 0)] {
        let said = run(&sandbox, code, &["repair", "--all", force]).stderr;
        assert!(said.contains("6 of 7 active agents below "), "{said}");
    }
    assert_eq!(fs::read(&path).unwrap(), before);
    run(&sandbox, 0, &["repair", "--all", "--force", "--all-gone"]).ok();
    assert_eq!((&read(&path)["active_count"], &read(&path)["agents"][6]["status"]), (&json!(1), &json!("working")));
}

#[test]
fn without_tmux_nobody_is_taken_for_gone() {
    let sandbox = Sandbox::new();
    let path = task(&sandbox, "TASK-1", &[agent("x", "working", json!({})), agent("y", "working", json!({}))], json!({"active_count": 7}));
    // What its own log says, and a wrong number, are left for a run that sees everything.
    file(&path.with_file_name("logs/y_stream.jsonl"), "{\"type\":\"result\"}\n");
    let before = fs::read(&path).unwrap();
    for words in [&["check", "--all"][..], &["repair", "--all", "--force"]] {
        let ran = sandbox.tool("tmux-registry", words).within(sandbox.work("")).env("PATH", "/nonexistent").run().code(2);
        assert!(ran.stderr.contains("cannot start tmux"), "{}", ran.stderr);
        assert!(ran.of("action").is_empty());
    }
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn old_agents_move_to_an_archive_and_are_counted_all_the_same() {
    let sandbox = Sandbox::new();
    let agents = [agent("old", "completed", json!({})), agent("older", "terminated", json!({})), agent("at-work", "working", json!({}))];
    let path = task(&sandbox, "TASK-1", &agents, json!({"agent_hierarchy": {"orchestrator": ["old", "older", "at-work"]}}));
    let planned = run(&sandbox, 0, &["compact", "--all"]);
    assert!(planned.of("action")[0]["data"]["text"].as_str().unwrap().starts_with("2 agents to "), "{}", planned.text());
    run(&sandbox, 0, &["compact", "--all", "--force"]).ok();
    let after = read(&path);
    assert_eq!((after["agents"].as_array().unwrap().len(), &after["agents"][0], &after["total_spawned"]), (1, &agents[2], &json!(3)));
    let archive = fs::read_to_string(path.with_file_name("AGENT_REGISTRY.archive.jsonl")).unwrap();
    let lines: Vec<Value> = archive.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!([&lines[0]["agent"], &lines[1]["agent"]], [&agents[0], &agents[1]]);
    assert_eq!(
        faults(&run(&sandbox, 0, &["check", "--all"])),
        [("agent-gone".to_owned(), "at-work".to_owned()), ("count-wrong".to_owned(), String::new())]
    );
    assert!(run(&sandbox, 0, &["compact", "--all", "--force"]).of("action").is_empty());
}

#[test]
fn real_registries_are_judged_as_they_are() {
    let data = std::env::var_os("MENDLINE_DATA").map_or_else(|| tests::workspace().join("../shared/data"), PathBuf::from);
    if !data.join("registries/workspace").is_dir() {
        return crate::vault::skipped("real_registries_are_judged_as_they_are", "the folder with real data is not here");
    }
    let sandbox = Sandbox::new();
    let ws = sandbox.work("ws");
    sandbox.command("cp", ["-r", data.join("registries/workspace").to_str().unwrap(), ws.to_str().unwrap()]).run().code(0).ok();
    sandbox.command("chmod", ["-R", "u+w", ws.to_str().unwrap()]).run().code(0).ok();
    let checked = run(&sandbox, 0, &["check", "--all"]);
    let verdicts: Vec<String> =
        checked.of("registry.probe").iter().map(|probe| probe["data"]["status"].as_str().unwrap().to_owned()).collect();
    assert_eq!(verdicts, ["healthy", "healthy", "healthy", "broken"]);
    let global = ws.join("registry/GLOBAL_REGISTRY.json");
    let before = fs::read_to_string(&global).unwrap();
    let action = run(&sandbox, 0, &["repair", "--all", "--force"]).of("action").remove(0);
    assert_eq!(action["data"]["text"], "terminated 1 zombie, corrected active_agents (1 -> 0)");
    let after = fs::read_to_string(&global).unwrap();
    assert_eq!(after.lines().count(), before.lines().count() + 3);
    run(&sandbox, 0, &["check", "--all", "--check"]).ok();
}

#[test]
fn a_null_is_a_value_and_is_set_where_it_stands() {
    let sandbox = Sandbox::new();
    let nulls = json!({"terminated_at": null, "termination_reason": null, "last_seen": null});
    let path = task(&sandbox, "TASK-1", &[agent("a", "working", nulls)], json!({}));
    run(&sandbox, 0, &["repair", "--force", "--all"]).ok();
    assert_eq!(fs::read_to_string(&path).unwrap().matches("\"terminated_at\"").count(), 1);
    run(&sandbox, 0, &["check", "--all", "--check"]).ok();
}

#[test]
fn what_somebody_wrote_so_is_not_torn() {
    let sandbox = Sandbox::new();
    let path = task(&sandbox, "TASK-1", &[agent("a", "completed", json!({}))], json!({}));
    let whole = fs::read_to_string(&path).unwrap();
    file(&path.with_file_name("AGENT_REGISTRY.json.backup_20260101_000000"), "{\"agents\": []}");
    for text in [whole.replace("1.5", "NaN"), whole.replace("\"max_agents\"", "\"agents\": [], \"max_agents\"")] {
        assert_ne!(text, whole);
        file(&path, &text);
        let probe = run(&sandbox, 0, &["check", "--all"]).of("registry.probe").remove(0);
        assert_eq!(probe["data"]["faults"][0]["code"], "registry-malformed", "{probe}");
        run(&sandbox, 2, &["repair", "--all", "--force"]).ok();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn an_archive_takes_everyone_once_and_as_they_were() {
    let sandbox = Sandbox::new();
    let path = sandbox.work("ws/TASK-1/AGENT_REGISTRY.json");
    let agent = "{\n      \"id\": \"a\",\n      \"status\": \"completed\",\n      \"last_update\": \"2025-10-17T21:35:38\",\n      \"big\": 123456789012345678901234567890,\n      \"ratio\": 1.50,\n      \"about\": \"so \\\"and\\\" so\"\n    }";
    file(&path, format!("{{\n  \"agents\": [\n    {agent}\n  ]\n}}"));
    let archive = path.with_file_name("AGENT_REGISTRY.archive.jsonl");
    file(&archive, "{\"agent_id\":\"a\",\"archived_at\":\"x\",\"agent\":{\"id\":\"a\",\"of\":\"another life\"}}");
    run(&sandbox, 0, &["compact", "--all", "--force"]).ok();
    let text = fs::read_to_string(&archive).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[1]["agent"]["about"]), (2, &json!("so \"and\" so")));
    assert!(text.contains("\"last_update\":\"2025-10-17T21:35:38\",\"big\":123456789012345678901234567890,\"ratio\":1.50,"), "{text}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\n  \"agents\": []\n}");
}

#[test]
fn times_of_every_kind_are_read_and_one_that_cannot_be_ends_nobody() {
    let sandbox = Sandbox::new();
    let agents = [
        agent("spaced", "working", json!({"started_at": "2025-10-17 21:35:38", "last_update": "2025-10-17 21:35:38"})),
        agent("counted", "working", json!({"started_at": 1_760_000_000, "last_update": 1_760_000_000})),
        agent("worded", "working", json!({"started_at": "yesterday", "last_update": "yesterday"})),
        agent("heard", "working", json!({"last_update": "2025-10-17 23:00:00"})),
    ];
    let path = task(&sandbox, "TASK-1", &agents, json!({}));
    // Older than what the registry heard.
    file(&path.with_file_name("progress/heard_progress.jsonl"), "{\"timestamp\":\"2025-10-17T22:00:00\",\"status\":\"completed\"}\n");
    run(&sandbox, 0, &["repair", "--force", "--all"]).ok();
    let statuses: Vec<Value> = read(&path)["agents"].as_array().unwrap().iter().map(|agent| agent["status"].clone()).collect();
    assert_eq!(statuses, ["terminated", "terminated", "working", "terminated"]);
}

#[test]
fn logs_are_those_of_the_workspace_and_of_this_run() {
    let sandbox = Sandbox::new();
    let relative = json!({"tracked_files": {"log_file": "here.jsonl"}});
    let new = json!({"started_at": "2999-01-01T00:00:00"});
    let path = task(
        &sandbox,
        "TASK-1",
        &[agent("a", "working", relative), agent("b", "working", new), agent("../c", "working", json!({}))],
        json!({}),
    );
    let result = "{\"type\":\"result\"}\n";
    // One in the folder that the tool is started in, one of an earlier run, and one that an id leads out to.
    file(&sandbox.work("here.jsonl"), result);
    file(&path.with_file_name("logs/b_stream.jsonl"), result);
    file(&path.with_file_name("c_stream.jsonl"), result);
    run(&sandbox, 0, &["repair", "--force", "--all"]).ok();
    let statuses: Vec<Value> = read(&path)["agents"].as_array().unwrap().iter().map(|agent| agent["status"].clone()).collect();
    assert_eq!(statuses, ["terminated", "working", "terminated"]);
}

#[test]
fn who_is_over_for_one_and_at_work_for_the_other_is_for_a_person() {
    let sandbox = Sandbox::new();
    task(&sandbox, "TASK-1", &[agent("a", "running", json!({}))], json!({}));
    let path = sandbox.work("ws/registry/GLOBAL_REGISTRY.json");
    let entry = json!({"task_id": "TASK-1", "type": "tester", "started_at": LONG_AGO, "status": "completed", "last_update": LONG_AGO});
    dump(
        &sandbox,
        &path,
        &json!({"active_tasks": 2, "tasks": {"TASK-1": {"status": "INITIALIZED"}, "TASK-2": 7}, "agents": {"a": entry}, "active_agents": 0}),
    );
    let before = fs::read(&path).unwrap();
    let probe = run(&sandbox, 0, &["check", path.to_str().unwrap()]).of("registry.probe").remove(0);
    assert_eq!(probe["data"]["faults"][0]["code"], "global-differs", "{probe}");
    run(&sandbox, 0, &["repair", "--force", path.to_str().unwrap()]).ok();
    assert_eq!(fs::read(&path).unwrap(), before);
}
