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
    let has_most = !wish.required.is_empty() && missing(&wish, nodes).len() * 2 <= wish.required.len();
    (wish.certain || has_most).then_some(wish)
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

#[cfg(test)]
mod tests {
    use crate::packages::sample::{Sample, assert_found};

    fn project(file: &str, content: &str) -> Sample {
        let sample = Sample::new();
        sample.install("flask", "3.0", "Requires-Dist: click\n", &[]);
        sample.install("click", "8.1", "", &[]);
        sample.install("pip", "24.0", "", &[]);
        sample.write(&format!("../../../../{file}"), content);
        sample
    }

    #[test]
    fn what_fits_is_silent() {
        let lock = "[[package]]\nname='p'\nsource={virtual='.'}\ndependencies=[{name='flask'},{name='nt',marker=\"os_name=='nt'\"}]\n\
            [[package]]\nname='flask'\nversion='3.0'\nsource={registry='x'}\ndependencies=[{name='click'}]\n\
            [[package]]\nname='click'\nversion='8.1'\nsource={registry='x'}\n[[package]]\nname='nt'\nversion='1'\n";
        for (file, content) in [
            ("requirements.txt", "flask==3.0 # why\nnt; os_name == 'nt'\n"),
            ("pyproject.toml", "[project]\nname='p'\ndependencies=['flask']\n"),
            ("uv.lock", lock),
            (
                "pylock.toml",
                "[[packages]]\nname='flask'\nversion='3.0'\n[[packages]]\nname='click'\n[[packages]]\nname='x'\nmarker=\"'dev' in dependency_groups\"\n",
            ),
            ("Pipfile.lock", r#"{"default":{"flask":{"version":"==3.0"},"click":{}},"develop":{"pytest":{"version":"==8"}}}"#),
        ] {
            assert_found(&project(file, content), &[]);
        }
    }

    #[test]
    fn each_kind_of_file_tells_what_is_missing_and_what_does_not_fit() {
        let uv = "[[package]]\nname='p'\nsource={editable='.'}\ndependencies=[{name='flask',extra=['async']}]\n[[package]]\nname='flask'\nversion='3.1'\nsource={registry='x'}\n\
            [package.optional-dependencies]\nasync=[{name='asgiref'}]\n[[package]]\nname='asgiref'\nversion='1'\n[[package]]\nname='click'\n";
        let poetry = "[[package]]\nname='flask'\nversion='3.1'\ngroups=['main']\n[[package]]\nname='asgiref'\nversion='1'\ngroups=['main', 'dev']\nmarkers={main=\"os_name=='posix'\"}\n\
            [[package]]\nname='pytest'\nversion='8'\ngroups=['dev']\n[[package]]\nname='nt'\nversion='1'\ngroups=['main']\nmarkers=\"os_name=='nt'\"\n[[package]]\nname='click'\nversion='8.1'\n";
        let pdm = "[[package]]\nname='flask'\nversion='3.1'\ngroups=['default']\n[[package]]\nname='asgiref'\nversion='1'\ngroups=['default']\n[[package]]\nname='click'\ngit='x'\n";
        for (file, content) in [
            ("requirements.txt", "flask>=3.1\n-r more.txt\nASGIref\n"),
            ("pyproject.toml", "[project]\nname='p'\ndependencies=['flask>=3.1', 'asgiref']\n"),
            ("uv.lock", uv),
            ("poetry.lock", poetry),
            ("pdm.lock", pdm),
            ("pylock.toml", "[[packages]]\nname='flask'\nversion='3.1'\n[[packages]]\nname='asgiref'\n[[packages]]\nname='click'\n"),
            ("Pipfile.lock", r#"{"default":{"flask":{"version":"==3.1"},"asgiref":{},"click":{}}}"#),
        ] {
            assert_found(&project(file, content), &[("drift-missing", "installed: asgiref"), ("drift-version", "flask 3.0 (wanted: ")]);
        }
    }

    #[test]
    fn a_lock_is_preferred_and_other_files_excuse() {
        let sample = project("requirements.txt", "flask==1.0\n");
        sample.install("pytest", "8", "Requires-Dist: pluggy\n", &[]);
        sample.install("pluggy", "1", "", &[]);
        assert_found(
            &sample,
            &[("drift-version", "flask"), ("drift-extra", "asks for none of: pluggy 1, pytest 8")].map(|(code, _)| (code, "")),
        );
        sample.write(
            "../../../../pyproject.toml",
            "[project]\nname='p'\ndependencies=['flask']\n[dependency-groups]\ntest=['pytest', {include-group='x'}]\n",
        );
        assert_found(&sample, &[]);
    }

    #[test]
    fn what_is_asked_for_by_url_leaves_open_what_is_surplus() {
        let sample = project("requirements.txt", "-e .\ngit+https://x/y.git\n");
        assert_found(&sample, &[]);
    }

    #[test]
    fn a_requested_extra_counts() {
        let sample = project("requirements.txt", "click[colors]\nflask\n");
        sample.install("click", "8.1", "Requires-Dist: rainbow; extra == 'colors'\n", &[]);
        assert_found(
            &sample,
            &[("dependency-missing", "click 8.1 needs rainbow (for its extra `colors`, which requirements.txt asks for)")],
        );
    }
}
