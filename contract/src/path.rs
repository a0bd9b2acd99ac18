//! Paths on the wire and paths before a person's eyes: two spellings, neither of which loses a byte in silence.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a record is about, or any path inside `data`: a JSON string, or `{"hex":"…"}` where the bytes are not UTF-8,
/// so that a consumer that expects text fails loudly instead of acting on another file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(OsString);

impl Subject {
    /// The subject as a path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Subject {
    fn from(path: &P) -> Self {
        Self(path.as_ref().as_os_str().to_owned())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(self.as_path()))
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(text) = self.0.to_str() {
            return serializer.serialize_str(text);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("hex", &to_hex(self.0.as_bytes()))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SubjectVisitor)
    }
}

struct SubjectVisitor;

impl<'de> Visitor<'de> for SubjectVisitor {
    type Value = Subject;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or {\"hex\":\"…\"}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Subject, E> {
        Ok(Subject(text.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Subject, A::Error> {
        let mut bytes = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == "hex" {
                bytes = Some(from_hex(&map.next_value::<String>()?).ok_or_else(|| de::Error::custom("bad hex"))?);
            } else {
                map.next_value::<de::IgnoredAny>()?;
            }
        }
        let bytes = bytes.ok_or_else(|| de::Error::missing_field("hex"))?;
        Ok(Subject(OsString::from_vec(bytes)))
    }
}

fn to_hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn from_hex(hex: &str) -> Option<Vec<u8>> {
    if !hex.is_ascii() || !hex.len().is_multiple_of(2) {
        return None;
    }
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok()).collect()
}

/// Makes a path absolute without touching the disk: `canonicalize` would resolve links and change what the subject is.
/// `.` vanishes; `..` stays where the lexical rule would cross a link.
///
/// # Errors
/// The path is empty, or the current folder is gone.
pub fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    use anyhow::Context as _;
    std::path::absolute(path).with_context(|| format!("cannot make `{}` absolute", shown(path)))
}

/// A path as a person may see it: lossy where it is not UTF-8, and escaped as [`plain`] does.
#[must_use]
pub fn shown(path: &Path) -> String {
    plain(&path.to_string_lossy()).into_owned()
}

/// Escapes what could move a terminal's cursor, reorder its text or hide in it: control characters, the bidirectional
/// formatting characters (Unicode Standard Annex 9; CVE-2021-42574), and what has no glyph and no use in a name: soft hyphen,
/// zero-width space, word joiner and its kin, tags. The joiners U+200C and U+200D stay: Persian, Hindi and emoji are spelt with them.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unsafe(c) { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    Cow::Owned(safe)
}

fn is_unsafe(c: char) -> bool {
    let bidirectional = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let invisible = matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
    c.is_control() || bidirectional || invisible
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_come_back_from_the_wire(bytes: Vec<u8>) {
            let subject = Subject(OsString::from_vec(bytes));
            let wire = serde_json::to_string(&subject).unwrap();
            prop_assert_eq!(serde_json::from_str::<Subject>(&wire).unwrap(), subject);
        }
    }

    #[test]
    fn a_path_that_is_not_utf8_is_never_a_string() {
        let path = OsString::from_vec(b"/a/\xff".to_vec());
        assert_eq!(serde_json::to_string(&Subject::from(Path::new(&path))).unwrap(), r#"{"hex":"2f612fff"}"#);
    }

    #[test]
    fn a_terminal_never_sees_an_escape_or_an_override() {
        assert_eq!(plain("a\u{1b}[2Jb\u{202e}c"), "a\\u{1b}[2Jb\\u{202e}c");
    }
    #[test]
    fn nothing_hides_in_a_name_and_scripts_keep_their_joiners() {
        for hidden in ['\u{61c}', '\u{ad}', '\u{180e}', '\u{200b}', '\u{2060}', '\u{206a}', '\u{e0000}', '\u{e0041}', '\u{e007f}'] {
            assert_eq!(plain(&format!("a{hidden}b")), format!("a\\u{{{:x}}}b", u32::from(hidden)));
        }
        assert_eq!(plain("می\u{200c}خواهم क्\u{200d}ष"), "می\u{200c}خواهم क्\u{200d}ष");
    }
}
