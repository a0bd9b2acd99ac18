//! Single distributions put back at their recorded versions.

use std::path::Path;

use contract::venv::Package;

use super::Run;
use super::pin::Pin;
use super::spec::Spec;

/// Installs the named distributions into `clone` again, at their recorded versions and without their dependencies, and makes their
/// scripts say `final_path`. Returns what could not be installed, each with the reason.
///
/// # Errors
/// `clone` cannot be written, or `run` fails.
pub(crate) fn reinstall(
    _clone: &Path,
    _final_path: &Path,
    _packages: &[Package],
    _spec: &Spec,
    _run: &mut Run<'_>,
) -> anyhow::Result<Vec<(Pin, String)>> {
    anyhow::bail!("not written yet")
}
