//! What stands without quotes: numbers, words, texts whose quotes were left out, regular expressions and calls.

use std::ops::Range;

use crate::json::chars;
use crate::json::class::Class;
use crate::json::mender::{Mender, Stop};
use crate::json::structure::Kind;
use crate::json::verdict::Why;

impl Mender<'_> {
    /// Goes behind a number, if all of it up to the next delimiter is one, or what can be made one.
    pub(super) fn number(&mut self) -> bool {
        let (start, mark) = (self.at, self.edits.mark());
        let Some((end, is_number)) = self.number_parts() else {
            self.edits.rewind(mark);
            return false;
        };
        if !is_number {
            self.edits.rewind(mark);
            self.insert(start, "\"", Class::LeadingZeros);
            self.insert(end, "\"", Class::LeadingZeros);
        }
        self.keep_to(end);
        true
    }

    /// Where a number ends, with the edits that it needs, and whether edits can make it one.
    fn number_parts(&mut self) -> Option<(usize, bool)> {
        let start = self.at;
        let mut at = start + usize::from(self.is_at(b'-'));
        let has_zeros = matches!(self.text.get(at..at + 2), Some([b'0', b'0'..=b'9']));
        let whole = at;
        at = self.digits(at);
        let has_whole = at > whole;
        let mut is_number = !has_zeros;
        if !has_whole && at > start && self.ends_number(at) {
            self.insert(at, "0", Class::TruncatedNumber);
        }
        if self.text.get(at) == Some(&b'.') {
            if !has_whole {
                self.insert(at, "0", Class::LeadingPoint);
            }
            at = self.digits_or_zero(at + 1);
        } else if !has_whole && matches!(self.text.get(at), Some(b'e' | b'E')) {
            is_number = false;
        }
        if at > start && matches!(self.text.get(at), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.text.get(at + 1), Some(b'-' | b'+')));
            at = self.digits_or_zero(at + 1 + sign);
        }
        (at > start && self.ends_number(at)).then_some((at, is_number))
    }

    fn digits(&self, at: usize) -> usize {
        chars::while_is(self.text, at, |byte| byte.is_ascii_digit())
    }

    fn digits_or_zero(&mut self, at: usize) -> usize {
        let end = self.digits(at);
        if end == at {
            self.insert(at, "0", Class::TruncatedNumber);
        }
        end
    }

    fn ends_number(&self, at: usize) -> bool {
        self.text.get(at).is_none_or(|&byte| chars::is_delimiter(byte) || chars::is_space(byte))
    }

    /// Goes behind `true`, `false` or `null`, also as Python writes them.
    pub(super) fn word(&mut self) -> bool {
        const WORDS: [(&[u8], &str); 6] =
            [(b"true", ""), (b"false", ""), (b"null", ""), (b"True", "true"), (b"False", "false"), (b"None", "null")];
        let end = self.end_of_name(self.at);
        let Some((_, meant)) = WORDS.iter().find(|(word, _)| *word == &self.text[self.at..end]) else { return false };
        if !meant.is_empty() {
            self.edits.replace(self.at..end, meant, Class::PythonWord);
        }
        self.keep_to(end);
        true
    }

    fn end_of_name(&self, at: usize) -> usize {
        if !self.text.get(at).is_some_and(|&byte| chars::starts_name(byte)) {
            return at;
        }
        chars::while_is(self.text, at, chars::is_in_name)
    }

    /// Goes behind a text that lacks its quotes, or into a call.
    pub(super) fn unquoted_value(&mut self) -> Result<bool, Stop> {
        let start = self.at;
        let name = self.end_of_name(start);
        if name > start {
            let paren = chars::while_is(self.text, name, chars::is_space);
            if self.text.get(paren) == Some(&b'(') {
                self.push(Kind::Call);
                self.drop_to(paren + 1, Class::Call);
                return Ok(true);
            }
        }
        let end = self.end_of_text(start, name, |_| false);
        if &self.text[start..end] == b"undefined" {
            self.edits.replace(start..end, "null", Class::Undefined);
            self.keep_to(end);
            return Ok(true);
        }
        self.put_quotes(start..end, Class::UnquotedText)
    }

    /// Goes behind a key that lacks its quotes.
    pub(super) fn unquoted_key(&mut self) -> Result<bool, Stop> {
        let start = self.at;
        let name = self.end_of_name(start);
        let end = if self.text.get(name) == Some(&b':') { name } else { self.end_of_text(start, name, |byte| byte == b':') };
        let class = if is_plain_key(&self.text[start..end]) { Class::UnquotedKey } else { Class::UnquotedText };
        self.put_quotes(start..end, class)
    }

    /// Where a text without quotes ends, without the white space behind it; what stands before `at` belongs to it.
    fn end_of_text(&self, start: usize, at: usize, ends: impl Fn(u8) -> bool) -> usize {
        let mut at = at;
        while let Some(&byte) = self.text.get(at) {
            let may_be_quote = !byte.is_ascii_alphanumeric() && chars::quote(self.text, at).is_some();
            if ends(byte) || chars::ends_text(byte) || may_be_quote {
                break;
            }
            at += 1;
        }
        let end = chars::end_of_address(self.text, start, at).unwrap_or(at);
        end - self.text[start..end].iter().rev().take_while(|&&byte| chars::is_space(byte)).count()
    }

    /// Puts quotes around a text; one that stands at its end already is its own.
    fn put_quotes(&mut self, text: Range<usize>, class: Class) -> Result<bool, Stop> {
        if text.is_empty() {
            return Ok(false);
        }
        let has_quote = self.text.get(text.end) == Some(&b'"');
        let class = if has_quote { Class::MissingQuote } else { class };
        self.insert(text.start, "\"", class);
        if class != Class::UnquotedKey {
            self.escape(text.clone(), class)?;
        }
        if !has_quote {
            self.insert(text.end, "\"", class);
        }
        self.keep_to(text.end + usize::from(has_quote));
        Ok(true)
    }

    /// Goes behind a regular expression, which becomes a string.
    pub(super) fn regex(&mut self) -> Result<bool, Stop> {
        if !self.is_at(b'/') {
            return Ok(false);
        }
        let inner = &self.text[self.at + 1..];
        let ends = |(at, _): &(usize, &u8)| inner[*at] == b'/' && (*at == 0 || inner[*at - 1] != b'\\');
        let end = inner.iter().enumerate().find(ends).map_or(self.text.len(), |(at, _)| self.at + at + 2);
        self.insert(self.at, "\"", Class::Regex);
        self.escape(self.at..end, Class::Regex)?;
        self.insert(end, "\"", Class::Regex);
        self.keep_to(end);
        Ok(true)
    }

    /// Escapes what a string cannot hold as it is.
    fn escape(&mut self, text: Range<usize>, class: Class) -> Result<(), Stop> {
        for at in text {
            match self.text[at] {
                b'"' | b'\\' => self.insert(at, "\\", class),
                byte if byte < b' ' => self.escape_control(at, byte, class)?,
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn escape_control(&mut self, at: usize, byte: u8, class: Class) -> Result<(), Stop> {
        let escape = match byte {
            b'\t' => "\\t",
            b'\n' => "\\n",
            b'\r' => "\\r",
            0x08 => "\\b",
            0x0c => "\\f",
            _ => return Err(Stop { at, why: Why::ControlCharacter }),
        };
        self.edits.replace(at..at + 1, escape, class);
        Ok(())
    }
}

/// A name as JavaScript has them, which is no word of Python's, or a whole number.
fn is_plain_key(key: &[u8]) -> bool {
    let is_name = key.first().is_some_and(|&byte| chars::starts_name(byte)) && key.iter().all(|&byte| chars::is_in_name(byte));
    let is_number = key.iter().all(u8::is_ascii_digit) && (key.len() == 1 || (key.len() < 16 && key.first() != Some(&b'0')));
    is_number || (is_name && !matches!(key, b"True" | b"False" | b"None"))
}
