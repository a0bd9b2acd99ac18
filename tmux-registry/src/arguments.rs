//! The command line.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use contract::input::{self, Line};
use contract::output::{self, Output};
use contract::path::absolute;
use contract::record::{About, Record};
use contract::{duration, state};
use serde::Deserialize;

use crate::agent::PREFIX;
use crate::places;
use crate::probe::KIND;
use crate::tmux::{self, Socket};

const GLOBAL: &str = "Options of all commands";

const EXAMPLES: &str = "\
Examples:
  tmux-registry sessions                      what tmux runs, agent or not
  tmux-registry check --all                   every registry below this folder against it
  tmux-registry check --all --check || echo 'not well'
  tmux-registry repair --all                  what a repair would change
  tmux-registry repair --all --force          change it
  tmux-registry check --all | tmux-registry repair --force | report";

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
    Sessions,
    /// Compare registries with what is alive; changes nothing
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
    Repair {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        rules: Rules,
        #[command(flatten)]
        act: Act,
    },
    /// Check, or with --force repair, again and again until stopped
    Watch {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        rules: Rules,
        #[command(flatten)]
        act: Act,
        /// The time between two rounds
        #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration::limit)]
        interval: Duration,
    },
    /// End sessions that no registry names: old ones, at which nobody looks, with nothing running in them
    Reap {
        #[command(flatten)]
        which: Which,
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
}

impl Sockets {
    /// Those that are named; the default one where none is.
    pub(crate) fn all(&self) -> anyhow::Result<Vec<Socket>> {
        let mut all: Vec<Socket> = self.named.iter().map(|name| Socket::named(name)).collect();
        all.extend(self.at.iter().map(|path| Socket::at(path)).collect::<anyhow::Result<Vec<_>>>()?);
        if self.every {
            all.extend(tmux::all_sockets()?);
        } else if all.is_empty() {
            all.extend(tmux::usual_sockets());
        }
        all.sort();
        all.dedup();
        Ok(all)
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
    /// Where workspaces are looked for; may be given again
    #[arg(long, value_name = "DIR", default_value = ".")]
    workspace: Vec<PathBuf>,
}

impl Which {
    /// The registries, those of tasks first; records that were read are passed on.
    ///
    /// # Errors
    /// None is named, or they cannot be found.
    pub(crate) fn registries(&self, out: &mut Output) -> anyhow::Result<Vec<PathBuf>> {
        self.found(out, false)
    }

    /// The same, where none may be passed over.
    ///
    /// # Errors
    /// As [`Which::registries`], or there is a link to a folder.
    pub(crate) fn every_registry(&self, out: &mut Output) -> anyhow::Result<Vec<PathBuf>> {
        self.found(out, true)
    }

    /// Whether they are looked for anew each time, and not read from standard input.
    pub(crate) fn are_looked_for(&self) -> bool {
        self.all || !self.task.is_empty()
    }

    fn found(&self, out: &mut Output, is_strict: bool) -> anyhow::Result<Vec<PathBuf>> {
        if self.all || !self.task.is_empty() {
            let found = places::below(&self.workspace)?;
            for (folder, why) in &found.unseen {
                let subject = contract::path::Subject::from(folder);
                let about = About { subject: Some(&subject), ..About::default() };
                out.error("folder.unreadable", about, None, &format!("cannot look into {subject}: {why}"))?;
            }
            if is_strict && let Some(link) = found.links.first() {
                anyhow::bail!(
                    "{} is a link to a folder, which is not followed, and may have registries in it; name that folder with --workspace, too",
                    contract::path::shown(link)
                );
            }
            let of_task = |task: &String| places::of_task(&found.registries, task);
            return if self.all {
                Ok(found.registries)
            } else {
                Ok(self.task.iter().map(of_task).collect::<anyhow::Result<Vec<_>>>()?.concat())
            };
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

/// The registry that a record is about: one that was judged, or one that a diagnosis would have repaired.
fn concerns(record: &Record) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Diagnosis {
        remedy: Remedy,
    }
    #[derive(Deserialize)]
    struct Remedy {
        name: String,
    }
    let is_remedy =
        || record.is("diagnosis") && record.read::<Diagnosis>().is_ok_and(|diagnosis| diagnosis.remedy.name == "registry-repair");
    let subject = record.subject.as_ref().filter(|_| record.is(KIND) || is_remedy())?;
    Some(subject.as_path().to_owned()).filter(|path| path.is_absolute())
}
