//! Packs: the contents that one snapshot added to the store, in a tar archive of which every member is a zstd frame of its own.
//!
//! `zstd -dc ID.tar.zst | tar x` unpacks it whole, each content under its SHA-256; beside it `ID.index` says where each frame is.
//! The index can be made again from the pack, so a crash or a flipped bit in it loses nothing.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use age::stream::StreamWriter;
use anyhow::Context as _;
use contract::path::shown;
use zstd::bulk::{Compressor, Decompressor};

use crate::ahead::Ahead;
use crate::store::address::Address;
use crate::store::files;
use crate::store::seal::{Recipients, SEALED};

/// Fastest of zstd's regular levels: a snapshot should cost no more than a copy, and the next levels gain a tenth for twice the time.
const LEVEL: i32 = 1;
/// Of tar (POSIX.1-1988, ustar): headers and contents fill whole blocks.
const BLOCK: usize = 512;
/// The longest content that is one member; longer files are cut into pieces.
pub(crate) const LONGEST: usize = 4 << 20;
const BUFFER: usize = 1 << 20;

/// What the name of a pack ends in.
pub(crate) const PACK: &str = ".tar.zst";
/// What the name of its index ends in.
pub(crate) const INDEX: &str = ".index";

/// Where one content is in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Of the frame, in bytes from the start of the pack.
    pub(crate) offset: u64,
    /// Of the frame, in bytes.
    pub(crate) stored: u64,
    /// Of the content, in bytes.
    pub(crate) size: u64,
}

thread_local! {
    /// What the making of a frame takes, so that nothing is allocated for each.
    static FRAMER: RefCell<Option<Framer>> = const { RefCell::new(None) };
    static UNFRAMER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

struct Framer {
    compressor: Compressor<'static>,
    member: Vec<u8>,
}

/// The frame of one content of at most [`LONGEST`] bytes.
pub(crate) fn frame(address: Address, content: &[u8]) -> anyhow::Result<Vec<u8>> {
    FRAMER.with_borrow_mut(|framer| {
        let framer = match framer {
            Some(framer) => framer,
            None => {
                framer.insert(Framer { compressor: Compressor::new(LEVEL).context("cannot prepare the compression")?, member: Vec::new() })
            }
        };
        fill(&mut framer.member, address, content)?;
        framer.compressor.compress(&framer.member).context("cannot compress")
    })
}

/// What tar takes for one file.
fn fill(member: &mut Vec<u8>, address: Address, content: &[u8]) -> anyhow::Result<()> {
    member.clear();
    member.extend_from_slice(header(address, content.len() as u64)?.as_bytes());
    member.extend_from_slice(content);
    member.resize(member.len().next_multiple_of(BLOCK), 0);
    Ok(())
}

fn header(address: Address, size: u64) -> anyhow::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_path(address.to_string()).context("a hash is a name")?;
    header.set_mode(0o600);
    header.set_size(size);
    header.set_mtime(0);
    header.set_cksum();
    Ok(header)
}

/// A pack that grows. It gets its name, and so becomes part of the store, when it is finished.
pub(crate) struct Writer {
    folder: PathBuf,
    id: String,
    sink: Sink,
    /// What the sink writes to.
    file: File,
    ahead: Ahead,
    recipients: Recipients,
    end: u64,
    index: Vec<(Address, Place)>,
}

enum Sink {
    Plain(BufWriter<File>),
    Sealed(StreamWriter<BufWriter<File>>),
}

impl Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(bytes),
            Self::Sealed(file) => file.write_all(bytes),
        }
    }

    fn end(self) -> io::Result<()> {
        match self {
            Self::Plain(mut file) => file.flush(),
            Self::Sealed(file) => file.finish()?.flush(),
        }
    }
}

impl Writer {
    /// Begins `id` in the folder of packs, sealed to `recipients` if there are any.
    pub(crate) fn create(folder: &Path, id: &str, recipients: &Recipients) -> anyhow::Result<Self> {
        let unfinished = folder.join(format!("{id}{PACK}{}", files::UNFINISHED));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished);
        let file = file.with_context(|| format!("cannot create {}", shown(&unfinished)))?;
        let buffered = BufWriter::with_capacity(BUFFER, file.try_clone().context("cannot have two handles on a pack")?);
        // Now that nobody else can finish one of that name, it is certain that nobody has.
        if is_taken(folder, id) {
            drop(fs::remove_file(&unfinished));
            anyhow::bail!("there is a pack called {id} already; try again");
        }
        let sink = if recipients.is_empty() { Sink::Plain(buffered) } else { Sink::Sealed(recipients.seal(buffered)?) };
        let (folder, id, recipients) = (folder.to_owned(), id.to_owned(), recipients.clone());
        Ok(Self { folder, id, sink, file, ahead: Ahead::default(), recipients, end: 0, index: Vec::new() })
    }

    pub(crate) fn append(&mut self, address: Address, size: u64, frame: &[u8]) -> anyhow::Result<()> {
        self.sink.write(frame).with_context(|| format!("cannot write to the pack {}", self.id))?;
        let stored = frame.len() as u64;
        self.index.push((address, Place { offset: self.end, stored, size }));
        self.end += stored;
        self.ahead.wrote(stored, &self.file).with_context(|| format!("cannot write to the pack {}", self.id))
    }

    /// Syncs it and gives it its name; returns how many bytes it has. One without any content vanishes.
    ///
    /// # Errors
    /// It cannot be written; then nothing of it is left.
    pub(crate) fn finish(mut self) -> anyhow::Result<u64> {
        if self.index.is_empty() {
            return self.discard().map(|()| 0);
        }
        let index = index_file(&mut self.index);
        let (pack, indexed, unfinished) = (self.name(PACK), self.name(INDEX), self.unfinished());
        let index = if self.recipients.is_empty() { index } else { self.recipients.sealed(&index)? };
        let complete = || {
            let end = zstd::bulk::compress(&[0; 2 * BLOCK], LEVEL).context("cannot compress")?;
            let written = self.sink.write(&end).and_then(|()| self.sink.end()).and_then(|()| self.ahead.end());
            written.and_then(|()| self.file.sync_data()).with_context(|| format!("cannot write to the pack {}", self.id))?;
            files::create(&indexed, &index)?;
            files::rename(&unfinished, &pack)?;
            Ok(self.end + end.len() as u64)
        };
        let length = complete().inspect_err(|_: &anyhow::Error| {
            // On a full disk this is what makes room again; where it fails, the next run sweeps.
            for path in [&unfinished, &indexed] {
                drop(fs::remove_file(path));
            }
        })?;
        // From its name on, others may share what is in it.
        contract::replace::sync_folder(&self.folder).map(|()| length)
    }

    /// Throws it away.
    pub(crate) fn discard(&self) -> anyhow::Result<()> {
        let path = self.unfinished();
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", shown(&path)))
    }

    fn name(&self, suffix: &str) -> PathBuf {
        self.folder.join(format!("{}{suffix}{}", self.id, if self.recipients.is_empty() { "" } else { SEALED }))
    }

    fn unfinished(&self) -> PathBuf {
        self.folder.join(format!("{}{PACK}{}", self.id, files::UNFINISHED))
    }
}

/// Whether there is a pack of that name, or was.
pub(crate) fn is_taken(folder: &Path, id: &str) -> bool {
    [PACK, INDEX].iter().any(|suffix| ["", SEALED].iter().any(|sealed| folder.join(format!("{id}{suffix}{sealed}")).exists()))
}

/// `SHA-256 offset stored size`, one content a line and sorted; the last line is `SHA-256 end` of the lines before it.
fn index_file(index: &mut [(Address, Place)]) -> Vec<u8> {
    index.sort_unstable_by_key(|(address, _)| *address);
    let mut text = Vec::with_capacity(index.len() * 96);
    for (address, Place { offset, stored, size }) in index.iter() {
        // Writing to memory cannot fail.
        let _ = writeln!(text, "{address} {offset} {stored} {size}");
    }
    let sum = Address::of(&text);
    let _ = writeln!(text, "{sum} end");
    text
}

/// Reads an index file; `None` where it is damaged.
pub(crate) fn parse_index(bytes: &[u8]) -> Option<Vec<(Address, Place)>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let body = text.strip_suffix(" end\n")?;
    let (body, sum) = body.split_at_checked(body.len().checked_sub(64)?)?;
    if sum.parse::<Address>().ok()? != Address::of(body.as_bytes()) {
        return None;
    }
    body.lines()
        .map(|line| {
            let (address, rest) = line.split_once(' ')?;
            let mut numbers = rest.split(' ').map(str::parse::<u64>);
            let mut number = || numbers.next()?.ok();
            Some((address.parse().ok()?, Place { offset: number()?, stored: number()?, size: number()? }))
        })
        .collect()
}

/// Makes the index again by reading the whole pack; stops at the first byte that is no frame, and says so.
pub(crate) fn scan(mut pack: impl Read) -> anyhow::Result<(Vec<(Address, Place)>, bool)> {
    let (mut window, mut start, mut offset, mut found, mut is_over) = (Vec::new(), 0, 0, Vec::new(), false);
    loop {
        // A frame is never longer than that.
        if !is_over && window.len() - start < LONGEST + BUFFER {
            window.drain(..start);
            start = 0;
            let room = LONGEST + 2 * BUFFER - window.len();
            is_over = (&mut pack).take(room as u64).read_to_end(&mut window)? < room;
        }
        let rest = &window[start..];
        let Ok(stored) = zstd::zstd_safe::find_frame_compressed_size(rest) else { return Ok((found, false)) };
        let Ok(member) = unframe(&rest[..stored], LONGEST as u64) else { return Ok((found, false)) };
        if member.iter().all(|byte| *byte == 0) {
            return Ok((found, rest.len() == stored));
        }
        let Some((address, size)) = read_header(&member) else { return Ok((found, false)) };
        found.push((address, Place { offset, stored: stored as u64, size }));
        offset += stored as u64;
        start += stored;
    }
}

fn read_header(member: &[u8]) -> Option<(Address, u64)> {
    let header = tar::Header::from_byte_slice(member.get(..BLOCK)?);
    let address = std::str::from_utf8(&header.path_bytes()).ok()?.parse().ok()?;
    Some((address, header.entry_size().ok()?))
}

/// The content at a place of a pack of which `fetch` reads a part. Its hash is for the caller to check.
///
/// # Errors
/// The pack cannot be read there, or what is there is no frame of that size.
pub(crate) fn read(place: &Place, fetch: impl FnOnce(u64, usize) -> anyhow::Result<Vec<u8>>) -> anyhow::Result<Vec<u8>> {
    let mut member = member(place, fetch)?;
    member.truncate(BLOCK + usize::try_from(place.size)?);
    member.drain(..BLOCK);
    Ok(member)
}

/// Insists that all is as it was written: the content, and what only other programs read, which bring everything back without this one.
///
/// # Errors
/// The pack cannot be read there, or something else is there.
pub(crate) fn check(address: Address, place: &Place, fetch: impl FnOnce(u64, usize) -> anyhow::Result<Vec<u8>>) -> anyhow::Result<()> {
    let member = member(place, fetch)?;
    let content = &member[BLOCK..BLOCK + usize::try_from(place.size)?];
    anyhow::ensure!(Address::of(content) == address, "its bytes have another hash");
    let mut written = Vec::with_capacity(member.len());
    fill(&mut written, address, content)?;
    anyhow::ensure!(member == written, "its header is damaged, so that tar would not find it; `snapshot restore` does");
    Ok(())
}

fn member(place: &Place, fetch: impl FnOnce(u64, usize) -> anyhow::Result<Vec<u8>>) -> anyhow::Result<Vec<u8>> {
    anyhow::ensure!(place.size <= LONGEST as u64 && place.stored <= (LONGEST + BUFFER) as u64, "the index names an impossible size");
    let frame = fetch(place.offset, usize::try_from(place.stored)?)?;
    let member = unframe(&frame, place.size)?;
    anyhow::ensure!(member.len() as u64 >= BLOCK as u64 + place.size, "a frame of the pack is too short");
    Ok(member)
}

/// A frame is never trusted to say how much memory it wants.
fn unframe(frame: &[u8], size: u64) -> anyhow::Result<Vec<u8>> {
    let most = BLOCK + usize::try_from(size)?.next_multiple_of(BLOCK) + BLOCK;
    UNFRAMER.with_borrow_mut(|unframer| {
        let unframer = match unframer {
            Some(unframer) => unframer,
            None => unframer.insert(Decompressor::new().context("cannot prepare the decompression")?),
        };
        unframer.decompress(frame, most).context("a frame of the pack is damaged")
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;
    use proptest::prelude::*;

    fn written(contents: &[&[u8]]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(folder.path(), "p", &Recipients::default()).unwrap();
        for content in contents {
            let address = Address::of(content);
            writer.append(address, content.len() as u64, &frame(address, content).unwrap()).unwrap();
        }
        writer.finish().unwrap();
        let pack = folder.path().join("p.tar.zst");
        (folder, pack)
    }

    #[test]
    fn what_was_packed_is_read_by_the_index_and_by_a_scan() {
        let contents: [&[u8]; 4] = [b"", b"a", &[7; 512], &vec![9; 100_000]];
        let (folder, pack) = written(&contents);
        let index = parse_index(&fs::read(folder.path().join("p.index")).unwrap()).unwrap();
        let pack = File::open(pack).unwrap();
        let (mut scanned, whole) = scan(&pack).unwrap();
        scanned.sort_unstable_by_key(|(address, _)| *address);
        assert!(whole);
        assert_eq!(scanned, index);
        for (address, place) in index {
            let fetch = |offset, length| {
                let mut bytes = vec![0; length];
                pack.read_exact_at(&mut bytes, offset)?;
                Ok(bytes)
            };
            assert_eq!(Address::of(&read(&place, fetch).unwrap()), address);
        }
    }

    #[test]
    fn a_content_that_only_tar_would_not_find_can_be_read_and_is_not_well() {
        let (address, content) = (Address::of(b"one"), b"one");
        let with_header_of = |name: Address| {
            let mut member = Vec::new();
            fill(&mut member, address, content).unwrap();
            member[..BLOCK].copy_from_slice(header(name, 3).unwrap().as_bytes());
            zstd::bulk::compress(&member, LEVEL).unwrap()
        };
        for (name, well) in [(address, true), (Address::of(b"two"), false)] {
            let frame = with_header_of(name);
            let place = Place { offset: 0, stored: frame.len() as u64, size: 3 };
            assert_eq!(read(&place, |_, _| Ok(frame.clone())).unwrap(), content);
            assert_eq!(check(address, &place, |_, _| Ok(frame.clone())).is_ok(), well);
        }
    }

    #[test]
    fn a_damaged_index_is_noticed() {
        let (folder, _) = written(&[b"one", b"two"]);
        let bytes = fs::read(folder.path().join("p.index")).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(parse_index(&damaged).is_none(), "byte {at}");
        }
    }

    #[test]
    fn a_scan_keeps_what_stands_before_the_damage() {
        let (_folder, path) = written(&[b"one", b"two", b"three"]);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes.truncate(middle);
        File::create(&path).unwrap().write_all(&bytes).unwrap();
        let (found, whole) = scan(&File::open(path).unwrap()).unwrap();
        assert!(!whole && !found.is_empty() && found.len() < 3);
    }

    proptest! {
        #[test]
        fn no_index_makes_it_fail(bytes: Vec<u8>) {
            prop_assert!(parse_index(&bytes).is_none());
        }
    }
}
