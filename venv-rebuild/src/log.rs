//! One file per run: what was done to which environment, and all that installers said.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use contract::path::{plain, shown};
use contract::state;

use crate::stamp;

/// `venv-rebuild-YYYYMMDD_HHMMSS-xxxx.log`, lines `HH:MM:SS - LEVEL - text`.
#[derive(Debug)]
pub(crate) struct Log {
    file: Mutex<File>,
    /// Where it is.
    pub(crate) path: PathBuf,
}

impl Log {
    /// Begins the log of a run (mode 0600), in a folder that is made where it is missing.
    ///
    /// # Errors
    /// The folder or the file cannot be made.
    pub(crate) fn create(folder: &Path) -> anyhow::Result<Self> {
        state::private_folder(folder)?;
        let path = folder.join(format!("venv-rebuild-{}.log", stamp::id()));
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot create the log {}", shown(&path)))?;
        Ok(Self { file: Mutex::new(file), path })
    }

    pub(crate) fn info(&self, text: &str) {
        self.line("INFO", text);
    }

    pub(crate) fn warning(&self, text: &str) {
        self.line("WARNING", text);
    }

    pub(crate) fn error(&self, text: &str) {
        self.line("ERROR", text);
    }

    fn line(&self, level: &str, text: &str) {
        let time = chrono::Local::now().format("%H:%M:%S");
        let line = format!("{time} - {level} - {}\n", plain(text));
        // A full disk must not stop the roll-back that the line tells of.
        let _ = self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
    }
}
