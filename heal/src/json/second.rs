//! A second opinion: what jsonrepair-rs makes of the same text. Where it means another value, nobody can be sure.

use std::ops::Range;

use crate::json::consumer::Consumer;
use crate::json::tokens::{Token, Tokens};

/// What the other makes of a text, if it can make anything of it.
pub(super) fn opinion(text: &str) -> Option<String> {
    // Marks and padding around a text are no matter of opinion, and the other knows none.
    jsonrepair_rs::jsonrepair(text.trim_start_matches('\u{feff}').trim_end_matches('\0')).ok()
}

/// Whether two texts are the same value, key for key and number for number as they are written.
pub(super) fn agrees(ours: &[u8], consumer: Consumer, theirs: &[u8]) -> bool {
    ours == theirs || values(ours, consumer).eq(values(theirs, Consumer::Strict))
}

/// What a text says, without how it is laid out.
fn values(text: &[u8], consumer: Consumer) -> impl Iterator<Item = Said<'_>> {
    let mut tokens = Tokens::new(text, consumer).peekable();
    std::iter::from_fn(move || {
        let (token, span) = tokens.next()?;
        // A trailing comma says nothing.
        if token == Token::Comma && matches!(tokens.peek(), Some((Token::Close(_), _))) {
            let (token, span) = tokens.next()?;
            return Some(Said { token, text: part(text, span) });
        }
        Some(Said { token, text: part(text, span) })
    })
}

struct Said<'t> {
    token: Token,
    text: &'t [u8],
}

fn part(text: &[u8], span: Range<usize>) -> &[u8] {
    &text[span]
}

impl PartialEq for Said<'_> {
    fn eq(&self, other: &Self) -> bool {
        let text = |said: &Self| serde_json::from_slice::<String>(said.text).ok();
        let is_string = self.token == Token::String && other.token == Token::String;
        self.token == other.token && (self.text == other.text || (is_string && text(self).is_some_and(|ours| Some(ours) == text(other))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_is_no_difference_and_a_number_written_otherwise_is_one() {
        let agree = |ours: &str, theirs: &str| agrees(ours.as_bytes(), Consumer::Jsonc, theirs.as_bytes());
        assert!(agree("{\"a\": [1,], // b\n}", "{\"a\":[1]}"));
        assert!(agree("\"\\u0061\\/\"", "\"a/\""));
        assert!(!agree("1.0", "1"));
        assert!(!agree("[1, 2]", "[[1], 2]"));
        assert!(!agree("[1]", "[1, 2]"));
    }
}
