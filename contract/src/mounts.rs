//! Which file systems are mounted where: what is in another one is never moved or removed along with a folder.

use std::collections::HashSet;
use std::fs;
use std::hash::BuildHasher;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The mount points below a folder; it may be one itself.
///
/// # Errors
/// The system does not tell.
pub fn below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    if !cfg!(target_os = "linux") {
        return other_devices(&real);
    }
    // A bind mount can be of the same device, so the devices would not tell.
    let table = fs::read("/proc/self/mountinfo")?;
    Ok(parse(&table).into_iter().filter(|mount| *mount != real && mount.starts_with(&real)).collect())
}

/// The mount points below any of these folders, which are real paths, but for those that are one of them.
///
/// # Errors
/// As [`below`].
pub fn below_any<S: BuildHasher>(folders: &HashSet<PathBuf, S>) -> io::Result<HashSet<PathBuf>> {
    let all = if cfg!(target_os = "linux") {
        parse(&fs::read("/proc/self/mountinfo")?)
    } else {
        folders.iter().map(|folder| other_devices(folder)).collect::<io::Result<Vec<_>>>()?.concat()
    };
    let is_below = |mount: &PathBuf| !folders.contains(mount) && mount.ancestors().skip(1).any(|above| folders.contains(above));
    Ok(all.into_iter().filter(is_below).collect())
}

/// The same by the devices of the folders; one that is not there has none.
fn other_devices(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let device = match folder.symlink_metadata() {
        Ok(meta) => meta.dev(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            if meta.dev() != device {
                found.push(entry.path());
            } else if meta.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(found)
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

    #[test]
    #[cfg(target_os = "linux")]
    fn both_ways_find_what_is_mounted() {
        let mounts = [below(Path::new("/dev")).unwrap(), other_devices(Path::new("/dev")).unwrap()];
        assert!(mounts.iter().all(|mounts| mounts.contains(&PathBuf::from("/dev/pts"))), "{mounts:?}");
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        assert!(other_devices(folder.path()).unwrap().is_empty());
        assert!(other_devices(&folder.path().join("gone")).unwrap().is_empty());
    }
}
