//! Opening files whose names come from an environment: they may be anything.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file for reading.
///
/// # Errors
/// `InvalidInput` for anything else: a named pipe would keep its reader waiting, a device may have no end.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// No text that is read whole is that long.
const LIMIT: u64 = 8 << 20;

/// Reads a text; `None` where there is none that can be read, or one beyond 8 MiB.
pub(crate) fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    let length = open(path).ok()?.take(LIMIT).read_to_string(&mut text).ok()?;
    (length as u64 != LIMIT).then_some(text)
}
