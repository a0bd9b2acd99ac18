//! RECORD (PEP 376, PEP 627): every installed file with its hash and size.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use csv::ByteRecord;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::{Dist, Kind};
use crate::bounded::{is_gone, open_sized, too_long};

/// One installed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Absolute; `..` taken out by its spelling, as pip does.
    pub(crate) path: PathBuf,
    /// Absent where none is recorded, or one of a kind that proves nothing.
    pub(crate) hash: Option<Hash>,
    pub(crate) size: Option<u64>,
}

/// A recorded hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hash {
    kind: HashKind,
    digest: Box<[u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HashKind {
    Sha256,
    Sha384,
    Sha512,
}

/// What the disk says to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Same,
    Different,
    Missing,
    Unreadable,
}

/// No RECORD is that long: a line has some hundred bytes.
const LIMIT: usize = 64 << 20;
/// What has no recorded size and goes on beyond this is not read to its end.
const UNSIZED: u64 = 1 << 30;

/// Reads the RECORD of a distribution; `None` where there is none, or none that is one.
///
/// # Errors
/// It is there and cannot be read, or is longer than 64 MiB.
pub(crate) fn read(dist: &Dist) -> io::Result<Option<Vec<Line>>> {
    let Some(path) = file_of(dist) else { return Ok(None) };
    let file = match open_sized(&path) {
        Ok((_, length)) if length > LIMIT as u64 => return Err(too_long(LIMIT)),
        Ok((file, _)) => file,
        Err(error) if is_gone(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(parse(file.take(LIMIT as u64), dist.site()).filter(|lines| !lines.is_empty()))
}

/// Whether a distribution's RECORD lists a file.
pub(super) fn lists(dist: &Dist, file: &Path) -> bool {
    read(dist).ok().flatten().is_some_and(|lines| lines.iter().any(|line| line.path == file))
}

fn file_of(dist: &Dist) -> Option<PathBuf> {
    (dist.kind == Kind::DistInfo).then(|| dist.info.join("RECORD"))
}

/// A field with a line break in it is a quote without its end, which swallows every line behind it.
fn parse(record: impl Read, site: &Path) -> Option<Vec<Line>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(record);
    let mut row = ByteRecord::new();
    let mut lines = Vec::new();
    while reader.read_byte_record(&mut row).ok()? {
        if row.as_slice().contains(&b'\n') {
            return None;
        }
        lines.extend(line(&row, site));
    }
    Some(lines)
}

fn line(row: &ByteRecord, site: &Path) -> Option<Line> {
    let path = row.get(0).filter(|path| !path.is_empty())?;
    let length = row.get(2).and_then(|length| std::str::from_utf8(length).ok()?.parse().ok());
    Some(Line { path: resolved(site, Path::new(OsStr::from_bytes(path))), hash: row.get(1).and_then(hash), size: length })
}

/// Only lines with `..` are rebuilt: the others are nearly all, and joining them is enough.
fn resolved(site: &Path, path: &Path) -> PathBuf {
    if !path.components().any(|part| part == Component::ParentDir) {
        return site.join(path);
    }
    let mut whole = PathBuf::new();
    for part in site.join(path).components() {
        if part == Component::ParentDir {
            whole.pop();
        } else {
            whole.push(part);
        }
    }
    whole
}

/// `sha256=…` in URL-safe base64, with or without padding.
fn hash(field: &[u8]) -> Option<Hash> {
    let (kind, digest) = std::str::from_utf8(field).ok()?.split_once('=')?;
    let (kind, length) = match kind {
        "sha256" => (HashKind::Sha256, 32),
        "sha384" => (HashKind::Sha384, 48),
        "sha512" => (HashKind::Sha512, 64),
        _ => return None,
    };
    let digest = URL_SAFE_NO_PAD.decode(digest.trim_end_matches('=')).ok()?;
    (digest.len() == length).then(|| Hash { kind, digest: digest.into() })
}

impl Line {
    /// Whether a difference would mean something: compiled files come and go, and tools edit what they keep about an install.
    /// Without a hash it is only that code must be there. What a line names outside the environment is none of its business.
    pub(crate) fn is_verifiable(&self, info: &Path) -> bool {
        let says_something = self.hash.is_some() || self.path.extension().is_some_and(|extension| extension == "py");
        says_something && !is_compiled(&self.path) && !is_bookkeeping(&self.path, info) && self.path.starts_with(root_of(info))
    }

    /// Compares size, then content; `buffer` is for reading.
    pub(crate) fn check(&self, buffer: &mut [u8]) -> State {
        match self.is_same(buffer) {
            Ok(true) => State::Same,
            Ok(false) => State::Different,
            Err(error) => match error.kind() {
                _ if is_gone(&error) => State::Missing,
                io::ErrorKind::InvalidData => State::Different,
                _ => State::Unreadable,
            },
        }
    }

    /// Whether the file is as recorded but for something added at its end.
    pub(crate) fn is_extended(&self, buffer: &mut [u8]) -> bool {
        let (Some(hash), Some(size), Ok((file, length))) = (&self.hash, self.size, open_sized(&self.path)) else { return false };
        length > size && hash.is_of(file.take(size), buffer).unwrap_or(false)
    }

    fn is_same(&self, buffer: &mut [u8]) -> io::Result<bool> {
        let Some(hash) = &self.hash else { return self.path.metadata().map(|_there| true) };
        let (file, length) = open_sized(&self.path)?;
        match self.size {
            Some(size) if size != length => Ok(false),
            None if length > UNSIZED => Err(io::ErrorKind::FileTooLarge.into()),
            // One that grows meanwhile has no end; and a length that is known saves a read, which counts over thousands of files.
            Some(_) | None => hash.is_of(file.take(length), buffer),
        }
    }
}

impl Hash {
    fn is_of(&self, content: impl Read, buffer: &mut [u8]) -> io::Result<bool> {
        let digest = match self.kind {
            HashKind::Sha256 => digest::<Sha256>(content, buffer)?,
            HashKind::Sha384 => digest::<Sha384>(content, buffer)?,
            HashKind::Sha512 => digest::<Sha512>(content, buffer)?,
        };
        Ok(digest == self.digest)
    }
}

fn digest<D: Digest>(mut content: impl Read, buffer: &mut [u8]) -> io::Result<Box<[u8]>> {
    let mut digest = D::new();
    loop {
        match content.read(buffer) {
            Ok(0) => return Ok(digest.finalize().as_slice().into()),
            Ok(length) => digest.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// `root/lib/pythonX.Y/site-packages/x.dist-info`.
fn root_of(info: &Path) -> &Path {
    info.ancestors().nth(4).unwrap_or(info)
}

fn is_compiled(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "pyc") || path.components().any(|part| part.as_os_str() == "__pycache__")
}

fn is_bookkeeping(path: &Path, info: &Path) -> bool {
    const FILES: [&str; 6] = ["RECORD", "RECORD.jws", "RECORD.p7s", "INSTALLER", "REQUESTED", "direct_url.json"];
    path.parent() == Some(info) && path.file_name().is_some_and(|name| FILES.iter().any(|file| name == *file))
}

#[cfg(test)]
mod tests {
    use super::State::{Different, Missing, Same};
    use super::*;
    use proptest::prelude::*;

    const SITE: &str = "/v/lib/python3.12/site-packages";
    const EMPTY: &str = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";

    fn lines(record: &str) -> Vec<Line> {
        parse(record.as_bytes(), Path::new(SITE)).unwrap()
    }

    fn verifiable(path: &str) -> bool {
        lines(&format!("{path},{EMPTY},0\n"))[0].is_verifiable(&Path::new(SITE).join("a-1.dist-info"))
    }

    #[test]
    fn paths_leave_the_site_folder_are_absolute_or_quoted() {
        let found = lines(&format!("../../../bin/x,{EMPTY},0\r\n/etc/x,,\n\"a,\"\"b\"\"/c\",,\n"));
        let paths: Vec<_> = found.iter().map(|line| line.path.to_str().unwrap()).collect();
        assert_eq!(paths, ["/v/bin/x", "/etc/x", "/v/lib/python3.12/site-packages/a,\"b\"/c"]);
        assert_eq!((found[0].size, found[1].size), (Some(0), None));
    }

    #[test]
    fn only_hashes_that_prove_something_count() {
        assert!(hash(EMPTY.as_bytes()).is_some());
        assert_eq!(hash(format!("{EMPTY}=").as_bytes()), hash(EMPTY.as_bytes()));
        for field in ["", "md5=1B2M2Y8AsgTpgAmY7PhCfg", "sha256=short", "sha256", "sha256=!!"] {
            assert_eq!(hash(field.as_bytes()), None, "{field}");
        }
    }

    #[test]
    fn compiled_files_and_bookkeeping_are_not_compared() {
        assert!(verifiable("a/b.py"));
        assert!(verifiable("a-1.dist-info/METADATA"));
        assert!(verifiable("b/RECORD"));
        for path in ["a/b.pyc", "a/__pycache__/b.cpython-312.opt-1.txt", "a-1.dist-info/INSTALLER", "a-1.dist-info/direct_url.json"] {
            assert!(!verifiable(path), "{path}");
        }
        let info = Path::new(SITE).join("a-1.dist-info");
        let silent = lines("a/__pycache__/b.py,,\na/b.pyc,,\na/b.txt,,\na-1.dist-info/RECORD,,\n");
        assert!(silent.iter().all(|line| !line.is_verifiable(&info)));
        assert!(lines("a/b.py,,\n")[0].is_verifiable(&info));
    }

    #[test]
    fn only_the_environments_own_files_are_compared() {
        assert!(verifiable("../../../bin/x"));
        for path in ["/tmp/huge", "../../../../huge", "../../../../../../etc/passwd", "/v/../etc/passwd"] {
            assert!(!verifiable(path), "{path}");
        }
    }

    #[test]
    fn a_quote_without_an_end_makes_it_no_list() {
        assert!(parse(&b"a.py,\"sha256=x,0\nb.py,,\n"[..], Path::new(SITE)).is_none());
        assert!(parse(&b"\"a\nb.py\",,\n"[..], Path::new(SITE)).is_none());
    }

    #[test]
    fn a_file_without_size_or_end_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::File::create(folder.path().join("a")).unwrap().set_len(UNSIZED + 1).unwrap();
        let record = format!("a,{EMPTY},\n");
        assert_eq!(parse(record.as_bytes(), folder.path()).unwrap()[0].check(&mut [0; 2]), State::Unreadable);
    }

    #[test]
    fn size_and_every_kind_of_hash_are_compared() {
        let folder = tempfile::tempdir().unwrap();
        contract::replace::write(&folder.path().join("a"), b"abc").unwrap();
        let encoded = |digest: &[u8]| URL_SAFE_NO_PAD.encode(digest);
        let (short, long) = (encoded(&Sha384::digest(b"abc")), encoded(&Sha512::digest(b"abc")));
        let record = format!("a,sha384={short},3\na,sha512={long},\na,sha384={short},4\na,{EMPTY},3\nb,{EMPTY},0\na/b,{EMPTY},0\n");
        let states: Vec<_> = parse(record.as_bytes(), folder.path()).unwrap().iter().map(|line| line.check(&mut [0; 2])).collect();
        assert_eq!(states, [Same, Same, Different, Different, Missing, Missing]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(record: Vec<u8>) {
            parse(record.as_slice(), Path::new(SITE));
        }

        #[test]
        fn any_line_comes_back(name in "[a-z,\" ]{1,12}", digest: [u8; 32], size: u64) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            let hash = format!("sha256={}", URL_SAFE_NO_PAD.encode(digest));
            writer.write_record([name.as_str(), &hash, &size.to_string()]).unwrap();
            let found = parse(writer.into_inner().unwrap().as_slice(), Path::new(SITE)).unwrap();
            prop_assert_eq!(&found[0].path, &Path::new(SITE).join(&name));
            prop_assert_eq!(&*found[0].hash.as_ref().unwrap().digest, &digest[..]);
            prop_assert_eq!(found[0].size, Some(size));
        }
    }
}
