//! Reading a stream that anything may have written: one line at a time, bounded, nothing swallowed.

use std::io::{self, BufRead, IsTerminal as _, Read as _, StdinLock};

use crate::record::Record;

/// The longest line that is read, in bytes. A longer one is reported and skipped, never held in memory.
pub const LONGEST_LINE: u64 = 16 << 20;

/// One line of a stream.
#[derive(Debug)]
pub enum Line {
    /// A record, and the very bytes that it was read from (without the newline).
    Record(Record, String),
    /// Anything else.
    Other {
        /// Its number, counted from 1.
        number: u64,
        /// Its bytes; empty where the line was too long to keep.
        bytes: Vec<u8>,
        /// Why it is no record.
        why: String,
    },
}

/// The lines of a stream. Lines of white space alone are passed over.
pub struct Lines<R> {
    reader: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// Reads lines from `reader`.
    pub fn new(reader: R) -> Self {
        Self { reader, number: 0 }
    }

    fn skip_rest_of_line(&mut self) -> io::Result<()> {
        loop {
            let (used, done) = match self.reader.fill_buf()? {
                [] => return Ok(()),
                buffer => buffer.iter().position(|&b| b == b'\n').map_or((buffer.len(), false), |at| (at + 1, true)),
            };
            self.reader.consume(used);
            if done {
                return Ok(());
            }
        }
    }

    fn next_bytes(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        self.number += 1;
        if (&mut self.reader).take(LONGEST_LINE).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        Ok(Some(bytes))
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut bytes = match self.next_bytes() {
                Ok(None) => return None,
                Ok(Some(bytes)) => bytes,
                Err(e) => return Some(Err(e)),
            };
            if bytes.last() == Some(&b'\n') {
                bytes.pop();
            } else if bytes.len() as u64 == LONGEST_LINE {
                let why = format!("the line is longer than {} MiB", LONGEST_LINE >> 20);
                return Some(self.skip_rest_of_line().map(|()| Line::Other { number: self.number, bytes: Vec::new(), why }));
            }
            if !bytes.trim_ascii().is_empty() {
                return Some(Ok(parse(self.number, bytes)));
            }
        }
    }
}

fn parse(number: u64, bytes: Vec<u8>) -> Line {
    let line = match String::from_utf8(bytes) {
        Ok(line) => line,
        Err(e) => return Line::Other { number, why: format!("not UTF-8: {}", e.utf8_error()), bytes: e.into_bytes() },
    };
    match Record::parse(&line) {
        Ok(record) => Line::Record(record, line),
        // serde counts lines, too, and of this one alone.
        Err(e) => {
            let why = format!("no record: {e}{}", drawn()).replace(" at line 1 column ", " at column ");
            Line::Other { number, bytes: line.into_bytes(), why }
        }
    }
}

/// What most likely is wrong where no line is a record.
fn drawn() -> &'static str {
    let is_set = std::env::var_os("MENDLINE_FORMAT").is_some_and(|format| format != "json");
    if is_set { "; MENDLINE_FORMAT is set, so that the tool before draws tables: unset it" } else { "" }
}

/// The standard input of a filter.
///
/// # Errors
/// It is a terminal: nobody pipes anything in, and waiting for typed JSON helps no one.
pub fn stdin(usage: &str) -> anyhow::Result<Lines<StdinLock<'static>>> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        anyhow::bail!("nothing to read: standard input is a terminal; {usage}");
    }
    Ok(Lines::new(stdin.lock()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = r#"{"v":1,"type":"x","id":"1.1","tool":"t","host":"h","ts":"2026-08-23T10:11:12.345Z","data":{"n":1.10}}"#;

    fn kinds(input: &[u8]) -> Vec<String> {
        Lines::new(input)
            .map(|line| match line.unwrap() {
                Line::Record(record, raw) => format!("{} {}", record.kind, raw.len()),
                Line::Other { number, .. } => format!("bad {number}"),
            })
            .collect()
    }

    #[test]
    fn a_bad_line_does_not_hide_the_next() {
        let input = format!("{GOOD}\nnonsense\n\n\u{fffd}\n{GOOD}");
        assert_eq!(kinds(input.as_bytes()), [format!("x {}", GOOD.len()), "bad 2".into(), "bad 4".into(), format!("x {}", GOOD.len())]);
    }

    #[test]
    fn a_line_that_is_too_long_is_named_and_skipped() {
        let mut input = vec![b'x'; usize::try_from(LONGEST_LINE).unwrap() + 10];
        input.extend(format!("\n{GOOD}\n").into_bytes());
        assert_eq!(kinds(&input), ["bad 1".to_owned(), format!("x {}", GOOD.len())]);
    }

    #[test]
    fn data_keeps_its_bytes() {
        let record = Record::parse(GOOD).unwrap();
        assert_eq!(record.data.get(), r#"{"n":1.10}"#);
    }

    proptest! {
        #[test]
        fn no_input_makes_it_fail(input: Vec<u8>) {
            for line in Lines::new(&input[..]) {
                let refused = matches!(line, Ok(Line::Other { .. }));
                prop_assert!(refused);
            }
        }
    }
}
