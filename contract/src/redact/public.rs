//! Texts that strangers read, such as the end of a build log in an issue: in doubt all that may be a secret goes.

mod blocks;
mod jumbled;
mod named;

use std::borrow::Cow;

use super::{GONE, assignments, private_keys, secrets};
use crate::path::plain;

/// How gRPC, and so the builder of Docker, begins its errors: `code = Unknown desc = …`.
const STATUS: [&str; 2] = ["code", "desc"];

/// As [`secrets`], of a text of several lines that strangers will read, and more: the value of every `NAME=VALUE`, whatever follows a name that may be one
/// of a secret, and long words that look like chance. What could move a cursor is escaped. Lines stay lines, but for a secret of several.
#[must_use]
pub fn public(text: &str) -> String {
    let legible = text.split('\n').map(legible).collect::<Vec<_>>().join("\n");
    let safe = secrets(&blocks::blocks(&headless_keys(&private_keys(&legible))));
    safe.split('\n')
        .map(|line| jumbled::jumbled(&named::named(&assignments(line, |name| !STATUS.contains(&name)))))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A line without what only a terminal reads. Escapes would hide where a name begins or ends, so they go before anything is looked for.
fn legible(line: &str) -> String {
    let mut parts = line.trim_end_matches('\r').split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    let line = parts.fold(first, |safe, part| {
        let end = part.find(|c: char| ('@'..='~').contains(&c)).map_or(part.len(), |at| at + 1);
        safe + &part[end..]
    });
    plain(&line.replace(['\t', '\r', '\u{b}', '\u{c}'], " ")).into_owned()
}

/// Replaces all before the last line of a private key that began before the text.
fn headless_keys(text: &str) -> Cow<'_, str> {
    const END: &str = "-----END ";
    let is_headless = |at: &usize| {
        let label = text[at + END.len()..].split("-----").next().unwrap_or_default();
        label.contains("PRIVATE KEY") && !text[..*at].ends_with(GONE)
    };
    // From the end, and the search for a label ends at the next dash: no byte is looked at twice.
    let last = text.rmatch_indices(END).map(|(at, _)| at).find(is_headless);
    last.map_or(Cow::Borrowed(text), |at| Cow::Owned(GONE.to_owned() + &text[at..]))
}

#[cfg(test)]
mod tests;
