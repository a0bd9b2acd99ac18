//! RECORD (PEP 376, PEP 627): every installed file with its hash and size.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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
/// No line names a path and a hash that are longer.
const LONGEST: u64 = 64 << 10;
/// What has no recorded size and goes on beyond this is not read to its end.
const UNSIZED: u64 = 1 << 30;

/// What a RECORD is, whatever its lines say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Whole,
    /// There is none.
    None,
    /// It is empty, or from some line on no list of files.
    Damaged,
}

/// Shows `visit` every line of a distribution's RECORD, one at a time: some are as long as a book.
///
/// # Errors
/// It is there and cannot be read, or is longer than 64 MiB.
pub(crate) fn each(dist: &Dist, visit: impl FnMut(Line)) -> io::Result<List> {
    let Some(path) = file_of(dist) else { return Ok(List::None) };
    let file = match open_sized(&path) {
        Ok((_, length)) if length > LIMIT as u64 => return Err(too_long(LIMIT)),
        Ok((file, _)) => file,
        Err(error) if is_gone(&error) => return Ok(List::None),
        Err(error) => return Err(error),
    };
    parse(BufReader::new(file.take(LIMIT as u64)), dist.site(), visit)
}

/// Whether a distribution's RECORD lists a file.
pub(super) fn lists(dist: &Dist, file: &Path) -> bool {
    let mut listed = false;
    each(dist, |line| listed |= line.path == file).is_ok() && listed
}

fn file_of(dist: &Dist) -> Option<PathBuf> {
    (dist.kind == Kind::DistInfo).then(|| dist.info.join("RECORD"))
}

fn parse(mut record: impl BufRead, site: &Path, mut visit: impl FnMut(Line)) -> io::Result<List> {
    let (mut bytes, mut is_empty) = (Vec::new(), true);
    loop {
        bytes.clear();
        if record.by_ref().take(LONGEST).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(if is_empty { List::Damaged } else { List::Whole });
        }
        let text = bytes.trim_ascii_end();
        // A crash leaves blocks of zeros.
        let is_broken = bytes.len() as u64 == LONGEST || text.contains(&0);
        match fields(text).filter(|_| !is_broken) {
            Some([path, ..]) if path.is_empty() => {}
            Some([path, hashed, length]) => {
                is_empty = false;
                let path = resolved(site, Path::new(OsStr::from_bytes(&path)));
                let length = std::str::from_utf8(&length).ok().and_then(|length| length.parse().ok());
                visit(Line { path, hash: hash(&hashed), size: length });
            }
            None => return Ok(List::Damaged),
        }
    }
}

/// The first three fields of a line of CSV, empty where there are fewer; `None` where a quote has no end: none goes over several lines.
fn fields(line: &[u8]) -> Option<[Cow<'_, [u8]>; 3]> {
    let mut rest = line;
    let mut next = || -> Option<Cow<'_, [u8]>> {
        let (field, behind) = match rest.strip_prefix(b"\"") {
            Some(quoted) => unquoted(quoted)?,
            None => (Cow::Borrowed(&rest[..comma(rest)]), &rest[comma(rest)..]),
        };
        rest = behind.get(comma(behind) + 1..).unwrap_or_default();
        Some(field)
    };
    Some([next()?, next()?, next()?])
}

fn comma(text: &[u8]) -> usize {
    text.iter().position(|&b| b == b',').unwrap_or(text.len())
}

/// What stands before the closing quote, and what behind it; a doubled quote stands for one.
fn unquoted(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let mut field = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.iter().position(|&b| b == b'"')?;
        field.extend_from_slice(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix(b"\"") {
            Some(behind) => {
                field.push(b'"');
                rest = behind;
            }
            None => return Some((Cow::Owned(field), rest)),
        }
    }
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

    fn read(record: &[u8], site: &Path) -> (Vec<Line>, List) {
        let mut lines = Vec::new();
        let list = parse(record, site, |line| lines.push(line)).unwrap();
        (lines, list)
    }

    fn lines(record: &str) -> Vec<Line> {
        read(record.as_bytes(), Path::new(SITE)).0
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
        for record in
            [&b"a.py,\"sha256=x,0\nb.py,,\n"[..], b"\"a\nb.py\",,\n", b"", b"\n", &[0; 100], b"a.py,,\n\0\0\0", &vec![b'a'; 100_000]]
        {
            assert_eq!(read(record, Path::new(SITE)).1, List::Damaged, "{record:?}");
        }
        assert_eq!(read(b"a.py", Path::new(SITE)).1, List::Whole);
    }

    #[test]
    fn a_file_without_size_or_end_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::File::create(folder.path().join("a")).unwrap().set_len(UNSIZED + 1).unwrap();
        let record = format!("a,{EMPTY},\n");
        assert_eq!(read(record.as_bytes(), folder.path()).0[0].check(&mut [0; 2]), State::Unreadable);
    }

    #[test]
    fn size_and_every_kind_of_hash_are_compared() {
        let folder = tempfile::tempdir().unwrap();
        contract::replace::write(&folder.path().join("a"), b"abc").unwrap();
        let encoded = |digest: &[u8]| URL_SAFE_NO_PAD.encode(digest);
        let (short, long) = (encoded(&Sha384::digest(b"abc")), encoded(&Sha512::digest(b"abc")));
        let record = format!("a,sha384={short},3\na,sha512={long},\na,sha384={short},4\na,{EMPTY},3\nb,{EMPTY},0\na/b,{EMPTY},0\n");
        let states: Vec<_> = read(record.as_bytes(), folder.path()).0.iter().map(|line| line.check(&mut [0; 2])).collect();
        assert_eq!(states, [Same, Same, Different, Different, Missing, Missing]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(record: Vec<u8>) {
            read(&record, Path::new(SITE));
        }

        #[test]
        fn any_line_comes_back(name in "[a-z,\" ]{1,12}", digest: [u8; 32], size: u64) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            let hash = format!("sha256={}", URL_SAFE_NO_PAD.encode(digest));
            writer.write_record([name.as_str(), &hash, &size.to_string()]).unwrap();
            let (found, _) = read(&writer.into_inner().unwrap(), Path::new(SITE));
            prop_assert_eq!(&found[0].path, &Path::new(SITE).join(&name));
            prop_assert_eq!(&*found[0].hash.as_ref().unwrap().digest, &digest[..]);
            prop_assert_eq!(found[0].size, Some(size));
        }
    }
}
