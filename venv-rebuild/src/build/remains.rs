//! What is left of the old environment: its configuration and its libraries.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cfg::Cfg;

/// The old environment, as far as files tell.
pub(super) struct Remains {
    venv: PathBuf,
    config: Cfg,
    libraries: Vec<Library>,
}

/// One `lib/pythonX.Y`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Library {
    /// (major, minor).
    pub(super) minor: (u8, u8),
    /// As in [`super::Interpreter`].
    pub(super) implementation: &'static str,
    /// Its `site-packages`.
    pub(super) packages: PathBuf,
    /// How many distributions it holds.
    distributions: usize,
}

impl Remains {
    /// Reads what there is; what is not there is left out.
    pub(super) fn of(venv: &Path) -> Self {
        // One that cannot be read says as little as one that is not there; the libraries may still tell.
        let config = Cfg::read(venv).unwrap_or_default();
        Self { venv: venv.to_owned(), config, libraries: libraries(venv) }
    }

    /// The value of a key of `pyvenv.cfg`, where it is text.
    pub(super) fn setting(&self, key: &str) -> Option<&str> {
        std::str::from_utf8(self.config.get(key)?).ok()
    }

    /// Whether `pyvenv.cfg` says what it has to.
    pub(super) fn configured(&self) -> bool {
        self.config.get("home").is_some()
    }

    /// The options of the command that made it, where `pyvenv.cfg` has kept it (standard library from 3.11, virtualenv from 21).
    pub(super) fn flags(&self) -> Option<Vec<&str>> {
        let command = self.setting("command")?;
        let (_, arguments) = command.split_once(" -m venv ").or_else(|| command.split_once(" -m virtualenv "))?;
        // The prompt may hold anything, and comes last.
        Some(arguments.split(' ').take_while(|word| word.starts_with('-') && !word.starts_with("--prompt")).collect())
    }

    /// The library that holds its packages: of the configured version unless only another one has any.
    pub(super) fn library(&self) -> Option<&Library> {
        let configured = self.configured_minor();
        self.libraries.iter().max_by_key(|library| {
            let wanted = Some(library.minor) == configured;
            (library.distributions > 0, wanted, library.distributions, library.minor)
        })
    }

    /// (major, minor) of its Python: of the library with packages, else as configured, else of an empty library, else of `bin/pythonX.Y`.
    pub(super) fn minor(&self) -> Option<(u8, u8)> {
        let library = self.library();
        library
            .filter(|library| library.distributions > 0)
            .map(|library| library.minor)
            .or_else(|| self.configured_minor())
            .or_else(|| library.map(|library| library.minor))
            .or_else(|| self.minor_of_a_link())
    }

    fn configured_minor(&self) -> Option<(u8, u8)> {
        ["version", "version_info"].iter().find_map(|key| minor(self.setting(key)?))
    }

    fn minor_of_a_link(&self) -> Option<(u8, u8)> {
        entries(&self.venv.join("bin")).iter().find_map(|name| minor(name.strip_prefix("python")?))
    }
}

/// Reads the `X.Y` that a version starts with.
pub(super) fn minor(version: &str) -> Option<(u8, u8)> {
    let mut parts = version.trim().split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.trim_end_matches(|c: char| !c.is_ascii_digit());
    Some((major, minor.parse().ok()?))
}

/// Names the implementation whose library folder has this name (`python3.12`, `python3.13t`, `pypy3.10`), with (major, minor).
pub(super) fn library_name(name: &str) -> Option<(&'static str, (u8, u8))> {
    if let Some(version) = name.strip_prefix("pypy") {
        return Some(("pypy", minor(version)?));
    }
    let version = name.strip_prefix("python")?;
    let implementation = if version.ends_with('t') { "cpython-freethreaded" } else { "cpython" };
    Some((implementation, minor(version)?))
}

fn libraries(venv: &Path) -> Vec<Library> {
    let lib = venv.join("lib");
    let named = entries(&lib).into_iter().filter_map(|name| Some((library_name(&name)?, lib.join(name).join("site-packages"))));
    named
        .filter(|(_, packages)| packages.is_dir())
        .map(|((implementation, minor), packages)| Library { minor, implementation, distributions: distributions(&packages), packages })
        .collect()
}

fn distributions(packages: &Path) -> usize {
    entries(packages).iter().filter(|name| name.ends_with(".dist-info") || name.ends_with(".egg-info")).count()
}

/// The names in a folder that are UTF-8, sorted; none where it cannot be read.
pub(super) fn entries(folder: &Path) -> Vec<String> {
    let Ok(read) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = read.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn venv(config: &str, folders: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("bin")).unwrap();
        for path in folders {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        #[expect(clippy::disallowed_methods, reason = "a test's own file")]
        fs::write(folder.path().join("pyvenv.cfg"), config).unwrap();
        folder
    }

    #[test]
    fn the_library_with_packages_outweighs_what_an_upgrade_across_minors_wrote() {
        let old = venv("version = 3.13.0\n", &["lib/python3.12/site-packages/a-1.dist-info", "lib/python3.13/site-packages"]);
        assert_eq!(Remains::of(old.path()).minor(), Some((3, 12)));
    }

    #[test]
    fn the_configuration_decides_between_two_full_libraries() {
        let folders = ["lib/python3.12/site-packages/a-1.dist-info", "lib/python3.9/site-packages/a-1.dist-info"];
        assert_eq!(Remains::of(venv("version_info = 3.9.1.final.0\n", &folders).path()).minor(), Some((3, 9)));
        assert_eq!(Remains::of(venv("", &folders).path()).minor(), Some((3, 12)));
    }

    #[test]
    fn the_name_of_a_dangling_link_is_the_last_resort() {
        let old = venv("home = /gone\n", &[]);
        std::os::unix::fs::symlink("/gone/python3.10", old.path().join("bin/python3.10")).unwrap();
        assert_eq!(Remains::of(old.path()).minor(), Some((3, 10)));
    }

    #[test]
    fn flags_end_where_the_prompt_or_the_path_begins() {
        let old = venv("command = /usr/bin/python3 -m venv --copies --without-pip --prompt=\"a --clear\" /x --y/v\n", &[]);
        assert_eq!(Remains::of(old.path()).flags().unwrap(), ["--copies", "--without-pip"]);
    }

    #[test]
    fn library_names_tell_the_implementation() {
        assert_eq!(library_name("python3.13t"), Some(("cpython-freethreaded", (3, 13))));
        assert_eq!(library_name("pypy3.10"), Some(("pypy", (3, 10))));
        assert_eq!(library_name("python3"), None);
    }

    proptest! {
        #[test]
        fn any_name_is_taken(text: String) {
            minor(&text);
            library_name(&text);
        }
    }
}
