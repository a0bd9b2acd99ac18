//! Two whole trees change places, and the one that is nobody's goes away.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;
use contract::{mounts, replace};
use rustix::fs::{CWD, RenameFlags, rename, renameat_with};
use rustix::io::Errno;

use crate::journal::Tree;

/// A sibling of the environment, named for it: the same file system, and beside it for a person who looks.
pub(crate) fn beside(venv: &Path, suffix: &str) -> PathBuf {
    let mut name = venv.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Where the new tree of a change is built.
pub(crate) fn aside(venv: &Path, id: &str) -> PathBuf {
    beside(venv, &format!(".mendline-{id}"))
}

/// Exchanges two folders in one step; by two renames where the file system cannot (then for an instant neither is at `a`).
///
/// # Errors
/// One of them is a mount point, lies on another file system, or its parent may not be written.
pub(crate) fn exchange(a: &Path, b: &Path) -> anyhow::Result<()> {
    match renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => by_two(a, b),
        swapped => swapped,
    }
    .map_err(|errno| explained(errno, a))?;
    replace::sync_folder(parent(a))
}

fn by_two(a: &Path, b: &Path) -> Result<(), Errno> {
    let parked = parked(b);
    rename(a, &parked)?;
    if let Err(errno) = rename(b, a) {
        rename(&parked, a)?;
        return Err(errno);
    }
    rename(&parked, b)
}

fn parked(aside: &Path) -> PathBuf {
    beside(aside, ".parked")
}

fn explained(errno: Errno, venv: &Path) -> anyhow::Error {
    let venv = shown(venv);
    let advice = match errno {
        Errno::BUSY => format!("{venv} is a mount point, which cannot be swapped; rebuild it where it is mounted from"),
        Errno::XDEV => {
            format!("{venv} lies on another file system or on the lower layer of an overlay; rebuild it where the image is made")
        }
        Errno::ACCESS | Errno::PERM | Errno::ROFS => format!("the folder that holds {venv} cannot be written; run as its owner"),
        _ => format!("cannot exchange {venv} with the new environment"),
    };
    anyhow::Error::new(io::Error::from(errno)).context(advice)
}

/// Puts the tree `old` back at `venv` wherever a crash left it. The other one stays beside it.
pub(crate) fn put_back(venv: &Path, aside: &Path, old: Tree, new: Tree) -> anyhow::Result<()> {
    let here = Tree::at(venv)?;
    if here != Some(old) {
        let place = displaced(aside, old)?;
        let place =
            place.with_context(|| format!("the old environment of {} is at none of its places; look for it beside it", shown(venv)))?;
        match here {
            None => rename(&place, venv)?,
            Some(here) if here == new => exchange(venv, &place)?,
            Some(_) => anyhow::bail!("something else stands at {} now; the old environment is at {}", shown(venv), shown(&place)),
        }
    }
    replace::sync_folder(parent(venv))
}

/// Where one of the two trees of a change stands that is not in use, if it was ever made.
pub(crate) fn displaced(aside: &Path, tree: Tree) -> anyhow::Result<Option<PathBuf>> {
    for place in [parked(aside), aside.to_owned()] {
        if Tree::at(&place)? == Some(tree) {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// Ends an exchange of `venv` and `backup` that a crash interrupted, on whichever side it is; returns whether that is the new one.
pub(crate) fn unpark(venv: &Path, backup: &Path, old: Tree, new: Tree) -> anyhow::Result<bool> {
    let parked = parked(backup);
    let is_parked = Tree::at(&parked)? == Some(old);
    match Tree::at(venv)? {
        Some(here) if here == old => return Ok(false),
        Some(here) if here == new && is_parked => rename(&parked, backup)?,
        Some(here) if here == new => {}
        None if is_parked => {
            rename(&parked, venv)?;
            return Ok(false);
        }
        _ => anyhow::bail!("something else stands at {} now; look at what is beside it", shown(venv)),
    }
    replace::sync_folder(parent(venv)).map(|()| true)
}

/// Removes a tree that is nobody's any more; one that is not there is fine.
///
/// # Errors
/// It cannot be removed, or another file system is mounted in it, which is somebody's.
pub(crate) fn remove(tree: &Path) -> anyhow::Result<()> {
    no_mounts(tree)?;
    match fs::remove_dir_all(tree) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).with_context(|| format!("cannot remove {}", shown(tree))),
        _ => Ok(()),
    }
}

/// Insists that no other file system is mounted in a tree.
pub(crate) fn no_mounts(tree: &Path) -> anyhow::Result<()> {
    let mounts = mounts::below(tree).context("cannot see which file systems are mounted")?;
    let first = mounts.first().map_or_else(String::new, |mount| shown(mount));
    anyhow::ensure!(mounts.is_empty(), "a file system is mounted at {first}; unmount it first");
    Ok(())
}

/// What to tell who stands in a tree that was displaced: a shell goes where its folder goes.
pub(crate) fn advice_within(tree: &Path) -> Option<&'static str> {
    let stands = std::env::current_dir().ok()?.starts_with(tree.canonicalize().ok()?);
    stands.then_some("the folder that you stand in is in the backup now: `cd \"$PWD\"` takes you back")
}

pub(crate) fn parent(venv: &Path) -> &Path {
    venv.parent().unwrap_or(Path::new("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let venv = folder.path().join(".venv");
        let aside = aside(&venv, "20260101_000000-0000");
        for (tree, name) in [(&venv, "old"), (&aside, "new")] {
            fs::create_dir(tree).unwrap();
            fs::create_dir(tree.join(name)).unwrap();
        }
        (folder, venv, aside)
    }

    #[test]
    fn both_ways_of_exchanging_do_the_same() {
        for way in [|a: &Path, b: &Path| exchange(a, b).unwrap(), |a: &Path, b: &Path| by_two(a, b).unwrap()] {
            let (_folder, venv, aside) = two();
            way(&venv, &aside);
            assert!(venv.join("new").exists() && aside.join("old").exists());
        }
    }

    #[test]
    fn the_old_tree_is_found_wherever_a_crash_left_it() {
        for crash in 0..4 {
            let (_folder, venv, aside) = two();
            let (old, new) = (Tree::of(&venv).unwrap(), Tree::of(&aside).unwrap());
            match crash {
                1 => exchange(&venv, &aside).unwrap(),
                2 => rename(&venv, parked(&aside)).unwrap(),
                3 => {
                    rename(&venv, parked(&aside)).unwrap();
                    rename(&aside, &venv).unwrap();
                }
                _ => {}
            }
            put_back(&venv, &aside, old, new).unwrap();
            let beside = displaced(&aside, new).unwrap().unwrap();
            assert!(venv.join("old").exists() && beside.join("new").exists(), "crash {crash}");
        }
    }
}
