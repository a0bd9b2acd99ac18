//! Every way back: a change is taken back and made again, and old backups go only when somebody says so.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tests::{Ran, Sandbox, arg};

use crate::ward;

fn dead(sandbox: &Sandbox) -> PathBuf {
    let venv = sandbox.work("project/.venv");
    ward::by_uv(sandbox, &venv, &[]);
    ward::kill(&venv);
    venv
}

fn undo(sandbox: &Sandbox, args: &[&str], venv: &Path) -> Ran {
    ward::rebuild(sandbox, [arg("undo")].into_iter().chain(args.iter().map(arg)).chain([arg(venv)])).run()
}

#[test]
fn a_change_is_taken_back_and_made_again() {
    for (args, verb) in [(&[][..], "relink"), (&["--full"], "rebuild")] {
        let sandbox = Sandbox::new();
        let venv = dead(&sandbox);
        let before = ward::contents(&venv);
        let made = ward::told(&ward::force(&sandbox, args, &venv).code(0), verb, "done");
        let after = ward::contents(&venv);
        assert_ne!(before, after);

        let traces = ward::traces(sandbox.root());
        let planned = ward::told(&undo(&sandbox, &[], &venv).code(0), "undo", "planned");
        assert!(planned["text"].as_str().unwrap().contains(made["undo"].as_str().unwrap()), "{planned}");
        ward::same(&traces, &ward::traces(sandbox.root()));

        // Broken again is what was asked for, and said.
        let broken = ("broken", "; it is broken now: Python executable missing: bin/python points at a Python that is gone");
        let healthy = ("healthy", "; it is healthy now");
        for (expected, (status, now)) in [(&before, broken), (&after, healthy), (&before, broken), (&after, healthy)] {
            let data = ward::told(&undo(&sandbox, &["--force"], &venv).code(0), "undo", "done");
            assert_eq!(data["detail"], json!({"status": status}), "{data}");
            assert!(data["text"].as_str().unwrap().ends_with(now), "{data}");
            ward::same(expected, &ward::contents(&venv));
        }
        ward::is_healthy(&sandbox, &venv);
    }
}

/// What only a deep look finds is there again, and said.
#[test]
fn undo_looks_as_deeply_as_the_repair_did() {
    let sandbox = Sandbox::new();
    let venv = sandbox.work("project/.venv");
    ward::wheel(&sandbox, "gadget", "1.0");
    ward::by_uv(&sandbox, &venv, &[]);
    ward::install(&sandbox, &venv, &["gadget"]);
    fs::remove_file(ward::packages(&venv).join("gadget/__init__.py")).unwrap();
    let records = sandbox.tool("venv-probe", [arg("--deep"), arg(&venv)]).run().code(0);
    let mended = ward::at_wheels(&sandbox, ward::rebuild(&sandbox, ["--force"])).input(records.stdout).run();
    ward::told(&mended.code(0), "packages", "done");
    let data = ward::told(&undo(&sandbox, &["--force"], &venv).code(0), "undo", "done");
    assert_eq!(data["detail"]["status"], "broken", "{data}");
    assert!(undo(&sandbox, &["--to", "nonsense"], &venv).code(1).text().contains("no backup or change called nonsense"));
}

#[test]
fn an_edit_in_place_does_not_reach_the_backup() {
    let sandbox = Sandbox::new();
    let venv = sandbox.work("project/.venv");
    ward::wheel(&sandbox, "gadget", "1.0");
    ward::by_uv(&sandbox, &venv, &[]);
    ward::install(&sandbox, &venv, &["gadget"]);
    let site = ward::packages(&venv);
    fs::write(site.join("mine.py"), "answer = 42\n").unwrap();
    // What an interrupted pip leaves.
    fs::create_dir(site.join("~izmo")).unwrap();
    fs::write(site.join("~izmo/__init__.py"), "").unwrap();
    let before = ward::contents(&venv);
    ward::told(&ward::force(&sandbox, &[], &venv).code(0), "litter", "done");

    for file in ["mine.py", "gadget/__init__.py"] {
        let inode = |tree: &Path| fs::metadata(ward::packages(tree).join(file)).unwrap().ino();
        let shared = inode(&venv) == inode(&ward::backups(&venv)[0]);
        assert_eq!(shared, file.starts_with("gadget"), "{file}: only what uv's cache has, too, is shared");
    }
    for edited in [site.join("mine.py"), venv.join("pyvenv.cfg"), venv.join("bin/activate")] {
        fs::write(edited, "edited\n").unwrap();
    }
    drop(undo(&sandbox, &["--force"], &venv).code(0));
    ward::same(&before, &ward::contents(&venv));
}

#[test]
fn what_the_probe_sees_no_environment_in_is_taken_back_all_the_same() {
    let sandbox = Sandbox::new();
    let venv = sandbox.work("project/.venv");
    ward::by_uv(&sandbox, &venv, &[]);
    fs::write(venv.join("pyvenv.cfg"), "").unwrap();
    let before = ward::contents(&venv);
    ward::told(&ward::force(&sandbox, &[], &venv).code(0), "config", "done");
    let ran = undo(&sandbox, &["--force"], &venv);
    let data = ward::told(&ran.code(0), "undo", "done");
    assert_ne!(data["detail"]["status"], "healthy", "{data}");
    ward::same(&before, &ward::contents(&venv));

    let nowhere = sandbox.root().join("nowhere");
    tests::write_program(nowhere.join("venv-probe"), "exit 1");
    tests::copy_program(tests::binary("venv-rebuild"), nowhere.join("venv-rebuild"));
    let args = [arg("undo"), arg("--force"), arg(&venv)];
    let data = ward::told(&sandbox.command(nowhere.join("venv-rebuild"), args).run().code(0), "undo", "done");
    assert_eq!(data["detail"], json!({"status": "unknown"}), "{data}");
    assert!(data["text"].as_str().unwrap().contains("; how it is now is unknown: "), "{data}");
}

#[test]
fn a_change_that_was_built_upon_is_not_taken_back() {
    let sandbox = Sandbox::new();
    let venv = dead(&sandbox);
    ward::told(&ward::force(&sandbox, &[], &venv).code(0), "relink", "done");
    let link = venv.join("bin/python");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("/usr/bin/env", &link).unwrap();
    let was = ward::contents(&venv);
    let data = ward::told(&undo(&sandbox, &["--force"], &venv).code(1), "undo", "failed");
    assert!(data["text"].as_str().unwrap().contains("is not taken back: its files were changed since"), "{data}");
    ward::same(&was, &ward::contents(&venv));
}

#[test]
fn the_newest_change_decides_and_no_older_one_in_its_place() {
    let sandbox = Sandbox::new();
    let venv = dead(&sandbox);
    let rebuilt = ward::told(&ward::force(&sandbox, &["--full"], &venv).code(0), "rebuild", "done");
    ward::kill(&venv);
    ward::told(&ward::force(&sandbox, &[], &venv).code(0), "relink", "done");
    // Somebody points it elsewhere by hand.
    let python = venv.join("bin/python");
    let real = python.canonicalize().unwrap();
    fs::remove_file(&python).unwrap();
    symlink(real, &python).unwrap();
    let before = ward::contents(&venv);
    let refused = undo(&sandbox, &["--force"], &venv).code(1).text();
    assert!(refused.contains("its files were changed since; --to names another"), "{refused}");
    ward::same(&before, &ward::contents(&venv));
    undo(&sandbox, &["--force", "--to", rebuilt["undo"].as_str().unwrap()], &venv).code(0).ok();
}

#[test]
fn what_was_never_changed_has_no_way_back() {
    let sandbox = Sandbox::new();
    let venv = dead(&sandbox);
    let data = ward::told(&undo(&sandbox, &["--force"], &venv).code(1), "undo", "failed");
    assert!(data["text"].as_str().unwrap().starts_with("nothing that venv-rebuild did to "), "{data}");
    let data = ward::told(&undo(&sandbox, &["--force", "--to", "yesterday"], &venv).code(1), "undo", "failed");
    assert!(data["text"].as_str().unwrap().contains("no backup or change called yesterday"), "{data}");
}

#[test]
fn any_backup_can_be_gone_back_to_by_its_name() {
    let sandbox = Sandbox::new();
    let venv = dead(&sandbox);
    let first = ward::contents(&venv);
    let undo_of = |data: &Value| PathBuf::from(data["undo"].as_str().unwrap());
    let oldest = undo_of(&ward::told(&ward::force(&sandbox, &["--full"], &venv).code(0), "rebuild", "done"));
    ward::kill(&venv);
    ward::told(&ward::force(&sandbox, &["--full"], &venv).code(0), "rebuild", "done");
    assert_eq!(ward::backups(&venv).len(), 2);
    let newest = ward::contents(&venv);
    let name = oldest.file_name().unwrap().to_str().unwrap();
    let displaced = undo_of(&ward::told(&undo(&sandbox, &["--force", "--to", name], &venv).code(0), "undo", "done"));
    ward::same(&first, &ward::contents(&venv));
    assert_ne!(displaced.file_name().unwrap(), name, "what was in use a moment ago is not as old as what took its place");
    drop(undo(&sandbox, &["--force", "--to", displaced.to_str().unwrap()], &venv).code(0));
    ward::same(&newest, &ward::contents(&venv));
}

#[test]
fn what_an_undo_displaced_is_no_old_backup() {
    let sandbox = Sandbox::new();
    let venv = with_backups(&sandbox, &["20200101_000000", "20210101_000000"]);
    fs::create_dir_all(venv.join("share")).unwrap();
    fs::write(venv.join("share/work.db"), "of today").unwrap();
    drop(undo(&sandbox, &["--force", "--to", ".venv.backup_20200101_000000"], &venv).code(0));
    prune(&sandbox, &["--force"], &venv);
    let kept = ward::backups(&venv);
    assert!(kept.iter().any(|backup| fs::read(backup.join("share/work.db")).is_ok_and(|bytes| bytes == b"of today")), "{kept:?}");
}

#[test]
fn the_newest_change_is_the_newest_whatever_the_clock_of_the_wall() {
    let sandbox = Sandbox::new();
    let venv = dead(&sandbox);
    let mut before = BTreeMap::new();
    // Each of these is earlier on the wall than the one before.
    for zone in ["EARLY-14", "UTC0", "LATE11"] {
        fs::create_dir_all(venv.join("share")).unwrap();
        fs::write(venv.join("share/zone"), zone).unwrap();
        before = ward::contents(&venv);
        drop(ward::rebuild(&sandbox, [arg("--force"), arg("--full"), arg(&venv)]).env("TZ", zone).run().code(0));
    }
    drop(undo(&sandbox, &["--force"], &venv).code(0));
    ward::same(&before, &ward::contents(&venv));
}

#[test]
fn a_backup_that_was_renamed_into_place_is_mended() {
    let sandbox = Sandbox::new();
    let venv = with_backups(&sandbox, &["20200101_000000"]);
    fs::remove_dir_all(&venv).unwrap();
    fs::rename(venv.with_file_name(".venv.backup_20200101_000000"), &venv).unwrap();
    ward::told(&ward::force(&sandbox, &[], &venv).code(0), "relink", "done");
    assert!(!venv.join("mendline-backup.json").exists());
    ward::is_healthy(&sandbox, &venv);
}

/// Which git reads as it reads any other.
#[test]
fn what_somebody_wrote_over_the_gitignore_of_a_backup_stays() {
    let sandbox = Sandbox::new();
    let venv = with_backups(&sandbox, &["20200101_000000"]);
    fs::remove_dir_all(&venv).unwrap();
    fs::rename(venv.with_file_name(".venv.backup_20200101_000000"), &venv).unwrap();
    let lines = "secret.env\n!keep\n";
    fs::write(venv.join(".gitignore"), lines).unwrap();
    ward::told(&ward::force(&sandbox, &[], &venv).code(0), "relink", "done");
    assert!(!venv.join("mendline-backup.json").exists());
    assert_eq!(fs::read_to_string(venv.join(".gitignore")).unwrap(), lines);
}

#[test]
fn the_newest_backup_stays_by_whatever_path_it_is_met() {
    let sandbox = Sandbox::new();
    let venv = with_backups(&sandbox, &["20200101_000000"]);
    let project = venv.parent().unwrap();
    let paths = [project, &venv, project.parent().unwrap(), project].map(arg);
    drop(ward::rebuild(&sandbox, [arg("prune"), arg("--force")].into_iter().chain(paths)).run().code(0));
    assert_eq!(ward::backups(&venv).len(), 1);
}

#[test]
fn a_marker_that_is_none_stops_no_other_from_being_pruned() {
    let sandbox = Sandbox::new();
    let venv = with_backups(&sandbox, &["20200101_000000", "20210101_000000"]);
    let bad = venv.with_file_name("other.backup_20200101_000000");
    fs::create_dir(&bad).unwrap();
    assert!(Command::new("mkfifo").arg(bad.join("mendline-backup.json")).status().unwrap().success());
    let ran = ward::rebuild(&sandbox, [arg("prune"), arg("--force"), arg(venv.parent().unwrap())]).run().code(1);
    let of_bad = ran.of("action").into_iter().find(|action| action["subject"] == bad.to_str().unwrap()).unwrap();
    assert_eq!(of_bad["data"]["outcome"], "skipped", "{of_bad}");
    assert!(of_bad["data"]["text"].as_str().unwrap().ends_with("mendline-backup.json: it is no regular file"), "{of_bad}");
    assert_eq!(ward::backups(&venv).len(), 1);
}

#[test]
fn what_is_mounted_in_a_backup_is_not_deleted() {
    let sandbox = Sandbox::new();
    let venv = with_backups(&sandbox, &["20200101_000000", "20210101_000000", "20220101_000000"]);
    let data = sandbox.work("data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("model"), "precious").unwrap();
    let point = venv.with_file_name(".venv.backup_20210101_000000/share/models");
    fs::create_dir_all(&point).unwrap();
    let as_root = ["--map-root-user"].into_iter().filter(|_| !rustix::process::geteuid().is_root()).map(arg);
    let script = "mount --bind \"$1\" \"$2\" && venv-rebuild prune --force \"$3\"";
    let words = [arg("--mount"), arg("bash"), arg("-c"), arg(script), arg("-"), arg(&data), arg(&point), arg(venv.parent().unwrap())];
    let ran = sandbox.command("unshare", as_root.chain(words)).run().code(1);
    let outcomes: Vec<_> = ran.of("action").iter().map(|action| action["data"]["outcome"].clone()).collect();
    assert_eq!(outcomes, ["skipped", "done"], "{}", ran.text());
    assert!(ran.text().contains("is mounted inside it"), "{}", ran.text());
    assert_eq!(fs::read_to_string(data.join("model")).unwrap(), "precious");
    assert_eq!(ward::backups(&venv).len(), 2);
}

#[test]
fn a_backup_that_was_moved_and_has_a_link_in_its_place_stays() {
    let sandbox = Sandbox::new();
    let venv = with_backups(&sandbox, &["20200101_000000", "20210101_000000"]);
    let (link, far) = (venv.with_file_name(".venv.backup_20200101_000000"), sandbox.work("far"));
    fs::rename(&link, &far).unwrap();
    symlink(&far, &link).unwrap();
    let old = ward::contents(&far);
    for (args, code) in [(&["prune"][..], 0), (&["prune", "--force"], 0)] {
        let ran = ward::rebuild(&sandbox, args.iter().map(arg).chain([arg(&venv)])).run().code(code);
        let data = ward::told(&ran, "prune", "skipped");
        assert!(data["text"].as_str().unwrap().starts_with(&format!("it is a link to {}", far.display())), "{data}");
    }
    ward::same(&old, &ward::contents(&far));
    assert_eq!(fs::read_link(&link).unwrap(), far);
}

/// Where the tests may not make a file immutable, they pass by themselves.
#[test]
fn what_is_left_of_a_backup_is_no_concern_of_other_environments() {
    let sandbox = Sandbox::new();
    let venv = with_backups(&sandbox, &["20200101_000000", "20210101_000000"]);
    let kept = venv.with_file_name(".venv.backup_20200101_000000/lib/kept");
    fs::write(&kept, "").unwrap();
    let change = |flag: &str, file: &Path| Command::new("chattr").arg(flag).arg(file).status().is_ok_and(|status| status.success());
    if !change("+i", &kept) {
        return;
    }
    let pruned = || ward::rebuild(&sandbox, [arg("prune"), arg("--force"), arg(&venv)]).run();
    ward::told(&pruned().code(1), "prune", "failed");
    let other = sandbox.work("other/.venv");
    ward::by_uv(&sandbox, &other, &[]);
    ward::kill(&other);
    let ran = ward::force(&sandbox, &[], &other).code(0);
    let outcomes: Vec<_> = ran.of("action").iter().map(|action| action["data"]["outcome"].clone()).collect();
    assert_eq!(outcomes, ["failed", "done"], "what is left is said, {}", ran.text());
    drop(pruned().code(1));
    let left = ward::names(venv.parent().unwrap()).into_iter().find(|name| name.contains(".mendline-")).unwrap();
    assert!(change("-i", &venv.with_file_name(left).join("lib/kept")));
    drop(pruned().code(0));
    assert!(!ward::names(venv.parent().unwrap()).iter().any(|name| name.contains(".mendline-")));
}

#[test]
fn what_is_mounted_in_a_backup_is_not_taken_along() {
    let sandbox = Sandbox::new();
    let venv = with_backups(&sandbox, &["20200101_000000"]);
    let (data, point) = (sandbox.work("data"), venv.with_file_name(".venv.backup_20200101_000000/share/models"));
    fs::create_dir_all(&data).unwrap();
    fs::create_dir_all(&point).unwrap();
    let as_root = ["--map-root-user"].into_iter().filter(|_| !rustix::process::geteuid().is_root()).map(arg);
    let script = "mount --bind \"$1\" \"$2\" && venv-rebuild undo --force \"$3\"";
    let words = [arg("--mount"), arg("bash"), arg("-c"), arg(script), arg("-"), arg(&data), arg(&point), arg(&venv)];
    let ran = sandbox.command("unshare", as_root.chain(words)).run().code(1);
    let data = ward::told(&ran, "undo", "skipped");
    assert!(data["text"].as_str().unwrap().contains("is mounted inside it"), "{data}");
}

/// An environment with backups of these times, the newest last.
fn with_backups(sandbox: &Sandbox, stamps: &[&str]) -> PathBuf {
    let venv = dead(sandbox);
    for stamp in stamps {
        ward::told(&ward::force(sandbox, &["--full"], &venv).code(0), "rebuild", "done");
        ward::kill(&venv);
        let made = ward::backups(&venv).pop().unwrap();
        let aged = venv.with_file_name(format!(".venv.backup_{stamp}"));
        fs::rename(made, &aged).unwrap();
        let marker = aged.join("mendline-backup.json");
        let mut said: Value = serde_json::from_slice(&fs::read(&marker).unwrap()).unwrap();
        said["id"] = json!(format!("{stamp}-000000"));
        fs::write(marker, said.to_string()).unwrap();
    }
    venv
}

fn prune(sandbox: &Sandbox, args: &[&str], path: &Path) -> Vec<String> {
    let ran = ward::rebuild(sandbox, [arg("prune")].into_iter().chain(args.iter().map(arg)).chain([arg(path)])).run().code(0);
    let expected = if args.contains(&"--force") { "done" } else { "planned" };
    let backups = ran.of("action").into_iter().filter(|action| action["subject"].as_str().unwrap().contains(".backup_"));
    backups
        .map(|action| {
            assert_eq!((&action["data"]["verb"], &action["data"]["outcome"]), (&json!("prune"), &json!(expected)), "{action}");
            let forced = json!(args.contains(&"--force"));
            assert_eq!((&action["data"]["changed"], &action["data"]["verified"]), (&forced, &forced), "{action}");
            Path::new(action["subject"].as_str().unwrap()).file_name().unwrap().to_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn backups_go_by_age_and_number_and_only_with_force() {
    let sandbox = Sandbox::new();
    let venv = with_backups(&sandbox, &["20200101_000000", "20210101_000000", "20220101_000000", "29990101_000000"]);
    let project = venv.parent().unwrap();
    // Not ours: named alike, and without our mark.
    fs::create_dir(project.join(".venv.backup_20190101_000000")).unwrap();
    fs::create_dir(project.join(".venv.backup_mine")).unwrap();
    let all = ward::names(project);
    let traces = ward::traces(sandbox.root());
    assert_eq!(
        prune(&sandbox, &[], &venv),
        [".venv.backup_20220101_000000", ".venv.backup_20210101_000000", ".venv.backup_20200101_000000"]
    );
    assert_eq!(prune(&sandbox, &["--keep", "3"], &venv), [".venv.backup_20200101_000000"]);
    assert_eq!(prune(&sandbox, &["--keep", "0", "--older-than", "999999d"], &venv), [""; 0]);
    assert_eq!(prune(&sandbox, &["--keep", "3"], &sandbox.work("")), [".venv.backup_20200101_000000"], "found from above as well");
    ward::same(&traces, &ward::traces(sandbox.root()));
    assert_eq!(ward::names(project), all);

    assert_eq!(prune(&sandbox, &["--force", "--keep", "3"], &venv), [".venv.backup_20200101_000000"]);
    assert_eq!(prune(&sandbox, &["--force"], &sandbox.work("")), [".venv.backup_20220101_000000", ".venv.backup_20210101_000000"]);
    let left = [".venv", ".venv.backup_20190101_000000", ".venv.backup_29990101_000000", ".venv.backup_mine"];
    assert_eq!(ward::names(project), left);
}

#[test]
fn a_file_that_is_rewritten_keeps_its_owner_and_attributes_and_so_does_its_original() {
    let sandbox = Sandbox::new();
    let (first, venv) = (sandbox.work("first/.venv"), sandbox.work("second/.venv"));
    ward::by_uv(&sandbox, &first, &["--seed"]);
    fs::create_dir_all(venv.parent().unwrap()).unwrap();
    fs::rename(&first, &venv).unwrap();
    let activate = venv.join("bin/activate");
    // Only root can give files away; for others it is the caller's own before and after.
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&activate, Some(65534), Some(65534)).unwrap();
    }
    let owner = || {
        let meta = fs::metadata(&activate).unwrap();
        (std::os::unix::fs::MetadataExt::uid(&meta), std::os::unix::fs::MetadataExt::gid(&meta))
    };
    let (before, whose) = (fs::read(&activate).unwrap(), owner());
    drop(ward::force(&sandbox, &[], &venv));
    assert_ne!(fs::read(&activate).unwrap(), before, "it was rewritten");
    assert_eq!(owner(), whose);
    drop(undo(&sandbox, &["--force"], &venv).code(0));
    assert_eq!(fs::read(&activate).unwrap(), before);
    assert_eq!(owner(), whose);
}
