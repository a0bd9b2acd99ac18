//! What the script that these tools replace got wrong, a test each.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::{Sandbox, arg, binary};

use crate::{corpus, ward};

fn environment(sandbox: &Sandbox, below: &str) -> PathBuf {
    let venv = sandbox.work(below);
    ward::by_uv(sandbox, &venv, &[]);
    venv
}

/// It named an environment by its last two folders: of two that share them, one was found.
#[test]
fn environments_of_one_name_are_two() {
    let sandbox = Sandbox::new();
    let venvs = ["north/agents/mail/.venv", "south/agents/mail/.venv"].map(|below| environment(&sandbox, below));
    for venv in &venvs {
        ward::kill(venv);
    }
    let ran = ward::force(&sandbox, &["--full"], &sandbox.work("")).code(0);
    let mut subjects: Vec<PathBuf> = ran.of("action").iter().map(|action| action["subject"].as_str().unwrap().into()).collect();
    subjects.sort();
    assert_eq!(subjects, venvs);
    for venv in &venvs {
        assert_eq!(ward::backups(venv).len(), 1);
        ward::is_healthy(&sandbox, venv);
    }
}

/// One interpreter without its execute permission ended the whole check with a traceback.
#[test]
fn one_that_cannot_start_hides_no_other() {
    let sandbox = Sandbox::new();
    corpus::make(&sandbox.work(""), &["noexec", "zeropy", "foreignarch", "healthy"]);
    let judged = sandbox.tool("venv-probe", [sandbox.work("")]).run().code(0);
    let verdicts: Vec<_> = judged.of("venv.probe").iter().map(|record| record["data"]["status"].clone()).collect();
    assert_eq!(verdicts.len(), 4);
    assert_eq!(verdicts.iter().filter(|status| **status == "broken").count(), 3);
    let ran = ward::rebuild(&sandbox, ["--force"]).input(judged.stdout.clone()).run().code(0);
    assert_eq!(ran.of("action").iter().filter(|action| action["data"]["outcome"] == "done").count(), 3);
}

/// `import sys` was all that it asked for.
#[test]
fn an_interpreter_that_starts_is_not_all_there_is_to_health() {
    let shallow = [
        "moved",
        "copied",
        "minorbump",
        "missingmod",
        "corrupt",
        "emptydist",
        "conflict",
        "extras",
        "pipstub",
        "stalehome",
        "nobin",
        "nocfg",
    ];
    let night = corpus::night();
    for name in shallow {
        let data = &night.verdict(&night.judged, name)["data"];
        assert!(data["status"] == "degraded" || data["status"] == "broken", "{name}: {data}");
        assert!(!ward::codes(data).is_empty(), "{name}: {data}");
    }
}

/// It rebuilt with the Python that happened to run it.
#[test]
fn the_python_that_stands_first_on_path_is_not_taken_for_the_environments() {
    let [(first, _), (own, python), ..] = ward::pythons() else { panic!("two minor versions of Python") };
    let sandbox = Sandbox::new();
    let venv = sandbox.work("project/.venv");
    ward::by_venv(&sandbox, python, &venv, &["--without-pip"]);
    ward::kill(&venv);
    let front = sandbox.work("front");
    fs::create_dir_all(&front).unwrap();
    for name in ["python", "python3"] {
        symlink(ward::python(), front.join(name)).unwrap();
    }
    let run = ward::rebuild(&sandbox, [arg("--full"), arg("--force"), arg(&venv)]).env("PATH", ward::path_with(&front));
    let data = ward::told(&run.run().code(0), "rebuild", "done");
    assert!(data["detail"]["python"].as_str().unwrap().starts_with(&format!("{own}.")), "{own}, not {first}: {data}");
    assert_eq!(ward::names(&venv.join("lib")), [format!("python{own}")]);
}

/// It took the nearest requirements file above, whosever it was, and counted a failed pip as repaired.
#[test]
fn a_strangers_requirements_are_not_installed_and_what_failed_is_not_repaired() {
    let sandbox = Sandbox::new();
    let venv = environment(&sandbox, "all/project/.venv");
    fs::write(sandbox.work("all/requirements.txt"), "unobtainable==1.0\n").unwrap();
    ward::kill(&venv);
    let data = ward::told(&ward::force(&sandbox, &["--full"], &venv).code(0), "rebuild", "done");
    assert_eq!((&data["detail"]["source"], &data["detail"]["packages"]), (&json!("recovered"), &json!(0)), "{data}");

    fs::write(venv.with_file_name("requirements.txt"), "unobtainable==1.0\n").unwrap();
    ward::kill(&venv);
    let data = ward::told(&ward::force(&sandbox, &["--full"], &venv).code(1), "rebuild", "failed");
    assert_eq!(data["verified"], false);
}

/// It moved the environment away first: where the new one could not be made, there was none.
#[test]
fn where_no_new_one_can_be_made_the_old_one_stays() {
    let sandbox = Sandbox::new();
    let venv = environment(&sandbox, "project/.venv");
    ward::kill(&venv);
    let old = ward::contents(&venv);
    let front = sandbox.work("front");
    tests::write_program(front.join("uv"), "echo 'error: no room for an environment' >&2; exit 2");
    let run = ward::rebuild(&sandbox, [arg("--full"), arg("--force"), arg(&venv)]).env("PATH", ward::path_with(&front));
    let data = ward::told(&run.run().code(1), "rebuild", "failed");
    assert!(data["text"].as_str().unwrap().contains("no room for an environment"), "{data}");
    assert!(fs::read_to_string(data["log"].as_str().unwrap()).unwrap().contains("no room for an environment"), "{data}");
    ward::same(&old, &ward::contents(&venv));
    assert_eq!(ward::names(venv.parent().unwrap()), [".venv"]);
}

/// It probed everything twice, and a mere check made a folder for logs in the project.
#[test]
fn a_look_starts_an_interpreter_once_and_leaves_nothing_behind() {
    let sandbox = Sandbox::new();
    let venv = environment(&sandbox, "project/.venv");
    let starts = sandbox.root().join("starts");
    let code = format!("open({:?}, 'a').write('x')", starts.to_str().unwrap());
    fs::write(ward::packages(&venv).join("counted.py"), code).unwrap();
    fs::write(ward::packages(&venv).join("counted.pth"), "import counted\n").unwrap();
    let traces = ward::traces(&sandbox.work(""));
    drop(sandbox.tool("venv-probe", [sandbox.work("")]).run().code(0));
    assert_eq!(fs::read_to_string(&starts).unwrap(), "x");
    drop(ward::rebuild(&sandbox, [sandbox.work("")]).run().code(0));
    assert_eq!(fs::read_to_string(&starts).unwrap(), "xx");
    ward::same(&traces, &ward::traces(&sandbox.work("")));
    assert!(!sandbox.root().join("state").exists() && !sandbox.root().join("home").exists());
}

/// What it could not find out it reported as "ok", and so for ever.
#[test]
fn what_could_not_be_seen_is_never_well() {
    let sandbox = Sandbox::new();
    let ran = sandbox.tool("venv-probe", [sandbox.work("nowhere")]).run().code(2);
    assert!(ran.of("venv.probe").is_empty());
    assert_eq!(ran.of("end")[0]["data"]["ok"], false);

    let venv = environment(&sandbox, "project/.venv");
    ward::kill(&venv);
    let old = ward::contents(&venv);
    // No probe at all, one that dies, one that talks nonsense, and one that is not sure.
    let alone = sandbox.work("alone");
    fs::create_dir_all(&alone).unwrap();
    tests::copy_program(binary("venv-rebuild"), alone.join("venv-rebuild"));
    let unsure = json!({"v": 1, "type": "venv.probe", "id": "a.1", "tool": "venv-probe", "host": "h", "ts": "2026-08-23T10:11:12.345Z",
        "subject": venv, "data": {"status": "unknown", "layout": "venv", "level": "default", "proof": {"by": "files"}, "faults": [], "took_ms": 1}});
    let end = json!({"v": 1, "type": "end", "id": "a.2", "tool": "venv-probe", "host": "h", "ts": "2026-08-23T10:11:12.345Z",
        "data": {"ok": true, "read": 0, "wrote": 1}});
    let unsure = format!("echo '{unsure}'");
    let whole = format!("{unsure}; echo '{end}'");
    let probes = [None, Some("kill -9 $$"), Some("echo all is well"), Some(unsure.as_str()), Some(whole.as_str())];
    for probe in probes {
        let is_told = probe == Some(whole.as_str());
        drop(fs::remove_file(alone.join("venv-probe")));
        if let Some(lines) = probe {
            tests::write_program(alone.join("venv-probe"), lines);
        }
        let words = [arg("--force"), arg("--full"), arg("--format"), arg("json"), arg(&venv)];
        let ran = sandbox.command(alone.join("venv-rebuild"), words).env("PATH", "/usr/bin:/bin").run();
        assert_eq!(ran.code, Some(if is_told { 0 } else { 2 }), "{probe:?}: {}\n{}", ran.text(), ran.stderr);
        let outcomes: Vec<Value> = ran.of("action").iter().map(|action| action["data"]["outcome"].clone()).collect();
        assert_eq!(outcomes, if is_told { vec![json!("skipped")] } else { vec![] }, "{probe:?}");
        assert_eq!(ran.of("end")[0]["data"]["ok"], is_told, "{probe:?}: {}", ran.text());
        ward::same(&old, &ward::contents(&venv));
    }
}

/// Its backups, named `.backup_…`, were committed: five thousand files. Of ours git sees nothing, whatever the project ignores.
#[test]
fn a_backup_is_nothing_that_git_would_add() {
    let sandbox = Sandbox::new();
    let venv = sandbox.work("project/.venv");
    ward::by_venv(&sandbox, ward::python(), &venv, &["--without-pip"]);
    drop(fs::remove_file(venv.join(".gitignore")));
    ward::kill(&venv);
    let project = venv.parent().unwrap();
    let git = |args: &[&str]| sandbox.command("git", args).within(project).run().code(0).text();
    git(&["init", "-q"]);
    ward::told(&ward::force(&sandbox, &["--full"], &venv).code(0), "rebuild", "done");
    let backup = ward::backups(&venv).remove(0);
    git(&["add", "--all"]);
    let tracked = git(&["ls-files"]);
    assert!(tracked.lines().all(|path| Path::new(path).starts_with(".venv")), "{tracked}");
    assert!(git(&["status", "--porcelain", "--ignored"]).contains(&format!("!! {}/\n", backup.file_name().unwrap().to_str().unwrap())));
}
