//! Every failure mode of the catalogue, made with the real tools, gets its verdict; every control gets none.

use std::collections::BTreeSet;

use serde_json::Value;
use tests::Sandbox;

use crate::corpus::{self, night};

/// Name, status, and the exact set of fault codes: by default, and what `--deep` adds.
const FAULTS: &[(&str, &str, &[&str], &[&str])] = &[
    ("dangling", "broken", &["interpreter-missing"], &[]),
    ("pyremoved", "broken", &["interpreter-missing"], &[]),
    ("loop", "broken", &["interpreter-loop"], &[]),
    ("noexec", "broken", &["interpreter-not-executable"], &[]),
    ("zeropy", "broken", &["interpreter-not-a-program"], &[]),
    ("fakeok", "broken", &["interpreter-silent"], &[]),
    ("hang", "broken", &["interpreter-hangs"], &[]),
    ("stdlibgone", "broken", &["stdlib-missing"], &[]),
    ("minorbump", "broken", &["minor-version-moved"], &[]),
    ("pyenvshim", "broken", &["interpreter-is-shim"], &[]),
    ("nocfg", "broken", &["config-missing"], &[]),
    ("nosite", "broken", &["site-packages-missing"], &[]),
    ("moved", "degraded", &["moved"], &[]),
    ("copied", "broken", &["copied"], &[]),
    ("nopip", "degraded", &["pip-missing"], &[]),
    ("pipstub", "degraded", &["pip-missing-module"], &[]),
    ("pippartial", "degraded", &["pip-partial"], &[]),
    ("sitehang", "broken", &["startup-hangs"], &[]),
    ("siteraise", "degraded", &["startup-raises"], &[]),
    ("badpth", "degraded", &["pth-broken"], &[]),
    ("editgone", "broken", &["editable-gone"], &[]),
    ("corrupt", "degraded", &[], &["package-modified"]),
    ("missingmod", "broken", &[], &["package-files-missing"]),
    ("emptydist", "degraded", &["metadata-missing"], &[]),
    ("dupdist", "degraded", &["metadata-duplicate"], &[]),
    ("tilde", "degraded", &["litter"], &[]),
    ("abi", "broken", &[], &["package-foreign-abi"]),
    ("conflict", "degraded", &[], &["dependency-conflict"]),
    ("extras", "degraded", &[], &["dependency-missing"]),
    ("nobin", "broken", &["interpreter-missing"], &["package-files-missing"]),
    ("baseisgone", "broken", &["interpreter-missing"], &[]),
    ("copystale", "degraded", &["interpreter-copy-stale"], &[]),
    ("foreignarch", "broken", &["interpreter-foreign-platform"], &[]),
    ("libpython", "broken", &["interpreter-library-missing"], &[]),
    ("chained", "degraded", &["base-is-venv"], &[]),
    ("dotgone", "broken", &["redirect-dangling"], &[]),
    ("clobber", "degraded", &[], &["package-clobbered"]),
    ("symcache", "broken", &["package-links-dangling"], &[]),
    ("poison", "degraded", &[], &["package-modified"]),
    ("stalehome", "degraded", &["home-stale"], &[]),
    ("emptycfg", "degraded", &["config-empty"], &[]),
    ("lib64", "degraded", &["lib64-dangling"], &[]),
];

pub(crate) const CONTROLS: &[&str] = &[
    "healthy",
    "byflag",
    "uvby",
    "sys",
    "symdir",
    "copies",
    "siteprint",
    "copy_src",
    "dotfile",
    "patchdrift",
    "longpath",
    "spacepath",
    "twolibs",
    "sysdep",
    "projectroot",
    "virtualenvby",
    "relocatable",
];

/// Named for what they are and not judged.
const OTHERS: &[(&str, &str)] = &[("conda", "conda"), ("win", "windows")];

fn codes(record: &Value) -> BTreeSet<&str> {
    record["data"]["faults"].as_array().unwrap().iter().map(|fault| fault["code"].as_str().unwrap()).collect()
}

#[test]
fn every_fault_gets_its_verdict_from_files_and_one_start_per_class() {
    let night = night();
    for (name, status, expected, deep) in FAULTS {
        let record = night.verdict(&night.quick, name);
        assert_eq!(codes(record), expected.iter().copied().collect(), "{name}: {record}");
        if deep.is_empty() {
            assert_eq!(record["data"]["status"], *status, "{name}: {record}");
        }
    }
}

#[test]
fn a_deep_look_finds_what_only_hashes_and_metadata_show() {
    let night = night();
    for (name, status, quick, deep) in FAULTS {
        let record = night.verdict(&night.judged, name);
        assert_eq!(codes(record), quick.iter().chain(*deep).copied().collect(), "{name}: {record}");
        assert_eq!(record["data"]["status"], *status, "{name}: {record}");
        for fault in record["data"]["faults"].as_array().unwrap() {
            assert!(fault["evidence"].is_string() || fault["package"].is_object(), "{name} without evidence: {fault}");
        }
    }
}

#[test]
fn no_control_is_condemned() {
    let night = night();
    for (way, records) in [("quick", &night.quick), ("deep", &night.judged), ("each", &night.each), ("never", &night.never)] {
        for name in CONTROLS {
            let record = night.verdict(records, name);
            assert_eq!((record["data"]["status"].as_str(), codes(record)), (Some("healthy"), BTreeSet::new()), "{name} {way}: {record}");
        }
        for (name, layout) in OTHERS {
            let record = night.verdict(records, name);
            assert_eq!((record["data"]["status"].as_str(), record["data"]["layout"].as_str()), (Some("unknown"), Some(*layout)), "{name}");
        }
    }
}

#[test]
fn the_table_names_the_whole_corpus() {
    let made: BTreeSet<_> = corpus::list().into_iter().map(|(name, _)| name).collect();
    let judged = FAULTS.iter().map(|(name, ..)| *name).chain(CONTROLS.iter().copied()).chain(OTHERS.iter().map(|(name, _)| *name));
    assert_eq!(made, judged.map(str::to_owned).collect());
}

#[test]
fn every_code_that_is_found_is_explained() {
    let sandbox = Sandbox::new();
    for code in FAULTS.iter().flat_map(|(_, _, quick, deep)| quick.iter().chain(*deep)) {
        let text = sandbox.tool("venv-probe", ["--explain", code]).run().code(0).text();
        assert!(text.starts_with(code) && text.contains("How it arises:") && text.contains("What mends it:"), "{text}");
    }
    let unknown = sandbox.tool("venv-probe", ["--explain", "no-such-code"]).run().code(2);
    assert!(unknown.stderr.contains("no-such-code"), "{}", unknown.stderr);
}
