//! What comes out for what `snapshot` plans and does, to the letter.

use serde_json::{Value, json};

use crate::golden::{end, screen};
use crate::snapshots::golden::{of, snapshot};

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
fn a_heading_names_the_whole_id_and_the_whole_folder() {
    let made = |name: &str| step(&format!("/srv/infrastructure/mcp-servers/{name}"), "done", json!({"change": "create"}));
    let text = screen(&[made("a"), made("b"), restore(6, "20260820_101112-00aa", "done", json!({"detail": {"counts": counts()}}))], 50);
    assert!(text.starts_with("Restore of 20260820_101112-00aa under\n/srv/infrastructure/mcp-servers\n  + create  a\n"), "{text}");
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
fn where_only_new_paths_were_made_it_is_said_why_there_is_no_way_back() {
    let drawn = |counts: Value, more: Value| {
        let mut whole = json!({"detail": {"counts": counts}});
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = step("/srv/a/gone", "done", json!({"change": "create", "size": 7}));
        screen(&[made, restore(6, "20260820_101112-00aa", "done", whole), end("snapshot", true)], 100)
    };
    let said = "✓ done: 1 create, 4 unchanged; 7 B written\n\nWhat was created was not there before: nothing was replaced.\n";
    let text = drawn(json!({"create": 1, "unchanged": 4}), json!({}));
    assert!(text.ends_with(said), "{text}");
    for (counts, more) in [
        (json!({"create": 1, "traits": 1}), json!({})),
        (json!({"create": 1}), json!({"undo": "20260823_101112-00cc"})),
        (json!({"create": 1}), json!({"outcome": "planned"})),
    ] {
        assert!(!drawn(counts, more).contains("nothing was replaced"));
    }
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

fn removal(number: u32, id: &str, outcome: &str, detail: &Value) -> String {
    let done = outcome == "done";
    let data =
        json!({"verb": "delete", "outcome": outcome, "changed": done, "verified": done, "text": "of then, 74 paths", "detail": detail});
    of(number, "action", id, data)
}

#[test]
fn what_would_be_removed_is_told_as_in_the_list() {
    let time = "2026-08-20T10:11:12.345Z";
    let roots = json!(["/srv/agents/.mcp.json", {"hex": "2f7372762fff"}]);
    let whole = json!({"label": "before-the-upgrade", "description": "of everything", "time": time, "roots": roots, "entries": 74, "size": 151_552});
    let bare = json!({"time": time, "entries": 1, "size": 0});
    let lines = |outcome: &str| {
        [removal(1, "20260820_101112-00aa", outcome, &whole), removal(2, "20260822_101112-00bb", outcome, &bare), end("snapshot", true)]
    };
    assert_eq!(
        screen(&lines("planned"), 100),
        "\
Snapshots that would be removed
  - delete  20260820_101112-00aa  3 d ago  before-the-upgrade  74 paths  148 KiB  of everything
    of: /srv/agents/.mcp.json, /srv/\u{fffd}
  - delete  20260822_101112-00bb  3 d ago                      1 path    0 B

2 snapshots: 2 planned

Nothing has been changed: this was a dry run. The same command with --force does what is planned.
"
    );
    assert_eq!(
        screen(&lines("done"), 50),
        "\
Snapshots, removed
  - delete  20260820_101112-00aa  3 d ago
    before-the-upgrade  74 paths  148 KiB
    of everything
    of: /srv/agents/.mcp.json, /srv/\u{fffd}
  - delete  20260822_101112-00bb  3 d ago
    1 path  0 B

2 snapshots: 2 done
"
    );
    let audit = [removal(1, "20260820_101112-00aa", "started", &whole), lines("done")[0].clone(), lines("started")[1].clone()];
    let text = screen(&audit, 100);
    assert!(text.contains("  ? unfinished  20260822_101112-00bb") && text.contains("\n2 snapshots: 1 done; 1 unfinished\n"), "{text}");
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
fn what_follows_names_the_store_and_the_keys_that_were_named() {
    let named = json!({"store": "/mnt/a store", "identity": "/root/key"});
    let at = "--store '/mnt/a store' --identity /root/key";
    let data = json!({"took_ms": 1, "store": "/mnt/a store", "identity": "/root/key"});
    let text = screen(&[snapshot(1, "20260820_101112-00aa", &data), end("snapshot", true)], 200);
    for command in ["diff 20260820_101112-00aa", "restore 20260820_101112-00aa", "restore 20260820_101112-00aa --exact --force"] {
        assert!(text.contains(&format!("\n  snapshot {command} {at}  ")), "{text}");
    }

    let undo = |verb: &str, asked: &Value| {
        let data = json!({"verb": verb, "outcome": "failed", "changed": true, "verified": false, "undo": "20260820_101112-00aa", "detail": {"asked": asked}});
        screen(&[of(1, "action", "20260820_101112-00aa", data), end("snapshot", true)], 100)
    };
    for verb in ["restore", "run"] {
        let text = undo(verb, &named);
        assert!(text.contains(&format!("    undo: snapshot restore 20260820_101112-00aa --exact --force {at}\n")), "{text}");
        for unusable in [json!({"store": "rel"}), json!({"store": 7}), json!("x")] {
            assert!(!undo(verb, &unusable).contains("undo:"), "{unusable}");
        }
    }

    let whole = |outcome: &str| json!({"outcome": outcome, "undo": "20260823_101112-00cc", "detail": {"counts": counts(), "asked": named}});
    let plan = screen(&[steps("planned"), vec![restore(6, "20260820_101112-00aa", "planned", whole("planned"))]].concat(), 100);
    assert!(plan.contains(&format!("  snapshot restore 20260820_101112-00aa {at} --force\n")), "{plan}");
    let done = screen(&[steps("done"), vec![restore(6, "20260820_101112-00aa", "done", whole("done"))]].concat(), 100);
    assert!(done.contains(&format!("  snapshot restore 20260823_101112-00cc --exact --force {at}\n")), "{done}");
}

#[test]
fn the_last_word_on_a_command_that_failed_is_whether_all_is_as_before() {
    let run = |outcome: &str, rolled_back: bool| {
        let text = "`x` ended with exit status: 3; everything was put back";
        let detail = json!({"exit_status": 3, "rolled_back": rolled_back});
        let data = json!({"verb": "run", "outcome": outcome, "changed": true, "verified": false, "text": text, "detail": detail});
        of(9, "action", "20260820_101112-00aa", data)
    };
    let put_back = restore(6, "20260820_101112-00aa", "done", json!({"undo": "20260823_101112-00cc", "detail": {"counts": counts()}}));
    let text = screen(&[steps("done"), vec![put_back, run("failed", true), end("snapshot", true)]].concat(), 50);
    let last = "\
Actions
  ✗ failed  run  20260820_101112-00aa
    `x` ended with exit status: 3; everything was
    put back

1 action: 1 failed

✓ Everything was put back: the paths that were
named are as they were before the command.
";
    assert!(text.starts_with("Restore of 20260820_101112-00aa") && text.ends_with(last), "{text}");

    let failed = restore(6, "20260820_101112-00aa", "failed", json!({"text": "no space", "detail": {"counts": counts()}}));
    let text = screen(&[steps("failed"), vec![failed, run("failed", false), end("snapshot", true)]].concat(), 100);
    assert!(text.contains("    undo: snapshot restore 20260820_101112-00aa --exact --force\n"), "{text}");
    assert!(text.ends_with("\n\n✗ Not everything was put back: the paths that were named may be as the command left them.\n"), "{text}");
    assert!(!screen(&[run("done", false), end("snapshot", true)], 100).contains("put back:"));
    assert!(!screen(&[run("failed", true), end("snapshot", true)], 100).contains("undo:"));
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
