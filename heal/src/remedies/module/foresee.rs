//! What an installation puts in the place of what is there: as the installer says before, and as is seen after it. A file that asks for hashes
//! is installed whole, with what has nothing to do with the module.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use contract::path::shown;
use pep508_rs::MarkerEnvironment;
use serde::Deserialize;

use super::install::{Install, Tool};
use super::names::normalised;
use super::own;
use super::requirement::{Declared, Refusal};

const REPORT: &str = "report.json";

/// "Installation Report" of pip.
#[derive(Deserialize)]
struct Report {
    install: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    version: String,
    #[serde(default)]
    requires_dist: Vec<String>,
}

/// What alone may be replaced: a distribution, and what it needs here.
#[derive(Debug)]
pub(super) struct Only {
    /// Normalised.
    pub(super) name: String,
    pub(super) here: MarkerEnvironment,
}

impl Install {
    /// Lets an installation be that leaves alone what has nothing to do with the module. Where the installer cannot say, it will when it
    /// installs.
    ///
    /// # Errors
    /// It would replace something else, or the installer cannot be asked.
    pub(super) fn spares(&self, only: &Only, folder: &Path) -> anyhow::Result<()> {
        let more: &[&str] = match self.tool {
            Tool::Pip => &["--dry-run", "--quiet", "--report", REPORT],
            Tool::Uv(_) => &["--dry-run"],
        };
        let finished = self.run_in(folder, more)?;
        if !finished.ended.success() {
            return Ok(());
        }
        let all = match self.tool {
            Tool::Pip => reported(&folder.join(REPORT))?,
            Tool::Uv(_) => said(&String::from_utf8_lossy(&finished.stderr)),
        };
        let needed = needed(&only.name, &all, &only.here);
        let unneeded = all.into_iter().map(|item| (normalised(&item.name), item.version)).filter(|(name, _)| !needed.contains(name));
        let replaced = replaced(&installed(&self.venv), &unneeded.collect()).join(", ");
        let (name, by_hand) = (&only.name, "install all that the project declares by hand");
        anyhow::ensure!(
            replaced.is_empty(),
            "installing {name} by its hash would also replace what it is not known to need: {replaced}; {by_hand}"
        );
        Ok(())
    }
}

fn reported(path: &Path) -> anyhow::Result<Vec<Metadata>> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", shown(path)))?;
    let report: Report = serde_json::from_slice(&text).context("pip reports what it would do in a way that is not known")?;
    Ok(report.install.into_iter().map(|item| item.metadata).collect())
}

/// uv tells names and versions, and not what needs what.
fn said(stderr: &str) -> Vec<Metadata> {
    let pins = stderr.lines().filter_map(|line| line.trim().strip_prefix("+ ")?.split_once("=="));
    pins.map(|(name, version)| Metadata { name: name.to_owned(), version: version.to_owned(), requires_dist: Vec::new() }).collect()
}

/// The distribution, and what it needs here, and what that needs.
fn needed(name: &str, all: &[Metadata], here: &MarkerEnvironment) -> BTreeSet<String> {
    let (mut names, mut left) = (BTreeSet::from([name.to_owned()]), vec![name.to_owned()]);
    while let Some(name) = left.pop() {
        let item = all.iter().find(|item| normalised(&item.name) == name);
        let needs =
            item.into_iter().flat_map(|item| &item.requires_dist).filter_map(|need| Declared::read(need, Path::new(""), None, here));
        let here = needs.filter(|need| !matches!(need.refusal, Some(Refusal("marker", _)))).map(|need| need.name);
        left.extend(here.filter(|name| names.insert(name.clone())).collect::<Vec<_>>());
    }
    names
}

/// `NAME OLD by NEW`, for each that has another version.
pub(super) fn replaced(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let both = after.iter().filter_map(|(name, new)| Some((name, before.get(name)?, new)));
    both.filter(|(_, old, new)| old != new).map(|(name, old, new)| format!("{name} {old} by {new}")).collect()
}

/// Versions by names, as the folders of their metadata are called.
pub(super) fn installed(venv: &Path) -> BTreeMap<String, String> {
    let entries = own::packages(venv).into_iter().flat_map(|packages| fs::read_dir(packages).into_iter().flatten().flatten());
    let names = entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".dist-info").map(str::to_owned));
    names.filter_map(|name| name.split_once('-').map(|(name, version)| (normalised(name), version.to_owned()))).collect()
}
