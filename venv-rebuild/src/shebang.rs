//! The first lines of an installed script, in the forms that pip, distlib and uv write:
//! `#!/path/python`; and where that is too long or has a space, a program of `sh` that Python reads as a string, with the path
//! bare (distlib), in double quotes (pip) or in single quotes (uv). uv's relocatable form names no path and is never stale.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The longest first line that every kernel runs, as distlib has it.
const LONGEST: usize = 127;
const SH: &[u8] = b"#!/bin/sh\n'''exec' ";
const SH_ARGS: &[u8] = b" \"$0\" \"$@\"";
const SH_END: &[u8] = b"\n' '''\n";

/// What a script says of its interpreter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shebang<'a> {
    /// The interpreter's path.
    pub(crate) interpreter: PathBuf,
    /// Options of the interpreter, with the space before them.
    options: &'a [u8],
    /// The script behind its header.
    body: &'a [u8],
}

/// Reads the header of a Python script; `None` where it names no interpreter by an absolute path, or is no Python script.
pub(crate) fn parse(script: &[u8]) -> Option<Shebang<'_>> {
    let found = if let Some(rest) = script.strip_prefix(SH) { polyglot(rest)? } else { plain(script)? };
    let name = found.interpreter.file_name()?.as_bytes();
    (found.interpreter.is_absolute() && (name.starts_with(b"python") || name.starts_with(b"pypy"))).then_some(found)
}

fn plain(script: &[u8]) -> Option<Shebang<'_>> {
    let line = script.strip_prefix(b"#!")?;
    let end = line.iter().position(|&b| b == b'\n')?;
    let (line, body) = (line[..end].trim_ascii_start(), &line[end + 1..]);
    let split = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    Some(Shebang { interpreter: path(&line[..split]), options: line[split..].trim_ascii_end(), body })
}

fn polyglot(rest: &[u8]) -> Option<Shebang<'_>> {
    let (interpreter, used) = word(rest)?;
    let rest = &rest[used..];
    let args = find(rest, SH_ARGS)?;
    let (options, rest) = (&rest[..args], rest[args..].strip_prefix(SH_ARGS)?);
    if options.contains(&b'\n') {
        return None;
    }
    Some(Shebang { interpreter: path(&interpreter), options, body: rest.strip_prefix(SH_END)? })
}

/// One word of `sh`, unquoted, and the bytes that it took; `None` where only running it would tell what it means.
pub(crate) fn word(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut plain, mut at, mut quote) = (Vec::new(), 0, None);
    loop {
        let byte = *text.get(at)?;
        at += 1;
        match (quote, byte) {
            (None, b' ' | b'\n' | b'\t') => return Some((plain, at - 1)),
            (None, b'\'' | b'"') => quote = Some(byte),
            (Some(open), close) if open == close => quote = None,
            (Some(b'"') | None, b'$' | b'`') => return None,
            (Some(b'"'), b'\\') if matches!(text.get(at), Some(b'"' | b'\\' | b'$' | b'`')) => {
                plain.push(text[at]);
                at += 1;
            }
            (None, b'\\') => {
                plain.push(*text.get(at)?);
                at += 1;
            }
            (_, byte) => plain.push(byte),
        }
    }
}

impl Shebang<'_> {
    /// The script with another interpreter, in the plain form where the path allows it and as uv writes it where not.
    pub(crate) fn with(&self, interpreter: &Path) -> Vec<u8> {
        let path = interpreter.as_os_str().as_bytes();
        let fits = 3 + path.len() + self.options.len() <= LONGEST && !path.iter().any(u8::is_ascii_whitespace);
        if fits {
            return [b"#!", path, self.options, b"\n", self.body].concat();
        }
        [SH, &single_quoted(path), self.options, SH_ARGS, SH_END, self.body].concat()
    }
}

/// A word of `sh` that means exactly these bytes.
pub(crate) fn single_quoted(bytes: &[u8]) -> Vec<u8> {
    let mut word = vec![b'\''];
    for &byte in bytes {
        if byte == b'\'' { word.extend_from_slice(b"'\"'\"'") } else { word.push(byte) }
    }
    word.push(b'\'');
    word
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// Where `needle` first stands in `haystack`.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn interpreter(script: &[u8]) -> Option<String> {
        parse(script).map(|found| found.interpreter.to_str().unwrap().to_owned())
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(interpreter(b"#!/a/bin/python3.12\nx"), Some("/a/bin/python3.12".into()));
        assert_eq!(interpreter(b"#! /a/bin/python -E\nx"), Some("/a/bin/python".into()));
        for word in ["/a/bin/python", "\"/a/bin/python\"", "'/a/bin/python'"] {
            let script = format!("#!/bin/sh\n'''exec' {word} \"$0\" \"$@\"\n' '''\nx");
            assert_eq!(interpreter(script.as_bytes()), Some("/a/bin/python".into()), "{word}");
        }
    }

    #[test]
    fn what_names_no_path_is_left_alone() {
        assert_eq!(interpreter(b"#!/usr/bin/env python\nx"), None);
        assert_eq!(interpreter(b"#!/bin/sh\necho\n"), None);
        assert_eq!(interpreter(b"\x7fELF"), None);
        let relocatable = b"#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python3' \"$0\" \"$@\"\n' '''\n";
        assert_eq!(interpreter(relocatable), None);
    }

    #[test]
    fn options_and_body_stay() {
        let script = parse(b"#!/a/bin/python -E -s\nimport x\n").unwrap().with(Path::new("/b c/bin/python"));
        assert_eq!(script, b"#!/bin/sh\n'''exec' '/b c/bin/python' -E -s \"$0\" \"$@\"\n' '''\nimport x\n");
        assert_eq!(parse(&script).unwrap().with(Path::new("/b/bin/python")), b"#!/b/bin/python -E -s\nimport x\n");
    }

    proptest! {
        #[test]
        fn any_path_comes_back(folder in "/[^\0]{0,40}", body: Vec<u8>) {
            let target = PathBuf::from(folder).join("python");
            let script = [&b"#!/a/bin/python\n"[..], &body].concat();
            let moved = parse(&script).unwrap().with(&target);
            let back = parse(&moved).unwrap();
            prop_assert_eq!(back.body, &body[..]);
            prop_assert_eq!(back.interpreter, target);
        }

        #[test]
        fn no_script_makes_it_fail(script: Vec<u8>) {
            let _ = parse(&script);
            let _ = parse(&[SH, &script].concat());
        }
    }
}
