//! The ring joined to its bells: who looks for a sleeper, and when.
//!
//! An [`Outlet`] is a producer that rings, an [`Inlet`] a consumer that rings; both wait. They know of the ring, of
//! records or of slots, no more than [`Sends`] and [`Receives`] say, and see words through a trait, never a pointer, so that
//! the loom models run this very source. What users hold ([`spsc`](crate::spsc)) adds the segment, the roles and the guards.
//!
//! # When whom
//!
//! A full fence between "make news visible" and "look whether the peer sleeps" closes the race with a peer
//! that is falling asleep (see [`ringway_wait::Bell`]); it costs more than the rest of a small send. So:
//!
//! - *After each publication* (a message or a batch) the sender fences and looks. A ring that was made for
//!   sides that never sleep ([`Wait::Spin`]) leaves the fence out.
//! - *After each release* the receiver looks without a fence, which misses a sender that is just falling asleep,
//!   in a window of nanoseconds; with a fence, when it has released 1/8 of the ring since the last fence and when it
//!   finds the ring empty. The worst delay: a sender that was missed sleeps on until one of these, or for the
//!   millisecond after which a sender looks again (`Bell::wait_unfenced`).
//! - *At leaving*, each side fences and looks.
//!
//! A receiver that finds the ring empty falls back a little before it looks again (see [`ringway_wait::Lag`]).
//!
//! A receiver that finds the ring empty fences before it sleeps, so both sides never sleep for good at once.
//!
//! # Death
//!
//! An end that waits is woken when the other one's process dies ([`ringway_wait::Life`]), and looks once more at the ring: what was
//! committed, or released, comes first. Only then it says *died*; and again at each call that would have to wait, until a
//! successor comes. Another thread of the dying process may commit a last message after the news; it comes at the next call.
//!
//! # Leaving
//!
//! The sender's *closed* is in band: the receiver meets it after the last message. The receiver's is a bit of
//! its `asleep` word, which the sender looks at anyway; it stops lending at once. Either bit goes away when a
//! successor comes.

use std::time::Instant;

use ringway_ring::{Corrupt, Mem, slots, spsc};
use ringway_wait::{Bell, Lag, Wait, Words};

/// Why an outlet does not lend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoLoan {
    /// The ring was full, to the end.
    Full,
    /// The receiver left.
    Closed,
    /// The ring is full and the receiver has died.
    Died,
    /// The message is longer than the ring can ever carry.
    TooLong,
    /// The shared words are broken: see the producer's `corruption`.
    Corrupt,
}

/// Why an inlet has no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRecord {
    /// The ring was empty, to the end.
    Empty,
    /// All was received and the sender left.
    Closed,
    /// All was received and the sender has died.
    Died,
    /// The shared words are broken: see the consumer's `corruption`.
    Corrupt,
}

/// What an outlet asks of a producer.
pub trait Sends {
    /// What must be said to have a loan.
    type Ask: Copy;

    /// Loans room, if there is some.
    ///
    /// # Errors
    ///
    /// [`NoLoan`]; never `Closed` or `Died`.
    fn loan(&mut self, ask: Self::Ask) -> Result<(), NoLoan>;

    /// Makes all that is staged visible.
    fn publish(&mut self);

    /// Forgets what is staged and lent.
    fn discard(&mut self);

    /// Forgets what is staged, and says that nothing more will come.
    ///
    /// # Errors
    ///
    /// If this end is poisoned.
    fn close(&mut self) -> Result<(), Corrupt>;
}

impl<M: Mem> Sends for spsc::Producer<M> {
    /// Bytes of payload.
    type Ask = usize;

    #[inline(always)]
    fn loan(&mut self, len: usize) -> Result<(), NoLoan> {
        self.loan(len).map_err(|error| match error {
            spsc::LoanError::TooLong => NoLoan::TooLong,
            spsc::LoanError::Corrupt => NoLoan::Corrupt,
            _ => NoLoan::Full,
        })
    }

    #[inline(always)]
    fn publish(&mut self) {
        self.publish();
    }

    #[inline(always)]
    fn discard(&mut self) {
        self.discard();
    }

    fn close(&mut self) -> Result<(), Corrupt> {
        self.close()
    }
}

impl<M: Mem> Sends for slots::Producer<M> {
    /// All messages have one size.
    type Ask = ();

    #[inline(always)]
    fn loan(&mut self, (): ()) -> Result<(), NoLoan> {
        self.loan().map_err(|error| match error {
            slots::LoanError::Corrupt => NoLoan::Corrupt,
            _ => NoLoan::Full,
        })
    }

    #[inline(always)]
    fn publish(&mut self) {
        self.publish();
    }

    #[inline(always)]
    fn discard(&mut self) {
        self.discard();
    }

    fn close(&mut self) -> Result<(), Corrupt> {
        self.close()
    }
}

/// What an inlet asks of a consumer.
pub trait Receives {
    /// A message that was taken.
    type Taken;

    /// Takes the next message, if there is one.
    ///
    /// # Errors
    ///
    /// [`NoRecord`]; never `Died`.
    fn advance(&mut self) -> Result<Self::Taken, NoRecord>;

    /// Whether neither a message nor *closed* is there.
    fn is_empty(&self) -> bool;

    /// Gives back all that was taken.
    fn release(&mut self);

    /// How far it has come, in bytes.
    fn position(&self) -> u64;

    /// Bytes of data.
    fn capacity(&self) -> u64;
}

/// What an inlet asks of a consumer whose messages can be received many at once.
pub trait Peeks: Receives<Taken: Copy> {
    /// The next message, if there is one that is easily had; it is not taken.
    fn peek(&self) -> Option<Self::Taken>;

    /// Un-takes a message that was not given back, and all taken after it.
    fn put_back(&mut self, taken: Self::Taken);
}

impl<M: Mem> Peeks for spsc::Consumer<M> {
    #[inline(always)]
    fn peek(&self) -> Option<spsc::Record> {
        self.peek()
    }

    #[inline(always)]
    fn put_back(&mut self, taken: spsc::Record) {
        self.put_back(taken);
    }
}

impl<M: Mem> Peeks for slots::Consumer<M> {
    #[inline(always)]
    fn peek(&self) -> Option<slots::Slot> {
        self.peek()
    }

    #[inline(always)]
    fn put_back(&mut self, taken: slots::Slot) {
        self.put_back(taken);
    }
}

impl<M: Mem> Receives for spsc::Consumer<M> {
    type Taken = spsc::Record;

    #[inline(always)]
    fn advance(&mut self) -> Result<spsc::Record, NoRecord> {
        match spsc::Consumer::advance(self) {
            spsc::Next::Record(record) => Ok(record),
            spsc::Next::Empty => Err(NoRecord::Empty),
            spsc::Next::Closed => Err(NoRecord::Closed),
            spsc::Next::Corrupt => Err(NoRecord::Corrupt),
        }
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    #[inline(always)]
    fn release(&mut self) {
        self.release();
    }

    #[inline(always)]
    fn position(&self) -> u64 {
        self.position()
    }

    #[inline(always)]
    fn capacity(&self) -> u64 {
        self.mem().capacity()
    }
}

impl<M: Mem> Receives for slots::Consumer<M> {
    type Taken = slots::Slot;

    #[inline(always)]
    fn advance(&mut self) -> Result<slots::Slot, NoRecord> {
        match slots::Consumer::advance(self) {
            slots::Next::Slot(slot) => Ok(slot),
            slots::Next::Empty => Err(NoRecord::Empty),
            slots::Next::Closed => Err(NoRecord::Closed),
            slots::Next::Corrupt => Err(NoRecord::Corrupt),
        }
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    #[inline(always)]
    fn release(&mut self) {
        self.release();
    }

    #[inline(always)]
    fn position(&self) -> u64 {
        self.position()
    }

    #[inline(always)]
    fn capacity(&self) -> u64 {
        self.mem().capacity()
    }
}

/// The sending end: a producer and its bell.
#[derive(Debug)]
pub struct Outlet<P, W> {
    ring: P,
    bell: Bell<W>,
    /// Whether the receiver may sleep.
    fences: bool,
    /// How often it had to wait for room.
    waits: u64,
}

impl<P: Sends, W: Words> Outlet<P, W> {
    /// Takes up the sending end, with a producer that was resumed. `sleepers`: whether the ring's receiver may sleep.
    pub fn attach(ring: P, words: W, wait: Wait, sleepers: bool) -> Self {
        let mut bell = Bell::attach(words, wait);
        // A predecessor may have died between a publication and its look for a sleeper.
        bell.notify();
        Self { ring, bell, fences: sleepers, waits: 0 }
    }

    /// Loans room, if there is some now.
    ///
    /// # Errors
    ///
    /// [`NoLoan`].
    #[inline(always)]
    pub fn try_loan(&mut self, ask: P::Ask) -> Result<(), NoLoan> {
        if self.bell.peer().left() {
            return Err(NoLoan::Closed);
        }
        match self.ring.loan(ask) {
            Err(NoLoan::Full) => self.try_loan_of_full(ask),
            done => done,
        }
    }

    /// Loans room of a ring that was full a moment ago.
    #[cold]
    #[inline(never)]
    fn try_loan_of_full(&mut self, ask: P::Ask) -> Result<(), NoLoan> {
        self.bell.peer().watch();
        let died = self.bell.peer().died();
        // What the dead one had released makes room. And it may have left before its process ended.
        match self.ring.loan(ask) {
            Err(NoLoan::Full) if died && self.bell.peer().left() => Err(NoLoan::Closed),
            Err(NoLoan::Full) if died => Err(NoLoan::Died),
            done => done,
        }
    }

    /// Loans room, waiting for it. Nothing may be staged: what the receiver cannot see it cannot
    /// make room by.
    ///
    /// # Errors
    ///
    /// [`NoLoan`]; `Full` if the deadline passed.
    #[inline(always)]
    pub fn loan(&mut self, ask: P::Ask, deadline: impl FnOnce() -> Option<Instant>) -> Result<(), NoLoan> {
        match self.try_loan(ask) {
            Err(NoLoan::Full) => self.wait_for_room(ask, deadline()),
            done => done,
        }
    }

    #[cold]
    #[inline(never)]
    fn wait_for_room(&mut self, ask: P::Ask, deadline: Option<Instant>) -> Result<(), NoLoan> {
        self.waits += 1;
        let Self { ring, bell, .. } = self;
        // A batch that was forgotten half way would keep for ever what it takes.
        ring.discard();
        let lent = bell.wait_unfenced(deadline, |receiver| {
            // In this order: it may leave in good order and end.
            let died = receiver.died();
            if receiver.left() {
                return Some(Err(NoLoan::Closed));
            }
            match ring.loan(ask) {
                Err(NoLoan::Full) if died => Some(Err(NoLoan::Died)),
                Err(NoLoan::Full) => None,
                done => Some(done),
            }
        });
        lent.unwrap_or(Err(NoLoan::Full))
    }

    /// Wakes the receiver if it sleeps, after something was published through [`ring_mut`](Self::ring_mut).
    #[inline(always)]
    pub fn notify(&mut self) {
        if self.fences {
            self.bell.notify();
        }
    }

    /// Sends what is staged, at once, and wakes the receiver if it sleeps.
    #[inline(always)]
    pub fn publish(&mut self) {
        self.ring.publish();
        self.notify();
    }

    /// Tells the receiver that nothing more will come, and retires.
    ///
    /// # Errors
    ///
    /// If this end is poisoned; the receiver is not told then.
    pub fn close(&mut self) -> Result<(), Corrupt> {
        let closed = self.ring.close();
        self.bell.retire();
        closed
    }

    /// How often it had to wait for room, and its bell.
    pub fn counts(&self) -> (u64, &Bell<W>) {
        (self.waits, &self.bell)
    }

    /// Whether the receiver has left in good order since this end came, and no successor has come.
    pub fn receiver_left(&self) -> bool {
        self.bell.peer().left()
    }

    /// Whether the receiver has died since this end came, and no successor has come.
    pub fn receiver_died(&self) -> bool {
        self.bell.peer().died()
    }

    /// The process whose death was last told of, as it said itself; 0 if it had said nothing.
    pub fn dead_receiver(&self) -> u32 {
        self.bell.peer().dead()
    }

    /// The producer, for what needs no bell.
    #[inline(always)]
    pub fn ring(&self) -> &P {
        &self.ring
    }

    /// The producer, for what needs no bell.
    #[inline(always)]
    pub fn ring_mut(&mut self) -> &mut P {
        &mut self.ring
    }
}

impl<M: Mem, W: Words> Outlet<spsc::Producer<M>, W> {
    /// Sends the current loan, with what is staged, and wakes the receiver if it sleeps.
    #[inline(always)]
    pub fn send(&mut self, kind: u16) {
        self.ring.stage(kind);
        self.publish();
    }

    /// Puts the current loan behind what is staged.
    #[inline(always)]
    pub fn stage(&mut self, kind: u16) {
        self.ring.stage(kind);
    }
}

impl<M: Mem, W: Words> Outlet<slots::Producer<M>, W> {
    /// Sends the current loan, with what is staged, and wakes the receiver if it sleeps.
    #[inline(always)]
    pub fn send(&mut self) {
        self.ring.send();
        self.notify();
    }
}

/// The receiving end: a consumer and its bell.
#[derive(Debug)]
pub struct Inlet<C, W> {
    ring: C,
    bell: Bell<W>,
    /// Whether the sender may sleep.
    sleepers: bool,
    /// Position up to which a fenced look for a sleeping sender has been made.
    fenced: u64,
    /// Records taken and not put back, and how many of them when the ring was last found empty.
    taken: u64,
    caught_up: u64,
    lag: Lag,
    /// How often it had to wait for something.
    waits: u64,
}

impl<C: Receives, W: Words> Inlet<C, W> {
    /// Takes up the receiving end, with a consumer that was resumed. `sleepers`: whether the ring's sender may sleep.
    pub fn attach(ring: C, words: W, wait: Wait, sleepers: bool) -> Self {
        let fenced = ring.position();
        let mut bell = Bell::attach(words, wait);
        // A predecessor may have died between a release and its look for a sleeper.
        bell.notify();
        Self { ring, bell, sleepers, fenced, taken: 0, caught_up: 0, lag: Lag::default(), waits: 0 }
    }

    /// Takes the next record, if there is one now.
    ///
    /// # Errors
    ///
    /// [`NoRecord`].
    #[inline(always)]
    pub fn try_take(&mut self) -> Result<C::Taken, NoRecord> {
        let next = self.ring.advance();
        match next {
            Ok(_) => self.taken += 1,
            Err(NoRecord::Empty) => return self.try_take_of_empty(),
            Err(_) => {}
        }
        next
    }

    /// Takes the next record of a ring that was empty a moment ago, and wakes the sender if it sleeps.
    #[cold]
    #[inline(never)]
    fn try_take_of_empty(&mut self) -> Result<C::Taken, NoRecord> {
        self.look_for_sleeper();
        self.bell.peer().watch();
        if !self.bell.peer().died() {
            return Err(NoRecord::Empty);
        }
        // What it had committed comes first.
        match self.ring.advance() {
            Ok(record) => {
                self.taken += 1;
                Ok(record)
            }
            Err(NoRecord::Empty) => Err(NoRecord::Died),
            Err(why) => Err(why),
        }
    }

    /// Takes the next record, waiting for it. Everything taken before must be released.
    ///
    /// # Errors
    ///
    /// [`NoRecord`]; `Empty` if the deadline passed.
    #[inline(always)]
    pub fn take(&mut self, deadline: impl FnOnce() -> Option<Instant>) -> Result<C::Taken, NoRecord> {
        match self.ring.advance() {
            Ok(record) => {
                self.taken += 1;
                Ok(record)
            }
            Err(NoRecord::Empty) => self.wait_for_record(deadline),
            Err(why) => Err(why),
        }
    }

    /// Takes the next record of a ring that was empty a moment ago, waiting for it.
    #[cold]
    #[inline(never)]
    fn wait_for_record(&mut self, deadline: impl FnOnce() -> Option<Instant>) -> Result<C::Taken, NoRecord> {
        match self.try_take_of_empty() {
            Err(NoRecord::Empty) => {}
            done => return done,
        }
        self.lag.fall_back(self.taken.saturating_sub(self.caught_up));
        self.caught_up = self.taken;
        match self.try_take() {
            Err(NoRecord::Empty) => {}
            done => return done,
        }
        let deadline = deadline();
        // What was there for a moment may be gone again, if the sender overwrites it, or breaks the rules: wait on.
        while self.wait_for_something(deadline) {
            match self.try_take() {
                Err(NoRecord::Empty) if deadline.is_none_or(|deadline| Instant::now() < deadline) => {}
                done => return done,
            }
        }
        Err(NoRecord::Empty)
    }

    /// Waits until the ring is not empty: a record, or *closed*, or worse; or until the sender has died. `false` if the
    /// deadline passed.
    #[inline(never)]
    fn wait_for_something(&mut self, deadline: Option<Instant>) -> bool {
        self.waits += 1;
        let Self { ring, bell, .. } = self;
        bell.wait(deadline, |sender| (!ring.is_empty() || sender.died()).then_some(())).is_some()
    }

    /// Gives back all that was taken, and wakes the sender if it sleeps.
    #[inline(always)]
    pub fn release(&mut self) {
        self.ring.release();
        if self.sleepers {
            if self.ring.position().wrapping_sub(self.fenced) >= self.ring.capacity() / 8 {
                self.look_for_sleeper();
            } else {
                self.bell.notify_unfenced();
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn look_for_sleeper(&mut self) {
        // Also what a guard held that was forgotten: nobody reads it any more, and it would never be given back.
        self.ring.release();
        let position = self.ring.position();
        if self.sleepers && position != self.fenced {
            self.fenced = position;
            self.bell.notify();
        }
    }

    /// Counts records that were taken through [`ring`](Self::ring).
    #[inline]
    pub fn count(&mut self, taken: u64) {
        self.taken = self.taken.wrapping_add(taken);
    }

    /// Records taken, how often it had to wait for one, and its bell.
    pub fn counts(&self) -> (u64, u64, &Bell<W>) {
        (self.taken, self.waits, &self.bell)
    }

    /// Tells the sender that nobody receives any more, and gives back all that was taken: who leaves has no guard any more.
    pub fn close(&mut self) {
        self.ring.release();
        self.bell.retire();
    }

    /// Whether the sender has died since this end came, and no successor has come.
    pub fn sender_died(&self) -> bool {
        self.bell.peer().died()
    }

    /// The process whose death was last told of, as it said itself; 0 if it had said nothing.
    pub fn dead_sender(&self) -> u32 {
        self.bell.peer().dead()
    }

    /// The consumer, for what needs no bell.
    #[inline(always)]
    pub fn ring(&self) -> &C {
        &self.ring
    }

    /// The consumer, for what needs no bell.
    pub fn ring_mut(&mut self) -> &mut C {
        &mut self.ring
    }
}

impl<C: Peeks, W: Words> Inlet<C, W> {
    /// The next record, if there is one now; it is not taken, nor counted.
    ///
    /// # Errors
    ///
    /// As [`try_take`](Self::try_take).
    #[inline(always)]
    pub fn try_peek(&mut self) -> Result<C::Taken, NoRecord> {
        match self.ring.peek() {
            Some(record) => Ok(record),
            None => self.take_and_put_back(Self::try_take),
        }
    }

    /// The next record, waiting for it; it is not taken, nor counted. Everything taken before must be released.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    #[inline(always)]
    pub fn peek(&mut self, deadline: impl FnOnce() -> Option<Instant>) -> Result<C::Taken, NoRecord> {
        match self.ring.peek() {
            Some(record) => Ok(record),
            None => self.take_and_put_back(|inlet| inlet.take(deadline)),
        }
    }

    /// The next record of a ring where none was easily had.
    #[cold]
    #[inline(never)]
    fn take_and_put_back(
        &mut self,
        take: impl FnOnce(&mut Self) -> Result<C::Taken, NoRecord>,
    ) -> Result<C::Taken, NoRecord> {
        let record = take(self)?;
        self.put_back(record);
        Ok(record)
    }

    /// Un-takes the record taken last.
    #[inline]
    pub fn put_back(&mut self, record: C::Taken) {
        self.ring.put_back(record);
        self.taken = self.taken.wrapping_sub(1);
    }
}
