//! Keys that an object has twice. That is valid, and readers differ in which of the values they take; so it is told, and nothing is changed.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use serde::Serialize;

use crate::json::place;

/// How many are told of.
const TOLD: usize = 100;

/// Up to so many keys are compared each with each, which takes less time than to hash them.
const FEW: usize = 12;

/// A key that stood before in the same object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Duplicate {
    pub(crate) key: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// The keys of what is open while a text is read, and those found again.
pub(super) struct Keys<'t> {
    text: &'t [u8],
    seen: Vec<Range<usize>>,
    /// Where the keys start of each object that is open; a list has none.
    open: Vec<usize>,
    again: Vec<Range<usize>>,
}

impl<'t> Keys<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self { text, seen: Vec::new(), open: Vec::new(), again: Vec::new() }
    }

    pub(super) fn open(&mut self) {
        self.open.push(self.seen.len());
    }

    pub(super) fn add(&mut self, key: Range<usize>) {
        self.seen.push(key);
    }

    pub(super) fn close(&mut self) {
        let start = self.open.pop().unwrap_or_default();
        let own = &self.seen[start..];
        if own.len() <= FEW {
            let is_again = |number: usize| own[..number].iter().any(|other| is_same(self.text, other, &own[number]));
            self.again.extend((1..own.len()).filter(|&number| is_again(number)).map(|number| own[number].clone()));
        } else {
            let mut distinct = HashSet::with_capacity(own.len());
            self.again.extend(own.iter().filter(|span| !distinct.insert(meant(self.text, span))).cloned());
        }
        self.seen.truncate(start);
    }

    /// The keys that their object has again, once all is read.
    pub(super) fn duplicates(mut self) -> Vec<Duplicate> {
        self.again.sort_by_key(|span| span.start);
        self.again.truncate(TOLD);
        self.again.iter().map(|span| duplicate(self.text, span)).collect()
    }
}

fn is_same(text: &[u8], one: &Range<usize>, other: &Range<usize>) -> bool {
    let (one, other) = (&text[one.clone()], &text[other.clone()]);
    one == other || ((one.contains(&b'\\') || other.contains(&b'\\')) && bare(one) == bare(other))
}

fn meant<'t>(text: &'t [u8], span: &Range<usize>) -> Cow<'t, [u8]> {
    bare(&text[span.clone()])
}

/// A key as it is meant, without its quotes.
fn bare(written: &[u8]) -> Cow<'_, [u8]> {
    let bare = &written[1..written.len() - 1];
    if !bare.contains(&b'\\') {
        return Cow::Borrowed(bare);
    }
    // Half a surrogate pair is no text: such a key is compared as it is written.
    serde_json::from_slice::<String>(written).map_or(Cow::Borrowed(bare), |key| Cow::Owned(key.into_bytes()))
}

fn duplicate(text: &[u8], span: &Range<usize>) -> Duplicate {
    let (line, column) = place::of(text, span.start);
    Duplicate { key: String::from_utf8_lossy(&meant(text, span)).into_owned(), line, column }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Consumer, grammar};

    fn of(text: &str) -> Vec<Duplicate> {
        grammar::read(text.as_bytes(), Consumer::Strict).unwrap()
    }

    #[test]
    fn a_key_is_told_of_that_its_object_has_again() {
        let text = "{\"a\": {\"b\": 1, \"c\": [{\"b\": 2}]},\n \"\\u0061\": \"b\", \"b\": 1}";
        assert_eq!(of(text), [Duplicate { key: "a".to_owned(), line: 2, column: 2 }]);
    }

    #[test]
    fn a_large_object_is_no_other() {
        let members: Vec<_> = (0..50).map(|number| format!("\"k{}\": 0", number % 49)).collect();
        assert_eq!(of(&format!("{{{}}}", members.join(",\n"))), [Duplicate { key: "k0".to_owned(), line: 50, column: 1 }]);
    }
}
