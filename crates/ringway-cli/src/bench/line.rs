//! The floor of everything that spins: one cache line that two cores write in turn.
//!
//! Nothing can hand a word from one core to another faster: the line moves once a hand-over, the reader
//! asks for it all the time, and both sides do nothing else.
//!
//! With a line a writer a hand-over is two moves: the writer has to take the line away from its reader, who then
//! has to fetch it again. A line that both write comes to its next writer as he reads it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::shared::Shared;
use super::{Channel, Error, Message, Result};

/// Lines whose words count the hand-overs. They carry the count and no other payload.
#[derive(Debug)]
pub(super) struct Line {
    shared: Arc<Shared>,
    /// The line this side writes.
    mine: usize,
    /// The line it watches; the same one, where both write it.
    theirs: usize,
    /// Whether the wait hints to the core that it spins.
    pause: bool,
    /// Hand-overs so far; equal on both sides whenever neither is inside a call.
    turn: u64,
}

impl Line {
    /// A line that both sides write in turn.
    pub(super) fn new(shared: Arc<Shared>, line: usize, pause: bool) -> Self {
        Self { shared, mine: line, theirs: line, pause, turn: 0 }
    }

    /// A line for each side, which the other only watches.
    pub(super) fn two(shared: Arc<Shared>, mine: usize, theirs: usize) -> Self {
        Self { shared, mine, theirs, pause: true, turn: 0 }
    }

    /// Gives the turn to the other side. What was written before is seen by it.
    pub(super) fn give(&mut self) {
        self.turn += 1;
        // Release: pairs with the Acquire load in `take`.
        self.shared.turn(self.mine).store(self.turn, Ordering::Release);
    }

    /// Waits until the other side gives the turn.
    #[expect(clippy::disallowed_methods, reason = "measures bare hardware, which no model replaces")]
    pub(super) fn take(&mut self) -> Result<()> {
        self.turn += 1;
        // Acquire: pairs with the Release store in `give`.
        while self.shared.turn(self.theirs).load(Ordering::Acquire) != self.turn {
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

impl<const N: usize> Channel<N> for Line {
    fn send(&mut self, _: &mut Message<N>) -> Result<()> {
        self.give();
        Ok(())
    }

    fn receive(&mut self, _: &mut Message<N>) -> Result<()> {
        self.take()
    }
}
