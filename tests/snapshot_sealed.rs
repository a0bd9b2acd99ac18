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
        let verified = run(&[&"verify"]).code(0);
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
