//! One distribution to install, and the names and addresses that an installer may be given.

use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::str::FromStr as _;

use anyhow::{Context as _, bail, ensure};
use contract::path::shown;
use pep440_rs::Version;
use pep508_rs::PackageName;

use super::markers::{allows, requirement};
use super::redact;

/// The schemes that pip and uv install from.
const SCHEMES: [&str; 5] = ["http", "https", "file", "ssh", "git"];

/// One distribution to install. Displays as a person may see it: without user names and passwords of URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pin {
    /// Normalised as the names specification (PEP 503) has it; the path or URL where nothing tells the name.
    pub(crate) name: String,
    /// The exact version; `None` for what a URL, a path or a range says.
    pub(crate) version: Option<String>,
    /// The line of a requirements file that brings it, without hashes.
    pub(super) line: String,
    /// `algorithm:digest` of the archives that may bring it.
    pub(super) hashes: Vec<String>,
}

impl Pin {
    /// A release from an index.
    ///
    /// # Errors
    /// Name or version is none (PEP 508, PEP 440).
    pub(super) fn exact(name: &str, version: &str) -> anyhow::Result<Self> {
        let name = normalised(name)?;
        let Ok(version) = Version::from_str(version) else {
            bail!("`{}` is no version that an index knows (PEP 440)", shown(Path::new(version)))
        };
        let version = version.to_string();
        Ok(Self { line: format!("{name}=={version}"), name, version: Some(version), hashes: Vec::new() })
    }

    /// What an address brings: an archive, or a commit of a repository.
    ///
    /// # Errors
    /// The name is none, or the address is of a kind that is not installed from.
    pub(super) fn at_url(name: &str, url: &str) -> anyhow::Result<Self> {
        let name = normalised(name)?;
        check_url(url)?;
        Ok(Self { line: format!("{name} @ {url}"), name, version: None, hashes: Vec::new() })
    }

    /// A source tree that is to be imported from where it is.
    ///
    /// # Errors
    /// The name is none, or the path is no text.
    pub(super) fn editable(name: &str, folder: &Path) -> anyhow::Result<Self> {
        Ok(Self { line: format!("-e {}", file_url(folder)?), name: normalised(name)?, version: None, hashes: Vec::new() })
    }

    /// Whether an index is asked for it; else its line has the address.
    pub(crate) fn is_of_an_index(&self) -> bool {
        !self.line.starts_with('-') && !self.line.contains("://")
    }

    /// Whether this version is what it asks for.
    pub(super) fn allows(&self, version: &str) -> bool {
        match &self.version {
            Some(only) => only == version,
            None => requirement(&self.line).is_some_and(|asked| allows(&asked, version)),
        }
    }

    /// The line for a file that the installers read.
    pub(super) fn lines(&self) -> String {
        let hashes = self.hashes.iter().map(|hash| format!(" --hash={hash}"));
        std::iter::once(self.line.clone()).chain(hashes).collect()
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact::excerpt(&self.line))
    }
}

/// Normalises a distribution's name (PEP 503).
///
/// # Errors
/// It is none: a path or an option can hide behind one.
pub(super) fn normalised(name: &str) -> anyhow::Result<String> {
    let parsed = PackageName::from_str(name.trim()).map(|name| name.to_string());
    parsed.ok().filter(|name| !name.is_empty()).with_context(|| format!("`{}` is no name of a distribution", shown(Path::new(name))))
}

/// A `file:` address that pip and uv both take, in a requirements file as well.
///
/// # Errors
/// The path is not absolute or not UTF-8.
pub(super) fn file_url(path: &Path) -> anyhow::Result<String> {
    use fmt::Write as _;
    ensure!(
        path.is_absolute() && path.to_str().is_some(),
        "`{}` is not an absolute path in UTF-8, installers cannot be given it",
        shown(path)
    );
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~+".contains(&byte);
    path.as_os_str().as_bytes().iter().try_fold("file://".to_owned(), |mut url, byte| {
        if plain(*byte) {
            url.push(char::from(*byte));
        } else {
            write!(url, "%{byte:02X}")?;
        }
        Ok(url)
    })
}

/// Checks an address that comes from metadata: no other kind than installers install from, nothing that ends a line or makes the
/// installer put a variable of our environment into it.
pub(super) fn check_url(url: &str) -> anyhow::Result<()> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.rsplit('+').next().unwrap_or(scheme));
    let hostile = url.contains("${") || url.contains(|c: char| c.is_whitespace() || c.is_control());
    let known = scheme.is_some_and(|scheme| SCHEMES.contains(&scheme)) && url.starts_with(|c: char| c.is_ascii_lowercase());
    ensure!(known && !hostile, "`{}` is no address that a package is installed from", redact::excerpt(url));
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_names_versions_and_addresses_are_refused() {
        for name in ["-r", "--index-url=x", "../x", "a b", "a\n-e x", "", "a;b", "a @ file:///x"] {
            assert!(Pin::exact(name, "1").is_err(), "{name:?}");
        }
        for version in ["1 --index-url=x", "1\n-e x", "", "../1"] {
            assert!(Pin::exact("a", version).is_err(), "{version:?}");
        }
        for url in ["-e x", "https://h/a b", "https://h/\n-e x", "javascript://x", "https://h/${TOKEN}", "h/x.whl", "-x://h"] {
            assert!(Pin::at_url("a", url).is_err(), "{url:?}");
        }
    }

    #[test]
    fn a_local_version_stays() {
        assert_eq!(Pin::exact("Torch_Vision", "0.15.0+cu118").unwrap().line, "torch-vision==0.15.0+cu118");
    }

    #[test]
    fn a_path_with_anything_in_it_is_one_address() {
        assert_eq!(file_url(Path::new("/a b/ü#?'\"$%")).unwrap(), "file:///a%20b/%C3%BC%23%3F%27%22%24%25");
    }

    proptest! {
        #[test]
        fn no_line_ever_has_a_second_one(name: String, version: String, url: String) {
            for pin in [Pin::exact(&name, &version), Pin::at_url("a", &url)].into_iter().flatten() {
                prop_assert!(!pin.lines().contains(['\n', '\r']));
            }
        }
    }
}
