//! Whether a start would run nobody's code but the caller's and root's. Starting an interpreter executes what lies in the environment,
//! and this tool runs as root from cron: git refuses the repositories of strangers for the same reason (`safe.directory`).

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use contract::path::shown;

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
        let Ok(real) = fs::canonicalize(path) else { return path.symlink_metadata().is_err() };
        let spelt = [path, &real];
        is_private(&real) && spelt.iter().all(|path| path.ancestors().skip(1).all(|folder| self.is_safe_way(folder)) && is_owned(path))
    }

    /// Whether nobody else can exchange what lies in this folder. In a sticky one (`/tmp`) only owners can.
    fn is_safe_way(&self, folder: &Path) -> bool {
        if folder.as_os_str().is_empty() {
            return true;
        }
        let known = self.folders.lock().unwrap_or_else(PoisonError::into_inner).get(folder).copied();
        known.unwrap_or_else(|| {
            let sticky = fs::metadata(folder).is_ok_and(|meta| meta.mode() & 0o1000 != 0);
            let safe = is_owned(folder) && (sticky || is_private(folder));
            self.folders.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned(), safe);
            safe
        })
    }
}

/// By the link's own owner where it is one: whoever owns a link decides where it leads.
fn is_owned(path: &Path) -> bool {
    let caller = rustix::process::geteuid().as_raw();
    path.symlink_metadata().is_ok_and(|meta| [0, caller].contains(&meta.uid()))
}

/// A group may write where it is root's, or the owner's private one (the same number, as Debian, Fedora and Ubuntu make it).
fn is_private(path: &Path) -> bool {
    let private = |meta: fs::Metadata| {
        let by_group = meta.mode() & 0o020 != 0 && meta.gid() != 0 && meta.gid() != meta.uid();
        !by_group && meta.mode() & 0o002 == 0
    };
    fs::metadata(path).is_ok_and(private)
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
}
