//! The sending end.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    path::Path,
    time::{Duration, Instant},
};

use crossbeam_utils::CachePadded;
use ringway_ring::{
    Mem,
    spsc::{Producer, max_payload},
};
use ringway_segment::Offer;

use super::{Options, end::End};
use crate::{
    AttachError, Error, Pages, Peer, SendError, SendTimeoutError, Side, Stats, TooLong, TrySendError, after,
    lend,
    protocol::{NoLoan, Outlet},
};

type Tx = Outlet<Producer<ringway_ring::Lent>, ringway_wait::Lent>;

/// The sending end of a ring; see the [module](super).
///
/// Dropping it closes the ring, except in a child forked after it was made, where it does nothing at all.
pub struct Sender {
    // On lines of its own: the ends of a pair may lie side by side, and two threads work on them.
    outlet: CachePadded<Tx>,
    /// Messages sent and bytes used when this end was taken.
    since: (u64, u64),
    // Dropped last: `outlet` uses its memory.
    end: End,
}

impl Sender {
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
        let ring = Producer::resume(ring).map_err(|corrupt| end.corrupt(corrupt))?;
        let outlet = Outlet::attach(ring, words, end.wait, end.sleepers);
        let since = (outlet.ring().sent(), outlet.ring().position());
        Ok(Self { outlet: CachePadded::new(outlet), since, end })
    }

    /// Loans room for a message of `len` bytes, waiting until there is some.
    ///
    /// The bytes hold whatever was there before. Dropping the loan gives it back. Lock-free, without a system
    /// call, while there is room. A long message that exists already is better sent with [`send`](Self::send), which copies it past
    /// the caches.
    ///
    /// # Errors
    ///
    /// [`SendError`]
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::Options::new().pair()?;
    /// let mut loan = tx.loan(8)?;
    /// loan.copy_from_slice(&7u64.to_le_bytes());
    /// loan.send();
    /// # assert_eq!(rx.recv()?[0], 7);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn loan(&mut self, len: usize) -> Result<Loan<'_>, SendError> {
        match self.outlet().loan(len, || None) {
            Ok(()) => Ok(Loan { outlet: &mut self.outlet, kind: 0 }),
            Err(why) => Err(self.send_error(why, len)),
        }
    }

    /// Loans room for a message of `len` bytes, if there is some now. Wait-free.
    ///
    /// # Errors
    ///
    /// [`TrySendError`]
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::Options::new().pair()?;
    /// tx.try_loan(8)?.send();
    /// # assert_eq!(rx.recv()?.len(), 8);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn try_loan(&mut self, len: usize) -> Result<Loan<'_>, TrySendError> {
        match self.outlet().try_loan(len) {
            Ok(()) => Ok(Loan { outlet: &mut self.outlet, kind: 0 }),
            Err(why) => Err(self.try_send_error(why, len)),
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
    /// # let (mut tx, mut rx) = ringway::spsc::Options::new().pair()?;
    /// tx.loan_timeout(8, Duration::from_millis(1))?.send();
    /// # assert_eq!(rx.recv()?.len(), 8);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn loan_timeout(&mut self, len: usize, timeout: Duration) -> Result<Loan<'_>, SendTimeoutError> {
        self.loan_until(len, || after(timeout))
    }

    /// [`loan`](Self::loan), but only until then.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError`]
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # let (mut tx, mut rx) = ringway::spsc::Options::new().pair()?;
    /// tx.loan_deadline(8, Instant::now() + Duration::from_millis(1))?.send();
    /// # assert_eq!(rx.recv()?.len(), 8);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn loan_deadline(&mut self, len: usize, deadline: Instant) -> Result<Loan<'_>, SendTimeoutError> {
        self.loan_until(len, || Some(deadline))
    }

    #[inline]
    fn loan_until(
        &mut self,
        len: usize,
        deadline: impl FnOnce() -> Option<Instant>,
    ) -> Result<Loan<'_>, SendTimeoutError> {
        match self.outlet().loan(len, deadline) {
            Ok(()) => Ok(Loan { outlet: &mut self.outlet, kind: 0 }),
            Err(why) => Err(self.send_timeout_error(why, len)),
        }
    }

    /// Sends a copy of `message`, waiting until there is room.
    ///
    /// # Errors
    ///
    /// [`SendError`]
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::Options::new().pair()?;
    /// tx.send(b"hello")?;
    /// # assert_eq!(&rx.recv()?[..], b"hello");
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline(always)]
    pub fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        // The way that needs no waiting is worth keeping straight: lengths that the compiler knows stay known.
        if !self.outlet.receiver_left() && self.outlet.ring_mut().send_copy(message, 0).is_ok() {
            self.outlet.notify();
            return Ok(());
        }
        self.send_slow(message)
    }

    #[cold]
    #[inline(never)]
    fn send_slow(&mut self, message: &[u8]) -> Result<(), SendError> {
        self.loan(message.len()).map(|loan| loan.fill(message))
    }

    /// Sends a copy of `message`, if there is room now. Wait-free, but for one system call if the receiver sleeps.
    ///
    /// # Errors
    ///
    /// [`TrySendError`]
    ///
    /// ```
    /// # let (mut tx, rx) = ringway::spsc::Options::new().capacity(4096).pair()?;
    /// while tx.try_send(b"again").is_ok() {}
    /// assert_eq!(tx.try_send(b"again"), Err(ringway::TrySendError::Full));
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn try_send(&mut self, message: &[u8]) -> Result<(), TrySendError> {
        self.try_loan(message.len()).map(|loan| loan.fill(message))
    }

    /// [`send`](Self::send), but waiting only for so long.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError`]
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::spsc::Options::new().pair()?;
    /// tx.send_timeout(b"hello", Duration::from_millis(1))?;
    /// # assert_eq!(&rx.recv()?[..], b"hello");
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn send_timeout(&mut self, message: &[u8], timeout: Duration) -> Result<(), SendTimeoutError> {
        self.loan_timeout(message.len(), timeout).map(|loan| loan.fill(message))
    }

    /// [`send`](Self::send), but waiting only until then.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError`]
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # let (mut tx, mut rx) = ringway::spsc::Options::new().pair()?;
    /// tx.send_deadline(b"hello", Instant::now() + Duration::from_millis(1))?;
    /// # assert_eq!(&rx.recv()?[..], b"hello");
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn send_deadline(&mut self, message: &[u8], deadline: Instant) -> Result<(), SendTimeoutError> {
        self.loan_deadline(message.len(), deadline).map(|loan| loan.fill(message))
    }

    /// Starts a batch: messages that become visible all at once, with one update of the shared words.
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::Options::new().pair()?;
    /// let mut batch = tx.batch();
    /// for n in 0..3u8 {
    ///     batch.push(&[n])?;
    /// }
    /// batch.send();
    /// # assert_eq!(rx.recv_batch(9)?.iter().count(), 3);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn batch(&mut self) -> SendBatch<'_> {
        SendBatch { outlet: self.outlet() }
    }

    /// Tells the receiver that nothing more will come, and leaves. (Dropping does the same, without a word.)
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if this end is poisoned; the receiver is not told then.
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::Options::new().pair()?;
    /// tx.close()?;
    /// assert_eq!(rx.try_recv().unwrap_err(), ringway::TryRecvError::Closed);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    pub fn close(mut self) -> Result<(), Error> {
        self.outlet.close().map_err(Error::Corrupt)
    }

    /// Leaves as [`close`](Self::close) does, and takes the ring's name with it, whatever is still in the ring, if nobody else is
    /// attached: for what is of no use to another receiver.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let names = ringway::Names::in_dir(dir.path());
    /// let mut tx = ringway::spsc::Options::new()
    /// #   .names(names.clone())
    ///     .sender("prices")?;
    /// tx.send(b"stale")?;
    /// tx.abandon();
    /// # assert!(ringway::inspect::list(&names)?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn abandon(mut self) {
        self.end.abandon();
    }

    /// Bytes of data the ring has.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.end.segment().shape().capacity as usize
    }

    /// The longest message that the ring can carry, in bytes.
    #[must_use]
    pub fn max_message(&self) -> usize {
        max_payload(self.end.segment().shape().capacity) as usize
    }

    /// Bytes, 8 a record included, that were sent and not released by the receiver; a hint, it may be less by now.
    ///
    /// Whether a ring of bytes is full depends on how long a message is: [`try_loan`](Self::try_loan) says whether it fits.
    #[must_use]
    #[doc(alias = "len")]
    #[doc(alias = "is_full")]
    pub fn pending(&self) -> usize {
        self.outlet.ring().pending() as usize
    }

    /// Whether the receiver has given back all that was sent; a hint, that may be so by now.
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::Options::new().pair()?;
    /// tx.send(b"hello")?;
    /// assert!(!tx.is_empty());
    /// rx.recv()?;
    /// assert!(tx.is_empty());
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending() == 0
    }

    /// What this end has done since it was taken.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let ring = self.outlet.ring();
        let (waits, bell) = self.outlet.counts();
        let (messages, bytes) =
            (ring.sent().wrapping_sub(self.since.0), ring.position().wrapping_sub(self.since.1));
        Stats::new(messages, bytes, waits, bell)
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

    #[cold]
    fn send_error(&self, why: NoLoan, len: usize) -> SendError {
        error(why, &self.outlet, len).into()
    }

    #[cold]
    fn try_send_error(&self, why: NoLoan, len: usize) -> TrySendError {
        error(why, &self.outlet, len)
    }

    #[cold]
    fn send_timeout_error(&self, why: NoLoan, len: usize) -> SendTimeoutError {
        error(why, &self.outlet, len).into()
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let Self { outlet, end, .. } = self;
        if end.segment().is_ours() {
            // A poisoned end leaves the ring alone; `close` says so to those who ask.
            let _ = outlet.close();
            end.leave(outlet.receiver_died(), || outlet.receiver_left());
        }
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("pending", &self.pending())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// Why there was no loan of `len` bytes, in the words of users.
#[cold]
fn error(why: NoLoan, outlet: &Tx, len: usize) -> TrySendError {
    let ring = outlet.ring();
    match (why, ring.corruption()) {
        (NoLoan::Corrupt, Some(corrupt)) => TrySendError::Corrupt(corrupt),
        (NoLoan::TooLong, _) => {
            TrySendError::TooLong(TooLong { len, max: max_payload(ring.mem().capacity()) as usize })
        }
        (NoLoan::Closed, _) => TrySendError::Closed,
        (NoLoan::Died, _) => {
            TrySendError::PeerDied(Peer { side: Side::Receiver, pid: outlet.dead_receiver() })
        }
        (NoLoan::Full | NoLoan::Corrupt, _) => TrySendError::Full,
    }
}

/// Stages a message of `len` bytes, which `fill` writes in place.
#[inline]
fn stage_with(outlet: &mut Tx, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<(), TrySendError> {
    if let Err(why) = outlet.try_loan(len) {
        return Err(error(why, outlet, len));
    }
    fill(outlet.ring_mut().payload_mut());
    outlet.stage(0);
    Ok(())
}

/// Stages a copy of a message. (It takes the outlet, not the batch, so that the batch can live in registers.)
#[cold]
#[inline(never)]
fn stage_slow(outlet: &mut Tx, message: &[u8]) -> Result<(), TrySendError> {
    stage_with(outlet, message.len(), |bytes| bytes.copy_from_slice(message))
}

/// Room in the ring, to be filled and sent; dropping it gives it back.
#[must_use = "a loan that is not sent is given back"]
pub struct Loan<'a> {
    outlet: &'a mut Tx,
    kind: u16,
}

impl Loan<'_> {
    /// Sends the message. Wait-free, but for one system call if the receiver sleeps.
    #[inline]
    pub fn send(self) {
        self.outlet.send(self.kind);
    }

    /// Sends a copy of `message`, for which it was lent.
    #[inline]
    fn fill(self, message: &[u8]) {
        // Not by way of the slice: how a message is best copied depends on its length.
        self.outlet.ring_mut().send_copy(message, self.kind).expect("room that was lent is there");
        self.outlet.notify();
    }

    /// Shortens the message to its first `len` bytes; it keeps its length if that is no more.
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::Options::new().pair()?;
    /// let mut loan = tx.loan(1000)?;
    /// let read = std::io::Read::read(&mut &b"what there is"[..], &mut loan).unwrap();
    /// loan.truncate(read);
    /// loan.send();
    /// # assert_eq!(&rx.recv()?[..], b"what there is");
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.outlet.ring_mut().trim(len);
    }

    /// Gives the message a number of the user's own, 0 unless set; see [`Received::kind`](super::Received::kind).
    #[inline]
    pub fn set_kind(&mut self, kind: u16) {
        self.kind = kind;
    }
}

impl Deref for Loan<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.outlet.ring().payload()
    }
}

impl DerefMut for Loan<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.outlet.ring_mut().payload_mut()
    }
}

impl Drop for Loan<'_> {
    #[inline]
    fn drop(&mut self) {
        self.outlet.ring_mut().abort();
    }
}

impl fmt::Debug for Loan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("len", &self.len()).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Messages that will become visible all at once; dropping it forgets them.
#[must_use = "a batch that is not sent is forgotten"]
pub struct SendBatch<'a> {
    outlet: &'a mut Tx,
}

impl SendBatch<'_> {
    /// Adds a copy of `message`. Wait-free.
    ///
    /// # Errors
    ///
    /// [`TrySendError`]; what was added before stays. A batch never waits for room, for the receiver cannot make
    /// any by receiving what it does not see: on `Full`, send the batch and start another. That the receiver has left is asked
    /// in front of the first message only.
    #[inline(always)]
    pub fn push(&mut self, message: &[u8]) -> Result<(), TrySendError> {
        // All but the first go the shortest way. Whether the receiver has left is asked once a batch.
        if self.outlet.ring_mut().append_copy(message, 0) {
            return Ok(());
        }
        if !self.outlet.receiver_left() && self.outlet.ring_mut().stage_copy(message, 0).is_ok() {
            return Ok(());
        }
        stage_slow(self.outlet, message)
    }

    /// Adds a message of `len` bytes, which `fill` writes in place. Wait-free.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push); `fill` is not called then.
    #[inline]
    pub fn push_with(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<(), TrySendError> {
        stage_with(self.outlet, len, fill)
    }

    /// How many messages it has.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.outlet.ring().staged() as usize
    }

    /// Whether it has none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends them all. Wait-free, but for one system call if the receiver sleeps.
    #[inline(always)]
    pub fn send(self) {
        self.outlet.publish();
    }
}

impl Drop for SendBatch<'_> {
    #[inline]
    fn drop(&mut self) {
        self.outlet.ring_mut().discard();
    }
}

impl fmt::Debug for SendBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBatch").field("len", &self.len()).finish_non_exhaustive()
    }
}
