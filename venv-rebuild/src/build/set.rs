//! Which packages the new environment gets.

use std::path::{Path, PathBuf};

use contract::venv::Probe;

use super::options::Options;
use super::pin::Pin;

/// Where the package set comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A lock file of the project.
    Lock(PathBuf),
    /// A requirements file of the project.
    Requirements(PathBuf),
    /// The metadata of what is installed in the broken environment.
    Recovered,
}

/// The packages of one environment.
#[derive(Clone, Debug)]
pub(crate) struct PackageSet {
    /// Where `pins` come from.
    pub(crate) source: Source,
    /// What the source brings.
    pub(crate) pins: Vec<Pin>,
    /// What the broken environment holds and the source does not bring; restored behind it unless only the source is wanted.
    pub(crate) not_in_source: Vec<Pin>,
    /// Names that cannot be had again, each with the reason.
    pub(crate) unrecoverable: Vec<(String, String)>,
    /// Options of the requirements file that the installer gets, without secrets.
    pub(crate) options: Vec<String>,
}

/// Decides which packages the new environment gets: the nearest lock or requirements file within the project, else what the broken
/// environment's own metadata says.
///
/// # Errors
/// The project's file cannot be read, or holds what cannot be honoured exactly.
pub(crate) fn package_set(_venv: &Path, _probe: &Probe, _options: &Options) -> anyhow::Result<PackageSet> {
    anyhow::bail!("not written yet")
}
