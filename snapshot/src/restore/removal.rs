//! What a restore takes away: only what was not there, in folders of which everything was seen, and nothing that could not be kept first.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::mounts;
use contract::path::shown;

use crate::restore::ground::{Ground, Live};
use crate::restore::journal::is_ours;
use crate::restore::plan::{Change, Step, Wish, is_below, names};
use crate::store::Store;
use crate::store::manifest::{Entry, Kind};

impl<'a> Wish<'a> {
    /// What is there and was not, in folders of which everything was seen.
    pub(super) fn extra(
        &self,
        entries: &[&'a Entry],
        ground: &Ground,
        store: &Store,
        none: &HashSet<PathBuf>,
    ) -> anyhow::Result<Vec<PathBuf>> {
        let known: HashSet<&Path> = self.manifest.entries.iter().map(|entry| entry.path.as_path()).collect();
        let folders = entries.iter().filter(|entry| entry.kind == Kind::Folder && entry.complete);
        let mut extra = Vec::new();
        for entry in folders {
            let place = self.place(entry.path.as_path())?;
            let live = if is_below(none, &place) { None } else { ground.live(&place)?.filter(|live| live.kind == Kind::Folder) };
            // What was mounted there since is not what was seen.
            if live.is_none_or(|live| self.is_on_another_disk(entry, &live, ground)) {
                continue;
            }
            for name in names(&place, ground)? {
                let path = place.join(&name);
                let ours = is_ours(&name) || store.touches(&path);
                if !ours && !known.contains(entry.path.as_path().join(&name).as_path()) {
                    extra.push(path);
                }
            }
        }
        Ok(extra)
    }

    /// Whether a folder is on another file system than its root is.
    fn is_on_another_disk(&self, entry: &Entry, live: &Live, ground: &Ground) -> bool {
        let root = self.manifest.header.root_of(entry.path.as_path()).and_then(|root| self.place(root.path.as_path()).ok());
        let there = root.and_then(|root| ground.live(&root).ok().flatten());
        there.is_some_and(|root| root.identity.dev != live.identity.dev)
    }

    /// Has what was not there go: all of it, but for what cannot be kept first and what the snapshot was told to leave out.
    pub(super) fn going(&self, path: PathBuf, ground: &Ground, steps: &mut Vec<Step<'a>>, left: &mut Vec<PathBuf>) -> anyhow::Result<()> {
        let before = ground.live(&path)?;
        match before.as_ref().map(|live| live.kind) {
            None => return Ok(()),
            Some(_) if self.is_left_out(&path) => return Ok(()),
            Some(Kind::Special) => {
                left.push(path);
                return Ok(());
            }
            Some(Kind::Folder) if self.must_stay(&path, ground)? => {
                let within = names(&path, ground)?;
                return within.iter().try_for_each(|name| self.going(path.join(name), ground, steps, left));
            }
            Some(_) => {}
        }
        steps.push(Step { path, entry: None, change: Change::Delete, before, within: false });
        Ok(())
    }

    /// Whether there is anything in a folder that does not go.
    fn must_stay(&self, folder: &Path, ground: &Ground) -> anyhow::Result<bool> {
        for name in names(folder, ground)? {
            let path = folder.join(name);
            let stays = match ground.live(&path)?.map(|live| live.kind) {
                _ if self.is_left_out(&path) => true,
                Some(Kind::Special) => true,
                Some(Kind::Folder) => self.must_stay(&path, ground)?,
                _ => false,
            };
            if stays {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_left_out(&self, path: &Path) -> bool {
        self.excluded.iter().any(|glob| glob.matches_path(path))
    }

    /// A folder with something in it that stands where a file was goes only if that is asked for.
    pub(super) fn nothing_is_lost(&self, steps: &[Step<'_>], ground: &Ground, store: &Store) -> anyhow::Result<()> {
        let goes = |step: &&Step<'_>| matches!(step.change, Change::Retype | Change::Delete);
        if let Some(step) = steps.iter().filter(goes).find(|step| store.touches(&step.path)) {
            anyhow::bail!("the store is in {}, which would be removed; choose another place with --store first", shown(&step.path));
        }
        let is_folder = |step: &&Step<'_>| step.before.as_ref().is_some_and(|live| live.kind == Kind::Folder);
        for step in steps.iter().filter(goes).filter(is_folder) {
            let mounts = mounts::below(&step.path).context("cannot see which file systems are mounted")?;
            let first = mounts.first().map_or_else(String::new, |mount| shown(mount));
            anyhow::ensure!(mounts.is_empty(), "a file system is mounted at {first}, in what would be removed; unmount it first");
        }
        for step in steps.iter().filter(|step| step.change == Change::Retype && !self.exact).filter(is_folder) {
            anyhow::ensure!(
                names(&step.path, ground)?.is_empty(),
                "{} is a folder now and was none; --exact removes what is in it, and keeps it in a snapshot",
                shown(&step.path)
            );
        }
        Ok(())
    }
}
