//! Slots as values.

use core::ptr::NonNull;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{Lent, copy};
use crate::{
    slots::{self, Slot},
    spsc::Stores,
};

/// What can be a message of a ring of [`slots`]: a value whose every bit pattern is valid, that leaks no padding, and that
/// does not change behind a shared reference. Fixed-size integers, floats, arrays of them, and structures with
/// `zerocopy`'s derives.
pub trait Value: FromBytes + IntoBytes + Immutable + Send + 'static {}

impl<T: FromBytes + IntoBytes + Immutable + Send + 'static> Value for T {}

/// Refuses, when the program is built, what no slot can hold.
const fn fits<T: Value>() {
    const { assert!(size_of::<T>() > 0, "a message has one byte at least") };
    const { assert!(align_of::<T>() <= 8, "a slot is aligned to 8 bytes") };
}

impl slots::Producer<Lent> {
    /// Sends a copy of `value`, if there is a slot: what loan, copy and send do in more steps. What was staged is forgotten.
    ///
    /// # Errors
    ///
    /// [`slots::LoanError`]; nothing is sent then.
    ///
    /// # Panics
    ///
    /// If the ring's messages have another size.
    #[inline(always)]
    pub fn send_copy<T: Value>(&mut self, value: &T) -> Result<(), slots::LoanError> {
        self.discard();
        self.loan()?;
        self.copy_in(value);
        self.send();
        Ok(())
    }

    /// Stages a copy of `value`, if there is a slot.
    ///
    /// # Errors
    ///
    /// [`slots::LoanError`]; what was staged before stays.
    ///
    /// # Panics
    ///
    /// If the ring's messages have another size.
    #[inline(always)]
    pub fn stage_copy<T: Value>(&mut self, value: &T) -> Result<(), slots::LoanError> {
        self.loan()?;
        self.copy_in(value);
        self.stage();
        Ok(())
    }

    #[inline(always)]
    fn copy_in<T: Value>(&mut self, value: &T) {
        let stores = Stores::of(size_of::<T>() as u64, self.mem());
        // SAFETY:
        // - `place` is valid for writes of a `T`, aligned to 8 as slots are, and nobody else uses it.
        // - It does not overlap `value`: nobody has a reference into a slot that is free.
        unsafe { copy::into(self.place::<T>().cast(), value.as_bytes(), stores) };
    }

    /// Where the loaned slot lies: valid for reads and writes of a `T`, aligned, of bytes that are initialised, and nobody
    /// else's until it is sent.
    #[inline(always)]
    fn place<T: Value>(&self) -> NonNull<T> {
        fits::<T>();
        assert!(size_of::<T>() as u64 == self.size() && self.is_lent(), "a loan of another size, or none");
        // The slot is free: `is_lent` says that it ends no later than the consumer's position + room, and a position's byte
        // has `capacity` bytes behind it, of which `room` is no more. The position is a multiple of 8, as the alignment
        // of `T` divides. The consumer stops before it, at the producer's position; in this process this Producer is
        // the only one. Bytes are always initialised: they come from a file.
        self.mem().granule(self.granules().0).cast()
    }

    /// The loaned slot, which holds whatever was there before.
    ///
    /// # Panics
    ///
    /// If there is no loan, or the ring's messages have another size.
    #[inline(always)]
    #[must_use]
    pub fn value_mut<T: Value>(&mut self) -> &mut T {
        // SAFETY: `place` gives a valid, aligned, initialised place that nobody else uses while this Producer is mutably
        // borrowed; any bytes are a `T` (`FromBytes`), and what is written to a `T` are initialised bytes (`IntoBytes`).
        unsafe { self.place::<T>().as_mut() }
    }

    /// The loaned slot, to be read.
    ///
    /// # Panics
    ///
    /// If there is no loan, or the ring's messages have another size.
    #[inline(always)]
    #[must_use]
    pub fn value<T: Value>(&self) -> &T {
        // SAFETY: as in `value_mut`; a shared borrow of the Producer keeps others of this process from writing, and a `T`
        // does not change behind a shared reference (`Immutable`).
        unsafe { self.place::<T>().as_ref() }
    }
}

impl slots::Consumer<Lent> {
    /// A message that was taken and not yet released.
    ///
    /// # Panics
    ///
    /// If the message was released or is another ring's, or the ring's messages have another size.
    #[inline(always)]
    #[must_use]
    pub fn value<T: Value>(&self, slot: Slot) -> &T {
        fits::<T>();
        assert!(
            size_of::<T>() as u64 == self.size() && self.holds(&slot),
            "the message was released, or is of another ring"
        );
        // SAFETY:
        // - `holds` says that the slot begins between what was released and what was taken, and what was taken is no more
        //   than `room` ahead, a multiple of the stride: the slot lies inside the doubled data.
        // - Its position is aligned to 8, which the alignment of `T` divides: it was checked when this end was taken up, and
        //   strides are multiples of 8.
        // - Any bytes are a `T` (`FromBytes`). The producer does not touch them until `release`, which needs `&mut self` and
        //   so ends all these borrows first; nor does the holder of a `&T` (`Immutable`).
        unsafe { self.mem().at(slot.position).cast::<T>().as_ref() }
    }
}
