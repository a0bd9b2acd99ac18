//! The tokens of a Python source that may be broken: enough to tell code from strings and comments, and one statement from the next.
//!
//! It never fails: what no Python would take is [`Kind::Odd`], and what is never closed is said to be open.

use std::ops::Range;

use super::edit::line_breaks;
use super::encoding::{BOM, Encoding};
use super::strings;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Name,
    Number,
    /// With its prefix and its quotes.
    String,
    /// A string between typographic quotes, which no Python takes.
    Smart,
    /// A string that is not closed: to the end of its line, or of the file where its quotes are three.
    Open,
    Operator,
    /// A character that no Python takes.
    Odd,
}

/// A token, as the range of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The line that it begins on.
    pub(crate) line: usize,
    /// How many brackets are around it; a bracket itself is outside of its own pair.
    pub(crate) depth: usize,
}

/// A logical line: a statement, several with `;` between them, or the header of a compound one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Which of the tokens; never empty.
    pub(crate) tokens: Range<usize>,
    /// The white space before its first token.
    pub(crate) indent: Range<usize>,
    pub(crate) first: usize,
    pub(crate) last: usize,
}

/// All there is to know of the text of a source.
pub(crate) struct Source<'t> {
    pub(crate) text: &'t [u8],
    pub(crate) tokens: Vec<Token>,
    pub(crate) lines: Vec<Line>,
    pub(crate) comments: Vec<Range<usize>>,
    /// The brackets that nothing closes, as places in `tokens`.
    pub(crate) unclosed: Vec<usize>,
    /// The brackets that close nothing, or something else.
    pub(crate) unmatched: Vec<usize>,
}

const OPERATORS: [&[u8]; 26] = [
    b"**=", b"//=", b">>=", b"<<=", b"...", b"->", b":=", b"==", b"!=", b"<=", b">=", b"<>", b"+=", b"-=", b"*=", b"/=", b"%=", b"&=",
    b"|=", b"^=", b"@=", b"**", b"//", b"<<", b">>", b"=",
];
const SINGLE: &[u8] = b"+-*/%@&|^~<>()[]{},:.;";

impl<'t> Source<'t> {
    /// Reads a source; from 3.12 on an f-string may have its own quotes within its braces (PEP 701).
    pub(crate) fn read(text: &'t [u8], encoding: Encoding, nests: bool) -> Self {
        let source =
            Self { text, tokens: Vec::new(), lines: Vec::new(), comments: Vec::new(), unclosed: Vec::new(), unmatched: Vec::new() };
        let start = if encoding == Encoding::Utf8 && text.starts_with(BOM) { BOM.len() } else { 0 };
        let mut reader = Reader { source, encoding, nests, at: start, line: 1, first: 0 };
        while reader.at < text.len() {
            reader.step();
        }
        reader.end_line();
        reader.source
    }

    pub(crate) fn bytes(&self, token: Token) -> &'t [u8] {
        &self.text[token.start..token.end]
    }

    /// Whether a token is there, is code, and is written so.
    pub(crate) fn is(&self, at: usize, text: &str) -> bool {
        self.tokens
            .get(at)
            .is_some_and(|token| matches!(token.kind, Kind::Name | Kind::Operator | Kind::Odd) && self.bytes(*token) == text.as_bytes())
    }

    pub(crate) fn is_any(&self, at: usize, texts: &[&str]) -> bool {
        texts.iter().any(|text| self.is(at, text))
    }

    /// The logical line that a line of the text is part of.
    pub(crate) fn line_with(&self, number: usize) -> Option<(usize, &Line)> {
        self.lines.iter().enumerate().find(|(_, line)| (line.first..=line.last).contains(&number))
    }

    /// The tokens that begin on a line of the text.
    pub(crate) fn on_line(&self, number: usize) -> impl Iterator<Item = Token> {
        self.tokens.iter().copied().filter(move |token| token.line == number)
    }

    /// Whether a logical line is followed by one that is indented deeper.
    pub(crate) fn has_block(&self, line: usize) -> bool {
        let indent = |line: &Line| &self.text[line.indent.clone()];
        let (Some(header), Some(body)) = (self.lines.get(line), self.lines.get(line + 1)) else { return false };
        indent(body).len() > indent(header).len() && indent(body).starts_with(indent(header))
    }
}

struct Reader<'t> {
    source: Source<'t>,
    encoding: Encoding,
    nests: bool,
    at: usize,
    line: usize,
    /// The first token of the logical line.
    first: usize,
}

impl Reader<'_> {
    fn step(&mut self) {
        let rest = &self.source.text[self.at..];
        match rest[0] {
            b'\r' | b'\n' => self.line_break(),
            b' ' | b'\t' | b'\x0c' => self.at += 1,
            b'\\' if rest.len() > 1 && matches!(rest[1], b'\r' | b'\n') => {
                self.at += 1;
                self.pass_break();
            }
            b'#' => {
                let len = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
                self.source.comments.push(self.at..self.at + len);
                self.at += len;
            }
            b'0'..=b'9' => self.push(Kind::Number, number(rest)),
            b'.' if rest.get(1).is_some_and(u8::is_ascii_digit) => self.push(Kind::Number, number(rest)),
            _ if let Some(len) = strings::opening(rest) => self.string(len),
            _ if self.encoding == Encoding::Utf8
                && let Some((_, len)) = strings::smart(rest) =>
            {
                self.push(Kind::Smart, len);
            }
            _ if self.name() > 0 => self.push(Kind::Name, self.name()),
            _ if let Some(operator) = OPERATORS.iter().find(|operator| rest.starts_with(operator)) => {
                self.push(Kind::Operator, operator.len());
            }
            byte if SINGLE.contains(&byte) => self.bracketed(byte),
            _ => self.odd(),
        }
    }

    fn push(&mut self, kind: Kind, len: usize) {
        let depth = self.source.unclosed.len();
        self.source.tokens.push(Token { kind, start: self.at, end: self.at + len, line: self.line, depth });
        self.at += len;
    }

    fn bracketed(&mut self, byte: u8) {
        let index = self.source.tokens.len();
        let opener = |closer: u8| if closer == b')' { b'(' } else { closer - 2 };
        if matches!(byte, b')' | b']' | b'}') {
            match self.source.unclosed.last() {
                Some(open) if self.source.text[self.source.tokens[*open].start] == opener(byte) => drop(self.source.unclosed.pop()),
                _ => self.source.unmatched.push(index),
            }
        }
        self.push(Kind::Operator, 1);
        if matches!(byte, b'(' | b'[' | b'{') {
            self.source.unclosed.push(index);
        }
    }

    fn string(&mut self, opening: usize) {
        let rest = &self.source.text[self.at..];
        let (kind, len) = match strings::closed(rest, opening, self.nests) {
            Some(len) => (Kind::String, len),
            None => (Kind::Open, strings::unclosed(rest, opening)),
        };
        let breaks = line_breaks(&rest[..len]);
        self.push(kind, len);
        self.line += breaks;
    }

    /// How long the name is that begins here.
    fn name(&self) -> usize {
        let rest = &self.source.text[self.at..];
        let ascii = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        match self.encoding {
            Encoding::SingleByte => rest.iter().position(|byte| !(ascii(byte) || *byte >= 128)).unwrap_or(rest.len()),
            Encoding::Utf8 => {
                let mut len = 0;
                while let Some(c) = character(&rest[len..]).filter(|c| c.is_alphanumeric() || *c == '_') {
                    len += c.len_utf8();
                }
                len
            }
        }
    }

    fn odd(&mut self) {
        let rest = &self.source.text[self.at..];
        let len = if self.encoding == Encoding::Utf8 { character(rest).map_or(1, char::len_utf8) } else { 1 };
        self.push(Kind::Odd, len);
    }

    fn line_break(&mut self) {
        if self.source.unclosed.is_empty() {
            self.end_line();
        }
        self.pass_break();
    }

    fn pass_break(&mut self) {
        let is_pair = self.source.text[self.at..].starts_with(b"\r\n");
        self.at += if is_pair { 2 } else { 1 };
        self.line += 1;
    }

    fn end_line(&mut self) {
        let source = &mut self.source;
        if let Some(first) = source.tokens.get(self.first) {
            let last = source.tokens[source.tokens.len() - 1];
            let begins = source.text[..first.start].iter().rposition(|byte| matches!(byte, b'\r' | b'\n')).map_or(0, |end| end + 1);
            let bom = if begins == 0 && first.start >= 3 && source.text.starts_with(BOM) { 3 } else { 0 };
            source.lines.push(Line {
                tokens: self.first..source.tokens.len(),
                indent: begins + bom..first.start,
                first: first.line,
                last: last.line + line_breaks(&source.text[last.start..last.end]),
            });
        }
        self.first = source.tokens.len();
    }
}

/// The first character of a text.
pub(crate) fn character(text: &[u8]) -> Option<char> {
    let head = &text[..text.len().min(4)];
    let valid = match std::str::from_utf8(head) {
        Ok(valid) => valid,
        Err(e) => std::str::from_utf8(&head[..e.valid_up_to()]).unwrap_or_default(),
    };
    valid.chars().next()
}

/// How long the number is that a text begins with.
fn number(text: &[u8]) -> usize {
    let is_based = text.len() > 1 && text[0] == b'0' && matches!(text[1] | 32, b'x' | b'o' | b'b');
    let mut len = 0;
    while let Some(byte) = text.get(len) {
        let is_sign = matches!(byte, b'+' | b'-') && !is_based && len > 0 && text[len - 1] | 32 == b'e';
        if !(byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'.' && !is_based || is_sign) {
            break;
        }
        len += 1;
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<(Kind, &str)> {
        let source = Source::read(text.as_bytes(), Encoding::Utf8, true);
        source.tokens.iter().map(|token| (token.kind, &text[token.start..token.end])).collect()
    }

    #[test]
    fn strings_comments_and_typographic_quotes_are_told_apart() {
        use Kind::{Name, Number, Odd, Operator, Smart, String};
        assert_eq!(
            shown("x = rb'a\\'b' # '\ny<>“it's”\u{a0}1.5e-3 $"),
            [
                (Name, "x"),
                (Operator, "="),
                (String, "rb'a\\'b'"),
                (Name, "y"),
                (Operator, "<>"),
                (Smart, "“it's”"),
                (Odd, "\u{a0}"),
                (Number, "1.5e-3"),
                (Odd, "$")
            ]
        );
    }

    #[test]
    fn a_logical_line_goes_on_within_brackets_and_strings() {
        let source = Source::read(b"a = (1,\n 2)\nif b \\\n and '''c\n''':\n\td\n", Encoding::Utf8, true);
        let lines: Vec<_> = source.lines.iter().map(|line| (line.first, line.last, line.indent.len())).collect();
        assert_eq!(lines, [(1, 2, 0), (3, 5, 0), (6, 6, 1)]);
        assert!(source.has_block(1) && !source.has_block(0));
    }

    #[test]
    fn what_is_not_closed_is_known() {
        let source = Source::read(b"a = (1]\nb = 'c\n", Encoding::Utf8, true);
        assert_eq!((source.unclosed.len(), source.unmatched.len()), (1, 1));
        assert_eq!(source.tokens.last().map(|token| token.kind), Some(Kind::Open));
    }
}
