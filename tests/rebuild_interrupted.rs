//! A signal, a kill, another run or a person at work while an installer is.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};
use tests::{Ran, Sandbox, arg};

use crate::ward;

/// An environment without an interpreter, and a uv that says over a pipe that it has begun to install and then waits.
struct Scene {
    sandbox: Sandbox,
    venv: PathBuf,
    old: std::collections::BTreeMap<PathBuf, String>,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let venv = sandbox.work("project/.venv");
        ward::wheel(&sandbox, "gadget", "1.0");
        ward::by_uv(&sandbox, &venv, &[]);
        ward::install(&sandbox, &venv, &["gadget"]);
        ward::kill(&venv);
        for pipe in ["begun", "go-on"] {
            assert!(Command::new("mkfifo").arg(sandbox.root().join(pipe)).status().unwrap().success());
        }
        let (root, uv) = (sandbox.root().display(), ward::on_path("uv"));
        let lines = format!("case $* in *install*) echo $$ >>{root}/begun; read -r _ <{root}/go-on;; esac\nexec {} \"$@\"", uv.display());
        tests::write_program(sandbox.root().join("slow/uv"), &lines);
        let old = ward::contents(&venv);
        Self { sandbox, venv, old }
    }

    /// Starts a rebuild and returns once its installer waits, with that one's process number.
    fn begin(&self) -> (Child, String) {
        let run = ward::rebuild(&self.sandbox, [arg("--force"), arg("--full"), arg(&self.venv)]);
        let child = run.env("PATH", ward::path_with(&self.sandbox.root().join("slow"))).start();
        let begun = self.pipe("begun");
        let patience = Timespec { tv_sec: 60, tv_nsec: 0 };
        assert_eq!(poll(&mut [PollFd::new(&begun, PollFlags::IN)], Some(&patience)), Ok(1), "the installer was never started");
        let mut pid = String::new();
        BufReader::new(begun).read_line(&mut pid).unwrap();
        (child, pid.trim().to_owned())
    }

    /// Lets every installer go on from now on, for as long as the file lives.
    fn go_on(&self) -> File {
        let mut pipe = self.pipe("go-on");
        pipe.write_all(&[b'\n'; 100]).unwrap();
        pipe
    }

    /// A named pipe, opened so that neither end is waited for.
    fn pipe(&self, name: &str) -> File {
        OpenOptions::new().read(true).write(true).open(self.sandbox.root().join(name)).unwrap()
    }

    fn again(&self) -> Ran {
        ward::force(&self.sandbox, &["--full"], &self.venv)
    }

    #[track_caller]
    fn is_as_before(&self) {
        ward::same(&self.old, &ward::contents(&self.venv));
        assert_eq!(ward::names(self.venv.parent().unwrap()), [".venv"]);
        assert!(ward::names(&self.state().join("journal")).is_empty());
    }

    fn state(&self) -> PathBuf {
        self.sandbox.root().join("state/mendline")
    }

    fn audited(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.state().join("audit.jsonl")).unwrap();
        text.lines().map(tests::schema::check).map(|mut record| record["data"]["outcome"].take()).collect()
    }
}

fn ended(child: Child) -> Ran {
    use std::os::unix::process::ExitStatusExt as _;
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Ran { code: output.status.code(), signal: output.status.signal(), stdout: output.stdout, stderr }
}

fn send(signal: &str, pid: &str) {
    assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
}

#[test]
fn a_signal_puts_the_old_state_back_and_is_died_of() {
    for (name, number) in [("-INT", 2), ("-TERM", 15), ("-HUP", 1)] {
        let scene = Scene::new();
        let (child, installer) = scene.begin();
        assert!(ward::is_running(&installer));
        send(name, &child.id().to_string());
        let ran = ended(child);
        assert_eq!((ran.signal, ran.code), (Some(number), None), "{}", ran.stderr);
        ward::told(&ran, "rebuild", "cancelled");
        assert!(!ward::is_running(&installer), "its installer goes with it");
        scene.is_as_before();
        assert_eq!(scene.audited(), ["started", "cancelled"]);
        ward::told(&scene.again().code(0), "rebuild", "done");
        ward::is_healthy(&scene.sandbox, &scene.venv);
    }
}

#[test]
fn a_second_signal_ends_it_at_once_and_the_next_run_puts_it_right() {
    let scene = Scene::new();
    let (child, installer) = scene.begin();
    // Stopped, so that both are there when it goes on.
    let pid = child.id().to_string();
    for signal in ["-STOP", "-INT", "-TERM", "-CONT"] {
        send(signal, &pid);
    }
    let ran = ended(child);
    assert!(matches!(ran.signal, Some(2 | 15)), "{ran:?}");
    assert!(!ward::is_running(&installer));
    ward::same(&scene.old, &ward::contents(&scene.venv));
    let ran = scene.again().code(0);
    let last = ran.of("action").pop().unwrap()["data"].take();
    assert_eq!((&last["verb"], &last["outcome"]), (&json!("rebuild"), &json!("done")));
    ward::is_healthy(&scene.sandbox, &scene.venv);
    assert_eq!(ward::backups(&scene.venv).len(), 1);
}

#[test]
fn killed_while_an_installer_works_it_leaves_the_old_environment_and_a_journal() {
    let scene = Scene::new();
    let (child, installer) = scene.begin();
    send("-KILL", &child.id().to_string());
    assert_eq!(ended(child).signal, Some(9));
    ward::same(&scene.old, &ward::contents(&scene.venv));
    assert_eq!(ward::names(&scene.state().join("journal")).len(), 1);
    // Nobody ends it now but we.
    send("-KILL", &installer);
    let ran = ward::rebuild(&scene.sandbox, ["--force"]).run().code(0);
    let data = ward::action(&ran)["data"].take();
    assert_eq!((&data["verb"], &data["outcome"], &data["changed"]), (&json!("rebuild"), &json!("undone"), &json!(false)), "{data}");
    scene.is_as_before();
    ward::told(&scene.again().code(0), "rebuild", "done");
    ward::is_healthy(&scene.sandbox, &scene.venv);
}

#[test]
fn of_two_runs_on_one_environment_the_second_steps_back() {
    let scene = Scene::new();
    let (child, _) = scene.begin();
    let ran = scene.again().code(75);
    let data = ward::told(&ran, "rebuild", "skipped");
    assert!(data["text"].as_str().unwrap().starts_with("another run holds the lock "), "{data}");
    let undo = ward::rebuild(&scene.sandbox, [arg("undo"), arg("--force"), arg(&scene.venv)]).run().code(75);
    ward::told(&undo, "undo", "skipped");
    let _pipe = scene.go_on();
    let ran = ended(child).code(0);
    ward::told(&ran, "rebuild", "done");
    ward::is_healthy(&scene.sandbox, &scene.venv);
    assert_eq!(ward::backups(&scene.venv).len(), 1);
}

#[test]
fn a_reader_that_goes_away_does_not_stop_a_change_in_hand() {
    let scene = Scene::new();
    let (mut child, _) = scene.begin();
    drop(child.stdout.take());
    let _pipe = scene.go_on();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    ward::is_healthy(&scene.sandbox, &scene.venv);
    assert_eq!(scene.audited(), ["started", "done"]);
    assert_eq!(ward::backups(&scene.venv).len(), 1);
}

/// A process that stands in a folder until it is dropped, in a group of its own, since who shares ours is one of us.
struct Standing(Child);

impl Standing {
    fn within(folder: &Path) -> Self {
        Self(Command::new("sleep").arg("600").current_dir(folder).process_group(0).spawn().unwrap())
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn who_came_while_a_new_one_was_built_keeps_the_old_one() {
    let scene = Scene::new();
    let (child, _) = scene.begin();
    let user = Standing::within(&scene.venv);
    let _pipe = scene.go_on();
    let data = ward::told(&ended(child).code(1), "rebuild", "skipped");
    assert_eq!(data["detail"]["in_use"], json!([{"pid": user.0.id(), "by": "cwd"}]), "{data}");
    scene.is_as_before();
}

#[test]
fn what_was_written_while_a_new_one_was_built_is_not_swapped_away() {
    for (name, text) in [("new.py", "x = 1\n"), ("gadget/__init__.py", "version = 'mine'\n")] {
        let scene = Scene::new();
        let (child, _) = scene.begin();
        let file = ward::packages(&scene.venv).join(name);
        // Not into the file itself, which uv's cache has as well.
        drop(fs::remove_file(&file));
        fs::write(&file, text).unwrap();
        let _pipe = scene.go_on();
        let data = ward::told(&ended(child).code(1), "rebuild", "skipped");
        let path = file.strip_prefix(&scene.venv).unwrap().to_str().unwrap();
        assert_eq!(data["detail"]["changed_meanwhile"], json!([path]), "{data}");
        assert_eq!(
            (fs::read_to_string(&file).unwrap().as_str(), ward::names(scene.venv.parent().unwrap())),
            (text, vec![".venv".to_owned()])
        );
        ward::told(&scene.again().code(0), "rebuild", "done");
    }
}

/// Between the last look and the exchange: the run is stopped right behind that.
#[test]
fn who_came_in_the_very_last_moment_gets_the_old_one_back() {
    let scene = Scene::new();
    let old = fs::metadata(&scene.venv).unwrap().ino();
    let words = ["-f", "-qq", "-b", "execve", "-e", "inject=renameat2:signal=SIGSTOP:when=1", "-o", "/dev/null"].map(arg);
    let rest = [arg(tests::binary("venv-rebuild")), arg("--force"), arg("--full"), arg(&scene.venv)];
    let child = ward::at_wheels(&scene.sandbox, scene.sandbox.command("strace", words.into_iter().chain(rest))).start();
    let deadline = Instant::now() + Duration::from_mins(1);
    while fs::metadata(&scene.venv).unwrap().ino() == old {
        assert!(Instant::now() < deadline, "nothing was exchanged");
        std::thread::sleep(Duration::from_millis(5));
    }
    let aside = ward::names(scene.venv.parent().unwrap()).into_iter().find(|name| name.contains(".mendline-")).unwrap();
    let user = Standing::within(&scene.venv.with_file_name(aside));
    let tool = fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap();
    send("-CONT", tool.trim());
    let data = ward::told(&ended(child).code(1), "rebuild", "skipped");
    assert_eq!(data["detail"]["in_use"], json!([{"pid": user.0.id(), "by": "cwd"}]), "{data}");
    scene.is_as_before();
}
