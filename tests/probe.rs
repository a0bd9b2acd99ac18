//! How `venv-probe` finds environments, what it starts, and how it survives what is in its way.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::{Sandbox, arg};

use crate::corpus::bare;

/// Puts a file into site-packages.
fn install(root: &Path, name: &str, text: &str) {
    let site = site(root);
    let mut file = fs::File::create(site.join(name)).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}

fn site(root: &Path) -> PathBuf {
    let library = fs::read_dir(root.join("lib")).unwrap().next().unwrap().unwrap().path();
    library.join("site-packages")
}

fn subjects(records: &[Value]) -> Vec<&str> {
    let mut subjects: Vec<_> = records.iter().map(|record| record["subject"].as_str().unwrap()).collect();
    subjects.sort_unstable();
    subjects
}

#[test]
fn an_environment_needs_no_known_name_and_folders_that_hold_none_are_passed_over() {
    let sandbox = Sandbox::new();
    let work = sandbox.work("");
    for below in ["a/odd name", "b/.venv", "b/node_modules/x/.venv", "b/.git/.venv", "c/.venv.backup_20260101_101010", "d/.tox/py"] {
        bare(&work.join(below));
    }
    let records = sandbox.tool("venv-probe", [&work]).run().code(0).of("venv.probe");
    let expected: Vec<_> = ["a/odd name", "b/.venv", "d/.tox/py"].iter().map(|below| work.join(below).display().to_string()).collect();
    assert_eq!(subjects(&records), expected);
    let records = sandbox.tool("venv-probe", [arg(&work), arg("--backups")]).run().code(0).of("venv.probe");
    assert_eq!(records.len(), 4);
}

#[test]
fn two_environments_with_the_same_folder_name_are_two_records() {
    let sandbox = Sandbox::new();
    let work = sandbox.work("agents");
    for below in ["one/x/.venv", "two/x/.venv"] {
        bare(&work.join(below));
    }
    assert_eq!(sandbox.tool("venv-probe", [&work]).run().code(0).of("venv.probe").len(), 2);
}

#[test]
fn a_link_inside_the_root_is_an_alias_and_one_that_leads_out_is_not_followed() {
    let sandbox = Sandbox::new();
    let (work, outside) = (sandbox.work("in"), sandbox.work("out"));
    bare(&work.join("real"));
    bare(&outside.join("venv"));
    fs::create_dir_all(work.join("app")).unwrap();
    symlink(work.join("real"), work.join("app/.venv")).unwrap();
    symlink(outside.join("venv"), work.join("escape")).unwrap();
    symlink(&work, work.join("circle")).unwrap();
    let ran = sandbox.tool("venv-probe", [&work]).run().code(0);
    assert_eq!(subjects(&ran.of("venv.probe")), [work.join("real").to_str().unwrap()]);
    let aliases = ran.of("venv.alias");
    assert_eq!(subjects(&aliases), [work.join("app/.venv").to_str().unwrap()]);
    assert_eq!(aliases[0]["data"]["of"], work.join("real").to_str().unwrap());
    let named = sandbox.tool("venv-probe", [work.join("escape")]).run().code(0);
    assert_eq!(subjects(&named.of("venv.probe")), [work.join("escape").to_str().unwrap()]);
}

#[test]
fn an_unreadable_folder_is_reported_and_the_rest_is_judged() {
    let sandbox = Sandbox::new();
    let work = sandbox.work("tree");
    // By the system's Python: nobody may see into another user's home.
    assert!(Command::new("/usr/bin/python3").args(["-m", "venv", "--without-pip"]).arg(work.join("a/.venv")).status().unwrap().success());
    fs::create_dir_all(work.join("locked/inside")).unwrap();
    fs::set_permissions(work.join("locked"), fs::Permissions::from_mode(0o000)).unwrap();
    // Root reads everything: the run is handed to nobody.
    for folder in [sandbox.root(), sandbox.root().join("work").as_path()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let probe = sandbox.root().join("venv-probe");
    tests::copy_program(tests::binary("venv-probe"), &probe);
    let ran = if rustix::process::geteuid().is_root() {
        let drop = ["--reuid=65534", "--regid=65534", "--clear-groups"].map(arg);
        sandbox.command("setpriv", drop.into_iter().chain([arg(&probe), arg(&work)])).run().code(2)
    } else {
        sandbox.command(&probe, [&work]).run().code(2)
    };
    fs::set_permissions(work.join("locked"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(ran.of("venv.probe").len(), 1);
    let errors = ran.of("error");
    assert_eq!((errors.len(), errors[0]["data"]["code"].as_str()), (1, Some("path.unreadable")));
    assert_eq!(ran.of("end")[0]["data"]["ok"], false);
}

#[test]
fn a_strangers_environment_is_judged_from_files_unless_asked_for() {
    if !rustix::process::geteuid().is_root() {
        // Only root can give a folder away; the suite runs as root in CI.
        return;
    }
    let sandbox = Sandbox::new();
    let root = sandbox.work("theirs/.venv");
    bare(&root);
    let witness = sandbox.work("witness");
    install(&root, "sitecustomize.py", &format!("open({:?}, 'w').close()\n", witness.display().to_string()));
    rustix::fs::chown(&root, Some(rustix::fs::Uid::from_raw(4242)), None).unwrap();
    let record = sandbox.tool("venv-probe", [&root]).run().code(0).of("venv.probe").remove(0);
    assert_eq!(record["data"]["proof"]["by"], "files");
    assert!(record["data"]["proof"]["why"].as_str().unwrap().contains("neither you nor root"), "{record}");
    assert_eq!(record["data"]["notes"][0]["code"], "not-trusted");
    assert!(!witness.exists(), "a stranger's code ran");
    let record = sandbox.tool("venv-probe", [arg(&root), arg("--spawn"), arg("each")]).run().code(0).of("venv.probe").remove(0);
    assert_eq!(record["data"]["proof"]["by"], "start");
    assert!(witness.exists());
}

#[test]
fn nothing_is_started_that_a_stranger_could_have_written() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let witness = sandbox.work("witness");
    let payload = format!("import os; open({:?}, 'w').close()\n", witness.display().to_string());
    let give = |path: &Path| rustix::fs::chown(path, Some(rustix::fs::Uid::from_raw(4242)), None).unwrap();
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    let (shared, library, pth, added, way) =
        (sandbox.work("shared"), sandbox.work("library"), sandbox.work("pth"), sandbox.work("added"), sandbox.work("way/in"));
    for root in [&shared, &library, &pth, &added, &way] {
        bare(root);
    }
    // A sticky folder that all can write to, such as /tmp, with an environment's files in it.
    install(&shared, "e.pth", &payload);
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    install(&library, "e.pth", &payload);
    give(&library.join("lib"));
    install(&pth, "e.pth", &payload);
    give(&site(&pth).join("e.pth"));
    let theirs = sandbox.work("theirs");
    fs::create_dir(&theirs).unwrap();
    install(&added, "e.pth", &format!("{}\n", theirs.display()));
    fs::write(theirs.join("sitecustomize.py"), &payload).unwrap();
    give(&theirs);
    install(&way, "e.pth", &payload);
    open(&sandbox.work("way"));
    for root in [&shared, &library, &pth, &added, &way] {
        let record = sandbox.tool("venv-probe", [root]).run().code(0).of("venv.probe").remove(0);
        assert_eq!(record["data"]["proof"]["by"], "files", "{record}");
        assert!(!witness.exists(), "a stranger's code ran: {record}");
    }
}

/// Everything that a start reaches by itself: compiled files, packages, site customisation, the library and the packages of the base.
#[test]
fn a_stranger_has_no_part_in_what_a_start_reaches() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let witness = sandbox.work("witness");
    let payload = format!("import os; open({:?}, 'w').close()\n", witness.display().to_string());
    let give = |path: &Path| assert!(Command::new("chown").args(["-R", "4242"]).arg(path).status().unwrap().success());
    let started = |root: &Path| {
        let record = sandbox.tool("venv-probe", [root]).run().code(0).of("venv.probe").remove(0);
        let notes = record["data"]["notes"].to_string();
        assert_eq!(notes.contains("not-trusted"), record["data"]["proof"]["by"] == "files", "{record}");
        assert_eq!(fs::remove_file(&witness).is_ok(), record["data"]["proof"]["by"] == "start", "{record}");
        record["data"]["proof"]["by"] == "start"
    };
    let packages = [
        ("package", &[("x.pth", "import mypkg\n"), ("mypkg/__init__.py", payload.as_str())][..], "mypkg"),
        ("customise", &[("sitecustomize/__init__.py", &payload)], "sitecustomize"),
        ("deeper", &[("x.pth", "import mypkg.deep\n"), ("mypkg/__init__.py", ""), ("mypkg/deep.py", &payload)], "mypkg/deep.py"),
        ("imported", &[("sitecustomize.py", "import tools\n"), ("tools/__init__.py", &payload)], "tools/__init__.py"),
    ];
    for (name, files, theirs) in packages {
        let root = sandbox.work(name);
        bare(&root);
        for (file, text) in files {
            fs::create_dir_all(site(&root).join(file).parent().unwrap()).unwrap();
            install(&root, file, text);
        }
        assert!(started(&root), "{name}: one's own code is started");
        give(&site(&root).join(theirs));
        assert!(!started(&root), "{name}: a stranger's is not");
    }

    let compiled = sandbox.work("compiled");
    bare(&compiled);
    install(&compiled, "x.pth", "import boot\n");
    install(&compiled, "boot.py", &payload);
    let compile = "import py_compile, sys; py_compile.compile(sys.argv[1])";
    assert!(
        Command::new(compiled.join("bin/python"))
            .args(["-I", "-c", compile])
            .arg(site(&compiled).join("boot.py"))
            .status()
            .unwrap()
            .success()
    );
    drop(fs::remove_file(&witness));
    assert!(started(&compiled));
    give(&site(&compiled).join("__pycache__"));
    assert!(!started(&compiled));
}

/// Code that finds what it executes by a name that stands nowhere, in a folder that does.
#[test]
fn a_stranger_has_no_part_in_what_start_up_code_reaches_by_detours() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let witness = sandbox.work("witness");
    let payload = format!("import os; open({:?}, 'w').close()\n", witness.display().to_string());
    let started = |root: &Path| {
        let record = sandbox.tool("venv-probe", [root]).run().code(0).of("venv.probe").remove(0);
        assert_eq!(fs::remove_file(&witness).is_ok(), record["data"]["proof"]["by"] == "start", "{record}");
        record["data"]["proof"]["by"] == "start"
    };
    let other = sandbox.work("other");
    let lines = [
        ("put-together", format!("{}\nimport os; __import__('o'+'m')\n", other.display())),
        ("inserted", format!("import sys; sys.path.insert(0, '{}'); import om\n", other.display())),
        ("site", format!("import site; site.addsitedir('{}')\n", other.display())),
        ("read", format!("import sys; exec(open('{}/om.py').read())\n", other.display())),
        ("joined", format!("import os; exec(open(os.path.join('{}', 'o' + 'm.py')).read())\n", other.display())),
    ];
    for (name, line) in lines {
        let root = sandbox.work(name);
        bare(&root);
        install(&root, "x.pth", &line);
        fs::create_dir_all(&other).unwrap();
        fs::write(other.join("om.py"), &payload).unwrap();
        fs::write(other.join("z.pth"), "import om\n").unwrap();
        assert!(started(&root), "{name}: one's own code is started");
        rustix::fs::chown(other.join("om.py"), Some(rustix::fs::Uid::from_raw(4242)), None).unwrap();
        assert!(!started(&root), "{name}: a stranger's is not");
        fs::remove_dir_all(&other).unwrap();
    }
}

#[test]
fn start_up_code_that_everybody_has_is_no_reason_to_look_away() {
    let sandbox = Sandbox::new();
    let (root, source) = (sandbox.work("v"), sandbox.work("src"));
    bare(&root);
    fs::create_dir_all(source.join("widget")).unwrap();
    let finder = format!(
        "import sys\nfrom importlib.machinery import ModuleSpec, PathFinder\nMAPPING = {{'widget': '{}/widget'}}\ndef install():\n    sys.path_hooks.append('/'.join([]))\n    sys.path_hooks.pop()\n",
        source.display()
    );
    for (name, text) in [
        (
            "distutils-precedence.pth",
            "import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = os.environ.get(var, 'local') == 'local'; enabled and __import__('_distutils_hack')\n",
        ),
        ("_distutils_hack.py", ""),
        ("_virtualenv.pth", "import _virtualenv\n"),
        ("_virtualenv.py", "import sys\n"),
        ("__editable__.widget-1.0.pth", "import __editable___widget_1_0_finder; __editable___widget_1_0_finder.install()\n"),
        ("__editable___widget_1_0_finder.py", finder.as_str()),
        (
            "zope-nspkg.pth",
            "import sys, types, os;has_mfs = sys.version_info > (3, 5);p = os.path.join(sys._getframe(1).f_locals['sitedir'], *('zope',));importlib = has_mfs and __import__('importlib.util');has_mfs and __import__('importlib.machinery')\n",
        ),
        ("cov.pth", "import os; 'COV_CORE_SOURCE' in os.environ and exec('import pytest_cov.embed')\n"),
        ("more.pth", &format!("import site; site.addsitedir('{}')\n", source.display())),
    ] {
        install(&root, name, text);
    }
    let record = sandbox.tool("venv-probe", [&root]).run().code(0).of("venv.probe").remove(0);
    assert_eq!((&record["data"]["proof"]["by"], &record["data"]["status"]), (&"start".into(), &"healthy".into()), "{record}");
    assert!(!record["data"]["notes"].to_string().contains("not-trusted"), "{record}");
}

#[test]
fn a_stranger_has_no_part_in_the_base() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let (witness, base) = (sandbox.work("witness"), sandbox.work("base"));
    let payload = format!("import os; open({:?}, 'w').close()\n", witness.display().to_string());
    let give = |path: &Path| rustix::fs::chown(path, Some(rustix::fs::Uid::from_raw(4242)), None).unwrap();
    // A base of our own, that takes its library from the real one but for what is under test.
    let real = fs::canonicalize(crate::ward::python()).unwrap();
    let version = real.file_name().unwrap().to_str().unwrap();
    let (from, library) = (real.parent().unwrap().with_file_name("lib").join(version), base.join("lib").join(version));
    fs::create_dir_all(base.join("bin")).unwrap();
    fs::create_dir_all(library.join("site-packages")).unwrap();
    tests::copy_program(&real, base.join("bin").join(version));
    for name in fs::read_dir(&from).unwrap().map(|entry| entry.unwrap().file_name()) {
        drop(symlink(from.join(&name), library.join(&name)));
    }
    for shared in ["libpython3.so".to_owned(), format!("lib{version}.so.1.0")] {
        let file = from.with_file_name(shared);
        drop(file.exists().then(|| symlink(&file, base.join("lib").join(file.file_name().unwrap()))));
    }
    let pth = library.join("site-packages/e.pth");
    fs::write(&pth, &payload).unwrap();
    let root = sandbox.work("v");
    let made = Command::new(base.join("bin").join(version))
        .args(["-I", "-S", "-m", "venv", "--without-pip", "--system-site-packages"])
        .arg(&root)
        .status();
    assert!(made.unwrap().success());
    drop(fs::remove_file(&witness));
    let started = || {
        let record = sandbox.tool("venv-probe", [&root]).run().code(0).of("venv.probe").remove(0);
        assert_eq!(fs::remove_file(&witness).is_ok(), record["data"]["proof"]["by"] == "start", "{record}");
        record["data"]["proof"]["by"] == "start"
    };
    assert!(started());
    give(&pth);
    assert!(!started(), "a .pth file of the base's packages");
    fs::remove_file(&pth).unwrap();
    fs::write(&pth, &payload).unwrap();
    assert!(started());
    let module = library.join("os.py");
    fs::remove_file(&module).unwrap();
    fs::copy(from.join("os.py"), &module).unwrap();
    give(&module);
    assert!(!started(), "a module of the library");
}

/// Whoever can put something where the links of a dead interpreter lead decides what is started next.
#[test]
fn a_dead_environment_of_a_stranger_is_told_for_one() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let (theirs, noted) = (sandbox.work("theirs"), |root: &Path| {
        let record = sandbox.tool("venv-probe", [root]).run().code(0).of("venv.probe").remove(0);
        assert_eq!(record["data"]["status"], "broken", "{record}");
        record["data"]["notes"].to_string().contains("not-trusted")
    });
    fs::create_dir(&theirs).unwrap();
    let root = sandbox.work("project/v");
    bare(&root);
    crate::ward::kill(&root);
    assert!(!noted(&root));
    fs::remove_file(root.join("bin/python")).unwrap();
    symlink(theirs.join("bin/python3"), root.join("bin/python")).unwrap();
    assert!(!noted(&root));
    rustix::fs::chown(&theirs, Some(rustix::fs::Uid::from_raw(4242)), None).unwrap();
    assert!(noted(&root), "where its link leads");
    crate::ward::kill(&root);
    rustix::fs::chown(root.parent().unwrap(), Some(rustix::fs::Uid::from_raw(4242)), None).unwrap();
    assert!(noted(&root), "where it stands");
}

/// What was compiled from a module is executed in its place, so equal sources prove nothing about it.
#[test]
fn compiled_start_up_code_belongs_to_the_class() {
    let sandbox = Sandbox::new();
    let work = sandbox.work("many");
    for number in 0..3 {
        let root = work.join(format!("{}", 10_u32.pow(number)));
        bare(&root);
        install(&root, "x.pth", "import boot\n");
        install(&root, "boot.py", "x = 1\n");
        let compile = "import py_compile, sys; py_compile.compile(sys.argv[1])";
        let file = site(&root).join("boot.py");
        assert!(Command::new(root.join("bin/python")).args(["-I", "-S", "-c", compile]).arg(file).status().unwrap().success());
    }
    let judged = || {
        let records = sandbox.tool("venv-probe", [&work]).run().code(0).of("venv.probe");
        let count = |of: &dyn Fn(&&Value) -> bool| records.iter().filter(of).count();
        (count(&|record| record["data"]["proof"]["by"] == "class"), count(&|record| record["data"]["status"] == "healthy"))
    };
    assert_eq!(judged(), (2, 3), "the same code in three places is one class");
    let folder = site(&work.join("100")).join("__pycache__");
    let pyc = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&pyc).unwrap();
    bytes.truncate(20);
    fs::write(&pyc, bytes).unwrap();
    assert_eq!(judged().0, 1, "another compiled file is another class");
}

#[test]
fn packages_where_python_does_not_look_are_missing() {
    let sandbox = Sandbox::new();
    let work = sandbox.work("two");
    for name in ["good", "moved"] {
        bare(&work.join(name));
    }
    let moved = work.join("moved");
    drop(fs::remove_file(moved.join("lib64")));
    fs::rename(moved.join("lib"), moved.join("lib64")).unwrap();
    let records = sandbox.tool("venv-probe", [&work]).run().code(0).of("venv.probe");
    for record in records {
        let is_moved = record["subject"] == moved.to_str().unwrap();
        let codes: Vec<_> = record["data"]["faults"].as_array().unwrap().iter().map(|fault| fault["code"].as_str().unwrap()).collect();
        assert_eq!(codes, if is_moved { vec!["site-packages-missing"] } else { vec![] }, "{record}");
    }
}

#[test]
fn a_hang_is_nobody_elses_verdict() {
    let sandbox = Sandbox::new();
    let work = sandbox.work("many");
    let witness = sandbox.work("once");
    // The first start that comes hangs, the others do not.
    let code = format!(
        "import os, time\ntry:\n    os.mkdir({:?})\nexcept FileExistsError:\n    pass\nelse:\n    time.sleep(600)\n",
        witness.display().to_string()
    );
    for number in 0..4 {
        bare(&work.join(number.to_string()));
        install(&work.join(number.to_string()), "sitecustomize.py", &code);
    }
    let records = sandbox.tool("venv-probe", [arg(&work), arg("--timeout"), arg("2")]).run().code(0).of("venv.probe");
    let mut statuses: Vec<_> = records.iter().map(|record| record["data"]["status"].as_str().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["broken", "healthy", "healthy", "healthy"], "{records:?}");
}

#[test]
fn one_start_proves_a_class_and_different_start_up_code_gets_its_own() {
    let sandbox = Sandbox::new();
    let work = sandbox.work("many");
    let log = sandbox.work("starts");
    let code = format!("open({:?}, 'a').write('start\\n')\n", log.display().to_string());
    for number in 0..6 {
        let root = work.join(number.to_string());
        bare(&root);
        // Five share their customisation, the sixth differs by a byte.
        install(&root, "sitecustomize.py", &if number == 5 { format!("{code}#") } else { code.clone() });
    }
    let starts = |args: &[&str]| {
        drop(fs::remove_file(&log));
        let args = args.iter().map(arg).chain([arg(&work)]);
        let records = sandbox.tool("venv-probe", args).run().code(0).of("venv.probe");
        assert!(records.iter().all(|record| record["data"]["status"] == "healthy"), "{records:?}");
        let shared = records.iter().filter(|record| record["data"]["proof"]["by"] == "class").count();
        (fs::read_to_string(&log).unwrap_or_default().lines().count(), shared)
    };
    assert_eq!(starts(&[]), (2, 4));
    assert_eq!(starts(&["--spawn", "each"]), (6, 0));
    assert_eq!(starts(&["--spawn", "never"]), (0, 0));
}

#[test]
fn the_callers_environment_does_not_reach_the_interpreter() {
    let sandbox = Sandbox::new();
    let root = sandbox.work(".venv");
    bare(&root);
    let run =
        sandbox.tool("venv-probe", [&root]).env("PYTHONHOME", "/nowhere").env("PYTHONPATH", "/nowhere").env("LD_LIBRARY_PATH", "/nowhere");
    let record = run.env("PYTHONSTARTUP", "/nowhere").run().code(0).of("venv.probe").remove(0);
    assert_eq!(record["data"]["status"], "healthy", "{record}");
    let compiled = Command::new("find").arg(&root).args(["-name", "*.pyc"]).output().unwrap();
    assert_eq!(compiled.stdout, b"", "the probe wrote into the environment");
}

/// What it imports may be on a disk that is not mounted yet.
#[test]
fn a_persons_own_start_up_file_is_theirs_to_mend() {
    let sandbox = Sandbox::new();
    let root = sandbox.work("v");
    bare(&root);
    for (name, repair) in [("plugins.pth", Value::Null), ("__editable__.gone-1.0.pth", "litter".into())] {
        install(&root, name, "import plugins_on_nfs\n");
        let record = sandbox.tool("venv-probe", [&root]).run().code(0).of("venv.probe").remove(0);
        let fault = &record["data"]["faults"][0];
        assert_eq!((fault["code"].as_str(), &fault["repair"]), (Some("pth-broken"), &repair), "{record}");
        fs::remove_file(site(&root).join(name)).unwrap();
    }
}

#[test]
fn a_flood_from_start_up_code_neither_hides_the_answer_nor_blocks() {
    let sandbox = Sandbox::new();
    let root = sandbox.work(".venv");
    bare(&root);
    install(&root, "sitecustomize.py", "import sys\nprint('x' * 300_000)\nprint('y' * 300_000, file=sys.stderr)\n");
    let record = sandbox.tool("venv-probe", [&root]).run().code(0).of("venv.probe").remove(0);
    assert_eq!((record["data"]["status"].as_str(), record["data"]["proof"]["by"].as_str()), (Some("healthy"), Some("start")), "{record}");
}

#[test]
fn a_hanging_interpreter_leaves_no_process_behind() {
    let sandbox = Sandbox::new();
    let root = sandbox.work(".venv");
    bare(&root);
    let pids = sandbox.work("pids");
    install(
        &root,
        "sitecustomize.py",
        &format!(
            "import subprocess, time\np = subprocess.Popen(['sleep', '600'])\nopen({:?}, 'w').write(str(p.pid))\ntime.sleep(600)\n",
            pids.display().to_string()
        ),
    );
    let record = sandbox.tool("venv-probe", [arg(&root), arg("--timeout"), arg("2")]).run().code(0).of("venv.probe").remove(0);
    assert_eq!(record["data"]["faults"][0]["code"], "startup-hangs", "{record}");
    let pid = fs::read_to_string(pids).unwrap();
    let gone = || fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z"));
    for _ in 0..200 {
        if gone() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("the child of the hanging interpreter lives on");
}

#[test]
fn names_with_quotes_newlines_and_bytes_that_are_no_text_are_judged_like_any() {
    let sandbox = Sandbox::new();
    let work = sandbox.work("names");
    for name in [&b"it's \"quoted\""[..], b"two\nlines", b"not-\xff-utf8", b"-dash", b"sp ace $(x) `y`"] {
        // venv itself fails at some of these names, and writes the path into its activate files alone.
        let (plain, odd) = (sandbox.work("plain"), work.join(std::ffi::OsStr::from_bytes(name)));
        bare(&plain);
        for script in fs::read_dir(plain.join("bin"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().contains("ctivate"))
        {
            fs::remove_file(script).unwrap();
        }
        fs::create_dir_all(&odd).unwrap();
        assert!(Command::new("mv").arg(&plain).arg(odd.join(".venv")).status().unwrap().success());
    }
    let ran = sandbox.tool("venv-probe", [&work]).run().code(0);
    let records = ran.of("venv.probe");
    assert_eq!(records.len(), 5);
    assert!(records.iter().all(|record| record["data"]["status"] == "healthy"), "{records:?}");
    let hex = records.iter().filter(|record| record["subject"]["hex"].is_string()).count();
    assert_eq!(hex, 1);
    // What came out goes in again.
    let again = sandbox.tool("venv-probe", ["-"]).input(ran.stdout.clone()).run().code(0);
    assert_eq!(again.of("venv.probe").len(), 10);
}

/// A record about `subject`, as another tool would write it.
fn record(kind: &str, tool: &str, host: &str, subject: &Path) -> String {
    let subject = subject.display();
    format!(
        "{{\"v\":1,\"type\":\"{kind}\",\"id\":\"a.1\",\"tool\":\"{tool}\",\"host\":\"{host}\",\"ts\":\"2026-08-23T10:11:12.345Z\",\"subject\":\"{subject}\",\"data\":{{}}}}"
    )
}

fn this_host() -> String {
    rustix::system::uname().nodename().to_str().unwrap().to_owned()
}

#[test]
fn stdin_takes_paths_and_records_and_answers_behind_the_cause() {
    let sandbox = Sandbox::new();
    let (one, two) = (sandbox.work("one/.venv"), sandbox.work("two/.venv"));
    bare(&one);
    bare(&two);
    for (kind, tool) in [("venv.probe", "t"), ("action", "venv-rebuild")] {
        let record = record(kind, tool, &this_host(), &one);
        let ran = sandbox.tool("venv-probe", ["-"]).input(format!("{record}\n{}\n", two.display())).run().code(0);
        let records: Vec<Value> = ran.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let kinds: Vec<_> = records.iter().map(|record| (record["type"].as_str().unwrap(), record["cause"][0].as_str())).collect();
        assert_eq!(kinds, [(kind, None), ("venv.probe", Some("a.1")), ("venv.probe", None), ("end", None)]);
        assert_eq!(ran.text().lines().next(), Some(record.as_str()));
    }
}

#[test]
fn records_of_unknown_types_and_of_other_machines_are_passed_on_and_nothing_more() {
    let sandbox = Sandbox::new();
    let (root, here) = (sandbox.work("v/.venv"), this_host());
    bare(&root);
    for (kind, tool, host) in [
        ("weather.probe", "t", here.as_str()),
        ("venv.alias", "venv-probe", &here),
        ("action", "tmux-registry", &here),
        ("venv.probe", "venv-probe", "elsewhere.example"),
    ] {
        let record = record(kind, tool, host, &root);
        let ran = sandbox.tool("venv-probe", ["-"]).input(format!("{record}\n")).run().code(0);
        let lines: Vec<_> = ran.text().lines().map(str::to_owned).collect();
        assert_eq!((lines.len(), lines[0].as_str()), (2, record.as_str()), "{lines:?}");
    }
    let relative = record("venv.probe", "venv-probe", &here, Path::new("work/v/.venv"));
    let ran = sandbox.tool("venv-probe", ["-"]).input(format!("{relative}\n")).run().code(2);
    assert!(ran.text().contains("\"code\":\"input.bad-data\"") && ran.text().lines().count() == 3, "{}", ran.text());
}

#[test]
fn an_alias_and_its_target_are_judged_once_again() {
    let sandbox = Sandbox::new();
    let work = sandbox.work("all");
    bare(&work.join("real"));
    symlink(work.join("real"), work.join("link")).unwrap();
    let first = sandbox.tool("venv-probe", [&work]).run().code(0);
    assert_eq!((first.of("venv.probe").len(), first.of("venv.alias").len()), (1, 1));
    let second = sandbox.tool("venv-probe", ["-"]).input(first.text()).run().code(0);
    assert_eq!(second.of("venv.probe").len(), 2);
}

#[test]
fn what_a_path_set_names_must_be_there_and_what_is_no_glob_stops_nothing() {
    let sandbox = Sandbox::new();
    let root = sandbox.work("good/.venv");
    bare(&root);
    let (set, work) = (sandbox.root().join("set"), sandbox.work(""));
    let text = |lines: &[&str]| lines.iter().map(|line| format!("{}{line}", work.display())).collect::<Vec<_>>().join("\n");
    fs::write(&set, text(&["none/*", "unmounted", "bad[", "good/.venv"])).unwrap();
    let ran = sandbox.tool("venv-probe", [arg("--check"), arg("--paths-from"), arg(&set)]).run().code(2);
    let codes: Vec<_> = ran.of("error").iter().map(|error| error["data"]["code"].as_str().unwrap().to_owned()).collect();
    assert_eq!((codes, ran.of("venv.probe").len()), (vec!["path.malformed-glob".to_owned(), "path.missing".to_owned()], 1));
    assert_eq!(ran.of("error")[1]["subject"], work.join("unmounted").to_str().unwrap());
    fs::write(&set, text(&["none/*"])).unwrap();
    sandbox.tool("venv-probe", [arg("--check"), arg("--paths-from"), arg(&set)]).run().code(0).ok();
    let ran = sandbox.tool("venv-probe", [work.join("x["), root]).run().code(2);
    assert_eq!((ran.of("error")[0]["data"]["code"].as_str(), ran.of("venv.probe").len()), (Some("path.malformed-glob"), 1));
}

#[test]
fn a_path_set_finds_the_layout_of_the_seed() {
    let sandbox = Sandbox::new();
    let work = sandbox.work("petes");
    for below in ["venv-google", "infrastructure/mcp-servers/ads/.venv", "agents/blog/writer/.venv", "elsewhere/.venv"] {
        bare(&work.join(below));
    }
    let set = tests::workspace().join("scripts/sets/agents.paths");
    let ran = sandbox.tool("venv-probe", [arg("--paths-from"), arg(set)]).within(&work).run().code(0);
    assert_eq!(ran.of("venv.probe").len(), 3);
}

#[test]
fn what_does_not_exist_is_trouble_and_check_tells_bad_from_trouble() {
    let sandbox = Sandbox::new();
    let root = sandbox.work("good/.venv");
    bare(&root);
    let missing = sandbox.tool("venv-probe", [arg(sandbox.work("gone")), arg(&root)]).run().code(2);
    assert_eq!((missing.of("venv.probe").len(), missing.of("error")[0]["data"]["code"].as_str()), (1, Some("path.missing")));
    sandbox.tool("venv-probe", [arg("--check"), arg(&root)]).run().code(0).ok();
    fs::remove_file(root.join("bin/python")).unwrap();
    sandbox.tool("venv-probe", [arg("--check"), arg(&root)]).run().code(1).ok();
    sandbox.tool("venv-probe", [arg(&root)]).run().code(0).ok();
}

#[test]
fn what_does_not_exist_is_told_in_the_same_words_from_wherever_it_came() {
    let sandbox = Sandbox::new();
    let gone = sandbox.work("gone");
    let named = sandbox.tool("venv-probe", [&gone]).run().code(2);
    let piped = sandbox.tool("venv-probe", ["-"]).input(format!("{}\n", gone.display())).run().code(2);
    let error = |ran: &tests::Ran| (ran.of("error")[0]["subject"].clone(), ran.of("error")[0]["data"].clone(), ran.stderr.clone());
    assert_eq!(error(&named), error(&piped));
    assert_eq!(named.of("error")[0]["subject"], gone.to_str().unwrap());
}

#[test]
fn one_bad_interpreter_does_not_stop_the_others() {
    let sandbox = Sandbox::new();
    let work = sandbox.work("all");
    for name in ["a", "b", "c"] {
        bare(&work.join(name));
    }
    fs::remove_file(work.join("b/bin/python")).unwrap();
    fs::File::create(work.join("b/bin/python")).unwrap().set_permissions(fs::Permissions::from_mode(0o644)).unwrap();
    let records = sandbox.tool("venv-probe", [&work]).run().code(0).of("venv.probe");
    let mut statuses: Vec<_> = records.iter().map(|record| record["data"]["status"].as_str().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["broken", "healthy", "healthy"]);
}
