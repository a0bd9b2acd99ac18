//! Exchanging the old for the new, name by name, and all the way back if anything is not as it was planned.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;
use contract::signal;
use rustix::fs::{AtFlags, utimensat};

use crate::restore::ground::{self, Ground, Live};
use crate::restore::journal::{Journal, Stage, Swap};
use crate::restore::spared;
use crate::restore::traits::{self, Power, Traits};

/// Exchanges everything that the journal names. `before` is what the plan saw at each name.
///
/// # Errors
/// Something is other than the plan saw it, or cannot be exchanged; then it is for [`undo`] to take the rest back.
pub(crate) fn all(journal: &Journal, before: &[Option<Live>], ground: &Ground, power: Power) -> anyhow::Result<()> {
    all_is_as_planned(journal, before, ground)?;
    for (number, (swap, before)) in journal.swaps.iter().zip(before).enumerate() {
        anyhow::ensure!(!signal::interrupted(), "interrupted");
        one(journal, number, swap, before.as_ref(), ground).with_context(|| format!("cannot put {} in place", path(swap)))?;
    }
    for touch in &journal.touches {
        let give = || {
            let (folder, name) = ground.place(touch.path.as_path())?;
            let live = ground::at(&folder, name)?.context("it is gone")?;
            anyhow::ensure!(live.identity == touch.identity, "somebody replaced it meanwhile");
            touch.new.give(traits::open(&folder, name)?, power)
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

fn path(swap: &Swap) -> String {
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
    let folders = folders(journal);
    let many = folders.len() > 64;
    let mut devices = BTreeSet::new();
    for folder in folders {
        let open = match ground.folder(folder) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            open => open.with_context(|| format!("cannot reach {}", shown(folder)))?,
        };
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

/// Takes everything back that was exchanged, last first, and removes what was made. May be done again after a crash at any point.
/// Folders that `ground` holds open are worked in wherever they are by now.
///
/// Returns where what somebody wrote meanwhile to what had been put in place is now.
///
/// # Errors
/// Something cannot be put back; the journal must stay. The rest is back.
pub(crate) fn undo(journal: &Journal, ground: &Ground, power: Power) -> anyhow::Result<Vec<PathBuf>> {
    let (mut first, mut spared) = (Ok(()), Vec::new());
    for (number, swap) in journal.swaps.iter().enumerate().rev() {
        match back(journal, number, swap, ground).with_context(|| format!("cannot put {} back", path(swap))) {
            Ok(kept) => spared.extend(kept),
            Err(e) => first = first.and(Err(e)),
        }
    }
    for touch in journal.touches.iter().rev().chain(&journal.around) {
        let give = || {
            let (folder, name) = ground.place(touch.path.as_path())?;
            match ground::at(&folder, name)? {
                // Where nothing was changed nothing need be, as on a disk that is read-only.
                Some(live) if live.identity == touch.identity && Traits::live(touch.path.as_path(), &live)? != touch.old => {
                    touch.old.give(traits::open(&folder, name)?, power)
                }
                _ => Ok(()),
            }
        };
        first = first.and(give().with_context(|| format!("cannot put the mode and times of {} back", shown(touch.path.as_path()))));
    }
    first.and_then(|()| sync(journal, ground)).map(|()| spared)
}

fn back(journal: &Journal, number: usize, swap: &Swap, ground: &Ground) -> anyhow::Result<Option<PathBuf>> {
    let folder = match ground.folder(swap.folder.as_path()) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        folder => folder?,
    };
    let spare = &journal.parked(number + journal.swaps.len());
    let (name, aside, parked) = (swap.name.as_path().as_os_str(), &journal.aside(number), &journal.parked(number));
    let now = identity(&folder, name)?;
    if let Some(old) = swap.old {
        let kept = [parked, aside].into_iter().find(|place| identity(&folder, place).is_ok_and(|found| found == Some(old)));
        match kept {
            // It never went aside: whatever became of it since is not our doing.
            None => {}
            Some(kept) if now.is_none() => ground::rename(&folder, kept, name)?,
            Some(kept) => {
                anyhow::ensure!(
                    now == swap.new,
                    "somebody put something else there; what was there before is {}",
                    shown(&swap.folder.as_path().join(kept))
                );
                if !ground::exchange(&folder, kept, name)? {
                    ground::rename(&folder, name, spare)?;
                    ground::rename(&folder, kept, name)?;
                }
            }
        }
    } else if swap.new.is_some() && now == swap.new {
        ground::rename(&folder, name, aside)?;
    }
    let mut kept = None;
    for place in [aside, parked, spare] {
        kept = kept.or(discard(journal, &folder, place, swap)?);
    }
    Ok(kept)
}

/// Removes what was made, and never what was there before, nor what somebody has written to it since it was in place.
fn discard(journal: &Journal, folder: &OwnedFd, place: &OsStr, swap: &Swap) -> anyhow::Result<Option<PathBuf>> {
    let found = identity(folder, place)?;
    anyhow::ensure!(found.is_none() || found != swap.old, "what was there before is still aside");
    let was_in_place = journal.stage == Stage::Committing && found.is_some() && found == swap.new;
    if let Some(made) = swap.made.as_ref().filter(|_| was_in_place)
        && !spared::is_as_made(folder, place, made).unwrap_or(false)
    {
        let kept = journal.kept(swap.name.as_path().as_os_str());
        ground::rename(folder, place, &kept)?;
        return Ok(Some(swap.folder.as_path().join(kept)));
    }
    ground::remove(folder, place)?;
    Ok(None)
}

fn identity(folder: &OwnedFd, name: &OsStr) -> std::io::Result<Option<ground::Identity>> {
    Ok(ground::at(folder, name)?.map(|live| live.identity))
}

/// Removes the old, which stands aside now. May be done again after a crash.
pub(crate) fn tidy(journal: &Journal, ground: &Ground) -> anyhow::Result<()> {
    for (number, swap) in journal.swaps.iter().enumerate() {
        let folder = match ground.folder(swap.folder.as_path()) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            folder => folder?,
        };
        for place in [journal.aside(number), journal.parked(number)] {
            ground::remove(&folder, &place).with_context(|| format!("cannot remove what {} was before", path(swap)))?;
        }
    }
    // Their removal changed the times of the folders once more.
    ground.forget();
    for touch in &journal.touches {
        let (folder, name) = ground.place(touch.path.as_path())?;
        if ground::at(&folder, name)?.is_some_and(|live| live.identity == touch.identity) {
            utimensat(&*folder, name, &touch.new.times(), AtFlags::SYMLINK_NOFOLLOW)?;
        }
    }
    Ok(())
}
