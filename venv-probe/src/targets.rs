//! From what a person writes to the folders that are walked.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use contract::output::Output;
use contract::path::{Subject, absolute, shown};
use contract::pathset::{self, PathSet, is_pattern};
use contract::record::About;

use crate::redirect;

/// Turns paths, globs and path sets into roots, absolute and without repeats. A pattern that matches nothing is said; a path that is not
/// there and what is no glob are reported, and the rest is judged.
pub(crate) fn roots(paths: &[PathBuf], sets: &[PathBuf], out: &mut Output) -> anyhow::Result<Vec<PathBuf>> {
    let mut roots = Vec::new();
    for path in paths {
        roots.extend(one(path, out)?);
    }
    for set in sets {
        let (PathSet { paths, empty, .. }, malformed) = pathset::read_what_is_sound(set)?;
        for error in malformed {
            malformed_glob(&error, out)?;
        }
        for pattern in empty {
            if is_pattern(&pattern) {
                out.hint(&format!("{}: `{pattern}` matches nothing", shown(set)));
            } else {
                missing(Path::new(&pattern), out)?;
            }
        }
        roots.extend(paths);
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
    if let Some(pattern) = path.to_str().filter(|text| is_pattern(text)) {
        return match pathset::expand(pattern) {
            Ok(found) => {
                if found.is_empty() {
                    out.hint(&format!("`{pattern}` matches nothing"));
                }
                Ok(found)
            }
            Err(error) => malformed_glob(&error, out).map(|()| Vec::new()),
        };
    }
    missing(path, out)?;
    Ok(Vec::new())
}

fn malformed_glob(error: &anyhow::Error, out: &mut Output) -> anyhow::Result<()> {
    out.error("path.malformed-glob", About::default(), None, &format!("{error:#}"))
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
