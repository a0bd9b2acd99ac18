//! `venv-rebuild`: mends or rebuilds virtual environments that were judged ill. Changes nothing without `--force`.

mod activate;
mod build;
mod cfg;
mod change;
mod clone;
mod config;
mod edit;
mod in_use;
mod journal;
mod ladder;
mod layout;
mod log;
mod means;
mod mend;
mod patch;
mod patient;
mod prune;
mod record;
mod refuse;
mod relink;
mod relocate;
mod session;
mod settle;
mod shebang;
mod stamp;
mod stream;
mod swap;
mod tree;
mod undo;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use contract::output::{self, Output};
use contract::run::{self, Exit};
use contract::state;

use crate::session::{Force, Options, Session, duration};

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
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Environments, or folders to search for them
    paths: Vec<PathBuf>,
    #[command(flatten)]
    repair: Repair,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Repair {
    /// Build anew, whatever would mend it
    #[arg(long)]
    full: bool,
    /// Reinstall files that somebody changed by hand, too
    #[arg(long)]
    restore: bool,
    /// Rebuild for this Python, as X.Y, instead of the environment's own
    #[arg(long, value_name = "X.Y", value_parser = minor)]
    python: Option<(u8, u8)>,
    /// Which program installs packages
    #[arg(long, value_enum, default_value = "auto", value_name = "NAME")]
    installer: build::Installer,
    /// Leave out packages that the project's lock or requirements file does not bring
    #[arg(long)]
    only_source: bool,
    /// Time that one installer call may take
    #[arg(long, value_name = "TIME", default_value = "20m", value_parser = duration)]
    timeout: Duration,
    /// Environments at once
    #[arg(long, value_name = "N", default_value = "1", env = "MENDLINE_JOBS", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// Carry a project along that shares the environment's root
    #[arg(long)]
    even_project: bool,
}

#[derive(Args)]
struct Common {
    /// Act; without it nothing is touched
    #[arg(long, global = true)]
    force: bool,
    /// Plan only, which is the default
    #[arg(long, global = true, conflicts_with = "force")]
    dry_run: bool,
    /// What to do about an environment that a process uses
    #[arg(long, value_enum, default_value = "skip", value_name = "WHAT", global = true)]
    in_use: InUse,
    /// Where the log of each run goes [default: logs in the state folder]
    #[arg(long, value_name = "DIR", env = "MENDLINE_LOG_DIR", global = true)]
    log_dir: Option<PathBuf>,
    #[command(flatten)]
    state: state::Options,
    #[command(flatten)]
    output: output::Options,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum InUse {
    /// Leave it alone and say who uses it.
    Skip,
    /// Swap it under its users.
    Replace,
}

#[derive(Subcommand)]
enum Command {
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
        /// The age from which the others go
        #[arg(long, value_name = "TIME", default_value = "14d", value_parser = duration)]
        older_than: Duration,
    },
}

fn main() -> ExitCode {
    run::main(env!("CARGO_PKG_NAME"), |args: &Arguments| args.common.output, work)
}

fn work(args: Arguments, out: &mut Output) -> anyhow::Result<Exit> {
    let Arguments { command, paths, repair, common } = args;
    let build =
        build::Options { python: repair.python, installer: repair.installer, timeout: repair.timeout, only_source: repair.only_source };
    let options = Options {
        full: repair.full,
        restore: repair.restore,
        even_in_use: common.in_use == InUse::Replace,
        even_project: repair.even_project,
        jobs: repair.jobs.into(),
        build,
    };
    let force = common.force.then(|| Force::open(&common.state, common.log_dir.as_deref())).transpose()?;
    let Some(command) = command else { return stream::run(&paths, &options, force, out) };
    let (session, state) = (Session::new(out, &options, force), common.state.folder()?);
    match command {
        Command::Undo { venvs, to } => undo::run(&session, &state, &venvs, to.as_deref()),
        Command::Prune { paths, keep, older_than } => prune::run(&session, &state, &paths, prune::Policy { keep, older_than }),
    }
}

fn minor(text: &str) -> Result<(u8, u8), String> {
    let parsed = text.split_once('.').and_then(|(x, y)| Some((x.parse().ok()?, y.parse().ok()?)));
    parsed.ok_or_else(|| format!("`{text}` is no minor version; write it as 3.12"))
}
