//! Who has which slots.

use std::fmt;

use ringway_ring::{
    LentPool,
    mpmc::{self, Pool as _, Tag, scratch},
};

use super::participant::Participant;
use crate::layout::queue::LINES;

/// What becomes of a queue's slots, each seen at an instant of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Slots {
    /// Slots that nobody uses.
    pub free: u32,
    /// Slots whose messages nobody has taken.
    pub queued: u32,
    /// Those who have slots in hand.
    pub holders: Vec<Holder>,
}

/// A participant that has slots in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The number of its line.
    pub line: u16,
    /// Its process, as it said itself, numbered in its own pid namespace; `None` if it said nothing.
    pub pid: Option<u32>,
    /// Slots that it was lent and has not sent.
    pub loans: u32,
    /// Messages that it has taken and not released.
    pub taken: u32,
    /// Messages of a dead one that it is giving back.
    pub returning: u32,
}

impl Holder {
    /// All that it has.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.loans + self.taken + self.returning
    }
}

/// No slot is free, and none has a message that could be received: all of them are in somebody's hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exhausted {
    /// How many slots there are.
    pub slots: u32,
    /// Who has most of them.
    pub most: Holder,
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Holder { pid, loans, taken, returning, .. } = self.most;
        write!(
            f,
            "all {} slots of the queue are in somebody's hands, {} of them in those of ",
            self.slots,
            self.most.slots()
        )?;
        match pid {
            Some(pid) => write!(f, "process {pid}")?,
            None => f.write_str("a process that did not say which")?,
        }
        write!(f, " ({loans} lent to it and not sent, {taken} received and not dropped")?;
        if returning > 0 {
            write!(f, ", {returning} being given back")?;
        }
        f.write_str("): send or drop what is held, or make the queue with more slots")
    }
}

impl std::error::Error for Exhausted {}

impl Slots {
    /// Of a queue that this process takes part in.
    pub(super) fn of(part: &Participant) -> Self {
        Self::seen(&part.pool, |line| part.crowd.pid(line.into()))
    }

    /// Of a queue, with the processes that have its lines, 0 for none.
    pub(crate) fn seen(pool: &LentPool, pid: impl Fn(u16) -> u32) -> Self {
        let mut slots = Self { free: 0, queued: 0, holders: Vec::new() };
        mpmc::survey(pool, &mut vec![0; scratch(pool.slots())], |_, state, queued| match state.tag() {
            _ if queued => slots.queued += 1,
            Some(Tag::Writing) => slots.holder(state.owner().0, &pid).loans += 1,
            Some(Tag::Reading) => slots.holder(state.owner().0, &pid).taken += 1,
            Some(Tag::Returning) => slots.holder(state.owner().0, &pid).returning += 1,
            Some(Tag::Free) | None => slots.free += 1,
        });
        slots.holders.sort_by_key(|holder| holder.line);
        slots
    }

    fn holder(&mut self, line: u16, pid: impl Fn(u16) -> u32) -> &mut Holder {
        let known = self.holders.iter().position(|holder| holder.line == line);
        let at = known.unwrap_or_else(|| {
            let pid = if line < LINES { pid(line) } else { 0 };
            self.holders.push(Holder {
                line,
                pid: (pid != 0).then_some(pid),
                loans: 0,
                taken: 0,
                returning: 0,
            });
            self.holders.len() - 1
        });
        &mut self.holders[at]
    }

    /// Says so if all are in somebody's hands.
    pub(super) fn exhausted(&self) -> Option<Exhausted> {
        let most = self.holders.iter().copied().max_by_key(Holder::slots)?;
        let slots = self.holders.iter().map(Holder::slots).sum();
        (self.free == 0 && self.queued == 0).then_some(Exhausted { slots, most })
    }
}
