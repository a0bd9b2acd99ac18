//! Requirements of PEP 508, whose URLs are kept as they are: only that there is one matters.

use std::convert::Infallible;
use std::fmt;
use std::path::Path;

use contract::pep508::{is_safe_marker, is_safe_requirement};
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
    is_safe_requirement(text).then(|| text.parse())?.ok()
}

/// Reads an environment marker; `None` where it is none.
pub(super) fn marker(text: &str) -> Option<MarkerTree> {
    is_safe_marker(text).then(|| MarkerTree::parse_str::<Link>(text))?.ok()
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

    proptest! {
        #[test]
        fn no_text_makes_it_fail(text in "[a-z.\\-_\\[\\]@;()<=>~!'\" 0-9]{0,40}", any: String) {
            drop((read(&text), read(&any), marker(&text), marker(&any)));
        }
    }
}
