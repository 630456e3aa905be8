//! The receiving end.

use std::{
    cell::{Cell, RefCell},
    fmt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_utils::CachePadded;
use ringway_ring::{
    LentPool,
    mpmc::{self, Access, Consumer, Many, Note, Sole},
};
use ringway_segment::Offer;
use ringway_wait::{Lag, primitive::pause};

use super::{
    Options, Received, ReceivedBatch,
    answer::Answer,
    census::Gone,
    counts::Counts,
    ends::{ReceivingEnd, dead},
    packed::{Rest, Unpacked},
    received::What,
    received_batch::Held,
    turns::Turns,
};
use crate::{AttachError, Corrupt, RecvError, RecvTimeoutError, Side, Stats, TryRecvError, after};

/// Turns of a spin loop that a receiver which has caught up stays away at the most: some microseconds. A message costs more transfers
/// of lines here than in a ring, of words that several messages share: the more of them are sent meanwhile, the fewer each one costs.
const LAG: u32 = 256;

/// Looks of a receiver before it takes the slow way: about a microsecond.
const LOOKS: u32 = 64;

/// A receiving end of a queue; see the [module](super).
///
/// All calls take `&self`, so several messages can be held at once, and be handed to other threads. A thread that receives has an end
/// of its own, by [`clone`](Self::clone). Dropping the last one closes the queue for senders, unless others receive, too; in a child
/// forked after it was made it does nothing at all.
///
/// `A` is [`Many`], or [`Sole`] for a receiving end that is the only one.
pub struct Receiver<A: Access = Many> {
    /// On lines of its own: ends may lie side by side, and threads work on them.
    queue: CachePadded<Consumer<LentPool, A>>,
    /// Messages of a slot that this end has begun to receive from: it is the only one to get them.
    rest: Cell<Option<Rest>>,
    /// Whether there are some.
    has_rest: Cell<bool>,
    /// What the slow way of receiving has found.
    answer: Answer,
    /// What the last batch was kept in.
    pub(super) spare: Cell<Vec<Held>>,
    lag: RefCell<Lag>,
    /// Messages that had been received when nothing was last found.
    caught_up: Cell<u64>,
    pub(super) counts: Counts,
    // Dropped last: the others use its memory.
    pub(super) end: Arc<ReceivingEnd>,
}

/// A receiving end of a queue that has no other.
pub type SoleReceiver = Receiver<Sole>;

/// Why there is no message.
#[derive(Debug, Clone, Copy)]
pub(super) enum NoMessage {
    Empty,
    Closed,
    Died,
    Corrupt(Corrupt),
}

impl Receiver {
    /// Takes a receiving end of a queue that was offered; [`Options::receiver_of`] does so with a wait of one's own.
    ///
    /// # Errors
    ///
    /// [`AttachError`]
    pub fn attach(offer: &Offer) -> Result<Self, AttachError> {
        Options::new().receiver_of(offer)
    }
}

impl<A: Access> Receiver<A> {
    pub(super) fn new(end: Arc<ReceivingEnd>) -> Self {
        Self {
            queue: CachePadded::new(Consumer::new(end.part.pool.clone(), end.part.line)),
            rest: Cell::new(None),
            has_rest: Cell::new(false),
            answer: Answer::new(),
            spare: Cell::default(),
            lag: RefCell::new(Lag::up_to(LAG)),
            caught_up: Cell::new(0),
            counts: Counts::default(),
            end,
        }
    }

    /// Receives the first message, waiting until there is one.
    ///
    /// It is read where it lies, and may be held for as long as it takes: others lack one slot meanwhile, no more.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; what was sent comes first.
    ///
    /// ```
    /// # let (tx, rx) = ringway::mpmc::Options::new().pair()?;
    /// tx.send(b"hello")?;
    /// assert_eq!(&rx.recv()?[..], b"hello");
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline(always)]
    pub fn recv(&self) -> Result<Received<'_>, RecvError> {
        for waits in [true, false] {
            if let Some((taken, note)) = self.take_at_once() {
                return Ok(Received::alone(&self.end, taken, note));
            }
            if !waits || !self.will_be_there() {
                break;
            }
        }
        match self.message_slowly(Some(None)) {
            Some(received) => Ok(received),
            None => Err(self.answer.recv()),
        }
    }

    /// Receives the first message, if there is one now. Lock-free.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`]
    ///
    /// ```
    /// # let (tx, rx) = ringway::mpmc::Options::new().pair()?;
    /// assert_eq!(rx.try_recv().unwrap_err(), ringway::TryRecvError::Empty);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline(always)]
    pub fn try_recv(&self) -> Result<Received<'_>, TryRecvError> {
        if let Some((taken, note)) = self.take_at_once() {
            return Ok(Received::alone(&self.end, taken, note));
        }
        match self.message_slowly(None) {
            Some(received) => Ok(received),
            None => Err(self.answer.try_recv()),
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
    /// # let (tx, rx) = ringway::mpmc::Options::new().pair()?;
    /// let nothing = rx.recv_timeout(Duration::from_millis(1));
    /// assert_eq!(nothing.unwrap_err(), ringway::RecvTimeoutError::Timeout);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Received<'_>, RecvTimeoutError> {
        self.recv_until(|| after(timeout))
    }

    /// [`recv`](Self::recv), but waiting only until then.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`]
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # let (tx, rx) = ringway::mpmc::Options::new().pair()?;
    /// # tx.send(b"hello")?;
    /// let message = rx.recv_deadline(Instant::now() + Duration::from_millis(1))?;
    /// # assert_eq!(&message[..], b"hello");
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn recv_deadline(&self, deadline: Instant) -> Result<Received<'_>, RecvTimeoutError> {
        self.recv_until(|| Some(deadline))
    }

    /// Receives up to `max` messages at once, waiting until there is one. Others may receive some in between.
    ///
    /// Those of the batch that are not iterated over go back to the queue.
    ///
    /// # Errors
    ///
    /// [`RecvError`]
    ///
    /// # Panics
    ///
    /// If `max` is 0.
    ///
    /// ```
    /// # let (tx, rx) = ringway::mpmc::Options::new().pair()?;
    /// tx.send(b"one")?;
    /// tx.send(b"two")?;
    /// assert_eq!(rx.recv_batch(16)?.iter().count(), 2);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn recv_batch(&self, max: usize) -> Result<ReceivedBatch<'_, A>, RecvError> {
        self.messages(max, Some(|| None)).map_err(|why| self.error(why).into())
    }

    /// Receives up to `max` messages at once, if there is one now. Lock-free.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`]
    ///
    /// # Panics
    ///
    /// If `max` is 0.
    #[inline]
    pub fn try_recv_batch(&self, max: usize) -> Result<ReceivedBatch<'_, A>, TryRecvError> {
        self.messages(max, None::<fn() -> Option<Instant>>).map_err(|why| self.error(why))
    }

    /// [`recv_batch`](Self::recv_batch), but waiting only for so long.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`]
    ///
    /// # Panics
    ///
    /// If `max` is 0.
    #[inline]
    pub fn recv_batch_timeout(
        &self,
        max: usize,
        timeout: Duration,
    ) -> Result<ReceivedBatch<'_, A>, RecvTimeoutError> {
        self.messages(max, Some(|| after(timeout))).map_err(|why| self.error(why).into())
    }

    /// [`recv_batch`](Self::recv_batch), but waiting only until then.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`]
    ///
    /// # Panics
    ///
    /// If `max` is 0.
    #[inline]
    pub fn recv_batch_deadline(
        &self,
        max: usize,
        deadline: Instant,
    ) -> Result<ReceivedBatch<'_, A>, RecvTimeoutError> {
        self.messages(max, Some(|| Some(deadline))).map_err(|why| self.error(why).into())
    }

    #[inline(always)]
    fn recv_until(
        &self,
        deadline: impl FnOnce() -> Option<Instant>,
    ) -> Result<Received<'_>, RecvTimeoutError> {
        for waits in [true, false] {
            if let Some((taken, note)) = self.take_at_once() {
                return Ok(Received::alone(&self.end, taken, note));
            }
            if !waits || !self.will_be_there() {
                break;
            }
        }
        match self.message_slowly(Some(deadline())) {
            Some(received) => Ok(received),
            None => Err(self.answer.timeout()),
        }
    }

    /// A message, on the way that needs no questions: nothing is wrong, nothing is left of a slot, the next message is there and has its
    /// slot to itself. The way is worth keeping straight.
    #[inline(always)]
    fn take_at_once(&self) -> Option<(mpmc::Taken, Note)> {
        if self.has_rest.get() || self.end.part.corruption().is_some() {
            return None;
        }
        let mut taken = self.queue.take_at_once()?;
        let note = Note(self.queue.note(&taken));
        if note.is_packed() || note.len() > self.end.part.pool.extent().size {
            self.unpack_later(taken, note);
            return None;
        }
        self.queue.own(&mut taken, note.len());
        self.counts.message(note.len().into());
        Some((taken, note))
    }

    /// Several messages in a slot are this end's next ones. What is wrong with them poisons it.
    #[cold]
    #[inline(never)]
    fn unpack_later(&self, taken: mpmc::Taken, note: Note) {
        match Unpacked::new(&self.end, taken, note) {
            Ok(slot) => self.set_rest(Rest::new(slot)),
            Err(corrupt) => drop(self.poison(corrupt)),
        }
    }

    /// Waits for a moment; whether then the first place that is looked at has something new. Who has to wait for longer, or to ask questions,
    /// has time for the slow way.
    #[cold]
    #[inline(never)]
    fn will_be_there(&self) -> bool {
        // What is left of a slot is there already.
        if self.has_rest.get() || !self.queue.finds_nothing() {
            return false;
        }
        let received = self.counts.received();
        self.lag.borrow_mut().fall_back(received.wrapping_sub(self.caught_up.replace(received)));
        (0..LOOKS).any(|_| {
            pause(1);
            !self.queue.finds_nothing()
        })
    }

    /// A message. `deadline`: `None` not to wait.
    #[inline(always)]
    fn message_slowly(&self, deadline: Option<Option<Instant>>) -> Option<Received<'_>> {
        let found = self.answer_slowly(deadline);
        let what = if found { self.answer.message.take() } else { None };
        what.map(|what| Received::new(&self.end, what))
    }

    #[cold]
    #[inline(never)]
    fn answer_slowly(&self, deadline: Option<Option<Instant>>) -> bool {
        self.answer.leave(self.wait_for_message(deadline).map_err(|why| self.error(why)))
    }

    /// The first message of a slot of several; the others are this end's next ones.
    fn unpack(&self, taken: mpmc::Taken, note: Note) -> Result<Option<What>, NoMessage> {
        let slot = Unpacked::new(&self.end, taken, note).map_err(|corrupt| self.poison(corrupt))?;
        self.next_of(Rest::new(slot))
    }

    /// The next message of a slot that this end receives from.
    fn next_of(&self, mut rest: Rest) -> Result<Option<What>, NoMessage> {
        let Some(record) = rest.next().map_err(|corrupt| self.poison(corrupt))? else { return Ok(None) };
        self.counts.message(u64::from(rest.slot().len_of(record)));
        let received = What::of_several(rest.slot().clone(), record);
        if !rest.is_over() {
            self.set_rest(rest);
        }
        Ok(Some(received))
    }

    /// A message. `deadline`: `None` not to wait.
    fn wait_for_message(&self, deadline: Option<Option<Instant>>) -> Result<What, NoMessage> {
        loop {
            if let Some(rest) = self.take_rest() {
                if let Some(received) = self.next_of(rest)? {
                    return Ok(received);
                }
            }
            let (taken, note) = self.take(deadline)?;
            if !note.is_packed() && note.len() <= self.end.part.pool.extent().size {
                self.counts.message(note.len().into());
                return Ok(What::alone(taken, note));
            }
            if let Some(received) = self.unpack(taken, note)? {
                return Ok(received);
            }
        }
    }

    /// Messages. `deadline`: `None` not to wait.
    fn messages<D>(&self, max: usize, deadline: Option<D>) -> Result<ReceivedBatch<'_, A>, NoMessage>
    where
        D: FnOnce() -> Option<Instant>,
    {
        assert!(max > 0, "a batch has one message at least");
        if let Some(corrupt) = self.end.part.corruption() {
            return Err(NoMessage::Corrupt(corrupt));
        }
        let mut batch = ReceivedBatch::new(self, max);
        if let Some(rest) = self.take_rest() {
            batch.add_rest(rest)?;
        }
        batch.fill()?;
        if batch.is_empty() && deadline.is_some() && self.will_be_there() {
            batch.fill()?;
        }
        if batch.is_empty() {
            let deadline = deadline.map(|deadline| deadline());
            while batch.is_empty() {
                let (taken, note) = self.take(deadline)?;
                batch.add(taken, note)?;
            }
            batch.fill()?;
        }
        Ok(batch)
    }

    /// Messages that are there, for a batch; `each` says whether it wants more.
    pub(super) fn take_many(
        &self,
        most: usize,
        each: impl FnMut(mpmc::Taken) -> bool,
    ) -> Result<usize, NoMessage> {
        self.queue.take_many(most, each).map_err(|corrupt| self.poison(corrupt))
    }

    pub(super) fn note(&self, taken: &mpmc::Taken) -> Note {
        Note(self.queue.note(taken))
    }

    pub(super) fn set_rest(&self, rest: Rest) {
        self.rest.set(Some(rest));
        self.has_rest.set(true);
    }

    fn take_rest(&self) -> Option<Rest> {
        self.has_rest.set(false);
        self.rest.take()
    }

    /// A slot with something in it. `deadline`: `None` not to wait.
    #[inline(never)]
    fn take(&self, deadline: Option<Option<Instant>>) -> Result<(mpmc::Taken, Note), NoMessage> {
        let noted = |taken| {
            let note = Note(self.queue.note(&taken));
            (taken, note)
        };
        let Some(deadline) = deadline else { return self.try_take(true).map(noted) };
        match self.try_take(false) {
            Err(NoMessage::Empty) => {}
            done => return done.map(noted),
        }
        self.counts.wait();
        let part = &self.end.part;
        let turns = Turns::new(&part.items);
        let present = || turns.present(part);
        let look = || {
            let thorough = turns.thorough(part);
            if !thorough && self.queue.finds_nothing() {
                return None;
            }
            match self.try_take(thorough) {
                Err(NoMessage::Empty) => None,
                done => Some(done),
            }
        };
        let found = part.items.wait(deadline, &part.crowd, present, look, || self.has_more());
        // The time is up: the last look may have been a cheap one.
        found.unwrap_or_else(|| self.try_take(true)).map(noted)
    }

    /// Whether another receiver would find something now, be it that all have gone.
    fn has_more(&self) -> bool {
        !self.queue.is_empty() || !self.end.part.senders().anybody()
    }

    /// Takes the first message, if there is one, or else says why not. `thorough`: also looks whether somebody has died, or all have
    /// left.
    #[inline]
    fn try_take(&self, thorough: bool) -> Result<mpmc::Taken, NoMessage> {
        let part = &self.end.part;
        let take = || match self.queue.take() {
            Ok(Some(taken)) => Ok(taken),
            Ok(None) => Err(NoMessage::Empty),
            Err(corrupt) => Err(self.poison(corrupt)),
        };
        if let Some(corrupt) = part.corruption() {
            return Err(NoMessage::Corrupt(corrupt));
        }
        match take() {
            Err(NoMessage::Empty) if thorough => {}
            done => return done,
        }
        part.recover();
        // In this order: what they have sent before they went comes first.
        let gone = part.senders().gone();
        match take() {
            Err(NoMessage::Empty) => Err(match gone {
                Gone::No | Gone::NeverCame => NoMessage::Empty,
                Gone::Left | Gone::Died if part.stays => NoMessage::Empty,
                Gone::Left => NoMessage::Closed,
                Gone::Died => NoMessage::Died,
            }),
            done => done,
        }
    }

    #[cold]
    pub(super) fn poison(&self, corrupt: Corrupt) -> NoMessage {
        NoMessage::Corrupt(self.end.part.poison(corrupt))
    }

    /// Why there was no message, in the words of users.
    #[cold]
    fn error(&self, why: NoMessage) -> TryRecvError {
        match why {
            NoMessage::Empty => TryRecvError::Empty,
            NoMessage::Closed => TryRecvError::Closed,
            NoMessage::Died => TryRecvError::PeerDied(dead(&self.end.part, Side::Sender)),
            NoMessage::Corrupt(corrupt) => TryRecvError::Corrupt(corrupt),
        }
    }

    /// How many slots the queue has: as many as were asked for when it was made, or more.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.end.part.pool.extent().slots as usize
    }

    /// The longest message that a slot can hold, in bytes.
    #[must_use]
    pub fn slot_size(&self) -> usize {
        self.end.part.pool.extent().size as usize
    }

    /// Messages that were sent and not taken yet (of batches that share slots, slots); a hint, it may be another number by now.
    #[must_use]
    pub fn len(&self) -> usize {
        mpmc::queued(&self.end.part.pool) as usize
    }

    /// Whether there is nothing to take; a hint, there may be something by now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.has_rest.get() && self.queue.is_empty()
    }

    /// How many messages of this queue were lost since its birth: overwritten, or taken by a receiver that was killed and not to come
    /// again. It looks at every slot.
    #[must_use]
    pub fn lost(&self) -> u64 {
        mpmc::lost(&self.end.part.pool)
    }

    /// What this end has done since it was taken, or cloned. Sleeps and wakes are those of all receiving ends of this process's part.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let part = &self.end.part;
        self.counts.stats(&part.items, &part.room)
    }

    /// The file that is the queue's name, if it has one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.end.part.segment().path()
    }
}

impl Clone for Receiver {
    /// Another receiving end, for another thread.
    fn clone(&self) -> Self {
        Self::new(self.end.clone())
    }
}

impl<A: Access> fmt::Debug for Receiver<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("len", &self.len())
            .field("part", &self.end.part)
            .finish_non_exhaustive()
    }
}

const _: () = {
    const fn send<T: Send>() {}
    send::<Receiver>();
    send::<SoleReceiver>();
};
