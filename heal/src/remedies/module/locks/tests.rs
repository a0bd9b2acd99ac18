//! Locks as the tools write them.

use proptest::prelude::*;

use super::super::requirement::tests::here;
use super::*;

fn of(name: &str, text: &str) -> Option<Source> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    #[expect(clippy::disallowed_methods, reason = "a test's own file")]
    std::fs::write(&path, text).unwrap();
    read(&path, &here())
}

fn lines(source: &Source) -> Vec<String> {
    source.all.iter().map(Declared::full).collect()
}

const UV: &str = r#"
version = 1
[[package]]
name = "shop"
version = "0.1"
source = { editable = "." }
dependencies = [{ name = "a" }]
[[package]]
name = "a"
version = "1.2"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "b" }, { name = "colorama", marker = "sys_platform == 'win32'" }]
wheels = [{ url = "https://files/a-1.2-py3-none-any.whl", hash = "sha256:aa", size = 1 }]
[[package]]
name = "b"
version = "3"
source = { registry = "https://own/simple" }
wheels = [{ url = "https://files/b-3-py3-none-any.whl", hash = "sha256:bb" }]
"#;

#[test]
fn uvs_lock_has_versions_hashes_indexes_and_needs() {
    let source = of("uv.lock", UV).unwrap();
    assert_eq!(lines(&source), ["shop", "a==1.2 --hash=sha256:aa", "b==3 --hash=sha256:bb"]);
    assert!(source.is_lock && source.hashed);
    assert_eq!(source.all[0].refusal.as_ref().unwrap().0, "source-tree");
    assert_eq!((&source.all[1].needs[..], source.all[1].number, source.all[1].index.as_ref()), (&["b".to_owned()][..], Some(9), None));
    assert_eq!(source.all[2].index.as_deref(), Some("--index-url https://own/simple"));
    let forked = of("uv.lock", &UV.replace("name = \"b\"\nversion", "name = \"a\"\nversion")).unwrap();
    assert_eq!(forked.all[1].refusal.as_ref().unwrap().0, "forked");
}

#[test]
fn poetrys_lock_is_read() {
    let text = r#"
[[package]]
name = "A"
version = "1.2"
files = [{file = "a.whl", hash = "sha256:aa"}]
[package.dependencies]
b = ">=1"
c = {version = ">=1", optional = true}
d = {version = ">=1", markers = "python_version < \"3.8\""}
[[package]]
name = "g"
version = "1"
[package.source]
type = "git"
url = "https://h/r.git"
"#;
    let source = of("poetry.lock", text).unwrap();
    assert_eq!(lines(&source), ["A==1.2 --hash=sha256:aa", "g"]);
    assert_eq!(source.all[0].needs, ["b"]);
    assert!(source.all[1].refusal.is_some() && source.hashed);
}

#[test]
fn pipenvs_lock_is_read() {
    let text = r#"{"_meta": {"sources": [{"name": "pypi", "url": "https://pypi.org/simple", "verify_ssl": true}]},
        "default": {"a": {"hashes": ["sha256:aa"], "index": "pypi", "version": "==1"}, "w": {"version": "==1", "markers": "os_name == 'nt'"}},
        "develop": {"b": {"version": "==2"}, "g": {"git": "https://h/r.git"}}}"#;
    let source = of("Pipfile.lock", text).unwrap();
    assert_eq!(lines(&source), ["a==1 --hash=sha256:aa", "w", "b==2", "g"]);
    assert!(!source.hashed && source.all[1].refusal.as_ref().is_some_and(|refusal| refusal.0 == "marker"));
    assert_eq!((source.all[2].needs.len(), source.all[0].needs.len()), (4, 2));
    assert_eq!(source.all[0].index, None);
}

#[test]
fn pdms_lock_is_read_with_what_its_extras_need() {
    let text = r#"
[metadata]
lock_version = "4.5.0"
[[package]]
name = "requests"
version = "2.31.0"
requires_python = ">=3.7"
summary = "Python HTTP for Humans."
groups = ["default"]
dependencies = ["idna<4,>=2.5", "win-inet-pton; sys_platform == \"win32\""]
files = [{file = "requests-2.31.0-py3-none-any.whl", hash = "sha256:aa"}]
[[package]]
name = "requests"
version = "2.31.0"
extras = ["socks"]
dependencies = ["PySocks!=1.5.7,>=1.5.6", "requests==2.31.0"]
files = [{file = "requests-2.31.0-py3-none-any.whl", hash = "sha256:aa"}]
[[package]]
name = "g"
version = "1"
git = "https://h/r.git"
[[package]]
name = "w"
version = "1"
marker = "os_name == 'nt'"
files = [{file = "w.whl", hash = "sha256:bb"}]
"#;
    let source = of("pdm.lock", text).unwrap();
    assert_eq!(lines(&source), ["requests==2.31.0 --hash=sha256:aa", "g", "w"]);
    assert_eq!(source.all[0].needs, ["idna", "pysocks", "requests"]);
    let reasons: Vec<_> = source.all.iter().filter_map(|one| one.refusal.as_ref()).map(|refusal| refusal.0).collect();
    assert_eq!((reasons, source.hashed), (vec!["source-tree", "marker"], true));
}

const PYLOCK: &str = r#"
lock-version = "1.0"
created-by = "uv"
[[packages]]
name = "a"
version = "1"
index = "https://pypi.org/simple"
wheels = [{ url = "https://files/a-1-py3-none-any.whl", upload-time = 2026-10-22T00:02:38Z, size = 1, hashes = { sha256 = "aa" } }]
[[packages]]
name = "b"
version = "2"
marker = "python_version < '3'"
index = "https://own/simple"
wheels = [{ url = "https://files/b-2-py3-none-any.whl", hashes = { sha256 = "bb" } }]
[[packages]]
name = "shop"
directory = { path = ".", editable = true }
"#;

#[test]
fn the_lock_of_no_tool_is_read_and_all_of_it_goes_together_unless_it_tells() {
    let source = of("pylock.toml", PYLOCK).unwrap();
    assert_eq!(lines(&source), ["a==1 --hash=sha256:aa", "b", "shop"]);
    let reasons: Vec<_> = source.all.iter().filter_map(|one| one.refusal.as_ref()).map(|refusal| refusal.0).collect();
    assert_eq!((reasons, source.hashed), (vec!["marker", "source-tree"], true));
    assert_eq!((&source.all[0].needs[..], source.all[0].index.as_ref()), (&["a", "b", "shop"].map(str::to_owned)[..], None));
    let told = PYLOCK.replacen("version = \"1\"\n", "version = \"1\"\ndependencies = [{ name = \"B\" }]\n", 1);
    assert_eq!(of("pylock.toml", &told).unwrap().all[0].needs, ["b"]);
    let other = of("pylock.toml", &PYLOCK.replace("marker = \"python_version < '3'\"\n", "")).unwrap();
    assert_eq!((&*lines(&other)[1], other.all[1].index.as_deref()), ("b==2 --hash=sha256:bb", Some("--index-url https://own/simple")));
}

proptest! {
    #[test]
    fn any_text_is_taken(text: String, at in 0..400_usize) {
        for name in ["uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock"] {
            of(name, &text);
        }
        let mut torn = UV.to_owned();
        let at = at.min(torn.len());
        torn.insert_str(at, &text);
        of("uv.lock", &torn);
    }
}
