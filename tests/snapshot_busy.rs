//! Others at work at the same time: on the files, on the store, and with other rights.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tests::{Run, Sandbox};

use crate::vault::{self, create, errors, file, paused, ran, restore, snapshot};

#[test]
fn eight_at_once_beside_a_prune_lose_nothing() {
    let sandbox = Sandbox::new();
    let shared = sandbox.work("shared");
    for number in 0..20 {
        file(&shared.join(format!("{number}")), format!("content {number}").repeat(100));
    }
    let over = AtomicBool::new(false);
    let kept: Vec<String> = thread::scope(|scope| {
        let pruning = scope.spawn(|| {
            let mut pruned = 0;
            while !over.load(Ordering::Relaxed) {
                if !vault::store(&sandbox).join("packs").exists() {
                    continue;
                }
                let ran = snapshot(&sandbox, &[&"prune", &"--automatic-after", &"0s", &"--wait", &"5s", &"--force"]).run();
                assert!(matches!(ran.code, Some(0 | 75)), "{}", ran.stderr);
                pruned += ran.of("action").iter().filter(|action| action["data"]["verb"] == "prune").count();
            }
            pruned
        });
        let creating: Vec<_> = (0..8)
            .map(|worker| {
                let (sandbox, shared) = (&sandbox, &shared);
                scope.spawn(move || {
                    let own = sandbox.work(&format!("own-{worker}"));
                    let turn = |turn: usize| {
                        file(&own, format!("{worker} {turn}").repeat(1000));
                        let label = if turn.is_multiple_of(2) { "kept" } else { "auto-goes" };
                        let id = create(sandbox, &[&"--label", &label, shared, &own]);
                        // Who removes needs a moment without anybody who adds.
                        thread::sleep(std::time::Duration::from_millis(200));
                        turn.is_multiple_of(2).then_some(id)
                    };
                    (0..6).filter_map(turn).collect::<Vec<_>>()
                })
            })
            .collect();
        // Whatever became of them, or the prune would never end.
        let joined: Vec<_> = creating.into_iter().map(thread::ScopedJoinHandle::join).collect();
        over.store(true, Ordering::Relaxed);
        assert!(pruning.join().unwrap() > 0, "nothing was pruned meanwhile");
        joined.into_iter().flat_map(Result::unwrap).collect()
    });
    assert_eq!(kept.len(), 24);
    let list = ran(&sandbox, 0, &[&"list"]).of("snapshot");
    let ids: Vec<_> = list.iter().map(|record| record["subject"].as_str().unwrap()).collect();
    assert!(kept.iter().all(|id| ids.contains(&id.as_str())), "{kept:?} {ids:?}");
    let numbers: std::collections::BTreeSet<_> = list.iter().map(|record| record["data"]["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers.len(), list.len(), "two have the same number");
    ran(&sandbox, 0, &[&"verify"]).ok();
}

/// In a process namespace of its own and with a source of chance that has none, each run in one second draws the same id.
#[test]
fn one_id_is_never_given_twice() {
    if !vault::is_root() {
        return vault::skipped("one_id_is_never_given_twice", "a process namespace takes root");
    }
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top, "content");
    let chance = "inject=getrandom:poke_exit=@arg1=00000000000000000000000000000000";
    for number in 0..30 {
        // Every other one has something to add to the store.
        fs::write(&top, format!("content {}", number / 2)).unwrap();
        let words =
            ["--pid", "--fork", "strace", "-f", "-qq", "-o", "/dev/null", "-e", chance, "snapshot", "create", top.to_str().unwrap()];
        sandbox.command("unshare", words).run().code(0).ok();
    }
    let list = ran(&sandbox, 0, &[&"list"]).of("snapshot");
    let numbers: Vec<_> = list.iter().map(|record| record["data"]["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=30).collect::<Vec<_>>());
    ran(&sandbox, 0, &[&"verify"]).ok();
}

#[test]
fn a_file_that_changes_while_it_is_read_is_read_again() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    for (name, length) in [("small", 10_000), ("large", 6 << 20)] {
        let path = top.join(name);
        file(&path, vec![b'a'; length]);
        let ran = paused(&sandbox, "read", &path, 1, &[&"create", &path], |_| fs::write(&path, vec![b'b'; length]).unwrap());
        assert_eq!(ran.code, Some(0), "{name}: {}", ran.stderr);
        let kept = vault::ran(&sandbox, 0, &[&"cat", &"latest", &path]).stdout;
        assert!(kept.len() == length && kept.iter().all(|byte| *byte == b'b'), "{name}");
    }
}

#[test]
fn a_file_that_never_holds_still_is_said_to_be_torn() {
    let sandbox = Sandbox::new();
    let path = sandbox.work("top/restless");
    file(&path, "x");
    file(&sandbox.work("top/still"), "still");
    let over = AtomicBool::new(false);
    let ran = thread::scope(|scope| {
        scope.spawn(|| {
            for turn in (0..=u8::MAX).cycle() {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                fs::write(&path, vec![turn; 10_000]).unwrap();
                thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        // Each read takes long enough for the writer to come in between.
        let strace = ["-f", "-qq", "-o", "/dev/null", "-e", "inject=read:delay_exit=50000", "-P"].map(std::ffi::OsString::from);
        let words = [(&path).into(), tests::binary("snapshot").into(), "create".into(), sandbox.work("top").into()];
        let ran = sandbox.command("strace", strace.into_iter().chain(words)).run();
        over.store(true, Ordering::Relaxed);
        ran
    });
    let ran = ran.code(2);
    assert_eq!(errors(&ran), [("changed-while-read".to_owned(), path.to_str().unwrap().to_owned())]);
    assert_eq!(ran.of("snapshot")[0]["data"]["partial"], true);
    let entries = vault::ran(&sandbox, 0, &[&"show", &"latest"]).of("snapshot.entry");
    assert_eq!(entries[1]["data"]["changed_while_read"], true);
    assert_eq!(entries[2]["data"].get("changed_while_read"), None);
    vault::ran(&sandbox, 0, &[&"verify"]).ok();
    fs::remove_dir_all(sandbox.work("top")).unwrap();
    let told = vault::ran(&sandbox, 0, &[&"restore", &"latest", &"--force"]).of("action");
    let text =
        |name: &str| told.iter().find(|action| action["subject"] == *sandbox.work(name).to_str().unwrap()).unwrap()["data"]["text"].clone();
    assert!(text("top/restless").as_str().unwrap().contains("of no one moment"), "{told:?}");
    assert!(text("top/still").is_null(), "{told:?}");
    assert!(told.last().unwrap()["data"]["text"].as_str().unwrap().contains("1 that changed while kept"), "{told:?}");
}

/// A link that goes between being found and being read is one path that could not be read, and no end of the snapshot.
#[test]
fn what_goes_while_it_is_kept_is_said() {
    let sandbox = Sandbox::new();
    let (top, link) = (sandbox.work("top"), sandbox.work("top/link"));
    file(&top.join("a"), "a");
    std::os::unix::fs::symlink("a", &link).unwrap();
    let ran = paused(&sandbox, "llistxattr", &top.join("a"), 1, &[&"create", &top], |_| fs::remove_file(&link).unwrap());
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert_eq!(errors(&ran), [("unreadable".to_owned(), link.to_str().unwrap().to_owned())]);
    assert_eq!(vault::ran(&sandbox, 0, &[&"cat", &"latest", &top.join("a")]).text(), "a");
}

/// Runs `snapshot` as somebody who may not do everything. `None` where this process cannot become one, which is said.
fn as_nobody(test: &str, sandbox: &Sandbox, words: vault::Words<'_>) -> Option<Run> {
    if !vault::is_root() {
        vault::skipped(test, "only root can become somebody else");
        return None;
    }
    // Where the binaries lie may be closed to others.
    let program = sandbox.root().join("snapshot");
    if !program.exists() {
        tests::copy_program(tests::binary("snapshot"), &program);
        chown(sandbox.root(), Some(65534), Some(65534)).unwrap();
    }
    let setpriv = ["--reuid=65534", "--regid=65534", "--clear-groups"].map(std::ffi::OsString::from).into_iter().chain([program.into()]);
    Some(sandbox.command("setpriv", setpriv.chain(words.iter().map(|word| word.as_ref().to_owned()))))
}

fn belongs_to_nobody(top: &Path) {
    let mut all = vec![top.to_owned()];
    while let Some(path) = all.pop() {
        std::os::unix::fs::lchown(&path, Some(65534), Some(65534)).unwrap();
        if path.is_dir() && !path.is_symlink() {
            all.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}

#[test]
fn what_may_not_be_read_makes_it_partial_and_is_never_removed() {
    let test = "what_may_not_be_read_makes_it_partial_and_is_never_removed";
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    for name in ["open", "secret", "closed/inside"] {
        file(&top.join(name), name);
    }
    belongs_to_nobody(&sandbox.root().join("work"));
    for name in ["secret", "closed"] {
        chown(top.join(name), Some(0), Some(0)).unwrap();
    }
    vault::chmod(&top.join("secret"), 0o600);
    vault::chmod(&top.join("closed"), 0o700);
    let Some(run) = as_nobody(test, &sandbox, &[&"create", &top]) else { return };
    let made = run.run().code(2);
    let mut said = errors(&made);
    said.sort();
    let unreadable = |name: &str| ("unreadable".to_owned(), top.join(name).to_str().unwrap().to_owned());
    assert_eq!(said, [unreadable("closed"), unreadable("secret")]);
    assert_eq!(made.of("snapshot")[0]["data"]["partial"], true);
    fs::write(top.join("open"), "changed").unwrap();
    file(&top.join("added"), "added");
    as_nobody(test, &sandbox, &[&"restore", &"latest", &"--exact", &"--force"]).unwrap().run().code(0).ok();
    assert_eq!(fs::read_to_string(top.join("open")).unwrap(), "open");
    assert!(!top.join("added").exists());
    assert_eq!(fs::read_to_string(top.join("secret")).unwrap(), "secret");
    assert_eq!(fs::read_to_string(top.join("closed/inside")).unwrap(), "closed/inside");
}

#[test]
fn folders_that_their_owner_may_not_write_to_come_and_go() {
    let test = "folders_that_their_owner_may_not_write_to_come_and_go";
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top.join("module/deep/x"), "x");
    file(&top.join("changed"), "old");
    let close = |name: &str| {
        for below in ["deep", ""] {
            vault::chmod(&top.join(name).join(below), 0o555);
        }
    };
    close("module");
    belongs_to_nobody(&sandbox.root().join("work"));
    let Some(run) = as_nobody(test, &sandbox, &[&"create", &top]) else { return };
    run.run().code(0).ok();
    let before = vault::inventory(&top);
    fs::remove_dir_all(top.join("module")).unwrap();
    file(&top.join("added/deep/y"), "y");
    close("added");
    belongs_to_nobody(&top);
    as_nobody(test, &sandbox, &[&"restore", &"latest", &"--exact", &"--force"]).unwrap().run().code(0).ok();
    vault::same(&before, &vault::inventory(&top));
    assert!(vault::left_over(sandbox.root()).is_empty());
}

#[test]
fn owners_come_back_where_root_restores() {
    if !vault::is_root() {
        return vault::skipped("owners_come_back_where_root_restores", "only root gives files away");
    }
    let sandbox = Sandbox::new();
    let path = sandbox.work("top/x");
    file(&path, "x");
    chown(&path, Some(1234), Some(5678)).unwrap();
    let id = create(&sandbox, &[&path]);
    chown(&path, Some(0), Some(0)).unwrap();
    restore(&sandbox, &[&id]).ok();
    let meta = path.metadata().unwrap();
    assert_eq!((meta.uid(), meta.gid()), (1234, 5678));
    fs::remove_file(&path).unwrap();
    restore(&sandbox, &[&id]).ok();
    let meta = path.metadata().unwrap();
    assert_eq!((meta.uid(), meta.gid()), (1234, 5678));
}
