//! What a project asks for, in one form for all the files that say it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use contract::path::shown;
use pep440_rs::{Version, VersionSpecifier, VersionSpecifiers};
use pep508_rs::ExtraName;

use crate::deep::markers::Markers;
use crate::deep::requirement::{self, Requirement, versions};
use crate::packages::name::normal;

/// What a project asks for. Names are normalised.
#[derive(Debug)]
pub(in crate::deep) struct Wish {
    /// The file that says it.
    pub(super) file: PathBuf,
    /// Must be installed.
    pub(super) required: BTreeSet<String>,
    /// Versions of which one must be met if a distribution is installed.
    pub(super) versions: HashMap<String, Vec<VersionSpecifiers>>,
    /// May be installed.
    pub(super) known: HashSet<String>,
    /// Extras that are asked for, with their distributions.
    pub(in crate::deep) extras: Vec<(String, ExtraName)>,
    /// Whether `known` has dependencies of dependencies too.
    pub(super) is_lock: bool,
    /// Whether it asks for something that has no name here, so that nothing is surplus for sure.
    pub(super) open: bool,
    /// Whether the environment is certainly meant for it.
    pub(super) certain: bool,
}

impl Wish {
    pub(super) fn new(file: &Path, is_lock: bool) -> Self {
        Self {
            file: file.to_owned(),
            required: BTreeSet::new(),
            versions: HashMap::new(),
            known: HashSet::new(),
            extras: Vec::new(),
            is_lock,
            open: false,
            certain: false,
        }
    }

    /// The name of the file, for a sentence.
    pub(in crate::deep) fn title(&self) -> String {
        shown(Path::new(self.file.file_name().unwrap_or_default()))
    }

    /// Takes a requirement in, as one that must or may be met.
    pub(super) fn add(&mut self, requirement: &Requirement, must: bool, markers: &Markers) {
        let name = requirement.name.to_string();
        if must && markers.hold(&requirement.marker, &[]) {
            self.required.insert(name.clone());
            self.versions.entry(name.clone()).or_default().extend(versions(requirement).cloned());
            self.extras.extend(requirement.extras.iter().map(|extra| (name.clone(), extra.clone())));
        }
        self.known.insert(name);
    }

    /// Takes a locked distribution in; without a version any will do.
    pub(super) fn lock(&mut self, name: &str, version: Option<&str>, must: bool) {
        let name = normal(name);
        let version = version.and_then(|version| version.parse::<Version>().ok());
        let allowed =
            version.map_or_else(VersionSpecifiers::empty, |version| VersionSpecifier::equals_version(version.without_local()).into());
        self.versions.entry(name.clone()).or_default().push(allowed);
        if must {
            self.required.insert(name.clone());
        }
        self.known.insert(name);
    }

    /// Takes the names in that another file of the project has.
    pub(super) fn also(&mut self, other: Self) {
        self.known.extend(other.known);
        self.open |= other.open;
    }
}

/// Whether a marker in a lock certainly holds; one that cannot be read does not, an absent one does.
pub(super) fn holds(marker: Option<&str>, markers: &Markers) -> bool {
    let Some(marker) = marker.filter(|marker| !marker.trim().is_empty()) else { return true };
    requirement::marker(marker).is_some_and(|marker| markers.hold(&marker, &[]))
}
