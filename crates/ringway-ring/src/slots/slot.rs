//! Slots, and what can be said of positions.

use super::CLOSED;

/// What positions are multiples of.
pub(super) const GRANULE: u64 = 8;

/// A message that a consumer has taken and not yet released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Where it lies.
    pub(crate) position: u64,
    /// Bytes it takes.
    pub(crate) stride: u64,
}

impl Slot {
    /// Its first granule, and how many there are: for models and tests that look at words.
    #[must_use]
    pub fn granules(&self) -> (u64, u64) {
        (self.position / GRANULE, self.stride / GRANULE)
    }
}

/// The measures of a ring of slots.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slots {
    /// Bytes of a message; not 0.
    pub(super) size: u64,
    /// Bytes of a slot: the size, rounded up to a multiple of 8.
    pub(super) stride: u64,
    /// How many slots there are; not 0.
    pub(super) count: u64,
    /// Bytes of all slots, `count * stride`: no more than the capacity.
    pub(super) room: u64,
    /// The odd part of the stride, inverted modulo 2^64.
    inverse: u64,
}

impl Slots {
    /// # Panics
    ///
    /// If there is not room for one slot, or a message has no bytes.
    pub(super) fn new(size: u64, capacity: u64) -> Self {
        let count = slots(size, capacity);
        assert!(count > 0, "a ring of {capacity} bytes has no slot of {size} bytes");
        let stride = size.next_multiple_of(GRANULE);
        let odd = stride >> stride.trailing_zeros();
        // Newton's iteration: right in 3 bits (the square of an odd number is 1 modulo 8), then in 6, 12, 24, 48, 96.
        let mut inverse = odd;
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        }
        Self { size, stride, count, room: count * stride, inverse }
    }

    /// Whether `bytes` is a multiple of the stride that fits into `most`, which is one and no more than `room`.
    ///
    /// Without a division: `bytes` times the inverse of the stride's odd part, with its zeros at the low end turned to the
    /// high end, is the quotient if there is no rest. No two numbers give the same, for each step can be undone; so if there is
    /// a rest, it is none of the quotients from 0 to `count`, which the multiples up to `room` give.
    #[inline(always)]
    pub(super) fn fit(&self, bytes: u64, most: u64) -> bool {
        let quotient = bytes.wrapping_mul(self.inverse).rotate_right(self.stride.trailing_zeros());
        bytes <= most && quotient <= self.count
    }
}

/// How many slots for messages of `size` bytes a ring of `capacity` bytes has.
#[must_use]
pub const fn slots(size: u64, capacity: u64) -> u64 {
    if size == 0 || size > capacity { 0 } else { capacity / size.next_multiple_of(GRANULE) }
}

/// What the two positions of a ring say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Messages that were published and not released.
    pub pending: u64,
    /// Whether the producer has closed.
    pub closed: bool,
}

/// What the positions of a ring of messages of `size` bytes say to somebody who looks at it from outside; `None` if they are
/// not what correct peers write (or were loaded too far apart in time: the consumer's first, then the producer's).
///
/// ```
/// use ringway_ring::slots::{Seen, look};
///
/// assert_eq!(look(72, 24, 24, 4096), Some(Seen { pending: 2, closed: false }));
/// assert_eq!(look(72 | 1, 72, 24, 4096), Some(Seen { pending: 0, closed: true }));
/// assert_eq!(look(24, 72, 24, 4096), None);
/// ```
#[must_use]
pub fn look(producer: u64, consumer: u64, size: u64, capacity: u64) -> Option<Seen> {
    let stride = size.checked_next_multiple_of(GRANULE).filter(|&stride| stride != 0)?;
    let pending = (producer & !CLOSED).wrapping_sub(consumer);
    let possible = pending % stride == 0 && pending / stride <= slots(size, capacity);
    possible.then_some(Seen { pending: pending / stride, closed: producer & CLOSED != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_a_multiple_of_the_stride_and_no_more_than_there_is_room() {
        for size in (1..200).chain([4095, 4096, 65535]) {
            let slots = Slots::new(size, 1 << 16);
            assert_eq!((slots.stride, slots.room % slots.stride), (size.div_ceil(8) * 8, 0));
            assert!(slots.room <= 1 << 16 && slots.room + slots.stride > 1 << 16);
            for bytes in 0..1 << 17 {
                let most = slots.room;
                assert_eq!(
                    slots.fit(bytes, most),
                    bytes <= most && bytes % slots.stride == 0,
                    "{size} {bytes}"
                );
            }
            assert!(!slots.fit(slots.stride.wrapping_neg(), slots.room));
        }
    }

    /// What is a multiple only modulo 2^64 is none.
    #[test]
    fn what_fits_is_a_multiple_of_the_stride_also_in_rings_that_no_machine_has_yet() {
        let rings =
            [(0x4000_0008, 1 << 40), (3 << 30, 1 << 40), (5 << 40, 1 << 44), ((1 << 61) + 8, 1 << 63)];
        for (size, capacity) in rings {
            let slots = Slots::new(size, capacity);
            let around = u64::MAX / slots.stride;
            for factor in (0..100).chain((1..4).flat_map(|laps| laps * around..laps * around + 1000)) {
                let bytes = factor.wrapping_mul(slots.stride);
                assert_eq!(
                    slots.fit(bytes, slots.room),
                    bytes <= slots.room && bytes % slots.stride == 0,
                    "{size} {bytes}"
                );
            }
        }
    }

    #[test]
    #[should_panic(expected = "no slot of 4097 bytes")]
    fn a_ring_without_a_slot_is_none() {
        Slots::new(4097, 4096);
    }

    #[test]
    fn impossible_positions_say_nothing() {
        for (producer, consumer, size) in
            [(8, 16, 8), (4104, 0, 8), (20, 0, 16), (16, 0, 0), (16, 0, u64::MAX)]
        {
            assert_eq!(look(producer, consumer, size, 4096), None, "{producer} {consumer} {size}");
        }
        let around = look(8, 8u64.wrapping_neg(), 8, 4096);
        assert_eq!(around, Some(Seen { pending: 2, closed: false }));
    }
}
