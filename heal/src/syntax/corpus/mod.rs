//! Broken programs and what is to become of each, with every interpreter that this machine has.

mod traps;
mod whitelist;

use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::thread;

use super::judge::{Judge, Version};
use super::{Verdict, fix};

/// A program, from which version on it fares as told, and how.
pub(super) type Entry = (&'static str, Version, &'static [u8], Fate);

/// What is to become of a program.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Valid,
    Fixed(&'static [u8]),
    /// Not touched; something comes to mind.
    Suggested,
    /// Not touched.
    Left,
    /// It needs another version, which is told so.
    Mismatch(&'static str),
}

const OLDEST: Version = (3, 6);
const NEWEST: Version = (3, 14);

/// Every interpreter at hand, one of each version.
pub(super) static JUDGES: LazyLock<Vec<Judge>> = LazyLock::new(|| {
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let folders = [home.join(".pyenv/versions"), home.join(".local/share/uv/python")];
    let installed = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().filter_map(Result::ok);
    let mut paths: Vec<PathBuf> = installed.map(|entry| entry.path().join("bin/python")).filter(|path| path.exists()).collect();
    paths.extend((OLDEST.1..=NEWEST.1).map(|minor| PathBuf::from(format!("python3.{minor}"))));
    paths.push(PathBuf::from("python3"));
    let mut judges: Vec<Judge> = paths.iter().filter_map(|path| Judge::at(path).ok()).collect();
    judges.sort_by_key(|judge| judge.version);
    judges.dedup_by_key(|judge| judge.version);
    judges
});

/// Those of Python 3; there is always one.
pub(super) fn judges() -> impl Iterator<Item = &'static Judge> {
    JUDGES.iter().filter(|judge| judge.version >= OLDEST)
}

#[expect(clippy::print_stderr, reason = "a test that was skipped says so")]
fn tell_what_is_absent() {
    for minor in OLDEST.1..=NEWEST.1 {
        if !judges().any(|judge| judge.version == (3, minor)) {
            eprintln!("skipped: no Python 3.{minor} here");
        }
    }
}

fn check(entries: &[Entry]) -> usize {
    tell_what_is_absent();
    assert!(judges().next().is_some(), "there is no python3");
    let failures: Vec<String> = thread::scope(|scope| {
        let each: Vec<_> = judges().map(|judge| scope.spawn(|| failures(entries, judge))).collect();
        each.into_iter().flat_map(|one| one.join().unwrap()).collect()
    });
    assert!(failures.is_empty(), "{} wrong:\n{}", failures.len(), failures.join("\n"));
    entries.len()
}

fn failures(entries: &[Entry], judge: &Judge) -> Vec<String> {
    let mut failures = Vec::new();
    for (name, since, source, fate) in entries.iter().filter(|entry| entry.1 <= judge.version) {
        let verdict = fix(source, judge, &[]).unwrap();
        let is_right = match (fate, &verdict) {
            (Fate::Fixed(expected), Verdict::Fixed { text, edits }) => text == expected && super::edit::apply(source, edits) == *text,
            (Fate::Valid, Verdict::Valid)
            | (Fate::Suggested, Verdict::Suggested { .. })
            | (Fate::Left, Verdict::Suggested { .. } | Verdict::Refused { .. } | Verdict::Mismatch { .. }) => true,
            (Fate::Mismatch(version), Verdict::Mismatch { needs, .. }) => needs == version,
            _ => false,
        };
        if !is_right {
            failures.push(format!("{name} (since {since:?}) with {:?}: {verdict:?}", judge.version));
        }
    }
    failures
}

#[test]
fn what_is_certain_is_mended() {
    assert!(check(&whitelist::ENTRIES) >= 45);
}

#[test]
fn what_only_looks_certain_is_left() {
    assert!(check(&traps::ENTRIES) >= 45);
}

#[test]
fn a_file_for_another_version_is_never_changed() {
    let old: Vec<Judge> = JUDGES.iter().filter(|judge| judge.version < (3, 10)).cloned().collect();
    let new: Vec<Judge> = JUDGES.iter().filter(|judge| judge.version >= (3, 12)).cloned().collect();
    let source = b"match x:\n    case 1:\n        pass\n";
    for judge in old.iter().filter(|judge| judge.version >= OLDEST) {
        let verdict = fix(source, judge, &new).unwrap();
        let Verdict::Mismatch { accepted_by, .. } = verdict else { panic!("{verdict:?}") };
        assert_eq!(accepted_by.as_deref(), new.first().map(Judge::python));
    }
    let two: Vec<Judge> = JUDGES.iter().filter(|judge| judge.version < (3, 0)).cloned().collect();
    for judge in judges().filter(|_| !two.is_empty()) {
        let verdict = fix(b"print 'a'\n", judge, &two).unwrap();
        assert!(matches!(&verdict, Verdict::Mismatch { needs, .. } if needs == "Python 2"), "{verdict:?}");
    }
}
