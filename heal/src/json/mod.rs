//! JSON that does not parse, mended by edits: every byte that no edit names stays as it is.
//!
//! A text is read leniently (`document`, `structure`, `string`, `scalar`), which gives edits, each of a class. Those whose class is lossless
//! are applied; one that is lossy, and the text is refused unless that was allowed. Then the result is doubted: it has to parse, no edit may have
//! done more than its class says, and another program has to take the damaged text for the same value.

mod chars;
mod class;
mod consumer;
mod document;
mod duplicates;
mod edit;
mod grammar;
mod mender;
mod place;
mod scalar;
mod second;
mod string;
mod structure;
#[cfg(test)]
mod tests;
mod tokens;
mod verdict;

use std::thread;

pub(crate) use class::Class;
pub(crate) use consumer::Consumer;
use document::Mended;
use duplicates::Duplicate;
use edit::Edit;
pub(crate) use verdict::{Refusal, Verdict, Why};

/// Mends a text for its consumer, with lossy edits only where they are allowed.
pub(crate) fn repair(text: &[u8], consumer: Consumer, lossy: bool) -> Verdict {
    let whole = match std::str::from_utf8(text) {
        Ok(whole) => whole,
        Err(e) => return refused(text, e.valid_up_to(), Why::NotUtf8),
    };
    if let Some(duplicates) = grammar::read(text, consumer) {
        return Verdict::Valid { duplicates };
    }
    let Mended { edits, is_askew } = match document::mend(text, consumer) {
        Ok(mended) => mended,
        Err(stop) => return refused(text, stop.at, stop.why),
    };
    if lossy {
        return checked(text, consumer, edits);
    }
    if let Some(first) = edits.iter().find(|edit| !edit.class.is_lossless()) {
        return uncertain(text, consumer, first, &edits);
    }
    match edits.iter().find(|edit| edit.class == Class::MissingComma) {
        Some(comma) if is_askew => refused(text, comma.offset, Why::DoubtfulBrackets),
        _ => certain(whole, consumer, edits),
    }
}

/// A repair that is asked to be lossless, and is, if the second opinion is the same.
fn certain(whole: &str, consumer: Consumer, edits: Vec<Edit>) -> Verdict {
    let (text, first) = (whole.as_bytes(), edits.first().map_or(0, |edit| edit.offset));
    let closer = edits.iter().find(|edit| edit.class == Class::MissingCloser).map(|edit| edit.offset);
    let (verdict, theirs) = thread::scope(|scope| {
        let theirs = scope.spawn(|| second::opinion(whole));
        (checked(text, consumer, edits), theirs.join().unwrap_or_default())
    });
    let Verdict::Repaired { text: ours, duplicates, .. } = &verdict else { return verdict };
    match (closer, theirs) {
        (Some(closer), _) if !duplicates.is_empty() => refused(text, closer, Why::DoubtfulBrackets),
        (_, None) => refused(text, first, Why::NoOpinion),
        (_, Some(theirs)) if !second::agrees(ours, consumer, theirs.as_bytes()) => refused(text, first, Why::OtherValue),
        _ => verdict,
    }
}

/// A repair that is asked to be lossless, and is not.
fn uncertain(text: &[u8], consumer: Consumer, first: &Edit, edits: &[Edit]) -> Verdict {
    let mut refusal = refusal(text, first.offset, Why::Lossy(first.class));
    if read_again(text, consumer, edits, &edit::applied(edits, text)).is_some() {
        refusal.would = edits.iter().map(|edit| edit.class).filter(|class| !class.is_lossless()).collect();
        refusal.would.sort_unstable();
        refusal.would.dedup();
    }
    Verdict::Refused(refusal)
}

fn checked(text: &[u8], consumer: Consumer, edits: Vec<Edit>) -> Verdict {
    let new = edit::applied(&edits, text);
    match read_again(text, consumer, &edits, &new) {
        Some(duplicates) => Verdict::Repaired { edits, text: new, duplicates },
        None => refused(text, edits.first().map_or(0, |edit| edit.offset), Why::Unsound),
    }
}

/// Reads the result of edits, none of which may have done more than its class says.
fn read_again(text: &[u8], consumer: Consumer, edits: &[Edit], new: &[u8]) -> Option<Vec<Duplicate>> {
    let are_permitted = edits.iter().all(|edit| edit.class.permits(edit.removed(text), edit.insert));
    grammar::read(new, consumer).filter(|_| are_permitted)
}

fn refused(text: &[u8], at: usize, why: Why) -> Verdict {
    Verdict::Refused(refusal(text, at, why))
}

fn refusal(text: &[u8], at: usize, why: Why) -> Refusal {
    let (line, column) = place::of(text, at);
    let (excerpt, caret) = place::excerpt(text, at);
    Refusal { line, column, excerpt, caret, why, would: Vec::new() }
}
