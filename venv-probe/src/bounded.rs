//! Reading files whose names come from an environment: they may be anything, and of any length.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file for reading, links followed.
///
/// # Errors
/// `InvalidData` for anything else: a named pipe would keep its reader waiting, a device may have no end.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    open_sized(path).map(|(file, _)| file)
}

/// Opens a regular file as [`open`] does, and tells its length in bytes.
pub(crate) fn open_sized(path: &Path) -> io::Result<(File, u64)> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata.len())) } else { Err(io::Error::new(ErrorKind::InvalidData, "is not a regular file")) }
}

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// `InvalidData` for a longer one and for what is no regular file.
pub(crate) fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit { Err(too_long(limit)) } else { Ok(bytes) }
}

/// The error of a file beyond `limit` bytes.
pub(crate) fn too_long(limit: usize) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("is longer than {limit} bytes"))
}

/// Reads the beginning of a file into `buffer`; returns how much of it is filled.
pub(crate) fn head(path: &Path, buffer: &mut [u8]) -> io::Result<usize> {
    fill(&mut open(path)?, buffer)
}

/// Reads on until `buffer` is full or the file at its end; returns how much of it is filled.
pub(crate) fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    loop {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => return Ok(filled),
            Ok(length) => filled += length,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether an error says that there is nothing at a path. Every other one, such as a folder that may not be searched, leaves it open.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    let is_loop = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
    is_loop || matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Whether there is something at a path, links followed; an error where that cannot be told.
pub(crate) fn exists(path: &Path) -> io::Result<bool> {
    match path.metadata() {
        Ok(_) => Ok(true),
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// No text that is read whole is that long.
const TEXT: usize = 8 << 20;

/// Reads a text; `None` where there is none that can be read, or one beyond 8 MiB.
pub(crate) fn text(path: &Path) -> Option<String> {
    String::from_utf8(read(path, TEXT).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_keeps_nobody_waiting_and_a_device_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        for path in [&pipe, folder.path(), Path::new("/dev/zero")] {
            let error = read(path, 10).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidData, "is not a regular file"));
        }
    }

    #[test]
    fn what_is_longer_is_refused_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        contract::replace::write(&file, b"12345").unwrap();
        assert_eq!(read(&file, 5).unwrap(), b"12345");
        assert_eq!(read(&file, 4).unwrap_err().to_string(), "is longer than 4 bytes");
        let mut buffer = [0; 3];
        assert_eq!((head(&file, &mut buffer).unwrap(), &buffer), (3, b"123"));
        assert!(is_gone(&read(&file.join("x"), 1).unwrap_err()) && !is_gone(&read(&file, 1).unwrap_err()));
    }
}
