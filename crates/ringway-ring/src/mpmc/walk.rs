//! Walking along the cells.

use super::{
    Hint, Pool,
    access::Access,
    word::{Age, Cell},
};
use crate::{
    At, Corrupt,
    primitive::{Common, Ordering, Word},
};

/// The most cells between two moves of a hint.
const STRIDE: u64 = 8;

/// Others were faster so often that it cannot be.
const PATIENCE: u32 = 1 << 20;

/// A walk from a hint on.
#[derive(Debug)]
pub(super) struct Walk<'a, P> {
    pool: &'a P,
    hint: Hint,
    /// The hint, as last seen.
    from: u64,
    /// Where the walk is: from..=from + cells / 2.
    at: u64,
    /// Times it began anew.
    again: u32,
}

/// The cell at which a walk is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) cell: Cell,
    pub(super) age: Age,
    /// Of the position.
    pub(super) lap: u64,
}

impl<'a, P: Pool> Walk<'a, P> {
    /// Begins where the hint is, or at `reached`, up to where this end has come, if that is further.
    #[inline(always)]
    pub(super) fn begin(pool: &'a P, hint: Hint, reached: &Word) -> Self {
        // Acquire: pairs with the Release in `advance`: what filled, or took, all before it.
        let from = pool.hint(hint).load(Ordering::Acquire);
        // Acquire: pairs with the Release in `remember`, by another thread with this end.
        let reached = reached.load(Ordering::Acquire);
        let at = if reached.wrapping_sub(from) <= pool.cells() / 2 { reached } else { from };
        Self { pool, hint, from, at, again: 0 }
    }

    /// Begins anew, for somebody was faster.
    ///
    /// # Errors
    ///
    /// Somebody always is.
    #[cold]
    #[inline(never)]
    pub(super) fn again(&mut self) -> Result<(), Corrupt> {
        self.again += 1;
        self.from = self.word().load(Ordering::Acquire);
        self.at = self.from;
        if self.again < PATIENCE { Ok(()) } else { Err(Corrupt { at: At::Hint, found: self.from }) }
    }

    #[inline(always)]
    fn word(&self) -> &'a Common {
        self.pool.hint(self.hint)
    }

    /// The position.
    #[inline(always)]
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The cell here; `None` if the hint has been moved, and laps cannot be told apart any more.
    #[inline(always)]
    pub(super) fn look(&self) -> Option<Seen> {
        // Acquire: pairs with the Release of the commit in `Producer::commit`: the payload, and the slot's state.
        let cell = Cell(self.pool.cell(self.at).load(Ordering::Acquire));
        // Relaxed: coherence alone counts: not moved since it was loaded before.
        if self.word().load(Ordering::Relaxed) != self.from {
            return None;
        }
        let lap = self.at >> self.pool.cells().trailing_zeros();
        Some(Seen { cell, age: cell.age(lap), lap })
    }

    /// The slot that the cell so many places further on queues, if it is filled.
    #[inline(always)]
    pub(super) fn slot_ahead(&self, places: u64) -> Option<u32> {
        let at = self.at.wrapping_add(places);
        // Relaxed: only a hint.
        let cell = Cell(self.pool.cell(at).load(Ordering::Relaxed));
        let lap = at >> self.pool.cells().trailing_zeros();
        (cell.age(lap) == Age::Now).then(|| cell.slot())
    }

    /// What to say of a cell that is of no lap near here, though the hint has not moved.
    #[cold]
    pub(super) fn nonsense(&self, seen: Seen) -> Corrupt {
        Corrupt { at: At::Cell { position: self.at }, found: seen.cell.0 }
    }

    /// Goes on behind a cell that was passed; `false` if somebody else has moved the hint.
    #[inline(always)]
    pub(super) fn pass<A: Access>(&mut self) -> bool {
        self.at = self.at.wrapping_add(1);
        if self.at & (stride(self.pool.cells()) - 1) != 0 {
            return true;
        }
        let moved = self.advance::<A>();
        if moved {
            self.from = self.at;
        }
        moved
    }

    /// Goes on behind a cell that this end has filled, or whose message it has taken, without a look at the hint.
    #[inline(always)]
    pub(super) fn step(&mut self) {
        self.at = self.at.wrapping_add(1);
    }

    /// Moves the hint to where the walk is.
    #[inline(always)]
    fn advance<A: Access>(&self) -> bool {
        // Release: pairs with the Acquire in `begin` and `again`.
        A::change(self.word(), self.from, self.at, Ordering::Release)
    }

    /// Ends the walk: moves the hint if it has come far enough, and remembers how far.
    #[inline(always)]
    pub(super) fn end<A: Access>(self, reached: &Word) {
        let stride = stride(self.pool.cells());
        if (self.from ^ self.at) & !(stride - 1) != 0 {
            // If somebody else has moved it, it is moved.
            self.advance::<A>();
        }
        // Release: pairs with the Acquire in `begin`.
        reached.store(self.at, Ordering::Release);
    }
}

/// Cells between two moves of a hint: a power of two, no more than half of them.
#[inline(always)]
pub(super) fn stride(cells: u64) -> u64 {
    (cells / 2).clamp(1, STRIDE)
}

/// How many cells one walk may fill, or take from, without moving the hint.
#[inline(always)]
pub(super) fn run(cells: u64) -> u64 {
    (cells / 4).max(1)
}
