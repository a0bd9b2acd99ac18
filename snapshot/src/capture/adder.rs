//! Adding contents to the store from several threads: each once, into one pack.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use crate::store::address::Address;
use crate::store::contents::Contents;
use crate::store::pack::{self, Writer};

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

    /// Adds a content where it is to go, unless it is there, or another thread is at it.
    pub(crate) fn add(&self, address: Address, content: &[u8]) -> anyhow::Result<()> {
        let goal = match &self.goal {
            Goal::New { stored, pack } if !stored.has(&address) => pack,
            Goal::Only { wanted, pack } if wanted.contains(&address) => pack,
            _ => return Ok(()),
        };
        if !self.claimed.lock().unwrap_or_else(PoisonError::into_inner).insert(address) {
            return Ok(());
        }
        let frame = pack::frame(address, content)?;
        goal.lock().unwrap_or_else(PoisonError::into_inner).append(address, content.len() as u64, &frame)
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
