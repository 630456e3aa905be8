//! The sending end.

use core::fmt;

use super::{Header, max_payload, record, record::GRANULE};
use crate::{
    At, Corrupt, Mem, Side,
    primitive::{Ordering, compiler_fence},
};

/// Why there is no loan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoanError {
    /// Not enough room until the consumer releases something.
    Full,
    /// There will never be room: longer than [`max_payload`] of the ring's capacity.
    TooLong,
    /// The consumer's position is impossible: see [`Producer::corruption`]. This end is poisoned.
    Corrupt,
}

impl fmt::Display for LoanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the ring is full"),
            Self::TooLong => f.write_str("the message is larger than the ring"),
            Self::Corrupt => f.write_str("the consumer's position is impossible"),
        }
    }
}

impl core::error::Error for LoanError {}

/// How many lines of a long record are reached for ahead.
const LINES: u64 = 4;

/// The producer of a ring: see the [module](super) for the protocol.
#[derive(Debug)]
pub struct Producer<M> {
    mem: M,
    /// End of what the consumer can see: the header there is 0. A multiple of 8.
    published: u64,
    /// Where the next record goes: `published` plus what is staged.
    next: u64,
    /// The consumer's position as last seen: `published - seen <= capacity`.
    seen: u64,
    /// `mem.capacity()`, or 0 once poisoned, so that every loan takes the slow way and finds out.
    capacity: u64,
    /// Header of the first staged record, which is held back.
    first: u64,
    /// The current loan: bytes of payload, at `next`.
    loan: Option<u32>,
    /// All granules from `next` up to here are 0; of those inside the current loan it is what its owner makes of
    /// them. `next + 8` at least.
    cleared: u64,
    poison: Option<Corrupt>,
}

impl<M: Mem> Producer<M> {
    /// Takes up the producing end of a ring where the last one left it (a new ring: at its beginning).
    ///
    /// The caller is the only producer: that its predecessor has stopped is the caller's to prove. A ring that
    /// was closed is open again.
    ///
    /// # Errors
    ///
    /// If the chain of records or the consumer's position is not what a correct peer leaves.
    pub fn resume(mem: M) -> Result<Self, Corrupt> {
        let capacity = mem.capacity();
        // Acquire: pairs with the Release in `Consumer::release`. What lies before was read to the end.
        let seen = mem.position(Side::Consumer).load(Ordering::Acquire);
        if seen % GRANULE != 0 {
            return Err(Corrupt { at: At::ConsumerPosition, found: seen });
        }
        let mut end = seen;
        loop {
            // Relaxed: the predecessor's stores happen before our start; the caller's proof that it has
            // stopped carries the edge.
            let word = mem.data(end / GRANULE).load(Ordering::Relaxed);
            match Header::decode(word) {
                Header::Empty => break,
                Header::Closed => {
                    // Relaxed: a consumer that sees 0 has learnt nothing that it could act upon.
                    mem.data(end / GRANULE).store(Header::EMPTY, Ordering::Relaxed);
                    break;
                }
                Header::Record { len, .. } => {
                    let size = record::size(len);
                    // The end's 8 bytes must be in the ring, too.
                    if end.wrapping_sub(seen) + size + GRANULE > capacity {
                        return Err(Corrupt { at: At::Header { position: end }, found: word });
                    }
                    end = end.wrapping_add(size);
                }
                Header::Unknown => return Err(Corrupt { at: At::Header { position: end }, found: word }),
            }
        }
        // Relaxed: a hint, see `publish`.
        mem.position(Side::Producer).store(end, Ordering::Relaxed);
        let cleared = end.wrapping_add(GRANULE);
        Ok(Self {
            mem,
            published: end,
            next: end,
            seen,
            capacity,
            first: 0,
            loan: None,
            cleared,
            poison: None,
        })
    }

    /// Loans room for a payload of `len` bytes after what is staged, instead of any loan there was.
    ///
    /// # Errors
    ///
    /// [`LoanError`]; then there is no loan.
    #[inline(always)]
    pub fn loan(&mut self, len: usize) -> Result<(), LoanError> {
        self.abort();
        if !self.fits(len) {
            self.refresh(len)?;
        }
        let len = len as u32;
        self.loan = Some(len);
        let end = self.next.wrapping_add(record::size(len));
        if end.wrapping_sub(self.next) >= self.cleared.wrapping_sub(self.next) {
            self.clear(end);
            self.cleared = end.wrapping_add(GRANULE);
        }
        self.mem.writing(self.next / GRANULE + 1, record::size(len) / GRANULE - 1);
        Ok(())
    }

    /// Stores 0 where a header may go.
    #[inline(always)]
    fn clear(&self, position: u64) {
        self.mem.writing(position / GRANULE, 1);
        // Relaxed: ordered by the Release of the header in `publish` that leads there.
        self.mem.data(position / GRANULE).store(Header::EMPTY, Ordering::Relaxed);
    }

    /// Writes to the lines where the next record will go, if that is as large as the last, as far as they are free.
    ///
    /// The consumer's core still has copies of them, from a lap ago or fetched on speculation, and has to give
    /// them up before anything can be stored there. Done right after a publication, nobody waits for that; done
    /// by the next record's own stores it would cost that one a transfer between the cores more.
    ///
    /// What is written is 0, so it can serve as the 0 that ends the chain. Where several records share a line the
    /// whole next line is cleared, and most records then find theirs.
    #[inline(always)]
    fn reach_ahead(&mut self, last: u64) {
        // Counted from `seen`, so that positions may wrap.
        let next = self.next.wrapping_sub(self.seen);
        let next_line = (self.next | (M::LINE - 1)).wrapping_add(1).wrapping_sub(self.seen);
        if last <= M::LINE / 2 {
            let end = (next_line + M::LINE).min(self.capacity);
            let mut at = self.cleared.wrapping_sub(self.seen);
            if at < end {
                while at < end {
                    self.clear(self.seen.wrapping_add(at));
                    at += GRANULE;
                }
                self.cleared = self.seen.wrapping_add(at);
            }
        } else {
            let end = (next + last.min(LINES * M::LINE) + GRANULE).min(self.capacity);
            let mut at = next_line;
            while at < end {
                self.clear(self.seen.wrapping_add(at));
                at += M::LINE;
            }
        }
        // The next payload may come over these stores through the second image, where the compiler does not see that
        // it does: see "The races".
        compiler_fence();
    }

    /// Whether record and reserved end are free as far as is known.
    #[inline(always)]
    fn fits(&self, len: usize) -> bool {
        let Ok(len) = u32::try_from(len) else { return false };
        // `next - seen` is at most the largest capacity: no overflow.
        self.next.wrapping_sub(self.seen) + record::size(len) + GRANULE <= self.capacity
    }

    /// Looks how far the consumer is.
    #[cold]
    #[inline(never)]
    fn refresh(&mut self, len: usize) -> Result<(), LoanError> {
        if self.poison.is_some() {
            return Err(LoanError::Corrupt);
        }
        if len as u64 > max_payload(self.capacity) {
            return Err(LoanError::TooLong);
        }
        // Acquire: pairs with the Release in `Consumer::release`; its reads come before our overwriting.
        let found = self.mem.position(Side::Consumer).load(Ordering::Acquire);
        let moved = found.wrapping_sub(self.seen);
        if found % GRANULE != 0 || moved > self.published.wrapping_sub(self.seen) {
            self.poison = Some(Corrupt { at: At::ConsumerPosition, found });
            self.capacity = 0;
            return Err(LoanError::Corrupt);
        }
        // Header stores of a lap ago come before plain stores to the same bytes: see "The races".
        compiler_fence();
        self.seen = found;
        if self.fits(len) { Ok(()) } else { Err(LoanError::Full) }
    }

    /// What poisoned this end, if anything did.
    #[must_use]
    pub fn corruption(&self) -> Option<Corrupt> {
        self.poison
    }

    /// Shortens the current loan to `len` bytes; longer than it is, it stays as it is.
    #[inline]
    pub fn trim(&mut self, len: usize) {
        if self.loan.is_some_and(|loan| len < loan as usize) {
            let len = len as u32;
            self.loan = Some(len);
            // What is cut off may hold plain stores, and the next header goes there: see "The races".
            compiler_fence();
            let end = self.next.wrapping_add(record::size(len));
            self.clear(end);
            self.cleared = end.wrapping_add(GRANULE);
        }
    }

    /// Gives the current loan back; nobody will see what was written to it. Staged records stay.
    #[inline(always)]
    pub fn abort(&mut self) {
        if self.loan.take().is_some() {
            // Its plain stores come before header stores to the same bytes: see "The races".
            compiler_fence();
            self.cleared = self.next.wrapping_add(GRANULE);
        }
    }

    /// Sends the current loan, if there is one, and what was staged before.
    #[inline(always)]
    pub fn send(&mut self, kind: u16) {
        self.stage(kind);
        self.publish();
    }

    /// Puts the current loan, if there is one, behind what is staged; the consumer sees nothing of it before
    /// [`publish`](Self::publish).
    #[inline(always)]
    pub fn stage(&mut self, kind: u16) {
        let Some(len) = self.loan.take() else { return };
        let header = Header::record(len, kind);
        if self.next == self.published {
            self.first = header;
        } else {
            self.mem.writing(self.next / GRANULE, 1);
            // Relaxed: ordered by the Release of the first header in `publish`.
            self.mem.data(self.next / GRANULE).store(header, Ordering::Relaxed);
        }
        self.next = self.next.wrapping_add(record::size(len));
    }

    /// Makes all that is staged visible at once.
    #[inline(always)]
    pub fn publish(&mut self) {
        if self.next == self.published {
            return;
        }
        self.mem.writing(self.published / GRANULE, 1);
        // Release: pairs with the Acquire in `Consumer::advance`: payload, later headers of a batch, and the 0 at
        // the end of it all. This is the commit.
        self.mem.data(self.published / GRANULE).store(self.first, Ordering::Release);
        let size = self.next.wrapping_sub(self.published);
        self.published = self.next;
        // Relaxed: a hint for observers; nobody takes an edge from it.
        self.mem.position(Side::Producer).store(self.next, Ordering::Relaxed);
        self.reach_ahead(size);
    }

    /// Forgets what is staged and the current loan.
    #[inline]
    pub fn discard(&mut self) {
        self.abort();
        if self.next != self.published {
            self.next = self.published;
            // As in `abort`.
            compiler_fence();
            self.cleared = self.next.wrapping_add(GRANULE);
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
        if let Some(corrupt) = self.poison {
            return Err(corrupt);
        }
        // Release: pairs with the Acquire in `Consumer::advance`: closed is seen after all that was sent.
        self.mem.data(self.published / GRANULE).store(Header::CLOSED, Ordering::Release);
        Ok(())
    }

    /// Bytes, headers included, that the consumer has not released yet. It may be less by now.
    #[must_use]
    pub fn pending(&self) -> u64 {
        // Relaxed: a hint; a position that is not possible counts as nothing pending.
        let position = self.mem.position(Side::Consumer).load(Ordering::Relaxed);
        let pending = self.published.wrapping_sub(position);
        if pending <= self.mem.capacity() { pending } else { 0 }
    }

    /// The memory.
    #[inline(always)]
    pub fn mem(&self) -> &M {
        &self.mem
    }

    /// Where the current loan's header goes, and the bytes of its payload: free as long as the loan lasts.
    #[inline(always)]
    pub fn loaned(&self) -> (u64, u32) {
        (self.next, self.loan.unwrap_or(0))
    }
}
