//! What a restore finds in its way, and what comes between its plan and its writing: the tree is as it was then, or as it is now.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use tests::Sandbox;

use crate::vault::{self, Inventory, changes, create, file, inventory, paused, ran, refused, restore, same};

/// Makes one kind of thing at a path, with something in it where it is a folder.
fn make(kind: &str, path: &Path) {
    match kind {
        "file" => file(path, "content"),
        "folder" => file(&path.join("deep/x"), "x"),
        _ => symlink("elsewhere", path).unwrap(),
    }
}

fn remove(path: &Path) {
    if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
}

#[test]
fn each_kind_becomes_each_other_kind_again() {
    for (then, now) in [("file", "folder"), ("file", "link"), ("folder", "file"), ("folder", "link"), ("link", "file"), ("link", "folder")]
    {
        let sandbox = Sandbox::new();
        let (top, path) = (sandbox.work("top"), sandbox.work("top/thing"));
        file(&sandbox.work("top/elsewhere/deep/x"), "not ours");
        make(then, &path);
        let id = create(&sandbox, &[&top]);
        let before = inventory(&top);
        remove(&path);
        make(now, &path);
        let after = inventory(&top);
        let plan = ran(&sandbox, 0, &[&"restore", &id, &"--exact"]);
        assert!(changes(&plan, &top).contains(&("retype".to_owned(), "thing".to_owned())), "{then} {now}: {}", plan.text());
        if now == "folder" {
            refused(&sandbox, 2, &[&id], "is a folder now and was none", &top).ok();
        }
        let done = restore(&sandbox, &[&id, &"--exact"]);
        same(&before, &inventory(&top));
        let undo = done.of("action").pop().unwrap()["data"]["undo"].as_str().unwrap().to_owned();
        restore(&sandbox, &[&undo, &"--exact"]).ok();
        let without_times = |found: Inventory| -> Vec<_> {
            let what = |what: String| what.split(' ').take(3).collect::<Vec<_>>().join(" ");
            found.into_iter().map(|(path, found)| (path, what(found))).collect()
        };
        assert_eq!(without_times(after), without_times(inventory(&top)), "{then} {now}");
    }
}

#[test]
fn an_empty_folder_where_a_file_was_goes_without_being_asked() {
    let sandbox = Sandbox::new();
    let path = sandbox.work("top/thing");
    make("file", &path);
    create(&sandbox, &[&sandbox.work("top")]);
    remove(&path);
    fs::create_dir(&path).unwrap();
    restore(&sandbox, &[&"latest"]).ok();
    assert_eq!(fs::read_to_string(path).unwrap(), "content");
}

/// A tree that was changed, and the snapshot of it.
fn changed(sandbox: &Sandbox) -> (PathBuf, String) {
    let top = sandbox.work("top");
    for name in ["sub/a", "sub/b", "z/c"] {
        file(&top.join(name), format!("old {name}"));
    }
    let id = create(sandbox, &[&top]);
    for name in ["sub/a", "sub/b", "z/c"] {
        fs::write(top.join(name), format!("new {name}, and longer")).unwrap();
    }
    fs::create_dir(top.join("added")).unwrap();
    (top, id)
}

/// Restores while somebody does something between the plan and the writing; the tree must be as they left it, and the reason be said.
fn disturbed(reason: &str, words: vault::Words<'_>, disturb: impl FnOnce(&Sandbox, &Path)) {
    let sandbox = Sandbox::new();
    let (top, id) = changed(&sandbox);
    let mut left = Inventory::new();
    let journal = vault::store(&sandbox).join("journal");
    let mut all: Vec<&dyn AsRef<OsStr>> = vec![&"restore", &id, &"--force"];
    all.extend(words);
    // The folder of journals is opened to look into it, then to sync it when the restore begins, and again right before the exchange.
    let ran = paused(&sandbox, "openat", &journal, 3, &all, |_| {
        assert_eq!(fs::read_dir(&journal).unwrap().count(), 1, "it is not in the middle of it");
        disturb(&sandbox, &top);
        left = inventory(sandbox.root().join("work").as_path());
        left.retain(|path, _| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".mendline-")));
    });
    assert_eq!(ran.code, Some(1), "{}{}", ran.stderr, ran.text());
    let (outcome, text) = vault::ending(&ran);
    assert!(outcome == "failed" && text.contains(reason) && text.contains("everything is as before"), "{text}");
    let contents = |found: &Inventory| -> Vec<(PathBuf, String)> {
        let what = |what: &str| what.split(' ').take(3).collect::<Vec<_>>().join(" ");
        found.iter().map(|(path, found)| (path.clone(), what(found))).collect()
    };
    assert_eq!(contents(&left), contents(&inventory(&sandbox.root().join("work"))));
    ran_again(&sandbox);
}

/// Nothing is left to recover.
fn ran_again(sandbox: &Sandbox) {
    assert_eq!(fs::read_dir(vault::store(sandbox).join("journal")).unwrap().count(), 0);
    let recovered = ran(sandbox, 0, &[&"recover"]);
    assert!(recovered.of("action").is_empty(), "{}", recovered.text());
}

#[test]
fn a_file_that_somebody_changed_meanwhile_stops_it() {
    disturbed("somebody changed ", &[], |_, top| fs::write(top.join("sub/b"), "a stranger's").unwrap());
}

#[test]
fn a_change_that_hides_behind_the_old_time_stops_it() {
    disturbed("somebody changed ", &[], |_, top| {
        let path = top.join("sub/b");
        let (meta, mut content) = (path.metadata().unwrap(), fs::read(&path).unwrap());
        content[0] ^= 1;
        fs::write(&path, content).unwrap();
        vault::touch(&path, meta.mtime(), meta.mtime_nsec());
    });
}

#[test]
fn a_file_that_somebody_exchanged_or_removed_meanwhile_stops_it() {
    disturbed("somebody changed ", &[], |_, top| fs::remove_file(top.join("z/c")).unwrap());
    disturbed("somebody changed ", &[], |sandbox, top| {
        file(&sandbox.work("other"), "other");
        fs::rename(sandbox.work("other"), top.join("sub/a")).unwrap();
    });
}

#[test]
fn what_somebody_put_where_nothing_was_stops_it() {
    let sandbox = Sandbox::new();
    let (top, id) = changed(&sandbox);
    fs::remove_file(top.join("sub/b")).unwrap();
    let journal = vault::store(&sandbox).join("journal");
    let ran = paused(&sandbox, "openat", &journal, 3, &[&"restore", &id, &"--force"], |_| file(&top.join("sub/b"), "a stranger's"));
    assert_eq!(ran.code, Some(1), "{}", ran.text());
    assert_eq!(fs::read_to_string(top.join("sub/b")).unwrap(), "a stranger's");
    assert_eq!(fs::read_to_string(top.join("sub/a")).unwrap(), "new sub/a, and longer");
    assert_eq!(vault::left_over(&top), Vec::<PathBuf>::new());
}

#[test]
fn a_folder_that_somebody_replaced_with_a_link_leads_nowhere() {
    disturbed("meanwhile", &[], |sandbox, top| {
        for name in ["a", "b"] {
            file(&sandbox.work("outside").join(name), "outside");
        }
        fs::rename(top.join("sub"), sandbox.work("moved")).unwrap();
        symlink(sandbox.work("outside"), top.join("sub")).unwrap();
    });
}

#[test]
fn a_folder_on_the_way_that_is_a_link_now_is_not_followed() {
    let sandbox = Sandbox::new();
    let root = sandbox.work("way/root");
    file(&root.join("x"), "old");
    let id = create(&sandbox, &[&root]);
    fs::rename(sandbox.work("way"), sandbox.work("moved")).unwrap();
    file(&sandbox.work("outside/root/x"), "outside");
    symlink(sandbox.work("outside"), sandbox.work("way")).unwrap();
    refused(&sandbox, 2, &[&id], "without following a link", &sandbox.root().join("work")).ok();
}

#[test]
fn what_somebody_put_into_a_folder_that_goes_stops_it() {
    disturbed("somebody made", &[&"--exact"], |_, top| {
        file(&top.join("added/precious"), "precious");
    });
}

#[test]
fn the_first_signal_takes_it_back_and_ends_it() {
    for (name, number) in [("INT", 2), ("TERM", 15)] {
        let sandbox = Sandbox::new();
        let (top, id) = changed(&sandbox);
        let before = inventory(&top);
        let journal = vault::store(&sandbox).join("journal");
        // To the very thread that is at it: one that another thread gets may come when all is through.
        let inject = format!("inject=openat:signal=SIG{name}:when=3");
        let strace = ["-f", "-qq", "-o", "/dev/null", "-e", &inject, "-P", journal.to_str().unwrap()];
        let words = [tests::binary("snapshot").to_str().unwrap(), "restore", &id, "--exact", "--force"];
        let ran = sandbox.command("strace", strace.iter().chain(&words)).env("RAYON_NUM_THREADS", "1").run();
        assert_eq!((ran.code, ran.signal), (None, Some(number)), "{}", ran.text());
        assert_eq!(vault::ending(&ran).0, "cancelled");
        same(&before, &inventory(&top));
        ran_again(&sandbox);
    }
}

#[test]
fn a_folder_that_cannot_be_written_to_stops_it() {
    if !vault::is_root() {
        return vault::skipped("a_folder_that_cannot_be_written_to_stops_it", "a read-only mount takes root");
    }
    let sandbox = Sandbox::new();
    let (top, id) = changed(&sandbox);
    let before = inventory(&top);
    let script = "mount --bind \"$1/z\" \"$1/z\" && mount -o remount,bind,ro \"$1/z\" && exec snapshot restore \"$2\" --force";
    let words = ["-m", "sh", "-c", script, "sh", top.to_str().unwrap(), &id];
    let ran = sandbox.command("unshare", words).run();
    assert_eq!(ran.code, Some(1), "{}{}", ran.stderr, ran.text());
    let (_, text) = vault::ending(&ran);
    assert!(text.contains("Read-only file system") && text.contains("everything is as before"), "{text}");
    same(&before, &inventory(&top));
    ran_again(&sandbox);
}

#[test]
fn a_file_system_in_what_would_be_removed_stays_as_it_is() {
    if !vault::is_root() {
        return vault::skipped("a_file_system_in_what_would_be_removed_stays_as_it_is", "a mount takes root");
    }
    let sandbox = Sandbox::new();
    let (top, id) = changed(&sandbox);
    fs::create_dir(top.join("added/mount")).unwrap();
    let other = sandbox.work("other");
    file(&other.join("precious"), "precious");
    let script = "mount --bind \"$3\" \"$1/added/mount\" && exec snapshot restore \"$2\" --exact --force";
    let words = ["-m", "sh", "-c", script, "sh", top.to_str().unwrap(), &id, other.to_str().unwrap()];
    let ran = sandbox.command("unshare", words).run().code(0);
    assert!(skipped(&ran, &top.join("added/mount")).contains("a file system is mounted there"), "{}", ran.text());
    assert_eq!(fs::read_to_string(other.join("precious")).unwrap(), "precious");

    // A folder that was kept and is a part of the same file system by now: what is in it was not seen.
    create(&sandbox, &[&top]);
    let script = "mount --bind \"$3\" \"$1/added\" && exec snapshot run --rollback-on-failure \"$1\" -- false";
    sandbox.command("unshare", ["-m", "sh", "-c", script, "sh", top.to_str().unwrap(), &id, other.to_str().unwrap()]).run().code(1).ok();
    let script = "snapshot run --rollback-on-failure \"$1\" -- sh -c \"mount --bind $3 $1/added; false\"";
    let words = ["-m", "sh", "-c", script, "sh", top.to_str().unwrap(), &id, other.to_str().unwrap()];
    let ran = sandbox.command("unshare", words).run().code(1);
    assert!(skipped(&ran, &top.join("added")).contains("a file system is mounted there"), "{}", ran.text());
    assert_eq!(vault::ending(&ran).1.split("could NOT all be put back").count(), 2, "{}", ran.text());
    assert_eq!(fs::read_to_string(other.join("precious")).unwrap(), "precious");
}

/// Why a path was left alone.
fn skipped(ran: &tests::Ran, path: &Path) -> String {
    let skipped =
        ran.of("action").into_iter().find(|action| action["data"]["outcome"] == "skipped" && action["subject"] == path.to_str().unwrap());
    skipped.map(|action| action["data"]["text"].as_str().unwrap().to_owned()).unwrap_or_default()
}

#[test]
fn a_program_that_runs_is_replaced_and_runs_on() {
    let sandbox = Sandbox::new();
    let path = sandbox.work("top/program");
    fs::create_dir(path.parent().unwrap()).unwrap();
    tests::copy_program("/bin/sleep", &path);
    let id = create(&sandbox, &[&path]);
    let mut grown = fs::read(&path).unwrap();
    grown.push(0);
    fs::write(&path, grown).unwrap();
    let mut running = std::process::Command::new(&path).arg("60").spawn().unwrap();
    restore(&sandbox, &[&id]).ok();
    assert_eq!(vault::hash(&path), vault::hash(Path::new("/bin/sleep")));
    assert!(running.try_wait().unwrap().is_none());
    running.kill().unwrap();
    running.wait().unwrap();
}

#[test]
fn another_name_of_a_file_elsewhere_is_not_written_through() {
    let sandbox = Sandbox::new();
    let (path, other) = (sandbox.work("top/x"), sandbox.work("cache"));
    file(&path, "old");
    let id = create(&sandbox, &[&sandbox.work("top")]);
    fs::write(&path, "new").unwrap();
    fs::hard_link(&path, &other).unwrap();
    restore(&sandbox, &[&id]).ok();
    assert_eq!((fs::read_to_string(&path).unwrap(), fs::read_to_string(&other).unwrap()), ("old".to_owned(), "new".to_owned()));
    // Nor is it given another mode or time.
    fs::remove_file(&other).unwrap();
    fs::hard_link(&path, &other).unwrap();
    vault::chmod(&other, 0o600);
    restore(&sandbox, &[&id]).ok();
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
    assert_eq!((mode(&path), mode(&other)), (0o644, 0o600));
}

#[test]
fn files_that_have_become_one_become_two_again() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top.join("a"), "same");
    file(&top.join("b"), "same");
    let id = create(&sandbox, &[&top]);
    let before = inventory(&top);
    let meta = top.join("b").metadata().unwrap();
    fs::remove_file(top.join("b")).unwrap();
    fs::hard_link(top.join("a"), top.join("b")).unwrap();
    vault::touch(&top.join("b"), meta.mtime(), meta.mtime_nsec());
    restore(&sandbox, &[&id]).ok();
    assert_ne!(top.join("a").metadata().unwrap().ino(), top.join("b").metadata().unwrap().ino());
    assert_eq!(before.keys().collect::<Vec<_>>(), inventory(&top).keys().collect::<Vec<_>>());
}

#[test]
fn set_user_id_comes_back_only_if_root_wants_it() {
    let sandbox = Sandbox::new();
    let (top, path) = (sandbox.work("top"), sandbox.work("top/tool"));
    file(&path, "old");
    vault::chmod(&path, 0o4755);
    let id = create(&sandbox, &[&top]);
    let mode = || path.metadata().unwrap().permissions().mode() & 0o7777;
    let same = ran(&sandbox, 0, &[&"restore", &id]);
    assert_eq!(changes(&same, &top), [], "what is as it was is left alone");
    fs::write(&path, "new").unwrap();
    vault::chmod(&path, 0o4755);
    restore(&sandbox, &[&id]).ok();
    assert_eq!(mode(), 0o755);
    restore(&sandbox, &[&id, &"--keep-setuid"]).ok();
    assert_eq!(mode(), if vault::is_root() { 0o4755 } else { 0o755 });
}

#[test]
fn sockets_and_pipes_are_left_alone() {
    let sandbox = Sandbox::new();
    let (top, id) = changed(&sandbox);
    let socket = std::os::unix::net::UnixListener::bind(top.join("sub/socket")).unwrap();
    sandbox.command("mkfifo", [top.join("pipe")]).run().code(0).ok();
    // One that came since, in a folder that was kept whole; and the mode of a folder with one in it.
    vault::chmod(&top.join("sub"), 0o700);
    let done = restore(&sandbox, &[&id, &"--exact"]);
    assert!(top.join("sub/socket").exists() && top.join("pipe").exists());
    assert_eq!(fs::read_to_string(top.join("sub/a")).unwrap(), "old sub/a");
    assert!(!top.join("added").exists());
    let skipped: Vec<_> = done.of("action").into_iter().filter(|action| action["data"]["outcome"] == "skipped").collect();
    let paths: Vec<_> = skipped.iter().map(|action| PathBuf::from(action["subject"].as_str().unwrap())).collect();
    assert_eq!(paths, [top.join("pipe"), top.join("sub/socket")]);
    drop(socket);

    // One in the place of a file holds nothing, and one in a folder that came since keeps that folder and no more of it.
    fs::remove_file(top.join("z/c")).unwrap();
    sandbox.command("mkfifo", [top.join("z/c")]).run().code(0).ok();
    file(&top.join("came/deep/file"), "came");
    sandbox.command("mkfifo", [top.join("came/deep/pipe")]).run().code(0).ok();
    let done = restore(&sandbox, &[&id, &"--exact"]);
    assert_eq!(fs::read_to_string(top.join("z/c")).unwrap(), "old z/c");
    assert!(top.join("came/deep/pipe").exists() && !top.join("came/deep/file").exists());
    let undo = done.of("action").pop().unwrap()["data"]["undo"].as_str().unwrap().to_owned();
    restore(&sandbox, &[&undo, &"--exact"]).ok();
    assert_eq!(fs::read_to_string(top.join("came/deep/file")).unwrap(), "came");
}

#[test]
fn the_store_is_never_kept_and_never_removed() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top.join("x"), "old");
    let state = top.join("state");
    let run = |words: vault::Words<'_>| vault::snapshot(&sandbox, words).env("MENDLINE_STATE_DIR", &state).run();
    let id = vault::id(&run(&[&"create", &top]).code(0));
    let second = vault::id(&run(&[&"create", &top]).code(0));
    let bytes = fs::read(state.join(format!("snapshots/manifests/{second}.jsonl.zst"))).unwrap();
    let text = String::from_utf8(zstd::decode_all(&bytes[..]).unwrap()).unwrap();
    assert!(!text.contains("packs") && !text.contains("audit"), "{text}");
    // The audit log grows with each restore; that is no change of a stranger.
    for name in ["one", "two"] {
        fs::write(top.join("x"), name).unwrap();
        file(&top.join("added"), name);
        run(&[&"restore", &id, &"--exact", &"--force"]).code(0).ok();
        assert_eq!(fs::read_to_string(top.join("x")).unwrap(), "old");
    }
    run(&[&"verify"]).code(0).ok();
    // By another way to the same folder, and as what is asked for.
    symlink(&top, sandbox.work("way")).unwrap();
    let third = vault::id(&run(&[&"create", &sandbox.work("way/x"), &sandbox.work("way")]).code(0));
    assert!(!run(&[&"show", &third]).text().contains("packs"));
    for path in [state.join("snapshots/packs"), state.join("snapshots")] {
        let ran = run(&[&"create", &path]).code(2);
        assert!(ran.stderr.contains("is in the store itself"), "{}", ran.stderr);
    }
}

#[test]
fn a_folder_that_was_none_and_holds_the_store_now_stays() {
    for then in ["file", "nothing"] {
        let sandbox = Sandbox::new();
        let thing = sandbox.work("top/thing");
        fs::create_dir_all(thing.parent().unwrap()).unwrap();
        if then == "file" {
            file(&thing, "content");
        }
        let id = create(&sandbox, &[&"--absent", &thing]);
        let _ = fs::remove_file(&thing);
        fs::create_dir(&thing).unwrap();
        fs::rename(sandbox.root().join("state"), thing.join("state")).unwrap();
        let before = inventory(&thing.join("state/mendline/snapshots/packs"));
        let ran = vault::snapshot(&sandbox, &[&"restore", &id, &"--exact", &"--force"]).env("XDG_STATE_HOME", thing.join("state")).run();
        assert_ne!(ran.code, Some(0));
        assert!(ran.stderr.contains("the store is in"), "{then}: {}", ran.stderr);
        same(&before, &inventory(&thing.join("state/mendline/snapshots/packs")));
    }
}
