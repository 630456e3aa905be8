//! The shared words of the wait layer.

use crate::{
    Life, Signs,
    primitive::{Flag, Futex},
};

/// Whose word is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// This side's.
    Mine,
    /// The other side's.
    Peers,
}

/// The words of two sides, as one of them sees them.
///
/// Each word is written by its owner only and lies on a cache line of its own: `asleep` on the line of a word
/// that changes with every message would cost most of the rate.
pub trait Words {
    /// What tells of the peer's life.
    type Signs: Signs;

    /// Whether the owner is asleep; see [`Bell`](crate::Bell).
    fn asleep(&self, whose: Whose) -> &Flag;

    /// Bumped by the owner when it has news for the other, who sleeps on it.
    fn bell(&self, whose: Whose) -> &Futex;

    /// The processor that the owner ran on when it last began to wait or rang, counted from 1; 0 if not known.
    fn processor(&self, whose: Whose) -> &Flag;

    /// The peer's life, if there is something that tells of it.
    fn life(&self) -> Option<&Life<Self::Signs>>;
}
