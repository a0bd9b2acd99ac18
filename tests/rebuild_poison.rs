//! uv shares one inode between its cache and every environment: who edits a file in one damages all of them, and the cache too.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tests::Sandbox;

use crate::ward;

/// An environment with one package, linked into uv's cache.
fn linked(sandbox: &Sandbox, name: &str) -> PathBuf {
    let venv = sandbox.work(name).join(".venv");
    ward::wheel(sandbox, "gadget", "1.0");
    ward::by_uv(sandbox, &venv, &[]);
    ward::install(sandbox, &venv, &["--link-mode=hardlink", "gadget"]);
    let links = module(&venv).metadata().unwrap().nlink();
    assert!(links > 1, "uv makes no hard links here");
    venv
}

fn module(venv: &Path) -> PathBuf {
    ward::packages(venv).join("gadget/__init__.py")
}

fn damage(venv: &Path) {
    OpenOptions::new().append(true).open(module(venv)).unwrap().write_all(b"x(\n").unwrap();
    assert_eq!(ward::damaged(venv), ["modified gadget/__init__.py"]);
}

/// Leaves the cache as the only place where the package can be had.
fn take_source_away(sandbox: &Sandbox) {
    fs::remove_dir_all(ward::wheels(sandbox)).unwrap();
}

#[test]
fn a_plain_reinstall_by_hand_brings_the_damage_back() {
    // What all of this is for: were uv to verify its cache one day, these tests would show nothing any more.
    let sandbox = Sandbox::new();
    let venv = linked(&sandbox, "a");
    damage(&venv);
    ward::install(&sandbox, &venv, &["--reinstall", "--offline", "gadget"]);
    assert_eq!(ward::damaged(&venv), ["modified gadget/__init__.py"]);
}

#[test]
fn a_package_is_restored_from_its_source_and_not_from_the_damaged_cache() {
    let sandbox = Sandbox::new();
    let (venv, sibling) = (linked(&sandbox, "a"), linked(&sandbox, "b"));
    damage(&venv);
    let inode = module(&sibling).metadata().unwrap().ino();
    let quick = ward::told(&ward::force(&sandbox, &[], &venv).code(0), "mend", "skipped");
    assert!(quick["text"].as_str().unwrap().starts_with("healthy"), "a quick look sees no damage: {quick}");
    ward::told(&ward::force(&sandbox, &["--restore"], &venv).code(0), "packages", "done");
    assert_eq!(ward::damaged(&venv), [""; 0]);
    ward::is_healthy(&sandbox, &venv);
    // The sibling is another patient: its file was not written to.
    assert_eq!((module(&sibling).metadata().unwrap().ino(), ward::damaged(&sibling).len()), (inode, 1));
}

#[test]
fn a_rebuild_does_not_bring_the_damage_of_another_environment_in() {
    let sandbox = Sandbox::new();
    let (venv, other) = (linked(&sandbox, "a"), linked(&sandbox, "b"));
    // Of its own, and whole; only the interpreter is gone.
    let (path, bytes) = (module(&venv), fs::read(module(&venv)).unwrap());
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    ward::kill(&venv);
    damage(&other);
    ward::told(&ward::force(&sandbox, &["--full"], &venv).code(0), "rebuild", "done");
    assert_eq!(ward::damaged(&venv), [""; 0]);
    ward::is_healthy(&sandbox, &venv);
}

#[test]
fn where_the_damaged_cache_is_all_there_is_nothing_is_done() {
    for args in [&["--restore"][..], &["--restore", "--full"]] {
        let sandbox = Sandbox::new();
        let venv = linked(&sandbox, "a");
        damage(&venv);
        take_source_away(&sandbox);
        let old = ward::contents(&venv);
        let ran = ward::force(&sandbox, args, &venv).code(1);
        ward::told(&ran, "rebuild", "failed");
        ward::same(&old, &ward::contents(&venv));
        assert_eq!(ward::names(venv.parent().unwrap()), [".venv"]);
    }
}

#[test]
fn a_dead_environment_is_not_rebuilt_with_damage() {
    let sandbox = Sandbox::new();
    let venv = linked(&sandbox, "a");
    damage(&venv);
    ward::kill(&venv);
    take_source_away(&sandbox);
    let ran = ward::force(&sandbox, &["--full"], &venv).code(1);
    let data = ward::action(&ran)["data"].take();
    assert_eq!((&data["outcome"], &data["verified"]), (&"failed".into(), &false.into()), "{data}");
    // Whatever stands there now is the old one, or holds nothing that is damaged.
    assert!(data["changed"] == false || ward::damaged(&venv).is_empty(), "{data}");
}
