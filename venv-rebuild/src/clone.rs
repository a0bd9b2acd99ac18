//! A second tree of the same files by hard links, so that installers can work on it and the first stays as it is.
//! Nothing may be edited in place in it: pip and uv unlink and write anew, and our own writes go through a rename.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use anyhow::Context as _;
use contract::path::shown;
use rustix::io::Errno;

/// Makes `to`, which is not there yet, a clone of the folder `from`.
///
/// # Errors
/// Anything cannot be read or made; what was made so far stays for the caller to remove.
pub(crate) fn tree(from: &Path, to: &Path) -> anyhow::Result<()> {
    let mode = fs::metadata(from).with_context(|| format!("cannot read {}", shown(from)))?.permissions().mode() & 0o7777;
    DirBuilder::new().mode(0o700).create(to).with_context(|| format!("cannot make the folder {}", shown(to)))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", shown(from)))? {
        let entry = entry.with_context(|| format!("cannot list {}", shown(from)))?;
        one(&entry.path(), &to.join(entry.file_name()))?;
    }
    // Last, since it may forbid what came before.
    fs::set_permissions(to, Permissions::from_mode(mode)).with_context(|| format!("cannot set the mode of {}", shown(to)))
}

/// Clones one entry; a socket, pipe or device has no place in an environment and is left out.
pub(crate) fn one(from: &Path, to: &Path) -> anyhow::Result<()> {
    let kind = from.symlink_metadata().with_context(|| format!("cannot read {}", shown(from)))?.file_type();
    if kind.is_dir() {
        return tree(from, to);
    }
    if kind.is_symlink() {
        fs::read_link(from).and_then(|target| symlink(target, to)).with_context(|| format!("cannot copy the link {}", shown(from)))?;
    } else if kind.is_file() {
        link_or_copy(from, to).with_context(|| format!("cannot clone {}", shown(from)))?;
    }
    Ok(())
}

fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(e) if cannot_link(&e) => fs::copy(from, to).map(drop),
        linked => linked,
    }
}

/// Another file system below the root, a kernel that protects others' files, too many names, a file system without hard links.
fn cannot_link(e: &io::Error) -> bool {
    [Errno::XDEV, Errno::PERM, Errno::MLINK, Errno::OPNOTSUPP].iter().any(|errno| e.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::replace;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn replacing_in_the_clone_leaves_the_first_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("b"));
        fs::create_dir_all(from.join("lib/x")).unwrap();
        replace::write(&from.join("lib/x/f"), b"old").unwrap();
        symlink("lib", from.join("lib64")).unwrap();
        fs::set_permissions(from.join("lib"), Permissions::from_mode(0o550)).unwrap();
        tree(&from, &to).unwrap();
        assert_eq!(to.join("lib64").read_link().unwrap(), Path::new("lib"));
        assert_eq!(to.join("lib").metadata().unwrap().mode() & 0o7777, 0o550);
        assert_eq!(to.join("lib/x/f").metadata().unwrap().nlink(), 2);
        replace::write(&to.join("lib/x/f"), b"new").unwrap();
        assert_eq!(fs::read(from.join("lib/x/f")).unwrap(), b"old");
    }
}
