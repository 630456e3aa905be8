//! A message that was received.

use std::{fmt, ops::Deref, sync::Arc};

use ringway_ring::mpmc::{self, Note, Packed};

use super::{ends::ReceivingEnd, packed::Unpacked};

/// A message, where it lies in the queue; dropping it gives its slot back.
///
/// It may be held for as long as it takes, and dropped in another thread.
#[must_use = "a message that is dropped is gone"]
pub struct Received<'a> {
    end: &'a Arc<ReceivingEnd>,
    what: What,
}

enum What {
    /// A message that has a slot to itself; `None` only once it has gone.
    Alone(Option<mpmc::Taken>, Note),
    /// One of several; whether it goes back.
    OfSeveral(Arc<Unpacked>, Packed, bool),
}

impl<'a> Received<'a> {
    /// The note was checked.
    #[inline(always)]
    pub(super) fn alone(end: &'a Arc<ReceivingEnd>, taken: mpmc::Taken, note: Note) -> Self {
        Self { end, what: What::Alone(Some(taken), note) }
    }

    pub(super) fn of_several(end: &'a Arc<ReceivingEnd>, slot: Arc<Unpacked>, record: Packed) -> Self {
        Self { end, what: What::OfSeveral(slot, record, false) }
    }

    /// The number that the sender gave it; of one of a batch, 0.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> u16 {
        match &self.what {
            What::Alone(_, note) => note.kind(),
            What::OfSeveral(_, record, _) => record.kind(),
        }
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
        match &self.what {
            What::Alone(_, note) => note.comes_again(),
            What::OfSeveral(slot, ..) => slot.comes_again(),
        }
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
        match &mut self.what {
            What::Alone(taken, note) => {
                if let Some(taken) = taken.take() {
                    self.end.put_back(taken, *note);
                }
            }
            What::OfSeveral(_, _, back) => *back = true,
        }
    }
}

impl Deref for Received<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.what {
            What::Alone(Some(taken), note) => {
                self.end.queue.payload(taken, *note).expect("its length was checked")
            }
            What::Alone(None, _) => &[],
            What::OfSeveral(slot, record, _) => slot.bytes(*record),
        }
    }
}

impl Drop for Received<'_> {
    #[inline]
    fn drop(&mut self) {
        match &mut self.what {
            What::Alone(taken, _) => {
                if let Some(taken) = taken.take() {
                    self.end.release(taken);
                }
            }
            What::OfSeveral(slot, record, false) => slot.done(*record),
            What::OfSeveral(_, _, true) => {}
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
