//! One change to one file, decided before it is made: a dry run can name it, a patch can save what it replaces, a clone can take it at once.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;
use contract::replace;

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
    pub(crate) fn apply(&self, root: &Path) -> anyhow::Result<()> {
        let path = root.join(&self.path);
        let sync = || replace::sync_folder(path.parent().unwrap_or(root));
        put(&path, &self.content, replace::write).and_then(|()| sync()).with_context(|| format!("cannot write {}", shown(&path)))
    }

    /// Makes the change in a tree that stands aside: a crash throws the whole tree away, so nothing is synced.
    pub(crate) fn apply_aside(&self, root: &Path) -> anyhow::Result<()> {
        let path = root.join(&self.path);
        let write = |path: &Path, bytes: &[u8]| Ok(File::create_new(path)?.write_all(bytes)?);
        put(&path, &self.content, write).with_context(|| format!("cannot write {}", shown(&path)))
    }
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

fn put(path: &Path, content: &Content, write: fn(&Path, &[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
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
            write(&temporary, bytes)?;
            fs::set_permissions(&temporary, Permissions::from_mode(*mode))?;
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
