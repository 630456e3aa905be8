//! A message that was received.

use std::{fmt, ops::Deref, sync::Arc};

use ringway_ring::mpmc::{self, Note, Packed};

use super::{ends::ReceivingEnd, packed::Unpacked};

/// A message, where it lies in the queue; dropping it gives its slot back.
///
/// It may be held for as long as it takes, and dropped in another thread.
#[must_use = "a message that is dropped is gone"]
pub struct Received<'a> {
    end: &'a ReceivingEnd,
    what: What,
}

/// What was received.
pub(super) struct What {
    /// What it has taken, if it has the slot to itself, and not gone yet.
    taken: Option<mpmc::Taken>,
    note: Note,
    /// Otherwise.
    several: Option<Box<OfSeveral>>,
}

/// One of several messages in a slot.
struct OfSeveral {
    slot: Arc<Unpacked>,
    record: Packed,
    /// Whether it goes back.
    back: bool,
}

impl What {
    /// A message that has a slot to itself. The note was checked.
    #[inline(always)]
    pub(super) fn alone(taken: mpmc::Taken, note: Note) -> Self {
        Self { taken: Some(taken), note, several: None }
    }

    pub(super) fn of_several(slot: Arc<Unpacked>, record: Packed) -> Self {
        let note = slot.note_of(record);
        Self { taken: None, note, several: Some(Box::new(OfSeveral { slot, record, back: false })) }
    }
}

impl<'a> Received<'a> {
    #[inline(always)]
    pub(super) fn alone(end: &'a ReceivingEnd, taken: mpmc::Taken, note: Note) -> Self {
        Self { end, what: What::alone(taken, note) }
    }

    #[inline(always)]
    pub(super) fn new(end: &'a ReceivingEnd, what: What) -> Self {
        Self { end, what }
    }

    /// The number that the sender gave it; of one of a batch, 0.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> u16 {
        self.what.note.kind()
    }

    /// Whether a receiver that was killed had taken it, too, and not given it back: it may have acted on it.
    ///
    /// ```
    /// # let (tx, rx) = ringway::mpmc::Options::new().pair()?;
    /// # tx.send(b"pay")?;
    /// let message = rx.recv()?;
    /// assert!(!message.redelivered(), "nobody was killed");
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn redelivered(&self) -> bool {
        self.what.note.comes_again()
    }

    /// Gives the message back to the queue, behind all others: somebody receives it, perhaps this end. One of a batch goes back with what
    /// is left of its slot, once all of that is.
    ///
    /// ```
    /// # let (tx, rx) = ringway::mpmc::Options::new().pair()?;
    /// # tx.send(b"later")?;
    /// # tx.send(b"now")?;
    /// rx.recv()?.put_back();
    /// assert_eq!(&rx.recv()?[..], b"now");
    /// assert_eq!(&rx.recv()?[..], b"later");
    /// # Ok::<(), ringway::Error>(())
    /// ```
    pub fn put_back(mut self) {
        if let Some(taken) = self.what.taken.take() {
            self.end.put_back(taken, self.what.note);
        }
        if let Some(several) = &mut self.what.several {
            several.back = true;
        }
    }
}

impl Deref for Received<'_> {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        match (&self.what.taken, &self.what.several) {
            (Some(taken), _) => self.end.queue.payload(taken, self.what.note).unwrap_or_default(),
            (None, Some(several)) => several.slot.bytes(several.record),
            (None, None) => &[],
        }
    }
}

impl Drop for Received<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(taken) = self.what.taken.take() {
            self.end.release(taken);
        }
    }
}

impl Drop for OfSeveral {
    fn drop(&mut self) {
        if !self.back {
            self.slot.done(self.record);
        }
    }
}

impl fmt::Debug for Received<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("len", &self.len())
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}

const _: () = {
    const fn both<T: Send + Sync>() {}
    both::<Received<'_>>();
};
