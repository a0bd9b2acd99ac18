//! The paths that an environment's scripts carry. Python itself survives a move; whatever was written for the old place does not.

use std::collections::{HashMap, HashSet};
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
use crate::packages::{self, record};

/// Enough of an activate file to reach its VIRTUAL_ENV; a shebang is shorter.
const HEAD: usize = 4096;

/// What scripts there are and whom they serve.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    /// Whether there is a `bin/pip*`.
    pub(crate) pip: bool,
    total: usize,
    /// Those that do not run this environment's Python.
    others: Vec<Script>,
    /// What could not be looked at, and why.
    unreadable: Vec<(PathBuf, io::Error)>,
}

#[derive(Debug)]
struct Script {
    name: OsString,
    interpreter: PathBuf,
    whose: Whose,
}

/// Reads the head of everything in `bin`, and says whether it was made for another place; `sites` hold the packages.
pub(crate) fn judge(root: &Path, sites: &[PathBuf], found: &mut Findings) -> Scripts {
    let mut scripts = read(root);
    let others = made_for_another_place(std::mem::take(&mut scripts.others), sites);
    let (foreign, stale): (Vec<_>, Vec<_>) = others.iter().partition(|script| script.whose == Whose::Anothers);
    let (entry, list, what) = if foreign.is_empty() {
        (&catalogue::MOVED, stale, "name an interpreter at a path that is gone")
    } else {
        (&catalogue::COPIED, foreign, "run another environment's Python")
    };
    if let Some(Script { name, interpreter, .. }) = list.first() {
        let name = shown(Path::new(name));
        let text = format!("{} of {} scripts {what}: bin/{name} uses {}", list.len(), scripts.total, shown(interpreter));
        found.add(entry, text, Some(Subject::from(interpreter)));
    }
    if let Some((path, error)) = scripts.unreadable.iter().min_by_key(|(path, _)| path) {
        let text = format!("whether the scripts in bin work is not known: {} cannot be read: {error}", shown(path));
        found.add(&UNREADABLE, text, Some(Subject::from(path)));
    }
    scripts
}

/// Takes out what a person put there, which may run whatever they like: that is what no RECORD lists, unless activate or a script of a
/// distribution says that the environment was in that place.
fn made_for_another_place(mut scripts: Vec<Script>, sites: &[PathBuf]) -> Vec<Script> {
    if scripts.is_empty() {
        return scripts;
    }
    let recorded = recorded(sites);
    let place = |script: &Script| script.interpreter.parent().map(Path::to_owned);
    let is_certain =
        |script: &&Script| script.name == "activate" || recorded.contains(&script.name) && was_environment(&script.interpreter);
    let places: Vec<_> = scripts.iter().filter(is_certain).map(place).collect();
    scripts.retain(|script| places.contains(&place(script)));
    scripts.sort_by(|a, b| a.name.cmp(&b.name));
    scripts
}

/// A distribution may bring a script for `/usr/bin/python2`, and no environment was ever there.
fn was_environment(interpreter: &Path) -> bool {
    interpreter.parent().is_none_or(|bin| !bin.exists() || bin.parent().is_some_and(|root| root.join("pyvenv.cfg").exists()))
}

/// The names in `bin` that a distribution's RECORD lists.
fn recorded(sites: &[PathBuf]) -> HashSet<OsString> {
    let mut names = HashSet::new();
    for dist in &packages::scan_folders(sites).dists {
        let in_bin = |path: &Path| path.parent().is_some_and(|folder| folder.ends_with("bin"));
        // One that cannot be read lists nothing that we know of.
        let _unread = record::each(dist, |line| {
            names.extend(line.path.file_name().filter(|_| in_bin(&line.path)).map(OsStr::to_owned));
        });
    }
    names
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
        let interpreter = match bounded::head(&entry.path(), &mut head) {
            Ok(length) => carried(&head[..length], &name),
            Err(error) => {
                scripts.unreadable.push((entry.path(), error));
                None
            }
        };
        let Some(interpreter) = interpreter else { continue };
        scripts.total += 1;
        let whose = *judged.entry(interpreter.clone()).or_insert_with(|| {
            whose(&interpreter, &bin).unwrap_or_else(|error| {
                scripts.unreadable.push((interpreter.clone(), error));
                Whose::Ours
            })
        });
        if whose != Whose::Ours {
            scripts.others.push(Script { name, interpreter, whose });
        }
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    use crate::packages::sample::Sample;
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

    /// An environment with these scripts, of which RECORD lists those with a package; returns what was found of them.
    fn found(scripts: &[(&str, &str)], recorded: &[&str]) -> Option<(String, String)> {
        let sample = Sample::new();
        for (name, interpreter) in scripts {
            let other = sample.path("../../../../other");
            sample.write(&format!("../../../bin/{name}"), &format!("#!{}\n", interpreter.replace("OTHER", other.to_str().unwrap())));
        }
        sample.write("../../../../other/pyvenv.cfg", "");
        sample.write("../../../../other/bin/python", "");
        let record: Vec<_> = recorded.iter().map(|name| format!("../../../bin/{name},,")).collect();
        sample.write("a-1.dist-info/RECORD", &record.join("\n"));
        let mut found = Findings::default();
        judge(&sample.root(), &[sample.path("")], &mut found);
        found.faults.pop().map(|fault| (fault.code, fault.text.split(':').next().unwrap_or_default().to_owned()))
    }

    #[test]
    fn what_a_person_put_there_is_for_whatever_they_like() {
        for (scripts, recorded) in [
            (&[("nightly", "/usr/bin/python2.7")][..], &[][..]),
            (&[("shipped", "/usr/bin/python2.7")], &["shipped"]),
            (&[("nightly", "/opt/python-that-is-gone/bin/python3")], &["pip"]),
            (&[("wrapper", "OTHER/bin/python")], &[]),
        ] {
            assert_eq!(found(scripts, recorded), None, "{scripts:?}");
        }
    }

    #[test]
    fn what_a_distribution_put_there_tells_where_it_was() {
        let moved = |text: &str| Some(("moved".to_owned(), text.to_owned()));
        let scripts = [("flask", "/old/.venv/bin/python"), ("mine", "/old/.venv/bin/python3"), ("other", "/else/bin/python")];
        assert_eq!(found(&scripts, &["flask"]), moved("2 of 3 scripts name an interpreter at a path that is gone"));
        assert_eq!(found(&[("flask", "OTHER/bin/python")], &["flask"]).unwrap().0, "copied");
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
