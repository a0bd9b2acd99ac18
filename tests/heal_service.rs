//! `restart-service` on real servers on loopback that were killed: found, started again, proved by their own check, and not for ever.
#![cfg(target_os = "linux")]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};
use tests::{Sandbox, write_program};

use crate::heal::{asked, diagnosis, from_script, heal, outcome};
use crate::vault::{file, inventory, same};
use crate::ward::{is_running, path_with, python};

/// Ends what a test has had started, whatever becomes of the test.
struct Started(Sandbox);

impl Drop for Started {
    fn drop(&mut self) {
        for pid in pids(&self.0) {
            // It may be over, or never have been.
            let _ = kill_process_group(Pid::from_raw(pid).unwrap(), Signal::KILL);
        }
    }
}

/// What the ledger says that runs.
fn pids(sandbox: &Sandbox) -> Vec<i32> {
    let Ok(ledger) = fs::read(sandbox.root().join("state/mendline/heal.services.json")) else { return Vec::new() };
    let ledger: Value = serde_json::from_slice(&ledger).unwrap();
    let services = ledger["services"].as_object().unwrap().values();
    services.filter_map(|page| i32::try_from(page["running"]["pid"].as_i64()?).ok()).collect()
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A project with one service.
fn project(restart: &Value, health: &Value) -> Started {
    let sandbox = Sandbox::new();
    let list = json!({ "services": [{ "name": "web", "restart": restart, "health": health }] });
    file(&sandbox.work("services.json"), list.to_string());
    Started(sandbox)
}

pub(crate) fn refused(port: u16) -> String {
    diagnosis("port.refused", "restart-service", json!({ "host": "127.0.0.1", "port": port.to_string() }))
}

fn http_server(port: u16) -> Value {
    json!([python(), "-m", "http.server", port.to_string(), "--bind", "127.0.0.1"])
}

pub(crate) fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[test]
fn a_server_that_is_gone_is_found_by_its_port_started_and_proved() {
    let port = free_port();
    let started = project(&http_server(port), &json!({ "http": format!("http://127.0.0.1:{port}/") }));
    let sandbox = &started.0;
    file(&sandbox.work("client.py"), format!("import urllib.request\nprint(urllib.request.urlopen('http://127.0.0.1:{port}/').status)\n"));
    let before = inventory(&sandbox.work(""));
    let planned = from_script(sandbox, python(), "client.py", 0, &[]);
    assert_eq!(outcome(&planned).1, "planned", "{}", planned.text());
    assert!(!answers(port));
    same(&before, &inventory(&sandbox.work("")));

    let ran = from_script(sandbox, python(), "client.py", 0, &["--force"]);
    assert_eq!(outcome(&ran).1, "done", "{}", ran.text());
    let runs = sandbox.command(python(), ["client.py"]).within(sandbox.work("")).run().code(0);
    assert_eq!(runs.text(), "200\n");
    assert_eq!(outcome(&asked(sandbox, 0, &["--force"], &refused(port))).1, "skipped");

    // Killed, and started again: what is ended is what was started, known by more than its number.
    let [first] = pids(sandbox)[..] else { panic!("one service") };
    kill_process(Pid::from_raw(first).unwrap(), Signal::KILL).unwrap();
    wait_until(|| !answers(port));
    assert_eq!(outcome(&asked(sandbox, 0, &["--force"], &refused(port))).1, "done");
    assert_ne!(pids(sandbox), [first]);
}

#[track_caller]
pub(crate) fn wait_until(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "it does not come about");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn one_that_hangs_is_ended_by_its_identity_and_started_again() {
    let port = free_port();
    // The first of them takes connections and answers nothing; the second one is well.
    let script = format!(
        "import http.server, os, socket\nif not os.path.exists('hung'):\n    open('hung', 'w').close()\n    s = socket.create_server(('127.0.0.1', \
         {port}))\n    s.listen()\n    while True: s.accept()\nhttp.server.test(http.server.SimpleHTTPRequestHandler, port={port}, bind='127.0.0.1')\n"
    );
    let started = project(&json!([python(), "server.py"]), &json!({ "tcp": format!("127.0.0.1:{port}") }));
    let sandbox = &started.0;
    file(&sandbox.work("server.py"), script);
    assert_eq!(outcome(&asked(sandbox, 0, &["--force"], &refused(port))).1, "done");
    let [hung] = pids(sandbox)[..] else { panic!("one service") };
    let health = json!({ "http": format!("http://127.0.0.1:{port}/") });
    let list = json!({ "services": [{ "name": "web", "restart": [python(), "server.py"], "health": health }] });
    file(&sandbox.work("services.json"), list.to_string());
    assert_eq!(outcome(&asked(sandbox, 0, &["--force"], &refused(port))).1, "done");
    assert!(!is_running(&hung.to_string()));
    assert_ne!(pids(sandbox), [hung]);
}

#[test]
fn a_web_socket_is_proved_by_its_handshake() {
    let port = free_port();
    let server = format!(
        "import base64, hashlib, http.server\nclass H(http.server.BaseHTTPRequestHandler):\n    protocol_version = 'HTTP/1.1'\n    def do_GET(self):\n        \
         key = self.headers['Sec-WebSocket-Key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'\n        self.send_response(101)\n        \
         self.send_header('Upgrade', 'websocket')\n        self.send_header('Connection', 'Upgrade')\n        self.send_header('Sec-WebSocket-Accept', \
         base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())\n        self.end_headers()\n        self.close_connection = True\n\
         http.server.HTTPServer(('127.0.0.1', {port}), H).serve_forever()\n"
    );
    let started = project(&json!([python(), "server.py"]), &json!({ "websocket": format!("ws://127.0.0.1:{port}/socket") }));
    let sandbox = &started.0;
    file(&sandbox.work("server.py"), server);
    let record = diagnosis("websocket.lost", "restart-service", json!({ "url": format!("ws://127.0.0.1:{port}/socket") }));
    assert_eq!(outcome(&asked(sandbox, 0, &["--force"], &record)).1, "done");
}

#[test]
fn a_web_server_is_no_web_socket_and_after_three_attempts_it_gives_up() {
    let port = free_port();
    // Ended at once, so that the attempts take no longer than their delays.
    let started = project(
        &json!(["sh", "-c", "echo 'no configuration: api_key=hunter2secret' >&2; exit 3"]),
        &json!({ "tcp": format!("127.0.0.1:{port}") }),
    );
    let sandbox = &started.0;
    let began = Instant::now();
    let (_, ended, why) = outcome(&asked(sandbox, 1, &["--force"], &refused(port)));
    assert!(ended == "failed" && why.contains("gave up after 3 attempts"), "{ended}: {why}");
    assert!(why.contains("no configuration") && !why.contains("hunter2secret"), "{why}");
    assert!(began.elapsed() >= Duration::from_millis(3750), "{:?}", began.elapsed());
    // The next run, from cron, say, does not even try.
    let ran = asked(sandbox, 1, &["--force"], &refused(port));
    assert_eq!(ran.of("action")[0]["data"]["detail"]["gave_up"], json!(true), "{}", ran.text());
    assert!(!answers(port));
}

#[test]
fn who_is_not_ours_is_left_alone() {
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = stranger.local_addr().unwrap().port();
    let started = project(&http_server(port), &json!({ "http": format!("http://127.0.0.1:{port}/") }));
    let (_, ended, why) = outcome(&asked(&started.0, 1, &["--force"], &refused(port)));
    assert!(ended == "failed" && why.contains(&format!("process {} has port {port}", std::process::id())), "{ended}: {why}");
    assert!(answers(port));
}

#[test]
fn what_is_listed_badly_or_not_at_all_is_said_and_nothing_is_started() {
    let sandbox = Sandbox::new();
    let said = |code: i32, record: &str| outcome(&asked(&sandbox, code, &["--force"], record)).2;
    assert!(said(1, &refused(9)).contains("services.json in the root of the project can name it"));
    let elsewhere = diagnosis("port.refused", "restart-service", json!({ "host": "db.example.com", "port": "5432" }));
    assert!(said(1, &elsewhere).contains("not on this machine"));
    let health = json!({ "tcp": "127.0.0.1:9" });
    let cases = [
        (json!({ "services": [{ "name": "a", "health": health }] }), "exactly one of restart"),
        (json!({ "services": [{ "name": "a", "restart": [], "health": health }] }), "the command is empty"),
        (json!({ "services": [{ "name": "a", "systemd": "*", "health": health }] }), "no name of one service"),
        (json!({ "services": [{ "name": "a", "pm2": "all", "health": health }] }), "no name of one service"),
        (json!({ "services": [{ "name": "a", "pm2": "web.json", "health": health }] }), "no name of one service"),
        (json!({ "services": [{ "name": "a", "supervisor": "group:", "health": health }] }), "no name of one service"),
        (json!({ "services": [{ "name": "a", "restart": ["x"], "health": {} }] }), "exactly one of tcp"),
        (json!({ "services": [{ "name": "a", "restart": ["x"], "health": { "tcp": "example.com:9" } }] }), "not on this machine"),
        (json!({ "services": [{ "name": "a", "restart": ["x"], "folder": "..", "health": health }] }), "goes up by"),
        (json!({ "services": [{ "name": "a", "command": ["x"], "health": health }] }), "unknown field"),
    ];
    for (list, why) in cases {
        file(&sandbox.work("services.json"), list.to_string());
        let text = said(1, &refused(9));
        assert!(text.contains(why), "{list}: {text}");
    }
    assert!(!sandbox.root().join("state/mendline/heal.services.json").exists());
}

/// A stand-in for systemd, which cannot be had without the machine being its own.
#[test]
fn systemd_is_asked_by_the_name_of_the_service_alone() {
    let port = free_port();
    let sandbox = Sandbox::new();
    let health = json!({ "tcp": format!("127.0.0.1:{port}") });
    let list = json!({ "services": [{ "name": "web", "systemd": "web", "health": health }] });
    file(&sandbox.work("services.json"), list.to_string());
    let bin = sandbox.root().join("bin");
    let server = format!("{} -m http.server {port} --bind 127.0.0.1", python().display());
    write_program(bin.join("systemctl"), &format!("echo \"$@\" >asked\n{server} >/dev/null 2>&1 &\necho $! >pid\nsleep 0.2\n"));
    let ran = heal(&sandbox, ["--force"]).env("PATH", path_with(&bin)).input(refused(port)).run();
    assert_eq!(fs::read_to_string(sandbox.work("asked")).unwrap().trim(), "restart -- web");
    if let Ok(pid) = fs::read_to_string(sandbox.work("pid")).unwrap().trim().parse().map(|pid: i32| Pid::from_raw(pid).unwrap()) {
        // It is in the group of the manager, which ends with it.
        let _ = kill_process(pid, Signal::KILL);
    }
    assert_eq!(outcome(&ran.code(0)).1, "done");
}

#[test]
fn its_log_and_its_folder_are_where_they_belong() {
    let port = free_port();
    let started = project(&http_server(port), &json!({ "tcp": format!("127.0.0.1:{port}") }));
    let sandbox = &started.0;
    asked(sandbox, 0, &["--force"], &refused(port)).ok();
    let [pid] = pids(sandbox)[..] else { panic!("one service") };
    assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), sandbox.work("").canonicalize().unwrap());
    assert_eq!(fs::read_link(format!("/proc/{pid}/fd/0")).unwrap(), Path::new("/dev/null"));
    assert_eq!(
        fs::read_link(format!("/proc/{pid}/fd/1")).unwrap(),
        sandbox.root().join("state/mendline/services/web.log").canonicalize().unwrap()
    );
}
