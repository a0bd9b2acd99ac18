//! Faults of the records themselves, which their names and heads show.

use std::path::Path;

use contract::path::{Subject, shown};
use contract::venv::Repair;

use super::{Dist, Installed, Kind, Metadata, duplicates, editable};
use crate::catalogue::packages::{LINKS_DANGLING, LITTER, METADATA_MISSING, METADATA_UNREADABLE};
use crate::findings::Findings;

/// Judges what `scan` found.
pub(crate) fn judge(installed: &Installed, found: &mut Findings) {
    dangling(installed, found);
    for dist in &installed.dists {
        if dist.metadata == Metadata::Missing && !duplicates::has_twin(dist, installed) {
            missing(dist, found);
        }
    }
    unreadable(installed, found);
    duplicates::judge(installed, found);
    litter(installed, found);
    editable::judge(installed, found);
}

fn missing(dist: &Dist, found: &mut Findings) {
    let is_empty = dist.kind == Kind::DistInfo && dist.info.read_dir().is_ok_and(|mut files| files.next().is_none());
    let text = format!("{} is recorded without its metadata: pip can neither list nor remove it", dist.title());
    let finding = found.add(&METADATA_MISSING, text, Some(Subject::from(&dist.info)));
    finding.package = Some(dist.package());
    if is_empty {
        finding.repair = Some(Repair::Litter);
    }
}

/// Where all is gone reinstalling each is the long way: one finding for all of it.
fn dangling(installed: &Installed, found: &mut Findings) {
    let (dangling, others): (Vec<_>, Vec<_>) = installed.dists.iter().partition(|dist| dist.metadata == Metadata::Dangling);
    let Some(first) = dangling.first() else { return };
    let file = first.info.join("METADATA");
    if others.is_empty() {
        let text = format!("all {} distributions are links to nothing, as is {}", dangling.len(), shown(&file));
        found.add(&LINKS_DANGLING, text, Some(Subject::from(&file))).repair = Some(Repair::Rebuild);
        return;
    }
    for dist in dangling {
        let text = format!("the files of {} are links to nothing", dist.title());
        found.add_package(&LINKS_DANGLING, dist.package(), text, Some(Subject::from(&dist.info.join("METADATA"))));
    }
}

fn unreadable(installed: &Installed, found: &mut Findings) {
    for folder in &installed.unreadable {
        found.add(&METADATA_UNREADABLE, format!("{} cannot be read", shown(folder)), Some(Subject::from(folder)));
    }
    for dist in installed.dists.iter().filter(|dist| dist.metadata == Metadata::Unreadable) {
        let text = format!("the metadata of {} cannot be read", dist.title());
        found.add_package(&METADATA_UNREADABLE, dist.package(), text, Some(Subject::from(&dist.info)));
    }
}

fn litter(installed: &Installed, found: &mut Findings) {
    for folder in &installed.litter {
        let name = shown(Path::new(folder.file_name().unwrap_or_default()));
        found.add(&LITTER, format!("{name} is left over from an interrupted pip run"), Some(Subject::from(folder)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::sample::{Sample, assert_found};

    #[test]
    fn a_record_without_metadata_is_said_once() {
        let sample = Sample::new();
        sample.install("click", "8.1", "", &[("click.py", "")]);
        sample.remove("click-8.1.dist-info/METADATA");
        std::fs::create_dir(sample.path("gone-1.0.dist-info")).unwrap();
        let found = sample.judge();
        let repairs: Vec<_> = found.iter().filter(|finding| finding.code == "metadata-missing").map(|finding| finding.repair).collect();
        assert!(repairs.contains(&Some(Repair::Packages)) && repairs.contains(&Some(Repair::Litter)) && repairs.len() == 2, "{found:#?}");
        assert!(found.iter().all(|finding| matches!(finding.code.as_str(), "metadata-missing" | "record-missing")), "{found:#?}");
    }

    #[test]
    fn litter_is_a_folder_with_a_tilde_that_pip_can_have_made() {
        let sample = Sample::new();
        sample.write("~dna/core.py", "");
        sample.write("~dna-3.0.dist-info/METADATA", "");
        sample.write("~oogle/cloud/storage.py", "");
        sample.write("~note.txt", "");
        sample.write("~notes/todo", "mine");
        assert_found(&sample, &[("litter", "~dna is"), ("litter", "~dna-3.0"), ("litter", "~oogle")]);
    }

    #[test]
    fn links_into_a_cache_that_is_gone_are_said_once() {
        let sample = Sample::new();
        for name in ["a", "b"] {
            sample.install(name, "1", "", &[("x.py", "")]);
            sample.remove(&format!("{name}-1.dist-info/METADATA"));
            sample.link(&format!("{name}-1.dist-info/METADATA"), Path::new("/cache/that/is/gone"));
        }
        sample.remove("x.py");
        assert_found(&sample, &[("package-links-dangling", "all 2 distributions")]);
        sample.install("whole", "1", "", &[]);
        assert_found(&sample, &[("package-links-dangling", "a 1"), ("package-links-dangling", "b 1")]);
    }
}
