//! Which Python a source was written for, so that nothing is rewritten that would mean something else then.

use std::ops::Range;

use super::features::only_in_3;
use super::python2::constructs;
use super::statements;
use super::tokens::{Kind, Source};

/// Which Python a source was written for, as far as that shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Era {
    /// What no Python 2 takes.
    pub(crate) only_in_3: Option<&'static str>,
    /// What no Python 3 takes or has, and has no new form that is certain.
    pub(crate) only_in_2: Option<&'static str>,
    /// What both take, and mean something else by.
    pub(crate) differs: Option<&'static str>,
}

impl Era {
    pub(crate) fn of(source: &Source<'_>) -> Self {
        let constructs = constructs(source);
        let stays = constructs.iter().find(|construct| construct.edits.is_empty()).and_then(|construct| construct.doubt);
        Self { only_in_3: only_in_3(source), only_in_2: stays.or_else(|| gone(source)), differs: differs(source) }
    }

    /// Why nothing of Python 2 is rewritten by itself, if it is not.
    pub(crate) fn doubt(&self) -> Option<&'static str> {
        let mixed = self.only_in_3.map(|_| "the file has syntax of Python 3 too, so it was never one of Python 2");
        mixed.or(self.only_in_2).or(self.differs)
    }
}

/// Names that Python 3 has no more: whoever uses them has Python 2.
const GONE: [&str; 20] = [
    "unicode",
    "basestring",
    "xrange",
    "raw_input",
    "unichr",
    "execfile",
    "has_key",
    "iteritems",
    "itervalues",
    "iterkeys",
    "urllib2",
    "cStringIO",
    "cPickle",
    "Tkinter",
    "httplib",
    "__metaclass__",
    "__nonzero__",
    "__unicode__",
    "maxint",
    "getcwdu",
];
/// Names that mean something else in Python 3, or are elsewhere.
const OTHER: [&str; 34] = [
    "chr",
    "str",
    "bytes",
    "recv",
    "subprocess",
    "socket",
    "struct",
    "input",
    "long",
    "reduce",
    "cmp",
    "apply",
    "map",
    "filter",
    "zip",
    "keys",
    "values",
    "items",
    "round",
    "encode",
    "decode",
    "next",
    "__div__",
    "hex",
    "open",
    "file",
    "buffer",
    "reload",
    "urlparse",
    "ConfigParser",
    "StringIO",
    "Queue",
    "HTMLParser",
    "__cmp__",
];

fn names<'s>(source: &'s Source<'_>, known: &'s [&'s str]) -> impl Iterator<Item = usize> + 's {
    (0..source.tokens.len()).filter(move |at| source.tokens[*at].kind == Kind::Name && source.is_any(*at, known))
}

fn gone(source: &Source<'_>) -> Option<&'static str> {
    names(source, &GONE).next().map(|_| "it uses names that only Python 2 has")
}

fn differs(source: &Source<'_>) -> Option<&'static str> {
    let has = |text: &str| (0..source.tokens.len()).any(|at| source.is(at, text));
    let is_text =
        |at: usize| source.tokens[at].kind == Kind::String && !source.text[source.tokens[at].start..source.tokens[at].end].is_ascii();
    let is_list = |at: usize| source.is(at, "range") && !(at > 0 && source.is(at - 1, "in"));
    let statements = || source.lines.iter().flat_map(|line| statements::of(source, line).into_iter());
    if has("/") || has("/=") {
        Some("in Python 2 `/` of two integers is another one")
    } else if names(source, &OTHER).next().is_some() || (0..source.tokens.len()).any(is_list) {
        Some("it calls what gives something else in Python 2")
    } else if (0..source.tokens.len()).any(|at| is_text(at) || is_bytes(source, at)) {
        Some("in Python 2 a string is bytes, and one here is not ASCII or is written as bytes")
    } else if (1..source.tokens.len()).any(|at| source.is(at, "for") && source.tokens[at].depth > 0) {
        Some("in Python 2 the name of a comprehension lives on behind it")
    } else if statements().any(|statement| is_other_print(source, &statement)) {
        Some("it has a `print` that Python 3 takes and means something else by")
    } else {
        None
    }
}

/// A string that is bytes in Python 3, or has an escape that means a character in one of the two and not in the other.
fn is_bytes(source: &Source<'_>, at: usize) -> bool {
    let token = source.tokens[at];
    let text = &source.text[token.start..token.end];
    let prefix = text.iter().position(|byte| matches!(byte, b'"' | b'\'')).unwrap_or(0);
    let has = |escape: &[u8]| text.windows(escape.len()).any(|part| part.eq_ignore_ascii_case(escape));
    let is_prefixed = text[..prefix].eq_ignore_ascii_case(b"b") || text[..prefix].eq_ignore_ascii_case(b"br");
    let is_escaped = || has(b"\\u") || has(b"\\N{") || (b'8'..=b'f').any(|digit| has(&[b'\\', b'x', digit]));
    token.kind == Kind::String && (is_prefixed || is_escaped())
}

/// `print (a, b)`, `print (a) % b`, `print [a]` and `print -a`.
fn is_other_print(source: &Source<'_>, statement: &Range<usize>) -> bool {
    let first = statement.start;
    if !source.is(first, "print") || first + 1 >= statement.end {
        return false;
    }
    let closes = (first + 2..statement.end).find(|at| source.is(*at, ")") && source.tokens[*at].depth == source.tokens[first].depth);
    let has_comma = || closes.is_some_and(|end| (first + 2..end).any(|at| source.is(at, ",") && source.tokens[at].depth == 1));
    source.is_any(first + 1, &["[", "-", "+"])
        || source.is(first + 1, "(") && (closes != Some(statement.end - 1) || closes == Some(first + 2) || has_comma())
}
