//! Other ways to push: where to, from where, with which hooks, and to which end.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tests::write_program;

use crate::deploy_hook::Lab;

/// Waits for a file that a hook of the server leaves.
fn appears(lab: &Lab, name: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !lab.0.root().join(name).exists() {
        assert!(Instant::now() < deadline, "there is no {name}");
        sleep(Duration::from_millis(10));
    }
}

/// Lines of a server's hook that says that it is there and waits for a word.
fn slow(lab: &Lab, end: &str) -> String {
    let root = lab.0.root().display();
    // Not for ever: it is not to outlive a test that fails.
    format!("touch {root}/reached; n=0; while [ ! -e {root}/go ] && [ $((n += 1)) -lt 600 ]; do sleep 0.05; done; {end}")
}

#[test]
fn by_url() {
    let lab = Lab::new();
    let (commit, url) = (lab.commit("next"), lab.0.root().join("remote.git").display().to_string());
    lab.git(&["push", &url, "main"]).code(0).ok();
    assert_eq!(lab.watched(), [format!("{url} main {commit}")]);
    let log = fs::read_to_string(lab.0.work(&format!(".deployment-status-{}.log", &commit[..7]))).unwrap();
    assert!(log.contains(", as the remote says\n"), "{log}");
}

#[test]
fn two_remotes() {
    let lab = Lab::new();
    let commit = lab.commit("next");
    lab.remote("fork");
    lab.git(&["remote", "add", "fork", "../fork.git"]).code(0).ok();
    lab.git(&["push", "origin", "main"]).code(0).ok();
    lab.git(&["push", "fork", "main"]).code(0).ok();
    let mut watched = lab.watched();
    watched.sort();
    assert_eq!(watched, [format!("fork main {commit}"), format!("origin main {commit}")]);
}

#[test]
fn two_urls_of_one_remote() {
    for (accepts, code) in [("exit 0", 0), ("exit 1", 1)] {
        let lab = Lab::new();
        let commit = lab.commit("next");
        lab.remote("mirror");
        lab.server("mirror.git", "pre-receive", accepts);
        for url in ["../remote.git", "../mirror.git"] {
            lab.git(&["remote", "set-url", "--add", "--push", "origin", url]).code(0).ok();
        }
        lab.git(&["push", "origin", "main"]).code(code).ok();
        assert_eq!(lab.watched(), [format!("origin main {commit}")], "{accepts}");
    }
}

#[test]
fn what_is_announced_more_than_once_is_watched_once_and_what_is_pushed_again_is_watched_again() {
    let lab = Lab::new();
    let (first, commit) = (lab.head(), lab.commit("next"));
    let push = |words: &[&str], code| {
        lab.command("git", &[&["push", "origin"], words].concat()).env("MENDLINE_DEPLOY_PATIENCE", "20s").run().code(code).ok();
    };
    push(&["--dry-run", "main"], 0);
    lab.server("remote.git", "pre-receive", "exit 1");
    push(&["main"], 1);
    lab.server("remote.git", "pre-receive", "exit 0");
    push(&["main"], 0);
    let of = |commit: &str| format!("origin main {commit}");
    assert_eq!(lab.watched(), [of(&commit)]);
    push(&["--force", &format!("{first}:main")], 0);
    assert_eq!(lab.watched(), [of(&commit), of(&first)]);
    push(&["main"], 0);
    assert_eq!(lab.watched(), [of(&commit), of(&first), of(&commit)]);
}

#[test]
fn a_remote_that_cannot_be_reached() {
    let lab = Lab::new();
    lab.commit("next");
    fs::rename(lab.0.root().join("remote.git"), lab.0.root().join("elsewhere.git")).unwrap();
    lab.git(&["push", "origin", "main"]).code(128).ok();
    assert_eq!(lab.watched().len(), 0);
}

#[test]
fn from_a_folder_below() {
    let lab = Lab::new();
    let commit = lab.commit("next");
    let below = lab.0.work("a/b");
    fs::create_dir_all(&below).unwrap();
    lab.command("git", &["push", "origin", "main"]).within(below).run().code(0).ok();
    assert_eq!(lab.watched(), [format!("origin main {commit}")]);
}

#[test]
fn from_a_linked_work_tree_where_husky_is_not_set_up() {
    let lab = Lab::new();
    let linked = lab.0.root().join("linked");
    lab.git(&["worktree", "add", "-q", linked.to_str().unwrap(), "-b", "feat"]).code(0).ok();
    let within = |words: &[&str]| lab.command("git", words).within(&linked).run().code(0);
    within(&["commit", "-q", "--allow-empty", "-m", "next"]).ok();
    within(&["push", "origin", "HEAD:main"]).ok();
    assert_eq!(lab.watched().len(), 0);
}

#[test]
fn without_hooks() {
    let lab = Lab::new();
    lab.commit("next");
    lab.git(&["push", "--no-verify", "origin", "main"]).code(0).ok();
    lab.commit("third");
    lab.command("git", &["push", "origin", "main"]).env("HUSKY", "0").run().code(0).ok();
    lab.commit("fourth");
    lab.command("git", &["push", "origin", "main"]).env("DEPLOY_WATCH", "1").run().code(0).ok();
    assert_eq!(lab.watched().len(), 0);
}

#[test]
fn a_fetch_that_moves_the_remote_tracking_branch() {
    let lab = Lab::new();
    let commit = lab.commit("next");
    lab.git(&["push", "-q", "--no-verify", "../remote.git", "main"]).code(0).ok();
    lab.git(&["fetch", "-q", "origin"]).code(0).ok();
    assert_eq!(lab.git(&["rev-parse", "origin/main"]).text().trim(), commit);
    assert_eq!(lab.watched().len(), 0);
}

#[test]
fn a_branch_of_another_name() {
    let lab = Lab::new();
    let commit = lab.commit("next");
    let push = |branch: &str| lab.command("git", &["push", "origin", branch]).env("MENDLINE_DEPLOY_BRANCH", "live").run().code(0).ok();
    push("main");
    push("main:live");
    assert_eq!(lab.watched(), [format!("origin live {commit}")]);
}

#[test]
fn whoever_reads_what_git_says_need_not_wait_for_the_watch() {
    let lab = Lab::new();
    let commit = lab.commit("next");
    write_program(lab.0.work(".husky/post-push"), &format!("{}; {}", slow(&lab, "true"), lab.noting()));
    let started = Instant::now();
    lab.command("bash", &["-c", "git push origin main 2>&1 | cat"]).run().code(0).ok();
    assert!(started.elapsed() < Duration::from_secs(20));
    appears(&lab, "reached");
    fs::write(lab.0.root().join("go"), "").unwrap();
    assert_eq!(lab.watched(), [format!("origin main {commit}")]);
}

#[test]
fn the_waiter_belongs_to_no_terminal() {
    let lab = Lab::new();
    lab.commit("next");
    let lines = "read -r _ _ _ _ group session _ </proc/$$/stat; echo \"$group $session $PPID\" >../told";
    write_program(lab.0.work(".husky/post-push"), lines);
    lab.git(&["push", "origin", "main"]).code(0).ok();
    assert_eq!(lab.watched().len(), 0);
    let told = fs::read_to_string(lab.0.root().join("told")).unwrap();
    let words: Vec<&str> = told.split_whitespace().collect();
    assert!(words[0] == words[2] && words[1] == words[2], "{told}");
}

#[test]
fn a_server_that_takes_its_time() {
    let lab = Lab::new();
    let commit = lab.commit("next");
    lab.server("remote.git", "pre-receive", &slow(&lab, "exit 0"));
    let mut push = lab.command("git", &["push", "origin", "main"]).start();
    appears(&lab, "reached");
    // Longer than it would be asked afterwards.
    sleep(Duration::from_secs(2));
    assert!(!lab.0.root().join("watched").exists());
    fs::write(lab.0.root().join("go"), "").unwrap();
    assert!(push.wait().unwrap().success());
    assert_eq!(lab.watched(), [format!("origin main {commit}")]);
}

#[test]
fn a_push_that_is_killed_after_the_server_has_it_all() {
    for (end, is_taken) in [("exit 0", true), ("exit 1", false)] {
        let lab = Lab::new();
        let commit = lab.commit("next");
        lab.server("remote.git", "pre-receive", &slow(&lab, end));
        let push = lab.command("git", &["push", "origin", "main"]).env("MENDLINE_DEPLOY_PATIENCE", if is_taken { "50s" } else { "2s" });
        let mut push = push.start();
        appears(&lab, "reached");
        push.kill().unwrap();
        // Nobody reaps it yet; the waiter is past it all the same.
        sleep(Duration::from_millis(500));
        fs::write(lab.0.root().join("go"), "").unwrap();
        let expected: &[String] = if is_taken { &[format!("origin main {commit}")] } else { &[] };
        // A zombie has no current folder.
        assert_eq!(lab.watched(), expected, "{end}");
        assert_eq!(push.wait().unwrap().signal(), Some(9));
    }
}

#[test]
fn where_the_project_has_no_post_push_the_watch_itself_begins() {
    let lab = Lab::new();
    let commit = lab.commit("next");
    fs::remove_file(lab.0.work(".husky/post-push")).unwrap();
    lab.git(&["push", "origin", "main"]).code(0).ok();
    assert_eq!(lab.watched().len(), 0);
    let left = |end: &str| fs::read_to_string(lab.0.work(&format!(".deployment-status-{}.{end}", &commit[..7]))).unwrap();
    let log = left("log");
    assert!(
        log.contains("] pushed to main of origin, as git has noted\n") && log.contains("] no token: set DIGITALOCEAN_ACCESS_TOKEN"),
        "{log}"
    );
    assert_eq!(left("result"), "unknown\n");
}

#[test]
fn a_post_push_that_fails_is_told_of() {
    let lab = Lab::new();
    let commit = lab.commit("next");
    // As husky has it: neither executable nor with a first line that says what it is.
    fs::remove_file(lab.0.work(".husky/post-push")).unwrap();
    fs::write(lab.0.work(".husky/post-push"), "echo it is $DEPLOY_WATCH_BRANCH\nexit 3\n").unwrap();
    lab.git(&["push", "origin", "main"]).code(0).ok();
    assert_eq!(lab.watched().len(), 0);
    let log = fs::read_to_string(lab.0.work(&format!(".deployment-status-{}.log", &commit[..7]))).unwrap();
    assert!(log.contains("\nit is main\n") && log.contains(".husky/post-push failed (exit status: 3)"), "{log}");
}

#[test]
fn the_shipped_post_push_watches_in_the_background_and_says_where_to_look() {
    let lab = Lab::new();
    let commit = lab.commit("next");
    fs::remove_file(lab.0.work(".husky/post-push")).unwrap();
    lab.command("deploy-watch", &["install", "--force"]).run().code(0).ok();
    lab.git(&["push", "origin", "main"]).code(0).ok();
    assert_eq!(lab.watched().len(), 0);
    let name = format!(".deployment-status-{}.log", &commit[..7]);
    let log = fs::read_to_string(lab.0.work(&name)).unwrap();
    assert!(log.contains(&format!("\nwatching the deployment of {commit}: tail -f {name}\n")), "{log}");
    assert_eq!(log.matches("no token: set").count(), 1, "{log}");
    // By hand it is for main alone, and it never fails.
    let by_hand = |path: &str| lab.command("/bin/sh", &[".husky/post-push"]).env("PATH", path).run().code(0).text();
    assert_eq!(by_hand("/usr/bin:/bin"), "deploy-watch is not on PATH, so nobody watches this deployment\n");
    lab.git(&["checkout", "-q", "-b", "feat"]).code(0).ok();
    assert_eq!(by_hand("/usr/bin:/bin"), "");
}
