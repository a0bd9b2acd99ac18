//! What tests of repairs share: small real environments, runs that install from the tests' own wheels, and looks at the disk.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tests::{Ran, Run, Sandbox, arg};

/// The clock of file systems goes on in steps of at most 10 ms.
const TICK: Duration = Duration::from_millis(100);

/// The interpreters here that can make environments, one of each minor version, those that the corpus prefers first.
pub(crate) fn pythons() -> &'static [(String, PathBuf)] {
    static FOUND: OnceLock<Vec<(String, PathBuf)>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut found: Vec<(String, PathBuf)> = Vec::new();
        for path in MINORS.iter().flat_map(|minor| places(&format!("python{minor}"))) {
            if let Some((minor, real)) = answer(&path).filter(|(minor, _)| found.iter().all(|(known, _)| known != minor)) {
                found.push((minor, real));
            }
        }
        found
    })
}

const MINORS: [&str; 7] = ["3.12", "3.11", "3.13", "3.14", "3.10", "3.9", "3.8"];

fn places(name: &str) -> Vec<PathBuf> {
    let home = std::env::home_dir().expect("a home");
    let pyenv = std::env::var_os("PYENV_ROOT").map_or_else(|| home.join(".pyenv"), PathBuf::from);
    let mut versions: Vec<_> = fs::read_dir(pyenv.join("versions")).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    versions.sort();
    let path = std::env::var_os("PATH").expect("a PATH");
    let folders = std::env::split_paths(&path).filter(|folder| !folder.ends_with("shims"));
    folders.chain(versions.into_iter().map(|version| version.join("bin"))).map(|folder| folder.join(name)).collect()
}

fn answer(python: &Path) -> Option<(String, PathBuf)> {
    let question = "import ensurepip, os, sys, venv\nprint('%d.%d' % sys.version_info[:2], os.path.realpath(sys._base_executable))";
    let output = Command::new(python).args(["-I", "-c", question]).output().ok().filter(|output| output.status.success())?;
    let said = String::from_utf8(output.stdout).ok()?;
    let (minor, path) = said.trim_end().split_once(' ')?;
    Some((minor.to_owned(), path.into()))
}

/// The interpreter that environments are made with unless a test needs another.
pub(crate) fn python() -> &'static Path {
    &pythons().first().expect("a Python 3.8 or later with venv and ensurepip").1
}

/// Prepares a run of `venv-rebuild`.
pub(crate) fn rebuild<S: AsRef<OsStr>>(sandbox: &Sandbox, args: impl IntoIterator<Item = S>) -> Run {
    at_wheels(sandbox, sandbox.tool("venv-rebuild", args))
}

/// Lets the installers of a run find the tests' wheels, and nothing that another test left in a cache.
pub(crate) fn at_wheels(sandbox: &Sandbox, run: Run) -> Run {
    let run = run.env("UV_CACHE_DIR", sandbox.root().join("uv-cache")).env("PIP_NO_CACHE_DIR", "1").env("UV_PYTHON_DOWNLOADS", "never");
    let given = std::env::var("MENDLINE_WHEELS").ok();
    let run = if given.is_some() { run.env("UV_NO_INDEX", "1").env("PIP_NO_INDEX", "1") } else { run };
    let own = wheels(sandbox).to_str().expect("a plain path").to_owned();
    let places: Vec<String> = [own].into_iter().chain(given).collect();
    run.env("UV_FIND_LINKS", places.join(",")).env("PIP_FIND_LINKS", places.join(" "))
}

/// The folder of the wheels that a test makes itself.
pub(crate) fn wheels(sandbox: &Sandbox) -> PathBuf {
    let folder = sandbox.root().join("wheels");
    fs::create_dir_all(&folder).expect("a folder for wheels");
    folder
}

/// Makes a wheel of one module that says its version.
pub(crate) fn wheel(sandbox: &Sandbox, name: &str, version: &str) -> PathBuf {
    wheel_that_needs(sandbox, name, version, "")
}

/// The same with a requirement.
pub(crate) fn wheel_that_needs(sandbox: &Sandbox, name: &str, version: &str, needs: &str) -> PathBuf {
    let script = "
import base64, hashlib, sys, zipfile
folder, name, version, needs = sys.argv[1:]
needs = f'Requires-Dist: {needs}\\n' if needs else ''
path = f'{folder}/{name}-{version}-py3-none-any.whl'
info = f'{name}-{version}.dist-info'
files = {f'{name}/__init__.py': f'version = {version!r}\\n', f'{name}/data.txt': 'data\\n' * 99,
    f'{info}/METADATA': f'Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n' + needs,
    f'{info}/WHEEL': 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n'}
digest = lambda text: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()
record = ''.join(f'{path},sha256={digest(text)},{len(text)}\\n' for path, text in files.items()) + f'{info}/RECORD,,\\n'
with zipfile.ZipFile(path, 'w') as wheel:
    for file, text in {**files, f'{info}/RECORD': record}.items():
        wheel.writestr(file, text)
print(path)";
    let output = Command::new(python())
        .args(["-I", "-c", script])
        .arg(wheels(sandbox))
        .args([name, version, needs])
        .output()
        .expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a path").trim_end().into()
}

/// The value of a key in `pyvenv.cfg`.
pub(crate) fn setting(venv: &Path, key: &str) -> Option<String> {
    let text = fs::read_to_string(venv.join("pyvenv.cfg")).expect("a pyvenv.cfg");
    text.lines().filter_map(|line| line.split_once('=')).find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned())
}

/// The folder that holds an environment's packages.
pub(crate) fn packages(venv: &Path) -> PathBuf {
    let library = names(&venv.join("lib")).into_iter().find(|name| name.starts_with("python")).expect("a library");
    venv.join("lib").join(library).join("site-packages")
}

/// Runs `venv-rebuild --force` on one environment.
pub(crate) fn force(sandbox: &Sandbox, args: &[&str], venv: &Path) -> Ran {
    rebuild(sandbox, args.iter().map(OsString::from).chain(["--force".into(), venv.into()])).run()
}

/// The one action of a run.
#[track_caller]
pub(crate) fn action(ran: &Ran) -> Value {
    let mut actions = ran.of("action");
    assert_eq!(actions.len(), 1, "stderr:\n{}\nstdout:\n{}", ran.stderr, ran.text());
    actions.remove(0)
}

/// Insists on verb, outcome, whether anything changed and whether that was seen to help; returns the rest.
#[track_caller]
pub(crate) fn told(ran: &Ran, verb: &str, outcome: &str) -> Value {
    let data = action(ran)["data"].take();
    assert_eq!((&data["verb"], &data["outcome"]), (&verb.into(), &outcome.into()), "{data}");
    let done = outcome == "done";
    assert_eq!((&data["verified"], &data["changed"]), (&done.into(), &(done || data["partial"] == true).into()), "{data}");
    data
}

/// The verdict on one environment, with every recorded file hashed.
#[track_caller]
pub(crate) fn verdict(sandbox: &Sandbox, venv: &Path) -> Value {
    let ran = sandbox.tool("venv-probe", ["--deep".as_ref(), venv.as_os_str()]).run().code(0);
    let mut records = ran.of("venv.probe");
    assert_eq!(records.len(), 1, "{}", ran.text());
    records.remove(0)["data"].take()
}

/// Insists that an environment is healthy, deep.
#[track_caller]
pub(crate) fn is_healthy(sandbox: &Sandbox, venv: &Path) {
    let data = verdict(sandbox, venv);
    assert_eq!((&data["status"], data["faults"].as_array().map(Vec::len)), (&"healthy".into(), Some(0)), "{data}");
}

/// The codes of the faults of a verdict.
pub(crate) fn codes(data: &Value) -> Vec<&str> {
    data["faults"].as_array().into_iter().flatten().filter_map(|fault| fault["code"].as_str()).collect()
}

/// Makes an environment without packages by uv, which takes a few milliseconds.
pub(crate) fn by_uv(sandbox: &Sandbox, venv: &Path, args: &[&str]) {
    let flags = ["venv", "-q", "--no-config", "--no-project", "--python"].map(OsString::from);
    let args = flags.into_iter().chain([python().into()]).chain(args.iter().map(OsString::from)).chain([venv.into()]);
    drop(at_wheels(sandbox, sandbox.command("uv", args)).run().code(0));
}

/// Makes an environment by the standard library.
pub(crate) fn by_venv(sandbox: &Sandbox, python: &Path, venv: &Path, args: &[&str]) {
    let flags = ["-I", "-m", "venv"].iter().chain(args).map(OsString::from);
    drop(sandbox.command(python, flags.chain([venv.into()])).run().code(0));
}

/// Makes an environment with pip by the standard library. Its pip takes that seconds, so that only the first is given one; the others
/// get a copy of it, just as it would be there.
pub(crate) fn with_pip(sandbox: &Sandbox, venv: &Path) {
    const FURNISH: &str = "
import base64, hashlib, pathlib, shutil, sys
template, venv = map(pathlib.Path, sys.argv[1:])
entry = lambda text: ('sha256=%s,%d' % (base64.urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b'=').decode(), len(text))).encode()
shutil.copytree(template / 'lib', venv / 'lib', symlinks=True, dirs_exist_ok=True)
for script in (template / 'bin').glob('pip*'):
    old = script.read_bytes()
    new = b'#!' + bytes(venv) + old[old.index(b'/bin/python'):]
    (venv / 'bin' / script.name).write_bytes(new)
    (venv / 'bin' / script.name).chmod(0o755)
    for record in venv.glob('lib/python*/site-packages/*.dist-info/RECORD'):
        record.write_bytes(record.read_bytes().replace(entry(old), entry(new)))
settings = venv / 'pyvenv.cfg'
settings.write_text(settings.read_text().replace(' --without-pip', ''))";
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    let template = TEMPLATE.get_or_init(|| {
        let name = format!("pip{}", python().display()).replace('/', "-");
        let (made, making) = (templates().join(&name), templates().join(format!("{name}.{}", std::process::id())));
        if !made.exists() {
            by_venv(&Sandbox::new(), python(), &making, &[]);
            // Unless another run was faster.
            drop(fs::rename(&making, &made).or_else(|_| fs::remove_dir_all(&making)));
        }
        made
    });
    by_venv(sandbox, python(), venv, &["--without-pip"]);
    drop(sandbox.command(python(), [arg("-I"), arg("-c"), arg(FURNISH), arg(template), arg(venv)]).run().code(0));
}

/// Where environments lie that others are copies of, kept for the next run.
pub(crate) fn templates() -> PathBuf {
    tests::binary("venv-probe").parent().and_then(Path::parent).expect("binaries lie in target").join("test-templates")
}

/// Installs into an environment by uv.
pub(crate) fn install(sandbox: &Sandbox, venv: &Path, packages: &[&str]) {
    let flags = ["pip", "install", "-q", "--python"].map(OsString::from);
    let args = flags.into_iter().chain([venv.join("bin/python").into()]).chain(packages.iter().map(OsString::from));
    drop(at_wheels(sandbox, sandbox.command("uv", args)).run().code(0));
}

/// Takes the interpreter away.
pub(crate) fn kill(venv: &Path) {
    let link = venv.join("bin/python");
    fs::remove_file(&link).expect("an interpreter");
    symlink("/opt/python-that-is-gone/bin/python3", link).expect("a link");
}

/// The program of that name on PATH.
pub(crate) fn on_path(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").expect("a PATH");
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not on PATH"))
}

/// PATH with a folder of the test's own first.
pub(crate) fn path_with(first: &Path) -> OsString {
    let path = std::env::var_os("PATH").expect("a PATH");
    std::env::join_paths([first.to_owned()].into_iter().chain(std::env::split_paths(&path))).expect("a PATH")
}

/// Whether a process runs; one that has ended and that nobody has asked for yet does not.
pub(crate) fn is_running(pid: &str) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| !words.is_empty())
}

/// Everything below a folder, links not followed, by what it holds: names, modes, targets, and the SHA-256 of files.
pub(crate) fn contents(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    walk(folder, &mut |path, meta| {
        let what = if meta.is_file() {
            hash(path, meta)
        } else if meta.is_symlink() {
            format!("-> {}", fs::read_link(path).expect("a link").display())
        } else {
            "a folder".to_owned()
        };
        found.insert(path.strip_prefix(folder).expect("below").to_owned(), format!("{:o} {what}", meta.mode()));
    });
    found
}

/// Everything below a folder by what a write, and be it of the same bytes, leaves behind: inode, mode, size, and both times.
pub(crate) fn traces(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    walk(folder, &mut |path, meta| {
        let (m, c) = ((meta.mtime(), meta.mtime_nsec()), (meta.ctime(), meta.ctime_nsec()));
        found.insert(
            path.strip_prefix(folder).expect("below").to_owned(),
            format!("{} {:o} {} {m:?} {c:?}", meta.ino(), meta.mode(), meta.size()),
        );
    });
    found
}

/// Insists that two looks are the same, naming what differs.
#[track_caller]
pub(crate) fn same(before: &BTreeMap<PathBuf, String>, after: &BTreeMap<PathBuf, String>) {
    let differs: Vec<_> = before
        .iter()
        .filter(|(path, was)| after.get(*path) != Some(*was))
        .map(|(path, was)| (path, was.as_str(), after.get(path).map_or("gone", String::as_str)))
        .chain(after.iter().filter(|(path, _)| !before.contains_key(*path)).map(|(path, now)| (path, "absent", now.as_str())))
        .take(10)
        .collect();
    assert!(differs.is_empty(), "{differs:#?}");
}

/// Calls `visit` with everything at and below a folder, links not followed.
pub(crate) fn walk(path: &Path, visit: &mut dyn FnMut(&Path, &fs::Metadata)) {
    let meta = path.symlink_metadata().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    visit(path, &meta);
    if meta.is_dir() {
        for entry in fs::read_dir(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())) {
            walk(&entry.expect("an entry").path(), visit);
        }
    }
}

/// Of what nobody has written to since, the content is known: nothing that writes can keep the time of a change (`ctime`) as it was.
fn hash(path: &Path, meta: &fs::Metadata) -> String {
    static KNOWN: Mutex<BTreeMap<[i64; 5], String>> = Mutex::new(BTreeMap::new());
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let file = [meta.dev().cast_signed(), meta.ino().cast_signed(), meta.size().cast_signed(), meta.ctime(), meta.ctime_nsec()];
    if let Some(hash) = known().get(&file) {
        return hash.clone();
    }
    let read = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let hash = hex(&Sha256::digest(bytes));
    // What was written in the tick of the clock in which it is read can be written in it again.
    let written = Duration::new(meta.ctime().cast_unsigned(), u32::try_from(meta.ctime_nsec()).expect("below a second"));
    if written + TICK < read {
        known().insert(file, hash.clone());
    }
    hash
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The folders beside an environment that are named as its backups.
pub(crate) fn backups(venv: &Path) -> Vec<PathBuf> {
    let prefix = format!("{}.backup_", venv.file_name().expect("a name").to_string_lossy());
    let folder = venv.parent().expect("a folder");
    names(folder).into_iter().filter(|name| name.starts_with(&prefix)).map(|name| folder.join(name)).collect()
}

/// The entries of every RECORD in an environment that are not as recorded: judged by Python's own csv and hashlib, not by our code.
pub(crate) fn damaged(venv: &Path) -> Vec<String> {
    let script = "
import base64, csv, hashlib, pathlib, sys
for record in sorted(pathlib.Path(sys.argv[1]).glob('lib/python*/site-packages/*.dist-info/RECORD')):
    for path, digest, _ in csv.reader(record.open()):
        file = record.parent.parent / path
        if digest and not file.exists():
            print('missing', path)
        elif digest.startswith('sha256=') and base64.urlsafe_b64encode(hashlib.sha256(file.read_bytes()).digest()).rstrip(b'=').decode() != digest[7:]:
            print('modified', path)
";
    let output = Command::new(python()).args(["-I", "-c", script]).arg(venv).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Names and versions of the distributions of an environment, by its own interpreter.
pub(crate) fn installed(venv: &Path) -> Vec<String> {
    let script = "
import importlib.metadata as metadata
for name in sorted(dist.metadata['Name'].lower().replace('_', '-').replace('.', '-') + ' ' + dist.version for dist in metadata.distributions()):
    print(name)";
    let output = Command::new(venv.join("bin/python")).args(["-I", "-B", "-c", script]).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Bytes as two lower-case digits each.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}
