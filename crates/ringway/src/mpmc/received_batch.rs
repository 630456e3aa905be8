//! Messages that were received at once.

use std::{cell::Cell, cmp::Ordering, fmt, mem, sync::Arc};

use ringway_ring::mpmc::{self, Access, Many, Note};

use super::{
    Receiver,
    ends::ReceivingEnd,
    packed::{Rest, Unpacked},
    receiver::NoMessage,
};
use crate::spsc::Message;

/// Messages where they lie in the queue; dropping it gives their slots back.
///
/// Those that were not iterated over are not received: they go back to the queue, behind all others.
///
/// It stays in its thread: messages that are handed to others are [received](Receiver::recv) one by one.
#[must_use = "a batch that is not iterated over receives nothing"]
pub struct ReceivedBatch<'a, A: Access = Many> {
    receiver: &'a Receiver<A>,
    held: Vec<Held>,
    max: usize,
    len: usize,
    /// The slot, and the message in it, that is iterated over next.
    at: Cell<(usize, u32)>,
}

/// A slot of a batch.
pub(super) enum Held {
    /// With one message.
    Alone(mpmc::Taken, Note),
    /// With several, of which so many are in the batch, from a place on; where the next one begins.
    Several { slot: Arc<Unpacked>, from: u32, count: u32, whole: bool, next: Cell<u32>, bytes: Cell<u64> },
}

impl<'a, A: Access> ReceivedBatch<'a, A> {
    pub(super) fn new(receiver: &'a Receiver<A>, max: usize) -> Self {
        Self { receiver, held: receiver.spare.take(), max, len: 0, at: Cell::new((0, 0)) }
    }

    /// Whether there is room for more.
    fn wants(&self) -> bool {
        self.len < self.max
    }

    /// Takes what is there.
    pub(super) fn fill(&mut self) -> Result<(), NoMessage> {
        let receiver = self.receiver;
        let mut result = Ok(());
        if self.wants() {
            let most = self.max - self.len;
            let taken = receiver.take_many(most, |taken| {
                let note = receiver.note(&taken);
                if result.is_ok() {
                    result = self.add(taken, note);
                }
                result.is_ok() && self.wants()
            });
            taken?;
        }
        result
    }

    /// Adds what is in a slot.
    pub(super) fn add(&mut self, taken: mpmc::Taken, note: Note) -> Result<(), NoMessage> {
        if !note.is_packed() && note.len() <= self.receiver.slot_size() as u32 {
            self.held.push(Held::Alone(taken, note));
            self.len += 1;
            return Ok(());
        }
        let slot = Unpacked::new(&self.receiver.end, taken, note);
        let slot = slot.map_err(|corrupt| self.receiver.poison(corrupt))?;
        self.add_rest(Rest::new(slot))
    }

    /// Adds messages of a slot; what is too much is the receiver's next.
    pub(super) fn add_rest(&mut self, mut rest: Rest) -> Result<(), NoMessage> {
        let (slot, from, mut count) = (rest.slot().clone(), rest.at(), 0);
        if let Some(whole) = rest.whole().filter(|whole| *whole as usize <= self.max - self.len) {
            self.len += whole as usize;
            self.held.push(Held::Several {
                slot,
                from,
                count: whole,
                whole: true,
                next: Cell::new(from),
                bytes: Cell::new(0),
            });
            return Ok(());
        }
        while self.wants() {
            match rest.next().map_err(|corrupt| self.receiver.poison(corrupt))? {
                Some(_) => {
                    count += 1;
                    self.len += 1;
                }
                None => break,
            }
        }
        if count > 0 {
            self.held.push(Held::Several {
                slot,
                from,
                count,
                whole: false,
                next: Cell::new(from),
                bytes: Cell::new(0),
            });
        }
        if !rest.is_over() {
            self.receiver.set_rest(rest);
        }
        Ok(())
    }

    /// How many messages it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none: never, of one that was received.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The messages that have not been iterated over yet.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Message<'_>> {
        std::iter::from_fn(|| {
            loop {
                let (slot, message) = self.at.get();
                let held = self.held.get(slot)?;
                if let Some(found) = held.message(&self.receiver.end, message) {
                    self.at.set((slot, message + 1));
                    return Some(found);
                }
                self.at.set((slot + 1, 0));
            }
        })
    }

    /// Gives all its messages back to the queue, behind all others.
    pub fn put_back(self) {
        self.at.set((0, 0));
    }

    /// Of the slot with this number, how many messages were iterated over.
    fn iterated(&self, slot: usize) -> u32 {
        let (at, messages) = self.at.get();
        match slot.cmp(&at) {
            Ordering::Less => u32::MAX,
            Ordering::Equal => messages,
            Ordering::Greater => 0,
        }
    }
}

impl Held {
    /// Its `n`th message, if there are so many; those before it were asked for.
    #[inline]
    fn message<'a>(&'a self, end: &'a ReceivingEnd, n: u32) -> Option<Message<'a>> {
        match self {
            Self::Alone(taken, note) => (n == 0).then(|| {
                let bytes = end.queue.payload(taken, *note).expect("its length was checked");
                Message::new(bytes, note.kind(), note.comes_again())
            }),
            Self::Several { slot, count, next, bytes, .. } => {
                let record = slot.record(next.get()).ok().flatten().filter(|_| n < *count)?;
                next.set(record.end());
                let payload = slot.bytes(record);
                bytes.set(bytes.get() + payload.len() as u64);
                Some(Message::new(payload, record.kind(), slot.comes_again()))
            }
        }
    }

    /// Gives it back, of which so many messages were received. Says how many, and their bytes.
    #[inline]
    fn give_back(self, end: &ReceivingEnd, received: u32) -> (u64, u64) {
        match self {
            Self::Alone(taken, note) if received > 0 => {
                end.release(taken);
                (1, note.len().into())
            }
            Self::Alone(taken, note) => {
                end.put_back(taken, note);
                (0, 0)
            }
            Self::Several { slot, count, whole: true, bytes, .. } if received >= count => {
                slot.finish();
                (count.into(), bytes.get())
            }
            Self::Several { slot, from, count, .. } => {
                let (mut at, mut bytes) = (from, 0);
                let received = received.min(count);
                for _ in 0..received {
                    let Ok(Some(record)) = slot.record(at) else { break };
                    at = record.end();
                    bytes += u64::from(slot.len_of(record));
                    slot.done(record);
                }
                (received.into(), bytes)
            }
        }
    }
}

impl<A: Access> Drop for ReceivedBatch<'_, A> {
    #[inline]
    fn drop(&mut self) {
        let mut held = mem::take(&mut self.held);
        for (slot, held) in held.drain(..).enumerate() {
            let (messages, bytes) = held.give_back(&self.receiver.end, self.iterated(slot));
            self.receiver.counts.messages(messages, bytes);
        }
        self.receiver.spare.set(held);
    }
}

impl<A: Access> fmt::Debug for ReceivedBatch<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedBatch").field("len", &self.len).finish_non_exhaustive()
    }
}
