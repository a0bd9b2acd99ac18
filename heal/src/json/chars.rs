//! The characters that matter, looked at in a text that is valid UTF-8.

/// What may be around a string, by what may end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quotes {
    /// `"`, which only `"` ends.
    Double,
    /// `'`, which only `'` ends.
    Single,
    /// A typographic double quote, which any double quote ends.
    DoubleLike,
    /// A typographic single quote or an accent, which any single quote ends.
    SingleLike,
}

impl Quotes {
    /// Whether a quote ends a string that another began.
    pub(super) fn end_with(self, quote: Self) -> bool {
        match self {
            Self::Double | Self::Single => quote == self,
            Self::DoubleLike => matches!(quote, Self::Double | Self::DoubleLike),
            Self::SingleLike => matches!(quote, Self::Single | Self::SingleLike),
        }
    }
}

/// The quote at a place, and its length.
pub(super) fn quote(text: &[u8], at: usize) -> Option<(Quotes, usize)> {
    match *text.get(at)? {
        b'"' => Some((Quotes::Double, 1)),
        b'\'' => Some((Quotes::Single, 1)),
        b'`' => Some((Quotes::SingleLike, 1)),
        0xc2 if text[at..].starts_with("´".as_bytes()) => Some((Quotes::SingleLike, 2)),
        0xe2 => match text[at..] {
            [_, 0x80, 0x98 | 0x99, ..] => Some((Quotes::SingleLike, 3)),
            [_, 0x80, 0x9c | 0x9d, ..] => Some((Quotes::DoubleLike, 3)),
            _ => None,
        },
        _ => None,
    }
}

/// The length of a space at a place that JSON does not know, or 0.
pub(super) fn odd_space(text: &[u8], at: usize) -> usize {
    match text[at..] {
        [0x0b | 0x0c, ..] => 1,
        [0xc2, 0x85 | 0xa0, ..] => 2,
        [0xe1, 0xa0, 0x8e, ..]
        | [0xe2, 0x80, 0x80..=0x8b | 0xa8 | 0xa9 | 0xaf, ..]
        | [0xe2, 0x81, 0x9f, ..]
        | [0xe3, 0x80, 0x80, ..]
        | [0xef, 0xbb, 0xbf, ..] => 3,
        _ => 0,
    }
}

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r')
}

/// What may follow a value, or a quote that ends a string.
pub(super) fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b',' | b':' | b'[' | b']' | b'/' | b'{' | b'}' | b'(' | b')' | b'\n' | b'+')
}

/// What ends a text that has no quotes.
pub(super) fn ends_text(byte: u8) -> bool {
    matches!(byte, b',' | b'[' | b']' | b'/' | b'{' | b'}' | b'\n' | b'+')
}

pub(super) fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte == b'$'
}

pub(super) fn is_in_name(byte: u8) -> bool {
    starts_name(byte) || byte.is_ascii_digit()
}

/// Whether a value could start at a place.
pub(super) fn starts_value(text: &[u8], at: usize) -> bool {
    let starts = |&byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'[' | b'{' | b'_' | b'-');
    quote(text, at).is_some() || text.get(at).is_some_and(starts)
}

/// Goes back over spaces to what stands before a place.
pub(super) fn before_spaces(text: &[u8], at: usize) -> usize {
    (1..at).rev().find(|&other| !is_space(text[other])).unwrap_or(0)
}

/// Where an address ends of which `://` stands at `at`, if it is one that begins at `start`.
pub(super) fn end_of_address(text: &[u8], start: usize, at: usize) -> Option<usize> {
    const SCHEMES: [&[u8]; 7] = [b"http:", b"https:", b"ftp:", b"mailto:", b"file:", b"data:", b"irc:"];
    if at == 0 || text[at - 1] != b':' {
        return None;
    }
    let is_address = SCHEMES.contains(&text.get(start..at)?) && text[at..].starts_with(b"//");
    let may_be_in = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:/?#@!$&'()*+;=".contains(byte);
    is_address.then(|| at + text[at..].iter().take_while(|byte| may_be_in(byte)).count())
}

/// The place from `at` on where something ceases to be.
pub(super) fn while_is(text: &[u8], at: usize, is: impl Fn(u8) -> bool) -> usize {
    let mut at = at;
    while text.get(at).is_some_and(|&byte| is(byte)) {
        at += 1;
    }
    at
}

/// Whether a byte within a string is neither the end of it, nor an escape, nor what has to be one.
pub(super) fn is_plain(byte: u8) -> bool {
    PLAIN[usize::from(byte)]
}

const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let mut byte = 0;
    while byte < 32 {
        plain[byte] = false;
        byte += 1;
    }
    plain[b'"' as usize] = false;
    plain[b'\\' as usize] = false;
    plain
};
