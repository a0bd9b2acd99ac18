//! What the new environment is to be like: read from what is left of the old one.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use contract::path::shown;
use contract::venv::{Pip, Probe};

use super::options::{Installer, Options};
use super::remains::{Remains, entries};

/// What made an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Creator {
    /// The standard library.
    Venv,
    /// uv.
    Uv,
    /// virtualenv.
    Virtualenv,
}

/// What an environment is to be like, and how it is to be built.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the tool that made the environment")]
pub(crate) struct Spec {
    /// (major, minor) of its Python.
    pub(crate) minor: (u8, u8),
    /// As in [`super::Interpreter`].
    pub(crate) implementation: String,
    /// What the shell shows while it is active; `None` for the name of the folder.
    pub(crate) prompt: Option<String>,
    /// Whether the base interpreter's packages are seen.
    pub(crate) system_site_packages: bool,
    /// Whether `bin/python` is a copy and no link.
    pub(crate) copies: bool,
    /// Whether it is to have pip.
    pub(crate) with_pip: bool,
    /// What made the old one.
    pub(crate) creator: Creator,
    /// Whether its scripts find their interpreter relative to themselves (uv).
    pub(crate) relocatable: bool,
    /// Which program installs the packages.
    pub(crate) installer: Installer,
    /// The time that one installer call may take.
    pub(crate) timeout: Duration,
    /// Whether caches are passed over, after a build from them turned out damaged.
    pub(crate) fresh: bool,
}

/// Reads what the old environment was like.
///
/// # Errors
/// Nothing tells its Python version.
pub(crate) fn spec(venv: &Path, probe: &Probe, options: &Options) -> anyhow::Result<Spec> {
    let old = Remains::of(venv);
    let recorded = old.minor().or_else(|| super::remains::minor(probe.minor.as_ref().or(probe.python.as_ref())?));
    let minor = options
        .python
        .or(recorded)
        .with_context(|| format!("nothing in `{}` tells which Python it was made for: name one with --python X.Y", shown(venv)))?;
    let is = |key: &str| old.setting(key).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let flagged = |flag: &str| old.flags().is_some_and(|flags| flags.contains(&flag));
    Ok(Spec {
        minor,
        implementation: implementation(&old),
        prompt: old.setting("prompt").map(unquoted),
        system_site_packages: is("include-system-site-packages"),
        copies: flagged("--copies") || flagged("--always-copy") || is_binary(&venv.join("bin/python3")),
        with_pip: with_pip(venv, &old, probe),
        creator: creator(&old, probe),
        relocatable: is("relocatable"),
        installer: options.installer,
        timeout: options.timeout,
        fresh: false,
    })
}

fn implementation(old: &Remains) -> String {
    match old.library() {
        Some(library) => library.implementation.to_owned(),
        None => old.setting("implementation").map_or_else(|| "cpython".to_owned(), str::to_ascii_lowercase),
    }
}

fn creator(old: &Remains, probe: &Probe) -> Creator {
    let recorded = if old.configured() { None } else { probe.creator.as_deref() };
    if old.setting("uv").is_some() || recorded == Some("uv") {
        Creator::Uv
    } else if old.setting("virtualenv").is_some() || recorded == Some("virtualenv") {
        Creator::Virtualenv
    } else {
        Creator::Venv
    }
}

/// What stands there decides before what was once asked for: who puts pip into an environment that was made without it wants it.
fn with_pip(venv: &Path, old: &Remains, probe: &Probe) -> bool {
    let installed = |packages: &Path| entries(packages).iter().any(|name| name.starts_with("pip-") && name.ends_with(".dist-info"));
    if old.library().is_some_and(|library| installed(&library.packages)) || fs::symlink_metadata(venv.join("bin/pip")).is_ok() {
        return true;
    }
    if old.setting("uv").is_some() {
        return old.setting("seed") == Some("true");
    }
    match old.flags() {
        Some(flags) => !flags.iter().any(|flag| matches!(*flag, "--without-pip" | "--no-pip" | "--no-seed")),
        None => matches!(probe.pip, Some(Pip::Present | Pip::Missing)),
    }
}

/// The standard library writes the prompt as a Python literal, uv as it is.
fn unquoted(value: &str) -> String {
    let quoted = ['\'', '"'].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    quoted.map_or_else(|| value.to_owned(), |inner| inner.replace("\\'", "'").replace("\\\\", "\\"))
}

/// Whether this is a file, and no link, that a kernel can start: ELF, or Mach-O in one of its spellings.
fn is_binary(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file()) && has_magic(path)
}

pub(super) fn has_magic(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    let mach_o = [[0xcf, 0xfa, 0xed, 0xfe], [0xce, 0xfa, 0xed, 0xfe], [0xca, 0xfe, 0xba, 0xbe], [0xca, 0xfe, 0xba, 0xbf]];
    read.is_ok() && (magic == *b"\x7fELF" || mach_o.contains(&magic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_come_back_from_the_literal() {
        assert_eq!(unquoted(r#""it's""#), "it's");
        assert_eq!(unquoted(r"'a\\b'"), r"a\b");
        assert_eq!(unquoted("P q"), "P q");
        assert_eq!(unquoted("'"), "'");
    }
}
