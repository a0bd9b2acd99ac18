//! `deploy-watch --heal` with yarn, of which there are two kinds under one name, and in which version: the one that the project pins.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tests::{Sandbox, write_program};

use crate::deploy::read;
use crate::deploy_heal::{NOWHERE, actions, failed_build, frozen_log, git, healing, heals_a_lockfile, pushed_with, steps};
use crate::platform::App;

/// A sandbox where `yarn` is one of those that `scripts/test` installs.
fn with_yarn(which: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    write_program(sandbox.root().join("bin/yarn"), &format!("exec {which} \"$@\""));
    sandbox
}

/// What `packageManager` says of it.
fn pin(sandbox: &Sandbox, which: &str) -> Value {
    let version = sandbox.command(which, ["--version"]).run().code(0).text();
    json!({ "packageManager": format!("yarn@{}", version.trim()) })
}

/// A registry on loopback that has the old yarn alone, and how often that was fetched.
fn registry(sandbox: &Sandbox) -> (String, Arc<AtomicUsize>) {
    let program = sandbox.command("sh", ["-c", "command -v yarn-berry-old"]).run().code(0).text();
    let folder = fs::canonicalize(program.trim()).unwrap().ancestors().nth(2).unwrap().to_owned();
    let packed = sandbox.command("npm", ["pack", "--silent", "--ignore-scripts", folder.to_str().unwrap()]).run().code(0).text();
    let tarball = fs::read(sandbox.root().join(packed.trim())).unwrap();
    let mut package: Value = serde_json::from_str(&read(&folder.join("package.json"))).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    package["dist"] = json!({ "tarball": format!("{url}yarn.tgz") });
    let version = package["version"].as_str().unwrap().to_owned();
    let list = json!({ "name": package["name"], "dist-tags": { "latest": version }, "versions": { version: package } }).to_string();
    let fetched = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&fetched);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let lines = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            let asked = lines.collect::<Vec<_>>().swap_remove(0);
            let is_tarball = asked.contains(".tgz");
            count.fetch_add(usize::from(is_tarball), Ordering::Relaxed);
            let body = if is_tarball { &tarball[..] } else { list.as_bytes() };
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            drop(stream.write_all(&[head.as_bytes(), body].concat()));
        }
    });
    (url, fetched)
}

/// Of which version the lock file on the branch is.
fn format(sandbox: &Sandbox) -> String {
    let lock = git(sandbox, &sandbox.root().join("remote.git"), &["show", "main:yarn.lock"]);
    lock.lines().find_map(|line| line.strip_prefix("  version: ")).unwrap().to_owned()
}

/// The fix that was tried was none, and nothing was pushed.
#[track_caller]
fn is_declined(sandbox: &Sandbox, manager: &str, fields: &Value, why: &str) {
    let (commit, app) = (pushed_with(sandbox, manager, fields), App::new());
    app.deploy(failed_build(&commit, &frozen_log(sandbox, manager)));
    let ran = healing(sandbox, &app, &["--force"]).env("npm_config_registry", NOWHERE).env("npm_config_fetch_retries", "0").run().code(1);
    assert_eq!(steps(&ran), ["lockfile-update started", "lockfile-update failed"], "{}", ran.stderr);
    assert!(actions(&ran)[1].2.contains(why), "{}", ran.text());
    assert_eq!(git(sandbox, &sandbox.root().join("remote.git"), &["rev-parse", "main"]), commit);
}

#[test]
fn a_lock_file_of_yarn_1_is_mended_pushed_and_deployed() {
    let sandbox = with_yarn("yarn-classic");
    heals_a_lockfile(&sandbox, "yarn-classic", "yarn.lock", &pin(&sandbox, "yarn-classic"), NOWHERE);
}

#[test]
fn a_lock_file_of_a_later_yarn_is_mended_pushed_and_deployed() {
    let sandbox = with_yarn("yarn-berry");
    heals_a_lockfile(&sandbox, "yarn-berry", "yarn.lock", &pin(&sandbox, "yarn-berry"), NOWHERE);
    assert_eq!(format(&sandbox), "10");
}

#[test]
fn where_another_version_is_here_the_pinned_one_is_fetched() {
    for here in ["yarn-berry", "yarn-classic"] {
        let sandbox = with_yarn(here);
        let (registry, fetched) = registry(&sandbox);
        heals_a_lockfile(&sandbox, "yarn-berry-old", "yarn.lock", &pin(&sandbox, "yarn-berry-old"), &registry);
        assert_eq!((format(&sandbox).as_str(), fetched.load(Ordering::Relaxed) > 0), ("8", true));
    }
}

#[test]
fn where_the_pinned_version_cannot_be_had_there_is_no_fix() {
    let sandbox = with_yarn("yarn-berry");
    let fields = pin(&sandbox, "yarn-berry-old");
    is_declined(
        &sandbox,
        "yarn-berry-old",
        &fields,
        "`npm exec --yes --package=@yarnpkg/cli-dist@4.9.4 -- yarn install --mode=update-lockfile` failed",
    );
}

#[test]
fn a_lock_file_of_another_version_is_no_fix() {
    let sandbox = with_yarn("yarn-berry");
    is_declined(&sandbox, "yarn-berry-old", &json!({ "engines": { "yarn": "4" } }), "yarn.lock would be one of another version of yarn");
}
