//! `deploy-watch`: follows the deployment of a commit to its end, and says why it failed.

mod arguments;
mod classify;
mod digitalocean;
mod exec;
mod fingerprint;
mod github;
mod heal;
mod hook;
mod http;
mod install;
mod outcome;
mod push;
mod repository;
mod status;
mod stop;
mod sweep;
mod trail;
mod voice;
mod watch;

use std::process::ExitCode;

use contract::output::Output;
use contract::run::{self, Exit};

use crate::arguments::{Arguments, Command};

fn main() -> ExitCode {
    let code = run::main(env!("CARGO_PKG_NAME"), |args: &Arguments| args.output, work);
    if hook::is_asked() { ExitCode::SUCCESS } else { code }
}

fn work(args: Arguments, out: &mut Output) -> anyhow::Result<Exit> {
    match args.command {
        Command::Watch(watch) => watch::run(out, &watch, &args.state),
        Command::Status(which) => status::run(out, &which),
        Command::Stop(which) => stop::run(out, &which),
        Command::Logs(which) => status::logs(out, &which),
        Command::Sweep(sweep) => sweep::run(out, *sweep, &args.state),
        Command::Push(push) => push::run(out, *push, &args.state),
        Command::Install(asked) => install::install(out, &asked, &args.state),
        Command::Uninstall(act) => install::uninstall(out, &act, &args.state),
        Command::Hook(hook) => hook::run(out, &hook, &args.state),
    }
}
