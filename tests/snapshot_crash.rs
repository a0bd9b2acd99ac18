//! `kill -9` of `snapshot` at its system calls, one after the other, and calls that fail: what is on the disk then, and what the next run
//! makes of it.
#![cfg(target_os = "linux")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::{Ran, Sandbox};

use crate::vault::{self, Inventory, create, file, inventory, ran, snapshot};

/// The calls that change a disk, and those that open what will be changed; those that an architecture lacks are passed over.
const CALLS: [&str; 28] = [
    "openat",
    "write",
    "pwrite64",
    "ftruncate",
    "mkdir",
    "mkdirat",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "unlink",
    "unlinkat",
    "rmdir",
    "chmod",
    "fchmod",
    "fchmodat",
    "fchown",
    "fchownat",
    "utimensat",
    "fsetxattr",
    "fremovexattr",
    "fsync",
    "fdatasync",
    "syncfs",
    "flock",
];

/// At most so many of one call, evenly chosen, the first and the last among them.
const OF_ONE_CALL: usize = 20;
const ALL: usize = usize::MAX;

type Words = Vec<String>;

/// A run that is disturbed, on a tree and a store that are put back as they were each time.
struct Victim {
    sandbox: Sandbox,
    words: Words,
    old: Inventory,
    new: Inventory,
}

impl Victim {
    /// Keeps a copy of what is there, and lets the run end once to know what it comes to.
    fn new(sandbox: Sandbox, words: &[&str]) -> Self {
        for name in ["work", "state"] {
            copy(&sandbox.root().join(name), &sandbox.root().join(format!("{name}.kept")));
        }
        let words: Words = words.iter().map(|word| (*word).to_owned()).collect();
        let mut victim = Self { sandbox, words, old: Inventory::new(), new: Inventory::new() };
        victim.put_back();
        victim.old = inventory(&victim.top());
        victim.run().code(0).ok();
        victim.new = inventory(&victim.top());
        victim
    }

    fn top(&self) -> PathBuf {
        self.sandbox.root().join("work/top")
    }

    fn refs(&self) -> Vec<&dyn AsRef<std::ffi::OsStr>> {
        self.words.iter().map(|word| word as &dyn AsRef<std::ffi::OsStr>).collect()
    }

    fn run(&self) -> Ran {
        snapshot(&self.sandbox, &self.refs()).run()
    }

    fn traced(&self, expression: &str) -> Ran {
        vault::traced(&self.sandbox, expression, Path::new("/dev/null"), &self.refs())
    }

    fn put_back(&self) {
        for name in ["work", "state"] {
            let (place, kept) = (self.sandbox.root().join(name), self.sandbox.root().join(format!("{name}.kept")));
            fs::remove_dir_all(&place).unwrap();
            copy(&kept, &place);
        }
    }

    /// Every point at which to disturb it: a call, and the how-manieth of its thread it is.
    fn points(&self, most: usize) -> Vec<(&'static str, usize)> {
        let log = self.sandbox.root().join("calls.log");
        let expression = format!("trace={}", CALLS.map(|call| format!("?{call}")).join(","));
        vault::traced(&self.sandbox, &expression, &log, &self.refs()).code(0).ok();
        let mut counts: BTreeMap<(String, &str), usize> = BTreeMap::new();
        for line in fs::read_to_string(log).unwrap().lines() {
            let (thread, rest) = line.split_once(' ').unwrap();
            let called = rest.trim_start().split('(').next().unwrap_or_default();
            if let Some(call) = CALLS.into_iter().find(|call| *call == called) {
                *counts.entry((thread.to_owned(), call)).or_default() += 1;
            }
        }
        let count = |call: &str| counts.iter().filter(|((_, called), _)| *called == call).map(|(_, count)| *count).max().unwrap_or(0);
        CALLS.into_iter().flat_map(|call| evenly(count(call), most).into_iter().map(move |nth| (call, nth))).collect()
    }

    /// Kills it at every point; `holds` insists on what must be so after that, and says whether the run had come through.
    fn kill_at_every_point(&self, most: usize, least: usize, holds: impl Fn(&Self, &str) -> bool) {
        self.put_back();
        let points = self.points(most);
        assert!(points.len() >= least, "too few: {points:?}");
        let (mut stayed, mut went, mut missed) = (0, 0, 0);
        for (call, nth) in &points {
            self.put_back();
            let ran = self.traced(&format!("inject={call}:signal=SIGKILL:when={nth}"));
            // Which of two threads makes a call is not the same each time.
            if ran.code == Some(0) {
                missed += 1;
                continue;
            }
            assert_eq!(ran.signal, Some(9), "{call} {nth}: {}", ran.stderr);
            if holds(self, &format!("killed at {call} {nth}")) { went += 1 } else { stayed += 1 }
        }
        told(&format!(
            "killed `snapshot {}` at {} points: {stayed} times as before, {went} times done",
            self.words.join(" "),
            stayed + went
        ));
        assert!(missed * 10 < points.len(), "too many points were missed: {missed}");
        assert!(stayed > 0 && went > 0, "one side was never seen: {stayed} old, {went} new");
    }

    /// Lets a call fail at every point.
    fn fail_at_every_point(&self, most: usize, holds: impl Fn(&Self, &str) -> bool) {
        self.put_back();
        for error in ["EIO", "ENOSPC"] {
            for (call, nth) in self.points(most) {
                self.put_back();
                let ran = self.traced(&format!("inject={call}:error={error}:when={nth}"));
                let at = format!("{error} from {call} {nth}, {:?} {:?} {}{}", ran.code, ran.signal, ran.stderr, ran.text());
                assert!(ran.signal.is_none(), "{at}");
                let went = holds(self, &at);
                assert!(ran.code != Some(0) || went, "it says that it is done: {at}");
            }
        }
    }
}

/// Who reads the test's output may want to know how much was tried.
#[expect(clippy::print_stderr, reason = "it is for whoever runs the test with --nocapture")]
fn told(text: &str) {
    eprintln!("{text}");
}

fn evenly(count: usize, most: usize) -> Vec<usize> {
    let steps = count.min(most);
    let mut chosen: Vec<usize> = (0..steps).map(|step| 1 + step * (count - 1) / (steps - 1).max(1)).collect();
    chosen.dedup();
    chosen
}

/// With modes, times and links, as they are.
fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// Ids of all snapshots, each of which is read back whole; nothing in the store is torn.
fn whole(sandbox: &Sandbox, at: &str) -> Vec<String> {
    let verified = snapshot(sandbox, &[&"verify"]).run();
    assert_eq!(verified.code, Some(0), "{at}: {}{}", verified.stderr, verified.text());
    let listed = snapshot(sandbox, &[&"list"]).run();
    assert_eq!(listed.code, Some(0), "{at}: {}", listed.stderr);
    let ids: Vec<_> = listed.of("snapshot").iter().map(|record| record["subject"].as_str().unwrap().to_owned()).collect();
    assert_eq!(verified.of("snapshot.probe").len(), ids.len(), "{at}");
    ids
}

/// Insists that the next run leaves the store with nothing in it that has no use.
fn is_tidy(sandbox: &Sandbox, at: &str) {
    let store = vault::store(sandbox);
    let names = |folder: &str| -> BTreeSet<String> {
        fs::read_dir(store.join(folder)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let ended = |names: &BTreeSet<String>, end: &str| -> BTreeSet<String> {
        names.iter().filter_map(|name| name.strip_suffix(end).map(str::to_owned)).collect()
    };
    let packs = names("packs");
    let (archives, indexes) = (ended(&packs, ".tar.zst"), ended(&packs, ".index"));
    assert_eq!((&archives, archives.len() + indexes.len()), (&indexes, packs.len()), "{at}");
    let manifests = names("manifests");
    assert_eq!(ended(&manifests, ".jsonl.zst").len(), manifests.len(), "{at}: {manifests:?}");
    assert_eq!(names("journal"), BTreeSet::new(), "{at}");
    assert!(names("cache").iter().all(|name| name == "files.jsonl"), "{at}: {:?}", names("cache"));
    let known = ["README", ".gitignore", "packs", "manifests", "pins", "cache", "journal", "lock", "commit.lock", "restore.lock"];
    let unknown: Vec<_> = names("").into_iter().filter(|name| !known.contains(&name.as_str())).collect();
    assert_eq!(unknown, [""; 0], "{at}");
}

/// Every line is a record, but for one that was torn.
fn audit_is_readable(sandbox: &Sandbox, at: &str) {
    let Ok(text) = fs::read_to_string(sandbox.root().join("state/mendline/audit.jsonl")) else { return };
    let torn: Vec<_> = text.lines().filter(|line| serde_json::from_str::<Value>(line).is_err()).collect();
    assert!(torn.len() <= 1 && torn.iter().all(|line| line.starts_with('{')), "{at}: {torn:?}");
}

/// A tree with one of each kind.
fn tree(sandbox: &Sandbox) -> PathBuf {
    let top = sandbox.work("top");
    for name in ["root/same", "root/changed", "root/traits", "root/gone", "root/sub/deep", "root/becomes-a-folder", "root/becomes-a-link"] {
        file(&top.join(name), format!("old {name}"));
    }
    file(&top.join("root/becomes-a-file/x"), "x");
    fs::hard_link(top.join("root/gone"), top.join("root/twin")).unwrap();
    symlink("old", top.join("root/link")).unwrap();
    file(&top.join("alone"), "old alone");
    for path in ["root/sub", "root", "alone"] {
        vault::touch(&top.join(path), 1_700_000_000, 7);
    }
    top
}

fn change(top: &Path) {
    for name in ["root/changed", "alone"] {
        fs::write(top.join(name), format!("new {name}, and longer")).unwrap();
    }
    vault::chmod(&top.join("root/traits"), 0o600);
    for name in ["gone", "link", "becomes-a-folder", "becomes-a-link"] {
        fs::remove_file(top.join("root").join(name)).unwrap();
    }
    symlink("new", top.join("root/link")).unwrap();
    symlink("sub", top.join("root/becomes-a-link")).unwrap();
    file(&top.join("root/becomes-a-folder/y"), "y");
    fs::remove_dir_all(top.join("root/becomes-a-file")).unwrap();
    fs::remove_dir_all(top.join("root/sub")).unwrap();
    file(&top.join("root/becomes-a-file"), "z");
    file(&top.join("root/added/deep/file"), "added");
    file(&top.join("root/added-file"), "added");
}

fn to_restore() -> Victim {
    let sandbox = Sandbox::new();
    let top = tree(&sandbox);
    create(&sandbox, &[&"--label", &"wanted", &top.join("root"), &top.join("alone")]);
    change(&top);
    let victim = Victim::new(sandbox, &["restore", "wanted", "--exact", "--force"]);
    assert_ne!(victim.old, victim.new, "there is no change to disturb");
    victim
}

/// After `recover` the tree is exactly the old one or the new one, and nothing is left over; asked for again, it comes to its end.
fn is_old_or_new(victim: &Victim, at: &str) -> bool {
    let (sandbox, top) = (&victim.sandbox, victim.top());
    let recovered = snapshot(sandbox, &[&"recover"]).run();
    assert_eq!(recovered.code, Some(0), "{at}: {}{}", recovered.stderr, recovered.text());
    let now = inventory(&top);
    // The folder above what was kept has the time of its last change, which is only put back.
    let below = |found: &Inventory| -> Inventory { found.clone().into_iter().filter(|(path, _)| path != Path::new("")).collect() };
    let (is_old, is_new) = (now == victim.old, below(&now) == below(&victim.new));
    if !is_old && !is_new {
        let told = format!("{at}: {}", recovered.text());
        told_and(&told, || vault::same(&victim.old, &now));
    }
    let outcomes: Vec<_> = recovered.of("action").iter().map(|action| action["data"]["outcome"].as_str().unwrap().to_owned()).collect();
    assert!(outcomes.iter().all(|outcome| outcome == if is_new { "done" } else { "undone" }), "{at}: {outcomes:?}");
    let ids = whole(sandbox, at);
    audit_is_readable(sandbox, at);
    let again = victim.run();
    assert_eq!(again.code, Some(0), "{at}: {}{}", again.stderr, again.text());
    vault::same(&below(&victim.new), &below(&inventory(&top)));
    assert!(whole(sandbox, at).starts_with(&ids), "{at}");
    create(sandbox, &[&top.join("alone")]);
    is_tidy(sandbox, at);
    is_new
}

fn told_and(text: &str, insist: impl FnOnce()) {
    told(text);
    insist();
}

#[test]
fn a_restore_that_is_killed_is_done_or_undone() {
    to_restore().kill_at_every_point(OF_ONE_CALL, 80, is_old_or_new);
}

#[test]
#[ignore = "takes minutes"]
fn a_restore_that_is_killed_anywhere_is_done_or_undone() {
    to_restore().kill_at_every_point(ALL, 200, is_old_or_new);
}

#[test]
#[ignore = "takes minutes"]
fn a_restore_in_which_something_fails_is_done_or_undone() {
    to_restore().fail_at_every_point(ALL, is_old_or_new);
}

/// A restore is killed in the middle of its exchanges, and then the run that takes it back is, too.
fn recover_is_killed(most: usize) {
    let victim = to_restore();
    let interrupt = |nth: usize| {
        victim.put_back();
        let ran = victim.traced(&format!("inject=renameat2:signal=SIGKILL:when={nth}"));
        assert_eq!(ran.signal, Some(9), "{}", ran.stderr);
    };
    let recover = |expression: &str| vault::traced(&victim.sandbox, expression, Path::new("/dev/null"), &[&"recover"]);
    interrupt(6);
    let log = victim.sandbox.root().join("calls.log");
    let expression = format!("trace={}", CALLS.map(|call| format!("?{call}")).join(","));
    vault::traced(&victim.sandbox, &expression, &log, &[&"recover"]).code(0).ok();
    let text = fs::read_to_string(log).unwrap();
    let mut killed = 0;
    for call in CALLS {
        let count = text
            .lines()
            .filter(|line| line.split_once(' ').is_some_and(|(_, rest)| rest.trim_start().starts_with(&format!("{call}("))))
            .count();
        for nth in evenly(count, most) {
            interrupt(6);
            let at = format!("recover killed at {call} {nth}");
            assert_eq!(recover(&format!("inject={call}:signal=SIGKILL:when={nth}")).signal, Some(9), "{at}");
            assert!(!is_old_or_new(&victim, &at), "{at}");
            killed += 1;
        }
    }
    told(&format!("killed `snapshot recover` at {killed} points"));
    assert!(killed >= 30);
}

#[test]
fn a_recover_that_is_killed_is_made_good_by_the_next() {
    recover_is_killed(8);
}

#[test]
#[ignore = "takes minutes"]
fn a_recover_that_is_killed_anywhere_is_made_good_by_the_next() {
    recover_is_killed(ALL);
}

fn to_create() -> Victim {
    let sandbox = Sandbox::new();
    let top = tree(&sandbox);
    create(&sandbox, &[&top]);
    change(&top);
    file(&top.join("large"), vec![7; 6 << 20]);
    let victim = Victim::new(sandbox, &["create", "--label", "second", top.to_str().unwrap()]);
    assert_eq!(victim.old, victim.new, "a snapshot changes nothing");
    victim
}

/// The first snapshot is there and whole, and so is the second if it is there at all; the next run leaves nothing of what was torn.
fn is_there_or_not(victim: &Victim, at: &str) -> bool {
    vault::same(&victim.old, &inventory(&victim.top()));
    let ids = whole(&victim.sandbox, at);
    assert!(matches!(ids.len(), 1 | 2), "{at}: {ids:?}");
    let again = victim.run();
    assert_eq!(again.code, Some(0), "{at}: {}", again.stderr);
    assert_eq!(whole(&victim.sandbox, at).len(), ids.len() + 1, "{at}");
    is_tidy(&victim.sandbox, at);
    let plan = ran(&victim.sandbox, 0, &[&"restore", &"second", &"--exact"]);
    assert!(plan.of("action").iter().all(|action| action["data"]["detail"]["change"].is_null()), "{at}: {}", plan.text());
    ids.len() == 2
}

#[test]
fn a_create_that_is_killed_leaves_a_whole_snapshot_or_none() {
    to_create().kill_at_every_point(25, 35, is_there_or_not);
}

#[test]
#[ignore = "takes minutes"]
fn a_create_that_is_killed_anywhere_leaves_a_whole_snapshot_or_none() {
    to_create().kill_at_every_point(ALL, 35, is_there_or_not);
}

#[test]
#[ignore = "takes minutes"]
fn a_create_in_which_something_fails_leaves_a_whole_snapshot_or_none() {
    to_create().fail_at_every_point(ALL, |victim, at| {
        is_tidy(&victim.sandbox, at);
        is_there_or_not(victim, at)
    });
}

/// Three snapshots of which the first goes: its pack is written anew, and another goes whole.
fn to_prune() -> Victim {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top.join("stays"), "stays");
    for number in 0..20 {
        // No two contents are alike, and none can be compressed.
        file(
            &top.join(format!("goes-{number}")),
            (0..200).map(|part| vault::sha256(format!("{number} {part}").as_bytes())).collect::<String>(),
        );
    }
    create(&sandbox, &[&"--label", &"first", &top]);
    for number in 0..20 {
        fs::remove_file(top.join(format!("goes-{number}"))).unwrap();
    }
    file(&top.join("second"), "second");
    create(&sandbox, &[&"--label", &"second", &top]);
    fs::write(top.join("second"), "third").unwrap();
    create(&sandbox, &[&"--label", &"third", &top]);
    Victim::new(sandbox, &["prune", "--keep-last", "1", "--force"])
}

/// The snapshots that stay are whole, and the next run takes away what was to go.
fn the_rest_is_whole(victim: &Victim, at: &str) -> bool {
    vault::same(&victim.old, &inventory(&victim.top()));
    let ids = whole(&victim.sandbox, at);
    assert!((1..=3).contains(&ids.len()), "{at}: {ids:?}");
    audit_is_readable(&victim.sandbox, at);
    let size = || {
        fs::read_dir(vault::store(&victim.sandbox).join("packs"))
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum::<u64>()
    };
    let before = size();
    let again = victim.run();
    assert_eq!(again.code, Some(0), "{at}: {}", again.stderr);
    assert_eq!(whole(&victim.sandbox, at).len(), 1, "{at}");
    let after = size();
    create(&victim.sandbox, &[&victim.top().join("stays")]);
    is_tidy(&victim.sandbox, at);
    assert!(size() < 10_000, "{at}: the room is not free");
    ids.len() == 1 && before <= after
}

#[test]
fn a_prune_that_is_killed_takes_nothing_that_is_needed() {
    to_prune().kill_at_every_point(OF_ONE_CALL, 30, the_rest_is_whole);
}

#[test]
#[ignore = "takes minutes"]
fn a_prune_that_is_killed_anywhere_takes_nothing_that_is_needed() {
    to_prune().kill_at_every_point(ALL, 60, the_rest_is_whole);
}

#[test]
#[ignore = "takes minutes"]
fn a_prune_in_which_something_fails_takes_nothing_that_is_needed() {
    to_prune().fail_at_every_point(ALL, |victim, at| {
        the_rest_is_whole(victim, at);
        true
    });
}
