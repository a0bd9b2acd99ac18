//! The shipped binaries on damaged input, many times over: whatever a file or a stream holds, a tool ends with a status that it
//! documents, says what it says in records, and passes on what is not its own.
//!
//! `scripts/test --soak` runs these. A failure names the seed that repeats it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tests::{Ran, Sandbox, arg, binary, schema, workspace};

use crate::mutation::{Dice, mutated};
use crate::{corpus, ward};

/// Unless the variable of that name gives another.
const MENDLINE_SOAK_SEED: u64 = 20_261_124;

/// The longest that a tool may take before it counts as hanging, in seconds.
const PATIENCE: &str = "120";

/// Runs `case` with so many seeds, or as many as `MENDLINE_SOAK_CASES` says, one after the other.
fn soak(cases: u64, mut case: impl FnMut(&mut Dice)) {
    let given = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap_or_else(|e| panic!("{name}: {e}")));
    let first = given("MENDLINE_SOAK_SEED").unwrap_or(MENDLINE_SOAK_SEED);
    for seed in first..first + given("MENDLINE_SOAK_CASES").unwrap_or(cases) {
        let ended = catch_unwind(AssertUnwindSafe(|| case(&mut Dice::new(seed))));
        assert!(ended.is_ok(), "repeat it with MENDLINE_SOAK_SEED={seed} MENDLINE_SOAK_CASES=1");
    }
}

/// Runs a tool that must come to an end, and by itself.
fn run<S: AsRef<std::ffi::OsStr>>(sandbox: &Sandbox, tool: &str, args: &[S], input: &[u8]) -> Ran {
    let limit = ["-s", "KILL", PATIENCE].map(arg);
    let words = limit.into_iter().chain([arg(binary(tool))]).chain(args.iter().map(arg));
    let ran = ward::at_wheels(sandbox, sandbox.command("timeout", words)).input(input).run();
    assert!(matches!(ran.code, Some(0 | 2)) && !ran.stderr.contains("panicked"), "{tool}: {:?} {:?}\n{}", ran.code, ran.signal, ran.stderr);
    ran
}

/// Insists that a tool wrote records alone and an end that fits its status; returns the records.
fn whole(ran: &Ran) -> Vec<Value> {
    ran.text().lines().for_each(|record| is_short(record, 0));
    let records = ran.records();
    ends(ran, records.last());
    records
}

/// What a tool says of a file is not the file: no record of its own grows with it. What it answers it may quote, by id and subject.
fn is_short(record: &str, answered: usize) {
    assert!(record.len() < (32 << 10) + 4 * answered, "{} bytes: {}…", record.len(), &record[..record.floor_char_boundary(2000)]);
}

fn ends(ran: &Ran, last: Option<&Value>) {
    let last = last.unwrap_or_else(|| panic!("it said nothing\n{}", ran.stderr));
    let expected = (&json!("end"), &json!(ran.code == Some(0)));
    assert_eq!((&last["type"], &last["data"]["ok"]), expected, "status {:?}\n{}", ran.code, ran.stderr);
}

/// Insists that a filter passed on the very lines that are records, in order, answered every other one with an error, and ended well.
fn passes_on(input: &[u8], ran: &Ran) {
    let lines: Vec<&[u8]> = ran.stdout.strip_suffix(b"\n").unwrap_or_default().split(|&b| b == b'\n').collect();
    let last = lines.last().map(|line| schema::check(std::str::from_utf8(line).unwrap())).unwrap_or_default();
    ends(ran, Some(&last));
    let ours = format!("\"id\":\"{}.", last["id"].as_str().unwrap().split_once('.').unwrap().0);
    let (own, passed): (Vec<&[u8]>, Vec<&[u8]>) =
        lines.iter().partition(|line| line.windows(ours.len()).any(|part| part == ours.as_bytes()));
    let own: Vec<&str> = own.into_iter().map(|line| std::str::from_utf8(line).unwrap()).collect();
    let longest = input.split(|&b| b == b'\n').map(<[u8]>::len).max().unwrap_or_default();
    for record in &own {
        is_short(record, longest);
    }
    let own: Vec<Value> = own.into_iter().map(schema::check).collect();
    let (records, others) = sorted(input);
    assert!(passed == records, "{} lines passed on, {} were records", passed.len(), records.len());
    let refused = own.iter().filter(|record| record["data"]["code"] == "input.not-a-record");
    let refused: BTreeSet<u64> = refused.map(|record| record["data"]["line"].as_u64().unwrap()).collect();
    assert_eq!(refused, others);
}

/// The lines of a stream that are records, and the numbers of those that are not.
fn sorted(stream: &[u8]) -> (Vec<&[u8]>, BTreeSet<u64>) {
    let (mut records, mut others) = (Vec::new(), BTreeSet::new());
    for (line, number) in stream.split(|&b| b == b'\n').zip(1..).filter(|(line, _)| !line.trim_ascii().is_empty()) {
        if std::str::from_utf8(line).is_ok_and(is_record) {
            records.push(line);
        } else {
            others.insert(number);
        }
    }
    (records, others)
}

/// What the contract says of a record, and no word more.
fn is_record(line: &str) -> bool {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "the schema is the fields")]
    struct Header {
        v: u64,
        r#type: String,
        id: String,
        #[serde(default)]
        cause: Vec<String>,
        tool: String,
        host: String,
        ts: String,
        #[serde(default)]
        subject: Option<Value>,
        data: Box<RawValue>,
    }
    let is_path = |subject: Value| {
        let hex = subject["hex"].as_str().is_some_and(|hex| hex.len() % 2 == 0 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
        subject.is_string() || hex
    };
    serde_json::from_str::<Header>(line).is_ok_and(|header| header.subject.is_none_or(is_path))
}

/// An environment, and the files of it and of its project that hold text, those of a kind together.
struct Ground {
    sandbox: Sandbox,
    venv: PathBuf,
    files: Vec<Vec<Original>>,
}

impl Ground {
    /// One of three packages, a wheel that was named by its path and an editable project, locked in its own way.
    fn by_uv(lock: &str, text: &str) -> Self {
        let sandbox = Sandbox::new();
        let venv = sandbox.work("project/.venv");
        ward::wheel(&sandbox, "gadget", "1.0");
        let gizmo = ward::wheel(&sandbox, "gizmo", "1.0");
        ward::by_uv(&sandbox, &venv, &[]);
        ward::install(&sandbox, &venv, &["gadget", gizmo.to_str().unwrap(), "flask"]);
        let project = venv.parent().unwrap();
        editable(&venv, project);
        fs::write(project.join("constraints.txt"), "gadget<2\n").unwrap();
        fs::write(project.join("pyproject.toml"), PYPROJECT).unwrap();
        if lock == "uv.lock" {
            let lock = sandbox.command("uv", ["lock", "-q", "--python", ward::python().to_str().unwrap()]).within(project);
            drop(ward::at_wheels(&sandbox, lock).run().code(0));
        } else {
            fs::write(project.join(lock), text).unwrap();
        }
        Self::of(sandbox, venv)
    }

    /// One with pip, in a folder that says what it should hold, or does not.
    fn by_venv(is_told: bool) -> Self {
        let sandbox = Sandbox::new();
        let venv = sandbox.work("project/.venv");
        ward::with_pip(&sandbox, &venv);
        editable(&venv, venv.parent().unwrap());
        if is_told {
            fs::write(venv.with_file_name("requirements.txt"), "-r more.txt\npip\n").unwrap();
            let more = "--index-url https://example.org/simple\nflask[async]>=2; python_version >= '3'\n";
            fs::write(venv.with_file_name("more.txt"), more).unwrap();
        }
        Self::of(sandbox, venv)
    }

    fn of(sandbox: Sandbox, venv: PathBuf) -> Self {
        let mut files: BTreeMap<String, Vec<Original>> = BTreeMap::new();
        ward::walk(venv.parent().unwrap(), &mut |path, meta| {
            if let Some(kind) = kind(path, &venv).filter(|_| meta.is_file()) {
                files.entry(kind).or_default().push(Original::of(path, meta));
            }
        });
        Self { sandbox, venv, files: files.into_values().collect() }
    }

    fn file(&self, dice: &mut Dice) -> &Original {
        let of_a_kind = &self.files[dice.below(self.files.len())];
        &of_a_kind[dice.below(of_a_kind.len())]
    }

    /// Damages some files, looks, and puts them back.
    fn look(&self, dice: &mut Dice) {
        let damaged: Vec<&Original> = (0..=dice.below(3)).map(|_| self.file(dice)).collect();
        for file in &damaged {
            let other = self.file(dice);
            match dice.below(10) {
                0 => file.displace(dice),
                _ => file.put(&mutated(dice, &file.bytes, &other.bytes)),
            }
        }
        let looked = catch_unwind(AssertUnwindSafe(|| self.judge_and_plan()));
        for file in &damaged {
            file.put(&file.bytes);
        }
        let names: Vec<_> = damaged.iter().map(|file| file.path.display().to_string()).collect();
        assert!(looked.is_ok(), "with damage in {}", names.join(", "));
    }

    fn judge_and_plan(&self) {
        let probed = run(&self.sandbox, "venv-probe", &[arg("--deep"), arg("--spawn"), arg("never"), arg(&self.venv)], b"");
        let records = whole(&probed);
        assert!(records.iter().any(|record| record["type"] == "venv.probe"), "{}", probed.text());
        passes_on(&probed.stdout, &run(&self.sandbox, "venv-rebuild", &[""; 0], &probed.stdout));
        whole(&run(&self.sandbox, "venv-rebuild", &[arg("--full"), arg(&self.venv)], b""));
    }
}

/// What a file of metadata is called for; `None` for code, and for what nobody reads.
fn kind(path: &Path, venv: &Path) -> Option<String> {
    let (name, folder) = (path.file_name()?.to_str()?, path.parent()?);
    if path.extension().is_some_and(|extension| extension == "pth") {
        return Some("pth".to_owned());
    }
    if folder.extension().is_some_and(|extension| extension == "dist-info") {
        return Some(name.to_owned());
    }
    if folder == venv.join("bin") {
        return Some("script".to_owned());
    }
    (folder == venv || Some(folder) == venv.parent()).then(|| name.to_owned())
}

/// A file as it was.
struct Original {
    path: PathBuf,
    mode: u32,
    bytes: Vec<u8>,
}

impl Original {
    fn of(path: &Path, meta: &fs::Metadata) -> Self {
        Self { path: path.to_owned(), mode: meta.permissions().mode(), bytes: fs::read(path).unwrap() }
    }

    /// Under a new inode: other environments share the old one through uv's cache.
    fn put(&self, bytes: &[u8]) {
        self.clear();
        fs::write(&self.path, bytes).unwrap();
        fs::set_permissions(&self.path, fs::Permissions::from_mode(self.mode)).unwrap();
    }

    /// Puts there what is no file with an end.
    fn displace(&self, dice: &mut Dice) {
        self.clear();
        match dice.below(5) {
            0 => mknodat(CWD, &self.path, FileType::Fifo, Mode::RWXU, 0).unwrap(),
            1 => fs::create_dir(&self.path).unwrap(),
            2 => symlink("/dev/zero", &self.path).unwrap(),
            3 => symlink(self.path.file_name().unwrap(), &self.path).unwrap(),
            _ => fs::File::create(&self.path).unwrap().set_len(3 << 30).unwrap(),
        }
    }

    fn clear(&self) {
        let is_folder = self.path.symlink_metadata().unwrap().is_dir();
        if is_folder { fs::remove_dir(&self.path) } else { fs::remove_file(&self.path) }.unwrap();
    }
}

fn editable(venv: &Path, project: &Path) {
    let site = ward::packages(venv);
    let info = site.join("shop-1.dist-info");
    fs::create_dir(&info).unwrap();
    fs::write(site.join("__editable__.shop-1.pth"), format!("{}\n", project.display())).unwrap();
    let origin = json!({"url": format!("file://{}", project.display()), "dir_info": {"editable": true}});
    for (name, text) in [
        (
            "METADATA",
            "Metadata-Version: 2.4\nName: shop\nVersion: 1\nRequires-Dist: gadget<2; python_version >= '3.8'\nProvides-Extra: web\n",
        ),
        ("RECORD", "__editable__.shop-1.pth,,\nshop-1.dist-info/METADATA,,\nshop-1.dist-info/RECORD,,\n"),
        ("INSTALLER", "pip\n"),
        ("direct_url.json", &origin.to_string()),
        ("entry_points.txt", "[console_scripts]\nshop = shop:main\n"),
    ] {
        fs::write(info.join(name), text).unwrap();
    }
}

const PYPROJECT: &str = "[project]
name = \"shop\"
version = \"1\"
requires-python = \">=3.8\"
dependencies = [\"gadget<2\", \"gizmo>=1; python_version >= '3.8'\"]
[project.optional-dependencies]
web = [\"gizmo\"]
[dependency-groups]
dev = [\"gadget\", {include-group = \"lint\"}]
lint = []
";

const PYLOCK: &str = "lock-version = \"1.0\"
requires-python = \">=3.8\"
created-by = \"uv\"
[[packages]]
name = \"gadget\"
version = \"1.0\"
marker = \"python_version >= '3.8' and 'x' not in extras\"
wheels = [{ name = \"gadget-1.0-py3-none-any.whl\", path = \"gadget-1.0-py3-none-any.whl\", hashes = { sha256 = \"00\" } }]
[[packages]]
name = \"shop\"
directory = { path = \".\", editable = true }
";

const POETRY: &str = "[[package]]
name = \"gadget\"
version = \"1.0\"
optional = false
groups = [\"main\", \"dev\"]
markers = \"python_version >= \\\"3.8\\\"\"
files = [{ file = \"gadget-1.0-py3-none-any.whl\", hash = \"sha256:00\" }]
[package.dependencies]
Gizmo = { version = \"*\", markers = \"sys_platform == \\\"linux\\\"\" }
[[package]]
name = \"gizmo\"
version = \"1.0\"
optional = true
[package.source]
type = \"git\"
url = \"https://example.org/gizmo.git\"
reference = \"main\"
resolved_reference = \"abc\"
[extras]
web = [\"gizmo\"]
[metadata]
lock-version = \"2.1\"
";

const PIPFILE: &str = "{\"_meta\": {\"hash\": {\"sha256\": \"00\"}, \"pipfile-spec\": 6, \"requires\": {\"python_version\": \"3\"}, \"sources\": []},
\"default\": {\"gadget\": {\"hashes\": [\"sha256:00\"], \"index\": \"main\", \"version\": \"==1.0\", \"markers\": \"python_version >= '3.8'\"},
\"shop\": {\"editable\": true, \"path\": \".\"}, \"gizmo\": {\"git\": \"https://example.org/gizmo.git\", \"ref\": \"abc\"}},
\"develop\": {\"flask\": {\"version\": \"==3\", \"extras\": [\"async\"]}}}
";

const REQUIREMENTS: &str = "# what the shop needs
gadget==1.0 \\
    --hash=sha256:00
gizmo[web]>=1,<2 ; python_version >= '3.8' and (sys_platform == 'linux' or extra == 'x')
-e .
flask @ https://example.org/flask-3.zip#sha256=00
-c constraints.txt
--find-links ./wheels
";

#[test]
#[ignore = "a soak: minutes, for scripts/test --soak"]
fn an_environment_may_hold_anything() {
    let locks =
        [("uv.lock", ""), ("pylock.toml", PYLOCK), ("poetry.lock", POETRY), ("Pipfile.lock", PIPFILE), ("requirements.txt", REQUIREMENTS)];
    let mut grounds: Vec<Ground> = locks.iter().map(|(lock, text)| Ground::by_uv(lock, text)).collect();
    grounds.extend([Ground::by_venv(true), Ground::by_venv(false)]);
    soak(2000, |dice| grounds[dice.below(grounds.len())].look(dice));
}

/// What the tools say of real environments, the examples of the contract, and a diagnosis.
fn stream(sandbox: &Sandbox) -> Vec<u8> {
    let folder = sandbox.work("agents");
    for (name, make) in [("well", corpus::bare as fn(&Path)), ("dead", corpus::dead), ("moved", corpus::bare)] {
        make(&folder.join(name));
    }
    fs::rename(folder.join("moved"), folder.join("elsewhere")).unwrap();
    symlink(folder.join("well"), folder.join("alias")).unwrap();
    let probed = run(sandbox, "venv-probe", &[arg("--deep"), arg(&folder), arg(folder.join("gone"))], b"");
    let mut stream = run(sandbox, "venv-rebuild", &[""; 0], &probed.stdout).stdout;
    let readme = fs::read_to_string(workspace().join("contract/README.md")).unwrap();
    for line in readme.lines().filter(|line| line.starts_with('{')) {
        stream.extend(format!("{line}\n").into_bytes());
    }
    let diagnosis = json!({"v": 1, "type": "diagnosis", "id": "d.1", "tool": "diagnose", "host": "h", "ts": "2026-08-23T10:11:12.345Z",
        "subject": folder.join("dead"), "data": {"code": "venv.base-interpreter-gone", "remedy": {"name": "venv-rebuild", "args": {}}}});
    stream.extend(format!("{diagnosis}\n").into_bytes());
    stream
}

#[test]
#[ignore = "a soak: minutes, for scripts/test --soak"]
fn a_stream_to_be_answered_may_hold_anything() {
    let sandbox = Sandbox::new();
    let stream = stream(&sandbox);
    passes_on(&stream, &run(&sandbox, "venv-rebuild", &[""; 0], &stream));
    soak(3000, |dice| {
        let input = mutated(dice, &stream, &stream);
        passes_on(&input, &run(&sandbox, "venv-rebuild", &[""; 0], &input));
    });
}

#[test]
#[ignore = "a soak: minutes, for scripts/test --soak"]
fn a_stream_to_be_drawn_may_hold_anything() {
    let sandbox = Sandbox::new();
    let stream = stream(&sandbox);
    soak(3000, |dice| {
        let input = mutated(dice, &stream, &stream);
        let format = dice.pick(&["text", "markdown"]);
        let drawn = run(&sandbox, "report", &["--format", format, "--all"], &input);
        let (_, others) = sorted(&input);
        assert!(others.is_empty() || drawn.code == Some(2), "lines {others:?} are no records");
        let text = String::from_utf8(drawn.stdout).unwrap();
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text}");
    });
}
