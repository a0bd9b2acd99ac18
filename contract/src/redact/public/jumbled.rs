//! Words that look like chance.

use super::super::GONE;

/// A shorter word, in bytes, is none that was drawn by chance to be a secret.
const SHORTEST: usize = 32;

/// What checks a package, and how long its Base64 is. Everybody may know it, and an `EINTEGRITY` says nothing without it.
const INTEGRITY: [(&str, usize); 4] = [("sha512-", 88), ("sha384-", 64), ("sha256-", 44), ("sha1-", 28)];

/// Replaces long words that mix upper case, lower case and digits as no person does; of a path, the parts that do.
pub(super) fn jumbled(line: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-./+=~".contains(c);
    let (mut safe, mut rest) = (String::with_capacity(line.len()), line);
    while let Some(start) = rest.find(is_part) {
        safe.push_str(&rest[..start]);
        let (word, behind) = rest[start..].split_at(rest[start..].find(|c| !is_part(c)).unwrap_or(rest.len() - start));
        safe.push_str(&without_chance(word));
        rest = behind;
    }
    safe.push_str(rest);
    safe
}

fn without_chance(word: &str) -> String {
    let is_known =
        |(begin, length): &(&str, usize)| word.strip_prefix(begin).is_some_and(|hash| hash.trim_end_matches('.').len() == *length);
    if INTEGRITY.iter().any(is_known) {
        word.to_owned()
    } else if is_chance(word) {
        GONE.to_owned()
    } else {
        word.split('/').map(|part| if is_chance(part) { GONE } else { part }).collect::<Vec<_>>().join("/")
    }
}

/// A name of several words, a path or a version changes between the three kinds of characters once in four; chance does so twice in three.
fn is_chance(word: &str) -> bool {
    if word.len() < SHORTEST {
        return false;
    }
    let kind = |c: &u8| if c.is_ascii_digit() { 0 } else { 1 + usize::from(c.is_ascii_uppercase()) };
    let (mut seen, mut changes, mut length) = ([false; 3], 0, 0);
    for part in word.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !is_hash(part)) {
        let kinds: Vec<usize> = part.as_bytes().iter().map(kind).collect();
        for kind in &kinds {
            seen[*kind] = true;
        }
        changes += kinds.windows(2).filter(|pair| pair[0] != pair[1]).count();
        length += part.len();
    }
    let is_base64 = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/+=".contains(&byte));
    // So long is a secret key of Amazon, which has no beginning of its own.
    let share = if word.len() == 40 && is_base64 { 4 } else { 3 };
    seen == [true; 3] && changes * share > length
}

/// The name of a commit, an image, a chunk of a bundle.
fn is_hash(part: &str) -> bool {
    let is_hexadecimal = part.bytes().all(|byte| byte.is_ascii_hexdigit());
    part.len() >= 7
        && is_hexadecimal
        && (!part.contains(|c: char| c.is_ascii_uppercase()) || !part.contains(|c: char| c.is_ascii_lowercase()))
}
