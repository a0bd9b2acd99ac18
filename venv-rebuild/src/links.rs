//! Links to folders. What is written behind one is written where the environment in use and its backup lead to as well, and no backup
//! brings it back: a repair goes through none, and keeps installers from it.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;

use crate::{layout, openness};

/// A link, relative to the environment, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) path: PathBuf,
    pub(crate) target: PathBuf,
}

/// Something would be written behind a link: an error that no higher rung gets round.
#[derive(Debug)]
pub(crate) struct Linked(pub(crate) Link);

impl fmt::Display for Linked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Link { path, target } = &self.0;
        write!(
            f,
            "{} is a link to {}, and no backup has what would be changed there; put a folder of its own in its place",
            shown(path),
            shown(target)
        )
    }
}

impl std::error::Error for Linked {}

/// The folders that every environment has, as far as this one has them: `bin`, `lib`, `lib/pythonX.Y`, `lib/pythonX.Y/site-packages`.
pub(crate) fn frame(venv: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = ["bin", "lib", "lib64"].map(PathBuf::from).to_vec();
    for lib in ["lib", "lib64"] {
        let names = fs::read_dir(venv.join(lib)).into_iter().flatten().flatten().map(|entry| entry.file_name());
        folders.extend(names.filter(|name| layout::is_python(name)).map(|name| Path::new(lib).join(name).join("site-packages")));
    }
    folders
}

/// The first link to a folder on the way to any of these paths below `venv`, and at its end.
pub(crate) fn on_the_way(venv: &Path, paths: &[PathBuf]) -> Option<Link> {
    let ways = paths.iter().flat_map(|path| path.ancestors().collect::<Vec<_>>().into_iter().rev());
    let mut ways: Vec<&Path> = ways.filter(|path| !path.as_os_str().is_empty()).collect();
    ways.dedup();
    let path = ways.into_iter().find(|path| leads_to_a_folder(venv, path) && !is_usual(venv, path))?;
    Some(Link { path: path.to_owned(), target: fs::read_link(venv.join(path)).ok()? })
}

fn leads_to_a_folder(venv: &Path, path: &Path) -> bool {
    let path = venv.join(path);
    path.is_symlink() && path.is_dir()
}

/// venv and virtualenv make it: `lib64`, which is `lib`.
fn is_usual(venv: &Path, path: &Path) -> bool {
    let leads_to = |name: &str| venv.join(name).canonicalize().ok();
    path == Path::new("lib64") && leads_to("lib64") == leads_to("lib")
}

/// The links of a tree through which an installer could write elsewhere, taken out of it for as long as installers work on it.
#[derive(Debug)]
pub(crate) struct TakenOut(Vec<Link>);

impl TakenOut {
    /// Takes the links out of `tree` that lead to a folder outside it, or to nothing, which pip would write to as well. Where nothing is
    /// installed they stay: an interpreter may need them to start.
    ///
    /// # Errors
    /// A folder cannot be read, or a link not be removed.
    pub(crate) fn of(tree: &Path) -> anyhow::Result<Self> {
        let root = tree.canonicalize().with_context(|| format!("cannot find {}", shown(tree)))?;
        let (mut links, mut folders) = (Vec::new(), vec![PathBuf::new()]);
        while let Some(folder) = folders.pop() {
            let path = tree.join(&folder);
            for entry in fs::read_dir(&path).with_context(|| format!("cannot list {}", shown(&path)))? {
                let entry = entry.with_context(|| format!("cannot list {}", shown(&path)))?;
                let (inner, kind) = (folder.join(entry.file_name()), entry.file_type()?);
                if is_of_the_library(&inner) {
                    continue;
                }
                if kind.is_dir() {
                    folders.push(inner);
                } else if kind.is_symlink() && leads_out(&root, &entry.path()) {
                    links.push(Link { target: fs::read_link(entry.path())?, path: inner });
                }
            }
        }
        links
            .iter()
            .try_for_each(|link| fs::remove_file(tree.join(&link.path)).with_context(|| format!("cannot remove {}", shown(&link.path))))?;
        Ok(Self(links))
    }

    /// Puts them back, in a clone of `venv`. Something new in the place of one that led nowhere stays.
    ///
    /// # Errors
    /// [`Linked`] where something was installed in the place of one that leads to a folder; or one cannot be made.
    pub(crate) fn put_back(self, venv: &Path, tree: &Path) -> anyhow::Result<()> {
        for link in self.0 {
            let path = tree.join(&link.path);
            match path.symlink_metadata() {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    openness::make_parents(venv, tree, &link.path)?;
                    symlink(&link.target, &path).with_context(|| format!("cannot make the link {}", shown(&path)))?;
                }
                Ok(_) if !leads_to_a_folder(venv, &link.path) => {}
                Ok(_) => return Err(Linked(link).into()),
                Err(e) => return Err(e).with_context(|| format!("cannot read {}", shown(&path))),
            }
        }
        Ok(())
    }
}

/// `lib/pythonX.Y` but for its `site-packages`: older virtualenvs link the standard library into it.
fn is_of_the_library(path: &Path) -> bool {
    let names: Vec<_> = path.iter().collect();
    matches!(names[..], [lib, python, name] if (lib == "lib" || lib == "lib64") && layout::is_python(python) && name != "site-packages")
}

fn leads_out(root: &Path, link: &Path) -> bool {
    link.canonicalize().map_or(true, |real| real.is_dir() && !real.starts_with(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &str = "lib/python3.12/site-packages";

    /// A tree with a folder, a file and nothing outside to lead to.
    fn tree() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (tree, outside) = (folder.path().join(".venv"), folder.path().join("outside"));
        for made in [&tree.join(SITE), &tree.join("bin"), &outside] {
            fs::create_dir_all(made).unwrap();
        }
        fs::File::create(outside.join("file")).unwrap();
        symlink("lib", tree.join("lib64")).unwrap();
        (folder, tree, outside)
    }

    #[test]
    fn a_link_to_a_folder_is_met_on_the_way_and_others_are_not() {
        let (_folder, tree, outside) = tree();
        let met = |path: &str| on_the_way(&tree, &[path.into()]).map(|link| link.path);
        symlink(outside.join("file"), tree.join("bin/script")).unwrap();
        symlink(outside.join("gone"), tree.join("bin/gone")).unwrap();
        assert_eq!(on_the_way(&tree, &frame(&tree)), None);
        assert_eq!([met("bin/script"), met("bin/gone"), met("lib64/python3.12/site-packages/a")], [None, None, None]);
        symlink(&outside, tree.join(SITE).join("click")).unwrap();
        assert_eq!(met("lib/python3.12/site-packages/click/core.py"), Some(Path::new(SITE).join("click")));
        fs::remove_dir_all(tree.join(SITE)).unwrap();
        symlink(&outside, tree.join(SITE)).unwrap();
        assert_eq!(on_the_way(&tree, &frame(&tree)).unwrap().path, Path::new(SITE));
        fs::remove_file(tree.join("lib64")).unwrap();
        symlink(&outside, tree.join("lib64")).unwrap();
        assert_eq!(on_the_way(&tree, &frame(&tree)).unwrap().path, Path::new("lib64"));
    }

    #[test]
    fn only_what_leads_out_is_taken_and_all_of_it_comes_back() {
        let (_folder, tree, outside) = tree();
        let links = [
            ("bin/gone", outside.join("gone")),
            ("bin/script", outside.join("file")),
            ("share", outside.clone()),
            ("lib/python3.12/encodings", outside.clone()),
            ("lib/python3.12/site-packages/own", outside.clone()),
            ("lib/python3.12/site-packages/within", "../site-packages".into()),
        ];
        for (path, target) in &links {
            symlink(target, tree.join(path)).unwrap();
        }
        let taken = TakenOut::of(&tree).unwrap();
        let mut paths: Vec<_> = taken.0.iter().map(|link| link.path.to_str().unwrap()).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["bin/gone", "lib/python3.12/site-packages/own", "share"]);
        fs::File::create(tree.join("bin/gone")).unwrap();
        taken.put_back(&tree, &tree).unwrap();
        assert!(
            tree.join("bin/gone").is_file() && links[1..].iter().all(|(path, target)| fs::read_link(tree.join(path)).unwrap() == *target)
        );
    }
}
