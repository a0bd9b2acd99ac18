//! Path sets: plain files of globs, one a line, that several tools read. `#` starts a comment, `~/` is the home folder, `!` takes out again.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use glob::Pattern;

use crate::path::shown;

/// In bytes. A larger file is no path set, and one that never ends none either.
const LARGEST: u64 = 16 << 20;

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
    let (set, malformed) = read_what_is_sound(file)?;
    malformed.into_iter().next().map_or(Ok(set), Err)
}

/// Reads it as [`read`] does, and passes over lines that are no globs; there is an error for each, which names it.
///
/// # Errors
/// The file cannot be read.
pub fn read_what_is_sound(file: &Path) -> anyhow::Result<(PathSet, Vec<anyhow::Error>)> {
    let text = text(file).with_context(|| format!("cannot read the path set {}", shown(file)))?;
    let (mut set, mut malformed) = (PathSet::default(), Vec::new());
    // Some editors begin a file with a mark of its encoding.
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            malformed.extend(set.take(line).with_context(|| format!("{} line {}", shown(file), number + 1)).err());
        }
    }
    Ok((set, malformed))
}

fn text(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(LARGEST + 1).read_to_string(&mut text)?;
    anyhow::ensure!(text.len() as u64 <= LARGEST, "it is larger than {} MiB", LARGEST >> 20);
    Ok(text)
}

impl PathSet {
    fn take(&mut self, pattern: &str) -> anyhow::Result<()> {
        if let Some(excluded) = pattern.strip_prefix('!') {
            let excluded = Pattern::new(&home(excluded)).with_context(|| format!("`{excluded}` is no glob"))?;
            self.paths.retain(|path| !excluded.matches_path(path));
            self.excluded.push(excluded);
            return Ok(());
        }
        let found = expand(pattern)?;
        if found.is_empty() {
            self.empty.push(home(pattern));
        }
        self.paths.extend(found);
        Ok(())
    }
}

/// Whether a text that matches nothing may do so: it is a pattern, and not the path of something that should be there.
#[must_use]
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
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
        let text = format!("\u{feff}# seed\n{0}/agents/**/.venv\n!{0}/agents/b/*\n\n{0}/none/*\n", root.display());
        crate::replace::write(&set, text.as_bytes()).unwrap();
        let PathSet { paths, empty, excluded } = read(&set).unwrap();
        assert_eq!(paths, [root.join("agents/a/.venv"), root.join("agents/c/.venv")]);
        assert_eq!(empty, [format!("{}/none/*", root.display())]);
        assert!(excluded[0].matches_path(&root.join("agents/b/.venv/bin")));
    }

    #[test]
    fn a_file_that_never_ends_is_no_path_set() {
        assert!(format!("{:#}", read(Path::new("/dev/zero")).unwrap_err()).contains("larger than 16 MiB"));
    }

    #[test]
    fn a_bad_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let set = folder.path().join("set");
        crate::replace::write(&set, b"ok\na[\n").unwrap();
        assert!(format!("{:#}", read(&set).unwrap_err()).contains("set line 2"));
        let (sound, malformed) = read_what_is_sound(&set).unwrap();
        assert_eq!((sound.empty, malformed.len()), (vec!["ok".to_owned()], 1));
    }
}
