//! A full rebuild: like the old environment in all that it was asked to be, with the packages that it should hold.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tests::Sandbox;

use crate::ward;

/// An environment in a project of its own, so that no file of this machine is taken for the project's.
fn project(sandbox: &Sandbox) -> PathBuf {
    let folder = sandbox.work("project");
    fs::create_dir_all(folder.join(".git")).unwrap();
    folder.join(".venv")
}

/// An environment that holds two packages at 1.0, where 2.0 is to be had as well.
fn with_packages(sandbox: &Sandbox) -> PathBuf {
    let venv = project(sandbox);
    for (name, version) in [("gadget", "1.0"), ("gadget", "2.0"), ("gizmo", "1.0"), ("gizmo", "2.0")] {
        ward::wheel(sandbox, name, version);
    }
    ward::by_uv(sandbox, &venv, &[]);
    ward::install(sandbox, &venv, &["gadget==1.0", "gizmo==1.0"]);
    venv
}

fn rebuilt(sandbox: &Sandbox, args: &[&str], venv: &Path) -> Value {
    ward::kill(venv);
    let args: Vec<_> = ["--full"].iter().chain(args).copied().collect();
    let data = ward::told(&ward::force(sandbox, &args, venv).code(0), "rebuild", "done");
    ward::is_healthy(sandbox, venv);
    assert_eq!(ward::damaged(venv), [""; 0]);
    data
}

#[test]
fn flags_and_prompt_of_the_standard_librarys_are_kept() {
    let (minor, python) = ward::pythons().get(1).expect("two minor versions of Python");
    let (sandbox, (same, _)) = (Sandbox::new(), &ward::pythons()[0]);
    assert_ne!(minor, same);
    let venv = project(&sandbox);
    ward::by_venv(&sandbox, python, &venv, &["--without-pip", "--copies", "--system-site-packages", "--prompt", "the shop"]);
    let data = rebuilt(&sandbox, &[], &venv);
    assert!(data["detail"]["python"].as_str().unwrap().starts_with(&format!("{minor}.")), "{data}");
    assert_eq!(ward::setting(&venv, "prompt").unwrap().trim_matches('\''), "the shop");
    assert!(ward::setting(&venv, "version").unwrap().starts_with(minor));
    let is_alike = || {
        assert_eq!(ward::setting(&venv, "include-system-site-packages").unwrap(), "true");
        assert!(venv.join("bin/python").symlink_metadata().unwrap().is_file(), "it held copies");
        assert!(!venv.join("bin/pip").exists() && ward::names(&ward::packages(&venv)).is_empty(), "it held no pip of its own");
    };
    is_alike();
    // What the rebuild leaves says the same to the next one.
    rebuilt(&sandbox, &[], &venv);
    is_alike();
}

#[test]
fn an_environment_with_pip_has_pip_afterwards() {
    let sandbox = Sandbox::new();
    let venv = project(&sandbox);
    ward::with_pip(&sandbox, &venv);
    rebuilt(&sandbox, &[], &venv);
    assert_eq!(ward::verdict(&sandbox, &venv)["pip"], "present");
    assert_eq!(ward::setting(&venv, "prompt"), None);
    let pip = sandbox.command(venv.join("bin/pip"), ["--version"]).run().code(0);
    assert!(pip.text().contains(venv.to_str().unwrap()), "{}", pip.text());
    let activate = fs::read_to_string(venv.join("bin/activate")).unwrap();
    assert!(activate.contains(venv.to_str().unwrap()) && !activate.contains(".mendline-"), "{activate}");
}

#[test]
fn pip_is_started_once_where_the_one_that_comes_with_the_interpreter_is_wanted() {
    let sandbox = Sandbox::new();
    let venv = project(&sandbox);
    ward::wheel(&sandbox, "gadget", "1.0");
    ward::with_pip(&sandbox, &venv);
    ward::install(&sandbox, &venv, &["gadget"]);
    let was = ward::installed(&venv);
    let data = rebuilt(&sandbox, &["--installer", "pip"], &venv);
    let log = fs::read_to_string(data["log"].as_str().unwrap()).unwrap();
    assert_eq!((log.matches(" install ").count(), log.contains("ensurepip --")), (1, false), "{log}");
    assert_eq!(ward::installed(&venv), was);
    let pip = sandbox.command(venv.join("bin/pip"), ["--version"]).run().code(0);
    assert!(pip.text().contains(venv.to_str().unwrap()), "{}", pip.text());
}

#[test]
fn uvs_and_virtualenvs_stay_what_they_were() {
    let sandbox = Sandbox::new();
    let venv = project(&sandbox);
    ward::by_uv(&sandbox, &venv, &["--relocatable", "--prompt", "shop"]);
    rebuilt(&sandbox, &[], &venv);
    assert!(ward::setting(&venv, "uv").is_some());
    assert_eq!((ward::setting(&venv, "prompt").unwrap(), ward::setting(&venv, "relocatable").unwrap()), ("shop".into(), "true".into()));
    assert_eq!(ward::verdict(&sandbox, &venv)["pip"], "absent-by-design");

    let seeded = project(&sandbox).with_file_name("seeded");
    ward::by_uv(&sandbox, &seeded, &["--seed"]);
    rebuilt(&sandbox, &[], &seeded);
    assert_eq!(ward::verdict(&sandbox, &seeded)["pip"], "present");

    let other = project(&sandbox).with_file_name("other");
    let args = [
        "-q",
        "--no-download",
        "--no-periodic-update",
        "--prompt",
        "shop",
        "-p",
        ward::python().to_str().unwrap(),
        other.to_str().unwrap(),
    ];
    drop(sandbox.command("virtualenv", args).run().code(0));
    rebuilt(&sandbox, &[], &other);
    assert_eq!(ward::verdict(&sandbox, &other)["pip"], "present");
    assert_eq!(ward::setting(&other, "prompt").unwrap(), "shop");
    assert!(other.join("bin/activate_this.py").exists());
}

#[test]
fn packages_come_back_at_their_versions_from_the_metadata_alone() {
    for installer in ["uv", "pip"] {
        let sandbox = Sandbox::new();
        let venv = with_packages(&sandbox);
        let was = ward::installed(&venv);
        assert_eq!(was, ["gadget 1.0", "gizmo 1.0"]);
        let data = rebuilt(&sandbox, &["--installer", installer], &venv);
        assert_eq!(ward::installed(&venv), was, "{installer}");
        let detail = &data["detail"];
        assert_eq!((&detail["source"], &detail["packages"], &detail["installer"]), (&json!("recovered"), &json!(2), &json!(installer)));
    }
}

#[test]
fn scripts_that_uv_wrote_for_the_base_start_the_environments_own_interpreter() {
    let sandbox = Sandbox::new();
    let venv = project(&sandbox);
    ward::by_uv(&sandbox, &venv, &[]);
    ward::install(&sandbox, &venv, &["idna"]);
    let script = fs::read_to_string(venv.join("bin/idna")).unwrap();
    let data = rebuilt(&sandbox, &["--installer", "uv"], &venv);
    let log = fs::read_to_string(data["log"].as_str().unwrap()).unwrap();
    assert_eq!(log.matches(" pip install ").count(), 1, "{log}");
    assert!(log.contains(" --prefix "), "{log}");
    assert_eq!(fs::read_to_string(venv.join("bin/idna")).unwrap(), script);
}

#[test]
fn editable_installs_and_those_from_an_address_come_back_as_such() {
    let sandbox = Sandbox::new();
    let venv = project(&sandbox);
    let gadget = ward::wheel(&sandbox, "gadget", "1.0");
    let elsewhere = sandbox.work("down load/gadget-1.0-py3-none-any.whl");
    fs::create_dir_all(elsewhere.parent().unwrap()).unwrap();
    fs::rename(gadget, &elsewhere).unwrap();
    let source = venv.with_file_name("widget");
    fs::create_dir_all(source.join("widget")).unwrap();
    fs::write(source.join("widget/__init__.py"), "size = 1\n").unwrap();
    let text = "[build-system]\nrequires = [\"setuptools\"]\nbuild-backend = \"setuptools.build_meta\"\n[project]\nname = \"widget\"\nversion = \"0.1\"\n";
    fs::write(source.join("pyproject.toml"), text).unwrap();
    ward::by_uv(&sandbox, &venv, &[]);
    ward::install(&sandbox, &venv, &["-e", source.to_str().unwrap(), elsewhere.to_str().unwrap()]);
    let origins = |venv: &Path| -> Vec<Value> {
        let infos = ["gadget-1.0.dist-info", "widget-0.1.dist-info"].map(|info| ward::packages(venv).join(info).join("direct_url.json"));
        infos.iter().map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect()
    };
    let was = origins(&venv);
    rebuilt(&sandbox, &[], &venv);
    assert_eq!(origins(&venv), was);
    let import = sandbox.command(venv.join("bin/python"), ["-c", "import widget, gadget; print(widget.__file__)"]).run().code(0);
    assert_eq!(import.text().trim_end(), source.join("widget/__init__.py").to_str().unwrap());
}

#[test]
fn a_requirements_file_of_the_project_is_followed_and_is_no_upgrade() {
    let sandbox = Sandbox::new();
    let venv = with_packages(&sandbox);
    let file = venv.with_file_name("requirements.txt");
    fs::write(&file, "gadget>=1  # what we sell\n").unwrap();
    let data = rebuilt(&sandbox, &[], &venv);
    assert_eq!(data["detail"]["source"], file.to_str().unwrap());
    // Installed by hand beside it, and not lost.
    assert_eq!(ward::installed(&venv), ["gadget 1.0", "gizmo 1.0"]);
    rebuilt(&sandbox, &["--only-source"], &venv);
    assert_eq!(ward::installed(&venv), ["gadget 1.0"]);
    fs::write(&file, "gadget==2.0\n").unwrap();
    let data = rebuilt(&sandbox, &[], &venv);
    assert_eq!(data["detail"]["changed"], json!([{"name": "gadget", "was": "1.0", "now": "2.0"}]));
    assert_eq!(ward::installed(&venv), ["gadget 2.0"]);
}

#[test]
fn a_lock_comes_before_requirements_and_those_before_their_backup() {
    let sandbox = Sandbox::new();
    let venv = with_packages(&sandbox);
    let project = venv.parent().unwrap();
    fs::write(project.join("requirements.txt.backup"), "gizmo==1.0\n").unwrap();
    let data = rebuilt(&sandbox, &["--only-source"], &venv);
    assert_eq!(data["detail"]["source"], project.join("requirements.txt.backup").to_str().unwrap());
    assert_eq!(ward::installed(&venv), ["gizmo 1.0"]);

    fs::write(project.join("requirements.txt"), "gizmo==2.0\n").unwrap();
    let data = rebuilt(&sandbox, &["--only-source"], &venv);
    assert_eq!(data["detail"]["source"], project.join("requirements.txt").to_str().unwrap());
    assert_eq!(ward::installed(&venv), ["gizmo 2.0"]);

    let text = "[project]\nname = \"shop\"\nversion = \"1\"\nrequires-python = \">=3.8\"\ndependencies = [\"gadget<2\"]\n";
    fs::write(project.join("pyproject.toml"), text).unwrap();
    let lock = sandbox.command("uv", ["lock", "-q", "--python", ward::python().to_str().unwrap()]).within(project);
    drop(ward::at_wheels(&sandbox, lock).run().code(0));
    let data = rebuilt(&sandbox, &["--only-source"], &venv);
    assert_eq!(data["detail"]["source"], project.join("uv.lock").to_str().unwrap());
    assert_eq!(ward::installed(&venv), ["gadget 1.0"]);
}

#[test]
fn probe_and_rebuild_take_the_same_file_for_the_projects() {
    let sandbox = Sandbox::new();
    let venv = with_packages(&sandbox);
    let project = venv.parent().unwrap();
    // Nobody has renewed it since.
    fs::write(project.join("requirements.txt"), "gadget==2.0\n").unwrap();
    let pyproject = "[project]\nname = \"shop\"\nversion = \"1\"\ndependencies = [\"gadget<2\", \"gizmo\"]\n";
    let pdm = "[[package]]\nname = \"gadget\"\nversion = \"1.0\"\ngroups = [\"default\"]\n";
    for (name, text) in [("pyproject.toml", pyproject), ("pdm.lock", pdm)] {
        fs::write(project.join(name), text).unwrap();
        assert_eq!(ward::verdict(&sandbox, &venv)["status"], "healthy");
        let data = rebuilt(&sandbox, &[], &venv);
        assert_eq!(data["detail"]["source"], project.join(name).to_str().unwrap());
        assert_eq!(ward::installed(&venv), ["gadget 1.0", "gizmo 1.0"]);
    }
}

#[test]
fn a_rebuild_that_brings_what_was_not_wrong_before_is_taken_back() {
    let sandbox = Sandbox::new();
    let venv = with_packages(&sandbox);
    // The newer gizmo needs a gadget that the file rules out.
    ward::wheel_that_needs(&sandbox, "gizmo", "3.0", "gadget>=2");
    fs::write(venv.with_file_name("requirements.txt"), "gadget\ngizmo\n").unwrap();
    fs::write(venv.with_file_name("pylock.toml"), "lock-version = \"1.0\"\ncreated-by = \"t\"\n[[packages]]\nname = \"gadget\"\nversion = \"1.0\"\n[[packages]]\nname = \"gizmo\"\nversion = \"3.0\"\n").unwrap();
    let old = ward::contents(&venv);
    let data = ward::told(&ward::force(&sandbox, &["--full"], &venv).code(1), "rebuild", "failed");
    assert!(data["text"].as_str().unwrap().starts_with("dependency-conflict came with it"), "{data}");
    ward::same(&old, &ward::contents(&venv));
}

#[test]
fn no_file_from_beyond_the_projects_root_is_taken() {
    let sandbox = Sandbox::new();
    let venv = with_packages(&sandbox);
    fs::write(sandbox.work("requirements.txt"), "gadget==2.0\n").unwrap();
    let data = rebuilt(&sandbox, &[], &venv);
    assert_eq!(data["detail"]["source"], "recovered");
    // Within it, a folder above counts.
    let nested = venv.with_file_name("services").join("api/.venv");
    fs::create_dir_all(nested.parent().unwrap()).unwrap();
    fs::write(venv.with_file_name("requirements.txt"), "gizmo==2.0\n").unwrap();
    ward::by_uv(&sandbox, &nested, &[]);
    let data = rebuilt(&sandbox, &[], &nested);
    assert_eq!(data["detail"]["source"], venv.with_file_name("requirements.txt").to_str().unwrap());
    assert_eq!(ward::installed(&nested), ["gizmo 2.0"]);
}

#[test]
fn what_cannot_be_had_leaves_the_rest_installed_and_is_no_success() {
    for (installer, file) in
        [("uv", "gadget==1.0\nunobtainable==3.1\ngizmo==1.0\n"), ("pip", "gadget==1.0\nunobtainable==3.1\ngizmo==1.0\n")]
    {
        let sandbox = Sandbox::new();
        let venv = with_packages(&sandbox);
        fs::write(venv.with_file_name("requirements.txt"), file).unwrap();
        ward::kill(&venv);
        let old = ward::contents(&venv);
        let ran = ward::force(&sandbox, &["--full", "--installer", installer], &venv).code(1);
        let data = ward::told(&ran, "rebuild", "failed");
        assert_eq!((&data["partial"], &data["detail"]["packages"]), (&json!(true), &json!(2)), "{installer}: {data}");
        let missing = data["detail"]["missing"].as_array().unwrap();
        assert_eq!(missing.len(), 1, "{data}");
        assert!(missing[0]["name"].as_str().unwrap().starts_with("unobtainable"), "{data}");
        assert!(missing[0]["why"].as_str().unwrap().contains("unobtainable"), "{data}");
        assert!(data["text"].as_str().unwrap().contains("unobtainable"), "{data}");
        // It was broken and half of it is better than nothing; what was there is beside it, whole.
        assert_eq!(ward::installed(&venv), ["gadget 1.0", "gizmo 1.0"]);
        let backup = PathBuf::from(data["undo"].as_str().unwrap());
        assert_eq!(ward::backups(&venv), std::slice::from_ref(&backup));
        let mut kept = ward::contents(&backup);
        assert!(kept.remove(Path::new("mendline-backup.json")).is_some());
        ward::same(&old, &kept);
    }
}

#[test]
fn what_cannot_be_had_does_not_replace_what_works() {
    let sandbox = Sandbox::new();
    let venv = with_packages(&sandbox);
    fs::write(venv.with_file_name("requirements.txt"), "unobtainable==3.1\n").unwrap();
    // Degraded, not broken.
    fs::remove_file(ward::packages(&venv).join("gizmo-1.0.dist-info/METADATA")).unwrap();
    let old = ward::contents(&venv);
    let data = ward::told(&ward::force(&sandbox, &["--full"], &venv).code(1), "rebuild", "failed");
    assert_eq!((&data["partial"], &data["changed"]), (&Value::Null, &json!(false)), "{data}");
    ward::same(&old, &ward::contents(&venv));
    assert_eq!(ward::names(venv.parent().unwrap()), [".git", ".venv", "requirements.txt"]);
}

#[test]
fn what_can_be_had_nowhere_any_more_is_carried_over_where_its_hashes_prove_it() {
    let sandbox = Sandbox::new();
    let venv = with_packages(&sandbox);
    fs::remove_file(ward::wheels(&sandbox).join("gizmo-1.0-py3-none-any.whl")).unwrap();
    drop(fs::remove_dir_all(sandbox.root().join("uv-cache")));
    rebuilt(&sandbox, &[], &venv);
    assert_eq!(ward::installed(&venv), ["gadget 1.0", "gizmo 1.0"]);

    fs::write(ward::packages(&venv).join("gizmo/__init__.py"), "version = '6.6.6'\n").unwrap();
    ward::kill(&venv);
    let data = ward::told(&ward::force(&sandbox, &["--full"], &venv).code(1), "rebuild", "failed");
    assert_eq!(data["partial"], true, "{data}");
    assert_eq!(ward::installed(&venv), ["gadget 1.0"]);
}

#[test]
fn another_python_is_taken_where_it_is_asked_for_and_only_then() {
    let [(minor, _), (other, _), ..] = ward::pythons() else { panic!("two minor versions of Python") };
    let sandbox = Sandbox::new();
    let venv = with_packages(&sandbox);
    let data = rebuilt(&sandbox, &[], &venv);
    assert!(data["detail"]["python"].as_str().unwrap().starts_with(&format!("{minor}.")), "{data}");
    let data = rebuilt(&sandbox, &["--python", other], &venv);
    assert!(data["detail"]["python"].as_str().unwrap().starts_with(&format!("{other}.")), "{data}");
    assert_eq!(ward::names(&venv.join("lib")), [format!("python{other}")]);
    assert_eq!(ward::installed(&venv), ["gadget 1.0", "gizmo 1.0"]);
}

#[test]
fn a_minor_version_that_is_nowhere_is_said_and_not_replaced_by_another() {
    let sandbox = Sandbox::new();
    let venv = with_packages(&sandbox);
    ward::kill(&venv);
    let library = ward::packages(&venv).parent().unwrap().to_owned();
    fs::rename(&library, library.with_file_name("python3.3")).unwrap();
    let cfg = fs::read_to_string(venv.join("pyvenv.cfg")).unwrap();
    let lines = cfg.lines().map(|line| if line.starts_with("version_info") { "version_info = 3.3.7" } else { line });
    fs::write(venv.join("pyvenv.cfg"), lines.collect::<Vec<_>>().join("\n")).unwrap();
    let old = ward::contents(&venv);
    for args in [&[][..], &["--full"]] {
        let ran = ward::force(&sandbox, args, &venv).code(1);
        let data = ward::action(&ran)["data"].take();
        assert_eq!((&data["verb"], &data["outcome"], &data["changed"]), (&json!("rebuild"), &json!("failed"), &json!(false)), "{data}");
        assert!(data["text"].as_str().unwrap().starts_with("there is no cpython 3.3 on this machine: install it"), "{data}");
        ward::same(&old, &ward::contents(&venv));
    }
}

#[test]
fn where_the_new_one_stands_the_old_one_is_ignored_by_git() {
    let sandbox = Sandbox::new();
    let venv = with_packages(&sandbox);
    let project = venv.parent().unwrap();
    fs::remove_dir(project.join(".git")).unwrap();
    let git = |args: &[&str]| {
        let output = Command::new("git").arg("-C").arg(project).args(args).output().expect("git starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    git(&["init", "-q"]);
    // An environment as `python -m venv` made it before 3.13: nothing in it tells git anything.
    fs::remove_file(venv.join(".gitignore")).unwrap();
    fs::write(project.join(".gitignore"), ".venv/\n").unwrap();
    let data = rebuilt(&sandbox, &[], &venv);
    let backup = Path::new(data["undo"].as_str().unwrap()).file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(git(&["status", "--porcelain", "--ignored"]), format!("?? .gitignore\n!! {backup}/\n!! .venv/\n"));
    git(&["add", "--all"]);
    assert_eq!(git(&["ls-files"]), ".gitignore\n");
}
