//! Production memory: the one room of this crate with unsafe code.
//!
//! Three rules keep it sound.
//! 1. Shared words are only ever touched as [`Word`]s (atomics of their full size).
//! 2. Payload becomes a slice only while the protocol says that one side alone owns those bytes: the producer
//!    between `loan` and `send`, the consumer between `advance` and `release` (it stores what is there, see [`Mem::own`], before
//!    that: un-taking a record needs `&mut`, so that no slice of it is left when it is taken again). That the *other process* keeps
//!    to the protocol is what trust level *shared* means; that the position and length of every slice stay
//!    inside the memory is checked here and now, whatever the other process writes.
//! 3. A [`Follower`] copies words that the producer may be writing at that moment, and throws the copy away if it was.
//!    Between processes that is the hardware's business. Between two threads of one process the language has no word for
//!    it (the producer's stores are plain): it is left to the machine there, as with every seqlock over plain memory.
#![allow(unsafe_code)]

use core::{fmt, ptr::NonNull, slice};

use crate::{
    Mem, Progress, Side,
    primitive::{Ordering, Word},
    spsc::{Consumer, Follower, LoanError, Producer, Record, Stores},
};

mod copy;
mod fetch;
mod queue;
mod slots;

pub use queue::{Extent, Lends, LentPool, Places};
pub use slots::Value;

/// Where the control words of a ring lie.
#[derive(Debug, Clone, Copy)]
pub struct Controls {
    /// The producer's position.
    pub producer: NonNull<u64>,
    /// The consumer's position.
    pub consumer: NonNull<u64>,
    /// See [`Mem::taken`].
    pub taken: NonNull<u64>,
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

    /// Address of a granule; its first byte and the `capacity` bytes that follow are inside `data`.
    #[inline(always)]
    fn granule(&self, granule: u64) -> NonNull<u8> {
        self.at(granule.wrapping_mul(8))
    }

    /// Address of the byte at a position; that byte and the `capacity` bytes that follow are inside `data`.
    #[inline(always)]
    fn at(&self, position: u64) -> NonNull<u8> {
        // SAFETY: position & mask < capacity, and `data` is valid for 2 * capacity bytes.
        unsafe { self.data.add((position & self.mask) as usize) }
    }

    /// Where the payload begins whose header is at this granule. Of the `capacity` bytes from the header on, all are
    /// inside `data`.
    ///
    /// Found by way of the header: whoever stores that, too, has its address already.
    #[inline(always)]
    fn behind(&self, header: u64) -> NonNull<u8> {
        // SAFETY: 8 is no more than `capacity`, and `granule` gives an address with so many bytes behind it.
        unsafe { self.granule(header).add(8) }
    }
}

impl Lent {
    /// Copies a payload to where there was made room for it.
    ///
    /// # Safety
    ///
    /// From `granule` on, `payload.len()` bytes are free, with 8 no more than the ring has, and nobody else reads or writes
    /// them before they are handed over.
    #[inline(always)]
    unsafe fn write(&self, granule: u64, payload: &[u8], stores: Stores) {
        // SAFETY:
        // - The place is aligned to 8, as `data` is and granules are 8 bytes. It lies inside the doubled data with all of the
        //   payload (`behind`), and its bytes are initialised: they come from a file. Nobody else uses them (contract).
        // - It does not overlap `payload`: nobody in this process has a reference into free bytes of a ring (contract of
        //   `Lent::new`, and a Producer is borrowed mutably).
        unsafe { copy::into(self.behind(granule.wrapping_sub(1)), payload, stores) };
    }
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
        // SAFETY: `granule` gives an address inside `data`; it is aligned, as `data` is and granules are 8 bytes;
        // `Word` is a transparent atomic u64 for which every bit pattern is valid. While the granule serves as
        // a header it is accessed through `Word` only; when it serves as payload the protocol's happens-before
        // edges lie between (see `spsc`).
        unsafe { self.granule(granule).cast::<Word>().as_ref() }
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

    #[inline(always)]
    fn taken(&self) -> &Word {
        // SAFETY: valid, aligned and only used atomically: contract of `new`.
        unsafe { self.controls.taken.cast::<Word>().as_ref() }
    }

    #[inline]
    fn clear(&self, granule: u64, count: u64) {
        assert!(count <= self.capacity() / 8, "not more than the ring");
        // SAFETY: `granule` gives an address inside `data` with `capacity` bytes behind it, and `count` granules are no more.
        // Nobody else uses them (contract of the trait): they are free for the producer, as for a payload.
        unsafe { self.granule(granule).as_ptr().write_bytes(0, count as usize * 8) };
    }
}

impl Producer<Lent> {
    /// Sends a copy of `payload`, if there is room: what loan, copy and send do in more steps. What was staged or lent is
    /// forgotten.
    ///
    /// # Errors
    ///
    /// [`LoanError`]; nothing is sent then.
    #[inline(always)]
    pub fn send_copy(&mut self, payload: &[u8], kind: u16) -> Result<(), LoanError> {
        self.put(payload.len(), kind, |mem, granule, stores| {
            // SAFETY: `put` calls this when it has made room for `payload.len()` bytes at that granule, and before it stores
            // the header that hands them over.
            unsafe { mem.write(granule, payload, stores) }
        })
    }

    /// Stages one more copy, as [`append`](Producer::append) does. Says whether it did.
    #[inline(always)]
    pub fn append_copy(&mut self, payload: &[u8], kind: u16) -> bool {
        self.append(payload.len(), kind, |mem, granule, stores| {
            // SAFETY: `append` calls this when there is room for `payload.len()` bytes at that granule, with their header, and
            // before anything hands them over.
            unsafe { mem.write(granule, payload, stores) }
        })
    }

    /// Stages a copy of `payload`, if there is room. A loan is given back.
    ///
    /// # Errors
    ///
    /// [`LoanError`]; what was staged before stays.
    #[inline(always)]
    pub fn stage_copy(&mut self, payload: &[u8], kind: u16) -> Result<(), LoanError> {
        self.stage_with(payload.len(), kind, |mem, granule, stores| {
            // SAFETY: `stage_with` calls this when it has made room for `payload.len()` bytes at that granule, and before
            // anything hands them over.
            unsafe { mem.write(granule, payload, stores) }
        })
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
        unsafe { slice::from_raw_parts_mut(self.mem().behind(position / 8).as_ptr(), len as usize) }
    }

    /// The bytes of the current loan, to be read; empty if there is none.
    #[inline(always)]
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        let (position, len) = self.loaned();
        // SAFETY: as in `payload_mut`; a shared borrow of the Producer keeps others of this process from writing.
        unsafe { slice::from_raw_parts(self.mem().behind(position / 8).as_ptr(), len as usize) }
    }
}

impl Consumer<Lent> {
    /// Takes the next record, if there is one, with its payload: what [`advance`](Consumer::advance) and
    /// [`payload`](Self::payload) do in more steps. If there is none, `advance` says why.
    #[inline(always)]
    #[must_use]
    pub fn read(&self) -> Option<(Record, &[u8])> {
        // Found together with the header's place; behind `advance` it would have to be found anew.
        let place = self.mem().behind(self.position() / 8);
        let record = match self.take_new() {
            Some(record) => record,
            None => self.advance_slowly()?,
        };
        // SAFETY: it was taken just now, from the position that this end was at, and `release` needs `&mut self`.
        Some((record, unsafe { slice(place, record) }))
    }

    /// The bytes of a record that was taken and not yet released.
    ///
    /// # Panics
    ///
    /// If the record was released or is another ring's.
    #[inline(always)]
    #[must_use]
    pub fn payload(&self, record: Record) -> &[u8] {
        assert!(self.holds(&record), "the record was released, or is of another ring");
        // SAFETY: `holds` says that it was taken; `release` needs `&mut self`.
        unsafe { slice(self.mem().behind(record.position / 8), record) }
    }
}

/// # Safety
///
/// `place` is where the record's payload begins. The record was taken from a consumer and is not released while the slice
/// lives.
#[inline(always)]
unsafe fn slice<'a>(place: NonNull<u8>, record: Record) -> &'a [u8] {
    // SAFETY: a record that was taken lies, header and all, between what was released and what was taken, and is
    // shorter than the ring: the slice lies inside the doubled data. The producer does not touch it until it is released
    // (contract).
    unsafe { slice::from_raw_parts(place.as_ptr(), record.len as usize) }
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
