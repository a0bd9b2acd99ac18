//! The folder where tools keep what must outlive a run: audit log, locks, journals.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::fs::OFlags;

use crate::path::{absolute, shown};
use crate::replace;
use crate::trust::Trust;

/// The flag of every tool that keeps state.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Keep audit log, locks and journals here [default: $XDG_STATE_HOME/mendline or ~/.local/state/mendline]
    #[arg(long, value_name = "DIR", env = "MENDLINE_STATE_DIR", global = true)]
    state_dir: Option<PathBuf>,
}

impl Options {
    /// Where the state folder is or would be. Nothing is created.
    ///
    /// # Errors
    /// No flag, no `XDG_STATE_HOME` and no `HOME`, as under some crons.
    pub fn folder(&self) -> anyhow::Result<PathBuf> {
        if let Some(folder) = &self.state_dir {
            return absolute(folder);
        }
        // XDG Base Directory Specification: a relative value is to be ignored.
        let from = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        from("XDG_STATE_HOME")
            .or_else(|| from("HOME").map(|home| home.join(".local/state")))
            .map(|base| base.join("mendline"))
            .context("nowhere to keep state: neither XDG_STATE_HOME nor HOME is set; pass --state-dir DIR")
    }

    /// The state folder, created where it is missing.
    ///
    /// # Errors
    /// As [`Options::folder`], or the folder cannot be made, or somebody else can write to it.
    pub fn open(&self) -> anyhow::Result<PathBuf> {
        let folder = self.folder()?;
        private_folder(&folder)?;
        is_ours(&folder)?;
        let ignore = folder.join(".gitignore");
        // Before the first copy lands in it: a state folder can sit inside a work tree.
        if !ignore.exists() {
            replace::write(&ignore, b"*\n")?;
        }
        Ok(folder)
    }
}

/// What a state folder says is done: journals name what is removed, manifests what is written. Under sudo, HOME may be another user's.
fn is_ours(folder: &Path) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", shown(folder)))?;
    let inside: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>().with_context(|| format!("cannot list {}", shown(folder)))?;
    match Trust::default().breach([folder].into_iter().chain(inside.iter().map(PathBuf::as_path))) {
        Some(why) => anyhow::bail!(
            "the state folder is not to be trusted: {why}; pass --state-dir DIR, or run as its owner with the HOME of that user"
        ),
        None => Ok(()),
    }
}

/// Of `open(2)`: fail on a link in the last place, and do not wait for a pipe.
pub(crate) const NO_LINK: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits().cast_signed();

/// Reads a file of a state folder; a link in its place is not followed.
///
/// # Errors
/// It cannot be read, or is a link, or no regular file.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = OpenOptions::new().read(true).custom_flags(NO_LINK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map(|_| bytes)
}

/// Creates a folder, and those above it, with mode 0700 where they are missing.
///
/// # Errors
/// It cannot be made, or a file is in the way.
pub fn private_folder(folder: &Path) -> anyhow::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(|| format!("cannot create the folder {}", shown(folder)))
}
