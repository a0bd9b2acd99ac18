//! Reading the whole input, also past a Ctrl-C: the terminal sends it to every process of the pipeline, and a repair upstream
//! still has to say how its roll-back went.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use contract::input;
use contract::signal;

use crate::seen::Seen;

/// How long the others may take to end once a signal has come. A second signal ends it at once.
const GRACE: Duration = Duration::from_secs(3);
const TICK: Duration = Duration::from_millis(100);
const USAGE: &str = "pipe records in, as in `venv-probe DIR | report`";

/// Reads until the input ends or, after a signal, until [`GRACE`] is over.
pub(crate) fn read() -> anyhow::Result<Seen> {
    let hold = signal::hold()?;
    let seen = Arc::default();
    let ended = start(&seen);
    let mut deadline = None;
    loop {
        match ended.recv_timeout(TICK) {
            Ok(end) => break end?,
            Err(RecvTimeoutError::Disconnected) => {
                anyhow::bail!("the thread that reads standard input broke down; this is a bug, report it")
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if signal::interrupted() && Instant::now() > *deadline.get_or_insert_with(|| Instant::now() + GRACE) {
            break;
        }
    }
    drop(hold);
    Ok(std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// Reads in a thread of its own, since a blocked read cannot be given a deadline. No line waits for another, so no more than one is held.
fn start(seen: &Arc<Mutex<Seen>>) -> Receiver<anyhow::Result<()>> {
    let (sender, receiver) = mpsc::channel();
    let seen = Arc::clone(seen);
    // Where nobody receives any more, the process is ending.
    thread::spawn(move || drop(sender.send(take_all(&seen))));
    receiver
}

fn take_all(seen: &Mutex<Seen>) -> anyhow::Result<()> {
    for line in input::stdin(USAGE)? {
        let line = line.context("cannot read standard input")?;
        seen.lock().unwrap_or_else(PoisonError::into_inner).take(line);
    }
    Ok(())
}
