//! `list`, `show` and `cat`: what there is, what a snapshot is made of, and what was in a file.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::output::{Output, unwritable};
use contract::path::{Subject, absolute, shown};
use contract::record::About;
use contract::run::Exit;

use crate::capture::roots::real;
use crate::parts::Parts;
use crate::store::manifest::{Kind, Manifest};
use crate::store::{Store, names};
use crate::{restore, summary};

/// The type of a record that is one path of a snapshot.
const ENTRY: &str = "snapshot.entry";

/// Tells of every snapshot, oldest first. One that cannot be read is an error and hides no other.
///
/// # Errors
/// The store cannot be listed.
pub(crate) fn list(out: &mut Output, store: &Store) -> anyhow::Result<Exit> {
    let (headers, damaged) = store.headers()?;
    let is_misnamed = !store.exists() && !store.asked().is_empty();
    if !store.exists() {
        store.could_be()?;
    }
    if headers.is_empty() && damaged.is_empty() && (out.draws() || is_misnamed) {
        let place = shown(&store.folder);
        let there = if store.exists() { "are no snapshots in" } else { "is no store at" };
        out.hint(&format!("there {there} {place} yet; `snapshot create PATH` makes one"));
    }
    let pinned = summary::pinned_as_seen(out, store);
    for header in &headers {
        summary::emit(out, store, header, pinned.contains(&header.id), &summary::Made::default())?;
    }
    for (id, why) in damaged {
        let subject = Subject::from(id.as_str());
        out.error("snapshot.damaged", About { subject: Some(&subject), ..About::default() }, None, &format!("{why:#}"))?;
    }
    Ok(Exit::Done)
}

/// Says that a restore was interrupted, for whoever only looks.
///
/// # Errors
/// That cannot be seen.
pub(crate) fn interrupted(out: &Output, store: &Store) -> anyhow::Result<Option<bool>> {
    if restore::is_interrupted(store)? && !store.is_restoring() {
        out.hint("a restore was interrupted in the middle of its work; `snapshot recover` ends it");
    }
    Ok(None)
}

/// What there is to say after all restores that were interrupted are ended.
///
/// # Errors
/// Something else is where the store should be.
pub(crate) fn recovered(out: &Output, store: &Store, were_any: bool) -> anyhow::Result<Exit> {
    if !store.exists() {
        store.could_be()?;
        out.hint(&format!("there is no store at {}", shown(&store.folder)));
    } else if !were_any && out.draws() {
        out.hint("no restore was interrupted");
    }
    Ok(Exit::Done)
}

/// Tells of one snapshot and of each path in it.
///
/// # Errors
/// There is no such snapshot, or it is damaged.
pub(crate) fn show(out: &mut Output, store: &Store, name: &str, paths: &[PathBuf]) -> anyhow::Result<Exit> {
    let manifest = named(store, name)?;
    let paths = paths.iter().map(|path| held(&manifest, path)).collect::<anyhow::Result<Vec<_>>>()?;
    let (header, entries) = (&manifest.header, manifest.below(&paths)?);
    summary::emit(out, store, header, summary::pinned_as_seen(out, store).contains(&header.id), &summary::Made::default())?;
    for entry in entries {
        let data = serde_json::to_value(entry).context("cannot render an entry")?;
        let mut data = if let serde_json::Value::Object(data) = data { data } else { serde_json::Map::new() };
        data.remove("path");
        out.emit(ENTRY, About { subject: Some(&entry.path), ..About::default() }, &data)?;
    }
    Ok(Exit::Done)
}

/// Writes what was in a file to standard output, byte for byte.
///
/// # Errors
/// The snapshot holds no such file, or the store has lost or damaged what was in it.
pub(crate) fn cat(out: &mut Output, store: &Store, name: &str, path: &Path) -> anyhow::Result<Exit> {
    out.prose("")?;
    let _lock = store.share()?;
    let manifest = named(store, name)?;
    let path = held(&manifest, path)?;
    let entry = manifest.at(&path).with_context(|| format!("{} is not in the snapshot {}", shown(&path), manifest.header.id))?;
    match (entry.kind, &entry.target) {
        (Kind::File, _) => {}
        (Kind::Link, Some(target)) => anyhow::bail!("{} was a link to {target}", shown(&path)),
        (Kind::Folder, _) => anyhow::bail!("{} was a folder", shown(&path)),
        (Kind::Absent, _) => anyhow::bail!("nothing was at {}", shown(&path)),
        _ => anyhow::bail!("{} was there and could not be kept", shown(&path)),
    }
    let mut stdout = std::io::stdout().lock();
    for part in Parts::of(entry, &store.contents()?)? {
        stdout.write_all(&part?).map_err(unwritable)?;
    }
    Ok(Exit::Done)
}

/// The snapshot that is called so.
pub(crate) fn named(store: &Store, name: &str) -> anyhow::Result<Manifest> {
    store.read(&names::find(store, name)?.id)
}

/// A path from the command line as a manifest has it: as it is spelled, or with the links above it followed.
pub(crate) fn held(manifest: &Manifest, path: &Path) -> anyhow::Result<PathBuf> {
    let path: PathBuf = absolute(path)?.components().collect();
    let is_held = |path: &Path| manifest.entries.iter().any(|entry| entry.path.as_path().starts_with(path));
    let real = real(&path);
    Ok(if !is_held(&path) && is_held(&real) { real } else { path })
}
