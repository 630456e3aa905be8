//! Slots with several messages.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use ringway_ring::{
    LentPool,
    mpmc::{self, Consumer, Note, Packed},
    primitive::{Ordering, Word},
};

use super::ends::ReceivingEnd;
use crate::Corrupt;

/// A slot whose messages are received one by one. The last one who has a part in it gives it back; if there are messages in it then that
/// were not received, the slot goes back to the queue.
pub(super) struct Unpacked {
    /// `None` only while it is dropped.
    taken: Option<mpmc::Taken>,
    note: Note,
    /// Whether all was received at once: then that is not said of each message.
    finished: Word,
    queue: Consumer<LentPool>,
    /// Weak, for whoever forgets a message must not keep the process's part in the queue for ever. Whoever has a message has the end, too.
    end: Weak<ReceivingEnd>,
}

impl Unpacked {
    /// Of a slot with this note. One that makes no sense is given back, and lost.
    pub(super) fn new(
        end: &Arc<ReceivingEnd>,
        mut taken: mpmc::Taken,
        note: Note,
    ) -> Result<Arc<Self>, Corrupt> {
        let valid = if note.is_packed() {
            end.queue.record(&taken, note, 0).map(drop)
        } else {
            end.queue.payload(&taken, note).map(drop)
        };
        if let Err(corrupt) = valid {
            end.release(taken);
            return Err(corrupt);
        }
        end.queue.own(&mut taken, note.len());
        let queue = Consumer::new(end.part.pool.clone(), end.part.line);
        let (finished, end) = (Word::new(0), Arc::downgrade(end));
        Ok(Arc::new(Self { taken: Some(taken), note, finished, queue, end }))
    }

    fn taken(&self) -> &mpmc::Taken {
        self.taken.as_ref().expect("who is dropped is not asked")
    }

    /// Whether a receiver that was killed had it.
    pub(super) fn comes_again(&self) -> bool {
        self.note.comes_again()
    }

    /// How many messages there are, if that is known.
    pub(super) fn count(&self) -> Option<u32> {
        self.note.count()
    }

    /// All messages were received.
    pub(super) fn finish(&self) {
        // Relaxed: whoever drops the last part of it comes after, by its count.
        self.finished.store(1, Ordering::Relaxed);
    }

    /// A message's note, as if it were alone.
    pub(super) fn note_of(&self, record: Packed) -> Note {
        let note = Note::message(self.len_of(record), record.kind());
        if self.comes_again() { note.again() } else { note }
    }

    /// A message's bytes.
    pub(super) fn bytes(&self, record: Packed) -> &[u8] {
        self.queue.packed(self.taken(), record)
    }

    pub(super) fn len_of(&self, record: Packed) -> u32 {
        self.bytes(record).len() as u32
    }

    /// A message was received.
    pub(super) fn done(&self, record: Packed) {
        self.queue.done(self.taken(), record);
    }

    /// The first message at `at` or behind it that was not received.
    pub(super) fn record(&self, at: u32) -> Result<Option<Packed>, Corrupt> {
        self.queue.record(self.taken(), self.note, at)
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        let (Some(taken), Some(end)) = (self.taken.take(), self.end.upgrade()) else { return };
        // Relaxed: as in `finish`.
        let finished = self.finished.load(Ordering::Relaxed) != 0;
        if let (false, Ok(Some(_))) = (finished, self.queue.record(&taken, self.note, 0)) {
            end.put_back(taken, self.note.used());
        } else {
            end.release(taken);
        }
    }
}

impl fmt::Debug for Unpacked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpacked").field("len", &self.note.len()).finish_non_exhaustive()
    }
}

/// Messages of a slot, from a place on.
#[derive(Debug)]
pub(super) struct Rest {
    slot: Arc<Unpacked>,
    at: u32,
}

impl Rest {
    pub(super) fn new(slot: Arc<Unpacked>) -> Self {
        Self { slot, at: 0 }
    }

    pub(super) fn slot(&self) -> &Arc<Unpacked> {
        &self.slot
    }

    /// The place.
    pub(super) fn at(&self) -> u32 {
        self.at
    }

    /// The next message.
    pub(super) fn next(&mut self) -> Result<Option<Packed>, Corrupt> {
        let record = self.slot.record(self.at)?;
        if let Some(record) = record {
            self.at = record.end();
        }
        Ok(record)
    }

    /// All of it, with how many messages, if none was given and that is known.
    pub(super) fn whole(&self) -> Option<u32> {
        self.slot.count().filter(|_| self.at == 0 && matches!(self.slot.record(0), Ok(Some(_))))
    }

    /// Whether there is no other. What makes no sense is for who asks for the next one.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.slot.record(self.at), Ok(None))
    }
}
