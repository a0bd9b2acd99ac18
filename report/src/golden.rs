//! What comes out for what goes in, to the letter.

use std::io::Write;

use contract::input::Lines;
use serde_json::{Value, json};

use crate::screen::Screen;
use crate::seen::Seen;
use crate::{markdown, summary};

pub(crate) fn record(tool: &str, number: u32, kind: &str, subject: Value, data: Value) -> String {
    let mut record =
        json!({"v": 1, "type": kind, "id": format!("{tool}-run.{number}"), "tool": tool, "host": "m1", "ts": "2026-08-23T10:11:12.345Z"});
    if !subject.is_null() {
        record["subject"] = subject;
    }
    record["data"] = data;
    record.to_string()
}

fn probe(subject: &str, status: &str, faults: &Value) -> String {
    let data = json!({"status": status, "layout": "venv", "python": "3.12.4", "level": "default", "proof": {"by": "files"}, "faults": faults, "took_ms": 4});
    record("venv-probe", 1, "venv.probe", subject.into(), data)
}

fn gone() -> Value {
    json!({"code": "interpreter-missing", "severity": "broken", "text": "bin/python points at a Python that is gone", "repair": "relink"})
}

fn pipless() -> Value {
    json!({"code": "pip-missing", "severity": "degraded", "text": "pip is missing", "repair": "pip"})
}

fn action(number: u32, subject: &str, data: Value) -> String {
    record("venv-rebuild", number, "action", subject.into(), data)
}

pub(crate) fn end(tool: &str, ok: bool) -> String {
    record(tool, 99, "end", Value::Null, json!({"ok": ok, "read": 0, "wrote": 3}))
}

pub(crate) fn seen(lines: &[String]) -> Seen {
    let mut seen = Seen::default();
    for line in Lines::new(lines.join("\n").as_bytes()) {
        seen.take(line.unwrap());
    }
    seen
}

pub(crate) fn screen(lines: &[String], width: usize) -> String {
    drawn(|out| Screen { width, colour: false, terminal: true }.draw(&summary::of(&seen(lines), false), out))
}

pub(crate) fn drawn(draw: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    draw(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_worst_comes_first_and_a_command_to_mend_it_last() {
    let lines = [
        probe("/srv/agents/blog/.venv", "degraded", &json!([pipless()])),
        probe("/srv/agents/news/.venv", "healthy", &json!([])),
        probe("/srv/mcp/drupal/.venv", "broken", &json!([gone(), pipless(), pipless()])),
        end("venv-probe", true),
    ];
    assert_eq!(
        screen(&lines, 100),
        "\
Python environments under /srv
  ✗ broken    mcp/drupal/.venv   3.12.4  bin/python points at a Python that is gone  +2 more
  ! degraded  agents/blog/.venv  3.12.4  pip is missing
  ✓ healthy   agents/news/.venv  3.12.4

3 environments: 1 healthy, 1 degraded, 1 broken

Next: venv-rebuild has a repair for 2 environments.
  # says what it would do
  venv-probe -- /srv/agents/blog/.venv /srv/mcp/drupal/.venv | venv-rebuild
  # does it, and keeps what it replaces
  venv-probe -- /srv/agents/blog/.venv /srv/mcp/drupal/.venv | venv-rebuild --force
"
    );
}

#[test]
fn in_little_room_the_fault_stands_below_and_the_names_stay() {
    let lines = [
        probe("/srv/infrastructure/mcp-servers/drupal-mcp-server/.venv", "broken", &json!([gone(), pipless()])),
        probe("/srv/agents/news/.venv", "healthy", &json!([])),
        end("venv-probe", true),
    ];
    let text = screen(&lines, 50);
    let table: Vec<&str> = text.lines().take(4).collect();
    assert_eq!(
        table,
        [
            "Python environments under /srv",
            "  ✗ broken   infr…/drupal-mcp-server/.venv  3.12.4",
            "    bin/python points at a Python that is gone",
            "    +1 more",
        ]
    );
}

#[test]
fn many_healthy_ones_are_a_count_unless_asked_for() {
    let mut lines: Vec<String> = (0..11).map(|i| probe(&format!("/srv/{i}/.venv"), "healthy", &json!([]))).collect();
    lines.push(record("venv-probe", 2, "venv.alias", "/srv/x".into(), json!({"of": "/srv/1/.venv"})));
    lines.push(end("venv-probe", true));
    assert_eq!(
        screen(&lines, 100),
        "\
Python environments under /srv
  ✓ 11 healthy, not listed; report --all lists them
  1 other name of these (links, .venv files), not listed

11 environments: 11 healthy
"
    );
    let all = drawn(|out| Screen { width: 100, colour: false, terminal: true }.draw(&summary::of(&seen(&lines), true), out));
    assert_eq!(all.matches("✓ healthy").count(), 11);
}

#[test]
fn an_outcome_takes_the_place_of_its_start_and_nothing_unproven_is_done() {
    let lines = [
        probe("/srv/a/.venv", "broken", &json!([gone()])),
        action(1, "/srv/a/.venv", json!({"verb": "relink", "outcome": "started", "changed": false, "verified": false})),
        action(2, "/srv/b/.venv", json!({"verb": "rebuild", "outcome": "started", "changed": false, "verified": false})),
        action(
            3,
            "/srv/a/.venv",
            json!({"verb": "relink", "outcome": "done", "changed": true, "verified": true, "text": "bin/python3 leads to /usr/bin/python3.12", "undo": "/srv/a/.venv.backup_20260823_101112"}),
        ),
        action(4, "/srv/c/.venv", json!({"verb": "relink", "outcome": "done", "changed": true, "verified": false})),
        action(
            5,
            "/srv/d/.venv",
            json!({"verb": "rebuild", "outcome": "failed", "changed": false, "verified": false, "partial": true, "text": "lxml 4.9.1 has no wheel for this Python", "log": "/log/d"}),
        ),
        action(6, "/srv/e/.venv", json!({"verb": "rebuild", "outcome": "from the future", "changed": false, "verified": false})),
        end("venv-probe", true),
        end("venv-rebuild", true),
    ];
    assert_eq!(
        screen(&lines, 100),
        "\
Python environments, before the repair
  ✗ broken  /srv/a/.venv  3.12.4  bin/python points at a Python that is gone

1 environment: 1 broken

Actions under /srv
  ✓ done                relink   a/.venv
    bin/python3 leads to /usr/bin/python3.12
    undo: venv-rebuild undo --force --to .venv.backup_20260823_101112 -- /srv/a/.venv
  ? unfinished          rebuild  b/.venv
  · done, not verified  relink   c/.venv
  ✗ failed in part      rebuild  d/.venv
    lxml 4.9.1 has no wheel for this Python
  ? other               rebuild  e/.venv

5 actions: 1 done; 1 done, not verified; 1 failed in part; 1 other; 1 unfinished
  Log: /log/d
"
    );
}

#[test]
fn a_dry_run_is_named_as_one() {
    let lines = [
        probe("/srv/a/.venv", "broken", &json!([gone()])),
        end("venv-probe", true),
        action(1, "/srv/a/.venv", json!({"verb": "relink", "outcome": "planned", "changed": false, "verified": false})),
        end("venv-rebuild", true),
    ];
    let text = screen(&lines, 120);
    assert!(
        text.ends_with("Nothing has been changed: this was a dry run. The same command with --force does what is planned.\n"),
        "{text}"
    );
    assert!(!text.contains("venv-probe -- /srv"), "{text}");
}

#[test]
fn where_nothing_can_be_mended_the_fault_is_explained() {
    let fault = json!({"code": "stdlib-missing", "severity": "broken", "text": "the standard library is gone"});
    let text = screen(&[probe("/srv/a/.venv", "broken", &json!([fault])), end("venv-probe", true)], 100);
    assert!(text.ends_with("  venv-probe --explain stdlib-missing  # tells what it means and what helps\n"), "{text}");
}

#[test]
fn what_is_missing_from_a_stream_is_said() {
    let lines = [
        probe("/srv/a/.venv", "unknown", &json!([])),
        record(
            "venv-probe",
            2,
            "error",
            "/srv/x".into(),
            json!({"code": "walk.unreadable", "text": "cannot read /srv/x: permission denied"}),
        ),
        "nonsense".to_owned(),
        record("venv-probe", 3, "venv.probe", "/srv/b".into(), json!({"status": 7})),
        record("mcp-probe", 1, "mcp.probe", Value::Null, json!({})),
        end("venv-probe", false),
    ];
    assert_eq!(
        screen(&lines, 100),
        "\
Python environments
  ? unknown  /srv/a/.venv  3.12.4

1 environment: 1 unknown

Also read, and not drawn: 1 mcp.probe

Errors
  ✗ venv-probe  walk.unreadable  /srv/x
    cannot read /srv/x: permission denied
  ✗ not a record
    line 3: no record: expected ident at column 2
  ✗ not a record
    cannot read the data of venv.probe record venv-probe-run.3: expected value at line 1 column 11

! Incomplete: the end of mcp-probe did not come. What is not listed may be ill all the same.
! Incomplete: venv-probe could not see or do everything. What is not listed may be ill all the same.
"
    );
}

#[test]
fn nothing_at_all_is_no_good_news() {
    assert_eq!(screen(&[], 100), "! Incomplete: no record came in, not even the end that every tool writes.\n");
    assert_eq!(screen(&[end("venv-probe", true)], 100), "There is nothing to report.\n");
    assert_eq!(screen(&[end("venv-probe", true), end("snapshot", true)], 100), "There is nothing to report.\n");
    assert_eq!(screen(&[end("snapshot", true)], 100), "");
    assert!(screen(&[end("snapshot", false)], 100).starts_with("! Incomplete: snapshot could not see"));
}

#[test]
fn the_same_path_on_two_hosts_is_two_environments() {
    let one = probe("/srv/a/.venv", "broken", &json!([gone()]));
    let text = screen(&[one.clone(), one.replace("\"m1\"", "\"m2\""), end("venv-probe", true)], 100);
    assert!(text.contains("m1:/srv/a/.venv") && text.contains("m2:/srv/a/.venv"), "{text}");
    assert!(text.contains("2 environments: 2 broken"), "{text}");
    assert!(text.contains("Next on m2: venv-rebuild has a repair for 1 environment."), "{text}");
}

#[test]
fn markdown_cannot_be_broken_out_of() {
    let lines = [
        probe("/srv/a|b`c/.venv", "broken", &json!([{"code": "x", "severity": "broken", "text": "a | b `c`\n*d* <img> [e](f)"}])),
        probe("/srv/a/.venv", "healthy", &json!([])),
        action(
            1,
            "/srv/a/.venv",
            json!({"verb": "relink", "outcome": "failed", "changed": false, "verified": false, "text": "no", "log": "/log"}),
        ),
        end("venv-probe", true),
        end("venv-rebuild", true),
    ];
    let text = drawn(|out| markdown::draw(&summary::of(&seen(&lines), false), out));
    assert_eq!(
        text,
        r"### Python environments under /srv

| status | environment | python | what is wrong | besides |
| --- | --- | --- | --- | --- |
| ✗ broken | a\|b\`c/.venv | 3.12.4 | a \| b \`c\` \*d\* \<img\> \[e\](f) |  |
| ✓ healthy | `a/.venv` | 3.12.4 |  |  |

**2 environments: 1 healthy, 1 broken**

### Actions

| outcome | action | subject | details |
| --- | --- | --- | --- |
| ✗ failed | relink | `/srv/a/.venv` | no |

**1 action: 1 failed**

Log: /log
"
    );
}

#[test]
fn colour_changes_no_word() {
    let lines = [probe("/srv/a/.venv", "broken", &json!([gone()])), end("venv-probe", true)];
    let coloured = drawn(|out| Screen { width: 100, colour: true, terminal: true }.draw(&summary::of(&seen(&lines), false), out));
    assert!(coloured.contains("\u{1b}[31m✗ broken\u{1b}[0m"), "{coloured}");
    let mut plain = coloured;
    for code in ["31", "2", "1", "0"] {
        plain = plain.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert_eq!(plain, screen(&lines, 100));
}

#[test]
fn what_looks_like_an_option_comes_into_no_command() {
    let fault = |code: &str| json!([{"code": code, "severity": "broken", "text": "x", "repair": "pip"}]);
    let long = format!("/{}", "x".repeat(5000));
    for subject in ["--paths-from=/x", "-", "a/.venv", "", "/a\u{0}b", &long] {
        let text = screen(&[probe(subject, "broken", &fault("pip-missing")), end("venv-probe", true)], 100);
        assert!(!text.contains("venv-rebuild"), "{text}");
    }
    for code in ["--help", "-", "", "a b", "$(x)", "ä"] {
        let fault = json!([{"code": code, "severity": "broken", "text": "x"}]);
        let text = screen(&[probe("/a", "broken", &fault), end("venv-probe", true)], 100);
        assert!(!text.contains("--explain"), "{text}");
    }
    let changed = |subject: &str, undo: &str| {
        let data = json!({"verb": "relink", "outcome": "done", "changed": true, "verified": true, "undo": undo});
        screen(&[action(1, subject, data), end("venv-rebuild", true)], 100)
    };
    assert!(changed("/a", "x").contains("undo: venv-rebuild undo --force --to x -- /a"), "{}", changed("/a", "x"));
    for (subject, undo) in [("/a", "--force"), ("/a", "/b/-x"), ("--help", "x"), ("/a", "b\u{0}c"), ("/a", &long), (&long, "x")] {
        assert!(!changed(subject, undo).contains("undo:"), "{subject} {undo}");
    }
}

#[test]
fn what_was_changed_by_hand_is_restored_only_by_name() {
    let modified = || json!({"code": "package-modified", "severity": "degraded", "text": "six.py was changed", "repair": "packages"});
    let lines = [
        probe("/srv/a", "degraded", &json!([modified()])),
        probe("/srv/b", "degraded", &json!([modified(), pipless()])),
        end("venv-probe", true),
    ];
    let text = screen(&lines, 100);
    assert!(text.contains("Next: venv-rebuild has a repair for 1 environment.\n  venv-probe -- /srv/b | venv-rebuild "), "{text}");
    let restore = "Next: files were changed by hand in 1 environment; --restore puts the packaged ones back.\n  venv-probe -- /srv/a | venv-rebuild --restore ";
    assert!(text.contains(restore), "{text}");
    let mut many: Vec<String> = (0..9).map(|i| probe(&format!("/srv/{i}"), "degraded", &json!([modified()]))).collect();
    many.push(end("venv-probe", true));
    assert!(screen(&many, 100).contains("/srv/0 /srv/1 /srv/2 /srv/3 /srv/4 /srv/5 /srv/6 /srv/7 /srv/8 | venv-rebuild --restore --force"));
}

#[test]
fn deployments_stand_in_the_order_in_which_they_came_each_with_the_last_of_it() {
    let deploy = |number: u32, kind: &str, commit: &str, more: Value| {
        let mut data = json!({"commit": commit.repeat(40), "branch": "main", "provider": "exec"});
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record("deploy-watch", number, kind, "/srv/shop".into(), data)
    };
    let lines = [
        deploy(1, "deploy.watch", "b", json!({})),
        deploy(2, "deploy.state", "b", json!({"phase": "BUILDING"})),
        deploy(3, "deploy.state", "b", json!({"phase": "error", "class": "lockfile_out_of_sync", "text": "the build failed"})),
        deploy(4, "deploy.state", "a", json!({"phase": "BUILDING"})),
        deploy(5, "deploy.result", "a", json!({"result": "active", "text": "it is live", "took_ms": 4})),
        end("deploy-watch", true),
    ];
    assert_eq!(
        screen(&lines, 100),
        "\
Deployments
  ✗ error   bbbbbbb  main  lockfile_out_of_sync
    the build failed
  ✓ active  aaaaaaa  main  -
    it is live
"
    );
}
