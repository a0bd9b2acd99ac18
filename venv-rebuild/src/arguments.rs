//! The command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand, ValueEnum};
use contract::{duration, output, state};

use crate::build::{self, Installer};
use crate::session::Options;

const EXAMPLES: &str = "\
Examples:
  venv-probe ~/agents | venv-rebuild           what would be done about each, and why not less
  venv-probe ~/agents | venv-rebuild --force   do it, and see it pass the same probe
  venv-rebuild --force .venv                   probe and mend one
  venv-rebuild --force --full --python 3.13 .venv
  venv-rebuild undo --force .venv              as it was before; once more: as it was after
  venv-rebuild prune --older-than 30d ~        which backups could go";

/// Mends virtual environments, by the least that does it, or builds them anew.
///
/// Reads venv.probe (or diagnosis) records on stdin, or probes the environments at or below PATH. Passes records on and writes an
/// `action` record behind each that it answers. Plans only, unless --force is given.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Environments, or folders to search for them
    #[arg(value_parser = PathBufValueParser::new().try_map(no_command))]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) repair: Repair,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Repair {
    /// Build anew, whatever would mend it
    #[arg(long)]
    pub(crate) full: bool,
    /// Reinstall files that somebody changed by hand, too
    #[arg(long)]
    pub(crate) restore: bool,
    /// Rebuild for this Python, as X.Y, instead of the environment's own
    #[arg(long, value_name = "X.Y", value_parser = minor)]
    pub(crate) python: Option<(u8, u8)>,
    /// Which program installs packages
    #[arg(long, value_enum, default_value = "auto", value_name = "NAME")]
    pub(crate) installer: Installer,
    /// Leave out packages that the project's lock or requirements file does not bring
    #[arg(long)]
    pub(crate) only_source: bool,
    /// Time that one installer call may take, as 90s, 10m or 2h
    #[arg(long, value_name = "TIME", default_value = "20m", value_parser = duration::limit)]
    pub(crate) timeout: Duration,
    /// Environments at once
    #[arg(long, value_name = "N", default_value = "1", env = "MENDLINE_REBUILD_JOBS", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) jobs: u16,
    /// Carry a project along that shares the environment's root
    #[arg(long)]
    pub(crate) even_project: bool,
    /// Build anew even where files of your own cannot be carried over: they stay in the backup alone
    #[arg(long)]
    pub(crate) leave_behind: bool,
}

#[derive(Args)]
pub(crate) struct Common {
    /// Act; without it nothing is touched
    #[arg(long, global = true)]
    pub(crate) force: bool,
    /// Plan only, which is the default
    #[arg(long, global = true, conflicts_with = "force")]
    pub(crate) dry_run: bool,
    /// What to do about an environment that a process uses
    #[arg(long, value_enum, default_value = "skip", value_name = "WHAT", global = true)]
    pub(crate) in_use: InUse,
    /// Where the log of each run goes [default: logs in the state folder]
    #[arg(long, value_name = "DIR", env = "MENDLINE_LOG_DIR", global = true)]
    pub(crate) log_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) state: state::Options,
    #[command(flatten)]
    pub(crate) output: output::Options,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InUse {
    /// Leave it alone and say who uses it.
    Skip,
    /// Swap it under its users.
    Replace,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Take back the newest change of each environment, or make it again
    Undo {
        /// Environments
        #[arg(required = true)]
        venvs: Vec<PathBuf>,
        /// The backup's name, or the change's id, to go to instead of the newest
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
    },
    /// Remove old backups
    Prune {
        /// Environments, or folders to search for backups
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// How many of each environment stay, whatever their age
        #[arg(long, value_name = "N", default_value = "1")]
        keep: usize,
        /// The age from which the others go, as 12h or 14d
        #[arg(long, value_name = "TIME", default_value = "14d", value_parser = duration::age)]
        older_than: Duration,
    },
}

impl Arguments {
    /// What the flags ask for.
    pub(crate) fn options(&self) -> Options {
        let Repair { full, restore, python, installer, only_source, timeout, jobs, even_project, leave_behind } = self.repair;
        Options {
            full,
            restore,
            even_in_use: self.common.in_use == InUse::Replace,
            even_project,
            leave_behind,
            jobs: jobs.into(),
            build: build::Options { python, installer, timeout, only_source },
        }
    }
}

/// Behind an option clap takes the name of a command for a path, and what was to be undone would be mended.
fn no_command(path: PathBuf) -> Result<PathBuf, String> {
    let name = ["undo", "prune"].into_iter().find(|name| path == Path::new(name));
    name.map_or(Ok(path), |name| Err(format!("the command comes first, as in `venv-rebuild {name} …`; a folder of that name is ./{name}")))
}

fn minor(text: &str) -> Result<(u8, u8), String> {
    let parsed = text.split_once('.').and_then(|(x, y)| Some((x.parse().ok()?, y.parse().ok()?)));
    parsed.ok_or_else(|| format!("`{text}` is no minor version; write it as 3.12"))
}
