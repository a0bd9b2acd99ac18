//! What changes in a text file, as a unified diff.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;
use similar::TextDiff;

use crate::parts;
use crate::store::contents::Contents;
use crate::store::manifest::{Entry, Kind};

/// A record stays below the size that a pipe takes whole, and a person reads no longer one.
const LONGEST: usize = 3000;
/// Larger files are compared by their sizes.
const LARGEST: u64 = 1 << 20;

/// The difference between two texts; `None` where one is no text, or nothing differs.
pub(crate) fn between(old: &[u8], new: &[u8]) -> Option<String> {
    let (old, new) = (std::str::from_utf8(old).ok()?, std::str::from_utf8(new).ok()?);
    if old.contains('\0') || new.contains('\0') || old == new {
        return None;
    }
    let diff = TextDiff::from_lines(old, new).unified_diff().context_radius(2).to_string();
    match diff.char_indices().nth(LONGEST) {
        None => Some(diff),
        Some((at, _)) => Some(format!("{}\n…\n", &diff[..at])),
    }
}

/// The difference between a file that is there and what a snapshot has of it.
pub(crate) fn live_to_entry(path: &Path, size: Option<u64>, entry: Option<&Entry>, contents: &Contents) -> Option<String> {
    let old = size.map_or_else(|| Some(Vec::new()), |size| live(path, size))?;
    let new = entry.map_or_else(|| Some(Vec::new()), |entry| kept(entry, contents))?;
    between(&old, &new)
}

/// What a snapshot has of a small file.
pub(crate) fn kept(entry: &Entry, contents: &Contents) -> Option<Vec<u8>> {
    if entry.kind != Kind::File || entry.size? > LARGEST {
        return None;
    }
    parts::whole(entry, contents).ok()
}

/// What is in a small file.
pub(crate) fn live(path: &Path, size: u64) -> Option<Vec<u8>> {
    if size > LARGEST {
        return None;
    }
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).ok()?;
    let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_and_other_bytes_are_not() {
        assert_eq!(between(b"a\nb\n", b"a\nc\n").unwrap(), "@@ -1,2 +1,2 @@\n a\n-b\n+c\n");
        assert_eq!(between(b"a", b"a"), None);
        assert_eq!(between(b"\xff", b"a"), None);
    }
}
