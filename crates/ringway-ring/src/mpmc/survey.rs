//! A queue seen from outside: nothing here writes, so the memory may be readable only.

use super::{
    Hint, Pool, scratch,
    word::{Age, Cell, State},
};
use crate::primitive::Ordering;

/// Tells of each slot its state, and whether it is queued: has a message that nobody has taken. `queued`: as for a
/// [`sweep`](super::sweep). What is told was so at different instants, if the queue is being used.
///
/// # Panics
///
/// If `queued` has less than [`scratch`] words.
pub fn survey<P: Pool>(pool: &P, queued: &mut [u64], mut each: impl FnMut(u32, State, bool)) {
    // Relaxed, both: what is told is for people.
    mark_queued(pool, queued, Ordering::Relaxed);
    for slot in 0..pool.slots() {
        each(slot, State(pool.state(slot).load(Ordering::Relaxed)), is_marked(queued, slot));
    }
}

/// Sets the bits of all slots that are queued. `order`: Acquire pairs with the commits' Release, and brings the slots' states.
pub(super) fn mark_queued<P: Pool>(pool: &P, queued: &mut [u64], order: Ordering) {
    let slots = pool.slots();
    assert!(queued.len() >= scratch(slots), "a bit for each slot");
    queued.fill(0);
    for position in 0..pool.cells() {
        let cell = Cell(pool.cell(position).load(order));
        let slot = cell.slot();
        // Relaxed: by way of the cell.
        if cell.is_filled()
            && slot < slots
            && State(pool.state(slot).load(Ordering::Relaxed)).is_queued_by(cell)
        {
            queued[slot as usize / 64] |= 1 << (slot % 64);
        }
    }
}

/// Whether a slot's bit is set.
pub(super) fn is_marked(queued: &[u64], slot: u32) -> bool {
    queued[slot as usize / 64] >> (slot % 64) & 1 != 0
}

/// How many messages are queued, or, of several that are in one slot, slots. It may be more, or less, by now. Lock-free.
#[must_use]
pub fn queued<P: Pool>(pool: &P) -> u64 {
    // The head first: it does not overtake a tail that is looked at later.
    let (head, tail) = (end(pool, Hint::Head), end(pool, Hint::Tail));
    tail.wrapping_sub(head).min(u64::from(pool.slots()))
}

/// How many slots were sent since the queue's birth.
#[must_use]
pub fn sent<P: Pool>(pool: &P) -> u64 {
    end(pool, Hint::Tail)
}

/// Where an end of the queue is, which its hint is not far from.
fn end<P: Pool>(pool: &P, of: Hint) -> u64 {
    // Relaxed, all: only an answer.
    let mut at = pool.hint(of).load(Ordering::Relaxed);
    for _ in 0..pool.cells() {
        let cell = Cell(pool.cell(at).load(Ordering::Relaxed));
        let passed = match cell.age(at >> pool.cells().trailing_zeros()) {
            Age::Now if of == Hint::Tail || cell.slot() >= pool.slots() => true,
            Age::Now => !State(pool.state(cell.slot()).load(Ordering::Relaxed)).is_queued_by(cell),
            Age::After => true,
            Age::Before | Age::Unknown => false,
        };
        if !passed {
            break;
        }
        at = at.wrapping_add(1);
    }
    at
}
