//! What a person relies on: that the way back is whole, that nothing goes which was not seen, and that nothing of somebody else's is touched.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tests::Sandbox;

use crate::vault::{self, create, file, inventory, ran, restore, same, snapshot, store};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

fn undo(ran: &tests::Ran) -> String {
    ran.of("action").pop().unwrap()["data"]["undo"].as_str().expect("a way back").to_owned()
}

#[test]
fn a_folder_that_something_else_is_in_does_not_become_a_store() {
    let sandbox = Sandbox::new();
    let (project, thing) = (sandbox.work("project"), sandbox.work("thing"));
    file(&thing, "content");
    file(&project.join("README"), "my precious notes");
    for mode in [0o700, 0o755] {
        vault::chmod(&project, mode);
        let before = inventory(&project);
        let refused = ran(&sandbox, 2, &[&"create", &"--store", &project, &thing]);
        assert!(refused.stderr.contains("is no store of snapshots, and README is in it"), "{}", refused.stderr);
        same(&before, &inventory(&project));
    }
    // One that a run has died in the middle of making is made.
    let begun = sandbox.work("begun");
    fs::create_dir_all(begun.join("pins")).unwrap();
    file(&begun.join(".gitignore"), "*\n");
    vault::chmod(&begun, 0o700);
    ran(&sandbox, 0, &[&"create", &"--store", &begun, &thing]).ok();
}

#[test]
fn what_a_store_says_is_done_for_its_owner_alone() {
    if !vault::is_root() {
        return vault::skipped("what_a_store_says_is_done_for_its_owner_alone", "it takes root to give a store away");
    }
    let sandbox = Sandbox::new();
    let thing = sandbox.work("thing");
    file(&thing, "content");
    let id = create(&sandbox, &[&thing]);
    chown(store(&sandbox), Some(1234), None).unwrap();
    for words in [&[&"create" as &dyn AsRef<std::ffi::OsStr>, &thing][..], &[&"restore", &id, &"--force"], &[&"recover"], &[&"pin", &id]] {
        let refused = ran(&sandbox, 2, words);
        assert!(refused.stderr.contains("belongs to user 1234"), "{}", refused.stderr);
    }
    ran(&sandbox, 0, &[&"list"]).ok();
}

#[test]
fn the_way_back_is_whole_though_the_store_is_not() {
    let sandbox = Sandbox::new();
    let thing = sandbox.work("thing");
    file(&thing, "content one");
    let first = create(&sandbox, &[&thing]);
    fs::write(&thing, "precious two").unwrap();
    let second = create(&sandbox, &[&thing]);
    let pack = store(&sandbox).join(format!("packs/{second}.tar.zst"));
    let disk = fs::OpenOptions::new().read(true).write(true).open(&pack).unwrap();
    let mut frame = [0; 4];
    disk.read_exact_at(&mut frame, 40).unwrap();
    disk.write_all_at(&frame.map(|byte| !byte), 40).unwrap();
    assert_eq!(ran(&sandbox, 1, &[&"verify", &second]).of("snapshot.probe")[0]["data"]["status"], json!("broken"));
    let done = restore(&sandbox, &[&first]);
    assert_eq!(fs::read_to_string(&thing).unwrap(), "content one");
    restore(&sandbox, &[&undo(&done), &"--exact"]).ok();
    assert_eq!(fs::read_to_string(&thing).unwrap(), "precious two");
    // What is there again mends the second one, too.
    ran(&sandbox, 0, &[&"verify"]).ok();
}

#[test]
fn an_export_that_breaks_off_says_what_is_damaged() {
    let sandbox = Sandbox::new();
    let thing = sandbox.work("thing");
    file(&thing, "content".repeat(1000));
    let id = create(&sandbox, &[&thing]);
    let pack = store(&sandbox).join(format!("packs/{id}.tar.zst"));
    fs::OpenOptions::new().write(true).open(&pack).unwrap().write_all_at(b"gone", 20).unwrap();
    let said = ran(&sandbox, 2, &[&"export", &id]).stderr;
    assert!(said.contains("cannot export") && !said.contains("standard output"), "{said}");
}

#[test]
fn a_pack_that_was_cut_off_is_no_place_to_share() {
    let sandbox = Sandbox::new();
    let thing = sandbox.work("thing");
    file(&thing, "content");
    let id = create(&sandbox, &[&thing]);
    fs::OpenOptions::new().write(true).open(store(&sandbox).join(format!("packs/{id}.tar.zst"))).unwrap().set_len(10).unwrap();
    let again = create(&sandbox, &[&thing]);
    ran(&sandbox, 0, &[&"verify", &again]).ok();
}

#[test]
fn a_large_file_that_looks_as_before_differs() {
    let sandbox = Sandbox::new();
    let large = sandbox.work("large");
    file(&large, vec![7_u8; 5 << 20]);
    vault::touch(&large, 1_700_000_000, 0);
    let id = create(&sandbox, &[&large]);
    fs::OpenOptions::new().write(true).open(&large).unwrap().write_all_at(b"x", 3 << 20).unwrap();
    vault::touch(&large, 1_700_000_000, 0);
    let after = create(&sandbox, &[&large]);
    for words in [&[&"diff" as &dyn AsRef<std::ffi::OsStr>, &id][..], &[&"diff", &id, &after]] {
        let differences = ran(&sandbox, 0, words).of("snapshot.change");
        assert_eq!(differences.iter().map(|one| one["data"]["change"].clone()).collect::<Vec<_>>(), ["modified"]);
    }
}

#[test]
fn what_was_left_out_stays_whenever_it_came() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top.join("a"), "old");
    let id = create(&sandbox, &[&"--exclude", &"*.log", &"--exclude", &"node_modules/", &top]);
    for path in ["x.log", "came/y.log", "came/z", "node_modules/deep/file"] {
        file(&top.join(path), "new");
    }
    restore(&sandbox, &[&id, &"--exact"]).ok();
    let left: Vec<PathBuf> = inventory(&top).into_keys().filter(|path| top.join(path).is_file()).collect();
    assert_eq!(left, ["a", "came/y.log", "node_modules/deep/file", "x.log"].map(PathBuf::from));
}

#[test]
fn what_was_written_after_a_crash_is_beside_what_came_back() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    let names = ["1", "2", "3"];
    for name in names {
        file(&top.join(name), format!("old {name}"));
    }
    file(&top.join("folder/inner"), "old inner");
    let id = create(&sandbox, &[&top]);
    for name in names {
        fs::write(top.join(name), format!("now {name}")).unwrap();
    }
    fs::remove_dir_all(top.join("folder")).unwrap();
    // At the end of the exchanges, before it is on record that all is through.
    let words: vault::Words<'_> = &[&"restore", &id, &"--force"];
    let killed = vault::traced(&sandbox, "inject=renameat2:signal=SIGKILL:when=4", Path::new("/dev/null"), words);
    assert_eq!(killed.signal, Some(9), "{}", killed.stderr);
    assert_eq!(fs::read_to_string(top.join("1")).unwrap(), "old 1", "the exchange had begun");
    fs::write(top.join("1"), "old 1 and precious").unwrap();
    let in_place = top.join("folder").exists();
    if in_place {
        file(&top.join("folder/mine"), "precious too");
    }
    let recovered = ran(&sandbox, 0, &[&"recover"]);
    let action = recovered.of("action").remove(0)["data"].clone();
    let kept: Vec<PathBuf> =
        action["detail"]["kept"].as_array().expect("it is said").iter().map(|path| PathBuf::from(path.as_str().unwrap())).collect();
    assert_eq!(fs::read_to_string(top.join("1")).unwrap(), "now 1");
    assert_eq!(kept.len(), if in_place { 2 } else { 1 }, "{action}");
    let read = |end: &str| kept.iter().find_map(|path| fs::read_to_string(if end.is_empty() { path.clone() } else { path.join(end) }).ok());
    assert_eq!(read("").as_deref(), Some("old 1 and precious"));
    assert_eq!(read("mine").as_deref(), in_place.then_some("precious too"));
    assert_eq!(vault::left_over(&top), [] as [PathBuf; 0]);
}

#[test]
fn a_restore_that_is_through_is_done_though_the_old_cannot_go() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top.join("a"), "old");
    let id = create(&sandbox, &[&top]);
    fs::write(top.join("a"), "new").unwrap();
    let stubborn = top.join("came/deep/stubborn");
    file(&stubborn, "new");
    let immutable = |flag: &str, path: &Path| Command::new("chattr").arg(flag).arg(path).output().is_ok_and(|ran| ran.status.success());
    if !immutable("+i", &stubborn) {
        return vault::skipped("a_restore_that_is_through_is_done_though_the_old_cannot_go", "no file can be made immutable here");
    }
    let done = ran(&sandbox, 2, &[&"restore", &id, &"--exact", &"--force"]);
    assert_eq!(done.of("action").pop().unwrap()["data"]["outcome"], json!("done"));
    assert_eq!(vault::errors(&done)[0].0, "restore.untidy");
    assert_eq!(fs::read_to_string(top.join("a")).unwrap(), "old");
    let next = ran(&sandbox, 0, &[&"create", &top]);
    assert!(next.stderr.contains("cannot be removed yet"), "{}", next.stderr);
    let aside = vault::left_over(&top);
    assert!(immutable("-i", &top.join(&aside[0]).join("deep/stubborn")), "{aside:?}");
    ran(&sandbox, 0, &[&"recover"]).ok();
    assert_eq!(vault::left_over(&top), [] as [PathBuf; 0]);
}

#[test]
fn a_place_that_is_no_folder_is_refused_before_anything_is_begun() {
    let sandbox = Sandbox::new();
    let (top, target) = (sandbox.work("top"), sandbox.work("target"));
    file(&top.join("a"), "old");
    file(&target, "a file");
    let id = create(&sandbox, &[&top]);
    for to in [target.clone(), target.join("below"), store(&sandbox).join("below")] {
        let refused = ran(&sandbox, 2, &[&"restore", &id, &"--force", &"--to", &to]);
        assert!(refused.stderr.contains("with --to"), "{}", refused.stderr);
    }
    // Nor does a file where a folder above was keep the next run from its work.
    fs::remove_dir_all(&top).unwrap();
    fs::write(&top, "a file").unwrap();
    ran(&sandbox, 0, &[&"restore", &id, &"--force"]).ok();
    assert_eq!(fs::read_to_string(top.join("a")).unwrap(), "old");
}

#[test]
fn a_snapshot_that_was_taken_over_stays_whatever_it_is_called() {
    let sandbox = Sandbox::new();
    let thing = sandbox.work("thing");
    file(&thing, "content");
    let id = create(&sandbox, &[&thing]);
    let manifests = store(&sandbox).join("manifests");
    let mut lines = vault::manifest(&sandbox, &id);
    lines.pop();
    lines[0]["id"] = json!("20250101.index");
    vault::forge(&sandbox, "20250101.index", &lines);
    create(&sandbox, &[&thing]);
    assert!(manifests.join("20250101.index.jsonl.zst").exists());
}

#[test]
fn a_prune_that_has_nothing_to_do_does_nothing() {
    let sandbox = Sandbox::new();
    for name in ["a", "b"] {
        file(&sandbox.work(name), name);
        create(&sandbox, &[&sandbox.work(name)]);
    }
    let packs = || {
        let entries = fs::read_dir(store(&sandbox).join("packs")).unwrap();
        entries
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name(), entry.metadata().unwrap().ino()))
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let before = packs();
    let pruned = ran(&sandbox, 0, &[&"prune", &"--force"]);
    assert_eq!(pruned.of("action").pop().unwrap()["data"]["detail"], json!({"freed": 0, "packs": 0}));
    assert_eq!(before, packs());
}

#[test]
fn one_project_is_no_stand_in_for_another() {
    let sandbox = Sandbox::new();
    let made = ["a", "a", "b"].map(|name| {
        file(&sandbox.work(name), name);
        create(&sandbox, &[&sandbox.work(name)])
    });
    let planned = ran(&sandbox, 0, &[&"prune", &"--keep-last", &"1"]);
    let goes: Vec<Value> =
        planned.of("action").iter().filter(|action| action["data"]["verb"] == "prune").map(|action| action["subject"].clone()).collect();
    assert_eq!(goes, [json!(made[0])]);
    assert_eq!(planned.of("action")[0]["data"]["detail"]["roots"], json!([sandbox.work("a")]));
}

#[test]
fn folders_on_the_way_come_back_as_closed_as_they_were() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top.join(".ssh/keys/one"), "secret");
    vault::chmod(&top.join(".ssh"), 0o700);
    vault::chmod(&top.join(".ssh/keys"), 0o710);
    let id = create(&sandbox, &[&top]);
    fs::remove_dir_all(top.join(".ssh")).unwrap();
    restore(&sandbox, &[&id, &top.join(".ssh/keys/one")]).ok();
    assert_eq!((mode(&top.join(".ssh")), mode(&top.join(".ssh/keys"))), (0o700, 0o710));
}

#[test]
fn names_of_attributes_are_bytes_and_capabilities_are_given_only_if_asked_for() {
    use rustix::fs::{XattrFlags, lgetxattr, lsetxattr};
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top.join("a"), "old");
    if lsetxattr(top.join("a"), &b"user.\xff\xfe"[..], b"value", XattrFlags::empty()).is_err() {
        return vault::skipped("names_of_attributes_are_bytes_and_capabilities_are_given_only_if_asked_for", "no extended attributes here");
    }
    // Version 2, effective, cap_net_bind_service (linux/capability.h).
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let is_capable = vault::is_root() && lsetxattr(top.join("a"), "security.capability", &capability, XattrFlags::empty()).is_ok();
    let before = inventory(&top);
    let id = create(&sandbox, &[&top]);
    let has = || lgetxattr(top.join("a"), "security.capability", &mut [0_u8; 64][..]).is_ok();
    for (words, capable) in [(&[][..], false), (&[&"--keep-setuid" as &dyn AsRef<std::ffi::OsStr>][..], is_capable)] {
        fs::remove_file(top.join("a")).unwrap();
        let words: Vec<&dyn AsRef<std::ffi::OsStr>> =
            [&id as &dyn AsRef<std::ffi::OsStr>].into_iter().chain(words.iter().copied()).collect();
        restore(&sandbox, &words).ok();
        assert_eq!(has(), capable);
    }
    same(&before, &inventory(&top));
}

#[test]
fn a_file_system_that_was_mounted_since_is_not_emptied() {
    let sandbox = Sandbox::new();
    let (top, mount) = (sandbox.work("top"), sandbox.work("top/mount"));
    fs::create_dir_all(&mount).unwrap();
    let id = create(&sandbox, &[&top]);
    let mounted = Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&mount).output().is_ok_and(|ran| ran.status.success());
    if !mounted {
        return vault::skipped("a_file_system_that_was_mounted_since_is_not_emptied", "this process may not mount a tmpfs");
    }
    file(&mount.join("data"), "precious");
    file(&top.join("came"), "new");
    let ran = snapshot(&sandbox, &[&"restore", &id, &"--exact", &"--force"]).run();
    let stays = mount.join("data").exists();
    Command::new("umount").arg("-l").arg(&mount).status().unwrap();
    assert!(stays && !top.join("came").exists(), "{}", ran.code(0).text());
}

#[test]
fn what_is_not_in_a_snapshot_is_said_when_it_is_restored() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top.join("a"), "old");
    sandbox.command("mkfifo", [top.join("pipe")]).run().code(0).ok();
    let id = vault::id(&ran(&sandbox, 2, &[&"create", &top]));
    fs::write(top.join("a"), "new").unwrap();
    let done = restore(&sandbox, &[&id]).of("action").pop().unwrap()["data"].clone();
    assert_eq!(done["detail"]["not_kept"], json!({"count": 1, "paths": [top.join("pipe")]}));
    assert!(done["text"].as_str().unwrap().contains("1 that could not be kept then"), "{done}");
    // That is no news to a comparison.
    ran(&sandbox, 0, &[&"diff", &id]).ok();
}

#[test]
fn a_store_that_cannot_be_written_to_can_be_read() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top.join("a"), "old");
    let id = create(&sandbox, &[&top]);
    let disk = sandbox.work("disk");
    fs::create_dir_all(&disk).unwrap();
    let mount = |words: &[&str]| Command::new("mount").args(words).arg(&disk).output().is_ok_and(|ran| ran.status.success());
    if !mount(&["-t", "tmpfs", "-o", "mode=0700", "tmpfs"]) {
        return vault::skipped("a_store_that_cannot_be_written_to_can_be_read", "this process may not mount a tmpfs");
    }
    let copied = sandbox.command("cp", [Path::new("-a"), &store(&sandbox), &disk.join("store")]).run().code == Some(0);
    let read_only = copied && mount(&["-o", "remount,ro"]);
    let moved = disk.join("store");
    let codes: Vec<Option<i32>> = [
        &[&"verify" as &dyn AsRef<std::ffi::OsStr>][..],
        &[&"diff", &id],
        &[&"cat", &id, &top.join("a")],
        &[&"export", &id],
        &[&"restore", &id],
    ]
    .iter()
    .map(|words| snapshot(&sandbox, words).env("MENDLINE_STORE", &moved).run().code)
    .collect();
    Command::new("umount").arg("-l").arg(&disk).status().unwrap();
    assert!(read_only);
    assert_eq!(codes, [Some(0); 5]);
}

#[test]
fn what_may_mean_one_that_cannot_be_read_means_no_other() {
    let sandbox = Sandbox::new();
    let thing = sandbox.work("thing");
    let mut ids = Vec::new();
    for content in ["first", "second"] {
        file(&thing, content);
        ids.push(create(&sandbox, &[&"--label", &"up", &thing]));
    }
    let manifest = |id: &str| store(&sandbox).join(format!("manifests/{id}.jsonl.zst"));
    fs::remove_file(manifest(&ids[1])).unwrap();
    // Of the same second, and yet before the other by name.
    ids[1] = format!("{}-", ids[0].split('-').next().unwrap());
    fs::write(manifest(&ids[1]), "").unwrap();
    for name in ["latest", "up", "nosuch"] {
        for words in [&["restore", name, "--force"][..], &["delete", name, "--force"], &["cat", name, "x"], &["export", name]] {
            let words: Vec<&dyn AsRef<std::ffi::OsStr>> = words.iter().map(|word| word as &dyn AsRef<std::ffi::OsStr>).collect();
            let said = ran(&sandbox, 2, &words).stderr;
            assert!(said.contains(&format!("`{name}` may mean {}, which cannot be read", ids[1])), "{said}");
        }
    }
    assert_eq!(ran(&sandbox, 0, &[&"cat", &ids[0], &thing]).text(), "first");
}

#[test]
fn nothing_is_there_is_said_by_whatever_way_the_paths_come() {
    let sandbox = Sandbox::new();
    let thing = sandbox.work("thing");
    file(&thing, "content");
    let nothing = "nothing is there at any of these paths";
    for (words, input) in
        [(&["create", "-"][..], "gone\r\n"), (&["create", "--from-plan"], "garbage {{{\n"), (&["run", "gone", "--", "touch", "ran"], "")]
    {
        let words: Vec<&dyn AsRef<std::ffi::OsStr>> = words.iter().map(|word| word as &dyn AsRef<std::ffi::OsStr>).collect();
        let said = snapshot(&sandbox, &words).within(sandbox.work("")).input(input).run().code(2).stderr;
        assert!(said.contains(nothing), "{said}");
    }
    assert!(!sandbox.work("ran").exists());
    let mixed = snapshot(&sandbox, &[&"create", &"-"]).within(sandbox.work("")).input("thing\nnope\n").run().code(0);
    assert!(mixed.stderr.contains("nothing is there: nope"), "{}", mixed.stderr);

    // Who did not see everything says so at the end of the stream.
    let record = |kind: &str, rest: Value| {
        let mut record = json!({"v": 1, "type": kind, "id": "a.1", "tool": "a-probe", "host": "h", "ts": "2026-08-23T10:11:12.345Z"});
        record.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        record.to_string() + "\n"
    };
    let stream = record("venv.probe", json!({"subject": thing, "data": {}}))
        + &record("error", json!({"subject": sandbox.work("unseen"), "data": {"code": "x", "text": "x"}}))
        + &record("end", json!({"data": {"ok": false, "read": 0, "wrote": 1}}));
    let made = snapshot(&sandbox, &[&"create", &"-"]).input(stream).run().code(2);
    assert!(made.stderr.contains("a-probe says at the end of standard input"), "{}", made.stderr);
    assert_eq!(made.of("snapshot")[0]["data"]["roots"], json!([thing]));
}

#[test]
fn a_diff_tells_only_of_what_both_sides_were_to_hold() {
    let sandbox = Sandbox::new();
    let (mail, other) = (sandbox.work("mail"), sandbox.work("other"));
    file(&mail.join("a"), "1");
    file(&other, "2");
    let (both, one) = (create(&sandbox, &[&mail, &other]), create(&sandbox, &[&mail]));
    for (a, b) in [(&both, &one), (&one, &both)] {
        let ran = ran(&sandbox, 0, &[&"diff", a, b]);
        assert!(ran.of("snapshot.change").is_empty() && ran.stderr.contains("not compared"), "{}{}", ran.stderr, ran.text());
    }
    fs::remove_file(mail.join("a")).unwrap();
    let less = create(&sandbox, &[&mail]);
    let told = ran(&sandbox, 0, &[&"diff", &both, &less]).of("snapshot.change");
    assert_eq!((told.len(), &told[0]["data"]["change"], &told[0]["subject"]), (1, &json!("removed"), &json!(mail.join("a"))));
    let said = ran(&sandbox, 2, &[&"diff", &both, &"--", &sandbox.work("typo")]).stderr;
    assert!(said.contains("nothing is at"), "{said}");
}

#[test]
fn a_glob_that_leaves_nothing_out_is_said() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top.join("sub/secret"), "s");
    let create = |glob: &str| snapshot(&sandbox, &[&"create", &"--exclude", &glob, &top]).within(sandbox.work("")).run();
    for (glob, entries) in [("./top/sub", 1), ("top/sub/", 1), ("sub", 1), ("nosuch", 3), ("./sub", 1), ("x/../sub", 0)] {
        let made = create(glob);
        let count = made.of("snapshot").first().map_or(0, |record| record["data"]["entries"].as_u64().unwrap());
        assert_eq!((count, made.stderr.contains("left nothing out")), (entries, entries == 3), "{glob}: {}", made.stderr);
        assert_eq!(made.stderr.contains("leaves nothing out"), entries == 0, "{glob}: {}", made.stderr);
    }
}

#[test]
fn paths_that_are_not_there_may_lie_in_each_other_and_behind_links_that_lead_nowhere() {
    let sandbox = Sandbox::new();
    let (thing, link) = (sandbox.work("thing"), sandbox.work("link"));
    file(&thing, "content");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    let gone = sandbox.work("gone");
    let id = create(&sandbox, &[&thing, &gone, &gone.join("deeper"), &link.join("x"), &link]);
    fs::remove_file(&thing).unwrap();
    file(&gone.join("deeper/x"), "came");
    restore(&sandbox, &[&id, &"--exact"]).ok();
    assert_eq!(fs::read_to_string(&thing).unwrap(), "content");
    assert!(!gone.exists() && link.is_symlink());
    // What a link leads to is kept as absent, too.
    file(&sandbox.work("nowhere"), "came");
    restore(&sandbox, &[&id, &"--exact"]).ok();
    assert!(!sandbox.work("nowhere").exists());
}

#[test]
fn what_was_left_out_stays_behind_a_link_and_elsewhere() {
    let sandbox = Sandbox::new();
    let (real, link) = (sandbox.work("real"), sandbox.work("link"));
    file(&real.join("sub/x"), "x");
    std::os::unix::fs::symlink("real", &link).unwrap();
    let id = create(&sandbox, &[&"--exclude", &link.join("sub/cache"), &link.join("sub")]);
    file(&real.join("sub/cache/c"), "c");
    restore(&sandbox, &[&id, &"--exact"]).ok();
    assert!(real.join("sub/cache/c").exists());
    let to = sandbox.work("to");
    restore(&sandbox, &[&id, &"--to", &to]).ok();
    let there = to.join(link.strip_prefix("/").unwrap()).join("sub/cache/c");
    file(&there, "c");
    restore(&sandbox, &[&id, &"--to", &to, &"--exact"]).ok();
    assert!(there.exists());
}

#[test]
fn a_tree_that_is_kept_names_no_program_to_run() {
    let sandbox = Sandbox::new();
    let (top, trace) = (sandbox.work("top"), sandbox.work("ran"));
    file(&top.join(".gitattributes"), "* filter=x\n");
    file(&top.join("f"), "a");
    let git = |words: &[&str]| {
        let words: Vec<&str> =
            ["-C", top.to_str().unwrap(), "-c", "user.name=a", "-c", "user.email=a@b"].iter().chain(words).copied().collect();
        sandbox.command("git", words).run().code(0).ok();
    };
    git(&["init", "-q"]);
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "x"]);
    git(&["config", "filter.x.clean", &format!("touch {}; cat", trace.display())]);
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::write(top.join("f"), "b").unwrap();
    let state = ran(&sandbox, 0, &[&"create", &top]).of("snapshot")[0]["data"]["git"][0].clone();
    assert_eq!((state["dirty"].as_u64(), trace.exists()), (Some(1), false), "{state}");
}

#[test]
fn what_is_pinned_is_known_or_nothing_goes() {
    let sandbox = Sandbox::new();
    let thing = sandbox.work("thing");
    file(&thing, "content");
    let id = create(&sandbox, &[&thing]);
    create(&sandbox, &[&thing]);
    ran(&sandbox, 0, &[&"pin", &id]).ok();
    fs::rename(store(&sandbox).join("pins"), sandbox.work("away")).unwrap();
    for words in [&[&"prune" as &dyn AsRef<std::ffi::OsStr>, &"--keep-last", &"1", &"--force"][..], &[&"delete", &id, &"--force"]] {
        assert!(ran(&sandbox, 2, words).stderr.contains("cannot see what is pinned"));
    }
}

#[test]
fn text_of_a_restore_says_what_was_never_kept() {
    if !vault::is_root() {
        return vault::skipped("text_of_a_restore_says_what_was_never_kept", "a device takes root");
    }
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top.join("a"), "a");
    Command::new("mkfifo").arg(top.join("pipe")).status().unwrap();
    ran(&sandbox, 2, &[&"create", &"--label", &"p", &top]).ok();
    fs::remove_file(top.join("pipe")).unwrap();
    let text = ran(&sandbox, 0, &[&"restore", &"p", &top.join("pipe"), &"--format", &"text"]).text();
    assert!(text.contains("there then and not in the snapshot") && !text.contains("Everything is as in the snapshot"), "{text}");
}

#[test]
fn a_store_on_a_disk_that_is_read_only_gives_all_but_a_restore() {
    if !vault::is_root() {
        return vault::skipped("a_store_on_a_disk_that_is_read_only_gives_all_but_a_restore", "a mount takes root");
    }
    let sandbox = Sandbox::new();
    let thing = sandbox.work("thing");
    file(&thing, "content");
    create(&sandbox, &[&thing]);
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\" && snapshot verify >/dev/null && snapshot export latest >\"$2\" && \
        exec snapshot restore latest --to \"$3\" --force";
    let (store, archive, to) = (store(&sandbox), sandbox.work("archive"), sandbox.work("to"));
    let words = ["-m", "sh", "-c", script, "sh", store.to_str().unwrap(), archive.to_str().unwrap(), to.to_str().unwrap()];
    let tried = sandbox.command("unshare", words).run().code(2);
    assert!(tried.stderr.contains("`snapshot export ID | tar -x -C DIR` needs none"), "{}", tried.stderr);
    assert!(archive.metadata().unwrap().len() > 0);
}
