//! The adapters of `deploy-watch`, on stand-ins of `kubectl` and `gh`, which cannot run here.

use std::path::Path;

use serde_json::Value;
use tests::{Ran, Sandbox, arg, workspace, write_program};

use crate::deploy::{read, repository};

/// A watch by an adapter, which finds this program under that name.
fn watch(sandbox: &Sandbox, adapter: &str, words: &[&str], program: &str, lines: &str) -> Ran {
    let bin = sandbox.root().join("bin");
    write_program(bin.join(program), lines);
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let adapter = workspace().join("scripts/adapters").join(adapter);
    let words = [arg("watch"), arg("--"), arg(adapter)].into_iter().chain(words.iter().map(arg));
    sandbox.tool("deploy-watch", words).within(sandbox.work("")).env("PATH", path).env("GH_RUN_INTERVAL", "0.1").run()
}

fn result(ran: &Ran) -> Value {
    let mut results = ran.of("deploy.result");
    assert_eq!(results.len(), 1, "{}{}", ran.text(), ran.stderr);
    results.remove(0)["data"].take()
}

fn asked(sandbox: &Sandbox) -> String {
    read(&sandbox.root().join("asked"))
}

/// Lines of sh that note what was asked.
fn noting(sandbox: &Sandbox, lines: &str) -> String {
    format!("echo \"$*\" >>{}\n{lines}", Path::new(&sandbox.root()).join("asked").display())
}

#[test]
fn a_rollout_that_succeeds_is_told_step_by_step() {
    let sandbox = Sandbox::new();
    let commit = repository(&sandbox);
    let lines = noting(
        &sandbox,
        &format!(
            "case $1 in get) echo registry/shop:{} ;; *) echo 'Waiting for deployment \"web\" rollout to finish: 1 of 2'; echo 'deployment \"web\" successfully rolled out' ;; esac",
            &commit[..9]
        ),
    );
    let ran = watch(&sandbox, "kubectl-rollout", &["--of-commit", "deployment/web", "--namespace", "shop"], "kubectl", &lines).code(0);
    let phases: Vec<String> = ran.of("deploy.state").iter().map(|state| state["data"]["phase"].as_str().unwrap().to_owned()).collect();
    assert_eq!(phases, ["waiting", "rolling_out", "rolling_out"]);
    assert_eq!(result(&ran)["text"], "deployment \"web\" successfully rolled out");
    assert!(asked(&sandbox).contains("rollout status deployment/web --namespace shop --timeout="), "{}", asked(&sandbox));
}

#[test]
fn a_rollout_that_fails_is_explained_by_what_it_wrote() {
    let sandbox = Sandbox::new();
    repository(&sandbox);
    let lines = "case $1 in\nrollout) echo 'error: deployment \"web\" exceeded its progress deadline' >&2; exit 1 ;;\nlogs) echo \"ModuleNotFoundError: No module named 'yaml'\" ;;\nesac";
    let ran = watch(&sandbox, "kubectl-rollout", &["deployment/web"], "kubectl", lines).code(1);
    let result = result(&ran);
    assert_eq!((&result["result"], &result["class"]), (&"error".into(), &"missing_dependency".into()), "{result}");
    let late = "case $1 in rollout) echo 'error: timed out waiting for the condition' >&2; exit 1 ;; esac";
    let ran = watch(&sandbox, "kubectl-rollout", &["deployment/web"], "kubectl", late).code(1);
    assert_eq!(self::result(&ran)["result"], "timeout");
}

#[test]
fn without_kubectl_nothing_is_known() {
    let sandbox = Sandbox::new();
    repository(&sandbox);
    let ran = watch(&sandbox, "kubectl-rollout", &["--of-commit", "deployment/web"], "kubectl", "exit 1").code(2);
    assert!(ran.stderr.contains("without a result"), "{}", ran.stderr);
    let ran = watch(&sandbox, "gh-run", &[], "gh", "echo 'HTTP 401' >&2; exit 4").code(2);
    assert!(ran.stderr.contains("HTTP 401") && ran.stderr.contains("without a result"), "{}", ran.stderr);
}

#[test]
fn a_run_of_github_is_followed_from_its_queue_to_its_end() {
    let sandbox = Sandbox::new();
    let commit = repository(&sandbox);
    let run = |status: &str, conclusion: &str| {
        format!(
            "[{{\"databaseId\":42,\"status\":\"{status}\",\"conclusion\":\"{conclusion}\",\"url\":\"https://github.com/o/r/actions/runs/42\",\"displayTitle\":\"deploy\"}}]"
        )
    };
    let turns = sandbox.root().join("turns");
    let lines = noting(
        &sandbox,
        &format!(
            "n=$(cat {turns} 2>/dev/null || echo 0); echo $((n + 1)) >{turns}\ncase $2:$n in\nlist:0) echo '[]' ;;\nlist:[12]) echo '{}' ;;\nlist:*) echo '{}' ;;\nview:*) echo \"deploy UNKNOWN STEP 2026-11-29T10:00:00.1234567Z Error: Cannot find module 'express'\" ;;\nesac",
            run("in_progress", ""),
            run("completed", "failure"),
            turns = turns.display()
        ),
    );
    let ran = watch(&sandbox, "gh-run", &["--repo", "o/r"], "gh", &lines).code(1);
    let phases: Vec<String> = ran.of("deploy.state").iter().map(|state| state["data"]["phase"].as_str().unwrap().to_owned()).collect();
    assert_eq!(phases, ["absent", "in_progress"]);
    let failed = result(&ran);
    assert_eq!(
        (&failed["result"], &failed["class"], &failed["deployment"]),
        (&"error".into(), &"missing_dependency".into(), &"42".into()),
        "{failed}"
    );
    assert!(asked(&sandbox).contains(&format!("run list --commit {commit} --limit 1")) && asked(&sandbox).contains("--repo o/r"));
    for (conclusion, word, code) in [("success", "active", 0), ("cancelled", "canceled", 0), ("skipped", "not_started", 1)] {
        let ran = watch(&sandbox, "gh-run", &[], "gh", &format!("echo '{}'", run("completed", conclusion))).code(code);
        assert_eq!(result(&ran)["result"], word);
    }
}
