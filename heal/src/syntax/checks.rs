//! What holds for every edit that is made by itself, whatever rule proposes it: no file is ever worse for it.

use super::edit::{Edit, are_apart, line_at, line_breaks};
use super::judge::{Error, Ruling};
use super::rules::Class;
use super::statements::CLAUSES;
use super::tokens::{Source, Token};

/// Lines beside the one that the interpreter names.
const NEAR: usize = 1;

/// How many lines there are from an error to the end: it must become less with every step.
pub(crate) fn left(text: &[u8], error: &Error) -> usize {
    (line_breaks(text) + 2).saturating_sub(error.line.unwrap_or(0))
}

/// Whether a ruling is a step forward from an error with `before` lines left.
pub(crate) fn is_progress(ruling: &Ruling, text: &[u8], before: usize) -> bool {
    match ruling {
        Ruling::Compiles => true,
        Ruling::Moved => false,
        Ruling::Fails(error) => error.line.is_some() && left(text, error) < before,
    }
}

/// Whether what rules a rival gets as far as what rules the edits themselves: to compile, or to the same next error.
pub(crate) fn is_as_good(rival: &Ruling, rival_text: &[u8], own: &Ruling, text: &[u8]) -> bool {
    match (rival, own) {
        (Ruling::Compiles | Ruling::Moved, _) => true,
        // A header without the block that follows it is none; and a file that has such an error by itself is never mended.
        (Ruling::Fails(error), _) if error.class == "IndentationError" => false,
        (Ruling::Fails(theirs), Ruling::Fails(ours)) => left(rival_text, theirs) <= left(text, ours),
        (Ruling::Fails(_), Ruling::Compiles | Ruling::Moved) => false,
    }
}

/// Whether edits are where they may be: at most on two lines, beside the line of the error, unless it is a slip of the whole file.
pub(crate) fn are_near(edits: &[Edit], text: &[u8], error: &Error) -> bool {
    if edits.iter().all(|edit| edit.class.is_of_file()) {
        return true;
    }
    let lines = || edits.iter().flat_map(|edit| [edit.line, line_at(text, edit.end())]);
    let (Some(first), Some(last), Some(named)) = (lines().min(), lines().max(), error.line) else { return false };
    last - first <= 1 && first + NEAR >= named && last <= named + NEAR
}

/// Whether every token and every comment that no edit touches is there afterwards as it was before, and nothing else is new.
pub(crate) fn are_the_only_change(before: &Source<'_>, after: &Source<'_>, edits: &[Edit]) -> bool {
    if !are_apart(edits, before.text.len()) {
        return false;
    }
    let (removed, inserted) = (Removed(edits), Inserted(edits));
    let old = before.tokens.iter().filter(|token| !removed.touches(token.start, token.end));
    let new = after.tokens.iter().filter(|token| !inserted.touches(token.start, token.end));
    let old_comments = before.comments.iter().filter(|comment| !removed.touches(comment.start, comment.end));
    let new_comments = after.comments.iter().filter(|comment| !inserted.touches(comment.start, comment.end));
    let same = |(old, new): (&Token, &Token)| old.kind == new.kind && before.bytes(*old) == after.bytes(*new);
    old.clone().count() == new.clone().count()
        && old.zip(new).all(same)
        && old_comments.map(|range| &before.text[range.clone()]).eq(new_comments.map(|range| &after.text[range.clone()]))
}

struct Removed<'e>(&'e [Edit]);

impl Removed<'_> {
    fn touches(&self, start: usize, end: usize) -> bool {
        self.0.iter().any(|edit| edit.offset < end && start < edit.end())
    }
}

struct Inserted<'e>(&'e [Edit]);

impl Inserted<'_> {
    /// Whether what was inserted, or the place where something was removed, is within a token.
    fn touches(&self, start: usize, end: usize) -> bool {
        let mut shift = 0_isize;
        self.0.iter().any(|edit| {
            let from = edit.offset.saturating_add_signed(shift);
            let to = from + edit.insert.len();
            shift += edit.insert.len().cast_signed() - edit.len.cast_signed();
            from < end && start < to || from == to && start < from && from < end
        })
    }
}

/// The bytes before the last top-level statement that begins before an edit: what they mean must stay as it is.
pub(crate) fn kept(source: &Source<'_>, edits: &[Edit]) -> usize {
    let Some(first) = edits.first().filter(|edit| !edit.class.is_of_file() && edit.class != Class::MergeConflict) else { return 0 };
    let is_top = |at: usize| {
        let line = &source.lines[at];
        let is_decorated = at > 0 && source.is(source.lines[at - 1].tokens.start, "@");
        line.indent.is_empty() && !source.is_any(line.tokens.start, &CLAUSES) && !is_decorated
    };
    let before = |at: &usize| source.lines[*at].first <= first.line && source.lines[*at].indent.start <= first.offset;
    let last = (0..source.lines.len()).take_while(before).filter(|at| is_top(*at)).last();
    last.map_or(0, |at| source.lines[at].indent.start)
}

#[cfg(test)]
mod tests {
    use super::super::edit::apply;
    use super::super::encoding::Encoding;
    use super::*;

    fn only(text: &str, edits: &[(usize, usize, &str)]) -> bool {
        let edits: Vec<Edit> = edits
            .iter()
            .map(|(offset, len, insert)| Edit { offset: *offset, len: *len, insert: (*insert).to_owned(), class: Class::Colon, line: 1 })
            .collect();
        let edited = apply(text.as_bytes(), &edits);
        let read = |text| Source::read(text, Encoding::Utf8, true);
        are_the_only_change(&read(text.as_bytes()), &read(&edited), &edits)
    }

    #[test]
    fn tokens_beside_an_edit_must_stay_what_they_are() {
        assert!(only("if x\n", &[(4, 0, ":")]));
        assert!(only("else if x:", &[(0, 7, "elif")]));
        assert!(!only("a = = b", &[(3, 1, "")]));
        assert!(!only("f(a b)", &[(3, 1, "")]));
        assert!(!only("x = 'a' 'b'", &[(4, 0, "#")]));
    }

    #[test]
    fn the_statements_before_an_edit_are_kept() {
        let text = b"a = 1\n@d\ndef f():\n    if x\n        y\n";
        let source = Source::read(text, Encoding::Utf8, true);
        let edit = Edit { offset: 26, len: 0, insert: ":".to_owned(), class: Class::Colon, line: 4 };
        assert_eq!(kept(&source, &[edit]), 6);
    }
}
