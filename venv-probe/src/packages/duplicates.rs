//! Two records of one distribution: which one Python takes, and which one an interrupted run left behind.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use contract::path::{Subject, shown};
use contract::venv::Repair;

use super::record::{self, Line, State};
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

/// How many in a thousand of the files that it vouches for are as recorded.
fn agreement(dist: &Dist) -> usize {
    let mut buffer = vec![0; 64 << 10];
    let lines: Vec<_> = lines(dist).into_iter().flatten().filter(|line| line.is_verifiable(&dist.info)).collect();
    let same = lines.iter().filter(|line| line.check(&mut buffer) == State::Same).count();
    same * 1000 / lines.len().max(1)
}

/// Without a RECORD, or with one that cannot be read, a distribution agrees with nothing.
fn lines(dist: &Dist) -> Option<Vec<Line>> {
    record::read(dist).map(Option::unwrap_or_default).ok()
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
    let records: Option<Vec<_>> = dists.iter().map(|dist| Some((*dist, lines(dist)?))).collect();
    // What cannot be read may describe anything.
    let Some(records) = records else { return Vec::new() };
    let (alive, rest): (Vec<_>, Vec<_>) = records.iter().partition(|(dist, lines)| agrees(dist, lines));
    let [(_, owned)] = alive.as_slice() else { return Vec::new() };
    let owned: HashSet<_> = owned.iter().map(|line| &line.path).collect();
    if rest.iter().all(|(dist, lines)| describes_nothing(dist, lines, &owned)) {
        rest.into_iter().map(|(dist, _)| *dist).collect()
    } else {
        Vec::new()
    }
}

/// Lists its own metadata, and every file that it vouches for is as recorded.
fn agrees(dist: &Dist, lines: &[Line]) -> bool {
    dist.metadata_file().is_some_and(|metadata| lines.iter().any(|line| line.path == metadata)) && agreement(dist) == 1000
}

/// One without a RECORD may have any file, unless it has no name and version either.
fn describes_nothing(dist: &Dist, lines: &[Line], owned: &HashSet<&PathBuf>) -> bool {
    if lines.is_empty() {
        return dist.metadata == Metadata::Missing;
    }
    lines.iter().all(|line| line.path.starts_with(&dist.info) || owned.contains(&line.path) || !line.path.exists())
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
