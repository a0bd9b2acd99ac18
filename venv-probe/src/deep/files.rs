//! Every recorded file against its size and hash.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::mpsc::{self, SyncSender};
use std::{fs, io, mem, thread};

use contract::path::{Subject, shown};
use contract::record::Status;
use rayon::prelude::*;

use super::{listed, only};
use crate::bounded;
use crate::catalogue::Entry;
use crate::catalogue::packages::{
    CERTIFICATES_ADDED, CLOBBERED, FILES_MISSING, MODIFIED, PIP_PARTIAL, RECORD_DAMAGED, RECORD_MISSING, SCRIPT_REWRITTEN, SHARED_INODE,
    UNREADABLE,
};
use crate::findings::Findings;
use crate::packages::record::{self, Line, List, State};
use crate::packages::{Dist, Metadata};

/// Read at a time; larger blocks leave the processor's cache.
const BLOCK: usize = 128 << 10;

/// Lines that are checked at a time, on all cores.
const BATCH: usize = 8192;

/// Of more files than this that differ in one distribution, nobody asks who else has them.
const DIFFERENT: usize = 10_000;

/// What the disk contradicts in one distribution. Of files that are gone the number is enough: a RECORD may list a million.
struct Deviations<'a> {
    dist: &'a Dist,
    list: io::Result<List>,
    missing: Group,
    /// Whether code is among what is missing.
    code: bool,
    unreadable: Group,
    different: Vec<Line>,
    /// Further ones.
    and_more: usize,
}

#[derive(Default)]
struct Group {
    first: Option<Line>,
    count: usize,
}

impl Group {
    fn add(&mut self, line: Line) {
        self.first.get_or_insert(line);
        self.count += 1;
    }
}

/// Judges the files of all distributions.
pub(super) fn judge(dists: &[&Dist], found: &mut Findings) {
    let mut all: Vec<Deviations> = dists.iter().map(|dist| Deviations::of(dist)).collect();
    thread::scope(|scope| {
        // Lists are read while files are.
        let (batches, ready) = mpsc::sync_channel(1);
        let lists = scope.spawn(move || read(dists, &batches));
        for batch in ready {
            check(batch, &mut all);
        }
        let lists = lists.join().unwrap_or_else(|panic| resume_unwind(panic));
        for (of_one, list) in all.iter_mut().zip(lists) {
            of_one.list = list;
        }
    });
    let rivals = rivals(&all);
    for of_one in &all {
        missing(of_one, found);
        different(of_one, &rivals, found);
        unreadable(of_one, found);
    }
    unverifiable(&all, found);
}

/// Lines of lists, each with the number of its distribution.
type Batch = Vec<(usize, Line)>;

/// Reads what the distributions list; the state of each list.
fn read(dists: &[&Dist], batches: &SyncSender<Batch>) -> Vec<io::Result<List>> {
    let mut batch = Batch::new();
    let send = |batch: &mut Batch| batches.send(mem::take(batch)).expect("whoever asked waits for all of it");
    let lists = dists.iter().enumerate().map(|(at, dist)| {
        record::each(dist, |line| {
            if line.is_verifiable(&dist.info) && !is_known_to_be_missing(dist, &line) {
                batch.push((at, line));
            }
            if batch.len() == BATCH {
                send(&mut batch);
            }
        })
    });
    let lists = lists.collect();
    send(&mut batch);
    lists
}

/// In the order of the lines, whichever is looked at first.
fn check(batch: Batch, all: &mut [Deviations]) {
    let states: Vec<State> = batch.par_iter().map_init(|| vec![0; BLOCK], |buffer, (_, line)| line.check(buffer)).collect();
    for ((at, line), state) in batch.into_iter().zip(states) {
        all[at].add(line, state);
    }
}

impl<'a> Deviations<'a> {
    fn of(dist: &'a Dist) -> Self {
        let (missing, unreadable) = (Group::default(), Group::default());
        Self { dist, list: Ok(List::None), missing, code: false, unreadable, different: Vec::new(), and_more: 0 }
    }

    fn add(&mut self, line: Line, state: State) {
        match state {
            State::Same => {}
            State::Missing => {
                self.code |= is_code(&line, self.dist);
                self.missing.add(line);
            }
            State::Unreadable => self.unreadable.add(line),
            State::Different if self.different.len() < DIFFERENT => self.different.push(line),
            State::Different => self.and_more += 1,
        }
    }
}

/// That a distribution has no METADATA is said already.
fn is_known_to_be_missing(dist: &Dist, line: &Line) -> bool {
    dist.metadata == Metadata::Missing && dist.metadata_file().is_some_and(|file| file == line.path)
}

type Rivals<'a> = HashMap<&'a Path, Vec<(&'a Dist, Line)>>;

/// Who else lists the files that differ.
fn rivals<'a>(all: &'a [Deviations<'a>]) -> Rivals<'a> {
    let differing = all.iter().flat_map(|of| &of.different);
    let mut rivals: Rivals = differing.map(|line| (line.path.as_path(), Vec::new())).collect();
    for dist in all.iter().map(|of| of.dist).filter(|_| !rivals.is_empty()).collect::<Vec<_>>() {
        // That a list cannot be read is said for itself.
        let _told = record::each(dist, |line| {
            if let Some(list) = rivals.get_mut(line.path.as_path()).filter(|list| list.len() < DIFFERENT) {
                list.push((dist, line));
            }
        });
    }
    rivals
}

fn missing(of: &Deviations, found: &mut Findings) {
    // That pip is not whole is said already.
    if of.dist.name == "pip" && found.has(&PIP_PARTIAL) {
        return;
    }
    let Some(gone) = Files::of(of.dist, &of.missing) else { return };
    let finding = gone.report(&FILES_MISSING, |title, files| format!("{title}: {files} gone"), found);
    if !of.code {
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

fn different(of: &Deviations, rivals: &Rivals, found: &mut Findings) {
    let dist = of.dist;
    let mut clobbered: Vec<(&Dist, Vec<&Line>)> = Vec::new();
    let (mut modified, mut scripts, mut bundles) = (Vec::new(), Vec::new(), Vec::new());
    for line in &of.different {
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
    clobbering(dist, &clobbered, found);
    modifying(dist, &modified, of.and_more, found);
    if let Some(files) = Files::all(dist, &scripts, 0) {
        files.report(&SCRIPT_REWRITTEN, |title, files| format!("{title}: {files} not as recorded"), found);
    }
    if let Some(files) = Files::all(dist, &bundles, 0) {
        files.report(&CERTIFICATES_ADDED, |title, files| format!("{title}: {files} longer than recorded"), found);
    }
}

/// The distribution that a differing file is right for.
fn victor<'a>(line: &Line, dist: &Dist, rivals: &Rivals<'a>) -> Option<&'a Dist> {
    let mut buffer = vec![0; BLOCK];
    let claims = rivals.get(line.path.as_path())?.iter();
    claims
        .filter(|(rival, claim)| !(rival.name == dist.name && claim == line))
        .find(|(_, claim)| claim.check(&mut buffer) == State::Same)
        .map(|(rival, _)| *rival)
}

fn clobbering(dist: &Dist, clobbered: &[(&Dist, Vec<&Line>)], found: &mut Findings) {
    let by: Vec<_> = clobbered.iter().map(|(by, _)| by.title()).collect();
    let lines: Vec<_> = clobbered.iter().flat_map(|(_, lines)| lines.iter().copied()).collect();
    if let Some(files) = Files::all(dist, &lines, 0) {
        files.report(&CLOBBERED, |title, files| format!("{title}: {files} overwritten by {}", listed(&by)), found);
    }
}

fn modifying(dist: &Dist, modified: &[&Line], and_more: usize, found: &mut Findings) {
    if let Some(files) = Files::all(dist, modified, and_more) {
        files.report(&MODIFIED, |title, files| format!("{title}: {files} not as recorded"), found);
    }
    let shared: Vec<_> = modified.iter().copied().filter(|line| fs::metadata(&line.path).is_ok_and(|meta| meta.nlink() > 1)).collect();
    if let Some(files) = Files::all(dist, &shared, 0) {
        files.report(&SHARED_INODE, |title, files| format!("{title}: {files} modified under further names too, such as uv's cache"), found);
    }
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

fn unreadable(of: &Deviations, found: &mut Findings) {
    if let Some(files) = Files::of(of.dist, &of.unreadable) {
        files.report(&UNREADABLE, |title, files| format!("{title}: {files} unreadable"), found);
    }
}

fn unverifiable(all: &[Deviations], found: &mut Findings) {
    for Deviations { dist, list, .. } in all {
        let evidence = Some(Subject::from(&dist.info.join("RECORD")));
        match list {
            Err(error) => {
                let text = format!("the list of files of {} cannot be read: {error}", dist.title());
                found.add_package(&UNREADABLE, dist.package(), text, evidence);
            }
            // Whoever installs without a list leaves no empty one.
            Ok(List::Damaged) if dist.metadata != Metadata::Missing || dist.info.join("INSTALLER").is_file() => {
                let text = format!("the list of files of {} is empty or damaged", dist.title());
                found.add_package(&RECORD_DAMAGED, dist.package(), text, evidence);
            }
            Ok(_) => {}
        }
    }
    let dists: Vec<_> = all.iter().filter(|of| matches!(of.list, Ok(List::None)) && !of.dist.is_editable()).map(|of| of.dist).collect();
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
    first: &'a Line,
    count: usize,
}

impl<'a> Files<'a> {
    fn of(dist: &'a Dist, group: &'a Group) -> Option<Self> {
        group.first.as_ref().map(|first| Self { dist, first, count: group.count })
    }

    fn all(dist: &'a Dist, lines: &[&'a Line], and_more: usize) -> Option<Self> {
        lines.first().map(|first| Self { dist, first, count: lines.len() + and_more })
    }

    /// One finding for all of them, the first as evidence; `text` gets the distribution and, as a subject with its verb, the files.
    fn report<'f>(&self, entry: &Entry, text: impl Fn(&str, &str) -> String, found: &'f mut Findings) -> &'f mut contract::venv::Finding {
        let first = shown(self.first.path.strip_prefix(self.dist.site()).unwrap_or(&self.first.path));
        let files = match self.count {
            1 => format!("{first} is"),
            many => format!("{many} files, first {first}, are"),
        };
        let finding = found.add(entry, text(&self.dist.title(), &files), Some(Subject::from(&self.first.path)));
        finding.package = Some(self.dist.package());
        finding
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
    fn a_list_that_a_power_cut_emptied_is_damage() {
        for left in ["", "\0\0\0\0\0\0\0\0"] {
            let sample = sample();
            sample.write("flask-3.1.dist-info/RECORD", left);
            assert_found(&sample, &[("record-damaged", "flask 3.1 is empty or damaged")]);
        }
    }

    #[test]
    fn more_files_than_a_batch_are_counted() {
        let sample = sample();
        let lines: Vec<_> = (0..=2 * BATCH).map(|n| format!("flask/{n}.py,,")).collect();
        sample.write("flask-3.1.dist-info/RECORD", &lines.join("\n"));
        assert_found(&sample, &[("package-files-missing", &format!("flask 3.1: {} files, first flask/0.py, are gone", 2 * BATCH + 1))]);
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
