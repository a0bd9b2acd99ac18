//! Start-up classes: environments that would execute the same code at the start are proven by one start.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::start::{Start, With, start};

/// What makes two starts equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Class {
    /// The interpreter at the end of the links.
    pub(crate) base: PathBuf,
    /// What of `pyvenv.cfg` the start reads.
    pub(crate) home: Option<PathBuf>,
    pub(crate) system_site: bool,
    pub(crate) minors: BTreeSet<(u8, u8)>,
    /// Digest of the start-up code.
    pub(crate) digest: [u8; 32],
    /// Set where nothing but a start of its own proves anything: then the class has one member.
    pub(crate) alone: Option<PathBuf>,
}

/// A start, and whose it was.
#[derive(Clone, Debug)]
pub(crate) struct Proven {
    pub(crate) of: PathBuf,
    pub(crate) start: Start,
}

/// The starts of one run, by class.
#[derive(Default)]
pub(crate) struct Classes(Mutex<HashMap<Class, Arc<OnceLock<Proven>>>>);

impl Classes {
    /// Starts the interpreter of `root`, or waits for and takes the answer of its class.
    ///
    /// A failure of another member proves nothing for this one, so it is started itself. A hang does: it is the same code
    /// on the same interpreter, and waiting again for each of two hundred would take an hour.
    pub(crate) fn prove(&self, class: Class, root: &Path, timeout: Duration) -> Proven {
        let cell = Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(class).or_default());
        let own = || Proven { of: root.to_owned(), start: start(&root.join("bin/python"), With::Site, timeout) };
        let proven = cell.get_or_init(own);
        if proven.of == root || matches!(proven.start, Start::Answered(_) | Start::Hung | Start::Interrupted) {
            return proven.clone();
        }
        own()
    }
}
