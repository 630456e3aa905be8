//! That a process has ends of a side: from the first to the last of them.

use std::sync::Arc;

use ringway_ring::{
    LentPool,
    mpmc::{self, Consumer, Note},
    primitive::Ordering,
};

use super::{census::Gone, participant::Participant};
use crate::{Side, layout::queue::shared};

/// That a process sends, shared by all its sending ends of one part in a queue.
#[derive(Debug)]
pub(super) struct SendingEnd {
    /// How often receivers had come when nobody received; a receiver that had left before is one that has not come yet.
    had_come: Option<u64>,
    pub(super) part: Arc<Participant>,
}

impl SendingEnd {
    pub(super) fn new(part: Arc<Participant>) -> Arc<Self> {
        // In this order: one that comes in between has come.
        let came = came(&part);
        let had_come = (!part.receivers().anybody()).then_some(came);
        part.senders().come(part.line);
        Arc::new(Self { had_come, part })
    }

    /// What became of the receivers, seen from here.
    #[cold]
    pub(super) fn receivers_gone(&self) -> Gone {
        let gone = self.part.receivers().gone();
        // Those who were gone before are not missed.
        let missed = !self.part.stays && self.had_come != Some(came(&self.part));
        if gone == Gone::No || missed { gone } else { Gone::NeverCame }
    }
}

/// How often a process began to receive.
fn came(part: &Participant) -> u64 {
    // Acquire: pairs with the Release in `ReceivingEnd::new`.
    part.common(shared::CAME).load(Ordering::Acquire)
}

impl Drop for SendingEnd {
    fn drop(&mut self) {
        let part = &self.part;
        if part.segment().is_ours() {
            // Those who died before this one leaves are not the last.
            part.recover();
            part.senders().leave(part.line);
            if !part.senders().anybody() {
                // Who waits for a message hears that none will come.
                part.items.notify_all();
            }
        }
    }
}

/// That a process receives, shared by all its receiving ends of one part in a queue, and by the messages they have taken.
#[derive(Debug)]
pub(super) struct ReceivingEnd {
    /// For what is done with messages that were taken.
    pub(super) queue: Consumer<LentPool>,
    pub(super) part: Arc<Participant>,
}

impl ReceivingEnd {
    pub(super) fn new(part: Arc<Participant>) -> Arc<Self> {
        let word = part.common(shared::CAME);
        // Relaxed: the exchange is what counts.
        let mut came = word.load(Ordering::Relaxed);
        // Release: pairs with the Acquire in `came`.
        while let Err(now) =
            word.compare_exchange(came, came.wrapping_add(1), Ordering::Release, Ordering::Relaxed)
        {
            came = now;
        }
        part.receivers().come(part.line);
        Arc::new(Self { queue: Consumer::new(part.pool.clone(), part.line), part })
    }

    /// Gives a slot back.
    #[inline(always)]
    pub(super) fn release(&self, taken: mpmc::Taken) {
        self.queue.release(taken);
        // Who waits for a slot naps first, and finds one that came too early to be seen asleep.
        self.part.room.notify_unfenced();
    }

    /// Puts a message back, behind all others.
    pub(super) fn put_back(&self, taken: mpmc::Taken, note: Note) {
        match self.queue.put_back(taken, note.0) {
            Ok(()) => self.part.items.notify_after_rmw(),
            // It stays with this process; the next call tells.
            Err(corrupt) => drop(self.part.poison(corrupt)),
        }
    }
}

impl Drop for ReceivingEnd {
    fn drop(&mut self) {
        let part = &self.part;
        if part.segment().is_ours() {
            // As above.
            part.recover();
            part.receivers().leave(part.line);
            if !part.receivers().anybody() {
                // Who waits for a slot hears that none will come.
                part.room.notify_all();
            }
        }
    }
}

/// A side that has died, for an error.
pub(super) fn dead(part: &Participant, side: Side) -> crate::Peer {
    let word = match side {
        Side::Sender => shared::DEAD_SENDER,
        Side::Receiver => shared::DEAD_RECEIVER,
    };
    // Relaxed: for people.
    crate::Peer { side, pid: part.common(word).load(Ordering::Relaxed) as u32 }
}
