//! Strings: where each of them ends, which is the hard question when quotes are missing or not escaped.
//!
//! A quote ends a string if what follows it can follow a string. Where a quote is none, what stands before it tells whether the end is missing
//! further up, and the string is read again with that in mind. The rules are those of Jos de Jong's jsonrepair, whose answers people know;
//! what is kept of a vain search (`doomed`, `comment`) makes the time linear, which it is not there.

use memchr::memmem;

use crate::json::chars::{self, Quotes};
use crate::json::class::Class;
use crate::json::mender::{Mender, Stop};
use crate::json::verdict::Why;

/// How many comments are looked behind to judge a quote.
const COMMENTS: usize = 16;

/// The start of a string.
#[derive(Clone, Copy)]
struct Opening {
    at: usize,
    /// Whether a backslash stands before the quote.
    is_escaped: bool,
    quotes: Quotes,
    /// Where the text begins.
    body: usize,
}

/// The end of a string; of no length where the quote is missing.
struct End {
    at: usize,
    len: usize,
    /// Where to go on.
    next: usize,
    /// Whether quotes that could have been the end were passed.
    is_doubtful: bool,
}

/// What ends a string.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Quote,
    /// There is no quote of its own: it ends here.
    Place(usize),
    /// There is no quote of its own: it ends before the next delimiter.
    Delimiter,
}

enum Read {
    Whole(End),
    Again(Until),
}

/// How far a string has been read.
struct Reading {
    at: usize,
    is_doubtful: bool,
    brackets: Brackets,
}

/// What is open within a string, of the kind last asked for.
struct Brackets {
    counted: usize,
    closer: u8,
    open: isize,
}

impl Brackets {
    /// Whether a closing bracket behind a quote at `at` has its partner in the string.
    fn are_open(&mut self, text: &[u8], start: usize, at: usize, closer: u8) -> bool {
        let opener = match closer {
            b')' => b'(',
            b']' => b'[',
            b'}' => b'{',
            _ => return false,
        };
        if closer != self.closer {
            (self.counted, self.closer, self.open) = (start, closer, 0);
        }
        for &byte in &text[self.counted..at] {
            self.open += isize::from(byte == opener) - isize::from(byte == closer);
        }
        self.counted = at;
        self.open > 0
    }
}

impl Mender<'_> {
    /// Goes behind a string, and those that are added to it, if there is one.
    pub(super) fn string(&mut self) -> Result<bool, Stop> {
        if self.plain_string() {
            return Ok(true);
        }
        let Some(first) = self.opening(self.at) else { return Ok(false) };
        let mut opening = first;
        loop {
            let end = self.body(opening)?;
            let Some(next) = self.added(&end) else {
                self.finish(first, opening, &end);
                self.lone_plus();
                return Ok(true);
            };
            self.edits.replace(end.at..next.body, "", Class::Concatenation);
            opening = next;
        }
    }

    /// Goes behind a string as most are, of which nothing need be asked: a comma or a colon follows its quote.
    fn plain_string(&mut self) -> bool {
        if !self.is_at(b'"') || self.at < self.doomed[Quotes::Double as usize] {
            return false;
        }
        let end = chars::while_is(self.text, self.at + 1, chars::is_plain);
        let is_plain = matches!(self.text[end..], [b'"', b',' | b':', ..]);
        if is_plain {
            self.keep_to(end + 1);
        }
        is_plain
    }

    fn opening(&self, at: usize) -> Option<Opening> {
        let is_escaped = *self.text.get(at)? == b'\\';
        let (quotes, len) = chars::quote(self.text, at + usize::from(is_escaped))?;
        Some(Opening { at, is_escaped, quotes, body: at + usize::from(is_escaped) + len })
    }

    /// Notes the edits to the quotes of a string, and goes behind it.
    fn finish(&mut self, first: Opening, opening: Opening, end: &End) {
        let quote = first.at + usize::from(first.is_escaped);
        let closing = &self.text[end.at..end.at + end.len];
        let class = class_of_quotes(first.quotes, &self.text[quote..first.body], closing, end.is_doubtful || first.at != opening.at);
        let is_plain = closing == b"\"";
        if first.is_escaped {
            self.edits.replace(first.at..quote, "", Class::EscapedText);
        }
        if first.quotes != Quotes::Double {
            self.edits.replace(quote..first.body, "\"", class);
        }
        if end.len == 0 {
            self.insert(end.at, "\"", Class::MissingQuote);
        } else if !is_plain {
            self.edits.replace(end.at..end.at + end.len, "\"", class);
        }
        self.keep_to(end.at + end.len);
        self.at = end.next;
    }

    /// The string that is added to the one with this end.
    fn added(&self, end: &End) -> Option<Opening> {
        let behind = end.next;
        // What mostly follows a string is seen at once.
        if matches!(self.text.get(behind), Some(b',' | b':' | b'}' | b']')) {
            return None;
        }
        let plus = self.glance(behind);
        (self.text.get(plus) == Some(&b'+')).then(|| self.opening(self.glance(plus + 1)))?
    }

    /// Takes out a plus that nothing follows.
    fn lone_plus(&mut self) {
        if matches!(self.byte(), Some(b',' | b':' | b'}' | b']')) {
            return;
        }
        let plus = self.glance(self.at);
        if self.text.get(plus) == Some(&b'+') {
            self.drop_to(self.glance(plus + 1), Class::Concatenation);
        }
    }

    /// Reads a string up to its end, as often as there are ways to find one.
    fn body(&mut self, opening: Opening) -> Result<End, Stop> {
        let mark = self.edits.mark();
        let is_doomed = opening.at < self.doomed[opening.quotes as usize];
        let mut until = if is_doomed { Until::Delimiter } else { Until::Quote };
        loop {
            match self.read(opening, until)? {
                Read::Whole(end) => return Ok(end),
                Read::Again(other) => until = other,
            }
            self.edits.rewind(mark);
        }
    }

    fn read(&mut self, opening: Opening, until: Until) -> Result<Read, Stop> {
        let brackets = Brackets { counted: opening.body, closer: 0, open: 0 };
        let mut reading = Reading { at: opening.body, is_doubtful: false, brackets };
        loop {
            self.unescape(opening, &mut reading.at);
            let at = self.plain_to(opening.quotes, until, reading.at);
            if at > reading.at && opening.is_escaped {
                reading.at = at;
                continue;
            }
            reading.at = at;
            if matches!(until, Until::Place(place) if at >= place) {
                return Ok(Read::Whole(self.end_before_spaces(opening, at)));
            }
            let Some(&byte) = self.text.get(at) else { return Ok(self.end_of_text_in_string(opening, until)) };
            if let Some((quotes, len)) = chars::quote(self.text, at)
                && opening.quotes.end_with(quotes)
            {
                if let Some(read) = self.judge(opening, until, (quotes, len), &mut reading) {
                    return Ok(read);
                }
            } else if until == Until::Delimiter && chars::ends_text(byte) {
                let end = chars::end_of_address(self.text, opening.body, at).unwrap_or(at);
                return Ok(Read::Whole(self.end_before_spaces(opening, end)));
            } else {
                reading.at = self.character(at, byte)?;
            }
        }
    }

    /// Within a string whose quotes are escaped, each character may have one more backslash before it.
    fn unescape(&mut self, opening: Opening, at: &mut usize) {
        if opening.is_escaped && *at > opening.body && self.text.get(*at) == Some(&b'\\') {
            self.edits.replace(*at..*at + 1, "", Class::EscapedText);
            *at += 1;
        }
    }

    /// Behind what needs no look.
    fn plain_to(&self, quotes: Quotes, until: Until, at: usize) -> usize {
        let end = if let Until::Place(place) = until { place.max(at) } else { self.text.len() };
        let text = &self.text[..end];
        match (until, quotes) {
            (Until::Delimiter, _) => {
                chars::while_is(text, at, |byte| chars::is_plain(byte) && is_no_quote(byte) && !chars::ends_text(byte))
            }
            (_, Quotes::Double) => chars::while_is(text, at, chars::is_plain),
            _ => chars::while_is(text, at, |byte| chars::is_plain(byte) && is_no_quote(byte)),
        }
    }

    /// Whether a quote is the end; if not, either the string has to be read otherwise, or the quote belongs to it.
    fn judge(&mut self, opening: Opening, until: Until, (quotes, len): (Quotes, usize), reading: &mut Reading) -> Option<Read> {
        let at = reading.at;
        let next = self.glance_in_line(at + len);
        let is_end = match self.text.get(next) {
            None => true,
            Some(_) if until == Until::Delimiter => true,
            Some(&byte) if chars::is_delimiter(byte) => !reading.brackets.are_open(self.text, opening.body, at, byte),
            Some(byte) => byte.is_ascii_digit() || chars::quote(self.text, next).is_some_and(|(_, len)| !self.ends_behind(next + len)),
        };
        if is_end {
            return Some(Read::Whole(End { at, len, next: at + len, is_doubtful: reading.is_doubtful }));
        }
        let before = chars::before_spaces(self.text, at);
        match self.text[before] {
            b',' => return Some(Read::Again(Until::Place(before))),
            byte if chars::is_delimiter(byte) => {
                self.doomed[opening.quotes as usize] = at;
                return Some(Read::Again(Until::Delimiter));
            }
            _ => {}
        }
        if quotes == Quotes::Double {
            self.insert(at, "\\", Class::InnerQuote);
        }
        reading.is_doubtful = true;
        reading.at = at + len;
        None
    }

    /// Whether nothing but a delimiter follows.
    fn ends_behind(&self, at: usize) -> bool {
        let next = self.text[at..].iter().find(|&&byte| !chars::is_space(byte));
        next.is_none_or(|&byte| chars::is_delimiter(byte))
    }

    fn end_of_text_in_string(&mut self, opening: Opening, until: Until) -> Read {
        let end = self.text.len();
        let last = self.text[chars::before_spaces(self.text, end)];
        if until == Until::Quote && chars::is_delimiter(last) {
            self.doomed[opening.quotes as usize] = end;
            return Read::Again(Until::Delimiter);
        }
        Read::Whole(self.end_before_spaces(opening, end))
    }

    /// The end of a string without a quote, before the spaces there and before an escape that was cut off behind them.
    fn end_before_spaces(&self, opening: Opening, at: usize) -> End {
        let cut = self.edits.cut_off(at);
        let whole = cut.unwrap_or(at);
        let spaces = self.text[opening.body..whole].iter().rev().take_while(|&&byte| byte == b' ').count();
        let end = whole - spaces;
        End { at: end, len: 0, next: if cut.is_some() { at } else { end }, is_doubtful: true }
    }

    /// Goes behind one character of a string, with the edits that it needs.
    fn character(&mut self, at: usize, byte: u8) -> Result<usize, Stop> {
        match byte {
            b'\\' => return self.escape_sequence(at),
            b'"' => self.insert(at, "\\", Class::Quotes),
            b'\n' | b'\r' => self.escape_control(at, byte, Class::RawNewline)?,
            byte if byte < b' ' => self.escape_control(at, byte, Class::RawControl)?,
            _ => {}
        }
        Ok(at + 1)
    }

    fn escape_sequence(&mut self, at: usize) -> Result<usize, Stop> {
        let class = match self.text.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => return Ok(at + 2),
            Some(b'u') => return self.unicode(at),
            Some(b'\n') => {
                self.edits.replace(at + 1..at + 2, "n", Class::InvalidEscape);
                return Ok(at + 2);
            }
            Some(b'\'') => Class::EscapedApostrophe,
            Some(_) => Class::InvalidEscape,
            None => Class::Truncated,
        };
        self.edits.replace(at..at + 1, "", class);
        Ok(at + 1 + chars::quote(self.text, at + 1).map_or(0, |(_, len)| len))
    }

    fn unicode(&mut self, at: usize) -> Result<usize, Stop> {
        let digits = self.text[at + 2..].iter().take(4).take_while(|byte| byte.is_ascii_hexdigit()).count();
        let end = at + 2 + digits;
        if digits < 4 && end < self.text.len() {
            return Err(Stop { at, why: Why::UnicodeEscape });
        }
        if digits < 4 {
            self.edits.replace(at..end, "", Class::Truncated);
        }
        Ok(end)
    }

    /// What follows behind white space and comments.
    fn glance(&self, at: usize) -> usize {
        let mut at = at;
        loop {
            at += match self.text[at..] {
                [b' ' | b'\t' | b'\r' | b'\n', ..] => 1,
                [b'/', b'/', ref rest @ ..] => 2 + memchr::memchr(b'\n', rest).unwrap_or(rest.len()),
                [b'/', b'*', ref rest @ ..] => 2 + memmem::find(rest, b"*/").map_or(rest.len(), |end| end + 2),
                _ => match chars::odd_space(self.text, at) {
                    0 => return at,
                    len => len,
                },
            }
        }
    }

    /// What follows on the same line, behind a few comments at most.
    fn glance_in_line(&mut self, at: usize) -> usize {
        let (mut at, mut comments) = (at, 0);
        loop {
            match self.text[at..] {
                [b' ' | b'\t' | b'\r', ..] => at += 1,
                [b'/', b'*', ..] if comments < COMMENTS => {
                    at = self.end_of_comment(at);
                    comments += 1;
                }
                // It goes on to the end of the line, which is a delimiter.
                [b'/', b'/', ..] | [] => return at,
                _ => match chars::odd_space(self.text, at) {
                    0 => return at,
                    len => at += len,
                },
            }
        }
    }

    /// Where a comment ends that starts at a place. What was found once is not looked for again.
    fn end_of_comment(&mut self, at: usize) -> usize {
        let (from, whole) = (at + 2, self.text.len());
        let (since, end) = self.comment;
        if since > from || (from + 2 > end && end < whole) {
            let end = memmem::find(&self.text[from..], b"*/").map_or(whole, |end| from + end + 2);
            self.comment = (from, end);
        }
        self.comment.1
    }
}

/// Of a byte that is neither `"` nor a control character: whether it starts no quote.
fn is_no_quote(byte: u8) -> bool {
    !matches!(byte, b'\'' | b'`' | 0xc2 | 0xe2)
}

/// Quotes that are a pair, as one language or another has them, say what was meant.
fn class_of_quotes(quotes: Quotes, opening: &[u8], closing: &[u8], is_doubtful: bool) -> Class {
    let pair = [opening, closing];
    let is_pair = match quotes {
        Quotes::Double | Quotes::Single => true,
        Quotes::DoubleLike => pair == ["“".as_bytes(), "”".as_bytes()],
        Quotes::SingleLike => pair == ["‘".as_bytes(), "’".as_bytes()],
    };
    if is_pair && !is_doubtful { Class::Quotes } else { Class::OddQuotes }
}
