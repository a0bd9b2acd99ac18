//! What lies in an environment may be anything, of any length, and closed to whoever looks: `venv-probe` ends, and claims no more than it saw.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::{Sandbox, arg, binary};

use crate::corpus::bare;

/// One environment in a sandbox.
fn sandbox() -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new();
    let root = sandbox.work("v");
    bare(&root);
    (sandbox, root)
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").args(["-m", "755"]).arg(path).status().unwrap().success());
}

fn write(path: &Path, text: &str) {
    fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn library(root: &Path) -> PathBuf {
    fs::read_dir(root.join("lib")).unwrap().next().unwrap().unwrap().path()
}

/// Runs the probe, which must end within some seconds.
fn probe(sandbox: &Sandbox, args: &[&Path]) -> Vec<Value> {
    let mut child = sandbox.tool("venv-probe", args).start();
    let deadline = Instant::now() + Duration::from_secs(20);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it does not end");
        }
        sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(tests::schema::check).collect()
}

/// Runs it from files alone as somebody whom modes concern: root may read everything.
fn probe_as_nobody(sandbox: &Sandbox, path: &Path) -> Vec<Value> {
    if !rustix::process::geteuid().is_root() {
        return probe(sandbox, &[Path::new("--spawn"), Path::new("never"), path]);
    }
    mode(sandbox.root(), 0o755);
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"].map(arg);
    let probe = [arg(binary("venv-probe")), arg("--spawn"), arg("never"), arg(path)];
    sandbox.command("setpriv", nobody.into_iter().chain(probe)).run().records()
}

fn codes(records: &[Value], subject: &Path) -> (String, Vec<String>) {
    let is_it = |record: &&Value| record["type"] == "venv.probe" && record["subject"] == subject.to_str().unwrap();
    let data = &records.iter().find(is_it).unwrap_or_else(|| panic!("no record of {}: {records:#?}", subject.display()))["data"];
    let codes = data["faults"].as_array().unwrap().iter().map(|fault| fault["code"].as_str().unwrap().to_owned());
    (data["status"].as_str().unwrap().to_owned(), codes.collect())
}

fn has(records: &[Value], kind: &str, code: &str) -> bool {
    records.iter().any(|record| record["type"] == kind && record["data"]["code"] == code)
}

#[test]
fn pipes_keep_nobody_waiting() {
    let (sandbox, root) = sandbox();
    let work = sandbox.work("");
    fs::create_dir_all(work.join("a")).unwrap();
    fs::create_dir_all(work.join("b/bin")).unwrap();
    pipe(&work.join("a/pyvenv.cfg"));
    pipe(&work.join("b/.venv"));
    pipe(&root.join("bin/script"));
    fs::remove_file(root.join("bin/activate")).unwrap();
    pipe(&root.join("bin/activate"));
    let records = probe(&sandbox, &[&work]);
    assert_eq!(codes(&records, &work.join("a")), ("unknown".into(), vec!["unreadable".into()]));
    assert_eq!(codes(&records, &root), ("healthy".into(), vec![]));
    fs::remove_file(root.join("bin/python")).unwrap();
    pipe(&root.join("bin/python"));
    assert_eq!(codes(&probe(&sandbox, &[&work]), &root).0, "broken");
}

#[test]
fn what_has_no_end_is_unknown_and_not_healthy() {
    let (sandbox, root) = sandbox();
    let config = root.join("pyvenv.cfg");
    fs::OpenOptions::new().write(true).open(&config).unwrap().set_len(3 << 30).unwrap();
    let unreadable = ("unknown".to_owned(), vec!["unreadable".to_owned()]);
    assert_eq!(codes(&probe(&sandbox, &[&root]), &root), unreadable);
    fs::remove_file(&config).unwrap();
    symlink("/dev/zero", &config).unwrap();
    assert_eq!(codes(&probe(&sandbox, &[&root]), &root), unreadable);
}

#[test]
fn a_list_of_files_has_a_limit_and_speaks_of_the_environment_alone() {
    let (sandbox, root) = sandbox();
    let info = library(&root).join("site-packages/a-1.dist-info");
    fs::create_dir(&info).unwrap();
    write(&info.join("METADATA"), "Name: a\nVersion: 1\n");
    let huge = sandbox.work("huge");
    fs::File::create(&huge).unwrap().set_len(1 << 40).unwrap();
    let hash = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
    write(&info.join("RECORD"), &format!("{},{hash},\n{},{hash},{}\n", huge.display(), "../../../../huge", 1_u64 << 40));
    let deep = |root: &Path| codes(&probe(&sandbox, &[Path::new("--deep"), root]), root);
    assert_eq!(deep(&root), ("healthy".into(), vec![]));
    write(&info.join("RECORD"), "gone/__init__.py,,\n");
    assert_eq!(deep(&root), ("broken".into(), vec!["package-files-missing".into()]));
    fs::OpenOptions::new().write(true).open(info.join("RECORD")).unwrap().set_len(3 << 30).unwrap();
    assert_eq!(deep(&root), ("unknown".into(), vec!["package-unreadable".into()]));
}

#[test]
fn requirements_that_include_themselves_have_an_end() {
    let (sandbox, root) = sandbox();
    let work = sandbox.work("");
    fs::create_dir_all(work.join("x")).unwrap();
    write(&work.join("requirements.txt"), "-r ../work/./x/../requirements.txt\n-r x/../requirements.txt\n");
    assert_eq!(codes(&probe(&sandbox, &[Path::new("--deep"), &root]), &root).0, "healthy");
}

#[test]
fn what_is_closed_is_not_gone() {
    for closed in ["lib", "lib/python", "lib/python/site-packages", "lib/python/site-packages/pip"] {
        let (sandbox, root) = sandbox();
        let closed = match closed.strip_prefix("lib/python") {
            Some(below) => library(&root).join(below.trim_start_matches('/')),
            None => root.join(closed),
        };
        let pip = library(&root).join("site-packages/pip");
        fs::create_dir(&pip).unwrap();
        write(&root.join("bin/pip"), "");
        mode(&closed, 0o000);
        let (status, codes) = codes(&probe_as_nobody(&sandbox, &root), &root);
        mode(&closed, 0o755);
        assert_eq!(status, "unknown", "{}: {codes:?}", closed.display());
        assert!(codes.contains(&"unreadable".to_owned()), "{}: {codes:?}", closed.display());
    }
}

#[test]
fn scripts_and_redirections_into_a_closed_folder_are_not_dangling() {
    let (sandbox, root) = sandbox();
    let (work, closed) = (sandbox.work(""), sandbox.work("closed"));
    fs::create_dir_all(closed.join("v/bin")).unwrap();
    fs::create_dir_all(work.join("a")).unwrap();
    fs::create_dir_all(work.join("b")).unwrap();
    write(&root.join("bin/tool"), &format!("#!{}\n", closed.join("v/bin/python").display()));
    symlink(closed.join("v"), work.join("a/.venv")).unwrap();
    write(&work.join("b/.venv"), closed.join("v").to_str().unwrap());
    mode(&closed, 0o000);
    let records = probe_as_nobody(&sandbox, &work);
    mode(&closed, 0o755);
    let (status, codes) = codes(&records, &root);
    assert!(status == "unknown" && codes.iter().all(|code| code == "unreadable"), "{codes:?}");
    let names_it = |record: &Value| record.to_string().contains("whether the scripts in bin work is not known");
    assert!(records.iter().any(names_it), "{records:#?}");
    for below in ["a/.venv", "b/.venv"] {
        let path = work.join(below);
        let of_it: Vec<_> = records.iter().filter(|record| record["subject"] == path.to_str().unwrap()).collect();
        assert!(of_it.len() == 1 && of_it[0]["type"] == "error" && of_it[0]["data"]["code"] == "path.unreadable", "{records:#?}");
    }
}

#[test]
fn a_name_that_starts_something_else_is_a_fault() {
    let (sandbox, root) = sandbox();
    fs::remove_file(root.join("bin/python")).unwrap();
    symlink(fs::canonicalize(root.join("bin/python3")).unwrap(), root.join("bin/python")).unwrap();
    fs::remove_file(root.join("bin/python3")).unwrap();
    symlink("/bin/true", root.join("bin/python3")).unwrap();
    assert!(codes(&probe(&sandbox, &[&root]), &root).1.contains(&"interpreter-names-differ".to_owned()));
}

#[test]
fn a_virtualenv_from_before_version_20_has_no_config_and_misses_none() {
    let (sandbox, root) = sandbox();
    fs::remove_file(root.join("pyvenv.cfg")).unwrap();
    let base = fs::canonicalize(root.join("bin/python")).unwrap();
    let prefix = base.parent().and_then(Path::parent).unwrap();
    let library = library(&root);
    symlink(prefix.join("lib").join(library.file_name().unwrap()).join("os.py"), library.join("os.py")).unwrap();
    write(&library.join("orig-prefix.txt"), prefix.to_str().unwrap());
    let records = probe(&sandbox, &[Path::new("--spawn"), Path::new("never"), &sandbox.work("")]);
    assert_eq!(codes(&records, &root), ("healthy".into(), vec![]));
}

#[test]
fn a_plain_file_is_named_as_the_mistake_that_it_is() {
    let (sandbox, root) = sandbox();
    let records = probe(&sandbox, &[&root.join("bin/activate"), &root]);
    assert!(has(&records, "error", "path.not-a-folder"), "{records:#?}");
    assert_eq!(codes(&records, &root).0, "healthy");
}
