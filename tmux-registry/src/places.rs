//! Where registries are: below the workspace roots, however deep, in folders of whatever name.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::{absolute, shown};

/// A registry of one task.
pub(crate) const TASK: &str = "AGENT_REGISTRY.json";
/// The registry of all tasks of a workspace.
pub(crate) const GLOBAL: &str = "GLOBAL_REGISTRY.json";
/// Folders that nobody keeps a workspace in, and that can be huge.
const PASSED_OVER: [&str; 3] = [".git", "node_modules", "__pycache__"];

/// What was found, and what could not be looked into.
#[derive(Default)]
pub(crate) struct Found {
    /// Those of tasks first: the global ones follow them.
    pub(crate) registries: Vec<PathBuf>,
    pub(crate) unseen: Vec<(PathBuf, std::io::Error)>,
    /// Links to folders, which were passed over.
    pub(crate) links: Vec<PathBuf>,
}

/// Every registry below some folders, `everywhere` also where nobody keeps one. Links to folders are not followed.
///
/// # Errors
/// A root cannot be looked at.
pub(crate) fn below(roots: &[PathBuf], everywhere: bool) -> anyhow::Result<Found> {
    let (mut found, mut linked, mut unseen, mut links) = (BTreeSet::new(), Vec::new(), Vec::new(), Vec::new());
    for root in roots {
        let root = absolute(root)?;
        root.metadata().with_context(|| format!("cannot look at {}", shown(&root)))?;
        let mut folders = vec![root];
        while let Some(folder) = folders.pop() {
            match fs::read_dir(&folder) {
                Ok(entries) => entries.filter_map(Result::ok).for_each(|entry| {
                    let (name, kind) = (entry.file_name(), entry.file_type());
                    if kind.as_ref().is_ok_and(fs::FileType::is_dir) && (everywhere || !PASSED_OVER.iter().any(|passed| name == *passed)) {
                        folders.push(entry.path());
                    } else if kind.as_ref().is_ok_and(fs::FileType::is_symlink) && entry.path().is_dir() {
                        links.push(entry.path());
                    } else if kind.as_ref().is_ok_and(fs::FileType::is_symlink) && is_registry(&name) {
                        linked.push(entry.path());
                    } else if kind.is_ok_and(|kind| kind.is_file()) && is_registry(&name) {
                        found.insert(entry.path());
                    }
                }),
                // Gone since it was listed.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => unseen.push((folder, e)),
            }
        }
    }
    for link in linked {
        match link.canonicalize() {
            Ok(there) if found.contains(&there) => {}
            Ok(_) => {
                found.insert(link);
            }
            Err(e) => unseen.push((link, e)),
        }
    }
    // What a link leads to may be looked through anyway.
    let real: Vec<PathBuf> = roots.iter().filter_map(|root| root.canonicalize().ok()).collect();
    links.retain(|link| link.canonicalize().is_ok_and(|there| !real.iter().any(|root| there.starts_with(root))));
    Ok(Found { registries: in_order(found), unseen, links })
}

fn is_registry(name: &OsStr) -> bool {
    name == TASK || name == GLOBAL
}

/// Those of tasks first.
pub(crate) fn in_order(paths: BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let (global, tasks): (Vec<PathBuf>, Vec<PathBuf>) = paths.into_iter().partition(|path| is_global(path));
    [tasks, global].concat()
}

/// The folder of all tasks of which a registry, of one or of all of them, is a part.
pub(crate) fn workspace(registry: &Path) -> &Path {
    registry.ancestors().nth(2).unwrap_or(registry)
}

/// Whether a file is called as the global registry is.
pub(crate) fn is_global(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == GLOBAL)
}

/// Of those found, the registry of one task.
///
/// # Errors
/// There is none.
pub(crate) fn of_task(found: &[PathBuf], task: &str) -> anyhow::Result<Vec<PathBuf>> {
    let is_it = |path: &&PathBuf| path.parent().and_then(Path::file_name).is_some_and(|folder| folder == task) && !is_global(path);
    let those: Vec<PathBuf> = found.iter().filter(is_it).cloned().collect();
    anyhow::ensure!(!those.is_empty(), "there is no {TASK} of the task {task} below the workspace; --workspace names another");
    Ok(those)
}
