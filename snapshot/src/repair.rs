//! `snapshot verify --repair`: a content that the store lost is put back from a file that still has it.

use std::collections::BTreeSet;

use chrono::Utc;
use contract::action::{Action, KIND, Outcome};
use contract::output::Output;
use contract::path::Subject;
use contract::record::About;

use crate::capture;
use crate::store::address::Address;
use crate::store::manifest::Manifest;
use crate::store::{Store, names};

/// Puts back what it can, into a new pack; returns what is whole again. The damaged pack stays as it is: a newer one goes before it.
pub(crate) fn from_live_files(
    out: &mut Output,
    store: &Store,
    manifests: &[&Manifest],
    lost: &BTreeSet<Address>,
) -> anyhow::Result<Vec<Address>> {
    let holders =
        manifests.iter().flat_map(|manifest| &manifest.entries).filter(|entry| entry.contents().any(|address| lost.contains(&address)));
    let paths: BTreeSet<_> = holders.map(|entry| entry.path.as_path().to_owned()).collect();
    let mended = capture::again(store, &names::id(Utc::now()), &paths, lost)?;
    for (address, path) in &mended {
        let subject = Subject::from(path);
        let text = format!("put the content {address} back into the store from this file");
        let action = Action { verb: "repair".to_owned(), outcome: Outcome::Done, changed: true, verified: true, text, ..Action::default() };
        out.emit(KIND, About { subject: Some(&subject), ..About::default() }, &action)?;
    }
    Ok(mended.into_iter().map(|(address, _)| address).collect())
}
