//! What the workers found, in order, with line numbers and context.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::mpsc::Sender;

use memchr::{memchr_iter, memrchr_iter};

use super::Extent;
use super::Found;
use super::source::{Chunk, OVERLAP};
use crate::search::{Hit, Search};

/// The longest line that is told whole, in bytes.
const LINE: usize = 16 << 10;
/// Lines of context before and behind, and their bytes.
const BEFORE: usize = 60;
const AFTER: usize = 20;
const CONTEXT: usize = 16 << 10;

pub(super) struct Delivery<'a> {
    search: &'a Search,
    context: &'a BTreeSet<usize>,
    /// Chunks that were searched before one that comes first.
    early: BTreeMap<usize, Chunk>,
    next: usize,
    /// Of the chunks before: their last bytes, newlines and length.
    tail: Vec<u8>,
    newlines: u64,
    bytes: u64,
    ends_in_a_line: bool,
    /// Where the line began of which chunks are windows.
    long: u64,
    /// The last line that was found.
    told: u64,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    found: Found,
    /// The lines behind it that are still to come.
    lines: usize,
}

impl<'a> Delivery<'a> {
    pub(super) fn new(search: &'a Search, context: &'a BTreeSet<usize>) -> Self {
        let (early, tail, waiting) = Default::default();
        Self { search, context, early, next: 0, tail, newlines: 0, bytes: 0, ends_in_a_line: false, long: 0, told: 0, waiting }
    }

    /// Whether something was found for which only the lines behind it are missing.
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn wait_no_longer(&mut self) {
        self.waiting.iter_mut().for_each(|waiting| waiting.lines = 0);
    }

    /// What is complete and not behind something that is not.
    pub(super) fn ready(&mut self) -> impl Iterator<Item = Found> {
        std::iter::from_fn(|| self.waiting.pop_front_if(|first| first.lines == 0).map(|first| first.found))
    }

    pub(super) fn read(&self) -> Extent {
        Extent { bytes: self.bytes, lines: self.newlines + u64::from(self.ends_in_a_line) }
    }

    /// Takes a chunk when its turn comes, and gives its buffer back.
    pub(super) fn put(&mut self, chunk: Chunk, free: &Sender<Vec<u8>>) {
        self.early.insert(chunk.number, chunk);
        while let Some(mut chunk) = self.early.remove(&self.next) {
            self.take(&mut chunk);
            self.next += 1;
            // The reader may be at its end, and need no more.
            let _ = free.send(chunk.buffer);
        }
    }

    fn take(&mut self, chunk: &mut Chunk) {
        let bytes = &chunk.buffer[..chunk.filled];
        if chunk.goes_on {
            self.tail.truncate(self.tail.len().saturating_sub(OVERLAP));
        } else {
            self.waiting.iter_mut().for_each(|waiting| waiting.take(bytes));
            self.long = chunk.offset;
        }
        for (lines, hit) in std::mem::take(&mut chunk.hits) {
            let number = self.newlines + lines + 1;
            if number != self.told {
                let offset = if lines == 0 && chunk.goes_on { self.long } else { chunk.offset + hit.line.start as u64 };
                self.told = number;
                self.find(bytes, &hit, number, offset);
            }
        }
        self.newlines += chunk.newlines;
        self.bytes = chunk.offset + bytes.len() as u64;
        self.ends_in_a_line = bytes.last() != Some(&b'\n');
        if !self.context.is_empty() {
            self.keep_tail(bytes);
        }
    }

    fn find(&mut self, bytes: &[u8], hit: &Hit, number: u64, offset: u64) {
        let line = &bytes[hit.line.clone()];
        let shown = self.shown(hit.pattern, line);
        let is_cut = shown.len() < line.len();
        let found =
            Found { pattern: hit.pattern, number, offset, line: line[shown].to_vec(), is_cut, before: Vec::new(), after: Vec::new() };
        let mut waiting = Waiting { found, lines: 0 };
        if self.context.contains(&hit.pattern) {
            waiting.found.before = self.before(&bytes[..hit.line.start]);
            // A window that ends in its line has nothing behind it.
            if let Some(end) = memchr::memchr(b'\n', &bytes[hit.line.end..]) {
                waiting.lines = AFTER;
                waiting.take(&bytes[hit.line.end + end + 1..]);
            }
        }
        self.waiting.push_back(waiting);
    }

    /// The part of a long line around the match.
    fn shown(&self, pattern: usize, line: &[u8]) -> Range<usize> {
        if line.len() <= LINE {
            return 0..line.len();
        }
        let groups = self.search.captures(pattern, line).unwrap_or_default();
        let matched = groups.into_iter().next().and_then(|(_, span)| span).unwrap_or(0..0);
        let around = LINE.saturating_sub(matched.len()) / 2;
        let start = matched.start.saturating_sub(around).min(line.len() - LINE);
        start..start + LINE
    }

    fn before(&self, head: &[u8]) -> Vec<u8> {
        let here = &head[head.len().saturating_sub(CONTEXT)..];
        let there = &self.tail[self.tail.len().saturating_sub(CONTEXT - here.len())..];
        let all = [there, here].concat();
        last_lines(&all).to_vec()
    }

    fn keep_tail(&mut self, bytes: &[u8]) {
        if bytes.len() < CONTEXT {
            let surplus = (self.tail.len() + bytes.len()).saturating_sub(CONTEXT);
            self.tail.drain(..surplus.min(self.tail.len()));
        } else {
            self.tail.clear();
        }
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(CONTEXT)..]);
    }
}

impl Waiting {
    /// Takes what is missing from the lines that follow.
    fn take(&mut self, bytes: &[u8]) {
        let room = CONTEXT - self.found.after.len();
        let ends = memchr_iter(b'\n', &bytes[..bytes.len().min(room)]).map(|at| at + 1).take(self.lines);
        let (lines, end) = ends.fold((0, 0), |(lines, _), end| (lines + 1, end));
        self.found.after.extend_from_slice(&bytes[..end]);
        self.lines -= lines;
        // The next line has no room.
        if bytes.len() > room {
            self.lines = 0;
        }
    }
}

/// The last lines that are whole; a text that is as long as it may be has lost the beginning of its first.
fn last_lines(all: &[u8]) -> &[u8] {
    let starts = memrchr_iter(b'\n', all).map(|at| at + 1).skip(1);
    let mut starts = starts.chain((all.len() < CONTEXT).then_some(0)).take(BEFORE);
    starts.by_ref().last().map_or(&[], |start| &all[start..])
}
