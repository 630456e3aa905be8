//! Memory of the queue's models.

use std::{num::NonZeroU32, sync::Arc};

use loom::cell::UnsafeCell;
use ringway_ring::{
    mpmc::{self, Hint, Line, Pool as _},
    primitive::{Common, Ordering, Word},
};

use crate::kill;

/// Bit of a note: a participant that was killed had the message.
pub const AGAIN: u64 = 1 << 63;

/// A queue's memory: the words, and a cell a slot for its payload, which finds two who use it without an order between
/// them. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Pool(Arc<Memory>);

#[derive(Debug)]
struct Memory {
    slots: Vec<Slot>,
    cells: Vec<Common>,
    hints: [Common; 2],
    leases: [Common; 4],
}

#[derive(Debug)]
struct Slot {
    state: Common,
    note: Word,
    losses: Common,
    payload: Payload,
}

/// A cell whose accesses loom orders.
#[derive(Debug)]
struct Payload(UnsafeCell<u64>);

// SAFETY: loom itself reports any access that is not ordered; that is what the cell is for.
unsafe impl Sync for Payload {}

impl Pool {
    /// A new queue's memory, with four lines.
    pub fn new(slots: u32) -> Self {
        let slot = |_| Slot {
            state: Common::new(0),
            note: Word::new(0),
            losses: Common::new(0),
            payload: Payload(UnsafeCell::new(0)),
        };
        Self(Arc::new(Memory {
            slots: (0..slots).map(slot).collect(),
            cells: (0..slots.next_power_of_two()).map(|_| Common::new(0)).collect(),
            hints: [0; 2].map(Common::new),
            leases: [0; 4].map(Common::new),
        }))
    }

    fn slot(&self, slot: u32) -> &Slot {
        &self.0.slots[slot as usize]
    }

    /// Writes a slot's payload, as its owner.
    pub fn fill(&self, slot: u32, value: u64) {
        // SAFETY: loom checks that nobody else is using the cell.
        self.slot(slot).payload.0.with_mut(|payload| unsafe { *payload = value });
    }

    /// Reads a slot's payload, as its owner.
    pub fn read(&self, slot: u32) -> u64 {
        // SAFETY: loom checks that nobody is writing the cell.
        self.slot(slot).payload.0.with(|payload| unsafe { *payload })
    }

    /// How many slots are nobody's.
    pub fn free(&self) -> usize {
        // Behind the use count there is no owner and no tag.
        let is_free = |slot: &&Slot| slot.state.load(Ordering::Relaxed) & 0xf_ffff == 0;
        self.0.slots.iter().filter(is_free).count()
    }
}

impl mpmc::Pool for Pool {
    fn id(&self) -> NonZeroU32 {
        NonZeroU32::MIN
    }

    fn slots(&self) -> u32 {
        self.0.slots.len() as u32
    }

    fn cells(&self) -> u64 {
        self.0.cells.len() as u64
    }

    fn state(&self, slot: u32) -> &Common {
        kill::count();
        &self.slot(slot).state
    }

    fn note(&self, slot: u32) -> &Word {
        kill::count();
        &self.slot(slot).note
    }

    fn losses(&self, slot: u32) -> &Common {
        kill::count();
        &self.slot(slot).losses
    }

    fn cell(&self, position: u64) -> &Common {
        kill::count();
        &self.0.cells[(position % self.cells()) as usize]
    }

    fn hint(&self, of: Hint) -> &Common {
        kill::count();
        &self.0.hints[of as usize]
    }

    fn lease(&self, line: Line) -> &Common {
        kill::count();
        &self.0.leases[usize::from(line.0)]
    }

    fn writing(&self, slot: u32) {
        self.slot(slot).payload.0.with_mut(|_| ());
    }

    fn reading(&self, slot: u32) {
        self.slot(slot).payload.0.with(|_| ());
    }
}

/// What the notes of the models say: the message itself, and whether it comes again. One a slot, or, of one that was received
/// before its receiver died, none.
#[derive(Debug, Clone, Copy)]
pub struct Notes {
    /// Messages in a slot.
    pub messages: u32,
}

impl mpmc::Notes for Notes {
    fn again(&self, note: u64) -> u64 {
        note | AGAIN
    }

    fn messages(&self, _: u32, _: u64) -> u32 {
        self.messages
    }
}
