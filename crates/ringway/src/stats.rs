//! What an end has done.

use ringway_wait::{Bell, Lent};

/// What an end of a ring has done since it was taken. Counted by the end itself, in its own memory: it costs next to nothing
/// and needs no look at the ring.
///
/// All ends have it: those of [`spsc`](crate::spsc), of its [`slots`](crate::spsc::slots), and of its
/// [`lossy`](crate::spsc::lossy) rings.
///
/// ```
/// let (mut tx, mut rx) = ringway::spsc::Options::new().pair()?;
/// tx.send(b"hello")?;
/// drop(rx.recv()?);
/// let (sent, received) = (tx.stats(), rx.stats());
/// assert_eq!((sent.messages, sent.bytes), (1, 16));
/// assert_eq!((received.messages, received.bytes), (1, 16));
/// # Ok::<(), ringway::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Messages sent, or received; those that were put back are not among them. A batch that was received from a ring of bytes and
    /// forgotten (`mem::forget`) counts as one, whatever was in it.
    pub messages: u64,
    /// Bytes that those messages took of the ring: of each the payload, rounded up to a multiple of 8; in rings without slots 8
    /// more for its header; in lossy rings 8 more, before rounding, for its number.
    pub bytes: u64,
    /// Messages that were lost, which are not among `messages`. On the sending end: those that it dropped for lack of room. On the
    /// receiving end: those that it was told of, dropped or overwritten. 0 on all rings that are not
    /// [`lossy`](crate::spsc::lossy).
    pub lost: u64,
    /// How often a call found the ring full, or empty, and had to wait. The sender of a lossy ring never does.
    pub waits: u64,
    /// How often it went to sleep.
    pub sleeps: u64,
    /// How often it woke the other end.
    pub wakes: u64,
}

impl Stats {
    /// Of an end that waited so often, by such a bell, and lost nothing.
    pub(crate) fn new(messages: u64, bytes: u64, waits: u64, bell: &Bell<Lent>) -> Self {
        Self { messages, bytes, lost: 0, waits, sleeps: bell.slept(), wakes: bell.rings() }
    }
}
