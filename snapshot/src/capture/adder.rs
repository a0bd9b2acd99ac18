//! Adding contents to the store from several threads: each once, into one pack.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use crate::store::address::Address;
use crate::store::contents::Contents;
use crate::store::pack::{Framer, Writer};

/// What a thread has at hand, so that nothing is allocated for each file.
pub(crate) struct Hand {
    pub(crate) framer: Framer,
    /// The file that is being read.
    pub(crate) content: Vec<u8>,
}

impl Hand {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self { framer: Framer::new()?, content: Vec::new() })
    }
}

/// Where contents go.
pub(crate) struct Adder<'a> {
    goal: Goal<'a>,
    claimed: Mutex<HashSet<Address>>,
}

enum Goal<'a> {
    /// Into a pack, but for what the store has already.
    New { stored: &'a Contents, pack: Mutex<Writer> },
    /// Into a pack, and only these.
    Only { wanted: &'a BTreeSet<Address>, pack: Mutex<Writer> },
    /// Nowhere: only the hashes are of interest.
    Nowhere,
}

impl<'a> Adder<'a> {
    pub(crate) fn new(stored: &'a Contents, pack: Writer) -> Self {
        Self { goal: Goal::New { stored, pack: Mutex::new(pack) }, claimed: Mutex::default() }
    }

    pub(crate) fn only(wanted: &'a BTreeSet<Address>, pack: Writer) -> Self {
        Self { goal: Goal::Only { wanted, pack: Mutex::new(pack) }, claimed: Mutex::default() }
    }

    pub(crate) fn nowhere() -> Self {
        Self { goal: Goal::Nowhere, claimed: Mutex::default() }
    }

    /// Adds what `hand` has read.
    pub(crate) fn add_whole(&self, address: Address, hand: &mut Hand) -> anyhow::Result<()> {
        self.add(address, &hand.content, &mut hand.framer)
    }

    /// Adds a content where it is to go, unless it is there, or another thread is at it.
    pub(crate) fn add(&self, address: Address, content: &[u8], framer: &mut Framer) -> anyhow::Result<()> {
        let pack = match &self.goal {
            Goal::New { stored, pack } if !stored.has(&address) => pack,
            Goal::Only { wanted, pack } if wanted.contains(&address) => pack,
            _ => return Ok(()),
        };
        if !self.claimed.lock().unwrap_or_else(PoisonError::into_inner).insert(address) {
            return Ok(());
        }
        let frame = framer.frame(address, content)?;
        pack.lock().unwrap_or_else(PoisonError::into_inner).append(address, content.len() as u64, &frame)
    }

    /// The pack, to be finished or thrown away.
    pub(crate) fn into_pack(self) -> Option<Writer> {
        match self.goal {
            Goal::New { pack, .. } | Goal::Only { pack, .. } => Some(pack.into_inner().unwrap_or_else(PoisonError::into_inner)),
            Goal::Nowhere => None,
        }
    }

    /// What was added or is being added.
    pub(crate) fn has_added(&self, address: &Address) -> bool {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner).contains(address)
    }
}
