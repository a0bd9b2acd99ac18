//! The store: packs of contents, manifests of snapshots, and the locks that keep writers apart.
//!
//! ```text
//! README           how to get everything back without this tool
//! packs/           ID.tar.zst and ID.index: the contents that snapshot ID added
//! manifests/       ID.jsonl.zst: what snapshot ID is made of; with it the snapshot exists
//! pins/            ID: that snapshot is never pruned
//! cache/           disposable: what files looked like when they were read last
//! journal/         a restore in hand
//! lock             shared by those who read or add, exclusive for those who remove
//! commit.lock      held while a snapshot gets its number
//! restore.lock     held by a restore that acts
//! ```

pub(crate) mod address;
pub(crate) mod contents;
pub(crate) mod files;
pub(crate) mod manifest;
pub(crate) mod names;
pub(crate) mod pack;
pub(crate) mod seal;
mod secrecy;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use contract::duration;
use contract::lock::{self, Held, Lock, Mode};
use contract::path::{Subject, absolute, shown};
use contract::state;
use serde_json::{Map, Value, json};

use crate::capture::roots::real;
use crate::store::contents::Contents;
use crate::store::files::UNFINISHED;
use crate::store::manifest::{Header, Manifest, SUFFIX};
use crate::store::pack::{INDEX, PACK};
use crate::store::seal::{Identities, Recipients, SEALED};

const README: &str = include_str!("README.txt");
/// What the names of files begin with that are about to replace others.
const TEMPORARY: &str = ".mendline-";

/// Where the store is, and how long to wait for it.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Options {
    /// Keep snapshots here [default: snapshots in the state folder]
    #[arg(long, value_name = "DIR", env = "MENDLINE_STORE", global = true)]
    store: Option<PathBuf>,
    /// How long to wait while another run adds or removes snapshots
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration::limit, global = true)]
    wait: Duration,
    /// The age keys that open encrypted snapshots
    #[arg(long, value_name = "FILE", env = "MENDLINE_IDENTITY", global = true)]
    identity: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) state: state::Options,
}

impl Options {
    /// The store, which may not exist yet. Nothing is created.
    pub(crate) fn store(&self) -> anyhow::Result<Store> {
        let folder = match &self.store {
            Some(folder) => absolute(folder)?,
            None => self.state.folder()?.join("snapshots"),
        };
        let identities = self.identity.as_deref().map(Identities::read).transpose()?.unwrap_or_default();
        let folder = physical(&folder);
        let ours = [folder.clone()].into_iter().chain(self.state.folder().ok().map(|folder| physical(&folder))).collect();
        let named =
            [("store", self.store.as_ref().map(|_| folder.clone())), ("identity", self.identity.as_deref().map(absolute).transpose()?)];
        let asked = named.into_iter().filter_map(|(name, path)| Some((name.to_owned(), json!(Subject::from(&path?))))).collect();
        Ok(Store { folder, asked, ours, patience: self.wait, identities })
    }
}

/// A folder by the way to it that has no links, by which a restore goes.
fn physical(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap_or_else(|_| real(folder))
}

/// A snapshot that cannot be read, by its id, and why.
pub(crate) type Damaged = (String, anyhow::Error);

/// A store by its folder.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) folder: PathBuf,
    /// What was named and is no default: who wants this store again must name it again.
    asked: Map<String, Value>,
    /// What no snapshot holds and no restore touches: the store, and the state folder with the audit log, which grows with every restore.
    ours: Vec<PathBuf>,
    patience: Duration,
    identities: Identities,
}

impl Store {
    /// The options that a command needs to come to this store again, by their names.
    pub(crate) fn asked(&self) -> Map<String, Value> {
        self.asked.clone()
    }

    pub(crate) fn packs(&self) -> PathBuf {
        self.folder.join("packs")
    }

    pub(crate) fn manifests(&self) -> PathBuf {
        self.folder.join("manifests")
    }

    pub(crate) fn pins(&self) -> PathBuf {
        self.folder.join("pins")
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.folder.join("cache")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.join("journal")
    }

    /// The manifest of a snapshot, sealed or not.
    pub(crate) fn manifest(&self, id: &str) -> PathBuf {
        let plain = self.manifests().join(format!("{id}{SUFFIX}"));
        let sealed = self.manifests().join(format!("{id}{SUFFIX}{SEALED}"));
        if sealed.exists() { sealed } else { plain }
    }

    pub(crate) fn exists(&self) -> bool {
        self.packs().is_dir() && self.manifests().is_dir()
    }

    /// Insists that nothing else is where the store would be.
    ///
    /// # Errors
    /// Something else is, or it cannot be seen.
    pub(crate) fn could_be(&self) -> anyhow::Result<()> {
        secrecy::free(&self.folder, README)
    }

    /// Insists that there is a store.
    ///
    /// # Errors
    /// There is none, or it cannot be seen.
    pub(crate) fn must_be(&self) -> anyhow::Result<()> {
        self.could_be().or_else(|e| if self.exists() { Ok(()) } else { Err(e) })?;
        anyhow::ensure!(self.exists(), "there is no store at {}", shown(&self.folder));
        Ok(())
    }

    /// Makes the store where it is missing.
    ///
    /// # Errors
    /// It cannot be made, others could read it, git would track it, or something else is in the folder.
    pub(crate) fn make(&self) -> anyhow::Result<()> {
        if self.exists() {
            return secrecy::private(&self.folder);
        }
        // Another run may make it at the same time.
        self.could_be().or_else(|e| if self.exists() { Ok(()) } else { Err(e) })?;
        state::private_folder(&self.folder)?;
        secrecy::private(&self.folder)?;
        secrecy::ignored(&self.folder)?;
        secrecy::untracked(&self.folder)?;
        contract::replace::write(&self.folder.join("README"), README.as_bytes())?;
        [self.pins(), self.cache(), self.journal(), self.manifests(), self.packs()]
            .iter()
            .try_for_each(|folder| state::private_folder(folder))
    }

    /// Insists that what is there already, if anything, is nobody else's: what its journal says is done.
    ///
    /// # Errors
    /// It is.
    pub(crate) fn is_private(&self) -> anyhow::Result<()> {
        if self.exists() { secrecy::private(&self.folder) } else { Ok(()) }
    }

    /// For those who read or add. Where there is no store there is nobody to keep out, and a reader makes none.
    ///
    /// # Errors
    /// Somebody removes snapshots for longer than the caller wants to wait.
    pub(crate) fn share(&self) -> anyhow::Result<Option<Lock>> {
        self.lock(Mode::Shared)
    }

    /// For those who remove.
    ///
    /// # Errors
    /// Somebody reads or adds for longer than the caller wants to wait.
    pub(crate) fn own(&self) -> anyhow::Result<Option<Lock>> {
        self.lock(Mode::Exclusive)
    }

    /// The same, where nobody is at work at this moment.
    ///
    /// # Errors
    /// Somebody is.
    pub(crate) fn own_now(&self) -> anyhow::Result<Lock> {
        lock::take(&self.folder.join("lock"))
    }

    fn lock(&self, mode: Mode) -> anyhow::Result<Option<Lock>> {
        if !self.exists() {
            return Ok(None);
        }
        match lock::wait(&self.folder.join("lock"), mode, self.patience) {
            // Where nothing can be written nothing can be removed either.
            Err(e) if mode == Mode::Shared && is_read_only(&e) => Ok(None),
            lock => lock.map(Some),
        }
    }

    /// For whoever restores: two at once would take each other's files for changes of a stranger.
    ///
    /// # Errors
    /// Another restore goes on for longer than the caller wants to wait.
    pub(crate) fn restore_alone(&self) -> anyhow::Result<Lock> {
        lock::wait(&self.folder.join("restore.lock"), Mode::Exclusive, self.patience).map_err(|e| {
            if is_read_only(&e) {
                return e.context("a restore writes its journal to the store, which cannot be written to; `snapshot export ID | tar -x -C DIR` needs none");
            }
            e
        })
    }

    /// Whether a restore is in hand at this moment.
    pub(crate) fn is_restoring(&self) -> bool {
        lock::take(&self.folder.join("restore.lock")).is_err_and(|e| e.is::<Held>())
    }

    /// Removes what runs that died left unfinished, where nobody is at work.
    pub(crate) fn sweep(&self) -> anyhow::Result<()> {
        let _lock = match self.own_now() {
            Ok(lock) => lock,
            Err(e) if e.is::<Held>() => return Ok(()),
            Err(e) => return Err(e),
        };
        for folder in [self.packs(), self.manifests(), self.cache(), self.journal()] {
            for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", shown(&folder)))?.filter_map(Result::ok) {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                // An index comes before its pack and goes after it.
                let alone = folder == self.packs() && pack_of(&name).is_some_and(|pack| !folder.join(pack).exists());
                let headless = name.strip_suffix(".header.json").is_some_and(|id| !folder.join(format!("{id}{SUFFIX}{SEALED}")).exists());
                if alone || headless || name.ends_with(UNFINISHED) || name.starts_with(TEMPORARY) {
                    fs::remove_file(entry.path()).with_context(|| format!("cannot remove {}", shown(&entry.path())))?;
                }
            }
        }
        Ok(())
    }

    /// What is not sealed: what new snapshots may share.
    pub(crate) fn open_contents(&self) -> anyhow::Result<Contents> {
        Contents::load(&self.packs(), &Identities::default())
    }

    /// What is sealed in the pack of one snapshot.
    pub(crate) fn sealed_contents(&self, id: &str) -> Contents {
        Contents::of_sealed(&self.packs().join(format!("{id}{PACK}{SEALED}")), &self.identities)
    }

    pub(crate) fn contents(&self) -> anyhow::Result<Contents> {
        Contents::load(&self.packs(), &self.identities)
    }

    /// The headers of all snapshots, oldest first, and what could not be read, by id.
    pub(crate) fn headers(&self) -> anyhow::Result<(Vec<Header>, Vec<Damaged>)> {
        let (mut headers, mut damaged) = (Vec::new(), Vec::new());
        for id in manifest::ids(&self.manifests())? {
            match self.header(&id) {
                Ok(header) => headers.push(header),
                // Removed since the folder was listed.
                Err(_) if self.manifest(&id).symlink_metadata().is_err() => {}
                Err(e) => damaged.push((id, e)),
            }
        }
        headers.sort_by(|a, b| (a.seq, &a.id).cmp(&(b.seq, &b.id)));
        damaged.sort_by(|a, b| a.0.cmp(&b.0));
        Ok((headers, damaged))
    }

    /// The header of a snapshot, which is never sealed.
    pub(crate) fn header(&self, id: &str) -> anyhow::Result<Header> {
        let header = manifest::read_header(&self.manifest(id))?;
        is_of(id, &header).map(|()| header)
    }

    pub(crate) fn read(&self, id: &str) -> anyhow::Result<Manifest> {
        let manifest = Manifest::read(&self.manifest(id), &self.identities)?;
        is_of(id, &manifest.header).map(|()| manifest)
    }

    /// Gives a snapshot its number and makes it part of the store. Its contents must be on the disk.
    pub(crate) fn commit(&self, manifest: &mut Manifest, recipients: &Recipients) -> anyhow::Result<()> {
        let _lock = lock::wait(&self.folder.join("commit.lock"), Mode::Exclusive, self.patience)?;
        let (headers, _) = self.headers()?;
        manifest.header.seq = headers.last().map_or(0, |header| header.seq) + 1;
        let id = &manifest.header.id;
        anyhow::ensure!(!self.manifest(id).exists(), "there is a snapshot called {id} already; try again");
        let unfinished = self.manifests().join(format!("{id}{SUFFIX}{UNFINISHED}"));
        let written = manifest.render().and_then(|bytes| {
            if recipients.is_empty() {
                files::create(&unfinished, &bytes)?;
                return files::rename(&unfinished, &self.manifests().join(format!("{id}{SUFFIX}")));
            }
            let path = self.manifests().join(format!("{id}{SUFFIX}{SEALED}"));
            let header = serde_json::to_vec(&manifest.header.opened()).context("cannot render a header")?;
            contract::replace::write(&manifest::open_header(&path), &header)?;
            files::create(&unfinished, &recipients.sealed(&bytes)?)?;
            files::rename(&unfinished, &path)
        });
        written.and_then(|()| contract::replace::sync_folder(&self.manifests())).inspect_err(|_| {
            // Where even this fails, the next run sweeps it away.
            drop(fs::remove_file(&unfinished));
            drop(self.forget(id));
            // Only this snapshot can have use for what is sealed. Others may share what is not, as soon as it has its name.
            drop(fs::remove_file(manifest::open_header(&self.manifests().join(format!("{id}{SUFFIX}{SEALED}")))));
            drop(contents::remove(&self.packs().join(format!("{id}{PACK}{SEALED}"))));
        })
    }

    /// An id that no snapshot has.
    pub(crate) fn new_id(&self, now: DateTime<Utc>) -> String {
        loop {
            let id = names::id(now);
            if !self.manifest(&id).exists() && !pack::is_taken(&self.packs(), &id) {
                return id;
            }
        }
    }

    /// Whether the pack of a sealed snapshot is there, as far as can be told without a key.
    pub(crate) fn has_sealed_pack(&self, header: &Header) -> bool {
        header.added == 0 || self.packs().join(format!("{}{PACK}{SEALED}", header.id)).exists()
    }

    /// Removes a manifest: the snapshot is no more.
    pub(crate) fn forget(&self, id: &str) -> anyhow::Result<()> {
        let path = self.manifest(id);
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", shown(&path)))?;
        let header = manifest::open_header(&path);
        match fs::remove_file(&header) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e).with_context(|| format!("cannot remove {}", shown(&header))),
            _ => {}
        }
        contract::replace::sync_folder(&self.manifests())
    }

    /// The identities of the folders that no snapshot holds, by whatever way one comes to them.
    pub(crate) fn ours(&self) -> Vec<(u64, u64)> {
        self.ours.iter().filter_map(|folder| folder.metadata().ok()).map(|meta| (meta.dev(), meta.ino())).collect()
    }

    /// Whether a path, no link on the way to it, is in the store or is the store.
    pub(crate) fn holds(&self, path: &Path) -> bool {
        path.starts_with(&self.folder)
    }

    /// Whether a path, no link on the way to it, has to do with us: it is in such a folder, or one is in it.
    pub(crate) fn touches(&self, path: &Path) -> bool {
        self.ours.iter().any(|folder| path.starts_with(folder) || folder.starts_with(path))
    }
}

/// The name of the pack that an index of this name is of.
fn pack_of(index: &str) -> Option<String> {
    let (name, sealed) = index.strip_suffix(SEALED).map_or((index, ""), |name| (name, SEALED));
    Some(format!("{}{PACK}{sealed}", name.strip_suffix(INDEX)?))
}

fn is_read_only(e: &anyhow::Error) -> bool {
    let kind = e.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(kind, Some(io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied))
}

/// The id in a manifest becomes the name of files: one that is not that of its own file could lead anywhere.
fn is_of(id: &str, header: &Header) -> anyhow::Result<()> {
    anyhow::ensure!(names::is_id(id) && header.id == id, "the manifest called {id} says that it is {}", header.id);
    Ok(())
}
