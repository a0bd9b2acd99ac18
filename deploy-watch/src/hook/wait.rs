//! `hook wait`: outlives the hook, waits for the push to end, and has its deployment watched if it came to pass.

use std::thread;
use std::time::Duration;

use contract::output::Output;
use contract::process::Identity;
use contract::run::Exit;
use contract::state;

use super::announced::Push;
use super::{ledger, proof, start};
use crate::repository::Repository;

const TICK: Duration = Duration::from_millis(50);
/// Where nobody knows when the push is over, it may go on for as long.
const LONGEST_PUSH: Duration = Duration::from_mins(10);

pub(super) fn run(out: &mut Output, options: &state::Options) -> anyhow::Result<Exit> {
    // A terminal that is closed, or a Ctrl-C in it, is none of ours. Whoever leads a group, as in a shell by hand, has one already.
    let _ = rustix::process::setsid();
    let push = Push::taken()?;
    let patience = Duration::from_millis(push.patience_ms);
    let patience = push.pusher.as_ref().map_or(patience.max(LONGEST_PUSH), |pusher| {
        until_over(pusher);
        patience
    });
    let repository = Repository::here()?;
    let proof = proof::of(&repository, &push, patience);
    let is_new = ledger::enter(out, options, &repository.top, &push, proof);
    match proof {
        Some(proof) => start::watch(&repository, &push, proof, is_new),
        None => is_new.map(|_| Exit::Done),
    }
}

/// One that was killed, and that nobody has reaped, is over.
fn until_over(pusher: &Identity) {
    while pusher.is_alive() {
        thread::sleep(TICK);
    }
}
