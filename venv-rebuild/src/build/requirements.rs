//! Requirements files, as pip documents their format: what is asked for, with every line judged before an installer sees it.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail, ensure};
use contract::path::shown;

use super::pin::{Pin, check_url, file_url, normalised};
use super::pyproject::{self, Demands};
use super::redact;

/// Options for the index and the kind of archive, that only say where packages come from.
const HONOURED: [(&str, &str, bool); 8] = [
    ("-i", "--index-url", true),
    ("", "--extra-index-url", true),
    ("-f", "--find-links", true),
    ("", "--no-index", false),
    ("", "--pre", false),
    ("", "--no-binary", true),
    ("", "--only-binary", true),
    ("", "--require-hashes", false),
];

/// A requirements file and all that it includes.
#[derive(Debug, Default)]
pub(super) struct Requirements {
    /// What is to be installed.
    pub(super) wanted: Vec<Pin>,
    /// Bounds for what gets installed anyway.
    pub(super) constraints: Vec<Pin>,
    /// Options as lines of a requirements file; may hold passwords.
    pub(super) options: Vec<String>,
    /// Lines that are no requirement, each with the reason.
    pub(super) unreadable: Vec<(String, String)>,
    /// The files that say all this.
    pub(super) files: Vec<PathBuf>,
}

/// Reads a requirements file, or the dependencies in a pyproject.toml. Paths in it are relative to its folder.
///
/// # Errors
/// It or a file that it includes cannot be read, or has an option that is not known to be harmless.
pub(super) fn read(path: &Path) -> anyhow::Result<Requirements> {
    let mut reader = Reader { first: path.to_owned(), root: folder(path), seen: HashSet::new(), found: Requirements::default() };
    // A line may hold anything, and an error names what it stumbled over.
    reader.all(path).map_err(|e| anyhow!(redact::excerpt(&format!("{e:#}"))))?;
    Ok(reader.found)
}

struct Reader {
    first: PathBuf,
    root: PathBuf,
    seen: HashSet<PathBuf>,
    found: Requirements,
}

impl Reader {
    fn all(&mut self, path: &Path) -> anyhow::Result<()> {
        match path.ends_with("pyproject.toml").then(|| pyproject::demands(path)) {
            Some(Demands::Lines(lines)) => {
                self.found.files.push(path.to_owned());
                lines.iter().try_for_each(|line| self.requirement(line, None, false))
            }
            _ => self.file(path, false),
        }
    }

    fn file(&mut self, path: &Path, constrains: bool) -> anyhow::Result<()> {
        let canonical = path.canonicalize().with_context(|| format!("cannot read {}", shown(path)))?;
        if !self.seen.insert(canonical) {
            return Ok(());
        }
        self.found.files.push(path.to_owned());
        let text = read_text(path)?;
        for (number, line) in logical_lines(&text) {
            redact::remember_variables(&line);
            let place = format!("{}, line {number}", shown(path));
            self.line(&line, path, &place, constrains).context(place)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str, path: &Path, place: &str, constrains: bool) -> anyhow::Result<()> {
        if !line.starts_with('-') {
            // What another file holds need not be requirements, and is not repeated in a record.
            let place = Some(place).filter(|_| path != self.first);
            return self.requirement(line, place, constrains);
        }
        if let Some(nested) = value_of(line, "-r", "--requirement") {
            return self.file(&folder(path).join(local(&nested)?), constrains);
        }
        if let Some(nested) = value_of(line, "-c", "--constraint") {
            return self.file(&folder(path).join(local(&nested)?), true);
        }
        if let Some(source) = value_of(line, "-e", "--editable") {
            return self.editable(&source);
        }
        self.found.options.push(option(line, &folder(path))?);
        Ok(())
    }

    fn requirement(&mut self, line: &str, place: Option<&str>, constrains: bool) -> anyhow::Result<()> {
        let (text, hashes) = without_hashes(line)?;
        match requirement(&text, &self.root) {
            Ok(pin) if constrains => self.found.constraints.push(Pin { hashes, ..pin }),
            Ok(pin) => self.found.wanted.push(Pin { hashes, ..pin }),
            Err(reason) => self.found.unreadable.push(match place {
                Some(place) => (place.to_owned(), "it is no requirement".to_owned()),
                None => (redact::quoted(&text), redact::excerpt(&format!("{reason:#}"))),
            }),
        }
        Ok(())
    }

    fn editable(&mut self, source: &str) -> anyhow::Result<()> {
        let (source, extras) = split_extras(source);
        let url = address(source, &self.root)?;
        self.found.wanted.push(Pin { name: name_in(&url), version: None, line: format!("-e {url}{extras}"), hashes: Vec::new() });
        Ok(())
    }
}

fn folder(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}

/// Reads a text of the project, which may be anything and of any length.
pub(super) fn read_text(path: &Path) -> anyhow::Result<String> {
    let found = fs::metadata(path).with_context(|| format!("cannot read {}", shown(path)))?;
    ensure!(found.is_file() && found.len() <= 16 << 20, "{} is no file of at most 16 MiB", shown(path));
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {} as UTF-8", shown(path)))?;
    Ok(text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned))
}

/// Lines without comments, with continued ones joined, each with the number that it starts at; empty ones are left out.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (number, raw) in (1..).zip(text.lines()) {
        let comment = raw.trim_start().starts_with('#');
        let (part, goes_on) = match raw.strip_suffix('\\') {
            Some(part) if !comment => (part, true),
            _ => (raw, false),
        };
        match lines.last_mut() {
            Some((_, line)) if open => line.extend([if comment { " " } else { "" }, part]),
            _ => lines.push((number, part.to_owned())),
        }
        open = goes_on;
    }
    lines
        .into_iter()
        .map(|(number, line)| (number, without_comment(&line).trim().to_owned()))
        .filter(|(_, line)| !line.is_empty())
        .collect()
}

/// A `#` begins a comment at the start of a line and behind a space: in a URL it begins a fragment.
fn without_comment(line: &str) -> &str {
    let starts = |at: usize| at == 0 || line[..at].ends_with(char::is_whitespace);
    line.match_indices('#').map(|(at, _)| at).find(|at| starts(*at)).map_or(line, |at| &line[..at])
}

/// The value of an option in one of its spellings: `-r x`, `-rx`, `--requirement x`, `--requirement=x`.
fn value_of(line: &str, short: &str, long: &str) -> Option<String> {
    let (word, rest) = line.split_once(|c: char| c.is_whitespace()).unwrap_or((line, ""));
    let value = if word == short || word == long {
        rest
    } else if let Some(value) = line.strip_prefix(long).and_then(|rest| rest.strip_prefix('=')) {
        value
    } else {
        line.strip_prefix(short).filter(|_| !short.is_empty() && !line.starts_with("--"))?
    };
    Some(unquoted(value.trim()).to_owned())
}

fn unquoted(value: &str) -> &str {
    let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    quoted.unwrap_or(value)
}

fn local(value: &str) -> anyhow::Result<&str> {
    ensure!(!value.is_empty(), "no file is named");
    ensure!(!value.contains("://"), "`{value}` is on the network: name a local file");
    Ok(value)
}

/// One honoured option as a line of its own, its path made absolute.
fn option(line: &str, folder: &Path) -> anyhow::Result<String> {
    for (short, long, takes_value) in HONOURED {
        let Some(value) = value_of(line, short, long).filter(|_| takes_value || line == long) else { continue };
        ensure!(!takes_value || !value.is_empty(), "`{long}` needs a value");
        ensure!(
            !value.contains(|c: char| c.is_whitespace() || c.is_control()),
            "`{long}` takes one value, and an option stands on a line of its own"
        );
        return Ok(match long {
            _ if !takes_value => long.to_owned(),
            "--find-links" => format!("{long} {}", address(&value, folder)?),
            _ => format!("{long} {value}"),
        });
    }
    bail!("the option `{}` is not one that a rebuild honours: take it out, or rebuild by hand", bare(line));
}

/// An option without its value, which may be a secret.
fn bare(option: &str) -> String {
    option.split(|c: char| c == '=' || c.is_whitespace()).next().unwrap_or_default().to_owned()
}

fn without_hashes(line: &str) -> anyhow::Result<(String, Vec<String>)> {
    let Some(at) = line.find(" --") else { return Ok((line.to_owned(), Vec::new())) };
    let (text, options) = line.split_at(at);
    let mut words = options.split_whitespace();
    let mut hashes = Vec::new();
    while let Some(word) = words.next() {
        let hash = if word == "--hash" { words.next() } else { word.strip_prefix("--hash=") };
        let Some(hash) = hash.filter(|hash| is_hash(hash)) else {
            bail!("`{}` is no option of a requirement that a rebuild honours", bare(word))
        };
        hashes.push(hash.to_owned());
    }
    Ok((text.trim_end().to_owned(), hashes))
}

pub(super) fn is_hash(hash: &str) -> bool {
    hash.split_once(':').is_some_and(|(algorithm, digest)| {
        [algorithm, digest].iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()))
    })
}

/// Reads one requirement: a name with a range (PEP 508), a name with an address, or an address alone.
fn requirement(text: &str, root: &Path) -> anyhow::Result<Pin> {
    let (target, marker) = split_marker(text);
    if let Some((name, url)) = named_address(target) {
        let url = address(url, root)?;
        let bare = name.split('[').next().unwrap_or(name);
        return Ok(Pin { name: normalised(bare)?, version: None, line: format!("{} @ {url}{marker}", name.trim()), hashes: Vec::new() });
    }
    if let Some(parsed) = super::markers::requirement(text) {
        return Ok(Pin { name: parsed.name.to_string(), version: exact(&parsed), line: text.to_owned(), hashes: Vec::new() });
    }
    let (source, extras) = split_extras(target);
    let is_address = source.contains('/') || source.starts_with('.') || Path::new(source).extension().is_some_and(|ext| ext == "whl");
    ensure!(is_address, "it is neither a requirement (PEP 508) nor a path");
    let url = address(source, root)?;
    Ok(Pin { name: name_in(&url), version: None, line: format!("{url}{extras}{marker}"), hashes: Vec::new() })
}

/// The one version that a requirement allows.
fn exact(requirement: &pep508_rs::Requirement) -> Option<String> {
    let Some(pep508_rs::VersionOrUrl::VersionSpecifier(range)) = &requirement.version_or_url else { return None };
    let [only] = &**range else { return None };
    (*only.operator() == pep440_rs::Operator::Equal).then(|| only.version().to_string())
}

/// Divides an address from its marker, which needs the space: a `;` may be part of an address.
fn split_marker(text: &str) -> (&str, &str) {
    text.find(" ;").map_or((text, ""), |at| text.split_at(at))
}

fn named_address(text: &str) -> Option<(&str, &str)> {
    let (name, url) = text.split_once('@')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_. [],".contains(c);
    (!name.trim().is_empty() && name.chars().all(is_name)).then_some((name, url.trim()))
}

/// Divides `./path[extra]`.
fn split_extras(source: &str) -> (&str, &str) {
    let extras = source.strip_suffix(']').and_then(|inner| inner.rfind('['));
    let is_extras = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.[],".contains(c));
    extras.map(|at| source.split_at(at)).filter(|(_, extras)| is_extras(extras)).unwrap_or((source, ""))
}

/// Makes an address of a path, and lets an address be.
fn address(source: &str, root: &Path) -> anyhow::Result<String> {
    if !source.contains("://") {
        return file_url(&contract::path::absolute(&root.join(source.strip_prefix("file:").unwrap_or(source)))?);
    }
    // The project's own file may name a variable of the environment for its installer, which is how passwords stay out of it.
    check_url(&source.replace("${", "$"))?;
    Ok(source.to_owned())
}

/// The name that an address tells: its `#egg=`, or the name of the wheel, else the address itself.
fn name_in(url: &str) -> String {
    let egg = url.split_once("#egg=").or_else(|| url.split_once("&egg=")).map(|(_, egg)| egg.split(['&', '[']).next().unwrap_or(egg));
    let file = url.split(['#', '?']).next().and_then(|path| path.rsplit('/').next()).unwrap_or(url);
    let wheel = file.strip_suffix(".whl").and_then(|name| name.split('-').next());
    egg.or(wheel).and_then(|name| normalised(name).ok()).unwrap_or_else(|| redact::secrets(url))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::create_dir_all(root.path().join(name).parent().unwrap()).unwrap();
            #[expect(clippy::disallowed_methods, reason = "a test's own file")]
            fs::write(root.path().join(name), text).unwrap();
        }
        root
    }

    fn lines(pins: &[Pin], root: &Path) -> Vec<String> {
        pins.iter().map(|pin| pin.lines().replace(root.to_str().unwrap(), "")).collect()
    }

    #[test]
    fn nesting_comments_continuations_hashes_and_markers() {
        let root = project(&[
            (
                "requirements.txt",
                "\u{feff}# all\n-r sub/base.txt\n-c sub/limits.txt\nflask \\\n  >=3 ; python_version>'3.8' # web\nb==1.0 \\\n    --hash=sha256:ab \\\n    --hash sha256:cd\n",
            ),
            (
                "sub/base.txt",
                "-r ../requirements.txt\nA_B[x]==2.*\nc @ ./dist/c.whl ; os_name=='posix'\n-e ./src[dev]\ngit+https://h/r@v1#egg=Dd\n",
            ),
            ("sub/limits.txt", "idna<4\n"),
        ]);
        let read = read(&root.path().join("requirements.txt")).unwrap();
        let expected = [
            "A_B[x]==2.*",
            "c @ file:///dist/c.whl ; os_name=='posix'",
            "-e file:///src[dev]",
            "git+https://h/r@v1#egg=Dd",
            "flask   >=3 ; python_version>'3.8'",
            "b==1.0 --hash=sha256:ab --hash=sha256:cd",
        ];
        assert_eq!(lines(&read.wanted, root.path()), expected);
        assert_eq!(lines(&read.constraints, root.path()), ["idna<4"]);
        let named: Vec<_> = read.wanted.iter().map(|pin| (pin.name.as_str(), pin.version.as_deref())).collect();
        assert_eq!((named[0], named[3], named[5]), (("a-b", None), ("dd", None), ("b", Some("1.0"))));
        assert_eq!(read.unreadable, []);
    }

    #[test]
    fn options_for_the_index_are_honoured_and_others_refused() {
        let text = "-i https://u:p@h/simple\n--extra-index-url=https://h/${TOKEN}\n--find-links ./wheels\n--pre\n--no-binary :all:\n";
        let root = project(&[("requirements.txt", text)]);
        let options = read(&root.path().join("requirements.txt")).unwrap().options;
        let wheels = format!("--find-links file://{}/./wheels", root.path().display()).replace("/./", "/");
        let expected = ["--index-url https://u:p@h/simple", "--extra-index-url https://h/${TOKEN}", &wheels, "--pre", "--no-binary :all:"];
        assert_eq!(options, expected);
        for line in [
            "--trusted-host x",
            "--global-option=x",
            "a --config-settings x",
            "--pre --target=/x",
            "-i https://h --target /x",
            "-r https://h/x",
            "--index-urlx",
        ] {
            let root = project(&[("requirements.txt", line)]);
            let error = format!("{:#}", read(&root.path().join("requirements.txt")).unwrap_err());
            assert!(error.contains("requirements.txt, line 1: "), "{error}");
        }
    }

    #[test]
    fn what_is_no_requirement_is_named_and_the_rest_read() {
        let root = project(&[("requirements.txt", "flask\npytz>dev\n$(rm -rf /)\njavascript://x/y\n")]);
        let read = read(&root.path().join("requirements.txt")).unwrap();
        assert_eq!(lines(&read.wanted, root.path())[0], "flask");
        assert!(read.unreadable.iter().any(|(text, _)| text == "pytz>dev"), "{read:?}");
        assert!(read.unreadable.iter().any(|(text, _)| text == "javascript://x/y"), "{read:?}");
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text: String) {
            logical_lines(&text);
            without_hashes(&text).ok();
            requirement(&text, Path::new("/p")).ok();
            option(&text, Path::new("/p")).ok();
            value_of(&text, "-r", "--requirement");
        }

        #[test]
        fn no_judged_line_is_an_option_or_two_lines(text in "[^\r\n]*") {
            if let Ok(pin) = requirement(text.trim(), Path::new("/p")) {
                prop_assert!(!pin.line.contains(['\n', '\r']), "{}", pin.line);
            }
        }
    }
}
