//! What a write leaves behind in a tree: a build takes minutes, and what somebody installs or writes meanwhile must not be swapped away.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;

/// Everything in a tree at one time, by its path below the root. Bytecode is left out, since whoever imports a module writes it.
#[derive(Debug)]
pub(crate) struct Traces(HashMap<PathBuf, Trace>);

/// Of a file without the time at which its inode changed: a further name, as a clone gives it, changes that too. Of a folder only what it
/// is: what comes and goes in it has traces of its own.
#[derive(Debug, PartialEq, Eq)]
struct Trace {
    mode: u32,
    owner: (u32, u32),
    written: Option<(u64, u64, i64, i64)>,
}

impl Trace {
    fn of(meta: &Metadata) -> Self {
        let written = (!meta.is_dir()).then(|| (meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()));
        Self { mode: meta.mode(), owner: (meta.uid(), meta.gid()), written }
    }
}

impl Traces {
    /// # Errors
    /// A folder cannot be read.
    pub(crate) fn of(root: &Path) -> anyhow::Result<Self> {
        let (mut traces, mut folders) = (HashMap::new(), vec![PathBuf::new()]);
        while let Some(folder) = folders.pop() {
            let path = root.join(&folder);
            for (name, meta) in there(&path).with_context(|| format!("cannot list {}", shown(&path)))? {
                let inner = folder.join(name);
                if meta.is_dir() && !inner.ends_with("__pycache__") {
                    folders.push(inner.clone());
                }
                traces.insert(inner, Trace::of(&meta));
            }
        }
        Ok(Self(traces))
    }

    /// What is there no more, is new, or was written to, now that the tree stands at `root`.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub(crate) fn changed(&self, root: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let Self(now) = Self::of(root)?;
        let other = |(path, trace): (&PathBuf, &Trace)| (self.0.get(path) != Some(trace)).then(|| path.clone());
        let gone = self.0.keys().filter(|path| !now.contains_key(*path)).cloned();
        let mut changed: Vec<PathBuf> = now.iter().filter_map(other).chain(gone).collect();
        changed.retain(|path| !path.ends_with("__pycache__"));
        changed.sort();
        Ok(changed)
    }
}

/// The names in a folder; one that goes meanwhile is not there.
fn there(folder: &Path) -> io::Result<Vec<(std::ffi::OsString, Metadata)>> {
    let mut there = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.metadata() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            meta => there.push((entry.file_name(), meta?)),
        }
    }
    Ok(there)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_is_written_is_seen_and_what_is_read_is_not() {
        let tree = tempfile::tempdir().unwrap();
        let path = |name: &str| tree.path().join(name);
        fs::create_dir_all(path("pkg/__pycache__")).unwrap();
        fs::File::create(path("pkg/a.py")).unwrap();
        symlink("a.py", path("pkg/link")).unwrap();
        let traces = Traces::of(tree.path()).unwrap();
        let changed = || traces.changed(tree.path()).unwrap().iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        fs::hard_link(path("pkg/a.py"), path("pkg/__pycache__/a.pyc")).unwrap();
        fs::read(path("pkg/a.py")).unwrap();
        assert_eq!(changed(), [] as [&str; 0]);
        fs::File::options().append(true).open(path("pkg/a.py")).unwrap().write_all(b"x").unwrap();
        fs::remove_file(path("pkg/link")).unwrap();
        fs::create_dir(path("new")).unwrap();
        assert_eq!(changed(), ["new", "pkg/a.py", "pkg/link"]);
    }
}
