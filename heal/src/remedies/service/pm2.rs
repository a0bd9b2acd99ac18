//! pm2: what it restarts by a name is a namespace, too, and where its daemon does not run it starts an empty one.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::path::shown;
use rustix::process::{Pid, test_kill_process};
use serde::Deserialize;

use super::manager;

/// Every process comes with its environment.
const KEEP: usize = 16 << 20;

#[derive(Deserialize)]
struct Process {
    name: String,
    #[serde(default)]
    pm2_env: Environment,
}

#[derive(Default, Deserialize)]
struct Environment {
    #[serde(default)]
    namespace: String,
}

/// Whether a name is one that pm2 takes for a file of services, wherever in it this stands.
pub(super) fn is_file(name: &str) -> bool {
    [".json", ".yml", ".yaml", ".config.js", ".config.cjs", ".config.mjs"].iter().any(|part| name.contains(part))
}

/// Makes sure that a restart by this name is one of this service.
///
/// # Errors
/// It is not, or cannot be told.
pub(super) fn check(name: &str, folder: &Path) -> anyhow::Result<()> {
    let home = home().context("where pm2 keeps what it runs is not told by PM2_HOME or HOME")?;
    let has_daemon = daemon(&home).is_some_and(|pid| test_kill_process(pid).is_ok());
    anyhow::ensure!(has_daemon, "the daemon of pm2 in {} does not run; `pm2 resurrect` brings back what `pm2 save` kept", shown(&home));
    let list = manager::ask(&["pm2", "jlist"].map(str::to_owned), folder, KEEP)?;
    let text = String::from_utf8_lossy(&list);
    let list = text.lines().find(|line| line.starts_with('[')).context("pm2 did not list what it runs")?;
    let all: Vec<Process> = serde_json::from_str(list).context("pm2 lists what it runs in a way that is not known")?;
    anyhow::ensure!(all.iter().any(|process| process.name == name), "pm2 runs nothing that is called {name}");
    let other = all.iter().find(|process| process.name != name && process.pm2_env.namespace == name);
    other.map_or(Ok(()), |other| anyhow::bail!("{name} is a namespace of pm2 as well, which {} is in", other.name))
}

fn home() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("PM2_HOME").or_else(|| set("HOME").map(|home| home.join(".pm2")))
}

fn daemon(home: &Path) -> Option<Pid> {
    Pid::from_raw(fs::read_to_string(home.join("pm2.pid")).ok()?.trim().parse().ok()?)
}
