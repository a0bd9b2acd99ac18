//! What `deploy-watch --github` tells GitHub: a double of its API, refereed by the official description.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tests::{Ran, Sandbox, arg, write_program};

use crate::deploy::{left, read, repository};
use crate::deploy_heal::{AWAY, DeployOnPush, failed_build, frozen_log, git, of_web, pushed};
use crate::double::trouble::Mischief;
use crate::forge::Forge;
use crate::platform::App;

/// Fails with a log of these lines.
fn failing(log: &str) -> String {
    let told = json!({ "phase": "failed", "result": "error", "deployment": "d1", "text": "the build failed", "logs": ["LOG"] });
    let told = told.to_string().replace("LOG", "'\"$DEPLOY_WATCH_LOGS\"'/build.log");
    format!("cat >\"$DEPLOY_WATCH_LOGS/build.log\" <<'END'\n{log}\nEND\necho '{told}'")
}

const LIVE: &str = r#"echo '{"phase":"building"}'; echo '{"phase":"live","result":"active","text":"all three are up"}'"#;
const TYPESCRIPT: &str = "src/a.ts(3,5): error TS2322: Type 'string' is not assignable to type 'number'.";

/// A watch of what these lines of sh tell.
fn told(sandbox: &Sandbox, forge: &Forge, options: &[&str], lines: &str) -> Ran {
    let teller = sandbox.root().join("teller");
    write_program(&teller, lines);
    let (slug, url) = (forge.slug(), forge.url());
    let words = ["watch", "--github", "--github-repository", &slug, "--github-url", &url];
    let words = words.iter().chain(options).chain(&["--"]).map(arg).chain([arg(&teller)]);
    sandbox.tool("deploy-watch", words).within(sandbox.work("")).env("GITHUB_TOKEN", forge.token()).run()
}

fn steps(ran: &Ran) -> Vec<String> {
    let text = |data: &Value, key: &str| data[key].as_str().unwrap_or_default().to_owned();
    ran.of("action").iter().map(|one| &one["data"]).map(|data| format!("{} {}", text(data, "verb"), text(data, "outcome"))).collect()
}

fn states(forge: &Forge, commit: &str) -> Vec<String> {
    forge.statuses(commit).into_iter().map(|(state, _)| state).collect()
}

#[test]
fn a_failure_becomes_an_issue_its_repeat_a_comment_and_a_later_success_closes_it() {
    let (sandbox, forge) = (Sandbox::new(), Forge::new());
    let commit = repository(&sandbox);
    // A key that begins before the lines that are shown.
    let key = format!("-----BEGIN PRIVATE KEY-----\n{}-----END PRIVATE KEY-----", "c2VjcmV0\n".repeat(70));
    let log =
        format!("{key}\n{TYPESCRIPT}\nDATABASE_URL=postgres://app:hunter2@db/shop\n```\n@everyone </details> <!-- deploy-watch:fp=0 -->");
    let ran = told(&sandbox, &forge, &["--force"], &failing(&log)).code(1);
    assert_eq!(steps(&ran), ["github-issue started", "github-issue done", "github-comment done"], "{}", ran.stderr);

    let issues = forge.issues();
    assert_eq!((issues.len(), issues[0].labels.clone()), (1, vec!["deploy-watch".to_owned(), "auto-heal".to_owned()]));
    assert!(issues[0].title.starts_with("Deployment fails: ") && issues[0].title.contains("TS2322"), "{}", issues[0].title);
    let body = &issues[0].body;
    assert!(body.starts_with("<!-- deploy-watch:fp=") && !body.contains("hunter2") && !body.contains("c2VjcmV0"), "{body}");
    for part in [&*commit, "`typescript`", "### What was tried\n\nNothing.", "### What to do", "<details>", "error TS2322", "````text\n"] {
        assert!(body.contains(part), "{part}\n{body}");
    }
    assert_eq!(states(&forge, &commit), ["pending", "failure"]);
    let comments = forge.comments(&commit);
    assert!(comments.len() == 1 && comments[0].contains("TS2322"), "{comments:?}");

    // Again: a comment, and the same comment on the commit.
    let again = told(&sandbox, &forge, &["--force"], &failing(&log)).code(1);
    assert_eq!(steps(&again), ["github-issue started", "github-issue done"], "{}", again.stderr);
    let issues = forge.issues();
    assert_eq!((issues.len(), issues[0].comments.len(), forge.comments(&commit).len()), (1, 1, 1));
    assert!(!issues[0].comments[0].contains("hunter2"), "{}", issues[0].comments[0]);

    // Another kind of failure is another issue.
    told(&sandbox, &forge, &["--force"], &failing("npm error code E404\nnpm error 404 Not Found - GET https://registry.npmjs.org/nope"))
        .code(1)
        .ok();
    assert_eq!(forge.issues().len(), 2);

    git(&sandbox, &sandbox.work(""), &["commit", "-q", "--allow-empty", "-m", "mended"]);
    let mended = git(&sandbox, &sandbox.work(""), &["rev-parse", "HEAD"]);
    let live = told(&sandbox, &forge, &["--force"], LIVE).code(0);
    assert_eq!(steps(&live).iter().filter(|step| *step == "github-close done").count(), 2, "{}", live.stderr);
    let issues = forge.issues();
    assert!(
        issues.iter().all(|issue| !issue.is_open && issue.comments.last().unwrap().ends_with(&format!("{mended} is live."))),
        "{issues:?}"
    );
    assert_eq!(
        (states(&forge, &mended), forge.comments(&mended)),
        (vec!["pending".to_owned(), "pending".to_owned(), "success".to_owned()], vec![])
    );
}

#[test]
fn without_force_it_is_only_said() {
    let (sandbox, forge) = (Sandbox::new(), Forge::new());
    repository(&sandbox);
    let ran = told(&sandbox, &forge, &[], &failing(TYPESCRIPT)).code(1);
    assert_eq!((steps(&ran), forge.writes()), (vec!["github-issue planned".to_owned(), "github-comment planned".to_owned()], 0));
}

#[test]
fn issues_of_others_of_other_branches_and_of_newer_commits_stay_open() {
    let (sandbox, forge) = (Sandbox::new(), Forge::new());
    let commit = repository(&sandbox);
    let of = |commit: &str, branch: &str| {
        let of = json!({ "commit": commit, "branch": branch, "app": "teller" });
        format!("<!-- deploy-watch:fp=0123456789abcdef -->\n<!-- deploy-watch:run=0 -->\n<!-- deploy-watch:of={of} -->\n\nIt fails.")
    };
    git(&sandbox, &sandbox.work(""), &["commit", "-q", "--allow-empty", "-m", "newer"]);
    let newer = git(&sandbox, &sandbox.work(""), &["rev-parse", "HEAD"]);
    let label = ["deploy-watch"];
    forge.open("quotes ours", &format!("> {}", of(&commit, "main")), &label);
    forge.open("another branch", &of(&commit, "next"), &label);
    forge.open("a newer commit", &of(&newer, "main"), &label);
    forge.open("nobody knows it", &of(&"1".repeat(40), "main"), &label);
    forge.open("no commit", &of("--upload-pack=touch hacked", "main"), &label);
    let ours = forge.open("ours", &of(&commit, "main"), &label);
    let ran = told(&sandbox, &forge, &["--force", "--branch", "main", &commit], LIVE).code(0);
    let closed: Vec<u64> = forge.issues().into_iter().filter(|issue| !issue.is_open).map(|issue| issue.number).collect();
    assert_eq!(closed, [ours], "{}", ran.stderr);
}

#[test]
fn what_github_refuses_is_a_warning_and_no_failure_of_the_watch() {
    for status in [403, 410, 422] {
        let (sandbox, forge) = (Sandbox::new(), Forge::new());
        let commit = repository(&sandbox);
        for at in ["/issues", "/comments", "/statuses"] {
            forge.trouble(at, 99, Mischief::Error(status));
        }
        let ran = told(&sandbox, &forge, &["--force"], &failing(TYPESCRIPT)).code(1);
        assert_eq!(steps(&ran), ["github-issue started", "github-issue failed", "github-comment failed"], "{}", ran.stderr);
        assert_eq!(ran.of("deploy.result")[0]["data"]["result"], "error");
        assert!(ran.stderr.contains("GitHub has not taken the status of the commit"), "{}", ran.stderr);
        assert_eq!(read(&left(&sandbox, &commit, "result")), "failed\n");
        // One try of a status throughout, and one at the end.
        assert_eq!(forge.requests().iter().filter(|request| request.contains("/statuses/")).count(), 2);
        told(&sandbox, &forge, &["--force"], LIVE).code(0).ok();
    }
}

/// Phases are told beside the watch, and the result comes before whatever GitHub takes its time for.
#[test]
fn a_github_that_says_nothing_holds_nothing_up() {
    let (sandbox, forge) = (Sandbox::new(), Forge::new());
    let commit = repository(&sandbox);
    forge.trouble("/statuses/", 1, Mischief::Late(Duration::from_secs(15)));
    let ran = told(&sandbox, &forge, &["--force", "--timeout", "5s"], LIVE).code(0);
    let result = ran.of("deploy.result")[0]["data"].clone();
    assert_eq!(result["result"], "active", "{}", ran.stderr);
    assert!(result["took_ms"].as_u64().unwrap() < 5000, "{result}");
    assert_eq!(states(&forge, &commit).last().map(String::as_str), Some("success"), "{}", ran.stderr);
}

/// A token that may not write such references, or a rule of the forge.
#[test]
fn who_cannot_make_sure_to_be_the_only_healer_heals_nothing_and_tells_of_the_failure() {
    let (sandbox, forge) = (Sandbox::new(), Forge::new());
    let commit = pushed(&sandbox, "npm");
    let hook = sandbox.root().join("remote.git/hooks/pre-receive");
    write_program(&hook, "while read -r old new ref; do case $ref in refs/deploy-watch/*) echo no lease here >&2; exit 1 ;; esac; done");
    let stale =
        "npm error code EUSAGE\nnpm error `npm ci` can only install packages when your package.json and package-lock.json are in sync.";
    let ran = told(&sandbox, &forge, &["--heal", "--force"], &failing(stale)).code(1);
    assert_eq!(steps(&ran)[..2], ["heal skipped", "github-issue started"], "{}", ran.stderr);
    assert!(ran.stderr.contains("no lease here"), "{}", ran.stderr);
    assert_eq!((forge.issues().len(), states(&forge, &commit).last().map(String::as_str)), (1, Some("failure")));
}

#[test]
fn another_branch_has_an_issue_of_its_own_and_a_newer_failure_keeps_it_open() {
    let (sandbox, forge) = (Sandbox::new(), Forge::new());
    let first = repository(&sandbox);
    let work = sandbox.work("");
    told(&sandbox, &forge, &["--force"], &failing(TYPESCRIPT)).code(1).ok();
    told(&sandbox, &forge, &["--force", "--branch", "next"], &failing(TYPESCRIPT)).code(1).ok();
    git(&sandbox, &work, &["commit", "-q", "--allow-empty", "-m", "fails, too"]);
    told(&sandbox, &forge, &["--force"], &failing(TYPESCRIPT)).code(1).ok();
    // The first is live late, after all: the newer one is not.
    told(&sandbox, &forge, &["--force", "--branch", "main", &first], LIVE).code(0).ok();
    let open: Vec<_> = forge.issues().into_iter().map(|issue| (issue.is_open, issue.comments.len())).collect();
    assert_eq!(open, [(true, 1), (true, 0)]);
}

#[test]
fn limits_are_honoured_and_a_lost_answer_makes_no_second_issue() {
    let (sandbox, forge) = (Sandbox::new(), Forge::new());
    let commit = repository(&sandbox);
    forge.trouble("POST /repos", 1, Mischief::Nothing);
    forge.trouble("GET /repos", 1, Mischief::Burst(0));
    forge.trouble("GET /repos", 1, Mischief::Exhausted(1));
    forge.trouble(&format!("POST /repos/{}/issues", forge.slug()), 1, Mischief::Error(502));
    for at in ["issues", &format!("commits/{commit}/comments")] {
        forge.trouble(&format!("POST /repos/{}/{at}", forge.slug()), 1, Mischief::HungUp);
    }
    let ran = told(&sandbox, &forge, &["--force"], &failing(TYPESCRIPT)).code(1);
    assert_eq!(steps(&ran), ["github-issue started", "github-issue done", "github-comment done"], "{}", ran.stderr);
    assert_eq!((forge.issues().len(), forge.comments(&commit).len()), (1, 1));
    assert_eq!(ran.stderr.matches("the API has had too many requests; trying again in 1 s").count(), 2, "{}", ran.stderr);

    // The same of a comment on the issue.
    forge.trouble(&format!("POST /repos/{}/issues/1/comments", forge.slug()), 1, Mischief::Truncated);
    told(&sandbox, &forge, &["--force"], &failing(TYPESCRIPT)).code(1).ok();
    assert_eq!(forge.issues()[0].comments.len(), 1);
}

#[test]
fn who_has_no_token_or_no_repository_there_is_told_so_and_watches_all_the_same() {
    let (sandbox, forge) = (Sandbox::new(), Forge::new());
    repository(&sandbox);
    let teller = sandbox.root().join("teller");
    write_program(&teller, LIVE);
    let watch = |token: &str, more: &[&str]| {
        let words = ["watch", "--github", "--force"].iter().chain(more).chain(&["--"]).map(arg).chain([arg(&teller)]);
        sandbox.tool("deploy-watch", words).within(sandbox.work("")).env("GITHUB_TOKEN", token).run().code(0).stderr
    };
    assert!(watch("", &[]).contains("GitHub is told nothing: no token: set GH_TOKEN or GITHUB_TOKEN"));
    assert!(watch("x", &[]).contains("is not on github.com; --github-repository says which"));
    assert!(watch("x", &["--github-repository", "../../user"]).contains("is not OWNER/NAME"));
    git(&sandbox, &sandbox.work(""), &["remote", "add", "origin", "https://gitlab.example/o/r"]);
    assert!(watch("x", &[]).contains("the remote `origin` is not on github.com"));
    assert_eq!(forge.requests(), Vec::<String>::new());
}

#[test]
fn an_issue_is_found_without_its_label_and_behind_a_hundred_others() {
    let (sandbox, forge) = (Sandbox::new(), Forge::new());
    repository(&sandbox);
    told(&sandbox, &forge, &["--force"], &failing(TYPESCRIPT)).code(1).ok();
    let marked = forge.issues()[0].body.clone();
    let other = Forge::new();
    let ours = other.open("ours", &marked.replace("deploy-watch:run=", "deploy-watch:run=x"), &[]);
    for number in 0..120 {
        other.open(&format!("something else {number}"), "", &[]);
    }
    told(&sandbox, &other, &["--force"], &failing(TYPESCRIPT)).code(1).ok();
    let ours = || other.issues().swap_remove(usize::try_from(ours).unwrap() - 1);
    assert_eq!((other.issues().len(), ours().comments.len(), ours().is_open), (121, 1, true));
    told(&sandbox, &other, &["--force"], LIVE).code(0).ok();
    assert_eq!((other.issues().iter().filter(|issue| issue.is_open).count(), ours().is_open), (120, false));
}

#[test]
fn of_two_that_open_an_issue_at_the_same_moment_one_gives_way() {
    let (sandbox, forge) = (Sandbox::new(), Forge::new());
    repository(&sandbox);
    forge.rival();
    told(&sandbox, &forge, &["--force"], &failing(TYPESCRIPT)).code(1).ok();
    let issues = forge.issues();
    assert_eq!(issues.iter().map(|issue| (issue.is_open, issue.comments.len())).collect::<Vec<_>>(), [(true, 1), (false, 0)]);
    assert!(issues[0].comments[0].contains("TS2322") && issues[1].body.contains("#1"), "{issues:?}");
}

/// The lock file is stale, then the registry is away, and then its name is not found: nothing that is tried helps.
#[test]
fn three_attempts_come_before_one_issue_and_the_same_again_is_a_comment() {
    let sandbox = Sandbox::new();
    let (commit, app, forge) = (pushed(&sandbox, "npm"), Arc::new(App::new()), Forge::new());
    app.deploy(failed_build(&commit, &frozen_log(&sandbox, "npm")));
    let remote = sandbox.root().join("remote.git");
    let asked = Arc::clone(&app);
    let on_push = DeployOnPush::of(Arc::clone(&app), remote.clone(), &commit, move |head| {
        asked.prepare(failed_build(head, &of_web("error: getaddrinfo EAI_AGAIN registry.yarnpkg.com")).cause("MANUAL"));
        failed_build(head, AWAY)
    });
    let (id, url, slug, github) = (app.id(), app.url(), forge.slug(), forge.url());
    let heal = |commit: &str| {
        let words = ["watch", commit, "--heal", "--force", "--interval", "1s", "--app", &id, "--digitalocean-url", &url];
        let more = ["--committer", "Bot <bot@example.org>", "--github", "--github-repository", &slug, "--github-url", &github];
        let words = words.iter().chain(&more);
        let run = sandbox.tool("deploy-watch", words).within(sandbox.work(""));
        run.env("DIGITALOCEAN_ACCESS_TOKEN", app.token()).env("GITHUB_TOKEN", forge.token()).run().code(1)
    };
    let ran = heal(&commit);
    let fixes = on_push.stop();
    let result = ran.of("deploy.result")[0]["data"].clone();
    assert_eq!((fixes.len(), &result["attempts"]), (1, &3.into()), "{}", ran.stderr);
    let issues = forge.issues();
    assert_eq!((issues.len(), issues[0].comments.len()), (1, 0), "{}", ran.stderr);
    for tried in ["`lockfile-update`: `make the lock file of", "`redeploy`: `deploy", "it did not help", "3 of 3 attempts are spent"] {
        assert!(issues[0].body.contains(tried), "{tried}\n{}", issues[0].body);
    }
    // One comment, on what somebody pushed; each commit has its own status.
    assert_eq!((forge.comments(&commit).len(), forge.comments(&fixes[0]).len()), (1, 0));
    let last = |commit: &str| forge.statuses(commit).last().unwrap().0.clone();
    assert_eq!((last(&commit), last(&fixes[0])), ("failure".to_owned(), "failure".to_owned()));

    let again = heal(&fixes[0]);
    assert_eq!((forge.issues().len(), forge.issues()[0].comments.len()), (1, 1), "{}", again.stderr);
    assert_eq!(git(&sandbox, &remote, &["rev-list", "--count", &format!("{commit}..main")]), "1");
}
