//! Encryption to age recipients (age-encryption.org/v1): `age -d -i KEY` opens what is sealed here.

use std::fs::{self, File};
use std::io::{BufReader, Read, Seek as _, SeekFrom, Write};
use std::path::Path;

use age::x25519::{Identity, Recipient};
use age::{DecryptError, Decryptor, Encryptor};
use anyhow::Context as _;
use contract::path::shown;

/// What the name of a sealed file ends in.
pub(crate) const SEALED: &str = ".age";

/// Whom a snapshot is sealed to; nobody where it is not.
#[derive(Clone, Default)]
pub(crate) struct Recipients(Vec<Recipient>);

impl Recipients {
    /// Reads recipients as `age-keygen` prints them.
    ///
    /// # Errors
    /// One is none.
    pub(crate) fn parse<S: AsRef<str>>(texts: &[S]) -> anyhow::Result<Self> {
        anyhow::ensure!(
            texts.iter().all(|text| !text.as_ref().is_empty()),
            "nobody is named to encrypt to: --encrypt-to or MENDLINE_ENCRYPT_TO is empty; name an age recipient, or unset it"
        );
        let one = |text: &S| text.as_ref().parse().map_err(|why| anyhow::anyhow!("`{}` is no age recipient (age1…): {why}", text.as_ref()));
        texts.iter().map(one).collect::<anyhow::Result<_>>().map(Self)
    }

    /// These and those, each once.
    pub(crate) fn and(&self, others: &Self) -> Self {
        let mut all = self.0.clone();
        all.extend(others.0.iter().filter(|other| !self.names().contains(&other.to_string())).cloned());
        Self(all)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As a manifest names them.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    /// Wraps a writer so that what is written to it is sealed.
    pub(crate) fn seal<W: Write>(&self, output: W) -> anyhow::Result<age::stream::StreamWriter<W>> {
        let recipients = self.0.iter().map(|recipient| recipient as &dyn age::Recipient);
        let encryptor = Encryptor::with_recipients(recipients).context("cannot encrypt to these recipients")?;
        encryptor.wrap_output(output).context("cannot write what is encrypted")
    }

    /// Seals bytes.
    pub(crate) fn sealed(&self, bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut writer = self.seal(Vec::with_capacity(bytes.len() + 512))?;
        writer.write_all(bytes).and_then(|()| writer.finish()).context("cannot encrypt")
    }
}

/// The keys that open what is sealed; none where none was named.
#[derive(Clone, Default)]
pub(crate) struct Identities(Vec<Identity>);

/// What is encrypted, and opened by none of the keys that were named.
#[derive(Debug)]
pub(crate) struct Locked;

impl std::fmt::Display for Locked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("it is encrypted, and no key was named that opens it; name the file of yours with --identity")
    }
}

impl std::error::Error for Locked {}

impl Identities {
    /// Reads a file of keys as `age-keygen` writes it.
    ///
    /// # Errors
    /// It cannot be read, or a line of it is no key.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read the keys in {}", shown(file)))?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
        let key = |(number, line): (usize, &str)| {
            line.trim().parse().map_err(|why| anyhow::anyhow!("{} line {} is no age key: {why}", shown(file), number + 1))
        };
        lines.map(key).collect::<anyhow::Result<_>>().map(Self)
    }

    /// Opens a sealed file.
    ///
    /// # Errors
    /// No key fits ([`Locked`]), or the file is damaged.
    pub(crate) fn open(&self, path: &Path) -> anyhow::Result<age::stream::StreamReader<BufReader<File>>> {
        let file = File::open(path).with_context(|| format!("cannot open {}", shown(path)))?;
        let decryptor = Decryptor::new_buffered(BufReader::new(file)).with_context(|| format!("cannot decrypt {}", shown(path)))?;
        match decryptor.decrypt(self.0.iter().map(|key| key as &dyn age::Identity)) {
            Err(DecryptError::NoMatchingKeys) => Err(Locked.into()),
            opened => opened.with_context(|| format!("cannot decrypt {}", shown(path))),
        }
    }

    /// All of a sealed file, up to `most` bytes.
    pub(crate) fn all(&self, path: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(path)?.take(most).read_to_end(&mut bytes).with_context(|| format!("cannot decrypt {}", shown(path)))?;
        Ok(bytes)
    }

    /// A part of a sealed file.
    pub(crate) fn part(&self, path: &Path, offset: u64, length: usize) -> anyhow::Result<Vec<u8>> {
        let mut reader = self.open(path)?;
        let mut bytes = vec![0; length];
        reader
            .seek(SeekFrom::Start(offset))
            .and_then(|_| reader.read_exact(&mut bytes))
            .with_context(|| format!("cannot decrypt {}", shown(path)))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_opened_by_its_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (key, other) = (Identity::generate(), Identity::generate());
        let sealed = Recipients(vec![key.to_public()]).sealed(b"secret, and more of it").unwrap();
        let path = folder.path().join("x.age");
        File::create(&path).unwrap().write_all(&sealed).unwrap();
        assert_eq!(Identities(vec![key.clone()]).all(&path, 1 << 20).unwrap(), b"secret, and more of it");
        assert_eq!(Identities(vec![key]).part(&path, 8, 3).unwrap(), b"and");
        assert!(Identities(vec![other]).all(&path, 1 << 20).is_err());
        let none = Identities::default().all(&path, 1 << 20).unwrap_err();
        assert!(format!("{none:#}").contains("--identity"));
    }
}
