//! From what a person writes to the folders that are walked.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use contract::output::Output;
use contract::path::{Subject, absolute, shown};
use contract::pathset;
use contract::record::About;

use crate::redirect;

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
    let mut seen = HashSet::with_capacity(roots.len());
    let absolutes: Vec<_> = roots.iter().map(|root| absolute(root)).collect::<Result<_, _>>()?;
    Ok(absolutes.into_iter().filter(|root| seen.insert(root.clone())).collect())
}

/// A path that exists is itself, whatever characters are in its name; one that does not may be a glob.
fn one(path: &Path, out: &mut Output) -> anyhow::Result<Vec<PathBuf>> {
    if path.is_file() && matches!(redirect::target(path), Ok(None)) {
        let about = About { subject: Some(&Subject::from(&absolute(path)?)), cause: &[] };
        out.error("path.not-a-folder", about, None, &format!("{} is a file; name a folder, an environment or a glob", shown(path)))?;
        return Ok(Vec::new());
    }
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
    missing(path, out)?;
    Ok(Vec::new())
}

/// Reports a path, from wherever it came, that leads to nothing we can see.
pub(crate) fn missing(path: &Path, out: &mut Output) -> anyhow::Result<()> {
    let about = About { subject: Some(&Subject::from(&absolute(path)?)), cause: &[] };
    match path.symlink_metadata() {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            out.error("path.unreadable", about, None, &format!("cannot read {}: {e}; what lies below it was not judged", shown(path)))
        }
        _ => out.error("path.missing", about, None, &format!("{} does not exist; name a folder, an environment or a glob", shown(path))),
    }
}
