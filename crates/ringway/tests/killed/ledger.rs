//! What was received, held against what was promised.

use std::ops::Range;

use crate::ring::{Taken, Verdict};

/// How far the victim's operation had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reached {
    /// It was killed before it began.
    Beginning,
    /// In the midst of it.
    Midst,
    /// It was killed when all was done.
    End,
}

/// A receiving side's account: every message that was sent, whole, in order and once.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Numbers one of which the next message has.
    next: Vec<u64>,
    /// What a killed sender was about to send: all of it arrived or none.
    doubtful: Range<u64>,
    reached: Reached,
    /// Messages that were told to be lost.
    lost: u64,
}

impl Ledger {
    /// Of a receiver that has had all before `next`, from a sender that was killed while it sent `doubtful`.
    pub(crate) fn of_survivor(next: u64, doubtful: Range<u64>, reached: Reached) -> Self {
        Self { next: vec![next], doubtful, reached, lost: 0 }
    }

    /// Of the successor of a receiver that was killed while it released `doubtful`: that comes again, or not.
    pub(crate) fn of_successor(doubtful: Range<u64>, reached: Reached) -> Self {
        let next = match reached {
            Reached::Beginning => vec![doubtful.start],
            Reached::Midst => vec![doubtful.start, doubtful.end],
            Reached::End => vec![doubtful.end],
        };
        Self { next, doubtful: 0..0, reached, lost: 0 }
    }

    /// Enters a message.
    pub(crate) fn enter(&mut self, taken: Taken) -> Verdict {
        let (number, lost) = (taken.number?, taken.lost);
        let Range { start, end } = self.doubtful;
        let sends = end - start;
        if self.reached == Reached::Beginning && self.doubtful.contains(&number) {
            return Err(format!("message {number} arrived, which was not sent").into());
        }
        let fits = |&next: &u64| {
            let gap = number.checked_sub(next)?;
            // What was never sent is not lost.
            let unsent =
                self.reached != Reached::End && next <= start && end <= number && gap == lost + sends;
            (gap == lost || unsent).then_some(())
        };
        if !self.next.iter().any(|next| fits(next).is_some()) {
            let next = &self.next;
            return Err(
                format!("message {number} after {lost} that were lost, where {next:?} was to come").into()
            );
        }
        self.next = vec![number + 1];
        self.lost += lost;
        Ok(())
    }

    /// Enters how many were lost in all, as is told with *closed*.
    pub(crate) fn enter_lost(&mut self, all: u64) {
        self.next.iter_mut().for_each(|next| *next += all - self.lost);
        self.lost = all;
    }

    /// Whether everything before `number` is accounted for.
    pub(crate) fn has_all_before(&self, number: u64) -> bool {
        self.next.contains(&number)
    }
}
