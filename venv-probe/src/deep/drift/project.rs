//! Which project an environment belongs to, and which of the project's files says what it asks for.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::wish::Wish;
use super::{locks, pyproject, requirements, uv};
use crate::deep::markers::Markers;

type Reader = fn(&Path, &Markers) -> Option<Wish>;

/// Locks first: beside a lock, a requirements.txt is often an export that nobody renewed.
const FILES: [(&str, Reader); 7] = [
    ("uv.lock", uv::read),
    ("poetry.lock", locks::poetry),
    ("pdm.lock", locks::pdm),
    ("pylock.toml", locks::pylock),
    ("Pipfile.lock", locks::pipfile),
    ("pyproject.toml", pyproject::read),
    ("requirements.txt", requirements::read),
];

/// Environments of these names, right in a project's folder, are the project's.
const USUAL_NAMES: [&str; 4] = [".venv", "venv", ".env", "env"];

/// What the nearest project asks for; `None` where there is none, or none that says it in a way that can be read.
pub(super) fn wish(root: &Path, markers: &Markers) -> Option<Wish> {
    folders(root).into_iter().find_map(|folder| {
        let mut wish = FILES
            .iter()
            .map(|(file, read)| (folder.join(file), read))
            .filter(|(file, _)| file.is_file())
            .find_map(|(file, read)| read(&file, markers))?;
        wish.certain = is_certain(root, &folder);
        for other in others(&folder, &wish.file) {
            let Some(other) = other_wish(&other, markers) else { continue };
            wish.also(other);
        }
        Some(wish)
    })
}

fn is_certain(root: &Path, folder: &Path) -> bool {
    let usual = root.file_name().is_some_and(|name| USUAL_NAMES.iter().any(|usual| name == *usual));
    root == folder || usual && root.parent() == Some(folder)
}

/// The environment's own folder and its parent; farther up to a project's root, if there is one short of the home folder.
fn folders(root: &Path) -> Vec<PathBuf> {
    let home = env::var_os("HOME").map(PathBuf::from);
    let near: Vec<_> = root.ancestors().take(2).map(Path::to_owned).collect();
    let mut folders = near.clone();
    for folder in root.ancestors().skip(1) {
        if folders.len() > 2 || folder != near.last().map_or(folder, PathBuf::as_path) {
            folders.push(folder.to_owned());
        }
        if folder.join(".git").exists() || folder.join("pyproject.toml").exists() {
            return folders;
        }
        if Some(folder) == home.as_deref() {
            break;
        }
    }
    near
}

/// Further files that name what the project may use: for development, tests, documentation.
fn others(folder: &Path, main: &Path) -> Vec<PathBuf> {
    let listings = [folder.to_owned(), folder.join("requirements")].into_iter().filter_map(|folder| fs::read_dir(folder).ok());
    let files = listings.flatten().filter_map(|entry| Some(entry.ok()?.path()));
    files.filter(|file| file != main && is_other(file, folder)).collect()
}

fn is_other(file: &Path, folder: &Path) -> bool {
    let Some(name) = file.file_name().and_then(|name| name.to_str()) else { return false };
    let is_text = file.extension().is_some_and(|extension| extension == "txt" || extension == "in");
    name == "pyproject.toml" || is_text && (name.contains("requirements") || file.parent() != Some(folder))
}

fn other_wish(file: &Path, markers: &Markers) -> Option<Wish> {
    if file.ends_with("pyproject.toml") { pyproject::names(file, markers) } else { requirements::read(file, markers) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_up_ends_at_the_projects_root() {
        let top = tempfile::tempdir().unwrap();
        let root = top.path().join("repo/apps/one/.venv");
        fs::create_dir_all(&root).unwrap();
        assert_eq!(folders(&root), [root.clone(), top.path().join("repo/apps/one")]);
        fs::create_dir(top.path().join("repo/.git")).unwrap();
        let names: Vec<_> = folders(&root).iter().map(|folder| folder.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, [".venv", "one", "apps", "repo"]);
    }

    #[test]
    fn a_usual_name_in_the_projects_folder_is_certain() {
        assert!(is_certain(Path::new("/p/.venv"), Path::new("/p")));
        assert!(is_certain(Path::new("/p"), Path::new("/p")));
        assert!(!is_certain(Path::new("/p/.venv-docs"), Path::new("/p")));
        assert!(!is_certain(Path::new("/p/a/.venv"), Path::new("/p")));
    }
}
