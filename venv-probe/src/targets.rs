//! From what a person writes to the folders that are walked.

use std::path::{Path, PathBuf};

use contract::output::Output;
use contract::path::{absolute, shown};
use contract::pathset;
use contract::record::About;

/// Turns paths, globs and path sets into roots, absolute and without repeats. What matches nothing is said, what is wrong is reported.
pub(crate) fn roots(paths: &[PathBuf], sets: &[PathBuf], out: &mut Output) -> anyhow::Result<Vec<PathBuf>> {
    let mut roots = Vec::new();
    for path in paths {
        roots.extend(one(path, out)?);
    }
    for set in sets {
        let (found, empty) = pathset::read(set)?;
        for pattern in empty {
            out.hint(&format!("{}: `{pattern}` matches nothing", shown(set)));
        }
        roots.extend(found);
    }
    let mut absolutes: Vec<PathBuf> = Vec::with_capacity(roots.len());
    for root in roots {
        let root = absolute(&root)?;
        if !absolutes.contains(&root) {
            absolutes.push(root);
        }
    }
    Ok(absolutes)
}

/// A path that exists is itself, whatever characters are in its name; one that does not may be a glob.
fn one(path: &Path, out: &mut Output) -> anyhow::Result<Vec<PathBuf>> {
    if path.symlink_metadata().is_ok() {
        return Ok(vec![path.to_owned()]);
    }
    if let Some(pattern) = path.to_str().filter(|text| text.contains(['*', '?', '['])) {
        let found = pathset::expand(pattern)?;
        if found.is_empty() {
            out.hint(&format!("`{pattern}` matches nothing"));
        }
        return Ok(found);
    }
    out.error("path.missing", About::default(), None, &format!("{} does not exist; name a folder, an environment or a glob", shown(path)))?;
    Ok(Vec::new())
}
