//! The tokens of JSON, read strictly; what a consumer takes between them is passed over.

use std::ops::Range;

use crate::json::chars;
use crate::json::class::Class;
use crate::json::consumer::Consumer;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// `[` or `{`.
    Open(u8),
    /// `]` or `}`.
    Close(u8),
    Comma,
    Colon,
    String,
    Number,
    Word,
    /// What is no token.
    Bad,
}

pub(super) struct Tokens<'t> {
    text: &'t [u8],
    at: usize,
    takes_comments: bool,
}

impl<'t> Tokens<'t> {
    pub(super) fn new(text: &'t [u8], consumer: Consumer) -> Self {
        let has_mark = consumer.takes(Class::ByteOrderMark) && text.starts_with("\u{feff}".as_bytes());
        Self { text, at: if has_mark { 3 } else { 0 }, takes_comments: consumer.takes(Class::Comment) }
    }

    fn blank(&mut self) {
        loop {
            self.at = chars::while_is(self.text, self.at, chars::is_space);
            if !self.takes_comments {
                return;
            }
            match self.text[self.at..] {
                [b'/', b'/', ref rest @ ..] => self.at += 2 + memchr::memchr(b'\n', rest).unwrap_or(rest.len()),
                [b'/', b'*', ref rest @ ..] => match memchr::memmem::find(rest, b"*/") {
                    Some(end) => self.at += 4 + end,
                    None => return,
                },
                _ => return,
            }
        }
    }

    /// Where a string ends whose first character stands at `at`.
    fn string(&self, at: usize) -> Option<usize> {
        let mut at = at;
        loop {
            at = chars::while_is(self.text, at, chars::is_plain);
            match self.text.get(at..)? {
                [b'"', ..] => return Some(at + 1),
                [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => at += 2,
                [b'\\', b'u', hex @ ..] if hex.len() > 4 && hex[..4].iter().all(u8::is_ascii_hexdigit) => at += 6,
                _ => return None,
            }
        }
    }

    fn number(&self, at: usize) -> Option<usize> {
        let whole = at + usize::from(self.text[at] == b'-');
        let mut at = if self.text.get(whole) == Some(&b'0') { whole + 1 } else { self.digits(whole)? };
        if self.text.get(at) == Some(&b'.') {
            at = self.digits(at + 1)?;
        }
        if matches!(self.text.get(at), Some(b'e' | b'E')) {
            at = self.digits(at + 1 + usize::from(matches!(self.text.get(at + 1), Some(b'-' | b'+'))))?;
        }
        Some(at)
    }

    fn digits(&self, at: usize) -> Option<usize> {
        let count = self.text.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (count > 0).then_some(at + count)
    }

    fn word(&self, at: usize) -> Option<usize> {
        [&b"true"[..], b"false", b"null"].iter().find(|word| self.text[at..].starts_with(word)).map(|word| at + word.len())
    }
}

impl Iterator for Tokens<'_> {
    type Item = (Token, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        self.blank();
        let start = self.at;
        let (token, end) = match *self.text.get(start)? {
            byte @ (b'[' | b'{') => (Token::Open(byte), Some(start + 1)),
            byte @ (b']' | b'}') => (Token::Close(byte), Some(start + 1)),
            b',' => (Token::Comma, Some(start + 1)),
            b':' => (Token::Colon, Some(start + 1)),
            b'"' => (Token::String, self.string(start + 1)),
            b'-' | b'0'..=b'9' => (Token::Number, self.number(start)),
            b't' | b'f' | b'n' => (Token::Word, self.word(start)),
            _ => (Token::Bad, None),
        };
        self.at = end.unwrap_or(self.text.len());
        Some((if end.is_some() { token } else { Token::Bad }, start..self.at))
    }
}
