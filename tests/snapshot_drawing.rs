//! What a person sees of `snapshot`: the commands that are drawn do what they say, as they stand.

use std::fs;

use tests::Sandbox;

use crate::vault::{create, file, snapshot};
use crate::ward::{contents, same};

/// The one line of a drawing that begins so, run by a shell.
#[track_caller]
fn run_line(sandbox: &Sandbox, drawn: &str, start: &str) {
    let lines: Vec<&str> = drawn.lines().map(str::trim).filter(|line| line.starts_with(start)).collect();
    let [line] = lines[..] else { panic!("not one line begins with {start}:\n{drawn}") };
    let command = line.split("  # ").next().unwrap();
    sandbox.command("bash", ["-c", command]).run().code(0).ok();
}

#[test]
fn the_commands_of_a_plan_and_of_its_way_back_work_as_they_stand() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("it's here");
    for (name, content) in [("a", "one\n"), ("b", "two\n")] {
        file(&top.join("in").join(name), content);
    }
    let store = sandbox.work("a store");
    let id = create(&sandbox, &[&"--store", &store, &top]);
    let then = contents(&top.join("in"));
    file(&top.join("in/a"), "other\n");
    fs::remove_file(top.join("in/b")).unwrap();
    file(&top.join("in/c"), "new\n");
    file(&top.join("out"), "not asked for\n");
    let now = contents(&top);

    let plan = snapshot(&sandbox, &[&"restore", &id, &top.join("in"), &"--exact", &"--text", &"--store", &store, &"--format", &"text"]);
    let drawn = plan.run().code(0).text();
    assert!(drawn.contains("  - delete     c  -4 B\n") && drawn.contains("\na\n  @@ -1 +1 @@\n  -other\n  +one\n"), "{drawn}");
    same(&now, &contents(&top));

    run_line(&sandbox, &drawn, "snapshot restore");
    same(&then, &contents(&top.join("in")));
    assert!(top.join("out").exists());

    let list = snapshot(&sandbox, &[&"list", &"--store", &store]).run().code(0);
    let safety = list.of("snapshot").pop().unwrap()["subject"].as_str().unwrap().to_owned();
    file(&top.join("in/a"), "yet another\n");
    let again = snapshot(&sandbox, &[&"restore", &safety, &"--exact", &"--force", &"--store", &store, &"--format", &"text"]);
    let drawn = again.run().code(0).text();
    same(&now, &contents(&top));
    run_line(&sandbox, &drawn, "snapshot restore");
    assert_eq!(fs::read_to_string(top.join("in/a")).unwrap(), "yet another\n");
}

#[test]
fn a_new_snapshot_is_drawn_with_what_it_is_good_for() {
    let sandbox = Sandbox::new();
    file(&sandbox.work("a"), vec![b'x'; 5000]);
    let made = snapshot(&sandbox, &[&"create", &"before the move", &"--label", &"move", &sandbox.work("a"), &"--format", &"text"]);
    let drawn = made.run().code(0).text();
    assert!(drawn.contains("  just now  move  1 path  4.8 KiB  +"), "{drawn}");
    file(&sandbox.work("a"), "y");
    run_line(&sandbox, &drawn, "snapshot diff");
    let back = drawn.lines().find(|line| line.contains("--exact --force")).unwrap();
    sandbox.command("bash", ["-c", back]).run().code(0).ok();
    assert_eq!(fs::read(sandbox.work("a")).unwrap(), vec![b'x'; 5000]);
}
