//! What a contender must be able to do.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use super::{Message, Result};

/// One side of a channel that carries messages of `N` bytes both ways.
///
/// The loops are provided here, so that each contender has its own copy of them for each size, with its calls
/// inlined, while the rest of the harness knows it as a [`Carrier`](super::Carrier).
pub trait Channel<const N: usize>: Debug {
    /// Hands the next message over; waits for room if there is none.
    ///
    /// # Errors
    /// The channel broke.
    fn send(&mut self, message: &mut Message<N>) -> Result<()>;

    /// Waits for the next message and reads it.
    ///
    /// # Errors
    /// The channel broke, or this is not what was sent.
    fn receive(&mut self, message: &mut Message<N>) -> Result<()>;

    /// Sends `rounds` times and waits each time for the answer.
    ///
    /// # Errors
    /// As for [`receive`](Self::receive).
    fn ask(&mut self, message: &mut Message<N>, rounds: u64) -> Result<()> {
        for _ in 0..rounds {
            self.send(message)?;
            self.receive(message)?;
        }
        Ok(())
    }

    /// As [`ask`](Self::ask), and tells the time of every round trip: one clock read each.
    ///
    /// # Errors
    /// As for [`receive`](Self::receive).
    fn ask_clocked(
        &mut self,
        message: &mut Message<N>,
        rounds: u64,
        seen: &mut dyn FnMut(Duration),
    ) -> Result<()> {
        let mut before = Instant::now();
        for _ in 0..rounds {
            self.send(message)?;
            self.receive(message)?;
            let now = Instant::now();
            seen(now - before);
            before = now;
        }
        Ok(())
    }

    /// The other half of [`ask`](Self::ask).
    ///
    /// # Errors
    /// As for [`receive`](Self::receive).
    fn answer(&mut self, message: &mut Message<N>, rounds: u64) -> Result<()> {
        for _ in 0..rounds {
            self.receive(message)?;
            self.send(message)?;
        }
        Ok(())
    }

    /// Sends `count` messages one behind the other.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    fn send_all(&mut self, message: &mut Message<N>, count: u64) -> Result<()> {
        for _ in 0..count {
            self.send(message)?;
        }
        Ok(())
    }

    /// The other half of [`send_all`](Self::send_all).
    ///
    /// # Errors
    /// As for [`receive`](Self::receive).
    fn receive_all(&mut self, message: &mut Message<N>, count: u64) -> Result<()> {
        for _ in 0..count {
            self.receive(message)?;
        }
        Ok(())
    }

    /// Sends `count` messages one behind the other and returns the time until the last one was received.
    ///
    /// # Errors
    /// As for [`receive`](Self::receive).
    fn stream(&mut self, message: &mut Message<N>, count: u64) -> Result<Duration> {
        let start = Instant::now();
        self.send_all(message, count)?;
        self.receive(message)?;
        Ok(start.elapsed())
    }

    /// The other half of [`stream`](Self::stream).
    ///
    /// # Errors
    /// As for [`receive`](Self::receive).
    fn drain(&mut self, message: &mut Message<N>, count: u64) -> Result<()> {
        self.receive_all(message, count)?;
        self.send(message)
    }
}
