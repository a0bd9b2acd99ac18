//! The kinds of damage that are known, and of each whether mending it can only give the value that was meant.
//!
//! A class is lossless where every reading of the text that anybody uses gives one and the same value. Whatever needs a guess is lossy,
//! however good the guess.

use serde::Serialize;

use crate::json::chars;

/// A kind of damage, and with it of edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Class {
    /// A byte order mark before the text.
    ByteOrderMark,
    /// Zero bytes behind it, as a crash leaves them.
    NulPadding,
    /// The Markdown fence of a code block around all of it.
    CodeFence,
    /// A comment that the consumer does not take.
    Comment,
    /// A space that JSON does not know, between tokens.
    OddSpace,
    /// A comma before a closing bracket.
    TrailingComma,
    /// No comma between two members on two lines.
    MissingComma,
    /// The text ends behind a whole value, and brackets are open.
    MissingCloser,
    /// Single quotes, or a pair of typographic ones, around a string.
    Quotes,
    /// `\'`, which is an apostrophe wherever it may be written.
    EscapedApostrophe,
    /// A tab, form feed or backspace that is not escaped in a string.
    RawControl,
    /// `True`, `False` and `None`.
    PythonWord,
    /// A key without quotes that is an identifier or a whole number.
    UnquotedKey,
    /// `.5`.
    LeadingPoint,

    /// A string that has no quote at its end, or none at its start.
    MissingQuote,
    /// A quote inside a string that is not escaped.
    InnerQuote,
    /// Quotes around a string that are no pair.
    OddQuotes,
    /// A line break in a string: the end of a string may be missing.
    RawNewline,
    /// An escape that JSON does not know.
    InvalidEscape,
    /// All quotes are escaped, since the text was once a string.
    EscapedText,
    /// Strings that are added together.
    Concatenation,
    /// A text, or a key that is no identifier, without quotes.
    UnquotedText,
    /// `undefined`.
    Undefined,
    /// A number that ends too early.
    TruncatedNumber,
    /// A number with zeros before it, which becomes a string.
    LeadingZeros,
    /// A regular expression, which becomes a string.
    Regex,
    /// A call of a function, of which the argument remains.
    Call,
    /// `...` for what was left out.
    Ellipsis,
    /// A comma before the first member, or behind the whole.
    StrayComma,
    /// No comma between two members on one line.
    MissingCommaInLine,
    /// No colon behind a key.
    MissingColon,
    /// No value behind a colon.
    MissingValue,
    /// A closing bracket that is missing where more follows, or nobody can say where.
    MisplacedCloser,
    /// A closing bracket that closes nothing.
    ExtraCloser,
    /// The text breaks off within a member.
    Truncated,
    /// A comment without an end.
    OpenComment,
    /// The marks of a merge that was not finished; the first side remains.
    MergeMarkers,
    /// Several values one behind the other, which become a list.
    SeveralValues,
}

impl Class {
    /// Whether mending it can only give the value that was meant.
    pub(crate) fn is_lossless(self) -> bool {
        self <= Self::LeadingPoint
    }

    /// Whether an edit does no more than what its class says; for a lossy class anything goes.
    ///
    /// This knows nothing of how edits are found, so that a fault there cannot take a scalar away unseen.
    pub(super) fn permits(self, removed: &[u8], insert: &str) -> bool {
        match self {
            Self::ByteOrderMark => removed == "\u{feff}".as_bytes() && insert.is_empty(),
            Self::NulPadding => removed.iter().all(|&byte| byte == 0 || byte.is_ascii_whitespace()) && insert.is_empty(),
            Self::CodeFence => {
                removed.strip_prefix(b"```").is_some_and(|language| language.iter().all(|&byte| chars::is_in_name(byte)))
                    && insert.is_empty()
            }
            Self::Comment => is_comment(removed) && insert.is_empty(),
            Self::OddSpace => !removed.iter().any(u8::is_ascii_graphic) && insert == " ",
            Self::TrailingComma => removed == b"," && insert.is_empty(),
            Self::MissingComma => removed.is_empty() && insert == ",",
            Self::MissingCloser => removed.is_empty() && (insert == "]" || insert == "}"),
            Self::Quotes => (removed.is_empty() && insert == "\\") || (matches!(removed.len(), 1 | 3) && insert == "\""),
            Self::EscapedApostrophe => removed == b"\\" && insert.is_empty(),
            Self::RawControl => matches!((removed, insert), (b"\t", "\\t") | (b"\x0c", "\\f") | (b"\x08", "\\b")),
            Self::PythonWord => matches!((removed, insert), (b"True", "true") | (b"False", "false") | (b"None", "null")),
            Self::UnquotedKey => removed.is_empty() && insert == "\"",
            Self::LeadingPoint => removed.is_empty() && insert == "0",
            _ => true,
        }
    }

    /// What is wrong, for a person.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::ByteOrderMark => "a byte order mark before the text",
            Self::NulPadding => "zero bytes behind the text",
            Self::CodeFence => "the fence of a code block",
            Self::Comment => "a comment",
            Self::OddSpace => "a space that JSON does not know",
            Self::TrailingComma => "a comma before a closing bracket",
            Self::MissingComma => "no comma between two lines",
            Self::MissingCloser => "a bracket that is not closed at the end",
            Self::Quotes => "quotes that JSON does not know",
            Self::EscapedApostrophe => "an apostrophe that is escaped",
            Self::RawControl => "a control character that is not escaped",
            Self::PythonWord => "a word of Python's",
            Self::UnquotedKey => "a key without quotes",
            Self::LeadingPoint => "a number that begins with a point",
            Self::MissingQuote => "a string without a quote at one end",
            Self::InnerQuote => "a quote within a string that is not escaped",
            Self::OddQuotes => "quotes that are no pair",
            Self::RawNewline => "a line break within a string, which may lack its end",
            Self::InvalidEscape => "an escape that JSON does not know",
            Self::EscapedText => "quotes that are escaped outside of a string",
            Self::Concatenation => "strings that are added together",
            Self::UnquotedText => "a text without quotes",
            Self::Undefined => "an undefined value",
            Self::TruncatedNumber => "a number that ends too early",
            Self::LeadingZeros => "a number that begins with zeros",
            Self::Regex => "a regular expression",
            Self::Call => "a call of a function",
            Self::Ellipsis => "an ellipsis for what was left out",
            Self::StrayComma => "a comma with nothing before or behind it",
            Self::MissingCommaInLine => "no comma between two values on one line",
            Self::MissingColon => "no colon behind a key",
            Self::MissingValue => "no value behind a colon",
            Self::MisplacedCloser => "a closing bracket is missing, and nobody can say where",
            Self::ExtraCloser => "a closing bracket that closes nothing",
            Self::Truncated => "the text breaks off",
            Self::OpenComment => "a comment without an end",
            Self::MergeMarkers => "the marks of an unfinished merge",
            Self::SeveralValues => "more than one value",
        }
    }
}

fn is_comment(text: &[u8]) -> bool {
    let is_block = || text.strip_prefix(b"/*").and_then(|rest| rest.strip_suffix(b"*/")).is_some_and(|rest| !contains_end(rest));
    (text.starts_with(b"//") && !text.iter().any(|byte| b"\n\r".contains(byte))) || is_block()
}

fn contains_end(text: &[u8]) -> bool {
    text.windows(2).any(|pair| pair == b"*/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_does_no_more_than_its_class_says() {
        assert!(Class::TrailingComma.permits(b",", ""));
        assert!(!Class::TrailingComma.permits(b",1", ""));
        assert!(Class::Comment.permits(b"/* a */", ""));
        assert!(!Class::Comment.permits(b"/* a */ 1 /* b */", ""));
        assert!(!Class::Comment.permits(b"// a\n1", ""));
        assert!(!Class::Quotes.permits(b"1", "0"));
        assert!(!Class::OddSpace.permits(b"x", " "));
        assert!(Class::Truncated.permits(b"anything", ""));
    }

    #[test]
    fn every_lossless_class_comes_before_every_lossy_one() {
        assert!(Class::ByteOrderMark.is_lossless() && Class::LeadingPoint.is_lossless());
        assert!(!Class::MissingQuote.is_lossless() && !Class::SeveralValues.is_lossless());
    }
}
