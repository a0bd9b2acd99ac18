//! `deploy-watch`, told of deployments by a command: what it says, what it leaves, and whom it ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tests::{Run, Sandbox, arg, binary, workspace, write_program};

/// A repository with one commit, which is returned.
pub(crate) fn repository(sandbox: &Sandbox) -> String {
    let git = |words: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
        sandbox.command("git", identity.iter().chain(words)).within(sandbox.work("")).run().code(0).text()
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["commit", "-q", "--allow-empty", "-m", "first"]);
    git(&["rev-parse", "HEAD"]).trim().to_owned()
}

fn deploy(sandbox: &Sandbox, args: &[&str]) -> Run {
    sandbox.tool("deploy-watch", args).within(sandbox.work(""))
}

/// A watch of what these lines of sh tell.
fn told_by(sandbox: &Sandbox, options: &[&str], lines: &str) -> Run {
    let teller = sandbox.root().join("teller");
    write_program(&teller, lines);
    let words = ["watch"].iter().chain(options).chain(&["--"]).map(arg).chain([arg(&teller)]);
    sandbox.tool("deploy-watch", words).within(sandbox.work(""))
}

pub(crate) fn left(sandbox: &Sandbox, commit: &str, end: &str) -> PathBuf {
    sandbox.work(&format!(".deployment-status-{}.{end}", &commit[..7]))
}

fn pid_file(sandbox: &Sandbox, commit: &str) -> PathBuf {
    sandbox.work(&format!(".deployment-monitor-{}.pid", &commit[..7]))
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// Whether it comes true soon.
fn soon(is_true: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_true() && Instant::now() < deadline {
        sleep(Duration::from_millis(20));
    }
    is_true()
}

/// A watch that goes on, and has told so.
fn going_on(sandbox: &Sandbox, commit: &str, lines: &str) -> Child {
    let child = told_by(sandbox, &[], lines).start();
    assert!(soon(|| fs::read_to_string(left(sandbox, commit, "jsonl")).is_ok_and(|text| text.contains("deploy.state"))));
    child
}

#[test]
fn each_step_is_told_once_and_the_files_of_the_old_system_are_left_where_git_overlooks_them() {
    let sandbox = Sandbox::new();
    let commit = repository(&sandbox);
    let lines = r#"echo '{"phase":"building","deployment":"d1","text":"1 of 2"}'
echo '{"phase":"building","deployment":"d1","text":"1 of 2"}'
echo "for $DEPLOY_WATCH_COMMIT on $DEPLOY_WATCH_BRANCH" >&2
echo '{"phase":"live","deployment":"d1","result":"active","url":"https://shop.example.org"}'"#;
    let ran = told_by(&sandbox, &[], lines).run().code(0);
    let kinds: Vec<String> = ran.records().iter().map(|record| record["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["deploy.watch", "deploy.state", "deploy.result", "end"]);
    let result = &ran.of("deploy.result")[0]["data"];
    assert_eq!((&result["result"], &result["commit"], &result["branch"]), (&"active".into(), &commit.as_str().into(), &"main".into()));
    assert_eq!((&result["url"], &result["deployment"]), (&"https://shop.example.org".into(), &"d1".into()));

    assert_eq!(read(&left(&sandbox, &commit, "result")), "success\n");
    assert_eq!(read(&pid_file(&sandbox, &commit)), "");
    let log = read(&left(&sandbox, &commit, "log"));
    assert!(log.contains("] building: 1 of 2\n") && log.contains(&format!("for {commit} on main\n")), "{log}");
    assert_eq!(read(&left(&sandbox, &commit, "jsonl")).lines().collect::<Vec<_>>(), ran.text().lines().take(3).collect::<Vec<_>>());
    let status = sandbox.command("git", ["status", "--porcelain"]).within(sandbox.work("")).run().code(0);
    assert_eq!(status.text(), "");
    // Once is enough.
    told_by(&sandbox, &[], lines).run().code(0).ok();
    assert_eq!(read(&sandbox.work(".git/info/exclude")).matches("deployment-status").count(), 1);

    let status = deploy(&sandbox, &["status"]).run().code(0);
    assert_eq!(status.of("deploy.result")[0]["data"]["result"], "active");
    assert_eq!(deploy(&sandbox, &["logs", &commit[..9]]).run().code(0).text(), read(&left(&sandbox, &commit, "log")));
}

#[test]
fn a_failure_is_explained_by_its_logs() {
    let sandbox = Sandbox::new();
    let commit = repository(&sandbox);
    let lines = r#"printf 'Step 4/9\nnpm error code EUSAGE\nnpm error `npm ci` can only install packages when your package.json and package-lock.json are in sync.\n' >"$DEPLOY_WATCH_LOGS/build.log"
echo '{"phase":"failed","result":"error","text":"the build failed","logs":["'"$DEPLOY_WATCH_LOGS"'/build.log"]}'"#;
    let ran = told_by(&sandbox, &[], lines).run().code(1);
    let cause = &ran.of("diagnosis")[0]["data"];
    assert_eq!((&cause["code"], &cause["evidence"][0]["line"]), (&"node.lockfile-stale".into(), &3.into()));
    let result = &ran.of("deploy.result")[0]["data"];
    assert_eq!((&result["result"], &result["class"]), (&"error".into(), &"lockfile_out_of_sync".into()));
    assert_eq!(read(&left(&sandbox, &commit, "result")), "failed\n");
    deploy(&sandbox, &["status"]).run().code(1).ok();
    let drawn = deploy(&sandbox, &["status", "--format", "text"]).run().code(1).text();
    assert!(drawn.contains(&format!("✗ error  {}  main  lockfile_out_of_sync\n    the build failed\n", &commit[..7])), "{drawn}");
    assert!(!drawn.contains("Incomplete"), "{drawn}");
}

#[test]
fn who_was_replaced_is_not_to_blame_and_who_never_ends_is() {
    let sandbox = Sandbox::new();
    let commit = repository(&sandbox);
    for (result, code, word) in
        [("superseded", 0, "superseded"), ("canceled", 0, "canceled"), ("rolled_back", 1, "failed"), ("not_started", 1, "not_started")]
    {
        told_by(&sandbox, &[], &format!("echo '{{\"phase\":\"over\",\"result\":\"{result}\"}}'")).run().code(code).ok();
        assert_eq!(read(&left(&sandbox, &commit, "result")).trim(), word);
        deploy(&sandbox, &["status"]).run().code(code).ok();
    }
    let after =
        |end: &str| told_by(&sandbox, &["--timeout", "1s"], &format!("echo '{{\"phase\":\"up\",\"result\":\"active\"}}'; {end}")).run();
    assert!(after("exit 3").code(0).stderr.contains("and then failed (exit status: 3)"));
    assert!(after("sleep 60").code(0).stderr.contains("and then went on until the time was over"));
    let late = told_by(&sandbox, &["--timeout", "1s"], "echo '{\"phase\":\"building\"}'; sleep 60").run().code(1);
    let result = &late.of("deploy.result")[0]["data"];
    assert_eq!((&result["result"], &result["text"]), (&"timeout".into(), &"it was still building after 1 s".into()));
    assert_eq!(read(&left(&sandbox, &commit, "result")), "timeout\n");
}

#[test]
fn what_cannot_be_seen_is_no_verdict() {
    let sandbox = Sandbox::new();
    let commit = repository(&sandbox);
    for (lines, why) in [
        ("echo '{\"phase\":\"building\"}'; exit 3", "ended (exit status: 3) without a result"),
        ("echo building", "does not tell of a deployment: line 1 is `building`: "),
        ("echo '{\"phase\":\"x\",\"result\":\"splendid\"}'", "unknown variant `splendid`"),
        ("head -c 2000000 /dev/zero", "longer than 1048576 bytes"),
    ] {
        let ran = told_by(&sandbox, &[], lines).run().code(2);
        assert!(ran.stderr.contains(why), "{}", ran.stderr);
        assert_eq!(ran.of("deploy.result").len(), 0);
        assert_eq!(read(&left(&sandbox, &commit, "result")), "unknown\n");
        assert_eq!(deploy(&sandbox, &["status"]).run().code(1).of("deploy.word")[0]["data"]["word"], "unknown");
    }
    let gone = deploy(&sandbox, &["watch", "--", "/nonexistent/teller"]).run().code(2);
    assert!(gone.stderr.contains("cannot start /nonexistent/teller"), "{}", gone.stderr);
    fs::write(sandbox.work("teller"), "").unwrap();
    let misplaced = deploy(&sandbox, &["watch", "./teller"]).run().code(2);
    assert!(misplaced.stderr.contains("a command comes after `--`: deploy-watch watch -- ./teller"), "{}", misplaced.stderr);
}

#[test]
fn one_watch_of_a_commit_goes_on_at_a_time_and_stop_ends_all_of_it() {
    let sandbox = Sandbox::new();
    let commit = repository(&sandbox);
    let mut child = going_on(&sandbox, &commit, "echo $$ >child; echo '{\"phase\":\"building\"}'; sleep 60");
    assert_eq!(read(&pid_file(&sandbox, &commit)), format!("{}\n", child.id()));
    let second = told_by(&sandbox, &[], "exit").run().code(75);
    assert!(second.stderr.contains(&format!("deploy-watch stop {} ends it", &commit[..7])), "{}", second.stderr);
    assert_eq!(deploy(&sandbox, &["status"]).run().code(2).of("deploy.state").len(), 1);

    let teller = read(&sandbox.work("child")).trim().to_owned();
    let stopped = deploy(&sandbox, &["stop"]).run().code(0);
    assert_eq!(stopped.of("action")[0]["data"]["outcome"], "done", "{}", stopped.text());
    child.wait().unwrap();
    assert!(soon(|| !Path::new("/proc").join(&teller).exists()));
    let status = deploy(&sandbox, &["status"]).run().code(3);
    assert!(status.stderr.contains("was ended before the deployment was"), "{}", status.stderr);
    assert_eq!(deploy(&sandbox, &["stop"]).run().code(0).of("action")[0]["data"]["outcome"], "skipped");
}

#[test]
fn stop_ends_nobody_who_is_not_known_to_be_the_watch() {
    let sandbox = Sandbox::new();
    let commit = repository(&sandbox);
    let pid = pid_file(&sandbox, &commit);
    let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
    // What a crash leaves: a number that is another's by now.
    fs::write(&pid, format!("{}\n", stranger.id())).unwrap();
    assert_eq!(deploy(&sandbox, &["stop"]).run().code(0).of("action")[0]["data"]["outcome"], "skipped");
    // And one who holds the file for reasons of his own.
    let mut holder = sandbox.command("flock", [arg(&pid), arg("sleep"), arg("60")]).start();
    assert!(soon(|| deploy(&sandbox, &["stop"]).run().code == Some(1)));
    assert_eq!((stranger.try_wait().unwrap(), holder.try_wait().unwrap()), (None, None));
    for child in [&mut stranger, &mut holder] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn a_watch_goes_on_without_a_reader() {
    let sandbox = Sandbox::new();
    let commit = repository(&sandbox);
    let mut child = going_on(
        &sandbox,
        &commit,
        "echo '{\"phase\":\"building\"}'; sleep 2; echo '{\"phase\":\"a\"}'; echo '{\"phase\":\"live\",\"result\":\"active\"}'",
    );
    drop(child.stdout.take());
    drop(child.stderr.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(read(&left(&sandbox, &commit, "result")), "success\n");
}

#[test]
fn a_sweep_follows_what_somebody_else_pushed_once() {
    let sandbox = Sandbox::new();
    repository(&sandbox);
    let run = |folder: &Path, words: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
        sandbox.command("git", identity.iter().chain(words)).within(folder).run().code(0).text().trim().to_owned()
    };
    run(&sandbox.work(""), &["clone", "-q", "--bare", ".", "../remote.git"]);
    run(&sandbox.work(""), &["remote", "add", "origin", "../remote.git"]);
    run(sandbox.root(), &["clone", "-q", "remote.git", "elsewhere"]);
    let elsewhere = sandbox.root().join("elsewhere");
    run(&elsewhere, &["commit", "-q", "--allow-empty", "-m", "of somebody else"]);
    run(&elsewhere, &["push", "-q", "origin", "main"]);
    let head = run(&elsewhere, &["rev-parse", "HEAD"]);

    let seen = sandbox.root().join("seen");
    let teller = sandbox.root().join("teller");
    write_program(
        &teller,
        &format!(
            "echo $DEPLOY_WATCH_COMMIT >>{}; [ -e {}.ok ] || exit 1\necho '{{\"phase\":\"over\",\"result\":\"error\"}}'",
            seen.display(),
            seen.display()
        ),
    );
    let sweep = || sandbox.tool("deploy-watch", [arg("sweep"), arg("--"), arg(&teller)]).within(sandbox.work("")).run();
    // What could not be seen is looked at again.
    sweep().code(2).ok();
    fs::write(seen.with_extension("ok"), "").unwrap();
    assert_eq!(sweep().code(1).of("deploy.result")[0]["data"]["commit"], head.as_str());
    let again = sweep().code(0);
    assert!(again.stderr.contains(&format!("{head} was judged already")), "{}", again.stderr);
    assert_eq!(read(&seen), format!("{head}\n{head}\n"));
    assert!(!sandbox.work(".git/FETCH_HEAD").exists());
}

#[test]
fn the_script_of_the_old_name_has_its_settings() {
    let sandbox = Sandbox::new();
    repository(&sandbox);
    let teller = sandbox.root().join("teller");
    write_program(&teller, "echo '{\"phase\":\"'\"$DEPLOY_WATCH_TIMEOUT\"'\"}'; echo '{\"phase\":\"over\",\"result\":\"active\"}'");
    let script = workspace().join("scripts/auto-deploy-heal");
    let run = |name: &str, value: &str| {
        let words = [arg("--force"), arg("HEAD"), arg("--"), arg(&teller)];
        sandbox.command(&script, words).within(sandbox.work("")).env(name, value).run()
    };
    let seconds: u64 = run("TIMEOUT_MINUTES", "2").code(0).of("deploy.state")[0]["data"]["phase"].as_str().unwrap().parse().unwrap();
    assert!((60..=120).contains(&seconds), "{seconds}");
    assert!(run("MAX_ATTEMPTS", "6").code(2).stderr.contains("6 is not in 1..=5"));
    assert!(run("ERROR_COUNT", "3").code(2).stderr.contains("the same error twice"));
    let hook = fs::read(workspace().join("scripts/hooks/kiro/auto-deploy-monitor.json")).unwrap();
    let hook: serde_json::Value = serde_json::from_slice(&hook).unwrap();
    assert_eq!((&hook["trigger"]["type"], &hook["action"]["type"]), (&"on_agent_complete".into(), &"send_message".into()));
}

#[test]
fn what_the_old_system_left_is_understood() {
    let sandbox = Sandbox::new();
    let commit = repository(&sandbox);
    assert!(deploy(&sandbox, &["status"]).run().code(3).stderr.contains("nobody watched this commit"));
    assert!(deploy(&sandbox, &["logs"]).run().code(2).stderr.contains("nobody watched this commit"));
    for (word, code) in [("success", 0), ("failed", 1), ("timeout", 1)] {
        fs::write(left(&sandbox, &commit, "result"), format!("{word}\n")).unwrap();
        deploy(&sandbox, &["status"]).run().code(code).ok();
    }
    // Of a commit that the repository has no more.
    fs::write(sandbox.work(".deployment-status-1234567.result"), "success\n").unwrap();
    deploy(&sandbox, &["status", "1234567"]).run().code(0).ok();
    assert!(deploy(&sandbox, &["status", "nonsense"]).run().code(2).stderr.contains("there is no commit `nonsense`"));
}

#[test]
fn a_link_in_the_place_of_a_file_leads_nowhere() {
    let sandbox = Sandbox::new();
    let commit = repository(&sandbox);
    let precious = sandbox.root().join("precious");
    for end in ["log", "jsonl", "result"] {
        fs::write(&precious, "precious").unwrap();
        let link = left(&sandbox, &commit, end);
        std::os::unix::fs::symlink(&precious, &link).unwrap();
        let ran = told_by(&sandbox, &[], "echo '{\"phase\":\"live\",\"result\":\"active\"}'").run();
        assert_eq!(
            (read(&precious), ran.code),
            ("precious".to_owned(), Some(if end == "result" { 0 } else { 2 })),
            "{end}: {}",
            ran.stderr
        );
        assert_eq!(read(&pid_file(&sandbox, &commit)), "", "it is over");
        drop(fs::remove_file(&link));
    }
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_not_waited_for() {
    let sandbox = Sandbox::new();
    let commit = repository(&sandbox);
    for end in ["jsonl", "result", "log"] {
        let pipe = left(&sandbox, &commit, end);
        sandbox.command("mkfifo", [&pipe]).run().code(0).ok();
        let ran = sandbox.command("timeout", [arg("20"), arg(binary("deploy-watch")), arg("status")]).within(sandbox.work("")).run();
        assert_ne!(ran.code, Some(124), "{end}: {}", ran.stderr);
        fs::remove_file(&pipe).unwrap();
    }
}

#[test]
fn outside_of_a_repository_it_says_so() {
    let sandbox = Sandbox::new();
    for command in ["watch", "status", "stop", "logs"] {
        let ran = sandbox.tool("deploy-watch", [command]).run().code(2);
        assert!(ran.stderr.contains("this is no work tree of git"), "{}", ran.stderr);
    }
}

#[test]
fn without_a_token_nobody_is_asked() {
    let sandbox = Sandbox::new();
    repository(&sandbox);
    let ran = deploy(&sandbox, &["watch", "--app", "shop"]).run().code(2);
    assert!(ran.stderr.contains("no token: set DIGITALOCEAN_ACCESS_TOKEN, DIGITALOCEAN_TOKEN or DIGITALOCEAN_API_TOKEN"), "{}", ran.stderr);
    let ran = deploy(&sandbox, &["watch", "--app", "shop", "--digitalocean-url", "http://example.org"])
        .env("DIGITALOCEAN_TOKEN", "t")
        .run()
        .code(2);
    assert!(ran.stderr.contains("would go there in plain text"), "{}", ran.stderr);
}

#[test]
fn a_last_line_needs_no_end_and_a_log_is_where_the_command_runs() {
    let sandbox = Sandbox::new();
    repository(&sandbox);
    fs::create_dir(sandbox.work("below")).unwrap();
    let lines = "echo \"src/a.ts(3,5): error TS2322: Type 'string' is not assignable to type 'number'.\" >build.log\n\
        printf '{\"phase\":\"failed\",\"result\":\"error\",\"logs\":[\"build.log\"]}'";
    let ran = told_by(&sandbox, &[], lines).within(sandbox.work("below")).run().code(1);
    assert_eq!(ran.of("deploy.result")[0]["data"]["class"], "typescript", "{}", ran.stderr);
}

#[test]
fn a_watch_that_could_not_see_it_is_not_told_of_as_the_success_before() {
    let sandbox = Sandbox::new();
    repository(&sandbox);
    told_by(&sandbox, &[], r#"echo '{"phase":"live","result":"active"}'"#).run().code(0).ok();
    told_by(&sandbox, &[], "exit 3").run().code(2).ok();
    let status = deploy(&sandbox, &["status"]).run().code(1);
    assert_eq!(status.of("deploy.word")[0]["data"]["word"], "unknown");
}
