//! `scripts/repair-toolchain`, and its old name, on a project with one of each kind of trouble.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tests::{Ran, Sandbox, arg, binary, workspace};

use crate::vault::{chmod, file, inventory, same};

fn run(sandbox: &Sandbox, script: &str, code: i32, words: &[&str]) -> Ran {
    let words = [arg(workspace().join("scripts").join(script))].into_iter().chain(words.iter().map(arg));
    let bin = binary("heal").parent().unwrap();
    sandbox.command("bash", words).env("MENDLINE_BIN", bin).within(sandbox.work("")).run().code(code)
}

fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    file(&sandbox.work("mcp/router.py"), "import helper\nopen('var/router.log', 'a')\n");
    file(&sandbox.work("helper.py"), "def f()\n    return 1\n");
    file(&sandbox.work("config/agents.json"), "{\"a\": [1,],}\n");
    file(&sandbox.work("config/good.json"), "{}\n");
    file(&sandbox.work("scripts/start.sh"), "#!/bin/sh\n");
    chmod(&sandbox.work("scripts/start.sh"), 0o644);
    sandbox
}

#[test]
fn it_says_what_is_wrong_and_touches_nothing() {
    let sandbox = project();
    let before = inventory(&sandbox.work(""));
    let said = run(&sandbox, "repair-toolchain", 1, &[]).text();
    for line in ["planned  repair-json", "planned  fix-syntax", "planned  fix-permissions", "3 actions: 3 planned"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(!said.contains("good.json"), "{said}");
    same(&before, &inventory(&sandbox.work("")));
    assert!(!sandbox.root().join("state").exists());
}

#[test]
fn by_its_old_name_it_mends_all_of_it_and_the_tool_can_be_imported() {
    let sandbox = project();
    let ran = run(&sandbox, "compat/repair_toolchain.sh", 0, &["-y", "-t", "router"]);
    let said = ran.text();
    assert!(said.contains("3 actions: 3 done") && said.contains("It can be imported."), "{said}{}", ran.stderr);
    assert!(ran.stderr.contains("create-path") && ran.stderr.contains("running it again"), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(sandbox.work("config/agents.json")).unwrap(), "{\"a\": [1]}\n");
    assert_eq!(sandbox.work("scripts/start.sh").metadata().unwrap().permissions().mode() & 0o777, 0o744);
    assert!(sandbox.work("backups/autoheal/manifests").is_dir());
    let logs = fs::read_dir(sandbox.work("logs/autoheal")).unwrap().count();
    assert!(logs >= 2, "{logs}");
    assert!(run(&sandbox, "repair-toolchain", 0, &["--yes"]).text().contains("nothing to report"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let sandbox = project();
    for (words, why) in [
        (&["--tool", "../x"][..], "is no name of a Python module"),
        (&["--tool"], "--tool takes a name"),
        (&["--exact"], "unknown option --exact"),
        (&["a", "b"], "name one folder"),
        (&["--tool", "no_such_tool_here"], "there is no mcp/no_such_tool_here.py"),
        (&["nowhere"], "cannot enter nowhere"),
    ] {
        let said = run(&sandbox, "repair-toolchain", 2, words).stderr;
        assert!(said.contains(why), "{said}");
    }
}
