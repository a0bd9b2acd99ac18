//! A whole text: what may stand before and behind its value.

use crate::json::chars;
use crate::json::class::Class;
use crate::json::consumer::Consumer;
use crate::json::edit::Edit;
use crate::json::mender::{Comma, Mender, Stop};
use crate::json::verdict::Why;

/// What makes a text JSON.
pub(super) struct Mended {
    /// In the order of the text.
    pub(super) edits: Vec<Edit>,
    /// Whether some bracket stands elsewhere than the line of its partner lets expect.
    pub(super) is_askew: bool,
}

pub(super) fn mend(text: &[u8], consumer: Consumer) -> Result<Mended, Stop> {
    let mut mender = Mender::new(text, consumer);
    mender.document()?;
    Ok(Mended { is_askew: mender.is_askew, edits: mender.edits.placed(text) })
}

impl Mender<'_> {
    fn document(&mut self) -> Result<(), Stop> {
        self.merge_mark();
        self.opening_fence();
        if !self.value()? {
            return Err(self.unexpected());
        }
        self.closing_fence();
        self.more_values()?;
        while matches!(self.byte(), Some(b'}' | b']')) {
            self.drop_to(self.at + 1, Class::ExtraCloser);
            self.blank();
        }
        if !self.is_at_end() {
            return Err(self.unexpected());
        }
        if self.text.len() < self.padded.len() {
            self.drop_to(self.padded.len(), Class::NulPadding);
        }
        Ok(())
    }

    fn unexpected(&self) -> Stop {
        let c = std::str::from_utf8(&self.text[self.at..]).ok().and_then(|rest| rest.chars().next());
        self.stop(c.map_or(Why::NoValue, Why::Unexpected))
    }

    fn opening_fence(&mut self) {
        self.blank();
        let (len, class) = match self.text[self.at..] {
            [b'`', b'`', b'`', ..] => (3, Class::CodeFence),
            [b'[' | b'{', b'`', b'`', b'`', ..] => (4, Class::ExtraCloser),
            _ => return,
        };
        let name = self.at + len;
        let is_name = self.text.get(name).is_some_and(|&byte| chars::starts_name(byte));
        let language = if is_name { self.text[name..].iter().take_while(|&&byte| chars::is_in_name(byte)).count() } else { 0 };
        self.drop_to(name + language, class);
        self.blank();
    }

    fn closing_fence(&mut self) {
        if self.text[self.at..].starts_with(b"```") {
            self.drop_to(self.at + 3, Class::CodeFence);
            self.blank();
        }
    }

    /// Makes a list of values that stand one behind the other, each on a line of its own or behind a comma.
    fn more_values(&mut self) -> Result<(), Stop> {
        let has_comma = self.is_at(b',');
        let may_follow = has_comma || self.new_line;
        if has_comma {
            self.written_comma();
        }
        if !(may_follow && chars::starts_value(self.text, self.at)) {
            if has_comma {
                self.uncomma(Class::StrayComma);
            }
            return Ok(());
        }
        if !has_comma {
            self.comma_between();
        }
        while self.value()? {
            self.comma_between();
        }
        self.uncomma(Class::StrayComma);
        let mark = if self.text.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
        self.edits.before_all(mark, "[\n", Class::SeveralValues);
        self.insert(self.text.len(), "\n]", Class::SeveralValues);
        Ok(())
    }

    fn comma_between(&mut self) {
        if self.is_at(b',') {
            return self.written_comma();
        }
        self.comma = Comma::Inserted(self.edits.mark());
        self.insert_behind(",", Class::SeveralValues);
    }
}
