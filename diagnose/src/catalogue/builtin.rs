//! The list that comes with the tool.

use anyhow::Context as _;
use serde::Deserialize;

use super::Entry;

const FILES: [(&str, &str); 10] = [
    ("runtimes.toml", include_str!("builtin/runtimes.toml")),
    ("python.toml", include_str!("builtin/python.toml")),
    ("pip.toml", include_str!("builtin/pip.toml")),
    ("node.toml", include_str!("builtin/node.toml")),
    ("database.toml", include_str!("builtin/database.toml")),
    ("network.toml", include_str!("builtin/network.toml")),
    ("system.toml", include_str!("builtin/system.toml")),
    ("mcp.toml", include_str!("builtin/mcp.toml")),
    ("platform.toml", include_str!("builtin/platform.toml")),
    ("unknown.toml", include_str!("builtin/unknown.toml")),
];

#[derive(Deserialize)]
struct File {
    entry: Vec<Entry>,
}

/// All entries, in the order of the files.
///
/// # Errors
/// One cannot be read: a mistake in the tool.
pub(super) fn entries() -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for (name, text) in FILES {
        let file: File = toml::from_str(text).with_context(|| format!("the built-in {name}"))?;
        entries.extend(file.entry);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn every_built_in_pattern_is_searched_for_and_none_is_slow() {
        let (catalogue, complaints) = Catalogue::of(entries().unwrap());
        let complaints: Vec<_> = complaints.into_iter().map(|one| (one.entry, one.reason)).collect();
        assert_eq!(complaints, []);
        assert_eq!(catalogue.slow().map(|entry| &entry.code).collect::<Vec<_>>(), Vec::<&String>::new());
    }

    #[test]
    fn every_entry_has_its_own_code_and_says_only_what_it_captures() {
        let entries = entries().unwrap();
        let codes: BTreeSet<&str> = entries.iter().map(|entry| entry.code.as_str()).collect();
        assert_eq!(codes.len(), entries.len());
        for entry in &entries {
            for name in entry.text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)) {
                let group = format!("(?P<{name}>");
                assert!(entry.patterns.iter().any(|pattern| pattern.contains(&group)), "{}: {name}", entry.code);
            }
            assert!(entry.yields_to.iter().all(|code| codes.contains(code.as_str())), "{}", entry.code);
        }
    }
}
