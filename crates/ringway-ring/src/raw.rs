//! Production memory: the one room of this crate with unsafe code.
//!
//! Three rules keep it sound.
//! 1. Shared words are only ever touched as [`Word`]s (atomics of their full size).
//! 2. Payload becomes a slice only while the protocol says that one side alone owns those bytes: the producer
//!    between `loan` and `send`, the consumer between `advance` and `release`. That the *other process* keeps
//!    to the protocol is what trust level *shared* means; that the position and length of every slice stay
//!    inside the memory is checked here and now, whatever the other process writes.
//! 3. A [`Follower`] copies words that the producer may be writing at that moment, and throws the copy away if it was.
//!    Between processes that is the hardware's business. Between two threads of one process the language has no word for
//!    it (the producer's stores are plain): it is left to the machine there, as with every seqlock over plain memory.
#![allow(unsafe_code)]

use core::{fmt, ptr::NonNull, slice};

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{
    Mem, Progress, Side,
    primitive::{Ordering, Word, compiler_fence},
    slots::{self, Slot},
    spsc::{Consumer, Follower, LoanError, Producer, Record},
};

/// Where the control words of a ring lie.
#[derive(Debug, Clone, Copy)]
pub struct Controls {
    /// The producer's position.
    pub producer: NonNull<u64>,
    /// The consumer's position.
    pub consumer: NonNull<u64>,
    /// See [`Progress::Claim`].
    pub claim: NonNull<u64>,
    /// See [`Progress::Oldest`].
    pub oldest: NonNull<u64>,
    /// See [`Progress::Sent`].
    pub sent: NonNull<u64>,
}

/// A ring's memory, lent by whoever mapped it.
pub struct Lent {
    data: NonNull<u8>,
    mask: u64,
    controls: Controls,
}

// SAFETY: `Lent` is a set of addresses of memory that is valid wherever the process uses it (contract of
// `new`); all shared words are accessed atomically, and payload only by the one owner of a Producer/Consumer.
unsafe impl Send for Lent {}

impl Lent {
    /// Borrows memory for a ring.
    ///
    /// # Panics
    ///
    /// If `capacity` is not a power of two ≥ 32.
    ///
    /// # Safety
    ///
    /// For as long as the result, and whatever is made of it, lives:
    /// - `controls` are valid, aligned words, different ones, used by everyone as atomic `u64` only;
    /// - `data` is aligned to 8 and valid for `2 * capacity` bytes, of which the second
    ///   half shows the same memory as the first (a ring over private memory none of whose records wraps may
    ///   do without the likeness);
    /// - all of it may be read, and, unless the holder of the result stores nothing there, written; a [`Follower`] by itself
    ///   stores nothing;
    /// - nobody stores anything through what `mem()` of a Producer, Consumer or Follower gives, but for a consumer's own
    ///   position;
    /// - nobody in this process makes references into it other than through this crate;
    /// - at most one [`Producer`] and one [`Consumer`], in all processes, use it at a time, and what they meet
    ///   was written by this crate, or, if not, is not rewritten while a slice of it is alive.
    #[must_use]
    pub unsafe fn new(controls: Controls, data: NonNull<u8>, capacity: usize) -> Self {
        assert!(capacity.is_power_of_two() && capacity >= 32, "the capacity is a power of two, 32 at least");
        Self { data, mask: capacity as u64 - 1, controls }
    }

    /// Address of the byte at a position; that byte and the `capacity` bytes that follow are inside `data`.
    #[inline(always)]
    fn at(&self, position: u64) -> NonNull<u8> {
        // SAFETY: position & mask < capacity, and `data` is valid for 2 * capacity bytes.
        unsafe { self.data.add((position & self.mask) as usize) }
    }
}

impl Lent {
    /// Copies a payload to where there was made room for it.
    ///
    /// # Safety
    ///
    /// From `granule` on, `payload.len()` bytes are free, no more than the ring has, and nobody else reads or writes them
    /// before they are handed over.
    #[inline(always)]
    unsafe fn write(&self, granule: u64, payload: &[u8]) {
        let place = self.at(granule.wrapping_mul(8));
        if payload.len() < LONG {
            // SAFETY: see `copy`; this is all of it.
            return unsafe { copy(place, payload) };
        }
        for (n, part) in payload.chunks(PART).enumerate() {
            for line in (0..part.len()).step_by(Self::LINE as usize) {
                // Relaxed: the line is written over at once; this has its transfer begin together with the others'.
                self.data(granule + (n * PART + line) as u64 / 8).store(0, Ordering::Relaxed);
            }
            // The copy may go over these stores through the second image, where the compiler does not see that it does.
            compiler_fence();
            // SAFETY: see `copy`; this part of the payload lies as far from the beginning of the place as from its own.
            unsafe { copy(place.add(n * PART), part) };
        }
    }
}

/// # Safety
///
/// `part` belongs at `place`, for a place and a payload as in [`Lent::write`]: the place lies inside the doubled data, since
/// whatever begins in its first half has `capacity` bytes behind it.
#[inline(always)]
unsafe fn copy(place: NonNull<u8>, part: &[u8]) {
    // SAFETY: the place is valid for writes, and nobody else touches it (contract). It does not overlap `part`: nobody in this
    // process has a reference into free bytes of a ring (contract of `Lent::new`, and a Producer is borrowed mutably).
    unsafe { place.as_ptr().copy_from_nonoverlapping(part.as_ptr(), part.len()) };
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").field("capacity", &(self.mask + 1)).finish_non_exhaustive()
    }
}

impl Mem for Lent {
    #[inline(always)]
    fn capacity(&self) -> u64 {
        self.mask + 1
    }

    #[inline(always)]
    fn data(&self, granule: u64) -> &Word {
        // SAFETY: `at` gives an address inside `data`; it is aligned, as `data` is and granules are 8 bytes;
        // `Word` is a transparent atomic u64 for which every bit pattern is valid. While the granule serves as
        // a header it is accessed through `Word` only; when it serves as payload the protocol's happens-before
        // edges lie between (see `spsc`).
        unsafe { self.at(granule.wrapping_mul(8)).cast::<Word>().as_ref() }
    }

    #[inline(always)]
    fn position(&self, side: Side) -> &Word {
        let word = match side {
            Side::Producer => self.controls.producer,
            Side::Consumer => self.controls.consumer,
        };
        // SAFETY: valid, aligned and only used atomically: contract of `new`.
        unsafe { word.cast::<Word>().as_ref() }
    }

    fn progress(&self, of: Progress) -> &Word {
        let word = match of {
            Progress::Claim => self.controls.claim,
            Progress::Oldest => self.controls.oldest,
            Progress::Sent => self.controls.sent,
        };
        // SAFETY: valid, aligned and only used atomically: contract of `new`.
        unsafe { word.cast::<Word>().as_ref() }
    }

    #[inline]
    fn clear(&self, granule: u64, count: u64) {
        assert!(count <= self.capacity() / 8, "not more than the ring");
        // SAFETY: `at` gives an address inside `data` with `capacity` bytes behind it, and `count` granules are no more.
        // Nobody else uses them (contract of the trait): they are free for the producer, as for a payload.
        unsafe { self.at(granule.wrapping_mul(8)).as_ptr().write_bytes(0, count as usize * 8) };
    }
}

/// A payload of so many bytes has its lines touched before it is copied, in parts of [`PART`] bytes. The other core has
/// them still; asked for in one burst, they come in two thirds of the time that the copy's own stores would take.
const LONG: usize = 512;
/// See [`LONG`].
const PART: usize = 4096;

impl Producer<Lent> {
    /// Sends a copy of `payload`, if there is room: what loan, copy and send do in more steps. What was staged or lent is
    /// forgotten.
    ///
    /// # Errors
    ///
    /// [`LoanError`]; nothing is sent then.
    #[inline(always)]
    pub fn send_copy(&mut self, payload: &[u8], kind: u16) -> Result<(), LoanError> {
        // SAFETY: `put` calls this when it has made room for `payload.len()` bytes at that granule, and before it stores the
        // header that hands them over.
        self.put(payload.len(), kind, |mem, granule| unsafe { mem.write(granule, payload) })
    }

    /// Stages a copy of `payload`, if there is room. A loan is given back.
    ///
    /// # Errors
    ///
    /// [`LoanError`]; what was staged before stays.
    #[inline(always)]
    pub fn stage_copy(&mut self, payload: &[u8], kind: u16) -> Result<(), LoanError> {
        self.abort();
        self.make_room(payload.len())?;
        let (position, _) = self.loaned();
        // SAFETY: `make_room` has just made room for `payload.len()` bytes behind the header at that position.
        unsafe { self.mem().write(position / 8 + 1, payload) };
        self.hold_back(payload.len() as u32, kind);
        Ok(())
    }

    /// The bytes of the current loan; empty if there is none.
    ///
    /// They hold whatever was there before: write all of them, or [`trim`](Producer::trim).
    #[inline(always)]
    #[must_use]
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let (position, len) = self.loaned();
        // SAFETY: `loaned` gives 8 + len + 8 <= capacity free bytes past the consumer's position, so the slice
        // lies inside the doubled data and nobody else reads or writes it until `send` (the consumer stops at
        // the header before it, which is 0; in this process the Producer is the only one, and it is borrowed
        // mutably as long as the slice lives). Bytes are always initialised: they come from a file.
        unsafe { slice::from_raw_parts_mut(self.mem().at(position.wrapping_add(8)).as_ptr(), len as usize) }
    }

    /// The bytes of the current loan, to be read; empty if there is none.
    #[inline(always)]
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        let (position, len) = self.loaned();
        // SAFETY: as in `payload_mut`; a shared borrow of the Producer keeps others of this process from writing.
        unsafe { slice::from_raw_parts(self.mem().at(position.wrapping_add(8)).as_ptr(), len as usize) }
    }
}

impl Consumer<Lent> {
    /// The bytes of a record that was taken and not yet released.
    ///
    /// # Panics
    ///
    /// If the record was released or is another ring's.
    #[inline(always)]
    #[must_use]
    pub fn payload(&self, record: Record) -> &[u8] {
        assert!(self.holds(&record), "the record was released, or is of another ring");
        // SAFETY: `holds` says that the record lies between what was released and what was taken, and is no
        // longer than the ring: the slice lies inside the doubled data. The producer does not touch it until
        // `release`, which needs `&mut self` and so ends all these borrows first.
        unsafe {
            slice::from_raw_parts(
                self.mem().at(record.position.wrapping_add(8)).as_ptr(),
                record.len as usize,
            )
        }
    }
}

impl Follower<Lent> {
    /// Copies the payload of a record that was looked at into the beginning of `to`, as far as there is room; the copy
    /// means nothing before [`accept`](Follower::accept). Word by word: the producer may be writing there.
    #[inline]
    pub fn copy(&self, record: Record, to: &mut [u8]) {
        let (granule, _) = record.granules();
        let len = to.len().min(record.len as usize);
        for (granule, bytes) in (granule..).zip(to[..len].chunks_mut(8)) {
            // Relaxed: ordered by the fence in `accept`.
            let word = self.mem().data(granule).load(Ordering::Relaxed).to_ne_bytes();
            bytes.copy_from_slice(&word[..bytes.len()]);
        }
    }
}

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
        // SAFETY:
        // - `place` is valid for writes of a `T`, aligned, and nobody else uses it (its contract).
        // - It does not overlap `value`: nobody has a reference into a slot that is free.
        unsafe { self.place::<T>().copy_from_nonoverlapping(NonNull::from(value), 1) };
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
        self.mem().at(self.granules().0.wrapping_mul(8)).cast()
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
