//! Who may do what in a new tree: whoever could in the old one, whatever the umask and the groups of this run.

use std::fs::{self, DirBuilder, File, FileTimes, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;
use rustix::fs::{AtFlags, CWD, Gid, Uid, chownat, rename};

/// Gives every folder of the tree `new` the mode, owner and group of the one at the same place in `old`, else of the one that it lies in;
/// and every file what is usual (0644, programs 0755) as far as its folder lets anyone in.
///
/// # Errors
/// Something belongs to somebody whom we may not give anything, or cannot be changed.
pub(crate) fn adopt(old: &Path, new: &Path) -> anyhow::Result<()> {
    let root = Access::of(&old.metadata().with_context(|| format!("cannot read {}", shown(old)))?);
    let made = root.chown(new).and_then(|()| new.metadata()).with_context(|| denied(new))?;
    let mut folders = vec![(PathBuf::new(), made, root)];
    while let Some((folder, made, access)) = folders.pop() {
        let path = new.join(&folder);
        access.give(&path, &made).with_context(|| denied(&path))?;
        for entry in fs::read_dir(&path).with_context(|| denied(&path))? {
            let entry = entry.with_context(|| denied(&path))?;
            let (inner, meta) = (folder.join(entry.file_name()), entry.metadata().with_context(|| denied(&path))?);
            if meta.is_dir() {
                let before = old.join(&inner).symlink_metadata().ok().filter(Metadata::is_dir);
                folders.push((inner, meta, before.map_or(access, |before| Access::of(&before))));
            } else {
                access.inside(&meta).apply(&entry.path(), &meta).with_context(|| denied(&entry.path()))?;
            }
        }
    }
    Ok(())
}

/// Makes the folders that lead to `path` below `new`, like those below `old`.
///
/// # Errors
/// One cannot be made.
pub(crate) fn make_parents(old: &Path, new: &Path, path: &Path) -> anyhow::Result<()> {
    let above: Vec<&Path> = path.ancestors().skip(1).collect();
    for folder in above.into_iter().rev().filter(|folder| new.join(folder).symlink_metadata().is_err()) {
        let path = new.join(folder);
        let model = [old.join(folder), new.join(folder.parent().unwrap_or(folder))].iter().find_map(|model| model.metadata().ok());
        let model = model.with_context(|| denied(&path))?;
        let created = DirBuilder::new().mode(0o700).create(&path);
        created.and_then(|()| Access::of(&model).give(&path, &path.metadata()?)).with_context(|| denied(&path))?;
    }
    Ok(())
}

fn denied(path: &Path) -> String {
    format!("cannot give {} the owner and mode that it has in the old environment", shown(path))
}

#[derive(Clone, Copy)]
struct Access {
    mode: u32,
    uid: u32,
    gid: u32,
}

impl Access {
    /// Of a folder; its owner must be able to use it, else it is damaged.
    fn of(folder: &Metadata) -> Self {
        Self { mode: folder.mode() & 0o7777 | 0o700, uid: folder.uid(), gid: folder.gid() }
    }

    fn give(self, folder: &Path, meta: &Metadata) -> io::Result<()> {
        self.own(folder, meta)?;
        // A change of owner takes the bits beyond 0777 away.
        if self.owns(meta) && meta.mode() & 0o7777 == self.mode {
            Ok(())
        } else {
            fs::set_permissions(folder, Permissions::from_mode(self.mode))
        }
    }

    fn chown(self, path: &Path) -> io::Result<()> {
        let (uid, gid) = (Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)));
        chownat(CWD, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW).map_err(io::Error::from)
    }

    /// Bytecode that root has once left in somebody's environment is no reason against a new one.
    fn own(self, path: &Path, meta: &Metadata) -> io::Result<()> {
        if self.owns(meta) {
            return Ok(());
        }
        match self.chown(path) {
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            owned => owned,
        }
    }

    fn owns(self, meta: &Metadata) -> bool {
        (meta.uid(), meta.gid()) == (self.uid, self.gid)
    }

    /// Of a file in this folder.
    fn inside(self, file: &Metadata) -> Self {
        let usual = if file.mode() & 0o111 == 0 { 0o644 } else { 0o755 };
        let entered = [0o100, 0o010, 0o001].into_iter().filter(|bit| self.mode & bit != 0).map(|bit| bit * 0o7).sum::<u32>();
        Self { mode: usual & entered, ..self }
    }

    fn apply(self, path: &Path, meta: &Metadata) -> io::Result<()> {
        if !meta.is_file() {
            return self.own(path, meta);
        }
        if meta.nlink() > 1 {
            // Its other names are in an installer's cache and in other environments: it stays as it is where it is open enough.
            let everybody = meta.mode() & 0o7 | 0o700 | (meta.mode() & 0o7) << 3;
            let of_group = if meta.gid() == self.gid { meta.mode() } else { everybody };
            let is_open = self.mode & !(meta.mode() & 0o707 | of_group & 0o070) == 0;
            return if is_open { Ok(()) } else { self.apply_to_a_copy(path, meta) };
        }
        self.own(path, meta)?;
        if meta.mode() & 0o7777 == self.mode { Ok(()) } else { fs::set_permissions(path, Permissions::from_mode(self.mode)) }
    }

    fn apply_to_a_copy(self, path: &Path, meta: &Metadata) -> io::Result<()> {
        let mut name = path.as_os_str().to_owned();
        name.push(".mendline-copy");
        let copy = PathBuf::from(name);
        fs::copy(path, &copy)?;
        // Python holds the time of a source against the one in its bytecode.
        File::options().append(true).open(&copy)?.set_times(FileTimes::new().set_modified(meta.modified()?))?;
        self.own(&copy, &copy.metadata()?)?;
        fs::set_permissions(&copy, Permissions::from_mode(self.mode))?;
        rename(&copy, path).map_err(io::Error::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(modes: &[(&str, u32)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, mode) in modes {
            let path = root.path().join(path);
            if path.extension().is_some() {
                drop(File::create(&path).unwrap());
            } else {
                fs::create_dir_all(&path).unwrap();
            }
            fs::set_permissions(&path, Permissions::from_mode(*mode)).unwrap();
        }
        root
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o7777
    }

    #[test]
    fn folders_are_as_before_and_files_as_open_as_they() {
        let old = tree(&[("", 0o2750), ("lib", 0o2750), ("lib/x", 0o2770)]);
        let new = tree(&[("", 0o700), ("lib", 0o700), ("lib/x", 0o700), ("lib/y", 0o777), ("lib/x/a.py", 0o600), ("lib/y/run.sh", 0o700)]);
        adopt(old.path(), new.path()).unwrap();
        let modes = ["", "lib", "lib/x", "lib/y", "lib/x/a.py", "lib/y/run.sh"].map(|path| mode(&new.path().join(path)));
        assert_eq!(modes, [0o2750, 0o2750, 0o2770, 0o2750, 0o640, 0o750]);
    }

    #[test]
    fn a_file_that_a_cache_has_too_is_changed_in_a_copy_and_only_if_need_be() {
        let (old, new) = (tree(&[("", 0o755)]), tree(&[("", 0o700), ("shut.py", 0o600), ("open.py", 0o664)]));
        let cache = tempfile::tempdir_in(new.path().parent().unwrap()).unwrap();
        for name in ["shut.py", "open.py"] {
            fs::hard_link(new.path().join(name), cache.path().join(name)).unwrap();
        }
        adopt(old.path(), new.path()).unwrap();
        let modes = |root: &Path| ["shut.py", "open.py"].map(|name| mode(&root.join(name)));
        assert_eq!((modes(new.path()), modes(cache.path())), ([0o644, 0o664], [0o600, 0o664]));
        assert_eq!(fs::read_dir(new.path()).unwrap().count(), 2);
    }
}
