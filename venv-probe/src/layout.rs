//! What a folder is, told from its listing: most folders must be dismissed without another look at the disk.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use contract::venv::Layout;

/// Where virtualenv before version 20, which wrote no `pyvenv.cfg`, put the prefix of the base, in `lib/pythonX.Y`.
pub(crate) const ORIG_PREFIX: &str = "orig-prefix.txt";

/// The names in one folder that matter, gathered while it is listed.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a name that is there or not")]
pub(crate) struct Listing {
    config: bool,
    bin: bool,
    lib: bool,
    scripts: bool,
    conda_meta: bool,
}

impl Listing {
    /// Takes note of one entry.
    pub(crate) fn note(&mut self, name: &OsStr) {
        match name.as_encoded_bytes() {
            b"pyvenv.cfg" => self.config = true,
            b"bin" => self.bin = true,
            b"lib" | b"lib64" => self.lib = true,
            b"Scripts" => self.scripts = true,
            b"conda-meta" => self.conda_meta = true,
            _ => {}
        }
    }

    /// What the folder is; `None` for most.
    pub(crate) fn layout(&self, folder: &Path) -> Option<Layout> {
        if self.conda_meta && folder.join("conda-meta/history").exists() {
            return Some(Layout::Conda);
        }
        if self.scripts && !self.bin && (self.config || is_windows(folder)) {
            return Some(Layout::Windows);
        }
        (self.config || (self.bin && has_lost_its_config(folder, self.lib))).then_some(Layout::Venv)
    }
}

fn is_windows(folder: &Path) -> bool {
    folder.join("Scripts/python.exe").exists() && folder.join("Lib/site-packages").exists()
}

/// An environment without `pyvenv.cfg` still has an interpreter in `bin` and two of three other marks. One is not enough:
/// `~/.local` and every Python installation have `bin/python3` and a site-packages folder too.
fn has_lost_its_config(folder: &Path, lib: bool) -> bool {
    let bin = names(&folder.join("bin"));
    if !bin.iter().any(|name| is_python(name)) {
        return false;
    }
    let minors = if lib { names(&folder.join("lib")) } else { Vec::new() };
    let minors: Vec<_> = minors.iter().filter(|name| minor(name).is_some()).map(|name| folder.join("lib").join(name)).collect();
    // virtualenv before version 20 linked the standard library into its environments.
    if minors.iter().any(|lib| lib.join(ORIG_PREFIX).is_file()) {
        return true;
    }
    if minors.iter().any(|lib| lib.join("os.py").exists()) {
        return false;
    }
    let activate = bin.iter().any(|name| name == "activate");
    let packages = minors.iter().any(|lib| lib.join("site-packages").is_dir());
    let named = folder.file_name().and_then(OsStr::to_str).is_some_and(|name| name.trim_start_matches('.').contains("venv"));
    usize::from(activate) + usize::from(packages) + usize::from(named) >= 2
}

fn names(folder: &Path) -> Vec<OsString> {
    std::fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.file_name()).collect()).unwrap_or_default()
}

/// Whether a name in `bin` is an interpreter's: `python`, `python3`, `python3.12`, `pypy3`, …
pub(crate) fn is_python(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let rest = name.strip_prefix("python").or_else(|| name.strip_prefix("pypy"));
    rest.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

/// The minor version in a name such as `python3.12`, `python3.13t` or `pypy3.10`.
pub(crate) fn minor(name: &OsStr) -> Option<(u8, u8)> {
    let name = name.to_str()?;
    let version = name.strip_prefix("python").or_else(|| name.strip_prefix("pypy"))?;
    let (major, minor) = version.trim_end_matches(['t', 'd', 'm']).split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn tree(paths: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for path in paths {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::File::create(path).unwrap();
        }
        folder
    }

    fn layout(folder: &Path) -> Option<Layout> {
        let mut listing = Listing::default();
        for name in names(folder) {
            listing.note(&name);
        }
        listing.layout(folder)
    }

    #[test]
    fn an_environment_is_known_by_its_config_or_by_its_shape() {
        assert_eq!(layout(tree(&["pyvenv.cfg", "lib/x"]).path()), Some(Layout::Venv));
        assert_eq!(layout(tree(&["bin/python3", "bin/activate", "lib/python3.12/site-packages/x.py"]).path()), Some(Layout::Venv));
        assert_eq!(
            layout(&tree(&["a/.venv/bin/python", "a/.venv/lib/python3.12/site-packages/x"]).path().join("a/.venv")),
            Some(Layout::Venv)
        );
    }

    #[test]
    fn an_old_virtualenv_is_known_by_the_prefix_it_recorded() {
        let old = ["bin/python3.6", "bin/activate", "lib/python3.6/os.py", "lib/python3.6/orig-prefix.txt"];
        assert_eq!(layout(tree(&old).path()), Some(Layout::Venv));
    }

    #[test]
    fn what_has_an_interpreter_is_not_yet_an_environment() {
        let base = ["bin/python3.12", "bin/activate", "lib/python3.12/os.py", "lib/python3.12/site-packages/x.py"];
        assert_eq!(layout(tree(&base).path()), None);
        let dot_local = ["bin/python3.12", "bin/uv", "lib/python3.12/site-packages/x.py"];
        assert_eq!(layout(tree(&dot_local).path()), None);
        assert_eq!(layout(tree(&["bin/ls", "lib/libc.so"]).path()), None);
    }

    #[test]
    fn other_kinds_are_named_for_what_they_are() {
        assert_eq!(layout(tree(&["pyvenv.cfg", "Scripts/python.exe"]).path()), Some(Layout::Windows));
        assert_eq!(layout(tree(&["conda-meta/history", "bin/python"]).path()), Some(Layout::Conda));
    }

    #[test]
    fn minors_of_every_build() {
        for (name, expected) in [
            ("python3.12", Some((3, 12))),
            ("python3.13t", Some((3, 13))),
            ("pypy3.10", Some((3, 10))),
            ("python3", None),
            ("perl5.36", None),
        ] {
            assert_eq!(minor(OsStr::new(name)), expected, "{name}");
        }
    }
}
