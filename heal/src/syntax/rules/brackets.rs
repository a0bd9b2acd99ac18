//! A bracket that is never closed.

use super::{Case, Class, Proposal};
use crate::syntax::edit::line_at;
use crate::syntax::tokens::Kind;

/// Tokens behind the bracket that a place is tried after.
const FARTHEST: usize = 256;

/// Closes the one bracket that the interpreter names, at the end of its line, if it could be closed nowhere else.
pub(super) fn unclosed(case: &Case<'_>) -> Vec<Proposal> {
    let source = case.source;
    let [open] = source.unclosed[..] else { return Vec::new() };
    let token = source.tokens[open];
    let (bracket, closer) = match source.bytes(token) {
        b"(" => ('(', ")"),
        b"[" => ('[', "]"),
        _ => ('{', "}"),
    };
    let is_named = case.error.message == format!("'{bracket}' was never closed") && case.error.line == Some(token.line);
    let behind = |at: usize| vec![case.edit(Class::Bracket, source.tokens[at].end, source.tokens[at].end, closer)];
    let places = open..source.tokens.len().min(open + FARTHEST);
    let ends_on = |at: usize| line_at(source.text, source.tokens[at].end);
    let Some(end) = places.clone().take_while(|at| ends_on(*at) == token.line).last() else { return Vec::new() };
    let rivals: Vec<_> = places.filter(|at| *at != end).map(behind).collect();
    let is_last = end + 1 == source.tokens.len() && !source.text.ends_with(b"\n") && !source.text.ends_with(b"\r");
    let doubt = if !is_named {
        Some("the interpreter does not name it")
    } else if is_last {
        Some("the file ends in the middle of this line, so more than this may be missing")
    } else if !is_whole(case, end) {
        Some("what it holds is not complete")
    } else if !source.unmatched.is_empty() {
        Some("other brackets do not match either")
    } else {
        None
    };
    vec![Proposal { class: Class::Bracket, edits: behind(end), rivals, doubt }]
}

/// Whether an expression may end with a token: nobody knows what was to follow an operator, or the bracket itself.
fn is_whole(case: &Case<'_>, last: usize) -> bool {
    let is_operand = matches!(case.source.tokens[last].kind, Kind::Name | Kind::Number | Kind::String);
    is_operand || case.source.is_any(last, &[")", "]", "}"])
}
