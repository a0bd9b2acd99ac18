//! When an environment is left alone although it is ill.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use contract::mounts;
use contract::path::{Subject, shown};
use contract::venv::{Finding, Probe, Repair};
use rustix::fs::Access;
use serde_json::{Value, json};

use crate::backup::{is_own, marker};
use crate::build::{self, breach_of_environment, hides_all};
use crate::in_use::{User, users};
use crate::ladder::Rungs;
use crate::layout;
use crate::links::{self, Link, Linked};
use crate::means::{damaged, litter};
use crate::swap::parent;

/// What venv, virtualenv, uv and pip put at the root of an environment.
const EXPLAINED: [&str; 15] = [
    contract::missing::FILE,
    "bin",
    "lib",
    "lib64",
    "include",
    "share",
    "etc",
    "man",
    "local",
    "pyvenv.cfg",
    "CACHEDIR.TAG",
    ".lock",
    "pip-selfcheck.json",
    "lib32",
    "__pycache__",
];

/// Why an environment is left alone.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It belongs to somebody else.
    Owner(u32),
    /// Somebody else decides what it executes.
    Untrusted(String),
    /// It is what was kept of this environment.
    Backup(PathBuf),
    /// Something is mounted inside it, which a swap would take away from its path.
    Mounted(Vec<PathBuf>),
    /// A link to a folder stands on the way to what would be changed.
    Linked(Link),
    /// Its root holds files of a project.
    Project(Vec<PathBuf>),
    /// These processes use it.
    InUse(Vec<User>),
    /// Somebody has changed this in it while a new one was built.
    Changed(Vec<PathBuf>),
    /// It cannot be seen whether somebody uses it.
    Unseen(String),
    /// Nothing can be made beside it.
    Unwritable(PathBuf),
    /// Files of somebody's own would not be in the new one, each with the reason.
    Stuck(Vec<(PathBuf, &'static str)>),
    /// It works, and what is wrong with it is in no file that the rungs would change: a new one is not for us to decide on.
    Nothing(String),
}

/// Refuses what belongs to neither the caller nor root (files that we would leave in it would be of the wrong owner), what would have
/// us run a stranger's code, and our own backups, which are only good as they are.
pub(crate) fn stranger(venv: &Path, probe: &Probe) -> Option<Refusal> {
    let owner = venv.metadata().ok()?.uid();
    if owner != rustix::process::geteuid().as_raw() && owner != 0 {
        return Some(Refusal::Owner(owner));
    }
    match marker(venv) {
        Ok(Some(marker)) if !is_own(venv) => return Some(Refusal::Backup(marker.of.as_path().to_owned())),
        // It would become a backup that nobody can tell for one.
        Err(e) => return Some(Refusal::Unseen(format!("{e:#}; look at it, and remove it"))),
        Ok(_) => {}
    }
    // A verdict may have been given without asking (--spawn each, --spawn never), or before somebody else came.
    let noted = probe.notes.iter().find(|note| note.code == "not-trusted").map(|note| note.text.clone());
    noted.or_else(|| breach_of_environment(venv)).map(Refusal::Untrusted)
}

/// Refuses a swap that would disturb somebody or take a project along.
pub(crate) fn swap(venv: &Path, even_in_use: bool, even_project: bool) -> Option<Refusal> {
    let folder = parent(venv);
    if rustix::fs::access(folder, Access::WRITE_OK).is_err() {
        return Some(Refusal::Unwritable(folder.to_owned()));
    }
    let strange = unexplained(venv);
    if !strange.is_empty() && !even_project {
        return Some(Refusal::Project(strange));
    }
    disturbing(&[venv], even_in_use)
}

/// Refuses to move trees that somebody uses, or in which something else is mounted: a mount would move along, and its service with it.
pub(crate) fn disturbing(trees: &[&Path], even_in_use: bool) -> Option<Refusal> {
    for tree in trees {
        match mounts::below(tree) {
            Err(e) => return Some(Refusal::Unseen(format!("cannot see which file systems are mounted: {e}"))),
            Ok(mounts) if !mounts.is_empty() => return Some(Refusal::Mounted(mounts)),
            Ok(_) => {}
        }
    }
    if even_in_use {
        return None;
    }
    match users(trees) {
        Err(e) => Some(Refusal::Unseen(format!("cannot see which processes use it: {e}; pass --in-use=replace if none does"))),
        Ok(users) => (!users.is_empty()).then_some(Refusal::InUse(users)),
    }
}

/// Refuses to change what lies behind a link to a folder: it would be changed in place. A rebuild writes nowhere but to the folders that
/// every environment has; a link below is a person's own, and carried over as the link that it is.
pub(crate) fn linked(venv: &Path, rungs: &Rungs, targets: &[Finding]) -> Option<Refusal> {
    let mut paths = links::frame(venv);
    if !rungs.contains(&Repair::Rebuild) {
        let litter =
            litter(targets).into_iter().filter_map(|path| layout::normal(path.as_path()).strip_prefix(venv).map(Path::to_owned).ok());
        // Litter that is a link goes as one.
        paths.extend(litter.filter_map(|path| path.parent().map(Path::to_owned)));
        paths.extend(layout::site_packages(venv).iter().filter(|_| rungs.contains(&Repair::Pip)).map(|site| site.join("pip")));
        paths.extend(build::replaced(venv, &damaged(targets)));
    }
    links::on_the_way(venv, &paths).map(Refusal::Linked)
}

/// Entries at the root of an environment that none of its makers puts there: a `.gitignore` that hides anything but all of it is a project's.
fn unexplained(venv: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(venv) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok().map(|entry| entry.file_name()));
    let is_known = |name: &OsString| match name.to_str() {
        Some(".gitignore") => fs::read_to_string(venv.join(name)).is_ok_and(|text| hides_all(&text)),
        _ => EXPLAINED.iter().any(|known| name == known),
    };
    let mut strange: Vec<PathBuf> = names.filter(|name| !is_known(name)).map(PathBuf::from).collect();
    strange.sort();
    strange
}

impl Refusal {
    /// What a program can use of it.
    pub(crate) fn detail(&self) -> Option<(String, Value)> {
        match self {
            Self::InUse(users) => Some(("in_use".to_owned(), json!(users))),
            Self::Project(names) => Some(("unexplained".to_owned(), json!(names.iter().map(Subject::from).collect::<Vec<_>>()))),
            Self::Mounted(points) => Some(("mounted".to_owned(), json!(points.iter().map(Subject::from).collect::<Vec<_>>()))),
            Self::Changed(paths) => {
                Some(("changed_meanwhile".to_owned(), json!(paths.iter().take(10).map(Subject::from).collect::<Vec<_>>())))
            }
            Self::Linked(Link { path, target }) => {
                Some(("linked".to_owned(), json!({"path": Subject::from(path), "target": Subject::from(target)})))
            }
            Self::Stuck(paths) => {
                let stuck = paths.iter().map(|(path, why)| json!({"path": Subject::from(path), "why": why}));
                Some(("stuck".to_owned(), stuck.collect()))
            }
            Self::Owner(_) | Self::Untrusted(_) | Self::Backup(_) | Self::Unseen(_) | Self::Unwritable(_) | Self::Nothing(_) => None,
        }
    }

    /// The reason, ending in what to do.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Owner(uid) => format!("it belongs to the user with the number {uid}; run as that user"),
            Self::Untrusted(why) => format!("{why}, and a repair would execute what lies there; run as its owner"),
            Self::Backup(of) => format!("this is a backup of {}; `venv-rebuild undo` swaps it in", shown(of)),
            Self::Project(names) => format!(
                "its root also holds what is no part of an environment ({}); look at it, and pass --even-project to carry it over",
                list(names.iter().map(|name| shown(name)))
            ),
            Self::Mounted(points) => format!(
                "{} is mounted inside it, and would go where it goes; unmount it first",
                list(points.iter().map(|point| shown(point)))
            ),
            Self::Linked(link) => Linked(link.clone()).to_string(),
            Self::InUse(users) => format!(
                "in use by {}; stop it, or pass --in-use=replace",
                list(users.iter().map(|user| format!("process {} ({})", user.pid, user.by)))
            ),
            Self::Changed(paths) => format!(
                "somebody has changed it while a new one was built ({}), which would be in the backup alone; run it again",
                list(paths.iter().map(|path| shown(path)))
            ),
            Self::Unseen(why) => why.clone(),
            Self::Unwritable(folder) => {
                format!("{} cannot be written, and the new environment is built there; run as its owner", shown(folder))
            }
            Self::Stuck(paths) => format!(
                "{} cannot be carried over ({}); look at it, and pass --leave-behind to have it in the backup alone",
                list(paths.iter().map(|(path, _)| shown(path))),
                paths.first().map_or("", |(_, why)| why)
            ),
            Self::Nothing(fault) => format!("there is nothing that it could change; look at it: {fault}; --full builds it anew"),
        }
    }
}

/// The first few of many.
pub(crate) fn list(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(3);
    let first = items.take(3).collect::<Vec<_>>().join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}
