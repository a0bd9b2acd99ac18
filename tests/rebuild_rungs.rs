//! Every failure mode of the corpus, answered by the least rung that mends it: planned, made, and judged again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::Sandbox;

use crate::corpus::{self, Night, night};
use crate::verdicts::CONTROLS;
use crate::ward;

/// Name, and the rungs that mend it, a change each.
const MENDED: &[(&str, &[&str])] = &[
    ("dangling", &["relink"]),
    ("pyremoved", &["relink"]),
    ("loop", &["relink"]),
    ("noexec", &["relink"]),
    ("zeropy", &["relink"]),
    ("fakeok", &["relink"]),
    ("stdlibgone", &["relink"]),
    ("minorbump", &["relink"]),
    ("pyenvshim", &["relink"]),
    ("libpython", &["relink"]),
    ("baseisgone", &["relink"]),
    ("copystale", &["relink"]),
    ("lib64", &["relink"]),
    ("nocfg", &["config"]),
    ("emptycfg", &["config"]),
    ("stalehome", &["config"]),
    ("chained", &["config"]),
    ("moved", &["relocate"]),
    ("copied", &["relocate"]),
    ("nopip", &["pip"]),
    ("pipstub", &["pip"]),
    ("pippartial", &["pip"]),
    ("badpth", &["litter"]),
    ("dupdist", &["litter"]),
    ("tilde", &["litter"]),
    ("missingmod", &["packages"]),
    ("emptydist", &["packages"]),
    ("abi", &["packages"]),
    ("nobin", &["relink", "packages"]),
    ("foreignarch", &["rebuild"]),
    ("symcache", &["rebuild"]),
];

/// Name, what is said about it, and the fault that stays: these want a person.
const LEFT: &[(&str, &str, &str)] = &[
    ("hang", "nothing automatic mends interpreter-hangs: ", "interpreter-hangs"),
    ("sitehang", "nothing automatic mends startup-hangs: ", "startup-hangs"),
    ("siteraise", "nothing automatic mends startup-raises: ", "startup-raises"),
    ("editgone", "nothing automatic mends editable-gone: ", "editable-gone"),
    ("conflict", "nothing automatic mends dependency-conflict: ", "dependency-conflict"),
    ("extras", "nothing automatic mends dependency-missing: ", "dependency-missing"),
    ("clobber", "nothing automatic mends package-clobbered: ", "package-clobbered"),
    ("corrupt", "nothing automatic mends package-modified: ", "package-modified"),
    ("poison", "nothing automatic mends package-modified: ", "package-modified"),
    ("dotgone", "a redirection that leads nowhere; ", "redirect-dangling"),
];

/// Nothing is left to read its packages from, and no file of a project says which they were: the new one works, and is empty.
const EMPTIED: &str = "nosite";

/// Named for what they are, and not for us.
const OTHERS: &[(&str, &str)] = &[("conda", "a conda environment; "), ("win", "an environment of Windows, ")];

fn verbs(actions: &[Value]) -> Vec<&str> {
    actions.iter().map(|action| action["data"]["verb"].as_str().unwrap()).collect()
}

#[test]
fn a_dry_run_names_the_least_rung_for_each() {
    let night = night();
    for (name, rungs) in MENDED {
        let planned = night.actions(&night.plan, name);
        assert_eq!(verbs(&planned), *rungs, "{name}: {planned:#?}");
        for action in &planned {
            let data = &action["data"];
            assert_eq!(
                (&data["outcome"], &data["changed"], &data["verified"]),
                (&"planned".into(), &false.into(), &false.into()),
                "{name}"
            );
            assert_eq!(data["detail"]["rung"], data["verb"], "{name}");
        }
    }
}

#[test]
fn a_dry_run_touches_nothing() {
    let night = night();
    ward::same(&night.before_plan, &night.after_plan);
}

#[test]
fn the_rung_that_was_planned_mends_it_and_was_seen_to() {
    let night = night();
    for (name, rungs) in MENDED {
        let made = night.actions(&night.force, name);
        assert_eq!(verbs(&made), *rungs, "{name}: {made:#?}");
        for action in &made {
            let data = &action["data"];
            assert_eq!(
                (&data["outcome"], &data["changed"], &data["verified"]),
                (&"done".into(), &true.into(), &true.into()),
                "{name}: {data}"
            );
            assert!(data["undo"].is_string() && data["log"].is_string() && data["took_ms"].is_u64(), "{name}: {data}");
        }
        // What a dead interpreter hid is another change's.
        assert_eq!(made.last().unwrap()["data"]["detail"]["left"], Value::Null, "{name}: {made:#?}");
        let verdict = night.of(&night.again, name, "venv.probe");
        let is_healthy = |record: &&Value| record["data"]["status"] == "healthy" && record["data"]["level"] == "deep";
        assert!(!verdict.is_empty() && verdict.iter().all(is_healthy), "{name}: {verdict:#?}");
    }
}

#[test]
fn what_wants_a_person_is_left_as_it_is_with_the_reason() {
    let night = night();
    for (name, text, code) in LEFT {
        for ran in [&night.plan, &night.force] {
            let actions = night.actions(ran, name);
            assert_eq!(verbs(&actions), ["mend"], "{name}: {actions:#?}");
            let data = &actions[0]["data"];
            assert_eq!(
                (&data["outcome"], &data["changed"], &data["verified"]),
                (&"skipped".into(), &false.into(), &false.into()),
                "{name}"
            );
            assert!(data["text"].as_str().unwrap().starts_with(text), "{name}: {data}");
        }
        let verdict = night.of(&night.again, name, "venv.probe");
        assert_eq!(ward::codes(&verdict[0]["data"]), [*code], "{name}");
        unchanged(night, name);
    }
    for (name, text) in OTHERS {
        let data = &night.actions(&night.force, name)[0]["data"];
        assert_eq!((&data["outcome"], &data["changed"]), (&"skipped".into(), &false.into()), "{name}");
        assert!(data["text"].as_str().unwrap().starts_with(text), "{name}: {data}");
        unchanged(night, name);
    }
}

fn unchanged(night: &Night, name: &str) {
    let of = |all: &BTreeMap<PathBuf, String>| {
        all.iter().filter(|(path, _)| path.starts_with(name)).map(|(p, w)| (p.clone(), w.clone())).collect()
    };
    ward::same(&of(&night.before_force), &of(&night.after_force));
}

#[test]
fn an_environment_whose_packages_nobody_knows_any_more_works_again_and_is_no_success() {
    let night = night();
    let data = &night.actions(&night.force, EMPTIED)[0]["data"];
    assert_eq!((&data["verb"], &data["outcome"], &data["verified"]), (&"rebuild".into(), &"failed".into(), &false.into()), "{data}");
    assert_eq!((&data["partial"], &data["changed"]), (&true.into(), &true.into()), "{data}");
    assert_eq!(data["detail"]["missing"][0]["name"], "every package", "{data}");
    let again = &night.of(&night.again, EMPTIED, "venv.probe")[0]["data"];
    assert_eq!((&again["status"], ward::codes(again)), (&"degraded".into(), vec!["packages-missing"]), "{again}");
}

#[test]
fn what_is_well_gets_no_action_and_stays_as_it_is() {
    let night = night();
    for name in CONTROLS {
        assert!(night.actions(&night.plan, name).is_empty(), "{name}");
        assert!(night.actions(&night.force, name).is_empty(), "{name}");
        unchanged(night, name);
    }
}

#[test]
fn every_action_stands_behind_the_verdict_that_it_answers() {
    let night = night();
    for ran in [&night.plan, &night.force] {
        let records = ran.records();
        let passed: Vec<_> = records.iter().filter(|record| record["tool"] != "venv-rebuild").collect();
        assert_eq!(passed, night.judged.iter().collect::<Vec<_>>(), "what was read is passed on");
        let mut last = &Value::Null;
        for record in &records {
            if record["type"] == "venv.probe" {
                last = record;
            } else if record["type"] == "action" {
                assert_eq!((&record["cause"], &record["subject"]), (&Value::from(vec![last["id"].clone()]), &last["subject"]));
            }
        }
    }
}

#[test]
fn the_record_says_why_not_less() {
    let night = night();
    let reasons = |name: &str| -> Vec<(String, String)> {
        let action = night.actions(&night.force, name).remove(0);
        let reasons = action["data"]["detail"]["reasons"].as_array().unwrap().clone();
        reasons.iter().map(|reason| (reason["rung"].as_str().unwrap().into(), reason["why_not"].as_str().unwrap().into())).collect()
    };
    assert_eq!(reasons("nocfg"), []);
    assert_eq!(reasons("dangling"), [("config".to_owned(), "it does not mend interpreter-missing".to_owned())]);
    let below = ["config", "relink", "relocate", "litter", "pip", "packages"];
    assert_eq!(reasons("foreignarch"), below.map(|rung| (rung.to_owned(), "it does not mend interpreter-foreign-platform".to_owned())));
}

#[test]
fn a_repair_never_writes_into_a_file_that_has_another_name() {
    let night = night();
    ward::same(&night.shared_before, &night.shared_after);
}

#[test]
fn trees_that_were_replaced_stay_as_backups_and_nothing_else_is_left_behind() {
    let night = night();
    let swapped: BTreeSet<_> = MENDED
        .iter()
        .filter(|(_, rungs)| rungs.iter().any(|rung| ["litter", "pip", "packages", "rebuild"].contains(rung)))
        .map(|(name, _)| PathBuf::from(name))
        .chain([PathBuf::from(EMPTIED)])
        .collect();
    let new = |path: &&PathBuf| path.components().count() == 2 && !night.before_force.contains_key(*path);
    let made: Vec<&PathBuf> = night.after_force.keys().filter(new).collect();
    let is_backup = |path: &&PathBuf| {
        let stamp = path.file_name().unwrap().to_str().unwrap().strip_prefix(".venv.backup_").unwrap_or_default();
        stamp.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).eq("00000000_000000".chars())
    };
    assert!(made.iter().all(is_backup), "{made:#?}");
    assert_eq!(made.iter().map(|path| path.parent().unwrap().to_owned()).collect::<BTreeSet<_>>(), swapped);
    let temporary: Vec<_> = night.after_force.keys().filter(|path| path.to_string_lossy().contains(".mendline-")).collect();
    assert!(temporary.is_empty(), "{temporary:#?}");
}

#[test]
fn the_audit_log_has_every_change_begun_and_ended() {
    let night = night();
    let records: Vec<Value> = night.audit.lines().map(tests::schema::check).collect();
    let count = |outcome: &str| records.iter().filter(|record| record["data"]["outcome"] == outcome).count();
    let changes: usize = MENDED.iter().map(|(_, rungs)| rungs.len()).sum();
    assert_eq!((count("started"), count("done"), count("failed")), (changes + 1, changes, 1));
    for told in night.force.of("action").iter().filter(|action| action["data"]["outcome"] == "done") {
        assert!(records.contains(told), "{told}");
    }
}

#[test]
fn a_second_run_has_nothing_to_do() {
    let night = night();
    let outcomes: BTreeSet<_> = night.second.of("action").iter().map(|action| action["data"]["outcome"].to_string()).collect();
    assert_eq!(outcomes, BTreeSet::from(["\"skipped\"".to_owned()]));
    assert_eq!(night.second.of("action").len(), LEFT.len() + OTHERS.len() + 2, "EMPTIED, and the sibling of `poison`");
}

#[test]
fn the_table_names_every_fault_of_the_corpus() {
    let list = corpus::list();
    let faults = list.iter().filter(|(_, kind)| kind != "control").map(|(name, _)| name.as_str());
    let known: BTreeSet<_> = MENDED
        .iter()
        .map(|(name, _)| *name)
        .chain(LEFT.iter().map(|(name, ..)| *name))
        .chain(OTHERS.iter().map(|(name, _)| *name))
        .chain([EMPTIED])
        .collect();
    // A redirection to an environment that is well.
    assert_eq!(faults.filter(|name| *name != "dotfile").collect::<BTreeSet<_>>(), known);
}

#[test]
fn an_interpreter_that_is_not_what_its_files_say_is_found_out_by_its_start() {
    let (minor, python) = &ward::pythons()[0];
    let prefix = python.parent().and_then(Path::parent).unwrap();
    // One that does not start is passed over; one whose headers are of another version is taken for what it is.
    for program in [Path::new("/bin/true"), python] {
        let sandbox = Sandbox::new();
        let (venv, base) = (sandbox.work("project/.venv"), sandbox.work("base"));
        ward::by_uv(&sandbox, &venv, &[]);
        let version = ward::setting(&venv, "version_info").unwrap();
        let (bin, include) = (base.join("bin"), base.join("include").join(format!("python{minor}")));
        for folder in [&bin, &include, &base.join("lib")] {
            fs::create_dir_all(folder).unwrap();
        }
        tests::copy_program(program, bin.join(format!("python{minor}")));
        symlink(prefix.join(format!("lib/python{minor}")), base.join(format!("lib/python{minor}"))).unwrap();
        fs::write(include.join("patchlevel.h"), "#define PY_MICRO_VERSION 99\n").unwrap();
        let cfg = fs::read_to_string(venv.join("pyvenv.cfg")).unwrap();
        let home = ward::setting(&venv, "home").unwrap();
        fs::write(venv.join("pyvenv.cfg"), cfg.replace(&home, bin.to_str().unwrap())).unwrap();
        ward::kill(&venv);

        let data = ward::told(&ward::force(&sandbox, &[], &venv).code(0), "relink", "done");
        assert_eq!(ward::setting(&venv, "version_info").unwrap(), version);
        assert_eq!(data["detail"]["interpreter"].as_str().unwrap().starts_with(base.to_str().unwrap()), program == python, "{data}");
        ward::is_healthy(&sandbox, &venv);
    }
}
