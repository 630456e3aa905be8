//! What was received, held against what was promised.

use std::ops::Range;

use crate::{killing::Verdict, queue::Taken};

/// What can become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It comes, in order.
    Fresh,
    /// It comes, in no order, marked: a dead one had taken it.
    Again,
    /// It comes, in no order: it was put back.
    Back,
    /// It does not come: it was received and released.
    Gone,
    /// It does not come: it is counted as lost.
    Lost,
    /// It does not come: it was not sent.
    Unsent,
}

/// The account of all who receive: every message that was sent, whole, once, and if it may not come, why.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Of each message, by its number, what can become of it.
    fates: Vec<Vec<Fate>>,
    /// How it came: whether it was marked.
    came: Vec<Option<bool>>,
    /// All that came in order were before this one.
    next: u64,
}

impl Ledger {
    pub(crate) fn new(fates: Vec<Vec<Fate>>) -> Self {
        Self { came: vec![None; fates.len()], fates, next: 0 }
    }

    /// The number of the next message that is sent; it comes.
    pub(crate) fn send(&mut self) -> u64 {
        self.send_to(vec![Fate::Fresh])
    }

    /// The number of the next message that is sent; this can become of it.
    pub(crate) fn send_to(&mut self, fates: Vec<Fate>) -> u64 {
        self.fates.push(fates);
        self.came.push(None);
        self.fates.len() as u64 - 1
    }

    /// Enters a message.
    pub(crate) fn enter(&mut self, taken: Taken) -> Verdict {
        let number = taken.number?;
        let fates = self.fates.get(number as usize).ok_or(format!("message {number} was never sent"))?;
        if self.came[number as usize].replace(taken.again).is_some() {
            return Err(format!("message {number} came twice").into());
        }
        let is_in_order = number >= self.next;
        let may_be = match (taken.again, is_in_order) {
            (true, _) => fates.contains(&Fate::Again),
            (false, true) => fates.contains(&Fate::Fresh) || fates.contains(&Fate::Back),
            (false, false) => fates.contains(&Fate::Back),
        };
        if !may_be {
            let again = if taken.again { "marked" } else { "unmarked" };
            let next = self.next;
            return Err(format!("message {number} came {again}, at {next}; expected {fates:?}").into());
        }
        // One that was put back says nothing of the order.
        if !taken.again && !fates.contains(&Fate::Back) {
            self.next = number + 1;
        }
        Ok(())
    }

    /// Whether this message has come.
    pub(crate) fn has(&self, number: u64) -> bool {
        self.came[number as usize].is_some()
    }

    /// How many have not come.
    pub(crate) fn missing(&self) -> usize {
        self.came.iter().filter(|came| came.is_none()).count()
    }

    /// Nothing comes any more, and so many are said to be lost.
    pub(crate) fn close(&self, lost: u64) -> Verdict {
        let missing = || self.fates.iter().zip(&self.came).filter(|(_, came)| came.is_none());
        let absent = |fate: &Fate| matches!(fate, Fate::Gone | Fate::Lost | Fate::Unsent);
        if let Some(number) = (0..self.came.len())
            .find(|&number| self.came[number].is_none() && !self.fates[number].iter().any(absent))
        {
            return Err(format!("message {number} did not come; expected {:?}", self.fates[number]).into());
        }
        let is_lost = |fate: &Fate| *fate == Fate::Lost;
        let sure = missing().filter(|(fates, _)| fates.iter().filter(|it| absent(it)).all(is_lost)).count();
        let most = missing().filter(|(fates, _)| fates.iter().any(is_lost)).count();
        if !(sure as u64..=most as u64).contains(&lost) {
            return Err(format!("{lost} are said to be lost, of {sure} to {most}").into());
        }
        Ok(())
    }

    /// Of these messages, which were sent one behind the other, the first ones came; or all or none, if they share a slot.
    pub(crate) fn check_sent(&self, sends: &Range<u64>, in_slots_of: u64) -> Verdict {
        let came = sends.clone().take_while(|&number| self.has(number)).count() as u64;
        let all = sends.end - sends.start;
        let is_first = sends.clone().filter(|&number| self.has(number)).count() as u64 == came;
        if is_first && (came == all || came % in_slots_of == 0) {
            return Ok(());
        }
        Err(format!("of {sends:?}, sent at once, {came} came in front, {:?}", self.came).into())
    }

    /// Of these messages, which share a slot, those that came did so in one way.
    pub(crate) fn check_together(&self, slot: Range<u64>) -> Verdict {
        let mut ways: Vec<bool> = slot.clone().filter_map(|number| self.came[number as usize]).collect();
        ways.dedup();
        if ways.len() < 2 {
            return Ok(());
        }
        Err(format!("of {slot:?}, in one slot, some came marked and some did not").into())
    }
}
