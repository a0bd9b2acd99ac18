//! `snapshot`: keeps files as they are now, and brings them back exactly.

mod arguments;
mod capture;
mod create;
mod look;
mod restore;
mod store;
mod summary;
mod text_diff;

use std::process::ExitCode;

use contract::output::Output;
use contract::run::{self, Exit};

use crate::arguments::{Arguments, Command};
use crate::store::Store;

fn main() -> ExitCode {
    run::main(env!("CARGO_PKG_NAME"), |args: &Arguments| args.output, work)
}

fn work(args: Arguments, out: &mut Output) -> anyhow::Result<Exit> {
    let store = args.store.store()?;
    match args.command {
        Command::Create(create) => {
            let (request, words) = create.request()?;
            create::run(out, &store, &request, words, create.rehash)
        }
        Command::List => look::list(out, &store),
        Command::Show { id } => look::show(out, &store, &id),
        Command::Cat { id, path } => look::cat(out, &store, &id, &path),
        Command::Restore(restore) => restore::run(out, &store, &args.store.state.open()?, &restore.id, &restore.options()),
        Command::Recover => recover(out, &store, &args.store),
    }
}

fn recover(out: &mut Output, store: &Store, options: &store::Options) -> anyhow::Result<Exit> {
    let over = restore::recover(out, store, &options.state.open()?)?;
    Ok(if over { Exit::Done } else { Exit::Bad })
}
