//! The folders of an environment: `lib/pythonX.Y/site-packages`, on some systems under `lib64` too.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use contract::path::{Subject, shown};

use crate::catalogue::identity as catalogue;
use crate::findings::Findings;
use crate::layout::minor;

/// Where packages are or should be.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Minor versions for which there is a site-packages folder; where there is none at all, those for which there is at least a library folder.
    pub(crate) minors: BTreeSet<(u8, u8)>,
    /// Existing site-packages folders with their minor version.
    pub(crate) sites: Vec<((u8, u8), PathBuf)>,
}

impl Places {
    /// The folders that an interpreter of this minor version uses.
    pub(crate) fn of(&self, version: (u8, u8)) -> Vec<PathBuf> {
        self.sites.iter().filter(|(minor, _)| *minor == version).map(|(_, site)| site.clone()).collect()
    }
}

/// Finds the folders of `root` and says which are missing.
pub(crate) fn judge(root: &Path, found: &mut Findings) -> Places {
    let lib64 = root.join("lib64");
    if lib64.is_symlink() && !lib64.exists() {
        let target = fs::read_link(&lib64).unwrap_or_default();
        found.add(&catalogue::LIB64, format!("lib64 points at {}, which is not there", shown(&target)), Some(Subject::from(&target)));
    }
    let mut places = Places::default();
    let mut bare = BTreeSet::new();
    for library in libraries(root) {
        let Some(version) = library.file_name().and_then(minor) else { continue };
        let site = library.join("site-packages");
        if site.is_dir() {
            places.minors.insert(version);
            places.sites.push((version, site));
        } else {
            bare.insert(version);
        }
    }
    if places.sites.is_empty() {
        found.add(&catalogue::SITE_PACKAGES_MISSING, "there is no lib/pythonX.Y/site-packages", Some(Subject::from(&root.join("lib"))));
        places.minors = bare;
    }
    places
}

fn libraries(root: &Path) -> Vec<PathBuf> {
    let (lib, lib64) = (root.join("lib"), root.join("lib64"));
    let identity = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    let mut folders = vec![lib.clone()];
    if identity(&lib64).is_some() && identity(&lib64) != identity(&lib) {
        folders.push(lib64);
    }
    let mut libraries: Vec<PathBuf> =
        folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten().map(|entry| entry.path()).collect();
    libraries.sort();
    libraries
}
