//! What takes reading everything: files against their hashes, extension modules against the interpreter, dependencies against each other.

mod abi;
mod dependencies;
mod drift;
mod files;
mod markers;
mod requirement;
mod turn;

use std::path::PathBuf;

use contract::path::plain;
use contract::venv::Package;

use self::markers::Markers;
use crate::findings::Findings;
use crate::packages::editable::added_paths;
use crate::packages::{self, Dist, Installed, Metadata};
use crate::site::Site;

/// Judges what is installed by its content.
pub(crate) fn judge(site: &Site, installed: &Installed, found: &mut Findings) {
    let dists = packages::alive(installed);
    // Distributions whose files are links to nothing are left out: that is said once, not for each of their files.
    let whole: Vec<_> = dists.iter().copied().filter(|dist| dist.metadata != Metadata::Dangling).collect();
    turn::alone(|| {
        files::judge(&whole, found);
        abi::judge(site, &whole, found);
    });
    let markers = Markers::of(site);
    let others = packages::scan_folders(&other_folders(site, installed));
    let reachable: Vec<_> = dists.iter().copied().chain(&others.dists).collect();
    let nodes = dependencies::nodes(&reachable);
    let wish = drift::wish(site.root, &nodes, &markers);
    dependencies::judge(&nodes, dists.len(), wish.as_ref(), &markers, found);
    if let Some(wish) = wish {
        drift::judge(&wish, &nodes, dists.len(), found);
    }
}

/// Behind the environment's own folders: what its path configuration files add, then what it inherits.
fn other_folders(site: &Site, installed: &Installed) -> Vec<PathBuf> {
    let added = installed.pth.iter().flat_map(|pth| added_paths(pth)).filter(|path| path.is_dir());
    added.chain(site.inherited.iter().cloned()).collect()
}

/// At most this many names stand in a sentence.
const NAMED: usize = 5;

/// `a, b, c and 4 more`.
fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let shown: Vec<_> = names.iter().take(NAMED).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The beginning of what a file says, fit for a sentence.
fn clipped(text: &str) -> String {
    let beginning: String = text.chars().take(100).collect();
    let more = if beginning.len() < text.len() { "…" } else { "" };
    format!("{}{more}", plain(&beginning))
}

/// The package that a finding on one of several is about; of several it is about none.
fn only(dists: &[&Dist]) -> Option<Package> {
    match dists {
        [dist] => Some(dist.package()),
        _ => None,
    }
}
