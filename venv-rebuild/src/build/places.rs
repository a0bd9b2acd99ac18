//! Where interpreters are installed.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::ours;
use super::remains::{Remains, entries};

/// The folders and names under which this machine may have an interpreter of a minor version, best first. Nothing says that they exist.
pub(super) fn candidates(venv: &Path, minor: (u8, u8), implementation: &str) -> Vec<PathBuf> {
    let names = names(minor, implementation);
    let folders = recorded(venv).into_iter().chain(on_path()).chain(installed(minor));
    folders.flat_map(|folder| names.iter().map(move |name| folder.join(name)).collect::<Vec<_>>()).collect()
}

fn names((major, minor): (u8, u8), implementation: &str) -> Vec<String> {
    let own = match implementation {
        "cpython-freethreaded" => format!("python{major}.{minor}t"),
        "pypy" => format!("pypy{major}.{minor}"),
        _ => format!("python{major}.{minor}"),
    };
    vec![own, format!("python{major}"), "python".to_owned()]
}

/// What the old environment names as its base.
fn recorded(venv: &Path) -> Vec<PathBuf> {
    let old = Remains::of(venv);
    let executable = ["executable", "base-executable"].iter().find_map(|key| Path::new(old.setting(key)?).parent());
    old.setting("home").map(Path::new).into_iter().chain(executable).filter(|folder| folder.is_absolute()).map(Path::to_owned).collect()
}

fn on_path() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).filter(|folder| folder.is_absolute()).collect()
}

fn installed(minor: (u8, u8)) -> Vec<PathBuf> {
    let home = env::home_dir().unwrap_or_default();
    let set =
        |name: &str, default: &str| env::var_os(name).filter(|value| !value.is_empty()).map_or_else(|| home.join(default), PathBuf::from);
    let mut folders = versions(&set("PYENV_ROOT", ".pyenv").join("versions"), minor);
    folders.extend(versions(&set("UV_PYTHON_INSTALL_DIR", &uv_default()), minor));
    folders.extend(homebrew(minor));
    folders.extend(["/usr/local/bin", "/usr/bin", "/bin"].map(PathBuf::from));
    folders.extend(versions(&set("ASDF_DATA_DIR", ".asdf").join("installs/python"), minor));
    folders.extend(versions(&set("MISE_DATA_DIR", ".local/share/mise").join("installs/python"), minor));
    folders
}

fn uv_default() -> String {
    let data = env::var("XDG_DATA_HOME").ok().filter(|folder| !folder.is_empty());
    data.unwrap_or_else(|| ".local/share".to_owned()) + "/uv/python"
}

/// The `bin` folders below one that holds a folder for each version, first those whose name outlives a patch update, then the newest patch: `3.12.7`, `cpython-3.12.1-linux-x86_64-gnu`, `pypy3.10-7.3`.
fn versions(root: &Path, wanted: (u8, u8)) -> Vec<PathBuf> {
    let mut found: Vec<(Vec<u32>, PathBuf)> = entries(root)
        .into_iter()
        .filter(|name| super::remains::minor(number(name)) == Some(wanted))
        .map(|name| (number(&name).split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse().ok()).collect(), root.join(name)))
        .collect();
    found.sort_by(|a, b| (b.0.len() == 2, b).cmp(&(a.0.len() == 2, a)));
    found.into_iter().map(|(_, folder)| folder.join("bin")).collect()
}

/// The part of a folder's name from its first `digit.` on that belongs to the version.
fn number(name: &str) -> &str {
    let start = name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len());
    let version = &name[start..];
    &version[..version.find(['-', '+']).unwrap_or(version.len())]
}

/// Homebrew's names that outlive a patch update, before its folders that do not; then the framework of the installer from python.org.
fn homebrew((major, minor): (u8, u8)) -> Vec<PathBuf> {
    let prefixes = ["/opt/homebrew", "/usr/local", "/home/linuxbrew/.linuxbrew"];
    let kegs = prefixes.iter().map(|prefix| format!("{prefix}/opt/python@{major}.{minor}/bin"));
    let frameworks =
        ["", "/opt/homebrew"].iter().map(|prefix| format!("{prefix}/Library/Frameworks/Python.framework/Versions/{major}.{minor}/bin"));
    let linked = prefixes.iter().map(|prefix| format!("{prefix}/bin"));
    kegs.chain(frameworks).chain(linked).map(PathBuf::from).collect()
}

/// Finds a program on PATH, or where its installer puts it: cron's PATH is poor. HOME may be somebody else's, as under sudo: what others can
/// write is passed over.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let home = env::home_dir().unwrap_or_default();
    let usual = [".local/bin", ".cargo/bin"].map(|folder| home.join(folder));
    let folders = on_path().into_iter().chain(usual).chain(["/opt/homebrew/bin", "/usr/local/bin"].map(PathBuf::from));
    folders.map(|folder| folder.join(OsStr::new(name))).find(|path| is_executable(path) && ours::is_tree(path))
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lasting_name_comes_first_then_the_newest_patch() {
        let root = tempfile::tempdir().unwrap();
        for name in
            ["3.12.1", "3.12.10", "3.1.2", "cpython-3.12.7-linux-x86_64-gnu", "cpython-3.12-linux", "pypy3.12-7.3.19", "junk", "3.13.0"]
        {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        let found: Vec<_> =
            versions(root.path(), (3, 12)).iter().map(|path| path.parent().unwrap().file_name().unwrap().to_owned()).collect();
        assert_eq!(found, ["pypy3.12-7.3.19", "cpython-3.12-linux", "3.12.10", "cpython-3.12.7-linux-x86_64-gnu", "3.12.1"]);
    }

    #[test]
    fn homebrew_is_asked_by_names_that_outlive_an_update() {
        assert_eq!(homebrew((3, 12))[0], Path::new("/opt/homebrew/opt/python@3.12/bin"));
        assert!(homebrew((3, 12)).contains(&PathBuf::from("/Library/Frameworks/Python.framework/Versions/3.12/bin")));
    }
}
