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

/// Commands, and their options that take a password, with a blank before it or none.
const COMMANDS: [(&str, &str); 5] = [("sshpass", "-p"), ("redis-cli", "-a"), ("mysql", "-p"), ("mariadb", "-p"), ("login", "-p")];

/// What the name of an option for a secret ends in. A mere `--key` is mostly a file.
const OPTIONS: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "authorization",
    "cookie",
    "pwd",
    "token",
    "api-key",
    "secret-key",
    "access-key",
    "private-key",
    "apikey",
    "requirepass",
];

/// Replaces what a command line or a sentence says behind the name of a secret: `--password VALUE`, `-u USER:VALUE`, mysql's `-pVALUE`,
/// `password is VALUE`, `SECRET_KEY "VALUE"`. What is quoted goes with all its words.
pub(super) fn arguments(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let (mut before, mut last, mut option) = ("", "", None);
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| !c.is_whitespace()) {
        let (gap, here) = rest.split_at(start);
        let word = &here[..here.find(char::is_whitespace).unwrap_or(here.len())];
        safe.push_str(gap);
        if gap.contains('\n') && last != "\\" {
            option = None;
        }
        option = option_of(last, word).or(option);
        let end = if let Some(from) = secret_from(before, last, word, option) {
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

/// The option for a password of the command that a word names, by its file name; `docker login` has two words.
fn option_of(last: &str, word: &str) -> Option<&'static str> {
    let name = word.rsplit(['/', '"', '\'', '`', '(']).find(|part| !part.is_empty()).unwrap_or_default();
    let is_command = |command: &str| match command {
        "login" => name == "login" && last.ends_with(|c: char| c.is_ascii_lowercase()),
        _ => name.starts_with(command),
    };
    COMMANDS.iter().find(|(command, _)| is_command(command)).map(|(_, option)| *option)
}

/// Where in a word a secret begins, by the two words before it.
fn secret_from(before: &str, last: &str, word: &str, option: Option<&str>) -> Option<usize> {
    // Of a list of arguments each stands in quotes.
    let flag = last.trim_matches(['"', '\'', ',', '[', '(', '`']);
    let flag = flag.strip_prefix('-').map(|flag| flag.trim_start_matches('-').to_ascii_lowercase()).unwrap_or_default();
    let is_option = OPTIONS.iter().any(|end| flag.strip_suffix(end).is_some_and(|start| start.is_empty() || start.ends_with('-')));
    let name = if last == "is" { before } else { last };
    let is_quoted = word.trim_start_matches('\\').starts_with(['"', '\'']) && is_named(name);
    let is_told = last == "is" && SURE.contains(&&*name.to_ascii_lowercase()) && !is_prose(word);
    let is_pointed_at = last == "->" && is_named(before);
    let is_given = option == Some(last) && !word.starts_with('-');
    match word.split_once(':') {
        _ if is_given || !word.starts_with('-') && (is_option || is_told || is_quoted || is_pointed_at) => Some(0),
        Some((user, _)) if ["-u", "--user"].contains(&last) => Some(user.len() + 1),
        _ => option.filter(|option| word.starts_with(option) && word.len() > 2).map(str::len),
    }
}

pub(super) fn is_prose(word: &str) -> bool {
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
