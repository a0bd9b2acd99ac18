//! Whether nobody but the caller and root decides what is executed, or believed. The tools run as root from cron, and starting an
//! interpreter or an installer executes what lies in an environment: git refuses the repositories of strangers for the same reason
//! (`safe.directory`). Probe and repair must not disagree about it, so the rule stands here.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;

use crate::path::shown;

/// As many links on one way as a kernel follows (path_resolution(7)).
const LINKS: u8 = 40;

/// No tree that an interpreter or an installer reads has as many entries; whoever piles up more only wants to keep us busy.
const ENTRIES: usize = 500_000;

/// As long as an extended attribute can be (xattr(7)), in bytes.
const LONGEST_LIST: usize = 64 << 10;

/// What is known of folders on the way to what is executed, and of whole trees; most paths share theirs.
#[derive(Debug, Default)]
pub struct Trust {
    folders: Mutex<HashMap<PathBuf, Way>>,
    trees: Mutex<HashMap<PathBuf, Option<String>>>,
}

impl Trust {
    /// The first of these paths that somebody else could have written or could exchange, in words; `None` where there is none.
    /// Of a path that is not there it counts who could put something there.
    pub fn breach<'a>(&self, mut paths: impl Iterator<Item = &'a Path>) -> Option<String> {
        paths.find_map(|path| self.follow(path).err()).map(|culprit| words(&culprit))
    }

    /// The same for a folder with all that it holds and all that the links in it lead to; entries with these names are passed over.
    pub fn breach_below(&self, folder: &Path, except: &[&str]) -> Option<String> {
        let known = self.trees.lock().unwrap_or_else(PoisonError::into_inner).get(folder).cloned();
        known.unwrap_or_else(|| {
            let breach = self.below(folder, except).err().map(|culprit| words(&culprit));
            self.trees.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned(), breach.clone());
            breach
        })
    }

    fn below(&self, folder: &Path, except: &[&str]) -> Result<(), PathBuf> {
        let (mut left, mut seen, mut count) = (vec![folder.to_owned()], HashSet::new(), 0);
        while let Some(folder) = left.pop() {
            self.follow(&folder)?;
            match folder.metadata() {
                Ok(meta) if meta.is_dir() && seen.insert((meta.dev(), meta.ino())) => {}
                _ => continue,
            }
            let unknown = |_: io::Error| folder.clone();
            for entry in fs::read_dir(&folder).map_err(unknown)? {
                let entry = entry.map_err(unknown)?;
                count += 1;
                if count > ENTRIES {
                    return Err(folder);
                }
                if except.iter().any(|name| entry.file_name() == *name) {
                    continue;
                }
                let meta = entry.metadata().map_err(unknown)?;
                if meta.is_dir() || meta.is_symlink() {
                    left.push(entry.path());
                } else if !is_owned(&meta) || !is_private(&entry.path(), &meta) {
                    return Err(entry.path());
                }
            }
        }
        Ok(())
    }

    /// Walks to a path as the kernel does; each link lies in a folder, and whoever can write there can turn it elsewhere.
    fn follow(&self, path: &Path) -> Way {
        let Some((folder, name)) = path.parent().zip(path.file_name()) else { return walk(PathBuf::from("/"), path, true) };
        let known = self.folders.lock().unwrap_or_else(PoisonError::into_inner).get(folder).cloned();
        let way = known.unwrap_or_else(|| {
            let way = walk(PathBuf::from("/"), folder, false);
            self.folders.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned(), way.clone());
            way
        });
        match way? {
            Some(folder) => walk(folder, Path::new(name), true),
            None => Ok(None),
        }
    }
}

/// Where a path ends, links followed; `None` where nothing is there and nobody else can put something there; the first thing on the way
/// that is not ours.
type Way = Result<Option<PathBuf>, PathBuf>;

/// Goes on from a folder that is ours. In a sticky folder (`/tmp`) only owners can exchange what is theirs, so that is good enough
/// on the way, and not at its end.
fn walk(mut at: PathBuf, path: &Path, to_its_end: bool) -> Way {
    let mut left = parts(path);
    let mut links = LINKS;
    while let Some(part) = left.pop() {
        if part == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&part);
        let meta = match next.symlink_metadata() {
            Ok(meta) => meta,
            Err(error) if is_absence(error.kind()) => {
                return if at.symlink_metadata().is_ok_and(|meta| is_private(&at, &meta)) { Ok(None) } else { Err(next) };
            }
            Err(_) => return Err(next),
        };
        if !is_owned(&meta) {
            return Err(next);
        }
        if meta.is_symlink() {
            // A circle of links that are all ours leads nobody anywhere.
            let Some(more) = links.checked_sub(1) else { return Ok(None) };
            links = more;
            let Ok(target) = fs::read_link(&next) else { return Err(next) };
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            left.extend(parts(&target));
            continue;
        }
        let is_kept = meta.is_dir() && meta.mode() & 0o1000 != 0 && !(to_its_end && left.is_empty());
        if !is_kept && !is_private(&next, &meta) {
            return Err(next);
        }
        at = next;
    }
    Ok(Some(at))
}

/// No such name, a file in place of a folder, a name that no file can have.
fn is_absence(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound};
    matches!(kind, NotFound | NotADirectory | InvalidFilename | InvalidInput)
}

/// The parts of a path, the first one last.
fn parts(path: &Path) -> Vec<OsString> {
    let named = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    named.map(|part| part.as_os_str().to_owned()).rev().collect()
}

fn words(culprit: &Path) -> String {
    format!("{} belongs to neither you nor root, or others can change it", shown(culprit))
}

/// Of a link by the link's own owner: whoever owns it decides where it leads.
fn is_owned(meta: &Metadata) -> bool {
    [0, rustix::process::geteuid().as_raw()].contains(&meta.uid())
}

/// A group may write where it is root's, or the owner's private one (the same number, as Debian, Fedora and Ubuntu make it).
/// On macOS the group `admin` (80), to which Homebrew's folders belong, may become root anyway.
fn is_private(path: &Path, meta: &Metadata) -> bool {
    let is_harmless = |group: u32| group == 0 || cfg!(target_os = "macos") && group == 80 || group == meta.uid();
    if meta.mode() & 0o002 != 0 {
        return false;
    }
    let is_ours = |writer: Writer| match writer {
        Writer::User(user) => [0, rustix::process::geteuid().as_raw()].contains(&user),
        Writer::Group(group) => is_harmless(group),
        Writer::OwningGroup => is_harmless(meta.gid()),
    };
    // Where there is a list, these bits say what the most is that anybody on it may do (acl(5)).
    meta.mode() & 0o020 == 0 || writers(path).is_some_and(|writers| writers.into_iter().all(is_ours))
}

/// Who may write besides the owner.
enum Writer {
    User(u32),
    Group(u32),
    OwningGroup,
}

/// Those who may write to what its group may write to, or its list says who; `None` where that cannot be told.
fn writers(path: &Path) -> Option<Vec<Writer>> {
    let mut list = vec![0; LONGEST_LIST];
    match rustix::fs::lgetxattr(path, "system.posix_acl_access", &mut list[..]) {
        Ok(length) => parse(&list[..length]),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Some(vec![Writer::OwningGroup]),
        Err(_) if !cfg!(target_os = "linux") => Some(vec![Writer::OwningGroup]),
        Err(_) => None,
    }
}

/// As the kernel has it (`posix_acl_xattr.h`): a version, then a tag, what is allowed, and a number for each.
fn parse(list: &[u8]) -> Option<Vec<Writer>> {
    const WRITE: u16 = 2;
    let entries = list.strip_prefix(&2_u32.to_le_bytes())?.chunks_exact(8);
    let entries = entries.map(|entry| {
        let [tag, allowed] = [0, 2].map(|at| u16::from_le_bytes([entry[at], entry[at + 1]]));
        (tag, allowed, u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]))
    });
    let writers = entries.filter(|(_, allowed, _)| allowed & WRITE != 0).filter_map(|(tag, _, number)| match tag {
        0x02 => Some(Writer::User(number)),
        0x04 => Some(Writer::OwningGroup),
        0x08 => Some(Writer::Group(number)),
        _ => None,
    });
    Some(writers.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn is_ours(path: &Path) -> bool {
        Trust::default().breach([path].into_iter()).is_none()
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_circle_of_our_own_links_leads_to_nobody() {
        let folder = tempfile::tempdir().unwrap();
        symlink("b", folder.path().join("a")).unwrap();
        symlink("a", folder.path().join("b")).unwrap();
        assert!(is_ours(&folder.path().join("a")) && is_ours(&folder.path().join("a/file")));
        mode(folder.path(), 0o777);
        assert!(!is_ours(&folder.path().join("a")), "unless somebody else can break the circle");
    }

    #[test]
    fn what_others_can_write_or_exchange_is_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let (way, file) = (folder.path().join("way"), folder.path().join("way/file"));
        fs::create_dir(&way).unwrap();
        crate::replace::write(&file, b"").unwrap();
        let ours = |mode_way: u32, mode_file: u32| {
            mode(&way, mode_way);
            mode(&file, mode_file);
            is_ours(&file)
        };
        assert!(ours(0o755, 0o644));
        assert!(ours(0o1777, 0o600), "a sticky folder keeps owners' files");
        assert!(!is_ours(&way.join("gone")) && !is_ours(&way.join("gone/too")), "and takes anybody's");
        assert!(!ours(0o777, 0o644));
        assert!(!ours(0o755, 0o666));
        assert!(is_ours(&folder.path().join("gone")));
    }

    /// As `setfacl -m u:NAME:rwx` leaves it: the owner and the bits say nothing of it.
    #[test]
    #[cfg(target_os = "linux")]
    fn who_is_on_an_access_control_list_counts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        crate::replace::write(&file, b"").unwrap();
        let list = |tag: u16, allowed: u16, number: u32| {
            let mut entries = [(1, 6, u32::MAX), (tag, allowed, number), (4, 4, u32::MAX), (16, 6, u32::MAX), (32, 4, u32::MAX)];
            entries.sort_unstable();
            let mut bytes = 2_u32.to_le_bytes().to_vec();
            for (tag, allowed, number) in entries {
                bytes.extend([u16::to_le_bytes(tag), u16::to_le_bytes(allowed)].concat());
                bytes.extend(u32::to_le_bytes(number));
            }
            bytes
        };
        let ours = |list: Vec<u8>| match rustix::fs::setxattr(&file, "system.posix_acl_access", &list, rustix::fs::XattrFlags::empty()) {
            Err(rustix::io::Errno::OPNOTSUPP) => None,
            set => set.map(|()| is_ours(&file)).ok(),
        };
        let Some(by_us) = ours(list(2, 6, rustix::process::geteuid().as_raw())) else { return };
        assert!(by_us);
        assert_eq!([ours(list(2, 4, 65534)), ours(list(8, 6, 0))], [Some(true); 2], "who may read, and root's group");
        assert_eq!([ours(list(2, 6, 65534)), ours(list(8, 6, 65534))], [Some(false); 2]);
        assert!(super::parse(&[1, 0, 0, 0]).is_none());
    }

    #[test]
    fn a_link_is_no_way_around() {
        let folder = tempfile::tempdir().unwrap();
        let (way, file) = (folder.path().join("way"), folder.path().join("way/file"));
        let (to_way, to_file) = (folder.path().join("to-way"), folder.path().join("to-file"));
        fs::create_dir(&way).unwrap();
        crate::replace::write(&file, b"").unwrap();
        symlink("way", &to_way).unwrap();
        symlink("to-way/../way/file", &to_file).unwrap();
        for (bits, ours) in [(0o755, true), (0o777, false)] {
            mode(&way, bits);
            for path in [&to_file, &to_way.join("file")] {
                assert_eq!(is_ours(path), ours, "{path:?} {bits:o}");
            }
        }
        // A link on the way that lies where others can turn it, though it leads to a good place now.
        let (turned, good) = (way.join("turned"), folder.path().join("good"));
        crate::replace::write(&good, b"").unwrap();
        symlink(&good, &turned).unwrap();
        fs::remove_file(&to_file).unwrap();
        symlink(&turned, &to_file).unwrap();
        assert!(!is_ours(&to_file), "a link in between counts");
        fs::remove_file(&turned).unwrap();
        assert!(!is_ours(&to_file), "somebody may come to put something there");
        let circle = folder.path().join("circle");
        symlink("circle", &circle).unwrap();
        assert!(is_ours(&circle.join("file")), "nobody else can turn it");
        symlink("circle", way.join("circle")).unwrap();
        assert!(!is_ours(&way.join("circle")));
    }

    #[test]
    fn a_tree_is_trusted_with_all_that_its_links_lead_to() {
        let folder = tempfile::tempdir().unwrap();
        let (tree, elsewhere) = (folder.path().join("tree"), folder.path().join("elsewhere"));
        fs::create_dir_all(tree.join("deep/er")).unwrap();
        fs::create_dir_all(&elsewhere).unwrap();
        symlink(&elsewhere, tree.join("deep/link")).unwrap();
        symlink("..", tree.join("deep/er/circle")).unwrap();
        let file = elsewhere.join("file");
        crate::replace::write(&file, b"").unwrap();
        let breach = |except: &[&str]| Trust::default().breach_below(&tree, except);
        assert_eq!(breach(&[]), None);
        mode(&file, 0o666);
        assert!(breach(&[]).is_some_and(|why| why.contains("link/file")));
        assert_eq!(breach(&["link"]), None);
    }
}
