//! Path sets: plain files of globs, one a line, that several tools read. `#` starts a comment, `~/` is the home folder, `!` takes out again.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use glob::Pattern;

use crate::path::shown;

/// A path set, expanded.
#[derive(Debug, Default)]
pub struct PathSet {
    /// What is there, in the order of the lines.
    pub paths: Vec<PathBuf>,
    /// The patterns that matched nothing, as they stand in the file but for `~/`.
    pub empty: Vec<String>,
    /// What is taken out again, for a tool that looks below the paths.
    pub excluded: Vec<Pattern>,
}

/// Reads a path set and expands it, relative patterns against the current folder.
///
/// # Errors
/// The file cannot be read, or a line is no glob; the error names the line.
pub fn read(file: &Path) -> anyhow::Result<PathSet> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read the path set {}", shown(file)))?;
    let mut set = PathSet::default();
    for (number, line) in text.lines().enumerate() {
        let pattern = line.trim();
        if pattern.is_empty() || pattern.starts_with('#') {
            continue;
        }
        let place = || format!("{} line {}", shown(file), number + 1);
        if let Some(excluded) = pattern.strip_prefix('!') {
            let excluded = Pattern::new(&home(excluded)).with_context(place)?;
            set.paths.retain(|path| !excluded.matches_path(path));
            set.excluded.push(excluded);
            continue;
        }
        let found = expand(pattern).with_context(place)?;
        if found.is_empty() {
            set.empty.push(home(pattern));
        }
        set.paths.extend(found);
    }
    Ok(set)
}

/// Expands one glob. Folders that cannot be read are passed over, as a shell does.
///
/// # Errors
/// It is no glob.
pub fn expand(pattern: &str) -> anyhow::Result<Vec<PathBuf>> {
    let pattern = home(pattern);
    let matches = glob::glob(&pattern).with_context(|| format!("`{pattern}` is no glob"))?;
    Ok(matches.filter_map(Result::ok).collect())
}

fn home(pattern: &str) -> String {
    match (pattern.strip_prefix("~/"), std::env::var("HOME")) {
        (Some(rest), Ok(home)) => format!("{}/{rest}", glob::Pattern::escape(&home)),
        _ => pattern.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn comments_exclusions_and_empty_patterns() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["a", "b", "c"] {
            fs::create_dir_all(root.join("agents").join(name).join(".venv")).unwrap();
        }
        let set = root.join("set");
        let text = format!("# seed\n{0}/agents/**/.venv\n!{0}/agents/b/*\n\n{0}/none/*\n", root.display());
        crate::replace::write(&set, text.as_bytes()).unwrap();
        let PathSet { paths, empty, excluded } = read(&set).unwrap();
        assert_eq!(paths, [root.join("agents/a/.venv"), root.join("agents/c/.venv")]);
        assert_eq!(empty, [format!("{}/none/*", root.display())]);
        assert!(excluded[0].matches_path(&root.join("agents/b/.venv/bin")));
    }

    #[test]
    fn a_bad_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let set = folder.path().join("set");
        crate::replace::write(&set, b"ok\na[\n").unwrap();
        assert!(format!("{:#}", read(&set).unwrap_err()).contains("set line 2"));
    }
}
