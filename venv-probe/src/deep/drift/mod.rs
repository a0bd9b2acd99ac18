//! How far an environment is from what its project asks for.

mod locks;
mod project;
mod pyproject;
mod requirements;
mod uv;
mod wish;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use contract::path::Subject;

pub(super) use self::wish::Wish;
use super::dependencies::Node;
use super::listed;
use super::markers::Markers;
use super::requirement::rules_out;
use crate::catalogue::Entry;
use crate::catalogue::packages::{DRIFT_EXTRA, DRIFT_MISSING, DRIFT_VERSION};
use crate::findings::Findings;
use crate::packages::Dist;

/// These come with an environment, whatever its project asks for.
const SEEDS: [&str; 3] = ["pip", "setuptools", "wheel"];

/// What the nearest project asks for, if the environment is the project's.
///
/// An environment that has little of what a folder asks for was made for something else, unless its place says otherwise.
pub(super) fn wish(root: &Path, nodes: &[Node], markers: &Markers) -> Option<Wish> {
    let wish = project::wish(root, markers)?;
    (wish.certain || missing(&wish, nodes).len() * 2 <= wish.required.len()).then_some(wish)
}

/// Compares with what is installed: of `nodes`, the first `own` in the environment itself.
pub(super) fn judge(wish: &Wish, nodes: &[Node], own: usize, found: &mut Findings) {
    report(&DRIFT_MISSING, wish, "asks for what is not installed", &missing(wish, nodes), found);
    report(&DRIFT_VERSION, wish, "rules out installed versions", &ruled_out(wish, &nodes[..own]), found);
    if !wish.open {
        report(&DRIFT_EXTRA, wish, "asks for none of", &extra(wish, &nodes[..own]), found);
    }
}

fn report(entry: &Entry, wish: &Wish, verb: &str, what: &[String], found: &mut Findings) {
    if !what.is_empty() {
        found.add(entry, format!("{} {verb}: {}", wish.title(), listed(what)), Some(Subject::from(&wish.file)));
    }
}

fn missing(wish: &Wish, nodes: &[Node]) -> Vec<String> {
    let there: HashSet<_> = nodes.iter().map(|node| node.dist.name.as_str()).collect();
    wish.required.iter().filter(|name| !there.contains(name.as_str())).cloned().collect()
}

/// What was installed from sources or a URL has the version that these happened to have.
fn ruled_out(wish: &Wish, own: &[Node]) -> Vec<String> {
    let from_index = own.iter().map(|node| node.dist).filter(|dist| dist.source.is_none() && !dist.is_editable());
    let ruled_out = from_index.filter_map(|dist| {
        let allowed = wish.versions.get(&dist.name)?;
        let none_fits = !allowed.is_empty() && allowed.iter().all(|versions| rules_out(versions, dist.version.as_deref()));
        let allowed: Vec<_> = allowed.iter().map(ToString::to_string).collect();
        none_fits.then(|| format!("{} (wanted: {})", dist.title(), allowed.join(" or ")))
    });
    ruled_out.collect()
}

fn extra(wish: &Wish, own: &[Node]) -> Vec<String> {
    let wanted = if wish.is_lock { wish.known.clone() } else { with_requirements(&wish.known, own) };
    let extra = own.iter().map(|node| node.dist).filter(|dist| !dist.is_editable() && !wanted.contains(&dist.name));
    extra.filter(|dist| !SEEDS.contains(&dist.name.as_str())).map(Dist::title).collect()
}

/// The names, and all that they may require, whatever the extra.
fn with_requirements(names: &HashSet<String>, own: &[Node]) -> HashSet<String> {
    let by_name: HashMap<_, _> = own.iter().map(|node| (node.dist.name.as_str(), node)).collect();
    let mut wanted = names.clone();
    let mut queue: Vec<_> = names.iter().cloned().collect();
    while let Some(name) = queue.pop() {
        for requirement in by_name.get(name.as_str()).into_iter().flat_map(|node| &node.requires) {
            let name = requirement.name.to_string();
            if wanted.insert(name.clone()) {
                queue.push(name);
            }
        }
    }
    wanted
}
