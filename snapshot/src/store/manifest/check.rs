//! Whether a manifest may lead a restore: it can have been made by somebody who wants one to write where it should not.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use super::{Entry, Kind, Manifest};

/// No system call takes a longer path (`PATH_MAX` of Linux), so that none was ever read.
const LONGEST: usize = 4096;

impl Manifest {
    /// Insists that all paths are plain, sorted and below the roots, and that each entry says what its kind needs.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for root in &self.header.roots {
            anyhow::ensure!(is_plain(root.path.as_path()), "the root {} is no plain absolute path", root.path);
            anyhow::ensure!(is_plain(root.real.as_path()), "the root {} is no plain absolute path", root.real);
        }
        for entry in &self.header.above {
            anyhow::ensure!(is_plain(entry.path.as_path()), "{} is no plain absolute path", entry.path);
        }
        let (count, said) = (self.entries.len() as u64, self.header.entries);
        anyhow::ensure!(count == said, "it says that it has {said} entries and has {count}");
        self.places()?;
        self.entries.iter().try_for_each(|entry| self.names(entry).and_then(|()| entry.complete_for_its_kind()))
    }

    /// Each path stands in a folder that is there, or is a root.
    fn places(&self) -> anyhow::Result<()> {
        let roots: HashSet<&Path> = self.header.roots.iter().map(|root| root.path.as_path()).collect();
        let mut above: Vec<&Entry> = Vec::new();
        let mut last: Option<&Path> = None;
        for entry in &self.entries {
            let path = entry.path.as_path();
            anyhow::ensure!(is_plain(path), "{} is no plain absolute path", entry.path);
            anyhow::ensure!(last.is_none_or(|last| last < path), "{} is out of order or stands twice", entry.path);
            last = Some(path);
            while above.last().is_some_and(|parent| !path.starts_with(parent.path.as_path())) {
                above.pop();
            }
            let parent = above.last();
            anyhow::ensure!(parent.is_none_or(|parent| parent.kind == Kind::Folder), "{} is below what is no folder", entry.path);
            // A root may lie in another one, below what is left out there or was not there.
            let is_in_folder = parent.is_some_and(|parent| path.parent() == Some(parent.path.as_path()));
            anyhow::ensure!(is_in_folder || roots.contains(path), "{} is beneath no root and no folder", entry.path);
            above.push(entry);
        }
        Ok(())
    }

    fn names(&self, entry: &Entry) -> anyhow::Result<()> {
        let Some(same) = &entry.same_as else { return Ok(()) };
        let first = self.at(same.as_path());
        anyhow::ensure!(
            first.is_some_and(|first| first.path.as_path() < entry.path.as_path() && entry.is_another_name_of(first)),
            "{} claims to be the same file as {same}, which is no such file before it",
            entry.path
        );
        Ok(())
    }
}

impl Entry {
    fn is_another_name_of(&self, first: &Self) -> bool {
        let content = |entry: &Self| (entry.kind, entry.size, entry.sha256, entry.pieces.clone());
        first.kind == Kind::File && first.same_as.is_none() && content(self) == content(first)
    }

    fn complete_for_its_kind(&self) -> anyhow::Result<()> {
        if self.kind == Kind::File {
            let sum: Option<u64> = self.pieces.iter().try_fold(0, |sum: u64, piece| sum.checked_add(piece.size));
            let fits = if self.sha256.is_some() { self.pieces.is_empty() } else { sum == self.size };
            anyhow::ensure!(self.size.is_some() && fits, "the file {} has no content", self.path);
        }
        let stood = matches!(self.kind, Kind::File | Kind::Folder | Kind::Link);
        let known = self.bits().is_some() && self.time().is_some() && self.uid.is_some() && self.gid.is_some();
        anyhow::ensure!(known || !stood, "it does not say mode, owner and time of {}", self.path);
        anyhow::ensure!(self.kind != Kind::Link || self.target.is_some(), "the link {} leads nowhere", self.path);
        Ok(())
    }
}

/// Absolute, and every component a name: what a restore may be led by.
pub(crate) fn is_plain(path: &Path) -> bool {
    let mut components = path.components();
    let rooted = components.next() == Some(Component::RootDir);
    let spelled: PathBuf = path.components().collect();
    let bytes = path.as_os_str().as_encoded_bytes();
    rooted
        && bytes.len() < LONGEST
        && path.file_name().is_some()
        && components.all(|component| matches!(component, Component::Normal(_)))
        && spelled.as_os_str() == path.as_os_str()
        && !bytes.contains(&0)
}
