//! The sending end.

use core::{fmt, mem};

use super::{Header, Keep, max_payload, record, record::GRANULE};
use crate::{
    At, Corrupt, Mem, Progress, Side,
    primitive::{Ordering, compiler_fence, fence},
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

/// Records of at most so many lines have the lines after them cleared, longer ones have them touched.
const SHORT: u64 = 2;
/// Lines that are cleared at once beyond the next short record.
const CLEARED: u64 = 4;
/// Lines that are touched at once beyond the next long record.
const TOUCHED: u64 = 16;
/// Parts of the ring; so much is claimed at once.
const PARTS: u64 = 16;

/// Records of so many lines have theirs touched once more, in one burst,
const LONG: u64 = 8;
/// and of so many not at all, nor what comes after them.
const HUGE: u64 = 64;

/// Records of so many bytes
const BULK: u64 = 16 << 10;
/// in rings of so many, which no cache holds until they come round, are written past the caches, like those that are larger than
/// what consumers take over.
const VAST: u64 = 16 << 20;

/// How a payload is best stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stores {
    /// As always.
    Plain,
    /// As always, once something was stored to each of its lines, so that their transfers overlap.
    Touching,
    /// Past the caches, with streaming ("non-temporal") stores: for what is so large that the consumer does not
    /// [take its lines over](Mem::own), and taking them back from its core, one after the other, is dearer than having it
    /// fetch them from memory. No order holds for such stores but that which their writer makes.
    Streaming,
}

impl Stores {
    /// The best for a payload that takes `size` bytes of the ring.
    #[inline(always)]
    pub(crate) fn of<M: Mem>(size: u64, mem: &M) -> Self {
        Self::within::<M>(size, mem.capacity())
    }

    /// The same, of memory of so many bytes.
    #[inline(always)]
    pub(crate) fn within<M: Mem>(size: u64, capacity: u64) -> Self {
        if size < LONG * M::LINE {
            Self::Plain
        } else if size < HUGE * M::LINE {
            Self::Touching
        } else if size >= M::OWNED.end || size >= BULK && capacity >= VAST {
            Self::Streaming
        } else {
            Self::Plain
        }
    }
}

/// The producer of a ring: see the [module](super) for the protocol.
#[derive(Debug)]
pub struct Producer<M> {
    mem: M,
    /// Where the next record goes. A multiple of 8. Unless something is staged, what the consumer can see ends here, and the
    /// header is 0.
    next: u64,
    /// All granules from `next` up to here are 0; of those inside the current loan it is what its owner makes of
    /// them. `next + 8` at least, if nothing is staged.
    cleared: u64,
    /// All before this is free and claimed: `next <= limit <= claim`. `next` once poisoned, so that every loan takes the
    /// slow way and finds out.
    limit: u64,
    /// Records published since the ring's birth, and those that are staged.
    sent: u64,
    /// The last line that was touched ahead; it may lie before `next`.
    touched: u64,
    /// Header of the first staged record, which is not stored yet; 0, which is no record's, if nothing is staged.
    first: u64,
    /// If something is staged: where it begins, that is the end of what the consumer can see,
    from: u64,
    /// and `sent` without it.
    sent_before: u64,
    /// Bytes that [`append`](Self::append) may use: those up to `limit`; 0 if nothing is staged or there is a loan.
    room: u64,
    /// The current loan: bytes of payload, at `next`.
    loan: Option<u32>,
    /// What the claim word says.
    claim: u64,
    /// What must not be overwritten.
    keep: Keep,
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
        // Acquire: pairs with the Release in `Consumer::release`. What lies before was read to the end.
        let seen = mem.position(Side::Consumer).load(Ordering::Acquire);
        Self::resume_from(mem, seen, Corrupt { at: At::ConsumerPosition, found: seen }, Keep::unread(seen))
    }

    /// [`resume`](Self::resume) for a ring whose producer never waits: what is oldest is overwritten, read or not. Its
    /// messages are read by a [`Follower`](super::Follower).
    ///
    /// # Errors
    ///
    /// If the chain of records or the position of the oldest one is not what a correct producer leaves.
    pub fn resume_overwriting(mem: M) -> Result<Self, Corrupt> {
        // Relaxed: only producers write it; the caller's proof that the last one stopped carries the edge.
        let oldest = mem.progress(Progress::Oldest).load(Ordering::Relaxed);
        Self::resume_from(mem, oldest, Corrupt { at: At::Oldest, found: oldest }, Keep::newest(oldest))
    }

    /// `impossible`: what to say if `start` is no position.
    fn resume_from(mem: M, start: u64, impossible: Corrupt, mut keep: Keep) -> Result<Self, Corrupt> {
        if start % GRANULE != 0 {
            return Err(impossible);
        }
        let capacity = mem.capacity();
        let mut end = start;
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
                    if end.wrapping_sub(start) + size + GRANULE > capacity {
                        return Err(Corrupt { at: At::Header { position: end }, found: word });
                    }
                    end = end.wrapping_add(size);
                    keep.passes(end, capacity / PARTS);
                }
                Header::Unknown => return Err(Corrupt { at: At::Header { position: end }, found: word }),
            }
        }
        // Relaxed: only producers write them; as above. A claim that no correct predecessor made is none.
        let claim = mem.progress(Progress::Claim).load(Ordering::Relaxed);
        let claim = if claim.wrapping_sub(end) <= capacity { claim } else { end };
        let sent = mem.progress(Progress::Sent).load(Ordering::Relaxed);
        let producer = Self {
            mem,
            next: end,
            cleared: end.wrapping_add(GRANULE),
            limit: end,
            sent,
            touched: end,
            first: 0,
            from: end,
            sent_before: sent,
            room: 0,
            loan: None,
            claim,
            keep,
            poison: None,
        };
        producer.show();
        Ok(producer)
    }

    /// Loans room for a payload of `len` bytes after what is staged, instead of any loan there was.
    ///
    /// # Errors
    ///
    /// [`LoanError`]; then there is no loan.
    #[inline(always)]
    pub fn loan(&mut self, len: usize) -> Result<(), LoanError> {
        self.abort();
        self.make_room(len)?;
        self.loan = Some(len as u32);
        self.room = 0;
        Ok(())
    }

    /// Sees to it that a payload of `len` bytes can be written behind the header at `next`, and, unless that is staged,
    /// that 0 follows it. There must be no loan.
    #[inline(always)]
    fn make_room(&mut self, len: usize) -> Result<(), LoanError> {
        if !self.fits(len) {
            self.refresh(len)?;
        }
        let size = record::size(len as u32);
        if self.first == 0 {
            self.clear_end(size);
        }
        self.mem.writing(self.next / GRANULE + 1, size / GRANULE - 1);
        Ok(())
    }

    /// Sees to it that there is 0 behind a record of `size` bytes at `next`.
    #[inline(always)]
    fn clear_end(&mut self, size: u64) {
        if self.cleared.wrapping_sub(self.next) < size + GRANULE {
            self.end(size);
        }
    }

    /// Stores 0 behind a record of `size` bytes at `next`.
    #[inline(always)]
    fn end(&mut self, size: u64) {
        let end = self.next.wrapping_add(size);
        self.clear(end);
        self.cleared = end.wrapping_add(GRANULE);
    }

    /// Whether record and reserved end of a payload of `len` bytes are free as far as is known. Then a loan neither looks at
    /// the consumer nor claims anything: nothing that is in the ring is given up for it.
    #[inline(always)]
    #[must_use]
    pub fn fits(&self, len: usize) -> bool {
        is_within(len, self.limit.wrapping_sub(self.next))
    }

    /// Looks how far the consumer is, if that is in the way, and claims what will be written.
    #[cold]
    #[inline(never)]
    fn refresh(&mut self, len: usize) -> Result<(), LoanError> {
        if self.poison.is_some() {
            return Err(LoanError::Corrupt);
        }
        let capacity = self.mem.capacity();
        if len as u64 > max_payload(capacity) {
            return Err(LoanError::TooLong);
        }
        self.show();
        let need = record::size(len as u32) + GRANULE;
        let free = match self.keep.free(&self.mem, self.position(), self.next, need) {
            Ok(free) => free,
            Err(found) => {
                self.poison = Some(Corrupt { at: At::ConsumerPosition, found });
                (self.limit, self.room) = (self.next, 0);
                return Err(LoanError::Corrupt);
            }
        };
        // Header stores of a lap ago come before plain stores to the same bytes: see "The races".
        compiler_fence();
        if free < need {
            return Err(LoanError::Full);
        }
        if self.claim.wrapping_sub(self.next) < need {
            self.claim(free.min(need + capacity / PARTS));
        }
        let claimed = self.claim.wrapping_sub(self.next);
        self.limit = self.next.wrapping_add(claimed.min(free));
        Ok(())
    }

    /// Says that `ahead` bytes from `next` on may be written from now on.
    fn claim(&mut self, ahead: u64) {
        self.claim = self.next.wrapping_add(ahead);
        self.keep.claimed(&self.mem, self.position(), self.claim);
        // Release: pairs with the Acquire fence in `Follower::behind`: who sees the claim sees the oldest record that it
        // leaves.
        self.mem.progress(Progress::Claim).store(self.claim, Ordering::Release);
        // Pairs with the Acquire fence in `Follower::accept`: who has read anything that is stored from now on sees the
        // claim.
        fence(Ordering::Release);
        compiler_fence();
    }

    /// Writes down how far this end has come.
    fn show(&self) {
        // Relaxed: a hint for observers.
        self.mem.progress(Progress::Sent).store(self.sent(), Ordering::Relaxed);
        // Release: pairs with the Acquire of an observer that walks on from here: there is a header at that place.
        self.mem.position(Side::Producer).store(self.position(), Ordering::Release);
    }

    /// Stores 0 where a header may go.
    #[inline(always)]
    fn clear(&self, position: u64) {
        self.mem.writing(position / GRANULE, 1);
        // Relaxed: ordered by the Release of the header in `publish` that leads there.
        self.mem.data(position / GRANULE).store(Header::EMPTY, Ordering::Relaxed);
    }

    /// Writes to the lines where the next records will go, if they are as large as the last, as far as they are free.
    ///
    /// The consumer's core still has copies of them, from a lap ago or fetched on speculation, and has to give
    /// them up before anything can be stored there. Done right after a publication nobody waits for that; done
    /// by the next record's own stores it would cost that one a transfer between the cores more. Done for several
    /// lines at once, the transfers overlap.
    ///
    /// What is written is 0. After short records whole lines are cleared, so that the records to come find the 0 behind
    /// them there, and need no store for it; after long ones a word a line is. Very long ones are not reached ahead for: it would
    /// take longer than it saves.
    #[inline(always)]
    fn reach_ahead(&mut self, last: u64) {
        if self.cleared.wrapping_sub(self.next) < last + GRANULE {
            self.reach(last);
        }
    }

    #[inline(never)]
    fn reach(&mut self, last: u64) {
        // Counted from `next`, so that positions may wrap.
        let free = self.limit.wrapping_sub(self.next);
        let line = |at: u64| (self.next.wrapping_add(at) & !(M::LINE - 1)).wrapping_sub(self.next);
        if last <= SHORT * M::LINE {
            let done = self.cleared.wrapping_sub(self.next);
            let end = line(last + CLEARED * M::LINE).min(free);
            if done < end {
                self.mem.clear(self.cleared / GRANULE, (end - done) / GRANULE);
                self.cleared = self.next.wrapping_add(end);
            }
        } else if last < HUGE * M::LINE {
            let touched = self.touched.wrapping_sub(self.next);
            let mut at = line(if touched <= free { touched } else { 0 } + M::LINE);
            if at < last {
                let end = (last + TOUCHED * M::LINE).min(free);
                while at < end {
                    self.clear(self.next.wrapping_add(at));
                    at += M::LINE;
                }
                self.touched = self.next.wrapping_add(at).wrapping_sub(M::LINE);
            }
        }
        // The next payload may come over these stores through the second image, where the compiler does not see that
        // it does: see "The races".
        compiler_fence();
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
            self.loan = Some(len as u32);
            // What is cut off may hold plain stores, and the next header goes there.
            self.nothing_is_clear();
        }
    }

    /// Gives the current loan back; nobody will see what was written to it. Staged records stay.
    #[inline(always)]
    pub fn abort(&mut self) {
        if self.loan.take().is_some() {
            self.nothing_is_clear();
        }
    }

    /// What lies behind `next` may hold plain stores.
    fn nothing_is_clear(&mut self) {
        // They come before header stores to the same bytes: see "The races".
        compiler_fence();
        // Behind staged records not even the first word is known to be 0.
        self.cleared = if self.first == 0 { self.next.wrapping_add(GRANULE) } else { self.next };
    }

    /// Sends the current loan, if there is one, and what was staged before.
    #[inline(always)]
    pub fn send(&mut self, kind: u16) {
        self.stage(kind);
        self.publish();
    }

    /// Sends a record whose payload `write` writes, from the granule on that it is given, and best with such stores: what
    /// loan, write and send do, in fewer steps. What was staged or lent is forgotten.
    ///
    /// # Errors
    ///
    /// [`LoanError`]; then `write` is not called.
    #[inline(always)]
    pub fn put(
        &mut self,
        len: usize,
        kind: u16,
        write: impl FnOnce(&M, u64, Stores),
    ) -> Result<(), LoanError> {
        self.discard();
        if !self.fits(len) {
            self.refresh(len)?;
        }
        let size = record::size(len as u32);
        self.clear_end(size);
        self.mem.writing(self.next / GRANULE, size / GRANULE);
        let half_written = HalfWritten(self);
        let Self { mem, next, .. } = &*half_written.0;
        let header = mem.data(next / GRANULE);
        write(mem, next / GRANULE + 1, Stores::of(size, mem));
        // Release: pairs with the Acquire in `Consumer::advance` and with the fence in `Follower::look`: payload and the 0
        // after it. This is the commit.
        header.store(Header::record(len as u32, kind), Ordering::Release);
        mem::forget(half_written);
        self.next = self.next.wrapping_add(size);
        self.sent = self.sent.wrapping_add(1);
        self.reach_ahead(size);
        Ok(())
    }

    /// Stages one more record, whose payload `write` writes as in [`put`](Self::put), if some are staged and there is no loan
    /// and room enough without looking how far the consumer is: what loan, write and stage do, in fewer steps. Says whether
    /// it did.
    #[inline(always)]
    pub fn append(&mut self, len: usize, kind: u16, write: impl FnOnce(&M, u64, Stores)) -> bool {
        if !is_within(len, self.room) {
            return false;
        }
        let size = record::size(len as u32);
        self.mem.writing(self.next / GRANULE, size / GRANULE);
        let half_written = HalfWritten(self);
        let Self { mem, next, .. } = &*half_written.0;
        let header = mem.data(next / GRANULE);
        write(mem, next / GRANULE + 1, Stores::of(size, mem));
        // Relaxed: ordered by the Release of the first header in `publish`.
        header.store(Header::record(len as u32, kind), Ordering::Relaxed);
        mem::forget(half_written);
        self.room -= size;
        self.next = self.next.wrapping_add(size);
        self.sent = self.sent.wrapping_add(1);
        true
    }

    /// Puts the current loan, if there is one, behind what is staged; the consumer sees nothing of it before
    /// [`publish`](Self::publish).
    #[inline(always)]
    pub fn stage(&mut self, kind: u16) {
        if let Some(len) = self.loan.take() {
            self.hold_back(len, kind);
        }
    }

    /// Stages a record whose payload `write` writes as in [`put`](Self::put). A loan is given back.
    ///
    /// # Errors
    ///
    /// [`LoanError`]; then `write` is not called, and what was staged before stays.
    #[inline(always)]
    pub fn stage_with(
        &mut self,
        len: usize,
        kind: u16,
        write: impl FnOnce(&M, u64, Stores),
    ) -> Result<(), LoanError> {
        self.abort();
        self.make_room(len)?;
        let half_written = HalfWritten(self);
        let Self { mem, next, .. } = &*half_written.0;
        write(mem, next / GRANULE + 1, Stores::of(record::size(len as u32), mem));
        mem::forget(half_written);
        self.hold_back(len as u32, kind);
        Ok(())
    }

    /// Stages a payload that lies where [`make_room`](Self::make_room) has made room.
    #[inline(always)]
    fn hold_back(&mut self, len: u32, kind: u16) {
        let header = Header::record(len, kind);
        if self.first == 0 {
            (self.first, self.from, self.sent_before) = (header, self.next, self.sent);
        } else {
            self.mem.writing(self.next / GRANULE, 1);
            // Relaxed: ordered by the Release of the first header in `publish`.
            self.mem.data(self.next / GRANULE).store(header, Ordering::Relaxed);
        }
        self.next = self.next.wrapping_add(record::size(len));
        self.sent = self.sent.wrapping_add(1);
        self.room = self.limit.wrapping_sub(self.next);
    }

    /// Makes all that is staged visible at once. The current loan stays.
    #[inline(always)]
    pub fn publish(&mut self) {
        if self.first == 0 {
            return;
        }
        let size = self.next.wrapping_sub(self.from);
        if self.cleared.wrapping_sub(self.from) < size + GRANULE {
            self.clear(self.next);
            self.cleared = self.next.wrapping_add(GRANULE);
        }
        self.mem.writing(self.from / GRANULE, 1);
        // Release: pairs with the Acquire in `Consumer::advance`: payload, later headers of a batch, and the 0 at
        // the end of it all. This is the commit.
        self.mem.data(self.from / GRANULE).store(self.first, Ordering::Release);
        (self.first, self.room) = (0, 0);
        // A loan behind the batch lies where zeros would go.
        if self.loan.is_none() {
            self.reach_ahead(size);
        }
    }

    /// Forgets what is staged and the current loan.
    #[inline(always)]
    pub fn discard(&mut self) {
        if self.first != 0 || self.loan.is_some() {
            self.forget();
        }
    }

    #[cold]
    #[inline(never)]
    fn forget(&mut self) {
        self.abort();
        if self.first != 0 {
            (self.first, self.room) = (0, 0);
            (self.next, self.sent) = (self.from, self.sent_before);
            self.nothing_is_clear();
            if self.poison.is_some() {
                self.limit = self.next;
            }
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
        self.show();
        // Release: pairs with the Acquire in `Consumer::advance`: closed is seen after all that was sent.
        self.mem.data(self.next / GRANULE).store(Header::CLOSED, Ordering::Release);
        Ok(())
    }

    /// Bytes, headers included, that the consumer has not released yet. It may be less by now.
    #[must_use]
    pub fn pending(&self) -> u64 {
        // Relaxed: a hint; a position that is not possible counts as nothing pending.
        let position = self.mem.position(Side::Consumer).load(Ordering::Relaxed);
        let pending = self.position().wrapping_sub(position);
        if pending <= self.mem.capacity() { pending } else { 0 }
    }

    /// How far this end has come, in bytes since the ring's birth, headers included.
    #[inline]
    #[must_use]
    pub fn position(&self) -> u64 {
        if self.first == 0 { self.next } else { self.from }
    }

    /// Records published since the ring's birth, as far as its producers lived to tell.
    #[inline]
    #[must_use]
    pub fn sent(&self) -> u64 {
        if self.first == 0 { self.sent } else { self.sent_before }
    }

    /// Records that are staged.
    #[inline]
    #[must_use]
    pub fn staged(&self) -> u64 {
        self.sent.wrapping_sub(self.sent())
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

/// Whether a record with `len` bytes of payload, and the end behind it, are no more than `room` bytes.
#[inline(always)]
fn is_within(len: usize, room: u64) -> bool {
    u32::try_from(len).is_ok_and(|len| record::size(len) + GRANULE <= room)
}

/// A payload that is being written without a loan. Dropped, because whoever writes it panics, it is given back.
struct HalfWritten<'a, M: Mem>(&'a mut Producer<M>);

impl<M: Mem> Drop for HalfWritten<'_, M> {
    fn drop(&mut self) {
        self.0.nothing_is_clear();
    }
}
