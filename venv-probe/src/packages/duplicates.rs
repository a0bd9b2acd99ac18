//! Two records of one distribution: which one Python takes, and which one an interrupted run left behind.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;

use contract::path::{Subject, shown};
use contract::venv::Repair;

use super::record::{self, List, State};
use super::{Dist, Installed, Kind, Metadata};
use crate::catalogue::packages::METADATA_DUPLICATE;
use crate::findings::Findings;

/// Looks for names that are recorded more than once in one site folder.
pub(super) fn judge(installed: &Installed, found: &mut Findings) {
    for dists in groups(installed) {
        let stale = stale(&dists);
        if stale.is_empty() {
            undecided(&dists, found);
        }
        for dist in stale {
            let text = format!("{}; {} is left over", count(&dists), folder(dist));
            let finding = found.add(&METADATA_DUPLICATE, text, Some(Subject::from(&dist.info)));
            finding.package = Some(dist.package());
            finding.repair = Some(Repair::Litter);
        }
    }
}

/// Reinstalling the one that is hardly there would be a downgrade: the one that the disk agrees with most, or none.
fn undecided(dists: &[&Dist], found: &mut Findings) {
    let likeliest = likeliest(dists);
    let finding = found.add(&METADATA_DUPLICATE, count(dists), Some(Subject::from(&dists[1].info)));
    finding.package = Some(likeliest.unwrap_or(dists[0]).package());
    finding.repair = likeliest.and(METADATA_DUPLICATE.repair);
}

/// `dists[0]` is what importlib.metadata takes: the first that the folder's listing has.
fn count(dists: &[&Dist]) -> String {
    let records: Vec<_> = dists.iter().map(|dist| folder(dist)).collect();
    format!("{} is recorded {} times ({}); Python takes {}", dists[0].name, dists.len(), records.join(", "), records[0])
}

fn folder(dist: &Dist) -> String {
    shown(Path::new(dist.info.file_name().unwrap_or_default()))
}

fn likeliest<'a>(dists: &[&'a Dist]) -> Option<&'a Dist> {
    let mut ranked: Vec<_> = dists.iter().map(|dist| (agreement(dist), *dist)).collect();
    ranked.sort_by_key(|(agreement, _)| Reverse(*agreement));
    (ranked[0].0 > ranked[1].0).then_some(ranked[0].1)
}

/// How many in a thousand of the files that it vouches for are as recorded. Without a RECORD, or with one that cannot be read, a
/// distribution agrees with nothing.
fn agreement(dist: &Dist) -> usize {
    let mut buffer = vec![0; 64 << 10];
    let (mut same, mut all) = (0, 0);
    let list = record::each(dist, |line| {
        if line.is_verifiable(&dist.info) {
            all += 1;
            same += usize::from(line.check(&mut buffer) == State::Same);
        }
    });
    if matches!(list, Ok(List::Whole)) { same * 1000 / all.max(1) } else { 0 }
}

/// Those that count: all but the records that describe nothing any more.
pub(crate) fn alive(installed: &Installed) -> Vec<&Dist> {
    let stale: HashSet<_> = groups(installed).iter().flat_map(|dists| stale(dists)).map(|dist| &dist.info).collect();
    installed.dists.iter().filter(|dist| !stale.contains(&dist.info)).collect()
}

/// Whether another record of the same name lies beside this one.
pub(super) fn has_twin(dist: &Dist, installed: &Installed) -> bool {
    installed.dists.iter().any(|other| other.name == dist.name && other.info != dist.info && other.site() == dist.site())
}

/// The distributions that share name and site folder with another, in the order of the listing.
fn groups(installed: &Installed) -> Vec<Vec<&Dist>> {
    let mut groups: HashMap<(&str, &Path), Vec<&Dist>> = HashMap::new();
    for dist in installed.dists.iter().filter(|dist| matches!(dist.kind, Kind::DistInfo | Kind::EggInfo)) {
        groups.entry((&dist.name, dist.site())).or_default().push(dist);
    }
    let mut groups: Vec<_> = groups.into_values().filter(|dists| dists.len() > 1).collect();
    groups.sort_by(|a, b| a[0].name.cmp(&b[0].name));
    groups
}

/// Those that certainly describe nothing any more: just one record agrees with the disk, and all that these others list is that one's or gone.
fn stale<'a>(dists: &[&'a Dist]) -> Vec<&'a Dist> {
    // What cannot be read may describe anything.
    if dists.iter().any(|dist| record::each(dist, drop).is_err()) {
        return Vec::new();
    }
    let (alive, rest): (Vec<&Dist>, Vec<&Dist>) = dists.iter().partition(|dist| agrees(dist));
    let [whole] = alive.as_slice() else { return Vec::new() };
    let owned = owned(whole);
    if rest.iter().all(|dist| describes_nothing(dist, &owned)) { rest } else { Vec::new() }
}

/// Lists its own metadata, and every file that it vouches for is as recorded.
fn agrees(dist: &Dist) -> bool {
    dist.metadata_file().is_some_and(|metadata| record::lists(dist, &metadata)) && agreement(dist) == 1000
}

/// The files of a distribution, by numbers that stand for their paths: those would fill the memory.
struct Owned {
    state: RandomState,
    paths: HashSet<u64>,
}

fn owned(dist: &Dist) -> Owned {
    let mut owned = Owned { state: RandomState::new(), paths: HashSet::new() };
    // It was read just now.
    let _read = record::each(dist, |line| {
        owned.paths.insert(owned.state.hash_one(&line.path));
    });
    owned
}

/// One without a RECORD may have any file, unless it has no name and version either.
fn describes_nothing(dist: &Dist, owned: &Owned) -> bool {
    let mut has_none = true;
    let list = record::each(dist, |line| {
        has_none &= line.path.starts_with(&dist.info) || owned.paths.contains(&owned.state.hash_one(&line.path)) || !line.path.exists();
    });
    if matches!(list, Ok(List::Whole)) { has_none } else { dist.metadata == Metadata::Missing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::sample::Sample;

    fn judged(sample: &Sample) -> Vec<(Option<Repair>, String)> {
        let mut found = Findings::default();
        judge(&sample.scan(), &mut found);
        found
            .faults
            .into_iter()
            .map(|fault| (fault.repair, fault.evidence.unwrap().as_path().file_name().unwrap().to_string_lossy().into_owned()))
            .collect()
    }

    #[test]
    fn what_an_upgrade_left_behind_is_litter() {
        let sample = Sample::new();
        sample.install("a", "1.0", "", &[("a.py", "old"), ("old.py", "")]);
        sample.install("a", "2.0", "", &[("a.py", "new")]);
        sample.remove("old.py");
        assert_eq!(judged(&sample), [(Some(Repair::Litter), "a-1.0.dist-info".to_owned())]);
        assert_eq!(sample.judge().len(), 1, "the files of the record left behind are not missed: {:#?}", sample.judge());
        assert_eq!(alive(&sample.scan()).len(), 1);
    }

    #[test]
    fn a_record_that_still_owns_a_file_is_none() {
        let sample = Sample::new();
        sample.install("a", "1.0", "", &[("a.py", "old"), ("old.py", "")]);
        sample.install("a", "2.0", "", &[("a.py", "new")]);
        assert_eq!(judged(&sample)[0].0, Some(Repair::Packages));
    }

    #[test]
    fn the_one_that_is_there_is_reinstalled_whichever_python_takes() {
        let sample = Sample::new();
        sample.install("a", "1.0", "", &[("a.py", "old"), ("b.py", "old"), ("old.py", "")]);
        sample.install("a", "2.0", "", &[("a.py", "new"), ("b.py", "new")]);
        sample.write("b.py", "edited");
        let mut found = Findings::default();
        judge(&sample.scan(), &mut found);
        assert_eq!(found.faults[0].package.as_ref().unwrap().version.as_deref(), Some("2.0"));
    }

    #[test]
    fn a_nameless_rest_beside_a_whole_record_is_litter() {
        let sample = Sample::new();
        sample.install("a", "2.0", "", &[("a.py", "new")]);
        sample.write("a-1.0.dist-info/INSTALLER", "pip");
        assert_eq!(judged(&sample), [(Some(Repair::Litter), "a-1.0.dist-info".to_owned())]);
        assert_eq!(sample.judge().len(), 1, "{:#?}", sample.judge());
    }

    #[test]
    fn a_copied_record_does_not_list_itself() {
        let sample = Sample::new();
        sample.install("a", "1.0", "", &[("a.py", "")]);
        let record = std::fs::read_to_string(sample.path("a-1.0.dist-info/RECORD")).unwrap();
        sample.write("a-0.9.dist-info/RECORD", &record);
        sample.write("a-0.9.dist-info/METADATA", "Name: a\nVersion: 0.9\n");
        assert_eq!(judged(&sample), [(Some(Repair::Litter), "a-0.9.dist-info".to_owned())]);
    }
}
