//! The new environment, built aside.

use std::path::Path;

use super::Run;
use super::interpreter::Interpreter;
use super::pin::Pin;
use super::set::PackageSet;
use super::spec::Spec;

/// What a build came to.
#[derive(Debug)]
pub(crate) struct Built {
    /// The installer that did it: `uv 0.13.9`, `pip`.
    pub(crate) installer: String,
    /// What could not be installed, each with the reason. Everything else is there.
    pub(crate) failed: Vec<(Pin, String)>,
    /// What has another version than before.
    pub(crate) changed: Vec<Change>,
}

/// A distribution whose version changed, as the project's file wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Its normalised name.
    pub(crate) name: String,
    /// Its version in the broken environment.
    pub(crate) was: String,
    /// Its version now.
    pub(crate) now: String,
}

/// Builds the environment in `aside` and makes its scripts, activate files and configuration say `final_path`.
///
/// # Errors
/// The environment itself cannot be made, or `run` fails. A package that cannot be installed is no error.
pub(crate) fn create(
    _spec: &Spec,
    _interpreter: &Interpreter,
    _set: &PackageSet,
    _aside: &Path,
    _final_path: &Path,
    _run: &mut Run<'_>,
) -> anyhow::Result<Built> {
    anyhow::bail!("not written yet")
}
