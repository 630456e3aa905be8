//! The receiving end.

use std::{
    cell::Cell,
    fmt,
    marker::PhantomData,
    ops::Deref,
    path::Path,
    time::{Duration, Instant},
};

use crossbeam_utils::CachePadded;
use ringway_ring::slots::{Consumer, Next, Slot};
use ringway_segment::Offer;

use super::{Options, TypeOf, Value, slots_in};
use crate::{
    AttachError, Pages, RecvError, RecvTimeoutError, Stats, TryRecvError, after, lend,
    protocol::{Inlet, NoRecord},
    spsc::{Redelivery, end::End, receiver::error},
};

type Rx = Inlet<Consumer<ringway_ring::Lent>, ringway_wait::Lent>;

/// The receiving end of a ring of slots; see the [module](super).
///
/// Dropping it closes its end, so that the sender is told; except in a child forked after it was made, where it
/// does nothing at all. What was not received stays in the ring for a successor.
pub struct Receiver<T> {
    // On lines of its own: the ends of a pair may lie side by side, and two threads work on them.
    inlet: CachePadded<Rx>,
    /// Bytes received when this end was taken.
    since: u64,
    /// Messages that a predecessor had taken, and that were passed over.
    skipped: u64,
    // Dropped last: `inlet` uses its memory.
    end: End,
    message: PhantomData<T>,
}

impl<T: Value> Receiver<T> {
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
        let size = size_of::<T>() as u64;
        let mut ring = Consumer::resume(ring, size).map_err(|corrupt| end.corrupt(corrupt))?;
        let skipped = if redelivery == Redelivery::AtMostOnce { ring.skip() } else { 0 };
        let inlet = Inlet::attach(ring, words, end.wait, end.sleepers);
        let since = inlet.ring().position();
        Ok(Self { inlet: CachePadded::new(inlet), since, skipped, end, message: PhantomData })
    }

    /// The next message, waiting until there is one.
    ///
    /// # Errors
    ///
    /// [`RecvError`]
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().pair::<u64>()?;
    /// # tx.send(&7)?;
    /// let message = rx.recv()?;
    /// assert_eq!(*message, 7);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn recv(&mut self) -> Result<Received<'_, T>, RecvError> {
        match self.inlet.take(|| None) {
            Ok(slot) => Ok(Received::new(&mut self.inlet, slot)),
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
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().pair::<u64>()?;
    /// assert_eq!(rx.try_recv().unwrap_err(), ringway::TryRecvError::Empty);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn try_recv(&mut self) -> Result<Received<'_, T>, TryRecvError> {
        match self.inlet.try_take() {
            Ok(slot) => Ok(Received::new(&mut self.inlet, slot)),
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
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().pair::<u64>()?;
    /// let nothing = rx.recv_timeout(Duration::from_millis(1));
    /// assert_eq!(nothing.unwrap_err(), ringway::RecvTimeoutError::Timeout);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Received<'_, T>, RecvTimeoutError> {
        let slot = self.take_until(|| after(timeout))?;
        Ok(Received::new(&mut self.inlet, slot))
    }

    /// [`recv`](Self::recv), but waiting only until then.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`]
    ///
    /// ```
    /// # use std::time::Instant;
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().pair::<u64>()?;
    /// let nothing = rx.recv_deadline(Instant::now());
    /// assert_eq!(nothing.unwrap_err(), ringway::RecvTimeoutError::Timeout);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<Received<'_, T>, RecvTimeoutError> {
        let slot = self.take_until(|| Some(deadline))?;
        Ok(Received::new(&mut self.inlet, slot))
    }

    #[inline]
    fn take_until(&mut self, deadline: impl FnOnce() -> Option<Instant>) -> Result<Slot, RecvTimeoutError> {
        self.inlet.take(deadline).map_err(|why| self.recv_timeout_error(why))
    }

    /// Up to `max` messages, waiting until there is one at least; they are given back all at once.
    ///
    /// # Errors
    ///
    /// [`RecvError`]
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().pair::<u64>()?;
    /// # tx.send(&1)?; tx.send(&2)?;
    /// let batch = rx.recv_batch(100)?;
    /// let all: Vec<&u64> = batch.iter().collect();
    /// assert_eq!(all, [&1, &2]);
    /// # drop(all);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn recv_batch(&mut self, max: usize) -> Result<ReceivedBatch<'_, T>, RecvError> {
        match self.inlet.peek(|| None) {
            Ok(slot) => Ok(self.batch(slot, max)),
            Err(why) => Err(self.recv_error(why)),
        }
    }

    /// Up to `max` messages, if there is one now. Wait-free, but for one system call if the sender sleeps.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`]
    #[inline]
    pub fn try_recv_batch(&mut self, max: usize) -> Result<ReceivedBatch<'_, T>, TryRecvError> {
        match self.inlet.try_peek() {
            Ok(slot) => Ok(self.batch(slot, max)),
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
    ) -> Result<ReceivedBatch<'_, T>, RecvTimeoutError> {
        let slot = self.peek_until(|| after(timeout))?;
        Ok(self.batch(slot, max))
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
    ) -> Result<ReceivedBatch<'_, T>, RecvTimeoutError> {
        let slot = self.peek_until(|| Some(deadline))?;
        Ok(self.batch(slot, max))
    }

    #[inline]
    fn peek_until(&mut self, deadline: impl FnOnce() -> Option<Instant>) -> Result<Slot, RecvTimeoutError> {
        self.inlet.peek(deadline).map_err(|why| self.recv_timeout_error(why))
    }

    #[inline]
    fn batch(&mut self, first: Slot, max: usize) -> ReceivedBatch<'_, T> {
        // Iterating takes it; what nobody iterates over is not received. A batch counts once.
        self.inlet.count(1);
        let redelivered = (self.inlet.ring().to_come_again() as usize).min(max);
        ReceivedBatch {
            inlet: &mut self.inlet,
            first,
            left: Cell::new(max),
            redelivered,
            message: PhantomData,
        }
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

    /// How many messages the ring has room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.inlet.ring().capacity() as usize
    }

    /// Messages that were sent and not received yet; a hint, it may be more by now.
    #[must_use]
    #[doc(alias = "pending")]
    pub fn len(&self) -> usize {
        self.inlet.ring().pending() as usize
    }

    /// Whether there is nothing to receive now, closed or not.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inlet.ring().is_empty() || self.inlet.ring().is_closed()
    }

    /// Whether as many messages as the ring has room for were sent and not received yet; a hint.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// What this end has done since it was taken.
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().pair::<[u8; 12]>()?;
    /// # tx.send(&[7; 12])?;
    /// drop(rx.recv()?);
    /// assert_eq!((rx.stats().messages, rx.stats().bytes), (1, 16));
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        let bytes = self.inlet.ring().position().wrapping_sub(self.since);
        let (_, waits, bell) = self.inlet.counts();
        Stats::new(slots_in::<T>(bytes), bytes, waits, bell)
    }

    /// Messages that a killed predecessor had taken and not given back, and that do not come again: always 0 unless this end
    /// was taken with [`Redelivery::AtMostOnce`]. They were counted, and passed over, when it was taken.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The file that is the ring's name, if it has one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.end.segment().path()
    }

    /// The pages that the ring's data lies in, and why not in huge ones, if those were asked for.
    #[must_use]
    pub fn pages(&self) -> &Pages {
        self.end.segment().pages()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if self.end.segment().is_ours() {
            self.inlet.close();
            self.end.leave(self.inlet.sender_died(), || true);
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("type", &TypeOf::<T>(PhantomData))
            .field("len", &self.inlet.ring().pending())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// A message, where it lies in the ring; dropping it gives the slot back to the sender.
#[must_use = "a message that is dropped is gone"]
pub struct Received<'a, T> {
    inlet: &'a mut Rx,
    slot: Slot,
    message: PhantomData<&'a T>,
}

impl<'a, T: Value> Received<'a, T> {
    #[inline(always)]
    fn new(inlet: &'a mut Rx, slot: Slot) -> Self {
        Self { inlet, slot, message: PhantomData }
    }

    /// Whether a receiver that was killed had taken it, too, and not given it back: it may have acted on it.
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().pair::<u64>()?;
    /// # tx.send(&7)?;
    /// let message = rx.recv()?;
    /// assert!(!message.redelivered(), "nobody was killed");
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn redelivered(&self) -> bool {
        self.inlet.ring().comes_again(&self.slot)
    }

    /// Leaves the message in the ring: it is the next one again, for this receiver or its successor.
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().pair::<u64>()?;
    /// # tx.send(&7)?;
    /// rx.recv()?.put_back();
    /// assert_eq!(*rx.recv()?, 7);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn put_back(self) {
        self.inlet.ring_mut().put_back(self.slot);
    }

    /// Takes the message out: a copy of it, and its slot goes back to the sender.
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().pair::<u64>()?;
    /// # tx.send(&7)?;
    /// let message: u64 = rx.recv()?.into_inner();
    /// assert_eq!(message, 7);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    #[must_use = "a message that is dropped is gone"]
    pub fn into_inner(self) -> T {
        T::read_from_bytes(self.as_bytes()).expect("a value has as many bytes as its type")
    }
}

impl<T: Value> Deref for Received<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.inlet.ring().value(self.slot)
    }
}

impl<T> Drop for Received<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.inlet.release();
    }
}

impl<T> fmt::Debug for Received<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received").field("type", &TypeOf::<T>(PhantomData)).finish_non_exhaustive()
    }
}

/// Messages where they lie in the ring; dropping it gives their slots back to the sender, all at once.
///
/// Those that were not iterated over are not received: they come again.
#[must_use = "a batch that is not iterated over receives nothing"]
pub struct ReceivedBatch<'a, T> {
    inlet: &'a mut Rx,
    first: Slot,
    left: Cell<usize>,
    redelivered: usize,
    message: PhantomData<&'a T>,
}

impl<T: Value> ReceivedBatch<'_, T> {
    /// The messages that have not been iterated over yet, up to the batch's `max` in all. Messages that arrive
    /// meanwhile are among them.
    ///
    /// What no correct peer writes ends the iteration; the next receive says so.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::from_fn(|| {
            let left = self.left.get().checked_sub(1)?;
            let ring = self.inlet.ring();
            let Next::Slot(slot) = ring.advance() else { return None };
            self.left.set(left);
            Some(ring.value(slot))
        })
    }

    /// How many of its messages, the first ones, a receiver that was killed had taken, too, and not given back.
    #[must_use]
    pub fn redelivered(&self) -> usize {
        self.redelivered
    }

    /// Leaves all its messages in the ring: they come again, to this receiver or its successor.
    #[inline]
    pub fn put_back(self) {
        self.inlet.ring_mut().put_back(self.first);
    }
}

impl<T> Drop for ReceivedBatch<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.inlet.release();
    }
}

impl<T> fmt::Debug for ReceivedBatch<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedBatch").field("left", &self.left.get()).finish_non_exhaustive()
    }
}
