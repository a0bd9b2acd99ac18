//! Where in a buffer a pattern may match: quick, and never silent where one does.

use aho_corasick::{AhoCorasick, MatchKind, packed};
use regex_automata::{Input, meta};
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look, Repetition};

use super::candidates::Candidates;
use super::factors::{self, Clue, Factor};
use super::grams::Rates;
use super::packing;

/// With more, packed search (aho-corasick's Teddy) looks at half as many bytes at once, for twice as many buckets.
const SLIM: usize = 32;
/// The largest union of patterns without a literal, in bytes when compiled, and what it may keep of its states.
const UNION: usize = 16 << 20;

#[derive(Debug)]
pub(crate) enum Finder {
    /// By factors, each with what it may be part of.
    Packed(packed::Searcher, Vec<Vec<Clue>>),
    /// The same where the processor has nothing for packed search.
    Automaton(AhoCorasick, Vec<Vec<Clue>>),
    /// By one regex for these patterns.
    Union(Box<meta::Regex>, Vec<usize>),
    /// Every line, for these patterns, of which the union is too large.
    Lines(Vec<usize>),
}

/// Finders for factors; short ones go by themselves, since the shortest of a pack says how many bytes are looked at together.
pub(crate) fn for_factors(factors: Vec<Factor>, rates: &Rates) -> Vec<Finder> {
    let (long, short): (Vec<Factor>, Vec<Factor>) = factors.into_iter().partition(|factor| factor.bytes.len() >= factors::LONG);
    [long, short].into_iter().flat_map(packs).filter_map(|pack| for_pack(pack, rates)).collect()
}

fn packs(factors: Vec<Factor>) -> Vec<Vec<Factor>> {
    let count = factors.len().div_ceil(factors::PACK);
    let mut packs: Vec<Vec<Factor>> = (0..count).map(|_| Vec::new()).collect();
    for (number, factor) in factors.into_iter().enumerate() {
        packs[number % count].push(factor);
    }
    packs
}

fn for_pack(pack: Vec<Factor>, rates: &Rates) -> Option<Finder> {
    let buckets = if pack.len() > SLIM { 16 } else { 8 };
    let factors = packing::arrange(pack, buckets, rates);
    let (strings, clues): (Vec<_>, Vec<_>) = factors.into_iter().map(|factor| (factor.bytes, factor.clues)).unzip();
    if let Some(searcher) = packed::Searcher::new(&strings) {
        return Some(Finder::Packed(searcher, clues));
    }
    let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(&strings).ok()?;
    Some(Finder::Automaton(automaton, clues))
}

/// The finder for patterns without a literal.
pub(crate) fn for_union(patterns: Vec<usize>, hirs: &[Hir]) -> Finder {
    let config = meta::Config::new().utf8_empty(false).nfa_size_limit(Some(UNION)).hybrid_cache_capacity(UNION);
    let union = Hir::alternation(hirs.iter().map(within_a_line).collect());
    match meta::Builder::new().configure(config).build_from_hir(&union) {
        Ok(regex) => Finder::Union(Box::new(regex), patterns),
        Err(_) => Finder::Lines(patterns),
    }
}

/// A pattern that matches in a buffer at least where this one does in a line of it, and never beyond the line.
fn within_a_line(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Look(Look::Start | Look::StartLF) => Hir::look(Look::StartLF),
        HirKind::Look(Look::End | Look::EndLF) => Hir::look(Look::EndCRLF),
        // A word's end costs more in a buffer than it spares: on bytes beyond ASCII the quick automaton gives up.
        HirKind::Look(_) | HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) if literal.0.contains(&b'\n') => Hir::fail(),
        HirKind::Literal(literal) => Hir::literal(literal.0.clone()),
        HirKind::Class(class) => Hir::class(without_newline(class)),
        HirKind::Repetition(repetition) => {
            Hir::repetition(Repetition { sub: Box::new(within_a_line(&repetition.sub)), ..repetition.clone() })
        }
        HirKind::Capture(capture) => within_a_line(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(within_a_line).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(within_a_line).collect()),
    }
}

fn without_newline(class: &Class) -> Class {
    let mut class = class.clone();
    match &mut class {
        Class::Unicode(class) => class.difference(&ClassUnicode::new([ClassUnicodeRange::new('\n', '\n')])),
        Class::Bytes(class) => class.difference(&ClassBytes::new([ClassBytesRange::new(b'\n', b'\n')])),
    }
    class
}

/// A finder at work on a buffer.
pub(crate) struct Cursor<'a> {
    finder: &'a Finder,
    buffer: &'a [u8],
    /// Where the next match may be.
    spot: Option<Spot>,
}

#[derive(Clone, Copy)]
struct Spot {
    at: usize,
    /// The number of its factor.
    factor: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(finder: &'a Finder, buffer: &'a [u8]) -> Self {
        let mut cursor = Self { finder, buffer, spot: None };
        cursor.seek(0);
        cursor
    }

    pub(crate) fn at(&self) -> Option<usize> {
        self.spot.map(|spot| spot.at)
    }

    /// Adds what may match in the line that ends at `end`, and goes beyond it.
    pub(crate) fn drain(&mut self, end: usize, candidates: &mut Candidates) {
        while let Some(spot) = self.spot.filter(|spot| spot.at <= end) {
            match self.finder {
                Finder::Packed(_, clues) | Finder::Automaton(_, clues) => {
                    let holding = clues[spot.factor].iter().filter(|clue| clue.holds(self.buffer, spot.at));
                    candidates.extend(holding.map(|clue| clue.pattern));
                    self.seek(spot.at + 1);
                }
                Finder::Union(_, patterns) | Finder::Lines(patterns) => {
                    candidates.extend(patterns.iter().copied());
                    self.seek(end + 1);
                }
            }
        }
    }

    fn seek(&mut self, from: usize) {
        self.spot = if from < self.buffer.len() { self.next(from) } else { None };
    }

    fn next(&self, from: usize) -> Option<Spot> {
        match self.finder {
            Finder::Packed(searcher, clues) => {
                self.next_factor(from, clues, |from| searcher.find_in(self.buffer, (from..self.buffer.len()).into()))
            }
            Finder::Automaton(automaton, clues) => {
                self.next_factor(from, clues, |from| automaton.find(aho_corasick::Input::new(self.buffer).range(from..)))
            }
            Finder::Union(regex, _) => {
                let end = regex.search_half(&Input::new(self.buffer).range(from..).earliest(true))?.offset();
                // Behind the last newline there is no line.
                let is_in_a_line = end < self.buffer.len() || self.buffer.last() != Some(&b'\n');
                is_in_a_line.then_some(Spot { at: end, factor: 0 })
            }
            Finder::Lines(_) => Some(Spot { at: from, factor: 0 }),
        }
    }

    /// No factor is the beginning of another of its finder, so that none hides another.
    fn next_factor(&self, mut from: usize, clues: &[Vec<Clue>], find: impl Fn(usize) -> Option<aho_corasick::Match>) -> Option<Spot> {
        loop {
            let found = find(from)?;
            let (at, factor) = (found.start(), found.pattern().as_usize());
            if clues[factor].iter().any(|clue| clue.holds(self.buffer, at)) {
                return Some(Spot { at, factor });
            }
            from = at + 1;
        }
    }
}
