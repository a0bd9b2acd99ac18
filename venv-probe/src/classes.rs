//! Start-up classes: environments that would execute the same code at the start are proven by one start.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
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
    /// Where the packages are, from the root.
    pub(crate) sites: Vec<PathBuf>,
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

/// As many members of a class are waited for when they hang; the others are not known then.
const HANGS: usize = 2;

/// The starts of one run, by class.
#[derive(Default)]
pub(crate) struct Classes(Mutex<HashMap<Class, Arc<Shared>>>);

#[derive(Default)]
struct Shared {
    first: OnceLock<Proven>,
    hung: AtomicUsize,
}

impl Classes {
    /// Starts the interpreter of `root`, or waits for and takes the answer of its class.
    ///
    /// Only success is shared. A failure of another member proves nothing for this one, so it is started itself; but waiting for each of
    /// two hundred that hang would take an hour, so that after some the others are left alone and called unknown.
    pub(crate) fn prove(&self, class: Class, root: &Path, timeout: Duration) -> Proven {
        let shared = Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(class).or_default());
        let own = || Proven { of: root.to_owned(), start: start(&root.join("bin/python"), With::Site, timeout) };
        let first = shared.first.get_or_init(own);
        let proven = match first.start {
            _ if first.of == root => first.clone(),
            Start::Answered(_) | Start::Interrupted => return first.clone(),
            _ if shared.hung.load(Ordering::Relaxed) >= HANGS => return Proven { start: Start::Shunned, ..first.clone() },
            _ => own(),
        };
        if matches!(proven.start, Start::Hung) {
            shared.hung.fetch_add(1, Ordering::Relaxed);
        }
        proven
    }
}
