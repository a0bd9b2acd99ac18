//! Reading one file so that what is kept is what it was at one moment.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fastcdc::v2020::FastCDC;
use rayon::prelude::*;
use rustix::fs::{Mode, OFlags, SeekFrom, openat, seek};

use crate::capture::adder::Adder;
use crate::capture::cache::Look;
use crate::restore::Ground;
use crate::store::address::Address;
use crate::store::manifest::Piece;

/// Files up to this size are one content; longer ones are cut where their bytes say so, so that an insertion moves no later cut.
pub(crate) const WHOLE: u64 = 4 << 20;
/// Sizes of pieces in bytes: a change costs about two of them.
const PIECE: (usize, usize, usize) = (512 << 10, 1 << 20, 4 << 20);
/// So much of a large file is in memory, twice.
const WINDOW: u64 = 16 << 20;
/// How often a file that changes meanwhile is read again.
const ATTEMPTS: u32 = 5;
/// A file changed this lately may change once more without looking any different (see [`Look::is_settled`]).
const TICK: Duration = Duration::from_millis(12);

/// What was in a file.
pub(crate) struct Read {
    pub(crate) meta: Metadata,
    /// Of a file that is one content.
    pub(crate) sha256: Option<Address>,
    pub(crate) pieces: Vec<Piece>,
    /// Bytes that were read.
    pub(crate) size: u64,
    /// When the reading began, in nanoseconds since 1970.
    pub(crate) at: i64,
    /// It looked the same before and after.
    pub(crate) stable: bool,
    /// It holds what looks like a private key.
    pub(crate) key: bool,
}

/// Reads a file and adds what it holds. No link on the way to it is followed: none was there when it was found.
///
/// # Errors
/// It cannot be opened or read, or is no regular file any more; or the store cannot take it, which is an error of the outer kind.
pub(crate) fn file(path: &Path, ground: &Ground, adder: &Adder<'_>) -> anyhow::Result<io::Result<Read>> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let read = match once(path, ground, adder) {
            Ok(read) => read,
            Err(e) => match e.downcast::<Unreadable>() {
                Ok(Unreadable(e)) => return Ok(Err(e)),
                Err(e) => return Err(e),
            },
        };
        if read.stable || attempt == ATTEMPTS {
            return Ok(Ok(read));
        }
        thread::sleep(Duration::from_millis(1 << (2 * attempt)));
    }
}

/// The file is the trouble, not the store.
#[derive(Debug)]
struct Unreadable(io::Error);

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Unreadable {}

fn once(path: &Path, ground: &Ground, adder: &Adder<'_>) -> anyhow::Result<Read> {
    let (mut file, meta) = open(path, ground).map_err(Unreadable)?;
    let look = Look::of(&meta);
    let at = wait_for_the_tick(&meta);
    let (sha256, pieces, size, key) = if meta.size() <= WHOLE {
        let mut content = Vec::with_capacity(usize::try_from(meta.size())? + 1);
        (&mut file).take(WHOLE + 1).read_to_end(&mut content).map_err(Unreadable)?;
        let sha256 = Address::of(&content);
        adder.add(sha256, &content)?;
        (Some(sha256), Vec::new(), content.len() as u64, is_key(&content))
    } else {
        let pieces = pieces(&file, &meta, adder)?;
        let size = pieces.iter().map(|piece| piece.size).sum();
        (None, pieces, size, false)
    };
    let after = Look::of(&file.metadata().map_err(Unreadable)?);
    let stable = after == look && size == meta.size();
    Ok(Read { meta, sha256, pieces, size, at, stable, key })
}

fn open(path: &Path, ground: &Ground) -> io::Result<(File, Metadata)> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(io::ErrorKind::InvalidInput.into()) };
    // Never through a link that took the file's place, and never waiting for the other end of a pipe.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(&*ground.folder(parent)?, name, flags, Mode::empty())?);
    let meta = file.metadata()?;
    if meta.is_file() { Ok((file, meta)) } else { Err(io::Error::other("it is no regular file any more")) }
}

/// Waits until a change from now on would show; returns now, in nanoseconds since 1970.
fn wait_for_the_tick(meta: &Metadata) -> i64 {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let changed = Duration::new(meta.ctime().try_into().unwrap_or(0), meta.ctime_nsec().try_into().unwrap_or(0));
    let age = now().checked_sub(changed);
    // A change time in the future is of another clock; nothing can be concluded from it.
    if let Some(age) = age.filter(|age| *age < TICK) {
        thread::sleep(TICK.saturating_sub(age));
    }
    i64::try_from(now().as_nanos()).unwrap_or(i64::MAX)
}

/// Cuts a large file into pieces and adds them, one window of it at a time, while the next window is read.
fn pieces(file: &File, meta: &Metadata, adder: &Adder<'_>) -> anyhow::Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    for segment in segments(file, meta).map_err(Unreadable)? {
        if segment.hole {
            pieces.push(Piece { sha256: None, size: segment.length });
            continue;
        }
        seek(file, SeekFrom::Start(segment.start)).map_err(|e| Unreadable(e.into()))?;
        let mut window = Window::default();
        let mut reader = file.take(segment.length);
        window.fill(&mut reader).map_err(Unreadable)?;
        while !window.cuts.is_empty() {
            let mut next = Window { bytes: window.rest().to_vec(), ..Window::default() };
            let (cut, filled) = rayon::join(|| window.add(adder), || next.fill(&mut reader));
            pieces.extend(cut?);
            filled.map_err(Unreadable)?;
            window = next;
        }
    }
    Ok(pieces)
}

/// A part of a large file that is in memory.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    /// Where its pieces end.
    cuts: Vec<usize>,
}

impl Window {
    /// Reads up to [`WINDOW`] bytes and finds the cuts; a piece that may go on behind the window is left for the next one.
    fn fill(&mut self, reader: &mut impl io::Read) -> io::Result<()> {
        let wanted = WINDOW.saturating_sub(self.bytes.len() as u64);
        self.bytes.reserve_exact(usize::try_from(wanted).unwrap_or(0));
        let is_last = (reader.take(wanted).read_to_end(&mut self.bytes)? as u64) < wanted;
        let (least, average, most) = PIECE;
        let cutter = FastCDC::new(&self.bytes, least, average, most);
        let mut start = 0;
        while self.bytes.len() - start >= most || is_last && start < self.bytes.len() {
            start = cutter.cut(start, self.bytes.len() - start).1;
            self.cuts.push(start);
        }
        Ok(())
    }

    /// What belongs to the next window.
    fn rest(&self) -> &[u8] {
        &self.bytes[self.cuts.last().copied().unwrap_or(0)..]
    }

    fn add(&self, adder: &Adder<'_>) -> anyhow::Result<Vec<Piece>> {
        let starts = [0].iter().chain(&self.cuts);
        let ranges: Vec<(usize, usize)> = starts.copied().zip(self.cuts.iter().copied()).collect();
        let add = |(start, end): (usize, usize)| {
            let bytes = &self.bytes[start..end];
            let sha256 = Address::of(bytes);
            adder.add(sha256, bytes)?;
            Ok(Piece { sha256: Some(sha256), size: bytes.len() as u64 })
        };
        ranges.into_par_iter().map(add).collect()
    }
}

struct Segment {
    start: u64,
    length: u64,
    hole: bool,
}

/// Where a file has bytes and where it has holes (lseek(2), `SEEK_DATA`); all of it is bytes where the file system does not say.
fn segments(file: &File, meta: &Metadata) -> io::Result<Vec<Segment>> {
    let size = meta.size();
    if !is_sparse(meta) {
        return Ok(vec![Segment { start: 0, length: size, hole: false }]);
    }
    let (mut segments, mut at) = (Vec::new(), 0);
    while at < size {
        let data = match seek(file, SeekFrom::Data(at)) {
            Ok(data) => data.min(size),
            Err(rustix::io::Errno::NXIO) => size,
            Err(rustix::io::Errno::INVAL) => return Ok(vec![Segment { start: 0, length: size, hole: false }]),
            Err(e) => return Err(e.into()),
        };
        if data > at {
            segments.push(Segment { start: at, length: data - at, hole: true });
        }
        if data == size {
            break;
        }
        at = seek(file, SeekFrom::Hole(data))?.min(size);
        segments.push(Segment { start: data, length: at - data, hole: false });
    }
    Ok(segments)
}

/// Whether a file takes less room than it has bytes (stat(2): blocks are of 512 bytes).
pub(crate) fn is_sparse(meta: &Metadata) -> bool {
    meta.blocks().saturating_mul(512) < meta.size()
}

/// Whether a file begins with a private key: in PEM (RFC 7468), as OpenSSH and OpenSSL write it and as cloud providers hand it out within
/// JSON, or in the form of age.
fn is_key(content: &[u8]) -> bool {
    let head = &content[..content.len().min(4096)];
    let has = |text: &[u8]| head.windows(text.len()).any(|window| window == text);
    has(b"PRIVATE KEY-----") || has(b"AGE-SECRET-KEY-")
}
