//! The store over time: damage is found and mended, what is not needed goes, what is needed stays, and everything comes out without us.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::json;
use tests::Sandbox;

use crate::vault::{self, create, ending, file, inventory, ran, restore, same, snapshot};

/// Bytes that no compression makes shorter.
fn noise(seed: &str, length: usize) -> Vec<u8> {
    (0..).flat_map(|part: u32| vault::sha256(format!("{seed} {part}").as_bytes()).into_bytes()).take(length).collect()
}

fn packs(sandbox: &Sandbox, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(vault::store(sandbox).join("packs")).unwrap().map(|entry| entry.unwrap().path());
    let mut packs: Vec<_> = entries.filter(|path| path.to_string_lossy().ends_with(end)).collect();
    packs.sort();
    packs
}

fn ids(sandbox: &Sandbox) -> Vec<String> {
    let records = snapshot(sandbox, &[&"list"]).run().of("snapshot");
    records.iter().map(|record| record["subject"].as_str().unwrap().to_owned()).collect()
}

/// Flips one bit of the content of a file in the pack of a snapshot.
fn damage(sandbox: &Sandbox, id: &str, path: &Path) {
    let manifest = vault::manifest(sandbox, id);
    let hash = manifest.iter().find(|line| line["path"] == json!(path)).unwrap()["sha256"].as_str().unwrap().to_owned();
    for index in packs(sandbox, ".index") {
        let text = fs::read_to_string(&index).unwrap();
        let Some(line) = text.lines().find(|line| line.starts_with(&hash)) else { continue };
        let numbers: Vec<usize> = line.split(' ').skip(1).map(|number| number.parse().unwrap()).collect();
        let pack = index.with_file_name(index.file_name().unwrap().to_string_lossy().replace(".index", ".tar.zst"));
        let mut bytes = fs::read(&pack).unwrap();
        bytes[numbers[0] + numbers[1] / 2] ^= 1;
        fs::write(&pack, bytes).unwrap();
    }
}

/// Two files in two snapshots of which the first has a flipped bit in what was in `a`.
fn damaged(sandbox: &Sandbox) -> (PathBuf, String, String) {
    let top = sandbox.work("top");
    for name in ["a", "b", "c"] {
        file(&top.join(name), noise(name, 3000));
    }
    let first = create(sandbox, &[&top]);
    file(&top.join("d"), "d");
    let second = create(sandbox, &[&top]);
    damage(sandbox, &first, &top.join("a"));
    (top, first, second)
}

#[test]
fn a_flipped_bit_is_found_and_named_and_hides_nothing_else() {
    let sandbox = Sandbox::new();
    let (top, first, second) = damaged(&sandbox);
    for words in [&[&"verify" as &dyn AsRef<OsStr>][..], &[&"verify", &"--all"]] {
        let verified = ran(&sandbox, 1, words);
        let probes = verified.of("snapshot.probe");
        assert_eq!(probes.iter().map(|probe| probe["subject"].as_str().unwrap()).collect::<Vec<_>>(), [&first, &second]);
        for probe in probes {
            assert_eq!(probe["data"]["status"], "broken");
            let fault = &probe["data"]["faults"][0];
            assert_eq!((&fault["code"], &fault["files"]), (&json!("content-damaged"), &json!([top.join("a")])));
            assert_eq!(fault["sha256"], vault::hash(&top.join("a")));
        }
    }
    fs::write(top.join("b"), "changed").unwrap();
    fs::write(top.join("a"), "changed").unwrap();
    vault::refused(&sandbox, 1, &[&second], "is damaged", &top).ok();
    assert_eq!(ran(&sandbox, 2, &[&"cat", &first, &top.join("a")]).stdout, b"");
    // What is intact comes back.
    restore(&sandbox, &[&second, &top.join("b"), &top.join("c"), &top.join("d")]).ok();
    assert_eq!(fs::read(top.join("b")).unwrap(), noise("b", 3000));
    // What is added anew is whole, and mends the older ones.
    fs::write(top.join("a"), noise("a", 3000)).unwrap();
    create(&sandbox, &[&"--rehash", &top]);
}

#[test]
fn what_is_still_there_mends_the_store() {
    let sandbox = Sandbox::new();
    let (top, first, _) = damaged(&sandbox);
    let mended = ran(&sandbox, 0, &[&"verify", &"--repair"]);
    let repaired = mended.of("action");
    assert_eq!((&repaired[0]["subject"], &repaired[0]["data"]["verb"]), (&json!(top.join("a")), &json!("repair")));
    assert!(mended.of("snapshot.probe").iter().all(|probe| probe["data"]["status"] == "healthy"));
    ran(&sandbox, 0, &[&"verify"]).ok();
    fs::write(top.join("a"), "changed").unwrap();
    restore(&sandbox, &[&first]).ok();
    assert_eq!(fs::read(top.join("a")).unwrap(), noise("a", 3000));

    // What has changed since mends nothing, and nothing is claimed.
    let sandbox = Sandbox::new();
    let (top, ..) = damaged(&sandbox);
    fs::write(top.join("a"), "changed").unwrap();
    let left = ran(&sandbox, 1, &[&"verify", &"--repair"]);
    assert!(left.of("action").is_empty() && left.of("snapshot.probe").iter().all(|probe| probe["data"]["status"] == "broken"));
}

#[test]
fn a_lost_index_is_made_again_and_a_lost_pack_is_named() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    for name in ["a", "b"] {
        file(&top.join(name), noise(name, 3000));
    }
    create(&sandbox, &[&top]);
    for bytes in [None, Some(&b"nonsense"[..]), Some(b"")] {
        let index = vault::store(&sandbox).join("packs").join(format!("{}.index", ids(&sandbox)[0]));
        match bytes {
            None => fs::remove_file(&index).unwrap(),
            Some(bytes) => fs::write(&index, bytes).unwrap(),
        }
        ran(&sandbox, 0, &[&"verify"]).ok();
        assert_eq!(ran(&sandbox, 0, &[&"cat", &"latest", &top.join("b")]).stdout, noise("b", 3000));
    }
    fs::remove_file(&packs(&sandbox, ".tar.zst")[0]).unwrap();
    let verified = ran(&sandbox, 1, &[&"verify"]);
    assert_eq!(verified.of("snapshot.probe")[0]["data"]["faults"].as_array().unwrap().len(), 2);
    ran(&sandbox, 0, &[&"verify", &"--repair"]).ok();
    assert_eq!(ran(&sandbox, 0, &[&"cat", &"latest", &top.join("b")]).stdout, noise("b", 3000));
}

#[test]
fn one_damaged_manifest_hides_no_other_and_can_be_removed() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top.join("a"), "a");
    let first = create(&sandbox, &[&"--label", &"first", &top]);
    file(&top.join("b"), "b");
    let second = create(&sandbox, &[&top]);
    for bytes in [&b"nonsense"[..], b""] {
        fs::write(vault::store(&sandbox).join(format!("manifests/{second}.jsonl.zst")), bytes).unwrap();
        let list = ran(&sandbox, 2, &[&"list"]);
        assert_eq!(list.of("snapshot")[0]["subject"], json!(first));
        assert_eq!(vault::errors(&list), [("snapshot.damaged".to_owned(), second.clone())]);
        let verified = ran(&sandbox, 1, &[&"verify"]);
        let probes = verified.of("snapshot.probe");
        assert_eq!((&probes[0]["data"]["status"], &probes.last().unwrap()["data"]["status"]), (&json!("healthy"), &json!("broken")));
        assert_eq!(probes.last().unwrap()["data"]["faults"][0]["code"], "manifest-damaged");
        ran(&sandbox, 1, &[&"verify", &second]).ok();
        ran(&sandbox, 0, &[&"verify", &first]).ok();
        fs::write(top.join("a"), "changed").unwrap();
        restore(&sandbox, &[&first]).ok();
        assert_eq!(fs::read_to_string(top.join("a")).unwrap(), "a");
        for command in ["show", "restore", "export", "pin"] {
            let said = ran(&sandbox, 2, &[&command, &second]).stderr;
            assert!(said.contains("cannot read the manifest"), "{command}: {said}");
        }
        // Nobody knows what it needs: nothing is reclaimed as long as it is there.
        let before = packs(&sandbox, ".tar.zst");
        for force in ["--dry-run", "--force"] {
            let pruned = ran(&sandbox, 2, &[&"prune", &"--keep-last", &"1", &force]);
            assert!(pruned.stderr.contains("a manifest cannot be read"), "{}", pruned.stderr);
        }
        assert_eq!(packs(&sandbox, ".tar.zst"), before);
    }
    let deleted = ran(&sandbox, 0, &[&"delete", &second, &"--force"]);
    assert_eq!(deleted.of("action")[0]["subject"], json!(second));
    ran(&sandbox, 0, &[&"list"]).ok();
    ran(&sandbox, 0, &[&"prune", &"--force"]).ok();
    ran(&sandbox, 0, &[&"verify"]).ok();
}

#[test]
fn delete_and_prune_plan_by_default_and_free_the_room_when_forced() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top.join("large"), noise("large", 200_000));
    let first = create(&sandbox, &[&top]);
    fs::remove_file(top.join("large")).unwrap();
    file(&top.join("small"), "small");
    let second = create(&sandbox, &[&top]);
    let state = inventory(&sandbox.root().join("state"));
    for words in
        [&[&"delete" as &dyn AsRef<OsStr>, &first][..], &[&"prune", &"--keep-last", &"1"], &[&"prune", &"--keep-last", &"1", &"--dry-run"]]
    {
        let plan = ran(&sandbox, 0, words);
        let actions = plan.of("action");
        assert_eq!((&actions[0]["subject"], &actions[0]["data"]["outcome"]), (&json!(first), &json!("planned")));
        assert!(actions[1]["data"]["detail"]["freed"].as_u64().unwrap() > 100_000, "{}", plan.text());
        same(&state, &inventory(&sandbox.root().join("state")));
    }
    let done = ran(&sandbox, 0, &[&"delete", &first, &"--force"]);
    assert_eq!(ending(&done).0, "done");
    assert_eq!(ids(&sandbox), [second]);
    let size: u64 = packs(&sandbox, "").iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(size < 5000, "{size}");
    ran(&sandbox, 0, &[&"verify"]).ok();
    let said = ran(&sandbox, 2, &[&"delete", &first, &"--force"]).stderr;
    assert!(said.contains("no snapshot is called"), "{said}");
}

#[test]
fn a_pinned_snapshot_stays_until_it_is_unpinned() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top.join("a"), "a");
    let first = create(&sandbox, &[&top]);
    let second = create(&sandbox, &[&top]);
    for _ in 0..2 {
        assert_eq!(ran(&sandbox, 0, &[&"pin", &first]).of("snapshot")[0]["data"]["pinned"], true);
    }
    let pinned: Vec<_> = ran(&sandbox, 0, &[&"list"]).of("snapshot").iter().map(|record| record["data"]["pinned"].clone()).collect();
    assert_eq!(pinned, [true, false]);
    let said = ran(&sandbox, 2, &[&"delete", &first, &"--force"]).stderr;
    assert!(said.contains(&format!("snapshot unpin {first}")), "{said}");
    ran(&sandbox, 0, &[&"prune", &"--keep-last", &"1", &"--force"]).ok();
    assert_eq!(ids(&sandbox), [first.clone(), second.clone()]);
    ran(&sandbox, 0, &[&"unpin", &first]).ok();
    ran(&sandbox, 0, &[&"prune", &"--keep-last", &"1", &"--force"]).ok();
    assert_eq!(ids(&sandbox), [second]);
}

#[test]
fn rules_choose_what_stays_and_automatic_ones_go_by_age() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top.join("a"), "a");
    let labels = ["auto-daily", "by-hand", "auto-daily", "kept", "by-hand"];
    let made: Vec<_> = labels.map(|label| create(&sandbox, &[&"--label", &label, &top])).to_vec();
    let planned = |words: &[&str]| -> Vec<usize> {
        let words: Vec<&dyn AsRef<OsStr>> =
            std::iter::once(&"prune" as &dyn AsRef<OsStr>).chain(words.iter().map(|word| word as &dyn AsRef<OsStr>)).collect();
        let actions = ran(&sandbox, 0, &words).of("action");
        let gone =
            actions.iter().filter(|action| action["data"]["verb"] == "prune").map(|action| action["subject"].as_str().unwrap().to_owned());
        let mut gone: Vec<_> = gone.map(|id| made.iter().position(|made| *made == id).unwrap()).collect();
        gone.sort_unstable();
        gone
    };
    assert_eq!(planned(&[]), [0; 0], "they are too young");
    assert_eq!(planned(&["--automatic-after", "0s"]), [0, 2]);
    assert_eq!(planned(&["--keep-last", "1"]), [1, 3]);
    assert_eq!(planned(&["--keep-last", "2"]), [1]);
    assert_eq!(planned(&["--keep-label", "kept"]), [1], "the newest one stays whatever the rules are");
    let said = ran(&sandbox, 2, &[&"prune", &"--keep-label", &"typo"]).stderr;
    assert!(said.contains("no snapshot has the label `typo`"), "{said}");
    assert_eq!(planned(&["--keep-within", "1d"]), [0; 0]);
    assert_eq!(planned(&["--keep-daily", "1", "--keep-label", "kept", "--automatic-after", "0s"]), [0, 1, 2]);
}

/// What two runs added at once is in two packs; the one that stays must be the one that can be read.
#[test]
fn prune_keeps_the_copy_that_can_be_read() {
    for rotten in [0, 1] {
        let (sandbox, other) = (Sandbox::new(), Sandbox::new());
        let top = sandbox.work("top");
        file(&top.join("a"), noise("a", 3000));
        file(&top.join("goes"), noise("goes", 30_000));
        create(&sandbox, &[&"--label", &"goes", &top]);
        fs::remove_file(top.join("goes")).unwrap();
        create(&other, &[&"--label", &"other", &top]);
        file(&top.join("small"), "small");
        create(&sandbox, &[&"--label", &"stays", &top]);
        for folder in ["packs", "manifests"] {
            for entry in fs::read_dir(vault::store(&other).join(folder)).unwrap() {
                let path = entry.unwrap().path();
                fs::copy(&path, vault::store(&sandbox).join(folder).join(path.file_name().unwrap())).unwrap();
            }
        }
        let holders: Vec<_> = packs(&sandbox, ".index")
            .into_iter()
            .filter(|index| fs::read_to_string(index).unwrap().contains(&vault::hash(&top.join("a"))))
            .collect();
        assert_eq!(holders.len(), 2);
        let pack = holders[rotten].with_extension("tar.zst");
        let mut bytes = fs::read(&pack).unwrap();
        for at in (0..bytes.len()).step_by(100) {
            bytes[at] ^= 0x55;
        }
        fs::write(&pack, bytes).unwrap();
        fs::remove_file(top.join("a")).unwrap();
        assert_eq!(ran(&sandbox, 0, &[&"cat", &"stays", &top.join("a")]).stdout, noise("a", 3000));
        ran(&sandbox, 0, &[&"delete", &"goes", &"--force"]).ok();
        assert_eq!(ran(&sandbox, 0, &[&"cat", &"stays", &top.join("a")]).stdout, noise("a", 3000), "copy {rotten}");
        assert_eq!(ran(&sandbox, 0, &[&"cat", &"other", &top.join("a")]).stdout, noise("a", 3000), "copy {rotten}");
    }
}

/// Damage in what is still needed of a pack must not keep the rest from being pruned.
#[test]
fn prune_goes_on_beside_damage() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top.join("stays"), noise("stays", 2000));
    file(&top.join("goes"), noise("goes", 30_000));
    let first = create(&sandbox, &[&top]);
    fs::remove_file(top.join("goes")).unwrap();
    let second = create(&sandbox, &[&top]);
    file(&top.join("more"), noise("more", 30_000));
    let third = create(&sandbox, &[&"--label", &"third", &top]);
    fs::remove_file(top.join("more")).unwrap();
    create(&sandbox, &[&top]);
    damage(&sandbox, &first, &top.join("stays"));
    let pruned = ran(&sandbox, 0, &[&"delete", &first, &third, &"--force"]);
    assert!(pruned.stderr.contains("damaged"), "{}", pruned.stderr);
    let left: Vec<_> = packs(&sandbox, ".tar.zst");
    assert_eq!(left.len(), 1, "the pack that nothing needs is gone, and the damaged one is left as it is: {left:?}");
    let verified = ran(&sandbox, 1, &[&"verify", &second]);
    assert_eq!(verified.of("snapshot.probe")[0]["data"]["faults"][0]["files"], json!([top.join("stays")]));
    ran(&sandbox, 0, &[&"verify", &"--repair"]).ok();
}

/// What the README in the store says, done by a person who has nothing of ours.
const BY_HAND: &str = r#"
set -eu
store=$1 id=$2 out=$3
mkdir contents && cd contents
zstd -dc "$store"/packs/*.tar.zst | tar -xi
cd ..
zstd -dc "$store/manifests/$id.jsonl.zst" >manifest
# The last line is the hash of those before it.
test "$(sed '$d' manifest | sha256sum | cut -d' ' -f1)" = "$(tail -n 1 manifest | jq -r .sha256)"
sed '1d;$d' manifest >entries
jq -j 'select(.kind == "folder") | .path + "\u0000"' entries | xargs -0 -I{} mkdir -p "$out"{}
jq -r 'select(.kind == "file" and (.same_as | not)) | [(.path | @base64), (if .sha256 then .sha256 else (.pieces | map("\(.sha256 // "-"):\(.size)") | join(" ")) end)] | @tsv' entries |
while IFS="$(printf '\t')" read -r path parts; do
  path=$out$(echo "$path" | base64 -d; echo x); path=${path%x}
  : >"$path"
  for part in $parts; do
    case $part in
      -:*) head -c "${part#*:}" /dev/zero >>"$path" ;;
      *) cat "contents/${part%%:*}" >>"$path"; echo "${part%%:*}  contents/${part%%:*}" | sha256sum --quiet -c ;;
    esac
  done
done
jq -j 'select(.same_as) | .same_as + "\u0000" + .path + "\u0000"' entries | xargs -0 -n 2 sh -c 'ln "$0$1" "$0$2"' "$out"
jq -j 'select(.kind == "link") | .target + "\u0000" + .path + "\u0000"' entries | xargs -0 -n 2 sh -c 'ln -s "$1" "$0$2"' "$out"
jq -j 'select(.kind == "file" or .kind == "folder") | .mode + "\u0000" + .path + "\u0000"' entries | xargs -0 -n 2 sh -c 'chmod "$1" "$0$2"' "$out"
jq -j 'select(.mtime) | .mtime + "\u0000" + .path + "\u0000"' entries | xargs -0 -n 2 sh -c 'touch -h -d "@$1" "$0$2"' "$out"
"#;

#[test]
fn everything_comes_out_with_stock_programs_alone() {
    let sandbox = Sandbox::new();
    let top = sandbox.work("top");
    file(&top.join("a"), "a");
    file(&top.join("sub/with space"), noise("space", 5000));
    file(&top.join("empty"), "");
    file(&top.join("large"), noise("large", 9 << 20));
    fs::File::create(top.join("hole")).unwrap().set_len(5 << 20).unwrap();
    fs::create_dir(top.join("empty folder")).unwrap();
    symlink("a", top.join("link")).unwrap();
    fs::hard_link(top.join("a"), top.join("twin")).unwrap();
    vault::chmod(&top.join("a"), 0o600);
    create(&sandbox, &[&top]);
    file(&top.join("sub/new\nline"), "second");
    let id = create(&sandbox, &[&top]);
    let readme = fs::read_to_string(vault::store(&sandbox).join("README")).unwrap();
    for command in ["zstd -dc packs/*.tar.zst | tar -xi", "zstd -dc manifests/ID.jsonl.zst"] {
        assert!(readme.contains(command), "{readme}");
    }
    let (store, out) = (vault::store(&sandbox), sandbox.work("out"));
    let words = ["-c", BY_HAND, "sh", store.to_str().unwrap(), &id, out.to_str().unwrap()];
    let ran = sandbox.command("sh", words).within(sandbox.root()).env("PATH", "/usr/bin:/bin").run().code(0);
    assert_eq!(ran.stderr, "");
    // Folders get new times from what comes into them; all else is the same.
    let but_times = |top: &Path| -> vault::Inventory {
        let cut = |what: String| if what.starts_with("folder") { what.split(' ').take(3).collect::<Vec<_>>().join(" ") } else { what };
        inventory(top).into_iter().map(|(path, what)| (path, cut(what))).collect()
    };
    same(&but_times(&top), &but_times(&out.join(top.strip_prefix("/").unwrap())));
}
