//! The receiving end.

use std::{
    cell::Cell,
    fmt,
    ops::Deref,
    path::Path,
    time::{Duration, Instant},
};

use crossbeam_utils::CachePadded;
use ringway_ring::spsc::{Consumer, Record};
use ringway_segment::Offer;

use super::{Options, Redelivery, end::End};
use crate::{
    AttachError, Corrupt, Pages, Peer, RecvError, RecvTimeoutError, Side, Stats, TryRecvError, after, lend,
    protocol::{Inlet, NoRecord},
};

type Rx = Inlet<Consumer<ringway_ring::Lent>, ringway_wait::Lent>;

/// The receiving end of a ring; see the [module](super).
///
/// Dropping it closes its end, so that the sender is told; except in a child forked after it was made, where it
/// does nothing at all. What was not received stays in the ring for a successor.
pub struct Receiver {
    // On lines of its own: the ends of a pair may lie side by side, and two threads work on them.
    inlet: CachePadded<Rx>,
    /// Bytes received when this end was taken.
    since: u64,
    /// Messages that a predecessor had taken, and that were passed over.
    skipped: u64,
    // Dropped last: `inlet` uses its memory.
    end: End,
}

impl Receiver {
    /// Takes the receiving end of a ring that was offered; [`Options::receiver_of`] does so with a wait of one's own.
    ///
    /// # Errors
    ///
    /// [`AttachError`]; with [`AttachError::Held`] if the ring has a living receiver.
    pub fn attach(offer: &Offer) -> Result<Self, AttachError> {
        Options::new().receiver_of(offer)
    }

    pub(super) fn new(end: End, redelivery: Redelivery) -> Result<Self, AttachError> {
        let (ring, words) = (lend::ring(end.segment()), end.words());
        let mut ring = Consumer::resume(ring).map_err(|corrupt| end.corrupt(corrupt))?;
        let skipped = if redelivery == Redelivery::AtMostOnce { ring.skip() } else { 0 };
        let inlet = Inlet::attach(ring, words, end.wait, end.sleepers);
        let since = inlet.ring().position();
        Ok(Self { inlet: CachePadded::new(inlet), since, skipped, end })
    }

    /// The next message, waiting until there is one.
    ///
    /// # Errors
    ///
    /// [`RecvError`]
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::Options::new().pair()?;
    /// # tx.send(b"hello")?;
    /// let message = rx.recv()?;
    /// assert_eq!(&message[..], b"hello");
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn recv(&mut self) -> Result<Received<'_>, RecvError> {
        match self.inlet.take(|| None) {
            Ok(record) => Ok(Received { inlet: &mut self.inlet, record }),
            Err(why) => Err(self.recv_error(why)),
        }
    }

    /// The next message, if there is one now. Wait-free, but for one system call if the sender sleeps.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`]
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::Options::new().pair()?;
    /// assert_eq!(rx.try_recv().unwrap_err(), ringway::TryRecvError::Empty);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn try_recv(&mut self) -> Result<Received<'_>, TryRecvError> {
        match self.inlet.try_take() {
            Ok(record) => Ok(Received { inlet: &mut self.inlet, record }),
            Err(why) => Err(self.try_recv_error(why)),
        }
    }

    /// [`recv`](Self::recv), but waiting only for so long.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`]
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::spsc::Options::new().pair()?;
    /// let nothing = rx.recv_timeout(Duration::from_millis(1));
    /// assert_eq!(nothing.unwrap_err(), ringway::RecvTimeoutError::Timeout);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Received<'_>, RecvTimeoutError> {
        let record = self.take_until(|| after(timeout))?;
        Ok(Received { inlet: &mut self.inlet, record })
    }

    /// [`recv`](Self::recv), but waiting only until then.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`]
    ///
    /// ```
    /// # use std::time::Instant;
    /// # let (mut tx, mut rx) = ringway::spsc::Options::new().pair()?;
    /// let nothing = rx.recv_deadline(Instant::now());
    /// assert_eq!(nothing.unwrap_err(), ringway::RecvTimeoutError::Timeout);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<Received<'_>, RecvTimeoutError> {
        let record = self.take_until(|| Some(deadline))?;
        Ok(Received { inlet: &mut self.inlet, record })
    }

    #[inline]
    fn take_until(&mut self, deadline: impl FnOnce() -> Option<Instant>) -> Result<Record, RecvTimeoutError> {
        self.inlet.take(deadline).map_err(|why| self.recv_timeout_error(why))
    }

    /// Up to `max` messages, waiting until there is one at least; they are given back all at once.
    ///
    /// # Errors
    ///
    /// [`RecvError`]
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::Options::new().pair()?;
    /// # tx.send(b"a")?; tx.send(b"b")?;
    /// let batch = rx.recv_batch(100)?;
    /// let all: Vec<&[u8]> = batch.iter().map(|message| message.bytes()).collect();
    /// assert_eq!(all, [b"a", b"b"]);
    /// # drop(all);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn recv_batch(&mut self, max: usize) -> Result<ReceivedBatch<'_>, RecvError> {
        match self.inlet.peek(|| None) {
            Ok(record) => Ok(self.batch(record, max)),
            Err(why) => Err(self.recv_error(why)),
        }
    }

    /// Up to `max` messages, if there is one now. Wait-free, but for one system call if the sender sleeps.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`]
    #[inline]
    pub fn try_recv_batch(&mut self, max: usize) -> Result<ReceivedBatch<'_>, TryRecvError> {
        match self.inlet.try_peek() {
            Ok(record) => Ok(self.batch(record, max)),
            Err(why) => Err(self.try_recv_error(why)),
        }
    }

    /// [`recv_batch`](Self::recv_batch), but waiting only for so long.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`]
    #[inline]
    pub fn recv_batch_timeout(
        &mut self,
        max: usize,
        timeout: Duration,
    ) -> Result<ReceivedBatch<'_>, RecvTimeoutError> {
        let record = self.peek_until(|| after(timeout))?;
        Ok(self.batch(record, max))
    }

    /// [`recv_batch`](Self::recv_batch), but waiting only until then.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`]
    #[inline]
    pub fn recv_batch_deadline(
        &mut self,
        max: usize,
        deadline: Instant,
    ) -> Result<ReceivedBatch<'_>, RecvTimeoutError> {
        let record = self.peek_until(|| Some(deadline))?;
        Ok(self.batch(record, max))
    }

    #[inline]
    fn peek_until(&mut self, deadline: impl FnOnce() -> Option<Instant>) -> Result<Record, RecvTimeoutError> {
        self.inlet.peek(deadline).map_err(|why| self.recv_timeout_error(why))
    }

    #[inline]
    fn batch(&mut self, first: Record, max: usize) -> ReceivedBatch<'_> {
        // Iterating takes it; what nobody iterates over is not received.
        ReceivedBatch { inlet: &mut self.inlet, first, max, left: Cell::new(max) }
    }

    // The error of each form is made out of line, to the end: converted in place, errors make the calls that receive too large
    // for the compiler to inline.
    #[cold]
    fn recv_error(&self, why: NoRecord) -> RecvError {
        self.try_recv_error(why).into()
    }

    #[cold]
    fn recv_timeout_error(&self, why: NoRecord) -> RecvTimeoutError {
        self.try_recv_error(why).into()
    }

    /// Why there was no message, in the words of users.
    #[cold]
    fn try_recv_error(&self, why: NoRecord) -> TryRecvError {
        error(why, self.inlet.ring().corruption(), self.inlet.dead_sender())
    }

    /// Bytes of data the ring has.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.end.segment().shape().capacity as usize
    }

    /// Bytes, 8 a record included, that were sent and not received yet; a hint, it may be more by now.
    #[must_use]
    #[doc(alias = "len")]
    pub fn pending(&self) -> usize {
        self.inlet.ring().pending() as usize
    }

    /// Whether there is nothing to receive now, closed or not.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inlet.ring().is_empty() || self.inlet.ring().is_closed()
    }

    /// What this end has done since it was taken.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let bytes = self.inlet.ring().position().wrapping_sub(self.since);
        let (messages, waits, bell) = self.inlet.counts();
        Stats::new(messages, bytes, waits, bell)
    }

    /// Messages that a killed predecessor had taken and not given back, and that do not come again: always 0 unless this end
    /// was taken with [`Redelivery::AtMostOnce`]. They were counted, and passed over, when it was taken.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The pages that the ring's data lies in, and why not in huge ones, if those were asked for.
    #[must_use]
    pub fn pages(&self) -> &Pages {
        self.end.segment().pages()
    }

    /// The file that is the ring's name, if it has one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.end.segment().path()
    }
}

/// Why there was no message, in the words of users.
pub(super) fn error(why: NoRecord, corruption: Option<Corrupt>, sender: u32) -> TryRecvError {
    match (why, corruption) {
        (NoRecord::Corrupt, Some(corrupt)) => TryRecvError::Corrupt(corrupt),
        (NoRecord::Closed, _) => TryRecvError::Closed,
        (NoRecord::Died, _) => TryRecvError::PeerDied(Peer { side: Side::Sender, pid: sender }),
        (NoRecord::Empty | NoRecord::Corrupt, _) => TryRecvError::Empty,
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if self.end.segment().is_ours() {
            self.inlet.close();
            self.end.leave(self.inlet.sender_died(), || true);
        }
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("pending", &self.pending())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// A message, where it lies in the ring; dropping it gives the room back to the sender.
#[must_use = "a message that is dropped is gone"]
pub struct Received<'a> {
    inlet: &'a mut Rx,
    record: Record,
}

impl Received<'_> {
    /// The number that the sender gave it.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> u16 {
        self.record.kind()
    }

    /// Whether a receiver that was killed had taken it, too, and not given it back: it may have acted on it.
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::Options::new().pair()?;
    /// # tx.send(b"pay")?;
    /// let message = rx.recv()?;
    /// assert!(!message.redelivered(), "nobody was killed");
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn redelivered(&self) -> bool {
        self.inlet.ring().comes_again(&self.record)
    }

    /// Leaves the message in the ring: it is the next one again, for this receiver or its successor.
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::Options::new().pair()?;
    /// # tx.send(b"later")?;
    /// rx.recv()?.put_back();
    /// assert_eq!(&rx.recv()?[..], b"later");
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn put_back(self) {
        self.inlet.put_back(self.record);
    }
}

impl Deref for Received<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.inlet.ring().payload(self.record)
    }
}

impl Drop for Received<'_> {
    #[inline]
    fn drop(&mut self) {
        self.inlet.release();
    }
}

impl fmt::Debug for Received<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("len", &self.record.len())
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}

/// Messages where they lie in the ring; dropping it gives their room back to the sender, all at once.
///
/// Those that were not iterated over are not received: they come again.
#[must_use = "a batch that is not iterated over receives nothing"]
pub struct ReceivedBatch<'a> {
    inlet: &'a mut Rx,
    first: Record,
    max: usize,
    /// Of `max`, those that were not iterated over.
    left: Cell<usize>,
}

impl ReceivedBatch<'_> {
    /// The messages that have not been iterated over yet, up to the batch's `max` in all. Messages that arrive
    /// meanwhile are among them.
    ///
    /// What no correct peer writes ends the iteration; the next receive says so.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Message<'_>> {
        std::iter::from_fn(|| {
            if self.left.get() == 0 {
                return None;
            }
            let (record, bytes) = self.inlet.ring().read()?;
            self.left.set(self.left.get() - 1);
            Some(Message { bytes, kind: record.kind(), redelivered: self.inlet.ring().comes_again(&record) })
        })
    }

    /// Leaves all its messages in the ring: they come again, to this receiver or its successor.
    #[inline]
    pub fn put_back(self) {
        self.inlet.ring_mut().put_back(self.first);
        self.left.set(self.max);
    }
}

impl Drop for ReceivedBatch<'_> {
    #[inline]
    fn drop(&mut self) {
        self.inlet.count((self.max - self.left.get()) as u64);
        self.inlet.release();
    }
}

impl fmt::Debug for ReceivedBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedBatch").field("left", &self.left.get()).finish_non_exhaustive()
    }
}

/// One message of a [`ReceivedBatch`], here or of an [`mpmc`](crate::mpmc) queue, or seen by a [`Tap`](super::Tap).
#[derive(Clone, Copy)]
pub struct Message<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) kind: u16,
    pub(super) redelivered: bool,
}

impl<'a> Message<'a> {
    pub(crate) fn new(bytes: &'a [u8], kind: u16, redelivered: bool) -> Self {
        Self { bytes, kind, redelivered }
    }

    /// Its bytes, for as long as the batch, or until the tap looks again.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The number that the sender gave it.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> u16 {
        self.kind
    }

    /// Whether a receiver that was killed had taken it, too, and not given it back; `false` if a tap saw it.
    #[inline]
    #[must_use]
    pub fn redelivered(&self) -> bool {
        self.redelivered
    }
}

impl Deref for Message<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("len", &self.bytes.len())
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
