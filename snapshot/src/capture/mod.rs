//! Capturing: what stands below the roots becomes entries, and what the files hold goes into a pack.

mod adder;
mod attributes;
mod cache;
mod entries;
mod git;
mod pythons;
mod read;
pub(crate) mod roots;
mod walk;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::{Subject, shown};
use contract::progress::Progress;
use contract::signal;
use rayon::prelude::*;

use crate::capture::adder::Adder;
pub(crate) use crate::capture::attributes::{mtime, xattrs};
use crate::capture::cache::{Cache, Look};
use crate::capture::entries::entries;
use crate::capture::roots::Request;
use crate::capture::walk::{Found, Walk};
use crate::restore::Ground;
use crate::store::Store;
use crate::store::address::Address;
use crate::store::contents::Contents;
use crate::store::manifest::{Entry, Kind, Piece, Python, Root, WorkTree};
use crate::store::pack::Writer;
use crate::store::seal::Recipients;

/// How little is taken on trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// A file that looks as it did is not read again, and what the store has is not added again.
    Usual,
    /// Every file is read.
    Rehash,
    /// The same, and what the store has is read back first, and added again where it is damaged: something is about to be replaced for
    /// which this snapshot is the only way back.
    Proof,
    /// The same of so few files that what is remembered of all others is not even looked at.
    ProofOfFew,
}

impl Care {
    fn remembers(self) -> bool {
        self == Self::Usual
    }

    fn proves(self) -> bool {
        matches!(self, Self::Proof | Self::ProofOfFew)
    }
}

/// What could not be held as it should be.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// Stable: `unreadable`, `changed-while-read`, `not-kept`.
    pub(crate) code: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// All that stood below the roots.
pub(crate) struct Captured {
    pub(crate) roots: Vec<Root>,
    pub(crate) above: Vec<Entry>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) git: Vec<WorkTree>,
    pub(crate) pythons: Vec<Python>,
    pub(crate) troubles: Vec<Trouble>,
    /// Files that hold what looks like a private key.
    pub(crate) keys: Vec<PathBuf>,
    /// Bytes that the store grew by.
    pub(crate) added: u64,
    /// What was asked for and is not there.
    pub(crate) absent: Vec<Subject>,
}

/// What is known of a file without its being read, or from reading it.
struct Content {
    sha256: Option<Address>,
    pieces: Vec<Piece>,
    size: u64,
    /// Its look and the time of reading, where it was read and may be remembered.
    fresh: Option<(Look, i64)>,
    stable: bool,
    key: bool,
}

/// Captures what is asked for, into a pack called `id`.
///
/// # Errors
/// The store cannot be written, or has too little room. What of the files cannot be read is a trouble in the result.
pub(crate) fn capture(request: &Request, store: &Store, id: &str, recipients: &Recipients, care: Care) -> anyhow::Result<Captured> {
    let progress = Progress::start(env!("CARGO_PKG_NAME"), "files");
    let roots = request.roots();
    if let Some(root) = roots.iter().find(|root| store.holds(root.real.as_path())) {
        anyhow::bail!("{} is in the store itself, which no snapshot holds", root.path);
    }
    let paths: Vec<PathBuf> = roots.iter().map(|root| root.path.as_path().to_owned()).collect();
    let walk = Walk::new(request, store, &progress);
    let ((found, mut troubles), (contents, mut cache)) = rayon::join(
        || walk.run(&paths),
        || rayon::join(|| store.open_contents(), || if care == Care::ProofOfFew { Cache::default() } else { Cache::load(&store.cache()) }),
    );
    // What is sealed shares nothing with what is not, and leaves no hash outside.
    let open = recipients.is_empty();
    let contents = if open { contents? } else { Contents::none() };
    let contents = if care.proves() { contents.proving() } else { contents };
    anyhow::ensure!(!signal::interrupted(), "interrupted");
    room(store, &found, &cache, &contents)?;

    let adder = Adder::new(&contents, Writer::create(&store.packs(), id, recipients)?);
    // What is trusted to be as it was, and so is not read.
    let trusted = if care.remembers() { Some(&cache) } else { None };
    let reader = Reader { roots: &roots, ground: Ground::default(), trusted, contents: &contents, adder: &adder, progress: &progress };
    let (read, (git, pythons)) = rayon::join(|| reader.all(&found), || surroundings(&paths, &found));
    drop(reader);
    let pack = adder.into_pack().context("there is a pack")?;
    let (entries, more, keys) = match read.map(|read| entries(&found, read, &mut cache)) {
        Ok(captured) => captured,
        Err(e) => return Err(pack.discard().err().unwrap_or(e)),
    };
    troubles.extend(more);
    let grown = pack.finish()?;
    if open && care != Care::ProofOfFew {
        let seen: Vec<&Path> = found.iter().map(|found| found.path.as_path()).collect();
        cache.forget_gone(&paths, &seen);
        // Without it the next snapshot reads more, and that is all.
        drop(cache.save(&store.cache()));
    }
    let absent = entries.iter().filter(|entry| entry.kind == Kind::Absent).map(|entry| entry.path.clone()).collect();
    Ok(Captured { above: above(&roots), roots, entries, git, pythons, troubles, keys, added: grown, absent })
}

/// What stands below the roots, for a comparison: nothing is written, not even to the store.
///
/// # Errors
/// The run is interrupted. What cannot be read is a trouble.
pub(crate) fn look(request: &Request, store: &Store, contents: &Contents) -> anyhow::Result<(Vec<Entry>, Vec<Trouble>)> {
    let progress = Progress::start(env!("CARGO_PKG_NAME"), "files");
    let paths: Vec<PathBuf> = request.roots().iter().map(|root| root.path.as_path().to_owned()).collect();
    let (found, mut troubles) = Walk::new(request, store, &progress).run(&paths);
    let mut cache = Cache::load(&store.cache());
    let (roots, adder) = (request.roots(), Adder::nowhere());
    let reader = Reader { roots: &roots, ground: Ground::default(), trusted: Some(&cache), contents, adder: &adder, progress: &progress };
    let read = reader.all(&found)?;
    let (entries, more, _) = entries(&found, read, &mut cache);
    troubles.extend(more);
    Ok((entries, troubles))
}

/// Adds those of `wanted` that the files at `paths` still hold to a new pack called `id`; returns each with its file.
///
/// # Errors
/// The store cannot be written.
pub(crate) fn again(
    store: &Store,
    id: &str,
    paths: &BTreeSet<PathBuf>,
    wanted: &BTreeSet<Address>,
) -> anyhow::Result<Vec<(Address, PathBuf)>> {
    let adder = Adder::only(wanted, Writer::create(&store.packs(), id, &Recipients::default())?);
    let (mut mended, ground) = (Vec::new(), Ground::default());
    for path in paths {
        let Ok(read) = read::file(&roots::real(path), &ground, &adder)? else { continue };
        let parts = read.sha256.into_iter().chain(read.pieces.iter().filter_map(|piece| piece.sha256));
        for part in parts.filter(|part| wanted.contains(part) && adder.has_added(part)) {
            if !mended.iter().any(|(address, _)| *address == part) {
                mended.push((part, path.clone()));
            }
        }
    }
    adder.into_pack().context("there is a pack")?.finish()?;
    Ok(mended)
}

/// Whether what must be read fits, even if nothing of it can be compressed.
fn room(store: &Store, found: &[Found], cache: &Cache, contents: &Contents) -> anyhow::Result<()> {
    let unknown = found.iter().filter(|found| known(found, cache, contents).is_none());
    let needed: u64 = unknown.filter_map(|found| found.meta.as_ref()).filter(|meta| meta.is_file()).map(|meta| meta.blocks() * 512).sum();
    let disk = rustix::fs::statvfs(&store.folder).with_context(|| format!("cannot look at the disk of {}", shown(&store.folder)))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    anyhow::ensure!(
        needed < free,
        "there may be too little room: up to {needed} bytes are new and {free} are free at {}; make room, or choose another place with --store",
        shown(&store.folder)
    );
    Ok(())
}

fn known(found: &Found, cache: &Cache, contents: &Contents) -> Option<Content> {
    let meta = found.meta.as_ref().filter(|meta| meta.is_file())?;
    let known = cache.known(&found.path, meta)?;
    let mut parts = known.pieces.iter().filter_map(|piece| piece.sha256);
    let held = known.sha256.is_none_or(|sha256| contents.has(&sha256)) && parts.all(|part| contents.has(&part));
    held.then(|| Content { sha256: known.sha256, pieces: known.pieces.clone(), size: meta.size(), fresh: None, stable: true, key: false })
}

type Reading = Option<Result<(Option<Metadata>, Content), std::io::Error>>;

/// Reads what was found.
struct Reader<'a> {
    roots: &'a [Root],
    ground: Ground,
    /// What is not read again where it looks as it did.
    trusted: Option<&'a Cache>,
    contents: &'a Contents,
    adder: &'a Adder<'a>,
    progress: &'a Progress,
}

impl Reader<'_> {
    fn all(&self, found: &[Found]) -> anyhow::Result<Vec<Reading>> {
        let elsewhere: BTreeMap<&Path, &Path> =
            self.roots.iter().map(|root| (root.path.as_path(), root.real.as_path())).filter(|(path, real)| path != real).collect();
        // A large file keeps all threads busy by itself, and two at once would only take more memory.
        let large = |found: &Found| found.meta.as_ref().is_some_and(|meta| meta.len() > read::WHOLE);
        let one = |found: &Found| self.one(found, &elsewhere);
        let mut read: Vec<Reading> =
            found.par_iter().map(|found| if large(found) { Ok(None) } else { one(found) }).collect::<anyhow::Result<_>>()?;
        for (found, read) in found.iter().zip(&mut read).filter(|(found, _)| large(found)) {
            *read = one(found)?;
        }
        Ok(read)
    }

    fn one(&self, found: &Found, elsewhere: &BTreeMap<&Path, &Path>) -> anyhow::Result<Reading> {
        let Some(_) = found.meta.as_ref().filter(|meta| meta.is_file()) else { return Ok(None) };
        if let Some(known) = self.trusted.and_then(|cache| known(found, cache, self.contents)) {
            return Ok(Some(Ok((None, known))));
        }
        anyhow::ensure!(!signal::interrupted(), "interrupted");
        let read = read::file(&really(&found.path, elsewhere), &self.ground, self.adder)?;
        self.progress.done(1);
        Ok(Some(read.map(|read| {
            let content = Content {
                sha256: read.sha256,
                pieces: read.pieces,
                size: read.size,
                fresh: read.stable.then(|| (Look::of(&read.meta), read.at)),
                stable: read.stable,
                key: read.key,
            };
            (Some(read.meta), content)
        })))
    }
}

/// A path with the links above its root followed; `elsewhere` has the roots that have any.
fn really<'p>(path: &'p Path, elsewhere: &BTreeMap<&Path, &Path>) -> Cow<'p, Path> {
    let root = if elsewhere.is_empty() { None } else { path.ancestors().find_map(|above| elsewhere.get_key_value(above)) };
    let Some((root, real)) = root else { return Cow::Borrowed(path) };
    match path.strip_prefix(root) {
        Ok(below) if below != Path::new("") => Cow::Owned(real.join(below)),
        _ => Cow::Owned((*real).to_owned()),
    }
}

/// The folders above the roots.
fn above(roots: &[Root]) -> Vec<Entry> {
    let folders: BTreeSet<&Path> =
        roots.iter().flat_map(|root| root.real.as_path().ancestors().skip(1)).filter(|folder| folder.parent().is_some()).collect();
    let entry = |folder: &Path| {
        let meta = folder.symlink_metadata().ok().filter(Metadata::is_dir)?;
        let mut entry = Entry::new(folder, Kind::Folder);
        attributes::fill(&mut entry, &meta);
        Some(entry)
    };
    folders.into_iter().filter_map(entry).collect()
}

fn surroundings(paths: &[PathBuf], found: &[Found]) -> (Vec<WorkTree>, Vec<Python>) {
    let within = found.iter().filter(|found| found.path.file_name().is_some_and(|name| name == ".git"));
    let tops: BTreeSet<PathBuf> =
        paths.iter().filter_map(|path| git::top(path)).chain(within.filter_map(|found| found.path.parent().map(Path::to_owned))).collect();
    let folders: BTreeSet<PathBuf> =
        paths.iter().filter_map(|path| if path.is_dir() { Some(path.clone()) } else { path.parent().map(Path::to_owned) }).collect();
    let configs = found.iter().filter(|found| pythons::is_config(&found.path)).filter_map(|found| found.path.parent().map(Path::to_owned));
    let environments: BTreeSet<PathBuf> = pythons::beside(&Vec::from_iter(folders)).into_iter().chain(configs).collect();
    (git::states(&Vec::from_iter(tops)), environments.iter().map(|environment| pythons::describe(environment)).collect())
}
