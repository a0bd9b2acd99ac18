//! What comes out for what `snapshot` writes, to the letter.

use serde_json::{Value, json};

use crate::golden::{drawn, end, record, screen, seen};
use crate::screen::Screen;
use crate::{markdown, summary};

fn of(number: u32, kind: &str, subject: &str, data: Value) -> String {
    record("snapshot", number, kind, subject.into(), data)
}

fn snapshot(seq: u32, id: &str, data: &Value) -> String {
    let mut all = json!({"seq": seq, "time": "2026-08-20T10:11:12.345Z", "user": "me", "roots": ["/srv/a"], "entries": 74, "size": 151_552, "added": 2048, "partial": false, "pinned": false});
    all.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
    of(seq, "snapshot", id, all)
}

fn restore(number: u32, subject: &str, outcome: &str, more: Value) -> String {
    let done = outcome == "done";
    let mut data = json!({"verb": "restore", "outcome": outcome, "changed": done, "verified": done});
    if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
        data.extend(more);
    }
    of(number, "action", subject, data)
}

fn step(path: &str, outcome: &str, detail: Value) -> String {
    restore(1, path, outcome, Value::Object([("detail".to_owned(), detail)].into_iter().collect()))
}

fn steps(outcome: &str) -> Vec<String> {
    vec![
        step(
            "/srv/a/.mcp.json",
            outcome,
            json!({"change": "overwrite", "size_before": 10, "size": 3000, "diff": "@@ -1 +1 @@\n-\ta  b\n+c\n"}),
        ),
        step("/srv/a/added", outcome, json!({"change": "delete", "size_before": 5})),
        step("/srv/a/gone", outcome, json!({"change": "create", "size": 7})),
        step("/srv/a/link", outcome, json!({"change": "retype"})),
        step("/srv/a/script", outcome, json!({"change": "traits", "size_before": 9, "size": 9})),
        step(
            "/srv/a/tool",
            outcome,
            json!({"change": "traits", "size_before": 9, "size": 9, "traits": {"before": {"mode": "0755"}, "after": {"mode": "0644"}}}),
        ),
    ]
}

const COUNTS: &str = r#"{"create":1,"overwrite":1,"retype":1,"traits":1,"delete":1,"unchanged":69}"#;

fn counts() -> Value {
    serde_json::from_str(COUNTS).unwrap()
}

#[test]
fn many_snapshots_are_a_line_each_oldest_first() {
    let lines = [
        snapshot(
            2,
            "20260822_101112-00bb",
            &json!({"partial": true, "time": "2026-08-23T09:11:12.345Z", "description": "before the upgrade of everything that could ever be upgraded"}),
        ),
        snapshot(1, "20260820_101112-00aa", &json!({"label": "pre-phase-4", "pinned": true})),
        end("snapshot", true),
    ];
    assert_eq!(
        screen(&lines, 100),
        "\
Snapshots
  * pinned   20260820_101112-00aa  3 d ago  pre-phase-4  74 paths  148 KiB  +2.0 KiB
  ! partial  20260822_101112-00bb  1 h ago               74 paths  148 KiB  +2.0 KiB
    before the upgrade of everything that could ever be upgraded

2 snapshots, 1 partial, 1 pinned
"
    );
}

#[test]
fn no_id_and_no_label_is_cut_in_little_room() {
    let long = json!({"label": "before-the-upgrade", "pinned": true, "description": "before the upgrade of everything"});
    let sealed = json!({"label": "pre-phase-4", "pinned": true, "sealed_to": ["age1"]});
    let lines = |last: &Value| [snapshot(1, "20260820_101112-00aa", &long), snapshot(2, "20260822_101112-00bb", last)];
    assert_eq!(
        screen(&lines(&json!({})), 80),
        "\
Snapshots
  * pinned  20260820_101112-00aa  3 d ago  before-the-upgrade
    74 paths  148 KiB  +2.0 KiB  before the upgrade of everything
  ·         20260822_101112-00bb  3 d ago
    74 paths  148 KiB  +2.0 KiB

2 snapshots, 1 pinned

! Incomplete: the end of snapshot did not come. What is not listed may be ill
all the same.
"
    );
    let narrow = "\
  * pinned             20260820_101112-00aa
    3 d ago  before-the-upgrade  74 paths  148 KiB
    +2.0 KiB  before the upgrade of everything
  * pinned, encrypted  20260822_101112-00bb
    3 d ago  pre-phase-4  74 paths  148 KiB
    +2.0 KiB
";
    assert!(screen(&lines(&sealed), 50).contains(narrow), "{}", screen(&lines(&sealed), 50));
    assert!(screen(&lines(&sealed), 40).contains("  * pinned, encry…  20260822_101112-00bb\n"), "{}", screen(&lines(&sealed), 40));
}

#[test]
fn one_snapshot_says_what_it_covers_and_a_new_one_what_it_is_good_for() {
    let git = json!([{"path": "/srv", "commit": "0123456789abcdef", "branch": "main", "dirty": 2, "stashes": 1}]);
    let pythons = json!([{"path": "/srv/a/.venv", "version": "3.12.4"}]);
    let data = json!({"description": "by hand", "git": git, "pythons": pythons, "took_ms": 5});
    assert_eq!(
        screen(&[snapshot(1, "20260820_101112-00aa", &data), end("snapshot", true)], 100),
        "\
Snapshots
  ·  20260820_101112-00aa  3 d ago  74 paths  148 KiB  +2.0 KiB  by hand
    of: /srv/a
    git: /srv (main at 0123456789ab, 2 changed files, 1 stash)
    python: /srv/a/.venv (3.12.4)

1 snapshot

Later:
  snapshot diff 20260820_101112-00aa                     # what has changed since
  snapshot restore 20260820_101112-00aa                  # what a restore would do
  snapshot restore 20260820_101112-00aa --exact --force  # everything as it is now
"
    );
}

#[test]
fn a_plan_names_what_takes_something_away_first_and_the_very_command() {
    let mut lines = steps("planned");
    let asked = json!({"exact": true, "to": "/tmp/it's here", "paths": ["/srv/a"], "store": "/mnt/store"});
    let detail = json!({"counts": counts(), "asked": asked, "reload": ["restart the MCP client that reads /srv/a/.mcp.json"]});
    lines.extend([restore(6, "20260820_101112-00aa", "planned", json!({"text": "…", "detail": detail})), end("snapshot", true)]);
    assert_eq!(
        screen(&lines, 100),
        "\
Restore of 20260820_101112-00aa under /srv/a
  - delete     added      -5 B
  ! retype     link
  ~ overwrite  .mcp.json  10 B → 2.9 KiB
  + create     gone       +7 B
  · traits     script     9 B
  · traits     tool       mode 0755 → 0644

· planned: 1 delete, 1 retype, 1 overwrite, 1 create, 1 traits, 69 unchanged; 2.9 KiB to write

.mcp.json
  @@ -1 +1 @@
  - a  b
  +c

Nothing has been changed: this was a dry run.
  # does it: all of it or nothing, after a snapshot of what it replaces
  snapshot restore 20260820_101112-00aa --to '/tmp/it'\\''s here' --store /mnt/store --exact --force -- /srv/a

Afterwards: restart the MCP client that reads /srv/a/.mcp.json
"
    );
}

#[test]
fn a_remark_is_one_on_each_of_its_lines() {
    let whole = restore(6, "20260820_101112-00aa", "planned", json!({"detail": {"counts": counts()}}));
    let text = screen(&[steps("planned"), vec![whole, end("snapshot", true)]].concat(), 50);
    let last = "\
Nothing has been changed: this was a dry run.
  # does it: all of it or nothing, after a
  # snapshot of what it replaces
  snapshot restore 20260820_101112-00aa --force
";
    assert!(text.ends_with(last), "{text}");
}

#[test]
fn what_never_held_still_is_said_to_have_changed() {
    let torn = step("/srv/a/log", "planned", json!({"change": "create", "size": 7, "changed_while_read": true}));
    let text = screen(&[torn, end("snapshot", true)], 100);
    assert!(text.contains("+7 B, changed while kept"), "{text}");
}

#[test]
fn what_was_done_comes_with_the_way_back() {
    let mut lines = steps("done");
    let whole = json!({"text": "…", "undo": "20260823_101112-00cc", "detail": {"counts": counts()}});
    lines.extend([restore(6, "20260820_101112-00aa", "done", whole), end("snapshot", true)]);
    let text = screen(&lines, 100);
    assert!(text.contains("✓ done: 1 delete, 1 retype, 1 overwrite, 1 create, 1 traits, 69 unchanged; 2.9 KiB written\n"), "{text}");
    let back = "\
What was replaced is in a snapshot of its own. The way back:
  snapshot restore 20260823_101112-00cc --exact --force  # everything as it was before this restore
";
    assert!(text.ends_with(back), "{text}");
}

#[test]
fn a_restore_that_failed_says_why_and_offers_no_way_back() {
    let mut lines = steps("failed");
    let whole = json!({"text": "nothing is restored: no space", "undo": "20260823_101112-00cc", "detail": {"counts": counts()}});
    lines.extend([restore(6, "20260820_101112-00aa", "failed", whole), end("snapshot", true)]);
    let text = screen(&lines, 100);
    assert!(text.contains("\n✗ failed: nothing is restored: no space\n") && !text.contains("--force"), "{text}");
}

#[test]
fn where_nothing_differs_there_is_nothing_to_do() {
    let whole = json!({"text": "3 unchanged", "detail": {"counts": {"unchanged": 3}}});
    let lines = [restore(1, "20260820_101112-00aa", "planned", whole), end("snapshot", true)];
    assert_eq!(screen(&lines, 100), "Restore of 20260820_101112-00aa\nEverything is as in the snapshot: there is nothing to restore.\n");
}

#[test]
fn the_audit_log_has_no_steps_and_is_drawn_all_the_same() {
    let whole = json!({"text": "1 create", "undo": "20260823_101112-00cc", "detail": {"counts": counts()}});
    let lines = [
        restore(1, "20260820_101112-00aa", "started", json!({})),
        restore(2, "20260820_101112-00aa", "done", whole),
        end("snapshot", true),
    ];
    assert_eq!(
        screen(&lines, 100),
        "\
Actions
  ✓ done  restore  20260820_101112-00aa
    1 create
    undo: snapshot restore 20260823_101112-00cc --exact --force

1 action: 1 done
"
    );
}

#[test]
fn differences_say_what_is_other() {
    let file = |mode: &str, size: u32, mtime: &str| json!({"path": "/", "kind": "file", "mode": mode, "uid": 0, "gid": 0, "size": size, "mtime": mtime});
    let changes = [
        (
            "/srv/a",
            json!({"change": "modified", "before": file("0644", 8, "1"), "after": file("0644", 8, "2"), "diff": "@@ -1 +1 @@\n-a\n+b\n"}),
        ),
        ("/srv/b", json!({"change": "modified", "before": file("0644", 8, "1"), "after": file("0600", 9000, "2")})),
        ("/srv/c", json!({"change": "traits", "before": file("0644", 8, "1"), "after": file("0644", 8, "2")})),
        ("/srv/d", json!({"change": "retyped", "before": file("0644", 8, "1"), "after": {"kind": "folder"}})),
        ("/srv/e", json!({"change": "added", "after": {"kind": "link", "target": "b"}})),
        ("/srv/f", json!({"change": "removed", "before": file("0644", 8, "1")})),
    ];
    let mut lines: Vec<String> = changes.into_iter().map(|(path, data)| of(1, "snapshot.change", path, data)).collect();
    lines.push(end("snapshot", true));
    assert_eq!(
        screen(&lines, 100),
        "\
Differences under /srv
  ~ modified  a
  ~ modified  b  8 B → 8.7 KiB, mode 0644 → 0600
  · traits    c  time
  ! retyped   d  file → folder
  + added     e  link to b
  - removed   f  8 B

6 differences: 1 added, 2 modified, 1 removed, 1 retyped, 1 traits

a
  @@ -1 +1 @@
  -a
  +b
"
    );
}

#[test]
fn a_snapshot_that_cannot_be_read_back_names_its_files() {
    let fault = json!({"code": "content-damaged", "sha256": "ab", "text": "the content ab is damaged", "files": ["/srv/a", "/srv/b"]});
    let lines = [
        of(1, "snapshot.probe", "20260820_101112-00aa", json!({"status": "healthy", "contents": 3})),
        of(2, "snapshot.probe", "20260821_101112-00bb", json!({"status": "broken", "contents": 1, "faults": [fault]})),
        of(
            3,
            "snapshot.probe",
            "20260822_101112-00cc",
            json!({"status": "unknown", "contents": 0, "faults": [{"code": "encrypted", "text": "it is encrypted"}]}),
        ),
        end("snapshot", true),
    ];
    assert_eq!(
        screen(&lines, 100),
        "\
Snapshots, read back
  ✗ broken   20260821_101112-00bb  1 content
    the content ab is damaged; cannot be restored: /srv/a, /srv/b
  ? unknown  20260822_101112-00cc  0 contents
    it is encrypted
  ✓ healthy  20260820_101112-00aa  3 contents

3 snapshots: 1 healthy, 1 broken, 1 unknown

Next: every file that is not named here can still be restored.
  snapshot verify --repair  # puts back what files that are still there have
"
    );
}

#[test]
fn paths_are_listed_by_kind_and_long_lists_end_in_a_count() {
    let mut lines: Vec<String> =
        (0..250).map(|i| of(i, "snapshot.entry", &format!("/srv/{i:03}"), json!({"kind": "file", "mode": "0644", "size": 1}))).collect();
    lines[0] = of(0, "snapshot.entry", "/srv/000", json!({"kind": "link", "mode": "0777", "target": "001"}));
    lines[1] = of(1, "snapshot.entry", "/srv/001", json!({"kind": "absent"}));
    lines[2] = of(2, "snapshot.entry", "/srv/002", json!({"kind": "special", "mode": "0644"}));
    lines.push(end("snapshot", true));
    let text = screen(&lines, 100);
    let top: Vec<&str> = text.lines().take(5).collect();
    assert_eq!(
        top,
        [
            "Paths under /srv",
            "  → link      0777       000  leads to 001",
            "  - absent               001",
            "  ! not kept  0644       002",
            "  · file      0644  1 B  003"
        ]
    );
    assert!(text.ends_with("  50 more paths, not listed; report --all lists them\n\n250 paths, 247 B\n"), "{text}");
}

#[test]
fn what_prune_frees_is_told_in_sizes() {
    let action = |verb: &str, detail: Value| json!({"verb": verb, "outcome": "planned", "changed": false, "verified": false, "text": "of then", "detail": detail});
    let lines = [
        of(1, "action", "20260820_101112-00aa", action("prune", json!({}))),
        of(2, "action", "/state/snapshots", action("prune-contents", json!({"freed": 3_000_000, "packs": 1}))),
        end("snapshot", true),
    ];
    assert_eq!(
        screen(&lines, 100),
        "\
Actions
  · planned  prune  20260820_101112-00aa
    of then

1 action: 1 planned

2.8 MiB of contents that no snapshot needs would be set free (1 pack).

Nothing has been changed: this was a dry run. The same command with --force does what is planned.
"
    );
}

#[test]
fn the_way_back_from_a_command_is_the_snapshot_before_it() {
    let data = json!({"verb": "run", "outcome": "failed", "changed": true, "verified": false, "text": "`x` ended with exit status: 3"});
    let run = of(1, "action", "20260820_101112-00aa", data);
    let back = "    undo: snapshot restore 20260820_101112-00aa --exact --force\n";
    assert!(screen(&[run.clone(), end("snapshot", true)], 100).contains(back));
    let mut lines = steps("done");
    lines.extend([run, restore(6, "20260820_101112-00aa", "done", json!({"detail": {"counts": counts()}})), end("snapshot", true)]);
    assert!(!screen(&lines, 100).contains(back));
}

#[test]
fn what_is_no_id_and_no_path_comes_into_no_command() {
    for id in ["--force", "a b", "$(x)", "", "ä", ".x", "/x"] {
        let whole = json!({"undo": id, "detail": {"counts": counts()}});
        let plan = [steps("planned"), vec![restore(6, id, "planned", whole.clone()), end("snapshot", true)]].concat();
        let done = [steps("done"), vec![restore(6, "20260820_101112-00aa", "done", whole), end("snapshot", true)]].concat();
        let new = [snapshot(1, id, &json!({"took_ms": 1})), end("snapshot", true)];
        for text in [screen(&plan, 100), screen(&done, 100), screen(&new, 100)] {
            assert!(!text.contains("snapshot restore"), "{text}");
        }
    }
    for asked in [json!({"to": "--x"}), json!({"paths": ["rel"]}), json!({"store": ""}), json!({"paths": vec!["/x"; 21]})] {
        let whole = json!({"detail": {"counts": counts(), "asked": asked}});
        let text = screen(&[steps("planned"), vec![restore(6, "20260820_101112-00aa", "planned", whole)]].concat(), 100);
        assert!(!text.contains("snapshot restore") && text.contains("The same command with --force"), "{text}");
    }
}

#[test]
fn no_line_of_a_diff_is_cut() {
    let long = format!("'args':  {}", "0123456789".repeat(6));
    let diff = format!("@@ -1,2 +1,2 @@\n-{long}old\n+{long}new\n +{}\n", "x".repeat(36));
    let lines = [of(1, "snapshot.change", "/srv/a", json!({"change": "modified", "diff": diff})), end("snapshot", true)];
    let on_terminal = screen(&lines, 40);
    let broken = "\
  @@ -1,2 +1,2 @@
  -'args':  0123456789012345678901234567
  ↪   89012345678901234567890123456789ol
  ↪   d
  +'args':  0123456789012345678901234567
  ↪   89012345678901234567890123456789ne
  ↪   w
   +xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
";
    assert!(on_terminal.ends_with(broken), "{on_terminal}");
    let in_a_pipe = drawn(|out| Screen { width: 40, colour: false, terminal: false }.draw(&summary::of(&seen(&lines), false), out));
    assert!(in_a_pipe.contains(&format!("\n  -{long}old\n  +{long}new\n")), "{in_a_pipe}");
}

#[test]
fn a_diff_stays_in_its_fence() {
    let diff = "@@ -1 +1 @@\n ```\n-<b>\n+````x\n|odd\u{1b}[2J\n";
    let lines = [of(1, "snapshot.change", "/srv/a|b", json!({"change": "modified", "diff": diff})), end("snapshot", true)];
    let text = drawn(|out| markdown::draw(&summary::of(&seen(&lines), false), out));
    assert_eq!(
        text,
        r"### Differences

| change | path | what |
| --- | --- | --- |
| \~ modified | /srv/a\|b |  |

**1 difference: 1 modified**

/srv/a\|b

`````diff
@@ -1 +1 @@
 ```
-<b>
+````x
 |odd\u{1b}[2J
`````
"
    );
}
