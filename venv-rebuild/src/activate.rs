//! The root that activate scripts carry, in the quoting of each shell.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::layout;
use crate::shebang::{find, single_quoted, word};

/// Where the value of `VIRTUAL_ENV` begins in the activate script of bash and zsh, as venv, virtualenv and uv write it.
const KEYS: [&[u8]; 2] = [b"VIRTUAL_ENV=", b"VIRTUAL_ENV "];

/// Whether a file of `bin` is an activate script of some shell.
pub(crate) fn is_one(name: &OsStr) -> bool {
    name.to_ascii_lowercase().as_bytes().starts_with(b"activate")
}

/// The root that the script for `sh` sets, where it is written out.
pub(crate) fn root(script: &[u8]) -> Option<PathBuf> {
    let at = KEYS.iter().find_map(|key| find(script, key).map(|at| at + key.len()))?;
    let value = &script[at..];
    if value.starts_with(b"'") {
        return word(value).map(|(root, _)| layout::path(&root).to_owned());
    }
    let line = &value[..value.iter().position(|&b| b == b'\n').unwrap_or(value.len())];
    let from = line.iter().position(|&b| b == b'/')?;
    let value = &line[from..];
    let quote = from.checked_sub(1).map(|before| line[before]).filter(|b| b"'\"".contains(b));
    let end = value.iter().position(|&b| quote.map_or(b.is_ascii_whitespace() || b == b')', |quote| b == quote));
    Some(PathBuf::from(OsStr::from_bytes(&value[..end.unwrap_or(value.len())])))
}

/// The script with every mention of the root `from` replaced by `to`, or `None` where there is none.
pub(crate) fn moved(name: &OsStr, script: &[u8], from: &Path, to: &Path) -> Option<Vec<u8>> {
    let shell = Shell::of(name);
    let (old, new) = (from.as_os_str().as_bytes(), to.as_os_str().as_bytes());
    let mut moved = Vec::with_capacity(script.len());
    let mut rest = script;
    while let Some((before, quote, after)) = next(rest, &shell, old) {
        moved.extend_from_slice(before);
        moved.extend_from_slice(&shell.word(new, quote));
        rest = after;
    }
    if moved.is_empty() {
        return None;
    }
    moved.extend_from_slice(rest);
    Some(moved)
}

/// What stands before the next mention of the root and its quotes, which quotes those are, and what stands behind.
fn next<'a>(text: &'a [u8], shell: &Shell, root: &[u8]) -> Option<(&'a [u8], Option<u8>, &'a [u8])> {
    let mut skipped = 0;
    loop {
        let (at, quote, length) = [Some(b'\''), Some(b'"'), None]
            .into_iter()
            .filter_map(|quote| {
                let word = shell.word(root, quote);
                find(&text[skipped..], &word).map(|at| (at + skipped, quote, word.len()))
            })
            .min()?;
        let end = at + length;
        // `/srv/app` is not mentioned by `/srv/app2` or `/srv/app-old`.
        let whole = quote.is_some()
            || text.get(end).is_none_or(|&b| b == b'/' || !is_name(b)) && !at.checked_sub(1).is_some_and(|i| is_name(text[i]));
        if whole {
            return Some((&text[..at], quote, &text[end..]));
        }
        skipped = end;
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-+@~".contains(&byte) || byte >= 0x80
}

enum Shell {
    Sh,
    Csh,
    Fish,
    Other,
}

impl Shell {
    fn of(name: &OsStr) -> Self {
        match Path::new(name).extension().map(std::os::unix::ffi::OsStrExt::as_bytes) {
            None => Self::Sh,
            Some(b"csh") => Self::Csh,
            Some(b"fish") => Self::Fish,
            Some(_) => Self::Other,
        }
    }

    /// A word of that shell for these bytes. A quote that cannot hold them gives way to one that can.
    fn word(&self, bytes: &[u8], quote: Option<u8>) -> Vec<u8> {
        let bare = bytes.iter().all(|&b| is_name(b) || b == b'/');
        match (quote, self) {
            _ if bare => quoted(bytes, quote),
            (Some(b'"'), _) if !bytes.iter().any(|b| b"\"\\$`!\n".contains(b)) => quoted(bytes, quote),
            (_, Self::Sh) => single_quoted(bytes),
            (_, Self::Csh) => csh_quoted(bytes),
            (_, Self::Fish) => backslashed(bytes),
            (quote, Self::Other) => quoted(bytes, quote.or(Some(b'\''))),
        }
    }
}

fn quoted(bytes: &[u8], quote: Option<u8>) -> Vec<u8> {
    let quote = quote.as_slice();
    [quote, bytes, quote].concat()
}

/// csh expands `!` even within single quotes.
fn csh_quoted(bytes: &[u8]) -> Vec<u8> {
    single_quoted(bytes).into_iter().flat_map(|b| if b == b'!' { vec![b'\\', b'!'] } else { vec![b] }).collect()
}

/// fish knows two escapes within single quotes.
fn backslashed(bytes: &[u8]) -> Vec<u8> {
    let escaped: Vec<u8> = bytes.iter().flat_map(|&b| if b"'\\".contains(&b) { vec![b'\\', b] } else { vec![b] }).collect();
    quoted(&escaped, Some(b'\''))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved_to(name: &str, script: &str, to: &str) -> Option<String> {
        moved(OsStr::new(name), script.as_bytes(), Path::new("/srv/app/.venv"), Path::new(to)).map(|new| String::from_utf8(new).unwrap())
    }

    #[test]
    fn the_quotes_of_each_creator_stay() {
        for script in [
            "VIRTUAL_ENV='/srv/app/.venv'\n",
            "export VIRTUAL_ENV=\"/srv/app/.venv\"\n",
            "VIRTUAL_ENV=/srv/app/.venv\n",
            "(cygpath \"/srv/app/.venv\")",
        ] {
            assert_eq!(moved_to("activate", script, "/new/.venv").unwrap(), script.replace("/srv/app/", "/new/"));
        }
    }

    #[test]
    fn a_path_that_needs_quotes_gets_those_of_the_shell() {
        assert_eq!(moved_to("activate", "VIRTUAL_ENV=/srv/app/.venv\n", "/a b").unwrap(), "VIRTUAL_ENV='/a b'\n");
        assert_eq!(moved_to("activate", "VIRTUAL_ENV=\"/srv/app/.venv\"\n", "/a b").unwrap(), "VIRTUAL_ENV=\"/a b\"\n");
        assert_eq!(moved_to("activate", "VIRTUAL_ENV=\"/srv/app/.venv\"\n", "/a$b'c").unwrap(), "VIRTUAL_ENV='/a$b'\"'\"'c'\n");
        assert_eq!(
            moved_to("activate.fish", "set -gx VIRTUAL_ENV \"/srv/app/.venv\"\n", "/a$b'c").unwrap(),
            "set -gx VIRTUAL_ENV '/a$b\\'c'\n"
        );
        assert_eq!(moved_to("activate.csh", "setenv VIRTUAL_ENV '/srv/app/.venv'\n", "/a!").unwrap(), "setenv VIRTUAL_ENV '/a\\!'\n");
    }

    #[test]
    fn a_longer_name_is_another_path() {
        assert_eq!(moved_to("activate", "VIRTUAL_ENV=/srv/app/.venv2\nx=/srv/app/.venv-old", "/new"), None);
        assert_eq!(moved_to("activate", "X=/srv/app/.venv2:/srv/app/.venv/bin", "/new").unwrap(), "X=/srv/app/.venv2:/new/bin");
    }

    #[test]
    fn the_root_is_read_back() {
        for script in ["VIRTUAL_ENV='/a b'\n", "    export VIRTUAL_ENV=\"/a b\"\n", "export VIRTUAL_ENV=$(cygpath \"/a b\")\n"] {
            assert_eq!(root(script.as_bytes()), Some(PathBuf::from("/a b")), "{script}");
        }
        assert_eq!(root(b"VIRTUAL_ENV=/a/b\nexport VIRTUAL_ENV\n"), Some(PathBuf::from("/a/b")));
        assert_eq!(root(b"VIRTUAL_ENV='/it'\"'\"'s'\n"), Some(PathBuf::from("/it's")));
        assert_eq!(root(b"VIRTUAL_ENV=\"$(dirname x)\"\n"), None);
    }
}
