//! Exchanging the old for the new, name by name, and all the way back if anything is not as it was planned.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;
use contract::path::shown;
use contract::signal;
use rustix::fs::fsync;

use crate::restore::ground::{self, Ground, Live};
use crate::restore::journal::{Journal, Swap};
use crate::restore::traits::{self, Power};

/// Up to so many folders and files are synced one by one; more are cheaper with one sync of the file system.
const ONE_BY_ONE: usize = 64;

/// Exchanges everything that the journal names. `before` is what the plan saw at each name.
///
/// # Errors
/// Something is other than the plan saw it, or cannot be exchanged; then it is for `back::undo` to take the rest back.
pub(crate) fn all(journal: &Journal, before: &[Option<Live>], ground: &Ground, power: Power) -> anyhow::Result<()> {
    all_is_as_planned(journal, before, ground)?;
    for (number, (swap, before)) in journal.swaps.iter().zip(before).enumerate() {
        anyhow::ensure!(!signal::interrupted(), "interrupted");
        one(journal, number, swap, before.as_ref(), ground).with_context(|| format!("cannot put {} in place", path(swap)))?;
    }
    for touch in &journal.touches {
        let give = || {
            let (folder, name) = ground.place(touch.path.as_path())?;
            // Looked at when it is open: a name may lead elsewhere in the next moment.
            let file = traits::open(&folder, name)?;
            anyhow::ensure!(ground::open(&file)?.identity == touch.identity, "somebody replaced it meanwhile");
            touch.new.give(&file, power)?;
            if journal.touches.len() <= ONE_BY_ONE {
                fsync(&file)?;
            }
            Ok(())
        };
        give().with_context(|| format!("cannot change {}", shown(touch.path.as_path())))?;
    }
    Ok(())
}

/// The last look before the first change.
fn all_is_as_planned(journal: &Journal, before: &[Option<Live>], ground: &Ground) -> anyhow::Result<()> {
    let fresh = Ground::default();
    for folder in folders(journal) {
        let is_still = fresh.folder(folder).and_then(|now| ground::is_same(&now, &*ground.folder(folder)?));
        anyhow::ensure!(is_still.unwrap_or(false), "somebody put something else at {} meanwhile", shown(folder));
    }
    for (swap, before) in journal.swaps.iter().zip(before) {
        let now = ground::at(&*ground.folder(swap.folder.as_path())?, swap.name.as_path().as_os_str())?;
        let same = match (before, &now) {
            (None, None) => true,
            (Some(before), Some(now)) => now.is_untouched_since(before),
            _ => false,
        };
        anyhow::ensure!(same, "somebody changed {} since the restore looked at it", path(swap));
    }
    Ok(())
}

fn folders(journal: &Journal) -> BTreeSet<&Path> {
    journal.swaps.iter().map(|swap| swap.folder.as_path()).collect()
}

pub(super) fn path(swap: &Swap) -> String {
    shown(&swap.folder.as_path().join(swap.name.as_path()))
}

fn one(journal: &Journal, number: usize, swap: &Swap, before: Option<&Live>, ground: &Ground) -> anyhow::Result<()> {
    let folder = ground.folder(swap.folder.as_path())?;
    let (name, aside, parked) = (swap.name.as_path().as_os_str(), &journal.aside(number), &journal.parked(number));
    let now = ground::at(&folder, name)?;
    let same = match (before, &now) {
        (None, None) => true,
        (Some(before), Some(now)) => now.is_still(before),
        _ => false,
    };
    anyhow::ensure!(same, "somebody changed it since the restore looked at it");
    match (swap.new, before) {
        (Some(_), None) => ground::rename(&folder, aside, name)?,
        (None, Some(_)) => ground::rename(&folder, name, aside)?,
        (Some(_), Some(_)) if ground::exchange(&folder, name, aside)? => {}
        (Some(_), Some(_)) => {
            ground::rename(&folder, name, parked)?;
            ground::rename(&folder, aside, name)?;
        }
        (None, None) => return Ok(()),
    }
    // Between the look and the exchange somebody may have come: now nobody can.
    let old = match ground::at(&folder, parked)? {
        Some(parked) => Some(parked),
        None => ground::at(&folder, aside)?,
    };
    let still = before.is_none_or(|before| old.is_some_and(|old| old.is_still(before)));
    anyhow::ensure!(still, "somebody changed it since the restore looked at it");
    Ok(())
}

/// Whether what stands aside is still what the plan saw: somebody may have had a file open and written on.
pub(crate) fn old_is_untouched(journal: &Journal, before: &[Option<Live>], ground: &Ground) -> anyhow::Result<()> {
    for (number, (swap, before)) in journal.swaps.iter().zip(before).enumerate() {
        let Some(before) = before else { continue };
        let folder = ground.folder(swap.folder.as_path())?;
        let old = match ground::at(&folder, &journal.parked(number))? {
            Some(parked) => Some(parked),
            None => ground::at(&folder, &journal.aside(number))?,
        };
        anyhow::ensure!(old.is_some_and(|old| old.is_still(before)), "somebody wrote to {} meanwhile", path(swap));
    }
    Ok(())
}

/// Has every exchange on the disk.
pub(crate) fn sync(journal: &Journal, ground: &Ground) -> anyhow::Result<()> {
    let mut folders = folders(journal);
    if journal.touches.len() > ONE_BY_ONE {
        folders.extend(journal.touches.iter().filter_map(|touch| touch.path.as_path().parent()));
    }
    let many = folders.len() > ONE_BY_ONE;
    let mut devices = BTreeSet::new();
    for folder in folders {
        let open = ground.folder(folder).with_context(|| format!("cannot reach {}", shown(folder)))?;
        if !many {
            ground::sync(&open)?;
        } else if devices.insert(rustix::fs::fstat(&*open)?.st_dev) {
            ground::sync_all(&open)?;
        }
    }
    Ok(())
}

/// Whether everything is in place, on a way of its own to it.
pub(crate) fn verify(journal: &Journal) -> anyhow::Result<()> {
    let ground = Ground::default();
    for swap in &journal.swaps {
        let folder = ground.folder(swap.folder.as_path())?;
        let now = ground::at(&folder, swap.name.as_path().as_os_str())?.map(|live| live.identity);
        anyhow::ensure!(now == swap.new, "{} is not what was put there", path(swap));
    }
    Ok(())
}
