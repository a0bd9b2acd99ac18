//! What a new tree is filled with before it takes the place of the old one.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use contract::child::{self, Ended, Finished, Stream};
use contract::missing::{self, Missing};
use contract::path::{Subject, shown};
use contract::venv::Repair;
use serde_json::{Map, Value, json};

use crate::build::{self, Built, PackageSet, Pin, Spec};
use crate::ladder::{Case, Rungs};
use crate::links::TakenOut;
use crate::means::{Means, damaged, litter};
use crate::patient::Patient;
use crate::session::Force;
use crate::{clone, layout, openness, refuse, swap};

/// The last that is kept of what an installer says, in bytes; the log has it all.
const KEEP: usize = 4096;

const LEFT_BEHIND: &str = "left in the backup alone what cannot be carried over";

/// What a tree came to hold.
#[derive(Debug, Default)]
pub(crate) struct Filled {
    /// Names that it should hold and does not, each with the reason.
    pub(crate) missing: Vec<(String, String)>,
    /// Where files of somebody's own have no place in it, each with the reason.
    pub(crate) stuck: Vec<(PathBuf, &'static str)>,
    /// What a person should know of it.
    pub(crate) said: Vec<String>,
    /// For the record.
    pub(crate) detail: Map<String, Value>,
}

/// Makes the tree at `aside`: from nothing for a rebuild, else a clone of the old one with the rungs done to it.
///
/// # Errors
/// It cannot be made, or lacks what the rungs are for; the caller removes it.
pub(crate) fn fill(means: &Means<'_>, force: &Force, case: &Case, rungs: &Rungs, fresh: bool, aside: &Path) -> anyhow::Result<Filled> {
    let patient = means.patient;
    let spec = Spec { fresh, ..means.spec()?.clone() };
    let mut run = |command: &mut Command| logged(command, &spec, force);
    if rungs.contains(&Repair::Rebuild) {
        return anew(means, patient, &spec, aside, &mut run);
    }
    let special = clone::make(&patient.root, aside)?;
    for path in litter(&case.targets) {
        discard(&patient.root, aside, path.as_path())?;
    }
    let taken_out = TakenOut::of(aside)?;
    if rungs.contains(&Repair::Pip) {
        build::seed_pip(aside, &patient.root, &spec, &mut run)?;
    }
    let packages = damaged(&case.targets);
    if rungs.contains(&Repair::Packages) {
        let failed = build::reinstall(aside, &patient.root, &packages, &spec, &mut run)?;
        if let Some((pin, why)) = failed.first() {
            anyhow::bail!("{pin} could not be installed again: {why}");
        }
        let still = missing::read(aside)?.into_iter().filter(|missing| packages.iter().all(|package| package.name != missing.name));
        missing::write(aside, still.collect())?;
    }
    taken_out.put_back(&patient.root, aside)?;
    let special: Vec<PathBuf> = special.iter().filter_map(|path| path.strip_prefix(&patient.root).ok()).map(Path::to_owned).collect();
    let mut filled = Filled { stuck: special.iter().map(|path| (path.clone(), build::SPECIAL)).collect(), ..Filled::default() };
    filled.say("left_behind", LEFT_BEHIND, special.len() as u64, &special);
    Ok(filled)
}

impl Filled {
    /// Says what became of so many files, and which the first of them are.
    fn say(&mut self, key: &str, text: &str, count: u64, paths: &[PathBuf]) {
        if count > 0 {
            self.detail.insert(key.to_owned(), json!({"count": count, "paths": first(paths)}));
            self.said.push(format!("{text} ({})", named(paths)));
        }
    }
}

fn anew(means: &Means<'_>, patient: &Patient, spec: &Spec, aside: &Path, run: &mut build::Run<'_>) -> anyhow::Result<Filled> {
    let (set, belongings) = (means.packages()?, means.belongings()?);
    let built = build::create(spec, means.interpreter()?, set, aside, &patient.root, run)?;
    let mut filled = Filled::default();
    lacking(&mut filled, &built, set, aside)?;
    openness::adopt(&patient.root, aside)?;
    let carried = build::hand_over(belongings, set, &patient.root, aside)?;
    let collisions = carried.collisions.iter().map(|path| (path.clone(), "a package has another file of that name"));
    filled.stuck = belongings.stuck.iter().cloned().chain(collisions).collect();
    let (restored, dropped, litter) = (carried.restored, carried.dropped, &belongings.litter);
    filled.say("carried", &format!("carried over {}", unexplained(carried.files)), carried.files, &carried.paths);
    filled.say("restored", "made as packaged again what somebody had changed", restored.len() as u64, &restored);
    filled.say("dropped", "left in the backup alone what its package does not bring any more", dropped.len() as u64, &dropped);
    filled.say("litter", "left out what nothing can use", litter.len() as u64, litter);
    let stuck: Vec<PathBuf> = filled.stuck.iter().map(|(path, _)| path.clone()).collect();
    filled.say("left_behind", LEFT_BEHIND, stuck.len() as u64, &stuck);
    filled.detail.insert("installer".to_owned(), json!(built.installer));
    filled.detail.insert("packages".to_owned(), json!(set.wanted().saturating_sub(built.failed.len())));
    if !built.changed.is_empty() {
        let changed = built.changed.iter().map(|change| json!({"name": change.name, "was": change.was, "now": change.now}));
        filled.detail.insert("changed".to_owned(), changed.collect());
    }
    if !built.carried.is_empty() {
        filled.detail.insert("copied".to_owned(), json!(built.carried));
    }
    Ok(filled)
}

/// What the new environment lacks is said in the record, and in itself: the next night must not take it for whole.
fn lacking(filled: &mut Filled, built: &Built, set: &PackageSet, aside: &Path) -> anyhow::Result<()> {
    // Of what came from an address, an index may have a namesake; and where nothing tells its name, the address stands in its place.
    let version = |pin: &Pin| pin.version.clone().filter(|_| pin.is_of_an_index());
    let name = |pin: &Pin| build::redact::secrets(&pin.name);
    let failed = built.failed.iter().map(|(pin, why)| Missing { name: name(pin), version: version(pin), why: why.clone() });
    let lost = set.unrecoverable.iter().map(|(name, why)| Missing { name: name.clone(), version: None, why: why.clone() });
    missing::write(aside, failed.chain(lost).collect())?;
    filled.missing =
        built.failed.iter().map(|(pin, why)| (pin.to_string(), why.clone())).chain(set.unrecoverable.iter().cloned()).collect();
    Ok(())
}

/// Takes one thing out of the clone. A path that does not lie in the packages of the environment is not touched.
fn discard(root: &Path, aside: &Path, path: &Path) -> anyhow::Result<()> {
    let inside = layout::normal(path).strip_prefix(root).map(PathBuf::from).ok();
    let inside = inside.filter(|inside| layout::site_packages(root).iter().any(|site| inside.starts_with(site) && inside != site));
    let inside =
        inside.with_context(|| format!("{} does not lie in the packages of {}; nothing is removed there", shown(path), shown(root)))?;
    let target = aside.join(inside);
    let real = target.parent().and_then(|folder| folder.canonicalize().ok()).zip(aside.canonicalize().ok());
    anyhow::ensure!(
        real.is_none_or(|(folder, aside)| folder.starts_with(aside)),
        "{} lies behind a link; nothing is removed there",
        shown(path)
    );
    if target.is_symlink() || target.is_file() {
        return std::fs::remove_file(&target).with_context(|| format!("cannot remove {}", shown(&target)));
    }
    swap::remove(&target)
}

/// Runs an installer with all that it says in the log.
fn logged(command: &mut Command, spec: &Spec, force: &Force) -> anyhow::Result<Finished> {
    force.log.info(&format!("running {}", build::redact::secrets(&called(command))));
    let (mut stdout, mut stderr, mut line) = (Vec::new(), Vec::new(), Vec::new());
    let ended = child::follow(command, spec.timeout, &mut |stream, bytes| {
        let kept = if stream == Stream::Stdout { &mut stdout } else { &mut stderr };
        kept.extend_from_slice(bytes);
        kept.drain(..kept.len().saturating_sub(KEEP));
        line.extend_from_slice(bytes);
        while let Some(end) = line.iter().position(|&b| b == b'\n') {
            force.log.info(&build::redact::secrets(String::from_utf8_lossy(&line[..end]).trim_end()));
            line.drain(..=end);
        }
    })
    .with_context(|| format!("cannot start {}", called(command)))?;
    anyhow::ensure!(ended != Ended::Interrupted, "interrupted while an installer ran");
    force.log.info(&format!("it ended: {ended:?}"));
    Ok(Finished { ended, stdout, stderr })
}

fn called(command: &Command) -> String {
    std::iter::once(command.get_program()).chain(command.get_args()).map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// So many files of a person's own.
pub(crate) fn unexplained(files: u64) -> String {
    format!("{files} {} that no package explains", if files == 1 { "file" } else { "files" })
}

/// Where they are, for a sentence.
pub(crate) fn named(paths: &[PathBuf]) -> String {
    refuse::list(paths.iter().map(|path| shown(path)))
}

/// The same for a record.
fn first(paths: &[PathBuf]) -> Vec<Subject> {
    paths.iter().take(10).map(Subject::from).collect()
}
