//! What the receiving end reads by: in place, or by copies.

use ringway_ring::{
    Corrupt, Lent, Mem, Side,
    primitive::{Ordering, compiler_fence},
    spsc::{Consumer, Follower, Look, Record, Start},
};

use super::{Lose, NUMBER};
use crate::{
    AttachError,
    protocol::{NoRecord, Receives},
    spsc::{Redelivery, end::End},
};

/// Reads messages and their numbers.
#[derive(Debug)]
pub(super) struct Reader {
    way: Way,
    /// The number that the next message has if none is lost.
    expected: u64,
    /// What the receiver does with those that a predecessor had taken.
    redelivery: Redelivery,
    poison: Option<Corrupt>,
}

#[derive(Debug)]
enum Way {
    /// The sender waits for no room, but takes none that was not given back.
    InPlace(Consumer<Lent>),
    /// The sender overwrites what is oldest. Messages with numbers from the expected one on and before `taken` a predecessor
    /// had taken.
    Copies { follower: Follower<Lent>, copy: Vec<u8>, taken: u64 },
}

/// A message that was taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    record: Record,
    /// Messages lost in front of it.
    pub(super) lost: u64,
    /// Whether a predecessor had taken it, too.
    pub(super) again: bool,
}

impl Taken {
    /// Bytes that it takes of the ring: its header, and what it carries, rounded up.
    pub(super) fn bytes(&self) -> u64 {
        8 + u64::from(self.record.len()).next_multiple_of(8)
    }
}

impl Reader {
    pub(super) fn new(
        end: &End,
        ring: Lent,
        expected: u64,
        redelivery: Redelivery,
    ) -> Result<Self, AttachError> {
        let way = match Lose::of(end.segment()) {
            Lose::Newest => Consumer::resume(ring).map(|mut consumer| {
                if redelivery == Redelivery::AtMostOnce {
                    // The next message's number says how many.
                    consumer.skip();
                }
                Way::InPlace(consumer)
            }),
            Lose::Oldest => Follower::new(ring, Start::Oldest).map(|follower| {
                // Relaxed: as the number that is expected.
                let taken = follower.mem().taken().load(Ordering::Relaxed);
                Way::Copies { follower, copy: Vec::new(), taken }
            }),
        };
        let way = way.map_err(|corrupt| end.corrupt(corrupt))?;
        let mut reader = Self { way, expected, redelivery, poison: None };
        reader.pass_over_what_was_had().map_err(|corrupt| end.corrupt(corrupt))?;
        Ok(reader)
    }

    /// A predecessor may have had messages that are still there: it has not given them back, or the ring is one that is
    /// overwritten, which is taken up at its oldest message.
    fn pass_over_what_was_had(&mut self) -> Result<(), Corrupt> {
        let expected = self.expected;
        let was_had = |number| u64::from_ne_bytes(number).wrapping_sub(expected) > u64::MAX / 2;
        let follower = match &mut self.way {
            Way::InPlace(consumer) => {
                // What it has had it had taken.
                while consumer.to_come_again() > 0
                    && let Ok(record) = Receives::advance(consumer)
                {
                    if !consumer.payload(record).first_chunk().copied().is_some_and(was_had) {
                        consumer.put_back(record);
                        break;
                    }
                }
                consumer.release();
                return Ok(());
            }
            Way::Copies { follower, .. } => follower,
        };
        for _ in 0..follower.mem().capacity() / 8 {
            let record = match follower.look() {
                Look::Record(record) => record,
                Look::Behind => {
                    follower.catch_up()?;
                    continue;
                }
                _ => break,
            };
            let mut number = [0; NUMBER];
            follower.copy(record, &mut number);
            if !was_had(number) {
                break;
            }
            if !follower.accept(record) {
                follower.catch_up()?;
            }
        }
        Ok(())
    }

    /// What poisoned this end, if anything did.
    pub(super) fn corruption(&self) -> Option<Corrupt> {
        self.poison.or_else(|| match &self.way {
            Way::InPlace(consumer) => consumer.corruption(),
            Way::Copies { follower, .. } => follower.corruption(),
        })
    }

    /// The number that the next message has if none is lost.
    pub(super) fn expected(&self) -> u64 {
        self.expected
    }

    /// Whether the sender has closed behind what was taken, and no successor has come.
    pub(super) fn is_closed(&mut self) -> bool {
        match &mut self.way {
            Way::InPlace(consumer) => consumer.is_closed(),
            Way::Copies { follower, .. } => follower.look() == Look::Closed,
        }
    }

    /// Whether there is nothing to take, closed or not; an answer, no more.
    pub(super) fn has_nothing(&self) -> bool {
        match &self.way {
            Way::InPlace(consumer) => consumer.is_empty() || consumer.is_closed(),
            Way::Copies { follower, .. } => follower.is_empty() || follower.is_closed(),
        }
    }

    /// Counts what was lost behind the last message, of which the sender has said how many numbers it has given.
    pub(super) fn lost_at_the_end(&mut self, given: u64) -> u64 {
        let lost = given.wrapping_sub(self.expected);
        if lost > u64::MAX / 2 {
            return 0;
        }
        self.expected = given;
        lost
    }

    /// A taken message's bytes.
    pub(super) fn bytes(&self, taken: Taken) -> &[u8] {
        let payload = match &self.way {
            Way::InPlace(consumer) => consumer.payload(taken.record),
            Way::Copies { copy, .. } => copy,
        };
        &payload[NUMBER..]
    }

    /// A record with its number, if it is not one that a predecessor has had, or had taken and is not to come again.
    fn take(&mut self, record: Record, payload: [u8; NUMBER]) -> Option<Taken> {
        let number = u64::from_ne_bytes(payload);
        let lost = number.wrapping_sub(self.expected);
        if lost > u64::MAX / 2 {
            return None;
        }
        let again = match &self.way {
            Way::InPlace(consumer) => consumer.comes_again(&record),
            Way::Copies { taken, .. } => taken.wrapping_sub(number).wrapping_sub(1) < u64::MAX / 2,
        };
        if again && self.redelivery == Redelivery::AtMostOnce {
            return None;
        }
        self.expected = number.wrapping_add(1);
        match &self.way {
            Way::Copies { follower, .. } if !again => {
                // Relaxed: for a successor, whose proof that this one stopped carries the edge.
                follower.mem().taken().store(self.expected, Ordering::Relaxed);
                // Nobody has it before that was said.
                compiler_fence();
            }
            _ => {}
        }
        Some(Taken { record, lost, again })
    }
}

impl Receives for Reader {
    type Taken = Taken;

    fn advance(&mut self) -> Result<Taken, NoRecord> {
        if self.poison.is_some() {
            return Err(NoRecord::Corrupt);
        }
        // What the sender overwrites while it is copied is copied in vain. After a ring full of that the caller gets a chance
        // to look at the clock.
        let mut patience = self.capacity();
        while patience > 0 {
            let (record, number) = match &mut self.way {
                Way::InPlace(consumer) => {
                    let record = Receives::advance(consumer)?;
                    (record, consumer.payload(record).first_chunk().copied())
                }
                Way::Copies { follower, copy, .. } => match follower.look() {
                    Look::Record(record) => {
                        copy.resize(record.len() as usize, 0);
                        follower.copy(record, copy);
                        if !follower.accept(record) {
                            follower.catch_up().map_err(|_| NoRecord::Corrupt)?;
                            patience = patience.saturating_sub(u64::from(record.len()) + 64);
                            self.release();
                            continue;
                        }
                        (record, copy.first_chunk().copied())
                    }
                    Look::Behind => {
                        follower.catch_up().map_err(|_| NoRecord::Corrupt)?;
                        patience = patience.saturating_sub(64);
                        // If nothing comes any more, whoever leaves last must see that all was had or missed.
                        self.release();
                        continue;
                    }
                    Look::Empty => return Err(NoRecord::Empty),
                    Look::Closed => return Err(NoRecord::Closed),
                    Look::Corrupt => return Err(NoRecord::Corrupt),
                },
            };
            let Some(number) = number else {
                self.poison = Some(record.too_short());
                return Err(NoRecord::Corrupt);
            };
            if let Some(taken) = self.take(record, number) {
                return Ok(taken);
            }
            patience = patience.saturating_sub(u64::from(record.len()) + 64);
            self.release();
        }
        Err(NoRecord::Empty)
    }

    fn is_empty(&self) -> bool {
        match &self.way {
            Way::InPlace(consumer) => consumer.is_empty(),
            Way::Copies { follower, .. } => follower.is_empty(),
        }
    }

    fn release(&mut self) {
        match &mut self.way {
            Way::InPlace(consumer) => consumer.release(),
            // Relaxed: a hint for observers, and for who leaves last; the sender does not look.
            Way::Copies { follower, .. } => {
                follower.mem().position(Side::Consumer).store(follower.position(), Ordering::Relaxed);
            }
        }
    }

    fn position(&self) -> u64 {
        match &self.way {
            Way::InPlace(consumer) => consumer.position(),
            Way::Copies { follower, .. } => follower.position(),
        }
    }

    fn capacity(&self) -> u64 {
        match &self.way {
            Way::InPlace(consumer) => consumer.mem().capacity(),
            Way::Copies { follower, .. } => follower.mem().capacity(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_at_the_end_is_counted_once_and_never_negative() {
        let offer = super::super::Options::new(crate::spsc::Options::new(), Lose::Newest).offer().unwrap();
        let segment = ringway_segment::Backend::open(&offer, None, &Default::default()).unwrap();
        let end = End::claim(segment, crate::Side::Receiver, &crate::spsc::Options::new()).unwrap();
        let mut reader =
            Reader::new(&end, crate::lend::ring(end.segment()), 7, Redelivery::default()).unwrap();
        assert_eq!(reader.lost_at_the_end(10), 3);
        assert_eq!(reader.lost_at_the_end(10), 0);
        assert_eq!(reader.lost_at_the_end(2), 0);
    }
}
