//! Every content of the store: where it is, and its bytes.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::Context as _;
use contract::path::shown;
use rayon::prelude::*;

use crate::store::address::Address;
use crate::store::pack::{self, INDEX, PACK, Place};
use crate::store::seal::{Identities, Locked, SEALED};

/// An index is held in memory; a larger one is none of ours.
const LARGEST_INDEX: u64 = 1 << 30;

/// What the packs of a store hold.
pub(crate) struct Contents {
    packs: Vec<Pack>,
    places: HashMap<Address, (usize, Place)>,
    /// Where else a content is: what was put back after damage, or added by two runs at once.
    spares: HashMap<Address, Vec<(usize, Place)>>,
    /// What was read back, and whether it is as it was written; kept only where nothing is taken on trust.
    proofs: Option<Mutex<HashMap<Address, bool>>>,
}

/// One pack.
pub(crate) struct Pack {
    pub(crate) path: PathBuf,
    /// What its index says, or a scan where the index is gone or damaged.
    pub(crate) index: Vec<(Address, Place)>,
    /// Why not all of it can be read, as far as the index shows it.
    pub(crate) damage: Option<String>,
    bytes: Bytes,
}

/// How a part of a pack is read.
enum Bytes {
    Plain(OnceLock<File>),
    Sealed(Identities),
}

impl Contents {
    /// Nothing at all.
    pub(crate) fn none() -> Self {
        Self::of(Vec::new())
    }

    /// Reads the indexes of all packs in a folder that `identities` open, and of all that are not sealed.
    ///
    /// # Errors
    /// The folder cannot be listed. A pack that cannot be read is damage, and hides no other.
    pub(crate) fn load(folder: &Path, identities: &Identities) -> anyhow::Result<Self> {
        let sealed = packs(folder, &format!("{PACK}{SEALED}"))?;
        let open = |path| Pack::open_sealed(path, identities);
        let mut packs: Vec<Pack> =
            packs(folder, PACK)?.into_par_iter().map(Pack::open).chain(sealed.into_par_iter().filter_map(open)).collect();
        packs.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self::of(packs))
    }

    /// What is in one sealed pack; nothing where it cannot be opened.
    pub(crate) fn of_sealed(pack: &Path, identities: &Identities) -> Self {
        Self::of(Pack::open_sealed(pack.to_owned(), identities).into_iter().collect())
    }

    fn of(packs: Vec<Pack>) -> Self {
        let mut places = HashMap::with_capacity(packs.iter().map(|pack| pack.index.len()).sum());
        let mut spares: HashMap<Address, Vec<(usize, Place)>> = HashMap::new();
        for (number, pack) in packs.iter().enumerate() {
            for (address, place) in &pack.index {
                if let Some(first) = places.insert(*address, (number, *place)) {
                    spares.entry(*address).or_default().push(first);
                }
            }
        }
        Self { packs, places, spares, proofs: None }
    }

    /// The same, where a content is there only if it can be read back.
    pub(crate) fn proving(self) -> Self {
        Self { proofs: Some(Mutex::default()), ..self }
    }

    pub(crate) fn has(&self, address: &Address) -> bool {
        self.places.contains_key(address) && self.proofs.as_ref().is_none_or(|proofs| self.is_proven(address, proofs))
    }

    fn is_proven(&self, address: &Address, proofs: &Mutex<HashMap<Address, bool>>) -> bool {
        if let Some(known) = proofs.lock().unwrap_or_else(PoisonError::into_inner).get(address) {
            return *known;
        }
        let proven = self.read(address).is_ok();
        proofs.lock().unwrap_or_else(PoisonError::into_inner).insert(*address, proven);
        proven
    }

    pub(crate) fn packs(&self) -> &[Pack] {
        &self.packs
    }

    /// The bytes of a content, which are what its address says.
    ///
    /// # Errors
    /// The store does not have it, or no place that has it can be read.
    pub(crate) fn read(&self, address: &Address) -> anyhow::Result<Vec<u8>> {
        let place = self.places.get(address).with_context(|| format!("the store has lost the content {address}"))?;
        let first = self.read_at(address, place);
        let mut spares = self.spares.get(address).into_iter().flatten();
        match first {
            Err(e) => spares.find_map(|place| self.read_at(address, place).ok()).ok_or(e),
            read => read,
        }
    }

    /// The bytes of a content from the first place that has it; their hash is for the caller to check.
    ///
    /// # Errors
    /// The store does not have it, or that place cannot be read.
    pub(crate) fn read_unchecked(&self, address: &Address) -> anyhow::Result<Vec<u8>> {
        let (number, place) = self.places.get(address).with_context(|| format!("the store has lost the content {address}"))?;
        self.packs[*number].read(place)
    }

    fn read_at(&self, address: &Address, (number, place): &(usize, Place)) -> anyhow::Result<Vec<u8>> {
        let bytes = self.packs[*number].read(place).with_context(|| format!("the content {address} is damaged"))?;
        anyhow::ensure!(Address::of(&bytes) == *address, "the content {address} is damaged: its bytes have another hash");
        Ok(bytes)
    }

    /// Insists that a content is as it was written in one place at least, with what other programs read around it.
    ///
    /// # Errors
    /// The store does not have it, or no place is as it was written.
    pub(crate) fn check(&self, address: &Address) -> anyhow::Result<()> {
        let first = self.places.get(address).with_context(|| format!("the store has lost the content {address}"))?;
        let check = |(number, place): &(usize, Place)| self.packs[*number].check(*address, place);
        let spares = self.spares.get(address).into_iter().flatten();
        match check(first) {
            Err(e) if spares.into_iter().all(|place| check(place).is_err()) => Err(e.context(format!("the content {address} is damaged"))),
            _ => Ok(()),
        }
    }

    /// Of contents that are in several packs, the one that each can be read from; none where no place can be read.
    pub(crate) fn homes(&self, needed: &HashSet<Address>) -> HashMap<Address, Option<usize>> {
        let several = self.spares.par_iter().filter(|(address, _)| needed.contains(address));
        let home = |(address, spares): (&Address, &Vec<(usize, Place)>)| {
            let mut places = self.places.get(address).into_iter().chain(spares);
            (*address, places.find(|place| self.read_at(address, place).is_ok()).map(|(number, _)| *number))
        };
        several.map(home).collect()
    }
}

impl Pack {
    fn open(path: PathBuf) -> Self {
        let index = fs::read(index_of(&path)).ok().and_then(|bytes| pack::parse_index(&bytes));
        let (index, damage) = match index {
            Some(index) => without_what_is_cut_off(index, &path),
            None => scanned(File::open(&path).map_err(anyhow::Error::from)),
        };
        Self { path, index, damage, bytes: Bytes::Plain(OnceLock::new()) }
    }

    /// `None` where no key fits: it is somebody else's.
    fn open_sealed(path: PathBuf, identities: &Identities) -> Option<Self> {
        let index = identities.all(&index_of(&path), LARGEST_INDEX).ok().and_then(|bytes| pack::parse_index(&bytes));
        let (index, damage) = match (index, identities.open(&path)) {
            (Some(index), _) => (index, None),
            (None, Err(e)) if e.is::<Locked>() => return None,
            (None, opened) => scanned(opened),
        };
        Some(Self { path, index, damage, bytes: Bytes::Sealed(identities.clone()) })
    }

    fn read(&self, place: &Place) -> anyhow::Result<Vec<u8>> {
        pack::read(place, |offset, length| self.part(offset, length)).with_context(|| format!("cannot read {}", shown(&self.path)))
    }

    fn check(&self, address: Address, place: &Place) -> anyhow::Result<()> {
        pack::check(address, place, |offset, length| self.part(offset, length))
            .with_context(|| format!("cannot read {}", shown(&self.path)))
    }

    fn part(&self, offset: u64, length: usize) -> anyhow::Result<Vec<u8>> {
        let file = match &self.bytes {
            Bytes::Sealed(identities) => return identities.part(&self.path, offset, length),
            Bytes::Plain(file) => file,
        };
        let opened = if file.get().is_none() { Some(File::open(&self.path)?) } else { None };
        let file = opened.map_or_else(|| file.get(), |opened| Some(file.get_or_init(|| opened))).context("it was opened")?;
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// Its size on the disk, the index included, in bytes.
    pub(crate) fn stored(&self) -> u64 {
        let size = |path: &Path| path.metadata().map_or(0, |meta| meta.len());
        size(&self.path) + size(&index_of(&self.path))
    }

    /// Removes it, with its index.
    pub(crate) fn remove(&self) -> anyhow::Result<()> {
        remove(&self.path)
    }
}

/// The index as reading the pack gives it, and what is wrong.
fn scanned(pack: anyhow::Result<impl Read>) -> (Vec<(Address, Place)>, Option<String>) {
    match pack.and_then(pack::scan) {
        Ok((index, true)) => (index, None),
        Ok((index, false)) => (index, Some("it has no index that can be read, and a part of it cannot be read either".to_owned())),
        Err(e) => (Vec::new(), Some(format!("{e:#}"))),
    }
}

/// What of an index the pack is long enough for, and what is wrong if that is not all: then new snapshots share none of the rest.
fn without_what_is_cut_off(mut index: Vec<(Address, Place)>, pack: &Path) -> (Vec<(Address, Place)>, Option<String>) {
    let length = pack.metadata().map_or(0, |meta| meta.len());
    let all = index.len();
    index.retain(|(_, place)| place.offset.saturating_add(place.stored) <= length);
    let damage = (index.len() < all).then(|| "it is shorter than its index says".to_owned());
    (index, damage)
}

/// Removes a pack, with its index.
pub(crate) fn remove(pack: &Path) -> anyhow::Result<()> {
    for path in [pack, &index_of(pack)] {
        match fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e).with_context(|| format!("cannot remove {}", shown(path))),
            _ => {}
        }
    }
    Ok(())
}

/// The names of packs are ours and plain, whatever the folder is called.
fn index_of(pack: &Path) -> PathBuf {
    let name = pack.file_name().unwrap_or_default().to_string_lossy();
    pack.with_file_name(name.replacen(PACK, INDEX, 1))
}

/// The packs of a folder whose names end so.
pub(crate) fn packs(folder: &Path, suffix: &str) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).with_context(|| format!("cannot list {}", shown(folder))),
    };
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    Ok(paths.filter(|path| path.as_os_str().as_encoded_bytes().ends_with(suffix.as_bytes())).collect())
}
