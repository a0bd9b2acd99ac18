//! Whether a text is JSON, or what its consumer takes for it, however deeply it is nested.

use crate::json::class::Class;
use crate::json::consumer::Consumer;
use crate::json::duplicates::{Duplicate, Keys};
use crate::json::tokens::{Token, Tokens};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Value,
    /// The first member of a list, or its end.
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
    /// Nothing more.
    Nothing,
}

/// Reads a text to its end; none if it is not what its consumer takes, otherwise the keys that an object has twice.
pub(super) fn read(text: &[u8], consumer: Consumer) -> Option<Vec<Duplicate>> {
    let takes_comma = consumer.takes(Class::TrailingComma);
    let (mut open, mut keys) = (Vec::new(), Keys::new(text));
    let mut expected = Expected::Value;
    let mut is_blank = true;
    for (token, span) in Tokens::new(text, consumer) {
        is_blank = false;
        expected = match (token, expected) {
            (Token::String | Token::Number | Token::Word, Expected::Value | Expected::ValueOrEnd) => behind_value(&open),
            (Token::Open(opener), Expected::Value | Expected::ValueOrEnd) => {
                open.push(opener);
                keys.open();
                if opener == b'{' { Expected::KeyOrEnd } else { Expected::ValueOrEnd }
            }
            (Token::String, Expected::Key | Expected::KeyOrEnd) => {
                keys.add(span);
                Expected::Colon
            }
            (Token::Colon, Expected::Colon) => Expected::Value,
            (Token::Comma, Expected::CommaOrEnd) => match (open.last(), takes_comma) {
                (Some(b'{'), true) => Expected::KeyOrEnd,
                (Some(b'{'), false) => Expected::Key,
                (_, true) => Expected::ValueOrEnd,
                (_, false) => Expected::Value,
            },
            // The closing brackets come two behind the opening ones.
            (Token::Close(closer), Expected::ValueOrEnd | Expected::KeyOrEnd | Expected::CommaOrEnd)
                if open.last() == Some(&(closer - 2)) =>
            {
                open.pop();
                keys.close();
                behind_value(&open)
            }
            _ => return None,
        };
    }
    let is_whole = expected == Expected::Nothing || (is_blank && consumer == Consumer::Jsonc);
    is_whole.then(|| keys.duplicates())
}

fn behind_value(open: &[u8]) -> Expected {
    if open.is_empty() { Expected::Nothing } else { Expected::CommaOrEnd }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(text: &[u8], consumer: Consumer) -> bool {
        read(text, consumer).is_some()
    }

    #[test]
    fn json_is_told_from_what_is_none() {
        let accepted = |text: &str| accepts(text.as_bytes(), Consumer::Strict);
        for text in [" {\"a\": [1, -0.5e+3, true, null, \"\\u00e9\\n\"], \"b\": {}} ", "0", "[[],[[]]]"] {
            assert!(accepted(text), "{text}");
        }
        let none = [
            "",
            "01",
            "[1,]",
            "{\"a\":1,}",
            "{\"a\"}",
            "[1 2]",
            "1 2",
            "[}",
            "\"\t\"",
            "\"\\x\"",
            "\"\\u12\"",
            "-",
            "1.",
            "/**/1",
            "[1]]",
            "{1:2}",
        ];
        for text in none {
            assert!(!accepted(text), "{text}");
        }
        assert!(accepted(&("[".repeat(1_000_000) + &"]".repeat(1_000_000))));
    }

    #[test]
    fn a_consumer_of_jsonc_takes_comments_and_trailing_commas() {
        for text in ["// a\n{\"a\": 1, /* b */}", "\u{feff}[1,]", ""] {
            assert!(accepts(text.as_bytes(), Consumer::Jsonc), "{text}");
        }
        for text in ["[,]", "[1,,]", "/* a", "{,}", "'a'"] {
            assert!(!accepts(text.as_bytes(), Consumer::Jsonc), "{text}");
        }
        assert!(accepts(b"[1] // a", Consumer::Comments) && !accepts(b"[1,] // a", Consumer::Comments));
    }
}
