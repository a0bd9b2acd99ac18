//! What comes out for what `snapshot` writes, to the letter.

use serde_json::{Value, json};

use crate::golden::{drawn, end, record, screen, seen};
use crate::screen::Screen;
use crate::{markdown, summary};

pub(super) fn of(number: u32, kind: &str, subject: &str, data: Value) -> String {
    record("snapshot", number, kind, subject.into(), data)
}

pub(super) fn snapshot(seq: u32, id: &str, data: &Value) -> String {
    let mut all = json!({"seq": seq, "time": "2026-08-20T10:11:12.345Z", "user": "me", "roots": ["/srv/a"], "entries": 74, "size": 151_552, "added": 2048, "partial": false, "pinned": false});
    all.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
    of(seq, "snapshot", id, all)
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
