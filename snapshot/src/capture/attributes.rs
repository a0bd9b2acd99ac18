//! What a path has besides its content: mode, owner, times, extended attributes.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::path::Subject;
use rustix::fs::{lgetxattr, lgetxattr_query, llistxattr, llistxattr_query};
use rustix::io::Errno;

use crate::store::manifest::{Attribute, Entry};

/// Fills in what `meta` says.
pub(crate) fn fill(entry: &mut Entry, meta: &Metadata) {
    entry.mode = Some(format!("{:04o}", meta.mode() & 0o7777));
    entry.uid = Some(meta.uid());
    entry.gid = Some(meta.gid());
    entry.mtime = Some(mtime(meta.mtime(), meta.mtime_nsec()));
}

/// Seconds and nanoseconds as a manifest has them. A time before 1970 has a negative number of seconds and counts on from there.
pub(crate) fn mtime(seconds: i64, nanos: i64) -> String {
    format!("{seconds}.{nanos:09}")
}

/// The extended attributes of a path, sorted by name; none where the file system has none.
///
/// # Errors
/// They cannot be listed or read.
pub(crate) fn xattrs(path: &Path) -> std::io::Result<Vec<Attribute>> {
    let names = match list(path) {
        Ok(names) => names,
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Vec::new(),
        Err(e) => return Err(e.into()),
    };
    let mut attributes = Vec::new();
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        match value(path, name) {
            Ok(value) => attributes.push(Attribute { name: Subject::from(OsStr::from_bytes(name)), value: STANDARD.encode(value) }),
            // Removed since they were listed.
            Err(Errno::NODATA) => {}
            Err(e) => return Err(e.into()),
        }
    }
    attributes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(attributes)
}

fn list(path: &Path) -> Result<Vec<u8>, Errno> {
    again_if_it_grew(|| llistxattr_query(path), |buffer| llistxattr(path, buffer))
}

fn value(path: &Path, name: &[u8]) -> Result<Vec<u8>, Errno> {
    again_if_it_grew(|| lgetxattr_query(path, name), |buffer| lgetxattr(path, name, buffer))
}

fn again_if_it_grew(query: impl Fn() -> Result<usize, Errno>, get: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    loop {
        let mut buffer = vec![0; query()?];
        if buffer.is_empty() {
            return Ok(buffer);
        }
        match get(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Err(Errno::RANGE) => {}
            Err(e) => return Err(e),
        }
    }
}
