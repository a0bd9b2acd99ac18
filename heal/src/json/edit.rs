//! Edits to a text: what is taken out and put in, and where. Every byte that no edit names stays.

use std::ops::Range;

use serde::Serialize;

use crate::json::class::Class;
use crate::json::place::Walk;

/// A change to one stretch of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Edit {
    /// Where in the damaged text, in bytes.
    pub(crate) offset: usize,
    /// How many bytes go.
    pub(crate) len: usize,
    /// What comes in their place.
    pub(crate) insert: &'static str,
    pub(crate) class: Class,
    pub(crate) line: u32,
    /// In characters.
    pub(crate) column: u32,
}

impl Edit {
    pub(crate) fn removed<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[self.offset..self.offset + self.len]
    }
}

/// Edits as they are found, which is nearly in the order of the text.
#[derive(Debug, Default)]
pub(super) struct Edits(Vec<Edit>);

impl Edits {
    pub(super) fn replace(&mut self, span: Range<usize>, insert: &'static str, class: Class) {
        self.0.push(Edit { offset: span.start, len: span.len(), insert, class, line: 0, column: 0 });
    }

    /// An insertion before everything else that is inserted.
    pub(super) fn before_all(&mut self, offset: usize, insert: &'static str, class: Class) {
        self.0.insert(0, Edit { offset, len: 0, insert, class, line: 0, column: 0 });
    }

    /// Where the last of them starts, if it took out what broke off at a place.
    pub(super) fn cut_off(&self, end: usize) -> Option<usize> {
        let last = self.0.last()?;
        (last.class == Class::Truncated && last.offset + last.len == end).then_some(last.offset)
    }

    /// How many there are, to come back to.
    pub(super) fn mark(&self) -> usize {
        self.0.len()
    }

    /// Forgets those found since a mark.
    pub(super) fn rewind(&mut self, mark: usize) {
        self.0.truncate(mark);
    }

    /// Forgets one.
    pub(super) fn forget(&mut self, number: usize) {
        self.0.remove(number);
    }

    /// All of them in the order of the text, each with its line.
    pub(super) fn placed(mut self, text: &[u8]) -> Vec<Edit> {
        // What is inserted at a place comes before what is taken out there.
        let order = |edit: &Edit| (edit.offset, edit.len != 0);
        if !self.0.is_sorted_by_key(order) {
            self.0.sort_by_key(order);
        }
        let mut walk = Walk::new(text);
        for edit in &mut self.0 {
            (edit.line, edit.column) = walk.to(edit.offset);
        }
        self.0
    }
}

/// The text with edits, which are in its order, applied.
pub(super) fn applied(edits: &[Edit], text: &[u8]) -> Vec<u8> {
    let more: usize = edits.iter().map(|edit| edit.insert.len()).sum();
    let mut new = Vec::with_capacity(text.len() + more);
    let mut at = 0;
    for edit in edits {
        new.extend_from_slice(&text[at..edit.offset]);
        new.extend_from_slice(edit.insert.as_bytes());
        at = edit.offset + edit.len;
    }
    new.extend_from_slice(&text[at..]);
    new
}
