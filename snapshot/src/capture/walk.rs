//! Finding everything below the roots, in parallel; nothing is read yet.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use contract::path::shown;
use contract::progress::Progress;
use contract::signal;
use rayon::prelude::*;

use crate::capture::Trouble;
use crate::capture::roots::Request;
use crate::restore::is_ours;
use crate::store::Store;

/// A path and what stands there.
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    /// `None` where nothing is.
    pub(crate) meta: Option<Metadata>,
    /// Of a folder: everything in it was found.
    pub(crate) complete: bool,
}

/// Walks all roots.
pub(crate) struct Walk<'a> {
    pub(crate) request: &'a Request,
    /// What no snapshot holds.
    ours: Vec<(u64, u64)>,
    pub(crate) progress: &'a Progress,
    troubles: Mutex<Vec<Trouble>>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(request: &'a Request, store: &'a Store, progress: &'a Progress) -> Self {
        Self { request, ours: store.ours(), progress, troubles: Mutex::default() }
    }

    /// What stands at and below the roots, sorted by path, and what could not be seen. Level by level, so that no depth is too deep.
    pub(crate) fn run(self, roots: &[PathBuf]) -> (Vec<Found>, Vec<Trouble>) {
        let mut level: Vec<Found> = roots.par_iter().filter_map(|root| self.root(root)).collect();
        let mut found = Vec::new();
        while !level.is_empty() && !signal::interrupted() {
            self.progress.found(level.len() as u64);
            let folders = level.par_iter_mut().filter(|found| found.meta.as_ref().is_some_and(Metadata::is_dir));
            let next = folders.flat_map(|folder| self.below(folder)).collect();
            found.append(&mut level);
            level = next;
        }
        found.par_sort_unstable_by(|a: &Found, b: &Found| a.path.cmp(&b.path));
        (found, self.troubles.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn root(&self, root: &Path) -> Option<Found> {
        match root.symlink_metadata() {
            Ok(meta) => Some(Found { path: root.to_owned(), meta: Some(meta), complete: false }),
            Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                Some(Found { path: root.to_owned(), meta: None, complete: false })
            }
            Err(e) => {
                self.trouble("unreadable", root, &e);
                None
            }
        }
    }

    /// What is in a folder. What goes between the listing and the look makes neither untrue: then it is listed again.
    fn below(&self, folder: &mut Found) -> Vec<Found> {
        let mut left = LISTINGS;
        loop {
            let (children, all_listed) = self.children(&folder.path);
            let seen: Vec<Child> = children.into_par_iter().map(|child| self.child(child)).collect();
            left -= 1;
            if left > 0 && seen.iter().any(|child| matches!(child, Child::Gone)) {
                continue;
            }
            folder.complete = all_listed && seen.iter().all(|child| matches!(child, Child::Found(_) | Child::Ours));
            return seen.into_iter().filter_map(|child| if let Child::Found(found) = child { Some(*found) } else { None }).collect();
        }
    }

    fn child(&self, path: PathBuf) -> Child {
        // What a restore has aside for the moment is part of nothing.
        if path.file_name().is_some_and(is_ours) {
            return Child::Ours;
        }
        if self.request.excludes(&path) {
            return Child::LeftOut;
        }
        match path.symlink_metadata() {
            Ok(meta) if meta.is_dir() && self.ours.contains(&inode(&meta)) => Child::Ours,
            Ok(meta) => Child::Found(Box::new(Found { path, meta: Some(meta), complete: false })),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Child::Gone,
            Err(e) => {
                self.trouble("unreadable", &path, &e);
                Child::LeftOut
            }
        }
    }

    fn children(&self, path: &Path) -> (Vec<PathBuf>, bool) {
        let mut complete = true;
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(e) => {
                self.trouble("unreadable", path, &e);
                return (Vec::new(), false);
            }
        };
        let mut children = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => children.push(entry.path()),
                Err(e) => {
                    self.trouble("unreadable", path, &e);
                    complete = false;
                }
            }
        }
        (children, complete)
    }

    fn trouble(&self, code: &'static str, path: &Path, e: &std::io::Error) {
        let trouble = Trouble { code, path: path.to_owned(), text: format!("cannot read {}: {e}", shown(path)) };
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).push(trouble);
    }
}

/// So often a folder is listed in which something goes meanwhile.
const LISTINGS: u32 = 5;

/// What a name in a folder is.
enum Child {
    Found(Box<Found>),
    /// No snapshot holds it, and no restore touches it.
    Ours,
    /// It is there and not held.
    LeftOut,
    /// Since the folder was listed.
    Gone,
}

/// The identity of a file behind its names.
pub(crate) fn inode(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}
