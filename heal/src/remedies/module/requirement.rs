//! One requirement as a project declares it, judged before an installer sees it.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use contract::pep508::is_safe_requirement;
use contract::redact;
use pep508_rs::{MarkerEnvironment, Requirement, VerbatimUrl, VersionOrUrl};

use super::names::normalised;

/// One distribution that a project declares.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    /// Normalised.
    pub(super) name: String,
    /// A line of a requirements file, without hashes.
    pub(super) line: String,
    /// `algorithm:digest` of the archives that may bring it.
    pub(super) hashes: Vec<String>,
    /// Where it stands.
    pub(super) file: PathBuf,
    pub(super) number: Option<usize>,
    /// It allows one version alone.
    pub(super) is_exact: bool,
    /// Why it cannot be installed, or need not be.
    pub(super) refusal: Option<Refusal>,
    /// An option that says where this one alone comes from.
    pub(super) index: Option<String>,
    /// In a lock: the names of what it needs here.
    pub(super) needs: Vec<String>,
}

/// Why a requirement is not installed: a stable name, and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) &'static str, pub(super) String);

impl Refusal {
    /// It would be built, which runs whatever its source says.
    pub(super) fn source() -> Self {
        Self("source-tree", "it is declared as a source tree or an address, which would be built; install it by hand".to_owned())
    }
}

impl Declared {
    /// Reads a requirement (PEP 508) without hashes; nothing where it is none.
    pub(super) fn read(text: &str, file: &Path, number: Option<usize>, here: &MarkerEnvironment) -> Option<Self> {
        let text = text.trim();
        let parsed = parse(text)?;
        Some(Self {
            name: normalised(parsed.name.as_ref()),
            is_exact: text.contains("==") && !text.contains([',', '*']),
            refusal: refusal(&parsed, here),
            line: text.to_owned(),
            hashes: Vec::new(),
            file: file.to_owned(),
            number,
            index: None,
            needs: Vec::new(),
        })
    }

    /// The same without a word of which version.
    pub(super) fn refused(name: &str, file: &Path, number: Option<usize>, refusal: Refusal) -> Self {
        let (name, file) = (normalised(name), file.to_owned());
        Self {
            line: name.clone(),
            name,
            hashes: Vec::new(),
            file,
            number,
            is_exact: false,
            refusal: Some(refusal),
            index: None,
            needs: Vec::new(),
        }
    }

    /// The line for a requirements file.
    /// As a line of a constraints file, which has no extras; none where any version will do.
    pub(super) fn limit(&self) -> Option<String> {
        match parse(&self.line)?.version_or_url? {
            VersionOrUrl::VersionSpecifier(versions) if !versions.is_empty() => Some(format!("{}{versions}", self.name)),
            _ => None,
        }
    }

    pub(super) fn full(&self) -> String {
        let hashes = self.hashes.iter().map(|hash| format!(" --hash={hash}"));
        std::iter::once(self.line.clone()).chain(hashes).collect()
    }

    /// As a record may show it.
    pub(super) fn shown(&self) -> String {
        redact::excerpt(&self.line)
    }
}

fn parse(text: &str) -> Option<Requirement<VerbatimUrl>> {
    let is_one_line = !text.contains(char::is_control);
    (is_one_line && is_safe_requirement(text)).then(|| Requirement::from_str(text))?.ok()
}

fn refusal(parsed: &Requirement<VerbatimUrl>, here: &MarkerEnvironment) -> Option<Refusal> {
    if !parsed.evaluate_markers(here, &[]) {
        return Some(Refusal("marker", "its marker says that this Python on this machine does not want it".to_owned()));
    }
    let is_wheel = |url: &VerbatimUrl| {
        let whole = url.to_string();
        let path = whole.split(['?', '#']).next().unwrap_or_default();
        Path::new(path).extension().is_some_and(|end| end == "whl") && whole.contains("://") && !whole.starts_with("git+")
    };
    match &parsed.version_or_url {
        Some(VersionOrUrl::Url(url)) if !is_wheel(url) => Some(Refusal::source()),
        _ => None,
    }
}

/// Whether a marker holds here; one that cannot be read does.
pub(super) fn holds(marker: &str, here: &MarkerEnvironment) -> bool {
    parse(&format!("a ; {marker}")).is_none_or(|parsed| parsed.evaluate_markers(here, &[]))
}

#[cfg(test)]
pub(super) mod tests {
    use pep508_rs::MarkerEnvironmentBuilder;
    use proptest::prelude::*;

    use super::*;

    /// CPython 3.12 on Linux.
    pub(in super::super) fn here() -> MarkerEnvironment {
        let environment = MarkerEnvironmentBuilder {
            implementation_name: "cpython",
            implementation_version: "3.12.4",
            os_name: "posix",
            platform_machine: "x86_64",
            platform_python_implementation: "CPython",
            platform_release: "6.1",
            platform_system: "Linux",
            platform_version: "#1",
            python_full_version: "3.12.4",
            python_version: "3.12",
            sys_platform: "linux",
        };
        environment.try_into().unwrap()
    }

    fn read(text: &str) -> Option<Declared> {
        Declared::read(text, Path::new("/r.txt"), None, &here())
    }

    #[test]
    fn requirements_are_read_with_extras_ranges_and_markers() {
        let one = read("Ruamel.YAML[jinja2] >=0.17,<1 ; python_version >= '3.8'").unwrap();
        assert_eq!((&*one.name, one.is_exact, one.refusal.is_none()), ("ruamel-yaml", false, true));
        assert!(read("requests==2.34.2").unwrap().is_exact);
        let refused = |text: &str| read(text).unwrap().refusal.map(|refusal| refusal.0);
        assert_eq!(refused("tomli; python_version < '3.11'"), Some("marker"));
        for source in ["a @ git+https://h/r.git@v1", "a @ https://h/a.tar.gz", "a @ file:///src/a"] {
            assert_eq!(refused(source), Some("source-tree"), "{source}");
        }
        assert_eq!(refused("a @ https://h/a-1-py3-none-any.whl#sha256=ab"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_taken_and_stays_one_line(text: String) {
            if let Some(one) = read(&text) {
                prop_assert!(!one.full().contains(['\n', '\r']) && !one.line.starts_with('-'));
            }
            holds(&text, &here());
        }

        #[test]
        fn anything_like_a_requirement_is_taken(
            text in r"[a-c._-]{1,3}(\[[a-c._, -]{0,4}\])?[ ]?(@|~=|==|===|>=|!=|\()?[ ]?[0-9.a-d*+!:/]{0,9}(;.{0,9})?",
        ) {
            read(&text);
        }
    }
}
