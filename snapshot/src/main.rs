//! `snapshot`: keeps files as they are now, and brings them back exactly.

mod ahead;
mod arguments;
mod capture;
mod create;
mod diff;
mod examples;
mod export;
mod import;
mod look;
mod parts;
mod prune;
mod repair;
mod restore;
mod run;
mod store;
mod summary;
mod text_diff;
mod verify;

use std::process::ExitCode;

use contract::output::Output;
use contract::run::Exit;

use crate::arguments::{Arguments, Command};
use crate::restore::Asked;
use crate::store::Store;

fn main() -> ExitCode {
    contract::run::main(env!("CARGO_PKG_NAME"), |args: &Arguments| args.output, work)
}

fn work(args: Arguments, out: &mut Output) -> anyhow::Result<Exit> {
    let Arguments { command, store: options, .. } = args;
    let store = options.store()?;
    let acts = command.acts();
    if acts {
        store.is_private()?;
        out.outlive_its_reader();
    }
    let asked = match command {
        Command::Recover { abandon: true } => Asked::Abandon,
        Command::Recover { .. } => Asked::Recover,
        _ => Asked::Nothing,
    };
    let recovered = if acts { recovered(out, &store, &options, asked)? } else { look::interrupted(out, &store)? };
    let exit = match command {
        Command::Create(create) => {
            create.doubt().iter().for_each(|doubt| out.hint(doubt));
            let (request, words) = create.request()?;
            request.doubt(out, create.absent)?;
            create::run(out, &store, &request, words, create.care())
        }
        Command::List => look::list(out, &store),
        Command::Show { id, paths } => look::show(out, &store, &id, &paths),
        Command::Cat { id, path } => look::cat(out, &store, &id, &path),
        Command::Diff { id, other, text, paths } => {
            let other = other.as_deref().filter(|other| *other != "now");
            diff::run(out, &store, &id, other, &diff::Options { text, paths })
        }
        Command::Verify { id, repair, .. } => verify::run(out, &store, id.as_deref(), repair),
        Command::Restore(restore) => restore::run(out, &store, &options.state, &restore.id, &restore.options()?),
        Command::Recover { .. } => look::recovered(out, &store, recovered.is_some()),
        Command::Delete { ids, force, .. } => prune::delete(out, &options, &store, &ids, force),
        Command::Prune(prune) => prune::prune(out, &options, &store, &prune.request()),
        Command::Pin { id } => prune::pin(out, &store, &id, true),
        Command::Unpin { id } => prune::pin(out, &store, &id, false),
        Command::Run(run) => {
            let mut request = run.request()?;
            request.doubt(out, run.absent)?;
            run::run(out, &store, &options.state, &mut request, &run.options()?)
        }
        Command::Import { folder, seal } => import::run(out, &store, &folder, &seal.recipients()?),
        Command::Export { id } => export::run(out, &store, &id),
    }?;
    Ok(if recovered == Some(false) { Exit::Bad } else { exit })
}

/// The first thing of a run that may change something: a restore that a crash interrupted is ended. Returns whether all of it is; nothing
/// where there was none.
fn recovered(out: &mut Output, store: &Store, options: &store::Options, asked: Asked) -> anyhow::Result<Option<bool>> {
    if restore::is_interrupted(store)? { restore::recover(out, store, &options.state, asked).map(Some) } else { Ok(None) }
}
