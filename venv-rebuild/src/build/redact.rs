//! Texts without secrets.

use contract::path::plain;

/// The longest text from outside that goes into a record.
const LONGEST: usize = 1000;

/// As much of a text from outside as a person reads, without passwords and without what could move a cursor.
pub(crate) fn excerpt(text: &str) -> String {
    urls(&plain(text)).chars().take(LONGEST).collect()
}

/// Replaces user name and password of every URL in a text with `***`.
pub(crate) fn urls(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        safe.push_str(before);
        let authority = after.find(|c: char| c == '/' || c == '?' || c == '#' || c.is_whitespace() || c == '"').unwrap_or(after.len());
        // A password may hold an `@` of its own: the last one divides.
        rest = after[..authority].rfind('@').map_or(after, |sign| {
            safe.push_str("***");
            &after[sign..]
        });
    }
    safe.push_str(rest);
    safe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(urls("-i https://me:s3@cret@host/simple x"), "-i https://***@host/simple x");
        assert_eq!(urls("git+ssh://git@host/a b://c:d@e"), "git+ssh://***@host/a b://***@e");
        assert_eq!(urls("https://host/a@b"), "https://host/a@b");
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt("a\nhttps://me:s3cret@host/"), "a\\nhttps://***@host/");
        assert_eq!(excerpt(&"é".repeat(5000)).chars().count(), LONGEST);
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text: String) {
            urls(&text);
        }
    }
}
