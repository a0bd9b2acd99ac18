//! Values that stand behind what may be the name of a secret.

use super::super::arguments::is_prose;
use super::super::{GONE, is_complaint, value_end};

/// Words of names that are given to secrets.
const WORDS: [&str; 30] = [
    "pass",
    "passwd",
    "password",
    "passwords",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "secrets",
    "token",
    "tokens",
    "key",
    "keys",
    "apikey",
    "auth",
    "authorization",
    "bearer",
    "cred",
    "creds",
    "credential",
    "credentials",
    "signature",
    "sig",
    "cookie",
    "cookies",
    "jwt",
    "otp",
    "dsn",
    "salt",
    "pin",
];

/// What names end in whose words are not set apart, such as `PGPASSWORD` or `authtoken`.
const ENDS: [&str; 8] = ["password", "passwd", "pass", "passphrase", "pwd", "secret", "token", "key"];

/// Names behind which a blank is enough, as in a `.netrc`.
const PASSWORDS: [&str; 6] = ["password", "passwd", "passphrase", "pwd", "pass", "secret"];

/// What makes of `key` or `token` the word of a message: "Unexpected token: punc", "failed to compute cache key: not found".
const HARMLESS: [&str; 8] = ["unexpected", "missing", "duplicate", "cache", "primary", "foreign", "unique", "public"];

/// What a name ends in that is one of an error.
const ERRORS: [&str; 5] = ["error", "exception", "warning", "failure", "mismatch"];

/// Values that are none, and types.
const NONE: [&str; 20] = [
    "null",
    "nil",
    "none",
    "undefined",
    "true",
    "false",
    "no",
    "not",
    "required",
    "missing",
    "expired",
    "invalid",
    "unset",
    "string",
    "number",
    "boolean",
    "any",
    "unknown",
    "never",
    "object",
];

/// Replaces what stands in a line behind a name that may be one of a secret, and `:`, `=`, `=>`, `:=`, `->` or `|`; behind that of a password, and `ENV NAME`,
/// also behind a blank.
pub(super) fn named(line: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let (mut safe, mut rest, mut previous) = (String::with_capacity(line.len()), line, String::new());
    let is_netrc = ["machine ", "default ", "login "].iter().any(|word| line.trim_start().starts_with(word));
    while let Some(start) = rest.find(is_part) {
        safe.push_str(&rest[..start]);
        let (name, behind) = rest[start..].split_at(rest[start..].find(|c| !is_part(c)).unwrap_or(rest.len() - start));
        let place = Place { before: &safe, previous: &previous, name, behind, is_netrc };
        let value = value_of(&place);
        safe.push_str(name);
        rest = behind;
        if let Some((from, to)) = value {
            safe.push_str(&behind[..from]);
            safe.push_str(GONE);
            rest = &behind[to..];
        }
        name.clone_into(&mut previous);
    }
    safe.push_str(rest);
    safe
}

/// A word of a line, and what is around it.
struct Place<'a> {
    before: &'a str,
    previous: &'a str,
    name: &'a str,
    behind: &'a str,
    is_netrc: bool,
}

/// Where behind a name its value begins and ends.
fn value_of(place: &Place<'_>) -> Option<(usize, usize)> {
    let is_variable = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if place.previous == "ENV" && place.name.chars().all(is_variable) && place.behind.starts_with(' ') {
        return Some((1, place.behind.len()));
    }
    let is_path = place.before.ends_with('/');
    let is_harmless = HARMLESS.contains(&&*place.previous.to_ascii_lowercase()) && !place.name.contains(['_', '-']);
    if is_path || is_harmless || !is_named(place.name) {
        return None;
    }
    let unquoted = place.behind.trim_start_matches(['"', '\'', '`', '\\']);
    let operator = operator(unquoted.trim_start(), place);
    let Some(length) = operator else { return blank(place).filter(|_| unquoted.len() == place.behind.len()) };
    let value = unquoted.trim_start()[length..].trim_start();
    let from = place.behind.len() - value.len();
    let end = end_of(value, place, &place.behind[..from])?;
    Some((from, from + end))
}

/// How long the operator is with which a text begins.
fn operator(text: &str, place: &Place<'_>) -> Option<usize> {
    let is_table = place.before.trim_start().starts_with('|') || place.name.contains(['_', '-']);
    let is_option = place.name.starts_with("--");
    let is_other = ["::", "==", "://", ":/"].iter().any(|other| text.starts_with(other));
    let operator = ["=>", ":=", "->", ":", "=", "|", ","].into_iter().find(|operator| text.starts_with(operator))?;
    let is_one = match operator {
        "|" => is_table && !text.starts_with("||"),
        "," => is_option && text[1..].trim_start().starts_with(['"', '\'']),
        _ => !is_other,
    };
    is_one.then_some(operator.len())
}

/// Where a value ends; of a password that begins a line, with all its words. No more is looked at than goes, so that the time stays linear.
fn end_of(value: &str, place: &Place<'_>, operator: &str) -> Option<usize> {
    match value.trim_start_matches('\\').chars().next() {
        None | Some('{') => return None,
        Some('[') if is_complaint(value) => return None,
        Some('"' | '\'' | '[') => return Some(value_end(value, false)),
        Some(_) if operator.trim_end().ends_with('|') => {
            let end = value.find('|').map_or(value.len(), |at| value[..at].trim_end().len());
            return (end > 0).then_some(end);
        }
        Some(_) => {}
    }
    let word = &value[..value.find(char::is_whitespace).unwrap_or(value.len())];
    let bare = word.trim_end_matches([',', ';', '}', ')', ']', '.', '|', '"']);
    if bare.is_empty() || NONE.contains(&&*bare.to_ascii_lowercase()) {
        return None;
    }
    let is_first = place.before.trim_matches([' ', '-', '"', '\'']).is_empty() && operator.starts_with(':');
    Some(if is_first && is_password(place.name) { value.len() } else { bare.len() })
}

/// The word behind a blank, where it can be no word of a sentence: `password hunter2`, but not "password authentication".
fn blank(place: &Place<'_>) -> Option<(usize, usize)> {
    // "All checks pass", "a secret that".
    let is_word = ["pass", "secret"].contains(&&*place.name.to_ascii_lowercase());
    if !place.behind.starts_with(' ') || is_word || !is_password(place.name) {
        return None;
    }
    let value = place.behind.trim_start();
    let from = place.behind.len() - value.len();
    let word = &value[..value.find(char::is_whitespace).unwrap_or(value.len())];
    let bare = word.trim_end_matches(['.', ',', ';', ':', '!', ')', '?']);
    let is_alone = place.before.trim().is_empty() && value.trim_end().len() == word.len();
    let is_drawn =
        bare.contains(|c: char| c.is_ascii_digit() || "!@#$%^&*+=".contains(c)) || bare.chars().skip(1).any(|c| c.is_ascii_uppercase());
    let is_value = is_drawn || is_alone || place.is_netrc;
    (!bare.is_empty() && is_value && !is_prose(word)).then_some((from, from + bare.len()))
}

fn is_password(name: &str) -> bool {
    words(name).last().is_some_and(|word| PASSWORDS.iter().any(|password| word.ends_with(password)))
}

/// Whether a name may be one of a secret, however its words are set apart. Of `config.auth` the last part is the name, and `auth.js` is a file.
pub(super) fn is_named(name: &str) -> bool {
    let words = words(name);
    let is_error = words.last().is_some_and(|word| ERRORS.contains(&&**word)) || words.first().is_some_and(|word| word == "err");
    let is_secret = |word: &String| WORDS.contains(&&**word) || ENDS.iter().any(|end| word.ends_with(end));
    !is_error && words.iter().any(is_secret)
}

fn words(name: &str) -> Vec<String> {
    let name = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let (mut words, mut was_lower) = (vec![String::new()], false);
    for c in name.chars() {
        let is_new = !c.is_ascii_alphabetic() || c.is_ascii_uppercase() && was_lower;
        if is_new {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_ascii_alphabetic()) {
            word.push(c.to_ascii_lowercase());
        }
        was_lower = c.is_ascii_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}
