//! What is no matter of installing: a module of the project itself, and one that another of its environments has.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use super::declared::read_text;
use super::names::normalised;
use super::pyproject;

/// So many entries are looked at in all.
const MOST: usize = 20_000;
const DEEPEST: usize = 8;

/// The file or the package of that name that lies in the project, the highest first.
pub(super) fn module(top: &str, root: &Path) -> Option<PathBuf> {
    let (mut left, mut seen) = (VecDeque::from([(root.to_owned(), 0)]), 0);
    while let Some((folder, depth)) = left.pop_front() {
        let is_root = depth == 0 || folder.ends_with("src");
        if let Some(found) = in_folder(top, &folder, is_root) {
            return Some(found);
        }
        let entries: Vec<PathBuf> = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        seen += entries.len();
        if seen > MOST {
            return None;
        }
        let mut folders: Vec<PathBuf> = entries.into_iter().filter(|path| depth < DEEPEST && is_searched(path)).collect();
        folders.sort();
        left.extend(folders.into_iter().map(|folder| (folder, depth + 1)));
    }
    None
}

/// A folder without `__init__.py` is a package as well, and where it lies high in the project it is meant as one.
fn in_folder(top: &str, folder: &Path, is_root: bool) -> Option<PathBuf> {
    let (file, package) = (folder.join(format!("{top}.py")), folder.join(top));
    if file.is_file() {
        return Some(file);
    }
    let has_source = || {
        let mut entries = fs::read_dir(&package).into_iter().flatten().flatten();
        entries.any(|entry| entry.path().extension().is_some_and(|end| end == "py"))
    };
    (package.join("__init__.py").is_file() || is_root && is_searched(&package) && has_source()).then_some(package)
}

fn is_searched(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or(".");
    let is_foreign = name.starts_with('.') || ["node_modules", "__pycache__", "site-packages", "dist-packages"].contains(&name);
    !is_foreign && path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) && !path.join("pyvenv.cfg").exists()
}

/// The file that says that the project itself has that name.
pub(super) fn project(top: &str, near: &Path, root: &Path) -> Option<PathBuf> {
    let folders = near.ancestors().take_while(|folder| folder.starts_with(root));
    let mut files = folders.map(|folder| folder.join("pyproject.toml"));
    let name = |path: &Path| pyproject::own_name(&toml::from_str(&read_text(path)?).ok()?);
    files.find(|path| name(path) == Some(normalised(top)))
}

/// Another environment beside or above a path that has the module.
pub(super) fn elsewhere(top: &str, near: &Path, root: &Path, target: &Path) -> Option<PathBuf> {
    let folders = near.ancestors().take_while(|folder| folder.starts_with(root));
    let inner = folders.flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()));
    let is_other = |path: &PathBuf| path.join("pyvenv.cfg").is_file() && path.canonicalize().is_ok_and(|real| real != target);
    let mut others: Vec<PathBuf> = inner.filter(is_other).collect();
    others.sort();
    others.into_iter().find(|venv| packages(venv).iter().any(|packages| holds(packages, top)))
}

/// The folders of an environment's packages.
pub(super) fn packages(venv: &Path) -> Vec<PathBuf> {
    let libraries = fs::read_dir(venv.join("lib")).into_iter().flatten().flatten().map(|entry| entry.path().join("site-packages"));
    libraries.filter(|packages| packages.is_dir()).collect()
}

fn holds(packages: &Path, top: &str) -> bool {
    let is_code = |path: &Path| path.extension().is_some_and(|end| end == "py" || end == "so");
    let is_named = |path: &Path| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.split('.').next() == Some(top));
    let mut entries = fs::read_dir(packages).into_iter().flatten().flatten().map(|entry| entry.path());
    packages.join(top).is_dir() || entries.any(|path| is_code(&path) && is_named(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            fs::create_dir_all(root.path().join(file).parent().unwrap()).unwrap();
            fs::File::create(root.path().join(file)).unwrap();
        }
        root
    }

    #[test]
    fn a_module_of_the_project_is_found_and_no_other() {
        let root = tree(&[
            "lib/deep/helper.py",
            "src/shop/main.py",
            "docs/yaml/conf.py",
            "pkg/__init__.py",
            ".venv/pyvenv.cfg",
            "env2/pyvenv.cfg",
            "env2/lib/python3.12/site-packages/requests/__init__.py",
            "node_modules/flask.py",
        ]);
        let found = |top: &str| module(top, root.path()).map(|path| path.strip_prefix(root.path()).unwrap().to_owned());
        assert_eq!(found("helper"), Some("lib/deep/helper.py".into()));
        assert_eq!(found("shop"), Some("src/shop".into()));
        assert_eq!(found("pkg"), Some("pkg".into()));
        for top in ["yaml", "requests", "flask", "Helper"] {
            assert_eq!(found(top), None, "{top}");
        }
        let target = root.path().join(".venv").canonicalize().unwrap();
        assert_eq!(elsewhere("requests", &root.path().join("lib"), root.path(), &target), Some(root.path().join("env2")));
        assert_eq!(elsewhere("flask", root.path(), root.path(), &target), None);
    }
}
