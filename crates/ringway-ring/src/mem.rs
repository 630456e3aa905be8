//! What the algorithms ask of memory.

use crate::primitive::Word;

/// The two ends of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The end that sends.
    Producer,
    /// The end that receives.
    Consumer,
}

/// Memory of one ring: a power-of-two number of *granules* of 8 bytes, and a position word a side.
///
/// A granule is, at any instant, either a record's header (one atomic word) or payload (plain bytes that only
/// their owner touches); the ring's protocol decides which. `granule` counts from the ring's birth; an
/// implementation reduces it modulo [`capacity`](Mem::capacity).
///
/// # What an implementation owes
///
/// No unsafe code trusts this trait (slices are made for `Lent` only), but a ring over memory
/// that breaks these rules loses messages:
///
/// - `capacity` is a power of two ≥ 32 and never changes.
/// - `data(g)` and `data(g + capacity / 8)` are the same word; two granules that differ modulo `capacity / 8`
///   are different words; `position(side)` are two further words,
///   all of them 0 when the ring is born.
pub trait Mem {
    /// Bytes of a cache line, a power of two ≥ 8; data begins at one. Only speed depends on it.
    const LINE: u64 = 64;

    /// Bytes of data.
    fn capacity(&self) -> u64;

    /// The word at a granule.
    fn data(&self, granule: u64) -> &Word;

    /// How far a side has come, in bytes since the ring's birth. Written by that side only.
    fn position(&self, side: Side) -> &Word;

    /// The caller is about to write `count` granules from `granule` on with plain stores.
    ///
    /// Production does nothing; a model checks here that nobody else is using them.
    #[inline(always)]
    fn writing(&self, granule: u64, count: u64) {
        let _ = (granule, count);
    }

    /// The caller reads `count` granules from `granule` on with plain loads.
    ///
    /// Production does nothing; a model checks here that nobody is writing them.
    #[inline(always)]
    fn reading(&self, granule: u64, count: u64) {
        let _ = (granule, count);
    }
}
