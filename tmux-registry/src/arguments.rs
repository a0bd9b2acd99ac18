//! The command line.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use contract::input::{self, Line};
use contract::output::{self, Output};
use contract::path::{Subject, absolute};
use contract::record::{About, Record};
use contract::{diagnosis, duration, state};

use crate::agent::PREFIX;
use crate::places;
use crate::probe::KIND;
use crate::tmux::{self, Servers, Socket};

const GLOBAL: &str = "Options of all commands";

const EXAMPLES: &str = "\
Examples:
  tmux-registry sessions                      what tmux runs, agent or not
  tmux-registry check --all                   every registry below this folder against it
  tmux-registry check --all --check || echo 'not well'
  tmux-registry repair --all                  what a repair would change
  tmux-registry repair --all --force          change it
  tmux-registry check --all | tmux-registry repair --force | report";

const SESSIONS: &str = "\
Examples:
  tmux-registry sessions                      those of the usual server
  tmux-registry sessions --all-sockets | jq -r 'select(.data.alive).subject'";

const CHECK: &str = "\
Examples:
  tmux-registry check --all                   every registry below this folder
  tmux-registry check --task TASK-20251017-213512-ac6be3a7
  tmux-registry check --all --workspace ~/agents --check || echo 'not well'";

const REPAIR: &str = "\
Examples:
  tmux-registry repair --all                  what would be changed
  tmux-registry repair --all --force          change it
  tmux-registry check --all | tmux-registry repair --force
  tmux-registry repair --all -S /run/user/1000/tmux.sock";

const WATCH: &str = "\
Examples:
  tmux-registry watch --all --interval 30s    check twice a minute, until Ctrl-C
  tmux-registry watch --all --force           repair every minute";

const REAP: &str = "\
Examples:
  tmux-registry reap --all                    which sessions would be ended
  tmux-registry reap --all --force --min-age 1d
  tmux-registry reap --all --workspace ~/one --workspace ~/two --force";

const COMPACT: &str = "\
Examples:
  tmux-registry compact --all                 who would be moved
  tmux-registry compact --all --force --older-than 90d";

/// Holds agent registries against what tmux and the process table really have, and mends them.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(crate) sockets: Sockets,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(crate) state: state::Options,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(crate) output: output::Options,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show every session of tmux, and which agent it would be
    #[command(after_help = SESSIONS)]
    Sessions,
    /// Compare registries with what is alive; changes nothing
    #[command(after_help = CHECK)]
    Check {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        rules: Rules,
        /// Exit with 1 where one is not well
        #[arg(long)]
        check: bool,
    },
    /// Mend registries: agents that are gone or have come to their end, and wrong numbers
    #[command(after_help = REPAIR)]
    Repair {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        rules: Rules,
        #[command(flatten)]
        act: Act,
        #[command(flatten)]
        brake: Brake,
    },
    /// Check, or with --force repair, again and again until stopped
    #[command(after_help = WATCH)]
    Watch {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        rules: Rules,
        #[command(flatten)]
        act: Act,
        #[command(flatten)]
        brake: Brake,
        /// The time between two rounds
        #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration::limit)]
        interval: Duration,
    },
    /// End sessions that no registry names: old ones, at which nobody looks, with nothing running in them
    #[command(after_help = REAP)]
    Reap {
        /// Read every registry below the workspaces, which is the only way to know whose sessions are nobody's
        #[arg(long, required = true)]
        all: bool,
        #[command(flatten)]
        workspaces: Workspaces,
        #[command(flatten)]
        rules: Rules,
        #[command(flatten)]
        act: Act,
        /// Younger ones stay
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration::parse)]
        min_age: Duration,
        /// Only sessions whose name begins so
        #[arg(long, value_name = "PREFIX", default_value = PREFIX)]
        prefix: String,
    },
    /// Move agents that have long come to their end to an archive beside their registry
    #[command(after_help = COMPACT)]
    Compact {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        rules: Rules,
        #[command(flatten)]
        act: Act,
        /// How long ago
        #[arg(long, value_name = "TIME", default_value = "30d", value_parser = duration::age)]
        older_than: Duration,
    },
}

impl Command {
    /// Whether it may change anything.
    pub(crate) fn acts(&self) -> bool {
        match self {
            Self::Sessions | Self::Check { .. } => false,
            Self::Repair { act, .. } | Self::Watch { act, .. } | Self::Reap { act, .. } | Self::Compact { act, .. } => act.force,
        }
    }
}

/// Whether anything is changed.
#[derive(Args, Clone, Copy)]
pub(crate) struct Act {
    /// Act; without it nothing is touched
    #[arg(long)]
    pub(crate) force: bool,
    /// Plan only, which is the default
    #[arg(long, conflicts_with = "force")]
    dry_run: bool,
}

/// What keeps a repair from ending most agents.
#[derive(Args, Clone, Copy)]
pub(crate) struct Brake {
    /// Go on even where more than half of the agents, and more than five, would be ended while others are alive
    #[arg(long)]
    pub(crate) all_gone: bool,
}

/// How agents are judged, and how long is waited for.
#[derive(Args, Clone, Copy)]
pub(crate) struct Rules {
    /// An agent that was started less long ago may have no session yet
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration::parse)]
    pub(crate) grace: Duration,
    /// How long to wait for others who hold a registry
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse)]
    pub(crate) wait: Duration,
}

/// Which servers of tmux are asked.
#[derive(Args)]
pub(crate) struct Sockets {
    /// Ask the server with this name, as tmux -L; may be given again
    #[arg(short = 'L', long = "socket-name", value_name = "NAME", global = true)]
    named: Vec<String>,
    /// Ask the server at this socket, as tmux -S; may be given again
    #[arg(short = 'S', long = "socket-path", value_name = "PATH", global = true)]
    at: Vec<PathBuf>,
    /// Ask every server of this user
    #[arg(long = "all-sockets", global = true)]
    every: bool,
    /// Judge although servers run that were not asked: they have no agents
    #[arg(long, env = "MENDLINE_NO_OTHER_SERVERS", global = true)]
    no_other_servers: bool,
}

impl Sockets {
    /// Those that are named; the default one where none is.
    pub(crate) fn all(&self) -> anyhow::Result<Servers> {
        let mut all: Vec<Socket> = self.named.iter().map(|name| Socket::named(name)).collect();
        all.extend(self.at.iter().map(|path| Socket::at(path)).collect::<anyhow::Result<Vec<_>>>()?);
        if self.every {
            all.extend(tmux::all_sockets()?);
        } else if all.is_empty() {
            all.extend(tmux::usual_sockets());
        }
        all.sort();
        all.dedup();
        Ok(Servers { sockets: all, no_others: self.no_other_servers })
    }
}

/// Which registries.
#[derive(Args)]
pub(crate) struct Which {
    /// Registries, by their paths; `-` reads records or paths from standard input, which is the default in a pipe
    #[arg(conflicts_with_all = ["task", "all"])]
    paths: Vec<PathBuf>,
    /// The registry of this task; may be given again
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    task: Vec<String>,
    /// Every AGENT_REGISTRY.json and GLOBAL_REGISTRY.json below the workspaces
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    workspaces: Workspaces,
}

/// Where registries are looked for.
#[derive(Args)]
pub(crate) struct Workspaces {
    /// Where workspaces are looked for; may be given again
    #[arg(long, value_name = "DIR", default_value = ".")]
    workspace: Vec<PathBuf>,
}

impl Workspaces {
    /// Every registry below them, none passed over.
    ///
    /// # Errors
    /// They cannot be found, or there is a link to a folder.
    pub(crate) fn registries(&self, out: &mut Output) -> anyhow::Result<Vec<PathBuf>> {
        let found = self.found(out, true)?;
        if let Some(link) = found.links.first() {
            anyhow::bail!(
                "{} is a link to a folder, which is not followed, and may have registries in it; name that folder with --workspace, too",
                contract::path::shown(link)
            );
        }
        Ok(found.registries)
    }

    fn found(&self, out: &mut Output, everywhere: bool) -> anyhow::Result<places::Found> {
        let found = places::below(&self.workspace, everywhere)?;
        for (folder, why) in &found.unseen {
            let subject = Subject::from(folder);
            let about = About { subject: Some(&subject), ..About::default() };
            out.error("folder.unreadable", about, None, &format!("cannot look into {subject}: {why}"))?;
        }
        Ok(found)
    }
}

impl Which {
    /// The registries, those of tasks first; records that were read are passed on.
    ///
    /// # Errors
    /// None is named, or they cannot be found.
    pub(crate) fn registries(&self, out: &mut Output) -> anyhow::Result<Vec<PathBuf>> {
        if self.are_looked_for() {
            let found = self.workspaces.found(out, false)?;
            let of_task = |task: &String| places::of_task(&found.registries, task);
            let of_tasks = self.task.iter().map(of_task).collect::<anyhow::Result<Vec<_>>>()?.concat();
            return Ok(if self.all { found.registries } else { of_tasks });
        }
        let mut paths = BTreeSet::new();
        for path in &self.paths {
            if path.as_os_str() == "-" {
                piped(out, &mut paths)?;
            } else {
                paths.insert(absolute(path)?);
            }
        }
        if self.paths.is_empty() {
            piped(out, &mut paths)?;
        }
        Ok(places::in_order(paths))
    }

    /// Whether they are looked for anew each time, and not read from standard input.
    pub(crate) fn are_looked_for(&self) -> bool {
        self.all || !self.task.is_empty()
    }
}

fn piped(out: &mut Output, paths: &mut BTreeSet<PathBuf>) -> anyhow::Result<()> {
    for line in input::stdin("name registries, --task ID or --all, or pipe records in")? {
        match line? {
            Line::Record(record, raw) => {
                out.pass(&raw)?;
                paths.extend(concerns(&record));
            }
            Line::Other { bytes, number, why } => match std::str::from_utf8(&bytes) {
                Ok(text) if text.starts_with('/') => {
                    paths.insert(PathBuf::from(text));
                }
                _ => out.error("input.not-a-record", About::default(), Some(number), &why)?,
            },
        }
    }
    Ok(())
}

/// The registries that a record is about: one that was judged, or those that a diagnosis would have repaired.
fn concerns(record: &Record) -> Vec<PathBuf> {
    if !record.is(KIND) {
        return diagnosis::paths(record, "registry-repair");
    }
    record.subject.iter().map(|subject| subject.as_path().to_owned()).filter(|path| path.is_absolute()).collect()
}
