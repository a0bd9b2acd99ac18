//! What only some versions of Python take: a file that uses it is not broken, its interpreter is the wrong one.

use std::ops::Range;

use super::encoding::Encoding;
use super::judge::Version;
use super::statements::at_top;
use super::tokens::{Kind, Line, Source};

/// Syntax that is not in every version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    /// The first version that has it, or none where an older one had it last.
    pub(crate) since: Option<Version>,
    /// The first version that has it no more.
    pub(crate) until: Option<Version>,
    pub(crate) lines: Range<usize>,
}

impl Feature {
    pub(crate) fn is_missing_from(&self, version: Version) -> bool {
        self.since.is_some_and(|since| version < since) || self.until.is_some_and(|until| version >= until)
    }

    /// Whether a line of the text is part of it.
    pub(crate) fn is_at(&self, line: usize) -> bool {
        (self.lines.start..=self.lines.end).contains(&line)
    }

    /// Which versions have it.
    pub(crate) fn versions(&self) -> String {
        match (self.since, self.until) {
            (Some((major, minor)), _) => format!("Python {major}.{minor} or newer"),
            (None, Some((major, minor))) => format!("Python {major}.{} or older", minor - 1),
            (None, None) => "Python".to_owned(),
        }
    }
}

/// Everything of this kind in a source.
pub(crate) fn of(text: &[u8], encoding: Encoding) -> Vec<Feature> {
    let source = Source::read(text, encoding, true);
    let mut found: Vec<Feature> = source.lines.iter().enumerate().flat_map(|(at, line)| of_line(&source, at, line)).collect();
    found.extend(of_strings(&source));
    found
}

fn of_line(source: &Source<'_>, at: usize, line: &Line) -> Vec<Feature> {
    let mut found = Vec::new();
    let mut since = |has: bool, name, minor| {
        if has {
            found.push(Feature { name, since: Some((3, minor)), until: None, lines: line.first..line.last });
        }
    };
    let first = line.tokens.start;
    since(line.tokens.clone().any(|at| source.is(at, ":=")), "an assignment expression (`:=`)", 8);
    since(has_positional_only(source, line), "a positional-only parameter (`/`)", 8);
    since(has_parenthesized_with(source, line), "a parenthesized `with`", 9);
    since(is_match(source, at, line), "a `match` statement", 10);
    since(source.is(first, "except") && source.is(first + 1, "*"), "`except*`", 11);
    let is_name = |at: usize| source.tokens.get(at).is_some_and(|token| token.kind == Kind::Name) && at < line.tokens.end;
    since(source.is(first, "type") && is_name(first + 1) && source.is_any(first + 2, &["=", "["]), "a `type` statement", 12);
    since(source.is_any(first, &["def", "class"]) && is_name(first + 1) && source.is(first + 2, "["), "a type parameter", 12);
    if line.tokens.clone().any(|at| is_async_name(source, at)) {
        found.push(Feature { name: "`async` as a name", since: None, until: Some((3, 7)), lines: line.first..line.last });
    }
    found
}

/// A call `f(async=True)` or an attribute `x.async`, of the time before it was a keyword.
fn is_async_name(source: &Source<'_>, at: usize) -> bool {
    source.is_any(at, &["async", "await"]) && (at > 0 && source.is(at - 1, ".") || source.is(at + 1, "="))
}

fn is_match(source: &Source<'_>, at: usize, line: &Line) -> bool {
    let is_case = |line: &Line| source.is(line.tokens.start, "case") && source.is(line.tokens.end - 1, ":");
    source.is(line.tokens.start, "match")
        && source.is(line.tokens.end - 1, ":")
        && source.has_block(at)
        && source.lines.get(at + 1).is_some_and(is_case)
}

fn has_positional_only(source: &Source<'_>, line: &Line) -> bool {
    let is_def = source.is_any(line.tokens.start, &["def", "async"]);
    let between = |at: usize| source.is(at - 1, ",") && source.is_any(at + 1, &[",", ")"]);
    is_def && line.tokens.clone().skip(1).any(|at| source.is(at, "/") && source.tokens[at].depth == 1 && between(at))
}

fn has_parenthesized_with(source: &Source<'_>, line: &Line) -> bool {
    let first = line.tokens.start;
    source.is(first, "with")
        && source.is(first + 1, "(")
        && line.tokens.clone().any(|at| source.is(at, "as") && source.tokens[at].depth == 1)
}

fn of_strings(source: &Source<'_>) -> Vec<Feature> {
    let strings = source.tokens.iter().filter(|token| token.kind == Kind::String);
    let mut found = Vec::new();
    for token in strings {
        let text = source.bytes(*token);
        let opening = super::strings::opening(text).unwrap_or_default();
        let prefix = text[..opening].to_ascii_lowercase();
        let lines = token.line..token.line + super::edit::line_breaks(text);
        let mut since = |name, minor| found.push(Feature { name, since: Some((3, minor)), until: None, lines: lines.clone() });
        if prefix.contains(&b't') {
            since("a template string", 14);
        } else if prefix.contains(&b'f') {
            if super::strings::closed(text, opening, false) != Some(text.len()) {
                since("an f-string with its own quotes within its braces", 12);
            }
            if text.windows(2).any(|pair| pair == b"=}") {
                since("an f-string with `=` in its braces", 8);
            }
        }
    }
    found
}

/// Syntax that no Python 2 takes, if there is any: whoever wrote it meant Python 3.
pub(crate) fn only_in_3(source: &Source<'_>) -> Option<&'static str> {
    let in_line = |(at, line): (usize, &Line)| {
        let first = line.tokens.start;
        let has = |texts: &[&str]| line.tokens.clone().any(|at| source.is_any(at, texts));
        let is_parameter = |at: usize| source.is(at, ":") && source.tokens[at].depth == 1;
        let is_named = |at: usize| source.is_any(at, &["end", "sep", "file", "flush"]) && source.is(at + 1, "=");
        let is_def = source.is(first, "def");
        let annotates = at_top(source, line.tokens.clone(), &[":"]).next().is_some_and(|colon| colon == first + 1)
            && source.tokens[first].kind == Kind::Name
            && !source.is_any(first, &["else", "try", "finally", "lambda"]);
        [
            (has(&[":=", "->", "nonlocal", "async", "await"]), "`:=`, `->`, `nonlocal`, `async` or `await`"),
            (is_match(source, at, line), "a `match` statement"),
            (is_def && line.tokens.clone().any(is_parameter), "an annotated parameter"),
            (annotates, "an annotated name"),
            (source.is(first, "except") && source.is(first + 1, "*"), "`except*`"),
            (source.is(first, "raise") && has(&["from"]), "`raise … from`"),
            (line.tokens.clone().any(|at| source.is(at, "yield") && source.is(at + 1, "from")), "`yield from`"),
            (source.is(first, "print") && source.is(first + 1, "(") && line.tokens.clone().any(is_named), "a named argument of `print`"),
            (source.is(first, "class") && has(&["="]), "a named argument of a class"),
        ]
        .into_iter()
        .find_map(|(has, name)| has.then_some(name))
    };
    let is_new = |token: &&super::tokens::Token| {
        let text = source.bytes(**token);
        match token.kind {
            Kind::String | Kind::Open => {
                let opening = super::strings::opening(text).unwrap_or_default();
                let prefix = text[..opening].to_ascii_lowercase();
                prefix.contains(&b'f') || prefix.contains(&b't') || prefix.starts_with(b"rb")
            }
            Kind::Number => text.contains(&b'_'),
            Kind::Name => !text.is_ascii(),
            _ => false,
        }
    };
    source.lines.iter().enumerate().find_map(in_line).or_else(|| {
        source.tokens.iter().find(is_new).map(|token| match token.kind {
            Kind::Name => "a name that is not ASCII",
            Kind::Number => "a number with `_`",
            _ => "an f-string or another new kind of string",
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<(&'static str, String)> {
        of(text.as_bytes(), Encoding::Utf8).into_iter().map(|feature| (feature.name, feature.versions())).collect()
    }

    #[test]
    fn the_first_version_of_what_is_new_is_known() {
        assert_eq!(names("if (n := 1): pass\n"), [("an assignment expression (`:=`)", "Python 3.8 or newer".to_owned())]);
        assert_eq!(names("match x:\n  case 1: pass\n").len(), 0);
        assert_eq!(names("match x:\n  case 1:\n    pass\n")[0].1, "Python 3.10 or newer");
        assert_eq!(names("f\"{x[\"a\"]}\"\n")[0].1, "Python 3.12 or newer");
        assert_eq!(names("def f(a, /): pass\nx = a / b\n").len(), 1);
        assert_eq!(names("f(async=True)\n")[0].1, "Python 3.6 or older");
        assert!(names("match = {'a': ':='}\ntype = 1\nprint(type)\n").is_empty());
    }

    #[test]
    fn what_python_2_never_took_shows_who_meant_python_3() {
        let meant = |text: &str| only_in_3(&Source::read(text.as_bytes(), Encoding::Utf8, true)).is_some();
        assert!(meant("x = f'{y}'\n") && meant("def f(a: int): pass\n") && meant("x: int = 1\n") && meant("print('a', end='')\n"));
        assert!(!meant("def f(a=1, *b):\n  x = {1: 2}\n  print 'a', lambda x: x\nelse: pass\n"));
    }
}
