//! `kill -9` of `venv-rebuild` at its system calls, one after the other: what is on the disk then, and what the next run makes of it.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::{Ran, Sandbox, arg, binary};

use crate::ward;

/// The calls that change a disk; those that an architecture lacks are passed over.
const CALLS: [&str; 17] = [
    "mkdir",
    "mkdirat",
    "rename",
    "renameat",
    "renameat2",
    "fsync",
    "fdatasync",
    "write",
    "unlink",
    "unlinkat",
    "rmdir",
    "symlink",
    "symlinkat",
    "link",
    "linkat",
    "chmod",
    "fchmod",
];

/// At most so many of one call, evenly chosen, the first and the last among them.
const OF_ONE_CALL: usize = 5;

/// A folder's content, by what [`ward::contents`] says.
type Contents = BTreeMap<PathBuf, String>;

/// A change that is killed, on one environment that is put back as it was each time.
struct Victim {
    sandbox: Sandbox,
    /// Behind `venv-rebuild`.
    args: Vec<&'static str>,
    old: Contents,
    old_backups: Vec<Contents>,
    new: Contents,
    new_backups: Vec<Contents>,
    /// Whether the two change places in one step, so that there is never anything between.
    at_once: bool,
}

impl Victim {
    /// Prepares the environment, keeps a copy of that, and lets the change happen once to know what it comes to.
    fn new(args: &[&'static str], at_once: bool, prepare: impl FnOnce(&Sandbox, &Path)) -> Self {
        let sandbox = Sandbox::new();
        let venv = sandbox.work("project/.venv");
        fs::create_dir_all(venv.parent().unwrap()).unwrap();
        prepare(&sandbox, &venv);
        fs::create_dir_all(sandbox.root().join("state/mendline")).unwrap();
        fs::create_dir(sandbox.root().join("tmp")).unwrap();
        copy(&sandbox.root().join("work"), &sandbox.root().join("work.kept"));
        copy(&sandbox.root().join("state"), &sandbox.root().join("state.kept"));
        let (old, old_backups) = (ward::contents(&venv), backed_up(&venv));
        drop(ward::force(&sandbox, args, &venv).code(0));
        let (new, new_backups) = (ward::contents(&venv), backed_up(&venv));
        assert!((&old, &old_backups) != (&new, &new_backups), "there is no change to kill");
        Self { sandbox, args: args.to_vec(), old, old_backups, new, new_backups, at_once }
    }

    fn venv(&self) -> PathBuf {
        self.sandbox.root().join("work/project/.venv")
    }

    fn state(&self) -> PathBuf {
        self.sandbox.root().join("state/mendline")
    }

    fn change(&self) -> Ran {
        ward::force(&self.sandbox, &self.args, &self.venv())
    }

    fn put_back(&self) {
        for name in ["work", "state"] {
            let (place, kept) = (self.sandbox.root().join(name), self.sandbox.root().join(format!("{name}.kept")));
            fs::remove_dir_all(&place).unwrap();
            copy(&kept, &place);
        }
    }

    /// Every point at which to kill: a call, and the how-manieth of its thread it is.
    fn points(&self) -> Vec<(&'static str, usize)> {
        self.put_back();
        let log = self.sandbox.root().join("calls.log");
        drop(self.traced(&format!("trace={}", CALLS.map(|call| format!("?{call}")).join(",")), &log).code(0));
        let mut counts: BTreeMap<(String, &str), usize> = BTreeMap::new();
        for line in fs::read_to_string(log).unwrap().lines() {
            let (thread, rest) = line.split_once(' ').unwrap();
            let called = rest.trim_start().split('(').next().unwrap_or_default();
            if let Some(call) = CALLS.into_iter().find(|call| *call == called) {
                *counts.entry((thread.to_owned(), call)).or_default() += 1;
            }
        }
        let most = |call: &str| counts.iter().filter(|((_, called), _)| *called == call).map(|(_, count)| *count).max().unwrap_or(0);
        CALLS.into_iter().flat_map(|call| evenly(most(call)).into_iter().map(move |nth| (call, nth))).collect()
    }

    /// Runs the change under strace, which follows its threads and lets go of the programs that it starts.
    fn traced(&self, expression: &str, log: &Path) -> Ran {
        let words =
            ["-f", "-qq", "-b", "execve", "-e", expression, "-o"].map(arg).into_iter().chain([arg(log), arg(binary("venv-rebuild"))]);
        let rest = self.args.iter().map(arg).chain([arg("--force"), arg(self.venv())]);
        ward::at_wheels(&self.sandbox, self.sandbox.command("strace", words.chain(rest)))
            .env("TMPDIR", self.sandbox.root().join("tmp"))
            .run()
    }

    fn kill_at_every_point(&self) {
        let points = self.points();
        assert!(points.len() >= 15, "too few: {points:?}");
        let (mut stayed, mut went, mut missed) = (0, 0, 0);
        for (call, nth) in points {
            self.put_back();
            let ran = self.traced(&format!("inject={call}:signal=SIGKILL:when={nth}"), Path::new("/dev/null"));
            // A name that is taken in one second and free in the next makes a call more or less.
            if ran.code == Some(0) {
                missed += 1;
                continue;
            }
            assert_eq!(ran.signal, Some(9), "{call} {nth}: {}", ran.stderr);
            let at = format!("killed at {call} {nth}");
            if self.at_once {
                self.holds_one_side(&at);
            }
            if self.settles(&at) {
                went += 1;
            } else {
                stayed += 1;
            }
            self.comes_to_its_end(&at);
        }
        assert!(missed <= 2, "{missed} points were not reached");
        assert!(stayed > 0 && went > 0, "one side was never seen: {stayed} old, {went} new");
    }

    /// Insists that the path holds the old environment or the new one, whole.
    fn holds_one_side(&self, at: &str) {
        // While an exchange is not settled, the marks of a backup stand in either.
        let now = unmarked(&ward::contents(&self.venv()));
        assert!(now == unmarked(&self.old) || now == unmarked(&self.new), "{at}: {now:#?}");
    }

    /// The next run ends on one side: nothing is left over, and nothing lost.
    fn settles(&self, at: &str) -> bool {
        let ran = ward::rebuild(&self.sandbox, ["--force"]).run();
        assert_eq!(ran.code, Some(0), "{at}: {}\n{}", ran.stderr, ran.text());
        let actions = ran.of("action");
        let outcomes: Vec<_> = actions.iter().map(|action| action["data"]["outcome"].as_str().unwrap()).collect();
        assert!(matches!(outcomes[..], [] | ["undone" | "done"]), "{at}: {actions:#?}");

        let venv = self.venv();
        let now = (ward::contents(&venv), backed_up(&venv));
        // A new tree that was in place for a while is kept: somebody may have put something into it.
        let without_new: Vec<Contents> = now.1.iter().filter(|kept| unmarked(kept) != unmarked(&self.new)).cloned().collect();
        let is_old = now.0 == self.old && (now.1 == self.old_backups || without_new == self.old_backups);
        let is_new = now.0 == self.new && now.1 == self.new_backups;
        assert!(is_old || is_new, "{at}: {actions:#?}\n{now:#?}");
        let mut temporary: Vec<PathBuf> = left_in(&self.sandbox.root().join("tmp")).collect();
        ward::walk(venv.parent().unwrap(), &mut |path, _| {
            temporary.extend(path.file_name().filter(|name| name.to_string_lossy().contains(".mendline-")).map(|_| path.to_owned()));
        });
        assert!(temporary.is_empty(), "{at}: {temporary:?}");
        let journal = self.state().join("journal");
        let journal: Vec<_> = if journal.exists() { ward::names(&journal) } else { Vec::new() };
        assert!(journal.iter().all(|name| name.starts_with(".mendline-")), "{at}: {journal:?}");
        self.audit_is_readable(at);
        assert!(outcomes.iter().all(|outcome| (*outcome == "done") == is_new), "{at}: {actions:#?}");
        is_new
    }

    /// Every line is a record, but for one that was torn.
    fn audit_is_readable(&self, at: &str) {
        let text = fs::read_to_string(self.state().join("audit.jsonl")).unwrap();
        let torn: Vec<_> = text.lines().filter(|line| serde_json::from_str::<Value>(line).is_err()).collect();
        assert!(torn.len() <= 1 && torn.iter().all(|line| line.starts_with('{')), "{at}: {torn:?}");
        text.lines().filter(|line| !torn.contains(line)).for_each(|line| drop(tests::schema::check(line)));
    }

    /// Asked for once more, the change is made, or there is nothing left to change.
    fn comes_to_its_end(&self, at: &str) {
        if self.args.contains(&"undo") {
            return;
        }
        let ran = self.change();
        assert_eq!(ran.code, Some(0), "{at}: {}\n{}", ran.stderr, ran.text());
        ward::same(&self.new, &ward::contents(&self.venv()));
    }
}

/// Files of ours in a folder for temporary ones; installers leave their own there.
fn left_in(folder: &Path) -> impl Iterator<Item = PathBuf> {
    ward::names(folder).into_iter().filter(|name| name.contains("mendline-")).map(|name| folder.join(name))
}

/// A tree but for what says that it is a backup.
fn unmarked(contents: &Contents) -> Contents {
    let marks = [".gitignore", "mendline-backup.json"].map(PathBuf::from);
    contents.iter().filter(|(path, _)| !marks.contains(path)).map(|(path, what)| (path.clone(), what.clone())).collect()
}

/// What the backups of an environment hold, but for what says that they are backups.
fn backed_up(venv: &Path) -> Vec<Contents> {
    let unmarked = |mut contents: Contents| {
        contents.remove(Path::new("mendline-backup.json"));
        contents
    };
    ward::backups(venv).iter().map(|backup| unmarked(ward::contents(backup))).collect()
}

fn evenly(count: usize) -> Vec<usize> {
    let steps = count.min(OF_ONE_CALL);
    let mut chosen: Vec<usize> = (0..steps).map(|step| 1 + step * (count - 1) / (steps - 1).max(1)).collect();
    chosen.dedup();
    chosen
}

/// With modes and links, as they are.
fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

#[test]
fn killed_while_it_links() {
    let victim = Victim::new(&[], false, |sandbox, venv| {
        ward::by_uv(sandbox, venv, &[]);
        ward::kill(venv);
    });
    victim.kill_at_every_point();
    ward::is_healthy(&victim.sandbox, &victim.venv());
}

#[test]
fn killed_while_it_rewrites_paths() {
    let victim = Victim::new(&[], false, |sandbox, venv| {
        ward::by_uv(sandbox, &sandbox.work("before"), &["--seed"]);
        fs::rename(sandbox.work("before"), venv).unwrap();
    });
    victim.kill_at_every_point();
    ward::is_healthy(&victim.sandbox, &victim.venv());
}

#[test]
fn killed_while_it_exchanges_a_clone() {
    let victim = Victim::new(&[], true, |sandbox, venv| {
        ward::by_uv(sandbox, venv, &[]);
        ward::install(sandbox, venv, &["idna"]);
        let packages = fs::read_dir(venv.join("lib")).unwrap().next().unwrap().unwrap().path().join("site-packages");
        fs::create_dir(packages.join("~dna")).unwrap();
        fs::write(packages.join("~dna/core.py"), "").unwrap();
    });
    victim.kill_at_every_point();
    ward::is_healthy(&victim.sandbox, &victim.venv());
}

#[test]
fn killed_while_it_builds_anew() {
    let victim = Victim::new(&["--full"], true, |sandbox, venv| {
        ward::by_uv(sandbox, venv, &["--prompt", "before"]);
        ward::wheel(sandbox, "gadget", "1.0");
        ward::install(sandbox, venv, &["gadget"]);
        ward::kill(venv);
    });
    victim.kill_at_every_point();
    ward::is_healthy(&victim.sandbox, &victim.venv());
}

#[test]
fn killed_while_it_exchanges_a_backup() {
    let victim = Victim::new(&["undo"], true, |sandbox, venv| {
        ward::by_uv(sandbox, venv, &[]);
        ward::kill(venv);
        drop(ward::force(sandbox, &["--full"], venv).code(0));
    });
    victim.kill_at_every_point();
}

#[test]
fn killed_while_it_puts_files_back() {
    let victim = Victim::new(&["undo"], false, |sandbox, venv| {
        ward::by_uv(sandbox, venv, &[]);
        ward::kill(venv);
        drop(ward::force(sandbox, &[], venv).code(0));
    });
    victim.kill_at_every_point();
}

#[test]
fn killed_while_it_removes_a_backup() {
    let victim = Victim::new(&["prune", "--keep", "0", "--older-than", "0s"], true, |sandbox, venv| {
        ward::by_uv(sandbox, venv, &[]);
        ward::kill(venv);
        drop(ward::force(sandbox, &["--full"], venv).code(0));
    });
    victim.kill_at_every_point();
    assert_eq!(victim.new_backups.len(), 0);
}
