//! What a restore takes away: only what was not there, in folders of which everything was seen, and nothing that could not be kept first.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::mounts;
use contract::path::shown;

use crate::restore::ground::Ground;
use crate::restore::journal::is_ours;
use crate::restore::plan::{Change, Step, Wish, is_below, names};
use crate::store::Store;
use crate::store::manifest::{Entry, Kind};

/// What is told of a socket, device or pipe.
const SPECIAL: &str = "a socket, device or pipe cannot be kept first, and so is left alone";
/// What is told of a mount point.
const MOUNTED: &str = "a file system is mounted there, and what is in it is left alone";
/// What is told of what a restore has aside.
const ASIDE: &str = "a restore may have that aside, so it is left alone";

/// What is there and was not.
pub(super) struct Extra {
    pub(super) place: PathBuf,
    /// As the snapshot would spell it, and as what it leaves out is spelled.
    pub(super) spelled: PathBuf,
}

impl Extra {
    fn within(&self, name: &OsStr) -> Self {
        Self { place: self.place.join(name), spelled: self.spelled.join(name) }
    }
}

type Left = Vec<(PathBuf, &'static str)>;

impl<'a> Wish<'a> {
    /// What is mounted below the roots: it is not what was seen, even where it is a part of the same file system that is seen twice.
    pub(super) fn mounts(&self) -> anyhow::Result<HashSet<PathBuf>> {
        let roots: HashSet<PathBuf> =
            self.manifest.header.roots.iter().map(|root| self.place(root.path.as_path())).collect::<anyhow::Result<_>>()?;
        mounts::below_any(&roots).context("cannot see which file systems are mounted")
    }

    /// What is there and was not, in folders of which everything was seen.
    pub(super) fn extra(
        &self,
        entries: &[&'a Entry],
        mounts: &HashSet<PathBuf>,
        ground: &Ground,
        store: &Store,
        none: &HashSet<PathBuf>,
        left: &mut Left,
    ) -> anyhow::Result<Vec<Extra>> {
        let known: HashSet<&Path> = self.manifest.entries.iter().map(|entry| entry.path.as_path()).collect();
        let folders = entries.iter().filter(|entry| entry.kind == Kind::Folder && entry.complete);
        let mut extra = Vec::new();
        for entry in folders {
            let folder = Extra { place: self.place(entry.path.as_path())?, spelled: entry.path.as_path().to_owned() };
            let is_there = !is_below(none, &folder.place) && ground.live(&folder.place)?.is_some_and(|live| live.kind == Kind::Folder);
            if !is_there {
                continue;
            }
            let mount = folder.place.ancestors().find(|above| mounts.contains(*above));
            for name in names(&folder.place, ground)? {
                let one = folder.within(&name);
                if known.contains(one.spelled.as_path()) || store.touches(&one.place) {
                    continue;
                }
                match mount {
                    Some(mount) if left.iter().any(|(path, _)| path == mount) => {}
                    Some(mount) => left.push((mount.to_owned(), MOUNTED)),
                    None => extra.push(one),
                }
            }
        }
        Ok(extra)
    }

    /// Has what was not there go: all of it, but for what cannot be kept first and what the snapshot was told to leave out.
    pub(super) fn going(
        &self,
        extra: Extra,
        mounts: &HashSet<PathBuf>,
        ground: &Ground,
        steps: &mut Vec<Step<'a>>,
        left: &mut Left,
    ) -> anyhow::Result<()> {
        let before = ground.live(&extra.place)?;
        match before.as_ref().map(|live| live.kind) {
            None => return Ok(()),
            Some(_) if self.is_left_out(&extra) => return Ok(()),
            Some(_) if extra.place.file_name().is_some_and(is_ours) => {
                left.push((extra.place, ASIDE));
                return Ok(());
            }
            Some(_) if mounts.contains(&extra.place) => {
                left.push((extra.place, MOUNTED));
                return Ok(());
            }
            Some(Kind::Special) => {
                left.push((extra.place, SPECIAL));
                return Ok(());
            }
            Some(Kind::Folder) if self.must_stay(&extra, mounts, ground)? => {
                let within = names(&extra.place, ground)?;
                return within.iter().try_for_each(|name| self.going(extra.within(name), mounts, ground, steps, left));
            }
            Some(_) => {}
        }
        steps.push(Step { path: extra.place, entry: None, change: Change::Delete, before, within: false });
        Ok(())
    }

    /// Whether there is anything in a folder that does not go.
    fn must_stay(&self, folder: &Extra, mounts: &HashSet<PathBuf>, ground: &Ground) -> anyhow::Result<bool> {
        for name in names(&folder.place, ground)? {
            let one = folder.within(&name);
            let stays = match ground.live(&one.place)?.map(|live| live.kind) {
                _ if is_ours(&name) || self.is_left_out(&one) || mounts.contains(&one.place) => true,
                Some(Kind::Special) => true,
                Some(Kind::Folder) => self.must_stay(&one, mounts, ground)?,
                _ => false,
            };
            if stays {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_left_out(&self, extra: &Extra) -> bool {
        self.excluded.iter().any(|glob| glob.matches_path(&extra.spelled))
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
