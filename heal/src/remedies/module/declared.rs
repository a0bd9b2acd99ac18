//! What the project around a failing source declares, nearest first.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use pep508_rs::MarkerEnvironment;

use super::requirement::Declared;
use super::{locks, pyproject, requirements};

/// Longer than any that a person or a tool writes, in bytes.
const LONGEST: u64 = 16 << 20;
/// What tools lock, the best understood first.
const LOCKS: [&str; 5] = ["uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock"];
/// Folders that hold requirements files.
const FOLDERS: [&str; 2] = ["requirements", "requirement"];

/// What one file declares, with all that it includes.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) file: PathBuf,
    pub(super) all: Vec<Declared>,
    /// Options as lines of a requirements file; may hold passwords.
    pub(super) options: Vec<String>,
    /// Bounds for what is installed as well.
    pub(super) limits: Vec<String>,
    /// Everything is to be installed by its hash.
    pub(super) hashed: bool,
    pub(super) is_lock: bool,
    /// How many folders are nearer to what failed.
    pub(super) distance: usize,
    /// Why nothing is installed from it.
    pub(super) refusal: Option<String>,
}

impl Source {
    pub(super) fn of(file: &Path) -> Self {
        let (file, all, options, limits) = (file.to_owned(), Vec::new(), Vec::new(), Vec::new());
        Self { file, all, options, limits, hashed: false, is_lock: false, distance: 0, refusal: None }
    }
}

/// Reads all that the project says that lies around these folders, up to the root.
pub(super) fn read(near: &[&Path], root: &Path, here: &MarkerEnvironment) -> Vec<Source> {
    let mut seen = HashSet::new();
    let folders = near.iter().flat_map(|near| near.ancestors().take_while(|folder| folder.starts_with(root)));
    let folders = folders.filter(|folder| seen.insert(folder.to_owned())).enumerate();
    let at = |(distance, folder)| in_folder(folder, here).into_iter().map(move |source| Source { distance, ..source });
    folders.flat_map(at).collect()
}

fn in_folder(folder: &Path, here: &MarkerEnvironment) -> Vec<Source> {
    let toml = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
    let locks = LOCKS.into_iter().filter_map(toml).filter_map(|path| locks::read(&path, here));
    let files = requirements_files(folder).into_iter().map(|path| requirements::read(&path, here));
    let project = toml("pyproject.toml").into_iter().filter_map(|path| pyproject::read(&path, here));
    locks.chain(files).chain(project).collect()
}

/// The plain one first, then the others by their names.
fn requirements_files(folder: &Path) -> Vec<PathBuf> {
    let is_named = |name: &str| name.contains("requirements") || name.starts_with("dev-req") || name.starts_with("constraints-dev");
    let inner = FOLDERS.iter().flat_map(|name| texts(&folder.join(name)));
    let beside = texts(folder).into_iter().filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_named));
    let mut files: Vec<PathBuf> = beside.chain(inner).collect();
    files.sort_by_key(|path| (!path.ends_with("requirements.txt"), path.clone()));
    files
}

fn texts(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|end| end == "txt") && path.is_file()).collect()
}

/// The text of a file of the project, which may be anything and of any length.
pub(super) fn read_text(path: &Path) -> Option<String> {
    path.metadata().ok().filter(|meta| meta.is_file() && meta.len() <= LONGEST)?;
    let text = fs::read_to_string(path).ok()?;
    Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The number of the first such line, blanks around it aside.
pub(super) fn line_of(text: &str, is_it: impl Fn(&str) -> bool) -> Option<usize> {
    text.lines().position(|line| is_it(line.trim())).map(|at| at + 1)
}

/// Whether an address of an index can stand in a line of a requirements file.
pub(super) fn is_index(url: &str) -> bool {
    let is_known = ["https://", "http://", "file://"].iter().any(|scheme| url.starts_with(scheme));
    is_known && !url.contains(|c: char| c.is_whitespace() || c.is_control())
}
