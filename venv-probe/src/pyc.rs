//! Compiled modules (PEP 3147, PEP 552): whether Python executes one in place of its source, and what it then executes.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Magic number, flags, then time and size of the source or its hash.
const HEADER: usize = 16;

/// The code in a compiled file without the place where it was compiled, so that the same code in another environment is the same;
/// `None` where Python passes over the file, since it was made from another source.
pub(crate) fn code(pyc: &[u8], source: &Path) -> Option<Vec<u8>> {
    let number = |at: usize| pyc.get(at..at + 4).and_then(|bytes| bytes.first_chunk()).map(|bytes| u32::from_le_bytes(*bytes));
    let Some((header, code)) = pyc.split_at_checked(HEADER) else { return Some(pyc.to_vec()) };
    match number(4) {
        // The time counts by its low 32 bits.
        Some(0) => {
            let meta = fs::metadata(source).ok()?;
            let low = u64::from(u32::MAX);
            let fits =
                number(8).map(u64::from) == Some(meta.mtime().cast_unsigned() & low) && number(12).map(u64::from) == Some(meta.len() & low);
            fits.then(|| without(code, source.as_os_str().as_bytes()))
        }
        Some(1..=3) => Some([header, &without(code, source.as_os_str().as_bytes())].concat()),
        // Of before Python 3.7, or of a later kind.
        _ => Some(pyc.to_vec()),
    }
}

/// Takes the text out, with the length that marshal writes in front of it: one byte for short text, else four.
fn without(code: &[u8], text: &[u8]) -> Vec<u8> {
    let Ok(length) = u32::try_from(text.len()) else { return code.to_vec() };
    let length = length.to_le_bytes();
    let marked = [if text.len() < 256 { &length[..1] } else { &length }, text].concat();
    let (mut kept, mut rest) = (Vec::with_capacity(code.len()), code);
    while let Some(at) = rest.windows(marked.len()).position(|window| window == marked) {
        kept.extend_from_slice(&rest[..at]);
        kept.push(0);
        rest = &rest[at + marked.len()..];
    }
    kept.extend_from_slice(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_same_code_of_another_place_is_the_same_and_a_stale_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let compiled = |name: &str, body: &[u8]| {
            let source = folder.path().join(name);
            contract::replace::write(&source, b"x = 1\n").unwrap();
            let time = u32::try_from(source.metadata().unwrap().mtime()).unwrap();
            let path = source.as_os_str().as_bytes();
            let head = [&b"\xcb\x0d\x0d\x0a\0\0\0\0"[..], &time.to_le_bytes(), &6_u32.to_le_bytes()].concat();
            let pyc = [&head, &b"\xe3z"[..], &[u8::try_from(path.len()).unwrap()], path, body].concat();
            (pyc, source)
        };
        let ((first, a), (second, b), (other, c)) = (compiled("a", b"1"), compiled("longer", b"1"), compiled("c", b"2"));
        assert_eq!(code(&first, &a), code(&second, &b));
        assert_ne!(code(&first, &a), code(&other, &c));
        contract::replace::write(&a, b"x = 10\n").unwrap();
        assert_eq!(code(&first, &a), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes: Vec<u8>) {
            code(&bytes, Path::new("/gone"));
        }
    }
}
