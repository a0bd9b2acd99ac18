//! What the rollback manager that `snapshot` replaces did wrong, one case each; and its old snapshots, which can be taken over.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::Sandbox;

use crate::vault::{self, create, errors, file, inventory, ran, restore, same, snapshot};

#[test]
fn the_safety_copy_never_takes_the_place_of_the_snapshot_that_is_restored() {
    let sandbox = Sandbox::new();
    let config = sandbox.work("config");
    file(&config, "good");
    let id = create(&sandbox, &[&config]);
    fs::write(&config, "bad").unwrap();
    // All of it within a second, as in a script.
    for _ in 0..3 {
        restore(&sandbox, &[&id]).ok();
        assert_eq!(fs::read_to_string(&config).unwrap(), "good");
        fs::write(&config, "bad").unwrap();
    }
    assert_eq!(ran(&sandbox, 0, &[&"cat", &id, &config]).text(), "good");
}

#[test]
fn what_was_tampered_with_is_not_restored_and_no_success_is_claimed() {
    let sandbox = Sandbox::new();
    let config = sandbox.work("config");
    file(&config, (0..20).map(|part| vault::sha256(&[part])).collect::<String>());
    let id = create(&sandbox, &[&config]);
    fs::write(&config, "bad").unwrap();
    let pack = vault::store(&sandbox).join(format!("packs/{id}.tar.zst"));
    let mut bytes = fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&pack, bytes).unwrap();
    vault::refused(&sandbox, 1, &[&id], "is damaged", &sandbox.root().join("work")).ok();
}

#[test]
fn a_file_that_was_added_later_goes_and_a_missing_folder_comes_back() {
    let sandbox = Sandbox::new();
    let agents = sandbox.work("LaunchAgents");
    file(&agents.join("sub/one.plist"), "one");
    let id = create(&sandbox, &[&agents]);
    let before = inventory(&agents);
    fs::remove_dir_all(agents.join("sub")).unwrap();
    file(&agents.join("later.plist"), "later");
    restore(&sandbox, &[&id, &"--exact"]).ok();
    same(&before, &inventory(&agents));
}

#[test]
fn what_fails_ends_with_a_status_that_says_so() {
    let sandbox = Sandbox::new();
    file(&sandbox.work("config"), "x");
    create(&sandbox, &[&sandbox.work("config")]);
    for id in ["20200101_000000", "../../etc", ""] {
        ran(&sandbox, 2, &[&"restore", &id]).ok();
        ran(&sandbox, 2, &[&"restore", &id, &"--force"]).ok();
    }
}

#[test]
fn the_store_is_closed_to_others_and_git_never_takes_it_along() {
    let sandbox = Sandbox::new();
    let project = sandbox.work("project");
    file(&project.join("credentials.json"), "secret");
    sandbox.command("git", ["init", "-q", project.to_str().unwrap()]).run().code(0).ok();
    let store = project.join("infrastructure/rollback-snapshots");
    create(&sandbox, &[&"--store", &store, &project.join("credentials.json")]);
    let mut all = vec![store.clone()];
    while let Some(path) = all.pop() {
        let meta = path.metadata().unwrap();
        assert_eq!(meta.permissions().mode() & 0o077, 0, "{}", path.display());
        if meta.is_dir() {
            all.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    let status = sandbox.command("git", ["-C", project.to_str().unwrap(), "status", "--porcelain", "-uall"]).run().code(0).text();
    assert_eq!(status, "?? credentials.json\n");

    // Where somebody has git take everything in, nothing secret is put.
    let tracked = project.join("tracked");
    file(&tracked.join(".gitignore"), "!*\n");
    vault::chmod(&tracked, 0o700);
    let refused = ran(&sandbox, 2, &[&"create", &"--store", &tracked, &project.join("credentials.json")]);
    assert!(refused.stderr.contains("in a git work tree that would track it"), "{}", refused.stderr);
    assert!(!tracked.join("packs").exists());
    // Nor where others can read it.
    vault::chmod(&store, 0o755);
    let refused = ran(&sandbox, 2, &[&"create", &"--store", &store, &project.join("credentials.json")]);
    assert!(refused.stderr.contains("others may read the store"), "{}", refused.stderr);
}

#[test]
fn what_is_the_same_is_kept_once() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    let content: String = (0..2000).map(|part| vault::sha256(format!("{part}").as_bytes())).collect();
    for name in ["one", "two", "three"] {
        file(&top.join(name), &content);
    }
    let added = |ran: tests::Ran| ran.of("snapshot")[0]["data"]["added"].as_u64().unwrap();
    let first = added(ran(&sandbox, 0, &[&"create", &top]));
    assert!((60_000..100_000).contains(&first), "{first}");
    assert_eq!(added(ran(&sandbox, 0, &[&"create", &top])), 0);
}

/// The folder of old snapshots in a project that was moved since: each path in the manifests names the old place.
struct Old {
    sandbox: Sandbox,
    home: PathBuf,
    snapshots: PathBuf,
}

impl Old {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let home = sandbox.work("moved-here");
        let snapshots = home.join("infrastructure/rollback-snapshots");
        fs::create_dir_all(&snapshots).unwrap();
        Self { sandbox, home, snapshots }
    }

    /// One file as the old tool lists it, with its copy beside the manifest.
    fn keep(&self, id: &str, kind: &str, name: &str, original: &Path, content: &str) -> Value {
        file(&self.snapshots.join(id).join(kind).join(name), content);
        let backup = format!("/Users/gone/Project/infrastructure/rollback-snapshots/{id}/{kind}/{name}");
        json!({"original": original, "backup": backup, "hash": vault::sha256(content.as_bytes())})
    }

    fn manifest(&self, id: &str, manifest: &Value) {
        file(&self.snapshots.join(id).join("manifest.json"), serde_json::to_string_pretty(manifest).unwrap());
    }

    /// A snapshot in the newer of the two formats.
    fn newer(&self, id: &str) {
        let mut credentials = self.keep(id, "credentials", "oauth_keys.json", &self.home.join("keys.json"), "{\"key\": 1}");
        credentials["name"] = json!("oauth/keys.json");
        credentials["size_bytes"] = json!(10);
        self.manifest(
            id,
            &json!({
                "created_at": "2025-12-11T15:04:04.123456",
                "description": "Before the phase",
                "category": "pre-phase-4",
                "plist_files": [self.keep(id, "plist", "co.one.plist", &self.home.join("LaunchAgents/co.one.plist"), "<plist/>")],
                "config_files": [self.keep(id, "config", "mcp.json", &self.home.join(".mcp.json"), "{}")],
                "credential_files": [credentials],
                "git_state": {"commit": "0123abcd", "branch": "main", "timestamp": "2025-12-11T15:04:04"},
                "venv_metadata": {"venv-google": {"exists": true, "python_version": "Python 3.12.12"}, "gone": {"exists": false, "python_version": null}},
            }),
        );
    }

    /// One in the older format, which knew no credentials, made where there was no git.
    fn older(&self, id: &str) {
        self.manifest(
            id,
            &json!({
                "created_at": "2025-12-11T14:36:00.000001",
                "description": "First",
                "category": "manual",
                "plist_files": [],
                "config_files": [self.keep(id, "config", "mcp.json", &self.home.join(".mcp.json"), "{\"old\": 1}")],
                "git_state": {"error": "not a git repository"},
                "venv_metadata": {},
            }),
        );
    }
}

#[test]
fn old_snapshots_of_both_formats_are_taken_over_from_where_they_were_moved_to() {
    let old = Old::new();
    old.older("20251211_143600");
    old.newer("20251211_150404");
    let before = inventory(&old.snapshots);
    let imported = ran(&old.sandbox, 0, &[&"import", &old.snapshots]);
    same(&before, &inventory(&old.snapshots));
    let records = imported.of("snapshot");
    let told: Vec<_> =
        records.iter().map(|record| (record["subject"].as_str().unwrap(), record["data"]["label"].as_str().unwrap())).collect();
    assert_eq!(told, [("20251211_143600", "manual"), ("20251211_150404", "pre-phase-4")]);
    let newer = &records[1]["data"];
    assert_eq!((&newer["description"], &newer["entries"], &newer["partial"]), (&json!("Before the phase"), &json!(3), &json!(false)));
    assert_eq!((&newer["git"][0]["commit"], &newer["git"][0]["branch"]), (&json!("0123abcd"), &json!("main")));
    assert_eq!(newer["pythons"], json!([{"path": "venv-google", "version": "3.12.12"}]));
    assert_eq!(records[0]["data"]["git"][0]["error"], "not a git repository");

    restore(&old.sandbox, &[&"20251211_150404"]).ok();
    assert_eq!(fs::read_to_string(old.home.join("LaunchAgents/co.one.plist")).unwrap(), "<plist/>");
    assert_eq!(fs::read_to_string(old.home.join(".mcp.json")).unwrap(), "{}");
    assert_eq!(fs::read_to_string(old.home.join("keys.json")).unwrap(), "{\"key\": 1}");
    restore(&old.sandbox, &[&"20251211_143600"]).ok();
    assert_eq!(fs::read_to_string(old.home.join(".mcp.json")).unwrap(), "{\"old\": 1}");
    ran(&old.sandbox, 0, &[&"verify"]).ok();

    let again = ran(&old.sandbox, 0, &[&"import", &old.snapshots.join("20251211_143600")]);
    assert!(again.of("snapshot").is_empty() && again.stderr.contains("is in the store already"), "{}", again.stderr);
}

#[test]
fn what_is_damaged_in_old_snapshots_is_said_and_hides_nothing() {
    let old = Old::new();
    old.older("20251211_143600");
    old.newer("20251211_150404");
    fs::write(old.snapshots.join("20251211_150404/plist/co.one.plist"), "tampered").unwrap();
    fs::remove_file(old.snapshots.join("20251211_150404/credentials/oauth_keys.json")).unwrap();
    old.manifest("20251212_080000", &json!("nonsense"));
    file(&old.snapshots.join("20251213_080004/manifest.json"), "{\"created_at\": ");
    old.manifest("20251214_080000", &json!({"created_at": "yesterday"}));
    let imported = ran(&old.sandbox, 2, &[&"import", &old.snapshots]);
    let path = |path: PathBuf| path.to_str().unwrap().to_owned();
    assert_eq!(
        errors(&imported),
        [
            ("import.damaged".to_owned(), path(old.home.join("LaunchAgents/co.one.plist"))),
            ("import.damaged".to_owned(), path(old.home.join("keys.json"))),
            ("import.failed".to_owned(), path(old.snapshots.join("20251212_080000"))),
            ("import.failed".to_owned(), path(old.snapshots.join("20251213_080004"))),
            ("import.failed".to_owned(), path(old.snapshots.join("20251214_080000"))),
        ]
    );
    let records = imported.of("snapshot");
    assert_eq!(records.iter().map(|record| record["data"]["partial"].clone()).collect::<Vec<_>>(), [false, true]);
    ran(&old.sandbox, 0, &[&"verify"]).ok();
    restore(&old.sandbox, &[&"20251211_150404"]).ok();
    assert_eq!(fs::read_to_string(old.home.join(".mcp.json")).unwrap(), "{}");
    assert!(!old.home.join("keys.json").exists());
}

#[test]
fn a_time_with_a_zone_is_read_and_files_of_one_name_are_kept_apart() {
    let old = Old::new();
    let id = "20251215_080000";
    let (one, two) = (old.home.join("agents/one/config.plist"), old.home.join("agents/two/config.plist"));
    old.manifest(
        id,
        &json!({
            "created_at": "2025-12-15T08:00:00+02:00",
            "plist_files": [old.keep(id, "plist", "a.plist", &one, "one"), old.keep(id, "plist", "b.plist", &two, "two")],
        }),
    );
    // The old tool gave two files one name and kept the second: the first is lost, and that is said.
    let lost = "20251215_080001";
    let first = old.keep(lost, "plist", "config.plist", &one, "one");
    let second = old.keep(lost, "plist", "config.plist", &two, "two");
    old.manifest(lost, &json!({"created_at": "2025-12-15T08:00:01", "plist_files": [first, second]}));
    let imported = ran(&old.sandbox, 2, &[&"import", &old.snapshots]);
    assert_eq!(errors(&imported), [("import.damaged".to_owned(), one.to_str().unwrap().to_owned())]);
    assert_eq!(imported.of("snapshot")[0]["data"]["time"], "2025-12-15T06:00:00.000Z");
    restore(&old.sandbox, &[&id]).ok();
    assert_eq!((fs::read_to_string(one).unwrap(), fs::read_to_string(two).unwrap()), ("one".to_owned(), "two".to_owned()));
}

#[test]
fn an_old_manifest_leads_nowhere() {
    let old = Old::new();
    let place = |original: &str| {
        let id = "20251216_080000";
        old.manifest(
            id,
            &json!({"created_at": "2025-12-16T08:00:00", "config_files": [old.keep(id, "config", "x", Path::new(original), "x")]}),
        );
        snapshot(&old.sandbox, &[&"import", &old.snapshots]).run().code(2)
    };
    for original in ["relative", "/a/../b", "/a/./b", "/a//b", "/", ""] {
        let imported = place(original);
        assert!(imported.of("snapshot").iter().all(|record| record["data"]["entries"] == 0), "{original}: {}", imported.text());
        ran(&old.sandbox, 0, &[&"verify"]).ok();
        let _ = snapshot(&old.sandbox, &[&"delete", &"20251216_080000", &"--force"]).run();
    }
    // A file that is also a folder of another.
    let id = "20251217_080000";
    let files = [old.keep(id, "config", "x", Path::new("/srv/x"), "x"), old.keep(id, "config", "y", Path::new("/srv/x/y"), "y")];
    old.manifest(id, &json!({"created_at": "2025-12-17T08:00:00", "config_files": files}));
    let imported = ran(&old.sandbox, 2, &[&"import", &old.snapshots.join(id)]);
    assert!(imported.stderr.contains("/srv/x/y is said to be in what is a file itself"), "{}", imported.stderr);
    ran(&old.sandbox, 0, &[&"verify"]).ok();

    let nothing = old.sandbox.work("nothing");
    fs::create_dir(&nothing).unwrap();
    let ran = ran(&old.sandbox, 2, &[&"import", &nothing]);
    assert!(ran.stderr.contains("there is no manifest.json in"), "{}", ran.stderr);
}
