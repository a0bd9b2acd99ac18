//! Where a byte stands, for a person: line, column, and the line itself with a caret below.

/// How much of a long line is shown before the place and behind it, in characters.
const BEFORE: usize = 40;
const BEHIND: usize = 40;

/// A walk through a text, forwards, that counts lines and columns.
pub(super) struct Walk<'t> {
    text: &'t [u8],
    at: usize,
    line: u32,
    column: u32,
}

impl<'t> Walk<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self { text, at: 0, line: 1, column: 1 }
    }

    /// Line and column of a byte that is not behind the last one asked for; columns are characters.
    pub(super) fn to(&mut self, offset: usize) -> (u32, u32) {
        for &byte in &self.text[self.at..offset] {
            if byte == b'\n' {
                (self.line, self.column) = (self.line + 1, 1);
            } else {
                self.column += u32::from(starts_character(byte));
            }
        }
        self.at = offset;
        (self.line, self.column)
    }
}

/// Line and column of a byte.
pub(super) fn of(text: &[u8], offset: usize) -> (u32, u32) {
    Walk::new(text).to(offset)
}

fn starts_character(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

/// The line around a byte, cut where it is long, and another with a caret below the byte.
pub(super) fn excerpt(text: &[u8], offset: usize) -> (String, String) {
    let start = text[..offset].iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    let end = text[offset..].iter().position(|&byte| byte == b'\n').map_or(text.len(), |newline| offset + newline);
    let (before, behind) = (String::from_utf8_lossy(&text[start..offset]), String::from_utf8_lossy(&text[offset..end]));
    let skipped = before.chars().count().saturating_sub(BEFORE);
    let dots = if skipped > 0 { "…" } else { "" };
    let shown: String = before.chars().skip(skipped).map(plain).collect();
    let rest: String = behind.trim_end().chars().take(BEHIND).map(plain).collect();
    let caret = " ".repeat(dots.chars().count() + shown.chars().count()) + "^";
    (format!("{dots}{shown}{rest}"), caret)
}

/// A tab would move the caret, and other control characters a terminal.
fn plain(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_characters() {
        let text = "{\n  \"ä\": x\n}".as_bytes();
        assert_eq!(of(text, 0), (1, 1));
        assert_eq!(of(text, 10), (2, 8));
        assert_eq!(excerpt(text, 10), ("  \"ä\": x".to_owned(), "       ^".to_owned()));
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}!{}", "a".repeat(100), "b".repeat(100));
        let (line, caret) = excerpt(text.as_bytes(), 100);
        assert_eq!(line, format!("…{}!{}", "a".repeat(40), "b".repeat(39)));
        assert_eq!(line.chars().position(|c| c == '!'), Some(caret.len() - 1));
    }
}
