//! The sending end.

use core::fmt;

use super::{CLOSED, GRANULE, Slots};
use crate::{
    At, Corrupt, Mem, Side,
    primitive::{Ordering, compiler_fence},
};

/// Why there is no loan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoanError {
    /// No slot is free until the consumer releases something.
    Full,
    /// The consumer's position is impossible: see [`Producer::corruption`]. This end is poisoned.
    Corrupt,
}

impl fmt::Display for LoanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the ring is full",
            Self::Corrupt => "the consumer's position is impossible",
        })
    }
}

impl core::error::Error for LoanError {}

/// Lines whose slots are taken at once.
const LINES: u64 = 8;

/// The producer of a ring: see the [module](super) for the protocol.
#[derive(Debug)]
pub struct Producer<M> {
    mem: M,
    /// Where the next message goes. What the consumer can see ends `staged` before it.
    next: u64,
    /// All slots before this are free, and their lines are here: `next <= limit <= seen + room`. `next` once poisoned, so that
    /// every loan takes the slow way and finds out.
    limit: u64,
    /// Bytes of staged messages.
    staged: u64,
    /// The consumer's position as last seen.
    seen: u64,
    /// Bytes of the slots that are taken at once.
    burst: u64,
    slots: Slots,
    poison: Option<Corrupt>,
}

impl<M: Mem> Producer<M> {
    /// Takes up the producing end of a ring of messages of `size` bytes where the last one left it (a new ring: at its
    /// beginning).
    ///
    /// The caller is the only producer: that its predecessor has stopped is the caller's to prove. A ring that
    /// was closed is open again.
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
        // Relaxed: only producers write it; the caller's proof that the last one stopped carries the edge.
        let found = mem.position(Side::Producer).load(Ordering::Relaxed);
        let next = found & !CLOSED;
        if next % GRANULE != 0 {
            return Err(Corrupt { at: At::ProducerPosition, found });
        }
        // Acquire: pairs with the Release in `Consumer::release`: its reads come before our overwriting.
        let seen = mem.position(Side::Consumer).load(Ordering::Acquire);
        if !slots.fit(next.wrapping_sub(seen), slots.room) {
            return Err(Corrupt { at: At::ConsumerPosition, found: seen });
        }
        let burst = (LINES * M::LINE).next_multiple_of(slots.stride);
        let producer = Self { mem, next, limit: next, staged: 0, seen, burst, slots, poison: None };
        producer.tell(next);
        Ok(producer)
    }

    /// Publishes all before `tail`.
    #[inline(always)]
    fn tell(&self, tail: u64) {
        // Release: pairs with the Acquire in `Consumer::look`: the messages, of a predecessor, too. This is the commit.
        self.mem.position(Side::Producer).store(tail, Ordering::Release);
    }

    /// Loans the slot after what is staged: [`granules`](Self::granules). A loan that is neither staged nor sent is given
    /// back by doing nothing.
    ///
    /// # Errors
    ///
    /// [`LoanError`]
    #[inline(always)]
    pub fn loan(&mut self) -> Result<(), LoanError> {
        if self.next == self.limit {
            self.refresh()?;
        }
        let (granule, count) = self.granules();
        self.mem.writing(granule, count);
        Ok(())
    }

    /// Takes more slots; looks at the consumer if none is known to be free.
    #[cold]
    #[inline(never)]
    fn refresh(&mut self) -> Result<(), LoanError> {
        if self.poison.is_some() {
            return Err(LoanError::Corrupt);
        }
        if self.free() == 0 {
            // Acquire: pairs with the Release in `Consumer::release`; its reads come before our overwriting.
            let found = self.mem.position(Side::Consumer).load(Ordering::Acquire);
            if !self.slots.fit(found.wrapping_sub(self.seen), self.position().wrapping_sub(self.seen)) {
                self.poison = Some(Corrupt { at: At::ConsumerPosition, found });
                return Err(LoanError::Corrupt);
            }
            self.seen = found;
        }
        self.reach_ahead();
        if self.next == self.limit { Err(LoanError::Full) } else { Ok(()) }
    }

    /// Bytes that are known to be free from `next` on: a multiple of the stride.
    #[inline(always)]
    fn free(&self) -> u64 {
        self.slots.room - self.next.wrapping_sub(self.seen)
    }

    /// Takes some of the slots that are known to be free, and has their lines come here.
    #[inline(never)]
    fn reach_ahead(&mut self) {
        let ahead = self.burst.min(self.free());
        // Plain stores of a lap ago come before these, and these before plain stores to come: see "The races".
        compiler_fence();
        let first = self.next.wrapping_add(M::LINE - 1) & !(M::LINE - 1);
        let mut at = first.wrapping_sub(self.next);
        while at < ahead.min(LINES * M::LINE) {
            let granule = self.next.wrapping_add(at) / GRANULE;
            self.mem.writing(granule, 1);
            // Relaxed: nobody reads it.
            self.mem.data(granule).store(0, Ordering::Relaxed);
            at += M::LINE;
        }
        compiler_fence();
        self.limit = self.next.wrapping_add(ahead);
    }

    /// What poisoned this end, if anything did.
    #[must_use]
    pub fn corruption(&self) -> Option<Corrupt> {
        self.poison
    }

    /// Puts the loaned slot behind what is staged; the consumer sees nothing of it before [`publish`](Self::publish).
    ///
    /// What was not written in it is what it held before.
    #[inline(always)]
    pub fn stage(&mut self) {
        // Without a loan there may be no slot.
        if self.next != self.limit {
            self.next = self.next.wrapping_add(self.slots.stride);
            self.staged += self.slots.stride;
        }
    }

    /// Makes all that is staged visible at once.
    #[inline(always)]
    pub fn publish(&mut self) {
        if self.staged != 0 {
            self.staged = 0;
            self.commit();
        }
    }

    /// Sends the loaned slot, and what was staged before.
    #[inline(always)]
    pub fn send(&mut self) {
        if self.staged != 0 {
            self.staged = 0;
        }
        if self.next != self.limit {
            self.next = self.next.wrapping_add(self.slots.stride);
        }
        self.commit();
    }

    #[inline(always)]
    fn commit(&mut self) {
        self.tell(self.next);
        if self.next == self.limit && self.poison.is_none() {
            self.reach_ahead();
        }
    }

    /// Forgets what is staged.
    #[inline(always)]
    pub fn discard(&mut self) {
        if self.staged != 0 {
            self.forget_staged();
        }
    }

    #[cold]
    #[inline(never)]
    fn forget_staged(&mut self) {
        self.next = self.next.wrapping_sub(self.staged);
        self.staged = 0;
        if self.poison.is_some() {
            self.limit = self.next;
        }
    }

    /// Forgets what is staged and tells the consumer that nothing more will come.
    ///
    /// A later [`resume`](Self::resume) opens the ring again.
    ///
    /// # Errors
    ///
    /// If this end is poisoned; then the ring is left alone.
    pub fn close(&mut self) -> Result<(), Corrupt> {
        self.discard();
        match self.poison {
            Some(corrupt) => Err(corrupt),
            None => {
                self.tell(self.next | CLOSED);
                Ok(())
            }
        }
    }

    /// Messages that the consumer has not released yet. It may be less by now.
    #[must_use]
    pub fn pending(&self) -> u64 {
        // Relaxed: a hint; a position that is not possible counts as nothing pending.
        let head = self.mem.position(Side::Consumer).load(Ordering::Relaxed);
        let pending = self.position().wrapping_sub(head);
        if pending <= self.slots.room { pending / self.slots.stride } else { 0 }
    }

    /// How far this end has come, in bytes since the ring's birth.
    #[inline]
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next.wrapping_sub(self.staged)
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

    /// First granule of the slot that is loaned next, or is on loan, and how many there are.
    #[inline(always)]
    #[must_use]
    pub fn granules(&self) -> (u64, u64) {
        (self.next / GRANULE, self.slots.stride / GRANULE)
    }

    /// Whether the slot at [`granules`](Self::granules) is free.
    #[inline(always)]
    #[must_use]
    pub fn is_lent(&self) -> bool {
        self.next != self.limit
    }

    /// The memory.
    #[inline(always)]
    pub fn mem(&self) -> &M {
        &self.mem
    }
}
