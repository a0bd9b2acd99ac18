//! The command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use contract::output;
use contract::path::shown;
use contract::record::Record;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::capture::roots::Request;
use crate::create::{Care, Words};
use crate::store::names;
use crate::store::seal::Recipients;
use crate::{examples, prune, restore, run, store};

const GLOBAL: &str = "Options of all commands";

/// Keeps files as they are now, and brings them back exactly.
#[derive(Parser)]
#[command(version, after_help = examples::ALL, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(crate) store: store::Options,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(crate) output: output::Options,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Keep everything at and below some paths
    #[command(after_help = examples::CREATE)]
    Create(Create),
    /// Show all snapshots
    #[command(after_help = examples::LIST)]
    List,
    /// Show one snapshot and every path in it
    #[command(after_help = examples::SHOW)]
    Show {
        /// Its id, the beginning of it, its label, or `latest`
        id: String,
        /// Only these paths and what is below them
        paths: Vec<PathBuf>,
    },
    /// Write what was in a file to standard output
    #[command(after_help = examples::CAT)]
    Cat {
        /// The snapshot
        id: String,
        /// The file
        path: PathBuf,
    },
    /// Tell what differs between a snapshot and what is there now, or another snapshot
    #[command(after_help = examples::DIFF)]
    Diff {
        /// The snapshot
        id: String,
        /// Another snapshot, or `now`
        #[arg(value_name = "ID|now")]
        other: Option<String>,
        /// Show what changes in text files
        #[arg(long)]
        text: bool,
        /// Only these paths and what is below them
        #[arg(last = true)]
        paths: Vec<PathBuf>,
    },
    /// Read everything back and name what is damaged; exit status 1 where something is
    #[command(after_help = examples::VERIFY)]
    Verify {
        /// The snapshot; all where none is named
        id: Option<String>,
        /// All snapshots, which is the default
        #[arg(long, conflicts_with = "id")]
        all: bool,
        /// Put damaged contents back from files that still have them
        #[arg(long)]
        repair: bool,
    },
    /// Bring files back as they were: all of it or nothing
    #[command(after_help = examples::RESTORE)]
    Restore(Restore),
    /// Take back what an interrupted restore did
    #[command(after_help = examples::RECOVER)]
    Recover {
        /// Give up what can be neither taken back nor ended, since a folder is gone for good, say; everything stays where it is
        #[arg(long)]
        abandon: bool,
    },
    /// Remove snapshots
    #[command(after_help = examples::DELETE)]
    Delete {
        /// Which
        #[arg(required = true)]
        ids: Vec<String>,
        /// Act; without it nothing is touched
        #[arg(long)]
        force: bool,
        /// Plan only, which is the default
        #[arg(long, conflicts_with = "force")]
        dry_run: bool,
    },
    /// Remove old snapshots by rule, and the contents that none needs any more
    ///
    /// Without a rule only automatic ones go, whose label begins with `auto-`. Pinned ones and the newest one stay.
    #[command(after_help = examples::PRUNE)]
    Prune(Prune),
    /// Never remove a snapshot
    #[command(after_help = examples::PIN)]
    Pin {
        /// Which
        id: String,
    },
    /// Let a snapshot be removed again
    Unpin {
        /// Which
        id: String,
    },
    /// Run a risky command between two snapshots, and tell what it changed
    #[command(after_help = examples::RUN)]
    Run(Run),
    /// Take over snapshots of the old rollback manager
    #[command(after_help = examples::IMPORT)]
    Import {
        /// A folder with a manifest.json, or the folder of such folders
        folder: PathBuf,
        #[command(flatten)]
        seal: Seal,
    },
    /// Write a snapshot as a tar archive to standard output
    #[command(after_help = examples::EXPORT)]
    Export {
        /// Which
        id: String,
    },
}

impl Command {
    /// Whether it may change anything.
    pub(crate) fn acts(&self) -> bool {
        match self {
            Self::List | Self::Show { .. } | Self::Cat { .. } | Self::Diff { .. } | Self::Export { .. } => false,
            Self::Restore(restore) => restore.force,
            Self::Delete { force, .. } => *force,
            Self::Prune(prune) => prune.force,
            Self::Verify { repair, .. } => *repair,
            Self::Create(_) | Self::Recover { .. } | Self::Pin { .. } | Self::Unpin { .. } | Self::Run(_) | Self::Import { .. } => true,
        }
    }
}

#[derive(Args)]
pub(crate) struct Prune {
    #[command(flatten)]
    policy: prune::Policy,
    /// The age at which automatic ones go
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = contract::duration::age)]
    automatic_after: Duration,
    /// Act; without it nothing is touched
    #[arg(long)]
    force: bool,
    /// Plan only, which is the default
    #[arg(long, conflicts_with = "force")]
    dry_run: bool,
}

impl Prune {
    pub(crate) fn request(&self) -> prune::Request {
        prune::Request { policy: self.policy.clone(), automatic: self.automatic_after, force: self.force }
    }
}

/// To whom what is kept is encrypted.
#[derive(Args)]
pub(crate) struct Seal {
    /// Encrypt what is kept to this age recipient (age1…), so that only the holder of the key can read or restore it
    #[arg(long, value_name = "RECIPIENT", env = "MENDLINE_ENCRYPT_TO", value_delimiter = ',')]
    encrypt_to: Vec<String>,
}

impl Seal {
    pub(crate) fn recipients(&self) -> anyhow::Result<Recipients> {
        Recipients::parse(&self.encrypt_to)
    }
}

#[derive(Args)]
pub(crate) struct Run {
    /// What to keep
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    seal: Seal,
    /// Run the command even if nothing is there yet at any of the paths
    #[arg(long)]
    pub(crate) absent: bool,
    /// Put everything back if the command fails
    #[arg(long)]
    rollback_on_failure: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Run {
    pub(crate) fn request(&self) -> anyhow::Result<Request> {
        let mut request = Request::default();
        self.paths.iter().try_for_each(|path| request.add_named(path))?;
        Ok(request)
    }

    pub(crate) fn options(&self) -> anyhow::Result<run::Options> {
        Ok(run::Options { command: self.command.clone(), rollback: self.rollback_on_failure, recipients: self.seal.recipients()? })
    }
}

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Restore {
    /// The snapshot: its id, the beginning of it, its label, or `latest`
    pub(crate) id: String,
    /// Only these paths and what is below them
    paths: Vec<PathBuf>,
    /// Into this folder, under their whole paths, instead of where they were
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Also remove what was not there then, in folders that were kept whole
    #[arg(long)]
    exact: bool,
    /// Act; without it nothing is touched
    #[arg(long)]
    pub(crate) force: bool,
    /// Plan only, which is the default
    #[arg(long, conflicts_with = "force")]
    dry_run: bool,
    #[command(flatten)]
    seal: Seal,
    /// As root, also bring set-user-ID and set-group-ID back
    #[arg(long)]
    keep_setuid: bool,
    /// Tell of what stays as it is, too
    #[arg(long)]
    unchanged: bool,
    /// Show what changes in text files
    #[arg(long)]
    text: bool,
    /// Afterwards run the programs in this folder, each with the records of the restore on its standard input
    #[arg(long, value_name = "DIR")]
    run_hooks: Option<PathBuf>,
}

impl Restore {
    pub(crate) fn options(&self) -> anyhow::Result<restore::Options> {
        Ok(restore::Options {
            paths: self.paths.clone(),
            to: self.to.clone(),
            exact: self.exact,
            force: self.force,
            keep_setuid: self.keep_setuid && rustix::process::geteuid().is_root(),
            unchanged: self.unchanged,
            text: self.text,
            hooks: self.run_hooks.clone(),
            recipients: self.seal.recipients()?,
        })
    }
}

#[derive(Args)]
pub(crate) struct Create {
    /// What it is for, where it is followed by paths; then the paths. `-` reads paths or records from standard input
    #[arg(value_name = "[DESCRIPTION] PATH", required_unless_present_any = ["paths_from", "from_plan"])]
    pub(crate) words: Vec<PathBuf>,
    /// What it is for, whatever that looks like; then every word is a path
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) description: Option<String>,
    /// A name to find it by: one word. Those that begin with `auto-` are pruned after a week
    #[arg(long, value_name = "LABEL", value_parser = names::label)]
    pub(crate) label: Option<String>,
    /// Also the paths of this path set
    #[arg(long, value_name = "FILE")]
    pub(crate) paths_from: Vec<PathBuf>,
    /// Also the subjects of the diagnoses on standard input that have a remedy
    #[arg(long)]
    pub(crate) from_plan: bool,
    /// Leave out what matches this glob: a name wherever it is (`node_modules`, `*.log`), or with a slash a path below this folder
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    #[command(flatten)]
    pub(crate) seal: Seal,
    /// Read every file, even if it looks as it did the last time
    #[arg(long)]
    pub(crate) rehash: bool,
    /// Keep that nothing is there, even at all of the paths: a restore with --exact then removes what has come
    #[arg(long)]
    pub(crate) absent: bool,
}

impl Create {
    pub(crate) fn care(&self) -> Care {
        if self.rehash { Care::Rehash } else { Care::Usual }
    }

    /// The description among the words, and the paths. The first word is a description where it is no path that is there and other paths
    /// follow or come otherwise.
    fn divided(&self) -> (&[PathBuf], &[PathBuf]) {
        let others = self.words.len() > 1 || !self.paths_from.is_empty() || self.from_plan;
        let described =
            others && self.description.is_none() && self.words.first().is_some_and(|word| word.as_os_str() != "-" && is_prose(word));
        self.words.split_at(usize::from(described))
    }

    /// What may have been meant for a path.
    pub(crate) fn doubt(&self) -> Option<String> {
        let word = self.divided().0.first().filter(|word| !word.as_os_str().as_encoded_bytes().contains(&b' '))?;
        Some(format!("`{}` is taken for the description, since nothing here is called so; --description says it plainly", shown(word)))
    }

    /// What is asked for.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn request(&self) -> anyhow::Result<(Request, Words)> {
        let mut request = Request::default();
        let (description, paths) = self.divided();
        for path in paths {
            if path.as_os_str() == "-" { request.add_stdin(|_| true)? } else { request.add_named(path)? }
        }
        if self.from_plan {
            request.add_stdin(has_remedy)?;
        }
        for set in &self.paths_from {
            request.add_set(set)?;
        }
        for glob in &self.exclude {
            request.exclude_named(glob)?;
        }
        let word = description.first().map(|word| word.to_string_lossy().into_owned());
        let description = self.description.clone().or(word);
        let recipients = self.seal.recipients()?;
        Ok((request, Words { description, label: self.label.clone(), recipients }))
    }
}

/// A path has a slash, or is there.
fn is_prose(word: &Path) -> bool {
    !word.as_os_str().as_encoded_bytes().contains(&b'/') && word.symlink_metadata().is_err()
}

fn has_remedy(record: &Record) -> bool {
    #[derive(Deserialize)]
    struct Diagnosis {
        #[serde(default)]
        remedy: Option<IgnoredAny>,
    }
    record.is("diagnosis") && record.read::<Diagnosis>().is_ok_and(|diagnosis| diagnosis.remedy.is_some())
}
