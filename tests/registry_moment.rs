//! What comes between the moment in which `tmux-registry` has read a registry and the one in which it writes: while it asks tmux once more.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tests::{Ran, Sandbox};

use crate::registry::{agent, read, task};
use crate::registry_live::{Tmux, reaped, statuses};
use crate::vault::{chmod, file};
use crate::ward::{on_path, path_with};

/// Adds an agent as a program does that takes no lock; `{}` is where the new text goes.
fn adds(registry: &Path, id: &str) -> String {
    let agent = agent(id, "completed", json!({}));
    format!(
        "import json\nregistry = json.load(open({path:?}))\nregistry['agents'].append(json.loads({agent:?}))\ntext = json.dumps(registry, \
         indent=2)\n",
        path = registry.to_str().unwrap(),
        agent = agent.to_string(),
    )
}

/// `repair --force` of all registries; a Python script runs whenever tmux is asked, from the second time on, until `last`.
fn repaired(sandbox: &Sandbox, last: u32, script: &str, code: i32) -> Ran {
    let bin = sandbox.root().join("bin");
    file(&bin.join("between.py"), script);
    let tmux = format!(
        "#!/bin/sh\necho >>{bin}/asked\nasked=$(wc -l <{bin}/asked)\n[ $asked -lt 2 ] || [ $asked -gt {last} ] || python3 {bin}/between.py\n\
         exec {tmux} \"$@\"\n",
        bin = bin.display(),
        tmux = on_path("tmux").display(),
    );
    file(&bin.join("tmux"), &tmux);
    chmod(&bin.join("tmux"), 0o755);
    let words = ["repair", "--force", "--all"];
    sandbox.tool("tmux-registry", words).env("PATH", path_with(&bin)).within(sandbox.work("")).run().code(code)
}

fn outcomes(sandbox: &Sandbox) -> Vec<Value> {
    let log = sandbox.root().join("state/mendline/audit.jsonl");
    let text = fs::read_to_string(&log).unwrap_or_else(|e| panic!("{}: {e}", log.display()));
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["data"]["outcome"].clone()).collect()
}

fn ids(path: &Path) -> Vec<String> {
    read(path)["agents"].as_array().unwrap().iter().map(|agent| agent["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_somebody_writes_there_without_the_lock_is_kept_and_the_rest_is_mended_again() {
    let sandbox = Sandbox::new();
    let path = task(&sandbox, "TASK-1", &[agent("a", "working", json!({}))], json!({}));
    let script = adds(&path, "late") + &format!("open({:?}, 'w').write(text)\n", path.to_str().unwrap());
    let ran = repaired(&sandbox, 2, &script, 0);
    assert_eq!(ran.of("action").iter().map(|action| action["data"]["outcome"].clone()).collect::<Vec<_>>(), [json!("done")]);
    assert_eq!(
        (statuses(&path), ids(&path)),
        (["terminated", "completed"].map(str::to_owned).to_vec(), ["a", "late"].map(str::to_owned).to_vec())
    );
    // What was begun and not done is on record as such.
    assert_eq!(outcomes(&sandbox), ["started", "undone", "started", "done"]);
}

#[test]
fn who_never_stops_writing_is_left_alone_and_it_is_said() {
    let sandbox = Sandbox::new();
    let path = task(&sandbox, "TASK-1", &[agent("a", "working", json!({}))], json!({}));
    let script = adds(&path, "late") + &format!("open({:?}, 'w').write(text)\n", path.to_str().unwrap());
    let ran = repaired(&sandbox, u32::MAX, &script, 2);
    assert!(ran.stderr.contains("somebody wrote to it without its lock"), "{}", ran.stderr);
    assert!(ran.of("action").is_empty());
    assert_eq!(read(&path)["agents"][0]["status"], "working");
    assert!(ids(&path).len() > 3, "each time one was added");
    let copies = fs::read_dir(path.parent().unwrap()).unwrap().count() - 1;
    assert_eq!(copies, 0, "a copy of what was not changed is of no use");
}

#[test]
fn a_registry_that_is_replaced_there_is_mended_as_it_is_then() {
    let sandbox = Sandbox::new();
    let path = task(&sandbox, "TASK-1", &[agent("a", "working", json!({}))], json!({}));
    let name = path.to_str().unwrap();
    let script =
        adds(&path, "late") + &format!("import os\nopen({name:?} + '.new', 'w').write(text)\nos.replace({name:?} + '.new', {name:?})\n");
    repaired(&sandbox, 2, &script, 0).ok();
    assert_eq!(
        (statuses(&path), ids(&path)),
        (["terminated", "completed"].map(str::to_owned).to_vec(), ["a", "late"].map(str::to_owned).to_vec())
    );
}

#[test]
fn a_session_that_comes_up_there_is_alive_in_every_registry() {
    let sandbox = Sandbox::new();
    let tmux = Tmux::new(&sandbox, "default");
    let path = task(&sandbox, "TASK-1", &[agent("a", "working", json!({})), agent("gone", "working", json!({}))], json!({}));
    let global = sandbox.work("ws/registry/GLOBAL_REGISTRY.json");
    let entry = |id: &str| json!({"task_id": "TASK-1", "tmux_session": format!("agent_{id}"), "status": "working", "started_at": crate::registry::LONG_AGO});
    let agents = json!({
        "total_tasks": 1, "active_tasks": 1, "total_agents_spawned": 2, "active_agents": 2, "max_concurrent_agents": 8,
        "tasks": {"TASK-1": {"status": "INITIALIZED"}}, "agents": {"a": entry("a"), "gone": entry("gone")},
    });
    crate::registry::dump(&sandbox, &global, &agents);
    let script = format!(
        "import subprocess\nsubprocess.run([{:?}, '-f', '/dev/null', '-S', {:?}, 'new-session', '-d', '-s', 'agent_a', 'sleep 600'])\n",
        on_path("tmux").to_str().unwrap(),
        tmux.socket.to_str().unwrap(),
    );
    repaired(&sandbox, 2, &script, 0).ok();
    assert_eq!(statuses(&path), ["working", "terminated"]);
    let agents = read(&global)["agents"].clone();
    assert_eq!([&agents["a"]["status"], &agents["gone"]["status"]], ["working", "terminated"], "{agents}");
    assert_eq!(read(&global)["active_agents"], 1);
}

#[test]
fn a_session_is_ended_by_what_tmux_calls_it_not_by_a_name_that_means_another() {
    let sandbox = Sandbox::new();
    let tmux = Tmux::new(&sandbox, "default");
    // `$0` is what tmux calls the very first session, too.
    tmux.session("$0", "sh");
    task(&sandbox, "TASK-1", &[agent("x", "completed", json!({}))], json!({}));
    let words = ["reap", "--all", "--force", "--min-age", "0s", "--prefix", "$"];
    let ran = crate::registry::run(&sandbox, 0, &words);
    assert_eq!(reaped(&ran), [("$0".to_owned(), "done".to_owned())]);
    assert_eq!(tmux.names(), ["keeper"]);
}
