//! A site folder made for a test.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contract::venv::Finding;
use sha2::{Digest as _, Sha256};

use super::{Installed, scan_folders};
use crate::findings::Findings;
use crate::site::Site;

/// An environment `project/.venv` with one site folder, gone when dropped.
pub(crate) struct Sample {
    top: tempfile::TempDir,
}

impl Sample {
    pub(crate) fn new() -> Self {
        let sample = Self { top: tempfile::tempdir().unwrap() };
        fs::create_dir_all(sample.path("")).unwrap();
        sample
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.top.path().join("project/.venv")
    }

    /// A path below the site folder.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root().join("lib/python3.12/site-packages").join(below)
    }

    /// Writes a file of the site folder; `../../../../x` lies beside the environment.
    pub(crate) fn write(&self, below: &str, content: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let folder = fs::canonicalize(path.parent().unwrap()).unwrap();
        contract::replace::write(&folder.join(path.file_name().unwrap()), content.as_bytes()).unwrap();
    }

    /// Installs a distribution with those files; `head` is more lines for its METADATA.
    pub(crate) fn install(&self, name: &str, version: &str, head: &str, files: &[(&str, &str)]) {
        let info = format!("{name}-{version}.dist-info");
        let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{head}\n");
        let own = [(format!("{info}/METADATA"), metadata.as_str())];
        let mut record = format!("{info}/RECORD,,\n");
        for (path, content) in files.iter().map(|(path, content)| ((*path).to_owned(), *content)).chain(own) {
            self.write(&path, content);
            writeln!(record, "{path},sha256={},{}", URL_SAFE_NO_PAD.encode(Sha256::digest(content)), content.len()).unwrap();
        }
        self.write(&format!("{info}/RECORD"), &record);
    }

    pub(crate) fn scan(&self) -> Installed {
        scan_folders(&[self.path("")])
    }

    /// Faults, then notes, of the quick and the deep judgement.
    pub(crate) fn judge(&self) -> Vec<Finding> {
        let root = self.root();
        let site = Site {
            root: &root,
            folders: vec![self.path("")],
            inherited: vec![],
            minor: (3, 12),
            version: "3.12.1".into(),
            implementation: "cpython".into(),
        };
        let (installed, mut found) = (self.scan(), Findings::default());
        super::judge(&installed, &mut found);
        crate::deep::judge(&site, &installed, &mut found);
        found.faults.into_iter().chain(found.notes).collect()
    }

    /// Code and text of what `judge` finds.
    pub(crate) fn verdict(&self) -> Vec<(String, String)> {
        self.judge().into_iter().map(|finding| (finding.code, finding.text)).collect()
    }

    pub(crate) fn remove(&self, below: &str) {
        let path = self.path(below);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }

    pub(crate) fn link(&self, below: &str, to: &Path) {
        std::os::unix::fs::symlink(to, self.path(below)).unwrap();
    }
}

/// Expects these pairs of code and a part of the text, in any order and no others.
#[track_caller]
pub(crate) fn assert_found(sample: &Sample, expected: &[(&str, &str)]) {
    let mut found = sample.verdict();
    for (code, part) in expected {
        let at = found.iter().position(|(have, text)| have == code && text.contains(part));
        found.remove(at.unwrap_or_else(|| panic!("no {code} with `{part}` in {found:#?}")));
    }
    assert!(found.is_empty(), "more than expected: {found:#?}");
}
