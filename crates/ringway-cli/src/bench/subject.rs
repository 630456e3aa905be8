//! What a slice measures.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::{Contender, Pair, Result};

/// One thing that a slice does over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// How messages follow each other.
    pub shape: Shape,
    /// What carries them.
    pub contender: Contender,
    /// Bytes a message.
    pub size: usize,
}

/// How messages follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One there, then one back.
    HandOver,
    /// One behind the other, from this process to the other.
    Stream,
}

impl Subject {
    /// Hand-overs of messages of `size` bytes.
    #[must_use]
    pub fn hand_over(contender: Contender, size: usize) -> Self {
        Self { shape: Shape::HandOver, contender, size }
    }

    /// A stream of messages of `size` bytes.
    #[must_use]
    pub fn stream(contender: Contender, size: usize) -> Self {
        Self { shape: Shape::Stream, contender, size }
    }

    /// Does it `count` times and returns the time it took, one way.
    ///
    /// # Errors
    /// As for [`Pair::round_trips`].
    pub fn run(self, pair: &mut Pair, count: u64) -> Result<Duration> {
        match self.shape {
            Shape::HandOver => Ok(pair.round_trips(self.contender, self.size, count)? / 2),
            Shape::Stream => pair.stream(self.contender, self.size, count),
        }
    }

    /// Does it `count` times and notes the nanoseconds of every round trip in `seen`; a stream has none.
    ///
    /// # Errors
    /// As for [`Pair::round_trips`].
    pub fn clock(self, pair: &mut Pair, count: u64, seen: &mut Histogram<u64>) -> Result<()> {
        match self.shape {
            Shape::HandOver => pair.clock_round_trips(self.contender, self.size, count, seen),
            Shape::Stream => Ok(()),
        }
    }
}
