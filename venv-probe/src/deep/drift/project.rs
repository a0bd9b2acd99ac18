//! Which project an environment belongs to, and which of the project's files says what it asks for.

use std::fs;
use std::path::{Path, PathBuf};

use contract::project::{self, FILES};

use super::wish::Wish;
use super::{locks, pyproject, requirements, uv};
use crate::deep::markers::Markers;

type Reader = fn(&Path, &Markers) -> Option<Wish>;

/// In the order of [`FILES`].
const READERS: [Reader; FILES.len()] =
    [uv::read, locks::poetry, locks::pdm, locks::pylock, locks::pipfile, pyproject::read, requirements::read];

/// Environments of these names, right in a project's folder, are the project's.
const USUAL_NAMES: [&str; 4] = [".venv", "venv", ".env", "env"];

/// What the nearest project asks for; `None` where there is none, or none that says it in a way that can be read.
pub(super) fn wish(root: &Path, markers: &Markers) -> Option<Wish> {
    project::files(root).find_map(|file| {
        let reader = FILES.iter().position(|name| file.ends_with(name)).map(|at| READERS[at])?;
        let mut wish = reader(&file, markers)?;
        let folder = file.parent()?;
        wish.certain = is_certain(root, folder);
        for other in others(folder, &wish.file) {
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
    fn a_usual_name_in_the_projects_folder_is_certain() {
        assert!(is_certain(Path::new("/p/.venv"), Path::new("/p")));
        assert!(is_certain(Path::new("/p"), Path::new("/p")));
        assert!(!is_certain(Path::new("/p/.venv-docs"), Path::new("/p")));
        assert!(!is_certain(Path::new("/p/a/.venv"), Path::new("/p")));
    }
}
