//! A reader, cut into chunks of whole lines.

use std::io::{self, ErrorKind, Read};
use std::sync::mpsc::Receiver;

use memchr::memrchr;

use crate::search::Hit;

/// What is read at once; a few of these stay in the processor's cache.
const CHUNK: usize = 256 << 10;
/// The longest line that is held.
const WINDOW: usize = 1 << 20;
/// How much of a window comes once more in the next, so that a match in between is seen.
pub(super) const OVERLAP: usize = 16 << 10;

/// Some whole lines, or a window of one that is too long.
pub(super) struct Chunk {
    /// Which it is in the order of reading, from 0.
    pub(super) number: usize,
    /// Where it begins, in bytes.
    pub(super) offset: u64,
    pub(super) buffer: Vec<u8>,
    /// How much of the buffer it takes.
    pub(super) filled: usize,
    /// It begins in the middle of a line, with what the chunk before ended with.
    pub(super) goes_on: bool,
    /// What the search found, each with the newlines before it in this chunk.
    pub(super) hits: Vec<(u64, Hit)>,
    pub(super) newlines: u64,
}

/// A reader, and what of the last line was read already.
pub(super) struct Source<R> {
    reader: R,
    buffers: Receiver<Vec<u8>>,
    carry: Vec<u8>,
    goes_on: bool,
    number: usize,
    offset: u64,
    has_ended: bool,
}

pub(super) fn buffer() -> Vec<u8> {
    vec![0; CHUNK]
}

impl<R: Read> Source<R> {
    pub(super) fn new(reader: R, buffers: Receiver<Vec<u8>>) -> Self {
        Self { reader, buffers, carry: Vec::new(), goes_on: false, number: 0, offset: 0, has_ended: false }
    }

    /// The next chunk, as soon as a whole line is there; none at the end, or when nobody wants one any more.
    pub(super) fn next_chunk(&mut self) -> io::Result<Option<Chunk>> {
        let Some(mut buffer) = self.buffers.recv().ok().filter(|_| !self.has_ended) else { return Ok(None) };
        let (read, newline) = self.fill(&mut buffer).inspect_err(|_| self.has_ended = true)?;
        let filled = newline.unwrap_or(read);
        if filled == 0 {
            return Ok(None);
        }
        let kept = if newline.is_none() && !self.has_ended { filled - OVERLAP } else { filled };
        self.carry.clear();
        self.carry.extend_from_slice(&buffer[kept..read]);
        let chunk =
            Chunk { number: self.number, offset: self.offset, buffer, filled, goes_on: self.goes_on, hits: Vec::new(), newlines: 0 };
        self.goes_on = kept < filled;
        self.number += 1;
        self.offset += kept as u64;
        Ok(Some(chunk))
    }

    /// Reads on until there is a newline, a whole window or the end; says how much there is and where the last line ends.
    fn fill(&mut self, buffer: &mut Vec<u8>) -> io::Result<(usize, Option<usize>)> {
        let mut filled = self.carry.len();
        buffer.resize(CHUNK.max(buffer.len()), 0);
        if filled >= buffer.len() {
            buffer.resize(WINDOW, 0);
        }
        buffer[..filled].copy_from_slice(&self.carry);
        loop {
            if filled == buffer.len() {
                if filled >= WINDOW {
                    return Ok((filled, None));
                }
                buffer.resize(WINDOW, 0);
            }
            let end = buffer.len().min(filled + CHUNK);
            let count = read(&mut self.reader, &mut buffer[filled..end])?;
            if count == 0 {
                self.has_ended = true;
                return Ok((filled, None));
            }
            let newline = memrchr(b'\n', &buffer[filled..filled + count]).map(|at| filled + at + 1);
            filled += count;
            if newline.is_some() {
                return Ok((filled, newline));
            }
        }
    }
}

fn read(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
