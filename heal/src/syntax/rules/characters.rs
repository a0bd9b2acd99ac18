//! Characters that look like others, or like nothing.

use super::{Case, Class, Proposal};
use crate::syntax::strings::smart;
use crate::syntax::tokens::{Kind, Token, character};

/// U+00A0 and U+202F: spaces that do not break a line.
const SPACES: [char; 2] = ['\u{a0}', '\u{202f}'];
/// Zero-width space, (non-)joiner, word joiner, and the byte order mark where it marks nothing.
const NOTHING: [char; 5] = ['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}'];
/// A file system writes whole blocks: zeros that begin on the edge of one stand where data was lost.
const BLOCK: usize = 512;

/// NULs behind the last line.
pub(super) fn nul(case: &Case<'_>) -> Vec<Proposal> {
    let text = case.source.text;
    let end = text.len() - text.iter().rev().take_while(|byte| **byte == 0).count();
    if end == text.len() || text[..end].contains(&0) {
        return Vec::new();
    }
    let edits = vec![case.edit(Class::TrailingNul, end, text.len(), "")];
    let is_whole = text[..end].ends_with(b"\n") && !end.is_multiple_of(BLOCK);
    vec![if is_whole {
        Proposal::sure(Class::TrailingNul, edits)
    } else {
        Proposal::doubtful(Class::TrailingNul, edits, "the zeros may stand where the rest of the file was lost")
    }]
}

/// Characters that nobody sees, all of the file at once: they come with a text that was copied, and mean the same everywhere.
pub(super) fn invisible(case: &Case<'_>) -> Vec<Proposal> {
    let is_one = |token: &&Token| token.kind == Kind::Odd && [&SPACES[..], &NOTHING[..]].concat().contains(&of(case, **token));
    let tokens: Vec<Token> = case.source.tokens.iter().filter(is_one).copied().collect();
    let edits = tokens.iter().map(|token| {
        let insert = if SPACES.contains(&of(case, *token)) { " " } else { "" };
        case.edit(Class::InvisibleCharacter, token.start, token.end, insert)
    });
    let edits = edits.collect();
    vec![if tokens.iter().any(|token| splits_a_word(case, *token)) {
        Proposal::doubtful(Class::InvisibleCharacter, edits, "one of them stands within a word, which may be two")
    } else {
        Proposal::sure(Class::InvisibleCharacter, edits)
    }]
}

fn of(case: &Case<'_>, token: Token) -> char {
    character(case.source.bytes(token)).unwrap_or_default()
}

fn splits_a_word(case: &Case<'_>, token: Token) -> bool {
    let is_word = |other: &Token| matches!(other.kind, Kind::Name | Kind::Number);
    let tokens = || case.source.tokens.iter().filter(|other| is_word(other));
    NOTHING.contains(&of(case, token)) && tokens().any(|other| other.end == token.start) && tokens().any(|other| other.start == token.end)
}

/// Strings between “ and ”, or ‘ and ’.
pub(super) fn quotes(case: &Case<'_>) -> Vec<Proposal> {
    let Some(line) = case.error.line else { return Vec::new() };
    let tokens: Vec<Token> = case.source.on_line(line).filter(|token| token.kind == Kind::Smart).collect();
    let mut doubt = None;
    let mut edits = Vec::new();
    for token in tokens {
        let Some((prefix, _)) = smart(case.source.bytes(token)) else { continue };
        let (start, width) = (token.start + prefix, "“".len());
        let (quote, other) = if case.text(start, token.end).starts_with("“".as_bytes()) { ("\"", b'"') } else { ("'", b'\'') };
        let inner = case.text(start + width, token.end - width);
        if inner.contains(&other) || inner.contains(&b'\\') {
            doubt = Some("what is between the quotes would be read in another way between plain ones");
        } else if is_glued(case, token) {
            doubt = Some("more quotes stand beside them");
        }
        edits.push(case.edit(Class::SmartQuotes, start, start + width, quote));
        edits.push(case.edit(Class::SmartQuotes, token.end - width, token.end, quote));
    }
    vec![Proposal { doubt, ..Proposal::sure(Class::SmartQuotes, edits) }]
}

/// Whether another quote touches a string, of whatever kind.
fn is_glued(case: &Case<'_>, token: Token) -> bool {
    let is_quote = |c: Option<char>| c.is_some_and(|c| "\"'`´“”‘’„‚«»".contains(c));
    let before = String::from_utf8_lossy(&case.source.text[token.start.saturating_sub(3)..token.start]).chars().next_back();
    is_quote(before) || is_quote(character(&case.source.text[token.end..]))
}
