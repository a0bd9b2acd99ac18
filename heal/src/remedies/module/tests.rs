//! The classic names that differ: a plan never names what only happens to be called like the import.

use std::path::Path;

use super::choose::{allowed, declared};
use super::declared::Source;
use super::requirement::Declared;
use super::requirement::tests::here;

/// Import names of which an index has nothing, or something else, with what really brings them.
const CLASSIC: [(&str, Option<&str>); 25] = [
    ("yaml", Some("PyYAML")),
    ("cv2", Some("opencv-python-headless")),
    ("git", Some("GitPython")),
    ("dateutil", Some("python-dateutil")),
    ("MySQLdb", Some("mysqlclient")),
    ("pptx", Some("python-pptx")),
    ("OpenSSL", Some("pyOpenSSL")),
    ("PIL", Some("Pillow")),
    ("sklearn", Some("scikit-learn")),
    ("bs4", Some("beautifulsoup4")),
    ("dotenv", Some("python-dotenv")),
    ("jwt", Some("PyJWT")),
    ("skimage", Some("scikit-image")),
    ("serial", Some("pyserial")),
    ("fitz", Some("PyMuPDF")),
    ("attr", Some("attrs")),
    ("magic", Some("python-magic")),
    ("crypto", None),
    ("websocket", Some("websocket-client")),
    ("Image", None),
    ("google", None),
    ("usb", Some("pyusb")),
    ("docx", Some("python-docx")),
    ("zmq", Some("pyzmq")),
    ("faiss", Some("faiss-cpu")),
];

fn project(lines: &[&str]) -> Vec<Source> {
    // Its file must be one that nobody else could have written.
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let read = |line: &&str| Declared::read(line, &file, Some(1), &here()).unwrap();
    vec![Source { all: lines.iter().map(read).collect(), ..Source::of(&file) }]
}

#[test]
fn of_the_classic_mismatches_none_plans_anything_where_nothing_is_declared() {
    let unrelated = project(&["flask==3.1.3", "numpy"]);
    for (module, _) in CLASSIC {
        for sources in [&[][..], &unrelated] {
            assert!(declared(module, 0, sources).unwrap().is_none(), "{module}");
            let refused = allowed(module, &[], sources).unwrap_err();
            assert!(["undeclared", "unknown"].contains(&refused.detail["reason"].as_str().unwrap()), "{module}");
            // That a person allows the import name does not make it the name of the distribution.
            assert!(allowed(module, &[module.to_owned()], sources).is_err(), "{module}");
        }
    }
}

#[test]
fn of_the_classic_mismatches_what_is_declared_is_planned_as_it_is_declared() {
    for (module, brings) in CLASSIC {
        let Some(name) = brings else {
            let sources = project(&["pycryptodome", "Pillow", "google-api-python-client"]);
            assert!(declared(module, 0, &sources).unwrap().is_none(), "{module}");
            continue;
        };
        let line = format!("{name}>=1.0,!=1.1");
        let sources = project(&["flask==3.1.3", &line]);
        let chosen = declared(module, 0, &sources).unwrap().unwrap();
        assert_eq!(chosen.lines().unwrap().requirements, [line], "{module}");
        assert_eq!(allowed(module, &[name.to_uppercase()], &[]).unwrap(), super::names::normalised(name));
    }
}

#[test]
fn where_several_are_declared_a_person_chooses() {
    let refused = declared("cv2", 0, &project(&["opencv-python", "opencv-python-headless"])).unwrap_err();
    assert_eq!(refused.detail["candidates"], serde_json::json!(["opencv-python", "opencv-python-headless"]));
    let refused = declared("jwt", 0, &project(&["jwt", "PyJWT"])).unwrap_err();
    assert_eq!(refused.detail["reason"], "several");
}

#[test]
fn a_dotted_name_is_of_its_longest_part_that_is_missing() {
    let sources = project(&["google-cloud-storage==2.1", "google-api-core", "zope.interface"]);
    let name = |module: &str, found| declared(module, found, &sources).unwrap().map(|chosen| chosen.one.name.clone());
    assert_eq!(name("google.cloud.storage.blob", 0).as_deref(), Some("google-cloud-storage"));
    assert_eq!(name("google.cloud.storage", 2).as_deref(), Some("google-cloud-storage"));
    assert_eq!(name("google.cloud.storage", 3), None);
    assert_eq!(name("zope.interface.adapter", 1).as_deref(), Some("zope-interface"));
    assert_eq!(name("google.cloud", 0), None);
}

#[test]
fn a_misspelt_import_shows_what_is_near() {
    let refused = allowed("reqests", &["reqests".to_owned()], &project(&["requests"])).unwrap_err();
    assert_eq!((&refused.detail["reason"], &refused.detail["near"][0]), (&"unknown".into(), &"requests".into()));
    assert!(refused.why.contains("near to it are: requests"), "{}", refused.why);
}

#[test]
fn what_does_not_hold_here_or_would_be_built_is_told_and_not_installed() {
    let reason = |line: &str| declared("yaml", 0, &project(&[line])).unwrap_err().detail["reason"].clone();
    assert_eq!(reason("PyYAML; sys_platform == 'win32'"), "marker");
    assert_eq!(reason("PyYAML @ git+https://h/yaml"), "source-tree");
}

#[test]
fn with_hashes_all_goes_together_and_of_a_lock_what_is_needed() {
    let mut sources = project(&["a==1", "b==2", "c==3"]);
    for one in &mut sources[0].all {
        one.hashes = vec!["sha256:ab".to_owned()];
    }
    sources[0].hashed = true;
    let of = |sources: &[Source]| declared("a", 0, sources).unwrap().unwrap().lines().unwrap();
    assert_eq!(of(&sources).requirements, ["a==1 --hash=sha256:ab", "b==2 --hash=sha256:ab", "c==3 --hash=sha256:ab"]);
    sources[0].is_lock = true;
    sources[0].all[0].needs = vec!["c".to_owned(), "a".to_owned()];
    assert_eq!(of(&sources).requirements, ["a==1 --hash=sha256:ab", "c==3 --hash=sha256:ab"]);
    sources[0].hashed = false;
    assert_eq!((of(&sources).requirements, of(&sources).limits), (vec!["a==1".to_owned()], vec!["c==3".to_owned()]));
    sources[0].all[2].index = Some("--index-url https://own/".to_owned());
    assert_eq!(declared("a", 0, &sources).unwrap().unwrap().lines().unwrap_err().detail["reason"], "several-indexes");
}
