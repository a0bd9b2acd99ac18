//! `scripts/install` and what it installs: `checkup`, and the hook for an agent's start.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::{Ran, Run, Sandbox, TOOLS, Tool, arg, binary, workspace};

use crate::ward;

/// Installs into a prefix of the sandbox. cargo is asked for a release build, which takes minutes; the binaries under test stand in for it.
pub(crate) fn installed(sandbox: &Sandbox) -> PathBuf {
    let (prefix, target) = (sandbox.root().join("prefix"), sandbox.root().join("target"));
    fs::create_dir_all(target.join("release")).unwrap();
    for Tool { name, .. } in TOOLS {
        tests::copy_program(binary(name), target.join("release").join(name));
    }
    tests::write_program(sandbox.root().join("front/cargo"), &format!("echo \"$PWD $*\" >>{}/cargo-was-asked", sandbox.root().display()));
    let run = sandbox.command(workspace().join("scripts/install"), [arg("--prefix"), arg(&prefix)]).env("CARGO_TARGET_DIR", &target);
    let ran = run.env("PATH", ward::path_with(&sandbox.root().join("front"))).run().code(0);
    assert!(ran.text().contains(&format!("into {}/bin\n", prefix.display())), "{}", ran.text());
    prefix
}

/// A run of an installed script, with nothing but the system's programs and the installers on PATH.
fn script<S: AsRef<std::ffi::OsStr>>(sandbox: &Sandbox, path: &Path, args: impl IntoIterator<Item = S>) -> Run {
    ward::at_wheels(sandbox, sandbox.command(path, args)).env("PATH", std::env::var_os("PATH").unwrap())
}

#[test]
fn install_puts_everything_in_its_place_and_can_be_run_again() {
    let sandbox = Sandbox::new();
    let prefix = installed(&sandbox);
    let once = ward::contents(&prefix);
    for Tool { name: tool, .. } in TOOLS {
        let version = sandbox.command(prefix.join("bin").join(tool), ["--version"]).run().code(0);
        assert!(version.text().starts_with(tool), "{}", version.text());
        let completions = [
            format!("bash-completion/completions/{tool}"),
            format!("zsh/site-functions/_{tool}"),
            format!("fish/vendor_completions.d/{tool}.fish"),
        ];
        for path in completions.iter().chain([&format!("man/man1/{tool}.1")]) {
            assert!(fs::read_to_string(prefix.join("share").join(path)).unwrap().contains(tool), "{path}");
        }
    }
    for file in [
        "checkup",
        "broken-venvs",
        "mendline.jq",
        "sets/agents.paths",
        "sets/clients.paths",
        "cron/nightly-check",
        "cron/daily-snapshot",
        "cron/voice.sh",
        "compat/rollback_manager",
        "hooks/on-agent-start",
        "hooks/husky/post-push",
        "hooks/kiro/auto-deploy-monitor.json",
        "hooks/github/auto-deploy-monitor.yml",
        "adapters/gh-run",
        "auto-deploy-heal",
    ] {
        let (source, copy) = (workspace().join("scripts").join(file), prefix.join("share/mendline").join(file));
        assert_eq!(fs::read(&source).unwrap(), fs::read(&copy).unwrap(), "{file}");
        assert_eq!(source.metadata().unwrap().permissions().mode(), copy.metadata().unwrap().permissions().mode(), "{file}");
    }
    assert_eq!(installed(&sandbox), prefix);
    ward::same(&once, &ward::contents(&prefix));
    let asked = fs::read_to_string(sandbox.root().join("cargo-was-asked")).unwrap();
    assert_eq!(asked, format!("{} build --release --bins\n", workspace().display()).repeat(2));
}

/// A folder with an environment that is ill and one that is not.
fn ward_of_two(sandbox: &Sandbox) -> PathBuf {
    let folder = sandbox.work("agents");
    for name in ["mail", "news"] {
        ward::by_uv(sandbox, &folder.join(name).join(".venv"), &[]);
    }
    ward::kill(&folder.join("mail/.venv"));
    folder
}

/// The records that the only run so far has kept.
fn kept(sandbox: &Sandbox) -> Vec<Value> {
    let folder = sandbox.root().join("state/mendline/checkups");
    let names = ward::names(&folder);
    assert_eq!(names.len(), 1);
    let path = folder.join(&names[0]);
    assert_eq!(
        (path.metadata().unwrap().permissions().mode() & 0o777, folder.metadata().unwrap().permissions().mode() & 0o777),
        (0o600, 0o700)
    );
    assert_eq!(fs::read_to_string(sandbox.root().join("state/mendline/.gitignore")).unwrap(), "*\n");
    fs::read_to_string(path).unwrap().lines().map(tests::schema::check).collect()
}

fn outcomes(records: &[Value]) -> Vec<&str> {
    records.iter().filter(|record| record["type"] == "action").map(|record| record["data"]["outcome"].as_str().unwrap()).collect()
}

#[test]
fn checkup_says_what_is_wrong_and_what_it_would_do() {
    let sandbox = Sandbox::new();
    let (checkup, folder) = (installed(&sandbox).join("bin/checkup"), ward_of_two(&sandbox));
    let before = ward::traces(&folder);
    let ran = script(&sandbox, &checkup, [&folder]).run().code(1);
    let text = ran.text();
    assert!(text.contains("mail/.venv") && text.contains("2 environments: 1 healthy, 1 broken") && text.contains("planned"), "{text}");
    assert_eq!((ran.stderr.as_str(), outcomes(&kept(&sandbox))), ("", vec!["planned"]));
    ward::same(&before, &ward::traces(&folder));
}

#[test]
fn checkup_with_force_mends_and_looks_again() {
    let sandbox = Sandbox::new();
    let (checkup, folder) = (installed(&sandbox).join("bin/checkup"), ward_of_two(&sandbox));
    let ran = script(&sandbox, &checkup, [arg("--force"), arg(&folder)]).run().code(0);
    let text = ran.text();
    let (before, after) = text.split_once("\nAfter the repair:\n").expect("two looks");
    assert!(before.contains("1 broken") && before.contains("done"), "{text}");
    assert!(after.contains("2 environments: 2 healthy") && !after.contains("broken"), "{text}");
    let records = kept(&sandbox);
    assert_eq!(outcomes(&records), ["done"]);
    let mut verdicts: Vec<_> =
        records.iter().filter(|record| record["type"] == "venv.probe").map(|record| &record["data"]["status"]).collect();
    // The two are judged side by side, so that either can be the first.
    verdicts[..2].sort_by_key(|status| status.as_str());
    assert_eq!(verdicts, ["broken", "healthy", "healthy", "healthy"]);
    ward::is_healthy(&sandbox, &folder.join("mail/.venv"));
}

#[test]
fn checkup_keeps_the_records_of_thirty_runs() {
    let sandbox = Sandbox::new();
    let checkup = installed(&sandbox).join("bin/checkup");
    let folder = sandbox.root().join("state/mendline/checkups");
    fs::create_dir_all(&folder).unwrap();
    for day in 1..=31 {
        fs::write(folder.join(format!("202001{day:02}_031700-{day}.jsonl")), "").unwrap();
    }
    fs::write(folder.join("mine"), "").unwrap();
    let ran = script(&sandbox, &checkup, [sandbox.work("")]).run().code(0);
    let names = ward::names(&folder);
    assert_eq!((names.len(), names[0].as_str(), names[30].as_str()), (31, "20200103_031700-3.jsonl", "mine"));
    assert!(ran.text().ends_with(&format!("\nRecords: {}\n", folder.join(&names[29]).display())), "{}", ran.text());
}

#[test]
fn checkup_does_not_call_trouble_well() {
    let sandbox = Sandbox::new();
    let checkup = installed(&sandbox).join("bin/checkup");
    drop(script(&sandbox, &checkup, ["--no-such-flag"]).run().code(2));
    let nowhere = script(&sandbox, &checkup, [sandbox.work("nowhere")]).run().code(2);
    assert_eq!((nowhere.text().as_str(), nowhere.stderr.matches("does not exist").count()), ("", 1), "{}", nowhere.stderr);
    fs::write(sandbox.work("file"), "").unwrap();
    let state = script(&sandbox, &checkup, [sandbox.work("")]).env("MENDLINE_STATE_DIR", sandbox.work("file")).run();
    assert!(state.code(2).stderr.contains("set MENDLINE_STATE_DIR"));
    fs::remove_file(sandbox.root().join("prefix/bin/report")).unwrap();
    drop(script(&sandbox, &checkup, [sandbox.work("")]).run().code(2));
}

#[test]
fn the_demo_mends_what_it_broke_and_leaves_nothing_behind() {
    let sandbox = Sandbox::new();
    let checkup = installed(&sandbox).join("bin/checkup");
    let scratch = sandbox.work("scratch");
    fs::create_dir_all(&scratch).unwrap();
    let templates = std::env::var_os("MENDLINE_TEMPLATES").map_or_else(ward::templates, PathBuf::from);
    let run = script(&sandbox, &checkup, ["--demo"]).env("TMPDIR", &scratch).env("MENDLINE_TEMPLATES", templates);
    let ran = run.run().code(0);
    let text = ran.text();
    let (before, after) = text.split_once("\nAfter the repair:\n").expect("two looks");
    let modes = ["dangling", "pyremoved", "loop", "noexec", "minorbump", "nocfg", "moved", "nopip", "pipstub", "missingmod", "tilde"];
    assert!(modes.iter().all(|mode| before.contains(&format!("{mode}/.venv"))), "{text}");
    assert_eq!(before.matches("✓ done").count(), modes.len(), "{text}");
    assert!(after.contains("13 environments: 13 healthy"), "{text}");
    assert_eq!(ward::names(&scratch), [""; 0]);
    assert!(text.trim_end().ends_with("goes now, and with it all that the paths and commands above name."), "{text}");
    assert!(!text.contains("Records:"), "{text}");
    assert!(!sandbox.root().join("state").exists(), "the records of a demo are no records");
}

fn hook(sandbox: &Sandbox, prefix: &Path, args: &[&Path], repair: bool) -> Ran {
    let run = script(sandbox, &prefix.join("share/mendline/hooks/on-agent-start"), args);
    if repair { run.env("ENABLE_VENV_AUTO_REPAIR", "true") } else { run }.run()
}

#[test]
fn the_hook_tells_of_an_ill_environment_and_mends_it_only_where_that_is_wanted() {
    let sandbox = Sandbox::new();
    let (prefix, folder) = (installed(&sandbox), ward_of_two(&sandbox));
    let (ill, well) = (folder.join("mail/.venv"), folder.join("news/.venv"));
    let before = ward::traces(&folder);
    let ran = hook(&sandbox, &prefix, &[&well], false).code(0);
    assert_eq!((ran.text(), ran.stderr), (String::new(), String::new()));
    let ran = hook(&sandbox, &prefix, &[&ill], false).code(0);
    assert_eq!((ran.text().as_str(), ran.stderr.lines().count()), ("", 1));
    assert!(ran.stderr.contains(&format!("`venv-rebuild --force -- {}` tries what mends it", ill.display())), "{}", ran.stderr);
    ward::same(&before, &ward::traces(&folder));
    assert!(!sandbox.root().join("state").exists());

    let ran = hook(&sandbox, &prefix, &[&ill], true).code(0);
    assert_eq!((ran.text(), ran.stderr), (String::new(), String::new()));
    ward::is_healthy(&sandbox, &ill);
    let audit = fs::read_to_string(sandbox.root().join("state/mendline/audit.jsonl")).unwrap();
    let records: Vec<Value> = audit.lines().map(tests::schema::check).collect();
    assert_eq!(outcomes(&records), ["started", "done"]);
}

#[test]
fn the_hook_finds_the_environment_that_the_agent_uses() {
    let sandbox = Sandbox::new();
    let (prefix, folder) = (installed(&sandbox), ward_of_two(&sandbox));
    let path = prefix.join("share/mendline/hooks/on-agent-start");
    let here = script::<&str>(&sandbox, &path, []).within(folder.join("mail")).run().code(0);
    assert!(here.stderr.contains(".venv is not well"), "{}", here.stderr);
    let activated = script::<&str>(&sandbox, &path, []).env("VIRTUAL_ENV", folder.join("mail/.venv")).run().code(0);
    assert!(activated.stderr.contains("mail/.venv is not well"), "{}", activated.stderr);
    let nothing = script::<&str>(&sandbox, &path, []).run().code(0);
    assert_eq!(nothing.stderr, "");
}

#[test]
fn the_hook_prints_commands_that_work_as_they_stand_whatever_the_path() {
    let sandbox = Sandbox::new();
    let prefix = installed(&sandbox);
    for name in ["it's $(touch pwned) `touch pwned`;*/.venv", "a\u{1b}[31m\u{202e}b\n/.venv", "ümlaut/.venv"] {
        let ill = sandbox.work(name);
        ward::by_uv(&sandbox, &ill, &[]);
        ward::kill(&ill);
        let ran = hook(&sandbox, &prefix, &[&ill], false).code(0);
        assert!(!ran.stderr.trim_end().contains(|c: char| c.is_control() || c == '\u{202e}'), "{}", ran.stderr);
        let (_, command) = ran.stderr.split_once(" says why, `").unwrap();
        let (command, _) = command.split_once("` tries what mends it").unwrap();
        let pasted = script(&sandbox, Path::new("bash"), ["-c", command]).env("PATH", ward::path_with(&prefix.join("bin"))).run().code(0);
        assert_eq!(pasted.of("action")[0]["data"]["outcome"], "done", "{command}");
        ward::is_healthy(&sandbox, &ill);
    }
    assert!(!sandbox.root().join("pwned").exists());
}

#[test]
fn the_hook_promises_nothing_where_nothing_mends() {
    let sandbox = Sandbox::new();
    let prefix = installed(&sandbox);
    let ill = sandbox.work("agent/.venv");
    ward::by_uv(&sandbox, &ill, &[]);
    fs::write(ward::packages(&ill).join("sitecustomize.py"), "raise SystemExit(3)\n").unwrap();
    let verdict = ward::verdict(&sandbox, &ill);
    assert!(
        verdict["status"] != "healthy" && verdict["faults"].as_array().unwrap().iter().all(|fault| fault["repair"].is_null()),
        "{verdict}"
    );
    for repair in [false, true] {
        let ran = hook(&sandbox, &prefix, &[&ill], repair).code(0);
        assert!(ran.stderr.contains("nothing mends that automatically") && !ran.stderr.contains("venv-rebuild"), "{}", ran.stderr);
    }
}

#[test]
fn the_hook_never_fails_an_agent_and_never_waits_for_a_probe_that_hangs() {
    let sandbox = Sandbox::new();
    let (prefix, folder) = (installed(&sandbox), ward_of_two(&sandbox));
    let ill = folder.join("mail/.venv");
    // What cannot be mended.
    fs::write(folder.join("mail/requirements.txt"), "--no-such-option\n").unwrap();
    fs::remove_dir_all(ward::packages(&ill)).unwrap();
    let ran = hook(&sandbox, &prefix, &[&ill], true).code(0);
    assert!(ran.stderr.contains("not all of it could be mended"), "{}", ran.stderr);

    let probe = prefix.join("bin/venv-probe");
    for lines in ["exit 2", "echo nonsense", "kill -9 $$"] {
        tests::write_program(&probe, lines);
        drop(hook(&sandbox, &prefix, &[&ill], true).code(0));
    }
    let pids = sandbox.root().join("pids");
    tests::write_program(&probe, &format!("echo $$ >>{}; exec sleep 600", pids.display()));
    // Were it to wait, or to hold the agent's pipes, this would take ten minutes.
    drop(hook(&sandbox, &prefix, &[&ill], true).code(0));
    for pid in fs::read_to_string(&pids).unwrap().lines() {
        drop(sandbox.command("kill", [pid]).run());
    }
    fs::remove_file(&probe).unwrap();
    drop(hook(&sandbox, &prefix, &[&ill], true).code(0));
}
