//! Whatever a tree holds and whatever became of it since: a restore makes it what it was, as a program sees that shares no code with ours.

use std::ffi::OsString;
use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use rustix::fs::{XattrFlags, lremovexattr, lsetxattr};
use tests::Sandbox;

use crate::vault::{self, create, ran, restore};
use crate::ward;

/// Names that are easy to get wrong.
const NAMES: [&[u8]; 10] = [
    b"plain",
    b"with space",
    b"new\nline",
    b"\xff\xfe",
    b"tab\t",
    b"quo'te\"",
    b"-dash",
    b".hidden",
    "\u{fc}n\u{ee}".as_bytes(),
    b"back\\slash",
];
const SIZES: [usize; 8] = [0, 1, 511, 4096, 4097, 65_536, 300_000, 5 << 20];
const TIMES: [(i64, i64); 4] = [(0, 0), (1_000_000_000, 1), (1_700_000_000, 999_999_999), (-1, 500_000_000)];

/// What is done to a tree: the numbers choose among what is there.
#[derive(Clone, Debug)]
enum Deed {
    File { at: usize, name: usize, size: usize, seed: u8 },
    Sparse { at: usize, name: usize, seed: u8 },
    Folder { at: usize, name: usize },
    Link { at: usize, name: usize, target: usize },
    Twin { at: usize, name: usize, of: usize },
    Mode { of: usize, mode: u32 },
    Time { of: usize, time: usize },
    Attribute { of: usize, name: usize, value: Vec<u8> },
    NoAttribute { of: usize, name: usize },
    Write { of: usize, offset: u64, seed: u8 },
    Remove { of: usize },
    Move { of: usize, at: usize, name: usize },
}

fn building() -> impl Strategy<Value = Deed> {
    let (at, name) = (0..1000_usize, 0..NAMES.len());
    prop_oneof![
        4 => (at.clone(), name.clone(), 0..SIZES.len(), any::<u8>()).prop_map(|(at, name, size, seed)| Deed::File { at, name, size, seed }),
        1 => (at.clone(), name.clone(), any::<u8>()).prop_map(|(at, name, seed)| Deed::Sparse { at, name, seed }),
        3 => (at.clone(), name.clone()).prop_map(|(at, name)| Deed::Folder { at, name }),
        2 => (at.clone(), name.clone(), at.clone()).prop_map(|(at, name, target)| Deed::Link { at, name, target }),
        2 => (at.clone(), name, at.clone()).prop_map(|(at, name, of)| Deed::Twin { at, name, of }),
        2 => (at.clone(), prop_oneof![Just(0o644), Just(0o600), Just(0o755), Just(0o1777), Just(0o2755), Just(0o700)])
            .prop_map(|(of, mode)| Deed::Mode { of, mode }),
        2 => (at.clone(), 0..TIMES.len()).prop_map(|(of, time)| Deed::Time { of, time }),
        2 => (at, 0..3_usize, prop::collection::vec(any::<u8>(), 0..200))
            .prop_map(|(of, name, value)| Deed::Attribute { of, name, value }),
    ]
}

fn changing() -> impl Strategy<Value = Deed> {
    let at = 0..1000_usize;
    prop_oneof![
        3 => building(),
        2 => (at.clone(), 0..400_000_u64, any::<u8>()).prop_map(|(of, offset, seed)| Deed::Write { of, offset, seed }),
        2 => at.clone().prop_map(|of| Deed::Remove { of }),
        2 => (at.clone(), at.clone(), 0..NAMES.len()).prop_map(|(of, at, name)| Deed::Move { of, at, name }),
        1 => (at, 0..3_usize).prop_map(|(of, name)| Deed::NoAttribute { of, name }),
    ]
}

/// Every path of a tree, the top first.
fn paths(top: &Path) -> Vec<PathBuf> {
    let mut all = vec![top.to_owned()];
    let mut at = 0;
    while at < all.len() {
        if all[at].symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            let mut children: Vec<PathBuf> = fs::read_dir(&all[at]).unwrap().map(|entry| entry.unwrap().path()).collect();
            children.sort();
            all.extend(children);
        }
        at += 1;
    }
    all
}

fn folder(all: &[PathBuf], at: usize) -> &Path {
    let folders: Vec<_> = all.iter().filter(|path| path.symlink_metadata().is_ok_and(|meta| meta.is_dir())).collect();
    folders[at % folders.len()]
}

fn name(number: usize) -> OsString {
    OsString::from_vec(NAMES[number].to_vec())
}

fn bytes(seed: u8, size: usize) -> Vec<u8> {
    let mut state = u32::from(seed) | 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Half of it can be compressed.
        if state & 0x100 == 0 { seed } else { (state >> 24) as u8 }
    };
    (0..size).map(|_| next()).collect()
}

/// A deed that cannot be done on this tree is left out.
fn act(top: &Path, deed: &Deed) -> std::io::Result<()> {
    let all = paths(top);
    let any = |of: usize| &all[of % all.len()];
    let free = |at: usize, number: usize| Some(folder(&all, at).join(name(number))).filter(|path| path.symlink_metadata().is_err());
    match deed {
        Deed::File { at, name, size, seed } => {
            if let Some(path) = free(*at, *name) {
                fs::write(path, bytes(*seed, SIZES[*size]))?;
            }
        }
        Deed::Sparse { at, name, seed } => {
            if let Some(path) = free(*at, *name) {
                let mut file = fs::File::create(path)?;
                file.seek(SeekFrom::Start(u64::from(*seed) * 100_000))?;
                file.write_all(&bytes(*seed, 5000))?;
                file.set_len(u64::from(*seed) * 100_000 + 6_000_000)?;
            }
        }
        Deed::Folder { at, name } => free(*at, *name).map_or(Ok(()), fs::create_dir)?,
        Deed::Link { at, name, target } => free(*at, *name).map_or(Ok(()), |path| symlink(any(*target), path))?,
        Deed::Twin { at, name, of } => {
            let files: Vec<_> = all.iter().filter(|path| path.symlink_metadata().is_ok_and(|meta| meta.is_file())).collect();
            if let Some(path) = free(*at, *name).filter(|_| !files.is_empty()) {
                fs::hard_link(files[of % files.len()], path)?;
            }
        }
        // Who is not root keeps no such file.
        Deed::Mode { of, mode } if any(*of).is_file() && !vault::is_root() => vault::chmod(any(*of), *mode & 0o777),
        Deed::Mode { of, mode } if !any(*of).is_symlink() => vault::chmod(any(*of), *mode),
        Deed::Time { of, time } => vault::touch(any(*of), TIMES[*time].0, TIMES[*time].1),
        Deed::Attribute { of, name, value } if !any(*of).is_symlink() => {
            lsetxattr(any(*of), format!("user.{name}"), value, XattrFlags::empty())?;
        }
        Deed::NoAttribute { of, name } if !any(*of).is_symlink() => lremovexattr(any(*of), format!("user.{name}"))?,
        Deed::Write { of, offset, seed } if any(*of).symlink_metadata()?.is_file() => {
            let mut file = fs::OpenOptions::new().write(true).open(any(*of))?;
            file.seek(SeekFrom::Start(*offset))?;
            file.write_all(&bytes(*seed, 100))?;
        }
        Deed::Remove { of } if any(*of) != top => {
            let path = any(*of);
            if path.symlink_metadata()?.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
        }
        Deed::Move { of, at, name } if any(*of) != top => {
            if let Some(path) = free(*at, *name) {
                fs::rename(any(*of), path)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Tells all of a tree in Python: types, modes, owners, times, contents, targets, names of one file, extended attributes.
const TELL: &str = r#"
import hashlib, os, stat, sys
names = {}
def tell(path, below):
    meta = os.lstat(path)
    said = [below.hex(), stat.filemode(meta.st_mode), meta.st_uid, meta.st_gid, meta.st_mtime_ns]
    if stat.S_ISREG(meta.st_mode):
        with open(path, "rb") as file:
            said += [meta.st_size, hashlib.sha256(file.read()).hexdigest(), names.setdefault(meta.st_ino, below.hex())]
    if stat.S_ISLNK(meta.st_mode):
        said.append(os.readlink(path).hex())
    else:
        said.append(sorted((name, os.getxattr(path, name).hex()) for name in os.listxattr(path)))
    print(*said)
    if stat.S_ISDIR(meta.st_mode):
        for name in sorted(os.listdir(path)):
            tell(path + b"/" + name, below + b"/" + name)
tell(os.fsencode(sys.argv[1]), b"")
"#;

fn told(top: &Path) -> String {
    let output = Command::new(ward::python()).args(["-I", "-c", TELL]).arg(top).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Keeps a tree, lets it be changed, and brings it back, in place and elsewhere.
fn round_trip(build: &[Deed], change: &[Deed]) {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    fs::create_dir_all(&top).unwrap();
    for deed in build {
        let _ = act(&top, deed);
    }
    let before = told(&top);
    let id = create(&sandbox, &[&top]);
    assert_eq!(told(&top), before, "a snapshot changes nothing");
    for deed in change {
        let _ = act(&top, deed);
    }
    let changed = told(&top);
    let undo =
        restore(&sandbox, &[&id, &"--exact", &"--keep-setuid"]).of("action").pop().unwrap()["data"]["undo"].as_str().map(str::to_owned);
    assert_eq!(told(&top), before);
    assert!(vault::left_over(sandbox.root()).is_empty());

    let to = sandbox.work("elsewhere");
    restore(&sandbox, &[&id, &"--keep-setuid", &"--to", &to]).ok();
    assert_eq!(told(&to.join(top.strip_prefix("/").unwrap())), before);
    // And back again, but for the times of folders, and for what files in a folder that came since have in common with others.
    if let Some(undo) = undo {
        restore(&sandbox, &[&undo, &"--exact", &"--keep-setuid"]).ok();
        let contents = |told: &str| -> Vec<String> {
            let kept = |(at, word): (usize, &str)| -> Option<String> { (!matches!(at, 4 | 7)).then(|| word.to_owned()) };
            told.lines().map(|line| line.split(' ').enumerate().filter_map(kept).collect::<Vec<_>>().join(" ")).collect()
        };
        assert_eq!(contents(&told(&top)), contents(&changed));
    }
    ran(&sandbox, 0, &[&"verify"]).ok();
}

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { cases: count, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(24))]
    #[test]
    fn what_was_kept_comes_back(build in prop::collection::vec(building(), 1..30), change in prop::collection::vec(changing(), 0..20)) {
        round_trip(&build, &change);
    }
}

proptest! {
    #![proptest_config(cases(1000))]
    #[test]
    #[ignore = "takes minutes"]
    fn what_was_kept_comes_back_a_thousand_times(
        build in prop::collection::vec(building(), 1..60),
        change in prop::collection::vec(changing(), 0..40),
    ) {
        round_trip(&build, &change);
    }
}

#[test]
fn a_sparse_file_takes_no_more_room_than_it_did() {
    use std::os::unix::fs::MetadataExt as _;
    let sandbox = Sandbox::new();
    let path = sandbox.work("top/sparse");
    vault::file(&path, "");
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(1 << 39)).unwrap();
    (&file).write_all(b"in the middle").unwrap();
    drop(file);
    let blocks = path.metadata().unwrap().blocks();
    create(&sandbox, &[&path]);
    fs::remove_file(&path).unwrap();
    restore(&sandbox, &[&"latest"]).ok();
    let meta = path.metadata().unwrap();
    assert_eq!((meta.len(), meta.blocks() <= blocks), (1 << 40, true));
    let plan = ran(&sandbox, 0, &[&"restore", &"latest"]);
    assert_eq!(vault::ending(&plan).1, "1 unchanged");
}

/// Deeper than half the number of files that a process may have open.
#[test]
fn a_deep_tree_comes_back_and_goes() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    let deep = top.join("d/".repeat(600));
    vault::file(&deep.join("x"), "x");
    let id = create(&sandbox, &[&top]);
    fs::remove_dir_all(top.join("d")).unwrap();
    restore(&sandbox, &[&id]).ok();
    assert_eq!(fs::read_to_string(deep.join("x")).unwrap(), "x");
    // Now it is what goes.
    fs::rename(&top, sandbox.work("away")).unwrap();
    fs::create_dir(&top).unwrap();
    let id = create(&sandbox, &[&top]);
    fs::remove_dir(&top).unwrap();
    fs::rename(sandbox.work("away"), &top).unwrap();
    restore(&sandbox, &[&id, &"--exact"]).ok();
    assert_eq!(fs::read_dir(&top).unwrap().count(), 0);
}

#[test]
fn an_acl_comes_back_as_it_was() {
    let sandbox = Sandbox::new();
    let path = sandbox.work("top/x");
    vault::file(&path, "x");
    // acl(5) as the kernel has it: user::rw-, user:1234:r--, group::r--, mask::r--, other::---
    let acl: Vec<u8> = [(1_u16, 6_u16, u32::MAX), (2, 4, 1234), (4, 4, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)].iter().fold(
        2_u32.to_le_bytes().to_vec(),
        |mut acl, (tag, perm, id)| {
            acl.extend(tag.to_le_bytes());
            acl.extend(perm.to_le_bytes());
            acl.extend(id.to_le_bytes());
            acl
        },
    );
    if lsetxattr(&path, "system.posix_acl_access", &acl, XattrFlags::empty()).is_err() {
        return vault::skipped("an_acl_comes_back_as_it_was", "this file system has no ACLs");
    }
    let before = vault::inventory(&sandbox.work("top"));
    create(&sandbox, &[&sandbox.work("top")]);
    lremovexattr(&path, "system.posix_acl_access").unwrap();
    fs::write(&path, "y").unwrap();
    restore(&sandbox, &[&"latest"]).ok();
    vault::same(&before, &vault::inventory(&sandbox.work("top")));
}
