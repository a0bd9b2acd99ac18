//! The command line.

use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand};
use contract::{output, state};

const EXAMPLES: &str = "\
Examples:
  heal config.json                              what would be mended in a file
  heal config.json --force                      mend it, and prove it
  diagnose --log app.log | heal                 what can be done about what a log says
  venv-probe . | diagnose | heal --force        environments, each cause once
  diagnose --log app.log | heal --only fix-syntax --force
  heal run --force -- python app.py             run it, mend what its failure says, run it again
  heal undo --force                             take the last repair back
  heal history --stats                          which remedies help here";

const RUN_EXAMPLES: &str = "\
Examples:
  heal run -- python app.py                     run it, and say what could be done if it fails
  heal run --force --max 3 -- ./start.sh        mend and run again, at most three times in all";

const UNDO_EXAMPLES: &str = "\
Examples:
  heal undo                                     what would be taken back
  heal undo --force                             the last repair that is not taken back yet
  heal undo 1a224e5d959-75a01d92.4 --force      this one: `heal history` has the ids";

const HISTORY_EXAMPLES: &str = "\
Examples:
  heal history                                  all that was done, oldest first
  heal history --stats                          how often each remedy helped
  heal history --format json | jq -r 'select(.type == \"action\") | [.ts, .data.verb, .data.outcome, .subject] | @tsv'";

/// Mends what was diagnosed, by a closed table of remedies: each is planned, kept before, proved, and undone if it did not help.
///
/// Reads `diagnosis` records on stdin and passes all records on, or takes files. Only plans without --force.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Files to mend, by their names: *.json, *.py
    #[arg(value_parser = PathBufValueParser::new().try_map(no_command))]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) mend: Mend,
    #[command(flatten)]
    pub(crate) state: state::Options,
    #[command(flatten)]
    pub(crate) output: output::Options,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a command; where it fails, mend what it says and run it again, which is the proof
    Run(Run),
    /// Take a repair back: what it touched is as it was before
    Undo(Undo),
    /// What was done, from the audit log
    History(History),
}

/// How to mend.
#[derive(Args, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Mend {
    /// Act; without it nothing is touched
    #[arg(long, visible_alias = "yes")]
    pub(crate) force: bool,
    /// Plan only, which is the default
    #[arg(long, conflicts_with = "force")]
    dry_run: bool,
    /// Exit with 1 where anything is to be mended, or cannot be
    #[arg(long)]
    pub(crate) check: bool,
    /// Stop after so many changes
    #[arg(long, value_name = "N")]
    pub(crate) max_actions: Option<usize>,
    /// Only these remedies; may be given again
    #[arg(long, value_name = "REMEDY")]
    pub(crate) only: Vec<Name>,
    /// Not these
    #[arg(long, value_name = "REMEDY")]
    pub(crate) except: Vec<Name>,
    /// Nothing outside of this folder is touched; may be given again [default: the project around the current folder]
    #[arg(long, value_name = "DIR", env = "MENDLINE_ROOT")]
    pub(crate) root: Vec<PathBuf>,
    /// Also what git tracks and has without changes
    #[arg(long)]
    pub(crate) tracked: bool,
    /// repair-json: also what is not certain
    #[arg(long)]
    pub(crate) allow_lossy: bool,
    /// install-module: also this distribution, which the project does not declare; may be given again
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_new: Vec<String>,
    /// The interpreter that runs the sources [default: of the nearest environment, else python3]
    #[arg(long, value_name = "PYTHON")]
    pub(crate) python: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) places: Places,
}

/// Where is kept what was before, and what was done.
#[derive(Args, Clone)]
pub(crate) struct Places {
    /// Also write the records of each run that acts to a file in this folder
    #[arg(long, value_name = "DIR", env = "MENDLINE_LOGS_DIR")]
    pub(crate) logs_dir: Option<PathBuf>,
    /// Keep what was before in this store of snapshot [default: the one of `snapshot`]
    #[arg(long, value_name = "DIR", env = "MENDLINE_STORE")]
    pub(crate) backup_dir: Option<PathBuf>,
}

/// A remedy, as it is named in records and on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Name {
    /// Install a module that the project declares
    InstallModule,
    /// Give the one bit that is missing
    FixPermissions,
    /// Mend a JSON file by edits
    RepairJson,
    /// Mend a slip in a Python source
    FixSyntax,
    /// Follow a name that moved
    FixImport,
    /// Make a folder, or a file from its template
    CreatePath,
    /// Start again what should listen
    RestartService,
    /// Run venv-rebuild
    VenvRebuild,
    /// Run tmux-registry repair
    RegistryRepair,
}

#[derive(Args)]
#[command(after_help = RUN_EXAMPLES)]
pub(crate) struct Run {
    /// Run it so many times at most
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub(crate) max: u32,
    #[command(flatten)]
    pub(crate) mend: Mend,
    /// The command, behind `--`
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<std::ffi::OsString>,
}

#[derive(Args)]
#[command(after_help = UNDO_EXAMPLES)]
pub(crate) struct Undo {
    /// The id of its record [default: the last in this project that is not taken back yet]
    pub(crate) action: Option<String>,
    /// Of repairs below this folder [default: the project around the current folder]
    #[arg(long, value_name = "DIR", env = "MENDLINE_ROOT")]
    pub(crate) root: Vec<PathBuf>,
    /// Act; without it nothing is touched
    #[arg(long, visible_alias = "yes")]
    pub(crate) force: bool,
    /// Also where it was changed since, which a snapshot keeps
    #[arg(long)]
    pub(crate) changed: bool,
    #[command(flatten)]
    pub(crate) places: Places,
}

#[derive(Args)]
#[command(after_help = HISTORY_EXAMPLES)]
pub(crate) struct History {
    /// How often each remedy helped, instead of each action
    #[arg(long)]
    pub(crate) stats: bool,
}

/// Behind an option clap takes the name of a command for a path.
fn no_command(path: PathBuf) -> Result<PathBuf, String> {
    let name = ["run", "undo", "history"].into_iter().find(|name| path == Path::new(name));
    name.map_or(Ok(path), |name| Err(format!("the command comes first, as in `heal {name} …`; a file of that name is ./{name}")))
}
