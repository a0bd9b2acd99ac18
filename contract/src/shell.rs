//! Command lines for a person to copy.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::path::plain;

/// A word for a shell: bare, in single quotes or, where bytes cannot be shown, in `$'…'` (bash, zsh and ksh read it).
#[must_use]
pub fn quoted(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let bare = |b: &u8| b.is_ascii_alphanumeric() || b"/._-+,:@%".contains(b);
    match path.to_str() {
        Some(text) if !text.is_empty() && bytes.iter().all(bare) => text.to_owned(),
        Some(text) if plain(text) == text => format!("'{}'", text.replace('\'', r"'\''")),
        _ => {
            let mut word = "$'".to_owned();
            for &b in bytes {
                if (b.is_ascii_graphic() || b == b' ') && b != b'\'' && b != b'\\' {
                    word.push(char::from(b));
                } else if write!(word, "\\x{b:02x}").is_err() {
                    break;
                }
            }
            word + "'"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::process::Command;

    use proptest::prelude::*;

    #[test]
    fn words_are_quoted_no_more_than_needed() {
        assert_eq!(quoted(Path::new("/srv/a b/it's")), r"'/srv/a b/it'\''s'");
        assert_eq!(quoted(Path::new("/srv/app/.venv")), "/srv/app/.venv");
        assert_eq!(quoted(Path::new(OsStr::from_bytes(b"/a\n\xff"))), r"$'/a\x0a\xff'");
    }

    proptest! {
        #[test]
        fn bash_reads_back_the_very_bytes(bytes in prop::collection::vec(1_u8.., 1..40)) {
            let word = quoted(Path::new(OsStr::from_bytes(&bytes)));
            let script = format!("printf %s {word}");
            let printed = Command::new("bash").args(["-c", &script]).env("LC_ALL", "C.UTF-8").output().unwrap();
            prop_assert_eq!(printed.stdout, bytes, "{}", word);
        }
    }
}
