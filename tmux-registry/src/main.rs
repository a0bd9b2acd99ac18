//! `tmux-registry`: agent registries that match what is alive.

mod agent;
mod archive;
mod arguments;
mod counts;
mod document;
mod judge;
mod logs;
mod places;
mod probe;
mod process;
mod reap;
mod registry;
mod repair;
mod status;
mod tasks;
mod times;
mod tmux;

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use contract::output::{Closed, Output};
use contract::record::About;
use contract::run::Exit;
use contract::signal;

use crate::arguments::{Act, Arguments, Command, Rules, Which};
use crate::probe::Union;
use crate::repair::Shop;

fn main() -> ExitCode {
    contract::run::main(env!("CARGO_PKG_NAME"), |args: &Arguments| args.output, work)
}

fn work(args: Arguments, out: &mut Output) -> anyhow::Result<Exit> {
    let Arguments { command, sockets, state, .. } = args;
    let servers = sockets.all()?;
    let shop = |rules: Rules, act: Act, all_gone: bool| Shop { servers: &servers, state: &state, rules, act, all_gone };
    if command.acts() {
        out.outlive_its_reader();
    }
    match command {
        Command::Sessions => probe::sessions(out, &tmux::look(&servers)).map(|()| Exit::Done),
        Command::Check { which, rules, check } => {
            let registries = which.registries(out)?;
            let union = probe::run(out, &registries, &tmux::look(&servers), rules, which.all)?;
            Ok(match union {
                Union { busy: true, .. } => Exit::Busy,
                Union { not_well: true, .. } if check => Exit::Bad,
                _ => Exit::Done,
            })
        }
        Command::Repair { which, rules, act, brake } => {
            let registries = which.registries(out)?;
            repair::run(out, &registries, &shop(rules, act, brake.all_gone)).map(|tally| tally.exit())
        }
        Command::Watch { which, rules, act, brake, interval } => watch(out, &which, &shop(rules, act, brake.all_gone), interval),
        Command::Reap { workspaces, rules, act, min_age, prefix, .. } => {
            let sight = tmux::look(&servers);
            probe::blind(out, &sight)?;
            let read = |out: &mut Output| {
                let registries = workspaces.registries(out)?;
                probe::read(out, &registries, &sight, rules)
            };
            reap::run(out, &read, &sight, &shop(rules, act, false), min_age, &prefix)
        }
        Command::Compact { which, rules, act, older_than } => {
            let registries = which.registries(out)?;
            archive::compact(out, &registries, &shop(rules, act, false), older_than)
        }
    }
}

/// Round after round until a signal comes. What is wrong in one round need not be in the next.
fn watch(out: &mut Output, which: &Which, shop: &Shop<'_>, interval: Duration) -> anyhow::Result<Exit> {
    let named = if which.are_looked_for() { None } else { Some(which.registries(out)?) };
    while !signal::interrupted() {
        let next = Instant::now() + interval;
        if let Err(e) = round(out, which, named.as_deref(), shop) {
            anyhow::ensure!(!e.is::<Closed>(), e);
            out.error("round.failed", About::default(), None, &format!("{e:#}"))?;
        }
        out.turn_page()?;
        while !signal::interrupted() && Instant::now() < next {
            thread::sleep(Duration::from_millis(50));
        }
    }
    // There is nothing to say behind the last page.
    signal::die_if_interrupted();
    Ok(Exit::Done)
}

fn round(out: &mut Output, which: &Which, named: Option<&[PathBuf]>, shop: &Shop<'_>) -> anyhow::Result<()> {
    let found = if named.is_none() { which.registries(out)? } else { Vec::new() };
    let registries = named.unwrap_or(&found);
    if shop.act.force {
        return repair::run(out, registries, shop).map(drop);
    }
    probe::run(out, registries, &tmux::look(shop.servers), shop.rules, which.all).map(drop)
}
