//! The head of METADATA and PKG-INFO (core metadata specification): e-mail headers, folded lines included, up to the empty line.

use std::borrow::Cow;
use std::io::{self, Read};
use std::path::Path;

use crate::bounded::open;

/// Name and version stand at the top; this much holds them in practice.
const FIRST_BLOCK: usize = 1024;
/// No head is that long; whatever is, is something else.
const LIMIT: u64 = 8 << 20;
/// Names and versions beyond this are something else too.
const LONGEST: usize = 200;

/// `Name` and `Version`; `None` where the file has no name.
pub(crate) fn identity(file: &Path) -> io::Result<Option<(String, Option<String>)>> {
    let mut file = open(file)?;
    let mut head = vec![0; FIRST_BLOCK];
    let length = file.read(&mut head)?;
    head.truncate(length);
    let whole_lines = head.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    if let (Some(name), Some(version)) = name_and_version(&head[..whole_lines]) {
        return Ok(Some((name, Some(version))));
    }
    file.take(LIMIT).read_to_end(&mut head)?;
    let (name, version) = name_and_version(&head);
    Ok(name.map(|name| (name, version)))
}

fn name_and_version(head: &[u8]) -> (Option<String>, Option<String>) {
    let text = String::from_utf8_lossy(head);
    let (mut name, mut version) = (None, None);
    for (key, value) in fields(&text) {
        let slot = if key.eq_ignore_ascii_case("name") {
            &mut name
        } else if key.eq_ignore_ascii_case("version") {
            &mut version
        } else {
            continue;
        };
        if slot.is_none() && (1..=LONGEST).contains(&value.len()) {
            *slot = Some(value.into_owned());
        }
        if name.is_some() && version.is_some() {
            break;
        }
    }
    (name, version)
}

/// Every value that a file of this format has for a field.
pub(crate) fn values(file: &Path, field: &str) -> io::Result<Vec<String>> {
    let head = read(file)?;
    Ok(fields(&head).filter(|(key, _)| key.eq_ignore_ascii_case(field)).map(|(_, value)| value.into_owned()).collect())
}

fn read(file: &Path) -> io::Result<String> {
    let mut head = Vec::new();
    open(file)?.take(LIMIT).read_to_end(&mut head)?;
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// What a distribution demands.
#[derive(Debug, Default)]
pub(crate) struct Demands {
    /// `Requires-Dist` lines (PEP 508).
    pub(crate) requires: Vec<String>,
    /// `Requires-Python` (PEP 440 specifiers).
    pub(crate) python: Option<String>,
}

/// Reads what a METADATA file demands.
pub(crate) fn demands(file: &Path) -> io::Result<Demands> {
    let text = read(file)?;
    let mut demands = Demands::default();
    for (key, value) in fields(&text) {
        if key.eq_ignore_ascii_case("requires-dist") {
            demands.requires.push(value.into_owned());
        } else if key.eq_ignore_ascii_case("requires-python") {
            demands.python = Some(value.into_owned());
        }
    }
    Ok(demands)
}

fn fields(text: &str) -> Fields<'_> {
    Fields { rest: text.strip_prefix('\u{feff}').unwrap_or(text) }
}

struct Fields<'a> {
    rest: &'a str,
}

impl<'a> Fields<'a> {
    fn line(&mut self) -> &'a str {
        let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        self.rest = rest;
        line.trim_end_matches('\r')
    }

    fn is_folded(&self) -> bool {
        self.rest.starts_with([' ', '\t'])
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = self.line();
            if line.is_empty() {
                return None;
            }
            let mut value = line.split_once(':').map(|(key, value)| (key, Cow::Borrowed(value.trim())));
            while self.is_folded() {
                let more = self.line().trim();
                if let Some((_, value)) = &mut value {
                    *value += " ";
                    *value += more;
                }
            }
            if value.is_some() {
                return value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &str) -> Vec<(&str, String)> {
        fields(text).map(|(key, value)| (key, value.into_owned())).collect()
    }

    #[test]
    fn the_body_is_no_header() {
        assert_eq!(all("Name: a\r\nVersion: 1\r\n\r\nName: b\r\n"), [("Name", "a".into()), ("Version", "1".into())]);
    }

    #[test]
    fn folded_lines_belong_to_their_field() {
        let text = "License: a\n        b\n\tc\nno field\nName: x\n";
        assert_eq!(all(text), [("License", "a b c".into()), ("Name", "x".into())]);
    }

    #[test]
    fn a_name_behind_a_long_field_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("METADATA");
        std::fs::File::create(&file).unwrap();
        assert_eq!(identity(&file).unwrap(), None);
        let text = format!("Metadata-Version: 2.1\nSummary: {}\nName: x\nVersion: 2\n\nbody", "y".repeat(5000));
        contract::replace::write(&file, text.as_bytes()).unwrap();
        assert_eq!(identity(&file).unwrap(), Some(("x".into(), Some("2".into()))));
    }

    proptest! {
        #[test]
        fn any_text_has_an_end(text in "[ \t\r\na:-]{0,80}") {
            prop_assert!(fields(&text).count() <= text.lines().count());
        }

        #[test]
        fn fields_come_back(pairs in prop::collection::vec(("[A-Z][a-z-]{0,8}", "[a-z0-9;=<>\" ]{0,20}"), 0..6)) {
            let text: String = pairs.iter().flat_map(|(key, value)| [key, ": ", value, "\n"]).collect();
            let expected: Vec<_> = pairs.iter().map(|(key, value)| (key.as_str(), value.trim().to_owned())).collect();
            prop_assert_eq!(all(&text), expected);
        }
    }
}
