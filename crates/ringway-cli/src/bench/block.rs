//! The floor of bulk: memcpy of memory that the other core has just written; and the other half, writing what it has
//! just read.
#![allow(unsafe_code)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::line::Line;
use super::shared::{BLOCK, Shared};
use super::{Channel, Message, Result};

/// Which half is timed, on the side that asks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timed {
    /// Copying what the other has written.
    Copying,
    /// Writing what the other has copied.
    Writing,
}

/// One side of a block that one process fills and the other copies, in turn.
#[derive(Debug)]
pub(super) struct Block {
    shared: Arc<Shared>,
    turn: Line,
    timed: Timed,
    private: Box<[u8; BLOCK]>,
}

impl Block {
    pub(super) fn new(shared: Arc<Shared>, line: usize, timed: Timed) -> Self {
        let turn = Line::new(Arc::clone(&shared), line, false);
        Self { shared, turn, timed, private: Box::new([0x5a; BLOCK]) }
    }
}

impl<const N: usize> Channel<N> for Block {
    fn send(&mut self, message: &mut Message<N>) -> Result<()> {
        self.turn.send(message)
    }

    fn receive(&mut self, message: &mut Message<N>) -> Result<()> {
        self.turn.receive(message)
    }

    /// Has the other half done `count` times, and does the timed one behind each. Returns the time that took.
    fn stream(&mut self, _: &mut Message<N>, count: u64) -> Result<Duration> {
        let mut total = Duration::ZERO;
        for _ in 0..count {
            self.turn.give();
            self.turn.take()?;
            let start = Instant::now();
            match self.timed {
                // SAFETY: the turn is ours: the other process waits in `drain` for us to give it.
                Timed::Copying => unsafe { self.shared.copy(black_box(&mut self.private)) },
                // SAFETY: as above.
                Timed::Writing => unsafe { self.shared.fill(black_box(&self.private)) },
            }
            total += start.elapsed();
        }
        Ok(total)
    }

    /// Does the other half `count` times, each time when the other side asks for it.
    fn drain(&mut self, _: &mut Message<N>, count: u64) -> Result<()> {
        for _ in 0..count {
            self.turn.take()?;
            match self.timed {
                // SAFETY: the turn is ours: the other process waits in `stream` for us to give it.
                Timed::Copying => unsafe { self.shared.fill(&self.private) },
                // SAFETY: as above.
                Timed::Writing => unsafe { self.shared.copy(black_box(&mut self.private)) },
            }
            self.turn.give();
        }
        Ok(())
    }
}
