//! Whether installed files are still what their distribution's RECORD says.

use std::fs;
use std::path::{Path, PathBuf};

/// One line of a RECORD (the recorded-installs specification, PEP 376 and 627).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// As written: relative to `site-packages`, or absolute.
    pub(super) path: String,
    /// `algorithm=digest`; empty where there is none.
    pub(super) hash: String,
    /// In bytes; `None` where there is none.
    pub(super) size: Option<u64>,
}

/// Reads a RECORD; `None` where it is missing or no CSV.
pub(super) fn record(info: &Path) -> Option<Vec<Entry>> {
    let path = info.join("RECORD");
    let found = fs::metadata(&path).ok().filter(|found| found.is_file() && found.len() <= 64 << 20)?;
    let mut bytes = Vec::with_capacity(usize::try_from(found.len()).ok()?);
    std::io::Read::read_to_end(&mut fs::File::open(path).ok()?, &mut bytes).ok()?;
    entries(&bytes)
}

fn entries(bytes: &[u8]) -> Option<Vec<Entry>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let rows = reader.records().map(|row| {
        let row = row.ok()?;
        let field = |at| row.get(at).unwrap_or_default().to_owned();
        Some(Entry { path: field(0), hash: field(1), size: field(2).parse().ok() })
    });
    rows.collect()
}

/// How many of a thousand hashed files are there at their recorded size; the metadata's own do not count, they say nothing of the code.
pub(super) fn share_that_fits(info: &Path) -> usize {
    let packages = info.parent().unwrap_or(info);
    let lines = record(info).unwrap_or_default();
    let own: Vec<&Entry> = lines.iter().filter(|entry| !entry.hash.is_empty() && !packages.join(&entry.path).starts_with(info)).collect();
    let fitting = own.iter().filter(|entry| size(&packages.join(&entry.path)) == entry.size).count();
    (fitting * 1000).checked_div(own.len()).unwrap_or(0)
}

fn size(path: &PathBuf) -> Option<u64> {
    fs::metadata(path).ok().map(|found| found.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commas_and_missing_fields_are_read() {
        let lines = entries(b"\"a,b.py\",sha256=x,12\r\nRECORD,,\r\nshort\n").unwrap();
        let shown: Vec<_> = lines.iter().map(|entry| (entry.path.as_str(), entry.hash.as_str(), entry.size)).collect();
        assert_eq!(shown, [("a,b.py", "sha256=x", Some(12)), ("RECORD", "", None), ("short", "", None)]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes: Vec<u8>) {
            entries(&bytes);
        }
    }
}
