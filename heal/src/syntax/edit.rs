//! Edits of a source: few bytes change, and every other byte stays where it is.

use serde::Serialize;

use super::rules::Class;

/// Bytes of a source that become others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Edit {
    pub(crate) offset: usize,
    pub(crate) len: usize,
    pub(crate) insert: String,
    pub(crate) class: Class,
    /// Counted from 1, in the text that it is an edit of.
    pub(crate) line: usize,
}

impl Edit {
    pub(crate) fn end(&self) -> usize {
        self.offset + self.len
    }
}

/// A text with edits made, which are in order and apart from each other.
pub(crate) fn apply(text: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut applied = Vec::with_capacity(text.len() + edits.len());
    let mut from = 0;
    for edit in edits {
        applied.extend_from_slice(&text[from..edit.offset]);
        applied.extend_from_slice(edit.insert.as_bytes());
        from = edit.end();
    }
    applied.extend_from_slice(&text[from..]);
    applied
}

/// Whether edits are in order, apart from each other and within a text.
pub(crate) fn are_apart(edits: &[Edit], len: usize) -> bool {
    edits.windows(2).all(|pair| pair[0].end() <= pair[1].offset) && edits.last().is_none_or(|last| last.end() <= len)
}

/// Adds edits of the edited text to the edits that made it, as edits of the first text; `None` where they meet.
pub(crate) fn join(first: &[Edit], next: &[Edit], text: &[u8]) -> Option<Vec<Edit>> {
    let mut joined = first.to_vec();
    for edit in next {
        let (offset, end) = (origin(first, edit.offset)?, origin(first, edit.end())?);
        joined.push(Edit { offset, len: end - offset, line: line_at(text, offset), ..edit.clone() });
    }
    joined.sort_by_key(|edit| (edit.offset, edit.end()));
    are_apart(&joined, text.len()).then_some(joined)
}

/// Where a byte of the edited text was before; `None` where it was inserted.
fn origin(edits: &[Edit], at: usize) -> Option<usize> {
    let (mut removed, mut inserted) = (0, 0);
    for edit in edits {
        let start = edit.offset - removed + inserted;
        if at < start {
            break;
        }
        if at < start + edit.insert.len() {
            return None;
        }
        (removed, inserted) = (removed + edit.len, inserted + edit.insert.len());
    }
    Some(at + removed - inserted)
}

/// The line of a byte, counted from 1.
pub(crate) fn line_at(text: &[u8], offset: usize) -> usize {
    1 + line_breaks(&text[..offset])
}

/// How many lines end in a text: with `\n`, `\r\n` or, as Python takes it, `\r`.
pub(crate) fn line_breaks(text: &[u8]) -> usize {
    let ends = |at: usize| text[at] == b'\n' || text[at] == b'\r' && text.get(at + 1) != Some(&b'\n');
    (0..text.len()).filter(|at| ends(*at)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(offset: usize, len: usize, insert: &str) -> Edit {
        Edit { offset, len, insert: insert.to_owned(), class: Class::Colon, line: 1 }
    }

    #[test]
    fn edits_of_the_edited_text_become_edits_of_the_first() {
        let text = b"0123456789";
        let first = [edit(1, 2, "abc"), edit(5, 0, "-")];
        let edited = apply(text, &first);
        assert_eq!(edited, b"0abc34-56789");
        let next = [edit(8, 1, "Z")];
        let joined = join(&first, &next, text).unwrap();
        assert_eq!(apply(text, &joined), apply(&edited, &next));
        assert_eq!(join(&first, &[edit(2, 1, "")], text), None);
    }

    #[test]
    fn a_line_ends_in_one_of_three_ways() {
        assert_eq!(line_breaks(b"a\nb\r\nc\rd"), 3);
        assert_eq!(line_at(b"a\r\nb", 3), 2);
    }
}
