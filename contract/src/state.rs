//! The folder where tools keep what must outlive a run: audit log, locks, journals.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::path::{absolute, shown};
use crate::replace;

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
    /// As [`Options::folder`], or the folder cannot be made.
    pub fn open(&self) -> anyhow::Result<PathBuf> {
        let folder = self.folder()?;
        private_folder(&folder)?;
        let ignore = folder.join(".gitignore");
        // Before the first copy lands in it: a state folder can sit inside a work tree.
        if !ignore.exists() {
            replace::write(&ignore, b"*\n")?;
        }
        Ok(folder)
    }
}

/// Creates a folder, and those above it, with mode 0700 where they are missing.
///
/// # Errors
/// It cannot be made, or a file is in the way.
pub fn private_folder(folder: &Path) -> anyhow::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(|| format!("cannot create the folder {}", shown(folder)))
}
