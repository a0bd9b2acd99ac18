//! How often short byte strings occur in logs, which says what is worth looking for.
//!
//! `grams.txt` has the 4-byte strings that are frequent in real logs, made by `bench/grams` from the 16 samples of loghub (Android to
//! Zookeeper), an access log, Kafka's controller, and the logs of apt, dpkg, npm and a build of Python. What is not in it is rare.

use std::collections::HashMap;

/// Occurrences in a million bytes of what the table does not have; it begins at 64.
const RARE: f64 = 8.0;

pub(crate) struct Rates(HashMap<&'static [u8], f64>);

impl Rates {
    pub(crate) fn new() -> Self {
        let bands = include_str!("grams.txt").lines().filter_map(|line| line.split_once('\t'));
        let rated = bands.flat_map(|(rate, grams)| {
            let rate = rate.parse().unwrap_or(RARE);
            grams.as_bytes().chunks_exact(4).map(move |gram| (gram, rate))
        });
        Self(rated.collect())
    }

    /// How often a string of 3 or 4 bytes is to be expected in a million bytes.
    pub(crate) fn of(&self, gram: &[u8]) -> f64 {
        let folded: Vec<u8> = gram.iter().map(|byte| if byte.is_ascii_digit() { b'0' } else { *byte }).collect();
        // A digit of a pattern is one of ten, though some, as those of a date, come again and again.
        let same = folded.iter().filter(|byte| **byte == b'0').fold(1.0, |share, _| share / 2.0);
        let rate = if folded.len() < 4 { self.with_prefix(&folded) } else { self.0.get(&folded[..]).copied().unwrap_or(RARE) };
        (rate * same).max(RARE)
    }

    /// A shorter string is at least as frequent as all that begin with it.
    fn with_prefix(&self, prefix: &[u8]) -> f64 {
        let longer = self.0.iter().filter(|(gram, _)| gram.starts_with(prefix));
        8.0 * RARE + longer.map(|(_, rate)| rate).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_log_has_is_frequent() {
        let rates = Rates::new();
        assert!(rates.of(b"INFO") > 500.0 && rates.of(b"tion") > 500.0);
        assert!(rates.of(b"NFO") >= rates.of(b"NFO "));
        assert!(rates.of(b"gcc:") <= RARE && rates.of(b"E401") <= RARE);
    }
}
