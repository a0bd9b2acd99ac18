//! Hostile ground: no room, no permission, installers that hang, fail or lie, and requirements that want more than packages.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tests::{Ran, Sandbox, arg, binary};

use crate::ward;

/// An environment of two packages.
fn whole(sandbox: &Sandbox) -> PathBuf {
    let venv = sandbox.work("project/.venv");
    for name in ["gadget", "gizmo"] {
        ward::wheel(sandbox, name, "1.0");
    }
    ward::by_uv(sandbox, &venv, &[]);
    ward::install(sandbox, &venv, &["gadget", "gizmo"]);
    venv
}

/// The same, with one of them ill: what is left works.
fn degraded(sandbox: &Sandbox) -> PathBuf {
    let venv = whole(sandbox);
    fs::remove_file(ward::packages(&venv).join("gizmo-1.0.dist-info/METADATA")).unwrap();
    venv
}

/// The same, without an interpreter.
fn dead(sandbox: &Sandbox) -> PathBuf {
    let venv = whole(sandbox);
    ward::kill(&venv);
    venv
}

/// A run with a uv of the test's own in front, which is given what it does instead of installing.
fn with_uv(sandbox: &Sandbox, instead: &str, args: &[&str], venv: &Path) -> Ran {
    let lines = format!("case $* in *install*) {instead};; esac\nexec {} \"$@\"", ward::on_path("uv").display());
    tests::write_program(sandbox.root().join("front/uv"), &lines);
    let args = args.iter().map(arg).chain([arg("--force"), arg(venv)]);
    ward::rebuild(sandbox, args).env("PATH", ward::path_with(&sandbox.root().join("front"))).run()
}

#[track_caller]
fn nothing_happened(venv: &Path, old: &std::collections::BTreeMap<PathBuf, String>) {
    ward::same(old, &ward::contents(venv));
    let beside: Vec<_> = ward::names(venv.parent().unwrap()).into_iter().filter(|name| name.starts_with(".venv")).collect();
    assert_eq!(beside, [".venv"]);
}

#[test]
fn an_installer_that_hangs_is_ended_with_its_children() {
    let sandbox = Sandbox::new();
    let venv = degraded(&sandbox);
    let old = ward::contents(&venv);
    let pids = sandbox.root().join("pids");
    let hang = format!("sleep 600 & echo $! >>{0}; echo $$ >>{0}; wait", pids.display());
    let data = ward::told(&with_uv(&sandbox, &hang, &["--timeout", "1s"], &venv).code(1), "rebuild", "failed");
    let said = data["detail"]["reasons"].as_array().unwrap().iter().find(|reason| reason["rung"] == "packages").unwrap();
    assert!(said["why_not"].as_str().unwrap().ends_with("uv did not come to an end in time"), "{data}");
    nothing_happened(&venv, &old);
    let pids = fs::read_to_string(pids).unwrap();
    assert!(pids.lines().count() >= 4 && !pids.lines().any(ward::is_running), "{pids}");
}

#[test]
fn an_installer_that_fails_half_way_is_no_success() {
    let sandbox = Sandbox::new();
    let venv = degraded(&sandbox);
    let old = ward::contents(&venv);
    // Removes what is there, writes a part of what should be, and gives up.
    let script = format!(
        "find {} -name gizmo -exec rm -r {{}} +; mkdir -p {}; echo 'error: disk on fire' >&2; exit 1",
        "$PWD/.venv.mendline-*", "$PWD/half"
    );
    let ran = with_uv(&sandbox, &script, &[], &venv).code(1);
    let data = ward::told(&ran, "rebuild", "failed");
    assert!(data["text"].as_str().unwrap().contains("disk on fire"), "{data}");
    nothing_happened(&venv, &old);
}

#[test]
fn an_installer_that_lies_is_found_out() {
    let sandbox = Sandbox::new();
    let venv = degraded(&sandbox);
    let old = ward::contents(&venv);
    for args in [&[][..], &["--full"]] {
        let data = ward::told(&with_uv(&sandbox, "exit 0", args, &venv).code(1), "rebuild", "failed");
        assert_eq!(data["text"], "gizmo==1.0 could not be installed: uv reports no error, and it is not there", "{data}");
        nothing_happened(&venv, &old);
    }

    // What the old one still has, whole, is taken from there; what it has not is missed.
    let sandbox = Sandbox::new();
    let venv = dead(&sandbox);
    ward::told(&with_uv(&sandbox, "exit 0", &["--full"], &venv).code(0), "rebuild", "done");
    assert_eq!(ward::installed(&venv), ["gadget 1.0", "gizmo 1.0"]);
    ward::kill(&venv);
    fs::write(venv.with_file_name("requirements.txt"), "gadget==1.0\ngizmo==2.0\n").unwrap();
    let data = ward::told(&with_uv(&sandbox, "exit 0", &["--full"], &venv).code(1), "rebuild", "failed");
    let missing = json!([{"name": "gizmo==2.0", "why": "uv reports no error, and it is not there"}]);
    assert_eq!((&data["partial"], &data["detail"]["missing"]), (&json!(true), &missing), "{data}");
}

/// What no originals can be saved of is not built anew for that.
#[test]
fn a_full_disk_under_the_state_folder_makes_no_rebuild_of_a_few_lines() {
    let sandbox = Sandbox::new();
    let (first, state) = (whole(&sandbox), sandbox.work("state"));
    let activate = first.join("bin/activate");
    let long = fs::read_to_string(&activate).unwrap() + &"# and so on\n".repeat(50_000);
    fs::write(activate, long).unwrap();
    let venv = sandbox.work("moved/.venv");
    fs::rename(first.parent().unwrap(), venv.parent().unwrap()).unwrap();
    fs::create_dir(&state).unwrap();
    let old = ward::contents(&venv);
    // The mount goes with the shell that made it.
    let script = "mount -t tmpfs -o size=200k,mode=700 none \"$1\" && venv-rebuild --force --state-dir \"$1\" \"$2\"";
    let as_root = ["--map-root-user"].into_iter().filter(|_| !rustix::process::geteuid().is_root()).map(arg);
    let words = [arg("--mount"), arg("bash"), arg("-c"), arg(script), arg("-"), arg(&state), arg(&venv)];
    let ran = ward::at_wheels(&sandbox, sandbox.command("unshare", as_root.chain(words))).run().code(1);
    let data = ward::told(&ran, "relocate", "failed");
    assert!(data["text"].as_str().unwrap().starts_with("nothing was changed, since the originals could not be saved"), "{data}");
    nothing_happened(&venv, &old);
}

#[test]
fn a_full_disk_under_the_project_leaves_the_old_environment() {
    let sandbox = Sandbox::new();
    let venv = degraded(&sandbox);
    for args in ["", "--full"] {
        // Room for the environment, and no more; the mount goes with the shell that made it.
        let script = format!(
            "mount -t tmpfs -o size=3m none \"$1\" && cp -a \"$2\"/. \"$1\" && (cd \"$1\" && head -c 9m /dev/zero >filler 2>/dev/null; true) &&
            find \"$1/.venv\" -type f -exec sha256sum {{}} + | sort >\"$3/before\"
            venv-rebuild --force {args} \"$1/.venv\" >\"$3/said\"; echo $? >\"$3/status\"
            find \"$1/.venv\" -type f -exec sha256sum {{}} + | sort >\"$3/after\"; ls -A \"$1\" >\"$3/names\""
        );
        let project = venv.parent().unwrap();
        let kept = sandbox.root().join("kept");
        drop(fs::remove_dir_all(&kept));
        assert!(Command::new("cp").arg("-a").args([project, &kept]).status().unwrap().success());
        let words = [arg("--mount"), arg("bash"), arg("-c"), arg(script), arg("-"), arg(project), arg(&kept), arg(sandbox.root())];
        drop(ward::at_wheels(&sandbox, sandbox.command("unshare", as_root().into_iter().map(arg).chain(words))).run().code(0));
        let read = |name: &str| fs::read_to_string(sandbox.root().join(name)).unwrap();
        assert_eq!(read("status"), "1\n", "{}", read("said"));
        let action: Value = read("said").lines().map(tests::schema::check).find(|record| record["type"] == "action").unwrap();
        assert_eq!((&action["data"]["outcome"], &action["data"]["changed"]), (&json!("failed"), &json!(false)), "{action}");
        assert!(action["data"].to_string().contains("No space left on device"), "{action}");
        assert_eq!((read("before"), read("names")), (read("after"), ".venv\nfiller\n".to_owned()));
    }
}

/// What gives a person without rights a name space to mount in.
fn as_root() -> Vec<&'static str> {
    if rustix::process::geteuid().is_root() { Vec::new() } else { vec!["--map-root-user"] }
}

#[test]
fn a_full_disk_under_the_state_folder_stops_it_before_the_first_change() {
    let sandbox = Sandbox::new();
    let venv = dead(&sandbox);
    let old = ward::contents(&venv);
    let script = "mount -t tmpfs -o size=64k,mode=700 none \"$1\" && (cat /dev/zero >\"$1/filler\" 2>/dev/null; true) && venv-rebuild --force --state-dir \"$1\" \"$2\"";
    let state = sandbox.work("full");
    fs::create_dir_all(&state).unwrap();
    let words = [arg("--mount"), arg("bash"), arg("-c"), arg(script), arg("-"), arg(&state), arg(&venv)];
    let ran = sandbox.command("unshare", as_root().into_iter().map(arg).chain(words)).run().code(2);
    assert!(ran.of("action").is_empty(), "{}", ran.text());
    assert!(ran.stderr.contains("No space left on device"), "{}", ran.stderr);
    nothing_happened(&venv, &old);
}

#[test]
fn a_disk_under_the_state_folder_that_fills_up_meanwhile_leaves_no_second_tree() {
    let sandbox = Sandbox::new();
    let venv = whole(&sandbox);
    let old = ward::contents(&venv);
    // With so many pages left it comes as far as the new tree; one less, and it never begins.
    let script = "mount -t tmpfs -o size=64k,mode=700 none \"$1\" && head -c $((65536 - $3 * 4096)) /dev/zero >\"$1/filler\" &&
        venv-rebuild --force --full --state-dir \"$1\" \"$2\"";
    let state = sandbox.work("full");
    fs::create_dir_all(&state).unwrap();
    let mut stopped_late = 0;
    for pages in 1..12 {
        let words = [arg("--mount"), arg("bash"), arg("-c"), arg(script), arg("-"), arg(&state), arg(&venv), arg(pages.to_string())];
        let ran = ward::at_wheels(&sandbox, sandbox.command("unshare", as_root().into_iter().map(arg).chain(words))).run();
        if ran.code == Some(0) {
            break;
        }
        stopped_late += u32::from(ran.of("action").iter().any(|action| action["data"]["text"].to_string().contains("No space left")));
        nothing_happened(&venv, &old);
    }
    assert!(stopped_late > 0);
}

#[test]
fn a_folder_that_may_not_be_written_is_said_and_left_alone() {
    let sandbox = Sandbox::new();
    let (venv, system) = (sandbox.work("project/.venv"), Path::new("/usr/bin/python3"));
    // An interpreter that everybody may start.
    ward::by_venv(&sandbox, system, &venv, &["--without-pip"]);
    let project = venv.parent().unwrap();
    let tools = sandbox.root().join("tools");
    fs::create_dir_all(&tools).unwrap();
    for tool in ["venv-rebuild", "venv-probe"] {
        tests::copy_program(binary(tool), tools.join(tool));
    }
    let nobody = rustix::process::geteuid().is_root();
    if nobody {
        let give = |path: &Path| assert!(Command::new("chown").args(["-R", "65534:65534"]).arg(path).status().unwrap().success());
        for path in [&venv, &sandbox.root().join("state-of-nobody")] {
            fs::create_dir_all(path).unwrap();
            give(path);
        }
    }
    fs::set_permissions(sandbox.root(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(project, fs::Permissions::from_mode(0o555)).unwrap();
    let run = |args: &[&str]| {
        let drop_rights = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"].iter().filter(|_| nobody).map(arg);
        let state = [arg("--state-dir"), arg(sandbox.root().join("state-of-nobody"))];
        let words: Vec<_> = drop_rights
            .chain([arg(tools.join("venv-rebuild"))])
            .chain(args.iter().map(arg))
            .chain([arg("--force")])
            .chain(state)
            .chain([arg(&venv)])
            .collect();
        sandbox.command("env", words).run()
    };
    let made_by = fs::read_link(venv.join("bin/python3")).unwrap();
    ward::kill(&venv);
    let old = ward::contents(&venv);
    let ran = run(&["--full"]).code(1);
    let data = ward::told(&ran, "rebuild", "skipped");
    let text = format!("{} cannot be written, and the new environment is built there; run as its owner", project.display());
    assert_eq!(data["text"], text, "{data}");
    nothing_happened(&venv, &old);
    // The links lie within the environment, and that is its owner's.
    assert_eq!(made_by, system);
    ward::told(&run(&[]).code(0), "relink", "done");
    fs::set_permissions(project, fs::Permissions::from_mode(0o755)).unwrap();
}

fn with_requirements(sandbox: &Sandbox, text: &str) -> (PathBuf, Value, String) {
    let venv = dead(sandbox);
    fs::create_dir(venv.with_file_name(".git")).unwrap();
    fs::write(venv.with_file_name("requirements.txt"), text).unwrap();
    let ran = ward::force(sandbox, &["--full"], &venv);
    let action = ward::action(&ran)["data"].take();
    assert_eq!(ran.code, Some(i32::from(action["outcome"] != "done")), "{action}");
    let log = fs::read_to_string(action["log"].as_str().unwrap()).unwrap();
    (venv, action, format!("{}\n{}\n{log}", ran.text(), ran.stderr))
}

#[test]
fn options_that_run_or_redirect_things_are_refused() {
    for option in [
        "--global-option=--evil",
        "--target /etc",
        "--trusted-host example.org",
        "--index-url https://a.example --target /etc",
        "--prefix=/usr",
        "gadget==1.0 --global-option=\"--evil\"",
        "gadget==1.0 --config-settings x=y",
        "-r https://example.org/requirements.txt",
        "-r /dev/zero",
        "-r requirements-that-are-gone.txt",
    ] {
        let sandbox = Sandbox::new();
        let (venv, action, _) = with_requirements(&sandbox, &format!("gizmo==1.0\n{option}\n"));
        assert_eq!((&action["outcome"], &action["changed"]), (&json!("failed"), &json!(false)), "{option}: {action}");
        let text = action["text"].as_str().unwrap();
        let place = format!("{}, line 2: ", venv.with_file_name("requirements.txt").display());
        assert!(text.contains(&place), "{option}: {text}");
    }
}

#[test]
fn a_line_that_is_no_requirement_is_never_a_command() {
    let sandbox = Sandbox::new();
    let canary = sandbox.work("canary");
    fs::create_dir_all(&canary).unwrap();
    let lines = format!("gadget==1.0\ngizmo; rm -rf {0}\n$(rm -rf {0})\n`rm -rf {0}`\n", canary.display());
    let (venv, action, _) = with_requirements(&sandbox, &lines);
    assert!(canary.is_dir());
    assert_eq!((&action["outcome"], &action["partial"], &action["verified"]), (&json!("failed"), &json!(true), &json!(false)), "{action}");
    assert_eq!(action["detail"]["missing"].as_array().unwrap().len(), 3, "{action}");
    assert!(ward::installed(&venv).contains(&"gadget 1.0".to_owned()));
}

#[test]
fn what_another_file_holds_is_not_told() {
    let sandbox = Sandbox::new();
    let secret = sandbox.work("elsewhere/credentials");
    fs::create_dir_all(secret.parent().unwrap()).unwrap();
    fs::write(&secret, "root:x:0:0:hunter2\nhunter2 = \"hunter2\"\n").unwrap();
    let (_, action, said) = with_requirements(&sandbox, "gadget==1.0\n-r ../elsewhere/credentials\n");
    assert_eq!(action["outcome"], "failed", "{action}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_lock_that_makes_no_sense_is_told_in_short_and_without_its_passwords() {
    let address = "https://me:hunter2@127.0.0.1:9/simple";
    let long = "x".repeat(100_000);
    let sandbox = Sandbox::new();
    let venv = whole(&sandbox);
    let project = venv.parent().unwrap();
    fs::create_dir(project.join(".git")).unwrap();
    for (lock, text, why) in [
        ("uv.lock", format!("version = 1\n[[package]]\nsource = {{ registry = \"{address}{long}\"\n"), "line 3: unclosed inline table"),
        ("uv.lock", format!("version = \"{address}{long}\"\n"), "line 1: invalid type: string \"https://***@127.0.0.1:9/simple"),
        ("pylock.toml", format!("lock-version = \"{address}{long}\"\n"), "version https://***@127.0.0.1:9/simple"),
        ("poetry.lock", format!("[metadata]\n\n{address} = {long}\n"), "line 3: "),
        (
            "Pipfile.lock",
            format!("{{\"default\": {{\"a\": \"{address}{long}\"}}}}"),
            "invalid type: string \"https://***@127.0.0.1:9/simple",
        ),
        ("requirements.txt", format!("-r {address}{long}\n"), "`https://***@127.0.0.1:9/simple"),
    ] {
        fs::write(project.join(lock), text).unwrap();
        let ran = ward::rebuild(&sandbox, [arg("--full"), arg(&venv)]).run().code(0);
        let data = ward::told(&ran, "rebuild", "skipped");
        let text = data["text"].as_str().unwrap();
        assert!(text.contains(lock) && text.contains(why), "{lock}: {text}");
        assert!(text.len() < 3000 && !ran.text().contains("hunter2"), "{lock}: {text}");
        fs::remove_file(project.join(lock)).unwrap();
    }
}

/// A package index on the loopback, gone when dropped.
struct Index(Child, u16);

impl Index {
    fn serve(folder: &Path) -> Self {
        let mut child = Command::new(ward::python())
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"])
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split_whitespace().skip_while(|word| *word != "port").nth(1).unwrap().parse().unwrap();
        Self(child, port)
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("it ends");
    }
}

#[test]
fn an_index_that_the_project_names_is_asked_and_reported_without_its_password() {
    for installer in ["uv", "pip"] {
        let sandbox = Sandbox::new();
        let venv = dead(&sandbox);
        let simple = sandbox.work("index/simple/gadget");
        fs::create_dir_all(&simple).unwrap();
        let wheel = ward::wheel(&sandbox, "gadget", "3.0");
        fs::rename(&wheel, simple.join("gadget-3.0-py3-none-any.whl")).unwrap();
        fs::write(
            simple.join("index.html"),
            "<!DOCTYPE html><html><body><a href=\"gadget-3.0-py3-none-any.whl\">gadget-3.0-py3-none-any.whl</a></body></html>",
        )
        .unwrap();
        let index = Index::serve(&sandbox.work("index"));
        let requirements = format!("--index-url http://me:hunter2@127.0.0.1:{}/simple\ngadget==3.0\n", index.1);
        fs::write(venv.with_file_name("requirements.txt"), requirements).unwrap();
        let args = [arg("--force"), arg("--full"), arg("--only-source"), arg("--installer"), arg(installer), arg(&venv)];
        let run = sandbox.tool("venv-rebuild", args).env("UV_CACHE_DIR", sandbox.root().join("uv-cache")).env("PIP_NO_CACHE_DIR", "1");
        // The test's own place is not what this is about.
        let ran = run.env("PIP_INDEX_URL", "http://127.0.0.1:9/").run().code(0);
        let data = ward::told(&ran, "rebuild", "done");
        let options = data["detail"]["options"].as_array().unwrap();
        assert_eq!(options.len(), 1, "{data}");
        assert!(options[0].as_str().unwrap().ends_with(&format!("@127.0.0.1:{}/simple", index.1)), "{data}");
        assert_eq!(ward::installed(&venv), ["gadget 3.0"], "{installer}");
        let log = fs::read_to_string(data["log"].as_str().unwrap()).unwrap();
        let audit = fs::read_to_string(sandbox.root().join("state/mendline/audit.jsonl")).unwrap();
        assert!(![ran.text(), ran.stderr, log, audit].concat().contains("hunter2"), "{installer}");
    }
}

#[test]
fn a_tree_of_thousands_of_levels_keeps_nobody_else_from_being_mended() {
    let sandbox = Sandbox::new();
    let deep = degraded(&sandbox);
    let script = "import os\nfor _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')";
    let share = deep.join("share");
    fs::create_dir_all(&share).unwrap();
    drop(sandbox.command("python3", ["-c", script]).within(&share).run().code(0));
    let other = sandbox.work("other/.venv");
    ward::by_uv(&sandbox, &other, &[]);
    ward::kill(&other);
    let ran = ward::rebuild(&sandbox, ["--force".into(), arg(&deep), arg(&other)]).run().code(1);
    let outcome = |venv: &Path| ran.of("action").into_iter().find(|action| action["subject"] == venv.to_str().unwrap()).unwrap();
    assert_eq!(outcome(&other)["data"]["outcome"], "done");
    let data = &outcome(&deep)["data"];
    assert!(data["outcome"] == "failed" || data["outcome"] == "skipped", "{data}");
    // Too deep for the clean-up of the test.
    drop(sandbox.command("rm", [arg("-rf"), arg(share.join("d"))]).run().code(0));
}
