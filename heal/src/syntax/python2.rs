//! What only Python 2 takes, and what it means there. A construct is rewritten where Python 3 means the same by the new form.

use std::ops::Range;

use super::edit::Edit;
use super::rules::Class;
use super::statements::{self, at_top, block_end, scope};
use super::tokens::{Kind, Line, Source};

/// Something of Python 2, and its new form.
#[derive(Clone, Debug)]
pub(crate) struct Construct {
    pub(crate) class: Class,
    /// Where its statement begins.
    pub(crate) line: usize,
    /// None where there is no new form that is certain.
    pub(crate) edits: Vec<Edit>,
    /// Why the new form might mean something else.
    pub(crate) doubt: Option<&'static str>,
}

/// Everything of Python 2 that has a form in Python 3, in order.
pub(crate) fn constructs(source: &Source<'_>) -> Vec<Construct> {
    let mut found = Vec::new();
    for (at, line) in source.lines.iter().enumerate() {
        for statement in statements::of(source, line) {
            let reading = Reading { source, at, line, statement };
            found.extend([reading.print(), reading.exec(), reading.except(), reading.raise()].into_iter().flatten());
            found.extend(reading.operators());
        }
    }
    if !found.iter().any(|construct| construct.class != Class::Backticks) {
        // JavaScript and Markdown quote with them.
        for construct in &mut found {
            construct.doubt = Some("nothing else here is of Python 2, so the backticks may be quotes");
        }
    }
    found
}

/// A statement that may be one of Python 2.
struct Reading<'s, 't> {
    source: &'s Source<'t>,
    /// Its logical line.
    at: usize,
    line: &'s Line,
    statement: Range<usize>,
}

impl Reading<'_, '_> {
    fn construct(&self, class: Class, edits: Vec<(usize, usize, &str)>, doubt: Option<&'static str>) -> Construct {
        let line = self.source.tokens[self.statement.start].line;
        let number = |offset| super::edit::line_at(self.source.text, offset);
        let edits = edits
            .into_iter()
            .map(|(start, end, insert)| Edit { offset: start, len: end - start, insert: insert.to_owned(), class, line: number(start) })
            .collect();
        Construct { class, line, edits, doubt }
    }

    fn start(&self, at: usize) -> usize {
        self.source.tokens[at].start
    }

    fn end(&self, at: usize) -> usize {
        self.source.tokens[at].end
    }

    fn has_top(&self, from: usize, texts: &[&str]) -> bool {
        at_top(self.source, from..self.statement.end, texts).next().is_some()
    }

    /// A keyword and what follows it become a call.
    fn call(&self) -> Vec<(usize, usize, &'static str)> {
        let (first, last) = (self.statement.start, self.statement.end - 1);
        vec![(self.end(first), self.start(first + 1), "("), (self.end(last), self.end(last), ")")]
    }

    fn is_on_one_line(&self) -> bool {
        let (first, last) = (self.statement.start, self.statement.end - 1);
        self.source.tokens[first].line == self.source.tokens[last].line
    }

    /// Whether a keyword is followed by what begins an expression, and could not be an operand itself.
    fn is_keyword(&self, keyword: &str) -> bool {
        let next = self.statement.start + 1;
        let begins = |at: usize| match self.source.tokens[at].kind {
            Kind::Name => !self.source.is_any(at, &["in", "is", "and", "or", "if", "else", "for"]),
            Kind::Number | Kind::String => true,
            _ => self.source.is_any(at, &["{", "`", "~", ">>"]),
        };
        self.source.is(self.statement.start, keyword) && next < self.statement.end && begins(next)
    }

    fn print(&self) -> Option<Construct> {
        let (first, last) = (self.statement.start, self.statement.end - 1);
        if first == last && self.source.is(first, "print") {
            return Some(self.construct(Class::Print, Vec::new(), Some("a `print` alone is a statement of Python 2")));
        }
        if !self.is_keyword("print") {
            return None;
        }
        if self.source.is(first + 1, ">>") || self.source.is(last, ",") {
            return Some(self.construct(
                Class::Print,
                Vec::new(),
                Some("`print >>` and a comma behind the last argument have no exact form"),
            ));
        }
        let doubt = if self.has_top(first + 1, &["=", ":=", "for", "lambda", "yield", "print", ":", "*", "**"][..7]) {
            Some("as arguments of a call these would mean something else")
        } else if !self.is_on_one_line() {
            Some("it goes on over several lines")
        } else if self.has_soft_space() {
            Some("Python 2 writes no space behind an argument that ends a line")
        } else {
            None
        };
        Some(self.construct(Class::Print, self.call(), doubt))
    }

    fn has_soft_space(&self) -> bool {
        let ends_line = |at: usize| {
            let text = self.source.bytes(self.source.tokens[at]);
            let inner = text.strip_suffix(b"'").or_else(|| text.strip_suffix(b"\"")).unwrap_or(text);
            inner.ends_with(b"\\n") || inner.ends_with(b"\\t") || inner.ends_with(b"\\r")
        };
        let mut commas = at_top(self.source, self.statement.clone(), &[","]);
        commas.any(|at| at > 0 && ends_line(at - 1))
    }

    fn exec(&self) -> Option<Construct> {
        if !self.is_keyword("exec") {
            return None;
        }
        let first = self.statement.start;
        let into: Vec<usize> = at_top(self.source, first + 1..self.statement.end, &["in"]).collect();
        let mut edits = self.call();
        let doubt = match into[..] {
            _ if !self.is_on_one_line() || self.has_top(first + 1, &["=", "for", "lambda", "yield", "if", "not"]) => {
                Some("it is more than one simple `exec`")
            }
            [] if self.has_top(first + 1, &[","]) => Some("it is more than one simple `exec`"),
            [] if scope(self.source, self.at).1 => Some("within a function the new form cannot set variables of it"),
            [] => None,
            [into] => {
                edits.insert(1, (self.end(into - 1), self.end(into), ","));
                None
            }
            _ => Some("it has more than one `in`"),
        };
        Some(self.construct(Class::Exec, edits, doubt))
    }

    fn except(&self) -> Option<Construct> {
        let commas: Vec<usize> = at_top(self.source, self.statement.clone(), &[","]).collect();
        if !self.source.is(self.statement.start, "except") || self.has_top(self.statement.start, &["as"]) {
            return None;
        }
        let [comma] = commas[..] else { return None };
        let name = comma + 1;
        let doubt = if name + 1 != self.statement.end || self.source.tokens[name].kind != Kind::Name {
            Some("what follows the comma is no simple name")
        } else if !self.is_class(comma - 1) || self.may_be_a_class(name) {
            Some("two classes may be meant, which belong in brackets")
        } else if self.outlives(name) {
            Some("Python 3 forgets the name behind the block, and it is used elsewhere")
        } else {
            None
        };
        let gap = if self.start(name) == self.end(comma) { " as " } else { " as" };
        Some(self.construct(Class::ExceptComma, vec![(self.end(comma - 1), self.end(comma), gap)], doubt))
    }

    /// Whether what ends here is classes in brackets, or named as classes are.
    fn is_class(&self, last: usize) -> bool {
        let name = String::from_utf8_lossy(self.source.bytes(self.source.tokens[last])).into_owned();
        self.source.is(last, ")") || name.starts_with(|c: char| c.is_ascii_uppercase()) || name.ends_with("error")
    }

    fn may_be_a_class(&self, name: usize) -> bool {
        let text = String::from_utf8_lossy(self.source.bytes(self.source.tokens[name])).into_owned();
        let binds = |line: &Line| {
            let first = line.tokens.start;
            self.source.is_any(first, &["import", "from", "class"]) && line.tokens.clone().any(|at| self.source.is(at, &text))
        };
        text.starts_with(|c: char| !c.is_ascii_lowercase()) || self.source.lines.iter().any(binds)
    }

    /// Whether the name is used anywhere in its scope but in handlers that bind it.
    fn outlives(&self, name: usize) -> bool {
        let text = String::from_utf8_lossy(self.source.bytes(self.source.tokens[name])).into_owned();
        let lines = scope(self.source, self.at).0;
        let is_handler =
            |line: &Line| self.source.is(line.tokens.start, "except") && line.tokens.clone().any(|at| self.source.is(at, &text));
        let mut bound_until = 0;
        lines.into_iter().any(|at| {
            let line = &self.source.lines[at];
            if is_handler(line) {
                bound_until = bound_until.max(block_end(self.source, at));
            }
            at >= bound_until && line.tokens.clone().any(|token| self.source.is(token, &text))
        })
    }

    fn raise(&self) -> Option<Construct> {
        let commas: Vec<usize> = at_top(self.source, self.statement.clone(), &[","]).collect();
        let comma = commas.first().copied().filter(|_| self.source.is(self.statement.start, "raise"))?;
        let is_class = (self.statement.start + 1..comma).all(|at| self.source.tokens[at].kind == Kind::Name || self.source.is(at, "."));
        if !is_class || commas.len() > 1 || comma + 1 == self.statement.end || comma == self.statement.start + 1 {
            return Some(self.construct(Class::RaiseComma, Vec::new(), Some("it raises with a traceback, or no simple class")));
        }
        let doubt = (!self.is_text(comma + 1) || !self.is_on_one_line()).then_some("the value may be a tuple or an exception itself");
        let last = self.statement.end - 1;
        let edits = vec![(self.end(comma - 1), self.start(comma + 1), "("), (self.end(last), self.end(last), ")")];
        Some(self.construct(Class::RaiseComma, edits, doubt))
    }

    /// Whether the rest of the statement is a string, or one with something formatted into it or added to it.
    fn is_text(&self, from: usize) -> bool {
        let is_string = |at: &usize| self.source.tokens[*at].kind == Kind::String;
        let strings = (from..self.statement.end).take_while(is_string).count();
        let then = from + strings;
        let chooses = ["if", "or", "and", "not", "in", "is", "lambda", "<", ">", "<=", ">=", "==", "!=", "<>"];
        strings > 0 && (then == self.statement.end || self.source.is_any(then, &["%", "+"])) && !self.has_top(then, &chooses)
    }

    fn operators(&self) -> Vec<Construct> {
        let mut found = Vec::new();
        let ticks: Vec<usize> = self.statement.clone().filter(|at| self.source.is(*at, "`")).collect();
        for pair in ticks.chunks(2) {
            let [open, close] = *pair else { break };
            let has = |texts: &[&str]| at_top(self.source, open + 1..close, texts).next().is_some();
            let doubt =
                (close == open + 1 || has(&[",", "=", "for", ":", "yield"])).then_some("what is between them is no simple expression");
            let edits = vec![(self.start(open), self.end(open), "repr("), (self.start(close), self.end(close), ")")];
            found.push(self.construct(Class::Backticks, edits, doubt));
        }
        for at in self.statement.clone() {
            if self.source.is(at, "<>") {
                found.push(self.construct(Class::NotEqual, vec![(self.start(at), self.end(at), "!=")], None));
            }
            found.extend(self.octal(at));
        }
        found
    }

    fn octal(&self, at: usize) -> Option<Construct> {
        let token = self.source.tokens[at];
        let text = self.source.bytes(token);
        let zeros = text.iter().take_while(|byte| **byte == b'0').count();
        let is_old = token.kind == Kind::Number && zeros > 0 && zeros < text.len() && text.iter().all(|byte| (b'0'..=b'7').contains(byte));
        if !is_old {
            return None;
        }
        let digits = String::from_utf8_lossy(&text[zeros..]);
        // A digit alone is the same number in either base.
        if text.len() - zeros == 1 {
            return Some(self.construct(Class::Octal, vec![(token.start, token.end, &digits)], None));
        }
        let doubt = (!self.is_mode(at)).then_some("a decimal number may be meant");
        Some(self.construct(Class::Octal, vec![(token.start, token.end, &format!("0o{digits}"))], doubt))
    }

    /// Whether a number is the mode of a file: an argument of a call that takes one, or called so.
    fn is_mode(&self, number: usize) -> bool {
        let depth = self.source.tokens[number].depth;
        let modes = ["chmod", "fchmod", "lchmod", "mkdir", "makedirs", "umask", "mkfifo", "mknod"];
        let open = (self.line.tokens.start..number).rev().find(|at| self.source.is(*at, "(") && self.source.tokens[*at].depth + 1 == depth);
        let is_called = open.is_some_and(|open| open > 0 && self.source.is_any(open - 1, &modes));
        let is_named =
            number > 1 && self.source.is(number - 1, "=") && self.source.is_any(number - 2, &["mode", "umask", "perms", "permissions"]);
        depth > 0 && is_called || is_named
    }
}
