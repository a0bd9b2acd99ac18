//! How often each service was started lately, and what was started: on the disk, since the next run is another process.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::Utc;
use contract::path::shown;
use contract::process::Identity;
use contract::{replace, state};
use serde::{Deserialize, Serialize};

/// So many attempts within [`WINDOW`], by however many runs.
pub(super) const MOST: usize = 3;
/// Milliseconds.
const WINDOW: i64 = 10 * MINUTE;
const MINUTE: i64 = 60 * 1000;
const VERSION: u64 = 1;

/// The page of one service.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    key: String,
}

#[derive(Default, Serialize, Deserialize)]
struct File {
    v: u64,
    services: BTreeMap<String, Page>,
}

#[derive(Default, Serialize, Deserialize)]
struct Page {
    /// Milliseconds since the epoch.
    attempts: Vec<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    running: Option<Identity>,
}

impl Ledger {
    pub(super) fn at(state: &Path, key: &str) -> Self {
        Self { path: state.join("heal.services.json"), key: key.to_owned() }
    }

    /// Attempts within the window; those of a far future are of a clock that was wrong.
    pub(super) fn recent(&self) -> anyhow::Result<usize> {
        let now = Utc::now().timestamp_millis();
        Ok(self
            .read()?
            .services
            .get(&self.key)
            .map_or(0, |page| page.attempts.iter().filter(|at| (-MINUTE..WINDOW).contains(&(now - **at))).count()))
    }

    pub(super) fn is_spent(&self) -> anyhow::Result<bool> {
        self.recent().map(|recent| recent >= MOST)
    }

    /// What we started last.
    pub(super) fn running(&self) -> anyhow::Result<Option<Identity>> {
        Ok(self.read()?.services.remove(&self.key).and_then(|page| page.running))
    }

    /// Counts an attempt, before it is made.
    pub(super) fn count(&self) -> anyhow::Result<()> {
        let now = Utc::now().timestamp_millis();
        self.change(|page| {
            page.attempts.retain(|at| (-MINUTE..WINDOW).contains(&(now - at)));
            page.attempts.push(now);
        })
    }

    pub(super) fn set_running(&self, running: Option<Identity>) -> anyhow::Result<()> {
        self.change(|page| page.running = running)
    }

    fn change(&self, change: impl FnOnce(&mut Page)) -> anyhow::Result<()> {
        let mut file = self.read()?;
        change(file.services.entry(self.key.clone()).or_default());
        file.v = VERSION;
        replace::write(&self.path, &serde_json::to_vec(&file).context("cannot render the ledger")?)
    }

    fn read(&self) -> anyhow::Result<File> {
        let bytes = match state::read(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(File::default()),
            bytes => bytes.with_context(|| format!("cannot read {}", shown(&self.path)))?,
        };
        let file: File = serde_json::from_slice(&bytes).with_context(|| format!("{} is no ledger of ours", shown(&self.path)))?;
        anyhow::ensure!(file.v <= VERSION, "{} was written by a newer heal", shown(&self.path));
        Ok(file)
    }
}
