//! One change to one file, decided before it is made: a dry run can name it, a patch can save what it replaces, a clone can take it at once.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;
use contract::replace;

use crate::clone;

/// What temporary files of a replacement are called at first, here and in `contract::replace`; a crash can leave one behind.
const TEMPORARY: &str = ".mendline-";

/// What is to stand at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A regular file.
    File {
        /// All of it.
        bytes: Vec<u8>,
        /// Permission bits.
        mode: u32,
    },
    /// A symbolic link with this target.
    Link(PathBuf),
    /// A folder, whatever is in it.
    Folder,
    /// Nothing; a folder goes only where it is empty.
    Absent,
}

/// One path and what is to stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    /// Relative to the root of the environment.
    pub(crate) path: PathBuf,
    /// What is to stand there.
    pub(crate) content: Content,
}

impl Edit {
    /// Makes the change below `root`, by one rename: who looks sees the old or the new. Other names of an inode keep their bytes.
    /// The rename itself is not on the disk before [`sync`].
    pub(crate) fn apply(&self, root: &Path) -> anyhow::Result<()> {
        let path = root.join(&self.path);
        put(&path, &self.content, true).with_context(|| format!("cannot write {}", shown(&path)))
    }

    /// Makes the change in a tree that stands aside: a crash throws the whole tree away, so nothing is synced.
    pub(crate) fn apply_aside(&self, root: &Path) -> anyhow::Result<()> {
        let path = root.join(&self.path);
        put(&path, &self.content, false).with_context(|| format!("cannot write {}", shown(&path)))
    }
}

/// The folders below `root` that these paths lie in, each once.
pub(crate) fn folders<'a>(root: &Path, paths: impl Iterator<Item = &'a Path>) -> BTreeSet<PathBuf> {
    paths.filter_map(|path| root.join(path).parent().map(Path::to_owned)).filter(|folder| folder.is_dir()).collect()
}

/// Waits until changes to these paths below `root` are on the disk, each folder once.
pub(crate) fn sync<'a>(root: &Path, paths: impl Iterator<Item = &'a Path>) -> anyhow::Result<()> {
    folders(root, paths).iter().try_for_each(|folder| replace::sync_folder(folder))
}

/// What stands at a path now.
///
/// # Errors
/// It is a device, or cannot be read.
pub(crate) fn content(path: &Path) -> io::Result<Content> {
    let meta = match path.symlink_metadata() {
        Ok(meta) => meta,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Content::Absent),
        Err(e) => return Err(e),
    };
    if meta.is_symlink() {
        return fs::read_link(path).map(Content::Link);
    }
    if meta.is_dir() {
        return Ok(Content::Folder);
    }
    if !meta.is_file() {
        return Err(io::Error::other("neither a file nor a link"));
    }
    Ok(Content::File { bytes: fs::read(path)?, mode: meta.permissions().mode() & 0o7777 })
}

fn put(path: &Path, content: &Content, durable: bool) -> anyhow::Result<()> {
    let folder = path.parent().context("it has no parent folder")?;
    let name = path.file_name().context("it has no name")?;
    let mut temporary = std::ffi::OsString::from(TEMPORARY);
    temporary.push(name);
    let temporary = folder.join(temporary);
    remove_if_there(&temporary)?;
    match content {
        Content::Folder => DirBuilder::new().recursive(true).mode(0o755).create(path)?,
        Content::Absent => remove_if_there(path)?,
        Content::Link(target) => {
            symlink(target, &temporary)?;
            rustix::fs::rename(&temporary, path)?;
        }
        Content::File { bytes, mode } => {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            file.write_all(bytes)?;
            clone::adopt(path, &file)?;
            file.set_permissions(Permissions::from_mode(*mode))?;
            if durable {
                file.sync_all()?;
            }
            rustix::fs::rename(&temporary, path)?;
        }
    }
    Ok(())
}

/// Clears away what a crash left of replacements in a folder.
pub(crate) fn clear_temporaries(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", shown(folder)))?.filter_map(Result::ok) {
        if entry.file_name().as_encoded_bytes().starts_with(TEMPORARY.as_bytes()) {
            fs::remove_file(entry.path()).with_context(|| format!("cannot remove {}", shown(&entry.path())))?;
        }
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    let is_folder = path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
    match if is_folder { fs::remove_dir(path) } else { fs::remove_file(path) } {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
