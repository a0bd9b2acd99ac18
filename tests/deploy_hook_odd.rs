//! The hook is never in the way of a push, and `deploy-watch push` needs none.

use std::fs;

use tests::{Sandbox, arg};

use crate::deploy_hook::Lab;
use crate::platform::{App, Deployment};

#[test]
fn whatever_it_is_told_the_hook_exits_with_0() {
    let lab = Lab::bare();
    let line = format!("refs/heads/main {0} refs/heads/main {0}\n", "a".repeat(40));
    for (words, input) in [
        (&["origin", "url"][..], b"\xff\xfe\x00garbage\n".to_vec()),
        (&["origin", "url"], vec![b'x'; 1 << 20]),
        (&["origin", "url"], line.as_bytes()[..60].to_vec()),
        (&["origin", "url"], Vec::new()),
        (&[], line.clone().into_bytes()),
        (&["--nonsense"], line.clone().into_bytes()),
        (&["origin", "url", "third"], line.clone().into_bytes()),
        (&["origin", "url", "--patience", "soon"], line.clone().into_bytes()),
    ] {
        let ran = lab.command("deploy-watch", &[&["hook", "pre-push"], words].concat()).input(input).run().code(0);
        assert_eq!(ran.text(), "", "{words:?}");
    }
    assert_eq!(lab.watched().len(), 0);
}

#[test]
fn whatever_is_missing_the_hook_exits_with_0() {
    let sandbox = Sandbox::new();
    let line = format!("refs/heads/main {0} refs/heads/main {0}\n", "a".repeat(40));
    let hook =
        || sandbox.tool("deploy-watch", ["hook", "pre-push", "origin", "url"]).input(line.clone()).env("MENDLINE_DEPLOY_PATIENCE", "1s");
    hook().run().code(0).ok();
    hook().env("HOME", "/nonexistent").env("XDG_STATE_HOME", "/dev/full").run().code(0).ok();
    hook().env("PATH", "/nonexistent").run().code(0).ok();
    hook().env("MENDLINE_DEPLOY_BRANCH", "").run().code(0).ok();
    hook().run_into(fs::OpenOptions::new().write(true).open("/dev/full").unwrap()).code(0).ok();
    let tool = tests::binary("deploy-watch").display();
    let closed = format!("{tool} hook pre-push origin url <&- >&- 2>&-");
    sandbox.command("sh", ["-c", &closed]).run().code(0).ok();
    let gone = format!("mkdir gone; cd gone; rmdir ../gone; {tool} hook pre-push origin url");
    sandbox.command("sh", ["-c", &gone]).input(line.clone()).run().code(0).ok();
    let typed = format!("{tool} hook pre-push origin url");
    let ran = sandbox.command("script", [arg("-qec"), arg(&typed), arg("/dev/null")]).run().code(0);
    assert!(ran.text().contains("git calls this with lines on standard input"), "{}", ran.text());
}

#[test]
fn a_waiter_that_nobody_sent_says_so() {
    let ran = Sandbox::new().tool("deploy-watch", ["hook", "wait"]).run().code(2);
    assert!(ran.stderr.contains("`deploy-watch hook pre-push` starts this"), "{}", ran.stderr);
}

/// With the state folder out of reach, which forbids a watch, the log tells why there is none.
#[test]
fn a_watch_that_cannot_begin_is_told_of_in_the_log() {
    let lab = Lab::new();
    let commit = lab.commit("next");
    fs::remove_file(lab.0.work(".husky/post-push")).unwrap();
    lab.command("git", &["push", "origin", "main"]).env("MENDLINE_STATE_DIR", "/dev/null/state").run().code(0).ok();
    assert_eq!(lab.watched().len(), 0);
    let log = fs::read_to_string(lab.0.work(&format!(".deployment-status-{}.log", &commit[..7]))).unwrap();
    assert!(log.contains("cannot create the folder /dev/null/state"), "{log}");
}

#[test]
fn push_watches_what_it_pushed_once_and_exits_as_the_deployment_does() {
    let (lab, app) = (Lab::new(), App::new());
    let commit = lab.commit("next");
    app.deploy(Deployment::of(&commit).phases(&["BUILDING", "ACTIVE"]));
    let push = |words: &[&str]| {
        let run = lab.command("deploy-watch", &[&["push"], words].concat()).env("DIGITALOCEAN_TOKEN", app.token());
        let run =
            run.env("MENDLINE_DIGITALOCEAN_URL", app.url()).env("MENDLINE_DEPLOY_INTERVAL", "1s").env("MENDLINE_DEPLOY_APP", app.id());
        run.run()
    };
    let ran = push(&["--", "-q", "origin", "main"]).code(0);
    let result = &ran.of("deploy.result")[0]["data"];
    assert_eq!((&result["result"], &result["commit"], &result["branch"]), (&"active".into(), &commit.as_str().into(), &"main".into()));
    assert_eq!(ran.of("action")[0]["data"]["outcome"], "done");
    // Again, and elsewhere, there is nothing to watch.
    for words in
        [&["--", "-q", "origin", "main"][..], &["--", "-q", "origin", "HEAD:feat"], &["--branch", "live", "--", "-q", "origin", "main"]]
    {
        let ran = push(words).code(0);
        assert_eq!((ran.of("action")[0]["data"]["outcome"].as_str(), ran.of("deploy.watch").len()), (Some("skipped"), 0), "{words:?}");
    }
    assert_eq!(lab.watched().len(), 0);
}

#[test]
fn push_takes_what_a_watch_takes() {
    let (lab, app) = (Lab::new(), App::new());
    let commit = lab.commit("next");
    app.deploy(Deployment::of(&commit).phases(&["BUILDING", "ACTIVE"]));
    let (id, url) = (app.id(), app.url());
    let options = ["push", "--branch", "live", "--app", &id, "--digitalocean-url", &url, "--interval", "1s", "--timeout", "1m", "--heal"];
    let push = |words: &[&str]| lab.command("deploy-watch", &[&options[..], words].concat()).env("DIGITALOCEAN_TOKEN", app.token()).run();
    let refused = push(&["--dry-run", "--", "-q", "origin", "HEAD:live"]).code(2);
    assert!(refused.stderr.contains("deploy-watch push -- --dry-run"), "{}", refused.stderr);
    let ran = push(&["--", "-q", "origin", "HEAD:live"]).code(0);
    let result = &ran.of("deploy.result")[0]["data"];
    assert_eq!((&result["result"], &result["branch"], &result["app"]), (&"active".into(), &"live".into(), &id.as_str().into()));
    assert_eq!(ran.of("deploy.watch")[0]["data"]["timeout_ms"], 60_000);
}

#[test]
fn push_by_url_watches_what_is_there() {
    let lab = Lab::bare();
    let ran = lab.command("deploy-watch", &["push", "--", "-q", "../remote.git", "main"]).run().code(2);
    let action = &ran.of("action")[0]["data"];
    assert_eq!(action["text"], format!("main of ../remote.git is now {}", lab.head()));
    assert!(ran.stderr.contains("no token: set DIGITALOCEAN_ACCESS_TOKEN"), "{}", ran.stderr);
}

#[test]
fn push_exits_as_git_does_where_that_fails() {
    let lab = Lab::new();
    lab.server("remote.git", "pre-receive", "echo not today; exit 1");
    lab.commit("next");
    let ran = lab.command("deploy-watch", &["push", "--", "origin", "main"]).run().code(1);
    assert!(ran.stderr.contains("not today"), "{}", ran.stderr);
    assert_eq!(ran.of("action")[0]["data"]["outcome"], "failed");
    lab.command("deploy-watch", &["push", "--", "nowhere", "main"]).run().code(128).ok();
    lab.command("deploy-watch", &["push", "--", "--nonsense"]).run().code(129).ok();
    assert_eq!(lab.watched().len(), 0);
}
