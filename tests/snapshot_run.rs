//! `snapshot run`: whatever the command does to its surroundings, what it changed is put back, or that it could not be is said.
#![cfg(target_os = "linux")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tests::{Ran, Run, Sandbox};

use crate::vault::{self, file, inventory, ran, same, snapshot};

/// A run that is rolled back if the lines of sh fail.
fn guarded(sandbox: &Sandbox, top: &Path, lines: &str) -> Run {
    snapshot(sandbox, &[&"run", &"--rollback-on-failure", &top, &"--", &"sh", &"-c", &lines]).within(top)
}

fn last(ran: &Ran) -> Value {
    ran.of("action").pop().expect("an action")["data"].clone()
}

/// Two files in a folder.
fn tree(sandbox: &Sandbox) -> std::path::PathBuf {
    let top = sandbox.work("top");
    file(&top.join("a"), "old");
    file(&top.join("sub/b"), "old b");
    top
}

#[test]
fn everything_is_put_back_whatever_the_command_did_to_its_surroundings() {
    // Where the snapshot after it is partial, that is trouble besides.
    for (lines, code) in [
        ("echo worse >a; exit 3", 1),
        // The folder that both were started in.
        ("rm -r \"$PWD\"; mkdir \"$PWD\"; echo worse >\"$PWD/a\"; exit 3", 1),
        ("rm a; mkfifo a; exit 3", 2),
        ("kill -9 $$", 1),
    ] {
        let sandbox = Sandbox::new();
        let top = tree(&sandbox);
        let before = inventory(&top);
        let ran = guarded(&sandbox, &top, lines).run().code(code);
        assert_eq!(last(&ran)["detail"]["rolled_back"], json!(true), "{lines}: {}", ran.text());
        assert!(last(&ran)["text"].as_str().unwrap().ends_with("; everything is as it was before"), "{lines}: {}", ran.text());
        let after = inventory(&top);
        let folder = |mut tree: vault::Inventory| tree.remove(Path::new("")).map(|_| tree).unwrap();
        same(&folder(before), &folder(after));
    }
}

#[test]
fn what_is_not_back_is_named_and_the_rest_is_back() {
    let left = |lines: &str| {
        let sandbox = Sandbox::new();
        let top = tree(&sandbox);
        let ran = guarded(&sandbox, &top, lines).run();
        assert_eq!(last(&ran)["detail"]["rolled_back"], json!(false), "{lines}: {}", ran.text());
        assert_eq!(fs::read_to_string(top.join("a")).unwrap(), "old", "{lines}");
        let text = last(&ran)["text"].as_str().unwrap().to_owned();
        text.split_once(&format!("could NOT all be put back: {}/", top.display())).map(|(_, rest)| rest.to_owned()).expect(&text)
    };
    assert_eq!(left("mkdir came; mkfifo came/pipe; echo worse >a; exit 3"), "came/pipe");
    assert_eq!(left("echo evil >.mendline-evil; echo worse >a; exit 3"), ".mendline-evil");
}

#[test]
fn without_the_key_what_a_command_did_is_told_all_the_same() {
    let sandbox = Sandbox::new();
    let top = tree(&sandbox);
    let (recipient, _) = vault::key(&sandbox, "key");
    for (lines, code) in [("echo other >a", 0), ("echo other >a; exit 3", 1)] {
        let run =
            snapshot(&sandbox, &[&"run", &"--encrypt-to", &recipient, &top, &"--", &"sh", &"-c", &lines]).within(&top).run().code(code);
        assert_eq!(run.of("snapshot.change").len(), 1, "{}", run.text());
        assert_eq!(last(&run)["detail"]["exit_status"], json!(if code == 0 { 0 } else { 3 }));
        fs::write(top.join("a"), "old").unwrap();
    }
}

#[test]
fn what_became_of_the_reader_or_the_store_is_no_reason_not_to_put_it_back() {
    let sandbox = Sandbox::new();
    let top = tree(&sandbox);
    let binary = tests::binary("snapshot");
    let line = format!(
        "{} run --rollback-on-failure {1} -- sh -c 'echo worse >{1}/a; sleep 0.3; exit 3' | head -n 1; exit ${{PIPESTATUS[0]}}",
        binary.display(),
        top.display()
    );
    sandbox.command("bash", ["-c", &line]).run().code(1).ok();
    assert_eq!(fs::read_to_string(top.join("a")).unwrap(), "old");

    // What the command left cannot be kept in a store that others may read; what it replaced can be put back only once that is mended.
    let store = vault::store(&sandbox);
    let ran = guarded(&sandbox, &top, &format!("echo worse >a; chmod 755 '{}'; exit 3", store.display())).run().code(2);
    assert!(vault::errors(&ran).iter().any(|(code, _)| code == "after.failed"), "{}", ran.text());
    assert_eq!(last(&ran)["detail"]["rolled_back"], json!(false), "{}", ran.text());
    assert!(last(&ran)["text"].as_str().unwrap().contains("could NOT all be put back"), "{}", ran.text());
}

#[test]
fn a_signal_is_for_the_command_and_what_it_changed_is_put_back() {
    for (signal, lines) in
        [("TERM", "echo worse >a; exec sleep 60"), ("HUP", "echo worse >a; exec sleep 60"), ("INT", "echo worse >a; sleep 2; exit 3")]
    {
        let sandbox = Sandbox::new();
        let top = tree(&sandbox);
        let mut child = guarded(&sandbox, &top, lines).start();
        drop(child.stdin.take());
        while fs::read_to_string(top.join("a")).is_ok_and(|text| text == "old" || text.is_empty()) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let sent = std::process::Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{signal}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("\"rolled_back\":true"), "{signal}");
        assert_eq!(fs::read_to_string(top.join("a")).unwrap(), "old", "{signal}");
    }
}

#[test]
fn what_runs_as_somebody_else_does_so_again() {
    let sandbox = Sandbox::new();
    let top = tree(&sandbox);
    vault::chmod(&top.join("a"), 0o4755);
    guarded(&sandbox, &top, "echo worse >a; chmod 600 a; exit 3").run().code(1).ok();
    let mode = top.join("a").metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, if vault::is_root() { 0o4755 } else { 0o755 });
}

#[test]
fn what_is_latest_is_never_what_a_command_left() {
    let sandbox = Sandbox::new();
    let top = tree(&sandbox);
    snapshot(&sandbox, &[&"run", &top, &"--", &"sh", &"-c", &"echo worse >a; exit 3"]).within(&top).run().code(1).ok();
    ran(&sandbox, 0, &[&"restore", &"latest", &"--force"]).ok();
    assert_eq!(fs::read_to_string(top.join("a")).unwrap(), "old");
}

#[test]
fn what_is_sealed_is_put_back_with_its_key_alone() {
    let sandbox = Sandbox::new();
    let top = tree(&sandbox);
    let (recipient, key) = vault::key(&sandbox, "key");
    let words: &[&dyn AsRef<OsStr>] =
        &[&"run", &"--rollback-on-failure", &"--encrypt-to", &recipient, &top, &"--", &"sh", &"-c", &"echo worse >a; exit 3"];
    let refused = snapshot(&sandbox, words).within(&top).run().code(2);
    assert!(refused.stderr.contains("nothing was run") && refused.stderr.contains("--identity"), "{}", refused.stderr);
    let done = snapshot(&sandbox, words).within(&top).env("MENDLINE_IDENTITY", &key).run().code(1);
    assert_eq!(last(&done)["detail"]["rolled_back"], json!(true));
    assert_eq!(fs::read_to_string(top.join("a")).unwrap(), "old");
    let sealed = done.of("snapshot").iter().all(|record| record["data"]["sealed_to"] == json!([recipient]));
    assert!(sealed, "{}", done.text());
}

#[test]
fn a_risky_command_is_run_between_two_snapshots() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top.join("a"), "old");
    let run = |words: vault::Words<'_>| {
        let words: Vec<&dyn AsRef<OsStr>> = std::iter::once(&"run" as &dyn AsRef<OsStr>).chain(words.iter().copied()).collect();
        snapshot(&sandbox, &words).within(&top).run()
    };
    let good = run(&[&top, &"--", &"sh", &"-c", &"echo new >a; echo said; echo also >&2"]).code(0);
    let labels: Vec<_> = good.of("snapshot").iter().map(|record| record["data"]["label"].clone()).collect();
    assert_eq!(labels, ["auto-before-run", "auto-after-run"]);
    let changes = good.of("snapshot.change");
    assert_eq!((changes.len(), &changes[0]["subject"], &changes[0]["data"]["change"]), (1, &json!(top.join("a")), &json!("modified")));
    assert!(good.stderr.contains("said\nalso\n"), "{}", good.stderr);
    let action = good.of("action").pop().unwrap();
    assert_eq!((&action["data"]["outcome"], &action["data"]["detail"]), (&json!("done"), &json!({"exit_status": 0})));

    let before = inventory(&top);
    let bad = run(&[&"--rollback-on-failure", &top, &"--", &"sh", &"-c", &"echo worse >a; echo more >b; exit 3"]).code(1);
    same(&before, &inventory(&top));
    let verbs: Vec<_> = bad.of("action").iter().map(|action| (action["data"]["verb"].clone(), action["data"]["outcome"].clone())).collect();
    // The last word is that it failed, and that everything is back.
    assert!(verbs.contains(&(json!("restore"), json!("done"))), "{verbs:?}");
    assert_eq!(verbs.last().unwrap(), &(json!("run"), json!("failed")));
    assert_eq!(bad.of("action").pop().unwrap()["data"]["detail"], json!({"exit_status": 3, "rolled_back": true}));

    let left = run(&[&top, &"--", &"sh", &"-c", &"echo worse >a; exit 3"]).code(1);
    assert_eq!(left.of("action").pop().unwrap()["data"]["detail"], json!({"exit_status": 3}));
    assert_eq!(fs::read_to_string(top.join("a")).unwrap(), "worse\n");
    let missing = run(&[&"--rollback-on-failure", &top, &"--", &"no-such-program"]).code(1);
    let action = missing.of("action").pop().unwrap()["data"].clone();
    assert!(action["text"].as_str().unwrap().contains("could not be started") && action["changed"] == false, "{action}");
    assert_eq!(missing.of("snapshot").len(), 1, "nothing happened that a snapshot after it could hold");

    // What could not be put back is not put at risk.
    sandbox.command("mkfifo", [top.join("pipe")]).run().code(0).ok();
    let refused = run(&[&"--rollback-on-failure", &top, &"--", &"touch", &"ran"]).code(2);
    assert!(refused.stderr.contains("nothing was run") && !top.join("ran").exists(), "{}", refused.stderr);
}

/// Runs a command line above a tree under guard, and says whether everything came back.
fn comes_back(sandbox: &Sandbox, path: &Path, lines: &str) -> bool {
    let words: [&dyn AsRef<std::ffi::OsStr>; 7] = [&"run", &"--rollback-on-failure", &path, &"--", &"sh", &"-c", &lines];
    last(&snapshot(sandbox, &words).within(sandbox.work("")).run())["detail"]["rolled_back"] == json!(true)
}

#[test]
fn new_files_go_from_a_folder_with_the_store_or_something_aside_in_it() {
    let sandbox = Sandbox::new();
    let top = tree(&sandbox);
    file(&top.join(".mendline-20260101_000000-abcd-0"), "what a restore that was given up left");
    assert!(!comes_back(&sandbox, &top, "echo new >top/new; false"), "nobody knows whether that came");
    fs::remove_file(top.join(".mendline-20260101_000000-abcd-0")).unwrap();
    let store = top.join("store");
    let words: [&dyn AsRef<std::ffi::OsStr>; 9] =
        [&"--store", &store, &"run", &"--rollback-on-failure", &top, &"--", &"sh", &"-c", &"echo new >top/new; false"];
    let ran = snapshot(&sandbox, &words).within(sandbox.work("")).run().code(1);
    assert_eq!(last(&ran)["detail"]["rolled_back"], json!(true), "{}", ran.text());
    assert!(!top.join("new").exists());
}

#[test]
fn a_link_on_the_way_that_leads_elsewhere_afterwards_is_seen() {
    let sandbox = Sandbox::new();
    let (one, two, link) = (sandbox.work("one"), sandbox.work("two"), sandbox.work("current"));
    file(&one.join("f"), "first");
    file(&two.join("f"), "second");
    std::os::unix::fs::symlink("one", &link).unwrap();
    let words: [&dyn AsRef<std::ffi::OsStr>; 6] = [&"run", &link.join("f"), &"--", &"sh", &"-c", &"ln -sfn two current"];
    let ran = snapshot(&sandbox, &words).within(sandbox.work("")).run().code(0);
    let after = ran.of("snapshot").pop().unwrap()["subject"].as_str().unwrap().to_owned();
    assert_eq!(vault::ran(&sandbox, 0, &[&"cat", &after, &link.join("f")]).text(), "second");
    assert!(!comes_back(&sandbox, &link.join("f"), "ln -sfn one current; false"));
    // What is behind a link is compared like everything else.
    let id = vault::create(&sandbox, &[&link.join("f")]);
    assert!(vault::ran(&sandbox, 0, &[&"diff", &id]).of("snapshot.change").is_empty());
}
