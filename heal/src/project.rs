//! The files of the project itself: of no environment, no package that is installed, and nothing hidden.

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, ensure};
use contract::path::shown;

use crate::bounds::Bounds;

/// As many files are looked at in search of one.
const MOST: usize = 20_000;

/// Whether a path below the root is the project's own: of no environment, no package that is installed, and nothing hidden.
pub(crate) fn is_own(path: &Path, bounds: &Bounds) -> bool {
    let Ok(below) = path.strip_prefix(bounds.root()) else { return false };
    let is_strange =
        |name: &str| name.starts_with('.') || ["node_modules", "site-packages", "dist-packages", "__pycache__"].contains(&name);
    let folders = path.ancestors().skip(1).take_while(|folder| folder.starts_with(bounds.root()));
    let is_library = || Path::new("/").join(below).to_string_lossy().contains("/lib/python");
    !below.components().any(|part| matches!(part, Component::Normal(name) if is_strange(&name.to_string_lossy())))
        && !folders.into_iter().any(|folder| folder.join("pyvenv.cfg").exists())
        && !is_library()
}

/// The project's own sources of Python, in order.
///
/// # Errors
/// There are too many, or a folder cannot be read.
pub(crate) fn sources(bounds: &Bounds) -> anyhow::Result<Vec<PathBuf>> {
    let (mut folders, mut found) = (vec![bounds.root().to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot look into {}", shown(&folder)))? {
            let (entry, path) = entry.map(|entry| (entry.file_type(), entry.path()))?;
            let kind = entry?;
            if kind.is_dir() && is_own(&path.join("x"), bounds) {
                folders.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|end| end == "py") {
                found.push(path);
            }
        }
        ensure!(found.len() <= MOST, "{} has too many files to look at them all", shown(bounds.root()));
    }
    found.sort();
    Ok(found)
}
