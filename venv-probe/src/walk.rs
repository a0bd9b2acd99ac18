//! Finding environments below the roots: in parallel, by shape and not by name, without following a link out of a root.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use contract::venv::Layout;
use rayon::Scope;

use crate::layout::Listing;
use crate::{bounded, redirect};

/// What a walk comes across.
#[derive(Debug)]
pub(crate) enum Found {
    /// An environment, met for the first time.
    Environment { path: PathBuf, layout: Layout },
    /// A link or file that leads to an environment.
    Alias { path: PathBuf, of: PathBuf },
    /// A link or file that leads to nothing.
    Dangling { path: PathBuf, target: PathBuf },
    /// A folder that could not be listed.
    Unreadable { path: PathBuf, error: io::Error },
}

/// How the walk goes about it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// Look for environments inside environments.
    pub(crate) nested: bool,
    /// Judge the backups that `venv-rebuild` leaves, too.
    pub(crate) backups: bool,
}

/// One walk over all roots. `tell` is called on the thread that made the find and may do the judging there.
pub(crate) struct Walk<'a> {
    options: Options,
    tell: &'a (dyn Fn(Found) + Sync),
    stop: &'a AtomicBool,
    seen: Mutex<HashSet<(u64, u64)>>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(options: Options, stop: &'a AtomicBool, tell: &'a (dyn Fn(Found) + Sync)) -> Self {
        Self { options, tell, stop, seen: Mutex::default() }
    }

    /// Walks all roots at once on the current thread pool. A root may itself be an environment, or a link to one: named links are followed.
    pub(crate) fn run(&self, roots: &[PathBuf]) {
        rayon::scope(|scope| {
            for root in roots {
                scope.spawn(move |scope| self.root(scope, root));
            }
        });
    }

    fn root<'s>(&'s self, scope: &Scope<'s>, root: &'s Path) {
        match fs::metadata(root) {
            Ok(meta) if meta.is_file() => self.redirect_file(root, None),
            Ok(_) => self.folder(scope, root.to_owned(), root),
            Err(error) if root.is_symlink() && bounded::is_gone(&error) => self.dangling(root),
            Err(error) => self.unreadable(root, error),
        }
    }

    fn folder<'s>(&'s self, scope: &Scope<'s>, path: PathBuf, root: &'s Path) {
        if self.stop.load(Ordering::Relaxed) {
            return;
        }
        let mut inside = Vec::new();
        let listing = match list(&path, &mut inside) {
            Ok(listing) => listing,
            Err(error) => return self.unreadable(&path, error),
        };
        let layout = listing.layout(&path);
        for (name, kind) in inside {
            let descend = match layout {
                None => true,
                // The environments of a conda installation lie below it.
                Some(Layout::Conda) => name == "envs",
                Some(_) => self.options.nested,
            };
            if descend {
                self.entry(scope, path.join(name), kind, root);
            }
        }
        if let Some(layout) = layout {
            self.environment(path, layout);
        }
    }

    fn entry<'s>(&'s self, scope: &Scope<'s>, path: PathBuf, kind: FileType, root: &'s Path) {
        let name = path.file_name().unwrap_or_default();
        if kind.is_dir() {
            if !prunable(&path, name) && (self.options.backups || !is_backup(name)) {
                scope.spawn(move |scope| self.folder(scope, path, root));
            }
        } else if kind.is_symlink() {
            self.link(&path, root);
        } else if name == ".venv" {
            self.redirect_file(&path, Some(root));
        }
    }

    fn link(&self, path: &Path, root: &Path) {
        match bounded::exists(&path.join("pyvenv.cfg")) {
            Ok(true) => {
                if let Some(of) = target_below(path, root) {
                    (self.tell)(Found::Alias { path: path.to_owned(), of });
                }
            }
            Ok(false) if is_usual_name(path) => match bounded::exists(path) {
                Ok(true) => {}
                Ok(false) => self.dangling(path),
                Err(error) => self.unreadable(path, error),
            },
            Err(error) if is_usual_name(path) => self.unreadable(path, error),
            // A link of any other name says nothing of an environment.
            Ok(false) | Err(_) => {}
        }
    }

    fn unreadable(&self, path: &Path, error: io::Error) {
        (self.tell)(Found::Unreadable { path: path.to_owned(), error });
    }

    fn dangling(&self, path: &Path) {
        let target = fs::read_link(path).unwrap_or_default();
        (self.tell)(Found::Dangling { path: path.to_owned(), target });
    }

    fn redirect_file(&self, path: &Path, root: Option<&Path>) {
        let target = match redirect::target(path) {
            Ok(Some(target)) => target,
            Ok(None) => return,
            Err(error) => return self.unreadable(path, error),
        };
        match bounded::exists(&target.join("pyvenv.cfg")) {
            Ok(true) => {}
            Ok(false) => return (self.tell)(Found::Dangling { path: path.to_owned(), target }),
            Err(error) => return self.unreadable(path, error),
        }
        // Named on purpose, the environment it leads to is what was asked for, wherever that is.
        if root.is_none_or(|root| target.starts_with(root)) {
            self.environment(target.clone(), Layout::Venv);
        }
        (self.tell)(Found::Alias { path: path.to_owned(), of: target });
    }

    fn environment(&self, path: PathBuf, layout: Layout) {
        let identity = fs::metadata(&path).map(|meta: Metadata| (meta.dev(), meta.ino()));
        let new = identity.is_ok_and(|identity| self.seen.lock().is_ok_and(|mut seen| seen.insert(identity)));
        if new {
            (self.tell)(Found::Environment { path, layout });
        }
    }
}

/// Where a link leads, in the spelling of the root; `None` where that is outside.
fn target_below(link: &Path, root: &Path) -> Option<PathBuf> {
    let target = fs::canonicalize(link).ok()?;
    let below = target.strip_prefix(fs::canonicalize(root).ok()?).ok()?;
    Some(root.join(below))
}

/// Lists a folder: what matters of every name, and the entries that may lead on.
fn list(path: &Path, inside: &mut Vec<(std::ffi::OsString, FileType)>) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        listing.note(&name);
        if kind.is_dir() || kind.is_symlink() || name == ".venv" {
            inside.push((name, kind));
        }
    }
    Ok(listing)
}

/// Folders that hold no environment: package trees, version control, caches, and what the kernel makes up.
fn prunable(path: &Path, name: &OsStr) -> bool {
    const NAMES: [&str; 9] =
        ["node_modules", "site-packages", "dist-packages", "__pycache__", ".git", ".hg", ".svn", ".mypy_cache", ".ruff_cache"];
    const PATHS: [&str; 3] = ["/proc", "/sys", "/dev"];
    NAMES.iter().any(|pruned| name == *pruned) || PATHS.iter().any(|pruned| path == Path::new(pruned))
}

/// `<name>.backup_YYYYMMDD_HHMMSS`, with or without a suffix; and what a rebuild has in hand.
fn is_backup(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    name.contains(".mendline-") || name.split_once(".backup_").is_some_and(|(_, stamp)| stamp.starts_with(|c: char| c.is_ascii_digit()))
}

fn is_usual_name(path: &Path) -> bool {
    matches!(path.file_name().and_then(OsStr::to_str), Some(".venv" | "venv" | "env" | ".env"))
}
