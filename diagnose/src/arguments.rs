//! The command line.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use contract::output;
use contract::path::shown;

const EXAMPLES: &str = "\
Examples:
  diagnose --log build.log                     what made a build fail
  npm ci 2>&1 | diagnose --log -               the same, while it runs
  venv-probe ~ | diagnose                      what is wrong, each cause once
  venv-probe ~ | diagnose - --log mcp.log      both together: what explains what
  diagnose --log build.log | jq -r 'select(.type==\"diagnosis\").data.class' | head -1
  diagnose --log deploy.log --check || echo 'something is wrong'";

const LIST: &str = "\
Examples:
  diagnose patterns list | grep npm
  diagnose patterns show python.module-missing
  diagnose patterns lint config/autoheal_patterns.json
  diagnose patterns test --patterns mine.json build.log";

/// Says what is wrong and why, once for each cause, and what helps. Changes nothing.
///
/// Reads records of probes on stdin, passes them on, and adds `diagnosis` records; or reads logs of any kind with --log.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: Run,
    #[command(flatten)]
    pub(crate) output: output::Options,
}

#[derive(Args)]
pub(crate) struct Run {
    /// `-` reads records on stdin, which is the default without --log
    #[arg(value_name = "-", value_parser = only_stdin)]
    pub(crate) records: Option<String>,
    /// A log to read; `-` is stdin; may be given again
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) log: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) patterns: Patterns,
    /// Exit with 1 where anything is broken
    #[arg(long)]
    pub(crate) check: bool,
}

/// Which patterns are searched for.
#[derive(Args)]
pub(crate) struct Patterns {
    /// Patterns of your own, over the built-in ones [default: config/autoheal_patterns.json, where it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) patterns: Vec<PathBuf>,
    /// Without the built-in patterns
    #[arg(long)]
    pub(crate) no_builtin: bool,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Look at the patterns, and try your own
    #[command(subcommand, after_help = LIST)]
    Patterns(Act),
}

#[derive(Subcommand)]
pub(crate) enum Act {
    /// List all patterns: level, code, class, and what helps
    List {
        #[command(flatten)]
        patterns: Patterns,
    },
    /// Show one entry whole
    Show {
        /// Its code, or its name in the list of the system that this replaces
        name: String,
        #[command(flatten)]
        patterns: Patterns,
    },
    /// Say what is wrong with lists of patterns; exits with 1 where an entry is not used
    Lint {
        /// The lists [default: config/autoheal_patterns.json]
        files: Vec<PathBuf>,
    },
    /// Say how many lines of logs each pattern is the first to match
    Test {
        #[command(flatten)]
        patterns: Patterns,
        /// The logs; `-` is stdin
        #[arg(required = true)]
        logs: Vec<PathBuf>,
    },
}

fn only_stdin(text: &str) -> Result<String, String> {
    if text == "-" { Ok(text.to_owned()) } else { Err(format!("a log is named by --log: diagnose --log {}", shown(Path::new(text)))) }
}
