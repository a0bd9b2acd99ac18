//! Adding contents to the store from several threads: each once, into one pack.

use std::collections::HashSet;
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

/// The pack in the making, and what need not go into it.
pub(crate) struct Adder<'a> {
    stored: &'a Contents,
    claimed: Mutex<HashSet<Address>>,
    pack: Mutex<Writer>,
}

impl<'a> Adder<'a> {
    pub(crate) fn new(stored: &'a Contents, pack: Writer) -> Self {
        Self { stored, claimed: Mutex::default(), pack: Mutex::new(pack) }
    }

    /// Adds what `hand` has read.
    pub(crate) fn add_whole(&self, address: Address, hand: &mut Hand) -> anyhow::Result<()> {
        self.add(address, &hand.content, &mut hand.framer)
    }

    /// Adds a content unless the store has it, or another thread is at it.
    pub(crate) fn add(&self, address: Address, content: &[u8], framer: &mut Framer) -> anyhow::Result<()> {
        if self.stored.has(&address) || !self.claimed.lock().unwrap_or_else(PoisonError::into_inner).insert(address) {
            return Ok(());
        }
        let frame = framer.frame(address, content)?;
        self.pack.lock().unwrap_or_else(PoisonError::into_inner).append(address, content.len() as u64, &frame)
    }

    /// The pack, to be finished or thrown away.
    pub(crate) fn into_pack(self) -> Writer {
        self.pack.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
