//! What the algorithms ask of memory.

use core::ops::Range;

use crate::primitive::{Ordering, Word, fence};

/// The two ends of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The end that sends.
    Producer,
    /// The end that receives.
    Consumer,
}

/// What the producer of a ring says of itself beside its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Up to here it may be writing: no byte at this position or behind it has been written.
    Claim,
    /// Where the oldest record begins that is not being overwritten, if the producer does not wait for a consumer.
    Oldest,
    /// How many records it has published; it may lag.
    Sent,
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
///   are different words; the `position(side)`, `progress(of)` and `taken()` are further words, all of them 0 when the ring is
///   born.
pub trait Mem {
    /// Bytes of a cache line, a power of two ≥ 8; data begins at one. Only speed depends on it.
    const LINE: u64 = 64;

    /// Bytes of the payloads whose lines their consumer takes over, see [`own`](Self::own). Only speed depends on
    /// it.
    ///
    /// Less, and the lines' next writer has them back before it needs them; more, and they do not stay in the consumer's cache
    /// until they are read.
    const OWNED: Range<u64> = 192..(128 << 10) + 1;

    /// Bytes of data.
    fn capacity(&self) -> u64;

    /// The word at a granule.
    fn data(&self, granule: u64) -> &Word;

    /// How far a side has come, in bytes since the ring's birth. Written by that side only.
    fn position(&self, side: Side) -> &Word;

    /// What the producer says of itself. Written by the producer only.
    fn progress(&self, of: Progress) -> &Word;

    /// How far the consumer has taken what it may not have released yet. Written by the consumer only.
    fn taken(&self) -> &Word;

    /// The caller is about to write `count` granules from `granule` on with plain stores.
    ///
    /// Production does nothing; a model checks here that nobody else is using them.
    #[inline(always)]
    fn writing(&self, granule: u64, count: u64) {
        let _ = (granule, count);
    }

    /// Writes 0 to `count` granules from `granule` on, which nobody else uses. They may become headers.
    #[inline]
    fn clear(&self, granule: u64, count: u64) {
        self.writing(granule, count);
        for granule in granule..granule + count {
            // Relaxed: as plain stores, which these stand for.
            self.data(granule).store(0, Ordering::Relaxed);
        }
    }

    /// The caller reads `count` granules from `granule` on with plain loads.
    ///
    /// Production does nothing; a model checks here that nobody is writing them.
    #[inline(always)]
    fn reading(&self, granule: u64, count: u64) {
        let _ = (granule, count);
    }

    /// Takes the lines of `count` granules from `granule` on away from the core that wrote them, by storing what is there. The
    /// caller alone uses them, but for followers.
    ///
    /// A line that is only read stays with its writer, as a copy that is shared; before it writes there again, a lap later, it
    /// must have that copy taken back, line by line. One that the reader has stored to is fetched by its next writer like any
    /// other, and many at a time.
    #[inline(never)]
    fn own(&self, granule: u64, count: u64) {
        self.writing(granule, count);
        // Release: pairs with the Acquire fence in `Follower::accept`: who reads what is stored here sees the claim that the
        // producer made before it.
        fence(Ordering::Release);
        for granule in (granule..granule + count).step_by(Self::LINE as usize / 8) {
            let word = self.data(granule);
            // Relaxed, both: nobody else stores here, and to the producer they are ordered by the Release of the position.
            word.store(word.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

/// Whether one position lies before another; positions may wrap, and are less than half their range apart.
#[inline(always)]
pub(crate) fn is_before(position: u64, other: u64) -> bool {
    other.wrapping_sub(position).wrapping_sub(1) < u64::MAX / 2
}
