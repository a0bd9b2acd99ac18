//! What is mounted below a folder. A rename of the folder takes it along, and a removal would go on inside it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;

use crate::layout;

/// The mount points below `root`, itself not counted.
///
/// # Errors
/// That cannot be seen.
pub(crate) fn below(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let see = || {
        let root = root.canonicalize()?;
        match fs::read("/proc/self/mountinfo") {
            Ok(table) => Ok(listed(&table, &root)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => by_device(&root),
            Err(e) => Err(e),
        }
    };
    see().with_context(|| format!("cannot see what is mounted below {}", shown(root)))
}

/// The fifth field of each line (proc_pid_mountinfo(5)). A bind mount of the same file system shows nowhere else.
fn listed(table: &[u8], root: &Path) -> Vec<PathBuf> {
    let points = table.split(|&b| b == b'\n').filter_map(|line| line.split(|&b| b == b' ').nth(4)).map(unescaped);
    points.filter(|point| point != root && point.starts_with(root)).collect()
}

/// Spaces, tabs, newlines and backslashes stand there as three octal digits.
fn unescaped(field: &[u8]) -> PathBuf {
    let (mut bytes, mut rest) = (Vec::with_capacity(field.len()), field);
    while let Some((&first, after)) = rest.split_first() {
        let octal =
            after.get(..3).filter(|_| first == b'\\').and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(octal.unwrap_or(first));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    layout::path(&bytes).to_owned()
}

fn by_device(root: &Path) -> io::Result<Vec<PathBuf>> {
    let device = root.metadata()?.dev();
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_below_are_found_whatever_their_names() {
        let table = b"1 2 8:1 / /srv/app rw - ext4 /dev/sda1 rw\n3 1 8:1 /d /srv/app/my\\040data rw - ext4 /dev/sda1 rw\n4 1 8:1 /d /srv/app2 rw - x y z\n";
        assert_eq!(listed(table, Path::new("/srv/app")), [PathBuf::from("/srv/app/my data")]);
        assert_eq!(unescaped(b"a\\134b\\9"), Path::new("a\\b\\9"));
        assert_eq!(by_device(tempfile::tempdir().unwrap().path()).unwrap(), [] as [PathBuf; 0]);
    }
}
