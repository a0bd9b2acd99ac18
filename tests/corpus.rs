//! Environments that `scripts/broken-venvs` makes with the real tools, each broken in one way.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tests::workspace;

/// Makes the named environments below `folder`; names that this machine cannot make panic, since a test that is skipped proves nothing.
pub(crate) fn make(folder: &Path, names: &[&str]) {
    let output = Command::new(workspace().join("scripts/broken-venvs")).arg(folder).args(names).output().expect("bash starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "broken-venvs failed: {said}");
    assert!(!said.contains("skipped"), "this machine cannot make them all: {said}");
}

/// An environment without pip or packages: the cheapest real one.
pub(crate) fn bare(path: &Path) {
    let status = Command::new("python3").args(["-m", "venv", "--without-pip"]).arg(path).status().unwrap();
    assert!(status.success());
}

/// One whose base interpreter is gone.
pub(crate) fn dead(path: &Path) {
    bare(path);
    for entry in fs::read_dir(path.join("bin")).unwrap().map(Result::unwrap).filter(|entry| entry.file_type().unwrap().is_symlink()) {
        fs::remove_file(entry.path()).unwrap();
    }
    symlink("python3", path.join("bin/python")).unwrap();
    symlink("/nonexistent/bin/python3", path.join("bin/python3")).unwrap();
}

/// All of them, made once for the tests that only look.
pub(crate) fn all() -> &'static Path {
    static ALL: OnceLock<PathBuf> = OnceLock::new();
    ALL.get_or_init(|| {
        let folder = target().join("test-corpus");
        // What an earlier run left behind may have been made by an older script.
        match fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => panic!("{}: {e}", folder.display()),
            _ => {}
        }
        make(&folder, &[]);
        folder
    })
}

fn target() -> PathBuf {
    tests::binary("venv-probe").parent().and_then(Path::parent).expect("binaries lie in target").to_owned()
}
