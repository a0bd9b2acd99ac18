//! Whether a start would run nobody's code but the caller's and root's. Starting an interpreter executes what lies in the environment,
//! and this tool runs as root from cron: git refuses the repositories of strangers for the same reason (`safe.directory`).

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use contract::path::shown;

/// As many links on one way as a kernel follows (path_resolution(7)).
const LINKS: u8 = 40;

/// What is known of folders on the way to what is started; most paths share theirs.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    folders: Mutex<HashMap<PathBuf, bool>>,
}

impl Trust {
    /// The first of these paths that somebody else could have written or could exchange, in words; `None` where there is none.
    /// A path that is not there is nobody's.
    pub(crate) fn breach<'a>(&self, mut paths: impl Iterator<Item = &'a Path>) -> Option<String> {
        paths
            .find(|path| !self.is_ours(path))
            .map(|path| format!("{} belongs to neither you nor root, or others can change it", shown(path)))
    }

    fn is_ours(&self, path: &Path) -> bool {
        path.symlink_metadata().is_err() || self.is_ours_within(path, LINKS)
    }

    /// Follows links one by one: each lies in a folder, and whoever can write there can turn it elsewhere.
    fn is_ours_within(&self, path: &Path, links: u8) -> bool {
        let Ok(meta) = path.symlink_metadata() else { return false };
        is_owned(&meta)
            && path.parent().is_none_or(|folder| self.is_safe_way(folder))
            && if meta.is_symlink() {
                links > 0 && target(path).is_some_and(|next| self.is_ours_within(&next, links - 1))
            } else {
                is_private(&meta)
            }
    }

    /// Whether nobody else can exchange what lies in this folder, or the folder itself.
    fn is_safe_way(&self, folder: &Path) -> bool {
        if folder.as_os_str().is_empty() {
            return true;
        }
        let known = self.folders.lock().unwrap_or_else(PoisonError::into_inner).get(folder).copied();
        known.unwrap_or_else(|| {
            let safe = self.is_safe(folder);
            self.folders.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned(), safe);
            safe
        })
    }

    /// In a sticky folder (`/tmp`) only owners can exchange what is theirs. A link is only followed once nobody else can turn it.
    fn is_safe(&self, folder: &Path) -> bool {
        let Ok(meta) = folder.symlink_metadata() else { return false };
        is_owned(&meta)
            && folder.parent().is_none_or(|above| self.is_safe_way(above))
            && if meta.is_symlink() {
                target(folder).is_some_and(|next| self.is_safe_way(&next))
            } else {
                meta.mode() & 0o1000 != 0 || is_private(&meta)
            }
    }
}

/// Where a link leads, one step.
fn target(link: &Path) -> Option<PathBuf> {
    Some(link.parent()?.join(fs::read_link(link).ok()?))
}

/// Of a link by the link's own owner: whoever owns it decides where it leads.
fn is_owned(meta: &Metadata) -> bool {
    [0, rustix::process::geteuid().as_raw()].contains(&meta.uid())
}

/// A group may write where it is root's, or the owner's private one (the same number, as Debian, Fedora and Ubuntu make it).
fn is_private(meta: &Metadata) -> bool {
    let by_group = meta.mode() & 0o020 != 0 && meta.gid() != 0 && meta.gid() != meta.uid();
    !by_group && meta.mode() & 0o002 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_others_can_write_or_exchange_is_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let (way, file) = (folder.path().join("way"), folder.path().join("way/file"));
        fs::create_dir(&way).unwrap();
        contract::replace::write(&file, b"").unwrap();
        let ours = |mode_way: u32, mode_file: u32| {
            fs::set_permissions(&way, fs::Permissions::from_mode(mode_way)).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode_file)).unwrap();
            Trust::default().breach([file.as_path()].into_iter()).is_none()
        };
        assert!(ours(0o755, 0o644));
        assert!(ours(0o1777, 0o600), "a sticky folder keeps owners' files");
        assert!(!ours(0o777, 0o644));
        assert!(!ours(0o755, 0o666));
        assert!(Trust::default().breach([folder.path().join("gone").as_path()].into_iter()).is_none());
    }

    #[test]
    fn a_link_is_no_way_around() {
        let folder = tempfile::tempdir().unwrap();
        let (way, file) = (folder.path().join("way"), folder.path().join("way/file"));
        let (to_way, to_file) = (folder.path().join("to-way"), folder.path().join("to-file"));
        fs::create_dir(&way).unwrap();
        contract::replace::write(&file, b"").unwrap();
        std::os::unix::fs::symlink("way", &to_way).unwrap();
        std::os::unix::fs::symlink("to-way/file", &to_file).unwrap();
        for (mode, ours) in [(0o755, true), (0o777, false)] {
            fs::set_permissions(&way, fs::Permissions::from_mode(mode)).unwrap();
            for path in [&to_file, &to_way.join("file")] {
                assert_eq!(Trust::default().breach([path.as_path()].into_iter()).is_none(), ours, "{path:?} {mode:o}");
            }
        }
        // A link on the way that lies where others can turn it, though it leads to a good place now.
        let (turned, good) = (way.join("turned"), folder.path().join("good"));
        contract::replace::write(&good, b"").unwrap();
        std::os::unix::fs::symlink(&good, &turned).unwrap();
        fs::remove_file(&to_file).unwrap();
        std::os::unix::fs::symlink(&turned, &to_file).unwrap();
        assert!(Trust::default().breach([to_file.as_path()].into_iter()).is_some(), "a link in between counts");
        fs::remove_file(&turned).unwrap();
        assert!(Trust::default().breach([to_file.as_path()].into_iter()).is_some(), "somebody may come to put something there");
        let circle = folder.path().join("circle");
        std::os::unix::fs::symlink("circle", &circle).unwrap();
        assert!(Trust::default().breach([circle.as_path()].into_iter()).is_some());
    }
}
