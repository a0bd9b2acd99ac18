//! What the tests of `snapshot` share: runs of it, trees to keep, and what stands in a tree, told without its code.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{lgetxattr, llistxattr};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tests::{Ran, Run, Sandbox};

/// Words of a command line, paths and text together.
pub(crate) type Words<'a> = &'a [&'a dyn AsRef<OsStr>];

/// Prepares a run of `snapshot`.
pub(crate) fn snapshot(sandbox: &Sandbox, words: Words<'_>) -> Run {
    sandbox.tool("snapshot", words.iter().copied())
}

/// Runs `snapshot` and insists on its exit status.
#[track_caller]
pub(crate) fn ran(sandbox: &Sandbox, code: i32, words: Words<'_>) -> Ran {
    snapshot(sandbox, words).run().code(code)
}

/// Makes a snapshot, which must be whole; returns its id.
#[track_caller]
pub(crate) fn create(sandbox: &Sandbox, words: Words<'_>) -> String {
    let words: Vec<&dyn AsRef<OsStr>> = std::iter::once(&"create" as &dyn AsRef<OsStr>).chain(words.iter().copied()).collect();
    id(&ran(sandbox, 0, &words))
}

/// The id of the last snapshot that a run tells of.
#[track_caller]
pub(crate) fn id(ran: &Ran) -> String {
    ran.of("snapshot").last().expect("it tells of a snapshot")["subject"].as_str().unwrap().to_owned()
}

/// Restores and insists that it is done.
#[track_caller]
pub(crate) fn restore(sandbox: &Sandbox, words: Words<'_>) -> Ran {
    let words: Vec<&dyn AsRef<OsStr>> = [&"restore" as &dyn AsRef<OsStr>, &"--force"].into_iter().chain(words.iter().copied()).collect();
    ran(sandbox, 0, &words)
}

/// Insists that a restore fails with the reason and that the tree is as before, with nothing of ours in it.
#[track_caller]
pub(crate) fn refused(sandbox: &Sandbox, code: i32, words: Words<'_>, reason: &str, tree: &Path) -> Ran {
    let before = inventory(tree);
    let words: Vec<&dyn AsRef<OsStr>> = [&"restore" as &dyn AsRef<OsStr>, &"--force"].into_iter().chain(words.iter().copied()).collect();
    let ran = ran(sandbox, code, &words);
    assert!(ran.text().contains(reason), "no `{reason}` in\n{}{}", ran.text(), ran.stderr);
    same(&before, &inventory(tree));
    ran
}

/// The folder of the store.
pub(crate) fn store(sandbox: &Sandbox) -> PathBuf {
    sandbox.root().join("state/mendline/snapshots")
}

/// What a snapshot's manifest says, line by line, read without our code.
pub(crate) fn manifest(sandbox: &Sandbox, id: &str) -> Vec<Value> {
    let bytes = fs::read(store(sandbox).join("manifests").join(format!("{id}.jsonl.zst"))).unwrap();
    let text = zstd::decode_all(&bytes[..]).unwrap();
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// The steps and the summary of a restore: each change with what is below `top`, sorted as they were told.
#[track_caller]
pub(crate) fn changes(ran: &Ran, top: &Path) -> Vec<(String, String)> {
    let actions = ran.of("action").into_iter().filter(|action| action["data"]["detail"]["change"].is_string());
    let change = |action: Value| {
        let path = action["subject"].as_str().unwrap();
        let below = Path::new(path).strip_prefix(top).unwrap_or(Path::new(path)).to_string_lossy().into_owned();
        (action["data"]["detail"]["change"].as_str().unwrap().to_owned(), below)
    };
    actions.map(change).collect()
}

/// The outcome and the text of the last action.
#[track_caller]
pub(crate) fn ending(ran: &Ran) -> (String, String) {
    let last = ran.of("action").pop().expect("an action");
    (last["data"]["outcome"].as_str().unwrap().to_owned(), last["data"]["text"].as_str().unwrap_or_default().to_owned())
}

/// Codes and subjects of the errors.
#[track_caller]
pub(crate) fn errors(ran: &Ran) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    ran.of("error").iter().map(|error| (text(&error["data"]["code"]), text(&error["subject"]))).collect()
}

/// A tree: each path below a folder, and the folder itself, with all that a restore must bring back.
pub(crate) type Inventory = BTreeMap<PathBuf, String>;

/// Takes stock of a tree; one path that is not there is an empty tree.
pub(crate) fn inventory(top: &Path) -> Inventory {
    let mut found = Inventory::new();
    let mut names = HashMap::new();
    take_stock(top, top, &mut names, &mut found);
    found
}

fn take_stock(top: &Path, path: &Path, names: &mut HashMap<(u64, u64), PathBuf>, found: &mut Inventory) {
    let Ok(meta) = path.symlink_metadata() else { return };
    let below = path.strip_prefix(top).unwrap().to_owned();
    let kind = meta.file_type();
    let what = if kind.is_dir() {
        let mut children: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        children.sort();
        for child in &children {
            take_stock(top, child, names, found);
        }
        "folder".to_owned()
    } else if kind.is_symlink() {
        format!("link to {}", path.read_link().unwrap().display())
    } else if kind.is_file() {
        let first = names.entry((meta.dev(), meta.ino())).or_insert_with(|| below.clone());
        format!("file {} first {}", hash(path), first.display())
    } else {
        format!("special {}", if kind.is_socket() { "socket" } else { "other" })
    };
    let xattrs = if kind.is_dir() || kind.is_file() { xattrs(path) } else { Vec::new() };
    let mode = if kind.is_symlink() { 0 } else { meta.permissions().mode() & 0o7777 };
    let traits = format!("{mode:04o} {}:{} {}.{:09} {xattrs:?}", meta.uid(), meta.gid(), meta.mtime(), meta.mtime_nsec());
    found.insert(below, format!("{what} {traits}"));
}

fn xattrs(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut buffer = vec![0; 64 << 10];
    let length = llistxattr(path, &mut buffer[..]).unwrap_or(0);
    let names = buffer[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut xattrs: Vec<_> = names
        .map(|name| {
            let mut value = vec![0; 64 << 10];
            let length = lgetxattr(path, name, &mut value[..]).unwrap();
            (String::from_utf8_lossy(name).into_owned(), value[..length].to_vec())
        })
        .collect();
    xattrs.sort();
    xattrs
}

/// SHA-256 of a file, in hexadecimal.
pub(crate) fn hash(path: &Path) -> String {
    sha256(&fs::read(path).unwrap_or_default())
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// Insists that two trees are the same, naming what differs.
#[track_caller]
pub(crate) fn same(expected: &Inventory, found: &Inventory) {
    let paths: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let differ: Vec<_> = paths
        .into_iter()
        .filter(|path| expected.get(*path) != found.get(*path))
        .map(|path| format!("{}\n  - {:?}\n  + {:?}", path.display(), expected.get(path), found.get(path)))
        .collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// Writes a file, and the folders above it.
pub(crate) fn file(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// A key pair for sealed snapshots: the recipient, and the file of the key.
pub(crate) fn key(sandbox: &Sandbox, name: &str) -> (String, PathBuf) {
    use age::secrecy::ExposeSecret as _;
    let (key, path) = (age::x25519::Identity::generate(), sandbox.root().join(name));
    fs::write(&path, key.to_string().expose_secret()).unwrap();
    (key.to_public().to_string(), path)
}

/// Gives a path another modification time, in seconds and nanoseconds, without following a link.
pub(crate) fn touch(path: &Path, seconds: i64, nanos: i64) {
    let time = rustix::fs::Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Whether this process may do what only root may.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says loudly that a test could not be run.
#[expect(clippy::print_stderr, reason = "who reads the test's output is told")]
pub(crate) fn skipped(test: &str, why: &str) {
    eprintln!("SKIPPED {test}: {why}");
}

/// Files of ours that are left in a tree.
pub(crate) fn left_over(top: &Path) -> Vec<PathBuf> {
    inventory(top).into_keys().filter(|path| path.file_name().is_some_and(|name| name.as_bytes().starts_with(b".mendline-"))).collect()
}

/// Writes the manifest of a snapshot as somebody might who knows the format: the hash of it is right, whatever it says.
pub(crate) fn forge(sandbox: &Sandbox, id: &str, lines: &[Value]) {
    let mut text = lines.iter().fold(Vec::new(), |mut text, line| {
        serde_json::to_writer(&mut text, line).unwrap();
        text.push(b'\n');
        text
    });
    let end = format!("{{\"sha256\":\"{}\"}}\n", sha256(&text));
    text.extend_from_slice(end.as_bytes());
    let path = store(sandbox).join("manifests").join(format!("{id}.jsonl.zst"));
    fs::write(path, zstd::encode_all(&text[..], 1).unwrap()).unwrap();
}

/// Runs `snapshot` under strace with an expression for its `-e`, on one worker thread, so that the calls come in the same order each time.
pub(crate) fn traced(sandbox: &Sandbox, expression: &str, log: &Path, words: Words<'_>) -> Ran {
    let strace =
        ["-f", "-qq", "-e", expression, "-o"].map(OsString::from).into_iter().chain([log.into(), tests::binary("snapshot").into()]);
    let words = strace.chain(words.iter().map(|word| word.as_ref().to_owned()));
    sandbox.command("strace", words).env("RAYON_NUM_THREADS", "1").run()
}

/// Runs `snapshot` up to the nth call of a kind that names a path, lets somebody else do something, who is told its process, and then
/// lets it go on.
pub(crate) fn paused(sandbox: &Sandbox, call: &str, path: &Path, nth: usize, words: Words<'_>, meanwhile: impl FnOnce(&str)) -> Ran {
    let log = sandbox.root().join("paused.log");
    let _ = fs::remove_file(&log);
    let inject = format!("inject={call}:signal=SIGSTOP:when={nth}");
    let strace = ["-f", "-qq", "-e", &inject, "-P"].map(OsString::from).into_iter().chain([path.into(), "-o".into(), (&log).into()]);
    let words = words.iter().map(|word| word.as_ref().to_owned());
    let words = strace.chain([tests::binary("snapshot").into()]).chain(words);
    let mut child = sandbox.command("strace", words).env("RAYON_NUM_THREADS", "1").start();
    drop(child.stdin.take());
    let thread = loop {
        let said = fs::read_to_string(&log).unwrap_or_default();
        if let Some(line) = said.lines().find(|line| line.contains("stopped by SIGSTOP")) {
            break line.split_whitespace().next().unwrap().to_owned();
        }
        assert!(child.try_wait().unwrap().is_none(), "it never came there: {said}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    meanwhile(&thread);
    let sent = std::process::Command::new("kill").args(["-CONT", &thread]).output().unwrap();
    assert!(sent.status.success(), "{sent:?}: {}", fs::read_to_string(&log).unwrap());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
    Ran { code: output.status.code(), signal, stdout: output.stdout, stderr }
}
