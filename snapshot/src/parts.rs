//! What a file of a snapshot is made of, part by part, so that no file is ever held whole.

use std::io::{self, Read};

use anyhow::Context as _;

use crate::store::contents::Contents;
use crate::store::manifest::{Entry, Piece};

/// Holes are handed over in zeros of at most so many bytes.
const ZEROS: u64 = 1 << 20;

/// The parts of a file in order.
pub(crate) struct Parts<'a> {
    contents: &'a Contents,
    checked: bool,
    pieces: Vec<Piece>,
    next: usize,
}

impl<'a> Parts<'a> {
    /// The parts of a file, each checked.
    ///
    /// # Errors
    /// The entry is of no file.
    pub(crate) fn of(entry: &Entry, contents: &'a Contents) -> anyhow::Result<Self> {
        let pieces = match (&entry.pieces[..], entry.sha256, entry.size) {
            (_, Some(sha256), Some(size)) => vec![Piece { sha256: Some(sha256), size }],
            ([], _, None | Some(1..)) => anyhow::bail!("{} has no content", entry.path),
            (pieces, ..) => pieces.to_vec(),
        };
        Ok(Self { contents, checked: true, pieces, next: 0 })
    }

    /// The same, for a caller that checks them all.
    ///
    /// # Errors
    /// The entry is of no file.
    pub(crate) fn unchecked(entry: &Entry, contents: &'a Contents) -> anyhow::Result<Self> {
        Ok(Self { checked: false, ..Self::of(entry, contents)? })
    }

    /// The length of a hole that comes next, which is passed over.
    pub(crate) fn hole(&mut self) -> Option<u64> {
        let piece = self.pieces.get(self.next).filter(|piece| piece.sha256.is_none())?;
        self.next += 1;
        Some(piece.size)
    }

    fn part(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let Some(piece) = self.pieces.get_mut(self.next) else { return Ok(None) };
        let Some(sha256) = piece.sha256 else {
            let now = piece.size.min(ZEROS);
            piece.size -= now;
            self.next += usize::from(piece.size == 0);
            return Ok(Some(vec![0; usize::try_from(now)?]));
        };
        self.next += 1;
        let bytes = if self.checked { self.contents.read(&sha256)? } else { self.contents.read_unchecked(&sha256)? };
        anyhow::ensure!(bytes.len() as u64 == piece.size, "the content {sha256} has another size than its manifest says");
        Ok(Some(bytes))
    }
}

impl Iterator for Parts<'_> {
    type Item = anyhow::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.part().transpose()
    }
}

/// The parts of a file as one stream.
pub(crate) struct Stream<'a> {
    parts: Parts<'a>,
    part: Vec<u8>,
    at: usize,
}

impl<'a> Stream<'a> {
    /// The content of a file.
    ///
    /// # Errors
    /// The entry is of no file.
    pub(crate) fn of(entry: &Entry, contents: &'a Contents) -> anyhow::Result<Self> {
        Ok(Self { parts: Parts::of(entry, contents)?, part: Vec::new(), at: 0 })
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.part.len() {
            match self.parts.part().map_err(|e| io::Error::other(format!("{e:#}")))? {
                Some(part) => (self.part, self.at) = (part, 0),
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.part.len() - self.at);
        buffer[..length].copy_from_slice(&self.part[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

/// All of a small file.
///
/// # Errors
/// The entry is of no file, or a part is lost or damaged.
pub(crate) fn whole(entry: &Entry, contents: &Contents) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    Stream::of(entry, contents)?.read_to_end(&mut bytes).with_context(|| format!("cannot read {}", entry.path))?;
    Ok(bytes)
}
