//! `direct_url.json` (PEP 610): where a distribution came from if not from an index.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::bounded;

/// More than any URL and what goes with it.
const LONGEST: usize = 64 << 10;

/// An origin that is no index.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) url: String,
    pub(crate) editable: bool,
}

impl Source {
    /// The local folder or file, if the URL names one.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        let path = self.url.strip_prefix("file://")?;
        let path = path.strip_prefix("localhost").unwrap_or(path);
        path.starts_with('/').then(|| PathBuf::from(OsString::from_vec(percent_decoded(path.as_bytes()))))
    }
}

#[derive(Deserialize)]
struct DirectUrl {
    url: String,
    #[serde(default)]
    dir_info: DirInfo,
}

#[derive(Default, Deserialize)]
struct DirInfo {
    #[serde(default)]
    editable: bool,
}

/// Reads the origin; `None` where there is no such file, or none that makes sense: nothing is then known, as for an index.
pub(super) fn read(info: &Path) -> Option<Source> {
    let json = bounded::read(&info.join("direct_url.json"), LONGEST).ok()?;
    let direct: DirectUrl = serde_json::from_slice(&json).ok()?;
    Some(Source { url: direct.url, editable: direct.dir_info.editable })
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%').then(|| tail.get(..2)).flatten().and_then(hex);
        decoded.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    decoded
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(url: &str) -> Option<PathBuf> {
        Source { url: url.to_owned(), editable: true }.path()
    }

    #[test]
    fn file_urls_are_paths() {
        assert_eq!(path("file:///a%20b/c%C3%A4").unwrap(), Path::new("/a b/cä"));
        assert_eq!(path("file://localhost/a%2").unwrap(), Path::new("/a%2"));
        assert_eq!(path("https://example.org/x.whl"), None);
        assert_eq!(path("file://server/share"), None);
    }
}
