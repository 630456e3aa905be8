//! That a slot is somebody's.

use core::num::{NonZeroU32, NonZeroU64};

/// A use of a slot of a pool. Two plain words: it travels in registers.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(super) uses: u64,
    /// The pool's id, and in the lower half the slot.
    place: NonZeroU64,
}

impl Ticket {
    /// `slot` is below the pool's count of slots.
    #[inline(always)]
    pub(super) fn new(pool: NonZeroU32, slot: u32, uses: u64) -> Self {
        // The upper half is not 0.
        let place = NonZeroU64::from(pool).get() << 32 | u64::from(slot);
        Self { uses, place: NonZeroU64::new(place).unwrap_or(NonZeroU64::MIN) }
    }

    #[inline(always)]
    pub(crate) fn slot(&self) -> u32 {
        self.place.get() as u32
    }

    /// Whether it is of the pool with this id.
    #[inline(always)]
    pub(crate) fn is_of(&self, pool: NonZeroU32) -> bool {
        self.place.get() >> 32 == u64::from(pool.get())
    }
}
