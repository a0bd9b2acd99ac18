//! Secrets in command lines and in sentences, where only the word before says what they are.

use super::{GONE, SECRET, SURE, value_end};

/// What a sentence says of a secret and is none: "the password is required".
const PROSE: [&str; 20] = [
    "a",
    "an",
    "correct",
    "empty",
    "expired",
    "incorrect",
    "invalid",
    "mandatory",
    "missing",
    "needed",
    "not",
    "null",
    "required",
    "set",
    "the",
    "too",
    "undefined",
    "unset",
    "valid",
    "wrong",
];

/// Replaces what a command line or a sentence says behind the name of a secret: `--password VALUE`, `-u USER:VALUE`, mysql's `-pVALUE`,
/// `password is VALUE`, `SECRET_KEY "VALUE"`. What is quoted goes with all its words.
pub(super) fn arguments(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let (mut before, mut last, is_mysql) = ("", "", text.contains("mysql"));
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| !c.is_whitespace()) {
        let (gap, here) = rest.split_at(start);
        let word = &here[..here.find(char::is_whitespace).unwrap_or(here.len())];
        safe.push_str(gap);
        let end = if let Some(from) = secret_from(before, last, word, is_mysql) {
            safe.push_str(&here[..from]);
            safe.push_str(GONE);
            // The quote opens before what is secret, as in `-u "USER:VALUE"`, or at it.
            argument_end(here).max(from + argument_end(&here[from..]))
        } else {
            safe.push_str(word);
            word.len()
        };
        (before, last, rest) = (last, &here[..end], &here[end..]);
    }
    safe.push_str(rest);
    safe
}

/// Where in a word a secret begins, by the two words before it.
fn secret_from(before: &str, last: &str, word: &str, is_mysql: bool) -> Option<usize> {
    let flag = last.strip_prefix("--").unwrap_or_default().to_ascii_lowercase();
    let is_option = SURE.contains(&&*flag) || ["token", "api-key", "secret-key"].contains(&&*flag);
    let name = if last == "is" { before } else { last };
    let is_quoted = word.trim_start_matches('\\').starts_with(['"', '\'']) && is_named(name);
    let is_told = last == "is" && SURE.contains(&&*name.to_ascii_lowercase()) && !is_prose(word);
    match word.split_once(':') {
        _ if !word.starts_with('-') && (is_option || is_told || is_quoted) => Some(0),
        Some((user, _)) if ["-u", "--user"].contains(&last) => Some(user.len() + 1),
        _ if is_mysql && word.starts_with("-p") && word.len() > 2 => Some(2),
        _ => None,
    }
}

fn is_prose(word: &str) -> bool {
    PROSE.contains(&word.trim_end_matches(['.', ',', ';', ':', '!', ')']))
}

/// Whether a word is the name of a secret: one that is surely, or a compound of which a part is.
fn is_named(word: &str) -> bool {
    let name = word.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).to_ascii_lowercase();
    let is_compound = name.contains(['_', '-']) && !name.contains(|c: char| !c.is_ascii_alphanumeric() && !"_-.".contains(c));
    SURE.contains(&&*name) || is_compound && SECRET.iter().any(|part| name.contains(part))
}

/// Where an argument ends: behind its closing quote, where it has one, else at a blank.
fn argument_end(value: &str) -> usize {
    let opening = value.trim_start_matches('\\');
    if opening.starts_with(['"', '\'']) { value_end(value, false) } else { value.find(char::is_whitespace).unwrap_or(value.len()) }
}
