//! What somebody did between a crash and the next run is theirs: nothing of it is undone or deleted.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::{Sandbox, arg};

use crate::ward;

const ID: &str = "20260101_030000-abcdef";
/// SHA-256 of `new`, as manifests have it.
const NEW: &str = "sha256=EVB6Di9eadXfpApiob17buV-a82FxnybhDGzb_8hxDc";

fn identity(path: &Path) -> Value {
    let meta = fs::symlink_metadata(path).unwrap();
    json!({"dev": meta.dev(), "ino": meta.ino()})
}

/// The state folder of a run that died: what it had in hand, and what it had saved.
fn dies(sandbox: &Sandbox, venv: &Path, step: &Value, saved: &[(&str, &[u8])]) {
    let state = sandbox.root().join("state/mendline");
    let undo = state.join("undo").join(ID);
    fs::create_dir_all(state.join("journal")).unwrap();
    fs::create_dir_all(&undo).unwrap();
    for (name, bytes) in saved {
        fs::write(undo.join(name), bytes).unwrap();
    }
    let journal = json!({"v": 1, "id": ID, "venv": venv, "verb": "relocate", "step": step});
    fs::write(state.join(format!("journal/{ID}.json")), journal.to_string()).unwrap();
    for folder in [&state, &state.join("journal"), &state.join("undo"), &undo] {
        fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    }
}

/// The next run, about nothing in particular.
fn settled(sandbox: &Sandbox) -> String {
    let ran = ward::rebuild(sandbox, [arg("--force")]).run().code(0);
    let actions = ran.of("action");
    assert_eq!(actions.len(), 1, "{}", ran.text());
    assert_eq!(actions[0]["data"]["outcome"], "undone", "{}", ran.text());
    actions[0]["data"]["text"].as_str().unwrap().to_owned()
}

#[test]
fn a_new_environment_that_was_used_meanwhile_is_kept() {
    let sandbox = Sandbox::new();
    let (venv, aside) = swapping(&sandbox);
    fs::write(venv.join("checkpoint"), "of this night").unwrap();

    let text = settled(&sandbox);
    assert!(venv.join("old").exists() && !aside.exists());
    let kept = ward::backups(&venv);
    assert_eq!(kept.len(), 1, "{text}");
    assert!(text.contains(kept[0].to_str().unwrap()), "{text}");
    assert_eq!(fs::read_to_string(kept[0].join("checkpoint")).unwrap(), "of this night");
}

/// As a rebuild leaves it that dies while the new tree is in place.
fn swapping(sandbox: &Sandbox) -> (PathBuf, PathBuf) {
    let venv = sandbox.work("project/.venv");
    let aside = venv.with_file_name(format!(".venv.mendline-{ID}"));
    for (tree, name) in [(&venv, "new"), (&aside, "old")] {
        fs::create_dir_all(tree).unwrap();
        fs::write(tree.join(name), "").unwrap();
    }
    let step = json!({"at": "swapping", "aside": aside, "old": identity(&aside), "new": identity(&venv)});
    dies(sandbox, &venv, &step, &[]);
    (venv, aside)
}

#[test]
fn a_new_environment_that_was_used_meanwhile_is_kept_even_by_a_run_that_dies_in_turn() {
    let sandbox = Sandbox::new();
    let (venv, _) = swapping(&sandbox);
    fs::write(venv.join("checkpoint"), "of this night").unwrap();
    // Dies when the old one is back and the new one is not yet a backup.
    let words = ["-f", "-qq", "-b", "execve", "-e", "inject=renameat2:signal=SIGKILL:when=2", "-o", "/dev/null"].map(arg);
    let killed = sandbox.command("strace", words.into_iter().chain([arg(tests::binary("venv-rebuild")), arg("--force")])).run();
    assert_eq!(killed.signal, Some(9), "{}", killed.stderr);
    assert!(venv.join("old").exists() && ward::backups(&venv).is_empty());

    settled(&sandbox);
    let kept = ward::backups(&venv);
    assert_eq!(kept.len(), 1);
    assert_eq!(fs::read_to_string(kept[0].join("checkpoint")).unwrap(), "of this night");
}

#[test]
fn what_was_made_in_place_of_either_stays_and_the_old_one_is_kept() {
    let sandbox = Sandbox::new();
    let (venv, aside) = swapping(&sandbox);
    fs::rename(&venv, venv.with_file_name("away")).unwrap();
    fs::create_dir(&venv).unwrap();
    let text = settled(&sandbox);
    assert!(ward::names(&venv).is_empty() && !aside.exists());
    let kept = ward::backups(&venv);
    assert!(kept[0].join("old").exists() && text.contains(kept[0].to_str().unwrap()), "{text}");
}

#[test]
fn a_change_whose_project_is_gone_is_over() {
    for step in ["patching", "swapping"] {
        let sandbox = Sandbox::new();
        let venv = if step == "patching" { patched(&sandbox) } else { swapping(&sandbox).0 };
        fs::remove_dir_all(venv.parent().unwrap()).unwrap();
        let text = settled(&sandbox);
        assert!(text.ends_with("the folder that it was in is gone"), "{text}");
    }
}

#[test]
fn a_change_that_a_read_only_disk_did_not_let_begin_is_over() {
    let sandbox = Sandbox::new();
    let venv = sandbox.work("project/.venv");
    ward::by_uv(&sandbox, &venv, &[]);
    ward::kill(&venv);
    let as_root = ["--map-root-user"].into_iter().filter(|_| !rustix::process::geteuid().is_root()).map(arg);
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && venv-rebuild --force \"$1/.venv\"";
    for _ in 0..2 {
        let words = [arg("--mount"), arg("bash"), arg("-c"), arg(script), arg("-"), arg(venv.parent().unwrap())];
        let ran = ward::at_wheels(&sandbox, sandbox.command("unshare", as_root.clone().chain(words))).run().code(1);
        let action = ward::action(&ran);
        assert!(action["data"].to_string().contains("Read-only file system"), "{action}");
        assert!(ward::names(&sandbox.root().join("state/mendline/journal")).is_empty());
    }
}

/// An environment in which two files were replaced by a run that died, and the folder that it stands in.
fn patched(sandbox: &Sandbox) -> PathBuf {
    let venv = sandbox.work("project/.venv");
    fs::create_dir_all(venv.join("bin")).unwrap();
    fs::write(venv.join("bin/activate"), "new").unwrap();
    fs::write(venv.join("bin/pip"), "new").unwrap();
    for name in ["activate", "pip"] {
        fs::set_permissions(venv.join("bin").join(name), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    }
    let file = |name: &str, saved: &str| json!({"path": format!("bin/{name}"), "old": {"was": "file", "saved": saved, "mode": 0o644}, "new": format!("file 644 {NEW}")});
    let manifest = json!({"v": 1, "id": ID, "venv": venv, "root": identity(&venv), "verb": "relocate", "files": [file("activate", "0"), file("pip", "1")]});
    let manifest = manifest.to_string();
    dies(sandbox, &venv, &json!({"at": "patching"}), &[("0", b"old"), ("1", b"old"), ("manifest.json", manifest.as_bytes())]);
    venv
}

#[test]
fn a_file_that_was_edited_meanwhile_stays() {
    let sandbox = Sandbox::new();
    let venv = patched(&sandbox);
    fs::write(venv.join("bin/activate"), "new\nexport MINE=1\n").unwrap();
    let text = settled(&sandbox);
    assert!(text.contains("bin/activate"), "{text}");
    assert_eq!(fs::read_to_string(venv.join("bin/activate")).unwrap(), "new\nexport MINE=1\n");
    assert_eq!(fs::read_to_string(venv.join("bin/pip")).unwrap(), "old");
    let kept = sandbox.root().join(format!("state/mendline/undo/{ID}/0"));
    assert_eq!(fs::read_to_string(kept).unwrap(), "old", "the original of a file that stays is kept");
}

#[test]
fn files_that_nobody_touched_go_back() {
    let sandbox = Sandbox::new();
    let venv = patched(&sandbox);
    settled(&sandbox);
    assert_eq!(fs::read_to_string(venv.join("bin/activate")).unwrap(), "old");
    assert!(!sandbox.root().join(format!("state/mendline/undo/{ID}")).exists());
}

#[test]
fn another_environment_in_its_place_is_left_alone() {
    let sandbox = Sandbox::new();
    let venv = patched(&sandbox);
    // Away and not removed, so that the new one cannot get its number.
    fs::rename(&venv, venv.with_file_name("away")).unwrap();
    fs::create_dir_all(venv.join("bin")).unwrap();
    fs::write(venv.join("bin/activate"), "new").unwrap();
    fs::set_permissions(venv.join("bin/activate"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let text = settled(&sandbox);
    assert!(text.contains("another environment"), "{text}");
    assert_eq!(fs::read_to_string(venv.join("bin/activate")).unwrap(), "new");
}

#[test]
fn an_environment_that_was_made_anew_stays_even_if_it_looks_the_same() {
    let sandbox = Sandbox::new();
    let venv = sandbox.work("project/.venv");
    ward::by_uv(&sandbox, &venv, &[]);
    let cfg = fs::read(venv.join("pyvenv.cfg")).unwrap();
    fs::write(venv.join("pyvenv.cfg"), "home = /gone\n").unwrap();
    ward::kill(&venv);
    // Dies when the links are replaced and nobody has looked at it yet.
    let words = ["-f", "-qq", "-b", "execve", "-e", "inject=wait4,waitid:signal=SIGKILL:when=1", "-o", "/dev/null"].map(arg);
    let rest = [arg(tests::binary("venv-rebuild")), arg("--force"), arg(&venv)];
    drop(ward::at_wheels(&sandbox, sandbox.command("strace", words.into_iter().chain(rest))).run());
    fs::remove_dir_all(&venv).unwrap();
    ward::by_uv(&sandbox, &venv, &[]);
    let made = ward::contents(&venv);
    drop(ward::rebuild(&sandbox, [arg("--force")]).run().code(0));
    ward::same(&made, &ward::contents(&venv));
    assert_eq!(fs::read(venv.join("pyvenv.cfg")).unwrap(), cfg);
    ward::is_healthy(&sandbox, &venv);
}
