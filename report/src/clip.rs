//! Bounds on what is kept of a stream: a field may be as long as its line, and nobody reads megabytes in a table.

use std::borrow::Cow;
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use contract::path::Subject;

/// No text is kept beyond this many bytes.
const LONGEST_TEXT: usize = 2000;
/// `snapshot` cuts at 3000 characters; what is not its own is kept no longer either.
const LONGEST_DIFF: usize = 12_000;
/// `PATH_MAX` of Linux: what is longer names no file.
const LONGEST_PATH: usize = 4096;

/// The start of a text that is only read.
pub(crate) fn text(text: String) -> String {
    to(text, LONGEST_TEXT)
}

/// The start of a diff.
pub(crate) fn diff(diff: String) -> String {
    to(diff, LONGEST_DIFF)
}

fn to(mut text: String, longest: usize) -> String {
    if text.len() > longest {
        text.truncate(text.floor_char_boundary(longest));
        text.push('…');
        text.shrink_to_fit();
    }
    text
}

/// The start of a text that tells things apart. What was cut off leaves its hash, so that two things never become one.
pub(crate) fn name(name: &str) -> Cow<'_, str> {
    if name.len() <= LONGEST_TEXT {
        return Cow::Borrowed(name);
    }
    Cow::Owned(format!("{}{}", &name[..name.floor_char_boundary(LONGEST_TEXT)], mark(name.as_bytes())))
}

/// The start of a path, told apart as a [`name`] is; [`is_whole`] knows it again.
pub(crate) fn subject(subject: Subject) -> Subject {
    let bytes = subject.as_path().as_os_str().as_bytes();
    if bytes.len() <= LONGEST_PATH {
        return subject;
    }
    let kept = [&bytes[..LONGEST_PATH], mark(bytes).as_bytes()].concat();
    Subject::from(Path::new(&OsString::from_vec(kept)))
}

/// Whether nothing was cut off a path.
pub(crate) fn is_whole(path: &Path) -> bool {
    path.as_os_str().len() <= LONGEST_PATH
}

fn mark(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("…#{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_is_given_back_to_the_machine() {
        let kept = text("é".repeat(1 << 20));
        assert!(kept.ends_with("é…") && kept.capacity() < 2 * LONGEST_TEXT, "{}", kept.capacity());
        assert_eq!(text("short".to_owned()), "short");
    }

    #[test]
    fn long_things_that_differ_stay_apart() {
        let long = |end: &str| format!("/{}{end}", "x".repeat(1 << 16));
        let path = |end: &str| subject(Subject::from(&long(end)));
        assert_eq!(path("a"), path("a"));
        assert_ne!(path("a"), path("b"));
        assert_ne!(name(&long("a")), name(&long("b")));
        assert!(!is_whole(path("a").as_path()) && path("a").as_path().as_os_str().len() < 2 * LONGEST_PATH);
    }
}
