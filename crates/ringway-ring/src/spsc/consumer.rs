//! The receiving end.

use core::cell::Cell;

use super::{Header, Record, Stores, record, record::GRANULE};
use crate::{
    At, Corrupt, Mem, Side,
    mem::is_before,
    primitive::{Ordering, compiler_fence},
};

/// What comes next in a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// A record; it is the caller's until [`Consumer::release`].
    Record(Record),
    /// Nothing yet.
    Empty,
    /// Nothing, and the producer has closed.
    Closed,
    /// Something that no correct producer writes: see [`Consumer::corruption`]. This end is poisoned.
    Corrupt,
}

/// The consumer of a ring: see the [module](super) for the protocol.
///
/// Taking needs `&self` and releasing `&mut self`, so that payloads of several records can be borrowed at once
/// and none outlives the release.
#[derive(Debug)]
pub struct Consumer<M> {
    mem: M,
    /// Position of the next record to take. A multiple of 8.
    next: Cell<u64>,
    /// What the producer was told: `next - released <= capacity`.
    released: u64,
    /// What a predecessor had taken lies before this position, which is a record's beginning.
    again: u64,
    /// `mem.capacity()`, which what is held stays below. 0 before `again` and once poisoned, so that every record takes the
    /// slow way.
    most: Cell<u64>,
    poison: Cell<Option<Corrupt>>,
}

impl<M: Mem> Consumer<M> {
    /// Takes up the consuming end of a ring where the last one left it (a new ring: at its beginning).
    ///
    /// The caller is the only consumer: that its predecessor has stopped is the caller's to prove. What the
    /// predecessor took and did not release comes again, [marked](Self::comes_again), unless it is
    /// [passed over](Self::skip).
    ///
    /// # Errors
    ///
    /// If the consumer's words, or the records that it had taken, are not what correct peers leave.
    pub fn resume(mem: M) -> Result<Self, Corrupt> {
        // Relaxed: only consumers write it; the caller's proof that the last one stopped carries the edge.
        let position = mem.position(Side::Consumer).load(Ordering::Relaxed);
        if position % GRANULE != 0 {
            return Err(Corrupt { at: At::ConsumerPosition, found: position });
        }
        // Relaxed: as the position.
        let taken = mem.taken().load(Ordering::Relaxed);
        check_taken(&mem, position, taken)?;
        let most = Cell::new(if taken == position { mem.capacity() } else { 0 });
        let next = Cell::new(position);
        Ok(Self { mem, next, released: position, again: taken, most, poison: Cell::new(None) })
    }

    /// Passes over what a predecessor had taken and not released: it does not come again. Says how many records that were.
    pub fn skip(&mut self) -> u64 {
        let mut skipped = 0;
        while self.to_come_again() > 0 && matches!(self.advance(), Next::Record(_)) {
            skipped += 1;
        }
        self.release();
        skipped
    }

    /// Whether a predecessor had taken this record, too.
    #[inline(always)]
    #[must_use]
    pub fn comes_again(&self, record: &Record) -> bool {
        is_before(record.position, self.again)
    }

    /// Bytes from here on that a predecessor had taken.
    #[must_use]
    pub fn to_come_again(&self) -> u64 {
        if is_before(self.next.get(), self.again) { self.again.wrapping_sub(self.next.get()) } else { 0 }
    }

    /// Takes the next record, if there is one.
    #[inline(always)]
    pub fn advance(&self) -> Next {
        let (position, word) = (self.next.get(), self.look());
        if let Header::Record { len, kind } = Header::decode(word) {
            let next = position.wrapping_add(record::size(len));
            let record = Record { position, len, kind };
            if self.is_new(next) && !is_long::<M>(len) {
                self.say_taken(next);
                return Next::Record(self.take(record, next));
            }
            if self.prepare(len, next) {
                return Next::Record(self.take(record, next));
            }
        }
        if self.is_corrupt(word) {
            return Next::Corrupt;
        }
        if word == Header::EMPTY { Next::Empty } else { Next::Closed }
    }

    /// The same for one who takes many, if [`take_new`](Self::take_new) gives none.
    #[cold]
    #[inline(never)]
    pub fn advance_slowly(&self) -> Option<Record> {
        if let Next::Record(record) = self.advance() { Some(record) } else { None }
    }

    /// Takes the next record, if it is a good one that nobody had taken, and not so long that its lines would be taken over.
    #[inline(always)]
    pub fn take_new(&self) -> Option<Record> {
        let (position, word) = (self.next.get(), self.look());
        let Header::Record { len, kind } = Header::decode(word) else { return None };
        let next = position.wrapping_add(record::size(len));
        if !self.is_new(next) || is_long::<M>(len) {
            return None;
        }
        self.say_taken(next);
        Some(self.take(Record { position, len, kind }, next))
    }

    /// What the next header's place holds.
    #[inline(always)]
    fn look(&self) -> u64 {
        // Acquire: pairs with the Release in `Producer::publish` (payload, the 0 after it, and in a batch the
        // headers that follow) and in `Producer::close`.
        self.mem.data(self.next.get() / GRANULE).load(Ordering::Acquire)
    }

    /// Whether a record from here to `next` is a good one that nobody had taken.
    #[inline(always)]
    fn is_new(&self, next: u64) -> bool {
        // The end's 8 bytes are part of the ring, too; and a hostile chain must not lead a batch around it.
        next.wrapping_sub(self.released) < self.most.get()
    }

    /// Says that all before `next` is taken.
    #[inline(always)]
    fn say_taken(&self, next: u64) {
        // Relaxed: for a successor, whose proof that this one stopped carries the edge.
        self.mem.taken().store(next, Ordering::Relaxed);
        // Nobody reads it before that was said.
        compiler_fence();
    }

    /// Goes on behind a record, to `next`; it is the caller's now.
    #[inline(always)]
    fn take(&self, record: Record, next: u64) -> Record {
        self.next.set(next);
        let (granule, count) = record.granules();
        self.mem.reading(granule, count);
        record
    }

    /// Whether the record from here to `next`, of `len` bytes, may be taken; if so, says that it is, and takes the lines of a long
    /// one over.
    // What is out of line gives no record: one that came from there would have to lie in memory, and so would all others.
    #[cold]
    #[inline(never)]
    fn prepare(&self, len: u32, next: u64) -> bool {
        let new = self.is_new(next);
        if !new && !self.was_taken(next) {
            return false;
        }
        // What was written past the caches is no core's, and better left clean.
        if is_long::<M>(len) && Stores::of(record::size(len), &self.mem) != Stores::Streaming {
            let (granule, count) = Record { position: self.next.get(), len, kind: 0 }.granules();
            self.mem.own(granule, count);
        }
        if new {
            self.say_taken(next);
        }
        true
    }

    /// Whether the record from here to `next` is one that a predecessor had taken: then that is said already, of it and of those
    /// that follow.
    fn was_taken(&self, next: u64) -> bool {
        let (size, left) = (next.wrapping_sub(self.next.get()), self.to_come_again());
        if self.poison.get().is_some() || size > left {
            return false;
        }
        if size == left {
            self.most.set(self.mem.capacity());
        }
        true
    }

    /// Whether a header that is no good record is none of the others either, or this end is poisoned already.
    #[cold]
    #[inline(never)]
    fn is_corrupt(&self, word: u64) -> bool {
        if self.poison.get().is_none() && word != Header::EMPTY && word != Header::CLOSED {
            self.poison.set(Some(Corrupt { at: At::Header { position: self.next.get() }, found: word }));
            self.most.set(0);
        }
        self.poison.get().is_some()
    }

    /// The next record, if there is one that nobody had taken; it is not taken. If there is none, [`advance`](Self::advance)
    /// may still have one, or says why not.
    #[inline(always)]
    #[must_use]
    pub fn peek(&self) -> Option<Record> {
        let position = self.next.get();
        // Relaxed: `advance` takes the edge.
        let word = self.mem.data(position / GRANULE).load(Ordering::Relaxed);
        let Header::Record { len, kind } = Header::decode(word) else { return None };
        let next = position.wrapping_add(record::size(len));
        self.is_new(next).then_some(Record { position, len, kind })
    }

    /// What poisoned this end, if anything did.
    #[must_use]
    pub fn corruption(&self) -> Option<Corrupt> {
        self.poison.get()
    }

    /// Un-takes a record that was not released, and all taken after it: they come again.
    #[inline(always)]
    pub fn put_back(&mut self, record: Record) {
        if self.holds(&record) {
            let mut taken = record.position;
            if self.comes_again(&record) {
                taken = self.again;
                self.most.set(0);
            }
            // The reading comes before.
            compiler_fence();
            // Relaxed: as in `advance`.
            self.mem.taken().store(taken, Ordering::Relaxed);
            self.next.set(record.position);
        }
    }

    /// Gives all records taken so far back to the producer.
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

    /// How far this end has come, in bytes since the ring's birth, headers included.
    #[inline(always)]
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next.get()
    }

    /// Whether a record or a *closed* is there; takes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        // Relaxed: only an answer; `advance` takes the edge.
        self.mem.data(self.next.get() / GRANULE).load(Ordering::Relaxed) == Header::EMPTY
    }

    /// Whether the next thing is the producer's *closed*.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        // Relaxed: only an answer.
        self.mem.data(self.next.get() / GRANULE).load(Ordering::Relaxed) == Header::CLOSED
    }

    /// Bytes, headers included, that were sent and not taken yet. It may be more by now. Walks along the records.
    #[must_use]
    pub fn pending(&self) -> u64 {
        let next = self.next.get();
        let most = if self.poison.get().is_none() { self.mem.capacity() } else { 0 };
        let mut end = next;
        loop {
            // Acquire: as in `look`.
            let word = self.mem.data(end / GRANULE).load(Ordering::Acquire);
            let Header::Record { len, .. } = Header::decode(word) else { break };
            let beyond = end.wrapping_add(record::size(len));
            if beyond.wrapping_sub(self.released) >= most {
                break;
            }
            end = beyond;
        }
        end.wrapping_sub(next)
    }

    /// Whether a record was taken here and not released yet.
    #[inline(always)]
    #[must_use]
    pub fn holds(&self, record: &Record) -> bool {
        let held = self.next.get().wrapping_sub(self.released);
        let from = record.position.wrapping_sub(self.released);
        from < held && GRANULE + u64::from(record.len) <= held - from
    }

    /// The memory.
    #[inline(always)]
    pub fn mem(&self) -> &M {
        &self.mem
    }
}

/// Whether records lead from `position` to `taken`, which is no further than what can be held.
fn check_taken<M: Mem>(mem: &M, position: u64, taken: u64) -> Result<(), Corrupt> {
    let held = taken.wrapping_sub(position);
    let mut seen = 0;
    while seen < held && held < mem.capacity() {
        // Relaxed: the predecessor had seen it, and the proof that it has stopped carries the edge.
        let word = mem.data(position.wrapping_add(seen) / GRANULE).load(Ordering::Relaxed);
        let Header::Record { len, .. } = Header::decode(word) else { break };
        seen += record::size(len);
    }
    if seen == held { Ok(()) } else { Err(Corrupt { at: At::Taken, found: taken }) }
}

/// Whether lines of a payload of `len` bytes are taken over, if it is not too long for that.
#[inline(always)]
fn is_long<M: Mem>(len: u32) -> bool {
    u64::from(len) >= M::OWNED.start
}
