//! The sending end.

use core::marker::PhantomData;

use super::{
    Hint, Line, Pool, Taken,
    access::{Access, Many},
    losses,
    ticket::Ticket,
    walk::{Seen, Walk, run},
    word::{Age, Cell, State, Tag},
};
use crate::{
    At, Corrupt,
    primitive::{Ordering, Word},
};

/// How many slots ahead lines are asked for.
const AHEAD: u32 = 6;

/// Slots that are looked at where somebody waits for one: they come back in order, more or less.
const NEAR: u32 = 8;

/// A slot that was lent to be written, until it is committed or given back.
///
/// One that is dropped stays lent until its participant leaves or dies.
#[derive(Debug)]
#[must_use = "a slot that is neither sent nor given back is lost to all others"]
pub struct Loan(pub(crate) Ticket);

impl Loan {
    /// The slot's number.
    #[inline(always)]
    #[must_use]
    pub fn slot(&self) -> u32 {
        self.0.slot()
    }
}

/// A sending end of a queue: see the [module](super) for the protocol.
///
/// Threads of one participant may share it, unless it is the [`Sole`](super::Sole) one; each does better with one of its own.
#[derive(Debug)]
pub struct Producer<P, A = Many> {
    pool: P,
    line: Line,
    /// The turn of the slot to try first.
    rotor: Word,
    /// A position before which all cells are filled.
    reached: Word,
    access: PhantomData<A>,
}

impl<P: Pool, A: Access> Producer<P, A> {
    /// A sending end for a participant, which has [attached](super::attach). `first`: the slot that it tries first; ends that
    /// begin at different ones do not get in each other's way.
    ///
    /// Of an end that is the [`Sole`](super::Sole) one there is one at a time, by the caller's proof, and its predecessor's line was
    /// swept.
    pub fn new(pool: P, line: Line, first: u32) -> Self {
        let rotor = Word::new(u64::from(first % pool.slots()));
        Self { pool, line, rotor, reached: Word::new(0), access: PhantomData }
    }

    /// Lends a slot, if there is a free one: all are looked at, once. Wait-free: a bounded number of steps.
    ///
    /// That there is none is a weak answer: each was in use when it was looked at.
    #[inline]
    pub fn loan(&self) -> Option<Loan> {
        self.loan_of(self.pool.slots())
    }

    /// Lends the next slot, if it is free: short enough to be inlined.
    #[inline(always)]
    pub fn loan_at_once(&self) -> Option<Loan> {
        // Relaxed: private, and wherever it begins is good.
        self.try_turn(self.rotor.load(Ordering::Relaxed) as u32)
    }

    /// Lends a slot, if one of the next few is free.
    #[inline]
    pub fn loan_near(&self) -> Option<Loan> {
        self.loan_of(self.pool.slots().min(NEAR))
    }

    fn loan_of(&self, most: u32) -> Option<Loan> {
        let slots = self.pool.slots();
        // Relaxed: as in `loan_at_once`.
        let mut turn = self.rotor.load(Ordering::Relaxed) as u32;
        for _ in 0..most {
            let loan = self.try_turn(turn);
            if loan.is_some() {
                return loan;
            }
            turn = if turn + 1 < slots { turn + 1 } else { 0 };
        }
        None
    }

    /// Whether there is a free slot; it may be lent by now. Only looks: nobody finds a slot in use because of this.
    #[must_use]
    pub fn has_free(&self) -> bool {
        // Relaxed: only an answer.
        (0..self.pool.slots())
            .any(|slot| State(self.pool.state(slot).load(Ordering::Relaxed)).tag() == Some(Tag::Free))
    }

    #[inline(always)]
    fn try_turn(&self, turn: u32) -> Option<Loan> {
        let slot = slot_of(turn, self.pool.slots());
        let state = self.pool.state(slot);
        // Acquire: pairs with the Release that freed it, for an end that is the only one (A1): the last reader's reads.
        let found = State(state.load(Ordering::Acquire));
        if found.tag() != Some(Tag::Free) {
            return None;
        }
        let lent = State::new(found.uses(), self.line, Tag::Writing);
        // Acquire: the same (A1), for one of many.
        if !A::change(state, found.0, lent.0, Ordering::Acquire) {
            return None;
        }
        let next = if turn + 1 < self.pool.slots() { turn + 1 } else { 0 };
        // Relaxed: as above.
        self.rotor.store(u64::from(next), Ordering::Relaxed);
        self.pool.writing(slot);
        Some(Loan(Ticket::new(self.pool.id(), slot, found.uses())))
    }

    /// Holds a loan to this pool: in another one its slot is somebody else's.
    #[inline(always)]
    fn check(&self, loan: &Loan) {
        assert!(loan.0.is_of(self.pool.id()), "the loan is of another queue");
    }

    /// Gives a slot back unsent. Wait-free.
    ///
    /// # Panics
    ///
    /// If the loan is of another queue.
    #[inline]
    pub fn give_back(&self, loan: Loan) {
        self.check(&loan);
        // Release: pairs with the Acquire in `try_slot`.
        self.pool.state(loan.slot()).store(State::free(loan.0.uses).0, Ordering::Release);
    }

    /// Makes a message that was taken a loan, in the same slot; so many messages are lost with it. Wait-free.
    ///
    /// # Panics
    ///
    /// If the message is of another queue.
    #[inline]
    pub fn reuse(&self, taken: Taken, messages: u32) -> Loan {
        let Taken(ticket) = taken;
        assert!(ticket.is_of(self.pool.id()), "the message is of another queue");
        let (slot, uses) = (ticket.slot(), ticket.uses);
        // The own slot: nobody else changes its state.
        losses::note(&self.pool, slot, uses, messages, || true);
        // Release: pairs with the Acquire of a sweep: what is noted as lost comes before.
        self.pool.state(slot).store(State::new(uses, self.line, Tag::Writing).0, Ordering::Release);
        self.pool.writing(slot);
        Loan(ticket)
    }

    /// [`commit`](Self::commit), if the first cell that is looked at is the right one and nobody is faster: wait-free, and short enough to be
    /// inlined.
    ///
    /// # Errors
    ///
    /// The loan, if it is not so.
    ///
    /// # Panics
    ///
    /// If the loan is of another queue.
    #[inline(always)]
    pub fn commit_at_once(&self, loan: Loan, note: u64) -> Result<(), Loan> {
        if !self.is_held(&loan) {
            return Err(loan);
        }
        // Relaxed: ordered by the Release of the commit.
        self.pool.note(loan.slot()).store(note, Ordering::Relaxed);
        let mut walk = Walk::begin(&self.pool, Hint::Tail, &self.reached);
        match walk.look() {
            Some(seen)
                if seen.age == Age::Before
                    && queue(&self.pool, &mut walk, seen, loan.slot(), loan.0.uses) =>
            {
                walk.end::<Many>(&self.reached);
                // Before somebody waits for them. Relaxed: as above.
                let ahead = self.rotor.load(Ordering::Relaxed) as u32 + AHEAD;
                let slots = self.pool.slots();
                let ahead = if ahead < slots { ahead } else { ahead.wrapping_sub(slots) };
                self.pool.will_write(slot_of(ahead, slots));
                Ok(())
            }
            _ => Err(loan),
        }
    }

    /// Whether the slot's state says that it is the loan's. If not, a scribbler has changed it.
    #[inline(always)]
    fn is_held(&self, loan: &Loan) -> bool {
        self.check(loan);
        // Relaxed: the own word.
        let found = self.pool.state(loan.slot()).load(Ordering::Relaxed);
        found == State::new(loan.0.uses, self.line, Tag::Writing).0
    }

    /// Sends what was written to a slot, and `note` with it. Lock-free; it cannot meet a full queue.
    ///
    /// # Errors
    ///
    /// If the memory holds what no participant writes. The slot is given back, then, if it is this end's still.
    ///
    /// # Panics
    ///
    /// If the loan is of another queue.
    #[inline]
    pub fn commit(&self, loan: Loan, note: u64) -> Result<(), Corrupt> {
        let mut walk = Walk::begin(&self.pool, Hint::Tail, &self.reached);
        self.fill(&mut walk, loan, note)?;
        walk.end::<Many>(&self.reached);
        Ok(())
    }

    /// Sends several, one behind the other unless another end comes between, with one move of the shared hint (or one for
    /// every quarter of the queue). Lock-free. Each one is sent by itself: who is killed in the midst has sent the first ones.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit); those behind it are not sent either, and given back.
    ///
    /// # Panics
    ///
    /// As [`commit`](Self::commit).
    pub fn commit_all(&self, loans: impl IntoIterator<Item = (Loan, u64)>) -> Result<(), Corrupt> {
        let run = run(self.pool.cells());
        let mut result = Ok(());
        let mut loans = loans.into_iter().peekable();
        while loans.peek().is_some() {
            let mut walk = Walk::begin(&self.pool, Hint::Tail, &self.reached);
            for (loan, note) in loans.by_ref().take(run as usize) {
                match result {
                    Ok(()) => result = self.fill(&mut walk, loan, note),
                    Err(_) => self.give_back(loan),
                }
            }
            walk.end::<Many>(&self.reached);
        }
        result
    }

    #[inline(always)]
    fn fill(&self, walk: &mut Walk<'_, P>, loan: Loan, note: u64) -> Result<(), Corrupt> {
        let (slot, uses) = (loan.slot(), loan.0.uses);
        // One that lost its slot must not send what is another's.
        if !self.is_held(&loan) {
            // Relaxed: as found.
            return Err(Corrupt {
                at: At::Slot { slot },
                found: self.pool.state(slot).load(Ordering::Relaxed),
            });
        }
        // Relaxed: ordered by the Release of the commit.
        self.pool.note(slot).store(note, Ordering::Relaxed);
        enqueue(&self.pool, walk, slot, uses).inspect_err(|_| self.give_back(loan))
    }

    /// The memory.
    #[inline(always)]
    pub fn pool(&self) -> &P {
        &self.pool
    }
}

/// Slots whose states share a line,
const SHARING: u32 = 4;
/// and lines that turns go around before they come back to one.
const LINES: u32 = 8;

/// The slot of a turn. Slots whose turns follow each other have states on different lines: what a sender is lent next is not on the line
/// that a receiver is taking from it.
#[inline(always)]
fn slot_of(turn: u32, slots: u32) -> u32 {
    let (round, rest) = (turn & !(SHARING * LINES - 1), turn % (SHARING * LINES));
    // The last round may not be a whole one.
    if round + SHARING * LINES <= slots { round + rest % LINES * SHARING + rest / LINES } else { turn }
}

/// Puts a slot behind all that is queued. The slot is the caller's.
#[inline(always)]
pub(super) fn enqueue<P: Pool>(
    pool: &P,
    walk: &mut Walk<'_, P>,
    slot: u32,
    uses: u64,
) -> Result<(), Corrupt> {
    loop {
        let Some(seen) = walk.look() else {
            walk.again()?;
            continue;
        };
        match seen.age {
            Age::Before if queue(pool, walk, seen, slot, uses) => return Ok(()),
            Age::Before => walk.again()?,
            Age::Now | Age::After => {
                if !walk.pass::<Many>() {
                    walk.again()?;
                }
            }
            Age::Unknown => return Err(walk.nonsense(seen)),
        }
    }
}

/// Fills the cell that a walk is at, and that was seen not to be filled, if nobody was faster.
#[inline(always)]
fn queue<P: Pool>(pool: &P, walk: &mut Walk<'_, P>, seen: Seen, slot: u32, uses: u64) -> bool {
    let cell = Cell::new(uses, slot, seen.lap);
    // Release: pairs with the Acquire in `Walk::look` (R3). The commit.
    let filled = Many::change(pool.cell(walk.at()), seen.cell.0, cell.0, Ordering::Release);
    if filled {
        walk.step();
    }
    filled
}
