//! Bringing what is written to a long file to the disk while the rest of it is made, so that the sync at its end has little left to do.

use std::fs::File;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// So many bytes are written between two syncs: fewer would cost more than they bring forward.
const STEP: u64 = 16 << 20;

/// Syncs a file on a thread of its own, from the first [`STEP`] on.
#[derive(Default)]
pub(crate) struct Ahead {
    waiting: u64,
    syncing: Option<(SyncSender<()>, JoinHandle<io::Result<()>>)>,
}

impl Ahead {
    /// Takes note that so many bytes more were handed to the system.
    ///
    /// # Errors
    /// There is no further handle on the file.
    pub(crate) fn wrote(&mut self, bytes: u64, file: &File) -> io::Result<()> {
        self.waiting += bytes;
        if self.waiting < STEP {
            return Ok(());
        }
        let (more, _) = match &self.syncing {
            Some(syncing) => syncing,
            None => self.syncing.insert(start(file.try_clone()?)),
        };
        // One that is still at it takes this part along the next time.
        if more.try_send(()).is_ok() {
            self.waiting = 0;
        }
        Ok(())
    }

    /// Waits for the thread. The last part is for the caller to sync.
    ///
    /// # Errors
    /// Something could not be written; the system says so only once (fsync(2)), so that the caller's own sync would succeed.
    pub(crate) fn end(self) -> io::Result<()> {
        let Some((more, syncing)) = self.syncing else { return Ok(()) };
        drop(more);
        syncing.join().unwrap_or_else(|_| Err(io::Error::other("the thread that syncs it died")))
    }
}

fn start(file: File) -> (SyncSender<()>, JoinHandle<io::Result<()>>) {
    let (more, next) = sync_channel(1);
    (more, thread::spawn(move || next.iter().try_for_each(|()| file.sync_data())))
}
