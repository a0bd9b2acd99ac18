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
        if dist.metadata == Metadata::Missing {
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
