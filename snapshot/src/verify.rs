//! `snapshot verify`: reads everything back. What is damaged is named with all that it affects; what is not can still be restored.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use contract::output::Output;
use contract::path::Subject;
use contract::record::{About, Status};
use contract::run::Exit;
use rayon::prelude::*;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::repair;
use crate::store::address::Address;
use crate::store::contents::Contents;
use crate::store::manifest::{Entry, Manifest};
use crate::store::seal::Locked;
use crate::store::{Store, names};

/// The type of the record.
const KIND: &str = "snapshot.probe";

/// The verdict on one snapshot.
#[derive(Serialize)]
struct Verdict<'a> {
    status: Status,
    contents: u64,
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    faults: &'a [Fault],
    #[serde(skip_serializing_if = "Map::is_empty")]
    asked: Map<String, Value>,
}

#[derive(Clone, Serialize)]
struct Fault {
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<Address>,
    text: String,
    /// The files that cannot be restored for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<Subject>,
}

/// Verifies one snapshot, or all where no name is given; `mend` puts contents back that files which are there still have.
///
/// # Errors
/// There is no such snapshot, or the store cannot be read.
pub(crate) fn run(out: &mut Output, store: &Store, name: Option<&str>, mend: bool) -> anyhow::Result<Exit> {
    store.must_be()?;
    let _lock = store.share()?;
    let ids = if let Some(name) = name { vec![named(store, name)?] } else { all(store)? };
    let manifests: Vec<(String, anyhow::Result<Manifest>)> = ids
        .into_iter()
        .map(|id| {
            let read = store.read(&id);
            (id, read)
        })
        .collect();
    let open = manifests.iter().filter_map(|(_, read)| read.as_ref().ok()).filter(|manifest| manifest.header.sealed_to.is_empty());
    let open: Vec<&Manifest> = open.collect();
    // What is in a sealed pack is no stand-in for what is in the open, nor the other way round: each goes with its own snapshots.
    let contents = store.open_contents()?;
    let mut bad = damaged(&contents, &open.iter().flat_map(|manifest| manifest.entries.iter().flat_map(Entry::contents)).collect());
    if mend && !bad.is_empty() {
        // What is sealed is not put into the open.
        for address in repair::from_live_files(out, store, &open, &bad.keys().copied().collect())? {
            bad.remove(&address);
        }
    }
    let (mut verdict, mut locked) = (Exit::Done, 0);
    for (id, read) in &manifests {
        let sealed = read.as_ref().ok().filter(|manifest| !manifest.header.sealed_to.is_empty());
        let bad_of_it = sealed.map(|manifest| damaged_of_sealed(store, manifest));
        let (status, faults) = judged(store, id, read, bad_of_it.as_ref().unwrap_or(&bad));
        match status {
            Status::Broken => verdict = Exit::Bad,
            Status::Unknown => locked += 1,
            _ => {}
        }
        let count = read.as_ref().map_or(0, |manifest| manifest.entries.iter().flat_map(Entry::contents).collect::<HashSet<_>>().len());
        let subject = Subject::from(id.as_str());
        out.emit(
            KIND,
            About { subject: Some(&subject), ..About::default() },
            &Verdict { status, contents: count as u64, faults: &faults, asked: store.asked() },
        )?;
    }
    if locked > 0 {
        let text = format!("what is encrypted was not read back (snapshots: {locked}); --identity names the file of your key");
        out.error("snapshot.encrypted", About::default(), None, &text)?;
    }
    for pack in contents.packs().iter().filter(|pack| pack.damage.is_some()) {
        out.hint(&format!("{}: {}", contract::path::shown(&pack.path), pack.damage.as_deref().unwrap_or_default()));
    }
    Ok(verdict)
}

fn judged(store: &Store, id: &str, read: &anyhow::Result<Manifest>, bad: &BTreeMap<Address, String>) -> (Status, Vec<Fault>) {
    let fault = |code, text| Fault { code, sha256: None, text, files: Vec::new() };
    let header = store.header(id);
    let faults = match (read, &header) {
        (Err(e), Ok(header)) if e.is::<Locked>() && store.has_sealed_pack(header) => {
            return (Status::Unknown, vec![fault("encrypted", format!("{e:#}"))]);
        }
        (Err(e), Ok(_)) if e.is::<Locked>() => {
            vec![fault("pack-missing", "it is encrypted, and the pack of its contents is gone".to_owned())]
        }
        // Without its header, which is not encrypted, nothing else finds it.
        (Err(e), _) | (_, Err(e)) => vec![fault("manifest-damaged", format!("{e:#}"))],
        (Ok(manifest), _) => faults(manifest, bad),
    };
    (if faults.is_empty() { Status::Healthy } else { Status::Broken }, faults)
}

/// A snapshot whose manifest is damaged goes by its whole id alone.
fn named(store: &Store, name: &str) -> anyhow::Result<String> {
    let (_, damaged) = store.headers()?;
    if damaged.iter().any(|(id, _)| id == name) { Ok(name.to_owned()) } else { Ok(names::find(store, name)?.id) }
}

fn all(store: &Store) -> anyhow::Result<Vec<String>> {
    let (headers, damaged) = store.headers()?;
    Ok(headers.into_iter().map(|header| header.id).chain(damaged.into_iter().map(|(id, _)| id)).collect())
}

/// The contents that cannot be read back, and why.
fn damaged(contents: &Contents, wanted: &BTreeSet<Address>) -> BTreeMap<Address, String> {
    wanted.par_iter().filter_map(|address| contents.check(address).err().map(|e| (*address, format!("{e:#}")))).collect()
}

/// The same of a sealed snapshot, which has a pack of its own.
fn damaged_of_sealed(store: &Store, manifest: &Manifest) -> BTreeMap<Address, String> {
    let contents = store.sealed_contents(&manifest.header.id);
    damaged(&contents, &manifest.entries.iter().flat_map(Entry::contents).collect())
}

fn faults(manifest: &Manifest, bad: &BTreeMap<Address, String>) -> Vec<Fault> {
    let mut files: HashMap<Address, Vec<Subject>> = HashMap::new();
    for entry in &manifest.entries {
        for address in entry.contents().filter(|address| bad.contains_key(address)).collect::<BTreeSet<_>>() {
            files.entry(address).or_default().push(entry.path.clone());
        }
    }
    bad.iter()
        .filter_map(|(address, text)| {
            Some(Fault { code: "content-damaged", sha256: Some(*address), text: text.clone(), files: files.remove(address)? })
        })
        .collect()
}
