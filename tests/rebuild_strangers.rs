//! Run by root, `venv-rebuild` executes nothing that somebody else could have written, and does nobody else's will. Where the tests do not
//! run as root there is nobody to give a file to, and they pass by themselves.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::{Sandbox, arg};

use crate::ward;

/// A sandbox with an environment of one package, and a file that says whether a stranger's code ran.
struct Ground {
    sandbox: Sandbox,
    venv: PathBuf,
    witness: PathBuf,
}

fn ground() -> Option<Ground> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let sandbox = Sandbox::new();
    let (venv, witness) = (sandbox.work("project/.venv"), sandbox.work("witness"));
    ward::wheel(&sandbox, "gadget", "1.0");
    ward::by_uv(&sandbox, &venv, &[]);
    ward::install(&sandbox, &venv, &["gadget"]);
    Some(Ground { sandbox, venv, witness })
}

fn give(path: &Path) {
    assert!(Command::new("chown").args(["-hR", "65534"]).arg(path).status().unwrap().success());
}

impl Ground {
    /// A folder of sources whose build says that it ran.
    fn sources(&self, name: &str) -> PathBuf {
        let folder = self.sandbox.work(name);
        fs::create_dir_all(&folder).unwrap();
        let script = format!(
            "open({:?}, 'w').close()\nfrom setuptools import setup\nsetup(name='evil', version='1', py_modules=[])\n",
            self.witness.display().to_string()
        );
        fs::write(folder.join("setup.py"), script).unwrap();
        folder
    }

    /// Plans and forces; returns what was said both times.
    fn declined(&self, args: &[&str]) -> (Value, Value) {
        let old = ward::contents(&self.venv);
        let plan = ward::rebuild(&self.sandbox, args.iter().map(arg).chain([arg(&self.venv)])).run().code(0);
        let force = ward::force(&self.sandbox, args, &self.venv).code(1);
        let (plan, force) = (ward::action(&plan)["data"].take(), ward::action(&force)["data"].take());
        assert_eq!((&plan["outcome"], &force["outcome"]), (&"skipped".into(), &"skipped".into()), "{plan}\n{force}");
        assert!(!self.witness.exists(), "a stranger's code ran: {force}");
        ward::same(&old, &ward::contents(&self.venv));
        (plan, force)
    }

    fn says(&self, args: &[&str], path: &Path) {
        let (plan, force) = self.declined(args);
        let text = format!("{} belongs to neither you nor root, or others can change it", path.display());
        assert!(plan["text"].as_str().unwrap().contains(&text) && force["text"].as_str().unwrap().contains(&text), "{plan}\n{force}");
    }
}

/// Also of the dead, about which the verdict says nothing but that they are.
#[test]
fn nothing_is_repaired_that_leads_to_a_strangers_folder() {
    let Some(ground) = ground() else { return };
    let theirs = ground.sandbox.work("theirs");
    fs::create_dir_all(theirs.join("lib/python3.12/encodings")).unwrap();
    fs::create_dir_all(theirs.join("bin")).unwrap();
    fs::write(theirs.join("lib/python3.12/encodings/__init__.py"), "").unwrap();
    tests::copy_program("/bin/true", theirs.join("bin/python3"));
    let python = ground.venv.join("bin/python");
    fs::remove_file(&python).unwrap();
    symlink(theirs.join("bin/python3.12"), &python).unwrap();
    give(&theirs);
    ground.says(&[], &theirs);
    ground.says(&["--full"], &theirs);
    // A verdict that was given without asking.
    for spawn in ["each", "never"] {
        let records = ground.sandbox.tool("venv-probe", [arg("--spawn"), arg(spawn), arg(&ground.venv)]).run().code(0);
        assert!(!records.text().contains("not-trusted"), "{}", records.text());
        let told = ward::action(&ward::rebuild(&ground.sandbox, &[] as &[&str]).input(records.text()).run().code(0));
        assert_eq!(told["data"]["outcome"], "skipped", "{told}");
    }
}

/// One on PATH, or where version managers keep theirs, is passed over.
#[test]
fn a_strangers_interpreter_is_no_candidate() {
    let Some(ground) = ground() else { return };
    let (theirs, real) = (ground.sandbox.work("theirs/bin"), fs::canonicalize(ward::python()).unwrap());
    fs::create_dir_all(&theirs).unwrap();
    let name = real.file_name().unwrap();
    // A real one by a link that somebody else can turn.
    symlink(&real, theirs.join(name)).unwrap();
    give(&theirs);
    ward::kill(&ground.venv);
    let config = fs::read_to_string(ground.venv.join("pyvenv.cfg")).unwrap();
    let config: Vec<_> = config.lines().filter(|line| !line.starts_with("home")).collect();
    fs::write(ground.venv.join("pyvenv.cfg"), format!("home = /nowhere\n{}\n", config.join("\n"))).unwrap();
    let plan = ward::rebuild(&ground.sandbox, [&ground.venv]).env("PATH", ward::path_with(&theirs)).run().code(0);
    let plan = ward::action(&plan)["data"].take();
    assert_eq!(plan["outcome"], "planned", "{plan}");
    assert!(!plan["detail"]["interpreter"].as_str().unwrap().starts_with(theirs.to_str().unwrap()), "{plan}");
}

#[test]
fn full_is_no_way_around() {
    let Some(ground) = ground() else { return };
    let project = ground.venv.parent().unwrap();
    give(project);
    assert!(Command::new("chown").args(["-hR", "0"]).arg(&ground.venv).status().unwrap().success());
    ground.says(&["--full"], project);
    give(&ground.venv);
    assert!(ground.declined(&["--full"]).1["text"].as_str().unwrap().contains("the user with the number 65534"));
}

#[test]
fn a_healthy_backup_is_left_alone_too() {
    let Some(ground) = ground() else { return };
    ward::told(&ward::force(&ground.sandbox, &["--full"], &ground.venv).code(0), "rebuild", "done");
    let backup = ward::backups(&ground.venv).remove(0);
    let data = ward::told(&ward::force(&ground.sandbox, &["--full"], &backup).code(1), "rebuild", "skipped");
    assert!(data["text"].as_str().unwrap().starts_with("this is a backup of "), "{data}");
}

#[test]
fn what_a_stranger_asks_for_is_not_installed() {
    let Some(ground) = ground() else { return };
    let project = ground.venv.parent().unwrap().to_owned();
    let (requirements, more, evil) = (project.join("requirements.txt"), project.join("more.txt"), ground.sources("project/evil"));
    let own = |path: &Path| assert!(Command::new("chown").args(["-hR", "0"]).arg(path).status().unwrap().success());
    fs::write(&requirements, "gadget==1.0\n-r more.txt\n./evil\n").unwrap();
    fs::write(&more, "gadget\n").unwrap();
    for theirs in [&requirements, &more] {
        give(theirs);
        ground.says(&["--full"], theirs);
        own(theirs);
    }
    give(&evil.join("setup.py"));
    ground.says(&["--full"], &evil.join("setup.py"));
    fs::write(&requirements, "gadget==1.0\n").unwrap();
    let settings = project.join("uv.toml");
    fs::write(&settings, "").unwrap();
    give(&settings);
    ground.says(&["--full"], &settings);
}

/// What came from a folder that is somebody else's by now is copied, if it is whole, and not built.
#[test]
fn a_source_that_a_stranger_can_change_is_not_built_again() {
    let Some(ground) = ground() else { return };
    let (evil, info) = (ground.sources("evil"), ward::packages(&ground.venv).join("gadget-1.0.dist-info"));
    let address = format!("{{\"url\":\"file://{}\",\"dir_info\":{{}}}}", evil.display());
    fs::write(info.join("direct_url.json"), address).unwrap();
    give(&evil);
    let data = ward::told(&ward::force(&ground.sandbox, &["--full"], &ground.venv).code(0), "rebuild", "done");
    assert_eq!((&data["detail"]["copied"], ground.witness.exists()), (&serde_json::json!(["gadget"]), false), "{data}");
}

#[test]
fn an_installer_in_a_strangers_home_is_passed_over() {
    let Some(ground) = ground() else { return };
    let home = ground.sandbox.work("theirs");
    tests::write_program(home.join(".local/bin/uv"), &format!("touch {}\nexit 1", ground.witness.display()));
    give(&home);
    let ran =
        ward::rebuild(&ground.sandbox, [arg("--full"), arg("--force"), arg(&ground.venv)]).env("HOME", &home).env("PATH", "/usr/bin:/bin");
    drop(ran.run());
    assert!(!ground.witness.exists());
}

/// Its journals name what is removed, its manifests what is written, and to where.
#[test]
fn a_state_folder_that_a_stranger_can_write_is_not_used() {
    let Some(ground) = ground() else { return };
    let (state, victim) = (ground.sandbox.work("theirs/state"), ground.sandbox.work("important"));
    fs::create_dir_all(&victim).unwrap();
    fs::create_dir_all(state.join("journal")).unwrap();
    let journal = |aside: &Path| {
        let step = format!("{{\"at\":\"building\",\"aside\":\"{}\"}}", aside.display());
        format!("{{\"v\":1,\"id\":\"20200101_000000-000000\",\"venv\":\"{}\",\"verb\":\"rebuild\",\"step\":{step}}}", ground.venv.display())
    };
    let file = state.join("journal/20200101_000000-000000.json");
    fs::write(&file, journal(&victim)).unwrap();
    let run = || ward::rebuild(&ground.sandbox, [arg("--force"), arg("--state-dir"), arg(&state), arg(&ground.venv)]).run();
    let give_all = |uid: &str| assert!(Command::new("chown").args(["-hR", uid]).arg(state.parent().unwrap()).status().unwrap().success());
    give_all("65534");
    let ran = run().code(2);
    assert!(ran.stderr.contains("the state folder is not to be trusted") && victim.exists(), "{}", ran.stderr);

    // One's own journal, and nothing that a change makes.
    give_all("0");
    let ran = run().code(2);
    assert!(ran.stderr.contains("names folders that no change makes") && victim.exists(), "{}", ran.stderr);
    fs::remove_file(&file).unwrap();

    // A link in the place of the log leads nowhere.
    let passwd = ground.sandbox.work("passwd");
    fs::write(&passwd, "root:x\n").unwrap();
    drop(fs::remove_file(state.join("audit.jsonl")));
    symlink(&passwd, state.join("audit.jsonl")).unwrap();
    assert!(run().code(2).stderr.contains("cannot open the audit log"));
    assert_eq!(fs::read_to_string(&passwd).unwrap(), "root:x\n");
}

#[test]
fn no_secret_reaches_a_record_or_a_log() {
    let Some(ground) = ground() else { return };
    let requirements = ground.venv.with_file_name("requirements.txt");
    for line in [
        "gadget @ https://user:pa/S3CR3T@127.0.0.1:9/gadget-1.0-py3-none-any.whl",
        "https://user:pa#S3CR3T@127.0.0.1:9/gadget-1.0-py3-none-any.whl",
        "gadget @ https://127.0.0.1:9/gadget-1.0-py3-none-any.whl?X-Amz-Signature=S3CR3T",
        "gadget @ https://127.0.0.1:9/${TOK}/gadget-1.0-py3-none-any.whl",
        "PASSWORD=S3CR3T x y",
        "dsn = 'S3CR3T x' y",
    ] {
        fs::write(&requirements, format!("{line}\n")).unwrap();
        let args = [arg("--full"), arg("--force"), arg(&ground.venv)];
        let ran = ward::rebuild(&ground.sandbox, args).env("TOK", "S3CR3T").env("UV_HTTP_RETRIES", "0").run().code(1);
        let mut said = format!("{}\n{}", ran.text(), ran.stderr);
        ward::walk(&ground.sandbox.root().join("state"), &mut |path, meta| {
            said.extend(meta.is_file().then(|| fs::read_to_string(path).unwrap()));
        });
        assert!(said.contains("127.0.0.1") || said.contains("***"), "{line}: {said}");
        assert!(!said.contains("S3CR3T"), "{line}: {said}");
    }
}
