//! Environment markers (PEP 508) of an environment whose Python is not started.

use std::str::FromStr as _;

use pep440_rs::{Version, VersionSpecifiers};
use pep508_rs::{ExtraName, MarkerEnvironment, MarkerEnvironmentBuilder, MarkerTree};

use crate::site::Site;

/// What markers are evaluated against.
///
/// Where only `X.Y` is known of the version there are two candidates, the first patch and a late one,
/// and a marker holds if it holds for both.
pub(super) struct Markers {
    candidates: Vec<(Version, MarkerEnvironment)>,
}

impl Markers {
    /// The markers of this machine and the environment's Python.
    pub(super) fn of(site: &Site) -> Self {
        let candidates = versions(site).into_iter().filter_map(|version| Some((version.parse().ok()?, environment(site, &version)?)));
        Self { candidates: candidates.collect() }
    }

    /// Whether a marker certainly holds with these extras.
    pub(super) fn hold(&self, marker: &MarkerTree, extras: &[ExtraName]) -> bool {
        !self.candidates.is_empty() && self.candidates.iter().all(|(_, environment)| marker.evaluate(environment, extras))
    }

    /// Whether a `Requires-Python` certainly rules this Python out; its pre-releases count as the release.
    pub(super) fn rule_out_python(&self, required: &str) -> bool {
        let Ok(required) = VersionSpecifiers::from_str(required) else { return false };
        !self.candidates.is_empty() && self.candidates.iter().all(|(version, _)| !required.contains(&version.only_release()))
    }
}

/// virtualenv writes `3.12.1.final.0`, a build from a checkout `3.13.0a1+`.
fn versions(site: &Site) -> Vec<String> {
    let version = site.version.split(".final").next().unwrap_or_default().trim_end_matches('+');
    let (major, minor) = site.minor;
    let of_minor = format!("{major}.{minor}.");
    if version.starts_with(&of_minor) && Version::from_str(version).is_ok() {
        return vec![version.to_owned()];
    }
    vec![format!("{of_minor}0"), format!("{of_minor}99")]
}

fn environment(site: &Site, version: &str) -> Option<MarkerEnvironment> {
    let kernel = rustix::system::uname();
    let (release, version_of_kernel) = (kernel.release().to_string_lossy(), kernel.version().to_string_lossy());
    let python = format!("{}.{}", site.minor.0, site.minor.1);
    let builder = MarkerEnvironmentBuilder {
        implementation_name: &site.implementation,
        implementation_version: version,
        os_name: "posix",
        platform_machine: &kernel.machine().to_string_lossy(),
        platform_python_implementation: match site.implementation.as_str() {
            "cpython" => "CPython",
            "pypy" => "PyPy",
            "graalpy" => "GraalVM",
            other => other,
        },
        platform_release: &release,
        platform_system: if cfg!(target_os = "macos") { "Darwin" } else { "Linux" },
        platform_version: &version_of_kernel,
        python_full_version: version,
        python_version: &python,
        sys_platform: if cfg!(target_os = "macos") { "darwin" } else { "linux" },
    };
    MarkerEnvironment::try_from(builder).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn markers(version: &str) -> Markers {
        let site = Site {
            root: Path::new("/v"),
            folders: vec![],
            inherited: vec![],
            minor: (3, 12),
            version: version.into(),
            implementation: "cpython".into(),
        };
        Markers::of(&site)
    }

    fn holds(version: &str, marker: &str) -> bool {
        let marker = MarkerTree::parse_str::<super::super::requirement::Link>(marker).unwrap();
        markers(version).hold(&marker, &[])
    }

    #[test]
    fn an_unknown_patch_version_decides_nothing() {
        assert!(holds("3.12.1", "python_full_version < '3.12.3'"));
        assert!(holds("3.12.1.final.0", "python_full_version == '3.12.1'"));
        for marker in ["python_full_version < '3.12.3'", "python_full_version >= '3.12.3'"] {
            assert!(!holds("3.12", marker), "{marker}");
        }
        assert!(holds("3.12", "python_version >= '3.12' and os_name == 'posix'"));
    }

    #[test]
    fn a_pre_release_of_python_supports_what_its_release_does() {
        assert!(!markers("3.12.0rc1").rule_out_python(">=3.12"));
        assert!(markers("3.12.0rc1").rule_out_python("<3.12"));
        assert!(!markers("3.12").rule_out_python(">=3.12.4"));
        assert!(!markers("3.12").rule_out_python("nonsense"));
    }
}
