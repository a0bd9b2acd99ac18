//! Snapshots that are sealed to an age recipient: all that the others can do, with the key, and nothing without it.
#![cfg(target_os = "linux")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use tests::{Ran, Sandbox};

use crate::vault::{self, file, inventory, same, snapshot, store};

struct Sealed {
    sandbox: Sandbox,
    top: PathBuf,
    key: PathBuf,
    id: String,
}

impl Sealed {
    /// A small tree with a large file, of which a snapshot is sealed.
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let top = sandbox.work("top");
        file(&top.join("secret"), "hushhush");
        file(&top.join("large"), (0..5_u32 << 18).flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()).collect::<Vec<_>>());
        let (recipient, key) = vault::key(&sandbox, "key");
        let id = vault::create(&sandbox, &[&"--encrypt-to", &recipient, &"--label", &"sealed", &top]);
        Self { sandbox, top, key, id }
    }

    fn run(&self, code: i32, words: vault::Words<'_>) -> Ran {
        snapshot(&self.sandbox, words).env("MENDLINE_IDENTITY", &self.key).run().code(code)
    }

    fn verdict(&self, words: vault::Words<'_>) -> String {
        let ran = snapshot(&self.sandbox, &[&"verify"]).env(words[0].as_ref().to_str().unwrap(), words[1].as_ref()).run();
        ran.of("snapshot.probe")[0]["data"]["status"].as_str().unwrap().to_owned()
    }
}

#[test]
fn with_the_key_it_is_a_snapshot_like_any_other() {
    let sealed = Sealed::new();
    let (top, id) = (&sealed.top, &sealed.id);
    let before = inventory(top);
    assert_eq!(sealed.run(0, &[&"show", id]).of("snapshot.entry").len(), 3);
    assert_eq!(sealed.run(0, &[&"cat", id, &top.join("secret")]).text(), "hushhush");
    sealed.run(0, &[&"verify", id]).ok();
    fs::write(top.join("secret"), "other").unwrap();
    fs::remove_file(top.join("large")).unwrap();
    assert_eq!(sealed.run(0, &[&"diff", &"sealed"]).of("snapshot.change").len(), 2);
    let done = sealed.run(0, &[&"restore", id, &"--exact", &"--force"]);
    same(&before, &inventory(top));
    let undo = done.of("action").pop().unwrap()["data"]["undo"].as_str().unwrap().to_owned();
    let kept = sealed.run(0, &[&"show", &undo]).of("snapshot").remove(0);
    assert!(!kept["data"]["sealed_to"].as_array().unwrap().is_empty(), "what was a secret then may be one now");
    sealed.run(0, &[&"restore", &undo, &"--exact", &"--force"]).ok();
    assert_eq!((fs::read_to_string(top.join("secret")).unwrap().as_str(), top.join("large").exists()), ("other", false));
    let all: Vec<String> =
        sealed.run(0, &[&"list"]).of("snapshot").iter().map(|record| record["subject"].as_str().unwrap().to_owned()).collect();
    assert_eq!(all.len(), 3);
    sealed.run(0, &[&"delete", &all[0], &all[1], &all[2], &"--force"]).ok();
    assert_eq!(fs::read_dir(store(&sealed.sandbox).join("packs")).unwrap().count(), 0);
}

#[test]
fn without_the_key_it_is_not_judged_and_nothing_of_it_is_read() {
    let sealed = Sealed::new();
    let (_, other) = vault::key(&sealed.sandbox, "other");
    for key in [None, Some(&other)] {
        let run = |words: vault::Words<'_>| {
            let run = snapshot(&sealed.sandbox, words);
            if let Some(key) = key { run.env("MENDLINE_IDENTITY", key) } else { run }.run()
        };
        let verified = run(&[&"verify"]).code(2);
        assert_eq!(verified.of("snapshot.probe")[0]["data"]["status"], json!("unknown"));
        assert!(verified.stderr.contains("--identity"), "{}", verified.stderr);
        for words in
            [&[&"show" as &dyn AsRef<OsStr>, &"sealed"][..], &[&"restore", &"sealed"], &[&"diff", &"sealed"], &[&"export", &"sealed"]]
        {
            let said = run(words).code(2).stderr;
            assert!(said.contains("no key was named that opens it"), "{said}");
        }
        assert_eq!(run(&[&"list"]).code(0).of("snapshot").len(), 1);
    }
}

#[test]
fn what_is_missing_of_it_is_seen_without_the_key_and_with_it() {
    let sealed = Sealed::new();
    let in_store = |below: String| store(&sealed.sandbox).join(below);
    let (pack, header) = (in_store(format!("packs/{}.tar.zst.age", sealed.id)), in_store(format!("manifests/{}.header.json", sealed.id)));
    let verdicts = || [sealed.verdict(&[&"X", &"x"]), sealed.verdict(&[&"MENDLINE_IDENTITY", &sealed.key])];
    let away = sealed.sandbox.root().join("away");
    for path in [&pack, &header] {
        fs::rename(path, &away).unwrap();
        assert_eq!(verdicts(), ["broken", "broken"], "{}", path.display());
        fs::rename(&away, path).unwrap();
    }
    assert_eq!(verdicts(), ["unknown", "healthy"]);
}

#[test]
fn nobody_else_can_read_what_is_kept_of_it() {
    let sealed = Sealed::new();
    let mut all = vec![store(&sealed.sandbox)];
    while let Some(path) = all.pop() {
        let meta = path.metadata().unwrap();
        assert_eq!(meta.permissions().mode() & 0o077, 0, "{}", path.display());
        if meta.is_dir() {
            all.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            assert!(!String::from_utf8_lossy(&fs::read(&path).unwrap()).contains("hushhush"), "{}", Path::display(&path));
        }
    }
}

#[test]
fn an_index_that_is_gone_is_made_again_from_the_pack() {
    let sealed = Sealed::new();
    let before = inventory(&sealed.top);
    fs::remove_file(store(&sealed.sandbox).join(format!("packs/{}.index.age", sealed.id))).unwrap();
    assert_eq!(sealed.verdict(&[&"MENDLINE_IDENTITY", &sealed.key]), "healthy");
    fs::remove_dir_all(&sealed.top).unwrap();
    sealed.run(0, &[&"restore", &"sealed", &"--force"]).ok();
    same(&before, &inventory(&sealed.top));
}

#[test]
fn neither_sort_of_pack_stands_in_for_the_other() {
    let sealed = Sealed::new();
    let open = vault::create(&sealed.sandbox, &[&sealed.top]);
    let verdict = |id: &str| sealed.run(1, &[&"verify", &id]).of("snapshot.probe")[0]["data"]["status"].clone();
    for (pack, id) in [(format!("packs/{}.tar.zst.age", sealed.id), &sealed.id), (format!("packs/{open}.tar.zst"), &open)] {
        let path = store(&sealed.sandbox).join(pack);
        let whole = fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        let at = damaged.len() / 2;
        damaged[at] ^= 1;
        fs::write(&path, damaged).unwrap();
        assert_eq!(verdict(id), json!("broken"));
        fs::write(&path, whole).unwrap();
    }
    sealed.run(0, &[&"verify"]).ok();
}

#[test]
fn rules_tell_sealed_snapshots_of_other_paths_apart() {
    let sandbox = Sandbox::new();
    let (recipient, key) = vault::key(&sandbox, "key");
    let create = |name: &str| {
        file(&sandbox.work(name).join("f"), name);
        vault::create(&sandbox, &[&"--encrypt-to", &recipient, &sandbox.work(name)])
    };
    let (first, a, b) = (create("a"), create("a"), create("b"));
    vault::ran(&sandbox, 0, &[&"prune", &"--keep-last", &"1", &"--force"]).ok();
    let left: Vec<String> =
        vault::ran(&sandbox, 0, &[&"list"]).of("snapshot").iter().map(|record| record["subject"].as_str().unwrap().to_owned()).collect();
    assert_eq!(left, [a, b], "{first} alone has one that stands in for it");
    snapshot(&sandbox, &[&"verify"]).env("MENDLINE_IDENTITY", &key).run().code(0).ok();
}

#[test]
fn what_is_imported_is_sealed_too_and_rests_on_nothing_sealed() {
    for sealed_too in [true, false] {
        let sealed = Sealed::new();
        let old = sealed.sandbox.work("old/20251211_143600");
        file(&old.join("config/secret"), "hushhush");
        let entry = json!({"original": sealed.top.join("secret"), "backup": "/gone/secret", "hash": vault::sha256(b"hushhush")});
        file(&old.join("manifest.json"), json!({"created_at": "2025-12-11T14:36:00", "config_files": [entry]}).to_string());
        let (recipient, _) = vault::key(&sealed.sandbox, "another");
        let mut words: Vec<&dyn AsRef<OsStr>> = vec![&"import", &old];
        if sealed_too {
            words.extend([&"--encrypt-to" as &dyn AsRef<OsStr>, &recipient]);
        }
        sealed.run(0, &words).ok();
        let manifest = store(&sealed.sandbox).join("manifests/20251211_143600.jsonl.zst");
        assert_eq!(manifest.exists(), !sealed_too);
        if !sealed_too {
            sealed.run(0, &[&"delete", &sealed.id, &"--force"]).ok();
            vault::ran(&sealed.sandbox, 0, &[&"verify"]).ok();
        }
    }
}
