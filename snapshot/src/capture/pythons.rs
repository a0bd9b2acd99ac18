//! The Python environments in and beside what a snapshot holds, by their versions.

use std::fs;
use std::path::{Path, PathBuf};

use contract::path::Subject;

use crate::store::manifest::Python;

const CONFIG: &str = "pyvenv.cfg";

/// The environments in `folders`, one level down.
pub(crate) fn beside(folders: &[PathBuf]) -> Vec<PathBuf> {
    let within = |folder: &PathBuf| {
        let children = fs::read_dir(folder).into_iter().flatten().filter_map(|entry| entry.ok().map(|entry| entry.path()));
        children.chain([folder.clone()]).filter(|child| child.join(CONFIG).is_file()).collect::<Vec<_>>()
    };
    folders.iter().flat_map(within).collect()
}

/// Whether this is the file that makes its folder an environment.
pub(crate) fn is_config(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == CONFIG)
}

/// What `pyvenv.cfg` says: `version` of venv, `version_info` of uv and virtualenv.
pub(crate) fn describe(environment: &Path) -> Python {
    // One that cannot be read tells no version; where it is to be kept, that is said of the file.
    let text = fs::read_to_string(environment.join(CONFIG)).unwrap_or_default();
    let values = text.lines().filter_map(|line| line.split_once('='));
    let version =
        values.filter(|(key, _)| matches!(key.trim(), "version" | "version_info")).map(|(_, value)| value.trim().to_owned()).next();
    Python { path: Subject::from(environment), version }
}
