//! Requirements files, as pip documents their format, with all that they include.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use contract::path::{absolute, shown};
use pep508_rs::MarkerEnvironment;

use super::declared::{Source, read_text};
use super::requirement::{Declared, Refusal};

/// Options that only say where packages come from, and whether they take a value. What kind of archive is taken is ours to say.
const KNOWN: [(&str, &str, bool); 8] = [
    ("-i", "--index-url", true),
    ("", "--extra-index-url", true),
    ("-f", "--find-links", true),
    ("", "--no-index", false),
    ("", "--pre", false),
    ("", "--prefer-binary", false),
    ("", "--no-binary", true),
    ("", "--only-binary", true),
];

/// Reads a requirements file; what cannot be taken as it is makes the whole of it one that nothing is installed from.
pub(super) fn read(path: &Path, here: &MarkerEnvironment) -> Source {
    let mut reader = Reader { here, seen: HashSet::new(), found: Source::of(path) };
    if let Err(why) = reader.file(path, false) {
        reader.found.refusal = Some(why);
    }
    reader.found
}

struct Reader<'a> {
    here: &'a MarkerEnvironment,
    seen: HashSet<PathBuf>,
    found: Source,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, limits: bool) -> Result<(), String> {
        let real = path.canonicalize().map_err(|e| format!("cannot read {}: {e}", shown(path)))?;
        if !self.seen.insert(real) {
            return Ok(());
        }
        let text = read_text(path).ok_or_else(|| format!("cannot read {} as a text", shown(path)))?;
        for (number, line) in logical_lines(&text) {
            self.line(&line, path, number, limits).map_err(|why| format!("{}, line {number}: {why}", shown(path)))?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str, path: &Path, number: usize, limits: bool) -> Result<(), String> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        if !line.starts_with('-') {
            self.requirement(line, path, number, limits);
            return Ok(());
        }
        let nested = |value: &str| match value {
            "" => Err("no file is named".to_owned()),
            value if value.contains("://") => Err("it includes a file from the network".to_owned()),
            value => Ok(folder.join(value)),
        };
        if let Some(value) = value_of(line, "-r", "--requirement") {
            return self.file(&nested(&value)?, limits);
        }
        if let Some(value) = value_of(line, "-c", "--constraint") {
            return self.file(&nested(&value)?, true);
        }
        if let Some(value) = value_of(line, "-e", "--editable") {
            self.found.all.push(Declared::refused(named(&value), path, Some(number), Refusal::source()));
            return Ok(());
        }
        if line == "--require-hashes" {
            self.found.hashed = true;
            return Ok(());
        }
        self.found.options.extend(option(line, folder)?);
        Ok(())
    }

    fn requirement(&mut self, line: &str, path: &Path, number: usize, limits: bool) {
        let Some((text, hashes)) = without_hashes(line) else {
            let refusal = Refusal("options", "its line has options that only its installer understands; install it by hand".to_owned());
            self.found.all.push(Declared::refused(named(line), path, Some(number), refusal));
            return;
        };
        match Declared::read(text, path, Some(number), self.here) {
            Some(one) if limits => self.found.limits.push(one.line),
            Some(one) => {
                self.found.hashed |= !hashes.is_empty();
                self.found.all.push(Declared { hashes, ..one });
            }
            None => self.found.all.push(Declared::refused(named(text), path, Some(number), Refusal::source())),
        }
    }
}

/// The name that a line tells which is no requirement: of an egg, or its last part.
fn named(line: &str) -> &str {
    let egg = line.split_once("egg=").map(|(_, egg)| egg);
    let path = line.split([';', '#', ' ', '[']).next().unwrap_or(line).trim_end_matches('/');
    let name = egg.unwrap_or_else(|| path.rsplit('/').next().unwrap_or(path));
    name.split(['&', '[', '=', '<', '>', '~', '!', '@']).next().unwrap_or(name)
}

/// Lines without comments, with continued ones joined, each with the number that it starts at.
pub(super) fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let (mut lines, mut open): (Vec<(usize, String)>, _) = (Vec::new(), false);
    for (number, raw) in (1..).zip(text.lines()) {
        let comment = raw.trim_start().starts_with('#');
        let part = raw.strip_suffix('\\').filter(|_| !comment);
        match lines.last_mut() {
            Some((_, line)) if open => line.push_str(if comment { " " } else { part.unwrap_or(raw) }),
            _ => lines.push((number, part.unwrap_or(raw).to_owned())),
        }
        open = part.is_some();
    }
    let bare = lines.into_iter().map(|(number, line)| (number, without_comment(&line).trim().to_owned()));
    bare.filter(|(_, line)| !line.is_empty()).collect()
}

/// A `#` begins a comment at the start of a line and behind a space: in an address it begins a fragment.
fn without_comment(line: &str) -> &str {
    let starts = |at: usize| at == 0 || line[..at].ends_with(char::is_whitespace);
    line.match_indices('#').map(|(at, _)| at).find(|at| starts(*at)).map_or(line, |at| &line[..at])
}

/// The value of an option in one of its spellings: `-r x`, `-rx`, `--requirement x`, `--requirement=x`.
fn value_of(line: &str, short: &str, long: &str) -> Option<String> {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let value = if word == short || word == long {
        rest
    } else if let Some(value) = line.strip_prefix(long).and_then(|rest| rest.strip_prefix('=')) {
        value
    } else {
        line.strip_prefix(short).filter(|_| !short.is_empty() && !line.starts_with("--"))?
    };
    let value = value.trim();
    let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    Some(quoted.unwrap_or(value).to_owned())
}

/// One known option as a line of its own, its path made absolute; nothing where it is not to be passed on.
fn option(line: &str, folder: &Path) -> Result<Option<String>, String> {
    let name = || line.split(['=', ' ', '\t']).next().unwrap_or_default().to_owned();
    for (short, long, takes_value) in KNOWN {
        let Some(value) = value_of(line, short, long).filter(|_| takes_value || line == long) else { continue };
        if takes_value && (value.is_empty() || value.contains(|c: char| c.is_whitespace() || c.is_control())) {
            return Err(format!("`{long}` takes one value, and an option stands on a line of its own"));
        }
        let path = || absolute(&folder.join(&value)).map(|path| path.display().to_string()).map_err(|e| format!("{e:#}"));
        return Ok(match long {
            "--no-binary" | "--only-binary" | "--prefer-binary" => None,
            "--find-links" if !value.contains("://") => Some(format!("{long} {}", path()?)),
            _ if takes_value => Some(format!("{long} {value}")),
            _ => Some(long.to_owned()),
        });
    }
    Err(format!("the option `{}` is not known to say only where packages come from; install by hand", name()))
}

/// Divides a requirement from its hashes; nothing where it has other options.
fn without_hashes(line: &str) -> Option<(&str, Vec<String>)> {
    let Some(at) = line.find(" --") else { return Some((line, Vec::new())) };
    let (text, options) = line.split_at(at);
    let (mut words, mut hashes) = (options.split_whitespace(), Vec::new());
    while let Some(word) = words.next() {
        let hash = if word == "--hash" { words.next() } else { word.strip_prefix("--hash=") };
        hashes.push(hash.filter(|hash| is_hash(hash))?.to_owned());
    }
    Some((text.trim_end(), hashes))
}

/// `algorithm:digest`.
pub(super) fn is_hash(hash: &str) -> bool {
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
    hash.split_once(':').is_some_and(|(algorithm, digest)| is_word(algorithm) && is_word(digest))
}

#[cfg(test)]
mod tests;
