//! The few short strings that are looked for in place of all patterns.
//!
//! A branch is found by a window of it: a place whose 3 or 4 bytes are some rare strings, the factors. Branches of many patterns share them.
//! What finds all of them most cheaply is a weighted set cover, made greedily: a factor costs what it is expected to turn up for nothing,
//! and a little for being one more.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use memchr::{memchr_iter, memchr2_iter};

use super::grams::Rates;
use super::literals::{Branch, Cell};

/// The length of a factor; packed search looks at no more bytes at once.
pub(crate) const LONG: usize = 4;
const SHORT: usize = 3;
/// Packed search (aho-corasick's Teddy) takes 64 at most.
pub(crate) const PACK: usize = 60;
/// The most strings that a window may be: four letters of both cases, with one or two of three.
const CASES: usize = 36;
/// What one more factor may cost, in occurrences in a million bytes: the more, the fewer there are and the more each is found for nothing.
const EACH: [f64; 2] = [32.0, 256.0];
/// What it costs to search for one more pack of them, in the same measure.
const PASS: f64 = 600.0;

/// Cells side by side, with no gap.
pub(crate) type Run = Vec<Cell>;

/// A place in a branch by which it can be found.
#[derive(Clone)]
struct Window {
    run: usize,
    /// The first cell.
    at: usize,
    /// What stands there: one of these.
    grams: Vec<u32>,
}

/// How a factor shows that a pattern may match: this is before it, and this from where it begins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Clue {
    pub(crate) pattern: usize,
    before: Run,
    from: Run,
}

/// A string to look for, and what it may be part of.
#[derive(Debug)]
pub(crate) struct Factor {
    pub(crate) bytes: Vec<u8>,
    pub(crate) clues: Vec<Clue>,
}

/// How often the best windows of these branches are expected in a million bytes; infinite where one has none.
pub(crate) fn expected(branches: &[Branch], rates: &Rates) -> f64 {
    let mut grams = Grams::new(rates);
    let best = |windows: Vec<Window>, grams: &Grams<'_>| windows.iter().map(|one| grams.expected(&one.grams)).fold(f64::INFINITY, f64::min);
    branches.iter().map(|branch| best(windows(&runs(branch), &mut grams), &grams)).sum()
}

fn runs(branch: &Branch) -> Vec<Run> {
    branch.split(Option::is_none).map(|run| run.iter().flatten().cloned().collect()).filter(|run: &Run| !run.is_empty()).collect()
}

fn windows(runs: &[Run], grams: &mut Grams<'_>) -> Vec<Window> {
    for length in [LONG, SHORT] {
        let mut windows = Vec::new();
        for (run, cells) in runs.iter().enumerate() {
            let strings = (0..cells.len()).filter_map(|at| Some((at, strings(&cells[at..], length)?)));
            windows.extend(strings.map(|(at, strings)| Window { run, at, grams: grams.numbers(strings) }));
        }
        if !windows.is_empty() {
            return windows;
        }
    }
    Vec::new()
}

/// All strings of this length with which cells can begin, unless they are too many or too short.
fn strings(cells: &[Cell], length: usize) -> Option<BTreeSet<Vec<u8>>> {
    let mut strings = vec![Vec::new()];
    for cell in cells {
        if strings.iter().all(|string| string.len() >= length) {
            break;
        }
        strings = strings.iter().flat_map(|head| cell.iter().map(|tail| [&head[..], tail].concat())).collect();
        if strings.len() > CASES {
            return None;
        }
    }
    strings.iter().all(|string| string.len() >= length).then(|| strings.iter().map(|string| string[..length].to_vec()).collect())
}

/// Strings by number, and how often each is expected.
struct Grams<'a> {
    rates: &'a Rates,
    numbers: HashMap<Vec<u8>, u32>,
    expected: Vec<f64>,
}

impl<'a> Grams<'a> {
    fn new(rates: &'a Rates) -> Self {
        Self { rates, numbers: HashMap::new(), expected: Vec::new() }
    }

    fn numbers(&mut self, strings: BTreeSet<Vec<u8>>) -> Vec<u32> {
        strings.into_iter().map(|string| self.number(string)).collect()
    }

    fn number(&mut self, string: Vec<u8>) -> u32 {
        let next = u32::try_from(self.expected.len()).unwrap_or(u32::MAX);
        let (rates, expected) = (self.rates, &mut self.expected);
        *self.numbers.entry(string).or_insert_with_key(|string| {
            expected.push(rates.of(string));
            next
        })
    }

    fn expected(&self, grams: &[u32]) -> f64 {
        grams.iter().map(|gram| self.expected[*gram as usize]).sum()
    }

    /// What a search for the chosen ones costs.
    fn total(&self, chosen: &[bool]) -> f64 {
        let [mut long, mut short] = [0, 0];
        for (string, _) in self.numbers.iter().filter(|(_, number)| chosen[**number as usize]) {
            *(if string.len() < LONG { &mut short } else { &mut long }) += 1;
        }
        let passes = std::iter::repeat_n(PASS, usize::div_ceil(long, PACK) + usize::div_ceil(short, PACK));
        let found = self.expected.iter().zip(chosen).filter(|(_, chosen)| **chosen).map(|(expected, _)| expected);
        passes.chain(found.copied()).sum()
    }
}

/// A branch to be found: its pattern, its runs, and its windows.
struct Wanted {
    pattern: usize,
    runs: Vec<Run>,
    windows: Vec<Window>,
}

/// Whether each branch has a window.
pub(crate) fn can_be_found(branches: &[Branch]) -> bool {
    let has_window = |run: &Run| (0..run.len()).any(|at| strings(&run[at..], SHORT).is_some());
    branches.iter().all(|branch| runs(branch).iter().any(has_window))
}

/// Whether a text has all runs of a branch, wherever they are.
pub(crate) fn is_in(branch: &Branch, text: &[u8]) -> bool {
    runs(branch).iter().all(|run| {
        let starts: Vec<u8> = run[0].iter().filter_map(|string| string.first().copied()).collect();
        let clue = Clue { pattern: 0, before: Run::new(), from: merged(run) };
        match starts[..] {
            [a] => memchr_iter(a, text).any(|at| clue.holds(text, at)),
            [a, b] => memchr2_iter(a, b, text).any(|at| clue.holds(text, at)),
            _ => (0..text.len()).any(|at| clue.holds(text, at)),
        }
    })
}

/// Chooses factors such that each match of each pattern contains one.
pub(crate) fn choose(patterns: &[(usize, Vec<Branch>)], rates: &Rates) -> Vec<Factor> {
    let mut grams = Grams::new(rates);
    let all = patterns.iter().flat_map(|(pattern, branches)| branches.iter().map(|branch| (*pattern, runs(branch))));
    let wanted: Vec<Wanted> = all.map(|(pattern, runs)| Wanted { pattern, windows: windows(&runs, &mut grams), runs }).collect();
    let ways = EACH.iter().map(|each| pruned(cover(&wanted, &grams, *each), &wanted, &grams));
    let chosen = ways.min_by(|a, b| grams.total(a).total_cmp(&grams.total(b))).unwrap_or_default();
    factors(&wanted, &chosen, &grams)
}

/// The greedy cover: again and again the window whose new strings cost least for each branch that it finds.
fn cover(wanted: &[Wanted], grams: &Grams<'_>, each: f64) -> Vec<bool> {
    let mut finds: BTreeMap<&[u32], Vec<usize>> = BTreeMap::new();
    for (number, one) in wanted.iter().enumerate() {
        for window in &one.windows {
            finds.entry(&window.grams).or_default().push(number);
        }
    }
    let finds: Vec<(&[u32], Vec<usize>)> = finds.into_iter().collect();
    let mut windows_of = vec![Vec::new(); wanted.len()];
    for (window, (_, branches)) in finds.iter().enumerate() {
        for branch in branches {
            windows_of[*branch].push(window);
        }
    }
    let mut left: Vec<u32> = finds.iter().map(|(_, branches)| u32::try_from(branches.len()).unwrap_or(u32::MAX)).collect();
    let (mut chosen, mut found) = (vec![false; grams.expected.len()], vec![false; wanted.len()]);
    loop {
        let price = |window: usize| {
            let new = finds[window].0.iter().filter(|gram| !chosen[**gram as usize]);
            new.map(|gram| each + grams.expected[*gram as usize]).sum::<f64>() / f64::from(left[window])
        };
        let useful = (0..finds.len()).filter(|window| left[*window] > 0).map(|window| (price(window), window));
        let Some((_, best)) = useful.min_by(|(a, _), (b, _)| a.total_cmp(b)) else { return chosen };
        for gram in finds[best].0 {
            chosen[*gram as usize] = true;
        }
        for branch in &finds[best].1 {
            if !std::mem::replace(&mut found[*branch], true) {
                windows_of[*branch].iter().for_each(|window| left[*window] -= 1);
            }
        }
    }
}

/// Without what later choices have made needless, the most frequent first.
fn pruned(mut chosen: Vec<bool>, wanted: &[Wanted], grams: &Grams<'_>) -> Vec<bool> {
    let mut order: Vec<usize> = (0..chosen.len()).filter(|gram| chosen[*gram]).collect();
    order.sort_by(|a, b| grams.expected[*b].total_cmp(&grams.expected[*a]));
    for gram in order {
        chosen[gram] = false;
        chosen[gram] = !wanted.iter().all(|one| one.windows.iter().any(|window| is_complete(window, &chosen)));
    }
    chosen
}

fn is_complete(window: &Window, chosen: &[bool]) -> bool {
    window.grams.iter().all(|gram| chosen[*gram as usize])
}

fn factors(wanted: &[Wanted], chosen: &[bool], grams: &Grams<'_>) -> Vec<Factor> {
    let mut clues: HashMap<u32, BTreeSet<Clue>> = HashMap::new();
    for one in wanted {
        let complete = one.windows.iter().filter(|window| is_complete(window, chosen));
        let Some(best) = complete.min_by(|a, b| grams.expected(&a.grams).total_cmp(&grams.expected(&b.grams))) else { continue };
        for gram in &best.grams {
            let (before, from) = one.runs[best.run].split_at(best.at);
            let clue = Clue { pattern: one.pattern, before: merged(before), from: merged(from) };
            clues.entry(*gram).or_default().insert(clue);
        }
    }
    let strings = grams.numbers.iter().filter_map(|(bytes, gram)| Some((bytes.clone(), clues.remove(gram)?)));
    let mut factors: Vec<Factor> = strings.map(|(bytes, clues)| Factor { bytes, clues: clues.into_iter().collect() }).collect();
    factors.sort_by(|a, b| a.bytes.cmp(&b.bytes));
    factors
}

/// Cells that are one string each are one cell: it is compared at once.
fn merged(run: &[Cell]) -> Run {
    let chunks = run.chunk_by(|a, b| a.len() == 1 && b.len() == 1);
    chunks
        .map(|chunk| if chunk.len() == 1 { chunk[0].clone() } else { vec![chunk.iter().flatten().flatten().copied().collect()] })
        .collect()
}

impl Clue {
    /// Whether all of the run is there where its factor is.
    pub(crate) fn holds(&self, buffer: &[u8], at: usize) -> bool {
        let ahead = self.from.iter().try_fold(at, |at, cell| ends(cell, &buffer[at..]).map(|length| at + length));
        let behind = || self.before.iter().rev().try_fold(at, |at, cell| begins(cell, &buffer[..at]).map(|length| at - length));
        ahead.is_some() && behind().is_some()
    }
}

fn ends(cell: &Cell, text: &[u8]) -> Option<usize> {
    cell.iter().find(|string| text.starts_with(string)).map(Vec::len)
}

fn begins(cell: &Cell, text: &[u8]) -> Option<usize> {
    cell.iter().find(|string| text.ends_with(string)).map(Vec::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::literals::branches;

    fn apart(pattern: &str) -> Vec<Branch> {
        branches(&regex_syntax::parse(pattern).unwrap(), &Rates::new())
    }

    fn chosen(patterns: &[&str]) -> Vec<String> {
        let patterns: Vec<_> = patterns.iter().map(|pattern| apart(pattern)).enumerate().collect();
        choose(&patterns, &Rates::new()).into_iter().map(|factor| String::from_utf8(factor.bytes).unwrap()).collect()
    }

    #[test]
    fn the_rare_piece_is_chosen_and_not_the_long_one() {
        let factors = chosen(&[r"qt6: (fatal )?information about error"]);
        assert!(factors.len() == 1 && "qt6: ".contains(&factors[0]), "{factors:?}");
    }

    #[test]
    fn patterns_share_a_factor_and_cases_are_few() {
        assert_eq!(chosen(&["ECONNREFUSED", "connect ECONNREFUSED .*:5432", "ECONNRESET"]).len(), 1);
        assert_eq!(chosen(&["(?i)error: 4xx permission"]).len(), 2, "`: 4x` has fewer cases than `erro`");
    }

    #[test]
    fn what_has_no_literal_is_told() {
        assert!(!can_be_found(&apart(r"\b[45]\d\d\b [A-Z]")) && !can_be_found(&apart("abcd|x+")));
        assert!(can_be_found(&apart("abc")) && chosen(&["abc"]) == ["abc"]);
    }
}
