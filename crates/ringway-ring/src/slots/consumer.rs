//! The receiving end.

use core::cell::Cell;

use super::{CLOSED, GRANULE, Slot, Slots};
use crate::{
    At, Corrupt, Mem, Side,
    mem::is_before,
    primitive::{Ordering, compiler_fence},
    spsc::Stores,
};

/// What comes next in a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// A message; it is the caller's until [`Consumer::release`].
    Slot(Slot),
    /// Nothing yet.
    Empty,
    /// Nothing, and the producer has closed.
    Closed,
    /// Something that no correct producer writes: see [`Consumer::corruption`]. This end is poisoned.
    Corrupt,
}

/// The consumer of a ring: see the [module](super) for the protocol.
///
/// Taking needs `&self` and releasing `&mut self`, so that several messages can be borrowed at once and none outlives
/// the release.
#[derive(Debug)]
pub struct Consumer<M> {
    mem: M,
    /// Position of the next message to take: `released <= next <= seen`.
    next: Cell<u64>,
    /// The producer's position as last seen: `seen - released <= room`. `next` before `again` and once poisoned, so that every
    /// taking looks, and finds out.
    seen: Cell<u64>,
    /// What a predecessor had taken lies before this position.
    again: u64,
    /// What the producer was told.
    released: u64,
    slots: Slots,
    poison: Cell<Option<Corrupt>>,
}

impl<M: Mem> Consumer<M> {
    /// Takes up the consuming end of a ring of messages of `size` bytes where the last one left it (a new ring: at its
    /// beginning).
    ///
    /// The caller is the only consumer: that its predecessor has stopped is the caller's to prove. What the
    /// predecessor took and did not release comes again, [marked](Self::comes_again), unless it is
    /// [passed over](Self::skip).
    ///
    /// # Errors
    ///
    /// If the positions are not what correct peers leave.
    ///
    /// # Panics
    ///
    /// If `size` is 0 or more than the capacity.
    pub fn resume(mem: M, size: u64) -> Result<Self, Corrupt> {
        let slots = Slots::new(size, mem.capacity());
        // Relaxed: only consumers write it; the caller's proof that the last one stopped carries the edge.
        let released = mem.position(Side::Consumer).load(Ordering::Relaxed);
        if released % GRANULE != 0 {
            return Err(Corrupt { at: At::ConsumerPosition, found: released });
        }
        // Relaxed: as the position.
        let again = mem.taken().load(Ordering::Relaxed);
        let (next, seen) = (Cell::new(released), Cell::new(released));
        let consumer = Self { mem, next, seen, again, released, slots, poison: Cell::new(None) };
        consumer.look();
        if let Some(corrupt) = consumer.corruption() {
            return Err(corrupt);
        }
        let held = again.wrapping_sub(released);
        if !consumer.slots.fit(held, consumer.seen.get().wrapping_sub(released)) {
            return Err(Corrupt { at: At::Taken, found: again });
        }
        if held > 0 {
            consumer.seen.set(released);
        }
        Ok(consumer)
    }

    /// Passes over what a predecessor had taken and not released: it does not come again. Says how many messages that were.
    pub fn skip(&mut self) -> u64 {
        let mut skipped = 0;
        while self.to_come_again() > 0 && matches!(self.advance(), Next::Slot(_)) {
            skipped += 1;
        }
        self.release();
        skipped
    }

    /// Whether a predecessor had taken this message, too.
    #[inline(always)]
    #[must_use]
    pub fn comes_again(&self, slot: &Slot) -> bool {
        is_before(slot.position, self.again)
    }

    /// Messages from here on that a predecessor had taken.
    #[inline]
    #[must_use]
    pub fn to_come_again(&self) -> u64 {
        let next = self.next.get();
        if is_before(next, self.again) { self.again.wrapping_sub(next) / self.slots.stride } else { 0 }
    }

    /// Takes the next message, if there is one.
    #[inline(always)]
    pub fn advance(&self) -> Next {
        let position = self.next.get();
        let slot = Slot { position, stride: self.slots.stride };
        let next = position.wrapping_add(slot.stride);
        if position == self.seen.get() {
            if is_before(position, self.again) && self.was_taken(next) {
                self.own(slot);
                return Next::Slot(self.take(slot, next));
            }
            let found = self.look();
            if position == self.seen.get() {
                return self.nothing(found);
            }
        }
        self.own(slot);
        // Relaxed: for a successor, whose proof that this one stopped carries the edge.
        self.mem.taken().store(next, Ordering::Relaxed);
        // Nobody reads it before that was said.
        compiler_fence();
        Next::Slot(self.take(slot, next))
    }

    /// The next message, if there is one that nobody had taken; it is not taken. If there is none, [`advance`](Self::advance)
    /// may still have one, or says why not.
    #[inline(always)]
    #[must_use]
    pub fn peek(&self) -> Option<Slot> {
        let position = self.next.get();
        if position == self.seen.get() {
            if is_before(position, self.again) {
                return None;
            }
            self.look();
        }
        (position != self.seen.get()).then_some(Slot { position, stride: self.slots.stride })
    }

    /// Takes a large slot's lines over: see [`Mem::own`].
    #[inline(always)]
    fn own(&self, slot: Slot) {
        // What was written past the caches is no core's, and better left clean.
        if slot.stride >= M::OWNED.start && Stores::of(slot.stride, &self.mem) != Stores::Streaming {
            let (granule, count) = slot.granules();
            self.mem.own(granule, count);
        }
    }

    /// Goes on behind a slot, to `next`; it is the caller's now.
    #[inline(always)]
    fn take(&self, slot: Slot, next: u64) -> Slot {
        self.next.set(next);
        let (granule, count) = slot.granules();
        self.mem.reading(granule, count);
        slot
    }

    /// Goes on to `next`, the end of a message that a predecessor had taken: that is said already, of it and of those that
    /// follow. Not if this end is poisoned.
    // What is out of line gives no slot: one that came from there would have to lie in memory.
    #[cold]
    #[inline(never)]
    fn was_taken(&self, next: u64) -> bool {
        let good = self.poison.get().is_none();
        if good {
            self.seen.set(next);
        }
        good
    }

    /// Looks how far the producer is, and says what its word holds.
    #[inline(always)]
    fn look(&self) -> u64 {
        // Acquire: pairs with the Release in `Producer::tell`: the messages before it, and what came before closing.
        let found = self.mem.position(Side::Producer).load(Ordering::Acquire);
        let seen = self.seen.get();
        let most = self.slots.room - seen.wrapping_sub(self.released);
        let tail = found & !CLOSED;
        if tail != seen {
            if self.slots.fit(tail.wrapping_sub(seen), most) && self.poison.get().is_none() {
                self.seen.set(tail);
            } else {
                self.reject(found);
            }
        }
        found
    }

    #[cold]
    #[inline(never)]
    fn reject(&self, found: u64) {
        if self.poison.get().is_none() {
            self.poison.set(Some(Corrupt { at: At::ProducerPosition, found }));
        }
        self.seen.set(self.next.get());
    }

    /// Why there is nothing, as the producer's word has it.
    #[inline(always)]
    fn nothing(&self, found: u64) -> Next {
        match (self.poison.get(), found & CLOSED) {
            (Some(_), _) => Next::Corrupt,
            (None, 0) => Next::Empty,
            (None, _) => Next::Closed,
        }
    }

    /// What poisoned this end, if anything did.
    #[must_use]
    pub fn corruption(&self) -> Option<Corrupt> {
        self.poison.get()
    }

    /// Un-takes a message that was not released, and all taken after it: they come again.
    #[inline(always)]
    pub fn put_back(&mut self, slot: Slot) {
        if self.holds(&slot) {
            let again = self.comes_again(&slot);
            let taken = if again { self.again } else { slot.position };
            // The reading comes before.
            compiler_fence();
            // Relaxed: as in `advance`.
            self.mem.taken().store(taken, Ordering::Relaxed);
            self.next.set(slot.position);
            if again || self.poison.get().is_some() {
                self.seen.set(slot.position);
            }
        }
    }

    /// Gives all messages taken so far back to the producer.
    #[inline(always)]
    pub fn release(&mut self) {
        let next = self.next.get();
        if next != self.released {
            // Release: pairs with the Acquire in `Producer::refresh` and `resume`: our reads come before the
            // producer's overwriting.
            self.mem.position(Side::Consumer).store(next, Ordering::Release);
            self.released = next;
        }
    }

    /// How far this end has come, in bytes since the ring's birth.
    #[inline(always)]
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next.get()
    }

    /// Whether a message or a *closed* is there; takes nothing.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let next = self.next.get();
        // Relaxed: only an answer; `advance` takes the edge.
        next == self.seen.get() && self.mem.position(Side::Producer).load(Ordering::Relaxed) == next
    }

    /// Whether the next thing is the producer's *closed*.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let next = self.next.get();
        // Relaxed: only an answer.
        next == self.seen.get() && self.mem.position(Side::Producer).load(Ordering::Relaxed) == next | CLOSED
    }

    /// Messages that were sent and not taken yet. It may be more by now.
    #[must_use]
    pub fn pending(&self) -> u64 {
        // Relaxed: a hint; a position that is not possible counts as nothing pending.
        let tail = self.mem.position(Side::Producer).load(Ordering::Relaxed) & !CLOSED;
        let pending = tail.wrapping_sub(self.next.get());
        if pending <= self.slots.room { pending / self.slots.stride } else { 0 }
    }

    /// Whether a message was taken here and not released yet.
    #[inline(always)]
    #[must_use]
    pub fn holds(&self, slot: &Slot) -> bool {
        let held = self.next.get().wrapping_sub(self.released);
        let from = slot.position.wrapping_sub(self.released);
        slot.stride == self.slots.stride && from < held && slot.stride <= held - from
    }

    /// How many messages the ring has room for.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.slots.room / self.slots.stride
    }

    /// Bytes of a message.
    #[inline(always)]
    #[must_use]
    pub fn size(&self) -> u64 {
        self.slots.size
    }

    /// The memory.
    #[inline(always)]
    pub fn mem(&self) -> &M {
        &self.mem
    }
}
