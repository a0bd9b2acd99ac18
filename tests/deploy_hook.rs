//! What git really does on each kind of push, with husky as projects have it, and whose deployment is watched then.

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tests::{Ran, Run, Sandbox, write_program};

/// A clone with husky and our hook, and the bare repository that it pushes to. What is watched comes into a file.
pub(crate) struct Lab(pub(crate) Sandbox);

impl Lab {
    /// `main` is pushed with one commit, before there was a hook.
    pub(crate) fn new() -> Self {
        let lab = Self::bare();
        lab.husky();
        lab.git(&["push", "-q", "origin", "main"]).code(0).ok();
        assert_eq!(lab.watched().len(), 1);
        fs::remove_file(lab.0.root().join("watched")).unwrap();
        lab
    }

    /// Without any hook.
    pub(crate) fn bare() -> Self {
        let lab = Self(Sandbox::new());
        fs::create_dir(lab.0.root().join("home")).unwrap();
        let settings = "[user]\nname = a\nemail = a@example.org\n[init]\ndefaultBranch = main\n";
        fs::write(lab.0.root().join("home/.gitconfig"), settings).unwrap();
        for words in [&["init", "-q", "--bare", "../remote.git"][..], &["init", "-q"], &["remote", "add", "origin", "../remote.git"]] {
            lab.git(words).code(0).ok();
        }
        lab.commit("first");
        lab
    }

    /// Has each push followed, and notes which.
    fn husky(&self) {
        self.command("husky", &[]).run().code(0).ok();
        write_program(self.0.work(".husky/post-push"), &self.noting());
        self.command("deploy-watch", &["install", "--force"]).run().code(0).ok();
        self.git(&["add", ".husky"]).code(0).ok();
        self.commit("hooks");
    }

    /// Lines of sh for a post-push.
    pub(crate) fn noting(&self) -> String {
        format!("echo \"$DEPLOY_WATCH_REMOTE $DEPLOY_WATCH_BRANCH $DEPLOY_WATCH_COMMIT\" >>{}", self.0.root().join("watched").display())
    }

    pub(crate) fn command(&self, program: &str, words: &[&str]) -> Run {
        self.0.command(program, words).within(self.0.work("")).env("MENDLINE_DEPLOY_PATIENCE", "1s")
    }

    pub(crate) fn git(&self, words: &[&str]) -> Ran {
        self.command("git", words).run()
    }

    /// Returns its hash.
    pub(crate) fn commit(&self, text: &str) -> String {
        self.git(&["commit", "-q", "--allow-empty", "-m", text]).code(0).ok();
        self.head()
    }

    pub(crate) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"]).code(0).text().trim().to_owned()
    }

    /// A hook of the other side.
    pub(crate) fn server(&self, remote: &str, hook: &str, lines: &str) {
        write_program(self.0.root().join(remote).join("hooks").join(hook), lines);
    }

    pub(crate) fn remote(&self, name: &str) -> PathBuf {
        self.git(&["init", "-q", "--bare", &format!("../{name}.git")]).code(0).ok();
        self.0.root().join(format!("{name}.git"))
    }

    /// Somebody else pushes to `main`.
    fn other_pushes(&self) {
        let other = self.0.root().join("other");
        self.command("git", &["clone", "-q", "../remote.git", other.to_str().unwrap()]).run().code(0).ok();
        for words in [&["commit", "-q", "--allow-empty", "-m", "other"][..], &["push", "-q", "origin", "main"]] {
            self.command("git", words).within(&other).run().code(0).ok();
        }
    }

    /// What was watched, once nobody waits any more.
    pub(crate) fn watched(&self) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.somebody_is_here() {
            assert!(Instant::now() < deadline, "a waiter does not end");
            sleep(Duration::from_millis(20));
        }
        fs::read_to_string(self.0.root().join("watched")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn somebody_is_here(&self) -> bool {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        processes.filter_map(|process| fs::read_link(process.path().join("cwd")).ok()).any(|cwd| cwd.starts_with(self.0.root()))
    }

    /// Pushes, and says with which status and what is watched then.
    #[track_caller]
    fn push(&self, words: &[&str]) -> (Option<i32>, Vec<String>) {
        let pushed = self.git(&[&["push"], words].concat());
        (pushed.code, self.watched())
    }
}

fn nothing(code: i32) -> (Option<i32>, Vec<String>) {
    (Some(code), Vec::new())
}

fn main_is_watched(commit: &str) -> (Option<i32>, Vec<String>) {
    (Some(0), vec![format!("origin main {commit}")])
}

#[test]
fn a_push_to_main() {
    let lab = Lab::new();
    let commit = lab.commit("next");
    assert_eq!(lab.push(&["origin", "main"]), main_is_watched(&commit));
    let log = fs::read_to_string(lab.0.work(&format!(".deployment-status-{}.log", &commit[..7]))).unwrap();
    assert!(log.contains("] pushed to main of origin, as git has noted\n") && log.contains("] running .husky/post-push\n"), "{log}");
    assert_eq!(lab.git(&["status", "--porcelain"]).text(), "");
}

#[test]
fn nothing_to_push() {
    let lab = Lab::new();
    assert_eq!(lab.push(&["origin", "main"]), nothing(0));
}

#[test]
fn a_dry_run() {
    let lab = Lab::new();
    let commit = lab.commit("next");
    assert_eq!(lab.push(&["--dry-run", "origin", "main"]), nothing(0));
    assert!(!lab.0.work(&format!(".deployment-status-{}.log", &commit[..7])).exists());
}

#[test]
fn a_known_non_fast_forward() {
    let lab = Lab::new();
    lab.git(&["reset", "-q", "--hard", "HEAD~1"]).code(0).ok();
    lab.commit("aside");
    lab.command("husky", &[]).run().code(0).ok();
    assert_eq!(lab.push(&["origin", "main"]), nothing(1));
}

#[test]
fn fetch_first() {
    let lab = Lab::new();
    lab.other_pushes();
    // What was pushed last, and noted then, is not pushed now.
    assert_eq!(lab.push(&["origin", "main"]), nothing(1));
    lab.commit("next");
    assert_eq!(lab.push(&["origin", "main"]), nothing(1));
}

#[test]
fn the_server_says_no() {
    for hook in ["pre-receive", "update"] {
        let lab = Lab::new();
        lab.server("remote.git", hook, "exit 1");
        lab.commit("next");
        assert_eq!(lab.push(&["origin", "main"]), nothing(1), "{hook}");
    }
}

#[test]
fn a_partial_push() {
    let lab = Lab::new();
    lab.server("remote.git", "update", "[ \"$1\" != refs/heads/main ]");
    lab.commit("next");
    lab.git(&["branch", "feat"]).code(0).ok();
    assert_eq!(lab.push(&["origin", "feat", "main"]), nothing(1));
    assert_eq!(lab.git(&["rev-parse", "origin/feat"]).code(0).text().trim(), lab.head());
}

#[test]
fn an_atomic_push_with_one_rejection() {
    let lab = Lab::new();
    lab.server("remote.git", "update", "[ \"$1\" != refs/heads/feat ]");
    lab.commit("next");
    lab.git(&["branch", "feat"]).code(0).ok();
    assert_eq!(lab.push(&["--atomic", "origin", "feat", "main"]), nothing(1));
}

#[test]
fn another_branch_or_a_tag() {
    let lab = Lab::new();
    lab.commit("next");
    lab.git(&["tag", "v1"]).code(0).ok();
    assert_eq!(lab.push(&["origin", "HEAD:refs/heads/feat"]), nothing(0));
    assert_eq!(lab.push(&["origin", "v1"]), nothing(0));
    assert_eq!(lab.push(&["origin", "HEAD:refs/tags/main"]), nothing(0));
}

#[test]
fn another_name_here() {
    for source in ["feat", "HEAD"] {
        let lab = Lab::new();
        lab.git(&["checkout", "-q", "-b", "feat"]).code(0).ok();
        let commit = lab.commit("next");
        assert_eq!(lab.push(&["origin", &format!("{source}:main")]), main_is_watched(&commit));
    }
}

#[test]
fn several_refs() {
    for words in [&["origin", "main", "feat"][..], &["--all", "origin"], &["--follow-tags", "origin", "main"]] {
        let lab = Lab::new();
        let commit = lab.commit("next");
        lab.git(&["branch", "feat", "HEAD~1"]).code(0).ok();
        lab.git(&["tag", "-a", "-m", "one", "v1"]).code(0).ok();
        assert_eq!(lab.push(words), main_is_watched(&commit), "{words:?}");
    }
}

#[test]
fn a_deletion() {
    let lab = Lab::new();
    lab.git(&["-C", "../remote.git", "config", "receive.denyDeleteCurrent", "ignore"]).code(0).ok();
    lab.git(&["push", "-q", "origin", "HEAD:refs/heads/feat"]).code(0).ok();
    assert_eq!(lab.push(&["origin", ":feat"]), nothing(0));
    assert_eq!(lab.push(&["--delete", "origin", "main"]), nothing(0));
}

#[test]
fn by_force() {
    for force in ["--force", "--force-with-lease"] {
        let lab = Lab::new();
        lab.git(&["commit", "-q", "--amend", "--allow-empty", "-m", "other hooks"]).code(0).ok();
        assert_eq!(lab.push(&[force, "origin", "main"]), main_is_watched(&lab.head()));
    }
}

#[test]
fn by_force_and_in_vain_back_to_what_the_remote_contains() {
    let lab = Lab::new();
    lab.git(&["-C", "../remote.git", "config", "receive.denyNonFastForwards", "true"]).code(0).ok();
    assert_eq!(lab.push(&["--force", "origin", "HEAD~1:main"]), nothing(1));
}

#[test]
fn by_force_over_the_work_of_another_whom_nobody_has_fetched() {
    let lab = Lab::new();
    lab.other_pushes();
    // The remote-tracking branch stays where it is, so that git notes nothing.
    assert_eq!(lab.push(&["--force", "origin", "main"]), main_is_watched(&lab.head()));
}
