//! What an end has done.

use ringway_ring::primitive::{Ordering, Word};
use ringway_wait::{Event, LentEvent};

use crate::Stats;

/// Counts of one end, in its own memory. Threads that share the end may overwrite each other's; each on its own end does not.
#[derive(Debug)]
pub(super) struct Counts {
    messages: Word,
    bytes: Word,
    lost: Word,
    waits: Word,
}

impl Default for Counts {
    fn default() -> Self {
        let [messages, bytes, lost, waits] = [0; 4].map(Word::new);
        Self { messages, bytes, lost, waits }
    }
}

impl Counts {
    #[inline(always)]
    pub(super) fn message(&self, bytes: u64) {
        self.messages(1, bytes);
    }

    #[inline(always)]
    pub(super) fn messages(&self, count: u64, bytes: u64) {
        add(&self.messages, count);
        add(&self.bytes, bytes);
    }

    /// Messages so far.
    pub(super) fn received(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    pub(super) fn lose(&self, messages: u64) {
        add(&self.lost, messages);
    }

    pub(super) fn wait(&self) {
        add(&self.waits, 1);
    }

    /// With those of the events that the end waits for, and rings.
    pub(super) fn stats(&self, waits_for: &Event<LentEvent>, rings: &Event<LentEvent>) -> Stats {
        let get = |word: &Word| word.load(Ordering::Relaxed);
        Stats {
            messages: get(&self.messages),
            bytes: get(&self.bytes),
            lost: get(&self.lost),
            waits: get(&self.waits),
            sleeps: waits_for.slept(),
            wakes: rings.rings(),
        }
    }
}

/// Relaxed, both: private, and only a count.
#[inline(always)]
fn add(word: &Word, count: u64) {
    word.store(word.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
}
