//! Texts without secrets, those included that a requirements file takes from our environment.

use std::collections::BTreeSet;
use std::env;
use std::sync::{Mutex, PoisonError};

use contract::redact::{self, GONE};

/// Values of variables of our environment that installers were told to put into addresses, and repeat in their messages.
static VALUES: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Variables that say where something is.
const PLACES: [&str; 5] = ["HOME", "PWD", "PROJECT_ROOT", "TMPDIR", "VIRTUAL_ENV"];

/// As much of a text from outside as a person reads, without secrets and without what could move a cursor.
pub(crate) fn excerpt(text: &str) -> String {
    redact::excerpt(&forgotten(text))
}

/// The same of a line that should be a requirement and may be anything, such as a line of a file of settings.
pub(super) fn quoted(line: &str) -> String {
    redact::quoted(&forgotten(line))
}

/// A text without secrets, and without what was remembered.
pub(crate) fn secrets(text: &str) -> String {
    redact::secrets(&forgotten(text))
}

fn forgotten(text: &str) -> String {
    let known = VALUES.lock().unwrap_or_else(PoisonError::into_inner);
    known.iter().rev().fold(text.to_owned(), |safe, value| safe.replace(value, GONE))
}

/// Remembers the value of every variable that a line of a requirements file names as `${NAME}`.
pub(super) fn remember_variables(line: &str) {
    let names = line.split("${").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).filter(|name| !PLACES.contains(name));
    // What is shorter is in every text.
    let values = names.filter_map(|name| env::var(name).ok()).filter(|value| value.len() >= 4);
    let mut known = VALUES.lock().unwrap_or_else(PoisonError::into_inner);
    for value in values {
        known.insert(percent_encoded(&value));
        known.insert(value);
    }
}

/// As installers write a value that is put into an address.
fn percent_encoded(value: &str) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    value.bytes().map(|byte| if is_plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_a_variable_is_not_repeated() {
        // Cargo sets it for every test.
        let value = env!("CARGO_PKG_LICENSE");
        remember_variables("tqdm @ https://h/${CARGO_PKG_LICENSE}/x ${HOME}");
        assert_eq!(secrets(&format!("cannot fetch https://h/{}/x: {value}", percent_encoded(value))), "cannot fetch https://h/***/x: ***");
    }
}
