//! The receiving end.

use core::marker::PhantomData;

use super::{
    Hint, Line, Pool,
    access::{Access, Many},
    losses, producer,
    ticket::Ticket,
    walk::{Seen, Walk, run},
    word::{Age, State, Tag},
};
use crate::{
    At, Corrupt,
    primitive::{Ordering, Word, fence},
};

/// How many messages ahead lines are asked for.
const AHEAD: u64 = 2;

/// A message that was taken, until it is released or put back.
///
/// One that is dropped stays taken until its participant leaves or dies.
#[derive(Debug)]
#[must_use = "a message that is neither released nor put back keeps its slot"]
pub struct Taken(pub(crate) Ticket);

impl Taken {
    /// The slot that it is in.
    #[inline(always)]
    #[must_use]
    pub fn slot(&self) -> u32 {
        self.0.slot()
    }
}

/// A receiving end of a queue: see the [module](super) for the protocol.
///
/// Threads of one participant may share it, unless it is the [`Sole`](super::Sole) one; each does better with one of its own.
#[derive(Debug)]
pub struct Consumer<P, A = Many> {
    pool: P,
    line: Line,
    /// A position before which all messages are taken.
    reached: Word,
    access: PhantomData<A>,
}

impl<P: Pool, A: Access> Consumer<P, A> {
    /// A receiving end for a participant, which has [attached](super::attach).
    ///
    /// Of an end that is the [`Sole`](super::Sole) one there is one at a time, by the caller's proof, and its predecessor's line was
    /// swept; and no producer [reuses](super::Producer::reuse) messages.
    pub fn new(pool: P, line: Line) -> Self {
        Self { pool, line, reached: Word::new(0), access: PhantomData }
    }

    /// [`take`](Self::take), if there is a message at the first place that is looked at and nobody is faster: wait-free, and short enough
    /// to be inlined. `None` says nothing.
    #[inline(always)]
    pub fn take_at_once(&self) -> Option<Taken> {
        let mut walk = Walk::begin(&self.pool, Hint::Head, &self.reached);
        let seen = walk.look().filter(|seen| seen.age == Age::Now && seen.cell.slot() < self.pool.slots())?;
        let taken = self.try_take(&mut walk, seen)?;
        // Before somebody waits for it.
        if let Some(slot) = walk.slot_ahead(AHEAD) {
            self.pool.will_read(slot);
        }
        walk.end::<A>(&self.reached);
        Some(taken)
    }

    /// Whether the first place that is looked at has no message, nor had one that somebody has taken: then there is nothing to take. For who
    /// looks again and again: a few loads.
    #[inline(always)]
    #[must_use]
    pub fn finds_nothing(&self) -> bool {
        let walk = Walk::begin(&self.pool, Hint::Head, &self.reached);
        walk.look().is_some_and(|seen| seen.age == Age::Before)
    }

    /// Takes the first message, if there is one. Lock-free. That there is none was true at the look that found it.
    ///
    /// # Errors
    ///
    /// If the memory holds what no participant writes.
    #[inline]
    pub fn take(&self) -> Result<Option<Taken>, Corrupt> {
        let mut walk = Walk::begin(&self.pool, Hint::Head, &self.reached);
        let taken = self.next(&mut walk)?;
        walk.end::<A>(&self.reached);
        Ok(taken)
    }

    /// Takes up to `most` messages, for as long as `each` wants more, and says how many, with one move of the shared hint (or one for every quarter of the
    /// queue). Lock-free. Other ends may have some in between.
    ///
    /// # Errors
    ///
    /// If the memory holds what no participant writes; what was taken before is taken.
    #[inline]
    pub fn take_many(&self, most: usize, mut each: impl FnMut(Taken) -> bool) -> Result<usize, Corrupt> {
        let run = run(self.pool.cells()) as usize;
        let (mut count, mut wants) = (0, true);
        while wants && count < most {
            let mut walk = Walk::begin(&self.pool, Hint::Head, &self.reached);
            let wanted = run.min(most - count);
            let mut had = 0;
            while wants && had < wanted {
                let Some(taken) = self.next(&mut walk)? else { break };
                wants = each(taken);
                had += 1;
            }
            walk.end::<A>(&self.reached);
            count += had;
            if had < wanted {
                break;
            }
        }
        Ok(count)
    }

    #[inline(always)]
    fn next(&self, walk: &mut Walk<'_, P>) -> Result<Option<Taken>, Corrupt> {
        loop {
            let Some(seen) = walk.look() else {
                walk.again()?;
                continue;
            };
            match seen.age {
                Age::Before => return Ok(None),
                Age::Now => {
                    let slot = seen.cell.slot();
                    if slot >= self.pool.slots() {
                        return Err(walk.nonsense(seen));
                    }
                    if let Some(taken) = self.try_take(walk, seen) {
                        return Ok(Some(taken));
                    }
                }
                Age::After => {}
                Age::Unknown => return Err(walk.nonsense(seen)),
            }
            // Somebody else has taken it. Acquire: pairs with the Release of the take: what was queued by then is seen behind it, or
            // there would be nothing to take where there always is something.
            fence(Ordering::Acquire);
            if !walk.pass::<A>() {
                walk.again()?;
            }
        }
    }

    /// Takes the message that the cell queues which a walk is at, unless somebody has. There is such a slot.
    #[inline(always)]
    fn try_take(&self, walk: &mut Walk<'_, P>, seen: Seen) -> Option<Taken> {
        let slot = seen.cell.slot();
        self.pool.will_read(slot);
        let state = self.pool.state(slot);
        // Relaxed: what was in it when the cell was filled is seen, by way of the cell.
        let found = State(state.load(Ordering::Relaxed));
        if !found.is_queued_by(seen.cell) {
            return None;
        }
        let taken = State::new(found.uses().wrapping_add(1), self.line, Tag::Reading);
        // The take. Release: pairs with the fence of those who find it taken; the payload is ordered by the cell.
        if !A::change(state, found.0, taken.0, Ordering::Release) {
            return None;
        }
        walk.step();
        self.pool.reading(slot);
        Some(Taken(Ticket::new(self.pool.id(), slot, taken.uses())))
    }

    /// What came with a message.
    ///
    /// # Panics
    ///
    /// If it is of another queue.
    #[inline(always)]
    #[must_use]
    pub fn note(&self, taken: &Taken) -> u64 {
        self.check(taken);
        // Relaxed: ordered by the cell, as the payload.
        self.pool.note(taken.slot()).load(Ordering::Relaxed)
    }

    /// Holds a message to this pool: in another one its slot is somebody else's.
    #[inline(always)]
    fn check(&self, taken: &Taken) {
        assert!(taken.0.is_of(self.pool.id()), "the message is of another queue");
    }

    /// Gives a slot back. Wait-free.
    ///
    /// # Panics
    ///
    /// If the message is of another queue.
    #[inline(always)]
    pub fn release(&self, taken: Taken) {
        self.check(&taken);
        let state = self.pool.state(taken.slot());
        // Release: pairs with the Acquire in `Producer::loan` (R1).
        state.store(State::free(taken.0.uses).0, Ordering::Release);
    }

    /// Gives a slot back whose messages, so many, nobody has received. Wait-free.
    ///
    /// # Panics
    ///
    /// If the message is of another queue.
    pub fn lose(&self, taken: Taken, messages: u32) {
        self.check(&taken);
        // The own slot: nobody else changes its state.
        losses::note(&self.pool, taken.slot(), taken.0.uses, messages, || true);
        self.release(taken);
    }

    /// Puts a message back, behind all others, with another `note`. Lock-free.
    ///
    /// # Errors
    ///
    /// If the memory holds what no participant writes.
    ///
    /// # Panics
    ///
    /// If the message is of another queue.
    pub fn put_back(&self, taken: Taken, note: u64) -> Result<(), Corrupt> {
        self.check(&taken);
        let (slot, uses) = (taken.slot(), taken.0.uses);
        let (state, mine) = (self.pool.state(slot), State::new(uses, self.line, Tag::Reading));
        let returning = State::new(uses, self.line, Tag::Returning);
        // Relaxed: its owner's word, and ordered by the commit. One that lost it to a scribbler leaves it alone.
        if let Err(found) = state.compare_exchange(mine.0, returning.0, Ordering::Relaxed, Ordering::Relaxed)
        {
            return Err(Corrupt { at: At::Slot { slot }, found });
        }
        give(&self.pool, slot, uses, note)
    }

    /// Whether there is nothing to take; it may have come by now.
    ///
    /// Walks along what others have taken, and takes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let mut walk = Walk::begin(&self.pool, Hint::Head, &self.reached);
        loop {
            let Some(seen) = walk.look() else {
                if walk.again().is_err() {
                    return false;
                }
                continue;
            };
            let slot = seen.cell.slot();
            match seen.age {
                Age::Before => return true,
                Age::Now if slot >= self.pool.slots() => return false,
                // Relaxed: only an answer.
                Age::Now if State(self.pool.state(slot).load(Ordering::Relaxed)).is_queued_by(seen.cell) => {
                    return false;
                }
                Age::Now | Age::After => {}
                Age::Unknown => return false,
            }
            // Acquire: as in `next`.
            fence(Ordering::Acquire);
            if !walk.pass::<A>() && walk.again().is_err() {
                return false;
            }
        }
    }

    /// The memory.
    #[inline(always)]
    pub fn pool(&self) -> &P {
        &self.pool
    }
}

/// Queues a slot that the caller puts back.
pub(super) fn give<P: Pool>(pool: &P, slot: u32, uses: u64, note: u64) -> Result<(), Corrupt> {
    let reached = Word::new(0);
    // Relaxed: ordered by the Release of the commit.
    pool.note(slot).store(note, Ordering::Relaxed);
    let mut walk = Walk::begin(pool, Hint::Tail, &reached);
    producer::enqueue(pool, &mut walk, slot, uses)?;
    walk.end::<Many>(&reached);
    Ok(())
}
