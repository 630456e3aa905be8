//! A reader that the producer does not wait for.

use super::{Header, Record, record, record::GRANULE};
use crate::{
    At, Corrupt, Mem, Progress, Side,
    primitive::{Ordering, fence},
};

/// Where a [`Follower`] begins, and goes on when it has fallen behind: a record begins there, or will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At what the ring's consumer has not released.
    Unread,
    /// At the oldest record of a ring whose producer never waits.
    Oldest,
}

/// What a follower finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A record, if [`Follower::accept`] says so after it was copied.
    Record(Record),
    /// Nothing yet.
    Empty,
    /// Nothing, and the producer has closed.
    Closed,
    /// What was due may be overwritten already: [`Follower::catch_up`].
    Behind,
    /// Something that no correct producer writes: see [`Follower::corruption`].
    Corrupt,
}

/// A reader that the producer does not wait for: see *Followers* in the [module](super).
///
/// It writes nothing, so memory that is mapped for reading only will do, and any number of them may follow a ring.
#[derive(Debug)]
pub struct Follower<M> {
    mem: M,
    start: Start,
    /// Position of the next record to read. A multiple of 8.
    next: u64,
    poison: Option<Corrupt>,
}

impl<M: Mem> Follower<M> {
    /// Begins to follow a ring.
    ///
    /// # Errors
    ///
    /// If the position to start at is not what a correct peer writes.
    pub fn new(mem: M, start: Start) -> Result<Self, Corrupt> {
        let mut follower = Self { mem, start, next: 0, poison: None };
        follower.next = follower.beginning()?;
        Ok(follower)
    }

    /// Where the follower may begin now.
    fn beginning(&self) -> Result<u64, Corrupt> {
        let (word, at) = match self.start {
            Start::Unread => (self.mem.position(Side::Consumer), At::ConsumerPosition),
            Start::Oldest => (self.mem.progress(Progress::Oldest), At::Oldest),
        };
        let found = word.load(Ordering::Relaxed);
        // Acquire: pairs with the Release in `Consumer::release` or `Keep::claimed`: there is a header at that place.
        fence(Ordering::Acquire);
        if found % GRANULE == 0 { Ok(found) } else { Err(Corrupt { at, found }) }
    }

    /// What is due. A record is not more than a guess until [`accept`](Self::accept).
    #[inline]
    pub fn look(&mut self) -> Look {
        if self.poison.is_some() {
            return Look::Corrupt;
        }
        // Memory for reading only: of its atomics nothing but Relaxed loads is promised to work.
        let word = self.mem.data(self.next / GRANULE).load(Ordering::Relaxed);
        // Acquire: pairs with the Release of the header in `Producer::publish`.
        fence(Ordering::Acquire);
        match Header::decode(word) {
            Header::Record { len, kind } if record::size(len) + GRANULE <= self.mem.capacity() => {
                Look::Record(Record { position: self.next, len, kind })
            }
            _ if self.is_behind() => Look::Behind,
            Header::Empty => Look::Empty,
            Header::Closed => Look::Closed,
            _ => {
                self.poison = Some(Corrupt { at: At::Header { position: self.next }, found: word });
                Look::Corrupt
            }
        }
    }

    /// Whether what was read at `next` may have been written over while it was read.
    fn is_behind(&self) -> bool {
        // Acquire: pairs with the Release fence in `Producer::claim`: if any of what was read is from after a claim, the
        // load below sees that claim.
        fence(Ordering::Acquire);
        let claim = self.mem.progress(Progress::Claim).load(Ordering::Relaxed);
        claim.wrapping_sub(self.next) > self.mem.capacity()
    }

    /// Whether nothing is due, and nothing was missed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.finds(Header::EMPTY)
    }

    /// Whether the next thing is the producer's *closed*, and nothing was missed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.finds(Header::CLOSED)
    }

    fn finds(&self, header: u64) -> bool {
        // Relaxed: only an answer; `look` takes the edge.
        let word = self.mem.data(self.next / GRANULE).load(Ordering::Relaxed);
        word == header && !self.is_behind()
    }

    /// Ends the reading of a record: `true` if it was still whole, which the copy is then, too; the next one is due.
    /// `false` if it may have been written over: the copy means nothing, and [`catch_up`](Self::catch_up) is due.
    #[inline]
    #[must_use]
    pub fn accept(&mut self, record: Record) -> bool {
        if record.position != self.next || self.is_behind() {
            return false;
        }
        self.next = self.next.wrapping_add(record::size(record.len));
        true
    }

    /// Goes on where the ring begins now; the bytes, headers included, that were missed.
    ///
    /// # Errors
    ///
    /// If that place is not what a correct peer writes, or this end is behind even there. Then it is poisoned.
    pub fn catch_up(&mut self) -> Result<u64, Corrupt> {
        let claim = self.mem.progress(Progress::Claim).load(Ordering::Relaxed);
        // Acquire: pairs with the Release of the claim in `Producer::claim`, which is loaded above: the beginning that is
        // loaded next is not before that claim.
        fence(Ordering::Acquire);
        let found = self.beginning().inspect_err(|corrupt| self.poison = Some(*corrupt))?;
        let missed = found.wrapping_sub(self.next);
        if missed > u64::MAX / 2 {
            let at = if self.start == Start::Unread { At::ConsumerPosition } else { At::Oldest };
            let corrupt = Corrupt { at, found };
            self.poison = Some(corrupt);
            return Err(corrupt);
        }
        // Nothing missed, and behind all the same: a claim that leaves nothing of what it was made for.
        if missed == 0 && claim.wrapping_sub(self.next) > self.mem.capacity() {
            let corrupt = Corrupt { at: At::Claim, found: claim };
            self.poison = Some(corrupt);
            return Err(corrupt);
        }
        self.next = found;
        Ok(missed)
    }

    /// Goes on at another position, where a record begins or will: one that was loaded with Acquire from the word of a
    /// peer, or that was met before.
    pub fn go_to(&mut self, position: u64) {
        self.next = position & !(GRANULE - 1);
    }

    /// What poisoned this end, if anything did.
    #[must_use]
    pub fn corruption(&self) -> Option<Corrupt> {
        self.poison
    }

    /// How far this end has come, in bytes since the ring's birth, headers included.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next
    }

    /// The memory.
    #[inline(always)]
    pub fn mem(&self) -> &M {
        &self.mem
    }
}
