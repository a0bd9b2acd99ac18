//! What may be the slip where no rule of the whitelist knows: told to a person, and never made.

use super::edit::line_breaks;
use super::rules::{Case, Class, Proposal};
use super::tokens::{Kind, Token};

const KEYWORDS: [&str; 26] = [
    "and", "as", "assert", "break", "class", "continue", "def", "elif", "else", "except", "finally", "for", "from", "global", "if",
    "import", "in", "lambda", "nonlocal", "not", "pass", "raise", "return", "while", "with", "yield",
];

/// Everything that comes to mind.
pub(crate) fn all(case: &Case<'_>) -> Vec<Proposal> {
    let each = [conflict, open_string, comma, unmatched, empty_block, unindent, increment, foreign, typo];
    each.iter().flat_map(|suggest| suggest(case)).collect()
}

fn on_line<'c>(case: &'c Case<'_>) -> impl Iterator<Item = (usize, Token)> + 'c {
    let line = case.error.line.unwrap_or(0);
    case.source.tokens.iter().copied().enumerate().filter(move |(_, token)| token.line == line)
}

/// The markers that a merge leaves, and one side of it.
fn conflict(case: &Case<'_>) -> Vec<Proposal> {
    let (mut ours, mut theirs, mut side, mut start) = (Vec::new(), Vec::new(), 0, 0);
    for line in case.source.text.split_inclusive(|byte| *byte == b'\n') {
        let end = start + line.len();
        let marks: [(&[u8], usize); 3] = [(b"<<<<<<< ", 1), (b"=======", 2), (b">>>>>>> ", 0)];
        let marker = marks.iter().find(|(mark, next)| line.starts_with(mark) && (*next != 2 || side == 1) && (*next != 0 || side == 2));
        let edit = case.edit(Class::MergeConflict, start, end, "");
        if let Some((_, next)) = marker {
            side = *next;
            ours.push(edit.clone());
            theirs.push(edit);
        } else if side == 2 {
            ours.push(edit);
        } else if side == 1 {
            theirs.push(edit);
        }
        start = end;
    }
    let sides = [(ours, "markers of a merge: this keeps the first side"), (theirs, "markers of a merge: this keeps the second side")];
    sides
        .into_iter()
        .filter(|(edits, _)| edits.len() > 2)
        .map(|(edits, why)| Proposal::doubtful(Class::MergeConflict, edits, why))
        .collect()
}

fn open_string(case: &Case<'_>) -> Vec<Proposal> {
    let is_open = |token: &&Token| token.kind == Kind::Open;
    let Some(token) = case.source.tokens.iter().find(is_open) else { return Vec::new() };
    let text = case.source.bytes(*token);
    let opening = super::strings::opening(text).unwrap_or(1);
    let quote = String::from_utf8_lossy(&text[..opening]).trim_start_matches(|c: char| c.is_ascii_alphabetic()).to_owned();
    let edits = vec![case.edit(Class::UnclosedString, token.end, token.end, &quote)];
    vec![Proposal::doubtful(Class::UnclosedString, edits, "a string is not closed, and where it ends is not known")]
}

fn comma(case: &Case<'_>) -> Vec<Proposal> {
    let is_operand = |token: Token| matches!(token.kind, Kind::Name | Kind::Number | Kind::String);
    let ends = |at: usize| is_operand(case.source.tokens[at]) || case.source.is_any(at, &[")", "]", "}"]);
    let begins = |at: usize| case.source.tokens.get(at).is_some_and(|token| is_operand(*token)) || case.source.is_any(at, &["(", "[", "{"]);
    let places = on_line(case).filter(|(at, token)| token.depth > 0 && ends(*at) && begins(*at + 1)).take(8);
    places
        .map(|(_, token)| {
            let edits = vec![case.edit(Class::MissingComma, token.end, token.end, ",")];
            Proposal::doubtful(Class::MissingComma, edits, "a comma may be missing, or an operator")
        })
        .collect()
}

fn unmatched(case: &Case<'_>) -> Vec<Proposal> {
    let tokens = case.source.unmatched.iter().take(2).map(|at| case.source.tokens[*at]);
    tokens
        .map(|token| {
            let edits = vec![case.edit(Class::UnmatchedBracket, token.start, token.end, "")];
            Proposal::doubtful(
                Class::UnmatchedBracket,
                edits,
                "this bracket closes nothing: it may be too many, or its partner may be missing",
            )
        })
        .collect()
}

fn empty_block(case: &Case<'_>) -> Vec<Proposal> {
    let source = case.source;
    if case.error.class != "IndentationError" || !case.error.message.starts_with("expected an indented block") {
        return Vec::new();
    }
    let named = case.error.line.unwrap_or(0);
    // At the end of a file an interpreter names the header itself.
    let mut headers = source.lines.iter().rev().filter(|line| line.first <= named && source.is(line.tokens.end - 1, ":"));
    let Some(header) = headers.next() else { return Vec::new() };
    let end = source.tokens[header.tokens.end - 1].end;
    let indent = String::from_utf8_lossy(&source.text[header.indent.clone()]).into_owned();
    let edits = vec![case.edit(Class::EmptyBlock, end, end, &format!("\n{indent}    pass"))];
    vec![Proposal::doubtful(Class::EmptyBlock, edits, "a block is empty: `pass` may be missing, or the lines below may belong to it")]
}

fn unindent(case: &Case<'_>) -> Vec<Proposal> {
    let message = &case.error.message;
    let is_about_it = message.starts_with("unindent does not match") || message == "unexpected indent" || case.error.class == "TabError";
    let why = "the line is indented as none before it: which block it belongs to is not known";
    if is_about_it { vec![Proposal::doubtful(Class::Unindent, Vec::new(), why)] } else { Vec::new() }
}

fn increment(case: &Case<'_>) -> Vec<Proposal> {
    let twice = |at: usize, sign: &str| case.source.is(at, sign) && case.source.is(at + 1, sign);
    let places = on_line(case).filter(|(at, _)| twice(*at, "+") || twice(*at, "-"));
    places
        .map(|(at, token)| {
            let insert = if case.source.is(at, "+") { " += 1" } else { " -= 1" };
            let edits = vec![case.edit(Class::Increment, token.start, case.source.tokens[at + 1].end, insert)];
            Proposal::doubtful(Class::Increment, edits, "Python has no such operator")
        })
        .collect()
}

/// `&&`, `||` and `!` of other languages.
fn foreign(case: &Case<'_>) -> Vec<Proposal> {
    let source = case.source;
    let mut edits = Vec::new();
    for (at, token) in on_line(case) {
        let is_twice = |sign: &str| source.is(at, sign) && source.is(at + 1, sign) && source.tokens[at + 1].start == token.end;
        let word = if is_twice("&") { "and" } else { "or" };
        if is_twice("&") || is_twice("|") {
            edits.push(case.edit(Class::ForeignOperator, token.start, source.tokens[at + 1].end, word));
        } else if source.is(at, "!") {
            edits.push(case.edit(Class::ForeignOperator, token.start, token.end, "not "));
        }
    }
    if edits.is_empty() {
        return Vec::new();
    }
    vec![Proposal::doubtful(Class::ForeignOperator, edits, "an operator of another language, which may bind in another way")]
}

fn typo(case: &Case<'_>) -> Vec<Proposal> {
    let names = on_line(case).filter(|(_, token)| token.kind == Kind::Name);
    let mut found = Vec::new();
    for (_, token) in names {
        let name = String::from_utf8_lossy(case.source.bytes(token)).into_owned();
        for keyword in KEYWORDS.iter().filter(|keyword| is_a_slip(&name, keyword)) {
            let edits = vec![case.edit(Class::KeywordTypo, token.start, token.end, keyword)];
            found.push(Proposal::doubtful(Class::KeywordTypo, edits, "the word is close to a keyword"));
        }
    }
    found
}

/// Whether one word is another with a letter too many, too few, other, or with two that changed places.
fn is_a_slip(name: &str, keyword: &str) -> bool {
    let (name, keyword) = (name.as_bytes(), keyword.as_bytes());
    if name.len() < 3 && keyword.len() < 3 || name.eq_ignore_ascii_case(keyword) {
        return name != keyword && name.eq_ignore_ascii_case(keyword);
    }
    let same_start = name.iter().zip(keyword).take_while(|(a, b)| a == b).count();
    let (a, b) = (&name[same_start..], &keyword[same_start..]);
    match (a.len(), b.len()) {
        (x, y) if x == y + 1 => a[1..] == *b,
        (x, y) if x + 1 == y => *a == b[1..],
        (x, y) if x == y => a[1..] == b[1..] || x > 1 && a[0] == b[1] && a[1] == b[0] && a[2..] == b[2..],
        _ => false,
    }
}

/// Whether the text is one of another thing than Python.
pub(crate) fn is_foreign(text: &[u8]) -> Option<&'static str> {
    let head = text.trim_ascii_start();
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
        Some("it is UTF-16, which Python does not read")
    } else if text.contains(&0) && line_breaks(text) == 0 {
        Some("it is not a text")
    } else if head.starts_with(b"version https://git-lfs") {
        Some("it is a pointer of Git LFS, and the file itself was never fetched")
    } else if head.starts_with(b"<!DOCTYPE") || head.starts_with(b"<html") {
        Some("it is a web page")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::is_a_slip;

    #[test]
    fn a_slip_is_one_letter() {
        assert!(["whlie", "whil", "whiles", "whale", "While"].iter().all(|name| is_a_slip(name, "while")));
        assert!(!["while", "whlei", "wile2", "x"].iter().any(|name| is_a_slip(name, "while")));
    }
}
