//! Making everything new aside, in the very folders where it will stand, before anything is changed.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::{Subject, shown};
use contract::signal;
use rayon::prelude::*;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, chownat, fsync, linkat, mkdirat, openat, symlinkat, utimensat};

use crate::ahead::Ahead;
use crate::parts::Parts;
use crate::restore::content;
use crate::restore::ground::{self, Ground, Live};
use crate::restore::journal::Swap;
use crate::restore::plan::{Change, Plan, Step};
use crate::restore::spared;
use crate::restore::traits::{Power, Traits};
use crate::store::contents::Contents;
use crate::store::manifest::{Entry, Kind};

/// Up to so many files are synced one by one; more are cheaper with one sync of the file system.
const ONE_BY_ONE: usize = 64;
/// Runs of zeros of this length become holes in a sparse file.
const HOLE: usize = 4096;

/// The names that change hands, and the path aside of each.
pub(crate) struct Aside {
    pub(crate) swaps: Vec<Swap>,
    /// The numbers of the swaps, by the path that they are for.
    numbers: HashMap<PathBuf, usize>,
}

impl Aside {
    /// One swap for each step that is on its own.
    pub(crate) fn of(plan: &Plan<'_>) -> Self {
        let mut aside = Self { swaps: Vec::new(), numbers: HashMap::new() };
        for step in plan.changes().filter(|step| !step.within && step.change != Change::Traits) {
            let (Some(folder), Some(name)) = (step.path.parent(), step.path.file_name()) else { continue };
            aside.numbers.insert(step.path.clone(), aside.swaps.len());
            let (old, was) = step.before.as_ref().map(|live| (live.identity, spared::look(live))).unzip();
            aside.swaps.push(Swap { folder: Subject::from(folder), name: Subject::from(name), old, new: None, made: None, was });
        }
        aside
    }

    /// Where what will stand at a path is made: in its folder under another name, or within a folder that is made.
    fn place(&self, path: &Path, name: &impl Fn(usize) -> OsString) -> Option<PathBuf> {
        path.ancestors().find_map(|above| {
            let aside = above.with_file_name(name(*self.numbers.get(above)?));
            let below = path.strip_prefix(above).ok()?;
            Some(if below == Path::new("") { aside } else { aside.join(below) })
        })
    }
}

/// What the making of new files takes.
pub(crate) struct Stager<'a, N> {
    pub(crate) ground: &'a Ground,
    pub(crate) contents: &'a Contents,
    pub(crate) power: Power,
    pub(crate) aside: &'a Aside,
    /// The name aside of a swap.
    pub(crate) name: N,
}

impl<N: Fn(usize) -> OsString + Sync> Stager<'_, N> {
    /// Makes all of it and has it on the disk.
    ///
    /// # Errors
    /// A content is lost or damaged, there is no room, or a folder cannot be written to. Nothing is changed, but for what is aside.
    pub(crate) fn make(&self, plan: &Plan<'_>) -> anyhow::Result<()> {
        let entries = plan.by_entry();
        let made: Vec<&Step<'_>> = plan.changes().filter(|step| !matches!(step.change, Change::Delete | Change::Traits)).collect();
        let (folders, others): (Vec<&Step<'_>>, Vec<&Step<'_>>) = made.into_iter().partition(|step| step.makes_folder());
        let staged: HashSet<&Path> = others.iter().filter_map(|step| Some(step.entry?.path.as_path())).collect();
        let (names, others): (Vec<&Step<'_>>, Vec<&Step<'_>>) = others.into_iter().partition(|step| first_name(step, &entries).is_some());
        for folder in &folders {
            self.at(folder, |parent, name| Ok(mkdirat(parent, name, Mode::from_raw_mode(0o700))?))?;
        }
        let each = others.len() <= ONE_BY_ONE;
        others.par_iter().try_for_each(|step| {
            anyhow::ensure!(!signal::interrupted(), "interrupted");
            self.at(step, |parent, name| self.file_or_link(step, parent, name, each))
        })?;
        for step in &names {
            self.at(step, |parent, name| self.another_name(step, first_name(step, &entries), &staged, parent, name))?;
        }
        // From below, since what comes into a folder changes its time.
        for folder in folders.iter().rev() {
            self.at(folder, |parent, name| self.folder_traits(folder, parent, name))?;
        }
        self.sync(&folders, &others, &names, each)
    }

    /// Does something at the place aside of a step.
    fn at(&self, step: &Step<'_>, make: impl FnOnce(&OwnedFd, &OsStr) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let aside = self.place(&step.path)?;
        let (parent, name) = self.ground.place(&aside)?;
        make(&parent, name).with_context(|| format!("cannot make {}", shown(&step.path)))
    }

    fn place(&self, path: &Path) -> anyhow::Result<PathBuf> {
        self.aside.place(path, &self.name).with_context(|| format!("{} has no place aside", shown(path)))
    }

    fn file_or_link(&self, step: &Step<'_>, parent: &OwnedFd, name: &OsStr, sync: bool) -> anyhow::Result<()> {
        let entry = step.entry.context("nothing says what it was")?;
        match entry.kind {
            Kind::File => self.file(entry, parent, name, sync),
            _ => self.link(entry, parent, name),
        }
    }

    /// What is checked is what was written, and not what should have been: one look finds damage in the store and in the writing. Where it
    /// finds any, each content is checked by itself, taken from wherever the store has it whole, and named if that is nowhere.
    fn file(&self, entry: &Entry, parent: &OwnedFd, name: &OsStr, sync: bool) -> anyhow::Result<()> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(parent, name, flags, Mode::from_raw_mode(0o600))?);
        if !filled(&mut file, entry, Parts::unchecked(entry, self.contents)?).unwrap_or(false) {
            file.set_len(0).context("cannot begin it again")?;
            let well = filled(&mut file, entry, Parts::of(entry, self.contents)?)?;
            anyhow::ensure!(well, "what was written is not what the snapshot says");
        }
        Traits::wanted(entry, self.power)?.give(&file, self.power)?;
        if sync {
            fsync(&file)?;
        }
        Ok(())
    }

    fn link(&self, entry: &Entry, parent: &OwnedFd, name: &OsStr) -> anyhow::Result<()> {
        let target = entry.target.as_ref().context("it leads nowhere")?;
        symlinkat(target.as_path(), parent, name)?;
        let wanted = Traits::wanted(entry, self.power)?;
        if self.power.root {
            chownat(parent, name, Some(Uid::from_raw(wanted.uid)), Some(Gid::from_raw(wanted.gid)), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(utimensat(parent, name, &wanted.times(), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Another name of a file that is staged, or stays as it is.
    fn another_name(
        &self,
        step: &Step<'_>,
        first: Option<&Step<'_>>,
        staged: &HashSet<&Path>,
        parent: &OwnedFd,
        name: &OsStr,
    ) -> anyhow::Result<()> {
        let entry = step.entry.context("nothing says what it was")?;
        let first = first.context("its first name is missing")?;
        let first_entry = first.entry.context("its first name is missing")?;
        let there = if staged.contains(first_entry.path.as_path()) { self.place(&first.path)? } else { first.path.clone() };
        let (folder, first_name) = self.ground.place(&there)?;
        match linkat(&*folder, first_name, parent, name, AtFlags::empty()) {
            // Two file systems, or one without such names: then it is a file of its own.
            Err(rustix::io::Errno::XDEV | rustix::io::Errno::PERM | rustix::io::Errno::OPNOTSUPP) => self.file(entry, parent, name, true),
            linked => Ok(linked?),
        }
    }

    fn folder_traits(&self, step: &Step<'_>, parent: &OwnedFd, name: &OsStr) -> anyhow::Result<()> {
        let folder = openat(parent, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        match step.entry {
            Some(entry) => Traits::wanted(entry, self.power)?.give(&folder, self.power),
            None => Ok(rustix::fs::fchmod(&folder, Mode::from_raw_mode(0o755))?),
        }
    }

    fn sync(&self, folders: &[&Step<'_>], files: &[&Step<'_>], names: &[&Step<'_>], each: bool) -> anyhow::Result<()> {
        let mut done = HashSet::new();
        for step in folders.iter().chain(files).chain(names) {
            let aside = self.place(&step.path)?;
            let Some(folder) = aside.parent().filter(|folder| done.insert(folder.to_path_buf())) else { continue };
            let open = self.ground.folder(folder).with_context(|| format!("cannot reach {}", shown(folder)))?;
            if each && folders.len() <= ONE_BY_ONE {
                ground::sync(&open)?;
                continue;
            }
            let device = rustix::fs::fstat(&*open)?.st_dev;
            if done.insert(PathBuf::from(format!("device {device}"))) {
                ground::sync_all(&open)?;
            }
        }
        Ok(())
    }

    /// What each swap will put in place.
    pub(crate) fn identities(&self, swaps: &mut [Swap], plan: &Plan<'_>) -> anyhow::Result<()> {
        for step in plan.changes().filter(|step| !step.within && !matches!(step.change, Change::Delete | Change::Traits)) {
            let Some(number) = self.aside.numbers.get(&step.path) else { continue };
            let place = self.place(&step.path)?;
            let live: Live = self.ground.live(&place)?.with_context(|| format!("what was made for {} is gone", shown(&step.path)))?;
            swaps[*number].new = Some(live.identity);
            swaps[*number].made = Some(spared::look(&live));
        }
        Ok(())
    }
}

/// The step of the first name of a file that has several, where that is restored, too.
fn first_name<'p, 'a>(step: &Step<'_>, entries: &HashMap<&Path, &'p Step<'a>>) -> Option<&'p Step<'a>> {
    entries.get(step.entry?.same_as.as_ref()?.as_path()).copied()
}

/// Writes all of a file, and says whether it reads as it should.
fn filled(file: &mut File, entry: &Entry, mut parts: Parts<'_>) -> anyhow::Result<bool> {
    let mut ahead = Ahead::default();
    file.seek(SeekFrom::Start(0))?;
    // A hole at its end is written by nobody.
    if entry.sparse || !entry.pieces.is_empty() {
        file.set_len(entry.size.unwrap_or(0)).context("cannot give it its length")?;
    }
    loop {
        anyhow::ensure!(!signal::interrupted(), "interrupted");
        if let Some(hole) = parts.hole() {
            file.seek_relative(i64::try_from(hole)?).context("cannot write it")?;
        } else if let Some(part) = parts.next() {
            let part = part?;
            write(file, &part, entry.sparse)?;
            ahead.wrote(part.len() as u64, file).context("cannot write it")?;
        } else {
            break;
        }
    }
    file.seek(SeekFrom::Start(0))?;
    let well = content::is_of(file, entry)?;
    ahead.end().context("cannot write it")?;
    Ok(well)
}

fn write(file: &mut File, part: &[u8], sparse: bool) -> anyhow::Result<()> {
    if !sparse {
        return file.write_all(part).context("cannot write it");
    }
    for block in part.chunks(HOLE) {
        if block.iter().all(|byte| *byte == 0) {
            file.seek_relative(i64::try_from(block.len())?).context("cannot write it")?;
        } else {
            file.write_all(block).context("cannot write it")?;
        }
    }
    Ok(())
}
