//! SIGINT, SIGTERM and SIGHUP: at once where nothing is in hand, after the roll-back where something is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::child;

/// The number of the signal that came first; 0 while none has.
static RECEIVED: OnceLock<Arc<AtomicUsize>> = OnceLock::new();
/// How many signals have come since the last was taken.
static TIMES: AtomicUsize = AtomicUsize::new(0);
/// Changes in hand. The lock is held while dying, so that none can begin meanwhile.
static HELD: Mutex<usize> = Mutex::new(0);

fn received() -> i32 {
    let number = RECEIVED.get().map_or(0, |n| n.load(Ordering::SeqCst));
    i32::try_from(number).unwrap_or(SIGTERM)
}

/// Catches the three signals. The first one ends the process at once unless a [`Hold`] lives; the second always does.
pub(crate) fn install() -> anyhow::Result<()> {
    let number = RECEIVED.get_or_init(Arc::default);
    ctrlc::set_handler(move || {
        let times = TIMES.fetch_add(1, Ordering::SeqCst) + 1;
        let held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        if *held == 0 || times > 1 {
            die();
        }
    })
    .context("cannot catch signals")?;
    // ctrlc does not say which signal it was, and the shell must see the right one.
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let value = usize::try_from(signal).unwrap_or_default();
        signal_hook::flag::register_usize(signal, Arc::clone(number), value).context("cannot catch signals")?;
    }
    Ok(())
}

/// Whether a signal asked us to stop.
#[must_use]
pub fn interrupted() -> bool {
    received() != 0
}

/// Dies by the signal that has come, if any.
pub fn die_if_interrupted() {
    if interrupted() {
        die();
    }
}

fn die() {
    child::end_all();
    // ctrlc's handler runs first in the chain, so its thread can be here before the number is.
    for _ in 0..1000 {
        if interrupted() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let signal = if interrupted() { received() } else { SIGTERM };
    // It returns only where the signal's default is to do nothing, which none of the three has.
    let _ = signal_hook::low_level::emulate_default_handler(signal);
}

/// While this lives a change is in hand: the first signal waits for it to finish or to be rolled back.
#[derive(Debug)]
pub struct Hold(());

impl Hold {
    /// Takes the signal that has come, if any, for whoever has an answer to it: a command that is run between two steps, say. As if it
    /// had not come, what is in hand goes on.
    #[must_use]
    pub fn take_signal(&self) -> Option<i32> {
        let number = RECEIVED.get().map_or(0, |number| number.swap(0, Ordering::SeqCst));
        if number != 0 {
            TIMES.store(0, Ordering::SeqCst);
        }
        i32::try_from(number).ok().filter(|number| *number != 0)
    }

    /// Does what must be done whether or not a signal has come, such as taking a change back. One that came before counts again afterwards.
    pub fn regardless<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = self.take_signal().and_then(|number| usize::try_from(number).ok());
        let done = work();
        if let Some((before, received)) = before.zip(RECEIVED.get()) {
            received.store(before, Ordering::SeqCst);
        }
        done
    }
}

/// Begins a change.
///
/// # Errors
/// A signal already asked us to stop.
pub fn hold() -> anyhow::Result<Hold> {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    anyhow::ensure!(!interrupted(), "interrupted");
    *held += 1;
    Ok(Hold(()))
}

impl Drop for Hold {
    fn drop(&mut self) {
        *HELD.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
    }
}
