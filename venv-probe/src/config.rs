//! `pyvenv.cfg` (PEP 405): `key = value` lines, keys in any case, no sections, no quoting.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::bounded;
use crate::layout::ORIG_PREFIX;

/// Ours have some hundred bytes.
const LONGEST: usize = 64 << 10;

/// What `pyvenv.cfg` says. Every key may be missing.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// Folder of the base interpreter.
    pub(crate) home: Option<PathBuf>,
    /// Full version at creation: `version` (venv) or `version_info` (uv, virtualenv).
    pub(crate) version: Option<String>,
    /// `include-system-site-packages`; site.py takes a file without the key for a yes.
    pub(crate) system_site: bool,
    /// `implementation` (uv, virtualenv), lower case.
    pub(crate) implementation: Option<String>,
    /// `venv`, `virtualenv` or `uv`.
    pub(crate) creator: Option<&'static str>,
    pub(crate) seeded: Seeded,
}

/// Whether pip was put into the environment when it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Seeded {
    Yes,
    No,
    /// venv recorded no flags before Python 3.11, and virtualenv still records none.
    #[default]
    Unknown,
}

impl Config {
    /// Reads the file of an environment, or what virtualenv wrote instead before version 20; `None` where there is neither.
    pub(crate) fn read(root: &Path) -> io::Result<Option<Self>> {
        match bounded::read(&root.join("pyvenv.cfg"), LONGEST) {
            Ok(bytes) => Ok(Some(parse(&bytes))),
            Err(e) if bounded::is_gone(&e) => Ok(of_old_virtualenv(root)),
            Err(e) => Err(e),
        }
    }
}

/// What cannot be read here is `pyvenv.cfg` missing, as in any other environment.
fn of_old_virtualenv(root: &Path) -> Option<Config> {
    let libraries = fs::read_dir(root.join("lib")).ok()?.flatten().map(|entry| entry.path());
    let (library, prefix) = libraries.into_iter().find_map(|library| {
        let prefix = bounded::read(&library.join(ORIG_PREFIX), LONGEST).ok()?;
        Some((library, prefix))
    })?;
    let home = Path::new(OsStr::from_bytes(prefix.trim_ascii())).join("bin");
    let system_site = !library.join("no-global-site-packages.txt").exists();
    Some(Config { home: Some(home), system_site, creator: Some("virtualenv"), ..Config::default() })
}

fn parse(bytes: &[u8]) -> Config {
    let mut config = Config { system_site: true, ..Config::default() };
    let mut command = None;
    let mut seed = false;
    for line in bytes.split(|&b| b == b'\n') {
        let Some(at) = line.iter().position(|&b| b == b'=') else { continue };
        let (key, value) = (line[..at].trim_ascii().to_ascii_lowercase(), line[at + 1..].trim_ascii());
        let text = || String::from_utf8_lossy(value).into_owned();
        // Nothing longer is one.
        let version = |text: String| Some(text).filter(|text| text.len() <= 100);
        match &key[..] {
            b"home" if !value.is_empty() => config.home = Some(PathBuf::from(OsStr::from_bytes(value))),
            b"version" => config.version = version(text()),
            b"version_info" => config.version = version(text().split('.').take(3).collect::<Vec<_>>().join(".")),
            b"implementation" => config.implementation = Some(text().to_ascii_lowercase()),
            b"include-system-site-packages" => config.system_site = value.eq_ignore_ascii_case(b"true"),
            b"uv" => config.creator = Some("uv"),
            b"virtualenv" => config.creator = Some("virtualenv"),
            b"seed" => seed = value.eq_ignore_ascii_case(b"true"),
            b"command" => command = Some(text()),
            _ => {}
        }
    }
    if config.creator.is_none() && command.as_deref().is_some_and(|command| command.contains("-m venv")) {
        config.creator = Some("venv");
    }
    config.seeded = seeded(config.creator, command.as_deref(), seed);
    config
}

fn seeded(creator: Option<&str>, command: Option<&str>, seed: bool) -> Seeded {
    let declined = command.is_some_and(|command| ["--without-pip", "--no-pip", "--no-seed"].iter().any(|flag| command.contains(flag)));
    match creator {
        Some("uv") if !seed => Seeded::No,
        Some(_) if declined => Seeded::No,
        Some("uv" | "venv") => Seeded::Yes,
        // virtualenv records its command without the flags.
        _ => Seeded::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_in_any_case_and_values_with_equals_signs() {
        let config = parse(b"HOME = /opt/a=b/bin\r\nInclude-System-Site-Packages = True\nversion = 3.12.1\ncommand = /opt/python -m venv --without-pip /x\n");
        assert_eq!(config.home.as_deref(), Some(Path::new("/opt/a=b/bin")));
        assert!(config.system_site);
        assert_eq!((config.creator, config.seeded), (Some("venv"), Seeded::No));
    }

    #[test]
    fn each_creator_is_known_by_its_key() {
        assert_eq!(parse(b"home = /b\nuv = 0.13.9\nversion_info = 3.12.1\n").seeded, Seeded::No);
        let virtualenv = parse(b"virtualenv = 21.0\nversion_info = 3.12.1.final.0\nimplementation = CPython\n");
        assert_eq!(virtualenv.version.as_deref(), Some("3.12.1"));
        assert_eq!(parse(format!("version = {}\n", "3.".repeat(1000)).as_bytes()).version, None);
        assert_eq!(virtualenv.implementation.as_deref(), Some("cpython"));
        assert_eq!(parse(b"home = /b\nversion = 3.10.4\n").seeded, Seeded::Unknown);
        assert!(parse(b"").system_site && !parse(b"include-system-site-packages = false\n").system_site);
    }

    #[test]
    fn an_old_virtualenv_has_its_home_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("lib/python3.6");
        fs::create_dir_all(&library).unwrap();
        assert!(Config::read(folder.path()).unwrap().is_none());
        contract::replace::write(&library.join(ORIG_PREFIX), b"/usr").unwrap();
        let config = Config::read(folder.path()).unwrap().unwrap();
        assert_eq!((config.home.as_deref(), config.creator, config.system_site), (Some(Path::new("/usr/bin")), Some("virtualenv"), true));
    }

    #[test]
    fn a_config_without_end_is_an_error_and_not_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pyvenv.cfg");
        fs::File::create(&path).unwrap().set_len(3 << 30).unwrap();
        assert!(Config::read(folder.path()).is_err());
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert!(Config::read(folder.path()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail(bytes: Vec<u8>) {
            parse(&bytes);
        }
    }
}
