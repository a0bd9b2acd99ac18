//! What a new tree is filled with before it takes the place of the old one.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use contract::child::{self, Ended, Finished, Stream};
use contract::path::shown;
use contract::venv::Repair;
use serde_json::{Map, Value, json};

use crate::build::{self, Spec};
use crate::ladder::{Case, Rungs};
use crate::means::{Means, damaged, litter};
use crate::patient::Patient;
use crate::refuse::unexplained;
use crate::session::Force;
use crate::{clone, layout, swap};

/// The last that is kept of what an installer says, in bytes; the log has it all.
const KEEP: usize = 4096;

/// What a tree came to hold.
#[derive(Debug, Default)]
pub(crate) struct Filled {
    /// Names that it should hold and does not, each with the reason.
    pub(crate) missing: Vec<(String, String)>,
    /// For the record.
    pub(crate) detail: Map<String, Value>,
}

/// Makes the tree at `aside`: from nothing for a rebuild, else a clone of the old one with the rungs done to it.
///
/// # Errors
/// It cannot be made, or lacks what the rungs are for; the caller removes it.
pub(crate) fn fill(means: &Means<'_>, force: &Force, case: &Case, rungs: &Rungs, fresh: bool, aside: &Path) -> anyhow::Result<Filled> {
    let (options, patient) = (means.options, means.patient);
    let spec = Spec { fresh, ..means.spec()?.clone() };
    let mut run = |command: &mut Command| logged(command, &spec, force);
    if rungs.contains(&Repair::Rebuild) {
        let filled = anew(means, patient, &spec, aside, &mut run)?;
        if options.even_project {
            carry_over(&patient.root, aside)?;
        }
        return Ok(filled);
    }
    clone::make(&patient.root, aside)?;
    for path in litter(&case.targets) {
        discard(&patient.root, aside, path.as_path())?;
    }
    if rungs.contains(&Repair::Pip) {
        build::seed_pip(aside, &patient.root, &spec, &mut run)?;
    }
    let packages = damaged(&case.targets);
    if rungs.contains(&Repair::Packages) {
        let failed = build::reinstall(aside, &patient.root, &packages, &spec, &mut run)?;
        if let Some((pin, why)) = failed.first() {
            anyhow::bail!("{pin} could not be installed again: {why}");
        }
    }
    Ok(Filled::default())
}

fn anew(means: &Means<'_>, patient: &Patient, spec: &Spec, aside: &Path, run: &mut build::Run<'_>) -> anyhow::Result<Filled> {
    let set = means.packages()?;
    let built = build::create(spec, means.interpreter()?, set, aside, &patient.root, run)?;
    let mut missing: Vec<(String, String)> = built.failed.iter().map(|(pin, why)| (pin.to_string(), why.clone())).collect();
    missing.extend(set.unrecoverable.iter().cloned());
    let mut detail = Map::new();
    detail.insert("installer".to_owned(), json!(built.installer));
    if !built.changed.is_empty() {
        let changed = built.changed.iter().map(|change| json!({"name": change.name, "was": change.was, "now": change.now}));
        detail.insert("changed".to_owned(), changed.collect());
    }
    if !built.carried.is_empty() {
        detail.insert("carried".to_owned(), json!(built.carried));
    }
    Ok(Filled { missing, detail })
}

/// What stands in the old root and is no part of an environment stands in the new one as well.
fn carry_over(root: &Path, aside: &Path) -> anyhow::Result<()> {
    unexplained(root)
        .iter()
        .filter(|name| aside.join(name).symlink_metadata().is_err())
        .try_for_each(|name| clone::make(&root.join(name), &aside.join(name)))
}

/// Takes one thing out of the clone. A path that does not lie in the packages of the environment is not touched.
fn discard(root: &Path, aside: &Path, path: &Path) -> anyhow::Result<()> {
    let inside = layout::normal(path).strip_prefix(root).map(PathBuf::from).ok();
    let inside = inside.filter(|inside| layout::site_packages(root).iter().any(|site| inside.starts_with(site) && inside != site));
    let inside =
        inside.with_context(|| format!("{} does not lie in the packages of {}; nothing is removed there", shown(path), shown(root)))?;
    let target = aside.join(inside);
    if target.is_symlink() || target.is_file() {
        return std::fs::remove_file(&target).with_context(|| format!("cannot remove {}", shown(&target)));
    }
    swap::remove(&target)
}

/// Runs an installer with all that it says in the log.
fn logged(command: &mut Command, spec: &Spec, force: &Force) -> anyhow::Result<Finished> {
    force.log.info(&format!("running {}", build::redact::urls(&called(command))));
    let (mut stdout, mut stderr, mut line) = (Vec::new(), Vec::new(), Vec::new());
    let ended = child::follow(command, spec.timeout, &mut |stream, bytes| {
        let kept = if stream == Stream::Stdout { &mut stdout } else { &mut stderr };
        kept.extend_from_slice(bytes);
        kept.drain(..kept.len().saturating_sub(KEEP));
        line.extend_from_slice(bytes);
        while let Some(end) = line.iter().position(|&b| b == b'\n') {
            force.log.info(&build::redact::urls(String::from_utf8_lossy(&line[..end]).trim_end()));
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
