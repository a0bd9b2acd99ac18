//! The snapshot of what a restore replaces: the way back.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Context as _;
use contract::path::shown;

use crate::capture::Trouble;
use crate::capture::roots::Request;
use crate::create::{self, Care, Words};
use crate::restore::Restore;
use crate::restore::ground::{Identity, Live};
use crate::restore::journal::Journal;
use crate::restore::plan::{self, Change, Step};
use crate::store::manifest::{Kind, Manifest};

/// The label of the snapshots that a restore makes of what it replaces.
pub(crate) const SAFETY: &str = "auto-before-restore";
/// Up to so many paths are named one by one in that snapshot.
const NAMED: usize = 1000;

impl Restore<'_> {
    /// Makes a snapshot of everything that will be touched, and of what is not there.
    pub(super) fn keep_what_goes(&mut self) -> anyhow::Result<()> {
        let touched: Vec<&Step<'_>> = self.plan.changes().filter(|step| !step.within).collect();
        if touched.iter().all(|step| step.before.is_none()) {
            return Ok(());
        }
        let mut request = Request::default();
        let few = touched.len() <= NAMED;
        if few {
            // With the other names of what goes, so that they can be names of one file again; those of what is in a folder that goes could
            // be anywhere.
            let of_many =
                |step: &&Step<'_>| step.before.as_ref().filter(|live| live.kind == Kind::File && live.names > 1).map(|live| live.identity);
            let shared: HashSet<Identity> = touched.iter().filter_map(of_many).collect();
            let folder_goes = touched
                .iter()
                .any(|step| step.change != Change::Traits && step.before.as_ref().is_some_and(|live| live.kind == Kind::Folder));
            let others =
                self.plan.steps.iter().filter(|step| of_many(step).is_some_and(|identity| folder_goes || shared.contains(&identity)));
            others.chain(touched.iter().copied()).try_for_each(|step| request.add_exactly(&step.path))?;
        } else {
            let tops = self.tops();
            tops.iter().try_for_each(|top| request.add_exactly(top))?;
        }
        let description = Some(format!("before restoring {}", self.manifest.header.id));
        let words = Words { description, label: Some(SAFETY.to_owned()), recipients: self.recipients.clone() };
        let (safety, captured) = create::make(self.store, &request, words, if few { Care::ProofOfFew } else { Care::Proof })?;
        // Of a folder that only gets another mode or time, what is in it stays.
        let goes =
            |step: &Step<'_>, path: &Path| if step.change == Change::Traits { path == step.path } else { path.starts_with(&step.path) };
        // A socket or pipe that stands where a file was holds nothing that could be lost.
        let is_empty = |step: &Step<'_>| step.entry.is_some() && step.before.as_ref().is_some_and(|live| live.kind == Kind::Special);
        let loses = |trouble: &Trouble| touched.iter().any(|step| goes(step, &trouble.path) && !is_empty(step));
        if let Some(trouble) = captured.troubles.iter().find(|trouble| loses(trouble)) {
            anyhow::bail!("what would be replaced could not be kept first: {}", trouble.text);
        }
        self.safety = Some(safety);
        Ok(())
    }

    /// The topmost paths of the plan.
    fn tops(&self) -> Vec<&Path> {
        let mut tops: Vec<&Path> = Vec::new();
        for step in &self.plan.steps {
            if tops.last().is_none_or(|top| !step.path.starts_with(top)) {
                tops.push(&step.path);
            }
        }
        tops
    }

    /// Whole folders that went aside hold only what is in the snapshot of what goes: somebody may have put something into them since.
    pub(super) fn trees_are_kept(&self, journal: &Journal) -> anyhow::Result<()> {
        let Some(kept) = &self.safety else { return Ok(()) };
        let gone: Vec<usize> = self.swaps_of_folders();
        if gone.is_empty() {
            return Ok(());
        }
        for number in gone {
            let swap = &journal.swaps[number];
            let was = swap.folder.as_path().join(swap.name.as_path());
            self.tree_is_kept(kept, &swap.folder.as_path().join(journal.aside(number)), &was)?;
        }
        Ok(())
    }

    fn swaps_of_folders(&self) -> Vec<usize> {
        let folder = |live: &Option<Live>| live.as_ref().is_some_and(|live| live.kind == Kind::Folder);
        self.before().iter().enumerate().filter(|(_, live)| folder(live)).map(|(number, _)| number).collect()
    }

    fn tree_is_kept(&self, kept: &Manifest, aside: &Path, was: &Path) -> anyhow::Result<()> {
        let live = self.ground.live(aside)?.with_context(|| format!("{} is gone", shown(aside)))?;
        let entry = kept.at(was).with_context(|| format!("somebody made {} meanwhile", shown(was)))?;
        let time = crate::capture::mtime(live.mtime.0, live.mtime.1);
        let still = live.kind == Kind::Folder || entry.size.is_none_or(|size| size == live.size) && entry.mtime.as_ref() == Some(&time);
        anyhow::ensure!(still && entry.kind == live.kind, "somebody changed {} meanwhile", shown(was));
        if live.kind == Kind::Folder {
            for name in plan::names(aside, self.ground)? {
                self.tree_is_kept(kept, &aside.join(&name), &was.join(&name))?;
            }
        }
        Ok(())
    }
}
