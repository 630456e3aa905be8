//! The shared words of the wait layer.

use std::time::Instant;

use crate::primitive::{Flag, Futex};

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
    /// Whether the owner is asleep; see [`Bell`](crate::Bell).
    fn asleep(&self, whose: Whose) -> &Flag;

    /// Bumped by the owner when it has news for the other, who sleeps on it.
    fn bell(&self, whose: Whose) -> &Futex;

    /// The processor that the owner ran on when it last began to wait or rang, counted from 1; 0 if not known.
    fn processor(&self, whose: Whose) -> &Flag;

    /// Whether the peer has died since this side came, and nobody has taken its place. Models have no deaths.
    fn died(&self) -> bool {
        false
    }

    /// The peer's process, 0 if it is not known.
    fn pid(&self) -> u32 {
        0
    }

    /// The word by which the peer's death is told, as it is now, for [`sleep`](Self::sleep).
    fn alive(&self) -> u32 {
        0
    }

    /// Sees to it that the peer's death will be told.
    fn watch(&self) {}

    /// Sleeps while the peer's bell and the word that tells of its death are as given, until woken or the deadline, or for no
    /// reason at all. One system call.
    fn sleep(&self, bell: u32, alive: u32, deadline: Option<Instant>) {
        let _ = alive;
        self.bell(Whose::Peers).wait(bell, deadline);
    }
}
