//! Memory of the models.

use std::{ops::Range, sync::Arc};

use loom::cell::UnsafeCell;
use ringway_ring::{Mem, Progress, Side, primitive::Word, spsc::Record};
use ringway_wait::{
    Life, Whose, Words,
    primitive::{Flag, Futex, Ordering},
};

use crate::{NewFutex, kill, life::Shown};

/// A ring's memory: the words, and a shadow cell a granule that finds two who use it without an order between
/// them. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Table(Arc<Memory>);

#[derive(Debug)]
struct Memory {
    words: Vec<Word>,
    shadow: Vec<Shadow>,
    controls: [Word; 6],
}

/// A cell whose accesses loom orders.
#[derive(Debug)]
struct Shadow(UnsafeCell<()>);

// SAFETY: loom itself reports any access that is not ordered; that is what the cell is for.
unsafe impl Sync for Shadow {}

impl Table {
    /// A new ring's memory.
    pub fn new(capacity: u64) -> Self {
        let granules = capacity / 8;
        Self(Arc::new(Memory {
            words: (0..granules).map(|_| Word::new(0)).collect(),
            shadow: (0..granules).map(|_| Shadow(UnsafeCell::new(()))).collect(),
            controls: [0; 6].map(Word::new),
        }))
    }

    fn index(&self, granule: u64) -> usize {
        (granule % self.0.words.len() as u64) as usize
    }

    /// Writes a payload of one granule, as its owner.
    pub fn fill(&self, granule: u64, value: u64) {
        self.writing(granule, 1);
        self.data(granule).store(value, Ordering::Relaxed);
    }

    /// Reads a record's payload, as its owner; the first granule's value.
    pub fn read(&self, record: Record) -> u64 {
        let (granule, count) = record.granules();
        self.reading(granule, count);
        self.data(granule).load(Ordering::Relaxed)
    }
}

impl Mem for Table {
    /// So that records of one granule share a line and larger ones do not.
    const LINE: u64 = 32;
    /// Payloads of more than one granule.
    const OWNED: Range<u64> = 9..u64::MAX;

    fn capacity(&self) -> u64 {
        self.0.words.len() as u64 * 8
    }

    fn data(&self, granule: u64) -> &Word {
        kill::count();
        &self.0.words[self.index(granule)]
    }

    fn position(&self, side: Side) -> &Word {
        kill::count();
        &self.0.controls[side as usize]
    }

    fn progress(&self, of: Progress) -> &Word {
        kill::count();
        &self.0.controls[2 + of as usize]
    }

    fn taken(&self) -> &Word {
        kill::count();
        &self.0.controls[5]
    }

    fn writing(&self, granule: u64, count: u64) {
        for granule in granule..granule + count {
            self.0.shadow[self.index(granule)].0.with_mut(|_| ());
        }
    }

    fn reading(&self, granule: u64, count: u64) {
        for granule in granule..granule + count {
            self.0.shadow[self.index(granule)].0.with(|_| ());
        }
    }
}

/// The wait words of two sides, as one of them sees them.
#[derive(Debug, Clone)]
pub struct Line {
    sides: Arc<[Own; 2]>,
    mine: usize,
}

/// One side's words.
#[derive(Debug)]
struct Own {
    asleep: Flag,
    bell: Futex,
    processor: Flag,
}

impl Line {
    /// New words, as the two sides see them.
    pub fn pair(futex: NewFutex) -> (Self, Self) {
        let own = || Own { asleep: Flag::new(0), bell: futex(), processor: Flag::new(0) };
        let sides = Arc::new([own(), own()]);
        (Self { sides: sides.clone(), mine: 0 }, Self { sides, mine: 1 })
    }

    fn of(&self, whose: Whose) -> &Own {
        kill::count();
        match whose {
            Whose::Mine => &self.sides[self.mine],
            Whose::Peers => &self.sides[1 - self.mine],
        }
    }
}

impl Words for Line {
    type Signs = Shown;

    fn asleep(&self, whose: Whose) -> &Flag {
        &self.of(whose).asleep
    }

    fn bell(&self, whose: Whose) -> &Futex {
        &self.of(whose).bell
    }

    fn processor(&self, whose: Whose) -> &Flag {
        &self.of(whose).processor
    }

    /// Nobody dies here.
    fn life(&self) -> Option<&Life<Shown>> {
        None
    }
}
