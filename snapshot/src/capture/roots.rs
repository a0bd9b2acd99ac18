//! What a snapshot is asked to hold: paths from the command line, path sets, and standard input.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use contract::input::{self, Line};
use contract::output::Output;
use contract::path::{Subject, absolute, shown};
use contract::pathset;
use contract::record::{About, End, Record};
use glob::Pattern;

use crate::store::manifest::Root;

/// What to hold, and what to leave out below it.
#[derive(Debug, Default)]
pub(crate) struct Request {
    roots: BTreeMap<PathBuf, PathBuf>,
    excluded: Vec<Exclusion>,
    /// What somebody named one by one and is not there.
    missing: Vec<PathBuf>,
    /// Who said on standard input that there is more than they told.
    incomplete: Option<String>,
}

#[derive(Debug)]
struct Exclusion {
    glob: Pattern,
    /// On the command line, and not in a path set.
    named: bool,
    matched: AtomicBool,
}

impl Request {
    /// Adds one path that somebody named.
    pub(crate) fn add_named(&mut self, path: &Path) -> anyhow::Result<()> {
        if is_missing(path) {
            self.missing.push(path.to_owned());
        }
        self.add(path)
    }

    /// Says what may have been mistyped, or is not all that there is.
    ///
    /// # Errors
    /// Nothing at all is there, and nobody said that this is meant.
    pub(crate) fn doubt(&self, out: &mut Output, absent: bool) -> anyhow::Result<()> {
        self.missing.iter().for_each(|path| out.hint(&format!("nothing is there: {}", shown(path))));
        anyhow::ensure!(
            absent || self.roots.is_empty() || !self.roots.values().all(|real| is_missing(real)),
            "nothing is there at any of these paths, so there is nothing to keep; --absent keeps that"
        );
        if let Some(tool) = &self.incomplete {
            let text = format!("{tool} says at the end of standard input that it did not see everything, so not all of it may be named");
            out.error("input.incomplete", About::default(), None, &text)?;
        }
        Ok(())
    }

    /// The globs of the command line that left nothing out.
    pub(crate) fn idle(&self) -> impl Iterator<Item = &str> {
        self.excluded.iter().filter(|one| one.named && !one.matched.load(Ordering::Relaxed)).map(|one| one.glob.as_str())
    }

    /// Adds one path, which may not be there: then a snapshot says so.
    pub(crate) fn add(&mut self, path: &Path) -> anyhow::Result<()> {
        let path = absolute(path)?;
        let real = real(&path);
        // `..` behind a link is not what it looks like.
        let plain = path.components().all(|component| component != Component::ParentDir);
        let path = if plain { path.components().collect() } else { real.clone() };
        anyhow::ensure!(path.file_name().is_some(), "cannot hold {}: name folders in it", shown(&path));
        // Who names a link means what it leads to as well, and a link alone brings nothing back.
        if path.is_symlink()
            && let Some(target) = target(&path)
        {
            anyhow::ensure!(
                target.file_name().is_some(),
                "cannot hold {}, where {} leads: name folders in it",
                shown(&target),
                shown(&path)
            );
            self.roots.insert(target.clone(), target);
        }
        self.roots.insert(path, real);
        Ok(())
    }

    /// Adds one path as it stands: the links above it are followed already, and it is not, if it is one.
    pub(crate) fn add_exactly(&mut self, path: &Path) -> anyhow::Result<()> {
        anyhow::ensure!(path.is_absolute() && path.file_name().is_some(), "cannot hold {}", shown(path));
        self.roots.insert(path.to_owned(), real(path));
        Ok(())
    }

    /// Looks once more where the paths really are: a link on the way may lead elsewhere by now.
    pub(crate) fn renew(&mut self) {
        for (path, there) in &mut self.roots {
            *there = real(path);
        }
    }

    /// Adds a path set; a plain path in it that is not there is held as absent.
    pub(crate) fn add_set(&mut self, file: &Path) -> anyhow::Result<()> {
        let set = pathset::read(file)?;
        let literal = set.empty.iter().filter(|pattern| !pathset::is_pattern(pattern)).map(PathBuf::from);
        for path in set.paths.iter().cloned().chain(literal) {
            self.add(&path)?;
        }
        set.excluded.iter().try_for_each(|glob| self.exclude(glob.as_str()))
    }

    /// Leaves out what matches a glob: one without a slash is of names, wherever they are; another one of paths below the current folder.
    pub(crate) fn exclude(&mut self, pattern: &str) -> anyhow::Result<()> {
        let plain = pattern.trim_end_matches('/');
        let plain = plain.strip_prefix("./").unwrap_or(plain);
        anyhow::ensure!(!plain.is_empty() && plain != ".", "the glob `{pattern}` leaves nothing out");
        anyhow::ensure!(!plain.split('/').any(|part| part == ".."), "no path has `..` in it, so `{pattern}` leaves nothing out");
        let pattern = plain;
        if pattern.starts_with('/') {
            return self.exclude_exactly(pattern);
        }
        if !pattern.contains('/') {
            return self.exclude_exactly(&format!("*/{pattern}"));
        }
        let here = std::env::current_dir().context("the current folder is gone")?;
        let here = here.to_str().with_context(|| format!("`{pattern}` is below {}, which no glob can name", shown(&here)))?;
        self.exclude_exactly(&format!("{}/{pattern}", Pattern::escape(here.trim_end_matches('/'))))
    }

    /// Leaves out what matches a glob as it is.
    pub(crate) fn exclude_exactly(&mut self, pattern: &str) -> anyhow::Result<()> {
        let glob = Pattern::new(pattern).with_context(|| format!("`{pattern}` is no glob"))?;
        self.excluded.push(Exclusion { glob, named: false, matched: AtomicBool::new(false) });
        Ok(())
    }

    /// Leaves out what matches a glob that somebody named.
    pub(crate) fn exclude_named(&mut self, pattern: &str) -> anyhow::Result<()> {
        self.exclude(pattern)?;
        self.excluded.last_mut().into_iter().for_each(|one| one.named = true);
        Ok(())
    }

    /// The globs of what is left out.
    pub(crate) fn exclusions(&self) -> impl Iterator<Item = &str> {
        self.excluded.iter().map(|one| one.glob.as_str())
    }

    /// Adds the subjects of records and lines of plain paths from standard input; `subject` says which records count.
    pub(crate) fn add_stdin(&mut self, take: fn(&Record) -> bool) -> anyhow::Result<()> {
        for line in input::stdin("name paths, or pipe them or records in")? {
            match line? {
                Line::Record(record, _) if record.is("end") => {
                    let seen_all = record.read::<End>().is_ok_and(|end| end.ok);
                    self.incomplete = self.incomplete.take().or_else(|| (!seen_all).then(|| record.tool.clone()));
                }
                Line::Record(record, _) => {
                    // The subject of other records is an id, or what could not be seen.
                    let path = record.subject.as_ref().map(Subject::as_path).filter(|path| path.is_absolute());
                    if let Some(path) = path.filter(|_| !record.is("error") && take(&record)) {
                        self.add_named(path)?;
                    }
                }
                Line::Other { bytes, number, why } => {
                    anyhow::ensure!(!bytes.is_empty(), "line {number}: {why}");
                    anyhow::ensure!(!bytes.starts_with(b"{"), "line {number} is neither a path nor a record: {why}");
                    anyhow::ensure!(!bytes.contains(&0), "line {number} has a NUL byte, which no path has");
                    self.add_named(Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&bytes)))?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// Whether something below a root is left out.
    pub(crate) fn excludes(&self, path: &Path) -> bool {
        let one = self.excluded.iter().find(|one| one.glob.matches_path(path));
        one.inspect(|one| one.matched.store(true, Ordering::Relaxed)).is_some()
    }

    /// The roots in order. Those that another holds already are left out; what is within another is spelled as that one is.
    pub(crate) fn roots(&self) -> Vec<Root> {
        let mut asked: Vec<(&Path, &Path)> = self.roots.iter().map(|(path, real)| (real.as_path(), path.as_path())).collect();
        asked.sort_unstable();
        let mut roots: Vec<Root> = Vec::new();
        let mut around: Vec<Root> = Vec::new();
        for (real, path) in asked {
            while around.last().is_some_and(|root| !real.starts_with(root.real.as_path())) {
                around.pop();
            }
            let path = match around.last() {
                Some(root) if self.is_held(root, real) => continue,
                Some(root) => root.path.as_path().join(real.strip_prefix(root.real.as_path()).unwrap_or(real)),
                None if self.is_behind_a_link(path, real) => real.to_owned(),
                None => path.to_owned(),
            };
            let root = Root { path: Subject::from(&path), real: Subject::from(real) };
            around.push(root.clone());
            roots.push(root);
        }
        roots.sort_by(|a, b| a.path.cmp(&b.path));
        roots
    }

    /// Whether a root that a path lies in tells of it: it is found there and nothing on the way is left out, or no folder can hold it.
    fn is_held(&self, root: &Root, real: &Path) -> bool {
        let below = real.strip_prefix(root.real.as_path()).unwrap_or(real);
        if below == Path::new("") {
            return true;
        }
        let path = root.path.as_path().join(below);
        let mut way = path.ancestors().take_while(|above| *above != root.path.as_path());
        let is_there = path.symlink_metadata().is_ok();
        let above = path.ancestors().skip(1).find_map(|above| above.symlink_metadata().ok());
        let is_root_there = root.real.as_path().symlink_metadata().is_ok();
        if is_there { way.all(|above| !self.excludes(above)) } else { !is_root_there || above.is_some_and(|above| !above.is_dir()) }
    }

    /// Whether a path that is spelled as if it lay in another root does not: a link is on the way, and that root ends there.
    fn is_behind_a_link(&self, path: &Path, real: &Path) -> bool {
        path != real && self.roots.iter().any(|(other, there)| other != path && path.starts_with(other) && !real.starts_with(there))
    }
}

/// Where a link leads, all links on the way followed as far as there is anything.
fn target(link: &Path) -> Option<PathBuf> {
    let first = || Some(real(&link.with_file_name(link.read_link().ok()?)));
    let is_plain = |path: &PathBuf| path.components().all(|component| component != Component::ParentDir);
    link.canonicalize().ok().or_else(first).filter(is_plain)
}

/// Whether nothing is there, as far as can be seen.
fn is_missing(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|e| matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
}

/// A path with the links above its last component followed, as far as there is anything.
pub(crate) fn real(path: &Path) -> PathBuf {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return path.to_owned() };
    match parent.canonicalize() {
        Ok(parent) => parent.join(name),
        Err(_) => real(parent).join(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_root_within_another_is_held_once_and_a_link_brings_its_target() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::create_dir_all(top.join("a/z")).unwrap();
        fs::create_dir_all(top.join("elsewhere")).unwrap();
        symlink(top.join("a"), top.join("link")).unwrap();
        symlink(top.join("a"), top.join("elsewhere/way")).unwrap();
        let mut request = Request::default();
        for path in ["a", "a/b", "a/gone", "a/z", "link", "link/b", "elsewhere/way/b"] {
            request.add(&top.join(path)).unwrap();
        }
        let roots = |request: &Request| -> Vec<PathBuf> {
            request.roots().iter().map(|root| root.path.as_path().strip_prefix(&top).unwrap().to_owned()).collect()
        };
        assert_eq!(roots(&request), ["a", "a/gone", "link"].map(PathBuf::from));
        request.exclude(&format!("{}/a/b", top.display())).unwrap();
        assert_eq!(roots(&request), ["a", "a/b", "a/gone", "link"].map(PathBuf::from));

        // A link within a root leads out of it, and the root does not go there.
        let mut request = Request::default();
        for path in ["elsewhere", "elsewhere/way/b"] {
            request.add(&top.join(path)).unwrap();
        }
        assert_eq!(roots(&request), ["a/b", "elsewhere"].map(PathBuf::from));
    }

    #[test]
    fn the_way_to_a_root_is_followed_and_the_root_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        fs::create_dir(top.join("real")).unwrap();
        symlink("real", top.join("way")).unwrap();
        assert_eq!(real(&top.join("way/x/y")), top.join("real/x/y"));
        assert_eq!(real(&top.join("way")), top.join("way"));
    }
}
