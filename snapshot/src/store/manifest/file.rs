//! A manifest as a file, sealed or not.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Entry, Header, Manifest};
use crate::store::address::Address;
use crate::store::seal::{Identities, SEALED};

/// What the name of a manifest ends in.
pub(crate) const SUFFIX: &str = ".jsonl.zst";
/// A manifest is held in memory; a larger one is no manifest of ours.
const LARGEST: u64 = 2 << 30;
const LEVEL: i32 = 1;

/// The last line.
#[derive(Serialize, Deserialize)]
struct End {
    sha256: Address,
}

impl Manifest {
    /// The bytes of the file.
    ///
    /// # Errors
    /// It is one that nobody would read again.
    pub(crate) fn render(&self) -> anyhow::Result<Vec<u8>> {
        self.check()?;
        let mut text = Vec::with_capacity(1024 + self.entries.len() * 256);
        line(&mut text, &self.header)?;
        let rendered = self.entries.par_chunks(1024).map(lines).collect::<anyhow::Result<Vec<_>>>()?;
        text.extend(rendered.into_iter().flatten());
        let sha256 = Address::of(&text);
        line(&mut text, &End { sha256 })?;
        zstd::bulk::compress(&text, LEVEL).context("cannot compress a manifest")
    }

    /// Reads and checks one.
    ///
    /// # Errors
    /// It cannot be read, is damaged, of a newer version, or names paths that no snapshot has.
    pub(crate) fn read(path: &Path, identities: &Identities) -> anyhow::Result<Self> {
        let read = || {
            let mut text = Vec::new();
            if is_sealed(path) {
                zstd::Decoder::new(identities.open(path)?)?.take(LARGEST).read_to_end(&mut text)?;
            } else {
                zstd::Decoder::new(File::open(path)?)?.take(LARGEST).read_to_end(&mut text)?;
            }
            Self::parse(&text)
        };
        read().with_context(|| format!("cannot read the manifest {}", shown(path)))
    }

    fn parse(text: &[u8]) -> anyhow::Result<Self> {
        let body = text.strip_suffix(b"\n").context("its end is missing")?;
        let last = body.iter().rposition(|byte| *byte == b'\n').context("it is one line")? + 1;
        let end: End = serde_json::from_slice(&body[last..]).context("its last line is no hash")?;
        anyhow::ensure!(Address::of(&text[..last]) == end.sha256, "it is damaged: its hash is another");
        let first = text.iter().position(|byte| *byte == b'\n').context("it is empty")? + 1;
        let header = header(&text[..first])?;
        let lines: Vec<&[u8]> = text[first..last].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let entry =
            |(number, line): (usize, &&[u8])| serde_json::from_slice(line).with_context(|| format!("line {} is no entry", number + 2));
        let entries = lines.par_iter().enumerate().map(entry).collect::<anyhow::Result<Vec<Entry>>>()?;
        let manifest = Self { header, entries };
        manifest.check()?;
        Ok(manifest)
    }
}

/// Reads the header alone.
///
/// # Errors
/// As [`Manifest::read`], as far as the first line shows it.
pub(crate) fn read_header(path: &Path) -> anyhow::Result<Header> {
    let read = || {
        if is_sealed(path) {
            return header(&fs::read(open_header(path))?);
        }
        let mut first = Vec::new();
        BufReader::new(zstd::Decoder::new(File::open(path)?)?).take(64 << 20).read_until(b'\n', &mut first)?;
        header(first.strip_suffix(b"\n").context("its first line is torn")?)
    };
    read().with_context(|| format!("cannot read the manifest {}", shown(path)))
}

fn header(line: &[u8]) -> anyhow::Result<Header> {
    #[derive(Deserialize)]
    struct Version {
        v: u64,
    }
    let Version { v } = serde_json::from_slice(line).context("its first line is no header")?;
    anyhow::ensure!(v <= Header::VERSION, "it is of a newer snapshot (version {v}); use that one");
    serde_json::from_slice(line).context("its first line is no header")
}

fn lines(entries: &[Entry]) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(entries.len() * 256);
    entries.iter().try_for_each(|entry| line(&mut text, entry)).map(|()| text)
}

fn line<T: Serialize>(text: &mut Vec<u8>, value: &T) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *text, value).context("cannot render a manifest")?;
    text.write_all(b"\n").context("cannot render a manifest")
}

/// The manifests of a folder by id, in no order.
///
/// # Errors
/// The folder cannot be listed.
pub(crate) fn ids(folder: &Path) -> anyhow::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).with_context(|| format!("cannot list {}", shown(folder))),
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.strip_suffix(SEALED).unwrap_or(&name).strip_suffix(SUFFIX).map(str::to_owned)).collect())
}

fn is_sealed(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(SEALED.as_bytes())
}

/// Beside a sealed manifest: what anybody may know of it.
pub(crate) fn open_header(sealed: &Path) -> PathBuf {
    let name = sealed.file_name().unwrap_or_default().to_string_lossy();
    sealed.with_file_name(name.replacen(&format!("{SUFFIX}{SEALED}"), ".header.json", 1))
}
