//! Which distributions may bring a module: those that are called like it, and those of the vetted map.

use std::sync::LazyLock;

/// `import name | distributions | source`, one a line.
const TABLE: &str = include_str!("names.txt");

static MAP: LazyLock<Vec<Entry>> = LazyLock::new(|| TABLE.lines().filter_map(entry).collect());

/// One import name of the vetted map.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) module: &'static str,
    /// Normalised names.
    pub(super) brings: Vec<&'static str>,
    /// Where that is known from.
    #[cfg(test)]
    source: &'static str,
}

fn entry(line: &'static str) -> Option<Entry> {
    let mut columns = line.split('|').map(str::trim);
    let module = columns.next().filter(|module| !module.is_empty() && !module.starts_with('#'))?;
    let brings = columns.next()?.split_whitespace().collect();
    Some(Entry {
        module,
        brings,
        #[cfg(test)]
        source: columns.next()?,
    })
}

/// A distribution's name as indexes compare it (PEP 503).
pub(super) fn normalised(name: &str) -> String {
    let words = name.trim().split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

/// A dotted name and what it lies in, the longest first.
pub(super) fn prefixes(module: &str) -> impl Iterator<Item = &str> {
    let cuts = module.match_indices('.').map(|(at, _)| at).collect::<Vec<_>>();
    std::iter::once(module.len()).chain(cuts.into_iter().rev()).map(|end| &module[..end])
}

/// What the map says of exactly this name.
pub(super) fn vetted(module: &str) -> &'static [&'static str] {
    MAP.iter().find(|entry| entry.module == module).map_or(&[], |entry| &entry.brings)
}

/// What the map says of a dotted name or what it lies in.
pub(super) fn vetted_for(module: &str) -> &'static [&'static str] {
    prefixes(module).map(vetted).find(|brings| !brings.is_empty()).unwrap_or(&[])
}

/// Whether the map knows a dotted name or what it lies in, in whatever case.
pub(super) fn is_known(module: &str) -> bool {
    prefixes(module).any(|prefix| MAP.iter().any(|entry| entry.module.eq_ignore_ascii_case(prefix)))
}

/// The names by which what a distribution brings is imported, as far as the map knows any.
pub(super) fn modules_of(distribution: &str) -> impl Iterator<Item = &'static str> {
    MAP.iter().filter(move |entry| entry.brings.contains(&distribution)).map(|entry| entry.module)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_map_is_well_formed() {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(lines.count(), MAP.len());
        let mut seen = HashSet::new();
        for entry in MAP.iter() {
            assert!(seen.insert(entry.module), "{} stands there twice", entry.module);
            let parts = entry.module.split('.');
            assert!(parts.into_iter().all(|part| part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')), "{}", entry.module);
            assert!(!entry.brings.is_empty() && ["pants", "ours"].contains(&entry.source), "{entry:?}");
            assert!(entry.brings.iter().all(|name| normalised(name) == *name), "{entry:?}");
        }
        assert!(MAP.len() >= 190, "{}", MAP.len());
        assert!(MAP.windows(2).all(|pair| pair[0].module < pair[1].module), "the map is not sorted");
    }

    #[test]
    fn the_longest_prefix_counts() {
        assert_eq!(prefixes("a.b.c").collect::<Vec<_>>(), ["a.b.c", "a.b", "a"]);
        assert_eq!(vetted_for("google.cloud.storage.blob"), ["google-cloud-storage"]);
        assert_eq!(vetted_for("yaml.nodes"), ["pyyaml"]);
        assert!(vetted_for("google").is_empty() && vetted_for("yam").is_empty());
        assert_eq!(modules_of("protobuf").collect::<Vec<_>>(), ["google.protobuf"]);
    }

    #[test]
    fn names_are_compared_as_indexes_do() {
        assert_eq!(normalised("Ruamel_.YAML"), "ruamel-yaml");
        assert_eq!(normalised("zope.interface"), "zope-interface");
    }
}
