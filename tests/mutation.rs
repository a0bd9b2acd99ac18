//! Damage as disks, editors and attackers do it to text, the same for the same seed.

use std::ops::Range;

/// Numbers that follow from a seed alone (SplitMix64).
pub(crate) struct Dice(u64);

/// What means something to one parser or another.
const TOKENS: [&[u8]; 28] = [
    b"\0",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xc3\x28",
    b"\xe2\x80\xae",
    b"\x1b[2J",
    b"\r",
    b"\n\n",
    b"\"",
    b"'",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"#!",
    b"= ",
    b": ",
    b",,",
    b"../../../../../../../../etc/passwd",
    b"/",
    b"%",
    b"-1",
    b"99999999999999999999999",
    b"1e999",
    b"null",
    b"-r requirements.txt\n",
    b"-e ./nowhere\n",
    b"; python_version < '3' and (extra == ",
    b"file:///%zz%00",
];

/// What is long enough or deep enough, many times in a row, to be too much.
const REPEATED: [&[u8]; 12] = [b"A", b"\0", b"(", b"[", b"{\"a\":", b"[[", b"../", b" ", b"a,", b"a.", b"1.", b"not "];

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`, or 0 where there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from(z ^ (z >> 31)).expect("64 bits").checked_rem(end).unwrap_or_default()
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// Nearer to the start than to the end, where headers are, and every other time behind what separates a name from a value.
    fn place(&mut self, bytes: &[u8]) -> usize {
        let most = self.below(bytes.len() + 1);
        let at = self.below(most + 1);
        let separator = bytes[at..].iter().position(|byte| b"=:;,\"'([{\n".contains(byte)).filter(|_| self.below(2) == 0);
        separator.map_or(at, |behind| at + behind + 1)
    }

    /// A part of the bytes, as a rule a short one.
    fn range(&mut self, bytes: &[u8]) -> Range<usize> {
        let (start, length) = (self.place(bytes), bytes.len());
        let most = if self.below(4) == 0 { length } else { 40 };
        start..(start + self.below(most + 1)).min(length)
    }
}

/// Damages `bytes` one to four times; `other` is what a part of another file may come from.
pub(crate) fn mutated(dice: &mut Dice, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_owned();
    for _ in 0..=dice.below(4) {
        once(dice, &mut bytes, other);
    }
    bytes
}

fn once(dice: &mut Dice, bytes: &mut Vec<u8>, other: &[u8]) {
    let (at, range) = (dice.place(bytes), dice.range(bytes));
    match dice.below(10) {
        0 => flip(dice, bytes),
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(range)),
        3 => bytes[range].fill(0),
        4 => {
            let part = bytes[range].to_owned();
            insert(bytes, at, &part);
        }
        5 => insert(bytes, at, &other[dice.range(other)]),
        6 => {
            let many = 1 << dice.below(20);
            insert(bytes, at, &dice.pick(&REPEATED).repeat(many));
        }
        7 => bytes.retain(|byte| *byte != b'\n'),
        _ => insert(bytes, at, dice.pick(&TOKENS)),
    }
}

fn flip(dice: &mut Dice, bytes: &mut [u8]) {
    for _ in 0..=dice.below(8) {
        let at = dice.below(bytes.len());
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << dice.below(8);
        }
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, part: &[u8]) {
    bytes.splice(at..at, part.iter().copied());
}
