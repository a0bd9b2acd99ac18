//! The state of a repair on its way through a text, and what stands between the tokens.

use memchr::memmem;

use crate::json::chars;
use crate::json::class::Class;
use crate::json::consumer::Consumer;
use crate::json::edit::Edits;
use crate::json::structure::Frame;
use crate::json::verdict::Why;

/// A place at which no repair is known.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) at: usize,
    pub(super) why: Why,
}

/// The comma that stands or was put before what is being read, to be taken away when nothing follows it.
#[derive(Clone, Copy)]
pub(super) enum Comma {
    Written {
        at: usize,
        behind: usize,
    },
    /// The number of the edit.
    Inserted(usize),
}

/// Reads a text and notes the edits that make it JSON.
///
/// It never looks at a stretch of the text more than a fixed number of times, and needs no stack of calls for what is nested.
pub(super) struct Mender<'t> {
    /// Without what pads it.
    pub(super) text: &'t [u8],
    pub(super) padded: &'t [u8],
    pub(super) at: usize,
    /// Behind the last token that stays.
    pub(super) last: usize,
    /// Whether a line ended since then.
    pub(super) new_line: bool,
    /// Where the current line starts.
    pub(super) line: usize,
    /// A line, and how far it is indented.
    pub(super) indent: (usize, usize),
    pub(super) comma: Comma,
    pub(super) edits: Edits,
    pub(super) stack: Vec<Frame>,
    /// Whether some bracket stands elsewhere than the line of its partner lets expect.
    pub(super) is_askew: bool,
    /// Whether lines and indents do not tell everywhere what is in what.
    pub(super) is_loose: bool,
    /// For each kind of quotes: a string that starts before this has no end that could be its own.
    pub(super) doomed: [usize; 4],
    /// From where the next end of a comment was looked for, and where it is.
    pub(super) comment: (usize, usize),
    merge: Merge,
    consumer: Consumer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Merge {
    Outside,
    FirstSide,
    /// There is none from here on.
    Never,
}

impl<'t> Mender<'t> {
    pub(super) fn new(padded: &'t [u8], consumer: Consumer) -> Self {
        Self {
            text: without_padding(padded),
            padded,
            at: 0,
            last: 0,
            new_line: false,
            line: 0,
            indent: (usize::MAX, 0),
            comma: Comma::Written { at: 0, behind: 0 },
            edits: Edits::default(),
            stack: Vec::new(),
            is_askew: false,
            is_loose: false,
            doomed: [0; 4],
            comment: (usize::MAX, 0),
            merge: Merge::Outside,
            consumer,
        }
    }

    pub(super) fn byte(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(super) fn is_at(&self, byte: u8) -> bool {
        self.byte() == Some(byte)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    pub(super) fn stop(&self, why: Why) -> Stop {
        Stop { at: self.at, why }
    }

    pub(super) fn insert(&mut self, at: usize, what: &'static str, class: Class) {
        self.edits.replace(at..at, what, class);
    }

    /// An insertion right behind the last token, before the white space that follows it.
    pub(super) fn insert_behind(&mut self, what: &'static str, class: Class) {
        self.insert(self.last, what, class);
    }

    pub(super) fn keeps_comments(&self) -> bool {
        self.consumer.takes(Class::Comment)
    }

    /// Takes out what stands up to a place, unless the consumer takes it as it is.
    pub(super) fn drop_to(&mut self, end: usize, class: Class) {
        if !self.consumer.takes(class) {
            self.edits.replace(self.at..end, "", class);
        }
        self.at = end;
    }

    /// Goes behind a token that stays.
    pub(super) fn keep_to(&mut self, end: usize) {
        self.at = end;
        self.last = end;
        self.new_line = false;
    }

    /// Takes the comma back that nothing follows.
    pub(super) fn uncomma(&mut self, class: Class) {
        match self.comma {
            Comma::Inserted(number) => self.edits.forget(number),
            Comma::Written { .. } if self.consumer.takes(class) => {}
            Comma::Written { at, behind } => {
                self.edits.replace(at..at + 1, "", class);
                self.last = behind;
            }
        }
    }

    /// Goes behind white space, comments and the marks of a merge.
    pub(super) fn blank(&mut self) {
        loop {
            self.at = chars::while_is(self.text, self.at, |byte| matches!(byte, b' ' | b'\t' | b'\r'));
            match self.byte() {
                Some(b'\n') => {
                    self.at += 1;
                    self.start_line();
                }
                Some(b'/') if self.comment() => {}
                Some(0x0b | 0x0c | 0xc2 | 0xe1 | 0xe2 | 0xe3 | 0xef) if self.odd_space() => {}
                _ => return,
            }
        }
    }

    fn start_line(&mut self) {
        self.new_line = true;
        self.line = self.at;
        self.merge_mark();
    }

    fn odd_space(&mut self) -> bool {
        let len = chars::odd_space(self.text, self.at);
        let end = self.at + len;
        if self.at == 0 && self.text.starts_with("\u{feff}".as_bytes()) {
            self.drop_to(end, Class::ByteOrderMark);
        } else if len > 0 {
            self.edits.replace(self.at..end, " ", Class::OddSpace);
            self.at = end;
        }
        len > 0
    }

    fn comment(&mut self) -> bool {
        let rest = &self.text[self.at..];
        if rest.starts_with(b"//") {
            let end = memchr::memchr2(b'\n', b'\r', rest).map_or(self.text.len(), |newline| self.at + newline);
            self.drop_to(end, Class::Comment);
            return true;
        }
        if !rest.starts_with(b"/*") {
            return false;
        }
        match memmem::find(&rest[2..], b"*/") {
            Some(end) => self.drop_to(self.at + end + 4, Class::Comment),
            None => self.drop_to(self.text.len(), Class::OpenComment),
        }
        true
    }

    /// At the start of a line: takes out the marks of a merge, and its second side.
    pub(super) fn merge_mark(&mut self) {
        let rest = &self.text[self.at..];
        let end_of_line = |from: usize| memchr::memchr(b'\n', &self.text[from..]).map_or(self.text.len(), |newline| from + newline);
        match self.merge {
            Merge::Outside if rest.starts_with(b"<<<<<<< ") => {
                let has_end = memmem::find(rest, b"\n=======").is_some_and(|middle| memmem::find(&rest[middle..], b"\n>>>>>>> ").is_some());
                if has_end {
                    self.drop_to(end_of_line(self.at), Class::MergeMarkers);
                }
                self.merge = if has_end { Merge::FirstSide } else { Merge::Never };
            }
            Merge::FirstSide if rest.starts_with(b"=======") || rest.starts_with(b"||||||| ") => {
                if let Some(last) = memmem::find(rest, b"\n>>>>>>> ") {
                    self.drop_to(end_of_line(self.at + last + 1), Class::MergeMarkers);
                }
                self.merge = Merge::Outside;
            }
            _ => {}
        }
    }
}

/// A text without the zero bytes at its end, and the white space behind the first of them.
fn without_padding(text: &[u8]) -> &[u8] {
    let is_padding = |&byte: &u8| byte == 0 || chars::is_space(byte);
    let end = text.iter().rposition(|byte| !is_padding(byte)).map_or(0, |last| last + 1);
    memchr::memchr(0, &text[end..]).map_or(text, |first| &text[..end + first])
}
