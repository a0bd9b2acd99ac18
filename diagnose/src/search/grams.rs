//! How often short byte strings occur in logs, which says what is worth looking for.
//!
//! `grams.txt` has the 4-byte strings that are frequent in real logs, made by `bench/grams` from the 16 samples of loghub (Android to
//! Zookeeper), an access log, Kafka's controller, and the logs of apt, dpkg, npm and a build of Python. What is not in it is rare.

use std::collections::HashMap;

/// Occurrences in a million bytes of small letters and spaces that the table does not have; it begins at 64.
const UNLISTED: f64 = 32.0;
/// By how much one more byte of another kind makes a string rarer: a capital, a sign, one digit of the ten that the table takes for one.
const UNUSUAL: f64 = 0.4;
const DIGIT: f64 = 0.1;
/// What is never met in one log is not so rare in the next.
const RARE: f64 = 1.0;

/// With a sample of the very text that is to be searched, the table counts this much.
const HEARSAY: f64 = 0.1;

pub(crate) struct Rates {
    table: HashMap<&'static [u8], f64>,
    sample: Option<Sketch>,
}

impl Rates {
    pub(crate) fn new() -> Self {
        let bands = include_str!("grams.txt").lines().filter_map(|line| line.split_once('\t'));
        let rated = bands.flat_map(|(rate, grams)| {
            let rate = rate.parse().unwrap_or(UNLISTED);
            grams.as_bytes().chunks_exact(4).map(move |gram| (gram, rate))
        });
        Self { table: rated.collect(), sample: None }
    }

    /// Rates that follow a sample of the text to be searched: every log has words of its own.
    pub(crate) fn of_sample(sample: &[u8]) -> Self {
        Self { sample: Some(Sketch::of(sample)), ..Self::new() }
    }

    /// How often a string of 3 or 4 bytes is to be expected in a million bytes.
    pub(crate) fn of(&self, gram: &[u8]) -> f64 {
        match (&self.sample, <[u8; 4]>::try_from(gram)) {
            (Some(sketch), Ok(gram)) => sketch.rate(gram) + HEARSAY * self.usual(&gram),
            _ => self.usual(gram),
        }
    }

    fn usual(&self, gram: &[u8]) -> f64 {
        let folded: Vec<u8> = gram.iter().map(|byte| if byte.is_ascii_digit() { b'0' } else { *byte }).collect();
        let rate = if folded.len() < 4 {
            self.with_prefix(&folded)
        } else {
            self.table.get(&folded[..]).copied().unwrap_or_else(|| unlisted(gram))
        };
        let share: f64 = gram.iter().filter(|byte| byte.is_ascii_digit()).map(|_| DIGIT).product();
        (rate * share).max(RARE)
    }

    /// The share of each byte, by its high half and its low one.
    pub(crate) fn halves(&self) -> [[f64; 16]; 16] {
        // What the table does not have comes now and then.
        let mut halves = [[1e-4; 16]; 16];
        let all: f64 = self.table.values().sum();
        for (gram, rate) in &self.table {
            let share = rate / all / 4.0;
            for byte in *gram {
                let same = if byte.is_ascii_digit() { b'0'..=b'9' } else { *byte..=*byte };
                let each = share / f64::from(same.end() - same.start() + 1);
                same.for_each(|byte| halves[usize::from(byte >> 4)][usize::from(byte & 15)] += each);
            }
        }
        halves
    }

    /// A shorter string is at least as frequent as all that begin with it.
    fn with_prefix(&self, prefix: &[u8]) -> f64 {
        let longer = self.table.iter().filter(|(gram, _)| gram.starts_with(prefix));
        8.0 * unlisted(prefix) + longer.map(|(_, rate)| rate).sum::<f64>()
    }
}

fn unlisted(gram: &[u8]) -> f64 {
    let unusual = gram.iter().filter(|byte| !byte.is_ascii_lowercase() && !byte.is_ascii_digit() && **byte != b' ');
    UNLISTED * unusual.map(|_| UNUSUAL).product::<f64>()
}

/// Counts of 4-byte strings, by a hash: what shares a place with a frequent one is taken to be frequent.
struct Sketch {
    counts: Vec<u16>,
    millions: f64,
}

impl Sketch {
    const BITS: u32 = 18;

    #[expect(clippy::cast_precision_loss, reason = "a sample is small")]
    fn of(sample: &[u8]) -> Self {
        let mut counts = vec![0_u16; 1 << Self::BITS];
        for gram in sample.array_windows() {
            let count = &mut counts[Self::place(*gram)];
            *count = count.saturating_add(1);
        }
        Self { counts, millions: sample.len().max(1) as f64 / 1e6 }
    }

    fn place(gram: [u8; 4]) -> usize {
        (u32::from_le_bytes(gram).wrapping_mul(0x9E37_79B1) >> (u32::BITS - Self::BITS)) as usize
    }

    fn rate(&self, gram: [u8; 4]) -> f64 {
        f64::from(self.counts[Self::place(gram)]) / self.millions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_log_has_is_frequent() {
        let rates = Rates::new();
        assert!(rates.of(b"INFO") > 500.0 && rates.of(b"tion") > 500.0);
        let sampled = Rates::of_sample(&b"ENOENT ".repeat(1000));
        assert!(sampled.of(b"ENOE") > 100_000.0 && sampled.of(b"tion") < rates.of(b"tion"));
        assert!(rates.of(b"NFO") >= rates.of(b"NFO "));
        assert!(rates.of(b"ENOE") < UNLISTED && rates.of(b" 429") < UNLISTED);
    }
}
