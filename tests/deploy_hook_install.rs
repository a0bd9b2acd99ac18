//! The hook gets in place and out of it, beside whatever else is there.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use tests::{Ran, binary, write_program};

use crate::deploy_hook::Lab;
use crate::ward;

fn ask(lab: &Lab, words: &[&str]) -> Ran {
    lab.command("deploy-watch", words).run()
}

/// What became of each file.
fn outcomes(ran: &Ran) -> Vec<(String, String)> {
    let words = |record: &serde_json::Value| {
        let name = Path::new(record["subject"].as_str().unwrap()).file_name().unwrap().to_str().unwrap().to_owned();
        (name, record["data"]["outcome"].as_str().unwrap().to_owned())
    };
    ran.of("action").iter().map(words).collect()
}

fn all(names: &[&str], outcome: &str) -> Vec<(String, String)> {
    names.iter().map(|name| ((*name).to_owned(), outcome.to_owned())).collect()
}

/// Plans, does, finds it done, and takes it back: to the byte.
#[track_caller]
fn there_and_back(lab: &Lab, names: &[&str]) {
    let before = ward::contents(&lab.0.work(""));
    assert_eq!(outcomes(&ask(lab, &["install"]).code(0)), all(names, "planned"));
    ward::same(&before, &ward::contents(&lab.0.work("")));
    assert!(!lab.0.root().join("state").exists());

    assert_eq!(outcomes(&ask(lab, &["install", "--force"]).code(0)), all(names, "done"));
    let installed = ward::contents(&lab.0.work(""));
    assert_eq!(outcomes(&ask(lab, &["install", "--force"]).code(0)), all(names, "skipped"));
    ward::same(&installed, &ward::contents(&lab.0.work("")));

    assert_eq!(outcomes(&ask(lab, &["uninstall"]).code(0)), all(names, "planned"));
    ward::same(&installed, &ward::contents(&lab.0.work("")));
    assert_eq!(outcomes(&ask(lab, &["uninstall", "--force"]).code(0)), all(names, "done"));
    ward::same(&before, &ward::contents(&lab.0.work("")));
    assert_eq!(outcomes(&ask(lab, &["uninstall", "--force"]).code(0)), []);
    fs::remove_dir_all(lab.0.root().join("state")).unwrap();
}

fn with_husky() -> Lab {
    let lab = Lab::bare();
    lab.command("husky", &[]).run().code(0).ok();
    lab
}

#[test]
fn with_husky_its_files_are_made_or_kept() {
    let lab = with_husky();
    there_and_back(&lab, &["pre-push", "post-push"]);
    for (text, mode) in [
        ("npm test", 0o644),
        ("#!/bin/sh\nnpm test\n", 0o755),
        ("", 0o600),
        ("#!/usr/bin/env sh\n. \"$(dirname -- \"$0\")/_/husky.sh\"\n", 0o644),
    ] {
        let hook = lab.0.work(".husky/pre-push");
        fs::write(&hook, text).unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(mode)).unwrap();
        there_and_back(&lab, &["pre-push", "post-push"]);
    }
}

#[test]
fn a_clone_without_husky_has_a_hook_of_its_own() {
    let lab = Lab::bare();
    there_and_back(&lab, &["pre-push"]);
    for text in ["#!/bin/sh\nexit 0", "#!/bin/bash\nset -euo pipefail\ncat >/dev/null\n"] {
        let hook = lab.0.work(".git/hooks/pre-push");
        fs::write(&hook, text).unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o700)).unwrap();
        there_and_back(&lab, &["pre-push"]);
    }
}

#[test]
fn a_project_that_names_husky_gets_its_files_before_husky_is_set_up() {
    let lab = Lab::bare();
    fs::create_dir(lab.0.work(".husky")).unwrap();
    fs::write(lab.0.work("package.json"), "{\"devDependencies\":{\"husky\":\"^9.1.7\"}}").unwrap();
    there_and_back(&lab, &["pre-push", "post-push"]);
}

#[test]
fn a_hook_that_is_no_sh_is_left_alone_and_it_is_said_what_to_do() {
    let lab = Lab::bare();
    let hook = lab.0.work(".git/hooks/pre-push");
    let declined = |why: &str| {
        let before = ward::contents(&lab.0.work(""));
        let ran = ask(&lab, &["install", "--force"]).code(1);
        assert_eq!(outcomes(&ran), all(&["pre-push"], "skipped"));
        assert!(ran.text().contains(why), "{}", ran.text());
        ward::same(&before, &ward::contents(&lab.0.work("")));
    };
    write_program(&hook, "");
    fs::write(&hook, "#!/usr/bin/env node\n").unwrap();
    declined("it is not written in sh; have it run");
    fs::write(&hook, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o644)).unwrap();
    declined("chmod +x it");
    fs::remove_file(&hook).unwrap();
    symlink("/dev/null", &hook).unwrap();
    declined("it is no file");
    fs::remove_file(&hook).unwrap();
    fs::create_dir(lab.0.root().join("everybody")).unwrap();
    lab.git(&["config", "core.hooksPath", lab.0.root().join("everybody").to_str().unwrap()]).code(0).ok();
    declined("other repositories use it, too");
}

#[test]
fn what_was_changed_since_stays() {
    let lab = with_husky();
    ask(&lab, &["install", "--force"]).code(0).ok();
    for name in ["pre-push", "post-push"] {
        let path = lab.0.work(".husky").join(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text + "echo mine\n").unwrap();
    }
    ask(&lab, &["uninstall", "--force"]).code(1).ok();
    assert_eq!(fs::read_to_string(lab.0.work(".husky/pre-push")).unwrap(), "#!/bin/sh\necho mine\n");
    assert!(fs::read_to_string(lab.0.work(".husky/post-push")).unwrap().ends_with("\necho mine\n"));
}

#[test]
fn what_stands_below_our_lines_still_reads_what_git_says() {
    for below in ["cat >seen\n", "set -u\nwhile read -r a b c d; do echo \"$a $b $c $d\"; done >seen\n"] {
        let lab = with_husky();
        write_program(lab.0.work(".husky/post-push"), &lab.noting());
        fs::write(lab.0.work(".husky/pre-push"), below).unwrap();
        ask(&lab, &["install", "--force"]).code(0).ok();
        let (commit, none) = (lab.head(), "0".repeat(40));
        lab.git(&["push", "origin", "main", "HEAD:feat"]).code(0).ok();
        let line = |here: &str, there: &str| format!("{here} {commit} refs/heads/{there} {none}\n");
        let seen = fs::read_to_string(lab.0.work("seen")).unwrap();
        assert_eq!(seen, line("refs/heads/main", "main") + &line("HEAD", "feat"));
        assert_eq!(lab.watched(), [format!("origin main {commit}")]);
        // And nothing where git says nothing.
        lab.git(&["push", "origin", "main"]).code(0).ok();
        assert_eq!(fs::read(lab.0.work("seen")).unwrap(), b"");
    }
}

#[test]
fn who_has_no_token_is_told_so_before_a_push_goes_unseen() {
    let lab = Lab::bare();
    let said = |token: &str| lab.command("deploy-watch", &["install"]).env("DIGITALOCEAN_ACCESS_TOKEN", token).run().code(0).stderr;
    assert!(said("").contains("no token: set DIGITALOCEAN_ACCESS_TOKEN"), "{}", said(""));
    assert_eq!(said("dop_v1_0"), "");
}

#[test]
fn whoever_has_no_deploy_watch_pushes_as_before() {
    let lab = with_husky();
    fs::write(lab.0.work(".husky/pre-push"), "cat >seen\n").unwrap();
    ask(&lab, &["install", "--force"]).code(0).ok();
    let ran = lab.command("git", &["push", "-q", "origin", "main"]).env("PATH", "/usr/bin:/bin").run().code(0);
    assert_eq!(ran.stderr, "");
    assert!(fs::read_to_string(lab.0.work("seen")).unwrap().starts_with("refs/heads/main "));
    assert_eq!(lab.watched().len(), 0);
}

#[test]
fn a_hook_of_the_clone_serves_its_linked_work_trees_and_needs_no_path() {
    let lab = Lab::bare();
    fs::create_dir(lab.0.work(".husky")).unwrap();
    write_program(lab.0.work(".husky/post-push"), &lab.noting());
    lab.git(&["add", "."]).code(0).ok();
    lab.commit("post-push");
    let linked = lab.0.root().join("linked");
    lab.git(&["worktree", "add", "-q", linked.to_str().unwrap(), "-b", "feat"]).code(0).ok();
    lab.command("deploy-watch", &["install", "--force"]).within(&linked).run().code(0).ok();
    assert!(lab.0.work(".git/hooks/pre-push").is_file());
    let push = lab.command("git", &["push", "-q", "origin", "HEAD:main"]).within(&linked).env("PATH", "/usr/bin:/bin").run().code(0);
    assert_eq!(push.stderr, "");
    assert_eq!(lab.watched(), [format!("origin main {}", lab.head())]);
    assert!(linked.join(format!(".deployment-status-{}.log", &lab.head()[..7])).exists());
    lab.command("deploy-watch", &["uninstall", "--force"]).within(&linked).run().code(0).ok();
    assert!(!lab.0.work(".git/hooks/pre-push").exists());
}

#[test]
fn the_branch_that_is_followed_can_be_named_and_whoever_pushes_can_name_another() {
    let lab = with_husky();
    ask(&lab, &["install", "--force"]).code(0).ok();
    let unnamed = ward::contents(&lab.0.work(""));
    let named = ask(&lab, &["install", "--branch", "live"]).code(0);
    assert_eq!(outcomes(&named), [("pre-push".to_owned(), "planned".to_owned()), ("post-push".to_owned(), "skipped".to_owned())]);
    ask(&lab, &["install", "--branch", "live", "--force"]).code(0).ok();
    assert_eq!(outcomes(&ask(&lab, &["install", "--branch", "live", "--force"]).code(0)), all(&["pre-push", "post-push"], "skipped"));
    // What is shipped as post-push follows no other branch than that either.
    let is_told = |commit: &str| lab.0.work(&format!(".deployment-status-{}.log", &commit[..7])).exists();
    let commit = lab.head();
    lab.git(&["push", "-q", "origin", "main"]).code(0).ok();
    assert_eq!((lab.watched().len(), is_told(&commit)), (0, false));
    lab.git(&["push", "-q", "origin", "HEAD:live"]).code(0).ok();
    lab.watched();
    let log = fs::read_to_string(lab.0.work(&format!(".deployment-status-{}.log", &commit[..7]))).unwrap();
    assert!(log.contains(&format!("watching the deployment of {commit}")), "{log}");
    // For one push it is another.
    let next = lab.commit("next");
    lab.command("git", &["push", "-q", "origin", "HEAD:main"]).env("MENDLINE_DEPLOY_BRANCH", "main").run().code(0).ok();
    lab.watched();
    assert!(is_told(&next));
    for file in
        fs::read_dir(lab.0.work("")).unwrap().flatten().filter(|file| file.file_name().to_string_lossy().starts_with(".deployment-"))
    {
        fs::remove_file(file.path()).unwrap();
    }
    ask(&lab, &["install", "--force"]).code(0).ok();
    let hook = |contents: &std::collections::BTreeMap<std::path::PathBuf, String>| contents.get(Path::new(".husky/pre-push")).cloned();
    assert_eq!(hook(&ward::contents(&lab.0.work(""))), hook(&unnamed));
}

#[test]
fn a_branch_of_any_name_that_git_knows_is_followed_and_another_one_refused() {
    for name in ["it's", "a}b", "a$(touch x)", "team/live", "\u{e9}t\u{e9}"] {
        let lab = Lab::bare();
        fs::create_dir(lab.0.work(".husky")).unwrap();
        write_program(lab.0.work(".husky/post-push"), &lab.noting());
        let ran = ask(&lab, &["install", "--force", "--branch", name]);
        if name.contains(' ') {
            assert!(ran.code(2).stderr.contains("is no name of a branch"));
            assert!(!lab.0.work(".git/hooks/pre-push").exists());
            continue;
        }
        ran.code(0).ok();
        lab.git(&["push", "-q", "origin", "main"]).code(0).ok();
        lab.git(&["push", "-q", "origin", &format!("main:refs/heads/{name}")]).code(0).ok();
        assert_eq!(lab.watched(), [format!("origin {name} {}", lab.head())]);
    }
}

/// git 2.54 runs the hooks that its settings name; until it is everywhere, another stands in for it.
#[test]
fn a_newer_git_has_the_hook_in_its_settings() {
    let lab = with_husky();
    let (git, newer) = (ward::on_path("git"), lab.0.root().join("newer"));
    write_program(
        newer.join("git"),
        &format!("[ \"$*\" = \"${{*%version}}version\" ] && echo git version 2.54.0 && exit\nexec {} \"$@\"", git.display()),
    );
    let path = ward::path_with(&newer);
    let tool = binary("deploy-watch").to_str().unwrap();
    let ask = |words: &[&str]| lab.command(tool, words).env("PATH", &path).run().code(0);
    let before = ward::contents(&lab.0.work(""));
    assert_eq!(outcomes(&ask(&["install", "--force"])), all(&["config"], "done"));
    assert_eq!(outcomes(&ask(&["install", "--force"])), all(&["config"], "skipped"));
    assert_eq!(lab.git(&["config", "hook.deploy-watch.event"]).code(0).text(), "pre-push\n");
    let command = lab.git(&["config", "hook.deploy-watch.command"]).code(0).text();

    // As git runs it.
    write_program(lab.0.work(".husky/post-push"), &lab.noting());
    lab.git(&["push", "-q", "origin", "main"]).code(0).ok();
    let line = format!("refs/heads/main {} refs/heads/main {}\n", lab.head(), "0".repeat(40));
    let words = ["-c", &format!("{} \"$@\"", command.trim()), "hook", "origin", "../remote.git"];
    lab.command("sh", &words).input(line).run().code(0).ok();
    assert_eq!(lab.watched(), [format!("origin main {}", lab.head())]);
    lab.command("sh", &["-c", &command.replace("/deploy-watch", "/nowhere")]).run().code(0).ok();

    // Another branch takes the place of that.
    assert_eq!(outcomes(&ask(&["install", "--force", "--branch", "live"])), all(&["config"], "done"));
    let command = lab.git(&["config", "hook.deploy-watch.command"]).code(0).text();
    let line = format!("refs/heads/main {} refs/heads/live {}\n", lab.commit("next"), "0".repeat(40));
    lab.git(&["push", "-q", "origin", "HEAD:live"]).code(0).ok();
    let words = ["-c", &format!("{} \"$@\"", command.trim()), "hook", "origin", "../remote.git"];
    lab.command("sh", &words).input(line).run().code(0).ok();
    assert_eq!(lab.watched()[1..], [format!("origin live {}", lab.head())]);

    fs::remove_file(lab.0.work(".husky/post-push")).unwrap();
    fs::remove_file(lab.0.work(&format!(".deployment-status-{}.log", &lab.head()[..7]))).unwrap();
    assert_eq!(outcomes(&ask(&["uninstall", "--force"])), all(&["config"], "done"));
    let settings = |contents: &std::collections::BTreeMap<std::path::PathBuf, String>| contents.get(Path::new(".git/config")).cloned();
    assert_eq!(settings(&ward::contents(&lab.0.work(""))), settings(&before));
}
