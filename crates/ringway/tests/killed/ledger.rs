//! What was received, held against what was promised.

use std::ops::Range;

use crate::{
    killing::{Reached, Verdict},
    operation::Operation,
    ring::Taken,
};

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
    /// A killed receiver had taken all messages before the first of these numbers, and none from the last on.
    taken: Range<u64>,
    /// Whether what it had taken does not come again.
    once: bool,
}

impl Ledger {
    /// Of a receiver that has had all before `next`, from a sender that was killed while it sent `doubtful`.
    pub(crate) fn of_survivor(next: u64, doubtful: Range<u64>, reached: Reached) -> Self {
        Self { next: vec![next], doubtful, reached, lost: 0, taken: 0..0, once: false }
    }

    /// Of the successor of a receiver that was killed in the midst of an operation, who says that it has passed over so many
    /// messages: what was to be released comes, or goes, again, or not.
    pub(crate) fn of_successor(operation: &Operation, reached: Reached, skipped: u64) -> Verdict<Self> {
        let (releases, taken, once) = (operation.releases(), operation.taken(reached), operation.once);
        let released = match reached {
            Reached::Beginning => vec![releases.start],
            Reached::Midst => vec![releases.start, releases.end],
            Reached::End => vec![releases.end],
        };
        let mut next = released.clone();
        if once && operation.kind.is_lossless() {
            next.iter_mut().for_each(|next| *next += skipped);
            // All that was taken and not released, and nothing else.
            next.retain(|next| *next >= taken.start && (skipped == 0 || *next <= taken.end));
        } else if skipped != 0 {
            next.clear();
        }
        if next.is_empty() {
            return Err(format!("{skipped} passed over, of {released:?} to {taken:?}").into());
        }
        Ok(Self { next, doubtful: 0..0, reached, lost: 0, taken, once })
    }

    /// Enters a message.
    pub(crate) fn enter(&mut self, taken: Taken) -> Verdict {
        let (number, lost) = (taken.number?, taken.lost);
        // Where messages are lost, what was taken need not be what was next.
        let sure = lost == 0 && number < self.taken.start;
        let never = self.once || number >= self.taken.end + self.lost + lost;
        if taken.again && never || !taken.again && sure {
            let again = if taken.again { "comes again, it says" } else { "does not say that it comes again" };
            return Err(format!("message {number} {again}, where {:?} were taken", self.taken).into());
        }
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
