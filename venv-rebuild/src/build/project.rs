//! The file that says what an environment is to hold, where one is certainly of the environment's own project.

use std::path::{Path, PathBuf};

use contract::project::{files, folders};

use super::pyproject::{self, Demands};
use super::set::Source;

/// What some keep of a requirements.txt that is gone: better than nothing.
const BACKUP: &str = "requirements.txt.backup";

/// Finds the file of the environment's project that says what is to be in it; `None` where none says it, or one says it in a way that
/// only another tool understands.
pub(super) fn source(venv: &Path) -> Option<Source> {
    for path in files(venv) {
        match path.ends_with("pyproject.toml").then(|| pyproject::demands(&path)) {
            None | Some(Demands::Lines(_)) => return Some(sorted(path)),
            Some(Demands::Elsewhere) => return None,
            Some(Demands::None) => {}
        }
    }
    folders(venv).into_iter().map(|folder| folder.join(BACKUP)).find(|path| path.is_file()).map(sorted)
}

fn sorted(path: PathBuf) -> Source {
    let is_lock = path.extension().is_some_and(|ending| ending == "lock") || path.ends_with("pylock.toml");
    if is_lock { Source::Lock(path) } else { Source::Requirements(path) }
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
        let source = source(&root.path().join("up/project/sub/.venv"))?;
        let path = source.path().unwrap();
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
    fn a_pyproject_counts_where_it_demands_anything() {
        let root = tree(&["up/project/pyproject.toml", "up/project/requirements.txt"]);
        let venv = root.path().join("up/project/.venv");
        let found = |text: &str| {
            #[expect(clippy::disallowed_methods, reason = "a test's own file")]
            fs::write(root.path().join("up/project/pyproject.toml"), text).unwrap();
            source(&venv).map(|source| source.path().unwrap().file_name().unwrap().to_owned())
        };
        assert_eq!(found("").unwrap(), "requirements.txt");
        assert_eq!(found("[project]\nname = 'p'\ndependencies = ['a']\n").unwrap(), "pyproject.toml");
        assert_eq!(found("[tool.poetry.dependencies]\na = '1'\n"), None);
    }

    #[test]
    fn without_a_root_only_the_own_folder_is_certain() {
        assert_eq!(found(&["up/project/requirements.txt"]), None);
        assert_eq!(found(&["up/project/sub/requirements.txt.backup"]).unwrap(), "up/project/sub/requirements.txt.backup");
    }
}
