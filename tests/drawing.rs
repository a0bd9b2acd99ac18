//! `report` and `scripts/mendline.jq` on what `venv-probe` really writes.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

use tests::{Sandbox, arg, binary, workspace};

use crate::corpus;
use crate::manners::beside_a_report;

/// A stream about one healthy and two broken environments, below `work`.
fn stream(sandbox: &Sandbox) -> Vec<u8> {
    corpus::bare(&sandbox.work("good/.venv"));
    corpus::dead(&sandbox.work("bad one/.venv"));
    corpus::dead(&sandbox.work("worse/.venv"));
    sandbox.tool("venv-probe", [arg("--check"), arg(sandbox.work(""))]).run().code(1).stdout
}

/// Runs real jq with the library; `old.jsonl` is there to be slurped as `$old`.
fn jq(sandbox: &Sandbox, options: &[&str], question: &str, input: &[u8]) -> String {
    let library = workspace().join("scripts");
    let program = format!("include \"mendline\"; {question}");
    let args = [arg("-L"), arg(library), arg("-nrc")].into_iter().chain(options.iter().map(arg)).chain([arg(program)]);
    let ran = sandbox.command("jq", args).within(sandbox.root()).input(input).run().code(0);
    ran.text()
}

#[test]
fn a_real_stream_is_drawn_with_a_command_that_works_as_it_stands() {
    let sandbox = Sandbox::new();
    let drawn = sandbox.tool("report", [""; 0]).input(stream(&sandbox)).run().code(0).text();
    assert!(drawn.contains("\n3 environments: 1 healthy, 2 broken\n"), "{drawn}");
    let command = drawn.lines().find(|line| line.trim_start().starts_with("venv-probe ")).expect("a command");
    let probe = command.split(" | ").next().unwrap();
    let again = sandbox.command("bash", ["-c", probe]).run().code(0);
    assert_eq!(again.of("venv.probe").len(), 2, "{command}");
}

#[test]
fn lines_that_are_no_records_are_shown_and_make_it_trouble() {
    let sandbox = Sandbox::new();
    let mut input = b"{\"torn\n".to_vec();
    input.extend(stream(&sandbox));
    let ran = sandbox.tool("report", [""; 0]).input(input).run().code(2);
    assert!(ran.text().contains("✗ not a record\n    line 1: "), "{}", ran.text());
    assert!(ran.text().contains("3 environments"), "{}", ran.text());
    assert_eq!(ran.stderr, "report: 1 of the lines could not be read as records; the last table names them\n");
}

#[test]
fn a_reader_that_leaves_is_no_trouble_and_a_full_device_is() {
    let sandbox = Sandbox::new();
    let input = stream(&sandbox);
    let line = format!("set -o pipefail; {} --all | head -n 1", binary("report").display());
    let many =
        (0..5000).flat_map(|i| String::from_utf8_lossy(&input).replace("/.venv", &format!("/{i}")).into_bytes()).collect::<Vec<u8>>();
    let ran = sandbox.command("bash", ["-c", &line]).input(many).run().code(0);
    assert_eq!(ran.stderr, "");
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran = sandbox.tool("report", [""; 0]).input(input).run_into(full).code(2);
    assert_eq!(ran.stderr.matches("cannot write to standard output").count(), 1, "{}", ran.stderr);
}

#[test]
fn a_drawing_that_dies_hides_no_verdict_and_stops_no_repair() {
    let sandbox = Sandbox::new();
    let ill: Vec<_> = ["one/.venv", "two/.venv", "three/.venv"].iter().map(|below| sandbox.work(below)).collect();
    for venv in &ill {
        corpus::dead(venv);
    }
    for dies in ["exit 1", "head -c 10 >/dev/null; exit 3", "kill -9 $$", "cat >/dev/null; exit 2"] {
        let probe = beside_a_report(&sandbox, "venv-probe", dies);
        let ran = sandbox.command(probe, [arg("--check"), arg("--format"), arg("text"), arg(sandbox.work(""))]).run().code(2);
        assert_eq!(ran.stderr.matches("report failed (").count(), 1, "{dies}: {}", ran.stderr);
    }
    let rebuild = beside_a_report(&sandbox, "venv-rebuild", "exit 1");
    let records = sandbox.tool("venv-probe", [sandbox.work("")]).run().code(0).stdout;
    let ran = sandbox.command(rebuild, ["--force", "--format", "text"]).input(records).run().code(2);
    assert_eq!(ran.stderr.matches("report failed (exit status: 1)").count(), 1, "{}", ran.stderr);
    for venv in ill {
        assert!(Command::new(venv.join("bin/python")).args(["-c", ""]).status().unwrap().success(), "{}", venv.display());
    }
    let audit = std::fs::read_to_string(sandbox.root().join("state/mendline/audit.jsonl")).unwrap();
    assert_eq!(audit.matches("\"outcome\":\"done\"").count(), 3, "{audit}");
}

#[test]
fn an_interrupt_does_not_hide_what_a_repair_upstream_still_has_to_say() {
    let sandbox = Sandbox::new();
    let mut child = sandbox.tool("report", [""; 0]).start();
    tests::feed(&mut child, b"\n");
    // It waits for 3 s from the signal on.
    let records = stream(&sandbox);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    child.stdin.take().unwrap().write_all(&records).unwrap();
    let mut drawn = String::new();
    child.stdout.take().unwrap().read_to_string(&mut drawn).unwrap();
    assert!(drawn.contains("3 environments"), "{drawn}");
    assert_eq!(child.wait().unwrap().signal(), Some(2));
}

#[test]
fn jq_answers_what_people_ask() {
    let sandbox = Sandbox::new();
    let now = stream(&sandbox);
    let work = sandbox.work("").display().to_string();
    let work = work.trim_end_matches('/');
    let host = String::from_utf8(Command::new("uname").arg("-n").output().unwrap().stdout).unwrap();
    let host = host.trim();
    assert_eq!(jq(&sandbox, &[], "[inputs] | broken", &now), format!("{work}/bad one/.venv\n{work}/worse/.venv\n"));
    assert_eq!(
        jq(&sandbox, &[], "[inputs] | one_line", &now),
        format!(
            "host {host}: 3 environments, 2 broken: {work}/bad one/.venv (interpreter-missing), {work}/worse/.venv (interpreter-missing)\n"
        )
    );
    assert_eq!(
        jq(&sandbox, &[], "[inputs] | by_fault, whole", &now),
        "[{\"code\":\"interpreter-missing\",\"severity\":\"broken\",\"count\":2}]\ntrue\n"
    );
    let torn: Vec<u8> = [b"{\"torn\n5\n", &now[..now.len() - 20]].concat();
    assert_eq!(jq(&sandbox, &["-R"], "[records] | whole, ([broken] | length)", &torn), "false\n2\n");
}

#[test]
fn jq_tells_what_changed_and_claims_nothing_from_absence() {
    let sandbox = Sandbox::new();
    let before = stream(&sandbox);
    File::create(sandbox.root().join("old.jsonl")).unwrap().write_all(&before).unwrap();
    corpus::dead(&sandbox.work("new/.venv"));
    std::fs::remove_dir_all(sandbox.work("worse")).unwrap();
    std::fs::remove_dir_all(sandbox.work("bad one/.venv")).unwrap();
    corpus::bare(&sandbox.work("bad one/.venv"));
    std::fs::remove_dir_all(sandbox.work("good")).unwrap();
    corpus::dead(&sandbox.work("good/.venv"));
    let now = sandbox.tool("venv-probe", [sandbox.work("")]).run().code(0).stdout;
    let changed = "changed_since($old) | map_values(map(.subject | split(\"/\")[-2]))";
    let old = ["--slurpfile", "old", "old.jsonl"];
    assert_eq!(
        jq(&sandbox, &old, &format!("[inputs] | {changed}"), &now),
        "{\"new\":[\"new\"],\"worse\":[\"good\"],\"better\":[\"bad one\"],\"gone\":[\"worse\"]}\n"
    );
    let cut = "[inputs | select(.type != \"end\")]";
    assert_eq!(jq(&sandbox, &old, &format!("{cut} | {changed} | .gone"), &now), "[]\n");
    assert!(jq(&sandbox, &old, &format!("{cut} | one_line_since($old)"), &now).ends_with("(incomplete: not everything was seen)\n"));
    let line = jq(&sandbox, &old, "[inputs] | one_line_since($old)", &now);
    let root = Path::new(&sandbox.work("")).display().to_string();
    assert!(line.contains(&format!("; new: {}/good/.venv (interpreter-missing), ", root.trim_end_matches('/'))), "{line}");
}

#[test]
fn jq_names_the_paths_that_mcp_servers_are_told_of() {
    let sandbox = Sandbox::new();
    let env = r#"{"OAUTH": "/srv/o.json", "SOME_FILE_PATH": "~/g.yaml", "K": "${HOME}/k", "PATH": "/usr/bin", "HOME": "/root", "L": "/a:/b", "R": "/", "N": 7, "T": "a/b", "V": "/x\ny"}"#;
    let config = format!(
        r#"{{"mcpServers": {{"a": {{"env": {env}}}}}, "projects": {{"/p": {{"mcpServers": {{"b": {{"env": {{"X": "/srv/o.json"}}}}}}}}}}}}"#
    );
    let home = sandbox.root().join("home");
    let home = home.display();
    assert_eq!(
        jq(&sandbox, &[], "inputs | mcp_env_paths", config.as_bytes()),
        sorted(&["/srv/o.json".to_owned(), format!("{home}/g.yaml"), format!("{home}/k")])
    );

    // A path set and what a pipe names come together.
    std::fs::create_dir_all(sandbox.work("project")).unwrap();
    for (name, content) in [(".mcp.json", r#"{"mcpServers": {"a": {"env": {"KEY": "~/key"}}}}"#), ("set", ".mcp.json\n")] {
        File::create(sandbox.work("project").join(name)).unwrap().write_all(content.as_bytes()).unwrap();
    }
    std::fs::create_dir_all(sandbox.root().join("home")).unwrap();
    File::create(sandbox.root().join("home/key")).unwrap();
    let library = workspace().join("scripts");
    let line =
        format!("jq -L {} -r 'include \"mendline\"; mcp_env_paths' .mcp.json | snapshot create --paths-from set -", library.display());
    let made = sandbox.command("bash", ["-c", &line]).within(sandbox.work("project")).run().code(0);
    let roots = &made.of("snapshot")[0]["data"]["roots"];
    assert_eq!(*roots, serde_json::json!([format!("{home}/key"), sandbox.work("project/.mcp.json")]));
}

fn sorted(paths: &[String]) -> String {
    let mut paths = paths.to_vec();
    paths.sort();
    paths.join("\n") + "\n"
}
