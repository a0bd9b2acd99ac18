//! Where an environment stands, and who stands in it: odd names, links, mounts, a project in its root, programs that run from it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tests::{Sandbox, arg};

use crate::ward;

/// Names that a shell, a JSON writer or a `#!` line could stumble over. All are UTF-8.
const ODD: [&str; 5] = ["two words", "it's \"quoted\"", "new\nline", "-rf", "ünïcödé $(id) %20"];

fn odd(sandbox: &Sandbox, name: impl AsRef<OsStr>) -> PathBuf {
    sandbox.work("odd").join(name.as_ref()).join(".venv")
}

#[test]
fn odd_paths_are_mended_by_every_kind_of_rung() {
    for name in ODD {
        let sandbox = Sandbox::new();
        let venv = odd(&sandbox, name);
        ward::wheel(&sandbox, "gadget", "1.0");
        ward::by_uv(&sandbox, &venv, &["--seed"]);
        ward::install(&sandbox, &venv, &["gadget"]);
        ward::kill(&venv);
        let told = |args: &[&str], verb| {
            let ran = ward::force(&sandbox, args, &venv).code(0);
            assert_eq!(ward::action(&ran)["subject"], venv.to_str().unwrap());
            ward::told(&ran, verb, "done");
            ward::is_healthy(&sandbox, &venv);
            assert_eq!(ward::installed(&venv), ["gadget 1.0", &pip(&venv)], "{name}");
            // uv itself writes a `#!` line in two where the path has a newline.
            let python = venv.join("bin/python");
            let pip = if name.contains('\n') {
                sandbox.command(python, ["-m", "pip", "--version"])
            } else {
                sandbox.command(venv.join("bin/pip"), ["--version"])
            };
            let pip = pip.run().code(0);
            assert!(pip.text().contains(venv.to_str().unwrap()), "{name}: {}", pip.text());
        };
        told(&[], "relink");
        fs::remove_dir_all(ward::packages(&venv).join("pip")).unwrap();
        told(&[], "pip");
        ward::kill(&venv);
        told(&["--full"], "rebuild");
        if name.contains('\n') {
            continue; // Of such a line nothing tells that it was meant to go on.
        }
        // Away and back again: the paths that scripts carry.
        let renamed = venv.parent().unwrap().with_file_name("elsewhere");
        fs::rename(venv.parent().unwrap(), &renamed).unwrap();
        ward::told(&ward::force(&sandbox, &[], &renamed.join(".venv")).code(0), "relocate", "done");
        fs::rename(&renamed, venv.parent().unwrap()).unwrap();
        told(&[], "relocate");
    }
}

fn pip(venv: &Path) -> String {
    ward::installed(venv).into_iter().find(|line| line.starts_with("pip ")).expect("pip")
}

#[test]
fn a_path_that_is_not_utf8_is_mended_in_place_and_never_built_at_a_wrong_one() {
    let sandbox = Sandbox::new();
    let venv = odd(&sandbox, OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir_all(venv.parent().unwrap()).unwrap();
    let made = sandbox.work("made");
    ward::by_uv(&sandbox, &made, &["--relocatable"]);
    fs::rename(made, &venv).unwrap();
    ward::kill(&venv);
    let hex: String = ward::hex(venv.as_os_str().as_bytes());

    let old = ward::contents(&venv);
    let ran = ward::force(&sandbox, &["--full"], &venv).code(1);
    assert_eq!(ward::action(&ran)["subject"], json!({ "hex": hex }));
    let data = ward::told(&ran, "rebuild", "failed");
    assert!(data["text"].as_str().unwrap().contains("is not UTF-8"), "{data}");
    ward::same(&old, &ward::contents(&venv));

    let ran = ward::force(&sandbox, &[], &venv).code(0);
    assert_eq!(ward::action(&ran)["subject"], json!({ "hex": hex }));
    ward::told(&ran, "relink", "done");
    ward::is_healthy(&sandbox, &venv);
    let beside = fs::read_dir(sandbox.work("odd")).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(beside, [OsString::from(OsStr::from_bytes(b"caf\xe9"))]);
}

#[test]
fn an_environment_behind_a_link_is_mended_where_it_stands() {
    let sandbox = Sandbox::new();
    let (real, link) = (sandbox.work("kept/env"), sandbox.work("project/.venv"));
    ward::by_uv(&sandbox, &real, &[]);
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink("../kept/env", &link).unwrap();
    ward::kill(&real);
    ward::told(&ward::force(&sandbox, &["--full"], &link).code(0), "rebuild", "done");
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("../kept/env"));
    assert_eq!((ward::names(link.parent().unwrap()), ward::backups(&real).len()), (vec![".venv".to_owned()], 1));
    ward::is_healthy(&sandbox, &link);
    drop(ward::rebuild(&sandbox, [arg("undo"), arg("--force"), arg(&link)]).run().code(0));
    assert_eq!(ward::codes(&ward::verdict(&sandbox, &link)), ["interpreter-missing"]);
}

#[test]
fn an_environment_whose_root_is_the_project_is_not_replaced_unasked() {
    let sandbox = Sandbox::new();
    let venv = sandbox.work("shop");
    ward::by_uv(&sandbox, &venv, &[]);
    ward::kill(&venv);
    fs::create_dir(venv.join("src")).unwrap();
    fs::write(venv.join("src/app.py"), "print('open')\n").unwrap();
    fs::write(venv.join("notes.txt"), "mine\n").unwrap();
    let old = ward::contents(&venv);
    for ran in [ward::rebuild(&sandbox, [arg("--full"), arg(&venv)]).run().code(0), ward::force(&sandbox, &["--full"], &venv).code(1)] {
        let data = ward::told(&ran, "rebuild", "skipped");
        assert_eq!(data["detail"]["unexplained"], json!(["notes.txt", "src"]), "{data}");
        ward::same(&old, &ward::contents(&venv));
    }
    ward::told(&ward::force(&sandbox, &["--full", "--even-project"], &venv).code(0), "rebuild", "done");
    ward::is_healthy(&sandbox, &venv);
    assert_eq!(fs::read_to_string(venv.join("src/app.py")).unwrap(), "print('open')\n");
    assert_eq!(fs::read_to_string(venv.join("notes.txt")).unwrap(), "mine\n");
    let mut kept = ward::contents(&ward::backups(&venv)[0]);
    kept.remove(Path::new("mendline-backup.json"));
    ward::same(&old, &kept);
}

/// A program that uses an environment until it is dropped.
struct Resident(Child);

impl Resident {
    /// Starts Python and returns once it runs.
    fn of(python: &Path, folder: &Path, variable: Option<&Path>) -> Self {
        let mut command = Command::new(python);
        command.args(["-c", "import sys\nprint('here', flush=True)\nsys.stdin.read()"]).current_dir(folder);
        if let Some(venv) = variable {
            command.env("VIRTUAL_ENV", venv);
        }
        Self::running(&mut command)
    }

    fn running(command: &mut Command) -> Self {
        // In a group of its own, since who shares ours is one of us.
        let mut child = command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "here\n");
        Self(child)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("it ends");
    }
}

#[test]
fn an_environment_that_a_program_uses_is_left_alone_unless_told_otherwise() {
    let sandbox = Sandbox::new();
    let venv = sandbox.work("project/.venv");
    ward::by_uv(&sandbox, &venv, &[]);
    ward::wheel(&sandbox, "gadget", "1.0");
    ward::install(&sandbox, &venv, &["gadget"]);
    fs::remove_file(ward::packages(&venv).join("gadget-1.0.dist-info/METADATA")).unwrap();
    let (python, elsewhere) = (venv.join("bin/python"), sandbox.root());
    let residents: [(&str, Resident); 3] = [
        ("program", Resident::of(&python, elsewhere, None)),
        ("cwd", Resident::of(ward::python(), &venv.join("lib"), None)),
        ("VIRTUAL_ENV", Resident::of(ward::python(), elsewhere, Some(&venv))),
    ];
    let old = ward::contents(&venv);
    let mut users: Vec<Value> = residents.iter().map(|(by, resident)| json!({"pid": resident.pid(), "by": by})).collect();
    users.sort_by_key(|user| user["pid"].as_u64());
    for ran in [ward::rebuild(&sandbox, [&venv]).run().code(0), ward::force(&sandbox, &[], &venv).code(1)] {
        let data = ward::told(&ran, "packages", "skipped");
        assert_eq!(data["detail"]["in_use"], Value::from(users.clone()), "{data}");
        assert!(residents.iter().all(|(_, resident)| data["text"].as_str().unwrap().contains(&resident.pid().to_string())), "{data}");
        assert!(data["text"].as_str().unwrap().ends_with("stop it, or pass --in-use=replace"), "{data}");
        ward::same(&old, &ward::contents(&venv));
    }
    // Of one file at a time, nobody has to know.
    ward::kill(&venv);
    let ran = ward::force(&sandbox, &[], &venv).code(1);
    let outcomes: Vec<_> =
        ran.of("action").iter().map(|action| (action["data"]["verb"].clone(), action["data"]["outcome"].clone())).collect();
    assert_eq!(outcomes, [(json!("relink"), json!("done")), (json!("packages"), json!("skipped"))]);

    ward::told(&ward::force(&sandbox, &["--in-use=replace"], &venv).code(0), "packages", "done");
    ward::is_healthy(&sandbox, &venv);
    let undo = ward::rebuild(&sandbox, [arg("undo"), arg("--force"), arg(&venv)]).run().code(1);
    ward::told(&undo, "undo", "skipped");
    drop(residents);
    drop(ward::rebuild(&sandbox, [arg("undo"), arg("--force"), arg(&venv)]).run().code(0));
}

#[test]
fn a_program_that_gave_itself_a_title_is_seen_all_the_same() {
    let sandbox = Sandbox::new();
    let venv = sandbox.work("project/.venv");
    ward::by_uv(&sandbox, &venv, &[]);
    // As setproctitle does it: over the arguments and the variables, which the kernel laid down one behind the other.
    let code = "
import ctypes, sys
fields = open('/proc/self/stat').read().rsplit(')', 1)[1].split()
start, end = int(fields[45]), int(fields[48])
ctypes.memmove(start, b'gunicorn: master [app]'.ljust(end - start, b'\\0'), end - start)
print('here', flush=True)
sys.stdin.read()";
    let resident = Resident::running(Command::new(venv.join("bin/python")).args(["-c", code]).current_dir("/").env_clear());
    let words = fs::read(format!("/proc/{}/cmdline", resident.pid())).unwrap();
    assert!(words.starts_with(b"gunicorn"), "{}", String::from_utf8_lossy(&words));
    let data = ward::told(&ward::force(&sandbox, &["--full"], &venv).code(1), "rebuild", "skipped");
    assert_eq!(data["detail"]["in_use"], json!([{"pid": resident.pid(), "by": "program"}]), "{data}");
}

#[test]
fn where_nobody_tells_who_uses_an_environment_it_is_left_alone() {
    let sandbox = Sandbox::new();
    let venv = sandbox.work("project/.venv");
    ward::by_uv(&sandbox, &venv, &[]);
    let old = ward::contents(&venv);
    let as_root = ["--map-root-user"].into_iter().filter(|_| !rustix::process::geteuid().is_root()).map(arg);
    // A list of mounts, and no processes.
    let script = "cp /proc/self/mountinfo \"$1\" && mount -t tmpfs none /proc && mkdir /proc/self && cp \"$1\" /proc/self/mountinfo && venv-rebuild --force --full \"$2\"";
    let words = [arg("--mount"), arg("bash"), arg("-c"), arg(script), arg("-"), arg(sandbox.root().join("mounts")), arg(&venv)];
    let ran = ward::at_wheels(&sandbox, sandbox.command("unshare", as_root.chain(words))).run().code(1);
    let data = ward::told(&ran, "rebuild", "skipped");
    assert!(data["text"].as_str().unwrap().starts_with("cannot see which processes use it: "), "{data}");
    ward::same(&old, &ward::contents(&venv));
}

#[test]
fn who_stands_in_an_environment_may_mend_it_from_there() {
    let sandbox = Sandbox::new();
    let venv = sandbox.work("project/.venv");
    ward::by_uv(&sandbox, &venv, &[]);
    ward::kill(&venv);
    let line = "cd \"$1/lib\" && export VIRTUAL_ENV=\"$1\" && venv-rebuild --force --full \"$1\"";
    let ran = ward::at_wheels(&sandbox, sandbox.command("bash", [arg("-c"), arg(line), arg("-"), arg(&venv)])).run().code(0);
    let data = ward::told(&ran, "rebuild", "done");
    assert!(data["text"].as_str().unwrap().contains("the folder that you stand in is in the backup now"), "{data}");
    ward::is_healthy(&sandbox, &venv);
}

#[test]
fn a_mount_point_cannot_be_swapped_and_stays_as_it_is() {
    let sandbox = Sandbox::new();
    let (venv, kept) = (sandbox.work("project/.venv"), sandbox.work("volume"));
    ward::by_uv(&sandbox, &venv, &[]);
    ward::kill(&venv);
    fs::rename(&venv, &kept).unwrap();
    fs::create_dir(&venv).unwrap();
    let old = ward::contents(&kept);
    let as_root = ["--map-root-user"].into_iter().filter(|_| !rustix::process::geteuid().is_root()).map(arg);
    let run = |args: &str| {
        let script = format!("mount --bind \"$1\" \"$2\" && venv-rebuild --force {args} \"$2\"");
        let words = [arg("--mount"), arg("bash"), arg("-c"), arg(script), arg("-"), arg(&kept), arg(&venv)];
        ward::at_wheels(&sandbox, sandbox.command("unshare", as_root.clone().chain(words))).run()
    };
    let data = ward::told(&run("--full").code(1), "rebuild", "failed");
    assert!(data["text"].as_str().unwrap().contains(" is a mount point, which cannot be swapped; "), "{data}");
    ward::same(&old, &ward::contents(&kept));
    assert_eq!(ward::names(venv.parent().unwrap()), [".venv"]);
    // What needs no swap works there, too.
    ward::told(&run("").code(0), "relink", "done");
    assert!(kept.join("bin/python").exists());
}

#[test]
fn what_is_mounted_inside_is_not_taken_away() {
    let sandbox = Sandbox::new();
    let (venv, data) = (sandbox.work("project/.venv"), sandbox.work("data"));
    ward::by_uv(&sandbox, &venv, &["--seed"]);
    fs::remove_dir_all(ward::packages(&venv).join("pip")).unwrap();
    fs::create_dir_all(venv.join("share/my models")).unwrap();
    fs::create_dir_all(&data).unwrap();
    let old = ward::contents(&venv);
    let as_root = ["--map-root-user"].into_iter().filter(|_| !rustix::process::geteuid().is_root()).map(arg);
    for (args, verb) in [("", "pip"), ("--full", "rebuild"), ("--full --even-project --leave-behind", "rebuild")] {
        let script = format!("mount --bind \"$1\" \"$2/share/my models\" && venv-rebuild --force {args} \"$2\"");
        let words = [arg("--mount"), arg("bash"), arg("-c"), arg(script), arg("-"), arg(&data), arg(&venv)];
        let ran = ward::at_wheels(&sandbox, sandbox.command("unshare", as_root.clone().chain(words))).run().code(1);
        let data = ward::told(&ran, verb, "skipped");
        assert_eq!(data["detail"]["mounted"], json!([venv.join("share/my models").to_str().unwrap()]), "{data}");
        ward::same(&old, &ward::contents(&venv));
    }
}

#[test]
fn an_environment_of_somebody_else_is_left_to_them() {
    if !rustix::process::geteuid().is_root() {
        return; // Nobody else can make one that belongs to another.
    }
    let sandbox = Sandbox::new();
    let venv = sandbox.work("project/.venv");
    ward::by_uv(&sandbox, &venv, &[]);
    ward::kill(&venv);
    assert!(Command::new("chown").args(["-R", "65534"]).arg(&venv).status().unwrap().success());
    let old = ward::contents(&venv);
    let data = ward::told(&ward::force(&sandbox, &[], &venv).code(1), "relink", "skipped");
    assert_eq!(data["text"], "it belongs to the user with the number 65534; run as that user", "{data}");
    ward::same(&old, &ward::contents(&venv));
    assert_eq!(venv.metadata().unwrap().uid(), 65534);
}
