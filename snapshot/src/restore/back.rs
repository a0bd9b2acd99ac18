//! The end of a restore: all the way back, or the old away. Both may be done again after a crash at any point, in whatever is there then.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;
use rustix::fs::{AtFlags, utimensat};

use crate::restore::commit::{path, sync};
use crate::restore::ground::{self, Folder, Ground, Identity, Live};
use crate::restore::journal::{Journal, Stage, Swap};
use crate::restore::spared;
use crate::restore::traits::{self, Power, Traits};
use crate::store::manifest::Kind;

/// Takes everything back that was exchanged, last first, and removes what was made. Folders that `ground` holds open are worked in wherever
/// they are by now.
///
/// Returns where what somebody wrote meanwhile to what had been put in place is now.
///
/// # Errors
/// Something cannot be put back; the journal must stay. The rest is back.
pub(crate) fn undo(journal: &Journal, ground: &Ground, power: Power) -> anyhow::Result<Vec<PathBuf>> {
    let mut ending = Ending::default();
    for (number, swap) in journal.swaps.iter().enumerate().rev() {
        let back = back(journal, number, swap, ground).with_context(|| format!("cannot put {} back", path(swap)));
        ending.note(number, back);
    }
    ending.clear(journal, ground, made);
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
        let given = give().with_context(|| format!("cannot put the mode and times of {} back", shown(touch.path.as_path())));
        ending.first = ending.first.and(given);
    }
    ending.first.and_then(|()| sync(journal, ground)).map(|()| ending.spared)
}

/// Removes the old, which stands aside now, but for what somebody has written to since; returns where that is.
///
/// # Errors
/// A folder is another one than it was, or something cannot be removed; the journal must stay.
pub(crate) fn tidy(journal: &Journal, ground: &Ground) -> anyhow::Result<Vec<PathBuf>> {
    let mut ending = Ending::default();
    ending.clear(journal, ground, old);
    // Their removal changed the times of the folders once more.
    ground.forget();
    for touch in &journal.touches {
        // Who removed it since needs no time for it.
        let Ok((folder, name)) = ground.place(touch.path.as_path()) else { continue };
        if ground::at(&folder, name)?.is_some_and(|live| live.kind == Kind::Folder && live.identity.is_same(touch.identity)) {
            utimensat(&*folder, name, &touch.new.times(), AtFlags::SYMLINK_NOFOLLOW)?;
        }
    }
    ending.first.map(|()| ending.spared)
}

/// How far it came. One that fails stops no other.
struct Ending {
    first: anyhow::Result<()>,
    failed: BTreeSet<usize>,
    spared: Vec<PathBuf>,
}

impl Default for Ending {
    fn default() -> Self {
        Self { first: Ok(()), failed: BTreeSet::new(), spared: Vec::new() }
    }
}

/// What becomes of what stands aside.
enum Fate {
    Goes,
    /// Somebody has written to it.
    Stays,
}

type Judge = fn(&Journal, &Swap, &OwnedFd, &OsStr, Identity) -> anyhow::Result<Fate>;

impl Ending {
    fn note(&mut self, number: usize, result: anyhow::Result<()>) {
        if let Err(e) = result {
            self.failed.insert(number);
            let first = std::mem::replace(&mut self.first, Ok(()));
            self.first = first.and(Err(e));
        }
    }

    /// Removes what stands aside, but for what stays. First all is judged, since the removal of one name changes what other names of the same
    /// file look like; and a folder that may go gets another name, since it goes piece by piece, and a half of it would look as if somebody
    /// had written to it.
    fn clear(&mut self, journal: &Journal, ground: &Ground, judge: Judge) {
        for (number, swap) in journal.swaps.iter().enumerate() {
            if self.failed.contains(&number) {
                continue;
            }
            let judged = self.judge(journal, number, swap, ground, judge).with_context(|| format!("cannot clear up behind {}", path(swap)));
            self.note(number, judged);
        }
        for (number, swap) in journal.swaps.iter().enumerate() {
            if self.failed.contains(&number) {
                continue;
            }
            let remove = || -> anyhow::Result<()> {
                let folder = folder_of(journal, swap, ground)?;
                for place in places(journal, number).iter().chain([&journal.going(number)]) {
                    ground::remove(&folder, place)?;
                }
                Ok(())
            };
            let removed = remove().with_context(|| format!("cannot remove what is aside of {}", path(swap)));
            self.note(number, removed);
        }
    }

    fn judge(&mut self, journal: &Journal, number: usize, swap: &Swap, ground: &Ground, judge: Judge) -> anyhow::Result<()> {
        let folder = folder_of(journal, swap, ground)?;
        let going = journal.going(number);
        // It was judged by a run that died.
        ground::remove(&folder, &going)?;
        for place in places(journal, number) {
            let Some(live) = ground::at(&folder, &place)? else { continue };
            match judge(journal, swap, &folder, &place, live.identity)? {
                Fate::Stays => self.spared.push(spare(journal, swap, &folder, &place)?),
                Fate::Goes if live.kind == Kind::Folder => ground::rename(&folder, &place, &going)?,
                Fate::Goes => {}
            }
        }
        Ok(())
    }
}

/// The names aside of a swap.
fn places(journal: &Journal, number: usize) -> [OsString; 3] {
    [journal.aside(number), journal.parked(number), journal.parked(number + journal.swaps.len())]
}

/// The folder of a swap, if it is the one that the restore worked in: in another disk that is mounted there by now, and in a copy, nothing
/// can be told by its number.
fn folder_of(journal: &Journal, swap: &Swap, ground: &Ground) -> anyhow::Result<Folder> {
    let open = ground.folder(swap.folder.as_path()).with_context(|| format!("cannot reach {}", swap.folder))?;
    if let Some(known) = journal.folders.iter().find(|known| known.path == swap.folder) {
        let is_same = ground::open(&*open)?.identity.is_same(known.identity);
        let is_as_old = known.born.zip(ground::born(&open)).is_none_or(|(then, now)| then == now);
        anyhow::ensure!(is_same && is_as_old, "{} is another folder than the restore worked in", swap.folder);
    }
    Ok(open)
}

fn back(journal: &Journal, number: usize, swap: &Swap, ground: &Ground) -> anyhow::Result<()> {
    let folder = folder_of(journal, swap, ground)?;
    let [aside, parked, spare] = &places(journal, number);
    let name = swap.name.as_path().as_os_str();
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
    Ok(())
}

/// What was there before, if it can be aside by now: not before the exchange begins, nor if it was gone by then and its number was free for
/// what was made.
fn gone_aside(journal: &Journal, swap: &Swap) -> Option<Identity> {
    swap.old.filter(|old| journal.stage != Stage::Staging && swap.new.is_none_or(|new| !new.is_same(*old)))
}

/// On the way back: what was made goes, and never what was there before, nor what somebody has written to it since it was in place.
fn made(journal: &Journal, swap: &Swap, folder: &OwnedFd, place: &OsStr, found: Identity) -> anyhow::Result<Fate> {
    anyhow::ensure!(gone_aside(journal, swap).is_none_or(|old| !old.is_same(found)), "what was there before is still aside");
    let was_made = is_same(Some(found), swap.new);
    // While new files are made it is not written down yet which they are.
    anyhow::ensure!(was_made || journal.stage == Stage::Staging, "{} is nothing that this restore made", shown(Path::new(place)));
    let Some(made) = swap.made.as_ref().filter(|_| was_made) else { return Ok(Fate::Goes) };
    Ok(if spared::is_as_it_was(folder, place, made, made.ctime).unwrap_or(false) { Fate::Goes } else { Fate::Stays })
}

/// When all is in place: what was there before goes.
fn old(journal: &Journal, swap: &Swap, folder: &OwnedFd, place: &OsStr, found: Identity) -> anyhow::Result<Fate> {
    anyhow::ensure!(is_same(Some(found), swap.old), "{} is not what was there", shown(Path::new(place)));
    let Some((was, compared)) = swap.was.as_ref().zip(journal.compared) else { return Ok(Fate::Goes) };
    Ok(if spared::is_as_it_was(folder, place, was, compared)? { Fate::Goes } else { Fate::Stays })
}

/// Leaves what somebody has written to under a name that can be found.
fn spare(journal: &Journal, swap: &Swap, folder: &OwnedFd, place: &OsStr) -> anyhow::Result<PathBuf> {
    let name = swap.name.as_path().as_os_str();
    let mut free = (0..).map(|number| journal.kept(name, number));
    loop {
        let kept = free.next().context("there is no end of numbers")?;
        if ground::at(folder, &kept)?.is_none() {
            ground::rename(folder, place, &kept)?;
            return Ok(swap.folder.as_path().join(kept));
        }
    }
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
