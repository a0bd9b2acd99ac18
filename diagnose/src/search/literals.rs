//! What a line must contain for a pattern to match it.
//!
//! A pattern is taken apart into branches, of which every match contains one: the bytes that follow each other, with gaps where anything
//! may stand. A gap promises nothing, so whatever is hard to know may become one: the branches only say where to look.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::factors;
use super::grams::Rates;

/// What stands at one place: one of some byte strings (the cases of a letter, say) of which none begins or ends with another.
pub(crate) type Cell = Vec<Vec<u8>>;

/// Cells side by side; `None` is a gap.
pub(crate) type Branch = Vec<Option<Cell>>;

/// A class of more characters than this is a gap.
const WIDEST: usize = 6;
/// A repetition is written out so often.
const COPIES: u32 = 4;
/// What is longer is cut.
const LONGEST: usize = 256;
/// Branches that two neighbours may make together.
const PRODUCT: usize = 64;
/// Branches of an alternation; one with more is a gap.
const MOST: usize = 512;

/// Takes a pattern apart.
pub(crate) fn branches(hir: &Hir, rates: &Rates) -> Vec<Branch> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![Branch::new()],
        HirKind::Literal(literal) => vec![literal.0.iter().map(|byte| Some(vec![vec![*byte]])).collect()],
        HirKind::Class(class) => vec![vec![cell(class)]],
        HirKind::Capture(capture) => branches(&capture.sub, rates),
        HirKind::Repetition(repetition) => repeated(&branches(&repetition.sub, rates), repetition.min, repetition.max, rates),
        HirKind::Concat(parts) => parts.iter().fold(vec![Branch::new()], |head, part| joined(head, branches(part, rates), rates)),
        HirKind::Alternation(parts) => {
            let all: Vec<Branch> = parts.iter().flat_map(|part| branches(part, rates)).collect();
            if all.len() > MOST { gap() } else { all }
        }
    }
}

fn gap() -> Vec<Branch> {
    vec![vec![None]]
}

fn cell(class: &Class) -> Option<Cell> {
    match class {
        Class::Unicode(class) => {
            let count = class.iter().map(regex_syntax::hir::ClassUnicodeRange::len).sum::<usize>();
            let chars = class.iter().flat_map(|range| range.start()..=range.end());
            (1..=WIDEST).contains(&count).then(|| chars.map(|char| char.to_string().into_bytes()).collect())
        }
        Class::Bytes(class) => {
            let count = class.iter().map(regex_syntax::hir::ClassBytesRange::len).sum::<usize>();
            let bytes = class.iter().flat_map(|range| range.start()..=range.end());
            (1..=WIDEST).contains(&count).then(|| bytes.map(|byte| vec![byte]).collect())
        }
    }
}

fn repeated(one: &[Branch], min: u32, max: Option<u32>, rates: &Rates) -> Vec<Branch> {
    let copies = (0..min.min(COPIES)).fold(vec![Branch::new()], |head, _| joined(head, one.to_vec(), rates));
    if max == Some(min) && min <= COPIES { copies } else { joined(copies, gap(), rates) }
}

/// The branches of one part followed by those of another; where that were too many, only the part that is rarer counts.
fn joined(head: Vec<Branch>, tail: Vec<Branch>, rates: &Rates) -> Vec<Branch> {
    if head.len() * tail.len() > PRODUCT && head.len() > 1 && tail.len() > 1 {
        let tail_is_rarer = factors::expected(&tail, rates) < factors::expected(&head, rates);
        return if tail_is_rarer { joined(gap(), tail, rates) } else { joined(head, gap(), rates) };
    }
    head.iter().flat_map(|head| tail.iter().map(|tail| chained(head, tail))).collect()
}

fn chained(head: &Branch, tail: &Branch) -> Branch {
    if head.len() + tail.len() > LONGEST {
        // A gap at the end, so that nothing is put behind bytes that are not its neighbours.
        return head.iter().chain(tail).take(LONGEST).cloned().chain([None]).collect();
    }
    [&head[..], &tail[..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A branch as a regex: `.` is a gap.
    fn shown(pattern: &str) -> Vec<String> {
        let hir = regex_syntax::parse(pattern).unwrap();
        let one = |cell: &Option<Cell>| match cell {
            None => ".".to_owned(),
            Some(cell) if cell.len() == 1 => String::from_utf8_lossy(&cell[0]).into_owned(),
            Some(cell) => format!("[{}]", String::from_utf8_lossy(&cell.concat())),
        };
        branches(&hir, &Rates::new()).iter().map(|branch| branch.iter().map(one).collect()).collect()
    }

    #[test]
    fn every_match_contains_one_of_the_branches() {
        assert_eq!(shown("gcc: (fatal )?error"), ["gcc: .error"]);
        assert_eq!(shown("ENOENT|ENOTDIR"), ["ENOENT", "ENOTDIR"]);
        assert_eq!(shown(r"^E(?:40[13]|500) \w+$"), ["E40[13] ..", "E500 .."]);
        assert_eq!(shown("(?i)oSx"), ["[Oo][Ssſ][Xx]"]);
        assert_eq!(shown("(?:ab){2}c+"), ["ababc."]);
        assert_eq!(shown("(ab)*"), ["."]);
        assert_eq!(shown(r"\b[45]\d\d\b"), ["[45]."].map(|one| one.replace('.', "..")));
    }

    #[test]
    fn too_many_branches_leave_the_rarer_part() {
        let letters = |from: char, to: char, times| (from..=to).map(|c| c.to_string().repeat(times)).collect::<Vec<_>>().join("|");
        let branches = shown(&format!("(?:{})(?:{})gcc:", letters('a', 'i', 2), letters('j', 'r', 4)));
        assert_eq!((branches.len(), &*branches[0]), (9, ".jjjjgcc:"));
    }
}
