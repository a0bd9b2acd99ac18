//! `restart-service` under real managers, supervisor and pm2, each with a server on loopback that is killed or hangs.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tests::{Ran, Run, Sandbox};

use crate::heal::{heal, outcome};
use crate::heal_service::{answers, free_port, refused, wait_until};
use crate::vault::file;
use crate::ward::{is_running, python};

/// A project whose one service is run by a manager, under a name that the manager has for it.
fn project(manager: &str, name: &str, port: u16) -> Sandbox {
    let sandbox = Sandbox::new();
    list(&sandbox, manager, name, port);
    sandbox
}

fn list(sandbox: &Sandbox, manager: &str, name: &str, port: u16) {
    let health = json!({ "http": format!("http://127.0.0.1:{port}/") });
    let list = json!({ "services": [{ "name": "web", manager: name, "health": health }] });
    file(&sandbox.work("services.json"), list.to_string());
}

fn pid(text: &str) -> Pid {
    Pid::from_raw(text.trim().parse().unwrap_or_else(|_| panic!("no number of a process: {text}"))).unwrap()
}

fn server(port: u16) -> String {
    format!("-m http.server {port} --bind 127.0.0.1")
}

/// Supervisor with the service `web`, and another one, in one group; it ends with the test.
struct Supervisor {
    sandbox: Sandbox,
    port: u16,
    daemon: Child,
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // It ends what it started before it ends.
        let _ = kill_process(Pid::from_child(&self.daemon), Signal::TERM);
        let _ = self.daemon.wait();
    }
}

impl Supervisor {
    fn start() -> Self {
        let port = free_port();
        let sandbox = project("supervisor", "shop:web", port);
        let text = format!(
            "[supervisord]\nnodaemon=true\nlogfile=%(here)s/d.log\npidfile=%(here)s/d.pid\n[unix_http_server]\nfile=%(here)s/d.sock\n\
             [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
             [supervisorctl]\nserverurl=unix://%(here)s/d.sock\n[program:web]\ncommand={} {}\nautorestart=false\nstopwaitsecs=2\n\
             [program:other]\ncommand=sleep 600\n[group:shop]\nprograms=web,other\n",
            python().display(),
            server(port)
        );
        file(&sandbox.work("supervisord.conf"), text);
        let mut run = sandbox.command("supervisord", ["-c", "supervisord.conf"]).within(sandbox.work("")).start();
        // Nobody reads what it says, which is in its log as well.
        drop((run.stdin.take(), run.stdout.take(), run.stderr.take()));
        let started = Self { sandbox, port, daemon: run };
        wait_until(|| answers(port) && started.status("other").contains("RUNNING"));
        started
    }

    fn asked(&self, words: &[&str]) -> Ran {
        self.sandbox.command("supervisorctl", words).within(self.sandbox.work("")).run()
    }

    fn status(&self, name: &str) -> String {
        self.asked(&["status", &format!("shop:{name}")]).text()
    }

    fn pid(&self, name: &str) -> Pid {
        pid(&self.asked(&["pid", &format!("shop:{name}")]).text())
    }

    fn heal(&self, code: i32) -> (String, String, String) {
        outcome(&heal(&self.sandbox, ["--force"]).input(refused(self.port)).run().code(code))
    }
}

#[test]
fn supervisor_starts_a_service_again_that_was_killed_or_hangs_and_no_other() {
    let supervisor = Supervisor::start();
    let (web, other) = (supervisor.pid("web"), supervisor.pid("other"));
    kill_process(web, Signal::KILL).unwrap();
    wait_until(|| !answers(supervisor.port));
    let (verb, ended, why) = supervisor.heal(0);
    assert_eq!((&*verb, &*ended), ("restart-service", "done"), "{why}");
    let again = supervisor.pid("web");
    assert_ne!(again, web);

    // It takes connections, which its kernel does, and answers nothing; nor does it end when it is asked to.
    kill_process(again, Signal::STOP).unwrap();
    let (_, ended, why) = supervisor.heal(0);
    assert_eq!(ended, "done", "{why}");
    assert!(!is_running(&again.as_raw_nonzero().to_string()));
    assert_eq!((supervisor.pid("other"), supervisor.heal(0).1.as_str()), (other, "skipped"));
}

#[test]
fn what_supervisor_does_not_know_fails_and_is_said() {
    let supervisor = Supervisor::start();
    kill_process(supervisor.pid("web"), Signal::KILL).unwrap();
    wait_until(|| !answers(supervisor.port));
    // Within a group it is known by the name of the group as well.
    list(&supervisor.sandbox, "supervisor", "web", supervisor.port);
    let (_, ended, why) = supervisor.heal(1);
    assert!(ended == "failed" && why.contains("web: ERROR (no such process)"), "{ended}: {why}");
}

/// pm2 with a home of its own; its daemon ends with the test.
struct Pm2(Sandbox, u16);

impl Drop for Pm2 {
    fn drop(&mut self) {
        let Some(daemon) = self.daemon() else { return };
        // It ends what it started before it ends.
        if kill_process(pid(&daemon), Signal::TERM).is_ok() {
            wait_until(|| !is_running(daemon.trim()));
        }
    }
}

impl Pm2 {
    /// None of its services runs yet.
    fn new() -> Self {
        let port = free_port();
        Self(project("pm2", "web", port), port)
    }

    fn start() -> Self {
        let pm2 = Self::new();
        let port = pm2.1.to_string();
        let interpreter = python().to_str().unwrap();
        let web = ["start", interpreter, "--name", "web", "--interpreter", "none", "--no-autorestart", "--", "-m", "http.server", &port];
        pm2.asked(&[&web[..], &["--bind", "127.0.0.1"]].concat()).code(0).ok();
        pm2.asked(&["start", "sleep", "--name", "other", "--interpreter", "none", "--", "600"]).code(0).ok();
        wait_until(|| answers(pm2.1));
        pm2
    }

    fn home(&self) -> PathBuf {
        self.0.root().join("pm2")
    }

    fn daemon(&self) -> Option<String> {
        fs::read_to_string(self.home().join("pm2.pid")).ok()
    }

    fn with_home(&self, run: Run) -> Run {
        run.env("PM2_HOME", self.home()).within(self.0.work(""))
    }

    fn asked(&self, words: &[&str]) -> Ran {
        // The daemon goes on, and would hold a pipe open.
        let log = fs::File::create(self.0.root().join("pm2.log")).unwrap();
        self.with_home(self.0.command("pm2", words)).run_into(Stdio::from(log))
    }

    fn pid(&self, name: &str) -> Pid {
        self.asked(&["pid", name]).code(0).ok();
        pid(&fs::read_to_string(self.0.root().join("pm2.log")).unwrap())
    }

    fn heal(&self, code: i32) -> (String, String, String) {
        outcome(&self.with_home(heal(&self.0, ["--force"])).input(refused(self.1)).run().code(code))
    }
}

#[test]
fn pm2_starts_a_service_again_that_was_killed_or_hangs_and_no_other() {
    let pm2 = Pm2::start();
    let (web, other) = (pm2.pid("web"), pm2.pid("other"));
    kill_process(web, Signal::KILL).unwrap();
    wait_until(|| !answers(pm2.1));
    let (verb, ended, why) = pm2.heal(0);
    assert_eq!((&*verb, &*ended), ("restart-service", "done"), "{why}");
    let again = pm2.pid("web");
    assert_ne!(again, web);

    kill_process(again, Signal::STOP).unwrap();
    let (_, ended, why) = pm2.heal(0);
    assert_eq!(ended, "done", "{why}");
    assert!(!is_running(&again.as_raw_nonzero().to_string()));
    assert_eq!((pm2.pid("other"), pm2.heal(0).1.as_str()), (other, "skipped"));
}

#[test]
fn what_pm2_would_take_for_more_than_one_service_is_not_restarted() {
    // All that is in no other namespace is in this one.
    for (name, namespace, says) in
        [("default", "shop", "pm2 runs nothing that is called default"), ("web", "web", "web is a namespace of pm2")]
    {
        let pm2 = Pm2::start();
        let third = ["start", "sleep", "--name", "third", "--namespace", namespace, "--interpreter", "none", "--", "600"];
        pm2.asked(&third).code(0).ok();
        let pids = || ["web", "other", "third"].map(|name| pm2.pid(name));
        let before = pids();
        kill_process(before[0], Signal::STOP).unwrap();
        list(&pm2.0, "pm2", name, pm2.1);
        let (_, ended, why) = pm2.heal(1);
        assert!(ended == "failed" && why.contains(says), "{ended}: {why}");
        assert_eq!(pids(), before);
    }
}

#[test]
fn a_daemon_of_pm2_that_does_not_run_is_not_started() {
    let pm2 = Pm2::new();
    let (_, ended, why) = pm2.heal(1);
    assert!(ended == "failed" && why.contains("does not run"), "{ended}: {why}");
    assert!(!pm2.home().exists());
}
