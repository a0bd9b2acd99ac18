//! What is drawn, before it is known for which medium.

use std::borrow::Cow;

use contract::path::Subject;

/// One part, from top to bottom.
pub(crate) enum Block<'a> {
    Heading(String),
    Table(Table<'a>),
    /// A sentence.
    Line(Tone, String),
    /// Command lines to copy, each with what it does; never cut, since half a command is another command.
    Commands(String, Vec<(String, &'static str)>),
    /// A unified diff, and what it is of.
    Diff(String, &'a str),
}

/// Rows that are made when they are drawn, so that a long table is never held twice.
pub(crate) struct Table<'a> {
    pub(crate) columns: &'static [Column],
    /// Title of what stands below each row.
    pub(crate) below: Option<&'static str>,
    pub(crate) rows: usize,
    pub(crate) row: Box<dyn Fn(usize) -> Row<'a> + 'a>,
}

/// One row: a cell for each column, what else is to be said, and a command line to copy.
pub(crate) struct Row<'a> {
    pub(crate) tone: Tone,
    pub(crate) cells: Vec<Cow<'a, str>>,
    pub(crate) below: Vec<Cow<'a, str>>,
    pub(crate) command: Option<String>,
}

/// A column and what may be cut off its cells where the room is scarce.
#[derive(Clone, Copy)]
pub(crate) enum Column {
    /// The first word is coloured; cut last of all.
    Mark(&'static str),
    /// Cut last of all.
    Word(&'static str),
    /// Cut in the middle: both ends of a path tell it from its neighbours.
    Path(&'static str),
    /// What commands take: cut only where it alone is wider than the screen.
    Id(&'static str),
    /// Never cut: put below the row, with all that follows it.
    Text(&'static str),
}

impl Column {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Mark(title) | Self::Word(title) | Self::Path(title) | Self::Id(title) | Self::Text(title) => title,
        }
    }
}

/// How a thing is meant; the words and symbols say the same, so that no colour is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Warn,
    Bad,
    Faint,
    Strong,
    Plain,
}

/// A path as text; the medium escapes it.
pub(crate) fn text_of(subject: &Subject) -> String {
    subject.as_path().to_string_lossy().into_owned()
}

/// `1 action`, `2 actions`.
pub(crate) fn counted(n: u64, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// The lines of a diff, each with its mark; one that has none gets a blank, so that no line means anything but a line.
pub(crate) fn lines_of(diff: &str) -> impl Iterator<Item = (Tone, String)> {
    diff.lines().map(|line| match line.as_bytes().first() {
        Some(b'+') => (Tone::Good, line.to_owned()),
        Some(b'-') => (Tone::Bad, line.to_owned()),
        Some(b'@') => (Tone::Faint, line.to_owned()),
        Some(b' ') => (Tone::Plain, line.to_owned()),
        _ => (Tone::Plain, format!(" {line}")),
    })
}
