//! The receiving end of a ring that loses messages.

use std::{
    fmt,
    ops::Deref,
    path::Path,
    time::{Duration, Instant},
};

use crossbeam_utils::CachePadded;
use ringway_ring::primitive::Ordering;

use super::reader::{Reader, Taken};
use crate::{
    AttachError, Pages, Peer, RecvError, RecvTimeoutError, Side, Stats, TryRecvError, after, lend,
    protocol::{Inlet, NoRecord},
    spsc::{Redelivery, end::End},
};

type Rx = Inlet<Reader, ringway_wait::Lent>;

/// The receiving end of a ring that loses messages; see the [module](super).
///
/// Dropping it closes its end, except in a child forked after it was made, where it does nothing at all.
pub struct Receiver {
    // On lines of its own: the ends of a pair may lie side by side, and two threads work on them.
    inlet: CachePadded<Rx>,
    lost: u64,
    /// Bytes of the messages that were taken; what lay between them is none of that.
    bytes: u64,
    // Dropped last: `inlet` uses its memory.
    end: End,
}

impl Receiver {
    pub(super) fn new(end: End, redelivery: Redelivery) -> Result<Self, AttachError> {
        let segment = end.segment();
        // Relaxed: only receivers write it; what proves that the last one has stopped carries the edge.
        let expected = lend::number(segment, Side::Receiver).load(Ordering::Relaxed);
        let reader = Reader::new(&end, lend::ring(segment), expected, redelivery)?;
        let inlet = Inlet::attach(reader, end.words(), end.wait, end.sleepers);
        Ok(Self { inlet: CachePadded::new(inlet), lost: 0, bytes: 0, end })
    }

    /// The next message, waiting until there is one.
    ///
    /// # Errors
    ///
    /// [`RecvError`]
    ///
    /// ```
    /// # use ringway::spsc::{self, lossy::{Lose, Options}};
    /// # let ring = spsc::Options::new().capacity(4096);
    /// # let (mut tx, mut rx) = Options::new(ring, Lose::Oldest).pair()?;
    /// # tx.send(b"hello")?;
    /// let message = rx.recv()?;
    /// assert_eq!((&message[..], message.lost()), (&b"hello"[..], 0));
    /// # Ok::<(), ringway::Error>(())
    /// ```
    pub fn recv(&mut self) -> Result<Received<'_>, RecvError> {
        self.say();
        match self.inlet.take(|| None) {
            Ok(taken) => Ok(self.received(taken)),
            Err(why) => Err(self.error(why).into()),
        }
    }

    /// The next message, if there is one now.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`]
    pub fn try_recv(&mut self) -> Result<Received<'_>, TryRecvError> {
        self.say();
        match self.inlet.try_take() {
            Ok(taken) => Ok(self.received(taken)),
            Err(why) => Err(self.error(why)),
        }
    }

    /// [`recv`](Self::recv), but waiting only for so long.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`]
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Received<'_>, RecvTimeoutError> {
        self.recv_until(|| after(timeout))
    }

    /// [`recv`](Self::recv), but waiting only until then.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`]
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<Received<'_>, RecvTimeoutError> {
        self.recv_until(|| Some(deadline))
    }

    fn recv_until(
        &mut self,
        deadline: impl FnOnce() -> Option<Instant>,
    ) -> Result<Received<'_>, RecvTimeoutError> {
        self.say();
        match self.inlet.take(deadline) {
            Ok(taken) => Ok(self.received(taken)),
            Err(why) => Err(self.error(why).into()),
        }
    }

    /// Writes down which number is expected. Before anything is released: a message that is given back is never expected
    /// again, also if its guard was forgotten.
    fn say(&self) {
        say(&self.end, self.inlet.ring().expected());
    }

    fn received(&mut self, taken: Taken) -> Received<'_> {
        self.lost = self.lost.saturating_add(taken.lost);
        self.bytes += taken.bytes();
        Received { inlet: &mut self.inlet, end: &self.end, taken }
    }

    /// Why there was no message, in the words of users.
    #[cold]
    fn error(&mut self, why: NoRecord) -> TryRecvError {
        match (why, self.inlet.ring().corruption()) {
            (NoRecord::Corrupt, Some(corrupt)) => TryRecvError::Corrupt(corrupt),
            (NoRecord::Closed, _) => {
                // Acquire: pairs with the Release in `Sender::say`. If it is a successor's word, the look that follows sees that
                // the ring is open again; then what was lost shows in front of the next message.
                let given = lend::number(self.end.segment(), Side::Sender).load(Ordering::Acquire);
                if !self.inlet.ring_mut().is_closed() {
                    return TryRecvError::Closed;
                }
                self.lost = self.lost.saturating_add(self.inlet.ring_mut().lost_at_the_end(given));
                // A successor does not tell it once more.
                self.say();
                TryRecvError::Closed
            }
            (NoRecord::Died, _) => {
                TryRecvError::PeerDied(Peer { side: Side::Sender, pid: self.inlet.dead_sender() })
            }
            (NoRecord::Empty | NoRecord::Corrupt, _) => TryRecvError::Empty,
        }
    }

    /// Messages that were lost, as far as this receiver knows: in front of those that it has had, and, once it was told that
    /// the ring is closed, behind them.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// What this end has done since it was taken.
    ///
    /// ```
    /// # use ringway::spsc::{self, lossy::{Lose, Options}};
    /// # let ring = spsc::Options::new().capacity(4096);
    /// # let (mut tx, mut rx) = Options::new(ring, Lose::Oldest).pair()?;
    /// # (0..1000).try_for_each(|_| tx.send(b"hello").map(drop))?;
    /// while rx.try_recv().is_ok() {}
    /// assert_eq!(rx.stats().messages + rx.stats().lost, 1000);
    /// assert_eq!(rx.stats().bytes, rx.stats().messages * 24);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (messages, waits, bell) = self.inlet.counts();
        Stats { lost: self.lost, ..Stats::new(messages, self.bytes, waits, bell) }
    }

    /// Whether there is nothing to receive now, closed or not.
    ///
    /// ```
    /// # use ringway::spsc::{self, lossy::{Lose, Options}};
    /// # let ring = spsc::Options::new().capacity(4096);
    /// # let (mut tx, mut rx) = Options::new(ring, Lose::Oldest).pair()?;
    /// assert!(rx.is_empty());
    /// tx.send(b"hello")?;
    /// tx.close()?;
    /// assert!(!rx.is_empty());
    /// rx.recv()?;
    /// assert!(rx.is_empty());
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inlet.ring().has_nothing()
    }

    /// Bytes of data the ring has.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.end.segment().shape().capacity as usize
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

impl Drop for Receiver {
    fn drop(&mut self) {
        if self.end.segment().is_ours() {
            // Leaving releases.
            self.say();
            self.inlet.close();
            self.end.leave(self.inlet.sender_died(), || true);
        }
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("end", &self.end).field("lost", &self.lost).finish_non_exhaustive()
    }
}

fn say(end: &End, expected: u64) {
    // Relaxed: for a successor of either end, whose proof that its predecessor has stopped carries the edge.
    lend::number(end.segment(), Side::Receiver).store(expected, Ordering::Relaxed);
}

/// A message, in the ring or copied out of it, and how many were lost in front of it.
#[must_use = "a message that is dropped is gone"]
pub struct Received<'a> {
    inlet: &'a mut Rx,
    end: &'a End,
    taken: Taken,
}

impl Received<'_> {
    /// Messages that were lost between the one received before and this one.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.taken.lost
    }

    /// Whether a receiver that was killed had taken it, too, and not given it back: it may have acted on it.
    #[must_use]
    pub fn redelivered(&self) -> bool {
        self.taken.again
    }
}

impl Deref for Received<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.inlet.ring().bytes(self.taken)
    }
}

impl Drop for Received<'_> {
    fn drop(&mut self) {
        say(self.end, self.inlet.ring().expected());
        self.inlet.release();
    }
}

impl fmt::Debug for Received<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("len", &self.len())
            .field("lost", &self.lost())
            .finish_non_exhaustive()
    }
}
