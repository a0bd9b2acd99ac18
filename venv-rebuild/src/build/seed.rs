//! pip itself.

use std::path::Path;

use super::Run;
use super::spec::Spec;

/// Puts pip into `clone`, as new, and makes its scripts say `final_path`.
///
/// # Errors
/// No way to get it worked.
pub(crate) fn seed_pip(_clone: &Path, _final_path: &Path, _spec: &Spec, _run: &mut Run<'_>) -> anyhow::Result<()> {
    anyhow::bail!("not written yet")
}
