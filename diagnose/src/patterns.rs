//! A file of patterns: one JSON object, whose order says which pattern comes first.

use std::fmt;
use std::path::Path;

use anyhow::Context as _;
use contract::path::shown;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

/// Names and patterns as they stand in the file.
pub(crate) struct Patterns(pub(crate) Vec<(String, String)>);

#[derive(Deserialize)]
struct Entry {
    pattern: String,
}

impl Patterns {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is no such object.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("cannot read the patterns in {}", shown(path)))?;
        serde_json::from_slice(&text).with_context(|| format!("the patterns in {} cannot be understood", shown(path)))
    }
}

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Patterns;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of patterns")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Patterns, A::Error> {
                let mut patterns = Vec::new();
                while let Some((name, entry)) = map.next_entry::<String, Entry>()? {
                    patterns.push((name, entry.pattern));
                }
                Ok(Patterns(patterns))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_file() {
        let text = r#"{"z":{"pattern":"a","solution":"s","description":"d"},"a":{"pattern":"b"}}"#;
        let Patterns(patterns) = serde_json::from_str(text).unwrap();
        assert_eq!(patterns, [("z".to_owned(), "a".to_owned()), ("a".to_owned(), "b".to_owned())]);
    }
}
