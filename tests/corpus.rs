//! Environments that `scripts/broken-venvs` makes with the real tools, each broken in one way, and one night over all of them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;

use serde_json::Value;
use tests::{Ran, Sandbox, arg, workspace};

use crate::ward;

/// Makes the named environments below `folder`; names that this machine cannot make panic, since a test that is skipped proves nothing.
pub(crate) fn make(folder: &Path, names: &[&str]) {
    let output = Command::new(workspace().join("scripts/broken-venvs")).arg(folder).args(names).output().expect("bash starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "broken-venvs failed: {said}");
    assert!(!said.contains("skipped"), "this machine cannot make them all: {said}");
}

/// Name and kind of each environment that can be made.
pub(crate) fn list() -> Vec<(String, String)> {
    let list = Sandbox::new().command(workspace().join("scripts/broken-venvs"), ["--list"]).run().code(0);
    let fields = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
    list.text().lines().map(fields).map(|fields| (fields[0].clone(), fields[1].clone())).collect()
}

/// Makes all of them, two at a time: every test that needs them waits for this.
fn make_all(folder: &Path) {
    let list = list();
    // `copied` makes `copy_src` itself.
    let names: Vec<&str> = list.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "copy_src").collect();
    // With it comes what the others are copies of.
    make(folder, &names[..1]);
    let half = |odd: usize| names[1..].iter().skip(odd).step_by(2).copied().collect::<Vec<_>>();
    thread::scope(|scope| {
        scope.spawn(|| make(folder, &half(0)));
        make(folder, &half(1));
    });
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

/// Everything that becomes of files, by path.
type Look = BTreeMap<PathBuf, String>;

/// One night over the whole corpus: judged in every way, planned, mended, judged again.
pub(crate) struct Night {
    folder: PathBuf,
    /// By default, and with an interpreter started for each environment or for none.
    pub(crate) quick: Vec<Value>,
    pub(crate) each: Vec<Value>,
    pub(crate) never: Vec<Value>,
    /// With `--deep`.
    pub(crate) judged: Vec<Value>,
    pub(crate) plan: Ran,
    pub(crate) before_plan: Look,
    pub(crate) after_plan: Look,
    pub(crate) force: Ran,
    pub(crate) before_force: Look,
    pub(crate) after_force: Look,
    /// A second name for every file that was there before the repair, as uv's cache has one.
    pub(crate) shared_before: Look,
    pub(crate) shared_after: Look,
    pub(crate) again: Vec<Value>,
    pub(crate) second: Ran,
    pub(crate) audit: String,
}

/// Made once for all tests that only look at what became of it.
pub(crate) fn night() -> &'static Night {
    static NIGHT: OnceLock<Night> = OnceLock::new();
    NIGHT.get_or_init(|| {
        let sandbox = Sandbox::new();
        let (folder, shared) = (sandbox.work("corpus"), sandbox.work("shared"));
        make_all(&folder);
        share(&folder, &shared);

        let quick = judge(&sandbox, &folder, &[]).records();
        let each = judge(&sandbox, &folder, &["--spawn", "each"]).records();
        let never = judge(&sandbox, &folder, &["--spawn", "never"]).records();
        let judged = judge(&sandbox, &folder, &["--deep"]);
        ward::wheels(&sandbox);
        let before_plan = ward::traces(sandbox.root());
        let plan = ward::rebuild::<&str>(&sandbox, []).input(judged.stdout.clone()).run().code(0);
        let after_plan = ward::traces(sandbox.root());
        let (shared_before, before_force) = both(&shared, &folder);
        let force = ward::rebuild(&sandbox, ["--force", "--jobs", "2"]).input(judged.stdout.clone()).run().code(1);
        let again = judge(&sandbox, &folder, &["--deep"]);
        let (shared_after, after_force) = both(&shared, &folder);
        Night {
            quick,
            each,
            never,
            judged: judged.records(),
            plan,
            before_plan,
            after_plan,
            force,
            before_force,
            after_force,
            shared_before,
            shared_after,
            second: ward::rebuild(&sandbox, ["--force"]).input(again.stdout.clone()).run().code(1),
            again: again.records(),
            audit: fs::read_to_string(sandbox.root().join("state/mendline/audit.jsonl")).unwrap(),
            folder,
        }
    })
}

fn judge(sandbox: &Sandbox, folder: &Path, args: &[&str]) -> Ran {
    let args = args.iter().map(arg).chain([arg("--timeout"), arg("4"), arg(folder)]);
    sandbox.tool("venv-probe", args).run().code(0)
}

/// Gives every file of an environment a second name elsewhere.
fn share(folder: &Path, shared: &Path) {
    ward::walk(folder, &mut |path, meta| {
        let twin = shared.join(path.strip_prefix(folder).unwrap());
        if meta.is_dir() {
            fs::create_dir_all(twin).unwrap();
        } else if meta.is_file() {
            fs::hard_link(path, twin).unwrap();
        }
    });
}

/// What two folders hold, looked at at the same time.
fn both(one: &Path, other: &Path) -> (Look, Look) {
    thread::scope(|scope| {
        let one = scope.spawn(|| ward::contents(one));
        let other = ward::contents(other);
        (one.join().unwrap(), other)
    })
}

impl Night {
    /// The records about the environment of a mode: the one at `.venv`, where there are several.
    pub(crate) fn of<'a>(&self, records: &'a [Value], name: &str, kind: &str) -> Vec<&'a Value> {
        let home = self.folder.join(name);
        let below = |record: &&Value| record["subject"].as_str().is_some_and(|subject| Path::new(subject).starts_with(&home));
        let all: Vec<_> = records.iter().filter(|record| record["type"] == kind).filter(below).collect();
        let own: Vec<_> = all.iter().copied().filter(|record| record["subject"].as_str() == home.join(".venv").to_str()).collect();
        if own.is_empty() { all } else { own }
    }

    /// The verdict on the environment of a mode.
    pub(crate) fn verdict<'a>(&self, records: &'a [Value], name: &str) -> &'a Value {
        self.of(records, name, "venv.probe").first().copied().unwrap_or_else(|| panic!("no record for {name}"))
    }

    pub(crate) fn actions(&self, ran: &Ran, name: &str) -> Vec<Value> {
        self.of(&ran.records(), name, "action").into_iter().cloned().collect()
    }
}
