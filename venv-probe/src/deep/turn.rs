//! One environment's files at a time, each on all cores: lists of many thousand files side by side would fill the memory.

use std::panic;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Threads of their own: those that judge environments may all be waiting for their turn.
static HASHERS: LazyLock<Option<ThreadPool>> = LazyLock::new(|| ThreadPoolBuilder::new().build().ok());
static TURN: Mutex<()> = Mutex::new(());

/// Runs `work` when no other environment's is under way.
///
/// The caller really sleeps meanwhile. A rayon thread that waits for rayon's work takes up another environment instead,
/// and would wait for its own turn to end.
pub(super) fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let Some(hashers) = &*HASHERS else { return work() };
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|threads| threads.spawn(|| hashers.install(work)).join()).unwrap_or_else(|panic| panic::resume_unwind(panic))
}
