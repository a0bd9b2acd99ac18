//! Factors in the order that makes packed search quick.
//!
//! Packed search (Teddy) puts the strings into buckets and first asks, for each place, only whether each half of each byte is one that some
//! string of a bucket has there. So strings that are unlike each other make a bucket that nearly everything passes, and what passes is
//! compared string by string. aho-corasick deals strings out to the buckets in turn; the order says which meet in one.

use super::factors::Factor;
use super::grams::Rates;

/// How often a bucket is passed is reckoned by this many bytes, since packed search looks at no more.
const LOOKED_AT: usize = 4;
/// Rounds of exchanges between the buckets.
const ROUNDS: usize = 4;

/// The halves of bytes that a bucket lets pass, by place: a bit for each.
#[derive(Clone, Copy, Default)]
struct Mask {
    high: [u16; LOOKED_AT],
    low: [u16; LOOKED_AT],
}

impl Mask {
    fn of<'a>(strings: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut mask = Self::default();
        for string in strings {
            for (at, byte) in string.iter().take(LOOKED_AT).enumerate() {
                mask.high[at] |= 1 << (byte >> 4);
                mask.low[at] |= 1 << (byte & 15);
            }
        }
        mask
    }

    /// The share of places that pass, if bytes came independently of each other.
    fn passed(&self, halves: &[[f64; 16]; 16]) -> f64 {
        let places = self.high.iter().zip(&self.low).filter(|(high, _)| **high != 0);
        places.map(|(high, low)| bits(*high).map(|high| bits(*low).map(|low| halves[high][low]).sum::<f64>()).sum::<f64>()).product()
    }
}

fn bits(mask: u16) -> impl Iterator<Item = usize> {
    (0..16).filter(move |bit| mask >> bit & 1 == 1)
}

/// Orders factors for this many buckets.
pub(crate) fn arrange(mut factors: Vec<Factor>, buckets: usize, rates: &Rates) -> Vec<Factor> {
    let halves = rates.halves();
    factors.sort_by_cached_key(|factor| (factor.bytes.iter().map(|byte| byte >> 4).collect::<Vec<_>>(), factor.bytes.clone()));
    let strings: Vec<&[u8]> = factors.iter().map(|factor| &factor.bytes[..]).collect();
    let mut dealt = dealt(strings.len(), buckets);
    let passed = |bucket: &[usize]| Mask::of(bucket.iter().map(|number| strings[*number])).passed(&halves);
    for _ in 0..ROUNDS {
        if !exchange(&mut dealt, &passed) {
            break;
        }
    }
    // In turn: the first of each bucket, then the second of each.
    let mut numbered: Vec<_> = (0..strings.len()).map(|turn| dealt[turn % buckets][turn / buckets]).zip(0..).collect();
    numbered.sort_unstable();
    let mut turns: Vec<(usize, Factor)> = numbered.into_iter().map(|(_, turn)| turn).zip(factors).collect();
    turns.sort_by_key(|(turn, _)| *turn);
    turns.into_iter().map(|(_, factor)| factor).collect()
}

/// Numbers from 0 in buckets as full as dealing makes them, neighbours together.
fn dealt(count: usize, buckets: usize) -> Vec<Vec<usize>> {
    let mut numbers = 0..count;
    (0..buckets).map(|bucket| numbers.by_ref().take(count.saturating_sub(bucket).div_ceil(buckets)).collect()).collect()
}

/// Exchanges strings between buckets where that lets less pass; whether any were.
fn exchange(dealt: &mut [Vec<usize>], passed: &impl Fn(&[usize]) -> f64) -> bool {
    let mut costs: Vec<f64> = dealt.iter().map(|bucket| passed(bucket)).collect();
    let mut any = false;
    for (one, other) in (0..dealt.len()).flat_map(|other| (0..other).map(move |one| (one, other))) {
        for (a, b) in (0..dealt[one].len()).flat_map(|a| (0..dealt[other].len()).map(move |b| (a, b))).collect::<Vec<_>>() {
            let swap = |dealt: &mut [Vec<usize>]| {
                let (left, right) = dealt.split_at_mut(other);
                std::mem::swap(&mut left[one][a], &mut right[0][b]);
            };
            swap(dealt);
            let new = [passed(&dealt[one]), passed(&dealt[other])];
            if new[0] + new[1] < (costs[one] + costs[other]) * 0.999 {
                [costs[one], costs[other]] = new;
                any = true;
            } else {
                swap(dealt);
            }
        }
    }
    any
}
