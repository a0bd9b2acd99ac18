//! Which file systems are mounted where: what is in another one is never moved or removed along with a folder.

use std::io;
use std::path::{Path, PathBuf};

/// The mount points below a folder; it may be one itself.
///
/// # Errors
/// The system does not tell.
pub fn below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    Ok(all()?.into_iter().filter(|mount| *mount != real && mount.starts_with(&real)).collect())
}

/// The mount points of this process; none where the system does not list them: that has no binds of folders either.
///
/// # Errors
/// The system does not tell.
pub fn all() -> io::Result<Vec<PathBuf>> {
    if !cfg!(target_os = "linux") {
        return Ok(Vec::new());
    }
    Ok(parse(&std::fs::read("/proc/self/mountinfo")?))
}

/// proc_pid_mountinfo(5): the fifth field, in which white space and backslashes are octal.
fn parse(table: &[u8]) -> Vec<PathBuf> {
    let fields = table.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    fields.map(|field| PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(unescaped(field)))).collect()
}

fn unescaped(field: &[u8]) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::with_capacity(field.len()), field);
    while let Some((first, tail)) = rest.split_first() {
        let octal = (*first == b'\\')
            .then(|| tail.get(..3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &tail[3..] } else { tail };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_with_a_space_is_read() {
        let table = b"24 30 0:22 / /proc rw - proc proc rw\n31 30 8:1 /x /a\\040b\\134c rw - ext4 /dev/sda rw\n";
        assert_eq!(parse(table), [PathBuf::from("/proc"), PathBuf::from("/a b\\c")]);
    }
}
