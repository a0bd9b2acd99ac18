//! `heal` on real failures: what it plans, does, proves, takes back, and leaves alone.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use tests::{Ran, Run, Sandbox, arg};

use crate::vault::{chmod, file, inventory, is_root, same, skipped, touch};
use crate::ward::{on_path, path_with, python};

/// A run in the sandbox's place to work.
pub(crate) fn heal<S: AsRef<std::ffi::OsStr>>(sandbox: &Sandbox, words: impl IntoIterator<Item = S>) -> Run {
    sandbox.tool("heal", words).within(sandbox.work(""))
}

/// A record that names a remedy.
#[expect(clippy::needless_pass_by_value, reason = "its caller makes it on the spot")]
pub(crate) fn diagnosis(code: &str, remedy: &str, args: Value) -> String {
    let data = json!({
        "code": code, "severity": "broken", "text": "…", "evidence": [], "auto": true, "remedy": { "name": remedy, "args": args }
    });
    let header =
        r#"{"v":1,"type":"diagnosis","id":"d.1","tool":"diagnose","host":"h","ts":"2026-08-23T10:11:12.345Z","subject":"-","data":"#;
    format!("{header}{data}}}\n")
}

/// Mends what a record asks for.
pub(crate) fn asked(sandbox: &Sandbox, code: i32, words: &[&str], record: &str) -> Ran {
    heal(sandbox, words).input(record).run().code(code)
}

/// The one action of a run, as its verb, its outcome and its words.
#[track_caller]
pub(crate) fn outcome(ran: &Ran) -> (String, String, String) {
    let actions = ran.of("action");
    assert_eq!(actions.len(), 1, "{}{}", ran.text(), ran.stderr);
    let text = |key: &str| actions[0]["data"].get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    (text("verb"), text("outcome"), text("text"))
}

/// What a script of Python that fails writes is diagnosed, and what that asks for is mended.
pub(crate) fn from_script(sandbox: &Sandbox, python: &Path, script: &str, code: i32, words: &[&str]) -> Ran {
    let failed = sandbox.command(python, [arg("-B"), arg(script)]).within(sandbox.work("")).run();
    assert_ne!(failed.code, Some(0), "{script} does not fail: {}", failed.text());
    let log = sandbox.root().join("failed.log");
    file(&log, &failed.stderr);
    let diagnosed = sandbox.tool("diagnose", [arg("--log"), arg(&log)]).run().code(0);
    heal(sandbox, words).input(diagnosed.stdout).run().code(code)
}

/// Runs git in the place to work.
fn git(sandbox: &Sandbox, words: &[&str]) {
    let settings = ["-c", "user.name=a", "-c", "user.email=a@b"];
    sandbox.command("git", settings.iter().chain(words)).within(sandbox.work("")).run().code(0).ok();
}

/// A repository that has one file.
pub(crate) fn committed(sandbox: &Sandbox, file: &str) {
    git(sandbox, &["init", "-q"]);
    git(sandbox, &["add", file]);
    git(sandbox, &["commit", "-q", "-m", "x"]);
}

const BROKEN_JSON: &str = "{\"a\": 1,\n \"b\": [1, 2,],\n}\n";
const MENDED_JSON: &str = "{\"a\": 1,\n \"b\": [1, 2]\n}\n";
const BROKEN_PYTHON: &str = "def f()\n    return 1\nprint(f())\n";

#[test]
fn a_dry_run_plans_and_touches_nothing() {
    let sandbox = Sandbox::new();
    for (name, text) in [("c.json", BROKEN_JSON), ("app.py", BROKEN_PYTHON)] {
        file(&sandbox.work(name), text);
        touch(&sandbox.work(name), 1_700_000_000, 7);
    }
    let before = inventory(&sandbox.work(""));
    let ran = heal(&sandbox, ["c.json", "app.py"]).run().code(0);
    let planned: Vec<Value> = ran.of("action").iter().map(|action| action["data"]["outcome"].clone()).collect();
    assert_eq!(planned, ["planned", "planned"]);
    let edits = &ran.of("action")[0]["data"]["detail"]["edits"];
    assert_eq!((&edits[0]["line"], &edits[0]["class"], &edits[0]["len"]), (&json!(2), &json!("trailing-comma"), &json!(1)));
    same(&before, &inventory(&sandbox.work("")));
    assert!(!sandbox.root().join("state").exists());
}

#[test]
fn it_mends_proves_remembers_and_takes_back_byte_for_byte() {
    let sandbox = Sandbox::new();
    let config = sandbox.work("c.json");
    file(&config, BROKEN_JSON);
    chmod(&config, 0o640);
    touch(&config, 1_700_000_000, 7);
    let before = inventory(&config);
    let ran = heal(&sandbox, ["--force", "c.json"]).run().code(0);
    let action = &ran.of("action")[0];
    assert_eq!((&action["data"]["outcome"], &action["data"]["verified"]), (&json!("done"), &json!(true)));
    assert_eq!(fs::read_to_string(&config).unwrap(), MENDED_JSON);
    assert_eq!(config.metadata().unwrap().permissions().mode() & 0o7777, 0o640);

    let again = heal(&sandbox, ["--force", "c.json"]).run().code(0);
    assert_eq!(outcome(&again).1, "skipped");

    let history = heal(&sandbox, ["history"]).run().code(0).of("action");
    assert_eq!(history.iter().map(|one| one["data"]["outcome"].clone()).collect::<Vec<_>>(), ["started", "done"]);
    assert_eq!(history[1]["id"], action["id"]);
    let stats = heal(&sandbox, ["history", "--stats"]).run().code(0).of("heal.stats");
    assert_eq!((&stats[0]["data"]["tried"], &stats[0]["data"]["pending"]), (&json!(1), &json!(1)));

    assert_eq!(outcome(&heal(&sandbox, ["undo"]).run().code(0)).1, "planned");
    let id = action["id"].as_str().unwrap();
    assert_eq!(outcome(&heal(&sandbox, ["undo", id, "--force"]).run().code(0)).1, "done");
    same(&before, &inventory(&config));
    assert!(heal(&sandbox, ["undo", "--force"]).run().code(0).stderr.contains("to take back in"));
    assert!(heal(&sandbox, ["undo", id, "--force"]).run().code(2).stderr.contains(id));
}

#[test]
fn what_was_changed_since_is_not_taken_back_unasked() {
    let sandbox = Sandbox::new();
    file(&sandbox.work("c.json"), BROKEN_JSON);
    heal(&sandbox, ["--force", "c.json"]).run().code(0).ok();
    file(&sandbox.work("c.json"), "{\"by\": \"hand\"}");
    let (_, left, why) = outcome(&heal(&sandbox, ["undo", "--force"]).run().code(1));
    assert_eq!((&*left, why.contains("changed since")), ("skipped", true), "{why}");
    assert_eq!(fs::read_to_string(sandbox.work("c.json")).unwrap(), "{\"by\": \"hand\"}");
    heal(&sandbox, ["undo", "--force", "--changed"]).run().code(0).ok();
    assert_eq!(fs::read_to_string(sandbox.work("c.json")).unwrap(), BROKEN_JSON);
}

#[test]
fn real_tracebacks_lead_to_the_source_and_it_runs_then() {
    let sandbox = Sandbox::new();
    file(&sandbox.work("app.py"), "import helper\nprint(helper.f())\n");
    file(&sandbox.work("helper.py"), BROKEN_PYTHON);
    let ran = from_script(&sandbox, python(), "app.py", 0, &["--force"]);
    assert_eq!(outcome(&ran).1, "done", "{}", ran.text());
    let runs = sandbox.command(python(), ["app.py"]).within(sandbox.work("")).run().code(0);
    assert_eq!(runs.text(), "1\n1\n");
}

#[test]
fn the_record_that_asked_is_the_cause_and_the_others_pass() {
    let sandbox = Sandbox::new();
    file(&sandbox.work("c.json"), BROKEN_JSON);
    let other = r#"{"v":1,"type":"weather.probe","id":"w.1","tool":"t","host":"h","ts":"2026-08-23T10:11:12.345Z","data":{"n":1.10}}"#;
    let input = format!("{other}\n{}{other}\n", diagnosis("json.malformed", "repair-json", json!({"file": "c.json"})));
    let ran = asked(&sandbox, 0, &[], &input);
    let lines: Vec<String> = ran.text().lines().map(str::to_owned).collect();
    assert_eq!((lines[0].as_str(), lines[3].as_str()), (other, other));
    assert_eq!(ran.of("action")[0]["cause"], json!(["d.1"]));
}

#[test]
fn what_is_out_of_bounds_stays_as_it_is() {
    let sandbox = Sandbox::new();
    let outside = sandbox.root().join("outside.json");
    file(&outside, BROKEN_JSON);
    symlink(&outside, sandbox.work("link.json")).unwrap();
    let record = |file: &str| diagnosis("json.malformed", "repair-json", json!({ "file": file }));
    for name in [outside.to_str().unwrap(), "../outside.json", "link.json", "/etc/passwd", "", "gone.json", "a\0b"] {
        let ran = asked(&sandbox, 1, &["--force"], &record(name));
        assert_eq!(outcome(&ran).1, "skipped", "{name}");
    }
    assert_eq!(fs::read_to_string(&outside).unwrap(), BROKEN_JSON);
    heal(&sandbox, ["--root", sandbox.root().to_str().unwrap(), "--force", outside.to_str().unwrap()]).run().code(0).ok();
    assert_eq!(fs::read_to_string(&outside).unwrap(), MENDED_JSON);
}

#[test]
fn what_git_has_as_it_is_needs_a_word() {
    let sandbox = Sandbox::new();
    file(&sandbox.work("c.json"), BROKEN_JSON);
    committed(&sandbox, "c.json");
    let (_, left, why) = outcome(&heal(&sandbox, ["--force", "c.json"]).run().code(1));
    assert_eq!((&*left, why.contains("--tracked")), ("skipped", true), "{why}");
    heal(&sandbox, ["--force", "--tracked", "c.json"]).run().code(0).ok();
    assert_eq!(fs::read_to_string(sandbox.work("c.json")).unwrap(), MENDED_JSON);
    file(&sandbox.work("c.json"), "[1,]");
    heal(&sandbox, ["--force", "c.json"]).run().code(0).ok();
    assert_eq!(fs::read_to_string(sandbox.work("c.json")).unwrap(), "[1]");
}

#[test]
fn only_what_is_wanted_is_done_and_not_more_often() {
    let sandbox = Sandbox::new();
    for name in ["a.json", "b.json"] {
        file(&sandbox.work(name), BROKEN_JSON);
    }
    let none = heal(&sandbox, ["--force", "--except", "repair-json", "a.json"]).run().code(0);
    assert_eq!(none.of("action").len(), 0);
    heal(&sandbox, ["--force", "--only", "fix-syntax", "a.json"]).run().code(0).ok();
    assert_eq!(fs::read_to_string(sandbox.work("a.json")).unwrap(), BROKEN_JSON);
    let both = heal(&sandbox, ["--force", "--max-actions", "1", "a.json", "b.json"]).run().code(1);
    let outcomes: Vec<Value> = both.of("action").iter().map(|action| action["data"]["outcome"].clone()).collect();
    assert_eq!(outcomes, ["done", "skipped"]);
    assert_eq!(fs::read_to_string(sandbox.work("b.json")).unwrap(), BROKEN_JSON);
}

#[test]
fn what_nobody_could_see_is_not_repaired() {
    let sandbox = Sandbox::new();
    let record = diagnosis("file.absent", "create-path", json!({"path": "out/", "operation": "scandir"}));
    let unknown = record.replace("\"severity\":\"broken\"", "\"severity\":\"unknown\"");
    assert_ne!(unknown, record);
    assert_eq!(asked(&sandbox, 0, &["--force"], &unknown).of("action").len(), 0);
    assert!(!sandbox.work("out").exists());
}

#[test]
fn two_texts_that_python_joins_are_not_parted() {
    let sandbox = Sandbox::new();
    let text = "[\n  'a long text '\n  'that goes on',\n  'other'\n]\n";
    file(&sandbox.work("a.json"), text);
    heal(&sandbox, ["--force", "a.json"]).run().code(1).ok();
    assert_eq!(fs::read_to_string(sandbox.work("a.json")).unwrap(), text);
}

#[test]
fn a_remedy_that_is_not_in_the_table_does_nothing() {
    let sandbox = Sandbox::new();
    let before = inventory(&sandbox.work(""));
    for remedy in ["run", "sh", "redeploy", "lockfile-update", "fix-everything"] {
        let ran = asked(&sandbox, 0, &["--force"], &diagnosis("x", remedy, json!({"command": "touch owned", "argv": ["touch", "owned"]})));
        assert_eq!(ran.of("action").len(), 0);
    }
    same(&before, &inventory(&sandbox.work("")));
}

#[test]
fn two_runs_do_not_act_at_once() {
    let sandbox = Sandbox::new();
    file(&sandbox.work("c.json"), BROKEN_JSON);
    let mut first = heal(&sandbox, ["--force"]).start();
    let held = sandbox.root().join("state/mendline/locks/heal.lock");
    while !held.exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(heal(&sandbox, ["--force", "c.json"]).run().code(75).stderr.contains("another run"));
    drop(first.stdin.take());
    first.wait().unwrap();
    heal(&sandbox, ["--force", "c.json"]).run().code(0).ok();
}

/// Mends a source by an interpreter that takes nothing any more as soon as the file is changed, and then runs a line of sh.
fn by_fickle(sandbox: &Sandbox, source: &Path, line: &str) -> Ran {
    let fickle = sandbox.root().join("bin/fickle");
    let lines = format!(
        "#!/bin/sh\nif grep -q 'f():' {source}; then {line}; printf '3 12\\nfail\\tSyntaxError\\t1\\t1\\tno\\n'; exit; fi\nexec {python} \"$@\"\n",
        source = source.display(),
        python = python().display()
    );
    file(&fickle, lines);
    chmod(&fickle, 0o755);
    heal(sandbox, [arg("--force"), arg("--python"), arg(&fickle), arg("app.py")]).run().code(1)
}

#[test]
fn an_interpreter_that_changes_its_mind_undoes_the_edit() {
    let sandbox = Sandbox::new();
    let source = sandbox.work("app.py");
    file(&source, BROKEN_PYTHON);
    touch(&source, 1_700_000_000, 7);
    let before = inventory(&source);
    let ran = by_fickle(&sandbox, &source, ":");
    let (_, ended, why) = outcome(&ran);
    assert_eq!((&*ended, why.contains("all is as it was")), ("undone", true), "{why}");
    same(&before, &inventory(&source));
}

#[test]
fn json_that_is_not_certain_is_left_with_its_place() {
    let sandbox = Sandbox::new();
    file(&sandbox.work("c.json"), "{\"a\": \"unended}\n");
    let (_, left, why) = outcome(&heal(&sandbox, ["--force", "c.json"]).run().code(1));
    assert_eq!((&*left, why.contains("line 1, column ")), ("skipped", true), "{why}");
    file(&sandbox.work("tsconfig.json"), "{ // fine\n \"a\": [1,],\n}\n");
    assert_eq!(outcome(&heal(&sandbox, ["--force", "tsconfig.json"]).run().code(0)).1, "skipped");
}

#[test]
fn the_execute_bit_is_given_to_scripts_of_the_owner_alone() {
    let sandbox = Sandbox::new();
    let record = |path: &str| diagnosis("program.not-executable", "fix-permissions", json!({ "path": path }));
    file(&sandbox.work("run.sh"), "#!/bin/sh\necho it runs\n");
    chmod(&sandbox.work("run.sh"), 0o640);
    let failed = sandbox.command("sh", ["-c", "./run.sh"]).within(sandbox.work("")).run();
    assert_eq!(failed.code, Some(126), "{}", failed.stderr);
    let log = sandbox.root().join("failed.log");
    file(&log, &failed.stderr);
    let diagnosed = sandbox.tool("diagnose", [arg("--log"), arg(&log)]).run().code(0);
    let ran = heal(&sandbox, ["--force"]).input(diagnosed.stdout).run().code(0);
    assert_eq!(outcome(&ran).1, "done", "{}", ran.text());
    let mode = |name: &str| sandbox.work(name).metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("run.sh"), 0o740);
    assert_eq!(sandbox.command("sh", ["-c", "./run.sh"]).within(sandbox.work("")).run().code(0).text(), "it runs\n");
    heal(&sandbox, ["undo", "--force"]).run().code(0).ok();
    assert_eq!(mode("run.sh"), 0o640);

    file(&sandbox.work("data.bin"), "no script");
    file(&sandbox.work("token.sh"), "#!/bin/sh\n");
    file(&sandbox.work("twin.sh"), "#!/bin/sh\n");
    fs::hard_link(sandbox.work("twin.sh"), sandbox.root().join("elsewhere")).unwrap();
    for name in ["data.bin", "token.sh", "twin.sh", "../elsewhere", "gone.sh"] {
        let ran = asked(&sandbox, 1, &["--force"], &record(name));
        assert_eq!(outcome(&ran).1, "skipped", "{name}");
    }
    for name in ["data.bin", "token.sh", "twin.sh"] {
        assert_eq!(mode(name) & 0o111, 0, "{name}");
    }
}

#[test]
fn the_read_bit_is_given_to_the_owner_and_a_write_is_explained() {
    let sandbox = Sandbox::new();
    if !is_root() {
        return skipped("the_read_bit_is_given_to_the_owner_and_a_write_is_explained", "only root can become somebody else");
    }
    let work = sandbox.work("");
    file(&sandbox.work("a.txt"), "text");
    file(&sandbox.work("readable.txt"), "text");
    file(&sandbox.work(".env"), "SECRET=1");
    file(&sandbox.work("roots.txt"), "text");
    for (name, mode) in [("a.txt", 0o044), ("readable.txt", 0o400), (".env", 0), ("roots.txt", 0o600)] {
        chmod(&sandbox.work(name), mode);
    }
    for name in ["", "a.txt", "readable.txt", ".env"] {
        std::os::unix::fs::chown(work.join(name), Some(65534), Some(65534)).unwrap();
    }
    chmod(sandbox.root(), 0o755);
    let state = sandbox.root().join("nobody");
    fs::create_dir(&state).unwrap();
    std::os::unix::fs::chown(&state, Some(65534), Some(65534)).unwrap();
    let program = |name: &str| tests::binary(name).to_owned();
    let bin = sandbox.root().join("bin");
    fs::create_dir(&bin).unwrap();
    for name in ["heal", "snapshot"] {
        tests::copy_program(program(name), bin.join(name));
    }
    let run = |path: &str, code| {
        let words = ["--reuid=65534", "--regid=65534", "--clear-groups"].map(arg).into_iter();
        let words = words.chain([arg(bin.join("heal")), arg("--force"), arg("--state-dir"), arg(state.join("state"))]);
        let record = diagnosis("file.permission-denied", "fix-permissions", json!({ "path": path }));
        let ran = sandbox.command(on_path("setpriv"), words).env("PATH", path_with(&bin)).within(&work).input(record).run().code(code);
        outcome(&ran)
    };
    assert_eq!(run("a.txt", 0).1, "done");
    assert_eq!(sandbox.work("a.txt").metadata().unwrap().permissions().mode() & 0o7777, 0o444);
    for (name, why) in [("readable.txt", "not be written to"), (".env", "secret"), ("roots.txt", "somebody else's")] {
        let (_, left, text) = run(name, 1);
        assert_eq!((&*left, text.contains(why)), ("skipped", true), "{name}: {text}");
    }
}

#[test]
fn paths_are_made_where_that_is_right() {
    let sandbox = Sandbox::new();
    let work = sandbox.work("");
    let script = |text: &str| file(&work.join("app.py"), text);
    script("open('logs/app.log', 'w').write('x')\n");
    assert_eq!(outcome(&from_script(&sandbox, python(), "app.py", 0, &["--force"])).1, "done");
    assert!(work.join("logs").is_dir() && !work.join("logs/app.log").exists());
    sandbox.command(python(), ["app.py"]).within(&work).run().code(0).ok();

    script("import os\nprint(os.listdir('in/box'))\n");
    assert_eq!(outcome(&from_script(&sandbox, python(), "app.py", 0, &["--force"])).1, "done");
    assert_eq!(sandbox.command(python(), ["app.py"]).within(&work).run().code(0).text(), "[]\n");
    heal(&sandbox, ["undo", "--force"]).run().code(0).ok();
    assert!(!work.join("in").exists());

    script("print(open('config.toml').read())\n");
    file(&work.join("config.toml.example"), "port = 1\n");
    assert_eq!(outcome(&from_script(&sandbox, python(), "app.py", 0, &["--force"])).1, "done");
    assert_eq!(sandbox.command(python(), ["app.py"]).within(&work).run().code(0).text(), "port = 1\n\n");
    heal(&sandbox, ["undo", "--force"]).run().code(0).ok();
    assert!(!work.join("config.toml").exists() && work.join("config.toml.example").exists());

    for name in ["settings.json", "doctl", "bin/tool", "access.log"] {
        script(&format!("open({name:?})\n"));
        let (_, left, _) = outcome(&from_script(&sandbox, python(), "app.py", 1, &["--force"]));
        assert_eq!((&*left, work.join(name).exists()), ("skipped", false), "{name}");
    }
    // Of a secret nothing is even offered.
    for name in [".env", "token.txt"] {
        script(&format!("open({name:?})\n"));
        assert_eq!(from_script(&sandbox, python(), "app.py", 0, &["--force"]).of("action").len(), 0);
        let record = diagnosis("file.missing", "create-path", json!({ "path": name }));
        assert_eq!(
            (outcome(&asked(&sandbox, 1, &["--force"], &record)).1.as_str(), work.join(name).exists()),
            ("skipped", false),
            "{name}"
        );
    }
    script("open('../outside/app.log', 'w')\n");
    assert_eq!(outcome(&from_script(&sandbox, python(), "app.py", 1, &["--force"])).1, "skipped");
    assert!(!sandbox.root().join("outside").exists());
}

#[test]
fn siblings_do_their_part_and_what_they_did_is_passed_on() {
    let sandbox = Sandbox::new();
    let venv = sandbox.work(".venv");
    crate::ward::by_venv(&sandbox, python(), &venv, &["--without-pip"]);
    crate::ward::kill(&venv);
    let probed = sandbox.tool("venv-probe", [&venv]).run();
    let diagnosed = sandbox.tool("diagnose", [""; 0]).input(probed.stdout).run().code(0);
    let planned = heal(&sandbox, [""; 0]).input(diagnosed.stdout.clone()).run().code(0);
    assert_eq!(outcome(&planned).1, "planned", "{}", planned.text());
    let ran = heal(&sandbox, ["--force"]).input(diagnosed.stdout).run().code(0);
    let action = &ran.of("action")[0];
    assert_eq!((&action["data"]["outcome"], &action["data"]["verified"]), (&json!("done"), &json!(true)), "{}", ran.text());
    assert_eq!(action["cause"][0], ran.of("diagnosis")[0]["id"]);
    crate::ward::is_healthy(&sandbox, &venv);
}

#[test]
fn logs_and_backups_go_where_they_are_wanted() {
    let sandbox = Sandbox::new();
    file(&sandbox.work("c.json"), BROKEN_JSON);
    let words = ["--force", "--logs-dir", "logs/autoheal", "--backup-dir", "backups/autoheal", "c.json"];
    let ran = heal(&sandbox, words).run().code(0);
    let logs: Vec<_> = fs::read_dir(sandbox.work("logs/autoheal")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let logged = fs::read_to_string(&logs[0]).unwrap();
    assert_eq!((logs.len(), logged.lines().count()), (1, 1));
    assert!(ran.text().starts_with(&logged), "{logged}");
    assert!(sandbox.work("backups/autoheal/manifests").is_dir());
    heal(&sandbox, ["undo", "--force", "--backup-dir", "backups/autoheal"]).run().code(0).ok();
    assert_eq!(fs::read_to_string(sandbox.work("c.json")).unwrap(), BROKEN_JSON);
}

/// Any path that a record may name: within, outside, odd.
fn any_path() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "c.json",
        "run.sh",
        "app.py",
        "sub/c.json",
        "../outside/c.json",
        "../outside/run.sh",
        "link/c.json",
        "link/new/a.log",
        "new/a.log",
        ".env",
        "/etc/hosts",
        "/",
        ".",
        "..",
        "~",
        "sub/../../outside/a.pid",
        ".git/config",
        "a.example",
        "x",
        "new/",
    ]);
    prop_oneof![known.prop_map(str::to_owned), "\\PC{0,12}", "(\\.\\./){1,3}[a-z]{1,5}\\.(log|json|py)"]
}

fn any_diagnosis() -> impl Strategy<Value = String> {
    let remedies =
        ["repair-json", "fix-syntax", "fix-permissions", "create-path", "fix-import", "install-module", "restart-service", "run", ""];
    let codes = ["program.not-executable", "file.permission-denied", "x"];
    let names = ["path", "file", "module", "name", "problem", "url", "host", "operation", "line", "command", "interpreter"];
    let args = prop::collection::btree_map(prop::sample::select(names.to_vec()), any_path(), 0..5);
    (prop::sample::select(remedies.to_vec()), prop::sample::select(codes.to_vec()), args)
        .prop_map(|(remedy, code, args)| diagnosis(code, remedy, json!(args)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn no_record_makes_it_leave_the_root_or_widen_a_mode(records in prop::collection::vec(any_diagnosis(), 30)) {
        let sandbox = Sandbox::new();
        for folder in ["work", "outside"] {
            for (name, text) in [("c.json", BROKEN_JSON), ("run.sh", "#!/bin/sh\ntouch ran\n"), ("app.py", BROKEN_PYTHON), ("sub/c.json", "[1,]")] {
                file(&sandbox.root().join(folder).join(name), text);
                chmod(&sandbox.root().join(folder).join(name), 0o600);
            }
        }
        symlink("../outside", sandbox.work("link")).unwrap();
        file(&sandbox.work(".env"), "SECRET=1");
        chmod(&sandbox.work(".env"), 0o200);
        let (outside, hosts) = (inventory(&sandbox.root().join("outside")), inventory(Path::new("/etc/hosts")));
        let ran = heal(&sandbox, ["--force"]).input(records.concat()).run();
        prop_assert!([Some(0), Some(1)].contains(&ran.code), "{:?} {}", ran.code, ran.stderr);
        same(&outside, &inventory(&sandbox.root().join("outside")));
        same(&hosts, &inventory(Path::new("/etc/hosts")));
        let mode = |name: &str| sandbox.work(name).metadata().unwrap().permissions().mode() & 0o7777;
        prop_assert_eq!((mode(".env"), mode("c.json"), mode("app.py"), mode("run.sh") & !0o100), (0o200, 0o600, 0o600, 0o600));
        prop_assert!(!sandbox.work("ran").exists());
        let above: Vec<_> = fs::read_dir(sandbox.root()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        prop_assert!(above.iter().all(|name| ["work", "outside", "state"].iter().any(|known| name == *known)), "{:?}", above);
    }
}

#[test]
fn what_came_into_a_folder_since_is_not_taken_back_unasked() {
    let sandbox = Sandbox::new();
    let record = diagnosis("file.absent", "create-path", json!({"path": "out/", "operation": "scandir"}));
    assert_eq!(outcome(&asked(&sandbox, 0, &["--force"], &record)).1, "done");
    file(&sandbox.work("out/work.txt"), "important");
    assert_eq!(outcome(&heal(&sandbox, ["undo", "--force"]).run().code(1)).1, "skipped");
    assert!(sandbox.work("out/work.txt").exists());
    fs::remove_file(sandbox.work("out/work.txt")).unwrap();
    assert_eq!(outcome(&heal(&sandbox, ["undo", "--force"]).run().code(0)).1, "done");
    assert!(!sandbox.work("out").exists());
}

#[test]
fn a_mode_that_was_narrowed_since_is_not_widened_by_undo() {
    let sandbox = Sandbox::new();
    file(&sandbox.work("c.json"), BROKEN_JSON);
    heal(&sandbox, ["--force", "c.json"]).run().code(0).ok();
    chmod(&sandbox.work("c.json"), 0o600);
    assert_eq!(outcome(&heal(&sandbox, ["undo", "--force"]).run().code(1)).1, "skipped");
    assert_eq!(sandbox.work("c.json").metadata().unwrap().permissions().mode() & 0o7777, 0o600);
}

#[test]
fn undo_stays_in_the_project() {
    let sandbox = Sandbox::new();
    for project in ["one", "two"] {
        file(&sandbox.work(project).join("c.json"), BROKEN_JSON);
    }
    heal(&sandbox, ["--force", "c.json"]).within(sandbox.work("one")).run().code(0).ok();
    let none = heal(&sandbox, ["undo", "--force"]).within(sandbox.work("two")).run().code(0);
    assert!(none.stderr.contains("to take back in"), "{}", none.stderr);
    assert_eq!(fs::read_to_string(sandbox.work("one/c.json")).unwrap(), MENDED_JSON);
    heal(&sandbox, ["undo", "--force"]).within(sandbox.work("one")).run().code(0).ok();
    assert_eq!(fs::read_to_string(sandbox.work("one/c.json")).unwrap(), BROKEN_JSON);
}

#[test]
fn git_is_asked_about_the_file_itself_whatever_the_environment_and_the_filters_say() {
    let sandbox = Sandbox::new();
    file(&sandbox.work("c.json"), BROKEN_JSON);
    committed(&sandbox, "c.json");
    git(&sandbox, &["init", "-q", "--bare", "../other.git"]);
    let other = sandbox.root().join("other.git");
    let run = |name: &str, value: &str| heal(&sandbox, ["--force", "c.json"]).env(name, value).run().code(1);
    for (name, value) in [("GIT_DIR", other.to_str().unwrap()), ("GIT_INDEX_FILE", "/nonexistent"), ("GIT_LITERAL_PATHSPECS", "1")] {
        assert!(outcome(&run(name, value)).2.contains("--tracked"), "{name}");
    }
    // A filter of the project is none of ours to run, and the index is none of ours to write.
    file(&sandbox.work(".gitattributes"), "*.json filter=evil\n");
    git(&sandbox, &["config", "filter.evil.clean", "sh -c 'touch PWNED; cat'"]);
    touch(&sandbox.work("c.json"), 1_700_000_000, 0);
    let index = inventory(&sandbox.work(".git/index"));
    heal(&sandbox, ["c.json"]).run().code(0).ok();
    same(&index, &inventory(&sandbox.work(".git/index")));
    assert!(!sandbox.work("PWNED").exists());
    for attribute in ["filter=evil", "ident", "working-tree-encoding=UTF-16"] {
        file(&sandbox.work(".gitattributes"), format!("*.json {attribute}\n"));
        fs::write(sandbox.work("c.json"), BROKEN_JSON.to_owned() + "\n").unwrap();
        assert!(outcome(&run("X", "")).2.contains("gitattributes"), "{attribute}");
    }
    fs::write(sandbox.work("c.json"), BROKEN_JSON).unwrap();
    fs::write(sandbox.work(".git/index"), "garbage").unwrap();
    assert!(outcome(&run("X", "")).2.contains("git cannot say"));
    assert_eq!(fs::read_to_string(sandbox.work("c.json")).unwrap(), BROKEN_JSON);
}

#[test]
fn a_file_with_two_names_is_not_parted() {
    let sandbox = Sandbox::new();
    file(&sandbox.work("c.json"), BROKEN_JSON);
    fs::hard_link(sandbox.work("c.json"), sandbox.root().join("other.json")).unwrap();
    let (_, left, why) = outcome(&heal(&sandbox, ["--force", "c.json"]).run().code(1));
    assert_eq!((&*left, why.contains("hard links")), ("skipped", true), "{why}");
    assert_eq!(fs::read_to_string(sandbox.work("c.json")).unwrap(), BROKEN_JSON);
}

#[test]
fn check_says_whether_anything_is_to_be_mended() {
    let sandbox = Sandbox::new();
    for (text, code) in [("{}", 0), (BROKEN_JSON, 1), ("{\"a\": \"unended}", 1)] {
        file(&sandbox.work("c.json"), text);
        heal(&sandbox, ["--check", "c.json"]).run().code(code).ok();
    }
    assert!(heal(&sandbox, ["gone.json"]).run().code(2).stderr.contains("gone.json"));
    file(&sandbox.work("sub/c.json"), BROKEN_JSON);
    let up = heal(&sandbox, ["--root", "..", "../c.json"]).within(sandbox.work("sub")).run().code(0);
    assert!(!outcome(&up).2.contains("`..`"));
}

#[test]
fn an_editor_that_saves_meanwhile_is_not_overwritten() {
    let sandbox = Sandbox::new();
    let source = sandbox.work("app.py");
    file(&source, BROKEN_PYTHON);
    let ran = by_fickle(&sandbox, &source, &format!("echo PRECIOUS >{}", source.display()));
    let (_, ended, why) = outcome(&ran);
    assert_eq!((&*ended, why.contains("it stays")), ("failed", true), "{why}");
    assert_eq!(fs::read_to_string(&source).unwrap(), "PRECIOUS\n");
}
