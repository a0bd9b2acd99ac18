//! Searches a file or a stream on all processors, and tells what was found in order, with line numbers and the lines around it.
//!
//! Whoever is free takes the reader, reads a chunk of whole lines, gives the reader back, and searches. So a file is read once and in order, a
//! line that comes through a pipe is searched at once, and no more is held than a few chunks, which go round.

mod delivery;
mod source;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use contract::signal;
use memchr::memchr_iter;

use self::delivery::Delivery;
use self::source::{Chunk, Source};
use super::{Hit, Search};

/// How long a hit waits for the lines behind it when no more come.
const PATIENCE: Duration = Duration::from_millis(200);

/// A file that is worth a look beforehand, and how much of it is looked at, in how large pieces.
const LONG: u64 = 64 << 20;
const SAMPLE: usize = 256 << 10;
const PIECE: usize = 16 << 10;

/// A line that matches, as it is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The first pattern that matches.
    pub(crate) pattern: usize,
    /// The line's number, counted from 1.
    pub(crate) number: u64,
    /// Where the line begins, in bytes.
    pub(crate) offset: u64,
    /// The line without its end; of a long one, 16 KiB around the match.
    pub(crate) line: Vec<u8>,
    /// Whether it is not the whole line.
    pub(crate) is_cut: bool,
    /// For a pattern with context, up to 60 whole lines before it, 16 KiB at most.
    pub(crate) before: Vec<u8>,
    /// And up to 20 whole lines behind it, 16 KiB at most.
    pub(crate) after: Vec<u8>,
}

/// How much there was.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
}

/// A search that is quicker on that file, where it is so long that it pays to look at it here and there first, to see what is rare in it.
///
/// # Errors
/// It cannot be read.
pub(crate) fn fitted(engine: &Search, file: &File) -> io::Result<Option<Search>> {
    let length = file.metadata()?.len();
    let Some(step) = usize::try_from(length).ok().filter(|_| length >= LONG).map(|length| length / (SAMPLE / PIECE)) else {
        return Ok(None);
    };
    let mut sample = vec![0; SAMPLE];
    for (piece, at) in sample.chunks_mut(PIECE).zip((0..length).step_by(step)) {
        // A shorter sample tells less, and nothing wrong.
        let _ = file.read_at(piece, at)?;
    }
    Ok(Some(engine.tuned(&sample)))
}

/// Searches all that `reader` has and tells each line that matches, in order. Patterns in `context` get the lines around theirs.
///
/// A line over 1 MiB is searched in windows of that size, each as a line of its own that overlaps the one before by 16 KiB, until one matches.
///
/// # Errors
/// It cannot be read further, or what was found cannot be told.
pub(crate) fn search(
    search: &Search,
    reader: impl Read + Send,
    context: &BTreeSet<usize>,
    tell: &mut impl FnMut(Found) -> anyhow::Result<()>,
) -> anyhow::Result<Extent> {
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let (free, buffers) = mpsc::channel();
    // One for each to search, one for each to be told, and one to be read meanwhile.
    (0..=2 * threads).try_for_each(|_| free.send(source::buffer()))?;
    let source = Mutex::new(Source::new(reader, buffers));
    thread::scope(|scope| {
        let (done, chunks) = mpsc::channel();
        let work = || {
            let done = done.clone();
            let source = &source;
            scope.spawn(move || work(search, source, &done))
        };
        let workers: Vec<_> = (0..threads).map(|_| work()).collect();
        drop(done);
        let read = tell_all(Delivery::new(search, context), &chunks, &free, tell);
        // Whoever has a chunk for it sees that it is gone, and ends.
        drop((chunks, free));
        for worker in workers {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        read
    })
}

fn work(search: &Search, source: &Mutex<Source<impl Read>>, done: &Sender<Chunk>) -> io::Result<()> {
    while !signal::interrupted() {
        let next = source.lock().unwrap_or_else(PoisonError::into_inner).next_chunk()?;
        let Some(mut chunk) = next else { break };
        scan(search, &mut chunk);
        if done.send(chunk).is_err() {
            break;
        }
    }
    Ok(())
}

fn scan(search: &Search, chunk: &mut Chunk) {
    let (bytes, hits) = (&chunk.buffer[..chunk.filled], &mut chunk.hits);
    let (mut counted, mut lines) = (0, 0);
    search.scan(bytes, &mut |hit: Hit| {
        lines += newlines(&bytes[counted..hit.line.start]);
        counted = hit.line.start;
        hits.push((lines, hit));
    });
    chunk.newlines = lines + newlines(&bytes[counted..]);
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

fn tell_all(
    mut delivery: Delivery<'_>,
    chunks: &Receiver<Chunk>,
    free: &Sender<Vec<u8>>,
    tell: &mut impl FnMut(Found) -> anyhow::Result<()>,
) -> anyhow::Result<Extent> {
    loop {
        let next = if delivery.waits() { chunks.recv_timeout(PATIENCE) } else { chunks.recv().map_err(RecvTimeoutError::from) };
        match next {
            Ok(chunk) => delivery.put(chunk, free),
            Err(RecvTimeoutError::Timeout) => delivery.wait_no_longer(),
            Err(RecvTimeoutError::Disconnected) => break,
        }
        delivery.ready().try_for_each(&mut *tell)?;
    }
    delivery.wait_no_longer();
    delivery.ready().try_for_each(tell)?;
    Ok(delivery.read())
}

#[cfg(test)]
mod tests;
