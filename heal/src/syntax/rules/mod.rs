//! The table of what is ever done to a source. A rule looks at the first error and proposes edits; whether one is made is not its to say.

mod brackets;
mod characters;
mod frame;
mod headers;
mod indentation;
mod legacy;

use serde::Serialize;

use super::edit::{Edit, line_at};
use super::era::Era;
use super::judge::Error;
use super::tokens::Source;

/// What kind of slip an edit undoes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Class {
    InvisibleCharacter,
    SmartQuotes,
    TrailingNul,
    MarkdownFence,
    Prompt,
    Tabs,
    Colon,
    ElseIf,
    Equals,
    Bracket,
    Print,
    Exec,
    ExceptComma,
    RaiseComma,
    NotEqual,
    Backticks,
    Octal,
    MergeConflict,
    UnclosedString,
    MissingComma,
    UnmatchedBracket,
    EmptyBlock,
    Unindent,
    Increment,
    ForeignOperator,
    KeywordTypo,
    /// No slip: what is imported is elsewhere now.
    Import,
}

impl Class {
    /// Whether a slip of this class is one of the whole file: it may take edits far from the line that the interpreter names.
    pub(crate) fn is_of_file(self) -> bool {
        use Class::{InvisibleCharacter, MarkdownFence, Prompt, Tabs, TrailingNul};
        matches!(self, InvisibleCharacter | MarkdownFence | Prompt | Tabs | TrailingNul)
    }
}

/// What a rule has to go by.
pub(crate) struct Case<'c> {
    pub(crate) source: &'c Source<'c>,
    pub(crate) error: &'c Error,
    pub(crate) era: &'c Era,
}

impl Case<'_> {
    pub(crate) fn edit(&self, class: Class, start: usize, end: usize, insert: &str) -> Edit {
        Edit { offset: start, len: end - start, insert: insert.to_owned(), class, line: line_at(self.source.text, start) }
    }

    pub(crate) fn text(&self, start: usize, end: usize) -> &[u8] {
        &self.source.text[start..end]
    }
}

/// Edits that would undo a slip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) class: Class,
    pub(crate) edits: Vec<Edit>,
    /// Other edits of the same kind: if the interpreter takes one of them as well, nobody knows which was meant.
    pub(crate) rivals: Vec<Vec<Edit>>,
    /// Why it is only suggested, if it is; without that it is made where all checks pass.
    pub(crate) doubt: Option<&'static str>,
}

impl Proposal {
    pub(crate) fn sure(class: Class, edits: Vec<Edit>) -> Self {
        Self { class, edits, rivals: Vec::new(), doubt: None }
    }

    pub(crate) fn doubtful(class: Class, edits: Vec<Edit>, doubt: &'static str) -> Self {
        Self { doubt: Some(doubt), ..Self::sure(class, edits) }
    }
}

type Rule = fn(&Case<'_>) -> Vec<Proposal>;

/// Section by section, what may ever be made by itself.
const WHITELIST: [Rule; 11] = [
    characters::nul,
    characters::invisible,
    characters::quotes,
    frame::fences,
    frame::prompts,
    indentation::tabs,
    headers::colon,
    headers::else_if,
    headers::equals,
    brackets::unclosed,
    legacy::constructs,
];

/// What every rule proposes.
pub(crate) fn propose(case: &Case<'_>) -> Vec<Proposal> {
    WHITELIST.iter().flat_map(|rule| rule(case)).filter(|proposal| !proposal.edits.is_empty()).collect()
}
