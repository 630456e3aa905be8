//! The floor of everything that spins: one cache line that two cores write in turn.
//!
//! Nothing can hand a word from one core to another faster: the line moves once a hand-over, the reader
//! asks for it all the time, and both sides do nothing else.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::shared::Shared;
use super::{Channel, Error, Message, Result};

/// A line whose word counts the hand-overs. It carries the count and no other payload.
#[derive(Debug)]
pub(super) struct Line {
    shared: Arc<Shared>,
    line: usize,
    /// Whether the wait hints to the core that it spins.
    pause: bool,
    /// Hand-overs so far; equal on both sides whenever neither is inside a call.
    turn: u64,
}

impl Line {
    pub(super) fn new(shared: Arc<Shared>, line: usize, pause: bool) -> Self {
        Self { shared, line, pause, turn: 0 }
    }

    /// Gives the turn to the other side. What was written before is seen by it.
    pub(super) fn give(&mut self) {
        self.turn += 1;
        // Release: pairs with the Acquire load in `take`.
        self.shared.turn(self.line).store(self.turn, Ordering::Release);
    }

    /// Waits until the other side gives the turn.
    #[expect(clippy::disallowed_methods, reason = "measures bare hardware, which no model replaces")]
    pub(super) fn take(&mut self) -> Result<()> {
        self.turn += 1;
        // Acquire: pairs with the Release store in `give`.
        while self.shared.turn(self.line).load(Ordering::Acquire) != self.turn {
            if self.shared.gone() {
                return Err(Error::Gone);
            }
            if self.pause {
                std::hint::spin_loop();
            }
        }
        Ok(())
    }
}

impl Channel for Line {
    fn send(&mut self, _: &mut Message) -> Result<()> {
        self.give();
        Ok(())
    }

    fn receive(&mut self, _: &mut Message) -> Result<()> {
        self.take()
    }
}
