//! `diagnose`: evidence in, root cause and remedy out. Changes nothing.

mod patterns;
mod search;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use contract::output::{self, Output};
use contract::path::shown;
use contract::run::{self, Exit};

use crate::patterns::Patterns;
use crate::search::Search;

/// Says why something failed.
#[derive(Parser)]
#[command(version, subcommand_required = true, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    output: output::Options,
}

#[derive(Subcommand)]
enum Command {
    /// Work with patterns
    #[command(subcommand)]
    Patterns(Act),
}

#[derive(Subcommand)]
enum Act {
    /// Say how many lines of logs each pattern matches as the first
    Test {
        /// A JSON object of patterns, each with `pattern`, `solution` and `description`
        #[arg(long, value_name = "FILE")]
        patterns: PathBuf,
        /// The logs
        #[arg(required = true)]
        logs: Vec<PathBuf>,
    },
}

fn main() -> ExitCode {
    run::main(env!("CARGO_PKG_NAME"), |args: &Arguments| args.output, work)
}

fn work(args: Arguments, out: &mut Output) -> anyhow::Result<Exit> {
    let Command::Patterns(Act::Test { patterns, logs }) = args.command;
    let patterns = Patterns::read(&patterns)?;
    let (search, refused) = Search::new(patterns.0.iter().map(|(_, pattern)| pattern.as_str()));
    for one in refused {
        out.hint(&format!("the pattern {} is not used: {}", patterns.0[one.pattern].0, one.reason));
    }
    for slow in search.slow() {
        out.hint(&format!("the pattern {} has no literal to look for, which makes the search slow", patterns.0[*slow].0));
    }
    let mut counts = vec![0_u64; patterns.0.len()];
    for log in &logs {
        count(&search, log, &mut counts).with_context(|| format!("cannot search {}", shown(log)))?;
    }
    let lines = patterns.0.iter().zip(&counts).map(|((name, _), count)| format!("{count:>9}  {name}\n"));
    out.prose(&format!("{}{:>9}  in all\n", lines.collect::<String>(), counts.iter().sum::<u64>()))?;
    Ok(Exit::Done)
}

fn count(search: &Search, log: &Path, counts: &mut [u64]) -> anyhow::Result<()> {
    search::feed::search_file(search, &File::open(log)?, &BTreeSet::new(), &mut |found| {
        counts[found.pattern] += 1;
        Ok(())
    })
    .map(drop)
}
