//! The sending end.

use std::{
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    path::Path,
    time::{Duration, Instant},
};

use crossbeam_utils::CachePadded;
use ringway_ring::slots::Producer;
use ringway_segment::Offer;

use super::{Options, TypeOf, Value, slots_in};
use crate::{
    AttachError, Error, Pages, Peer, SendError, SendTimeoutError, Side, Stats, TrySendError, after, lend,
    protocol::{NoLoan, Outlet},
    spsc::end::End,
};

type Tx = Outlet<Producer<ringway_ring::Lent>, ringway_wait::Lent>;

/// The sending end of a ring of slots; see the [module](super).
///
/// Dropping it closes the ring, except in a child forked after it was made, where it does nothing at all.
pub struct Sender<T> {
    // On lines of its own: the ends of a pair may lie side by side, and two threads work on them.
    outlet: CachePadded<Tx>,
    /// Bytes sent when this end was taken.
    since: u64,
    // Dropped last: `outlet` uses its memory.
    end: End,
    message: PhantomData<T>,
}

impl<T: Value> Sender<T> {
    /// Takes the sending end of a ring that was offered; [`Options::sender_of`] does so with a wait of one's own.
    ///
    /// # Errors
    ///
    /// [`AttachError`]; with [`AttachError::Held`] if the ring has a living sender.
    pub fn attach(offer: &Offer) -> Result<Self, AttachError> {
        Options::new().sender_of(offer)
    }

    pub(super) fn new(end: End) -> Result<Self, AttachError> {
        let (ring, words) = (lend::ring(end.segment()), end.words());
        let ring = Producer::resume(ring, size_of::<T>() as u64).map_err(|corrupt| end.corrupt(corrupt))?;
        let outlet = Outlet::attach(ring, words, end.wait, end.sleepers);
        let since = outlet.ring().position();
        Ok(Self { outlet: CachePadded::new(outlet), since, end, message: PhantomData })
    }

    /// Loans a slot, waiting until there is one.
    ///
    /// It holds whatever was there before. Dropping the loan gives it back. Lock-free, without a system call, while there is
    /// room.
    ///
    /// # Errors
    ///
    /// [`SendError`]
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().pair::<[u32; 3]>()?;
    /// let mut loan = tx.loan()?;
    /// *loan = [1, 2, 3];
    /// loan.send();
    /// # assert_eq!(rx.recv()?[2], 3);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn loan(&mut self) -> Result<Loan<'_, T>, SendError> {
        match self.outlet().loan((), || None) {
            Ok(()) => Ok(Loan::new(&mut self.outlet)),
            Err(why) => Err(error(why, &self.outlet).into()),
        }
    }

    /// Loans a slot, if there is one now. Wait-free.
    ///
    /// # Errors
    ///
    /// [`TrySendError`]
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().pair::<u64>()?;
    /// let mut loan = tx.try_loan()?;
    /// *loan = 7;
    /// loan.send();
    /// # assert_eq!(*rx.recv()?, 7);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn try_loan(&mut self) -> Result<Loan<'_, T>, TrySendError> {
        match self.outlet().try_loan(()) {
            Ok(()) => Ok(Loan::new(&mut self.outlet)),
            Err(why) => Err(error(why, &self.outlet)),
        }
    }

    /// [`loan`](Self::loan), but only for so long.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError`]
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().pair::<u64>()?;
    /// tx.loan_timeout(Duration::from_millis(1))?.send();
    /// # rx.recv()?;
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn loan_timeout(&mut self, timeout: Duration) -> Result<Loan<'_, T>, SendTimeoutError> {
        self.loan_until(|| after(timeout))
    }

    /// [`loan`](Self::loan), but only until then.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError`]
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().pair::<u64>()?;
    /// tx.loan_deadline(Instant::now() + Duration::from_millis(1))?.send();
    /// # rx.recv()?;
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn loan_deadline(&mut self, deadline: Instant) -> Result<Loan<'_, T>, SendTimeoutError> {
        self.loan_until(|| Some(deadline))
    }

    #[inline]
    fn loan_until(
        &mut self,
        deadline: impl FnOnce() -> Option<Instant>,
    ) -> Result<Loan<'_, T>, SendTimeoutError> {
        match self.outlet().loan((), deadline) {
            Ok(()) => Ok(Loan::new(&mut self.outlet)),
            Err(why) => Err(error(why, &self.outlet).into()),
        }
    }

    /// Sends a copy of `message`, waiting until there is room.
    ///
    /// # Errors
    ///
    /// [`SendError`]
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().pair::<u64>()?;
    /// tx.send(&7)?;
    /// # assert_eq!(*rx.recv()?, 7);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline(always)]
    pub fn send(&mut self, message: &T) -> Result<(), SendError> {
        // The way that needs no waiting is worth keeping straight.
        if !self.outlet.receiver_left() && self.outlet.ring_mut().send_copy(message).is_ok() {
            self.outlet.notify();
            return Ok(());
        }
        self.send_slow(message)
    }

    #[cold]
    #[inline(never)]
    fn send_slow(&mut self, message: &T) -> Result<(), SendError> {
        self.loan().map(|loan| loan.fill(message))
    }

    /// Sends a copy of `message`, if there is room now. Wait-free, but for one system call if the receiver sleeps.
    ///
    /// # Errors
    ///
    /// [`TrySendError`]
    ///
    /// ```
    /// # let (mut tx, rx) = ringway::spsc::slots::Options::new().capacity(1).pair::<u64>()?;
    /// while tx.try_send(&7).is_ok() {}
    /// assert_eq!(tx.try_send(&7), Err(ringway::TrySendError::Full));
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn try_send(&mut self, message: &T) -> Result<(), TrySendError> {
        self.try_loan().map(|loan| loan.fill(message))
    }

    /// [`send`](Self::send), but waiting only for so long.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError`]
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().pair::<u64>()?;
    /// tx.send_timeout(&7, Duration::from_millis(1))?;
    /// # assert_eq!(*rx.recv()?, 7);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn send_timeout(&mut self, message: &T, timeout: Duration) -> Result<(), SendTimeoutError> {
        self.loan_timeout(timeout).map(|loan| loan.fill(message))
    }

    /// [`send`](Self::send), but waiting only until then.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError`]
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().pair::<u64>()?;
    /// tx.send_deadline(&7, Instant::now() + Duration::from_millis(1))?;
    /// # assert_eq!(*rx.recv()?, 7);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn send_deadline(&mut self, message: &T, deadline: Instant) -> Result<(), SendTimeoutError> {
        self.loan_deadline(deadline).map(|loan| loan.fill(message))
    }

    /// Starts a batch: messages that become visible all at once, with one update of the shared words.
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().pair::<u64>()?;
    /// let mut batch = tx.batch();
    /// for n in 0..3 {
    ///     batch.push(&n)?;
    /// }
    /// batch.send();
    /// # assert_eq!(rx.recv_batch(9)?.iter().count(), 3);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn batch(&mut self) -> SendBatch<'_, T> {
        SendBatch { outlet: self.outlet(), count: 0, message: PhantomData }
    }

    /// Tells the receiver that nothing more will come, and leaves. (Dropping does the same, without a word.)
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if this end is poisoned; the receiver is not told then.
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().pair::<u64>()?;
    /// tx.close()?;
    /// assert_eq!(rx.try_recv().unwrap_err(), ringway::TryRecvError::Closed);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    pub fn close(mut self) -> Result<(), Error> {
        self.outlet.close().map_err(Error::Corrupt)
    }

    /// Leaves as [`close`](Self::close) does, and takes the ring's name with it, whatever is still in the ring, if nobody else is
    /// attached; as [`spsc::Sender::abandon`](crate::spsc::Sender::abandon).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let names = ringway::Names::in_dir(dir.path());
    /// let mut tx = ringway::spsc::slots::Options::new()
    /// #   .names(names.clone())
    ///     .sender::<u64>("prices")?;
    /// tx.send(&7)?;
    /// tx.abandon();
    /// # assert!(ringway::inspect::list(&names)?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn abandon(mut self) {
        self.end.abandon();
    }

    /// How many messages the ring has room for: as many as were asked for when it was made, or more.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.outlet.ring().capacity() as usize
    }

    /// Messages that were sent and not released by the receiver; a hint, it may be less by now.
    #[must_use]
    #[doc(alias = "pending")]
    pub fn len(&self) -> usize {
        self.outlet.ring().pending() as usize
    }

    /// Whether the receiver has given back all that was sent; a hint, that may be so by now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no slot now; a hint, there may be one by now.
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().capacity(1).pair::<u64>()?;
    /// while !tx.is_full() {
    ///     tx.send(&7)?;
    /// }
    /// assert_eq!((tx.len(), rx.is_full()), (tx.capacity(), true));
    /// while !rx.is_empty() {
    ///     rx.recv()?;
    /// }
    /// assert!(tx.is_empty());
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// What this end has done since it was taken.
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().pair::<[u8; 12]>()?;
    /// tx.send(&[7; 12])?;
    /// tx.send(&[8; 12])?;
    /// assert_eq!((tx.stats().messages, tx.stats().bytes), (2, 32));
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        let bytes = self.outlet.ring().position().wrapping_sub(self.since);
        let (waits, bell) = self.outlet.counts();
        Stats::new(slots_in::<T>(bytes), bytes, waits, bell)
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

    /// The outlet with nothing staged: a batch that was forgotten (`mem::forget`) must not go out with what follows.
    #[inline(always)]
    fn outlet(&mut self) -> &mut Tx {
        self.outlet.ring_mut().discard();
        &mut self.outlet
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let Self { outlet, end, .. } = self;
        if end.segment().is_ours() {
            // A poisoned end leaves the ring alone; `close` says so to those who ask.
            let _ = outlet.close();
            end.leave(outlet.receiver_died(), || outlet.receiver_left());
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("type", &TypeOf::<T>(PhantomData))
            .field("len", &self.outlet.ring().pending())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// Why there was no loan, in the words of users.
#[cold]
fn error(why: NoLoan, outlet: &Tx) -> TrySendError {
    match (why, outlet.ring().corruption()) {
        (NoLoan::Corrupt, Some(corrupt)) => TrySendError::Corrupt(corrupt),
        (NoLoan::Closed, _) => TrySendError::Closed,
        (NoLoan::Died, _) => {
            TrySendError::PeerDied(Peer { side: Side::Receiver, pid: outlet.dead_receiver() })
        }
        (NoLoan::Full | NoLoan::TooLong | NoLoan::Corrupt, _) => TrySendError::Full,
    }
}

/// A slot of the ring, to be filled and sent; dropping it gives it back.
#[must_use = "a loan that is not sent is given back"]
pub struct Loan<'a, T> {
    outlet: &'a mut Tx,
    message: PhantomData<&'a mut T>,
}

impl<'a, T: Value> Loan<'a, T> {
    #[inline(always)]
    fn new(outlet: &'a mut Tx) -> Self {
        Self { outlet, message: PhantomData }
    }

    /// Sends the message. Wait-free, but for one system call if the receiver sleeps.
    #[inline]
    pub fn send(self) {
        self.outlet.send();
    }

    #[inline]
    fn fill(mut self, message: &T) {
        self.as_mut_bytes().copy_from_slice(message.as_bytes());
        self.send();
    }
}

impl<T: Value> Deref for Loan<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.outlet.ring().value()
    }
}

impl<T: Value> DerefMut for Loan<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.outlet.ring_mut().value_mut()
    }
}

impl<T> fmt::Debug for Loan<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("type", &TypeOf::<T>(PhantomData)).finish_non_exhaustive()
    }
}

/// Messages that will become visible all at once; dropping it forgets them.
#[must_use = "a batch that is not sent is forgotten"]
pub struct SendBatch<'a, T> {
    outlet: &'a mut Tx,
    count: usize,
    message: PhantomData<&'a T>,
}

impl<T: Value> SendBatch<'_, T> {
    /// Adds a copy of `message`. Wait-free.
    ///
    /// # Errors
    ///
    /// [`TrySendError`]; what was added before stays. A batch never waits for room, for the receiver cannot make
    /// any by receiving what it does not see: on `Full`, send the batch and start another.
    #[inline(always)]
    pub fn push(&mut self, message: &T) -> Result<(), TrySendError> {
        if !self.outlet.receiver_left() && self.outlet.ring_mut().stage_copy(message).is_ok() {
            self.count += 1;
            return Ok(());
        }
        Err(self.why_not())
    }

    /// Adds a message that `fill` writes in place. Wait-free.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push); `fill` is not called then.
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().pair::<[u8; 48]>()?;
    /// let mut batch = tx.batch();
    /// batch.push_with(|message| message.fill(7))?;
    /// batch.send();
    /// # assert_eq!(rx.recv()?[47], 7);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn push_with(&mut self, fill: impl FnOnce(&mut T)) -> Result<(), TrySendError> {
        if self.outlet.try_loan(()).is_err() {
            return Err(self.why_not());
        }
        fill(self.outlet.ring_mut().value_mut());
        self.outlet.ring_mut().stage();
        self.count += 1;
        Ok(())
    }

    /// Why nothing could be added.
    #[cold]
    #[inline(never)]
    fn why_not(&mut self) -> TrySendError {
        // Asked again, it says; if there is room by now, there was none then.
        error(self.outlet.try_loan(()).err().unwrap_or(NoLoan::Full), self.outlet)
    }

    /// How many messages it has.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether it has none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Sends them all. Wait-free, but for one system call if the receiver sleeps.
    #[inline]
    pub fn send(self) {
        self.outlet.publish();
    }
}

impl<T> Drop for SendBatch<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.outlet.ring_mut().discard();
    }
}

impl<T> fmt::Debug for SendBatch<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBatch").field("len", &self.count).finish_non_exhaustive()
    }
}
