//! Where the strings of a source begin and end.

/// Braces within braces; nobody writes more, and a hostile file could.
const DEEPEST: usize = 20;

/// How long the prefix and the quotes are of the string that a text begins with.
pub(crate) fn opening(text: &[u8]) -> Option<usize> {
    let prefix = text.iter().take(3).position(|byte| matches!(byte, b'"' | b'\''))?;
    if !is_prefix(&text[..prefix]) {
        return None;
    }
    let quote = text[prefix];
    Some(prefix + if text[prefix..].starts_with(&[quote; 3]) { 3 } else { 1 })
}

/// How long the string is that a text begins with, if it is closed.
pub(crate) fn closed(text: &[u8], opening: usize, nests: bool) -> Option<usize> {
    let has_fields = text[..opening].iter().any(|byte| matches!(byte | 32, b'f' | b't'));
    let nested = if nests && has_fields { with_fields(text, opening, 0) } else { None };
    nested.or_else(|| plain(text, opening))
}

/// How long a string is taken to be that is not closed.
pub(crate) fn unclosed(text: &[u8], opening: usize) -> usize {
    if is_triple(text, opening) {
        return text.len();
    }
    let mut at = opening;
    while at < text.len() && !matches!(text[at], b'\r' | b'\n') {
        at += if text[at] == b'\\' { escape(text, at) } else { 1 };
    }
    at.min(text.len())
}

/// How long the prefix is, and the whole, of a string between typographic quotes: a pair of them on one line, with none of its kind between.
pub(crate) fn smart(text: &[u8]) -> Option<(usize, usize)> {
    let prefix = text.iter().take(3).position(|byte| !byte.is_ascii_alphabetic()).filter(|len| is_prefix(&text[..*len]))?;
    let (open, close) = [("“", "”"), ("‘", "’")].into_iter().find(|(open, _)| text[prefix..].starts_with(open.as_bytes()))?;
    let rest = &text[prefix + open.len()..];
    let line = &rest[..rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len())];
    let end = [open, close].iter().filter_map(|quote| line.windows(quote.len()).position(|part| part == quote.as_bytes())).min()?;
    line[end..].starts_with(close.as_bytes()).then_some((prefix, prefix + open.len() + end + close.len()))
}

fn is_prefix(text: &[u8]) -> bool {
    let known: [&[u8]; 13] = [b"", b"r", b"u", b"b", b"f", b"t", b"br", b"rb", b"fr", b"rf", b"tr", b"rt", b"ur"];
    known.contains(&&text.to_ascii_lowercase()[..])
}

fn is_triple(text: &[u8], opening: usize) -> bool {
    opening >= 3 && text[opening - 3..opening].iter().all(|byte| *byte == text[opening - 1])
}

fn escape(text: &[u8], at: usize) -> usize {
    if text[at + 1..].starts_with(b"\r\n") { 3 } else { 2 }
}

fn plain(text: &[u8], opening: usize) -> Option<usize> {
    let quotes = &text[if is_triple(text, opening) { opening - 3 } else { opening - 1 }..opening];
    let mut at = opening;
    while at < text.len() {
        match text[at] {
            _ if text[at..].starts_with(quotes) => return Some(at + quotes.len()),
            b'\\' => at += escape(text, at),
            b'\r' | b'\n' if quotes.len() == 1 => return None,
            _ => at += 1,
        }
    }
    None
}

fn with_fields(text: &[u8], opening: usize, deep: usize) -> Option<usize> {
    let quotes = &text[if is_triple(text, opening) { opening - 3 } else { opening - 1 }..opening];
    let mut at = opening;
    while at < text.len() {
        match text[at] {
            _ if text[at..].starts_with(quotes) => return Some(at + quotes.len()),
            b'\\' => at += escape(text, at),
            b'{' if text.get(at + 1) == Some(&b'{') => at += 2,
            b'{' => at = field(text, at + 1, quotes, deep + 1)?,
            b'\r' | b'\n' if quotes.len() == 1 => return None,
            _ => at += 1,
        }
    }
    None
}

/// Where a replacement field ends whose expression begins at `at`.
fn field(text: &[u8], mut at: usize, quotes: &[u8], deep: usize) -> Option<usize> {
    let mut depth = 0_usize;
    while deep < DEEPEST && at < text.len() {
        let before = text[at - 1];
        match text[at] {
            b'}' if depth == 0 => return Some(at + 1),
            b':' if depth == 0 => return format(text, at + 1, quotes, deep),
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.checked_sub(1)?,
            _ if !(before.is_ascii_alphanumeric() || before == b'_')
                && let Some(opening) = opening(&text[at..]) =>
            {
                let has_fields = text[at..at + opening].iter().any(|byte| matches!(byte | 32, b'f' | b't'));
                let inner = &text[at..];
                at += if has_fields { with_fields(inner, opening, deep + 1)? } else { plain(inner, opening)? };
                continue;
            }
            b'"' | b'\'' => return None,
            _ => {}
        }
        at += 1;
    }
    None
}

/// Where a field ends whose format begins at `at`: braces may be in it, the quotes of its string may not.
fn format(text: &[u8], mut at: usize, quotes: &[u8], deep: usize) -> Option<usize> {
    while at < text.len() && !text[at..].starts_with(quotes) {
        match text[at] {
            b'}' => return Some(at + 1),
            b'{' => at = field(text, at + 1, quotes, deep + 1)?,
            b'\r' | b'\n' if quotes.len() == 1 => return None,
            _ => at += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(text: &str, nests: bool) -> Option<usize> {
        closed(text.as_bytes(), opening(text.as_bytes()).unwrap(), nests)
    }

    #[test]
    fn an_f_string_may_have_its_own_quotes_within() {
        let text = r#"f"{x["a"]:>{w}} {{ {f"{y}"}" + 1"#;
        assert_eq!(ends(text, true), Some(text.len() - 4));
        assert_eq!(ends(text, false), Some(6));
        assert_eq!(ends(r#"f"{x:%H:%M}" "#, true), Some(12));
    }

    #[test]
    fn a_pair_of_typographic_quotes_holds_no_other_of_its_kind() {
        assert_eq!(smart("f“it’s” + 1".as_bytes()), Some((1, "f“it’s”".len())));
        assert_eq!(smart("“a “b””".as_bytes()), None);
        assert_eq!(smart("“a\n”".as_bytes()), None);
        assert_eq!(smart("”a”".as_bytes()), None);
    }

    #[test]
    fn a_string_that_is_not_closed_ends_with_its_line_or_with_the_file() {
        assert_eq!(unclosed(b"'a\\\nb\nc", 1), 5);
        assert_eq!(unclosed(b"'''a\nb", 3), 6);
        assert_eq!(ends("'a\nb'", true), None);
        assert_eq!(ends("rb'''a'b'''", true), Some(11));
    }
}
