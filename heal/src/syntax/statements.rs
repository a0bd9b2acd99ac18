//! The statements of a logical line: `if x: a; b` holds three.

use std::ops::Range;

use super::tokens::{Line, Source};

/// What a compound statement, or a further clause of one, begins with.
pub(crate) const HEADERS: [&str; 13] =
    ["if", "elif", "else", "for", "while", "def", "class", "try", "except", "finally", "with", "async", "match"];
/// Clauses, which belong to the statement before them.
pub(crate) const CLAUSES: [&str; 5] = ["elif", "else", "except", "finally", "case"];

/// The tokens of each statement, without the `:` and `;` between them.
pub(crate) fn of(source: &Source<'_>, line: &Line) -> Vec<Range<usize>> {
    let (mut statements, mut from) = (Vec::new(), line.tokens.start);
    if let Some(colon) = block_colon(source, line) {
        statements.push(from..colon);
        from = colon + 1;
    }
    for semicolon in at_top(source, from..line.tokens.end, &[";"]) {
        statements.push(from..semicolon);
        from = semicolon + 1;
    }
    statements.push(from..line.tokens.end);
    statements.retain(|statement| !statement.is_empty());
    statements
}

/// The `:` that ends the header of a logical line, if it is one.
pub(crate) fn block_colon(source: &Source<'_>, line: &Line) -> Option<usize> {
    if !is_header(source, line) {
        return None;
    }
    let mut lambdas = 0;
    line.tokens.clone().filter(|at| source.tokens[*at].depth == 0).find(|at| {
        lambdas += usize::from(source.is(*at, "lambda"));
        let is_colon = source.is(*at, ":");
        let is_of_lambda = is_colon && lambdas > 0;
        lambdas -= usize::from(is_of_lambda);
        is_colon && !is_of_lambda
    })
}

pub(crate) fn is_header(source: &Source<'_>, line: &Line) -> bool {
    let first = line.tokens.start;
    // `match` and `case` may be names as well.
    source.is_any(first, &HEADERS[..12]) || source.is_any(first, &["match", "case"]) && source.is(line.tokens.end - 1, ":")
}

/// The places in a statement of what is outside of all brackets and written so.
pub(crate) fn at_top<'s>(source: &'s Source<'_>, statement: Range<usize>, texts: &'s [&str]) -> impl Iterator<Item = usize> + 's {
    let depth = source.tokens.get(statement.start).map_or(0, |token| token.depth);
    statement.filter(move |at| source.tokens[*at].depth == depth && source.is_any(*at, texts))
}

/// The logical lines of the function around one, or of the whole file where there is none; and whether there is one.
pub(crate) fn scope(source: &Source<'_>, line: usize) -> (Range<usize>, bool) {
    let mut width = source.lines[line].indent.len();
    for at in (0..line).rev() {
        let above = &source.lines[at];
        if above.indent.len() < width {
            width = above.indent.len();
            let first = above.tokens.start;
            if source.is(first, "def") || source.is(first, "async") && source.is(first + 1, "def") {
                return (at..block_end(source, at), true);
            }
        }
    }
    (0..source.lines.len(), false)
}

/// The first logical line behind the block of a header.
pub(crate) fn block_end(source: &Source<'_>, header: usize) -> usize {
    let width = source.lines[header].indent.len();
    let behind = source.lines.iter().enumerate().skip(header + 1).find(|(_, line)| line.indent.len() <= width);
    behind.map_or(source.lines.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::super::encoding::Encoding;
    use super::*;

    #[test]
    fn a_line_may_hold_several_statements() {
        let text = "if f(lambda x: x) and (lambda: 1): print a; b[1:2]\n";
        let source = Source::read(text.as_bytes(), Encoding::Utf8, true);
        let statements: Vec<&str> = of(&source, &source.lines[0])
            .into_iter()
            .map(|range| &text[source.tokens[range.start].start..source.tokens[range.end - 1].end])
            .collect();
        assert_eq!(statements, ["if f(lambda x: x) and (lambda: 1)", "print a", "b[1:2]"]);
    }

    #[test]
    fn a_scope_is_the_function_around() {
        let source = Source::read(b"def f():\n  if a:\n    b\n  c\nd\n", Encoding::Utf8, true);
        assert_eq!(scope(&source, 2), (0..4, true));
        assert_eq!(scope(&source, 4), (0..5, false));
    }
}
