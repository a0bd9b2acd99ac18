//! Exchanging the old for the new, name by name, and all the way back if anything is not as it was planned.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;
use contract::signal;
use rustix::fs::{AtFlags, fsync, utimensat};

use crate::restore::ground::{self, Ground, Identity, Live};
use crate::restore::journal::{Journal, Stage, Swap};
use crate::restore::spared;
use crate::restore::traits::{self, Power, Traits};
use crate::store::manifest::Kind;

/// Up to so many folders and files are synced one by one; more are cheaper with one sync of the file system.
const ONE_BY_ONE: usize = 64;

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

/// Takes everything back that was exchanged, last first, and removes what was made. May be done again after a crash at any point.
/// Folders that `ground` holds open are worked in wherever they are by now.
///
/// Returns where what somebody wrote meanwhile to what had been put in place is now.
///
/// # Errors
/// Something cannot be put back; the journal must stay. The rest is back.
pub(crate) fn undo(journal: &Journal, ground: &Ground, power: Power) -> anyhow::Result<Vec<PathBuf>> {
    all_folders_are_there(journal, ground)?;
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
            // Where nothing was changed nothing need be, as on a disk that is read-only; and what somebody changed since stays so.
            let is_due = |live: &Live| -> anyhow::Result<bool> {
                let now = Traits::live(touch.path.as_path(), live)?;
                Ok(live.identity.is_same(touch.identity) && now != touch.old && now.is_between(&touch.old, &touch.new, live.kind))
            };
            if !ground::at(&folder, name)?.is_some_and(|live| is_due(&live).unwrap_or(true)) {
                return Ok(());
            }
            let file = traits::open(&folder, name)?;
            anyhow::ensure!(ground::open(&file)?.identity.is_same(touch.identity), "somebody replaced it meanwhile");
            touch.old.give(&file, power)
        };
        first = first.and(give().with_context(|| format!("cannot put the mode and times of {} back", shown(touch.path.as_path()))));
    }
    first.and_then(|()| sync(journal, ground)).map(|()| spared)
}

fn back(journal: &Journal, number: usize, swap: &Swap, ground: &Ground) -> anyhow::Result<Option<PathBuf>> {
    let folder = ground.folder(swap.folder.as_path())?;
    let spare = &journal.parked(number + journal.swaps.len());
    let (name, aside, parked) = (swap.name.as_path().as_os_str(), &journal.aside(number), &journal.parked(number));
    let now = identity(&folder, name)?;
    if let Some(old) = gone_aside(journal, swap) {
        let kept = [parked, aside].into_iter().find(|place| identity(&folder, place).is_ok_and(|found| is_same(found, Some(old))));
        match kept {
            // It never went aside: whatever became of it since is not our doing.
            None => {}
            Some(kept) if now.is_none() => ground::rename(&folder, kept, name)?,
            Some(kept) => {
                anyhow::ensure!(
                    is_same(now, swap.new),
                    "somebody put something else there; what was there before is {}",
                    shown(&swap.folder.as_path().join(kept))
                );
                if !ground::exchange(&folder, kept, name)? {
                    ground::rename(&folder, name, spare)?;
                    ground::rename(&folder, kept, name)?;
                }
            }
        }
    } else if swap.new.is_some() && is_same(now, swap.new) {
        ground::rename(&folder, name, aside)?;
    }
    let mut kept = None;
    ground::remove(&folder, &journal.going(number))?;
    for place in [aside, parked, spare] {
        kept = kept.or(discard(journal, number, &folder, place)?);
    }
    Ok(kept)
}

/// What was there before, if it can be aside by now: not before the exchange begins, nor if it was gone by then and its number was free for
/// what was made.
fn gone_aside(journal: &Journal, swap: &Swap) -> Option<Identity> {
    swap.old.filter(|old| journal.stage != Stage::Staging && swap.new.is_none_or(|new| !new.is_same(*old)))
}

/// Removes what was made, and never what was there before, nor what somebody has written to it since it was in place.
fn discard(journal: &Journal, number: usize, folder: &OwnedFd, place: &OsStr) -> anyhow::Result<Option<PathBuf>> {
    let swap = &journal.swaps[number];
    let found = identity(folder, place)?;
    if found.is_none() {
        return Ok(None);
    }
    anyhow::ensure!(gone_aside(journal, swap).is_none_or(|old| !is_same(found, Some(old))), "what was there before is still aside");
    let was_made = is_same(found, swap.new);
    // While new files are made it is not written down yet which they are.
    anyhow::ensure!(was_made || journal.stage == Stage::Staging, "{} is nothing that this restore made", shown(Path::new(place)));
    if let Some(made) = swap.made.as_ref().filter(|_| was_made)
        && !spared::is_as_it_was(folder, place, made, made.ctime).unwrap_or(false)
    {
        return spare(journal, folder, place, swap).map(Some);
    }
    goes(journal, number, folder, place)?;
    Ok(None)
}

/// A folder goes piece by piece, and a half of it would look as if somebody had written to it: so it gets another name first.
fn goes(journal: &Journal, number: usize, folder: &OwnedFd, place: &OsStr) -> std::io::Result<()> {
    if ground::at(folder, place)?.is_some_and(|live| live.kind == Kind::Folder) {
        ground::rename(folder, place, &journal.going(number))?;
        return ground::remove(folder, &journal.going(number));
    }
    ground::remove(folder, place)
}

/// Leaves what somebody has written to under a name that can be found.
fn spare(journal: &Journal, folder: &OwnedFd, place: &OsStr, swap: &Swap) -> anyhow::Result<PathBuf> {
    let kept = journal.kept(swap.name.as_path().as_os_str());
    ground::rename(folder, place, &kept)?;
    Ok(swap.folder.as_path().join(kept))
}

/// Insists that the folders are those that the restore worked in: in another disk that is mounted there by now, and in a copy, nothing can be
/// told by its number.
fn all_folders_are_there(journal: &Journal, ground: &Ground) -> anyhow::Result<()> {
    for (path, identity) in &journal.folders {
        let open = ground.folder(path.as_path()).with_context(|| format!("cannot reach {path}"))?;
        anyhow::ensure!(ground::open(&*open)?.identity.is_same(*identity), "{path} is another folder than the restore worked in");
    }
    Ok(())
}

fn is_same(a: Option<Identity>, b: Option<Identity>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.is_same(b),
        _ => false,
    }
}

fn identity(folder: &OwnedFd, name: &OsStr) -> std::io::Result<Option<Identity>> {
    Ok(ground::at(folder, name)?.map(|live| live.identity))
}

/// Removes the old, which stands aside now, but for what somebody has written to since; returns where that is. May be done again after a
/// crash.
///
/// # Errors
/// A folder is another one than it was, or something cannot be removed; the journal must stay.
pub(crate) fn tidy(journal: &Journal, ground: &Ground) -> anyhow::Result<Vec<PathBuf>> {
    all_folders_are_there(journal, ground)?;
    let mut kept = Vec::new();
    for (number, swap) in journal.swaps.iter().enumerate() {
        let folder = ground.folder(swap.folder.as_path())?;
        let each = || -> anyhow::Result<Vec<PathBuf>> {
            ground::remove(&folder, &journal.going(number))?;
            let places = [journal.aside(number), journal.parked(number)];
            places.iter().filter_map(|place| old(journal, number, &folder, place).transpose()).collect()
        };
        kept.extend(each().with_context(|| format!("cannot remove what {} was before", path(swap)))?);
    }
    // Their removal changed the times of the folders once more.
    ground.forget();
    for touch in &journal.touches {
        let (folder, name) = ground.place(touch.path.as_path())?;
        if ground::at(&folder, name)?.is_some_and(|live| live.kind == Kind::Folder && live.identity.is_same(touch.identity)) {
            utimensat(&*folder, name, &touch.new.times(), AtFlags::SYMLINK_NOFOLLOW)?;
        }
    }
    Ok(kept)
}

fn old(journal: &Journal, number: usize, folder: &OwnedFd, place: &OsStr) -> anyhow::Result<Option<PathBuf>> {
    let swap = &journal.swaps[number];
    let Some(live) = ground::at(folder, place)? else { return Ok(None) };
    anyhow::ensure!(is_same(Some(live.identity), swap.old), "{} is not what was there", shown(Path::new(place)));
    if let Some((was, compared)) = swap.was.as_ref().zip(journal.compared)
        && !spared::is_as_it_was(folder, place, was, compared)?
    {
        return spare(journal, folder, place, swap).map(Some);
    }
    goes(journal, number, folder, place)?;
    Ok(None)
}
