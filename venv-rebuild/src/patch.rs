//! A change of single files: each original is saved before it is replaced, under `undo/ID` in the state folder.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::{Subject, shown};
use contract::{replace, state};
use serde::{Deserialize, Serialize};

use crate::edit::{self, Content, Edit, clear_temporaries, content};
use crate::journal::Tree;
use crate::record::digest;
use crate::swap;

/// The originals could not be saved, so nothing was changed: an error of the state folder, that no higher rung gets round.
#[derive(Debug)]
pub(crate) struct Unsaved;

impl std::fmt::Display for Unsaved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nothing was changed, since the originals could not be saved")
    }
}

/// The originals of one change, and what was written in their place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Patch {
    v: u64,
    /// The change's id.
    pub(crate) id: String,
    /// The environment.
    pub(crate) venv: Subject,
    /// Its root at the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<Tree>,
    /// The rungs.
    pub(crate) verb: String,
    files: Vec<Saved>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Saved {
    /// Relative to the root of the environment.
    path: Subject,
    old: Old,
    /// [`fingerprint`] of what was written.
    new: String,
    /// When that was, in seconds and nanoseconds, as the file system has it: the same bytes of a later time are somebody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    written: Option<(i64, i64)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "was")]
enum Old {
    Absent,
    Folder,
    Link { target: Subject },
    File { saved: String, mode: u32 },
}

impl Patch {
    /// A change of nothing yet.
    pub(crate) fn begin(id: &str, venv: &Path, verb: &str) -> Self {
        let root = Tree::at(venv).ok().flatten();
        Self { v: 1, id: id.to_owned(), venv: Subject::from(venv), root, verb: verb.to_owned(), files: Vec::new() }
    }

    /// Saves what the edits will replace, waits until that is on the disk, and makes them; [`Patch::sync`] waits for those.
    pub(crate) fn apply(&mut self, state: &Path, edits: &[Edit]) -> anyhow::Result<()> {
        self.save_all(state, edits)?;
        edits.iter().try_for_each(|edit| edit.apply(self.venv.as_path()))
    }

    fn save_all(&mut self, state: &Path, edits: &[Edit]) -> anyhow::Result<()> {
        state::private_folder(&folder(state, &self.id)).context(Unsaved)?;
        for edit in edits {
            let new = fingerprint(&edit.content);
            let path = Subject::from(&edit.path);
            match self.files.iter_mut().find(|saved| saved.path == path) {
                Some(saved) => saved.new = new,
                None => self.files.push(Saved { old: self.save(state, &edit.path)?, path, new, written: None }),
            }
        }
        self.write(state).context(Unsaved)
    }

    /// Waits until what was changed is on the disk, and puts on record when it was written; before that, the change must not be called done.
    pub(crate) fn sync(&mut self, state: &Path) -> anyhow::Result<()> {
        for file in &mut self.files {
            file.written = written(&self.venv.as_path().join(file.path.as_path()));
        }
        self.write(state)?;
        self.wait()
    }

    fn wait(&self) -> anyhow::Result<()> {
        edit::sync(self.venv.as_path(), self.paths())
    }

    fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    fn save(&self, state: &Path, path: &Path) -> anyhow::Result<Old> {
        let full = self.venv.as_path().join(path);
        Ok(match content(&full).with_context(|| format!("cannot read {}", shown(&full)))? {
            Content::Absent => Old::Absent,
            Content::Folder => Old::Folder,
            Content::Link(target) => Old::Link { target: Subject::from(&target) },
            Content::File { bytes, mode } => {
                let saved = self.files.len().to_string();
                copy(&bytes, &folder(state, &self.id).join(&saved)).context(Unsaved)?;
                Old::File { saved, mode }
            }
        })
    }

    /// The edits that bring the originals back, last change first.
    pub(crate) fn inverse(&self, state: &Path) -> anyhow::Result<Vec<Edit>> {
        self.files
            .iter()
            .rev()
            .map(|file| {
                let content = match &file.old {
                    Old::Absent => Content::Absent,
                    Old::Folder => Content::Folder,
                    Old::Link { target } => Content::Link(target.as_path().to_owned()),
                    Old::File { saved, mode } => {
                        let saved = folder(state, &self.id).join(saved);
                        Content::File { bytes: state::read(&saved).with_context(|| format!("cannot read {}", shown(&saved)))?, mode: *mode }
                    }
                };
                Ok(Edit { path: file.path.as_path().to_owned(), content })
            })
            .collect()
    }

    /// Whether the tree that stands there now is the one that was changed.
    pub(crate) fn is_of(&self, now: Option<Tree>) -> bool {
        self.root.is_none_or(|root| Some(root) == now)
    }

    /// The files that are neither as before the change nor as after it.
    pub(crate) fn changed(&self, state: &Path) -> anyhow::Result<Vec<PathBuf>> {
        self.ways_back(state).map(|(_, changed)| changed)
    }

    /// Brings those originals back in whose place stands what the change wrote, and clears away what a crash may have left of a
    /// replacement; returns the files that stay. Where nothing was changed, nothing is written.
    pub(crate) fn restore(&self, state: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let venv = self.venv.as_path();
        let (edits, mut changed) = self.ways_back(state)?;
        for edit in edits {
            // A folder that was made goes only if nobody has put anything into it.
            let path = venv.join(&edit.path);
            if edit.content == Content::Absent && fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
                changed.push(edit.path);
            } else {
                edit.apply(venv)?;
            }
        }
        edit::folders(venv, self.paths()).iter().try_for_each(|folder| clear_temporaries(folder))?;
        self.wait().map(|()| changed)
    }

    /// The edits that bring back what the change replaced, and the files that are neither as before nor as after.
    fn ways_back(&self, state: &Path) -> anyhow::Result<(Vec<Edit>, Vec<PathBuf>)> {
        let venv = self.venv.as_path();
        let (mut edits, mut changed) = (Vec::new(), Vec::new());
        for (file, edit) in self.files.iter().rev().zip(self.inverse(state)?) {
            if file.is_as_written(venv) {
                edits.push(edit);
            } else if content(&venv.join(&edit.path)).map_or(true, |now| now != edit.content) {
                changed.push(edit.path);
            }
        }
        Ok((edits, changed))
    }

    /// Brings all originals back and forgets them.
    ///
    /// # Errors
    /// One cannot be brought back, or somebody has changed the file since; then the originals are kept.
    pub(crate) fn take_back(&self, state: &Path) -> anyhow::Result<()> {
        let changed = self.restore(state)?;
        let first = changed.first().map_or_else(String::new, |file| shown(file));
        anyhow::ensure!(changed.is_empty(), "somebody has changed {first} meanwhile");
        self.discard(state)
    }

    /// Where the originals are.
    pub(crate) fn originals(&self, state: &Path) -> PathBuf {
        folder(state, &self.id)
    }

    /// Forgets the originals.
    pub(crate) fn discard(&self, state: &Path) -> anyhow::Result<()> {
        forget(state, &self.id)
    }

    /// Whether every file is as the change left it, so that bringing the originals back loses nothing.
    pub(crate) fn is_untouched(&self) -> bool {
        self.files.iter().all(|file| file.is_as_written(self.venv.as_path()))
    }

    fn write(&self, state: &Path) -> anyhow::Result<()> {
        let path = folder(state, &self.id).join("manifest.json");
        replace::write(&path, &serde_json::to_vec(self).context("cannot render a manifest")?)
    }
}

impl Saved {
    fn is_as_written(&self, venv: &Path) -> bool {
        let path = venv.join(self.path.as_path());
        let is_ours = self.written.is_none_or(|then| written(&path) == Some(then));
        is_ours && content(&path).is_ok_and(|now| fingerprint(&now) == self.new)
    }
}

/// When the file or link at a path was written; what is in a folder changes its time, too.
fn written(path: &Path) -> Option<(i64, i64)> {
    let meta = path.symlink_metadata().ok().filter(|meta| !meta.is_dir())?;
    Some((meta.mtime(), meta.mtime_nsec()))
}

/// Until the manifest is there, nothing was changed and nobody reads this: the bytes must last, and the manifest's folder is synced behind them.
fn copy(bytes: &[u8], to: &Path) -> anyhow::Result<()> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
        file.write_all(bytes).and_then(|()| file.sync_all())
    };
    write().with_context(|| format!("cannot save the original as {}", shown(to)))
}

fn folder(state: &Path, id: &str) -> PathBuf {
    state.join("undo").join(id)
}

/// Removes what was saved for a change, whole or not.
pub(crate) fn forget(state: &Path, id: &str) -> anyhow::Result<()> {
    swap::remove(&folder(state, id))
}

/// Reads the originals of a change; `None` where it saved none.
pub(crate) fn open(state: &Path, id: &str) -> anyhow::Result<Option<Patch>> {
    let manifest = folder(state, id).join("manifest.json");
    let bytes = match state::read(&manifest) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", shown(&manifest))),
    };
    let patch: Patch = serde_json::from_slice(&bytes).with_context(|| format!("cannot understand {}", shown(&manifest)))?;
    anyhow::ensure!(patch.v <= 1, "{} is of a newer venv-rebuild; use that one", shown(&manifest));
    Ok(Some(patch))
}

/// The changes of single files that are kept, oldest first.
pub(crate) fn all(state: &Path) -> anyhow::Result<Vec<Patch>> {
    let folder = state.join("undo");
    let Ok(entries) = fs::read_dir(&folder) else { return Ok(Vec::new()) };
    let mut ids: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    ids.sort();
    ids.iter().filter_map(|id| open(state, id).transpose()).collect()
}

fn fingerprint(content: &Content) -> String {
    match content {
        Content::Absent => "absent".to_owned(),
        Content::Folder => "folder".to_owned(),
        Content::Link(target) => format!("link {}", digest(target.as_os_str().as_encoded_bytes())),
        Content::File { bytes, mode } => format!("file {mode:o} {}", digest(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_was_replaced_twice_comes_back_as_it_was_first() {
        let folder = tempfile::tempdir().unwrap();
        let (state, venv) = (folder.path().join("state"), folder.path().join("venv"));
        fs::create_dir(&venv).unwrap();
        symlink("/gone", venv.join("python")).unwrap();
        replace::write(&venv.join("cfg"), b"old").unwrap();
        let edit = |path: &str, content| Edit { path: path.into(), content };
        let file = |text: &str| Content::File { bytes: text.into(), mode: 0o644 };

        let mut patch = Patch::begin("1", &venv, "relink");
        patch.apply(&state, &[edit("python", Content::Link("/opt".into())), edit("cfg", file("new"))]).unwrap();
        patch.apply(&state, &[edit("cfg", file("newer")), edit("bin", Content::Folder), edit("bin/added", file("x"))]).unwrap();
        patch.sync(&state).unwrap();
        assert_eq!(content(&venv.join("cfg")).unwrap(), file("newer"));

        let patch = open(&state, "1").unwrap().unwrap();
        assert!(patch.is_untouched());
        assert!(patch.restore(&state).unwrap().is_empty());
        assert!(!patch.is_untouched());
        assert_eq!(content(&venv.join("python")).unwrap(), Content::Link("/gone".into()));
        assert_eq!(content(&venv.join("cfg")).unwrap(), Content::File { bytes: b"old".to_vec(), mode: 0o600 });
        assert_eq!(content(&venv.join("bin")).unwrap(), Content::Absent);
    }

    #[test]
    fn what_somebody_wrote_later_stays_be_it_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (state, venv) = (folder.path().join("state"), folder.path().join("venv"));
        fs::create_dir(&venv).unwrap();
        for name in ["a", "b"] {
            symlink("/gone", venv.join(name)).unwrap();
        }
        let edits = ["a", "b"].map(|name| Edit { path: name.into(), content: Content::Link("/opt".into()) });
        let mut patch = Patch::begin("1", &venv, "relink");
        patch.apply(&state, &edits).unwrap();
        patch.sync(&state).unwrap();
        // By hand, until the clock of the file system has gone on.
        let before = written(&venv.join("b"));
        while written(&venv.join("b")) == before {
            fs::remove_file(venv.join("b")).unwrap();
            symlink("/opt", venv.join("b")).unwrap();
        }
        let patch = open(&state, "1").unwrap().unwrap();
        assert!(!patch.is_untouched());
        assert_eq!(patch.restore(&state).unwrap(), [PathBuf::from("b")]);
        assert_eq!(content(&venv.join("a")).unwrap(), Content::Link("/gone".into()));
        assert_eq!(content(&venv.join("b")).unwrap(), Content::Link("/opt".into()));
    }
}
