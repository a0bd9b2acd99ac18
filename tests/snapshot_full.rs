//! A disk that is full at every point of a snapshot and of a restore: the store is as before, and not one live file is changed or lost.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::Sandbox;

use crate::vault::{self, create, file, inventory, ran, restore, same, snapshot};

/// A small file system of its own, gone afterwards.
struct Disk(PathBuf);

impl Disk {
    /// `None` where this process may not mount one, which is said.
    fn new(test: &str, at: PathBuf, megabytes: u32) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let size = format!("size={megabytes}m,mode=0700");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).output().is_ok_and(|ran| ran.status.success());
        if mounted {
            return Some(Self(at));
        }
        vault::skipped(test, "this process may not mount a tmpfs");
        None
    }

    fn free(&self) -> u64 {
        let disk = rustix::fs::statvfs(&self.0).unwrap();
        disk.f_bavail * disk.f_frsize
    }

    /// Fills it until so many bytes are free.
    fn leave(&self, bytes: u64) {
        let ballast = self.0.join("ballast");
        let _ = fs::remove_file(&ballast);
        fs::write(ballast, vec![1; usize::try_from(self.free().saturating_sub(bytes)).unwrap()]).unwrap();
    }

    fn empty(&self) {
        let _ = fs::remove_file(self.0.join("ballast"));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

const FILES: u64 = 10;
const SIZE: u64 = 256 << 10;

/// Files that no compression makes smaller.
fn fill(top: &Path, seed: &str) {
    for number in 0..FILES {
        let content = (0..SIZE / 64).map(|part| vault::sha256(format!("{seed} {number} {part}").as_bytes())).collect::<String>();
        let raw: Vec<u8> =
            content.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
        file(&top.join(format!("{number}")), [raw.clone(), raw.into_iter().rev().collect()].concat());
    }
}

/// From nothing to more than enough: each tenth, and the last steps one block at a time.
fn steps(needed: u64) -> impl Iterator<Item = u64> {
    (0..=10).map(move |tenth| needed / 10 * tenth).chain((0..16).map(move |block| needed + block * 4096)).chain([needed * 2])
}

#[test]
fn a_full_disk_leaves_the_store_as_it_was() {
    let sandbox = Sandbox::new();
    let Some(disk) = Disk::new("a_full_disk_leaves_the_store_as_it_was", sandbox.root().join("disk"), 24) else { return };
    let (top, store) = (sandbox.work("top"), disk.0.join("store"));
    file(&top.join("small"), "small");
    create(&sandbox, &[&"--store", &store, &top]);
    fill(&top, "new");
    let (mut failed, mut done) = (0, 0);
    for free in steps(FILES * SIZE) {
        disk.leave(free);
        let before = inventory(&store);
        let made = snapshot(&sandbox, &[&"create", &"--store", &store, &"--label", &"large", &top]).run();
        ran(&sandbox, 0, &[&"verify", &"--store", &store]).ok();
        if made.code == Some(0) {
            done += 1;
            disk.empty();
            ran(&sandbox, 0, &[&"delete", &"--store", &store, &"large", &"--force"]).ok();
            continue;
        }
        failed += 1;
        assert_eq!(made.code, Some(2), "{free}: {}", made.stderr);
        assert!(made.stderr.contains("room") || made.stderr.contains("No space left"), "{free}: {}", made.stderr);
        // The cache may have been read, and is disposable.
        let contents = |found: &vault::Inventory| -> Vec<(PathBuf, String)> {
            let kept = |path: &Path| !path.starts_with("cache");
            let what = |what: &str| what.split(' ').take(2).collect::<Vec<_>>().join(" ");
            found.iter().filter(|(path, _)| kept(path)).map(|(path, found)| (path.clone(), what(found))).collect()
        };
        assert_eq!(contents(&before), contents(&inventory(&store)), "{free}");
    }
    assert!(failed >= 10 && done >= 1, "{failed} failed, {done} were done");
}

#[test]
fn a_full_disk_changes_and_loses_no_live_file() {
    let sandbox = Sandbox::new();
    let Some(disk) = Disk::new("a_full_disk_changes_and_loses_no_live_file", sandbox.root().join("disk"), 24) else { return };
    let top = disk.0.join("top");
    fill(&top, "old");
    let id = create(&sandbox, &[&top]);
    fill(&top, "new");
    fs::create_dir(top.join("added")).unwrap();
    let (mut failed, mut done) = (0, 0);
    for free in steps(FILES * SIZE) {
        disk.leave(free);
        let before = inventory(&top);
        let restored = snapshot(&sandbox, &[&"restore", &id, &"--exact", &"--force"]).run();
        if restored.code == Some(0) {
            done += 1;
            assert!(!top.join("added").exists());
            disk.empty();
            ran(&sandbox, 0, &[&"delete", &"auto-before-restore", &"--force"]).ok();
            fill(&top, "new");
            fs::create_dir(top.join("added")).unwrap();
            continue;
        }
        failed += 1;
        assert_eq!(restored.code, Some(1), "{free}: {}", restored.stderr);
        let (_, text) = vault::ending(&restored);
        assert!(text.contains("No space left") && text.contains("everything is as before"), "{free}: {text}");
        same(&before, &inventory(&top));
        ran(&sandbox, 0, &[&"recover"]).ok();
    }
    assert!(failed >= 9 && done >= 1, "{failed} failed, {done} were done");
    disk.empty();
    restore(&sandbox, &[&id, &"--exact"]).ok();
    ran(&sandbox, 0, &[&"verify"]).ok();
}
