//! The tree that was there before: named for the time of the change, ignored by git, and marked as ours.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::{Subject, shown};
use contract::replace;
use rustix::fs::{CWD, OFlags, RenameFlags, rename, renameat_with};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::edit::{Content, Edit};
use crate::swap::{beside, parent};

/// The file in a backup that says that it is ours to prune and to swap back.
pub(crate) const MARKER: &str = "mendline-backup.json";
/// Bytes; ours have some hundred.
const LONGEST_MARKER: u64 = 64 << 10;

const IGNORE: &str = ".gitignore";
/// What ours says.
const ALL: &[u8] = b"*\n";

/// What the marker says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Marker {
    v: u64,
    /// Where the environment stood.
    pub(crate) of: Subject,
    /// Of the change that replaced it.
    pub(crate) id: String,
    /// Whether its `.gitignore` is ours.
    gitignore: bool,
}

/// Makes the tree at `aside` the backup of `venv`, named for the time of the change, ignored by git, and marked as ours.
pub(crate) fn keep(venv: &Path, aside: &Path, id: &str) -> anyhow::Result<PathBuf> {
    mark(aside, venv, id)?;
    let stamp = id.split('-').next().unwrap_or(id);
    for collision in 0..100 {
        let suffix = if collision == 0 { String::new() } else { format!("-{collision:02}") };
        let backup = beside(venv, &format!(".backup_{stamp}{suffix}"));
        match rename_to_free(aside, &backup) {
            Ok(()) => return replace::sync_folder(parent(venv)).map(|()| backup),
            Err(Errno::EXIST | Errno::NOTEMPTY) => {}
            Err(errno) => return Err(errno).with_context(|| format!("cannot rename {} to {}", shown(aside), shown(&backup))),
        }
    }
    anyhow::bail!("there are a hundred backups of {} from one second", shown(venv))
}

/// Renames without ever replacing what is there.
fn rename_to_free(from: &Path, to: &Path) -> Result<(), Errno> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if to.symlink_metadata().is_err() => rename(from, to),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Err(Errno::EXIST),
        renamed => renamed,
    }
}

/// Says in a tree that it is a backup of `venv`, since the change `id`; an older word on that, from before somebody renamed it into
/// place, is replaced.
pub(crate) fn mark(tree: &Path, venv: &Path, id: &str) -> anyhow::Result<()> {
    let before = marker(tree)?;
    let ignored = tree.join(IGNORE).symlink_metadata().is_ok();
    if before.as_ref().is_some_and(|marker| marker.id == id && (ignored || !marker.gitignore)) {
        return Ok(());
    }
    let gitignore = !ignored || before.is_some_and(|marker| marker.gitignore);
    let marker = Marker { v: 1, of: Subject::from(venv), id: id.to_owned(), gitignore };
    put(tree, MARKER, serde_json::to_vec(&marker).context("cannot render a marker")?)?;
    if !ignored {
        put(tree, IGNORE, ALL.to_vec())?;
    }
    replace::sync_folder(tree)
}

fn put(tree: &Path, name: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
    Edit { path: name.into(), content: Content::File { bytes, mode: 0o600 } }.apply(tree)
}

/// Takes back what [`mark`] said: the tree is in use again. A `.gitignore` that somebody has written over ours is theirs.
pub(crate) fn unmark(tree: &Path) -> anyhow::Result<()> {
    let Some(marker) = marker(tree)? else { return Ok(()) };
    let is_ours = marker.gitignore && read(&tree.join(IGNORE)).is_ok_and(|bytes| bytes == ALL);
    let names = if is_ours { &[IGNORE, MARKER][..] } else { &[MARKER] };
    for name in names {
        match fs::remove_file(tree.join(name)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(e).with_context(|| format!("cannot remove {name} from {}", shown(tree)));
            }
            _ => {}
        }
    }
    replace::sync_folder(tree)
}

/// What a tree says of itself as a backup; `None` where it is none of ours.
pub(crate) fn marker(tree: &Path) -> anyhow::Result<Option<Marker>> {
    let path = tree.join(MARKER);
    match read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).with_context(|| format!("cannot understand {}", shown(&path))),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(e).with_context(|| format!("cannot read {}", shown(&path))),
    }
}

/// Whether a tree says that it is a backup of itself: it was renamed into place by hand, and is in use again.
pub(crate) fn is_own(tree: &Path) -> bool {
    marker(tree).is_ok_and(|marker| marker.is_some_and(|marker| marker.of.as_path() == tree))
}

/// Anybody may have put anything there: a pipe that nobody writes to, or a link to a device that never ends.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(i32::try_from(flags.bits()).unwrap_or_default()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST_MARKER).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// When the tree became a backup, as the id of the change that displaced it: names can be given by hand. Sorts by time.
pub(crate) fn since(backup: &Path) -> String {
    let marked = marker(backup).ok().flatten().map(|marker| marker.id);
    marked.filter(|id| id.get(..15).is_some_and(is_stamp)).or_else(|| stamp(backup)).unwrap_or_default()
}

/// The backups of an environment that are ours, newest first.
pub(crate) fn backups(venv: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut backups = named(venv)?;
    backups.retain(|backup| marker(backup).is_ok_and(|marker| marker.is_some()));
    backups.sort_by_cached_key(|backup| std::cmp::Reverse((since(backup), backup.clone())));
    Ok(backups)
}

/// What is named as a backup of an environment, be it ours or not.
pub(crate) fn named(venv: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut prefix = venv.file_name().context("an environment needs a name")?.to_owned();
    prefix.push(".backup_");
    let folder = parent(venv);
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", shown(folder)))?;
    let names = entries.filter_map(|entry| entry.ok().map(|entry| entry.file_name()));
    Ok(names.filter(|name| stamp_behind(name, &prefix).is_some()).map(|name| folder.join(name)).collect())
}

/// The path that a backup is named for.
pub(crate) fn backup_of(backup: &Path) -> Option<PathBuf> {
    let name = backup.file_name()?.as_encoded_bytes();
    let at = name.windows(8).rposition(|window| window == b".backup_")?;
    let (name, stamp) = (&name[..at], std::str::from_utf8(&name[at + 8..]).ok()?);
    is_stamp(stamp).then(|| backup.with_file_name(crate::layout::path(name)))
}

/// The `YYYYMMDD_HHMMSS` in the name of a backup.
pub(crate) fn stamp(backup: &Path) -> Option<String> {
    let name = backup.file_name()?.to_string_lossy().into_owned();
    let at = name.rfind(".backup_")? + ".backup_".len();
    is_stamp(name.get(at..)?).then(|| name[at..at + 15].to_owned())
}

fn stamp_behind(name: &OsString, prefix: &OsString) -> Option<()> {
    let rest = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes())?;
    is_stamp(std::str::from_utf8(rest).ok()?).then_some(())
}

fn is_stamp(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (stamp, suffix) = text.split_at_checked(15).unwrap_or((text, ""));
    let whole = stamp.split_once('_').is_some_and(|(date, time)| date.len() == 8 && time.len() == 6 && digits(date) && digits(time));
    whole && (suffix.is_empty() || suffix.strip_prefix('-').is_some_and(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_of_one_second_do_not_meet_and_only_ours_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let venv = folder.path().join(".venv");
        let aside = crate::swap::aside(&venv, "20260101_000000-0000");
        fs::create_dir(&aside).unwrap();
        fs::create_dir(folder.path().join(".venv.backup_20260101_000000")).unwrap();
        let backup = keep(&venv, &aside, "20260101_000000-0000").unwrap();
        assert_eq!(backup.file_name().unwrap(), ".venv.backup_20260101_000000-01");
        assert_eq!(backups(&venv).unwrap(), std::slice::from_ref(&backup));
        assert_eq!(fs::read(backup.join(".gitignore")).unwrap(), b"*\n");
        assert_eq!(stamp(&backup).unwrap(), "20260101_000000");
        unmark(&backup).unwrap();
        assert!(!backup.join(".gitignore").exists() && backups(&venv).unwrap().is_empty());
    }

    #[test]
    fn the_change_tells_the_time_and_not_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let venv = folder.path().join(".venv");
        let made = |name: &str, id: &str| {
            let backup = folder.path().join(name);
            fs::create_dir(&backup).unwrap();
            mark(&backup, &venv, id).unwrap();
            backup
        };
        let older = made(".venv.backup_20260105_000000", "20260102_000000-000000");
        let newer = made(".venv.backup_20260101_000000", "20260103_000000-000000");
        let strange = made(".venv.backup_20260104_000000", "yesterday");
        assert_eq!(backups(&venv).unwrap(), [strange, newer, older]);
    }

    #[test]
    fn a_marker_that_is_no_file_of_ours_is_not_read_to_its_end() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let (path, tree) = (folder.path().join(MARKER), folder.path());
        symlink("/dev/zero", &path).unwrap();
        assert!(marker(tree).is_err());
        fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(marker(tree).is_err());
        fs::remove_file(&path).unwrap();
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(marker(tree).is_err());
    }
}
