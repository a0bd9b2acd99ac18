//! `snapshot diff`: what is different between a snapshot and what is there now, or another snapshot.

use std::path::{Path, PathBuf};

use contract::output::Output;
use contract::path::{Subject, shown};
use contract::record::About;
use contract::run::Exit;
use glob::Pattern;
use serde::Serialize;

use crate::capture::roots::Request;
use crate::look::{held, named};
use crate::store::Store;
use crate::store::contents::Contents;
use crate::store::manifest::{Entry, Header, Kind, Manifest};
use crate::{capture, create, text_diff};

/// The type of the record.
const KIND: &str = "snapshot.change";

/// How one path differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Change {
    Added,
    Removed,
    Modified,
    Retyped,
    /// Only mode, owner, time or extended attributes.
    Traits,
}

#[derive(Serialize)]
struct Difference<'a> {
    change: Change,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
}

/// How it is compared.
pub(crate) struct Options {
    /// Show what changes in text files.
    pub(crate) text: bool,
    /// Only these paths and what is below them; all where there is none.
    pub(crate) paths: Vec<PathBuf>,
}

/// Compares the snapshot `name` with `other`, where that is absent with what is there.
///
/// # Errors
/// There is no such snapshot, or what is there cannot be looked at.
pub(crate) fn run(out: &mut Output, store: &Store, name: &str, other: Option<&str>, options: &Options) -> anyhow::Result<Exit> {
    let _lock = store.share()?;
    let mut before = named(store, name)?;
    let contents = store.contents()?;
    let texts = options.text.then_some(&contents);
    let paths = options.paths.iter().map(|path| held(&before, path)).collect::<anyhow::Result<Vec<_>>>()?;
    let insist = |after: &Manifest| {
        let is_known =
            |path: &Path| [&before, after].iter().any(|side| side.entries.iter().any(|entry| entry.path.as_path().starts_with(path)));
        let unknown = paths.iter().find(|path| !is_known(path));
        unknown.map_or(Ok(()), |path| Err(anyhow::anyhow!("nothing is at {} on either side", shown(path))))
    };
    let differ = if let Some(other) = other {
        let mut after = named(store, other)?;
        insist(&after)?;
        after.narrow(&paths);
        before.narrow(&paths);
        between(out, &before, &after, texts, |entry| text_diff::kept(entry, &contents))?
    } else {
        let (mut after, mut troubles) = now(store, &before, &contents)?;
        insist(&after)?;
        after.narrow(&paths);
        before.narrow(&paths);
        // What could not be kept then is no news.
        troubles.retain(|trouble| before.at(&trouble.path).is_none_or(|entry| entry.kind != Kind::Special));
        create::report(out, &troubles)?;
        between(out, &before, &after, texts, |entry| text_diff::live(entry.path.as_path(), entry.size?))?
    };
    if !differ && out.draws() {
        out.hint(&format!("nothing differs from {}, kept at {}", before.header.id, before.header.time));
    }
    Ok(Exit::Done)
}

/// What is there now at the roots of a snapshot; nothing is written.
fn now(store: &Store, before: &Manifest, contents: &Contents) -> anyhow::Result<(Manifest, Vec<capture::Trouble>)> {
    let mut request = Request::default();
    for root in &before.header.roots {
        request.add_exactly(root.path.as_path())?;
    }
    before.header.excluded.iter().try_for_each(|glob| request.exclude_exactly(glob))?;
    let (entries, troubles) = capture::look(&request, store, contents)?;
    let header = Header { partial: !troubles.is_empty(), ..before.header.clone() };
    Ok((Manifest { header, entries }, troubles))
}

/// Writes a record for each path that both sides were to hold and that differs, and says whether any does; `kept` reads what is on the
/// other side.
pub(crate) fn between(
    out: &mut Output,
    before: &Manifest,
    after: &Manifest,
    contents: Option<&Contents>,
    kept: impl Fn(&Entry) -> Option<Vec<u8>>,
) -> anyhow::Result<bool> {
    let (mut differ, mut unasked) = (false, 0);
    let (old_scope, new_scope) = (Scope::of(before), Scope::of(after));
    let (mut old, mut new) = (before.entries.iter().peekable(), after.entries.iter().peekable());
    loop {
        let (was, is) = match (old.peek(), new.peek()) {
            (None, None) => break,
            (Some(_), None) => (old.next(), None),
            (None, Some(_)) => (None, new.next()),
            (Some(was), Some(is)) => match was.path.as_path().cmp(is.path.as_path()) {
                std::cmp::Ordering::Less => (old.next(), None),
                std::cmp::Ordering::Greater => (None, new.next()),
                std::cmp::Ordering::Equal => (old.next(), new.next()),
            },
        };
        let there = |entry: &&Entry| entry.kind != Kind::Absent;
        let (was, is) = (was.filter(there), is.filter(there));
        let Some(change) = change(was, is) else { continue };
        let other = if change == Change::Added { &old_scope } else { &new_scope };
        if let (Change::Added | Change::Removed, Some(entry)) = (change, was.or(is))
            && !other.tells_of(entry.path.as_path())
        {
            unasked += 1;
            continue;
        }
        let diff = contents
            .filter(|_| change == Change::Modified)
            .and_then(|contents| text_diff::between(&text_diff::kept(was?, contents)?, &kept(is?)?));
        let subject = was.or(is).map_or_else(|| Subject::from(Path::new("/")), |entry| entry.path.clone());
        let about = About { subject: Some(&subject), ..About::default() };
        out.emit(KIND, about, &Difference { change, before: was, after: is, diff })?;
        differ = true;
    }
    if unasked > 0 {
        out.hint(&format!("not compared, since one side was not to hold them or could not see them: {unasked}"));
    }
    Ok(differ)
}

/// What a snapshot was to hold.
struct Scope<'a> {
    manifest: &'a Manifest,
    excluded: Vec<Pattern>,
}

impl<'a> Scope<'a> {
    fn of(manifest: &'a Manifest) -> Self {
        Self { manifest, excluded: manifest.header.excluded.iter().filter_map(|glob| Pattern::new(glob).ok()).collect() }
    }

    /// Whether a path that it does not hold was not there.
    fn tells_of(&self, path: &Path) -> bool {
        let Some(root) = self.manifest.header.root_of(path) else { return false };
        let below = || path.ancestors().take_while(|above| *above != root.path.as_path());
        let is_left_out = below().any(|above| self.excluded.iter().any(|glob| glob.matches_path(above)));
        let folder = path.ancestors().skip(1).find_map(|above| self.manifest.at(above));
        let is_seen = folder.is_none_or(|folder| folder.kind != Kind::Folder || folder.complete);
        !is_left_out && (is_seen || !self.manifest.header.partial)
    }
}

fn change(was: Option<&Entry>, is: Option<&Entry>) -> Option<Change> {
    let (was, is) = match (was, is) {
        (None, None) => return None,
        (None, Some(_)) => return Some(Change::Added),
        (Some(_), None) => return Some(Change::Removed),
        (Some(was), Some(is)) => (was, is),
    };
    if was.kind != is.kind {
        return Some(Change::Retyped);
    }
    // A large file has no hash of its own but those of its pieces.
    if (was.sha256, &was.pieces, was.size, &was.target) != (is.sha256, &is.pieces, is.size, &is.target) {
        return Some(Change::Modified);
    }
    // The time of a folder only says that something in it changed, which is told anyway.
    let time = was.kind == Kind::Folder || was.mtime == is.mtime;
    let same = time && (&was.mode, was.uid, was.gid, &was.xattrs) == (&is.mode, is.uid, is.gid, &is.xattrs);
    (!same).then_some(Change::Traits)
}
