//! Reading the whole input, also past a Ctrl-C: the terminal sends it to every process of the pipeline, and a repair upstream
//! still has to say how its roll-back went.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use contract::input::{self, Line};
use contract::signal;

use crate::seen::Seen;

/// How long the others may take to end once a signal has come. A second signal ends it at once.
const GRACE: Duration = Duration::from_secs(3);
const TICK: Duration = Duration::from_millis(100);
const USAGE: &str = "pipe records in, as in `venv-probe DIR | report`";

/// Reads until the input ends or, after a signal, until [`GRACE`] is over.
pub(crate) fn read() -> anyhow::Result<Seen> {
    let hold = signal::hold()?;
    let lines = lines();
    let mut seen = Seen::default();
    let mut deadline = None;
    loop {
        match lines.recv_timeout(TICK) {
            Ok(line) => seen.take(line?),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if signal::interrupted() && Instant::now() > *deadline.get_or_insert_with(|| Instant::now() + GRACE) {
            break;
        }
    }
    drop(hold);
    Ok(seen)
}

/// Reads in a thread of its own, since a blocked read cannot be given a deadline.
fn lines() -> Receiver<anyhow::Result<Line>> {
    let (sender, receiver) = mpsc::sync_channel(256);
    thread::spawn(move || send(&sender));
    receiver
}

fn send(sender: &SyncSender<anyhow::Result<Line>>) {
    let lines = match input::stdin(USAGE) {
        Ok(lines) => lines,
        // Where nobody receives any more, the process is ending.
        Err(e) => return drop(sender.send(Err(e))),
    };
    for line in lines {
        if sender.send(line.map_err(|e| anyhow::Error::new(e).context("cannot read standard input"))).is_err() {
            return;
        }
    }
}
