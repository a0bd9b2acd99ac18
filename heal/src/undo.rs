//! `undo`: what a repair touched is as it was before.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::Context as _;
use contract::action::{Action, KIND, Outcome};
use contract::audit::Audit;
use contract::output::Output;
use contract::path::{Subject, absolute, shown};
use contract::record::About;
use contract::run::Exit;
use contract::{signal, state};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::arguments;
use crate::bounds::Bounds;
use crate::history::{Entry, History, UNDO};
use crate::journal::{self, Journal, Mode, Tree, Write};
use crate::mend::only_one;
use crate::snapshot::Store;

/// Takes one repair back, or says what that would be.
///
/// # Errors
/// There is no such repair, another run holds the lock, or state cannot be read.
pub(crate) fn run(out: &mut Output, asked: &arguments::Undo, state: &state::Options) -> anyhow::Result<Exit> {
    let folder = if asked.force { state.open()? } else { state.folder()? };
    let _only_one = if asked.force { Some(only_one(&folder)?) } else { None };
    anyhow::ensure!(Journal::read(&folder)?.is_none(), "a repair was interrupted; `heal --force </dev/null` ends it first");
    let history = History::read(&folder)?;
    let bounds = Bounds::of(&asked.root, true)?;
    let Some(entry) = chosen(&history, asked.action.as_deref(), &bounds)? else {
        out.hint(&format!("there is nothing of heal's to take back in {}; `heal history` shows all that was done", shown(bounds.root())));
        return Ok(Exit::Done);
    };
    let (cause, subject) = (vec![entry.record.id.clone()], entry.record.subject.clone().unwrap_or_else(|| Subject::from("-")));
    let about = About { subject: Some(&subject), cause: &cause };
    let action = |outcome, text: &str| Action {
        verb: UNDO.to_owned(),
        outcome,
        text: text.to_owned(),
        detail: Some(json!({ "of": entry.action.verb })),
        ..Action::default()
    };
    let Some(undo) = &entry.action.undo else {
        return out.emit(KIND, about, &action(Outcome::Skipped, "it kept nothing that could be put back")).map(|_| Exit::Done);
    };
    if !asked.changed
        && let Some(file) = changed_since(entry)?
    {
        let text = format!("{file} was changed since; --changed takes it back all the same, and a snapshot keeps it as it is now");
        return out.emit(KIND, about, &action(Outcome::Skipped, &text)).map(|_| if asked.force { Exit::Bad } else { Exit::Done });
    }
    if !asked.force {
        let text = format!("as it was before {}: {}", entry.action.verb, entry.action.text);
        return out.emit(KIND, about, &action(Outcome::Planned, &text)).map(|_| Exit::Done);
    }
    out.outlive_its_reader();
    let _in_hand = signal::hold()?;
    let mut audit = Audit::open(&folder)?;
    audit.append(&out.render(KIND, about, &action(Outcome::Started, ""))?.line)?;
    let store = Store { state: folder, folder: asked.places.backup_dir.as_deref().map(absolute).transpose()? };
    let ended = match put_back(entry, undo, &store) {
        Ok(()) => Action { changed: true, verified: true, ..action(Outcome::Done, &format!("as it was before {}", entry.action.verb)) },
        Err(e) => action(Outcome::Failed, &format!("{e:#}")),
    };
    let rendered = out.render(KIND, about, &ended)?;
    audit.append(&rendered.line)?;
    out.write(&rendered)?;
    Ok(if ended.outcome == Outcome::Done { Exit::Done } else { Exit::Bad })
}

/// Brings back what was: a mode, or what a snapshot has.
fn put_back(entry: &Entry, undo: &Subject, store: &Store) -> anyhow::Result<()> {
    let modes: Vec<Mode> = list(entry, "modes")?;
    if modes.is_empty() { store.put_back(undo) } else { journal::set_back(&modes) }
}

fn chosen<'h>(history: &'h History, id: Option<&str>, bounds: &Bounds) -> anyhow::Result<Option<&'h Entry>> {
    let is_here = |entry: &&Entry| entry.record.subject.as_ref().is_some_and(|subject| bounds.holds(subject.as_path()));
    let Some(id) = id else { return Ok(history.standing().filter(|entry| entry.action.undo.is_some()).filter(is_here).last()) };
    let found = history.standing().find(|entry| entry.record.id == id);
    anyhow::ensure!(found.is_some(), "no repair that stands has the id {id}; `heal history` shows them");
    Ok(found)
}

/// A file that is not as the repair left it.
fn changed_since(entry: &Entry) -> anyhow::Result<Option<String>> {
    let (writes, trees): (Vec<Write>, Vec<Tree>) = (list(entry, "writes")?, list(entry, "trees")?);
    let mode = |write: &Write| write.file.as_path().metadata().ok().map(|meta| meta.permissions().mode() & 0o7777);
    let is_other = |write: &&Write| {
        journal::hash_of(write.file.as_path()).as_ref() != Some(&write.after) || write.mode.is_some_and(|was| mode(write) != Some(was))
    };
    let file = writes.iter().find(is_other).map(|write| write.file.to_string());
    let tree = || trees.iter().find(|tree| journal::tree(tree.folder.as_path()) != tree.after).map(|tree| tree.folder.to_string());
    Ok(file.or_else(tree))
}

/// A list in the detail of an action; an empty one where it has none.
fn list<T: DeserializeOwned>(entry: &Entry, name: &str) -> anyhow::Result<Vec<T>> {
    let Some(list) = entry.action.detail.as_ref().and_then(|detail| detail.get(name)) else { return Ok(Vec::new()) };
    let id = &entry.record.id;
    serde_json::from_value(list.clone()).with_context(|| format!("the audit log does not say in a known way what {id} changed ({name})"))
}
