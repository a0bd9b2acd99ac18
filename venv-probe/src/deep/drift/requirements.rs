//! Requirements files, as pip reads them.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::wish::Wish;
use crate::bounded::text;
use crate::deep::markers::Markers;
use crate::deep::requirement;
use crate::packages::name;

/// Reads a requirements file and those that it includes; `None` where it cannot be read as text.
pub(super) fn read(file: &Path, markers: &Markers) -> Option<Wish> {
    let mut wish = Wish::new(file, false);
    let mut seen = HashSet::new();
    include(file, &mut wish, &mut seen, markers).then_some(wish)
}

/// Files that include each other beyond this number were made to keep their readers busy.
const FILES: usize = 100;

/// Returns whether the file could be read. `seen` has device and inode, since one file has many spellings.
fn include(file: &Path, wish: &mut Wish, seen: &mut HashSet<(u64, u64)>, markers: &Markers) -> bool {
    let Ok(meta) = file.metadata() else { return false };
    if !seen.insert((meta.dev(), meta.ino())) {
        return true;
    }
    if seen.len() > FILES {
        return false;
    }
    let Some(content) = text(file) else { return false };
    let folder = file.parent().unwrap_or(file);
    for line in logical_lines(&content) {
        match entry(&line) {
            Entry::Requirement(requirement) => match requirement::read(requirement) {
                Some(requirement) => wish.add(&requirement, true, markers),
                None => wish.open = true,
            },
            Entry::Include(path) => wish.open |= !include(&folder.join(path), wish, seen, markers),
            Entry::Elsewhere(name) => {
                wish.open |= name.is_none();
                wish.known.extend(name);
            }
            Entry::Nothing => {}
        }
    }
    true
}

/// One line of a requirements file.
#[derive(Debug, PartialEq, Eq)]
enum Entry<'a> {
    Requirement(&'a str),
    Include(&'a str),
    /// From a URL or folder: by name, where that can be told.
    Elsewhere(Option<String>),
    /// An option, a constraint, an empty line.
    Nothing,
}

/// Joins continued lines and takes comments out.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    for line in text.strip_prefix('\u{feff}').unwrap_or(text).lines() {
        if let Some(start) = line.strip_suffix('\\').filter(|_| !line.trim_start().starts_with('#')) {
            open += start;
            continue;
        }
        open += line;
        lines.push(without_comment(&std::mem::take(&mut open)).trim().to_owned());
    }
    lines.push(without_comment(&open).trim().to_owned());
    lines
}

/// A `#` begins a comment at the start of a line and behind a blank; elsewhere it belongs to a URL.
fn without_comment(line: &str) -> &str {
    let comment = line.match_indices('#').find(|(at, _)| line[..*at].is_empty() || line[..*at].ends_with([' ', '\t']));
    comment.map_or(line, |(at, _)| &line[..at])
}

const ARCHIVES: [&str; 3] = [".whl", ".tar.gz", ".zip"];

fn entry(line: &str) -> Entry<'_> {
    if let Some(path) = option(line, "-r", "--requirement") {
        return Entry::Include(path);
    }
    if let Some(from) = option(line, "-e", "--editable") {
        return Entry::Elsewhere(name_in(from));
    }
    if line.is_empty() || line.starts_with('-') {
        return Entry::Nothing;
    }
    let requirement = line.split(" --").next().unwrap_or(line).trim();
    if requirement.contains("${") {
        return Entry::Elsewhere(None);
    }
    let first = requirement.split([' ', ';', '@']).next().unwrap_or(requirement);
    let is_path = first.contains('/') || first.starts_with('.') || ARCHIVES.iter().any(|suffix| first.ends_with(suffix));
    if is_path { Entry::Elsewhere(name_in(requirement)) } else { Entry::Requirement(requirement) }
}

fn option<'a>(line: &'a str, short: &str, long: &str) -> Option<&'a str> {
    let value = match line.strip_prefix(long) {
        Some(value) => value.strip_prefix('=').or_else(|| value.strip_prefix([' ', '\t']))?,
        None => line.strip_prefix(short)?,
    };
    Some(value.trim()).filter(|value| !value.is_empty())
}

/// The name that a URL or path gives away: `#egg=name`, or the name of a wheel.
fn name_in(url: &str) -> Option<String> {
    let egg = url.split_once("egg=").map(|(_, egg)| egg.split(['&', '[', ' ', ';']).next().unwrap_or(egg));
    let wheel = || url.split(['#', ' ', ';']).next()?.rsplit('/').next()?.strip_suffix(".whl")?.split('-').next();
    egg.or_else(wheel).map(name::normal).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_say_what_they_ask_for() {
        let cases = [
            ("flask==3.1.0 --hash=sha256:ab --hash=sha256:cd", Entry::Requirement("flask==3.1.0")),
            ("flask[async] >= 2 ; python_version > '3'", Entry::Requirement("flask[async] >= 2 ; python_version > '3'")),
            ("widget @ https://example.org/w.zip", Entry::Requirement("widget @ https://example.org/w.zip")),
            ("-r more.txt", Entry::Include("more.txt")),
            ("-rmore.txt", Entry::Include("more.txt")),
            ("--requirement=more.txt", Entry::Include("more.txt")),
            ("-c constraints.txt", Entry::Nothing),
            ("--index-url https://example.org/simple", Entry::Nothing),
            ("-e .", Entry::Elsewhere(None)),
            ("-e git+https://example.org/x.git#egg=My_Widget", Entry::Elsewhere(Some("my-widget".into()))),
            ("./wheels/my_widget-1.0-py3-none-any.whl", Entry::Elsewhere(Some("my-widget".into()))),
            ("${PACKAGE}==1", Entry::Elsewhere(None)),
        ];
        for (line, expected) in cases {
            assert_eq!(entry(line), expected, "{line}");
        }
    }

    #[test]
    fn comments_go_and_continued_lines_join() {
        let text = "a==1 \\\n  --hash=x # why\n# b\\\nhttps://x/y#egg=z\n";
        assert_eq!(logical_lines(text), ["a==1   --hash=x", "", "https://x/y#egg=z", ""]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[-a-z.=#\\\\\n\r ;@/\u{e4}]{0,60}") {
            for line in logical_lines(&text) {
                entry(&line);
            }
        }
    }
}
