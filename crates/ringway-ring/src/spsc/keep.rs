//! What a producer must not overwrite.

use super::record::GRANULE;
use crate::{
    Mem, Progress, Side,
    primitive::{Ordering, compiler_fence},
};

/// Beginnings of records that are remembered: a claim adds one, and [`super::producer`] claims a sixteenth of the ring
/// at a time, or more.
const MARKS: usize = 32;

/// What a producer must not overwrite.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one a producer, and nothing to allocate with")]
pub(super) enum Keep {
    /// What the consumer has not released.
    Unread {
        /// The consumer's position as last seen.
        seen: u64,
    },
    /// Nothing but what it writes; what is oldest goes.
    Newest(Marks),
}

impl Keep {
    pub(super) fn unread(seen: u64) -> Self {
        Self::Unread { seen }
    }

    pub(super) fn newest(oldest: u64) -> Self {
        Self::Newest(Marks { begin: 0, len: 1, marks: [oldest; MARKS] })
    }

    /// Bytes that are free from `next` on; looks at the consumer only if it is not known that there are `need`.
    /// `visible`: the end of what the consumer can see; from there to `next` is staged.
    ///
    /// The error is a consumer's position that is impossible.
    pub(super) fn free(&mut self, mem: &impl Mem, visible: u64, next: u64, need: u64) -> Result<u64, u64> {
        let capacity = mem.capacity();
        let Self::Unread { seen } = self else {
            return Ok(capacity.saturating_sub(next.wrapping_sub(visible)));
        };
        // At most the capacity lies between: no overflow.
        let mut used = next.wrapping_sub(*seen);
        if used + need > capacity {
            // Acquire: pairs with the Release in `Consumer::release`; its reads come before our overwriting.
            let found = mem.position(Side::Consumer).load(Ordering::Acquire);
            if found % GRANULE != 0 || found.wrapping_sub(*seen) > visible.wrapping_sub(*seen) {
                return Err(found);
            }
            *seen = found;
            used = next.wrapping_sub(found);
        }
        Ok(capacity - used)
    }

    /// A record begins at `position`, as a walk along the chain finds it; `part` of the ring lies between two marks.
    pub(super) fn passes(&mut self, position: u64, part: u64) {
        match self {
            Self::Newest(marks) if position.wrapping_sub(marks.last()) >= part => marks.push(position),
            _ => {}
        }
    }

    /// All before `claim` may be overwritten from now on; `begin`: where a record begins or will begin.
    pub(super) fn claimed(&mut self, mem: &impl Mem, begin: u64, claim: u64) {
        if let Self::Newest(marks) = self {
            let oldest = marks.turn(begin, claim.wrapping_sub(mem.capacity()));
            // Release: pairs with the Acquire fence in `Follower::catch_up`: who begins there finds a header.
            mem.progress(Progress::Oldest).store(oldest, Ordering::Release);
            compiler_fence();
        }
    }
}

/// Some of the positions at which records begin, oldest first.
#[derive(Debug)]
pub(super) struct Marks {
    marks: [u64; MARKS],
    begin: usize,
    len: usize,
}

impl Marks {
    /// Adds `begin` and forgets all before `from`; the oldest left.
    ///
    /// `begin` is never before `from`: a claim reaches over one record, whose end is part of the ring.
    fn turn(&mut self, begin: u64, from: u64) -> u64 {
        self.push(begin);
        while self.len > 1 && self.marks[self.begin].wrapping_sub(from) > begin.wrapping_sub(from) {
            self.begin = (self.begin + 1) % MARKS;
            self.len -= 1;
        }
        self.marks[self.begin]
    }

    /// Adds a mark; if there is no room for one more, the oldest is forgotten.
    fn push(&mut self, begin: u64) {
        if self.len == MARKS {
            self.begin = (self.begin + 1) % MARKS;
            self.len -= 1;
        }
        self.marks[(self.begin + self.len) % MARKS] = begin;
        self.len += 1;
    }

    fn last(&self) -> u64 {
        self.marks[(self.begin + self.len - 1) % MARKS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks() -> Marks {
        Marks { marks: [0; MARKS], begin: 0, len: 1 }
    }

    #[test]
    fn the_oldest_mark_that_is_kept_is_not_before_the_claim() {
        let mut marks = marks();
        let mut last = 0;
        for n in 1..1000u64 {
            let begin = n * 64;
            let from = begin.saturating_sub(15 * 64 + 32);
            let oldest = marks.turn(begin, from);
            assert!(oldest >= from && oldest <= begin && oldest >= last, "{n}: {oldest}");
            assert!(oldest - from < 64, "more is given up than need be");
            last = oldest;
        }
    }

    #[test]
    fn more_marks_than_there_is_room_for_forget_the_oldest() {
        let mut marks = marks();
        let oldest = (1..100u64).map(|n| marks.turn(n * 8, 0)).last();
        assert_eq!(oldest, Some((100 - MARKS as u64) * 8));
    }

    #[test]
    fn positions_wrap() {
        let mut marks = Marks { marks: [u64::MAX - 63; MARKS], begin: 0, len: 1 };
        assert_eq!(marks.turn(0, u64::MAX - 127), u64::MAX - 63);
        assert_eq!(marks.turn(64, 0), 0);
    }
}
