//! Two records of one distribution: which one Python takes, and which one an interrupted run left behind.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use contract::path::{Subject, shown};
use contract::venv::Repair;

use super::record::{self, Line, State};
use super::{Dist, Installed, Kind};
use crate::catalogue::packages::METADATA_DUPLICATE;
use crate::findings::Findings;

/// Looks for names that are recorded more than once in one site folder.
pub(super) fn judge(installed: &Installed, found: &mut Findings) {
    for dists in groups(installed) {
        let stale = stale(&dists);
        if stale.is_empty() {
            report(&dists, dists[1], None, found);
        }
        for dist in stale {
            report(&dists, dist, Some(Repair::Litter), found);
        }
    }
}

/// `dists[0]` is what importlib.metadata takes: the first that the folder's listing has.
fn report(dists: &[&Dist], surplus: &Dist, repair: Option<Repair>, found: &mut Findings) {
    // Without a RECORD a distribution may have any file: it neither agrees nor describes nothing.
    let records: Vec<_> = dists.iter().map(|dist| shown(Path::new(dist.info.file_name().unwrap_or_default()))).collect();
    let winner = dists[0];
    let judgement = if repair.is_some() {
        format!("; {} is left over", shown(Path::new(surplus.info.file_name().unwrap_or_default())))
    } else {
        String::new()
    };
    let text = format!(
        "{} is recorded {} times ({}); Python takes it for {}{judgement}",
        winner.name,
        dists.len(),
        records.join(", "),
        winner.title()
    );
    let finding = found.add(&METADATA_DUPLICATE, text, Some(Subject::from(&surplus.info)));
    finding.package = Some(if repair.is_some() { surplus.package() } else { winner.package() });
    finding.repair = repair.or(METADATA_DUPLICATE.repair);
}

/// Those that count: all but the records that describe nothing any more.
pub(crate) fn alive(installed: &Installed) -> Vec<&Dist> {
    let stale: HashSet<_> = groups(installed).iter().flat_map(|dists| stale(dists)).map(|dist| &dist.info).collect();
    installed.dists.iter().filter(|dist| !stale.contains(&dist.info)).collect()
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
    // Without a RECORD a distribution may have any file: it neither agrees nor describes nothing.
    let records: Vec<_> = dists.iter().map(|dist| (*dist, record::read(dist).unwrap_or_default())).collect();
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
    let mut buffer = vec![0; 64 << 10];
    dist.metadata_file().is_some_and(|metadata| lines.iter().any(|line| line.path == metadata))
        && lines.iter().all(|line| !line.is_verifiable(&dist.info) || line.check(&mut buffer) == State::Same)
}

fn describes_nothing(dist: &Dist, lines: &[Line], owned: &HashSet<&PathBuf>) -> bool {
    !lines.is_empty() && lines.iter().all(|line| line.path.starts_with(&dist.info) || owned.contains(&line.path) || !line.path.exists())
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
    fn a_copied_record_does_not_list_itself() {
        let sample = Sample::new();
        sample.install("a", "1.0", "", &[("a.py", "")]);
        let record = std::fs::read_to_string(sample.path("a-1.0.dist-info/RECORD")).unwrap();
        sample.write("a-0.9.dist-info/RECORD", &record);
        sample.write("a-0.9.dist-info/METADATA", "Name: a\nVersion: 0.9\n");
        assert_eq!(judged(&sample), [(Some(Repair::Litter), "a-0.9.dist-info".to_owned())]);
    }
}
