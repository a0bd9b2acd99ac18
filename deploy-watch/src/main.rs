//! `deploy-watch`: follows the deployment of a commit to its end, and says why it failed.

mod arguments;
mod classify;
mod digitalocean;
mod exec;
mod fingerprint;
mod heal;
mod http;
mod outcome;
mod repository;
mod status;
mod stop;
mod trail;
mod voice;
mod watch;

use std::process::ExitCode;

use contract::output::Output;
use contract::run::{self, Exit};

use crate::arguments::{Arguments, Command};

fn main() -> ExitCode {
    run::main(env!("CARGO_PKG_NAME"), |args: &Arguments| args.output, work)
}

fn work(args: Arguments, out: &mut Output) -> anyhow::Result<Exit> {
    match args.command {
        Command::Watch(watch) => watch::run(out, &watch, &args.state),
        Command::Status(which) => status::run(out, &which),
        Command::Stop(which) => stop::run(out, &which),
        Command::Logs(which) => status::logs(out, &which),
    }
}
