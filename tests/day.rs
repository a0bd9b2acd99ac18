//! `scripts/cron/daily-snapshot` as cron runs it, and the verbs of the old rollback manager.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::{Ran, Run, Sandbox, binary, workspace};

use crate::checkup::installed;
use crate::vault::{create, file, forge, manifest, snapshot};

/// A home and a project with something of every set that Linux has, and a credential that only `.mcp.json` knows of.
fn project(sandbox: &Sandbox) -> PathBuf {
    let (home, project) = (sandbox.root().join("home"), sandbox.work("project"));
    for below in [
        ".claude.json",
        ".claude/settings.json",
        ".config/systemd/user/a.service",
        ".google-ads/google-ads.yaml",
        ".config/Code/User/mcp.json",
    ] {
        file(&home.join(below), "{}");
    }
    file(&home.join("elsewhere/oauth.json"), "secret");
    let env = r#"{"GOOGLE_OAUTH": "~/elsewhere/oauth.json", "DATA": "/", "HOME": "/root", "FOLDER": "~/elsewhere"}"#;
    file(&project.join(".mcp.json"), format!(r#"{{"mcpServers": {{"a": {{"command": "x", "env": {env}}}}}}}"#));
    file(&project.join("shared/secrets.py"), "KEY = 1\n");
    file(&project.join("infrastructure/mcp-servers/drupal/credentials.json"), "{}");
    file(&project.join("notes.txt"), "not asked for");
    project
}

/// Runs it through `env -i` in the project.
fn day(sandbox: &Sandbox, settings: &[&str], args: &[&str]) -> Ran {
    let fixed = [
        "-i".to_owned(),
        format!("HOME={}", sandbox.root().join("home").display()),
        format!("MENDLINE_BIN={}", binary("snapshot").parent().unwrap().display()),
        format!("MENDLINE_STATE_DIR={}", sandbox.root().join("state/mendline").display()),
    ];
    let script = workspace().join("scripts/cron/daily-snapshot").display().to_string();
    let settings = [settings, &[&script], args].concat().into_iter().map(str::to_owned);
    sandbox.command("/usr/bin/env", fixed.into_iter().chain(settings)).within(sandbox.work("project")).run()
}

fn snapshots(sandbox: &Sandbox) -> Vec<Value> {
    snapshot(sandbox, &[&"list"]).run().code(0).of("snapshot")
}

/// What the newest one holds, by its last two names; what was not there does not count.
fn held(sandbox: &Sandbox) -> Vec<String> {
    let entries = snapshot(sandbox, &[&"show", &"latest"]).run().code(0).of("snapshot.entry");
    let there = entries.iter().filter(|entry| entry["data"]["kind"] == "file");
    let name = |entry: &Value| {
        let names: Vec<&str> = entry["subject"].as_str().unwrap().rsplitn(3, '/').take(2).collect();
        format!("{}/{}", names[1], names[0])
    };
    there.map(name).collect()
}

#[test]
fn a_good_day_is_silent_and_keeps_what_the_sets_name() {
    let sandbox = Sandbox::new();
    project(&sandbox);
    let ran = day(&sandbox, &[], &[]).code(0);
    assert_eq!((ran.text().as_str(), ran.stderr.as_str()), ("", ""));
    let all = snapshots(&sandbox);
    assert_eq!((all.len(), &all[0]["data"]["label"]), (1, &"auto-daily".into()));
    let today = String::from_utf8(Command::new("date").arg("+%Y-%m-%d").output().unwrap().stdout).unwrap();
    assert_eq!(all[0]["data"]["description"], format!("Auto-snapshot {}", today.trim()));
    let mut held = held(&sandbox);
    held.sort();
    let expected = [
        ".claude/settings.json",
        ".google-ads/google-ads.yaml",
        "User/mcp.json",
        "drupal/credentials.json",
        "elsewhere/oauth.json",
        "home/.claude.json",
        "project/.mcp.json",
        "shared/secrets.py",
        "user/a.service",
    ];
    assert_eq!(held, expected);
}

/// Makes a snapshot older, as its manifest has it.
fn age(sandbox: &Sandbox, id: &str, time: &str) {
    let mut lines = manifest(sandbox, id);
    lines.pop();
    lines[0]["time"] = time.into();
    forge(sandbox, id, &lines);
}

#[test]
fn automatic_ones_go_after_a_week_and_others_stay() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    for label in ["auto-daily", "auto-daily", "manual"] {
        age(&sandbox, &create(&sandbox, &[&"--label", &label, &project]), "2026-01-01T00:00:00.000Z");
    }
    let pinned = snapshots(&sandbox)[0]["subject"].as_str().unwrap().to_owned();
    snapshot(&sandbox, &[&"pin", &pinned]).run().code(0).ok();
    create(&sandbox, &[&"--label", &"auto-daily", &project]);
    day(&sandbox, &[], &[]).code(0).ok();
    let labels: Vec<String> = snapshots(&sandbox).iter().map(|one| one["data"]["label"].as_str().unwrap_or("-").to_owned()).collect();
    assert_eq!(labels, ["auto-daily", "manual", "auto-daily", "auto-daily"]);
    assert_eq!(snapshots(&sandbox)[0]["subject"], pinned);
}

#[test]
fn options_and_paths_go_to_create_as_they_are() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    day(&sandbox, &[], &["--exclude", "shared/*", &project.join("notes.txt").display().to_string()]).code(0).ok();
    let held = held(&sandbox);
    assert!(held.contains(&"project/notes.txt".to_owned()), "{held:?}");
    day(&sandbox, &[], &["--no-such-option"]).code(2).ok();
}

#[test]
fn what_cannot_be_kept_is_said_and_kept_is_the_rest() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    file(&project.join(".cursor/mcp.json"), "{ // not for jq");
    let ran = day(&sandbox, &[], &[]).code(2);
    let text = ran.text();
    assert!(
        text.starts_with("host ") && text.lines().next().unwrap().ends_with(": the paths that .cursor/mcp.json names are not kept"),
        "{text}"
    );
    assert!(text.contains("auto-daily") && ran.stderr.is_empty(), "{text}{}", ran.stderr);
    assert_eq!(snapshots(&sandbox).len(), 1);
    fs::remove_file(project.join(".cursor/mcp.json")).unwrap();

    let socket = project.join("socket");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let text = day(&sandbox, &[], &[&project.display().to_string()]).code(2).text();
    assert!(text.contains(": not everything could be kept today\n") && text.contains("not-kept") && text.contains("partial"), "{text}");
    assert_eq!(snapshots(&sandbox).len(), 2);
}

#[test]
fn without_a_new_one_no_old_one_goes() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    for _ in 0..2 {
        age(&sandbox, &create(&sandbox, &[&"--label", &"auto-daily", &project]), "2026-01-01T00:00:00.000Z");
    }
    let store = sandbox.root().join("state/mendline/snapshots");
    fs::set_permissions(&store, fs::Permissions::from_mode(0o755)).unwrap();
    let text = day(&sandbox, &[], &[]).code(2).text();
    assert!(text.contains(": no snapshot was made today (exit status 2)\n") && text.contains("others may read the store"), "{text}");
    assert_eq!(snapshots(&sandbox).len(), 2);
}

#[test]
fn on_a_day_on_which_nothing_is_there_no_old_one_goes() {
    let sandbox = Sandbox::new();
    let (project, data) = (project(&sandbox), sandbox.work("data"));
    file(&data.join("precious"), "content");
    age(&sandbox, &create(&sandbox, &[&"--label", &"auto-daily", &data]), "2026-01-01T00:00:00.000Z");
    create(&sandbox, &[&"--label", &"auto-daily", &project]);
    fs::rename(&data, sandbox.work("away")).unwrap();
    let text = day(&sandbox, &[], &[&data.display().to_string()]).code(2).text();
    assert!(text.contains(&format!("nothing is there: {}; what should be there is not, so no old", data.display())), "{text}");
    assert_eq!(snapshots(&sandbox).len(), 3);
    fs::rename(sandbox.work("away"), &data).unwrap();
    day(&sandbox, &[], &[&data.display().to_string()]).code(0).ok();
    assert_eq!(snapshots(&sandbox).len(), 3, "the old one has gone, and a new one has come");

    // Nor where nothing at all is there.
    let empty = Sandbox::new();
    age(&empty, &create(&empty, &[&"--label", &"auto-daily", &"/etc/passwd"]), "2026-01-01T00:00:00.000Z");
    create(&empty, &[&"--label", &"auto-daily", &"/etc/passwd"]);
    fs::create_dir_all(empty.work("project")).unwrap();
    let text = day(&empty, &[], &[]).code(2).text();
    assert!(text.contains("no snapshot was made today") && text.contains("nothing is there at any of these paths"), "{text}");
    assert_eq!(snapshots(&empty).len(), 2);
}

#[test]
fn options_that_say_which_store_are_for_all_of_it_and_paths_may_follow_dashes() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    let (here, there) = (sandbox.work("here"), sandbox.work("there"));
    let aged = |store: &Path| {
        let words: [&dyn AsRef<std::ffi::OsStr>; 6] = [&"create", &"--store", &store, &"--label", &"auto-daily", &project];
        let id = crate::vault::id(&snapshot(&sandbox, &words).run().code(0));
        let path = store.join("manifests").join(format!("{id}.jsonl.zst"));
        let text = String::from_utf8(zstd::decode_all(&fs::read(&path).unwrap()[..]).unwrap()).unwrap();
        let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines[0]["time"] = "2026-01-01T00:00:00.000Z".into();
        lines.pop();
        let body: String = lines.iter().map(|line| line.to_string() + "\n").collect();
        let end = serde_json::json!({"sha256": crate::vault::sha256(body.as_bytes())});
        fs::write(&path, zstd::encode_all(format!("{body}{end}\n").as_bytes(), 1).unwrap()).unwrap();
        snapshot(&sandbox, &words).run().code(0).ok();
    };
    aged(&here);
    aged(&there);
    let count = |store: &Path| snapshot(&sandbox, &[&"list", &"--store", &store]).run().code(0).of("snapshot").len();
    let elsewhere = format!("MENDLINE_STORE={}", here.display());
    day(&sandbox, &[&elsewhere], &["--store", there.to_str().unwrap(), "--", project.to_str().unwrap()]).code(0).ok();
    assert_eq!((count(&here), count(&there)), (2, 2), "one goes and one comes, in the same store");
    let missing = day(&sandbox, &[&elsewhere], &["--", "nope"]).code(2).text();
    assert!(missing.contains("nothing is there: nope"), "{missing}");
    let roots = snapshot(&sandbox, &[&"show", &"--store", &here, &"latest"]).run().code(0).of("snapshot")[0]["data"]["roots"].to_string();
    assert!(!roots.contains("--format"), "{roots}");
}

#[test]
fn trouble_is_mailed_where_that_is_asked_for() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    file(&project.join(".mcp.json"), "nonsense");
    let (bin, mail) = (sandbox.root().join("bin"), sandbox.root().join("mail"));
    tests::write_program(bin.join("sendmail"), &format!("cat >'{}'", mail.display()));
    let path = format!("PATH={}:/usr/bin:/bin", bin.display());
    let ran = day(&sandbox, &[&path, "MENDLINE_MAILTO=someone@example.org"], &[]).code(2);
    assert_eq!((ran.text().as_str(), ran.stderr.as_str()), ("", ""));
    let mail = fs::read_to_string(mail).unwrap();
    assert!(mail.contains("\nSubject: mendline on ") && mail.contains("the paths that .mcp.json names are not kept"), "{mail}");
}

fn manager(sandbox: &Sandbox, prefix: &Path, args: &[&str]) -> Run {
    sandbox.command(prefix.join("share/mendline/compat/rollback_manager"), args).env("PETESBRAIN_ROOT", sandbox.work("project"))
}

#[test]
fn the_old_verbs_do_what_they_said() {
    let sandbox = Sandbox::new();
    let (prefix, project) = (installed(&sandbox), project(&sandbox));
    let run = |args: &[&str]| manager(&sandbox, &prefix, args).run();
    assert!(run(&["latest"]).code(2).stderr.contains("there is no snapshot yet"));
    let made = run(&["create", "before: a/b --force", "pre-phase-4"]).code(0).text();
    assert!(made.contains("before: a/b --force") && made.contains("pre-phase-4"), "{made}");
    let id = snapshots(&sandbox)[0]["subject"].as_str().unwrap().to_owned();
    let held = held(&sandbox);
    for below in ["project/.mcp.json", "shared/secrets.py", "drupal/credentials.json", "elsewhere/oauth.json"] {
        assert!(held.contains(&below.to_owned()), "{held:?}");
    }
    assert!(!held.contains(&"project/notes.txt".to_owned()), "{held:?}");

    file(&project.join("shared/secrets.py"), "KEY = 2\n");
    let plan = run(&["restore", &id]).code(0).text();
    assert!(plan.contains("~ overwrite") && plan.contains("dry run"), "{plan}");
    assert_eq!(fs::read_to_string(project.join("shared/secrets.py")).unwrap(), "KEY = 2\n");
    let done = run(&["restore", &id, "--force"]).code(0).text();
    assert!(done.contains("✓ done"), "{done}");
    assert_eq!(fs::read_to_string(project.join("shared/secrets.py")).unwrap(), "KEY = 1\n");
    let (latest, listed) = (run(&["latest"]).code(0).text(), run(&["list"]).code(0).text());
    assert!(latest.contains("pre-phase-4") && !latest.contains("auto-before-restore"), "{latest}");
    assert!(listed.contains("auto-before-restore"), "{listed}");

    assert_eq!(run(&["create", "again"]).code(0).text().matches("manual").count(), 1);
    for _ in 0..9 {
        run(&["create", "again"]).code(0).ok();
    }
    let listed = manager(&sandbox, &prefix, &["list"]).env("MENDLINE_FORMAT", "json").run().code(0);
    assert_eq!((listed.of("snapshot").len(), listed.of("end").len()), (10, 1));
    assert!(run(&["list"]).code(0).text().contains("10 snapshots"));
}

#[test]
fn the_old_verbs_fail_where_they_used_to_say_success() {
    let sandbox = Sandbox::new();
    let (prefix, project) = (installed(&sandbox), project(&sandbox));
    let run = |args: &[&str]| manager(&sandbox, &prefix, args).run();
    run(&["create", "one"]).code(0).ok();
    for args in
        [&["restore", "20200101_000000", "--force"][..], &["restore", "../..", "--force"], &["restore"], &["create"], &["undo"], &[]]
    {
        assert!(!run(args).code(2).stderr.is_empty(), "{args:?}");
    }
    file(&project.join("shared/secrets.py"), "KEY = 2\n");
    let packs = sandbox.root().join("state/mendline/snapshots/packs");
    for pack in
        fs::read_dir(&packs).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "zst"))
    {
        let mut bytes = fs::read(&pack).unwrap();
        bytes.iter_mut().skip(20).for_each(|byte| *byte ^= 1);
        fs::write(&pack, bytes).unwrap();
    }
    let failed = run(&["restore", "latest", "--force"]).code(1).text();
    assert!(failed.contains("✗ failed") && failed.contains("damaged"), "{failed}");
    assert_eq!(fs::read_to_string(project.join("shared/secrets.py")).unwrap(), "KEY = 2\n");
    let elsewhere = manager(&sandbox, &prefix, &["list"]).env("PETESBRAIN_ROOT", "/nonexistent").run().code(2);
    assert!(elsewhere.stderr.contains("there is no project at /nonexistent"), "{}", elsewhere.stderr);
}
