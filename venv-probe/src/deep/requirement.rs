//! Requirements of PEP 508, whose URLs are kept as they are: only that there is one matters.

use std::convert::Infallible;
use std::fmt;
use std::path::Path;

use pep440_rs::{Version, VersionSpecifiers};
use pep508_rs::{MarkerTree, Pep508Url, VersionOrUrl};

/// A dependency specifier.
pub(super) type Requirement = pep508_rs::Requirement<Link>;

/// The URL of a requirement, unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link(String);

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pep508Url for Link {
    type Err = Infallible;

    fn parse_url(url: &str, _folder: Option<&Path>) -> Result<Self, Infallible> {
        Ok(Self(url.to_owned()))
    }
}

/// Reads a dependency specifier; `None` where it is none that the rules know.
pub(super) fn read(text: &str) -> Option<Requirement> {
    let marker = text.split_once(';').map_or("", |(_, marker)| marker);
    let safe = is_shallow(text) && is_simple(marker) && !has_open_name(text) && !matches_strings(marker);
    safe.then(|| text.parse())?.ok()
}

/// Reads an environment marker; `None` where it is none.
pub(super) fn marker(text: &str) -> Option<MarkerTree> {
    let safe = is_shallow(text) && is_simple(text) && !matches_strings(text);
    safe.then(|| MarkerTree::parse_str::<Link>(text))?.ok()
}

/// pep508_rs recurses into parentheses; nobody nests them like that.
fn is_shallow(text: &str) -> bool {
    text.len() < 10_000 && text.bytes().filter(|byte| *byte == b'(').count() < 50
}

/// pep508_rs makes a decision diagram of a marker, which every extra and every `in` can double, unless `or` alone joins them.
fn is_simple(marker: &str) -> bool {
    let mut quote = None;
    let bare = marker.chars().map(|c| match quote {
        None if matches!(c, '\'' | '"') => {
            quote = Some(c);
            ' '
        }
        None => c,
        Some(open) => {
            quote = quote.filter(|_| c != open);
            ' '
        }
    });
    let bare: String = bare.collect();
    let count = |words: &[&str]| bare.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| words.contains(word)).count();
    count(&["extra", "in"]) <= 20 || count(&["and"]) == 0
}

/// pep508_rs 0.9.2 panics on a name or an extra that ends in a separator.
fn has_open_name(text: &str) -> bool {
    let names = text.split(['@', ';', '(', '<', '=', '>', '~', '!']).next().unwrap_or(text);
    let mut words = names.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.'));
    words.any(|word| word.ends_with(['-', '_', '.']))
}

/// pep508_rs 0.9.2 panics on `~=` between strings, and on every marker after that.
fn matches_strings(marker: &str) -> bool {
    const VERSIONS: [&str; 3] = ["python_version", "python_full_version", "implementation_version"];
    marker.match_indices("~=").any(|(at, _)| !VERSIONS.iter().any(|name| marker[..at].trim_end().ends_with(name)))
}

/// The versions that a requirement allows; `None` where it names a URL or none in particular.
pub(super) fn versions(requirement: &Requirement) -> Option<&VersionSpecifiers> {
    match &requirement.version_or_url {
        Some(VersionOrUrl::VersionSpecifier(versions)) => Some(versions),
        Some(VersionOrUrl::Url(_)) | None => None,
    }
}

/// Whether an installed version is ruled out; one that cannot be read is not.
pub(super) fn rules_out(versions: &VersionSpecifiers, installed: Option<&str>) -> bool {
    installed.and_then(|version| version.parse::<Version>().ok()).is_some_and(|version| !versions.contains(&version))
}

/// Name and versions as they are usually written.
pub(super) fn shown(requirement: &Requirement) -> String {
    let versions = versions(requirement).map_or_else(String::new, |versions| versions.to_string().replace(", ", ","));
    format!("{}{versions}", requirement.name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_parser_panics_on_is_refused_and_harms_nothing_after_it() {
        for text in ["H.", "a[b-]", "a ; os_name ~= 'x'", "a ; 'x' ~= os_name", "a-[b] >= 1"] {
            assert!(read(text).is_none(), "{text}");
        }
        assert!(read(&format!("a ; {}", "(".repeat(5000))).is_none());
        assert_eq!(read("flask[async] >= 2.0, < 4 ; python_version ~= '3.8'").map(|found| shown(&found)).as_deref(), Some("flask>=2.0,<4"));
    }

    #[test]
    fn a_marker_that_would_grow_without_bound_is_refused() {
        let pairs = |many: usize| (0..many).map(|n| format!("(extra == 'a{n}' or 'b{n}' in os_name)")).collect::<Vec<_>>().join(" and ");
        let list = (0..200).map(|n| format!("extra == 'and-{n}'")).collect::<Vec<_>>().join(" or ");
        assert!(marker(&pairs(10)).is_some() && marker(&list).is_some() && read(&format!("a; {list}")).is_some());
        assert!(marker(&pairs(11)).is_none() && read(&format!("a; {}", pairs(40))).is_none());
        assert!(marker(&format!("'\"' == os_name and {}", pairs(40))).is_none());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail(text in "[a-z.\\-_\\[\\]@;()<=>~!'\" 0-9]{0,40}", any: String) {
            drop((read(&text), read(&any), marker(&text), marker(&any)));
        }
    }
}
