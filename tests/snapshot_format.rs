//! The format as it is documented: what the page says gets everything back, without our code.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::Path;

use tests::{Sandbox, workspace};

use crate::vault::{chmod, create, file, inventory, same, snapshot, store, touch};

/// The commands of the page, up to the store and the id.
fn commands() -> String {
    let page = fs::read_to_string(workspace().join("docs/snapshot-format.md")).unwrap();
    let block = page.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let (first, rest) = block.split_once('\n').unwrap();
    assert!(first.starts_with("store=") && first.contains(" id=") && first.contains(" to="), "{first}");
    rest.to_owned()
}

fn back(sandbox: &Sandbox, id: &str, to: &Path) -> String {
    let line = format!("set -euo pipefail; store='{}' id='{id}' to='{}'\n{}", store(sandbox).display(), to.display(), commands());
    sandbox.command("bash", ["-c", &line]).run().code(0).text()
}

#[test]
fn the_commands_of_the_page_bring_everything_back() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top.join("it's a \"name\"\nof two lines"), "one\n");
    file(&top.join(OsStr::from_bytes(b"not \xff utf-8 '")), "two");
    file(&top.join("empty"), "");
    file(&top.join("deep/er/script"), "#!/bin/sh\n");
    chmod(&top.join("deep/er/script"), 0o751);
    fs::hard_link(top.join("empty"), top.join("other name")).unwrap();
    symlink("nowhere $HOME", top.join("link")).unwrap();
    fs::create_dir(top.join("hollow")).unwrap();
    chmod(&top.join("hollow"), 0o700);
    let mut noise = vec![0_u8; 9 << 20];
    (0..noise.len()).for_each(|i| noise[i] = u8::try_from(i.wrapping_mul(i) >> 7 & 0xff).unwrap());
    file(&top.join("large"), &noise);
    let sparse = File::create(top.join("sparse")).unwrap();
    sparse.set_len(20 << 20).unwrap();
    sparse.write_all_at(b"in the middle", 7 << 20).unwrap();
    for (path, seconds) in [("empty", -1), ("link", 5), ("hollow", 1_000_000_000), ("deep", 7)] {
        touch(&top.join(path), seconds, 123_456_789);
    }
    let id = create(&sandbox, &[&top]);
    let then = inventory(&top);

    let to = sandbox.work("back to 'here'");
    assert_eq!(back(&sandbox, &id, &to.with_file_name("back")), "");
    let found = inventory(&to.with_file_name("back").join(top.strip_prefix("/").unwrap()));
    same(&then, &found);
}

#[test]
fn the_commands_of_the_page_name_what_is_damaged() {
    let sandbox = Sandbox::new();
    file(&sandbox.work("a"), "content");
    let id = create(&sandbox, &[&sandbox.work("a")]);
    let pack = store(&sandbox).join(format!("packs/{id}.tar.zst"));
    let tar = sandbox.command("zstd", ["-dc".as_ref(), pack.as_os_str()]).run().code(0).stdout;
    let at = tar.windows(7).position(|window| window == b"content").unwrap();
    let damaged = [&tar[..at], b"CONTENT", &tar[at + 7..]].concat();
    fs::write(&pack, zstd::encode_all(&damaged[..], 1).unwrap()).unwrap();
    let hash = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73";
    assert_eq!(back(&sandbox, &id, &sandbox.work("back")), format!("damaged: {hash}\n"));
}

#[test]
fn nothing_in_the_store_names_what_is_sealed() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("hushhush");
    file(&top.join("in"), "hushhush content");
    let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    let made = snapshot(&sandbox, &[&"create", &"--encrypt-to", &recipient, &"--exclude", &top.join("out"), &top]);
    made.run().code(0).ok();
    let said = sandbox.command("grep", ["-rl".as_ref(), "hushhush".as_ref(), store(&sandbox).as_os_str()]).run().code(1);
    assert_eq!(said.text(), "");
}
