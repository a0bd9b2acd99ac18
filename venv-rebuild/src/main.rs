//! `venv-rebuild`: mends or rebuilds virtual environments that were judged ill. Changes nothing without `--force`.

mod activate;
mod arguments;
mod backup;
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
mod links;
mod log;
mod means;
mod mend;
mod openness;
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
mod traces;
mod tree;
mod undo;

use std::process::ExitCode;

use contract::output::Output;
use contract::run::{self, Exit};

use crate::arguments::{Arguments, Command};
use crate::session::{Force, Session};

fn main() -> ExitCode {
    run::main(env!("CARGO_PKG_NAME"), |args: &Arguments| args.common.output, work)
}

fn work(args: Arguments, out: &mut Output) -> anyhow::Result<Exit> {
    let options = args.options();
    let Arguments { command, paths, common, .. } = args;
    let force = common.force.then(|| Force::open(&common.state, common.log_dir.as_deref())).transpose()?;
    if force.is_some() {
        out.outlive_its_reader();
    }
    let session = Session::new(out, &options, force);
    let settled = settle::all(&session, matches!(command, Some(Command::Prune { .. })))?;
    let exit = match command {
        None => stream::run(&session, &paths),
        Some(Command::Undo { venvs, to }) => undo::run(&session, &common.state.folder()?, &venvs, to.as_deref()),
        Some(Command::Prune { paths, keep, older_than }) => {
            prune::run(&session, &common.state.folder()?, &paths, prune::Policy { keep, older_than })
        }
    }?;
    Ok(if settled { exit } else { Exit::Bad })
}
