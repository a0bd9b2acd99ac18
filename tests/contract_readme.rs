//! The examples of the protocol's documentation are records.

use tests::schema;
use tests::workspace;

#[test]
fn every_example_in_the_protocols_documentation_is_a_record() {
    let readme = std::fs::read_to_string(workspace().join("contract/README.md")).unwrap();
    let examples: Vec<_> = readme.lines().filter(|line| line.starts_with('{')).map(schema::check).collect();
    for kind in [
        "venv.probe",
        "venv.alias",
        "snapshot",
        "snapshot.entry",
        "snapshot.change",
        "snapshot.probe",
        "diagnosis",
        "action",
        "error",
        "end",
    ] {
        assert!(examples.iter().any(|example| example["type"] == kind), "no example of {kind}");
        assert!(readme.contains(&format!("### `{kind}`")), "no heading for {kind}");
    }
}
