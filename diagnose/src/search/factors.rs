//! The few short strings that are looked for in place of all patterns.
//!
//! A branch is found by a window of it: a place whose 3 or 4 bytes are some rare strings, the factors. Branches of many patterns share them.
//! What finds all of them most cheaply is a weighted set cover, made greedily: a factor costs what it is expected to turn up for nothing,
//! and a little for being one more.

use std::collections::{BTreeSet, HashMap};

use super::grams::Rates;
use super::literals::{Branch, Cell};

/// The length of a factor; packed search looks at no more bytes at once.
const LONG: usize = 4;
const SHORT: usize = 3;
/// The most strings that a window may be: four letters of both cases, with one or two of three.
const CASES: usize = 36;
/// What one more factor costs, in occurrences in a million bytes.
const EACH: f64 = 16.0;

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

/// How a factor shows that a pattern may match: it begins at this cell of this run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Clue {
    pub(crate) pattern: usize,
    pub(crate) run: Run,
    pub(crate) at: usize,
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
    let best = |windows: Vec<Window>, grams: &Grams<'_>| windows.iter().map(|one| grams.cost(&one.grams)).fold(f64::INFINITY, f64::min);
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

/// Strings by number, and what each costs.
struct Grams<'a> {
    rates: &'a Rates,
    numbers: HashMap<Vec<u8>, u32>,
    costs: Vec<f64>,
}

impl<'a> Grams<'a> {
    fn new(rates: &'a Rates) -> Self {
        Self { rates, numbers: HashMap::new(), costs: Vec::new() }
    }

    fn numbers(&mut self, strings: BTreeSet<Vec<u8>>) -> Vec<u32> {
        strings.into_iter().map(|string| self.number(string)).collect()
    }

    fn number(&mut self, string: Vec<u8>) -> u32 {
        let next = u32::try_from(self.costs.len()).unwrap_or(u32::MAX);
        let (rates, costs) = (self.rates, &mut self.costs);
        *self.numbers.entry(string).or_insert_with_key(|string| {
            costs.push(EACH + rates.of(string));
            next
        })
    }

    fn cost(&self, grams: &[u32]) -> f64 {
        grams.iter().map(|gram| self.costs[*gram as usize]).sum()
    }
}

/// A branch to be found: its pattern, its runs, and its windows.
struct Wanted {
    pattern: usize,
    runs: Vec<Run>,
    windows: Vec<Window>,
}

/// Chooses factors such that each match of each pattern contains one. Patterns that have a branch without a window are returned, too.
pub(crate) fn choose(patterns: &[(usize, Vec<Branch>)], rates: &Rates) -> (Vec<Factor>, Vec<usize>) {
    let mut grams = Grams::new(rates);
    let (mut wanted, mut without) = (Vec::new(), Vec::new());
    for (pattern, branches) in patterns {
        let all = branches.iter().map(runs).map(|runs| Wanted { pattern: *pattern, windows: windows(&runs, &mut grams), runs });
        let all: Vec<Wanted> = all.collect();
        if all.iter().any(|one| one.windows.is_empty()) { without.push(*pattern) } else { wanted.extend(all) }
    }
    let mut chosen = cover(&wanted, &grams);
    prune(&mut chosen, &wanted, &grams);
    (factors(&wanted, &chosen, &grams), without)
}

/// The greedy cover: again and again the window whose new strings cost least for each branch that it finds.
fn cover(wanted: &[Wanted], grams: &Grams<'_>) -> Vec<bool> {
    let mut finds: HashMap<&[u32], BTreeSet<usize>> = HashMap::new();
    for (number, one) in wanted.iter().enumerate() {
        for window in &one.windows {
            finds.entry(&window.grams).or_default().insert(number);
        }
    }
    let mut finds: Vec<(&[u32], BTreeSet<usize>)> = finds.into_iter().collect();
    // So that the same patterns have the same factors.
    finds.sort();
    let mut chosen = vec![false; grams.costs.len()];
    loop {
        let price = |(strings, branches): &(&[u32], BTreeSet<usize>)| new_cost(strings, &chosen, grams) / count(branches);
        let Some((strings, found)) = finds.iter().min_by(|a, b| price(a).total_cmp(&price(b))).cloned() else { return chosen };
        for gram in strings {
            chosen[*gram as usize] = true;
        }
        for (_, branches) in &mut finds {
            branches.retain(|branch| !found.contains(branch));
        }
        finds.retain(|(_, branches)| !branches.is_empty());
    }
}

fn new_cost(strings: &[u32], chosen: &[bool], grams: &Grams<'_>) -> f64 {
    strings.iter().filter(|gram| !chosen[**gram as usize]).map(|gram| grams.costs[*gram as usize]).sum()
}

#[expect(clippy::cast_precision_loss, reason = "there are some thousand branches at most")]
fn count(branches: &BTreeSet<usize>) -> f64 {
    branches.len() as f64
}

/// Leaves out what later choices have made needless, the most frequent first.
fn prune(chosen: &mut [bool], wanted: &[Wanted], grams: &Grams<'_>) {
    let mut order: Vec<usize> = (0..chosen.len()).filter(|gram| chosen[*gram]).collect();
    order.sort_by(|a, b| grams.costs[*b].total_cmp(&grams.costs[*a]));
    for gram in order {
        chosen[gram] = false;
        chosen[gram] = !wanted.iter().all(|one| one.windows.iter().any(|window| is_complete(window, chosen)));
    }
}

fn is_complete(window: &Window, chosen: &[bool]) -> bool {
    window.grams.iter().all(|gram| chosen[*gram as usize])
}

fn factors(wanted: &[Wanted], chosen: &[bool], grams: &Grams<'_>) -> Vec<Factor> {
    let mut clues: HashMap<u32, BTreeSet<Clue>> = HashMap::new();
    for one in wanted {
        let complete = one.windows.iter().filter(|window| is_complete(window, chosen));
        let Some(best) = complete.min_by(|a, b| grams.cost(&a.grams).total_cmp(&grams.cost(&b.grams))) else { continue };
        for gram in &best.grams {
            let clue = Clue { pattern: one.pattern, run: one.runs[best.run].clone(), at: best.at };
            clues.entry(*gram).or_default().insert(clue);
        }
    }
    let strings = grams.numbers.iter().filter_map(|(bytes, gram)| Some((bytes.clone(), clues.remove(gram)?)));
    let mut factors: Vec<Factor> = strings.map(|(bytes, clues)| Factor { bytes, clues: clues.into_iter().collect() }).collect();
    factors.sort_by(|a, b| a.bytes.cmp(&b.bytes));
    factors
}

impl Clue {
    /// Whether all of the run is there where its factor is.
    pub(crate) fn holds(&self, buffer: &[u8], at: usize) -> bool {
        let (before, from) = self.run.split_at(self.at);
        let ahead = from.iter().try_fold(at, |at, cell| ends(cell, &buffer[at..]).map(|length| at + length));
        let behind = || before.iter().rev().try_fold(at, |at, cell| begins(cell, &buffer[..at]).map(|length| at - length));
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

    fn chosen(patterns: &[&str]) -> (Vec<String>, Vec<usize>) {
        let rates = Rates::new();
        let apart = |pattern: &&str| branches(&regex_syntax::parse(pattern).unwrap(), &rates);
        let patterns: Vec<_> = patterns.iter().map(apart).enumerate().collect();
        let (factors, without) = choose(&patterns, &rates);
        (factors.iter().map(|factor| String::from_utf8(factor.bytes.clone()).unwrap()).collect(), without)
    }

    #[test]
    fn the_rare_piece_is_chosen_and_not_the_long_one() {
        let (factors, _) = chosen(&[r"gcc: (fatal )?information about error"]);
        assert!(factors.len() == 1 && "gcc: ".contains(&factors[0]), "{factors:?}");
    }

    #[test]
    fn patterns_share_a_factor_and_cases_are_few() {
        assert_eq!(chosen(&["ECONNREFUSED", "connect ECONNREFUSED .*:5432", "ECONNRESET"]).0.len(), 1);
        assert_eq!(chosen(&["(?i)error: 4xx permission"]).0.len(), 2, "`: 4x` has fewer cases than `erro`");
    }

    #[test]
    fn what_has_no_literal_is_told() {
        assert_eq!(chosen(&[r"\b[45]\d\d\b [A-Z]", "abcd|x+"]).1, [0, 1]);
        assert_eq!(chosen(&["abc"]), (vec!["abc".to_owned()], vec![]));
    }
}
