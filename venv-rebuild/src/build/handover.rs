//! A person's own, put into the environment that was built anew.

use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;

use super::belongings::{Belongings, Claimed, Own, is_bytecode, listed};
use super::dist::{Dist, installed};
use super::makers::ACTIVATE;
use super::set::{PackageSet, is_seed};
use super::trust::record;
use crate::edit::{Content, Edit, content};
use crate::layout::{normal, site_packages};
use crate::{activate, clone, openness, relocate, swap};

/// What became of it. Paths are relative to the environment.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    /// How many files stand in the new environment as they stood in the old one.
    pub(crate) files: u64,
    /// The same by path; a folder stands for all that is in it.
    pub(crate) paths: Vec<PathBuf>,
    /// Packaged files that somebody had changed, and that are as packaged now.
    pub(crate) restored: Vec<PathBuf>,
    /// Files that their packages do not bring any more.
    pub(crate) dropped: Vec<PathBuf>,
    /// Where a package has brought another file to the same place.
    pub(crate) collisions: Vec<PathBuf>,
}

/// Puts what is of a person's own in the environment `old` into `new`, which stands aside and holds everything else by now; `new` is to
/// stand where `old` stands.
///
/// # Errors
/// Anything cannot be read or written.
pub(crate) fn hand_over(belongings: &Belongings, set: &PackageSet, old: &Path, new: &Path) -> anyhow::Result<Carried> {
    let mut carried = Carried::default();
    let stale = stale_roots(old)?;
    let mut handover = Handover { set, old, new, carried: &mut carried };
    belongings.own.iter().try_for_each(|own| handover.own(own))?;
    belongings.claimed.iter().try_for_each(|claimed| handover.claimed(claimed))?;
    handover.activates(&stale)?;
    relocate::rewrite(new, &stale.iter().map(AsRef::as_ref).collect::<Vec<&Path>>(), old)?;
    let is_as_packaged = |path: &&PathBuf| new.join(path).symlink_metadata().is_ok() && !is_same(&old.join(path), &new.join(path));
    carried.restored.extend(belongings.edited.iter().filter(is_as_packaged).cloned());
    Ok(carried)
}

/// Where the environment stood before it was moved; a script for another one that is there is somebody's intention.
fn stale_roots(old: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let own = match content(&old.join("bin/activate"))? {
        Content::File { bytes, .. } => activate::root(&bytes),
        _ => None,
    };
    let mut roots = relocate::stale_roots(old, old)?;
    roots.retain(|root| own.as_ref() == Some(root) || !root.join("pyvenv.cfg").exists());
    Ok(roots)
}

struct Handover<'a> {
    set: &'a PackageSet,
    old: &'a Path,
    new: &'a Path,
    carried: &'a mut Carried,
}

impl Handover<'_> {
    /// What stands in the place already decides file by file.
    fn own(&mut self, own: &Own) -> anyhow::Result<()> {
        let mut waiting = vec![(own.from.clone(), own.to.clone())];
        let (mut made, mut stands) = (0, 0);
        while let Some((from, to)) = waiting.pop() {
            let (source, target) = (self.old.join(&from), self.new.join(&to));
            match target.symlink_metadata() {
                Err(_) => {
                    openness::make_parents(self.old, self.new, &to)?;
                    clone::make(&source, &target)?;
                    made += 1;
                }
                Ok(meta) if meta.is_dir() && source.symlink_metadata().is_ok_and(|meta| meta.is_dir()) => {
                    waiting.extend(listed(&source)?.iter().map(DirEntry::file_name).map(|name| (from.join(&name), to.join(name))));
                }
                Ok(_) if is_bytecode(&from) || is_same(&source, &target) => made += 1,
                Ok(_) => match self.owner(&to) {
                    // What a maker puts there gives way to what somebody has put there.
                    None => {
                        remove(&target)?;
                        clone::make(&source, &target)?;
                        made += 1;
                    }
                    Some(dist) if self.was_its_own(&dist) => {
                        self.carried.restored.push(from);
                        stands += 1;
                    }
                    Some(_) => {
                        self.carried.collisions.push(from);
                        stands += 1;
                    }
                },
            }
        }
        if made > 0 || stands == 0 {
            self.carried.files += own.files - stands.min(own.files);
            self.carried.paths.push(own.from.clone());
        }
        Ok(())
    }

    /// What the package of today does not bring: of the same version its changed files are carried over, and the others named; of another
    /// version, or none, the changed ones are named.
    fn claimed(&mut self, claimed: &Claimed) -> anyhow::Result<()> {
        if self.new.join(&claimed.path).symlink_metadata().is_ok() {
            return Ok(());
        }
        let (old, new) = (site_packages(self.old), site_packages(self.new));
        let inside = old.first().zip(new.first()).and_then(|(old, new)| Some(new.join(claimed.path.strip_prefix(old).ok()?)));
        let to = inside.unwrap_or_else(|| claimed.path.clone());
        if self.new.join(&to).symlink_metadata().is_ok() {
            return Ok(());
        }
        let is_there = old == new && new.iter().any(|site| self.new.join(site).join(&claimed.info).exists());
        match claimed.is_own {
            true if is_there => return self.own(&Own { from: claimed.path.clone(), to, files: 1 }),
            // Whoever seeds pip gives its scripts names of his own.
            false if !is_there || is_of_a_seed(&claimed.info) => {}
            _ => self.carried.dropped.push(claimed.path.clone()),
        }
        Ok(())
    }

    /// The distribution of the new environment that has brought this file.
    fn owner(&self, path: &Path) -> Option<Dist> {
        let names = |info: &Path, site: &Path| record(info).unwrap_or_default().iter().any(|entry| normal(&site.join(&entry.path)) == path);
        site_packages(self.new)
            .into_iter()
            .find_map(|site| installed(&self.new.join(&site)).0.into_iter().find(|dist| names(&dist.info, &site)))
    }

    /// Whether the file was this distribution's before, too, although no RECORD says so: it had none, or one that had lost it.
    fn was_its_own(&self, dist: &Dist) -> bool {
        let had_no_record = |old: &Dist| record(&old.info).is_none_or(|entries| entries.is_empty());
        is_seed(&dist.name) || self.set.dists.get(&dist.name).is_some_and(|old| had_no_record(old) || old.version == dist.version)
    }

    /// An activate file that says anything that the new one does not is kept: the lines can be somebody's own.
    fn activates(&mut self, stale: &[PathBuf]) -> anyhow::Result<()> {
        for name in ACTIVATE {
            let path = Path::new("bin").join(name);
            let (old, new) = (content(&self.old.join(&path))?, content(&self.new.join(&path))?);
            let Content::File { bytes, mode } = old else { continue };
            let bytes = stale.iter().fold(bytes, |text, from| activate::moved(OsStr::new(name), &text, from, self.old).unwrap_or(text));
            let is_known = match &new {
                Content::File { bytes: new, .. } => lines(&bytes).all(|line| lines(new).any(|known| known == line)),
                _ => false,
            };
            // A file of zeros is what a power cut leaves.
            if is_known || bytes.contains(&0) || self.names_another_library(&bytes) {
                continue;
            }
            Edit { path: path.clone(), content: Content::File { bytes, mode } }.apply_aside(self.new)?;
            self.carried.files += 1;
            self.carried.paths.push(path);
        }
        Ok(())
    }

    /// virtualenv writes the folder of the packages into one, which is another for another Python.
    fn names_another_library(&self, text: &[u8]) -> bool {
        let (old, new) = (site_packages(self.old), site_packages(self.new));
        let gone = old.iter().filter(|site| !new.contains(site));
        gone.filter_map(|site| site.to_str()).any(|site| text.windows(site.len()).any(|window| window == site.as_bytes()))
    }
}

fn is_of_a_seed(info: &OsStr) -> bool {
    info.to_str().and_then(|info| info.split_once('-')).is_some_and(|(name, _)| is_seed(name))
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&b| b == b'\n').map(<[u8]>::trim_ascii)
}

fn remove(path: &Path) -> anyhow::Result<()> {
    if path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        return swap::remove(path);
    }
    fs::remove_file(path).with_context(|| format!("cannot remove {}", shown(path)))
}

/// Whether two paths hold the same link, or files of the same bytes.
fn is_same(a: &Path, b: &Path) -> bool {
    content(a).ok().zip(content(b).ok()).is_some_and(|pair| match pair {
        (Content::File { bytes: a, .. }, Content::File { bytes: b, .. }) => a == b,
        (Content::Link(a), Content::Link(b)) => a == b,
        _ => false,
    })
}
