//! `venv-probe`: finds virtual environments and judges each. Changes nothing.

mod base;
mod bounded;
mod catalogue;
mod classes;
mod complaints;
mod config;
mod deep;
mod findings;
mod interpreter;
mod judge;
mod layout;
mod liveness;
mod packages;
mod places;
mod program;
mod pyc;
mod reach;
mod redirect;
mod scripts;
mod site;
mod start;
mod startup;
mod survey;
mod targets;
mod walk;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use contract::duration;
use contract::output::{self, Output};
use contract::run::{self, Exit};
use contract::trust::Trust;

use crate::judge::{Court, Options, Spawn};

const EXAMPLES: &str = "\
Examples:
  venv-probe                               every environment below the current folder
  venv-probe ~/agents '/srv/*/.venv'       several roots, environments or globs
  venv-probe --deep .venv                  every file hashed, dependencies and drift checked
  venv-probe --check ~ || echo 'not well'  exit status 1 where one is degraded or broken
  venv-probe . | jq -r 'select(.data.status==\"broken\").subject'
  venv-probe . | venv-rebuild              what a repair would do
  venv-probe --explain moved               what a fault means, and what mends it";

/// Finds Python virtual environments and says what is wrong with each.
///
/// Writes one `venv.probe` record (JSON) per environment, as it is judged, then `end`. Changes nothing.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
struct Args {
    /// Folders to search, environments, or globs; `-` reads paths or records from stdin [default: .]
    paths: Vec<PathBuf>,
    /// Read globs from FILE, one a line; `#` comments, `!` takes out
    #[arg(long, value_name = "FILE")]
    paths_from: Vec<PathBuf>,
    /// Hash every installed file; check dependencies, and drift from the project's lock or requirements
    #[arg(long)]
    deep: bool,
    /// When to start an interpreter, which runs code of the environment
    #[arg(long, value_enum, default_value = "class", value_name = "WHEN")]
    spawn: Spawn,
    /// Time that an interpreter may take to answer, as 90s or 10m
    #[arg(long, value_name = "TIME", default_value = "10s", env = "MENDLINE_TIMEOUT", value_parser = duration::limit)]
    timeout: Duration,
    /// Look for environments inside environments, too
    #[arg(long)]
    nested: bool,
    /// Judge the backups that venv-rebuild keeps, too: where they lie now, so that scripts for the old place count as broken
    #[arg(long)]
    backups: bool,
    /// Exit with 1 when an environment is degraded or broken
    #[arg(long)]
    check: bool,
    /// Explain a fault code, or list them all
    #[arg(long, value_name = "CODE", num_args = 0..=1, default_missing_value = "")]
    explain: Option<String>,
    /// Threads [default: twice the processors, since starts wait]
    #[arg(long, value_name = "N", env = "MENDLINE_JOBS", value_parser = clap::value_parser!(u16).range(1..=512))]
    jobs: Option<u16>,
    #[command(flatten)]
    output: output::Options,
}

fn main() -> ExitCode {
    run::main(env!("CARGO_PKG_NAME"), |args: &Args| args.output, probe)
}

#[expect(clippy::needless_pass_by_value, reason = "the contract hands a tool its arguments")]
fn probe(args: Args, out: &mut Output) -> anyhow::Result<Exit> {
    if let Some(code) = &args.explain {
        return explain(code, out);
    }
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let threads = args.jobs.map_or(cores * 2, usize::from);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("cannot start threads")?;
    let options = Options { spawn: args.spawn, deep: args.deep, timeout: args.timeout };
    let court = Court { options, classes: classes::Classes::default(), trust: Trust::default() };
    let walk = walk::Options { nested: args.nested, backups: args.backups };
    let bad = survey::run(&args.paths, &args.paths_from, walk, &court, out)?;
    Ok(if args.check && bad { Exit::Bad } else { Exit::Done })
}

fn explain(code: &str, out: &mut Output) -> anyhow::Result<Exit> {
    // A pipe gets whole lines, for grep.
    let width = terminal_size::terminal_size_of(std::io::stdout()).map_or(usize::MAX, |(width, _)| usize::from(width.0));
    if code.is_empty() {
        out.prose(&catalogue::list(width))?;
        return Ok(Exit::Done);
    }
    let text = catalogue::explain(code, width)
        .with_context(|| format!("no fault has the code `{code}`; `venv-probe --explain` lists them all"))?;
    out.prose(&text)?;
    Ok(Exit::Done)
}
