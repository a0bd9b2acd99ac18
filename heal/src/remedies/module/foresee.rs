//! What an installation would put in the place of what is there, as the installer says before it does anything. A file that asks for hashes is
//! installed whole, with what has nothing to do with the module.

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

impl Install {
    /// What is there and would be replaced, although a distribution does not need it. Where the installer cannot say, it will when it installs.
    ///
    /// # Errors
    /// The installer cannot be asked.
    pub(super) fn replaces(&self, name: &str, here: &MarkerEnvironment) -> anyhow::Result<Vec<String>> {
        let folder = tempfile::tempdir().context("there is no room for a temporary folder")?;
        let more: &[&str] = match self.tool {
            Tool::Pip => &["--dry-run", "--quiet", "--report", REPORT],
            Tool::Uv(_) => &["--dry-run"],
        };
        let finished = self.run_in(folder.path(), more)?;
        if !finished.ended.success() {
            return Ok(Vec::new());
        }
        let all = match self.tool {
            Tool::Pip => reported(&folder.path().join(REPORT))?,
            Tool::Uv(_) => said(&String::from_utf8_lossy(&finished.stderr)),
        };
        let (needed, installed) = (needed(name, &all, here), installed(&self.venv));
        let unneeded = all.iter().filter(|item| !needed.contains(&normalised(&item.name)));
        let replaced = unneeded.filter_map(|item| Some((item, installed.get(&normalised(&item.name))?)));
        Ok(replaced
            .filter(|(item, old)| **old != item.version)
            .map(|(item, old)| format!("{} {old} by {}", item.name, item.version))
            .collect())
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

/// Versions by names, as the folders of their metadata are called.
fn installed(venv: &Path) -> BTreeMap<String, String> {
    let entries = own::packages(venv).into_iter().flat_map(|packages| fs::read_dir(packages).into_iter().flatten().flatten());
    let names = entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".dist-info").map(str::to_owned));
    names.filter_map(|name| name.split_once('-').map(|(name, version)| (normalised(name), version.to_owned()))).collect()
}
