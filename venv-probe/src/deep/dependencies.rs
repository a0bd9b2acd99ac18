//! What installed distributions require of each other, extras that they ask for included.

use std::collections::{HashMap, HashSet};

use contract::path::Subject;
use pep508_rs::ExtraName;
use rayon::prelude::*;

use super::drift::Wish;
use super::markers::Markers;
use super::requirement::{self, Requirement, rules_out, shown, versions};
use super::{clipped, listed};
use crate::catalogue::Entry;
use crate::catalogue::packages::{DEPENDENCY_CONFLICT, DEPENDENCY_MISSING, PYTHON_UNSUPPORTED, REQUIREMENT_UNPARSABLE};
use crate::findings::Findings;
use crate::packages::metadata::{self, Demands};
use crate::packages::{Dist, Metadata};

/// A distribution that this environment's Python can import, and what it requires.
pub(super) struct Node<'a> {
    pub(super) dist: &'a Dist,
    pub(super) requires: Vec<Requirement>,
    unparsable: Vec<String>,
    python: Option<String>,
}

/// Judges the requirements of the environment's own distributions, which are the first `own`, and the extras that its project asks for.
pub(super) fn judge(nodes: &[Node], own: usize, wish: Option<&Wish>, markers: &Markers, found: &mut Findings) {
    for node in &nodes[..own] {
        complain(node, markers, found);
    }
    let breaches = Walk::new(nodes, markers).from(own, wish);
    report(nodes, &breaches, Fate::Missing, &DEPENDENCY_MISSING, found);
    report(nodes, &breaches, Fate::Conflict, &DEPENDENCY_CONFLICT, found);
}

/// Reads what distributions require, in the order in which Python meets them.
pub(super) fn nodes<'a>(dists: &[&'a Dist]) -> Vec<Node<'a>> {
    dists.par_iter().map(|dist| node(dist)).collect()
}

fn node(dist: &Dist) -> Node<'_> {
    let readable = dist.metadata_file().filter(|_| dist.metadata == Metadata::Read);
    let Demands { requires, python } = readable.and_then(|file| metadata::demands(&file).ok()).unwrap_or_default();
    let (mut parsed, mut unparsable) = (Vec::new(), Vec::new());
    for line in requires {
        match requirement::read(&line) {
            Some(requirement) => parsed.push(requirement),
            None => unparsable.push(line),
        }
    }
    Node { dist, requires: parsed, unparsable, python }
}

fn complain(node: &Node, markers: &Markers, found: &mut Findings) {
    let dist = node.dist;
    if !node.unparsable.is_empty() {
        let quoted: Vec<_> = node.unparsable.iter().map(|line| format!("`{}`", clipped(line))).collect();
        let text = format!("{} states what cannot be checked: {}", dist.title(), listed(&quoted));
        found.add_package(&REQUIREMENT_UNPARSABLE, dist.package(), text, Some(Subject::from(&dist.info)));
    }
    if let Some(python) = node.python.as_deref().filter(|python| markers.rule_out_python(python)) {
        let text = format!("{} is for Python {}", dist.title(), clipped(python));
        found.add_package(&PYTHON_UNSUPPORTED, dist.package(), text, Some(Subject::from(&dist.info)));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Missing,
    Conflict,
}

/// A requirement that is not met.
struct Breach<'a> {
    /// Index of the distribution that states it.
    by: usize,
    requirement: &'a Requirement,
    fate: Fate,
    text: String,
}

/// A walk over requirements: an extra that is asked for brings those behind it.
struct Walk<'a> {
    nodes: &'a [Node<'a>],
    markers: &'a Markers,
    by_name: HashMap<&'a str, usize>,
    seen: HashSet<(usize, Option<ExtraName>)>,
    /// Distribution, extra, and who asked for the extra.
    queue: Vec<(usize, Option<(ExtraName, String)>)>,
    breaches: Vec<Breach<'a>>,
}

impl<'a> Walk<'a> {
    fn new(nodes: &'a [Node<'a>], markers: &'a Markers) -> Self {
        let mut by_name = HashMap::new();
        for (index, node) in nodes.iter().enumerate() {
            by_name.entry(node.dist.name.as_str()).or_insert(index);
        }
        Self { nodes, markers, by_name, seen: HashSet::new(), queue: Vec::new(), breaches: Vec::new() }
    }

    /// Walks from the first `own` distributions, and from what the project asks for.
    fn from(mut self, own: usize, wish: Option<&Wish>) -> Vec<Breach<'a>> {
        for (name, extra) in wish.iter().flat_map(|wish| &wish.extras) {
            let asker = wish.map_or_else(String::new, Wish::title);
            self.queue.extend(self.by_name.get(name.as_str()).map(|&index| (index, Some((extra.clone(), asker)))));
        }
        self.queue.extend((0..own).rev().map(|index| (index, None)));
        while let Some((index, through)) = self.queue.pop() {
            if self.seen.insert((index, through.as_ref().map(|(extra, _)| extra.clone()))) {
                self.visit(index, through.as_ref());
            }
        }
        self.breaches
    }

    fn visit(&mut self, index: usize, through: Option<&(ExtraName, String)>) {
        for requirement in &self.nodes[index].requires {
            if self.is_active(requirement, through.map(|(extra, _)| extra)) {
                self.meet(index, requirement, through);
            }
        }
    }

    /// With an extra: only what it adds.
    fn is_active(&self, requirement: &Requirement, extra: Option<&ExtraName>) -> bool {
        let always = self.markers.hold(&requirement.marker, &[]);
        match extra {
            None => always,
            Some(extra) => !always && self.markers.hold(&requirement.marker, std::slice::from_ref(extra)),
        }
    }

    fn meet(&mut self, by: usize, requirement: &'a Requirement, through: Option<&(ExtraName, String)>) {
        let reason = through.map_or_else(String::new, |(extra, asker)| format!(" (for its extra `{extra}`, which {asker} asks for)"));
        let wanted = format!("{}{reason}", shown(requirement));
        let Some(&index) = self.by_name.get(requirement.name.as_ref()) else {
            self.breaches.push(Breach { by, requirement, fate: Fate::Missing, text: wanted });
            return;
        };
        let version = self.nodes[index].dist.version.as_deref();
        if versions(requirement).is_some_and(|versions| rules_out(versions, version)) {
            let text = format!("{wanted}, not {}", self.nodes[index].dist.title());
            self.breaches.push(Breach { by, requirement, fate: Fate::Conflict, text });
        }
        self.queue.extend(requirement.extras.iter().map(|extra| (index, Some((extra.clone(), self.nodes[by].dist.title())))));
    }
}

/// One finding for each distribution that misses something.
fn report(nodes: &[Node], breaches: &[Breach], fate: Fate, entry: &Entry, found: &mut Findings) {
    for (index, node) in nodes.iter().enumerate() {
        let mut seen = HashSet::new();
        let of_this = breaches.iter().filter(|breach| breach.by == index && breach.fate == fate);
        let texts: Vec<_> = of_this.filter(|breach| seen.insert(&breach.requirement.name)).map(|breach| breach.text.as_str()).collect();
        if texts.is_empty() {
            continue;
        }
        let suffix = if fate == Fate::Missing { ", not installed" } else { "" };
        let text = format!("{} needs {}{suffix}", node.dist.title(), listed(&texts));
        found.add_package(entry, node.dist.package(), text, Some(Subject::from(&node.dist.info)));
    }
}

#[cfg(test)]
mod tests {
    use crate::packages::sample::{Sample, assert_found};

    #[test]
    fn extras_that_somebody_asks_for_are_needed() {
        let sample = Sample::new();
        sample.install("gdown", "5", "Requires-Dist: requests[socks]\n", &[]);
        sample.install(
            "requests",
            "2.34",
            "Provides-Extra: socks\nRequires-Dist: PySocks!=1.5.7; extra == 'socks'\nRequires-Dist: tests; extra == 'test'\n",
            &[],
        );
        assert_found(
            &sample,
            &[("dependency-missing", "requests 2.34 needs pysocks!=1.5.7 (for its extra `socks`, which gdown 5 asks for), not installed")],
        );
        sample.install("PySocks", "1.7", "", &[]);
        assert_found(&sample, &[]);
    }

    #[test]
    fn an_extra_may_name_its_own_distribution() {
        let sample = Sample::new();
        sample.install("a", "1", "Requires-Dist: a[x]; extra == 'all'\nRequires-Dist: b; extra == 'x'\n", &[]);
        sample.install("c", "1", "Requires-Dist: a[all]\n", &[]);
        assert_found(&sample, &[("dependency-missing", "a 1 needs b (for its extra `x`")]);
    }

    #[test]
    fn versions_and_markers_decide() {
        let sample = Sample::new();
        let head = "Requires-Dist: urllib3<3,>=1.26\nRequires-Dist: nt; os_name == 'nt'\nRequires-Dist: torch==2.0\nRequires-Dist: pre>=2\nRequires-Dist: w @ https://x/w.zip\n";
        sample.install("a", "1", head, &[]);
        for (name, version) in [("urllib3", "1.20"), ("torch", "2.0+cpu"), ("pre", "2.1rc1"), ("w", "1")] {
            sample.install(name, version, "", &[]);
        }
        assert_found(&sample, &[("dependency-conflict", "a 1 needs urllib3>=1.26,<3, not urllib3 1.20")]);
    }

    #[test]
    fn what_cannot_be_read_is_noted_and_stops_nothing() {
        let sample = Sample::new();
        sample.install("a", "1", "Requires-Python: <3.9\nRequires-Dist: pytz>dev\nRequires-Dist: b\n", &[]);
        sample.install("c", "unreadable", "", &[]);
        let expected = [
            ("requirement-unparsable", "`pytz>dev`"),
            ("python-unsupported", "a 1 is for Python <3.9"),
            ("dependency-missing", "a 1 needs b"),
        ];
        assert_found(&sample, &expected);
    }
}
