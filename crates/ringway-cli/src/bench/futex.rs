//! The floor of everything that sleeps: two futex words, one wake and one wait a hand-over and side.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::shared::Shared;
use super::{Channel, Error, Message, Result, sys};

/// Each side counts its hand-overs in a word of its own; the other sleeps on that word.
#[derive(Debug)]
pub(super) struct Futex {
    shared: Arc<Shared>,
    /// 0 or 1: the word this side writes.
    side: usize,
    sent: u32,
    received: u32,
}

impl Futex {
    pub(super) fn new(shared: Arc<Shared>, side: usize) -> Self {
        Self { shared, side, sent: 0, received: 0 }
    }
}

impl<const N: usize> Channel<N> for Futex {
    fn send(&mut self, _: &mut Message<N>) -> Result<()> {
        // The top bit is for `Shared::set_gone`.
        self.sent = (self.sent + 1) & (u32::MAX >> 1);
        let bell = self.shared.bell(self.side);
        // Release: pairs with the Acquire load in `receive`.
        bell.store(self.sent, Ordering::Release);
        sys::futex_wake(bell);
        Ok(())
    }

    fn receive(&mut self, _: &mut Message<N>) -> Result<()> {
        self.received = (self.received + 1) & (u32::MAX >> 1);
        let bell = self.shared.bell(1 - self.side);
        loop {
            // Acquire: pairs with the Release store in `send` and with the one in `Shared::set_gone`.
            let seen = bell.load(Ordering::Acquire);
            if seen == self.received {
                return Ok(());
            }
            if self.shared.gone() {
                return Err(Error::Gone);
            }
            sys::futex_wait(bell, seen);
        }
    }
}
