//! The first lines of compound statements.

use super::{Case, Class, Proposal};
use crate::syntax::statements::{HEADERS, at_top};
use crate::syntax::tokens::Kind;

/// More tokens than anybody writes before a block; each is a place to try.
const LONGEST: usize = 120;

/// A `:` at the end of a header that a block follows, if it could be nowhere else.
pub(super) fn colon(case: &Case<'_>) -> Vec<Proposal> {
    let source = case.source;
    let Some((at, line)) = case.error.line.and_then(|line| source.line_with(line)) else { return Vec::new() };
    let (first, last) = (line.tokens.start, line.tokens.end - 1);
    let is_header = source.is_any(first, &HEADERS) || source.is(first, "case");
    if !is_header || source.is(last, ":") || line.tokens.len() > LONGEST {
        return Vec::new();
    }
    let behind = |at: usize| vec![case.edit(Class::Colon, source.tokens[at].end, source.tokens[at].end, ":")];
    if !source.has_block(at) {
        return line
            .tokens
            .clone()
            .map(|at| Proposal::doubtful(Class::Colon, behind(at), "no block follows, so it may be elsewhere"))
            .collect();
    }
    let rivals = (first..last).map(behind).collect();
    vec![Proposal { rivals, ..Proposal::sure(Class::Colon, behind(last)) }]
}

/// `else if` is `elif`.
pub(super) fn else_if(case: &Case<'_>) -> Vec<Proposal> {
    let source = case.source;
    let Some((_, line)) = case.error.line.and_then(|line| source.line_with(line)) else { return Vec::new() };
    let (first, last) = (line.tokens.start, line.tokens.end - 1);
    if !(source.is(first, "else") && source.is(first + 1, "if")) {
        return Vec::new();
    }
    let (start, end) = (source.tokens[first].start, source.tokens[first + 1].end);
    let mut edits = vec![case.edit(Class::ElseIf, start, end, "elif")];
    if source.is(last, ":") && case.text(start, end).iter().all(|byte| !b"\\\r\n".contains(byte)) {
        return vec![Proposal::sure(Class::ElseIf, edits)];
    }
    edits.push(case.edit(Class::Colon, source.tokens[last].end, source.tokens[last].end, ":"));
    vec![Proposal::doubtful(Class::ElseIf, edits, "more than this is missing on its line")]
}

/// `=` is `==` in a condition that compares with a constant, where the interpreter says so: else `:=` may be meant.
pub(super) fn equals(case: &Case<'_>) -> Vec<Proposal> {
    let source = case.source;
    let Some((_, line)) = case.error.line.and_then(|line| source.line_with(line)) else { return Vec::new() };
    let (first, last) = (line.tokens.start, line.tokens.end - 1);
    if !source.is_any(first, &["if", "elif", "while"]) || !source.is(last, ":") {
        return Vec::new();
    }
    let signs: Vec<usize> = at_top(source, line.tokens.clone(), &["="]).collect();
    let [sign] = signs[..] else { return Vec::new() };
    let edits = vec![case.edit(Class::Equals, source.tokens[sign].start, source.tokens[sign].end, "==")];
    let value = sign + 1 + usize::from(source.is(sign + 1, "-"));
    let is_constant = value + 1 == last
        && (matches!(source.tokens[value].kind, Kind::Number | Kind::String) || source.is_any(value, &["True", "False", "None"]));
    vec![if !case.error.message.contains("Maybe you meant '=='") {
        Proposal::doubtful(Class::Equals, edits, "the interpreter does not say that this is it")
    } else if is_constant {
        Proposal::sure(Class::Equals, edits)
    } else {
        Proposal::doubtful(Class::Equals, edits, "`:=` may be meant as well")
    }]
}
