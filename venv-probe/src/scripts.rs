//! The paths that an environment's scripts carry. Python itself survives a move; whatever was written for the old place does not.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use contract::path::{Subject, shown};

use crate::bounded;
use crate::catalogue::identity as catalogue;
use crate::catalogue::interpreter::UNREADABLE;
use crate::findings::Findings;
use crate::layout::is_python;

/// Enough of an activate file to reach its VIRTUAL_ENV; a shebang is shorter.
const HEAD: usize = 4096;

/// What scripts there are and whom they serve.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    /// Whether there is a `bin/pip*`.
    pub(crate) pip: bool,
    total: usize,
    stale: Vec<(OsString, PathBuf)>,
    foreign: Vec<(OsString, PathBuf)>,
    /// What could not be looked at, and why.
    unreadable: Vec<(PathBuf, io::Error)>,
}

/// Reads the head of everything in `bin`, and says whether it was made for another place.
pub(crate) fn judge(root: &Path, found: &mut Findings) -> Scripts {
    let scripts = read(root);
    let (entry, list, what) = if scripts.foreign.is_empty() {
        (&catalogue::MOVED, &scripts.stale, "name an interpreter at a path that is gone")
    } else {
        (&catalogue::COPIED, &scripts.foreign, "run another environment's Python")
    };
    if let Some((name, target)) = list.first() {
        let name = shown(Path::new(name));
        let text = format!("{} of {} scripts {what}: bin/{name} uses {}", list.len(), scripts.total, shown(target));
        found.add(entry, text, Some(Subject::from(target)));
    }
    if let Some((path, error)) = scripts.unreadable.iter().min_by_key(|(path, _)| path) {
        let text = format!("whether the scripts in bin work is not known: {} cannot be read: {error}", shown(path));
        found.add(&UNREADABLE, text, Some(Subject::from(path)));
    }
    scripts
}

fn read(root: &Path) -> Scripts {
    let mut scripts = Scripts::default();
    let bin = root.join("bin");
    let entries = match fs::read_dir(&bin) {
        Ok(entries) => entries,
        Err(error) => {
            scripts.unreadable.extend((!bounded::is_gone(&error)).then_some((bin, error)));
            return scripts;
        }
    };
    let (mut judged, mut head) = (HashMap::new(), vec![0; HEAD]);
    for entry in entries.flatten() {
        let name = entry.file_name();
        scripts.pip |= is_pip(&name);
        // Of the activate files one tells what all say.
        let dull = is_python(&name) || name.as_bytes().starts_with(b"activate.");
        if dull || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let target = match bounded::head(&entry.path(), &mut head) {
            Ok(length) => carried(&head[..length], &name),
            Err(error) => {
                scripts.unreadable.push((entry.path(), error));
                None
            }
        };
        let Some(target) = target else { continue };
        scripts.total += 1;
        let whose = judged.entry(target.clone()).or_insert_with(|| {
            whose(&target, &bin).unwrap_or_else(|error| {
                scripts.unreadable.push((target.clone(), error));
                Whose::Ours
            })
        });
        match whose {
            Whose::Ours => {}
            Whose::Nobodys => scripts.stale.push((name, target)),
            Whose::Anothers => scripts.foreign.push((name, target)),
        }
    }
    for list in [&mut scripts.stale, &mut scripts.foreign] {
        list.sort();
    }
    scripts
}

/// `pip`, `pip3`, `pip3.12`; not `pipenv`, `pipx`, `pipdeptree`.
fn is_pip(name: &OsStr) -> bool {
    name.as_bytes().strip_prefix(b"pip").is_some_and(|rest| rest.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.'))
}

/// The interpreter that a script names, or that an activate file leads to.
fn carried(head: &[u8], name: &OsStr) -> Option<PathBuf> {
    if name == "activate" { activated(head).map(|root| root.join("bin/python")) } else { interpreter(head) }
}

#[derive(Clone, Copy)]
enum Whose {
    Ours,
    Nobodys,
    Anothers,
}

/// By identity of the folder and not by spelling: a symlinked environment, a bind mount or a firmlink has several.
/// The interpreter itself is the wrong thing to compare, since all environments of one base link to the same.
///
/// # Errors
/// It cannot be told, as below a folder that may not be searched.
fn whose(interpreter: &Path, bin: &Path) -> io::Result<Whose> {
    let identity = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
    let Some(folder) = interpreter.parent() else { return Ok(Whose::Ours) };
    match (identity(folder), identity(bin)) {
        (Ok(theirs), Ok(ours)) if theirs == ours => return Ok(Whose::Ours),
        _ if folder.parent().is_some_and(|root| root.join("pyvenv.cfg").exists()) => return Ok(Whose::Anothers),
        _ => {}
    }
    match interpreter.symlink_metadata() {
        // A script for the system's own Python is no business of ours.
        Ok(_) => Ok(Whose::Ours),
        Err(error) if bounded::is_gone(&error) => Ok(Whose::Nobodys),
        Err(error) => Err(error),
    }
}

/// The interpreter that a shebang names, in its plain form or in the `/bin/sh` form that pip and uv write where the path is long or has spaces.
/// `None` for other scripts, for `env`, and for uv's relocatable form, which finds its own place.
fn interpreter(head: &[u8]) -> Option<PathBuf> {
    let line = head.strip_prefix(b"#!")?.split(|&b| b == b'\n').next()?.trim_ascii();
    let path = match line {
        b"/bin/sh" => polyglot(head.get(10..)?)?,
        line => line.split(|&b| b == b' ').next()?.to_vec(),
    };
    let path = PathBuf::from(OsString::from_vec(path));
    (path.is_absolute() && path.file_name().is_some_and(is_python)).then_some(path)
}

/// `'''exec' /path "$0" "$@"`, the path bare, "double" or 'single' quoted.
fn polyglot(rest: &[u8]) -> Option<Vec<u8>> {
    let rest = rest.strip_prefix(b"'''exec' ")?;
    match rest.first()? {
        b'"' => rest[1..].split(|&b| b == b'"').next().and_then(literal),
        b'\'' => single_quoted(rest),
        _ => rest.split(|&b| b == b' ').next().and_then(literal),
    }
}

/// Text that `sh` takes as it stands.
fn literal(text: &[u8]) -> Option<Vec<u8>> {
    (!text.contains(&b'$')).then(|| text.to_vec())
}

/// A word of `sh` in single quotes, which has one of its own as `'"'"'`; `None` where it has no end.
fn single_quoted(text: &[u8]) -> Option<Vec<u8>> {
    let (mut word, mut rest) = (Vec::new(), text.strip_prefix(b"'")?);
    loop {
        let end = rest.iter().position(|&b| b == b'\'')?;
        word.extend_from_slice(&rest[..end]);
        let Some(after) = rest[end + 1..].strip_prefix(b"\"'\"'") else { return Some(word) };
        word.push(b'\'');
        rest = after;
    }
}

/// The folder that `activate` exports as `VIRTUAL_ENV`; `None` where it computes it.
fn activated(head: &[u8]) -> Option<PathBuf> {
    let values = head.split(|&b| b == b'\n').filter_map(|line| {
        let line = line.trim_ascii();
        line.strip_prefix(b"export VIRTUAL_ENV=").or_else(|| line.strip_prefix(b"VIRTUAL_ENV="))
    });
    let mut unquoted = values.filter_map(|value| match value.first()? {
        b'\'' => single_quoted(value),
        b'"' => value[1..].strip_suffix(b"\"").and_then(literal),
        _ => literal(value),
    });
    unquoted.find(|value| value.starts_with(b"/")).map(|value| PathBuf::from(OsString::from_vec(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_of_shebang() {
        for (head, expected) in [
            ("#!/v/bin/python\nimport re", Some("/v/bin/python")),
            ("#! /v/bin/python3.12 -E\n", Some("/v/bin/python3.12")),
            ("#!/bin/sh\n'''exec' /long/bin/python \"$0\" \"$@\"\n' '''", Some("/long/bin/python")),
            ("#!/bin/sh\n'''exec' \"/a b/bin/python\" \"$0\" \"$@\"\n' '''", Some("/a b/bin/python")),
            ("#!/bin/sh\n'''exec' '/a b/bin/python3' \"$0\" \"$@\"\n' '''", Some("/a b/bin/python3")),
            ("#!/bin/sh\n'''exec' '/it'\"'\"'s/bin/python3' \"$0\" \"$@\"\n' '''", Some("/it's/bin/python3")),
            ("#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python' \"$0\" \"$@\"\n", None),
            ("#!/usr/bin/env python3\n", None),
            ("#!/bin/sh\necho hi\n", None),
            ("\x7fELF", None),
            ("#!", None),
        ] {
            assert_eq!(interpreter(head.as_bytes()), expected.map(PathBuf::from), "{head}");
        }
    }

    #[test]
    fn pip_is_known_by_its_whole_name() {
        let names = ["pip", "pip3", "pip3.12", "pipenv", "pipx", "python"];
        assert_eq!(names.map(|name| is_pip(OsStr::new(name))), [true, true, true, false, false, false]);
    }

    #[test]
    fn every_form_of_activate() {
        for (text, expected) in [
            ("VIRTUAL_ENV=\"/v\"\nexport VIRTUAL_ENV\n", Some("/v")),
            ("    export VIRTUAL_ENV=/a/v\n", Some("/a/v")),
            ("VIRTUAL_ENV='/a b/v'\n", Some("/a b/v")),
            ("VIRTUAL_ENV='/it'\"'\"'s \"b\"/v'\n", Some("/it's \"b\"/v")),
            ("VIRTUAL_ENV='/a $b/v'\n", Some("/a $b/v")),
            ("VIRTUAL_ENV='/no/end\n", None),
            ("    VIRTUAL_ENV=$(cygpath /v)\nexport VIRTUAL_ENV=/v\n", Some("/v")),
            ("VIRTUAL_ENV=\"$(dirname -- x)\"\n", None),
        ] {
            assert_eq!(activated(text.as_bytes()), expected.map(PathBuf::from), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail(bytes: Vec<u8>) {
            interpreter(&bytes);
            interpreter(&[b"#!/bin/sh\n'''exec' ", &bytes[..]].concat());
            activated(&bytes);
        }
    }
}
