//! What lies in an environment that neither a distribution's RECORD nor a maker of environments explains: a person's own. A rebuild
//! carries it over as it is, or is not made.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, DirEntry, Metadata};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use anyhow::Context as _;
use contract::path::shown;

use super::carry;
use super::makers::{is_frame, made};
use super::remains::{Remains, library_name};
use super::set::PackageSet;
use super::spec::Spec;
use super::trust::{Entry, record};
use crate::layout::{normal, site_packages};

/// Why what is neither a file nor a link stays behind.
pub(crate) const SPECIAL: &str = "a socket, pipe or device cannot be copied";

/// A person's own in one environment. All paths are relative to it; a folder stands for all that is in it.
#[derive(Debug, Default)]
pub(crate) struct Belongings {
    /// What is carried over.
    pub(crate) own: Vec<Own>,
    /// What has no place in the new environment, each with the reason.
    pub(crate) stuck: Vec<(PathBuf, &'static str)>,
    /// Files of distributions that are not as their RECORD says: a package's, and in the new environment as packaged.
    pub(crate) edited: Vec<PathBuf>,
    /// Files of distributions: the package of today may bring fewer.
    pub(super) claimed: Vec<Claimed>,
    /// What nothing can use, as the probe says, and what is left out for it.
    pub(crate) litter: Vec<PathBuf>,
}

/// One file, link or folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Own {
    /// Where it is.
    pub(crate) from: PathBuf,
    /// Where it goes: elsewhere only in an environment of another minor version.
    pub(crate) to: PathBuf,
    /// How many files it is.
    pub(crate) files: u64,
}

/// A file that a RECORD names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claimed {
    pub(super) path: PathBuf,
    /// The name of the folder with that RECORD, which tells distribution and version.
    pub(super) info: OsString,
    /// Whether its bytes may be nowhere else: somebody has changed it, or no hash tells.
    pub(super) is_own: bool,
}

/// What a RECORD says of a file, whose it is, and when it was written.
struct Claim {
    entry: Entry,
    info: OsString,
    since: Option<SystemTime>,
}

/// Looks for it, links not followed.
///
/// # Errors
/// A folder cannot be read: what is in it could not be carried over.
pub(crate) fn belongings(venv: &Path, set: &PackageSet, spec: &Spec, litter: &[PathBuf]) -> anyhow::Result<Belongings> {
    let claims = claims(venv);
    let known = above(claims.keys());
    let mut search = Search { venv, set, spec, litter, claims, known, home: home(venv), found: Belongings::default() };
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in listed(&venv.join(&folder))? {
            search.entry(folder.join(entry.file_name()), &examined(&entry)?, &mut folders)?;
        }
    }
    let Belongings { own, stuck, edited, claimed, .. } = &mut search.found;
    claimed.sort_by(|a, b| a.path.cmp(&b.path));
    own.sort_by(|a, b| a.from.cmp(&b.from));
    stuck.sort();
    edited.sort();
    Ok(search.found)
}

/// The library whose packages the environment imports, relative to it.
fn home(venv: &Path) -> Option<PathBuf> {
    let remains = Remains::of(venv);
    remains.library()?.packages.parent()?.strip_prefix(venv).ok().map(Path::to_owned)
}

/// What the RECORDs name, by path.
fn claims(venv: &Path) -> HashMap<PathBuf, Claim> {
    let mut claims = HashMap::new();
    for site in site_packages(venv) {
        for info in listed(&venv.join(&site))
            .unwrap_or_default()
            .into_iter()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "dist-info"))
        {
            let since = info.join("RECORD").metadata().and_then(|meta| meta.modified()).ok();
            for entry in record(&info).unwrap_or_default() {
                let path = normal(&venv.join(&site).join(&entry.path));
                if let Ok(relative) = path.strip_prefix(venv) {
                    claims.insert(relative.to_owned(), Claim { entry, info: info.file_name().unwrap_or_default().to_owned(), since });
                }
            }
        }
    }
    claims
}

/// Every folder above these files.
fn above<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> HashSet<PathBuf> {
    let mut folders = HashSet::new();
    for path in paths {
        for folder in path.ancestors().skip(1) {
            // Those above a known one are known.
            if folders.contains(folder) {
                break;
            }
            folders.insert(folder.to_owned());
        }
    }
    folders
}

pub(super) fn listed(folder: &Path) -> anyhow::Result<Vec<DirEntry>> {
    let read = || fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>();
    read().with_context(|| format!("cannot list {}, and what is of your own in it could not be carried over", shown(folder)))
}

/// Links are not followed.
fn examined(entry: &DirEntry) -> anyhow::Result<Metadata> {
    entry.metadata().with_context(|| format!("cannot read {}", shown(&entry.path())))
}

struct Search<'a> {
    venv: &'a Path,
    set: &'a PackageSet,
    spec: &'a Spec,
    litter: &'a [PathBuf],
    claims: HashMap<PathBuf, Claim>,
    /// Every folder above a file that a RECORD names.
    known: HashSet<PathBuf>,
    home: Option<PathBuf>,
    found: Belongings,
}

impl Search<'_> {
    fn entry(&mut self, path: PathBuf, meta: &Metadata, folders: &mut Vec<PathBuf>) -> anyhow::Result<()> {
        if let Some(claim) = self.claims.get(&path) {
            let is_edited = is_edited(&self.venv.join(&path), meta, claim);
            self.found.edited.extend(is_edited.then(|| path.clone()));
            if !is_bytecode(&path) && !path.iter().any(|name| name == claim.info) {
                self.found.claimed.push(Claimed { path, info: claim.info.clone(), is_own: is_edited || claim.entry.hash.is_empty() });
            }
        } else if self.litter.contains(&self.venv.join(&path)) {
            self.found.litter.push(path);
        } else if meta.is_dir() && (self.known.contains(&path) || is_frame(&path)) {
            folders.push(path);
        } else if !made(self.venv, &path, meta) && !self.is_of_a_distribution(&path) && !is_bytecode(&path) {
            self.own(path, meta)?;
        }
        Ok(())
    }

    /// Metadata of distributions that are installed again.
    fn is_of_a_distribution(&self, path: &Path) -> bool {
        let is_in_site = path.parent().is_some_and(|folder| folder.ends_with("site-packages") && is_frame(folder));
        let ending = path.extension().and_then(|ending| ending.to_str());
        match ending.filter(|_| is_in_site) {
            Some("dist-info") => true,
            Some("egg-info") => !self.set.as_it_is.contains(&self.venv.join(path)),
            _ => false,
        }
    }

    fn own(&mut self, path: PathBuf, meta: &Metadata) -> anyhow::Result<()> {
        let contents = contents(&self.venv.join(&path), meta)?;
        let special = contents.special.iter().filter_map(|path| path.strip_prefix(self.venv).ok());
        self.found.stuck.extend(special.map(|path| (path.to_owned(), SPECIAL)));
        let in_site = path.iter().any(|name| name == "site-packages");
        let is_nothing = meta.is_dir() && (contents.is_derived || in_site && contents.files == 0);
        if is_nothing || !meta.is_dir() && contents.files == 0 {
            return Ok(());
        }
        match self.place(&path, &contents) {
            Ok(to) => self.found.own.push(Own { from: path, to, files: contents.files.max(1) }),
            Err(why) => self.found.stuck.push((path, why)),
        }
        Ok(())
    }

    /// Where it belongs in the new environment.
    fn place(&self, path: &Path, contents: &Contents) -> Result<PathBuf, &'static str> {
        let Some((home, inside)) = self.home.as_ref().and_then(|home| Some((home, path.strip_prefix(home).ok()?))) else {
            return Ok(path.to_owned());
        };
        if contents.native == Native::Foreign {
            return Err("it was built for another machine");
        }
        let library = home.file_name().and_then(|name| name.to_str()).and_then(library_name);
        if library.is_some_and(|(implementation, minor)| implementation == self.spec.implementation && minor == self.spec.minor) {
            return Ok(path.to_owned());
        }
        let is_egg = path.extension().is_some_and(|ending| ["egg", "egg-info", "egg-link"].iter().any(|egg| ending == *egg));
        if contents.native == Native::Ours || is_egg {
            return Err("it was made for another Python");
        }
        let (major, minor) = self.spec.minor;
        Ok(Path::new("lib").join(format!("python{major}.{minor}")).join(inside))
    }
}

/// Whether a file was changed since it was installed; only one that is not older than its RECORD, or of another size, is read.
fn is_edited(path: &Path, meta: &Metadata, claim: &Claim) -> bool {
    let Claim { entry, since, .. } = claim;
    let is_newer = meta.modified().ok().zip(*since).is_none_or(|(modified, since)| modified >= since);
    let is_suspect = meta.is_file() && !entry.hash.is_empty() && (is_newer || entry.size.is_some_and(|size| size != meta.len()));
    is_suspect && entry.hash.starts_with("sha256=") && carry::hash(path).is_ok_and(|hash| hash != entry.hash)
}

/// Made anew from its source; without one, in a place of its own, Python imports it all the same.
pub(super) fn is_bytecode(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "pyc") && path.parent().is_some_and(|folder| folder.ends_with("__pycache__"))
}

/// What is in a file or folder.
#[derive(Default)]
struct Contents {
    files: u64,
    /// Whether bytecode is all that is there.
    is_derived: bool,
    /// What is neither a file nor a link.
    special: Vec<PathBuf>,
    native: Native,
}

/// Whether there are libraries in machine code, and for which kind of machine.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Native {
    #[default]
    No,
    Ours,
    Foreign,
}

fn contents(path: &Path, meta: &Metadata) -> anyhow::Result<Contents> {
    let (mut contents, mut derived) = (Contents::default(), 0);
    let mut waiting = vec![(path.to_owned(), meta.clone())];
    while let Some((path, meta)) = waiting.pop() {
        if meta.is_dir() {
            for entry in listed(&path)? {
                waiting.push((entry.path(), examined(&entry)?));
            }
            continue;
        }
        if !meta.is_file() && !meta.is_symlink() {
            contents.special.push(path);
            continue;
        }
        if meta.is_file() && path.extension().is_some_and(|ending| ending == "so" || ending == "dylib") {
            contents.native = contents.native.max(if is_foreign(&path) { Native::Foreign } else { Native::Ours });
        }
        contents.files += 1;
        derived += u64::from(is_bytecode(&path));
    }
    contents.is_derived = derived > 0 && derived == contents.files;
    Ok(contents)
}

/// Whether an ELF library is of another class or machine than this program.
fn is_foreign(path: &Path) -> bool {
    static OURS: OnceLock<Option<[u8; 20]>> = OnceLock::new();
    let ours = OURS.get_or_init(|| header(&std::env::current_exe().ok()?));
    let machine = |header: [u8; 20]| header.starts_with(b"\x7fELF").then(|| (header[4], header[18], header[19]));
    let (ours, theirs) = (ours.and_then(machine), header(path).and_then(machine));
    ours.is_some() && theirs.is_some() && ours != theirs
}

fn header(path: &Path) -> Option<[u8; 20]> {
    let mut header = [0; 20];
    fs::File::open(path).ok()?.read_exact(&mut header).ok().map(|()| header)
}
