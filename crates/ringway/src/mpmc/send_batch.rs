//! Messages that are sent together.

use std::{fmt, mem, sync::Mutex};

use ringway_ring::mpmc::{self, Access, Many, Note};

use super::{Sender, sender::NoSlot};
use crate::TrySendError;

/// Bytes of a slot whose lines are asked for when it begins to be filled.
const REACH: u32 = 2048;

/// Messages that are sent together; dropping it forgets them.
///
/// As many as fit share a slot, each with 8 bytes of its own; slot by slot they become visible, one behind the other unless another
/// sender comes between, and each slot goes to one receiver.
#[must_use = "a batch that is not sent is forgotten"]
pub struct SendBatch<'a, A: Access = Many> {
    sender: &'a Sender<A>,
    filled: Filled,
    /// The slot that is being filled.
    open: Option<(mpmc::Loan, u32)>,
    /// The messages in it.
    packed: usize,
    len: usize,
    bytes: u64,
}

/// Slots that are full, and their notes.
type Filled = Vec<(mpmc::Loan, u64)>;

/// What the last batch was kept in, for the next one.
#[derive(Debug, Default)]
pub(super) struct Spare(Mutex<Filled>);

impl Spare {
    fn take(&self) -> Filled {
        self.0.try_lock().map_or_else(|_| Filled::new(), |mut spare| mem::take(&mut spare))
    }

    fn give(&self, filled: Filled) {
        if let Ok(mut spare) = self.0.try_lock() {
            *spare = filled;
        }
    }
}

impl<'a, A: Access> SendBatch<'a, A> {
    pub(super) fn new(sender: &'a Sender<A>) -> Self {
        Self { sender, filled: sender.spare.take(), open: None, packed: 0, len: 0, bytes: 0 }
    }

    /// Adds a copy of `message`. Wait-free.
    ///
    /// # Errors
    ///
    /// [`TrySendError`]; what was added before stays. A batch never waits for a slot, for no receiver can make one free by receiving
    /// what it does not see: on `Full`, send the batch and start another.
    #[inline]
    pub fn push(&mut self, message: &[u8]) -> Result<(), TrySendError> {
        if let Some((slot, len)) = &mut self.open {
            if let Some(end) = self.sender.queue.pack(slot, *len, message, 0) {
                *len = end;
                self.packed += 1;
                self.count(message);
                return Ok(());
            }
        }
        self.push_to_another(message)
    }

    fn push_to_another(&mut self, message: &[u8]) -> Result<(), TrySendError> {
        self.close();
        let mut slot = self.sender.try_slot(message.len()).map_err(|why| self.why_not(why))?;
        self.sender.queue.reach(&mut slot, REACH);
        match self.sender.queue.pack(&mut slot, 0, message, 0) {
            Some(end) => (self.open, self.packed) = (Some((slot, end)), 1),
            // With its 8 bytes it does not fit; without it does.
            None => {
                self.sender.queue.write(&mut slot, message);
                self.filled.push((slot, Note::message(message.len() as u32, 0).0));
            }
        }
        self.count(message);
        Ok(())
    }

    fn count(&mut self, message: &[u8]) {
        self.len += 1;
        self.bytes += message.len() as u64;
    }

    /// Why nothing could be added. Its own slots are not what is lacking to others.
    #[cold]
    fn why_not(&self, why: NoSlot) -> TrySendError {
        match why {
            NoSlot::Full if self.len > 0 => TrySendError::Full,
            why => self.sender.try_send_error(why),
        }
    }

    /// The slot that is being filled is full.
    fn close(&mut self) {
        if let Some((slot, len)) = self.open.take() {
            self.filled.push((slot, Note::packed_fresh(len, self.packed).0));
        }
    }

    /// How many messages it has.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Sends them all. Lock-free, but for one system call if receivers sleep. It cannot meet a full queue.
    ///
    /// If the queue holds what no correct peer writes, the last ones are not sent and this process's ends are poisoned: the next call
    /// says so.
    #[inline]
    pub fn send(mut self) {
        let (queue, part) = (&self.sender.queue, self.sender.part());
        let sent = match self.open.take() {
            Some((slot, len)) if self.filled.is_empty() => {
                queue.commit(slot, Note::packed_fresh(len, self.packed).0)
            }
            open => {
                self.filled.extend(open.map(|(slot, len)| (slot, Note::packed_fresh(len, self.packed).0)));
                queue.commit_all(self.filled.drain(..))
            }
        };
        match sent {
            Ok(()) => self.sender.counts.messages(self.len as u64, self.bytes),
            Err(corrupt) => drop(part.poison(corrupt)),
        }
        part.items.notify_after_rmw();
    }
}

impl<A: Access> Drop for SendBatch<'_, A> {
    #[inline]
    fn drop(&mut self) {
        let mut filled = mem::take(&mut self.filled);
        let open = self.open.take().map(|(slot, _)| slot);
        for slot in filled.drain(..).map(|(slot, _)| slot).chain(open) {
            self.sender.give_back(slot);
        }
        self.sender.spare.give(filled);
    }
}

impl<A: Access> fmt::Debug for SendBatch<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBatch").field("len", &self.len).finish_non_exhaustive()
    }
}
