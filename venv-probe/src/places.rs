//! The folders of an environment: `lib/pythonX.Y/site-packages`, on some systems under `lib64` too.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use contract::path::{Subject, shown};

use crate::base::minor_of;
use crate::bounded;
use crate::catalogue::identity as catalogue;
use crate::catalogue::interpreter::UNREADABLE;
use crate::findings::Findings;
use crate::layout::minor;
use crate::start::Answer;

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
    if lib64.is_symlink() && bounded::exists(&lib64).is_ok_and(|exists| !exists) {
        let target = fs::read_link(&lib64).unwrap_or_default();
        found.add(&catalogue::LIB64, format!("lib64 points at {}, which is not there", shown(&target)), Some(Subject::from(&target)));
    }
    let mut places = Places::default();
    let (mut bare, mut certain) = (BTreeSet::new(), true);
    let mut unreadable = |path: &Path, error: io::Error| {
        let text = format!("what is installed is not known: {} cannot be read: {error}", shown(path));
        found.add(&UNREADABLE, text, Some(Subject::from(path)));
        certain = false;
    };
    for library in libraries(root, &mut unreadable) {
        let Some(version) = library.file_name().and_then(minor) else { continue };
        let site = library.join("site-packages");
        match bounded::exists(&site) {
            Ok(true) if site.is_dir() => {
                places.minors.insert(version);
                places.sites.push((version, site));
                continue;
            }
            Ok(_) => {}
            Err(error) => unreadable(&site, error),
        }
        bare.insert(version);
    }
    if places.sites.is_empty() {
        places.minors = bare;
    }
    if places.sites.is_empty() && certain {
        found.add(&catalogue::SITE_PACKAGES_MISSING, "there is no lib/pythonX.Y/site-packages", Some(Subject::from(&root.join("lib"))));
    }
    places
}

/// Says when Python looks in none of the folders that hold its packages: a build for `lib` does not look in `lib64`.
pub(crate) fn judge_path(places: &Places, answer: &Answer, found: &mut Findings) {
    let Some(version) = minor_of(&answer.version) else { return };
    let sites = places.of(version);
    let looked: Vec<PathBuf> = answer.path.iter().filter_map(|folder| fs::canonicalize(folder).ok()).collect();
    let seen = |site: &PathBuf| fs::canonicalize(site).is_ok_and(|site| looked.contains(&site));
    if let Some(site) = sites.first().filter(|_| !sites.iter().any(seen)) {
        let text = format!("Python does not look for packages in {}", shown(site));
        found.add(&catalogue::SITE_PACKAGES_MISSING, text, Some(Subject::from(site)));
    }
}

fn libraries(root: &Path, unreadable: &mut impl FnMut(&Path, io::Error)) -> Vec<PathBuf> {
    let (lib, lib64) = (root.join("lib"), root.join("lib64"));
    let identity = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    let mut folders = vec![lib.clone()];
    if identity(&lib64).is_some() && identity(&lib64) != identity(&lib) {
        folders.push(lib64);
    }
    let mut libraries: Vec<PathBuf> = Vec::new();
    for folder in folders {
        match fs::read_dir(&folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()) {
            Ok(paths) => libraries.extend(paths),
            Err(error) if bounded::is_gone(&error) => {}
            Err(error) => unreadable(&folder, error),
        }
    }
    libraries.sort();
    libraries
}
