//! The audit log: every change as the very `action` record that went to stdout, on disk before the change and after it.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;

use crate::path::shown;
use crate::state;

/// `audit.jsonl`, open for appending.
#[derive(Debug)]
pub struct Audit(File);

impl Audit {
    /// Opens or creates (mode 0600) the log of a state folder. A link in its place is not followed: it could lead to any file.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(state: &Path) -> anyhow::Result<Self> {
        let path = state.join("audit.jsonl");
        let mut options = OpenOptions::new();
        options.create(true).append(true).read(true).mode(0o600).custom_flags(state::NO_LINK);
        let mut file = options.open(&path).with_context(|| format!("cannot open the audit log {}", shown(&path)))?;
        end_torn_line(&mut file).with_context(|| format!("cannot read the audit log {}", shown(&path)))?;
        Ok(Self(file))
    }

    /// Appends one rendered record with one write, and waits until it is on the disk.
    ///
    /// # Errors
    /// The disk is full or failing: the change must not begin.
    pub fn append(&mut self, line: &[u8]) -> anyhow::Result<()> {
        self.0.write_all(line).and_then(|()| self.0.sync_data()).context("cannot write to the audit log")
    }
}

/// A crash can leave a last line without its end; the next record must not be glued to it.
fn end_torn_line(file: &mut File) -> std::io::Result<()> {
    if file.metadata()?.len() == 0 {
        return Ok(());
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_is_not_glued_to_the_next_record() {
        let folder = tempfile::tempdir().unwrap();
        Audit::open(folder.path()).unwrap().append(b"{\"torn\":").unwrap();
        Audit::open(folder.path()).unwrap().append(b"{}\n").unwrap();
        let log = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
        assert_eq!(log, "{\"torn\":\n{}\n");
    }
}
