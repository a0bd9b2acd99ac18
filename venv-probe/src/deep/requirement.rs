//! Requirements of PEP 508, whose URLs are kept as they are: only that there is one matters.

use std::convert::Infallible;
use std::fmt;
use std::path::Path;

use pep440_rs::{Version, VersionSpecifiers};
use pep508_rs::{Pep508Url, VersionOrUrl};

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
