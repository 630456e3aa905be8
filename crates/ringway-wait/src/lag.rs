//! Falling back: how a receiver that has caught up keeps from fighting over every line.
//!
//! # Why
//!
//! A receiver that is faster than its sender meets, after each message, the place of the next one before anything is
//! there. Each look takes the line away from the sender, who must fetch it back to write: two transfers a message, and
//! none of them overlap. Let the receiver stay away for a moment, and the sender fills several lines meanwhile, at the
//! pace of its own stores; then the receiver fetches them one behind the other, with the processor's prefetching. The
//! stream becomes two to three times faster, and no message waits longer than the lag.
//!
//! # How it learns
//!
//! Each time the receiver finds nothing, it says how many messages it has had since the last time. Two or more: somebody
//! streams, so the lag doubles, up to its bound. One: it falls to [`LEAST`], which costs a message that is answered nothing: the
//! next one cannot be here sooner. Every [`PROBE`]th time it is doubled all the same, to see whether
//! a stream has begun; one that comes message by message would else look like an exchange for ever.
//!
//! # What it costs
//!
//! A message that comes alone at the end of a stream waits as many turns of a spin loop as the bound is, [`MOST`] unless another one was
//! asked for: about a microsecond; the next one [`LEAST`].

use crate::primitive::pause;

/// Turns of a spin loop that are always waited.
const LEAST: u32 = 1;
/// Turns of a spin loop at the most, where one sends and one receives.
const MOST: u32 = 32;
/// Runs of one message after which a longer lag is tried.
const PROBE: u32 = 16;

/// How long a receiver stays away when it has caught up; see the top of the module.
#[derive(Debug)]
pub struct Lag {
    most: u32,
    turns: u32,
    /// Runs of one message in a row.
    single: u32,
}

impl Default for Lag {
    /// Of one that alone receives what one sends.
    fn default() -> Self {
        Self::up_to(MOST)
    }
}

impl Lag {
    /// Of a receiver that stays away for so many turns of a spin loop at the most.
    #[must_use]
    pub fn up_to(most: u32) -> Self {
        Self { most, turns: LEAST, single: 0 }
    }

    /// Stays away for a moment. `run`: messages since the last time.
    #[inline]
    pub fn fall_back(&mut self, run: u64) {
        self.learn(run);
        pause(self.turns);
    }

    fn learn(&mut self, run: u64) {
        if run > 1 {
            self.single = 0;
            self.turns = (2 * self.turns).min(self.most);
            return;
        }
        self.single += 1;
        self.turns = LEAST;
        if self.single == PROBE {
            self.single = 0;
            self.turns = 2 * LEAST;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_makes_the_lag_grow_to_its_bound_and_a_single_message_ends_it() {
        let mut lag = Lag::default();
        (0..20).for_each(|_| lag.learn(9));
        assert_eq!(lag.turns, MOST);
        lag.learn(1);
        assert_eq!(lag.turns, LEAST);
    }

    #[test]
    fn among_single_messages_a_longer_lag_is_tried_now_and_then() {
        let mut lag = Lag::default();
        let tried = (0..10 * PROBE).filter(|_| {
            lag.learn(1);
            lag.turns > LEAST
        });
        assert_eq!(tried.count(), 10);
    }
}
