//! The lines of `RECORD` files that speak of scripts, kept true when the scripts change ("Recording installed projects", packaging specifications).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contract::path::shown;
use sha2::{Digest as _, Sha256};

use crate::edit::{Content, Edit};
use crate::layout;

/// A script before and after.
pub(crate) struct Rewritten {
    /// Relative to the root.
    pub(crate) path: PathBuf,
    pub(crate) old: Vec<u8>,
    pub(crate) new: Vec<u8>,
}

/// The `RECORD` files that name any of the scripts, with the size and SHA-256 of exactly those lines renewed.
/// A line that did not fit the old bytes is left: a script that somebody changed must not pass for the packaged one.
pub(crate) fn edits(venv: &Path, scripts: &[Rewritten]) -> anyhow::Result<Vec<Edit>> {
    let mut edits = Vec::new();
    for site in layout::site_packages(venv) {
        for path in records(venv, &site).with_context(|| format!("cannot list {}", shown(&venv.join(&site))))? {
            let Content::File { bytes, mode } =
                crate::edit::content(&venv.join(&path)).with_context(|| format!("cannot read {}", shown(&path)))?
            else {
                continue;
            };
            let new = renewed(&bytes, &site, scripts);
            if new != bytes {
                edits.push(Edit { path, content: Content::File { bytes: new, mode } });
            }
        }
    }
    Ok(edits)
}

fn records(venv: &Path, site: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(venv.join(site))? {
        let name = entry?.file_name();
        let path = site.join(&name).join("RECORD");
        if Path::new(&name).extension().is_some_and(|ext| ext == "dist-info") && venv.join(&path).is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn renewed(record: &[u8], site: &Path, scripts: &[Rewritten]) -> Vec<u8> {
    let mut new = Vec::with_capacity(record.len());
    for line in record.split_inclusive(|&b| b == b'\n') {
        match renewed_line(line, site, scripts) {
            Some(line) => new.extend(line),
            None => new.extend_from_slice(line),
        }
    }
    new
}

/// `None` where the line is not about one of the scripts or did not fit it.
fn renewed_line(line: &[u8], site: &Path, scripts: &[Rewritten]) -> Option<Vec<u8>> {
    if !line.starts_with(b"../") && !line.starts_with(b"\"../") {
        return None;
    }
    let text = line.trim_ascii_end();
    // Neither a hash nor a length holds a comma, so the name is what stands before the last two.
    let mut fields = text.rsplitn(3, |&b| b == b',');
    let (length, hash, name) = (fields.next()?, fields.next()?, fields.next()?);
    let path = layout::normal(&site.join(layout::path(&unquoted(name))));
    let script = scripts.iter().find(|script| script.path == path)?;
    let fits = hash == digest(&script.old).as_bytes() && (length.is_empty() || length == script.old.len().to_string().as_bytes());
    fits.then(|| [name, b",", digest(&script.new).as_bytes(), b",", script.new.len().to_string().as_bytes(), &line[text.len()..]].concat())
}

/// A field of a CSV line without its quotes.
fn unquoted(field: &[u8]) -> Vec<u8> {
    match field.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) {
        Some(inner) => {
            let mut previous = 0;
            inner
                .iter()
                .copied()
                .filter(|&b| {
                    let doubled = b == b'"' && previous == b'"';
                    previous = if doubled { 0 } else { b };
                    !doubled
                })
                .collect()
        }
        None => field.to_vec(),
    }
}

/// A hash as `RECORD` has it.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256={}", URL_SAFE_NO_PAD.encode(Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SITE: &str = "lib/python3.12/site-packages";

    fn script(path: &str) -> Rewritten {
        Rewritten { path: path.into(), old: b"old".to_vec(), new: b"newer".to_vec() }
    }

    fn line(name: &str, bytes: &[u8]) -> String {
        format!("{name},{},{}\r\n", digest(bytes), bytes.len())
    }

    #[test]
    fn exactly_the_lines_of_the_scripts_change() {
        let other = "flask/app.py,sha256=x,3\r\nflask/__pycache__/app.pyc,,\r\n";
        let record = format!("{}{}{other}", line("../../../bin/flask", b"old"), line("\"../../../bin/a,\"\"b\"", b"old"));
        let scripts = [script("bin/flask"), script("bin/a,\"b")];
        let expected = format!("{}{}{other}", line("../../../bin/flask", b"newer"), line("\"../../../bin/a,\"\"b\"", b"newer"));
        assert_eq!(String::from_utf8(renewed(record.as_bytes(), Path::new(SITE), &scripts)).unwrap(), expected);
    }

    #[test]
    fn a_script_that_was_changed_by_hand_stays_recognisable() {
        let record = line("../../../bin/flask", b"packaged");
        assert_eq!(renewed(record.as_bytes(), Path::new(SITE), &[script("bin/flask")]), record.as_bytes());
    }

    proptest! {
        #[test]
        fn what_is_not_understood_stays(record: Vec<u8>) {
            prop_assert_eq!(renewed(&record, Path::new(SITE), &[script("bin/flask")]), record);
        }
    }
}
