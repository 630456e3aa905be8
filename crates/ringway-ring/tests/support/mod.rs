//! A ring's memory for tests: words in a vector, shared by clones.

use std::rc::Rc;

use ringway_ring::{Mem, Progress, Side, primitive::Word};

/// The memory of one ring.
#[derive(Debug, Clone)]
pub(crate) struct Table(Rc<(Vec<Word>, [Word; 6])>);

impl Table {
    pub(crate) fn new(capacity: u64) -> Self {
        let words = (0..capacity / 8).map(|_| Word::new(0)).collect();
        Self(Rc::new((words, [0; 6].map(Word::new))))
    }
}

impl Mem for Table {
    fn capacity(&self) -> u64 {
        self.0.0.len() as u64 * 8
    }

    fn data(&self, granule: u64) -> &Word {
        &self.0.0[(granule % self.0.0.len() as u64) as usize]
    }

    fn position(&self, side: Side) -> &Word {
        &self.0.1[side as usize]
    }

    fn progress(&self, of: Progress) -> &Word {
        &self.0.1[2 + of as usize]
    }

    fn taken(&self) -> &Word {
        &self.0.1[5]
    }
}
