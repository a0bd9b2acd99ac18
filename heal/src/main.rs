//! `heal`: a closed table of remedies, each planned, kept before, applied, proved by the check that had failed, and undone if it did not help.

mod arguments;
mod asked;
mod bounds;
mod change;
mod history;
mod journal;
mod json;
mod leftover;
mod mend;
mod project;
mod python;
mod remedies;
mod rerun;
mod snapshot;
mod syntax;
mod undo;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use contract::input::{self, Line};
use contract::output::Output;
use contract::path::{absolute, shown};
use contract::record::About;
use contract::run::{self, Exit};
use contract::signal;

use crate::arguments::{Arguments, Command};
use crate::asked::Asked;
use crate::mend::Mender;

fn main() -> ExitCode {
    run::main(env!("CARGO_PKG_NAME"), |args: &Arguments| args.output, work)
}

fn work(args: Arguments, out: &mut Output) -> anyhow::Result<Exit> {
    match args.command {
        Some(Command::Run(run)) => rerun::run(out, &run, &args.state),
        Some(Command::Undo(undo)) => undo::run(out, &undo, &args.state),
        Some(Command::History(history)) => history::run(out, &history, &args.state),
        None => mend(out, args),
    }
}

fn mend(out: &mut Output, args: Arguments) -> anyhow::Result<Exit> {
    let mut mender = Mender::open(out, args.mend, &args.state)?;
    if args.paths.is_empty() || args.paths == [Path::new("-")] {
        stream(out, &mut mender)?;
    } else {
        args.paths.iter().try_for_each(|path| named(out, path, &mut mender))?;
    }
    Ok(mender.exit())
}

/// Passes the records on stdin on, each diagnosis with what becomes of it right behind.
fn stream(out: &mut Output, mender: &mut Mender) -> anyhow::Result<()> {
    for line in input::stdin("pipe the records of diagnose in, or name files")? {
        anyhow::ensure!(!signal::interrupted(), "interrupted");
        match line? {
            Line::Record(record, raw) => {
                out.pass(&raw)?;
                if let Some(asked) = Asked::by(out, &record, &raw)? {
                    mender.attend(out, &asked)?;
                }
            }
            Line::Other { number, why, .. } => out.error("input.not-a-record", About::default(), Some(number), &why)?,
        }
    }
    Ok(())
}

/// Where a path that a person typed is, `..` and all.
fn real(path: &Path) -> anyhow::Result<PathBuf> {
    let path = absolute(path)?;
    path.symlink_metadata().with_context(|| format!("cannot look at {}", shown(&path)))?;
    let Some((folder, name)) = path.parent().zip(path.file_name()) else { return Ok(path) };
    Ok(folder.canonicalize().with_context(|| format!("cannot look at {}", shown(folder)))?.join(name))
}

fn named(out: &mut Output, path: &Path, mender: &mut Mender) -> anyhow::Result<()> {
    let path = match real(path) {
        Ok(path) => path,
        Err(e) => return out.error("path.missing", About::default(), None, &format!("{e:#}")),
    };
    if let Some(asked) = Asked::for_file(&path) {
        return mender.attend(out, &asked);
    }
    let text = format!("{}: of files that are named, only *.json and *.py can be mended", shown(&path));
    out.error("file.unknown", About::default(), None, &text)
}
