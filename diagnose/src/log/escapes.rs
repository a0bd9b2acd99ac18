//! A reader without the escape sequences of terminals, which would stand in the middle of what is searched for. Lines stay lines.

use std::io::{self, Read};

use memchr::memchr;

use super::line::sequence;

const ESCAPE: u8 = 0x1b;
/// The longest sequence that is waited for, in bytes.
const LONGEST: usize = 64;

/// Passes on what a reader has, but for escape sequences.
pub(super) struct Plain<R> {
    reader: R,
    /// The beginning of a sequence that the last read ended in.
    rest: Vec<u8>,
}

impl<R: Read> Plain<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, rest: Vec::new() }
    }
}

impl<R: Read> Read for Plain<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.len() <= LONGEST {
            return self.reader.read(buffer);
        }
        loop {
            let begun = self.rest.len();
            buffer[..begun].copy_from_slice(&self.rest);
            self.rest.clear();
            let read = self.reader.read(&mut buffer[begun..])?;
            let kept = self.strip(&mut buffer[..begun + read], read == 0);
            if kept > 0 || read == 0 {
                return Ok(kept);
            }
        }
    }
}

impl<R> Plain<R> {
    /// Takes the sequences out of some bytes, and keeps one that goes on; returns how many bytes are left.
    fn strip(&mut self, bytes: &mut [u8], is_end: bool) -> usize {
        let Some(mut at) = memchr(ESCAPE, bytes) else { return bytes.len() };
        let mut kept = at;
        while at < bytes.len() {
            let length = sequence(&bytes[at..]).min(memchr(b'\n', &bytes[at..]).unwrap_or(usize::MAX));
            if at + length == bytes.len() && length < LONGEST && !is_end {
                self.rest.extend_from_slice(&bytes[at..]);
                return kept;
            }
            at += length;
            let next = memchr(ESCAPE, &bytes[at..]).map_or(bytes.len(), |next| at + next);
            bytes.copy_within(at..next, kept);
            kept += next - at;
            at = next;
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives so many bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    fn plain(bytes: &[u8], at_a_time: usize) -> Vec<u8> {
        let (mut reader, mut all, mut buffer) = (Plain::new(Slow(bytes, at_a_time)), Vec::new(), [0; 200]);
        loop {
            match reader.read(&mut buffer).unwrap() {
                0 => return all,
                count => all.extend_from_slice(&buffer[..count]),
            }
        }
    }

    #[test]
    fn sequences_go_wherever_a_read_ends() {
        let text = b"\x1b[1m\x1b[31mERROR\x1b[0m: x\n\x1b]0;t\x07next\x1b[2K\n\x1b[torn\nend\x1b";
        for at_a_time in 1..text.len() {
            assert_eq!(String::from_utf8_lossy(&plain(text, at_a_time)), "ERROR: x\nnext\norn\nend", "{at_a_time}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_lost(bytes in prop::collection::vec(prop_oneof![Just(0x1b_u8), Just(b'['), Just(b'\n'), any::<u8>()], 0..300), size in 1..40_usize) {
            let plain = plain(&bytes, size);
            let lines = |bytes: &[u8]| memchr::memchr_iter(b'\n', bytes).count();
            prop_assert_eq!(lines(&plain), lines(&bytes));
            prop_assert!(!plain.contains(&0x1b));
        }
    }
}
