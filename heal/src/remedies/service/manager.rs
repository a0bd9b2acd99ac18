//! Who starts a service again: its manager, or, where it has none, its own command.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use contract::child::{self, Ended};
use contract::redact;

use super::pm2;

/// Managers wait for what they stop.
const PATIENCE: Duration = Duration::from_secs(90);
/// Of what one says about a restart, in bytes.
const KEEP: usize = 64 << 10;

/// How a service is started again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// A command that goes on for as long as the service does.
    Command(Vec<String>),
    Systemd(String),
    SystemdUser(String),
    Launchd(String),
    Supervisor(String),
    Pm2(String),
}

impl Way {
    /// Refuses names that a manager would take for options, patterns, groups or files: `systemctl restart '*'` restarts everything,
    /// and `supervisorctl restart web:` the whole group.
    ///
    /// # Errors
    /// There is such a name, or no command.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        match self {
            Self::Command(argv) => anyhow::ensure!(argv.first().is_some_and(|program| !program.is_empty()), "the command is empty"),
            Self::Systemd(name) | Self::SystemdUser(name) | Self::Launchd(name) | Self::Supervisor(name) | Self::Pm2(name) => {
                let is_plain = |c: char| c.is_ascii_alphanumeric() || "@._:-\\".contains(c);
                let is_one =
                    name != "all" && !name.starts_with('-') && !name.ends_with(':') && !name.is_empty() && name.chars().all(is_plain);
                let is_file = matches!(self, Self::Pm2(_)) && pm2::is_file(name);
                anyhow::ensure!(is_one && !is_file, "{name:?} is no name of one service");
            }
        }
        Ok(())
    }

    /// The name that its manager has for it.
    pub(super) fn unit(&self) -> Option<String> {
        match self {
            Self::Command(_) => None,
            Self::Systemd(name) | Self::SystemdUser(name) | Self::Launchd(name) | Self::Supervisor(name) | Self::Pm2(name) => {
                Some(name.clone())
            }
        }
    }

    /// What is run.
    pub(super) fn argv(&self) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self {
            Self::Command(argv) => argv.clone(),
            Self::Systemd(unit) => words(&["systemctl", "restart", "--", unit]),
            Self::SystemdUser(unit) => words(&["systemctl", "--user", "restart", "--", unit]),
            Self::Launchd(label) => {
                let uid = rustix::process::geteuid().as_raw();
                words(&[
                    "launchctl",
                    "kickstart",
                    "-k",
                    &format!("{}/{label}", if uid == 0 { "system".to_owned() } else { format!("gui/{uid}") }),
                ])
            }
            Self::Supervisor(name) => words(&["supervisorctl", "restart", name]),
            Self::Pm2(name) => words(&["pm2", "restart", name]),
        }
    }

    /// The same without secrets, for records.
    pub(super) fn told(&self) -> Vec<String> {
        self.argv().iter().map(|word| redact::secrets(word)).collect()
    }

    pub(super) fn shown(&self) -> String {
        redact::quoted(&self.argv().join(" "))
    }

    /// Has the manager restart it.
    ///
    /// # Errors
    /// The manager is not there, or says no.
    pub(super) fn ask_manager(&self, folder: &Path) -> anyhow::Result<()> {
        if let Self::Pm2(name) = self {
            pm2::check(name, folder)?;
        }
        ask(&self.argv(), folder, KEEP).map(drop)
    }
}

/// Runs a manager's command, and gives what it wrote to its standard output.
///
/// # Errors
/// It is not there, or says no.
pub(super) fn ask(argv: &[String], folder: &Path, keep: usize) -> anyhow::Result<Vec<u8>> {
    let (program, words) = argv.split_first().context("there is no command")?;
    let mut command = Command::new(program);
    let finished =
        child::run(command.args(words).current_dir(folder), PATIENCE, keep).with_context(|| format!("cannot start {program}"))?;
    match finished.ended {
        Ended::Exited(status) if status.success() => Ok(finished.stdout),
        Ended::Exited(status) => {
            let said = [finished.stderr, finished.stdout].concat();
            anyhow::bail!("{program} ended with {status}: {}", redact::excerpt(&String::from_utf8_lossy(&said)))
        }
        Ended::TimedOut => anyhow::bail!("{program} did not end within {} s", PATIENCE.as_secs()),
        Ended::Interrupted => anyhow::bail!("interrupted"),
    }
}
