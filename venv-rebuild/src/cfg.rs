//! `pyvenv.cfg` line by line, so that what is not understood stays as it is.

use std::io;
use std::path::Path;

/// The lines of a `pyvenv.cfg`, read as CPython's `site` reads them: `key = value`, keys in any case, no sections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cfg(Vec<Vec<u8>>);

impl Cfg {
    /// Reads the file of an environment; one that is not there is empty.
    pub(crate) fn read(venv: &Path) -> io::Result<Self> {
        match std::fs::read(venv.join("pyvenv.cfg")) {
            Ok(bytes) => Ok(Self::parse(&bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(e),
        }
    }

    pub(crate) fn parse(bytes: &[u8]) -> Self {
        Self(bytes.split_inclusive(|&b| b == b'\n').map(|line| line.trim_ascii_end().to_vec()).collect())
    }

    pub(crate) fn render(&self) -> Vec<u8> {
        let mut bytes = self.0.join(&b'\n');
        bytes.push(b'\n');
        bytes
    }

    /// The value of the first line with that key, which is the one that CPython's `getpath` takes.
    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        self.0.iter().find_map(|line| pair(line).filter(|(name, _)| name.eq_ignore_ascii_case(key.as_bytes()))).map(|(_, value)| value)
    }

    /// Gives a key a value, in its place where it has one and at the end where not.
    pub(crate) fn set(&mut self, key: &str, value: &[u8]) {
        let new = [key.as_bytes(), b" = ", value].concat();
        match self.0.iter_mut().find(|line| pair(line).is_some_and(|(name, _)| name.eq_ignore_ascii_case(key.as_bytes()))) {
            Some(line) => *line = new,
            None => self.0.push(new),
        }
    }

    /// Gives a key a value only where it already has one: each creator writes keys of its own.
    pub(crate) fn update(&mut self, key: &str, value: &[u8]) {
        if self.get(key).is_some() {
            self.set(key, value);
        }
    }
}

fn pair(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = line.iter().position(|&b| b == b'=')?;
    Some((line[..at].trim_ascii(), line[at + 1..].trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_key_changes_and_the_rest_stays() {
        let mut cfg = Cfg::parse(b"HOME = /old/bin\n# note\nprompt = a=b\n");
        cfg.set("home", b"/new/bin");
        cfg.set("version", b"3.12.1");
        cfg.update("executable", b"/x");
        assert_eq!(cfg.get("prompt"), Some(&b"a=b"[..]));
        assert_eq!(cfg.render(), b"home = /new/bin\n# note\nprompt = a=b\nversion = 3.12.1\n");
    }

    proptest! {
        #[test]
        fn a_value_that_was_set_is_read_back(bytes: Vec<u8>, value in "[!-~]{0,20}") {
            let mut cfg = Cfg::parse(&bytes);
            cfg.set("home", value.as_bytes());
            let again = Cfg::parse(&cfg.render());
            prop_assert_eq!(again.get("home"), Some(value.as_bytes()));
        }
    }
}
