//! What a contender must be able to do.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::{Message, Result};

/// One side of a channel that carries messages both ways.
///
/// The loops are provided here, so that each contender has its own copy of them with its calls inlined,
/// while the rest of the harness knows it as a `dyn Channel`.
pub(super) trait Channel: Debug {
    /// Hands the next message over; waits for room if there is none.
    fn send(&mut self, message: &mut Message) -> Result<()>;

    /// Waits for the next message and reads it.
    fn receive(&mut self, message: &mut Message) -> Result<()>;

    /// Sends `rounds` times and waits each time for the answer.
    fn ask(&mut self, message: &mut Message, rounds: u64) -> Result<()> {
        for _ in 0..rounds {
            self.send(message)?;
            self.receive(message)?;
        }
        Ok(())
    }

    /// As [`ask`](Self::ask), and notes the nanoseconds of every round trip: one clock read each.
    fn ask_clocked(&mut self, message: &mut Message, rounds: u64, seen: &mut Histogram<u64>) -> Result<()> {
        let mut before = Instant::now();
        for _ in 0..rounds {
            self.send(message)?;
            self.receive(message)?;
            let now = Instant::now();
            seen.saturating_record(u64::try_from((now - before).as_nanos()).unwrap_or(u64::MAX));
            before = now;
        }
        Ok(())
    }

    /// The other half of [`ask`](Self::ask).
    fn answer(&mut self, message: &mut Message, rounds: u64) -> Result<()> {
        for _ in 0..rounds {
            self.receive(message)?;
            self.send(message)?;
        }
        Ok(())
    }

    /// Sends `count` messages one behind the other.
    fn send_all(&mut self, message: &mut Message, count: u64) -> Result<()> {
        for _ in 0..count {
            self.send(message)?;
        }
        Ok(())
    }

    /// The other half of [`send_all`](Self::send_all).
    fn receive_all(&mut self, message: &mut Message, count: u64) -> Result<()> {
        for _ in 0..count {
            self.receive(message)?;
        }
        Ok(())
    }

    /// Sends `count` messages one behind the other and returns the time until the last one was received.
    fn stream(&mut self, message: &mut Message, count: u64) -> Result<Duration> {
        let start = Instant::now();
        self.send_all(message, count)?;
        self.receive(message)?;
        Ok(start.elapsed())
    }

    /// The other half of [`stream`](Self::stream).
    fn drain(&mut self, message: &mut Message, count: u64) -> Result<()> {
        self.receive_all(message, count)?;
        self.send(message)
    }
}
