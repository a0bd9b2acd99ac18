//! The file that says what an environment is to hold, where one is certainly of the environment's own project.

use std::path::{Path, PathBuf};

use super::set::Source;

/// The files that count, the most exact first; the seed's backup is better than nothing.
const FILES: [&str; 6] = ["uv.lock", "pylock.toml", "poetry.lock", "Pipfile.lock", "requirements.txt", "requirements.txt.backup"];

/// Finds the nearest folder with such a file, from the environment upward and not beyond the project's root: the first folder with
/// `.git` or `pyproject.toml`. Where nothing marks a root, the environment's own folder alone is certain.
pub(super) fn source(venv: &Path) -> Option<Source> {
    let above: Vec<&Path> = venv.ancestors().skip(1).collect();
    let root = above.iter().position(|folder| [".git", "pyproject.toml"].iter().any(|mark| folder.join(mark).exists()));
    let certain = &above[..=root.unwrap_or(0).min(above.len().checked_sub(1)?)];
    // The backup of any folder comes behind the other files of all.
    let (backup, files) = FILES.split_last()?;
    let nearest = |names: &[&str]| certain.iter().find_map(|folder| names.iter().map(|name| folder.join(name)).find(|path| path.is_file()));
    nearest(files).or_else(|| nearest(&[backup])).map(sorted)
}

fn sorted(path: PathBuf) -> Source {
    let is_requirements = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("requirements"));
    if is_requirements { Source::Requirements(path) } else { Source::Lock(path) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            fs::create_dir_all(root.path().join(file).parent().unwrap()).unwrap();
            fs::File::create(root.path().join(file)).unwrap();
        }
        root
    }

    fn found(files: &[&str]) -> Option<String> {
        let root = tree(files);
        let path = match source(&root.path().join("up/project/sub/.venv"))? {
            Source::Lock(path) | Source::Requirements(path) => path,
            Source::Recovered => unreachable!(),
        };
        Some(path.strip_prefix(root.path()).unwrap().display().to_string())
    }

    #[test]
    fn the_nearest_file_within_the_project_counts() {
        let root = "up/project/pyproject.toml";
        assert_eq!(found(&[root, "up/project/uv.lock", "up/project/sub/requirements.txt"]).unwrap(), "up/project/sub/requirements.txt");
        assert_eq!(found(&[root, "up/project/uv.lock", "up/project/requirements.txt"]).unwrap(), "up/project/uv.lock");
        assert_eq!(found(&[root, "up/requirements.txt"]), None);
        assert_eq!(
            found(&[root, "up/project/requirements.txt", "up/project/sub/requirements.txt.backup"]).unwrap(),
            "up/project/requirements.txt"
        );
    }

    #[test]
    fn without_a_root_only_the_own_folder_is_certain() {
        assert_eq!(found(&["up/project/requirements.txt"]), None);
        assert_eq!(found(&["up/project/sub/requirements.txt.backup"]).unwrap(), "up/project/sub/requirements.txt.backup");
    }
}
