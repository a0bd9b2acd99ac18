//! How the bytes of a source are to be read (PEP 263). Where that is not certain, nothing of it is touched.

/// How the bytes that are not ASCII are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    /// One byte is one character, and below 128 it is ASCII.
    SingleByte,
}

/// The mark that some editors begin a file with.
pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";

/// What a source says it is, if it is that and we can read it.
pub(crate) fn of(source: &[u8]) -> Result<Encoding, &'static str> {
    let encoding = match declared(source) {
        None => Encoding::Utf8,
        Some(name) => named(&name).ok_or("its encoding declaration names one in which a byte need not be a character")?,
    };
    if encoding == Encoding::Utf8 && std::str::from_utf8(source).is_err() {
        return Err("it is not in the encoding that it should be in");
    }
    Ok(encoding)
}

/// The name in a comment of the first two lines, the first of which must be one too.
fn declared(source: &[u8]) -> Option<String> {
    let source = source.strip_prefix(BOM).unwrap_or(source);
    let comments = source.split(|byte| *byte == b'\n' || *byte == b'\r').filter(|line| !line.is_empty()).take(2);
    comments.map(<[u8]>::trim_ascii_start).take_while(|line| line.starts_with(b"#")).find_map(|line| {
        let line = String::from_utf8_lossy(line).into_owned();
        let at = line.find("coding")? + "coding".len();
        let name = line[at..].strip_prefix([':', '='])?.trim_start_matches([' ', '\t']);
        let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(name.len());
        (end > 0).then(|| name[..end].to_ascii_lowercase().replace('_', "-"))
    })
}

fn named(name: &str) -> Option<Encoding> {
    let is_single = ["latin", "iso-8859", "iso8859", "cp125", "windows-125", "koi8", "cp437", "cp850", "ascii", "us-ascii"];
    match name {
        "utf-8" | "utf8" | "utf-8-sig" | "u8" => Some(Encoding::Utf8),
        _ if is_single.iter().any(|prefix| name.starts_with(prefix)) => Some(Encoding::SingleByte),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_is_read_as_python_reads_it() {
        assert_eq!(of(b"x = 1\n"), Ok(Encoding::Utf8));
        assert_eq!(of(b"#!/usr/bin/python\n# -*- coding: latin-1 -*-\nx = '\xe9'\n"), Ok(Encoding::SingleByte));
        assert_eq!(of(b"# vim: set fileencoding=utf-8 :\n"), Ok(Encoding::Utf8));
        assert_eq!(of(b"x = 1\n# coding: gbk\n"), Ok(Encoding::Utf8));
        assert!(of(b"# coding: gbk\n").is_err());
        assert!(of(b"x = '\xe9'\n").is_err());
    }
}
