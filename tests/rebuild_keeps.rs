//! What a person has put into an environment is in the one that a rebuild makes, or the rebuild is not made.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tests::{Sandbox, arg};

use crate::ward;

/// An environment that holds a package, in a folder of its own.
fn environment(sandbox: &Sandbox) -> PathBuf {
    let venv = sandbox.work("project/.venv");
    fs::create_dir_all(venv.with_file_name(".git")).unwrap();
    ward::wheel(sandbox, "gadget", "1.0");
    ward::by_uv(sandbox, &venv, &[]);
    ward::install(sandbox, &venv, &["gadget"]);
    venv
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn rebuild(sandbox: &Sandbox, args: &[&str], venv: &Path) -> Value {
    let args: Vec<&str> = ["--full"].iter().chain(args).copied().collect();
    ward::told(&ward::force(sandbox, &args, venv).code(0), "rebuild", "done")
}

/// What these paths hold, mode and time included.
fn kept(venv: &Path, paths: &[&str]) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for path in paths {
        ward::walk(&venv.join(path), &mut |path, meta| {
            let what = if meta.is_file() { format!("{} {:?}", meta.mtime(), fs::read(path).unwrap()) } else { String::new() };
            found.insert(path.strip_prefix(venv).unwrap().to_owned(), format!("{:o} {what}", meta.mode()));
        });
    }
    found
}

#[test]
fn files_that_nothing_explains_are_carried_over_as_they_are_and_named() {
    let sandbox = Sandbox::new();
    let venv = environment(&sandbox);
    let site = ward::packages(&venv);
    tests::write_program(venv.join("bin/invoice.py"), "echo invoice");
    write(&venv.join("etc/app.conf"), "key=1\n");
    write(&venv.join("share/models/w.bin"), "weights");
    fs::create_dir_all(venv.join("share/spool")).unwrap();
    fs::set_permissions(venv.join("share/spool"), fs::Permissions::from_mode(0o770)).unwrap();
    write(&site.join("local_settings.py"), "db = 'prod'\n");
    write(&site.join("extra.pth"), "/srv/extra\n");
    write(&site.join("gadget/plugin.py"), "mine = 1\n");
    symlink("/srv/data", venv.join("share/data")).unwrap();
    let activate = fs::read_to_string(venv.join("bin/activate")).unwrap();
    fs::write(venv.join("bin/activate"), activate + "export MY_SETTING=1\n").unwrap();
    for path in ["bin/invoice.py", "etc/app.conf"] {
        let long_ago = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_hours(24));
        fs::File::options().append(true).open(venv.join(path)).unwrap().set_times(long_ago).unwrap();
    }
    let site = site.strip_prefix(&venv).unwrap().to_str().unwrap().to_owned();
    let own = ["local_settings.py", "extra.pth", "gadget/plugin.py"].map(|name| format!("{site}/{name}"));
    let paths: Vec<&str> = ["bin/invoice.py", "etc", "share", "bin/activate"].into_iter().chain(own.iter().map(String::as_str)).collect();
    let old = kept(&venv, &paths);
    let plan = ward::rebuild(&sandbox, [arg("--full"), arg(&venv)]).run().code(0);
    assert!(
        ward::action(&plan)["data"]["text"].as_str().unwrap().contains("; carry over 7 files that no package explains ("),
        "{}",
        plan.text()
    );

    let data = rebuild(&sandbox, &[], &venv);
    let new = kept(&venv, &paths);
    assert_eq!(old.keys().collect::<Vec<_>>(), new.keys().collect::<Vec<_>>());
    for (path, was) in old.iter().filter(|(path, _)| !path.ends_with("activate")) {
        assert_eq!(new[path], *was, "{}", path.display());
    }
    assert!(fs::read_to_string(venv.join("bin/activate")).unwrap().ends_with("export MY_SETTING=1\n"));
    assert_eq!(data["detail"]["carried"]["count"], 8, "{data}");
    let named: Vec<_> = data["detail"]["carried"]["paths"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
    assert_eq!(named, ["bin/invoice.py", "etc", &own[1], &own[2], &own[0], "share", "bin/activate"], "{data}");
    assert!(data["text"].as_str().unwrap().contains("; carried over 8 files that no package explains (bin/invoice.py, etc, "), "{data}");
    ward::is_healthy(&sandbox, &venv);
    // With nothing of anybody's own there is nothing to say.
    for path in paths {
        let path = venv.join(path);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else if !path.ends_with("activate") {
            fs::remove_file(path).unwrap();
        }
    }
    ward::by_uv(&sandbox, &venv, &["--allow-existing"]);
    assert_eq!(rebuild(&sandbox, &[], &venv)["detail"]["carried"], Value::Null);
}

#[test]
fn a_script_of_ones_own_follows_the_environment_that_was_moved() {
    let sandbox = Sandbox::new();
    let venv = environment(&sandbox);
    let script = |python: &Path| format!("#!{}\nprint('mine')\n", python.display());
    write(&venv.join("bin/mine"), &script(&venv.join("bin/python")));
    let moved = sandbox.work("moved/.venv");
    fs::rename(venv.parent().unwrap(), moved.parent().unwrap()).unwrap();
    rebuild(&sandbox, &[], &moved);
    assert_eq!(fs::read_to_string(moved.join("bin/mine")).unwrap(), script(&moved.join("bin/python")));
}

#[test]
fn what_every_maker_puts_there_is_nobodys() {
    let sandbox = Sandbox::new();
    let (by_venv, by_virtualenv) = (sandbox.work("a/.venv"), sandbox.work("b/.venv"));
    ward::by_venv(&sandbox, ward::python(), &by_venv, &[]);
    let args = [arg("-q"), arg("--no-download"), arg("-p"), arg(ward::python()), arg(&by_virtualenv)];
    drop(sandbox.command("virtualenv", args).run().code(0));
    for venv in [by_venv, by_virtualenv] {
        let plan = ward::rebuild(&sandbox, [arg("--full"), arg(&venv)]).run().code(0);
        assert!(!ward::action(&plan)["data"]["text"].as_str().unwrap().contains("carry over"), "{}", plan.text());
    }
}

#[test]
fn a_packaged_file_that_somebody_changed_is_the_packages_and_said() {
    let sandbox = Sandbox::new();
    let venv = environment(&sandbox);
    let module = ward::packages(&venv).join("gadget/__init__.py");
    fs::remove_file(&module).unwrap();
    fs::write(&module, "version = '6.6'\n").unwrap();
    let data = rebuild(&sandbox, &[], &venv);
    let path = module.strip_prefix(&venv).unwrap().to_str().unwrap();
    assert_eq!(data["detail"]["restored"], json!({"count": 1, "paths": [path]}), "{data}");
    assert_eq!(ward::damaged(&venv), [""; 0]);
}

#[test]
fn what_collides_or_cannot_be_carried_is_listed_and_nothing_is_done() {
    let sandbox = Sandbox::new();
    let venv = environment(&sandbox);
    ward::wheel(&sandbox, "gizmo", "1.0");
    write(&venv.with_file_name("requirements.txt"), "gadget\ngizmo\n");
    let mine = ward::packages(&venv).join("gizmo/__init__.py");
    write(&mine, "mine = 1\n");
    let path = mine.strip_prefix(&venv).unwrap().to_str().unwrap().to_owned();
    let old = ward::contents(&venv);
    let data = ward::told(&ward::force(&sandbox, &["--full"], &venv).code(1), "rebuild", "skipped");
    assert_eq!(data["detail"]["stuck"], json!([{"path": path, "why": "a package has another file of that name"}]), "{data}");
    assert!(data["text"].as_str().unwrap().contains("pass --leave-behind"), "{data}");
    ward::same(&old, &ward::contents(&venv));
    assert_eq!(ward::names(venv.parent().unwrap()), [".git", ".venv", "requirements.txt"]);
    let data = rebuild(&sandbox, &["--leave-behind"], &venv);
    assert_eq!(data["detail"]["left_behind"], json!({"count": 1, "paths": [path]}), "{data}");
    assert_eq!(fs::read_to_string(ward::backups(&venv)[0].join(path)).unwrap(), "mine = 1\n");

    write(&venv.join("share/notes"), "mine\n");
    assert!(Command::new("mkfifo").arg(venv.join("share/pipe")).status().unwrap().success());
    for ran in [ward::rebuild(&sandbox, [arg("--full"), arg(&venv)]).run().code(0), ward::force(&sandbox, &["--full"], &venv).code(1)] {
        let data = ward::told(&ran, "rebuild", "skipped");
        assert_eq!(data["detail"]["stuck"][0]["path"], "share/pipe", "{data}");
    }
    rebuild(&sandbox, &["--leave-behind"], &venv);
    assert_eq!(ward::names(&venv.join("share")), ["notes"]);
}

#[test]
fn what_works_is_not_built_anew_for_a_script_that_nothing_can_mend() {
    let sandbox = Sandbox::new();
    let venv = environment(&sandbox);
    // It names another environment, so a probe may call it stale; there is no path of this one in it.
    write(&venv.join("bin/report.py"), "#!/srv/gone/.venv/bin/python2\nprint('report')\n");
    let record = |args: &[&str]| sandbox.tool("venv-probe", args.iter().map(arg).chain([arg(&venv)])).run().code(0);
    let mut probe = record(&[]).of("venv.probe").remove(0);
    probe["data"]["status"] = json!("degraded");
    probe["data"]["faults"] = json!([{"code": "moved", "severity": "degraded", "text": "t", "repair": "relocate"}]);
    fs::write(venv.join("bin/report.py"), "#!/bin/sh\n").unwrap();
    let plan = ward::rebuild(&sandbox, [""; 0]).input(format!("{probe}\n")).run().code(0);
    let data = ward::told(&plan, "relocate", "skipped");
    assert!(data["text"].as_str().unwrap().starts_with("there is nothing that it could change; "), "{data}");
}

#[test]
fn installs_of_older_kinds_are_carried_over() {
    let sandbox = Sandbox::new();
    let venv = environment(&sandbox);
    let (site, source) = (ward::packages(&venv), sandbox.work("source"));
    write(&source.join("develmod.py"), "");
    write(&source.join("develmod.egg-info/PKG-INFO"), "Metadata-Version: 2.1\nName: develmod\nVersion: 1\n");
    write(&site.join("develmod.egg-link"), &format!("{}\n.", source.display()));
    write(&site.join("easy-install.pth"), &format!("{}\n./diregg-1.0-py3.12.egg\n./zipegg-1.0-py3.12.egg\n", source.display()));
    write(&site.join("diregg-1.0-py3.12.egg/EGG-INFO/PKG-INFO"), "Metadata-Version: 2.1\nName: diregg\nVersion: 1.0\n");
    write(&site.join("diregg-1.0-py3.12.egg/direggmod.py"), "");
    let zip = "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as egg:\n    egg.writestr('zipeggmod.py', '')\n    egg.writestr('EGG-INFO/PKG-INFO', 'Metadata-Version: 2.1\\nName: zipegg\\nVersion: 1.0\\n')";
    drop(sandbox.command(ward::python(), [arg("-c"), arg(zip), arg(site.join("zipegg-1.0-py3.12.egg"))]).run().code(0));
    write(&site.join("olddist-0.3-py3.12.egg-info"), "Metadata-Version: 1.0\nName: olddist\nVersion: 0.3\n");
    write(&site.join("olddistmod.py"), "");
    ward::by_uv(&sandbox, &venv.join("lib/tools"), &[]);
    let modules = "import develmod, direggmod, zipeggmod, olddistmod, gadget";
    let imports = || drop(sandbox.command(venv.join("bin/python"), ["-c", modules]).run().code(0));
    imports();
    rebuild(&sandbox, &[], &venv);
    imports();
    assert_eq!(ward::installed(&venv), ["develmod 1", "diregg 1.0", "gadget 1.0", "olddist 0.3", "zipegg 1.0"]);
    drop(sandbox.command(venv.join("lib/tools/bin/python"), ["-c", ""]).run().code(0));

    let [_, (other, _), ..] = ward::pythons() else { panic!("two minor versions of Python") };
    let data = ward::told(&ward::force(&sandbox, &["--full", "--python", other], &venv).code(1), "rebuild", "skipped");
    let stuck: Vec<_> = data["detail"]["stuck"].as_array().unwrap().iter().map(|stuck| stuck["path"].as_str().unwrap()).collect();
    assert!(
        stuck.iter().any(|path| path.ends_with(".egg-link")) && stuck.iter().any(|path| path.ends_with("diregg-1.0-py3.12.egg")),
        "{data}"
    );
}

#[test]
fn nothing_of_a_project_in_the_root_is_lost() {
    let sandbox = Sandbox::new();
    let root = sandbox.work("project");
    ward::by_uv(&sandbox, &root, &[]);
    write(
        &root.join(".gitignore"),
        "bin/*activate*\\nbin/pydoc.bat\\nCACHEDIR.TAG\\nbin/python*\nbin/[Aa]ctivate*\nlib/\nlib64\ninclude/\npyvenv.cfg\n*.secret\n",
    );
    let own = ["bin/deploy.sh", "etc/app.conf", "share/doc/x", ".lock"];
    for path in own {
        write(&root.join(path), "mine\n");
    }
    // Names that an environment has, too, do not hide that it is one.
    let data = ward::told(&ward::force(&sandbox, &["--full"], &root).code(1), "rebuild", "skipped");
    assert_eq!(data["detail"]["unexplained"], json!([".gitignore"]), "{data}");
    let git = |args: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@b"];
        let output = Command::new("git").arg("-C").arg(&root).args(identity).args(args).output().expect("git starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    git(&["init", "-q"]);
    git(&["add", "--all"]);
    git(&["commit", "-qm", "x"]);
    rebuild(&sandbox, &["--even-project"], &root);
    assert_eq!(git(&["status", "--porcelain"]), "");
    for path in own {
        assert_eq!(fs::read_to_string(root.join(path)).unwrap(), "mine\n");
    }
}

#[test]
fn what_a_rebuild_could_not_bring_is_missed_until_it_is_there() {
    let sandbox = Sandbox::new();
    let venv = environment(&sandbox);
    let info = ward::packages(&venv).join("private-1.0.dist-info");
    write(&info.join("METADATA"), "Metadata-Version: 2.1\nName: private\nVersion: 1.0\n");
    ward::kill(&venv);
    let data = ward::told(&ward::force(&sandbox, &["--full"], &venv).code(1), "rebuild", "failed");
    assert_eq!(data["partial"], true, "{data}");
    let night = |outcome: &str, code| ward::told(&ward::force(&sandbox, &[], &venv).code(code), "packages", outcome);
    for args in [&["--check"][..], &["--check", "--deep"]] {
        let ran = sandbox.tool("venv-probe", args.iter().map(arg).chain([arg(&venv)])).run().code(1);
        assert_eq!(ward::codes(&ran.of("venv.probe")[0]["data"]), ["packages-missing"], "{}", ran.text());
    }
    let old = ward::contents(&venv);
    let data = night("failed", 1);
    assert!(data["text"].as_str().unwrap().starts_with("private==1.0 could not be installed again"), "{data}");
    // Nor does a new one forget it.
    ward::told(&ward::force(&sandbox, &["--full"], &venv).code(1), "rebuild", "failed");
    ward::same(&old, &ward::contents(&venv));

    ward::wheel(&sandbox, "private", "1.0");
    night("done", 0);
    ward::is_healthy(&sandbox, &venv);
    assert_eq!(ward::installed(&venv), ["gadget 1.0", "private 1.0"]);
    assert!(!venv.join("mendline-missing.json").exists());
}

#[test]
fn whoever_could_enter_can_enter_whatever_the_umask() {
    let sandbox = Sandbox::new();
    let venv = environment(&sandbox);
    fs::set_permissions(&venv, fs::Permissions::from_mode(0o2750)).unwrap();
    for path in ["bin", "lib"] {
        fs::set_permissions(venv.join(path), fs::Permissions::from_mode(0o2770)).unwrap();
    }
    let module = ward::packages(&venv).join("gadget/__init__.py");
    for (umask, clear) in [("077", true), ("000", true), ("077", false)] {
        if clear {
            drop(fs::remove_dir_all(sandbox.root().join("uv-cache")));
        }
        let line = format!("umask {umask} && venv-rebuild --force --full \"$1\"");
        let ran = ward::at_wheels(&sandbox, sandbox.command("bash", [arg("-c"), arg(line), arg("-"), arg(&venv)])).run().code(0);
        ward::told(&ran, "rebuild", "done");
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
        let modes = [&venv, &venv.join("bin"), &venv.join("lib"), module.parent().unwrap()].map(mode);
        assert_eq!(modes, [0o2750, 0o2770, 0o2770, modes[3]], "{umask}");
        assert_eq!((modes[3] & 0o055, mode(&module) & 0o044), (0o055, 0o044), "{umask}");
        assert_eq!(mode(&venv.join("pyvenv.cfg")), 0o640, "{umask}");
    }
}

#[test]
fn the_one_key_that_nothing_tells_any_more_is_called_a_guess() {
    let sandbox = Sandbox::new();
    let venv = environment(&sandbox);
    fs::remove_file(venv.join("pyvenv.cfg")).unwrap();
    let data = ward::told(&ward::force(&sandbox, &[], &venv).code(0), "config", "done");
    assert_eq!(data["detail"]["guessed"], json!({"include-system-site-packages": false}), "{data}");
    assert!(data["text"].as_str().unwrap().contains("; guessed that "), "{data}");
}

/// The same version, built again without them: one that somebody has changed, one of which no hash tells, one as packaged.
#[test]
fn what_a_package_does_not_bring_any_more_is_carried_over_or_named() {
    let sandbox = Sandbox::new();
    let venv = environment(&sandbox);
    let site = ward::packages(&venv);
    let info = site.join("gadget-1.0.dist-info/RECORD");
    let digest = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
    let record = fs::read_to_string(&info).unwrap();
    fs::write(&info, format!("{record}gadget/extra.py,{digest},0\n../../../share/rows.txt,{digest},0\ngadget/local.cfg,,\n")).unwrap();
    write(&site.join("gadget/extra.py"), "");
    write(&venv.join("share/rows.txt"), "user rows\n");
    write(&site.join("gadget/local.cfg"), "mine\n");
    let data = rebuild(&sandbox, &[], &venv);
    assert_eq!(fs::read_to_string(venv.join("share/rows.txt")).unwrap(), "user rows\n");
    assert_eq!(fs::read_to_string(site.join("gadget/local.cfg")).unwrap(), "mine\n");
    let below = |name: &str| site.strip_prefix(&venv).unwrap().join(name).to_str().unwrap().to_owned();
    assert_eq!(data["detail"]["dropped"], json!({"count": 1, "paths": [below("gadget/extra.py")]}), "{data}");
    assert!(data["text"].as_str().unwrap().contains("left in the backup alone what its package does not bring any more"), "{data}");
    assert_eq!(data["detail"]["carried"]["paths"], json!([below("gadget/local.cfg"), "share/rows.txt"]), "{data}");
}

/// A clone has none of it, and whoever listens there would be listening in the backup.
#[test]
fn a_clone_that_would_lack_a_socket_is_not_swapped_in() {
    let sandbox = Sandbox::new();
    let venv = environment(&sandbox);
    fs::remove_file(ward::packages(&venv).join("gadget-1.0.dist-info/METADATA")).unwrap();
    fs::create_dir(venv.join("share")).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(venv.join("share/app.sock")).unwrap();
    let data = ward::told(&ward::force(&sandbox, &[], &venv).code(1), "packages", "skipped");
    assert_eq!(data["detail"]["stuck"][0]["path"], "share/app.sock", "{data}");
    ward::told(&ward::force(&sandbox, &["--leave-behind"], &venv).code(0), "packages", "done");
    assert!(!venv.join("share/app.sock").exists() && ward::backups(&venv)[0].join("share/app.sock").exists());
}
