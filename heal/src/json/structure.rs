//! Lists and objects: what is nested, and what is missing between and behind their members.

use crate::json::chars;
use crate::json::class::Class;
use crate::json::mender::{Comma, Mender, Stop};
use crate::json::verdict::Why;

/// Something that is open.
pub(super) struct Frame {
    kind: Kind,
    /// Whether nothing has been read in it yet.
    is_fresh: bool,
    /// Where the line of its opening bracket starts.
    line: usize,
    /// How far that is indented.
    indent: usize,
    /// How its members stand; nothing before the first.
    layout: Option<Layout>,
}

/// How the members of something stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// On the line of the bracket.
    InLine,
    /// Each on a line of its own, so many bytes in.
    Lines(usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    List,
    Object,
    /// A call of a function, whose argument is the value.
    Call,
}

impl Kind {
    fn closer(self) -> (u8, &'static str) {
        match self {
            Self::List => (b']', "]"),
            Self::Object => (b'}', "}"),
            Self::Call => (b')', ")"),
        }
    }
}

impl Mender<'_> {
    /// Goes behind a value and the white space around it, if there is one.
    pub(super) fn value(&mut self) -> Result<bool, Stop> {
        if !self.begin()? {
            return Ok(false);
        }
        while let Some(frame) = self.stack.last_mut() {
            let is_first = std::mem::take(&mut frame.is_fresh);
            match frame.kind {
                Kind::List => self.element(is_first)?,
                Kind::Object => self.member(is_first)?,
                Kind::Call => self.argument(is_first)?,
            }
        }
        Ok(true)
    }

    /// Goes behind a scalar, or into something that opens.
    fn begin(&mut self) -> Result<bool, Stop> {
        self.blank();
        match self.byte() {
            Some(b'{') => self.open(Kind::Object),
            Some(b'[') => self.open(Kind::List),
            Some(_) if self.string()? || self.number() || self.word() || self.unquoted_value()? || self.regex()? => self.blank(),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn open(&mut self, kind: Kind) {
        self.push(kind);
        self.keep_to(self.at + 1);
        self.blank();
        if self.is_at(b',') {
            self.drop_to(self.at + 1, Class::StrayComma);
            self.blank();
        }
    }

    pub(super) fn push(&mut self, kind: Kind) {
        let indent = self.indent();
        self.stack.push(Frame { kind, is_fresh: true, line: self.line, indent, layout: None });
    }

    /// How far the current line is indented, in bytes; looked at once for each line, which may be all of the text.
    fn indent(&mut self) -> usize {
        if self.indent.0 != self.line {
            let spaces = self.text[self.line..].iter().take_while(|&&byte| chars::is_space(byte) && byte != b'\n').count();
            self.indent = (self.line, spaces);
        }
        self.indent.1
    }

    /// Notes how a member stands that begins here: where lines and their indents do not tell what is in what, nobody knows where a bracket
    /// that is missing belongs.
    fn lay(&mut self) {
        let (line, at, indent) = (self.line, self.at, self.indent());
        let Some(frame) = self.stack.last_mut() else { return };
        let now = if at == line + indent && line != frame.line { Layout::Lines(indent) } else { Layout::InLine };
        let before = *frame.layout.get_or_insert(now);
        let is_deeper = !matches!(now, Layout::Lines(indent) if indent <= frame.indent);
        let is_told = match (before, now) {
            (Layout::Lines(_), Layout::InLine) => true,
            _ => before == now,
        };
        self.is_loose |= !(is_told && is_deeper);
        self.is_loose |= before == Layout::InLine && matches!(self.byte(), Some(b'{' | b'['));
    }

    fn element(&mut self, is_first: bool) -> Result<(), Stop> {
        if self.goes_on(b']', is_first) && !self.begin()? {
            self.close_behind_comma(is_first);
        }
        Ok(())
    }

    /// Goes to the next member, if there is one, else behind the end of what is open.
    fn goes_on(&mut self, closer: u8, is_first: bool) -> bool {
        if self.is_at_end() || self.is_at(closer) {
            self.close();
            return false;
        }
        if !is_first {
            self.comma();
        }
        self.ellipsis();
        self.lay();
        true
    }

    fn member(&mut self, is_first: bool) -> Result<(), Stop> {
        if !self.goes_on(b'}', is_first) {
            return Ok(());
        }
        if !self.string()? && !self.unquoted_key()? {
            if !matches!(self.byte(), None | Some(b'{' | b'}' | b'[' | b']')) {
                return Err(self.stop(Why::KeyExpected));
            }
            self.close_behind_comma(is_first);
            return Ok(());
        }
        self.blank();
        self.member_value()
    }

    fn member_value(&mut self) -> Result<(), Stop> {
        let (has_colon, breaks_off) = (self.is_at(b':'), self.is_at_end());
        let is_in_line = self.stack.last().is_some_and(|frame| frame.layout == Some(Layout::InLine));
        if has_colon {
            self.keep_to(self.at + 1);
        } else if breaks_off || chars::starts_value(self.text, self.at) {
            self.insert_behind(":", if breaks_off { Class::Truncated } else { Class::MissingColon });
        } else {
            return Err(self.stop(Why::ColonExpected));
        }
        self.blank();
        self.is_loose |= is_in_line && matches!(self.byte(), Some(b'{' | b'['));
        if self.begin()? {
            return Ok(());
        }
        if !has_colon && !breaks_off {
            return Err(self.stop(Why::ColonExpected));
        }
        let class = if self.is_at_end() { Class::Truncated } else { Class::MissingValue };
        // A comment that stays would swallow what stands behind it.
        if !self.keeps_comments() {
            self.last = self.at;
        }
        self.insert_behind("null", class);
        Ok(())
    }

    fn argument(&mut self, is_first: bool) -> Result<(), Stop> {
        if is_first {
            return if self.begin()? { Ok(()) } else { Err(self.stop(Why::NoValue)) };
        }
        self.stack.pop();
        if self.is_at(b')') {
            self.drop_to(self.at + 1, Class::Call);
            if self.is_at(b';') {
                self.drop_to(self.at + 1, Class::Call);
            }
        }
        self.blank();
        Ok(())
    }

    /// Goes behind the comma before a member, or puts one there.
    fn comma(&mut self) {
        // Python joins two strings that nothing parts, and a text in single quotes may have been one of Python's.
        let may_be_one = self.is_at(b'\'') && self.text[..self.last].ends_with(b"'");
        let class = if self.new_line && !may_be_one { Class::MissingComma } else { Class::MissingCommaInLine };
        if !self.is_at(b',') {
            self.comma = Comma::Inserted(self.edits.mark());
            return self.insert_behind(",", class);
        }
        self.written_comma();
    }

    pub(super) fn written_comma(&mut self) {
        self.comma = Comma::Written { at: self.at, behind: self.last };
        self.keep_to(self.at + 1);
        self.blank();
    }

    fn ellipsis(&mut self) {
        self.blank();
        if !self.is_at(b'.') || !self.text[self.at..].starts_with(b"...") {
            return;
        }
        self.drop_to(self.at + 3, Class::Ellipsis);
        self.blank();
        if self.is_at(b',') {
            self.drop_to(self.at + 1, Class::Ellipsis);
            self.blank();
        }
    }

    fn close_behind_comma(&mut self, is_first: bool) {
        if !is_first {
            self.uncomma(if self.is_at_end() { Class::Truncated } else { Class::TrailingComma });
        }
        self.close();
    }

    /// Goes behind the closing bracket of what is open, or puts one there.
    fn close(&mut self) {
        let Some(frame) = self.stack.pop() else { return };
        let (closer, inserted) = frame.kind.closer();
        if self.is_at(closer) {
            self.is_askew |= self.is_indented_otherwise(frame.line);
            self.keep_to(self.at + 1);
        } else {
            let class = if self.ends_whole() { Class::MissingCloser } else { Class::MisplacedCloser };
            self.insert_behind(inserted, class);
        }
        self.blank();
    }

    /// Whether a closing bracket that is the first on its line is indented otherwise than the line of the opening one.
    ///
    /// Then one that is missing may be missing there, and not at the end.
    fn is_indented_otherwise(&mut self, line: usize) -> bool {
        let is_first = self.at == self.line + self.indent();
        let indent = &self.text[self.line..self.at];
        let partner = &self.text[line..];
        is_first
            && line != self.line
            && !(partner.starts_with(indent) && partner.get(indent.len()).is_some_and(|&byte| !chars::is_space(byte)))
    }

    /// Whether the text ends here, behind a token of which nothing can be missing.
    fn ends_whole(&self) -> bool {
        let (before, behind) = self.padded.split_at(self.last);
        let is_whole = match before.last() {
            Some(b'0'..=b'9') => !behind.is_empty(),
            Some(b'[' | b'{' | b',' | b':') | None => false,
            Some(_) => true,
        };
        is_whole && !self.is_askew && !self.is_loose && self.is_at_end() && behind.iter().all(|&byte| chars::is_space(byte))
    }
}
