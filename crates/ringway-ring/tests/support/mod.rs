//! A ring's memory for tests: words in a vector, shared by clones.

use std::rc::Rc;

use ringway_ring::{Mem, Side, primitive::Word};

/// The memory of one ring.
#[derive(Debug, Clone)]
pub(crate) struct Table(Rc<(Vec<Word>, [Word; 2])>);

impl Table {
    pub(crate) fn new(capacity: u64) -> Self {
        let words = (0..capacity / 8).map(|_| Word::new(0)).collect();
        Self(Rc::new((words, [Word::new(0), Word::new(0)])))
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
}
