//! Finds the lines that one of some hundred patterns matches, and which of them is first.
//!
//! Running each pattern on each line takes a second for a few megabytes. So the buffer is searched for the few rare short strings without
//! which nothing can match ([`factors`]); where one is, its surroundings are compared; and only a line that may match is looked at as a line,
//! and by those patterns alone that may match it. Patterns without any literal have a pass of their own, which is slow.

mod candidates;
mod factors;
mod fancy;
pub(crate) mod feed;
mod finder;
mod grams;
mod literals;
mod packing;
mod pattern;

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use memchr::{memchr, memchr_iter, memrchr};
use regex_syntax::hir::Hir;

use candidates::Candidates;
use finder::{Cursor, Finder};
use grams::Rates;
use literals::Branch;
pub(crate) use pattern::Group;
use pattern::{Compiled, Matcher};

/// Patterns in their order.
#[derive(Debug)]
pub(crate) struct Search {
    patterns: Arc<Patterns>,
    /// Made when they are first needed: a search that is tuned has others.
    finders: OnceLock<Vec<Finder>>,
    /// So many bytes were searched without them.
    little: AtomicUsize,
}

/// In so little text, in bytes, each pattern is looked for by itself: that is done before it is known what can be looked for in place of all.
const LITTLE: usize = 8 << 10;

#[derive(Debug, Default)]
struct Patterns {
    /// A pattern that was refused has none.
    matchers: Vec<Option<Matcher>>,
    /// Those that can be found by their literals, and all branches of each.
    apart: Vec<(usize, Vec<Branch>)>,
    slow: Vec<usize>,
    slow_hirs: Vec<Hir>,
}

/// A pattern that is not searched for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) pattern: usize,
    pub(crate) reason: String,
}

/// A line that matches, and the first pattern that it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Without its end: neither `\n` nor `\r\n`.
    pub(crate) line: Range<usize>,
    pub(crate) pattern: usize,
}

impl Search {
    /// Compiles patterns; those that cannot be used are told, and harm no other.
    pub(crate) fn new<'p>(patterns: impl IntoIterator<Item = &'p str>) -> (Self, Vec<Refused>) {
        let rates = Rates::new();
        let (mut compiled, mut refused) = (Patterns::default(), Vec::new());
        for (pattern, text) in patterns.into_iter().enumerate() {
            if let Err(reason) = compiled.add(text, &rates) {
                refused.push(Refused { pattern, reason });
            }
        }
        (Self { patterns: Arc::new(compiled), finders: OnceLock::new(), little: AtomicUsize::new(0) }, refused)
    }

    /// The same search, quicker on the text that this is a sample of.
    pub(crate) fn tuned(&self, sample: &[u8]) -> Self {
        let finders = self.patterns.finders(&Rates::of_sample(sample)).into();
        Self { patterns: Arc::clone(&self.patterns), finders, little: AtomicUsize::new(0) }
    }

    fn finders(&self) -> &[Finder] {
        self.finders.get_or_init(|| self.patterns.finders(&Rates::new()))
    }

    /// The patterns without a literal of 3 bytes, for which every byte has to be looked at closely.
    pub(crate) fn slow(&self) -> &[usize] {
        &self.patterns.slow
    }

    /// Tells each line of the buffer that matches. The buffer holds whole lines; the last may lack its `\n`.
    pub(crate) fn scan(&self, buffer: &[u8], found: &mut impl FnMut(Hit)) {
        self.lines(buffer, |line, candidates| {
            let first = candidates.iter().find(|pattern| self.is_match(*pattern, &buffer[line.clone()]));
            if let Some(pattern) = first {
                found(Hit { line, pattern });
            }
        });
    }

    /// The groups of a pattern's first match in a line, the whole match first.
    pub(crate) fn captures(&self, pattern: usize, line: &[u8]) -> Option<Vec<Group<'_>>> {
        self.patterns.matchers.get(pattern)?.as_ref()?.captures(line)
    }

    fn is_match(&self, pattern: usize, line: &[u8]) -> bool {
        self.patterns.matchers[pattern].as_ref().is_some_and(|matcher| matcher.is_match(line))
    }

    /// Calls back for each line that may match, with the patterns that may match it.
    fn lines(&self, buffer: &[u8], mut each: impl FnMut(Range<usize>, &Candidates)) {
        let mut candidates = Candidates::new(self.patterns.matchers.len());
        if self.is_little(buffer) {
            candidates.extend(self.patterns.within(buffer));
            every_line(buffer).for_each(|line| each(trimmed(buffer, line), &candidates));
            return;
        }
        let mut cursors: Vec<Cursor<'_>> = self.finders().iter().map(|finder| Cursor::new(finder, buffer)).collect();
        while let Some(at) = cursors.iter().filter_map(Cursor::at).min() {
            let line = around(buffer, at);
            candidates.clear();
            for cursor in &mut cursors {
                cursor.drain(line.end, &mut candidates);
            }
            each(trimmed(buffer, line), &candidates);
        }
    }

    /// Whether it is too little, with what was searched before, to make finders for.
    fn is_little(&self, buffer: &[u8]) -> bool {
        self.finders.get().is_none() && self.little.fetch_add(buffer.len(), Ordering::Relaxed) + buffer.len() <= LITTLE
    }
}

impl Patterns {
    fn add(&mut self, text: &str, rates: &Rates) -> Result<(), String> {
        let number = self.matchers.len();
        self.matchers.push(None);
        let Compiled { matcher, hir } = pattern::compile(text)?;
        let branches = literals::branches(&hir, rates);
        if factors::can_be_found(&branches) {
            self.apart.push((number, branches));
        } else if let Matcher::Fancy(_) = matcher {
            return Err("it needs look-around or back-references, and has no literal of 3 bytes that says where to try it".to_owned());
        } else {
            self.slow.push(number);
            self.slow_hirs.push(hir);
        }
        self.matchers[number] = Some(matcher);
        Ok(())
    }

    /// Those that may match in a text.
    fn within(&self, text: &[u8]) -> impl Iterator<Item = usize> {
        let apart = self.apart.iter().filter(|(_, branches)| branches.iter().any(|branch| factors::is_in(branch, text)));
        apart.map(|(pattern, _)| *pattern).chain(self.slow.iter().copied())
    }

    fn finders(&self, rates: &Rates) -> Vec<Finder> {
        let mut finders = finder::for_factors(factors::choose(&self.apart, rates), rates);
        if !self.slow.is_empty() {
            finders.push(finder::for_union(self.slow.clone(), &self.slow_hirs));
        }
        finders
    }
}

fn every_line(buffer: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let ends = memchr_iter(b'\n', buffer).chain([buffer.len()]);
    let lines = ends.scan(0, |next, end| Some(std::mem::replace(next, end + 1)..end));
    lines.filter(|line| line.start < buffer.len())
}

/// The line in which a place is, up to its newline.
fn around(buffer: &[u8], at: usize) -> Range<usize> {
    let start = memrchr(b'\n', &buffer[..at]).map_or(0, |newline| newline + 1);
    let end = memchr(b'\n', &buffer[at..]).map_or(buffer.len(), |newline| at + newline);
    start..end
}

fn trimmed(buffer: &[u8], line: Range<usize>) -> Range<usize> {
    let has_return = buffer[line.clone()].last() == Some(&b'\r');
    line.start..line.end - usize::from(has_return)
}

#[cfg(test)]
mod tests;
