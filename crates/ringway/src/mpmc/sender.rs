//! The sending end.

use std::{
    fmt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_utils::CachePadded;
use ringway_ring::{
    LentPool,
    mpmc::{self, Access, Consumer, Many, Note, Notes as _, Producer, Sole},
};
use ringway_segment::Offer;

use super::{
    Options, SendBatch, Slots,
    census::{Census, Gone},
    counts::Counts,
    ends::{SendingEnd, dead},
    loan::Loan,
    participant::Participant,
    send_batch::Spare,
    turns::Turns,
};
use crate::{
    AttachError, Corrupt, Error, SendError, SendTimeoutError, Side, Stats, TooLong, TrySendError, after,
    layout::queue::{FLAG_OVERWRITES, shared},
    lend::queue::Shared,
};

/// A sending end of a queue; see the [module](super).
///
/// All calls take `&self`: threads may share it, unless it is a [`SoleSender`], though each does better with a clone of its own. Dropping the last one closes the
/// queue for receivers, unless others send, too; in a child forked after it was made it does nothing at all.
///
/// `A` is [`Many`], or [`Sole`] for a sending end that is the only one.
pub struct Sender<A: Access = Many> {
    /// On lines of its own: ends may lie side by side, and threads work on them.
    pub(super) queue: CachePadded<Producer<LentPool, A>>,
    /// Takes what is oldest, of a queue that is overwritten.
    oldest: Option<Consumer<LentPool>>,
    pub(super) spare: Spare,
    receivers: Shared,
    pub(super) counts: Counts,
    // Dropped last: the others use its memory.
    pub(super) end: Arc<SendingEnd>,
}

/// A sending end of a queue that has no other. It may go to another thread, but threads cannot share it:
///
/// ```compile_fail,E0277
/// # let (tx, rx) = ringway::mpmc::Options::new().sole_sender().pair()?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| tx.send(b"hello"));
/// });
/// # Ok::<(), ringway::Error>(())
/// ```
pub type SoleSender = Sender<Sole>;

/// Why there is no slot.
#[derive(Debug, Clone, Copy)]
pub(super) enum NoSlot {
    Full,
    Closed,
    Died,
    TooLong(TooLong),
    Corrupt(Corrupt),
}

impl Sender {
    /// Takes a sending end of a queue that was offered; [`Options::sender_of`] does so with a wait of one's own.
    ///
    /// # Errors
    ///
    /// [`AttachError`]
    pub fn attach(offer: &Offer) -> Result<Self, AttachError> {
        Options::new().sender_of(offer)
    }
}

impl<A: Access> Sender<A> {
    pub(super) fn new(end: Arc<SendingEnd>) -> Self {
        let part = &end.part;
        // Ends that begin at different slots do not get in each other's way.
        let first = spread(part);
        let overwrites = part.flags() & FLAG_OVERWRITES != 0;
        Self {
            queue: CachePadded::new(Producer::new(part.pool.clone(), part.line, first)),
            oldest: overwrites.then(|| Consumer::new(part.pool.clone(), part.line)),
            spare: Spare::default(),
            receivers: Shared::new(part.segment(), shared::RECEIVERS),
            counts: Counts::default(),
            end,
        }
    }

    /// Lends a slot for a message of `len` bytes, waiting until there is one.
    ///
    /// The bytes hold whatever was there before. Fill it for as long as you like: others lack one slot meanwhile, no more. Dropping
    /// the loan gives it back. Lock-free, without a system call, while there are free slots.
    ///
    /// # Errors
    ///
    /// [`SendError`]
    ///
    /// ```
    /// # let (tx, rx) = ringway::mpmc::Options::new().pair()?;
    /// let mut loan = tx.loan(8)?;
    /// loan.copy_from_slice(&7u64.to_le_bytes());
    /// loan.send();
    /// # assert_eq!(rx.recv()?[0], 7);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn loan(&self, len: usize) -> Result<Loan<'_, A>, SendError> {
        match self.slot_at_once(len) {
            Some(slot) => Ok(Loan::new(self, slot, len)),
            None => self.loan_slowly(len),
        }
    }

    /// Lends a slot for a message of `len` bytes, if there is one now. Wait-free, but where others have died.
    ///
    /// # Errors
    ///
    /// [`TrySendError`]
    ///
    /// ```
    /// # let (tx, rx) = ringway::mpmc::Options::new().pair()?;
    /// tx.try_loan(8)?.send();
    /// # assert_eq!(rx.recv()?.len(), 8);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn try_loan(&self, len: usize) -> Result<Loan<'_, A>, TrySendError> {
        match self.slot_at_once(len) {
            Some(slot) => Ok(Loan::new(self, slot, len)),
            None => self.try_loan_slowly(len),
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
    /// # let (tx, rx) = ringway::mpmc::Options::new().pair()?;
    /// tx.loan_timeout(8, Duration::from_millis(1))?.send();
    /// # assert_eq!(rx.recv()?.len(), 8);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn loan_timeout(&self, len: usize, timeout: Duration) -> Result<Loan<'_, A>, SendTimeoutError> {
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
    /// # let (tx, rx) = ringway::mpmc::Options::new().pair()?;
    /// tx.loan_deadline(8, Instant::now() + Duration::from_millis(1))?.send();
    /// # assert_eq!(rx.recv()?.len(), 8);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn loan_deadline(&self, len: usize, deadline: Instant) -> Result<Loan<'_, A>, SendTimeoutError> {
        self.loan_until(len, || Some(deadline))
    }

    #[inline]
    fn loan_until(
        &self,
        len: usize,
        deadline: impl FnOnce() -> Option<Instant>,
    ) -> Result<Loan<'_, A>, SendTimeoutError> {
        match self.slot_at_once(len) {
            Some(slot) => Ok(Loan::new(self, slot, len)),
            None => self.loan_slowly_until(len, deadline()),
        }
    }

    #[cold]
    #[inline(never)]
    fn loan_slowly(&self, len: usize) -> Result<Loan<'_, A>, SendError> {
        let slot = self.wait_for_slot(len, None).map_err(|why| self.try_send_error(why))?;
        Ok(Loan::new(self, slot, len))
    }

    #[cold]
    #[inline(never)]
    fn try_loan_slowly(&self, len: usize) -> Result<Loan<'_, A>, TrySendError> {
        let slot = self.slot_slowly(len, true).map_err(|why| self.try_send_error(why))?;
        Ok(Loan::new(self, slot, len))
    }

    #[cold]
    #[inline(never)]
    fn loan_slowly_until(
        &self,
        len: usize,
        deadline: Option<Instant>,
    ) -> Result<Loan<'_, A>, SendTimeoutError> {
        let slot = self.wait_for_slot(len, deadline).map_err(|why| self.try_send_error(why))?;
        Ok(Loan::new(self, slot, len))
    }

    /// Sends a copy of `message`, waiting until there is a slot.
    ///
    /// # Errors
    ///
    /// [`SendError`]
    ///
    /// ```
    /// # let (tx, rx) = ringway::mpmc::Options::new().pair()?;
    /// tx.send(b"hello")?;
    /// # assert_eq!(&rx.recv()?[..], b"hello");
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline(always)]
    pub fn send(&self, message: &[u8]) -> Result<(), SendError> {
        // The way that needs no questions is worth keeping straight.
        if self.send_at_once(message) { Ok(()) } else { self.send_slowly(message) }
    }

    #[cold]
    #[inline(never)]
    fn send_slowly(&self, message: &[u8]) -> Result<(), SendError> {
        match self.wait_for_slot(message.len(), None) {
            Ok(slot) => self.fill(slot, message).map_err(SendError::Corrupt),
            Err(why) => Err(self.try_send_error(why).into()),
        }
    }

    /// Sends a copy of `message`, if there is a slot now. Lock-free.
    ///
    /// # Errors
    ///
    /// [`TrySendError`]
    ///
    /// ```
    /// # let (tx, rx) = ringway::mpmc::Options::new().slots(4).pair()?;
    /// while tx.try_send(b"again").is_ok() {}
    /// assert_eq!(tx.try_send(b"again"), Err(ringway::TrySendError::Full));
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline(always)]
    pub fn try_send(&self, message: &[u8]) -> Result<(), TrySendError> {
        if self.send_at_once(message) { Ok(()) } else { self.try_send_slowly(message) }
    }

    #[cold]
    #[inline(never)]
    fn try_send_slowly(&self, message: &[u8]) -> Result<(), TrySendError> {
        match self.slot_slowly(message.len(), true) {
            Ok(slot) => self.fill(slot, message).map_err(TrySendError::Corrupt),
            Err(why) => Err(self.try_send_error(why)),
        }
    }

    /// [`send`](Self::send), but waiting only for so long.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError`]
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let (tx, rx) = ringway::mpmc::Options::new().pair()?;
    /// tx.send_timeout(b"hello", Duration::from_millis(1))?;
    /// # assert_eq!(&rx.recv()?[..], b"hello");
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn send_timeout(&self, message: &[u8], timeout: Duration) -> Result<(), SendTimeoutError> {
        self.send_until(message, || after(timeout))
    }

    /// [`send`](Self::send), but waiting only until then.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError`]
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # let (tx, rx) = ringway::mpmc::Options::new().pair()?;
    /// tx.send_deadline(b"hello", Instant::now() + Duration::from_millis(1))?;
    /// # assert_eq!(&rx.recv()?[..], b"hello");
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn send_deadline(&self, message: &[u8], deadline: Instant) -> Result<(), SendTimeoutError> {
        self.send_until(message, || Some(deadline))
    }

    #[inline]
    fn send_until(
        &self,
        message: &[u8],
        deadline: impl FnOnce() -> Option<Instant>,
    ) -> Result<(), SendTimeoutError> {
        if self.send_at_once(message) { Ok(()) } else { self.send_slowly_until(message, deadline()) }
    }

    #[cold]
    #[inline(never)]
    fn send_slowly_until(&self, message: &[u8], deadline: Option<Instant>) -> Result<(), SendTimeoutError> {
        match self.wait_for_slot(message.len(), deadline) {
            Ok(slot) => self.fill(slot, message).map_err(SendTimeoutError::Corrupt),
            Err(why) => Err(self.try_send_error(why).into()),
        }
    }

    /// Starts a batch: messages that are sent together. Those that fit into one slot together, with 8 bytes a message, take one slot, and
    /// go to one receiver.
    ///
    /// ```
    /// # let (tx, rx) = ringway::mpmc::Options::new().slot_size(1024).pair()?;
    /// let mut batch = tx.batch();
    /// for n in 0..3u8 {
    ///     batch.push(&[n])?;
    /// }
    /// batch.send();
    /// # assert_eq!(rx.recv_batch(9)?.iter().count(), 3);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn batch(&self) -> SendBatch<'_, A> {
        SendBatch::new(self)
    }

    /// A slot, if there is one now.
    #[inline(always)]
    pub(super) fn try_slot(&self, len: usize) -> Result<mpmc::Loan, NoSlot> {
        match self.slot_at_once(len) {
            Some(slot) => Ok(slot),
            None => self.slot_slowly(len, true),
        }
    }

    /// The way that needs no questions: somebody receives, nothing is wrong, and there is a slot.
    #[inline(always)]
    fn slot_at_once(&self, len: usize) -> Option<mpmc::Loan> {
        let good = len <= self.slot_size()
            && Census(self.receivers.word()).anybody()
            && self.end.part.corruption().is_none();
        if good { self.queue.loan_at_once() } else { None }
    }

    /// A slot, if there is one now, or else why not. `all`: not only near by.
    #[cold]
    #[inline(never)]
    fn slot_slowly(&self, len: usize, all: bool) -> Result<mpmc::Loan, NoSlot> {
        let part = &self.end.part;
        if let Some(corrupt) = part.corruption() {
            return Err(NoSlot::Corrupt(corrupt));
        }
        let max = self.slot_size();
        if len > max {
            return Err(NoSlot::TooLong(TooLong { len, max }));
        }
        if !all {
            return self.queue.loan_near().ok_or(NoSlot::Full);
        }
        part.recover();
        let gone = if part.receivers().anybody() { Gone::No } else { self.end.receivers_gone() };
        if gone == Gone::Left {
            return Err(NoSlot::Closed);
        }
        if let Some(slot) = self.queue.loan() {
            return Ok(slot);
        }
        match self.overwrite() {
            Ok(Some(slot)) => Ok(slot),
            Ok(None) if gone == Gone::Died => Err(NoSlot::Died),
            Ok(None) => Err(NoSlot::Full),
            Err(corrupt) => Err(NoSlot::Corrupt(part.poison(corrupt))),
        }
    }

    /// The slot of the oldest message, which is lost, of a queue that is overwritten.
    fn overwrite(&self) -> Result<Option<mpmc::Loan>, Corrupt> {
        let Some(oldest) = &self.oldest else { return Ok(None) };
        let Some(taken) = oldest.take()? else { return Ok(None) };
        let messages = self.end.part.pool.messages(taken.slot(), oldest.note(&taken));
        self.counts.lose(messages.into());
        Ok(Some(self.queue.reuse(taken, messages)))
    }

    #[cold]
    #[inline(never)]
    fn wait_for_slot(&self, len: usize, deadline: Option<Instant>) -> Result<mpmc::Loan, NoSlot> {
        let part = &self.end.part;
        match self.slot_slowly(len, true) {
            Err(NoSlot::Full) => {}
            done => return done,
        }
        self.counts.wait();
        let turns = Turns::new(&part.room);
        let present = || turns.present(part);
        let look = || match self.slot_slowly(len, turns.thorough(part)) {
            Err(NoSlot::Full) => None,
            done => Some(done),
        };
        let found = part.room.wait_unfenced(deadline, &part.crowd, present, look, || self.has_more());
        // The time is up: the last look may have been a cheap one.
        found.unwrap_or_else(|| self.slot_slowly(len, true))
    }

    /// Whether another sender would find something now, be it that all receivers have gone.
    fn has_more(&self) -> bool {
        self.queue.has_free() || !self.end.part.receivers().anybody()
    }

    /// Sends a copy, if that needs no questions.
    #[inline(always)]
    fn send_at_once(&self, message: &[u8]) -> bool {
        let Some(mut slot) = self.slot_at_once(message.len()) else { return false };
        self.queue.write(&mut slot, message);
        self.commit(slot, message.len(), 0)
    }

    /// Sends a copy, in a slot that was lent.
    fn fill(&self, mut slot: mpmc::Loan, message: &[u8]) -> Result<(), Corrupt> {
        self.queue.write(&mut slot, message);
        if self.commit(slot, message.len(), 0) {
            return Ok(());
        }
        self.end.part.corruption().map_or(Ok(()), Err)
    }

    /// Sends what is in a slot that was lent. If not, this process's ends are poisoned.
    #[inline(always)]
    pub(super) fn commit(&self, slot: mpmc::Loan, len: usize, kind: u16) -> bool {
        let note = Note::message(len as u32, kind).0;
        if let Err(slot) = self.queue.commit_at_once(slot, note) {
            if !self.commit_slowly(slot, note) {
                return false;
            }
        }
        self.counts.message(len as u64);
        self.end.part.items.notify_after_rmw();
        true
    }

    #[cold]
    #[inline(never)]
    fn commit_slowly(&self, slot: mpmc::Loan, note: u64) -> bool {
        self.queue.commit(slot, note).map_err(|corrupt| self.end.part.poison(corrupt)).is_ok()
    }

    /// Gives a slot back unsent.
    #[inline]
    pub(super) fn give_back(&self, slot: mpmc::Loan) {
        self.queue.give_back(slot);
        self.end.part.room.notify();
    }

    /// Why there was no slot, in the words of users.
    #[cold]
    pub(super) fn try_send_error(&self, why: NoSlot) -> TrySendError {
        match why {
            NoSlot::Full if self.is_empty() => {
                self.slots().exhausted().map_or(TrySendError::Full, TrySendError::Exhausted)
            }
            NoSlot::Full => TrySendError::Full,
            NoSlot::Closed => TrySendError::Closed,
            NoSlot::Died => TrySendError::PeerDied(dead(&self.end.part, Side::Receiver)),
            NoSlot::TooLong(long) => TrySendError::TooLong(long),
            NoSlot::Corrupt(corrupt) => TrySendError::Corrupt(corrupt),
        }
    }

    /// Tells the receivers that nothing more will come from this end. (Dropping does the same, without a word.) They hear of it when
    /// all senders have closed.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if this end is poisoned.
    ///
    /// ```
    /// # let (tx, rx) = ringway::mpmc::Options::new().pair()?;
    /// tx.close()?;
    /// assert_eq!(rx.try_recv().unwrap_err(), ringway::TryRecvError::Closed);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    pub fn close(self) -> Result<(), Error> {
        self.end.part.corruption().map_or(Ok(()), |corrupt| Err(Error::Corrupt(corrupt)))
    }

    /// The longest message that a slot can hold, in bytes.
    #[inline(always)]
    #[must_use]
    #[doc(alias = "max_message")]
    pub fn slot_size(&self) -> usize {
        self.end.part.pool.extent().size as usize
    }

    /// How many slots the queue has: as many as were asked for when it was made, or more.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.end.part.pool.extent().slots as usize
    }

    /// Messages that were sent and not taken yet (of batches that share slots, slots); a hint, it may be another number by now.
    ///
    /// ```
    /// # let (tx, rx) = ringway::mpmc::Options::new().pair()?;
    /// tx.send(b"hello")?;
    /// assert_eq!((tx.len(), rx.len()), (1, 1));
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        mpmc::queued(&self.end.part.pool) as usize
    }

    /// Whether there is nothing to take; a hint, there may be something by now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether no slot is free, be they filled or in somebody's hands; a hint, there may be one by now.
    #[must_use]
    pub fn is_full(&self) -> bool {
        !self.queue.has_free()
    }

    /// Who has how many of the slots in hand, and how many are free or filled. It looks at every slot.
    ///
    /// ```
    /// # let (tx, rx) = ringway::mpmc::Options::new().slots(8).pair()?;
    /// tx.send(b"hello")?;
    /// let loan = tx.loan(8)?;
    /// let slots = tx.slots();
    /// assert_eq!((slots.queued, slots.holders[0].loans), (1, 1));
    /// assert_eq!(slots.holders[0].pid, Some(std::process::id()));
    /// # drop(loan);
    /// # assert_eq!(&rx.recv()?[..], b"hello");
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[must_use]
    pub fn slots(&self) -> Slots {
        Slots::of(&self.end.part)
    }

    /// How many messages of this queue were lost since its birth: overwritten, or taken by a receiver that was killed and not to come
    /// again. It looks at every slot.
    #[must_use]
    pub fn lost(&self) -> u64 {
        mpmc::lost(&self.end.part.pool)
    }

    /// What this end has done since it was taken, or cloned. Sleeps and wakes are those of all sending ends of this process's part.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let part = &self.end.part;
        self.counts.stats(&part.room, &part.items)
    }

    /// The file that is the queue's name, if it has one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.end.part.segment().path()
    }

    pub(super) fn part(&self) -> &Arc<Participant> {
        &self.end.part
    }
}

/// Where an end begins to look for slots.
fn spread(part: &Arc<Participant>) -> u32 {
    let slots = part.pool.extent().slots;
    // By the golden ratio of 2³²: any number of them lie far apart.
    let number = u32::from(part.line.0).wrapping_add(part.ends.next().get().wrapping_mul(64));
    let turn = u64::from(number.wrapping_mul(0x9e37_79b9));
    ((turn * u64::from(slots)) >> 32) as u32
}

impl Clone for Sender {
    /// Another sending end, for another thread.
    fn clone(&self) -> Self {
        Self::new(self.end.clone())
    }
}

impl<A: Access> fmt::Debug for Sender<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("len", &self.len())
            .field("part", &self.end.part)
            .finish_non_exhaustive()
    }
}

const _: () = {
    const fn both<T: Send + Sync>() {}
    const fn send<T: Send>() {}
    both::<Sender>();
    send::<SoleSender>();
};
