//! What environment markers (PEP 508) are held against: this machine and the Python that the environment is for.

use std::str::FromStr as _;

use anyhow::Context as _;
use contract::pep508::{is_safe_marker, is_safe_requirement};
use pep508_rs::{ExtraName, MarkerEnvironment, MarkerEnvironmentBuilder, MarkerTree, Requirement, VerbatimUrl, VersionOrUrl};
use rustix::system::uname;

/// The values of the markers.
pub(super) struct Markers(MarkerEnvironment);

impl Markers {
    /// The markers of an environment for this Python (`X.Y` or `X.Y.Z`) on this machine.
    ///
    /// # Errors
    /// The version is none.
    pub(super) fn of(version: &str, implementation: &str) -> anyhow::Result<Self> {
        let machine = uname();
        let (major, minor) = super::remains::minor(version).with_context(|| format!("`{version}` is no version of Python"))?;
        let cpython = implementation.starts_with("cpython");
        let system = machine.sysname().to_string_lossy();
        let environment = MarkerEnvironmentBuilder {
            implementation_name: if cpython { "cpython" } else { implementation },
            implementation_version: version,
            os_name: "posix",
            platform_machine: &machine.machine().to_string_lossy(),
            platform_python_implementation: if cpython { "CPython" } else { "PyPy" },
            platform_release: &machine.release().to_string_lossy(),
            platform_system: &system,
            platform_version: &machine.version().to_string_lossy(),
            python_full_version: version,
            python_version: &format!("{major}.{minor}"),
            sys_platform: &system.to_ascii_lowercase(),
        };
        Ok(Self(environment.try_into().with_context(|| format!("`{version}` is no version of Python"))?))
    }

    /// Whether a marker holds; `None` where it cannot be read.
    pub(super) fn hold(&self, marker: &str, extras: &[ExtraName]) -> Option<bool> {
        let tree = is_safe_marker(marker).then(|| MarkerTree::parse_str::<VerbatimUrl>(marker))?;
        Some(tree.ok()?.evaluate(&self.0, extras))
    }

    /// Whether a requirement is asked for here.
    pub(super) fn ask(&self, requirement: &Requirement, extras: &[ExtraName]) -> bool {
        requirement.evaluate_markers(&self.0, extras)
    }
}

/// Reads a requirement (PEP 508); `None` where it is none.
pub(super) fn requirement(text: &str) -> Option<Requirement> {
    is_safe_requirement(text).then(|| Requirement::from_str(text))?.ok()
}

/// Whether an installed version is one that the requirement allows; a pre-release that is installed was wanted.
pub(super) fn allows(requirement: &Requirement, version: &str) -> bool {
    let Ok(version) = pep440_rs::Version::from_str(version) else { return false };
    match &requirement.version_or_url {
        None => true,
        Some(VersionOrUrl::VersionSpecifier(range)) => range.contains(&version),
        Some(VersionOrUrl::Url(_)) => false,
    }
}

/// Reads the names of extras, leaving out what is none.
pub(super) fn extras(names: &[String]) -> Vec<ExtraName> {
    names.iter().filter_map(|name| ExtraName::from_str(name).ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markers_hold_for_the_python_asked_about() {
        let markers = Markers::of("3.9.18", "cpython").unwrap();
        assert_eq!(markers.hold("python_version < '3.10' and os_name == 'posix'", &[]), Some(true));
        assert_eq!(markers.hold("sys_platform == 'win32'", &[]), Some(false));
        assert_eq!(markers.hold("'x' in dependency_groups and", &[]), None);
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text: String) {
            requirement(&text);
            requirement(&format!("a; {text}"));
        }

        #[test]
        fn anything_like_a_requirement_is_taken(text in r"[a-c._-]{1,3}(\[[a-c._, -]{0,4}\])?[ ]?(@|~=|==|===|>=|!=|\()?[ ]?[0-9.a-d*+!]{0,6}(;.{0,9})?") {
            requirement(&text);
        }

        #[test]
        fn anything_like_a_marker_is_taken(
            key in "(python_version|python_full_version|implementation_version|os_name|extra|platform_release)",
            operator in "(==|===|~=|!=|<|>|>=|in|not in)",
            value in "[0-9.*adevrc+! ]{0,7}",
            joined in "(and|or)",
            second in "[0-9.*]{0,4}",
        ) {
            let markers = Markers::of("3.9.18", "cpython").unwrap();
            markers.hold(&format!("{key} {operator} '{value}' {joined} '{second}' {operator} {key}"), &[]);
        }
    }
}
