//! Every recorded file against its size and hash.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use contract::path::{Subject, shown};
use contract::record::Status;
use rayon::prelude::*;

use super::{Recorded, listed, only};
use crate::bounded;
use crate::catalogue::Entry;
use crate::catalogue::packages::{
    CERTIFICATES_ADDED, CLOBBERED, FILES_MISSING, MODIFIED, PIP_PARTIAL, RECORD_MISSING, SCRIPT_REWRITTEN, SHARED_INODE, UNREADABLE,
};
use crate::findings::Findings;
use crate::packages::record::{Line, State};
use crate::packages::{Dist, Metadata};

/// Read at a time; larger blocks leave the processor's cache.
const BLOCK: usize = 128 << 10;

/// A line that the disk contradicts.
struct Deviation<'a> {
    dist: &'a Dist,
    line: &'a Line,
    state: State,
}

/// Judges the files of all distributions.
pub(super) fn judge(recorded: &[Recorded], found: &mut Findings) {
    let deviations = deviations(recorded);
    let rivals = rivals(recorded, &deviations);
    for of_one in deviations.chunk_by(|a, b| std::ptr::eq(a.dist, b.dist)) {
        missing(of_one, found);
        different(of_one, &rivals, found);
        unreadable(of_one, found);
    }
    unverifiable(recorded, found);
}

/// In the order of the distributions, and of the lines in each.
fn deviations<'a>(recorded: &'a [Recorded<'a>]) -> Vec<Deviation<'a>> {
    let lines: Vec<_> = recorded.iter().flat_map(|of| of.lines().iter().map(|line| (of.dist, line))).collect();
    lines
        .into_par_iter()
        .filter(|(dist, line)| !is_known_to_be_missing(dist, line))
        .map_init(|| vec![0; BLOCK], |buffer, (dist, line)| Deviation { dist, line, state: line.check(buffer) })
        .filter(|deviation| deviation.state != State::Same)
        .collect()
}

/// That a distribution has no METADATA is said already.
fn is_known_to_be_missing(dist: &Dist, line: &Line) -> bool {
    dist.metadata == Metadata::Missing && dist.metadata_file().is_some_and(|file| file == line.path)
}

/// Who else lists the files that differ.
fn rivals<'a>(recorded: &'a [Recorded<'a>], deviations: &[Deviation<'a>]) -> HashMap<&'a Path, Vec<(&'a Dist, &'a Line)>> {
    let differing = deviations.iter().filter(|deviation| deviation.state == State::Different);
    let mut rivals: HashMap<_, _> = differing.map(|deviation| (deviation.line.path.as_path(), Vec::new())).collect();
    if rivals.is_empty() {
        return rivals;
    }
    for of in recorded {
        for line in of.lines() {
            if let Some(list) = rivals.get_mut(line.path.as_path()) {
                list.push((of.dist, line));
            }
        }
    }
    rivals
}

fn missing(of_one: &[Deviation], found: &mut Findings) {
    let Some(gone) = select(of_one, State::Missing) else { return };
    // That pip is not whole is said already.
    if gone.dist.name == "pip" && found.has(&PIP_PARTIAL) {
        return;
    }
    let finding = gone.report(&FILES_MISSING, |title, files| format!("{title}: {files} gone"), found);
    if !gone.lines.iter().any(|line| is_code(line, gone.dist)) {
        finding.severity = Some(Status::Degraded);
    }
}

/// Code that an import may reach: tests and documentation are often stripped on purpose, metadata is read by tools alone.
fn is_code(line: &Line, dist: &Dist) -> bool {
    let Ok(path) = line.path.strip_prefix(dist.site()) else { return false };
    let is_test =
        path.components().any(|part| matches!(part.as_os_str().to_str(), Some("test" | "tests" | "testing" | "docs" | "examples")));
    !is_test && path.extension().is_some_and(|extension| extension == "py" || extension == "so" || extension == "pth")
}

fn different<'a>(of_one: &[Deviation<'a>], rivals: &HashMap<&Path, Vec<(&'a Dist, &'a Line)>>, found: &mut Findings) {
    let Some(different) = select(of_one, State::Different) else { return };
    let dist = different.dist;
    let mut clobbered: Vec<(&Dist, Vec<&Line>)> = Vec::new();
    let (mut modified, mut scripts, mut bundles) = (Vec::new(), Vec::new(), Vec::new());
    for line in different.lines {
        match victor(line, dist, rivals) {
            Some(victor) if victor.name == dist.name => {}
            Some(victor) => match clobbered.iter_mut().find(|(by, _)| by.name == victor.name) {
                Some((_, lines)) => lines.push(line),
                None => clobbered.push((victor, vec![line])),
            },
            None if is_script(line, dist) => scripts.push(line),
            None if is_longer_bundle(line) => bundles.push(line),
            None => modified.push(line),
        }
    }
    clobbering(dist, clobbered, found);
    modifying(&Files { dist, lines: modified }, found);
    Files { dist, lines: scripts }.report_any(&SCRIPT_REWRITTEN, |title, files| format!("{title}: {files} not as recorded"), found);
    Files { dist, lines: bundles }.report_any(&CERTIFICATES_ADDED, |title, files| format!("{title}: {files} longer than recorded"), found);
}

/// The distribution that a differing file is right for.
fn victor<'a>(line: &Line, dist: &Dist, rivals: &HashMap<&Path, Vec<(&'a Dist, &'a Line)>>) -> Option<&'a Dist> {
    let mut buffer = vec![0; BLOCK];
    let claims = rivals.get(line.path.as_path())?.iter();
    claims
        .filter(|(rival, claim)| !(rival.name == dist.name && *claim == line))
        .find(|(_, claim)| claim.check(&mut buffer) == State::Same)
        .map(|(rival, _)| *rival)
}

fn clobbering(dist: &Dist, clobbered: Vec<(&Dist, Vec<&Line>)>, found: &mut Findings) {
    if clobbered.is_empty() {
        return;
    }
    let by: Vec<_> = clobbered.iter().map(|(by, _)| by.title()).collect();
    let lines: Vec<_> = clobbered.into_iter().flat_map(|(_, lines)| lines).collect();
    Files { dist, lines }.report(&CLOBBERED, |title, files| format!("{title}: {files} overwritten by {}", listed(&by)), found);
}

fn modifying(modified: &Files, found: &mut Findings) {
    modified.report_any(&MODIFIED, |title, files| format!("{title}: {files} not as recorded"), found);
    let lines = modified.lines.iter().copied().filter(|line| fs::metadata(&line.path).is_ok_and(|meta| meta.nlink() > 1)).collect();
    let shared = Files { dist: modified.dist, lines };
    shared.report_any(
        &SHARED_INODE,
        |title, files| format!("{title}: {files} modified under further names too, such as uv's cache"),
        found,
    );
}

/// Installers write the environment's path into the first line of scripts, and so does whoever moves the environment.
fn is_script(line: &Line, dist: &Dist) -> bool {
    let mut head = [0; 512];
    let length = bounded::head(&line.path, &mut head).unwrap_or(0);
    let head = &head[..length];
    !line.path.starts_with(dist.site()) && head.starts_with(b"#!") && head.windows(6).any(|word| word == b"python")
}

/// Companies add their own certificate authorities to certifi's bundle; without them nothing there reaches the network.
fn is_longer_bundle(line: &Line) -> bool {
    line.path.file_name().is_some_and(|name| name == "cacert.pem") && line.is_extended(&mut vec![0; BLOCK])
}

fn unreadable(of_one: &[Deviation], found: &mut Findings) {
    if let Some(unreadable) = select(of_one, State::Unreadable) {
        unreadable.report(&UNREADABLE, |title, files| format!("{title}: {files} unreadable"), found);
    }
}

fn unverifiable(recorded: &[Recorded], found: &mut Findings) {
    for of in recorded {
        if let Err(error) = &of.lines {
            let text = format!("the list of files of {} cannot be read: {error}", of.dist.title());
            found.add_package(&UNREADABLE, of.dist.package(), text, Some(Subject::from(&of.dist.info.join("RECORD"))));
        }
    }
    let dists: Vec<_> = recorded.iter().filter(|of| matches!(of.lines, Ok(None)) && !of.dist.is_editable()).map(|of| of.dist).collect();
    let Some(first) = dists.first() else { return };
    let titles: Vec<_> = dists.iter().map(|dist| dist.title()).collect();
    let finding = found.add(
        &RECORD_MISSING,
        format!("no list of files, so none were checked: {}", listed(&titles)),
        Some(Subject::from(&first.info)),
    );
    finding.package = only(&dists);
}

/// Some files of one distribution.
struct Files<'a> {
    dist: &'a Dist,
    lines: Vec<&'a Line>,
}

fn select<'a>(of_one: &[Deviation<'a>], state: State) -> Option<Files<'a>> {
    let lines: Vec<_> = of_one.iter().filter(|deviation| deviation.state == state).map(|deviation| deviation.line).collect();
    (!lines.is_empty()).then(|| Files { dist: of_one[0].dist, lines })
}

impl Files<'_> {
    /// One finding for all of them, the first as evidence; `text` gets the distribution and, as a subject with its verb, the files.
    fn report<'f>(&self, entry: &Entry, text: impl Fn(&str, &str) -> String, found: &'f mut Findings) -> &'f mut contract::venv::Finding {
        let first = shown(self.lines[0].path.strip_prefix(self.dist.site()).unwrap_or(&self.lines[0].path));
        let files = match self.lines.len() {
            1 => format!("{first} is"),
            many => format!("{many} files, first {first}, are"),
        };
        let finding = found.add(entry, text(&self.dist.title(), &files), Some(Subject::from(&self.lines[0].path)));
        finding.package = Some(self.dist.package());
        finding
    }

    fn report_any(&self, entry: &Entry, text: impl Fn(&str, &str) -> String, found: &mut Findings) {
        if !self.lines.is_empty() {
            self.report(entry, text, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::sample::{Sample, assert_found};

    fn sample() -> Sample {
        let sample = Sample::new();
        let files = [
            ("flask/app.py", "app"),
            ("flask/tests/test_app.py", ""),
            ("flask/cacert.pem", "a"),
            ("../../../bin/flask", "#!/v/bin/python\n"),
        ];
        sample.install("flask", "3.1", "", &files);
        sample
    }

    #[test]
    fn a_whole_distribution_is_silent() {
        assert_found(&sample(), &[]);
    }

    #[test]
    fn missing_code_is_worse_than_missing_tests() {
        let sample = sample();
        sample.remove("flask/tests");
        assert_eq!(sample.judge()[0].severity, Some(Status::Degraded));
        sample.remove("flask/app.py");
        assert_eq!(sample.judge()[0].severity, Some(Status::Broken));
        assert_found(&sample, &[("package-files-missing", "flask 3.1: 2 files, first flask/app.py, are gone")]);
    }

    #[test]
    fn a_modified_file_with_further_names_is_noted() {
        let sample = sample();
        sample.write("flask/app.py", "bad");
        assert_found(&sample, &[("package-modified", "flask/app.py is not as recorded")]);
        fs::hard_link(sample.path("flask/app.py"), sample.path("cache")).unwrap();
        assert_found(&sample, &[("package-modified", "flask/app.py"), ("package-shared-inode", "flask/app.py")]);
    }

    #[test]
    fn lawful_changes_are_no_faults() {
        let sample = sample();
        sample.write("flask/cacert.pem", "a and the company's");
        sample.write("../../../bin/flask", "#!/elsewhere/bin/python\n");
        assert_found(&sample, &[("certificates-added", "flask/cacert.pem"), ("script-rewritten", "bin/flask")]);
        sample.write("../../../bin/flask", "");
        assert_found(&sample, &[("certificates-added", ""), ("package-modified", "bin/flask")]);
    }

    #[test]
    fn another_owner_of_the_same_path_is_named() {
        let sample = sample();
        sample.install("rival", "1", "", &[("flask/app.py", "theirs")]);
        assert_found(&sample, &[("package-clobbered", "flask 3.1: flask/app.py is overwritten by rival 1")]);
    }

    #[test]
    fn a_list_without_end_is_unknown_and_not_healthy() {
        let sample = sample();
        fs::OpenOptions::new().write(true).open(sample.path("flask-3.1.dist-info/RECORD")).unwrap().set_len(3 << 30).unwrap();
        assert_found(&sample, &[("package-unreadable", "flask 3.1 cannot be read: is longer")]);
    }

    #[test]
    fn code_without_a_hash_must_be_there() {
        let sample = sample();
        let record = fs::read_to_string(sample.path("flask-3.1.dist-info/RECORD")).unwrap();
        sample.write("flask-3.1.dist-info/RECORD", &format!("{record}gone/__init__.py,,\n"));
        assert_found(&sample, &[("package-files-missing", "gone/__init__.py is gone")]);
    }

    #[test]
    fn what_has_no_record_is_noted() {
        let sample = sample();
        sample.write("old-1.0-py3.8.egg-info", "Name: old\nVersion: 1.0\n");
        assert_found(&sample, &[("record-missing", "old 1.0")]);
    }
}
