//! Manifests that somebody made who wants a restore to write where it should not: each is refused with the reason, and nothing is written.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::Sandbox;

use crate::vault::{self, create, file, forge, inventory, ran, same, snapshot};

/// An honest snapshot to start from: a folder `root` with the file `root/x` in it, and its manifest.
struct Honest {
    sandbox: Sandbox,
    root: PathBuf,
    id: String,
    header: Value,
    entries: Vec<Value>,
}

impl Honest {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let root = sandbox.work("root");
        file(&root.join("x"), "content");
        let id = create(&sandbox, &[&root]);
        let mut lines = vault::manifest(&sandbox, &id);
        let header = lines.remove(0);
        lines.pop();
        fs::write(root.join("x"), "changed").unwrap();
        Self { sandbox, root, id, header, entries: lines }
    }

    /// The entry of `x`, somewhere else and with other fields.
    fn entry(&self, path: impl AsRef<Path>, fields: Value) -> Value {
        let mut entry = self.entries[1].clone();
        entry["path"] = json!(path.as_ref());
        let Value::Object(fields) = fields else { panic!("fields are an object") };
        entry.as_object_mut().unwrap().extend(fields);
        entry
    }

    fn folder(&self, path: impl AsRef<Path>) -> Value {
        let mut entry = self.entries[0].clone();
        entry["path"] = json!(path.as_ref());
        entry
    }

    /// Writes the manifest and insists that nothing comes of it: whatever is asked, the answer is the reason, and not one file is other.
    fn is_refused(&self, lines: Vec<Value>, reason: &str) {
        let mut header = self.header.clone();
        header["entries"] = json!(lines.len());
        self.header_is_refused(header, lines, reason);
    }

    fn header_is_refused(&self, header: Value, lines: Vec<Value>, reason: &str) {
        forge(&self.sandbox, &self.id, &[vec![header], lines].concat());
        let before = inventory(&self.sandbox.root().join("work"));
        let id = &self.id;
        let commands: [vault::Words<'_>; 6] = [
            &[&"restore", id],
            &[&"restore", id, &"--force", &"--exact"],
            &[&"restore", id, &"--force", &"--to", &self.sandbox.work("to")],
            &[&"show", id],
            &[&"export", id],
            &[&"diff", id],
        ];
        for words in commands {
            let ran = snapshot(&self.sandbox, words).run().code(2);
            assert!(ran.stderr.contains(reason), "no `{reason}` in {}", ran.stderr);
            assert_eq!(ran.of("action"), [json!(null); 0]);
        }
        let verified = ran(&self.sandbox, 1, &[&"verify"]);
        assert!(verified.text().contains("manifest-damaged"), "{}", verified.text());
        same(&before, &inventory(&self.sandbox.root().join("work")));
    }
}

#[test]
fn what_is_forged_well_is_believed() {
    let honest = Honest::new();
    forge(&honest.sandbox, &honest.id, &[vec![honest.header.clone()], honest.entries.clone()].concat());
    vault::restore(&honest.sandbox, &[&honest.id]).ok();
    assert_eq!(fs::read_to_string(honest.root.join("x")).unwrap(), "content");
}

#[test]
fn paths_that_lead_elsewhere() {
    let honest = Honest::new();
    let root = honest.root.to_str().unwrap().to_owned();
    let outside = honest.sandbox.work("zone");
    let entry = |path: &str| vec![honest.folder(&root), honest.entry(path, json!({}))];
    honest.is_refused(entry(outside.to_str().unwrap()), "is beneath no root");
    for path in ["../outside", "x/../../outside", "./x", "x/", "/x", "x//y", "a/./b"].map(|below| format!("{root}/{below}")) {
        honest.is_refused(entry(&path), "no plain absolute path");
    }
    for path in ["", "x", "root/x", "..", "../x"] {
        honest.is_refused(entry(path), "no plain absolute path");
    }
    honest.is_refused(entry(&format!("{root}/a\0b")), "no plain absolute path");
    honest.is_refused(vec![honest.folder(&root), honest.entry("", json!({"path": {"hex": "2f2e2e2f78"}}))], "no plain absolute path");
    honest.is_refused(vec![honest.folder(&root), honest.entry("", json!({"path": {"hex": "2"}}))], "is no entry");
    honest.is_refused(entry(&format!("{root}/deep/x")), "is beneath no root and no folder");
}

#[test]
fn an_order_that_hides_something() {
    let honest = Honest::new();
    let at = |name: &str| honest.entry(honest.root.join(name), json!({}));
    let root = || honest.folder(&honest.root);
    honest.is_refused(vec![root(), at("x"), at("x")], "is out of order or stands twice");
    honest.is_refused(vec![root(), at("x"), at("a")], "is out of order or stands twice");
    honest.is_refused(vec![at("x"), root()], "is beneath no root");
    honest.is_refused(vec![root(), root()], "is out of order or stands twice");
    honest.is_refused(vec![root(), at("x"), at("x/y")], "is below what is no folder");
    let link = |target: &str| json!({"path": honest.root.join("x"), "kind": "link", "target": target, "mode": "0777", "uid": 0, "gid": 0, "mtime": "0.000000000"});
    honest.is_refused(vec![root(), link("/etc"), at("x/passwd")], "is below what is no folder");
    let special = json!({"path": honest.root.join("x"), "kind": "special"});
    honest.is_refused(vec![root(), special, at("x/y")], "is below what is no folder");
}

#[test]
fn contents_that_are_none() {
    let honest = Honest::new();
    let with = |fields: Value| vec![honest.folder(&honest.root), honest.entry(honest.root.join("x"), fields)];
    let hash = "0".repeat(64);
    let pieces = |sizes: &[u64]| json!(sizes.iter().map(|size| json!({"size": size})).collect::<Vec<_>>());
    for fields in [
        json!({"sha256": null, "size": 7}),
        json!({"size": null}),
        json!({"sha256": null, "pieces": pieces(&[3, 3]), "size": 7}),
        json!({"sha256": null, "pieces": pieces(&[u64::MAX, 8]), "size": 7}),
        json!({"pieces": pieces(&[7]), "size": 7}),
    ] {
        honest.is_refused(with(fields), "has no content");
    }
    honest.is_refused(with(json!({"size": -1})), "is no entry");
    honest.is_refused(with(json!({"size": 1e30})), "is no entry");
    honest.is_refused(with(json!({"sha256": "ABC"})), "is no entry");
    honest.is_refused(with(json!({"same_as": honest.root.join("nosuch")})), "claims to be the same file as");
    honest.is_refused(with(json!({"same_as": honest.root.join("x")})), "claims to be the same file as");
    honest.is_refused(with(json!({"same_as": honest.root})), "claims to be the same file as");
    honest.is_refused(with(json!({"same_as": "/etc/passwd"})), "claims to be the same file as");
    let twins = |fields: Value| {
        let twin = honest.entry(honest.root.join("y"), fields);
        vec![honest.folder(&honest.root), honest.entry(honest.root.join("x"), json!({})), twin]
    };
    honest.is_refused(twins(json!({"same_as": honest.root.join("x"), "sha256": hash})), "claims to be the same file as");
    honest.is_refused(twins(json!({"same_as": honest.root.join("x"), "size": 8})), "claims to be the same file as");
    honest.is_refused(with(json!({"kind": "link"})), "leads nowhere");
    for mode in [json!("10000"), json!("-1"), json!("9"), json!(null)] {
        honest.is_refused(with(json!({"mode": mode})), "does not say mode, owner and time");
    }
    for mtime in
        [json!("1"), json!("1.0"), json!("1.1000000000"), json!("x.000000000"), json!("99999999999999999999.000000000"), json!(null)]
    {
        honest.is_refused(with(json!({"mtime": mtime})), "does not say mode, owner and time");
    }
}

#[test]
fn a_content_that_is_another() {
    let honest = Honest::new();
    let with = |fields: Value| vec![honest.header.clone(), honest.folder(&honest.root), honest.entry(honest.root.join("x"), fields)];
    let of_x = honest.entries[1]["sha256"].clone();
    for (fields, reason) in [
        (json!({"sha256": "0".repeat(64)}), "the store has lost the content"),
        (json!({"size": 8}), "another size"),
        (json!({"size": u64::MAX}), "another size"),
        (json!({"sha256": null, "pieces": [{"sha256": of_x, "size": 6}, {"size": 1}]}), "another size"),
        (json!({"sha256": null, "size": 1_u64 << 60, "pieces": [{"size": 1_u64 << 60}]}), "cannot give it its length"),
    ] {
        forge(&honest.sandbox, &honest.id, &with(fields));
        let before = inventory(&honest.root);
        let ran = snapshot(&honest.sandbox, &[&"restore", &honest.id, &"--force"]).run().code(1);
        let (outcome, text) = vault::ending(&ran);
        assert!(outcome == "failed" && text.contains(reason) && text.contains("everything is as before"), "no `{reason}` in {text}");
        same(&before, &inventory(&honest.root));
    }
}

#[test]
fn headers_that_lie() {
    let honest = Honest::new();
    let with = |key: &str, value: Value| {
        let mut header = honest.header.clone();
        header[key] = value;
        header
    };
    let root = |path: &str, real: &str| json!([{"path": path, "real": real}]);
    let own = honest.root.to_str().unwrap();
    for roots in [root("/a/../b", own), root(own, "/a/../b"), root(own, "relative"), root(own, ""), root(own, "/")] {
        honest.header_is_refused(with("roots", roots), honest.entries.clone(), "no plain absolute path");
    }
    honest.header_is_refused(with("roots", json!([])), honest.entries.clone(), "is beneath no root");
    honest.header_is_refused(with("above", json!([honest.folder("/a/../b")])), honest.entries.clone(), "no plain absolute path");
    honest.header_is_refused(with("v", json!(2)), honest.entries.clone(), "it is of a newer snapshot (version 2)");
    honest.header_is_refused(with("entries", json!(1_u64 << 52)), honest.entries.clone(), "4503599627370496");
    for id in ["../../outside", "20990101_000000-abcd", "", "a/b"] {
        honest.header_is_refused(with("id", json!(id)), honest.entries.clone(), "says that it is");
    }
    let unknown = honest.entry(honest.root.join("x"), json!({"kind": "hologram"}));
    forge(&honest.sandbox, &honest.id, &[honest.header.clone(), honest.folder(&honest.root), unknown]);
    vault::refused(&honest.sandbox, 2, &[&honest.id], "use a newer snapshot", &honest.root).ok();
}

#[test]
fn bytes_that_are_no_manifest() {
    let honest = Honest::new();
    let path = vault::store(&honest.sandbox).join("manifests").join(format!("{}.jsonl.zst", honest.id));
    let good = fs::read(&path).unwrap();
    let text = zstd::decode_all(&good[..]).unwrap();
    let packed = |text: &[u8]| zstd::encode_all(text, 1).unwrap();
    let mut flipped = text.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let deep = format!("{}{}\n", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let bad = [
        Vec::new(),
        b"{}".to_vec(),
        good[..good.len() / 2].to_vec(),
        packed(b""),
        packed(b"\n\n\n"),
        packed(&text[..text.len() - 1]),
        packed(&text[..text.len() / 2]),
        packed(&flipped),
        packed(deep.as_bytes()),
        packed(&vec![b'x'; 100 << 20]),
    ];
    for (number, bytes) in bad.iter().enumerate() {
        fs::write(&path, bytes).unwrap();
        let before = inventory(&honest.root);
        let ran = snapshot(&honest.sandbox, &[&"restore", &honest.id, &"--force"]).run();
        assert_eq!(ran.code, Some(2), "{number}: {}", ran.stderr);
        assert!(ran.stderr.contains("cannot read the manifest"), "{number}: {}", ran.stderr);
        same(&before, &inventory(&honest.root));
    }
}

#[test]
fn a_path_of_a_hundred_thousand_folders() {
    let honest = Honest::new();
    let deep = format!("{}/{}x", honest.root.display(), "d/".repeat(100_000));
    let mut header = honest.header.clone();
    header["roots"] = json!([{"path": deep, "real": deep}]);
    forge(&honest.sandbox, &honest.id, &[header, honest.entry(&deep, json!({}))]);
    let before = inventory(&honest.sandbox.root().join("work"));
    let ran = snapshot(&honest.sandbox, &[&"restore", &honest.id, &"--force"]).run();
    assert_eq!(ran.code, Some(2), "{:?} {}", ran.signal, ran.stderr);
    same(&before, &inventory(&honest.sandbox.root().join("work")));
}

/// Two roots that claim to be at one place, one of them below what the other makes a file.
#[test]
fn roots_that_fold_onto_each_other() {
    let honest = Honest::new();
    let (one, two) = (honest.sandbox.work("one"), honest.sandbox.work("two"));
    let real = honest.root.join("x");
    let mut header = honest.header.clone();
    for (second, file) in [(real.clone(), "the same"), (real.join("y"), "below")] {
        header["roots"] = json!([{"path": one, "real": real}, {"path": two, "real": second}]);
        forge(&honest.sandbox, &honest.id, &[header.clone(), honest.entry(&one, json!({})), honest.entry(&two, json!({}))]);
        let before = inventory(&honest.root);
        let ran = snapshot(&honest.sandbox, &[&"restore", &honest.id, &"--force"]).run();
        assert_eq!(ran.code, Some(2), "{file}: {}", ran.text());
        assert!(ran.stderr.contains("wants two things at"), "{file}: {}", ran.stderr);
        same(&before, &inventory(&honest.root));
        assert_eq!(fs::read_dir(vault::store(&honest.sandbox).join("journal")).unwrap().count(), 0, "{file}");
    }
}

#[test]
fn an_id_is_never_a_path() {
    let honest = Honest::new();
    // A manifest outside of the store that is honest in all but its place.
    let outside = vault::store(&honest.sandbox).join("evil.jsonl.zst");
    fs::copy(vault::store(&honest.sandbox).join("manifests").join(format!("{}.jsonl.zst", honest.id)), &outside).unwrap();
    for command in ["show", "restore", "delete", "pin", "unpin", "verify", "export", "diff"] {
        for id in ["../evil", "../../../evil", "/etc/passwd", "."] {
            let words: Vec<&dyn AsRef<std::ffi::OsStr>> = match command {
                "restore" | "delete" => vec![&command, &id, &"--force"],
                _ => vec![&command, &id],
            };
            let ran = ran(&honest.sandbox, 2, &words);
            assert!(ran.stderr.contains("no snapshot is called"), "{command} {id}: {}", ran.stderr);
        }
    }
    assert!(outside.exists());
    assert_eq!(fs::read_dir(vault::store(&honest.sandbox).join("pins")).unwrap().count(), 0);
}
