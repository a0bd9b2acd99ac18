//! Import statements of a source, by its tokens, so that neither strings nor comments are taken for one.

use std::ops::Range;

use crate::syntax::tokens::{Kind, Source};

/// `from MODULE import NAME as BOUND, …`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct From {
    /// The bytes of the statement.
    pub(super) span: Range<usize>,
    /// The bytes of the dots and names behind `from`.
    pub(super) module: Range<usize>,
    /// How many dots there are before the names.
    pub(super) level: usize,
    pub(super) path: Vec<String>,
    pub(super) aliases: Vec<Alias>,
    /// The first and last line.
    pub(super) lines: (usize, usize),
    /// The white space before it, if it is the first on its line.
    pub(super) indent: Option<Range<usize>>,
    /// Whether it has neither comments nor backslashes.
    pub(super) is_plain: bool,
}

/// A name that is taken, and what it is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alias {
    pub(super) name: Range<usize>,
    pub(super) bound: Option<Range<usize>>,
}

/// A module of `import MODULE, …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plain {
    pub(super) span: Range<usize>,
    pub(super) path: String,
    /// Whether `as` gives it another name.
    pub(super) is_bound: bool,
    pub(super) line: usize,
}

impl Alias {
    pub(super) fn end(&self) -> usize {
        self.bound.as_ref().map_or(self.name.end, |bound| bound.end)
    }
}

/// All statements that take names from a module.
pub(super) fn froms(source: &Source<'_>) -> Vec<From> {
    statements(source).into_iter().filter_map(|(indent, tokens)| from(source, indent, tokens)).collect()
}

/// All modules that are imported as a whole.
pub(super) fn plains(source: &Source<'_>) -> Vec<Plain> {
    statements(source)
        .into_iter()
        .filter(|(_, tokens)| source.is(tokens.start, "import"))
        .flat_map(|(_, tokens)| modules(source, tokens))
        .collect()
}

/// The tokens of each simple statement or header, and the white space before those that begin a line.
fn statements(source: &Source<'_>) -> Vec<(Option<Range<usize>>, Range<usize>)> {
    let mut all = Vec::new();
    for line in &source.lines {
        let mut first = line.tokens.start;
        for at in line.tokens.clone().chain([line.tokens.end]) {
            let ends = at == line.tokens.end || source.tokens[at].depth == 0 && source.is_any(at, &[";", ":"]);
            if ends && first < at {
                all.push(((first == line.tokens.start).then(|| line.indent.clone()), first..at));
            }
            first = if ends { at + 1 } else { first };
        }
    }
    all
}

fn from(source: &Source<'_>, indent: Option<Range<usize>>, tokens: Range<usize>) -> Option<From> {
    let import = tokens.clone().find(|at| source.is(*at, "import"))?;
    if !source.is(tokens.start, "from") || import < tokens.start + 2 {
        return None;
    }
    let (mut level, mut path) = (0, Vec::new());
    for at in tokens.start + 1..import {
        match source.tokens[at].kind {
            Kind::Name => path.push(text(source, at)),
            // Those between names are no level.
            Kind::Operator if path.is_empty() => level += source.bytes(source.tokens[at]).len(),
            Kind::Operator if source.is(at, ".") => {}
            _ => return None,
        }
    }
    let is_list = source.is(import + 1, "(") && source.is(tokens.end - 1, ")");
    let names = if is_list { import + 2..tokens.end - 1 } else { import + 1..tokens.end };
    let (first, last) = (source.tokens[tokens.start], source.tokens[tokens.end - 1]);
    let span = first.start..last.end;
    let has_comment = source.comments.iter().any(|comment| span.contains(&comment.start));
    Some(From {
        module: source.tokens[tokens.start + 1].start..source.tokens[import - 1].end,
        level,
        path,
        aliases: aliases(source, names)?,
        lines: (first.line, last.line),
        indent,
        is_plain: !has_comment && !source.text[span.clone()].contains(&b'\\'),
        span,
    })
}

/// The names of a list, which may end in a comma.
fn aliases(source: &Source<'_>, tokens: Range<usize>) -> Option<Vec<Alias>> {
    let mut all = Vec::new();
    let mut at = tokens.start;
    while at < tokens.end {
        let name = name(source, at)?;
        let bound = if at + 2 < tokens.end && source.is(at + 1, "as") { Some(self::name(source, at + 2)?) } else { None };
        at += if bound.is_some() { 3 } else { 1 };
        all.push(Alias { name, bound });
        if at < tokens.end && !source.is(at, ",") {
            return None;
        }
        at += 1;
    }
    Some(all).filter(|all| !all.is_empty())
}

fn modules(source: &Source<'_>, tokens: Range<usize>) -> Vec<Plain> {
    let all: Vec<usize> = (tokens.start + 1..tokens.end).collect();
    let plain = |part: &[usize]| {
        let path = part.split(|at| source.is(*at, "as")).next()?;
        let first = source.tokens[*path.first()?];
        let span = first.start..source.tokens[*path.last()?].end;
        Some(Plain { span, path: path.iter().map(|at| text(source, *at)).collect(), is_bound: path != part, line: first.line })
    };
    all.split(|at| source.is(*at, ",")).filter_map(plain).collect()
}

fn name(source: &Source<'_>, at: usize) -> Option<Range<usize>> {
    let token = source.tokens.get(at).filter(|token| token.kind == Kind::Name)?;
    Some(token.start..token.end)
}

fn text(source: &Source<'_>, at: usize) -> String {
    String::from_utf8_lossy(source.bytes(source.tokens[at])).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::encoding::Encoding;

    fn read(text: &str) -> Vec<String> {
        let source = Source::read(text.as_bytes(), Encoding::Utf8, true);
        let shown = |from: &From| {
            let names: Vec<&str> = from.aliases.iter().map(|alias| &text[alias.name.start..alias.end()]).collect();
            format!("{}{} {}", ".".repeat(from.level), from.path.join("."), names.join("|"))
        };
        froms(&source).iter().map(shown).collect()
    }

    #[test]
    fn each_way_to_write_it_is_read() {
        assert_eq!(read("from a.b import c, d as e\n"), ["a.b c|d as e"]);
        assert_eq!(read("try: from ...a import (b, # x\n  c,)\nexcept E: pass; from .import d\n"), ["...a b|c", ". d"]);
        assert_eq!(read("from a import *\nyield from b\nraise X from y\n'from a import b'\n# from a import b\n"), [""; 0]);
        assert_eq!(read("from a import\nfrom import x\nfrom a import b c\nfrom a import (b\n"), [""; 0]);
    }

    #[test]
    fn modules_are_read_with_whether_they_have_another_name() {
        let source = Source::read(b"import a, b . c, d as e; import f\n", Encoding::Utf8, true);
        let read = plains(&source);
        let read: Vec<_> = read.iter().map(|plain| (&*plain.path, plain.is_bound, &source.text[plain.span.clone()])).collect();
        assert_eq!(read, [("a", false, &b"a"[..]), ("b.c", false, b"b . c"), ("d", true, b"d"), ("f", false, b"f")]);
    }
}
