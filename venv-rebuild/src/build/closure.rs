//! What installed distributions bring each other, from their own metadata.

use std::collections::{BTreeMap, BTreeSet};

use pep508_rs::ExtraName;

use super::dist::Dist;
use super::markers::{Markers, requirement};

/// The names that are wanted or needed by what is wanted, among what is installed. `wanted` are requirement lines.
pub(super) fn needed(dists: &BTreeMap<String, Dist>, wanted: &[(String, Vec<ExtraName>)], markers: &Markers) -> BTreeSet<String> {
    let mut met: BTreeSet<(String, Vec<ExtraName>)> = BTreeSet::new();
    let mut next = wanted.to_vec();
    while let Some((name, extras)) = next.pop() {
        if !met.insert((name.clone(), extras.clone())) {
            continue;
        }
        let Some(dist) = dists.get(&name) else { continue };
        let asked = dist.requires.iter().filter_map(|line| requirement(line)).filter(|needs| markers.ask(needs, &extras));
        next.extend(asked.map(|needs| (needs.name.to_string(), needs.extras.clone())));
    }
    met.into_iter().map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extras_and_markers_are_followed_and_cycles_end() {
        let dist = |requires: &[&str]| Dist {
            info: "x".into(),
            name: String::new(),
            version: String::new(),
            requires: requires.iter().map(|&line| line.to_owned()).collect(),
            origin: None,
        };
        let dists = [
            ("a", dist(&["b[fast]", "win; sys_platform == 'win32'"])),
            ("b", dist(&["c; extra == 'fast'", "d; extra == 'slow'", "a", "broken>=1.0.*"])),
        ];
        let dists = dists.into_iter().map(|(name, dist)| (name.to_owned(), dist)).collect();
        let markers = Markers::of("3.12.1", "cpython").unwrap();
        let found = needed(&dists, &[("a".to_owned(), Vec::new())], &markers);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
