//! What can be known of modules without running the project: what its files bind, and what the standard library has.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use contract::child::Ended;
use contract::path::shown;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Want;
use crate::python;

/// Names of a file's top level, of those that were asked for.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Survey {
    /// Why it cannot be read.
    #[serde(default)]
    pub(super) error: Option<String>,
    #[serde(default)]
    pub(super) defines: Vec<String>,
    /// Bound under a condition.
    #[serde(default)]
    perhaps: Vec<String>,
    #[serde(default)]
    imports: Vec<String>,
    /// Whether there may be more: `import *`, or `__getattr__`.
    #[serde(default)]
    open: bool,
    /// The line of a call that importing it makes; 0 for none.
    #[serde(default)]
    pub(super) runs: usize,
}

/// Whether a module has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Has {
    Yes,
    No,
    /// Only running it would tell.
    Perhaps,
}

impl Survey {
    pub(super) fn has(&self, name: &str) -> Has {
        let is_in = |names: &[String]| names.iter().any(|one| one == name);
        if is_in(&self.defines) || is_in(&self.imports) {
            Has::Yes
        } else if self.open || self.error.is_some() || is_in(&self.perhaps) {
            Has::Perhaps
        } else {
            Has::No
        }
    }

    /// Whether it is one of the modules that define a name, or could be.
    pub(super) fn may_define(&self, name: &str) -> bool {
        self.error.is_some() || self.defines.iter().chain(&self.perhaps).any(|one| one == name)
    }

    /// The names that differ from this in their case only.
    pub(super) fn alike(&self, name: &str) -> Vec<&str> {
        let all = self.defines.iter().chain(&self.perhaps).chain(&self.imports).map(String::as_str);
        let mut alike: Vec<&str> = all.filter(|one| *one != name && one.to_lowercase() == name.to_lowercase()).collect();
        alike.sort_unstable();
        alike.dedup();
        alike
    }
}

/// Looks at the top level of files, for some names.
///
/// # Errors
/// The interpreter does not answer.
pub(super) fn files(python: &Path, names: &[&str], files: &[PathBuf]) -> anyhow::Result<Vec<Survey>> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let words = [OsString::from(names.join(","))].into_iter().chain(files.iter().map(|file| file.clone().into_os_string()));
    ask(python, include_str!("survey.py"), &words.collect::<Vec<_>>(), files.len())
}

/// Whether the standard library has names; a want without a name is for the module.
///
/// # Errors
/// The interpreter does not answer.
pub(super) fn library(python: &Path, wants: &[Want]) -> anyhow::Result<Vec<bool>> {
    let words: Vec<OsString> = wants.iter().map(|want| want.to_string().into()).collect();
    ask(python, include_str!("library.py"), &words, wants.len())
}

fn ask<T: DeserializeOwned>(python: &Path, script: &str, words: &[OsString], count: usize) -> anyhow::Result<Vec<T>> {
    let context = || format!("cannot ask {} about modules", shown(python));
    let finished = python::ask_alone(python, script, words).with_context(context)?;
    let is_well = matches!(finished.ended, Ended::Exited(status) if status.success());
    ensure!(is_well, "{}: {}", context(), String::from_utf8_lossy(finished.stderr.trim_ascii()));
    let answers: Vec<T> = serde_json::from_slice(&finished.stdout).with_context(context)?;
    ensure!(answers.len() == count, "{}: it stopped in the middle", context());
    Ok(answers)
}
