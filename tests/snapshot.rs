//! `snapshot`, command by command: what it says, what it leaves on the disk, and how it ends.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::Sandbox;

use crate::vault::{self, changes, create, ending, errors, file, id, inventory, ran, restore, same, snapshot};

/// A project with two files.
fn project(sandbox: &Sandbox) -> PathBuf {
    let project = sandbox.work("project");
    file(&project.join("a"), "old a\n");
    file(&project.join("sub/b"), "old b\n");
    project
}

/// Ids of all snapshots in the order of the list.
fn listed(sandbox: &Sandbox) -> Vec<String> {
    let records = ran(sandbox, 0, &[&"list"]).of("snapshot");
    records.iter().map(|record| record["subject"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn create_says_what_it_made_and_list_and_show_say_it_again() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    symlink("a", project.join("link")).unwrap();
    fs::create_dir(project.join("empty")).unwrap();
    let made = ran(&sandbox, 0, &[&"create", &"before the upgrade", &"--label", &"upgrade", &project]);
    let records = made.records();
    assert_eq!(records.len(), 2, "{}", made.text());
    let data = &records[0]["data"];
    assert_eq!((&data["seq"], &data["label"], &data["description"]), (&json!(1), &json!("upgrade"), &json!("before the upgrade")));
    assert_eq!((&data["entries"], &data["size"], &data["partial"]), (&json!(6), &json!(12), &json!(false)));
    assert_eq!(data["roots"], json!([project]));
    assert_eq!(records[1]["data"]["ok"], true);

    let list = ran(&sandbox, 0, &[&"list"]).of("snapshot");
    let mut said = data.clone();
    said.as_object_mut().unwrap().remove("took_ms");
    assert_eq!(list[0]["data"], said);
    let shown = ran(&sandbox, 0, &[&"show", &"latest"]);
    assert_eq!(shown.of("snapshot")[0]["data"], said);
    let entries = shown.of("snapshot.entry");
    let below = |entry: &Value| Path::new(entry["subject"].as_str().unwrap()).strip_prefix(&project).unwrap().to_owned();
    let told: Vec<_> = entries.iter().map(|entry| (below(entry), entry["data"]["kind"].as_str().unwrap())).collect();
    let expected = [("", "folder"), ("a", "file"), ("empty", "folder"), ("link", "link"), ("sub", "folder"), ("sub/b", "file")];
    assert_eq!(told, expected.map(|(path, kind)| (PathBuf::from(path), kind)));
    let a = &entries[1]["data"];
    assert_eq!((&a["sha256"], &a["size"]), (&json!(vault::sha256(b"old a\n")), &json!(6)));
    let meta = project.join("a").metadata().unwrap();
    assert_eq!(a["mtime"], format!("{}.{:09}", meta.mtime(), meta.mtime_nsec()));
    assert_eq!(a["mode"], format!("{:04o}", meta.mode() & 0o7777));
    assert_eq!(entries[3]["data"]["target"], "a");
}

#[test]
fn the_first_word_is_a_description_only_where_it_is_no_path() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    let described = |words: vault::Words<'_>| {
        let made = snapshot(&sandbox, words).within(&project).run().code(0).of("snapshot").remove(0);
        (made["data"]["description"].as_str().map(str::to_owned), made["data"]["roots"].as_array().unwrap().len())
    };
    assert_eq!(described(&[&"create", &"a", &"sub"]), (None, 2));
    assert_eq!(described(&[&"create", &"gone", &"sub"]), (Some("gone".to_owned()), 1));
    assert_eq!(described(&[&"create", &"./gone", &"sub"]), (None, 2));
    assert_eq!(described(&[&"create", &"--absent", &"gone"]), (None, 1));
    let missing = snapshot(&sandbox, &[&"create", &"gone", &"./gone"]).within(&project).run().code(2);
    assert!(missing.stderr.contains("nothing is there: ./gone") && missing.stderr.contains("--absent"), "{}", missing.stderr);
}

#[test]
fn a_look_can_be_at_some_paths_alone() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    let id = create(&sandbox, &[&project]);
    for name in ["a", "sub/b"] {
        fs::write(project.join(name), "other").unwrap();
    }
    let after = create(&sandbox, &[&project]);
    for words in [
        &[&"diff" as &dyn AsRef<std::ffi::OsStr>, &id, &"--", &project.join("sub")][..],
        &[&"diff", &id, &after, &"--", &project.join("sub")],
    ] {
        let subjects: Vec<_> = ran(&sandbox, 0, words).of("snapshot.change").iter().map(|change| change["subject"].clone()).collect();
        assert_eq!(subjects, [json!(project.join("sub/b"))]);
    }
    assert_eq!(ran(&sandbox, 0, &[&"show", &id, &project.join("sub")]).of("snapshot.entry").len(), 2);
    assert!(ran(&sandbox, 2, &[&"show", &id, &project.join("gone")]).stderr.contains("holds nothing at"));
}

#[test]
fn a_snapshot_is_found_by_its_id_the_beginning_of_it_its_label_and_as_the_latest() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    let first = create(&sandbox, &[&"--label", &"one", &project]);
    let second = create(&sandbox, &[&"--label", &"two", &project]);
    assert_ne!(first, second, "two in one second");
    let found = |name: &str| id(&ran(&sandbox, 0, &[&"show", &name]));
    assert_eq!([found("latest"), found("one"), found("two")], [second.clone(), first.clone(), second.clone()]);
    assert_eq!([found(&first), found(&first[..first.len() - 1])], [first.clone(), first.clone()]);
    assert_eq!(listed(&sandbox), [first.clone(), second.clone()]);
    for (name, reason) in [
        ("20", format!("`20` could be any of {second}, {first}; write more of the id")),
        ("nosuch", "no snapshot is called `nosuch`".to_owned()),
    ] {
        for command in ["show", "diff", "restore", "delete", "pin", "unpin", "export", "verify"] {
            let said = ran(&sandbox, 2, &[&command, &name]).stderr;
            assert!(said.contains(&reason), "{command} {name}: {said}");
        }
    }
}

#[test]
fn paths_come_from_standard_input_and_so_do_subjects_of_records() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    let record = |kind: &str, subject: &Path, data: Value| json!({"v": 1, "type": kind, "id": "a.1", "tool": "t", "host": "h", "ts": "2026-08-23T10:11:12.345Z", "subject": subject, "data": data});
    let roots = |ran: tests::Ran| {
        let roots = ran.of("snapshot").remove(0)["data"]["roots"].clone();
        roots.as_array().unwrap().iter().map(|root| PathBuf::from(root.as_str().unwrap())).collect::<Vec<_>>()
    };
    let lines = format!("{}\n{}\n", project.join("a").display(), record("venv.probe", &project.join("sub"), json!({})));
    let made = snapshot(&sandbox, &[&"create", &"-"]).input(lines).run().code(0);
    assert_eq!(roots(made), [project.join("a"), project.join("sub")]);

    let plan = format!(
        "{}\n{}\n",
        record("diagnosis", &project.join("a"), json!({"remedy": {"name": "x"}})),
        record("diagnosis", &project.join("sub"), json!({}))
    );
    let made = snapshot(&sandbox, &[&"create", &"before", &"--from-plan"]).input(plan).run().code(0);
    assert_eq!(roots(made), [project.join("a")]);

    for (input, reason) in [("{\"half\":\n", "neither a path nor a record"), ("", "nothing to hold")] {
        let ran = snapshot(&sandbox, &[&"create", &"-"]).input(input).run().code(2);
        assert!(ran.stderr.contains(reason), "{}", ran.stderr);
    }
}

#[test]
fn a_path_set_and_exclusions_choose_what_is_kept() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    file(&project.join("sub/cache/x"), "");
    let set = sandbox.work("set");
    file(&set, format!("# ours\n{0}/s*\n{0}/gone\n{0}/none-*\n!{0}/sub/cache\n", project.display()));
    let id = create(&sandbox, &[&"--paths-from", &set]);
    let kept: Vec<_> = vault::manifest(&sandbox, &id)[1..].iter().filter_map(|line| line["path"].as_str().map(PathBuf::from)).collect();
    assert_eq!(kept, [project.join("gone"), project.join("sub"), project.join("sub/b")]);

    let made = snapshot(&sandbox, &[&"create", &"--exclude", &"sub/cache", &"."]).within(&project).run().code(0);
    let manifest = vault::manifest(&sandbox, &vault::id(&made));
    let entry = |path: &Path| manifest.iter().find(|line| line["path"] == json!(path)).cloned();
    assert_eq!(entry(&project.join("sub/cache")), None);
    assert_eq!(entry(&project).unwrap()["complete"], true);
    assert_eq!(entry(&project.join("sub")).unwrap().get("complete"), None, "what was left out may be there");
    // What was left out is no addition, and no restore removes it.
    let differ = ran(&sandbox, 0, &[&"diff", &"latest"]);
    assert_eq!(differ.of("snapshot.change"), [json!(null); 0]);
    restore(&sandbox, &[&"--exact", &"latest"]).ok();
    assert!(project.join("sub/cache/x").exists());
}

/// Every combination of names that lie within each other, are there or not, or are left out.
#[test]
fn roots_within_roots_are_held_once_and_can_be_read_back() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    symlink(&project, sandbox.work("way")).unwrap();
    let path = |below: &str| project.join(below);
    let cases: [(&str, Vec<PathBuf>, &[&str]); 6] = [
        ("an absent one between two", vec![project.clone(), path("gone"), path("sub/b")], &[]),
        ("an absent one deep in it", vec![project.clone(), path("gone/deep/x")], &[]),
        ("below a file", vec![project.clone(), path("a/x")], &[]),
        ("one that is left out otherwise", vec![project.clone(), path("sub/b")], &["--exclude=**/sub"]),
        ("one that is left out with all below", vec![project.clone(), path("sub/b")], &["--exclude=**/sub*"]),
        ("by two ways", vec![project.clone(), sandbox.work("way/sub")], &[]),
    ];
    for (case, roots, more) in cases {
        let mut words: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"create"];
        words.extend(roots.iter().map(|root| root as &dyn AsRef<std::ffi::OsStr>));
        words.extend(more.iter().map(|word| word as &dyn AsRef<std::ffi::OsStr>));
        let made = snapshot(&sandbox, &words).run();
        assert_eq!(made.code, Some(0), "{case}: {}", made.stderr);
        let id = id(&made);
        let shown = snapshot(&sandbox, &[&"show", &id]).run();
        assert_eq!(shown.code, Some(0), "{case}: {}", shown.stderr);
        for spelled in [path("sub/b"), sandbox.work("way/sub/b")] {
            assert_eq!(ran(&sandbox, 0, &[&"cat", &id, &spelled]).text(), "old b\n", "{case}");
        }
        fs::write(path("sub/b"), "new").unwrap();
        restore(&sandbox, &[&"--exact", &id, &sandbox.work("way/sub")]).ok();
        assert_eq!(fs::read_to_string(path("sub/b")).unwrap(), "old b\n", "{case}");
    }
}

#[test]
fn a_link_that_is_named_is_kept_with_what_it_leads_to() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    let link = sandbox.work("link");
    symlink(project.join("a"), &link).unwrap();
    create(&sandbox, &[&link]);
    fs::remove_file(&link).unwrap();
    fs::write(project.join("a"), "new").unwrap();
    restore(&sandbox, &[&"latest"]).ok();
    assert_eq!(fs::read_to_string(&link).unwrap(), "old a\n");
    assert!(link.is_symlink());

    let root = sandbox.work("root");
    symlink("/", &root).unwrap();
    let ran = ran(&sandbox, 2, &[&"create", &root]);
    assert!(ran.stderr.contains("name folders in it"), "{}", ran.stderr);
}

#[test]
fn restore_plans_by_default_and_acts_when_forced() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    file(&project.join("same"), "same");
    file(&project.join("mode"), "mode");
    let id = create(&sandbox, &[&project]);
    let old = inventory(&project);
    fs::write(project.join("a"), "new a\n").unwrap();
    fs::remove_file(project.join("sub/b")).unwrap();
    vault::chmod(&project.join("mode"), 0o600);
    file(&project.join("added"), "added");
    let new = inventory(&project);
    let expected = [("overwrite", "a"), ("traits", "mode"), ("create", "sub/b")].map(|(change, path)| (change.to_owned(), path.to_owned()));

    let state = inventory(&sandbox.root().join("state"));
    let plan = ran(&sandbox, 0, &[&"restore", &id, &"--text"]);
    assert_eq!(changes(&plan, &project), expected);
    assert!(plan.of("action").iter().all(|action| action["data"]["outcome"] == "planned" && action["data"]["changed"] == false));
    assert_eq!(plan.of("action")[0]["data"]["detail"]["diff"], "@@ -1 +1 @@\n-new a\n+old a\n");
    assert_eq!(ending(&plan), ("planned".to_owned(), "1 create, 1 overwrite, 1 traits, 3 unchanged".to_owned()));
    same(&new, &inventory(&project));
    same(&state, &inventory(&sandbox.root().join("state")));

    let done = restore(&sandbox, &[&id]);
    assert_eq!(changes(&done, &project), expected);
    let summary = done.of("action").pop().unwrap();
    assert_eq!((&summary["data"]["changed"], &summary["data"]["verified"]), (&json!(true), &json!(true)));
    let safety = summary["data"]["undo"].as_str().unwrap().to_owned();
    assert!(project.join("added").exists(), "only --exact removes");

    let exact = restore(&sandbox, &[&id, &"--exact"]);
    assert_eq!(changes(&exact, &project), [("delete".to_owned(), "added".to_owned())]);
    same(&old, &inventory(&project));
    let again = restore(&sandbox, &[&id, &"--exact", &"--unchanged"]);
    assert!(changes(&again, &project).iter().all(|(change, _)| change == "unchanged"));
    assert_eq!(again.of("action").pop().unwrap()["data"]["changed"], false);
    assert_eq!(listed(&sandbox).len(), 3, "what changes nothing makes no snapshot");

    // The undo of the undo: the snapshot of what was replaced brings that back.
    restore(&sandbox, &[&safety, &"--exact"]).ok();
    assert_eq!(fs::read_to_string(project.join("a")).unwrap(), "new a\n");
    assert!(!project.join("sub/b").exists());
    assert_eq!(project.join("mode").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(vault::left_over(sandbox.root()), Vec::<PathBuf>::new());

    let audit = fs::read_to_string(sandbox.root().join("state/mendline/audit.jsonl")).unwrap();
    let outcomes: Vec<_> = audit.lines().map(|line| tests::schema::check(line)["data"]["outcome"].as_str().unwrap().to_owned()).collect();
    assert_eq!(outcomes, ["started", "done"].repeat(4));
}

#[test]
fn only_what_is_named_is_restored_and_it_can_go_elsewhere() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    let id = create(&sandbox, &[&project]);
    let old = inventory(&project);
    fs::write(project.join("a"), "new").unwrap();
    fs::write(project.join("sub/b"), "new").unwrap();
    restore(&sandbox, &[&id, &project.join("sub")]).ok();
    assert_eq!(fs::read_to_string(project.join("sub/b")).unwrap(), "old b\n");
    assert_eq!(fs::read_to_string(project.join("a")).unwrap(), "new");

    let to = sandbox.work("elsewhere/deep");
    restore(&sandbox, &[&id, &"--to", &to]).ok();
    same(&old, &inventory(&to.join(project.strip_prefix("/").unwrap())));
    assert_eq!(fs::read_to_string(project.join("a")).unwrap(), "new");
    file(&to.join(project.strip_prefix("/").unwrap()).join("sub/added"), "");
    restore(&sandbox, &[&id, &"--exact", &"--to", &to]).ok();
    same(&old, &inventory(&to.join(project.strip_prefix("/").unwrap())));
    let link = sandbox.work("shortcut");
    symlink(&to, &link).unwrap();
    restore(&sandbox, &[&id, &"--to", &link]).ok();

    let ran = ran(&sandbox, 2, &[&"restore", &id, &project.join("gone")]);
    assert!(ran.stderr.contains("holds nothing at"), "{}", ran.stderr);
}

#[test]
fn a_path_that_was_not_there_goes_only_if_that_is_asked_for() {
    let sandbox = Sandbox::new();
    let gone = sandbox.work("gone");
    let made = ran(&sandbox, 0, &[&"create", &gone, &sandbox.work("")]).of("snapshot").pop().unwrap();
    assert_eq!(made["data"]["absent"], json!([gone]), "a slip of the pen must show");
    file(&gone.join("deep/x"), "x");
    restore(&sandbox, &[&"latest"]).ok();
    assert!(gone.join("deep/x").exists());
    let safety = restore(&sandbox, &[&"latest", &"--exact"]).of("action").pop().unwrap()["data"]["undo"].as_str().unwrap().to_owned();
    assert!(!gone.exists());
    restore(&sandbox, &[&safety]).ok();
    assert_eq!(fs::read_to_string(gone.join("deep/x")).unwrap(), "x");
}

#[test]
fn the_folders_above_a_root_come_back_as_they_were() {
    let sandbox = Sandbox::new();
    let path = sandbox.work("above/private/x");
    file(&path, "x");
    vault::chmod(&sandbox.work("above/private"), 0o700);
    vault::chmod(&sandbox.work("above"), 0o750);
    create(&sandbox, &[&path]);
    fs::remove_dir_all(sandbox.work("above")).unwrap();
    restore(&sandbox, &[&"latest"]).ok();
    let mode = |path: &str| sandbox.work(path).metadata().unwrap().mode() & 0o7777;
    assert_eq!((mode("above"), mode("above/private")), (0o750, 0o700));
    assert_eq!(fs::read_to_string(path).unwrap(), "x");
}

#[test]
fn a_difference_is_told_against_what_is_there_and_against_another_snapshot() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    for name in ["traits", "removed", "retyped"] {
        file(&project.join(name), name);
    }
    let first = create(&sandbox, &[&project]);
    fs::write(project.join("a"), "new a\n").unwrap();
    vault::chmod(&project.join("traits"), 0o640);
    fs::remove_file(project.join("removed")).unwrap();
    fs::remove_file(project.join("retyped")).unwrap();
    symlink("a", project.join("retyped")).unwrap();
    file(&project.join("sub/added"), "added");
    let state = inventory(&sandbox.root().join("state"));
    let against = |words: vault::Words<'_>| {
        let changes = ran(&sandbox, 0, words).of("snapshot.change");
        let below = |change: &Value| Path::new(change["subject"].as_str().unwrap()).strip_prefix(&project).unwrap().display().to_string();
        let told: Vec<_> = changes.iter().map(|change| (change["data"]["change"].as_str().unwrap().to_owned(), below(change))).collect();
        let diff = changes.iter().find_map(|change| change["data"]["diff"].as_str().map(str::to_owned));
        (told, diff)
    };
    let expected = [("modified", "a"), ("removed", "removed"), ("retyped", "retyped"), ("added", "sub/added"), ("traits", "traits")]
        .map(|(change, path)| (change.to_owned(), path.to_owned()));
    let text = Some("@@ -1 +1 @@\n-old a\n+new a\n".to_owned());
    assert_eq!(against(&[&"diff", &first]), (expected.to_vec(), None));
    assert_eq!(against(&[&"diff", &first, &"now", &"--text"]), (expected.to_vec(), text.clone()));
    same(&state, &inventory(&sandbox.root().join("state")));
    let second = create(&sandbox, &[&project]);
    assert_eq!(against(&[&"diff", &first, &second, &"--text"]), (expected.to_vec(), text));
    assert_eq!(against(&[&"diff", &second, &second]), (Vec::new(), None));
}

#[test]
fn a_file_and_a_whole_snapshot_come_out_byte_for_byte() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    let large: Vec<u8> = (0..9_000_000_u32).flat_map(u32::to_le_bytes).take(9_000_000).collect();
    file(&project.join("large"), &large);
    file(&project.join("empty"), "");
    symlink("a", project.join("link")).unwrap();
    fs::hard_link(project.join("a"), project.join("twin")).unwrap();
    file(&project.join(format!("{}/{}", "long/".repeat(30), "name".repeat(40))), "far");
    let hole = fs::File::create(project.join("hole")).unwrap();
    hole.set_len(20 << 20).unwrap();
    create(&sandbox, &[&project]);
    for name in ["a", "large", "empty", "twin", "hole"] {
        assert_eq!(vault::sha256(&ran(&sandbox, 0, &[&"cat", &"latest", &project.join(name)]).stdout), vault::hash(&project.join(name)));
    }
    for (path, reason) in [("link", "was a link to a"), ("nosuch", "is not in the snapshot"), ("sub", "was a folder")] {
        let ran = ran(&sandbox, 2, &[&"cat", &"latest", &project.join(path)]);
        assert!(ran.stderr.contains(reason), "{}", ran.stderr);
    }

    let archive = ran(&sandbox, 0, &[&"export", &"latest"]);
    let to = sandbox.work("out");
    fs::create_dir(&to).unwrap();
    // tar gives folders the times that they have in it only after it is through with them.
    let tar = sandbox.command("tar", ["-x", "-p", "--delay-directory-restore", "-C", to.to_str().unwrap()]);
    tar.input(archive.stdout).run().code(0).ok();
    let out = to.join(project.strip_prefix("/").unwrap());
    same(&inventory(&project), &inventory(&out));
}

#[test]
fn what_only_reads_makes_nothing_on_a_fresh_machine() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    for words in [&["list"][..], &["recover"]] {
        let words: Vec<&dyn AsRef<std::ffi::OsStr>> = words.iter().map(|word| word as &dyn AsRef<std::ffi::OsStr>).collect();
        let ran = ran(&sandbox, 0, &words);
        assert_eq!(ran.records().last().unwrap()["data"]["ok"], true);
    }
    for words in [&["show", "latest"][..], &["diff", "latest"], &["restore", "latest"], &["delete", "latest"], &["export", "latest"]] {
        let words: Vec<&dyn AsRef<std::ffi::OsStr>> = words.iter().map(|word| word as &dyn AsRef<std::ffi::OsStr>).collect();
        let ran = ran(&sandbox, 2, &words);
        assert!(ran.stderr.contains("there is no snapshot yet"), "{}", ran.stderr);
    }
    for words in [&["prune"][..], &["verify"], &["verify", "--all"]] {
        let words: Vec<&dyn AsRef<std::ffi::OsStr>> = words.iter().map(|word| word as &dyn AsRef<std::ffi::OsStr>).collect();
        let said = ran(&sandbox, 2, &words).stderr;
        assert!(said.contains("there is no store at"), "{said}");
    }
    for words in [&["pin", "latest"][..], &["unpin", "latest"]] {
        let words: Vec<&dyn AsRef<std::ffi::OsStr>> = words.iter().map(|word| word as &dyn AsRef<std::ffi::OsStr>).collect();
        ran(&sandbox, 2, &words).ok();
    }
    assert!(!sandbox.root().join("state").exists());
    drop(project);
}

#[test]
fn the_state_of_git_and_the_python_of_environments_are_in_it() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    let git = |words: &[&str]| {
        let words = ["-C", project.to_str().unwrap(), "-c", "user.name=n", "-c", "user.email=e@e"].into_iter().chain(words.iter().copied());
        sandbox.command("git", words).run().code(0).text().trim().to_owned()
    };
    git(&["init", "-q", "-b", "trunk"]);
    git(&["add", "a"]);
    git(&["commit", "-q", "-m", "first"]);
    let commit = git(&["rev-parse", "HEAD"]);
    file(&project.join(".venv/pyvenv.cfg"), "home = /usr/bin\nversion = 3.12.4\n");
    let made = ran(&sandbox, 0, &[&"create", &project]).of("snapshot").remove(0);
    let git = json!([{"path": project, "commit": commit, "branch": "trunk", "dirty": 2, "stashes": 0}]);
    assert_eq!(made["data"]["git"], git);
    assert_eq!(made["data"]["pythons"], json!([{"path": project.join(".venv"), "version": "3.12.4"}]));
}

#[test]
fn what_looks_like_a_key_is_pointed_out() {
    let sandbox = Sandbox::new();
    let key = sandbox.work("key.json");
    file(&key, "{\"private_key\": \"-----BEGIN PRIVATE KEY-----\\nAAAA\"}");
    let made = ran(&sandbox, 0, &[&"create", &key]);
    assert!(made.stderr.contains("key.json looks like a private key"), "{}", made.stderr);
    assert!(!made.text().contains("AAAA"));
}

#[test]
fn what_cannot_be_kept_is_said_and_makes_the_snapshot_partial() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    let pipe = project.join("pipe");
    sandbox.command("mkfifo", [&pipe]).run().code(0).ok();
    let socket = std::os::unix::net::UnixListener::bind(project.join("socket")).unwrap();
    let made = ran(&sandbox, 2, &[&"create", &project]);
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    assert_eq!(
        errors(&made),
        [("not-kept".to_owned(), text(&pipe)), ("not-kept".to_owned(), text(&project.join("socket")))],
        "{}",
        made.text()
    );
    assert_eq!(made.of("snapshot")[0]["data"]["partial"], true);
    // They are left alone, whatever is asked for.
    fs::write(project.join("a"), "new").unwrap();
    restore(&sandbox, &[&"latest", &"--exact"]).ok();
    assert!(pipe.exists() && project.join("socket").exists());
    assert_eq!(fs::read_to_string(project.join("a")).unwrap(), "old a\n");
    drop(socket);
}
