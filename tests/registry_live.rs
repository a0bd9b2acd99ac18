//! `tmux-registry` against real servers of tmux: panes that live and die, odd names, several sockets, attached clients.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{Ran, Sandbox};

use crate::registry::{agent, read, run, task};

/// A server of its own, gone afterwards.
pub(crate) struct Tmux {
    pub(crate) socket: PathBuf,
}

impl Tmux {
    pub(crate) fn new(sandbox: &Sandbox, name: &str) -> Self {
        let folder = sandbox.root().join(format!("tmux-{}", rustix::process::getuid().as_raw()));
        fs::create_dir_all(&folder).unwrap();
        crate::vault::chmod(&folder, 0o700);
        let server = Self { socket: folder.join(name) };
        // Sessions that end leave the server, and panes that end stay to be seen.
        server.tmux(&["new-session", "-d", "-s", "keeper", "sleep 600"]);
        server.tmux(&["set-option", "-g", "remain-on-exit", "on"]);
        server
    }

    pub(crate) fn tmux(&self, words: &[&str]) -> String {
        // Where a server looks for its socket tells whose it is.
        let place = self.socket.ancestors().nth(2).unwrap();
        let mut tmux = Command::new("tmux");
        tmux.args(["-u", "-f", "/dev/null", "-S"]).arg(&self.socket).args(words).env_remove("TMUX").env("TMUX_TMPDIR", place);
        let output = tmux.output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn session(&self, name: &str, command: &str) {
        self.tmux(&["new-session", "-d", "-s", name, command]);
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.tmux(&["list-sessions", "-F", "#{session_name}"]).lines().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Waits until a pane of that session is dead.
    pub(crate) fn dies(&self, name: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.tmux(&["list-panes", "-t", &format!("={name}:"), "-F", "#{pane_dead}"]).contains('1') {
            assert!(Instant::now() < deadline, "{name} lives on");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = Command::new("tmux").arg("-S").arg(&self.socket).arg("kill-server").output();
    }
}

pub(crate) fn statuses(path: &std::path::Path) -> Vec<String> {
    read(path)["agents"].as_array().unwrap().iter().map(|agent| agent["status"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_live_pane_is_alive_and_a_dead_one_that_is_kept_is_not() {
    let sandbox = Sandbox::new();
    let tmux = Tmux::new(&sandbox, "default");
    tmux.session("agent_alive", "sleep 600");
    tmux.session("agent_dead", "exit 3");
    tmux.dies("agent_dead");
    // tmux writes these names in its own way.
    tmux.session("agent_tester.1-101112-abcdef", "sleep 600");
    // What begins so is another one.
    tmux.session("agent_short-and-more", "sleep 600");
    let names = ["alive", "dead", "tester.1-101112-abcdef", "short", "multi_agent_tester"];
    tmux.session("agent_multi_agent_tester", "sleep 600");
    let agents: Vec<Value> = names.iter().map(|name| agent(name, "working", json!({}))).collect();
    let path = task(&sandbox, "TASK-1", &agents, json!({}));
    run(&sandbox, 0, &["repair", "--force", "--all"]).ok();
    assert_eq!(statuses(&path), ["working", "terminated", "working", "terminated", "working"]);
    assert_eq!(
        [1, 3].map(|number| read(&path)["agents"][number]["termination_reason"].clone()),
        [json!("pane_dead"), json!("session_not_found")]
    );
    assert_eq!(read(&path)["active_count"], 3);
}

#[test]
fn every_server_that_is_named_is_asked() {
    let sandbox = Sandbox::new();
    let (one, two) = (Tmux::new(&sandbox, "one"), Tmux::new(&sandbox, "two"));
    one.session("agent_a", "sleep 600");
    two.session("agent_b", "sleep 600");
    task(&sandbox, "TASK-1", &[agent("a", "working", json!({})), agent("b", "working", json!({}))], json!({}));
    let gone = |words: &[&str]| -> u64 {
        let words: Vec<&str> = [&["check", "--all"][..], words].concat();
        run(&sandbox, 0, &words).of("registry.summary")[0]["data"]["gone"].as_u64().unwrap()
    };
    let path = two.socket.to_str().unwrap();
    assert_eq!([gone(&["-L", "one"]), gone(&["-L", "one", "-S", path]), gone(&["--all-sockets"])], [1, 0, 0]);
    let sessions = run(&sandbox, 0, &["sessions", "--all-sockets"]).of("tmux.session");
    let ids: Vec<&Value> = sessions.iter().filter_map(|session| session["data"].get("agent_id")).collect();
    assert_eq!(ids, ["a", "b"]);
}

#[test]
fn a_server_that_may_not_be_asked_is_not_none() {
    let sandbox = Sandbox::new();
    if !crate::vault::is_root() {
        return crate::vault::skipped("a_server_that_may_not_be_asked_is_not_none", "only root can become somebody else");
    }
    let _tmux = Tmux::new(&sandbox, "default");
    let path = task(&sandbox, "TASK-1", &[agent("a", "working", json!({}))], json!({}));
    let before = fs::read(&path).unwrap();
    crate::vault::chmod(sandbox.root(), 0o755);
    let program = sandbox.root().join("tmux-registry");
    tests::copy_program(tests::binary("tmux-registry"), &program);
    let socket = sandbox.root().join("tmux-0/default");
    crate::vault::chmod(&sandbox.root().join("tmux-0"), 0o711);
    let words = [
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        program.to_str().unwrap(),
        "repair",
        "-S",
        socket.to_str().unwrap(),
        path.to_str().unwrap(),
    ];
    let ran = sandbox.command("setpriv", words).run().code(2);
    assert!(ran.stderr.contains("so no agent is taken for gone"), "{}", ran.stderr);
    assert!(ran.of("action").is_empty());
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn orphans_are_those_that_no_registry_names() {
    let sandbox = Sandbox::new();
    let tmux = Tmux::new(&sandbox, "default");
    for name in ["agent_one", "agent_two", "agent_lost"] {
        tmux.session(name, "sleep 600");
    }
    let path = task(&sandbox, "TASK-1", &[agent("one", "working", json!({}))], json!({}));
    task(&sandbox, "TASK-2", &[agent("two", "working", json!({}))], json!({}));
    let all = run(&sandbox, 0, &["check", "--all"]);
    assert_eq!(all.of("registry.orphan").iter().map(|orphan| orphan["subject"].clone()).collect::<Vec<_>>(), [json!("agent_lost")]);
    let single = run(&sandbox, 0, &["check", path.to_str().unwrap()]);
    assert!(single.of("registry.orphan").is_empty() && single.stderr.contains("--all reads every one"), "{}", single.stderr);
    assert_eq!(single.of("registry.summary")[0]["data"]["orphans_judged"], json!(false));
    // Nor where one cannot be read.
    crate::vault::file(&sandbox.work("ws/TASK-3/AGENT_REGISTRY.json"), "torn");
    assert!(run(&sandbox, 0, &["check", "--all"]).of("registry.orphan").is_empty());
    run(&sandbox, 2, &["reap", "--all", "--force", "--min-age", "0s"]).ok();
    assert_eq!(tmux.names().len(), 4);
}

/// A client that looks at a session.
struct Client(Child);

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn reaped(ran: &Ran) -> Vec<(String, String)> {
    ran.of("action")
        .iter()
        .map(|action| (action["subject"].as_str().unwrap().to_owned(), action["data"]["outcome"].as_str().unwrap().to_owned()))
        .collect()
}

#[test]
fn reap_ends_only_what_nobody_needs_and_saves_what_it_showed() {
    let sandbox = Sandbox::new();
    let tmux = Tmux::new(&sandbox, "default");
    tmux.session("agent_dead", "echo precious last words; exit 3");
    tmux.dies("agent_dead");
    tmux.session("agent_idle", "sh");
    tmux.session("agent_busy", "sleep 600");
    tmux.session("agent_watched", "sh");
    tmux.session("agent_known", "sh");
    task(&sandbox, "TASK-1", &[agent("known", "terminated", json!({}))], json!({}));
    let client = Command::new("tmux")
        .args(["-C", "-S"])
        .arg(&tmux.socket)
        .args(["attach-session", "-t", "=agent_watched"])
        .env_remove("TMUX")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let _client = Client(client);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !tmux.tmux(&["list-sessions", "-F", "#{session_name} #{session_attached}"]).contains("agent_watched 1") {
        assert!(Instant::now() < deadline, "nobody is attached");
        std::thread::sleep(Duration::from_millis(20));
    }
    let young = run(&sandbox, 0, &["reap", "--all", "--force"]);
    assert!(reaped(&young).iter().all(|(_, outcome)| outcome == "skipped"), "{}", young.text());
    let words = ["reap", "--all", "--min-age", "0s"];
    let expected = |done: &str| {
        [("busy", "skipped"), ("dead", done), ("idle", done), ("watched", "skipped")]
            .map(|(name, how)| (format!("agent_{name}"), how.to_owned()))
    };
    assert_eq!(reaped(&run(&sandbox, 0, &words)), expected("planned"));
    assert_eq!(tmux.names().len(), 6);
    let done = run(&sandbox, 0, &[&words[..], &["--force"]].concat());
    assert_eq!(reaped(&done), expected("done"), "{}", done.text());
    assert_eq!(tmux.names(), ["agent_busy", "agent_known", "agent_watched", "keeper"]);
    let log = done.of("action")[1]["data"]["log"].as_str().unwrap().to_owned();
    assert!(fs::read_to_string(log).unwrap().contains("precious last words"));
    run(&sandbox, 2, &["reap", "--force"]).ok();
}

#[test]
fn watch_goes_on_until_it_is_stopped() {
    let sandbox = Sandbox::new();
    let tmux = Tmux::new(&sandbox, "default");
    tmux.session("agent_a", "sleep 600");
    let path = task(&sandbox, "TASK-1", &[agent("a", "working", json!({}))], json!({}));
    let words = ["watch", "--all", "--force", "--interval", "1s"];
    let mut child = sandbox.tool("tmux-registry", words).within(sandbox.work("")).start();
    drop(child.stdin.take());
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(statuses(&path), ["working"]);
    tmux.tmux(&["kill-session", "-t", "=agent_a"]);
    let deadline = Instant::now() + Duration::from_secs(30);
    while statuses(&path) != ["terminated"] {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "it does not watch");
        std::thread::sleep(Duration::from_millis(50));
    }
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let status = child.wait_with_output().unwrap().status;
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(2));
}

#[test]
fn the_hook_of_a_start_mends_everything_below_and_never_fails_its_caller() {
    let sandbox = Sandbox::new();
    let path = task(&sandbox, "TASK-1", &[agent("a", "working", json!({}))], json!({}));
    let hook = tests::workspace().join("scripts/hooks/on-start-registry");
    let bin = tests::binary("tmux-registry").parent().unwrap().display().to_string();
    let start = |folder: &str| sandbox.command(&hook, [folder]).env("MENDLINE_BIN", &bin).within(sandbox.work("")).run().code(0);
    let started = start("ws");
    assert_eq!((started.text().as_str(), statuses(&path)), ("", vec!["terminated".to_owned()]));
    assert!(started.stderr.contains(": terminated 1 zombie, corrected active_count (1 -> 0)"), "{}", started.stderr);
    assert_eq!(start("ws").stderr, "");
    assert!(start("nowhere").stderr.contains("not everything below nowhere could be mended"));
}

#[test]
fn the_old_options_give_the_old_report() {
    let sandbox = Sandbox::new();
    let tmux = Tmux::new(&sandbox, "default");
    tmux.session("agent_lost", "sleep 600");
    let path = task(&sandbox, "TASK-1", &[agent("a", "working", json!({})), agent("b", "completed", json!({}))], json!({}));
    let script = tests::workspace().join("scripts/compat/repair_registry");
    let bin = tests::binary("tmux-registry").parent().unwrap().display().to_string();
    let report = |words: &[&str], code: i32| -> Value {
        let ran = sandbox.command(&script, words).env("MENDLINE_BIN", &bin).within(sandbox.work("")).run().code(code);
        serde_json::from_str(&ran.text()).unwrap_or_default()
    };
    let before = fs::read(&path).unwrap();
    let planned = report(&["--all", "--dry-run", "--workspace", "ws"], 0);
    let registry = &planned["registries"][0];
    assert_eq!(registry["summary"], "[DRY RUN] Terminated 1 zombies, found 1 orphans, corrected active_count (1 -> 0)");
    assert_eq!((&registry["dry_run"], &registry["changes"]["zombies_terminated"][0]["agent_id"]), (&json!(true), &json!("a")));
    assert_eq!(fs::read(&path).unwrap(), before);
    let done = report(&["--task", "TASK-1"], 0);
    assert_eq!((&done["registries"][0]["success"], &done["summary"]["total_zombies_terminated"]), (&json!(true), &json!(1)));
    assert_eq!(report(&["--all"], 0)["registries"][0]["summary"], "Terminated 0 zombies, found 1 orphans, verified active_count (0 -> 0)");
    assert_eq!(report(&[], 2), Value::Null);
}

#[test]
fn a_person_sees_tables() {
    let sandbox = Sandbox::new();
    let tmux = Tmux::new(&sandbox, "default");
    tmux.session("agent_lost", "sleep 600");
    task(&sandbox, "TASK-1", &[agent("a", "working", json!({}))], json!({}));
    task(&sandbox, "TASK-2", &[agent("b", "completed", json!({}))], json!({}));
    let text = run(&sandbox, 0, &["check", "--all", "--format", "text"]).text();
    for line in [
        "✗ broken   TASK-1/AGENT_REGISTRY.json  1 agent  0 at work",
        "    a is working and is gone",
        "✓ healthy  TASK-2/AGENT_REGISTRY.json  1 agent  0 at work",
        "2 registries: 1 healthy, 1 broken",
        "Sessions that no registry names",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let sessions = run(&sandbox, 0, &["sessions", "--format", "text"]).text();
    assert!(sessions.contains("✓ alive  agent_lost"), "{sessions}");
}

#[test]
fn names_are_held_against_what_tmux_makes_of_them() {
    let sandbox = Sandbox::new();
    let tmux = Tmux::new(&sandbox, "default");
    let names = ["a$HOME", "back\\slash", "plain$1", "tester:1"];
    for name in names {
        tmux.session(&format!("agent_{name}"), "sleep 600");
    }
    tmux.session("agents", "sleep 600");
    let mut agents: Vec<Value> = names.iter().map(|name| agent(name, "working", json!({}))).collect();
    agents.push(agent("window", "working", json!({"tmux_session": "agents:worker-1"})));
    agents.push(agent("control\u{1}", "working", json!({})));
    let path = task(&sandbox, "TASK-1", &agents, json!({}));
    let ran = run(&sandbox, 0, &["repair", "--force", "--all"]);
    assert!(ran.of("action").is_empty(), "{}", ran.text());
    assert_eq!(statuses(&path), vec!["working"; 6]);
    assert!(run(&sandbox, 0, &["check", "--all"]).of("registry.orphan").is_empty());
}

#[test]
fn a_server_that_nobody_asked_keeps_everybody_from_being_gone() {
    let sandbox = Sandbox::new();
    let path = task(&sandbox, "TASK-1", &[agent("a", "working", json!({}))], json!({}));
    let before = fs::read(&path).unwrap();
    // Its socket is gone, or it is another one than the default.
    for remove in [true, false] {
        let tmux = Tmux::new(&sandbox, if remove { "default" } else { "other" });
        tmux.session("agent_a", "sleep 600");
        let server: i32 = tmux.tmux(&["display-message", "-p", "#{pid}"]).trim().parse().unwrap();
        if remove {
            fs::remove_file(&tmux.socket).unwrap();
        }
        let words = ["repair", "--force", "--all"];
        let ran = sandbox.tool("tmux-registry", words).env("MENDLINE_NO_OTHER_SERVERS", "false").within(sandbox.work("")).run().code(2);
        assert!(ran.stderr.contains("that was not asked; -S names"), "{}", ran.stderr);
        assert_eq!(fs::read(&path).unwrap(), before);
        assert!(Command::new("kill").arg(server.to_string()).status().unwrap().success());
        while fs::read_to_string(format!("/proc/{server}/comm")).is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    run(&sandbox, 0, &["repair", "--force", "--all"]).ok();
    assert_eq!(statuses(&path), ["terminated"]);
}

#[test]
fn from_within_tmux_its_own_server_is_asked_too() {
    let sandbox = Sandbox::new();
    let tmux = Tmux::new(&sandbox, "nest");
    tmux.session("agent_a", "sleep 600");
    let path = task(&sandbox, "TASK-1", &[agent("a", "working", json!({}))], json!({}));
    let within = format!("{},1,0", tmux.socket.display());
    sandbox.tool("tmux-registry", ["repair", "--force", "--all"]).env("TMUX", within).within(sandbox.work("")).run().code(0).ok();
    assert_eq!(statuses(&path), ["working"]);
}

#[test]
fn reap_spares_what_still_works_and_what_it_cannot_know() {
    let sandbox = Sandbox::new();
    let tmux = Tmux::new(&sandbox, "default");
    tmux.session("agent_loop", "sh -c 'while :; do read -t 600 x; done'");
    tmux.session("agent_behind", "sh");
    tmux.tmux(&["send-keys", "-t", "=agent_behind:", "(sleep 120 &)", "Enter"]);
    std::thread::sleep(Duration::from_millis(500));
    tmux.session("agent_idle", "sh");
    let words = ["reap", "--all", "--min-age", "0s", "--force"];
    // Without any registry every session would be nobody's.
    run(&sandbox, 2, &words).ok();
    let path = task(&sandbox, "TASK-1", &[json!({"id": 7, "status": "working"})], json!({}));
    run(&sandbox, 2, &words).ok();
    fs::remove_file(path).unwrap();
    task(&sandbox, "TASK-2", &[agent("x", "completed", json!({}))], json!({}));
    let outside = sandbox.root().join("outside");
    fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, sandbox.work("ws/linked")).unwrap();
    assert!(run(&sandbox, 2, &words).stderr.contains("is a link to a folder"));
    let with_it = [&words[..], &["--workspace", ".", "--workspace", outside.to_str().unwrap()]].concat();
    let expected =
        [("behind", "skipped"), ("idle", "done"), ("loop", "skipped")].map(|(name, how)| (format!("agent_{name}"), how.to_owned()));
    assert_eq!(reaped(&run(&sandbox, 0, &with_it)), expected);
    assert_eq!(tmux.names(), ["agent_behind", "agent_loop", "keeper"]);
}
