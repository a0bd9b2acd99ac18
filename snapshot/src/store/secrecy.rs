//! A store holds copies of secrets: nobody else reads it, git never takes it along, and nothing else is in its folder.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use contract::path::shown;
use contract::{child, replace};

use crate::store::TEMPORARY;

const IGNORE_ALL: &[u8] = b"*\n";
const PATIENCE: Duration = Duration::from_secs(10);

/// The folders that may be in one that is to become a store, empty, since an earlier attempt may have died.
const OURS: [&str; 5] = ["cache", "journal", "manifests", "packs", "pins"];

/// Insists that a folder which is to become a store is not there yet, or that nobody keeps anything in it.
///
/// # Errors
/// Something is in it.
pub(crate) fn free(folder: &Path, readme: &str) -> anyhow::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| format!("cannot list {}", shown(folder)))?,
    };
    let names: Vec<_> = entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<_, _>>()?;
    let is_ours = |name: &std::ffi::OsString| match name.to_str() {
        Some("README") => fs::read(folder.join(name)).is_ok_and(|text| text == readme.as_bytes()),
        // Whose ever it is, it stays.
        Some(".gitignore") => true,
        Some(name) if name.starts_with(TEMPORARY) => true,
        Some(name) => OURS.contains(&name) && fs::read_dir(folder.join(name)).is_ok_and(|mut entries| entries.next().is_none()),
        None => false,
    };
    let Some(first) = names.iter().find(|name| !is_ours(name)) else { return Ok(()) };
    anyhow::bail!(
        "{} is no store of snapshots, and {} is in it; choose a folder of its own with --store",
        shown(folder),
        shown(Path::new(first))
    )
}

/// Insists that a store is the caller's own, and that nobody else may read it.
///
/// # Errors
/// It is somebody else's, or its mode lets others in.
pub(crate) fn private(folder: &Path) -> anyhow::Result<()> {
    let meta = folder.metadata().with_context(|| format!("cannot look at {}", shown(folder)))?;
    let (owner, caller) = (meta.uid(), rustix::process::geteuid().as_raw());
    anyhow::ensure!(
        owner == caller,
        "the store {} belongs to user {owner}, and what it says would be done as user {caller}; run as its owner, or choose another with --store",
        shown(folder)
    );
    anyhow::ensure!(meta.mode().trailing_zeros() >= 6, "others may read the store {0}, which holds secrets; chmod 700 {0}", shown(folder));
    Ok(())
}

/// Has git ignore a folder from within.
pub(crate) fn ignored(folder: &Path) -> anyhow::Result<()> {
    let ignore = folder.join(".gitignore");
    if ignore.exists() { Ok(()) } else { replace::write(&ignore, IGNORE_ALL) }
}

/// Insists that git, where the folder is in a work tree of it, would not track what comes into it.
///
/// # Errors
/// It would, or could not be asked.
pub(crate) fn untracked(folder: &Path) -> anyhow::Result<()> {
    if !folder.ancestors().any(|above| above.join(".git").exists()) {
        return Ok(());
    }
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).args(["check-ignore", "-q", "packs/x"]);
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        git.env_remove(name);
    }
    let finished = child::run(&mut git, PATIENCE, 4096);
    let is_ignored = finished.as_ref().is_ok_and(|finished| finished.ended.success());
    anyhow::ensure!(
        is_ignored,
        "{} is in a git work tree that would track it, and snapshots hold secrets; choose another folder with --store",
        shown(folder)
    );
    Ok(())
}
