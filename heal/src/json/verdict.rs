//! What is to be said of a text.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::json::class::Class;
use crate::json::duplicates::Duplicate;
use crate::json::edit::Edit;

/// What became of a text.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// Its consumer takes it as it is.
    Valid {
        duplicates: Vec<Duplicate>,
    },
    /// It was mended, and the result is valid.
    Repaired {
        edits: Vec<Edit>,
        #[serde(skip)]
        text: Vec<u8>,
        duplicates: Vec<Duplicate>,
    },
    Refused(Refusal),
}

/// Why a text was left as it is, and where.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Refusal {
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// The line, cut where it is long.
    pub(crate) excerpt: String,
    /// Below the line: a caret at the place.
    pub(crate) caret: String,
    pub(crate) why: Why,
    /// The lossy classes that would have to be allowed, where that is all that stands against a repair.
    pub(crate) would: Vec<Class>,
}

/// A reason to leave a text as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    NotUtf8,
    NoValue,
    Unexpected(char),
    KeyExpected,
    ColonExpected,
    UnicodeEscape,
    ControlCharacter,
    /// It could be mended, but what was meant is not certain.
    Lossy(Class),
    /// Something is missing, and the brackets do not stand as the lines let expect, or a key would be there twice.
    DoubtfulBrackets,
    /// An edit did more than its class says, or the result is no JSON: a fault of ours.
    Unsound,
    OtherValue,
    NoOpinion,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => f.write_str("this is not UTF-8"),
            Self::NoValue => f.write_str("a value is missing"),
            Self::Unexpected(c) => write!(f, "unexpected {c:?}"),
            Self::KeyExpected => f.write_str("a key is expected"),
            Self::ColonExpected => f.write_str("a colon is expected"),
            Self::UnicodeEscape => f.write_str("this escape has fewer than four digits"),
            Self::ControlCharacter => f.write_str("a control character within a string"),
            Self::Lossy(class) => write!(f, "{}: what was meant is not certain", class.words()),
            Self::DoubtfulBrackets => f.write_str("a bracket may be missing here or elsewhere, so what belongs to what is not certain"),
            Self::Unsound => f.write_str("the repair did not hold when it was checked"),
            Self::OtherValue => f.write_str("a second opinion takes this for another value"),
            Self::NoOpinion => f.write_str("a second opinion could make nothing of this"),
        }
    }
}

impl Serialize for Why {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
