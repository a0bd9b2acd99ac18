//! What is installed, as an environment's folders tell it: its Python is not started.

mod direct;
mod duplicates;
pub(crate) mod editable;
mod faults;
pub(crate) mod metadata;
mod missing;
pub(crate) mod name;
mod pip;
pub(crate) mod record;
#[cfg(test)]
pub(crate) mod sample;

use std::io;
use std::path::{Path, PathBuf};

use contract::path::plain;
use contract::venv::Package;

pub(crate) use direct::Source;
pub(crate) use duplicates::alive;
pub(crate) use faults::judge;
pub(crate) use missing::judge as judge_missing;
pub(crate) use pip::pip;

use crate::site::Site;

/// What the site folders of an environment hold.
#[derive(Debug, Default)]
pub(crate) struct Installed {
    /// In the order in which Python meets them; of two with one name it takes the first.
    pub(crate) dists: Vec<Dist>,
    /// Path configuration files, which Python reads at its start.
    pub(crate) pth: Vec<PathBuf>,
    /// Modules by which setuptools leads an editable install to its sources.
    finders: Vec<PathBuf>,
    /// What pip renamed to `~…` and did not come to delete.
    litter: Vec<PathBuf>,
    unreadable: Vec<PathBuf>,
}

/// A distribution that is recorded as installed.
#[derive(Debug)]
pub(crate) struct Dist {
    /// In the normal form of PEP 503.
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    pub(crate) kind: Kind,
    /// The file or folder that records it, right below its site folder.
    pub(crate) info: PathBuf,
    pub(crate) metadata: Metadata,
    /// Where it came from if not from an index (PEP 610).
    pub(crate) source: Option<Source>,
}

/// How a distribution is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A `.dist-info` folder (PEP 376, PEP 627).
    DistInfo,
    /// An `.egg-info` folder or file of setuptools or distutils.
    EggInfo,
    /// An `.egg-link` file: `setup.py develop` installed it.
    EggLink,
    /// An `.egg` folder or archive of `easy_install`.
    Egg,
}

/// Whether the file with name, version and dependencies could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metadata {
    Read,
    /// Not there, empty, or without a name.
    Missing,
    /// A link to nothing.
    Dangling,
    Unreadable,
}

impl Dist {
    /// The site folder that it is installed in.
    pub(crate) fn site(&self) -> &Path {
        self.info.parent().unwrap_or(&self.info)
    }

    /// METADATA or PKG-INFO; `None` where this kind of record has none.
    pub(crate) fn metadata_file(&self) -> Option<PathBuf> {
        match self.kind {
            Kind::DistInfo => Some(self.info.join("METADATA")),
            Kind::EggInfo if self.info.is_file() => Some(self.info.clone()),
            Kind::EggInfo => Some(self.info.join("PKG-INFO")),
            Kind::EggLink | Kind::Egg => None,
        }
    }

    /// Whether it runs from its sources.
    pub(crate) fn is_editable(&self) -> bool {
        self.kind == Kind::EggLink || self.source.as_ref().is_some_and(|source| source.editable)
    }

    pub(crate) fn package(&self) -> Package {
        Package { name: self.name.clone(), version: self.version.clone() }
    }

    /// Name and version as a person reads them.
    pub(crate) fn title(&self) -> String {
        match &self.version {
            Some(version) => plain(&format!("{} {version}", self.name)).into_owned(),
            None => plain(&self.name).into_owned(),
        }
    }
}

impl Installed {
    /// How many distributions are recorded.
    pub(crate) fn count(&self) -> u64 {
        self.dists.len() as u64
    }

    /// The first distribution of that normalised name: the one that Python takes.
    pub(crate) fn find(&self, name: &str) -> Option<&Dist> {
        self.dists.iter().find(|dist| dist.name == name)
    }

    /// The distribution that installed a file, by RECORD or, for the files of an editable install, by name.
    pub(crate) fn owner(&self, file: &Path) -> Option<&Dist> {
        self.dists.iter().find(|dist| editable::belongs(dist, file) || record::lists(dist, file))
    }
}

/// Reads the environment's own site folders.
pub(crate) fn scan(site: &Site) -> Installed {
    scan_folders(&site.folders)
}

/// Reads these site folders; the head of each METADATA is all that is read of a distribution.
pub(crate) fn scan_folders(folders: &[PathBuf]) -> Installed {
    let mut installed = Installed::default();
    for folder in folders {
        if scan_folder(folder, &mut installed).is_err() {
            installed.unreadable.push(folder.clone());
        }
    }
    installed
}

fn scan_folder(folder: &Path, installed: &mut Installed) -> io::Result<()> {
    for entry in folder.read_dir()? {
        let entry = entry?;
        let file_name = entry.file_name();
        let Some(name) = file_name.to_str() else { continue };
        match name.rsplit_once('.').map(|(_, extension)| extension) {
            _ if name.starts_with('~') => {
                let is_litter = entry.file_type()?.is_dir() && is_of_pip(&entry.path());
                installed.litter.extend(is_litter.then(|| entry.path()));
            }
            Some("dist-info") => installed.dists.push(dist_info(entry.path(), name)),
            Some("egg-info") => installed.dists.push(egg(entry.path(), name, Kind::EggInfo)),
            Some("egg-link") => installed.dists.push(egg(entry.path(), name, Kind::EggLink)),
            Some("egg") => installed.dists.push(egg(entry.path(), name, Kind::Egg)),
            Some("pth") => installed.pth.push(entry.path()),
            Some("py") if name.starts_with("__editable___") => installed.finders.push(entry.path()),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a folder `~…` is what pip renames: a record, or a package with its code. Anything else is a person's, and what cannot be seen too.
fn is_of_pip(folder: &Path) -> bool {
    let is = |path: &Path, endings: &[&str]| path.extension().is_some_and(|extension| endings.iter().any(|ending| extension == *ending));
    // A namespace has its code farther down.
    let (mut left, mut budget) = (vec![folder.to_owned()], 100);
    while let Some(folder) = left.pop().filter(|_| budget > 0) {
        budget -= 1;
        for entry in folder.read_dir().into_iter().flatten().flatten() {
            if entry.file_name() == "__pycache__" || is(&entry.path(), &["py", "pyc", "pyi", "so"]) {
                return true;
            }
            left.extend(entry.file_type().is_ok_and(|kind| kind.is_dir()).then(|| entry.path()));
        }
    }
    is(folder, &["dist-info", "egg-info", "data"])
}

fn dist_info(info: PathBuf, folder: &str) -> Dist {
    let source = direct::read(&info);
    let (name, version) = name::of_folder(folder);
    with_metadata(Dist { name, version, kind: Kind::DistInfo, info, metadata: Metadata::Missing, source })
}

fn egg(info: PathBuf, file: &str, kind: Kind) -> Dist {
    let (name, version) = name::of_folder(file);
    with_metadata(Dist { name, version, kind, info, metadata: Metadata::Read, source: None })
}

fn with_metadata(mut dist: Dist) -> Dist {
    let Some(file) = dist.metadata_file() else { return dist };
    dist.metadata = match metadata::identity(&file) {
        Ok(Some((name, version))) => {
            dist.name = name::normal(&name);
            dist.version = version.or(dist.version);
            Metadata::Read
        }
        Ok(None) => Metadata::Missing,
        Err(error) => why_not_read(&file, &error),
    };
    dist
}

fn why_not_read(file: &Path, error: &io::Error) -> Metadata {
    match error.kind() {
        io::ErrorKind::NotFound if file.is_symlink() => Metadata::Dangling,
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidData => Metadata::Missing,
        _ => Metadata::Unreadable,
    }
}
