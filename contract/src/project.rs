//! Which file says what an environment is to hold: who judges an environment by one and who builds it by another would never agree.

use std::env;
use std::path::{Path, PathBuf};

/// The files that count, the most exact first. Locks come first: beside a lock, a requirements.txt is often an export that nobody renewed.
pub const FILES: [&str; 7] = ["uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock", "pyproject.toml", "requirements.txt"];

/// The folders whose files can be of the environment's project, the nearest first: its own and the one that it lies in; farther up only
/// where a project's root (`.git`, `pyproject.toml`) stands there, short of the home folder.
#[must_use]
pub fn folders(venv: &Path) -> Vec<PathBuf> {
    below(venv, env::home_dir().as_deref())
}

fn below(venv: &Path, home: Option<&Path>) -> Vec<PathBuf> {
    let all: Vec<PathBuf> = venv.ancestors().map(Path::to_owned).collect();
    let is_root = |folder: &Path| folder.join(".git").exists() || folder.join("pyproject.toml").exists();
    let above = all.iter().enumerate().skip(1).take_while(|(_, folder)| Some(folder.as_path()) != home);
    let root = above.into_iter().find(|(_, folder)| is_root(folder)).map_or(1, |(depth, _)| depth);
    all.into_iter().take(root + 1).collect()
}

/// The files of the environment's project, in the order in which they count: the first that says anything decides.
pub fn files(venv: &Path) -> impl Iterator<Item = PathBuf> {
    let all = folders(venv).into_iter().flat_map(|folder| FILES.map(|name| folder.join(name)));
    all.filter(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn names(venv: &Path, home: &Path) -> Vec<String> {
        below(venv, Some(home)).iter().map(|folder| folder.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn the_way_up_ends_at_the_projects_root_and_short_of_home() {
        let top = tempfile::tempdir().unwrap();
        let (home, venv) = (top.path().join("home"), top.path().join("home/repo/apps/one/.venv"));
        fs::create_dir_all(&venv).unwrap();
        assert_eq!(names(&venv, &home), [".venv", "one"]);
        fs::create_dir(home.join(".git")).unwrap();
        assert_eq!(names(&venv, &home), [".venv", "one"]);
        fs::create_dir(home.join("repo/.git")).unwrap();
        assert_eq!(names(&venv, &home), [".venv", "one", "apps", "repo"]);
        assert_eq!(names(&home.join("env"), &home), ["env", "home"]);
    }

    #[test]
    fn locks_come_first_and_the_nearest_folder_before_all() {
        let top = tempfile::tempdir().unwrap();
        let venv = top.path().join("repo/one/.venv");
        fs::create_dir_all(&venv).unwrap();
        for file in ["pyproject.toml", "uv.lock", "one/requirements.txt", "one/pdm.lock"] {
            fs::File::create(top.path().join("repo").join(file)).unwrap();
        }
        let found: Vec<_> = files(&venv).map(|path| path.strip_prefix(top.path().join("repo")).unwrap().to_owned()).collect();
        assert_eq!(found, ["one/pdm.lock", "one/requirements.txt", "uv.lock", "pyproject.toml"].map(PathBuf::from));
    }
}
