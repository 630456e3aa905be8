//! What the queue asks of memory.

use core::num::NonZeroU32;

use super::Line;
use crate::primitive::{Common, Word};

/// The most slots that a queue can have: their numbers have 16 bits.
pub const MOST_SLOTS: u32 = 1 << 16;

/// Which end of the queue a hint is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// Where the first cell lies that is not filled, or a little before.
    Tail,
    /// Where the first cell lies whose message is not taken, or a little before.
    Head,
}

/// Memory of one queue: a pool of slots, a power of two of cells that queue them, two hints, a lease a participant.
///
/// # What an implementation owes
///
/// No unsafe code trusts this trait (slices are made for `LentPool`, and what holds one, only), but a queue over memory that breaks these rules
/// loses messages:
///
/// - `slots` is in 1..=[`MOST_SLOTS`], `cells` the next power of two, and neither ever changes.
/// - All words are different ones, for all slots below `slots`, all positions modulo `cells`, and all lines that take part; all of
///   them are 0 when the queue is born.
pub trait Pool {
    /// What tells this view of the memory from all others in the process, dropped ones included: loans and messages of one are not
    /// another's.
    fn id(&self) -> NonZeroU32;

    /// How many slots there are.
    fn slots(&self) -> u32;

    /// How many cells there are.
    fn cells(&self) -> u64;

    /// What becomes of a slot, see [`State`](super::State).
    fn state(&self, slot: u32) -> &Common;

    /// What is in the slot, in the caller's words. Written by the slot's owner only.
    fn note(&self, slot: u32) -> &Word;

    /// What of a slot was lost, see [`lost`](super::lost).
    fn losses(&self, slot: u32) -> &Common;

    /// The cell at a position, which counts from the queue's birth.
    fn cell(&self, position: u64) -> &Common;

    /// A hint.
    fn hint(&self, of: Hint) -> &Common;

    /// The lease of a line: `generation:63 unswept:1`.
    fn lease(&self, line: Line) -> &Common;

    /// The caller will soon write to the slot, if it is free then. Only speed depends on it.
    #[inline(always)]
    fn will_write(&self, slot: u32) {
        let _ = slot;
    }

    /// The caller will soon take the slot and read what is in it. Only speed depends on it.
    #[inline(always)]
    fn will_read(&self, slot: u32) {
        let _ = slot;
    }

    /// The caller will soon fill the cell at a position. Only speed depends on it.
    #[inline(always)]
    fn will_fill(&self, position: u64) {
        let _ = position;
    }

    /// The caller is about to write the slot's payload with plain stores.
    ///
    /// Production does nothing; a model checks here that nobody else is using it.
    #[inline(always)]
    fn writing(&self, slot: u32) {
        let _ = slot;
    }

    /// The caller reads the slot's payload with plain loads.
    ///
    /// Production does nothing; a model checks here that nobody is writing it.
    #[inline(always)]
    fn reading(&self, slot: u32) {
        let _ = slot;
    }
}

impl<P: Pool> Pool for &P {
    #[inline(always)]
    fn id(&self) -> NonZeroU32 {
        (**self).id()
    }

    #[inline(always)]
    fn slots(&self) -> u32 {
        (**self).slots()
    }

    #[inline(always)]
    fn cells(&self) -> u64 {
        (**self).cells()
    }

    #[inline(always)]
    fn state(&self, slot: u32) -> &Common {
        (**self).state(slot)
    }

    #[inline(always)]
    fn note(&self, slot: u32) -> &Word {
        (**self).note(slot)
    }

    #[inline(always)]
    fn losses(&self, slot: u32) -> &Common {
        (**self).losses(slot)
    }

    #[inline(always)]
    fn cell(&self, position: u64) -> &Common {
        (**self).cell(position)
    }

    #[inline(always)]
    fn hint(&self, of: Hint) -> &Common {
        (**self).hint(of)
    }

    #[inline(always)]
    fn lease(&self, line: Line) -> &Common {
        (**self).lease(line)
    }

    #[inline(always)]
    fn will_write(&self, slot: u32) {
        (**self).will_write(slot);
    }

    #[inline(always)]
    fn will_read(&self, slot: u32) {
        (**self).will_read(slot);
    }

    #[inline(always)]
    fn will_fill(&self, position: u64) {
        (**self).will_fill(position);
    }

    #[inline(always)]
    fn writing(&self, slot: u32) {
        (**self).writing(slot);
    }

    #[inline(always)]
    fn reading(&self, slot: u32) {
        (**self).reading(slot);
    }
}
