//! What may be touched: what lies in the project, is no secret, and is not as git has it unless that is said.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use contract::child::{self, Ended};
use contract::path::{absolute, shown};

/// git answers at once, or not at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// The folders within which things are mended.
pub(crate) struct Bounds {
    /// The project, and whatever else was named.
    roots: Vec<PathBuf>,
    /// What relative paths are relative to.
    base: PathBuf,
    tracked: bool,
}

impl Bounds {
    /// Some folders, or the project around the current one: the nearest folder with `.git`, else the current one itself.
    ///
    /// # Errors
    /// One is not there.
    pub(crate) fn of(roots: &[PathBuf], tracked: bool) -> anyhow::Result<Self> {
        let here = std::env::current_dir().context("there is no current folder")?;
        let project = || here.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(&here).to_owned();
        let named = if roots.is_empty() { vec![project()] } else { roots.to_vec() };
        let real = |root: &PathBuf| {
            let real = root.canonicalize().with_context(|| format!("cannot look at {}", shown(root)))?;
            anyhow::ensure!(real.is_dir(), "{} is no folder", shown(root));
            Ok(real)
        };
        let mut roots: Vec<PathBuf> = named.iter().map(real).collect::<anyhow::Result<_>>()?;
        let here = here.canonicalize().unwrap_or(here);
        // The project that the current folder is in comes first.
        roots.sort_by_key(|root| !here.starts_with(root));
        let base = if here.starts_with(&roots[0]) { here } else { roots[0].clone() };
        Ok(Self { roots, base, tracked })
    }

    /// The project.
    pub(crate) fn root(&self) -> &Path {
        &self.roots[0]
    }

    pub(crate) fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    pub(crate) fn holds(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| path.starts_with(root))
    }

    /// The same of what a path leads to.
    pub(crate) fn really_holds(&self, path: &Path) -> bool {
        self.place(path).is_ok() && path.canonicalize().is_ok_and(|real| self.holds(&real))
    }

    /// A path of a diagnosis. A relative one is as from the current folder, if that is in the project, else as from the root.
    pub(crate) fn based(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }

    /// Where a path of a diagnosis is.
    ///
    /// # Errors
    /// It leads out of the root, or over what is not there.
    pub(crate) fn place(&self, path: &Path) -> anyhow::Result<PathBuf> {
        let path = absolute(&self.based(path))?;
        anyhow::ensure!(!path.components().any(|part| part == Component::ParentDir), "{} goes up by `..`", shown(&path));
        let (folder, name) = (path.parent().context("this is the root of all")?, path.file_name().context("it has no name")?);
        // Links on the way are resolved as far as there is anything.
        let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
        let real = there.canonicalize().with_context(|| format!("cannot look at {}", shown(there)))?;
        let missing = folder.strip_prefix(there).unwrap_or(Path::new(""));
        let real = if missing.as_os_str().is_empty() { real } else { real.join(missing) };
        anyhow::ensure!(self.holds(&real.join(name)), "{} is not below {}; --root names another folder", shown(&path), shown(self.root()));
        let is_bare = |folder: &Path| ["HEAD", "objects", "refs"].iter().all(|name| folder.join(name).exists());
        let is_gits = real.join(name).components().any(|part| part.as_os_str() == ".git") || real.ancestors().any(is_bare);
        anyhow::ensure!(!is_gits, "{} is git's own", shown(&path));
        Ok(real.join(name))
    }

    /// Where a file really is that is to be looked at.
    ///
    /// # Errors
    /// It is not there, is no file, or lies out of bounds.
    pub(crate) fn file(&self, file: &Path) -> anyhow::Result<PathBuf> {
        let file = self.place(file)?;
        let meta = file.symlink_metadata().with_context(|| format!("cannot look at {}", shown(&file)))?;
        anyhow::ensure!(meta.is_file(), "{} is no regular file, or a link; name what it leads to", shown(&file));
        Ok(file)
    }

    /// Lets a file be changed.
    ///
    /// # Errors
    /// git has it as it is, or it has other names, which would be left with what it was.
    pub(crate) fn admit(&self, file: &Path) -> anyhow::Result<()> {
        let meta = file.symlink_metadata().with_context(|| format!("cannot look at {}", shown(file)))?;
        anyhow::ensure!(meta.nlink() == 1, "{} has other names (hard links), which would not be changed with it", shown(file));
        anyhow::ensure!(self.tracked || !is_clean(file)?, "git has {} as it is; --tracked mends it all the same", shown(file));
        Ok(())
    }
}

/// Whether git tracks a file and it is as it was committed; not where git does not know it, or is not there.
fn is_clean(file: &Path) -> anyhow::Result<bool> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let Some(listed) = git(folder, &["ls-files", "--stage", "-z", "--"], file)? else { return Ok(false) };
    // `MODE BLOB STAGE\tNAME`, once for each side of a merge; nothing for what git does not know.
    let Some(blob) = listed.split(|byte| *byte == b' ').nth(1) else { return Ok(false) };
    anyhow::ensure!(
        !is_converted(folder, file)?,
        "git has something else in the place of {} (`ident`, `filter` or an encoding in .gitattributes), so that it is not known whether \
         that is as it was committed; --tracked mends it all the same",
        shown(file)
    );
    let blob = String::from_utf8_lossy(blob);
    let text = std::fs::read(file).with_context(|| format!("cannot read {}", shown(file)))?;
    // The filters and attributes of the project are not asked: they may run anything.
    let unix: Vec<u8> = text.split(|byte| *byte == b'\r').collect::<Vec<_>>().concat();
    Ok([text, unix].iter().any(|text| hash(text, blob.len()) == blob))
}

/// Whether the project has git keep a file as something else than it is, and not only with other ends of lines (gitattributes(5)).
fn is_converted(folder: &Path, file: &Path) -> anyhow::Result<bool> {
    let said = git(folder, &["check-attr", "-z", "filter", "ident", "working-tree-encoding", "--"], file)?.unwrap_or_default();
    // `NAME\0ATTRIBUTE\0VALUE\0`, once for each attribute.
    let fields: Vec<&[u8]> = said.split(|byte| *byte == 0).collect();
    Ok(fields.chunks_exact(3).any(|fields| ![&b"unspecified"[..], b"unset"].contains(&fields[2])))
}

/// What git calls a blob of this content (gitformat-object(5)), by the hash that has so many digits.
fn hash(text: &[u8], digits: usize) -> String {
    use sha1::Digest as _;
    let header = format!("blob {}\0", text.len());
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    if digits == 40 {
        hex(&sha1::Sha1::new().chain_update(header).chain_update(text).finalize())
    } else {
        hex(&sha2::Sha256::new().chain_update(header).chain_update(text).finalize())
    }
}

/// What git says of a file; nothing where there is no git, or no repository.
///
/// # Errors
/// It cannot say.
pub(crate) fn git(folder: &Path, words: &[&str], file: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    let mut git = Command::new("git");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"GIT_")) {
        git.env_remove(name);
    }
    git.env("GIT_OPTIONAL_LOCKS", "0").env("GIT_LITERAL_PATHSPECS", "1").env("LC_ALL", "C");
    git.arg("-C").arg(folder).args(["-c", "core.fsmonitor=false"]).args(words).arg(file);
    let finished = match child::run(&mut git, PATIENCE, 1 << 16) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        finished => finished.context("cannot start git")?,
    };
    let said = String::from_utf8_lossy(&finished.stderr).trim().to_owned();
    match finished.ended {
        Ended::Exited(status) if status.success() => Ok(Some(finished.stdout)),
        Ended::Exited(_) if said.contains("not a git repository") => Ok(None),
        Ended::Exited(_) => {
            anyhow::bail!("git cannot say whether it has {} as it is: {said}; --tracked mends it all the same", shown(file))
        }
        Ended::TimedOut => anyhow::bail!("git did not answer within {} s", PATIENCE.as_secs()),
        Ended::Interrupted => anyhow::bail!("interrupted"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_way_leads_out_of_the_root() {
        let top = tempfile::tempdir().unwrap();
        let root = top.path().canonicalize().unwrap().join("project");
        fs::create_dir_all(root.join("inside")).unwrap();
        fs::create_dir(top.path().join("outside")).unwrap();
        symlink("../outside", root.join("link")).unwrap();
        symlink("inside", root.join("back")).unwrap();
        let bounds = Bounds::of(std::slice::from_ref(&root), true).unwrap();
        assert_eq!(bounds.place(Path::new("a")).unwrap(), root.join("a"));
        assert_eq!(bounds.place(Path::new("back/a")).unwrap(), root.join("inside/a"));
        assert_eq!(bounds.place(Path::new("new/folder/a")).unwrap(), root.join("new/folder/a"));
        for out in ["../outside/a", "inside/../../outside/a", "link/a", "link/new/a", "/etc/passwd", "/", ".git/config"] {
            assert!(bounds.place(Path::new(out)).is_err(), "{out}");
        }
    }
}
