//! A restore whose run died, taken up on a machine that is not as it was: another folder, another store, and what somebody has written since.
#![cfg(target_os = "linux")]

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::{Ran, Sandbox};

use crate::vault::{self, create, file, inventory, ran, same, snapshot, store};

/// Where the run dies: after the exchange and before that is over, or before the old files go.
#[derive(Clone, Copy)]
enum Death {
    Exchanged,
    Through,
}

/// Restores the latest snapshot, exactly, and is killed.
fn died(sandbox: &Sandbox, folder: &Path, death: Death) {
    let (call, filter): (&str, &[&OsStr]) = match death {
        Death::Exchanged => ("fsync:signal=SIGKILL:when=2", &[OsStr::new("-P"), folder.as_os_str()]),
        Death::Through => ("unlinkat:signal=SIGKILL:when=1", &[]),
    };
    let inject = format!("inject={call}");
    let mut strace: Vec<&OsStr> = ["-f", "-qq", "-o", "/dev/null", "-e", &inject].map(OsStr::new).to_vec();
    strace.extend(filter);
    let binary = tests::binary("snapshot");
    let words = ["restore", "latest", "--exact", "--force"].map(OsStr::new);
    let all = strace.into_iter().chain([binary.as_os_str()]).chain(words);
    sandbox.command("strace", all.map(OsStr::to_owned)).run().ok();
    assert_eq!(fs::read_dir(store(sandbox).join("journal")).unwrap().count(), 1, "it did not die where it should");
}

/// A folder that was kept and changed since.
fn changed(sandbox: &Sandbox) -> PathBuf {
    let top = sandbox.work("top");
    file(&top.join("f"), "old");
    create(sandbox, &[&top]);
    file(&top.join("f"), "my later work");
    file(&top.join("extra"), "and more of it");
    top
}

fn outcome(ran: &Ran) -> (String, String) {
    let action: Value = ran.of("action").pop().expect("an action");
    let said = |name: &str| action["data"][name].as_str().unwrap_or_default().to_owned();
    (said("outcome"), said("text"))
}

/// Everything that is anywhere below a folder.
fn contents(folder: &Path) -> Vec<String> {
    let mut all: Vec<String> =
        inventory(folder).keys().map(|path| folder.join(path)).filter_map(|path| fs::read_to_string(path).ok()).collect();
    all.sort();
    all
}

#[test]
fn in_another_folder_nothing_is_taken_for_its_own() {
    let sandbox = Sandbox::new();
    let top = changed(&sandbox);
    died(&sandbox, &top, Death::Exchanged);
    let away = sandbox.work("away");
    fs::rename(&top, &away).unwrap();
    let all = contents(&away);
    assert_eq!(all, ["and more of it", "my later work", "old"]);
    // It is gone; then it is a copy, in which every file has another number.
    for copied in [false, true] {
        if copied {
            sandbox.command("cp", ["-a", away.to_str().unwrap(), top.to_str().unwrap()]).run().code(0).ok();
        }
        for _ in 0..2 {
            let tried = ran(&sandbox, 1, &[&"recover"]);
            assert_eq!(outcome(&tried).0, "failed", "{}", tried.text());
            assert!(outcome(&tried).1.contains("`snapshot recover --abandon`"), "{}", tried.text());
        }
        assert_eq!(contents(if copied { &top } else { &away }), all);
    }
    fs::remove_dir_all(&top).unwrap();
    fs::rename(&away, &top).unwrap();
    assert_eq!(outcome(&ran(&sandbox, 0, &[&"recover"])).0, "undone");
    assert_eq!(contents(&top), ["and more of it", "my later work"]);
    assert_eq!(vault::left_over(&top), Vec::<PathBuf>::new());
}

#[test]
fn what_cannot_be_taken_back_can_be_given_up_and_is_in_the_snapshot_before_it() {
    let sandbox = Sandbox::new();
    let top = changed(&sandbox);
    let before = contents(&top);
    died(&sandbox, &top, Death::Exchanged);
    fs::remove_dir_all(&top).unwrap();
    let (outcome, text) = outcome(&ran(&sandbox, 0, &[&"recover", &"--abandon"]));
    assert!(outcome == "cancelled" && text.contains("given up"), "{outcome}: {text}");
    let safety = text.split_once("in the snapshot ").unwrap().1.split_once(';').unwrap().0;
    fs::create_dir(&top).unwrap();
    vault::restore(&sandbox, &[&safety]).ok();
    assert_eq!(contents(&top), before);
    assert!(ran(&sandbox, 0, &[&"recover"]).of("action").is_empty());
}

#[test]
fn a_copy_of_the_store_undoes_nothing() {
    let sandbox = Sandbox::new();
    let top = changed(&sandbox);
    died(&sandbox, &top, Death::Exchanged);
    let copy = sandbox.root().join("copy");
    sandbox.command("cp", ["-a", store(&sandbox).to_str().unwrap(), copy.to_str().unwrap()]).run().code(0).ok();
    assert_eq!(outcome(&ran(&sandbox, 0, &[&"recover"])).0, "undone");
    let before = inventory(&top);
    let tried = ran(&sandbox, 1, &[&"--store", &copy, &"recover"]);
    assert!(outcome(&tried).1.contains("this store is a copy"), "{}", tried.text());
    same(&before, &inventory(&top));
}

#[test]
fn what_is_written_to_the_old_file_before_it_goes_stays() {
    for written in [true, false] {
        let sandbox = Sandbox::new();
        let top = changed(&sandbox);
        let mut log = OpenOptions::new().append(true).open(top.join("f")).unwrap();
        died(&sandbox, &top, Death::Through);
        if written {
            log.write_all(b", important").unwrap();
        }
        let (outcome, text) = outcome(&ran(&sandbox, 0, &[&"recover"]));
        assert_eq!(outcome, "done");
        assert_eq!(fs::read_to_string(top.join("f")).unwrap(), "old");
        let kept: Vec<String> = contents(&top).into_iter().filter(|content| content.contains("important")).collect();
        assert_eq!(kept.len(), usize::from(written), "{text}");
        assert_eq!(text.contains("what was written meanwhile is in "), written, "{text}");
    }
}

#[test]
fn the_longest_name_leaves_room_for_what_was_written_to_it() {
    let sandbox = Sandbox::new();
    let (top, name) = (sandbox.work("top"), "ä".repeat(127));
    file(&top.join(&name), "old");
    create(&sandbox, &[&top]);
    file(&top.join(&name), "newer");
    died(&sandbox, &top, Death::Exchanged);
    OpenOptions::new().append(true).open(top.join(&name)).unwrap().write_all(b" and edited").unwrap();
    assert_eq!(outcome(&ran(&sandbox, 0, &[&"recover"])).0, "undone");
    assert_eq!(contents(&top), ["newer", "old and edited"]);
    assert_eq!(vault::left_over(&top), Vec::<PathBuf>::new());
}

#[test]
fn what_was_edited_after_the_crash_keeps_its_time() {
    for death in [Death::Exchanged, Death::Through] {
        let sandbox = Sandbox::new();
        let top = sandbox.work("top");
        file(&top.join("f"), "same");
        vault::touch(&top.join("f"), 1_577_836_800, 0);
        file(&top.join("other"), "old");
        create(&sandbox, &[&top]);
        vault::touch(&top.join("f"), 1_600_000_000, 0);
        file(&top.join("other"), "newer");
        died(&sandbox, &top, death);
        file(&top.join("f"), "edited today");
        let time = top.join("f").metadata().unwrap().mtime();
        ran(&sandbox, 0, &[&"recover"]).ok();
        assert_eq!(top.join("f").metadata().unwrap().mtime(), time);
    }
}

#[test]
fn a_rename_of_its_own_is_nothing_that_somebody_wrote() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top.join("a"), "one file");
    fs::create_dir(top.join("n")).unwrap();
    fs::hard_link(top.join("a"), top.join("n/b")).unwrap();
    create(&sandbox, &[&top]);
    fs::remove_dir_all(top.join("n")).unwrap();
    fs::remove_file(top.join("a")).unwrap();
    let before = inventory(&top);
    let inject = "inject=renameat2:delay_enter=30000";
    let kill = "inject=renameat2:signal=SIGKILL:when=2";
    let binary = tests::binary("snapshot");
    let words = ["-f", "-qq", "-o", "/dev/null", "-e", inject, "-e", kill, binary.to_str().unwrap(), "restore", "latest", "--force"];
    sandbox.command("strace", words).run().ok();
    assert_eq!(outcome(&ran(&sandbox, 0, &[&"recover"])).0, "undone");
    same(&before, &inventory(&top));
}

#[test]
fn a_link_that_comes_on_the_way_leads_no_reading_out() {
    let sandbox = Sandbox::new();
    let (top, out) = (sandbox.work("top"), sandbox.work("out"));
    file(&top.join("sub/f"), "within");
    file(&out.join("f"), "elsewhere");
    // The last call before the files are read is the one that lists the last folder.
    let ran = vault::paused(&sandbox, "getdents64", &top.join("sub"), 2, &[&"create", &top], |_| {
        fs::rename(top.join("sub"), sandbox.work("was")).unwrap();
        std::os::unix::fs::symlink(&out, top.join("sub")).unwrap();
    });
    assert_eq!(ran.code, Some(2), "{}", ran.text());
    assert!(snapshot(&sandbox, &[&"cat", &"latest", &top.join("sub/f")]).run().text() != "elsewhere");
}

#[test]
fn what_comes_with_an_old_time_stays_too() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top.join("tree/f"), "old");
    create(&sandbox, &[&top]);
    fs::remove_dir_all(top.join("tree")).unwrap();
    died(&sandbox, &top, Death::Exchanged);
    file(&sandbox.work("copied"), "with its old time");
    vault::touch(&sandbox.work("copied"), 1_000_000_000, 0);
    for target in ["tree/f", "tree/new"] {
        sandbox.command("cp", ["-p", sandbox.work("copied").to_str().unwrap(), top.join(target).to_str().unwrap()]).run().code(0).ok();
    }
    assert_eq!(outcome(&ran(&sandbox, 0, &[&"recover"])).0, "undone");
    assert_eq!(contents(&top), ["with its old time", "with its old time"]);
}

#[test]
fn a_folder_that_is_gone_keeps_no_other_from_its_old_state() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    for name in ["a/f", "b/f"] {
        file(&top.join(name), "old");
    }
    create(&sandbox, &[&top]);
    for name in ["a/f", "b/f"] {
        file(&top.join(name), "newer");
    }
    died(&sandbox, &top.join("b"), Death::Exchanged);
    fs::remove_dir_all(top.join("b")).unwrap();
    assert_eq!(outcome(&ran(&sandbox, 1, &[&"recover"])).0, "failed");
    assert_eq!(contents(&top), ["newer"]);
    assert_eq!(outcome(&ran(&sandbox, 0, &[&"recover", &"--abandon"])).0, "cancelled");
}

#[test]
fn a_journal_that_cannot_be_read_is_named_and_can_be_given_up() {
    let sandbox = Sandbox::new();
    file(&sandbox.work("f"), "content");
    create(&sandbox, &[&sandbox.work("f")]);
    file(&store(&sandbox).join("journal/20260101_000000-abcd.json"), "");
    let said = ran(&sandbox, 2, &[&"create", &sandbox.work("f")]).stderr;
    assert!(said.contains("`snapshot recover --abandon`"), "{said}");
    ran(&sandbox, 0, &[&"recover", &"--abandon"]).ok();
    create(&sandbox, &[&sandbox.work("f")]);
}
