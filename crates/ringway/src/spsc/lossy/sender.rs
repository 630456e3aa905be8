//! The sending end of a ring that loses messages.

use std::{fmt, path::Path};

use crossbeam_utils::CachePadded;
use ringway_ring::{
    Mem,
    primitive::Ordering,
    spsc::{Follower, Look, Producer, Start, max_payload},
};

use super::{Lose, NUMBER};
use crate::{
    AttachError, Corrupt, Error, Pages, SendError, Side, Stats, TooLong, lend,
    protocol::{NoLoan, Outlet},
    spsc::end::End,
};

type Tx = Outlet<Producer<ringway_ring::Lent>, ringway_wait::Lent>;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is in the ring.
    Sent,
    /// There was no room: it is lost, and the receiver will be told.
    Lost,
}

/// The sending end of a ring that loses messages; see the [module](super).
///
/// Dropping it closes the ring, except in a child forked after it was made, where it does nothing at all.
pub struct Sender {
    // On lines of its own: the ends of a pair may lie side by side, and two threads work on them.
    outlet: CachePadded<Tx>,
    /// The number of the next message.
    number: u64,
    lost: u64,
    /// Messages sent and bytes used when this end was taken.
    since: (u64, u64),
    // Dropped last: `outlet` uses its memory.
    end: End,
}

impl Sender {
    pub(super) fn new(end: End) -> Result<Self, AttachError> {
        let segment = end.segment();
        let (ring, words) = (lend::ring(segment), end.words());
        let lose = Lose::of(segment);
        let number = next_number(&end, lose).map_err(|corrupt| end.corrupt(corrupt))?;
        let ring = match lose {
            Lose::Newest => Producer::resume(ring),
            Lose::Oldest => Producer::resume_overwriting(ring),
        };
        let ring = ring.map_err(|corrupt| end.corrupt(corrupt))?;
        let outlet = Outlet::attach(ring, words, end.wait, end.sleepers);
        let since = (outlet.ring().sent(), outlet.ring().position());
        Ok(Self { outlet: CachePadded::new(outlet), number, lost: 0, since, end })
    }

    /// Sends a copy of `message`, or loses one. Wait-free, but for one system call if the receiver sleeps.
    ///
    /// # Errors
    ///
    /// [`SendError`]; then it has no number, and is not counted as lost.
    ///
    /// ```
    /// # use ringway::spsc::{self, lossy::{Fate, Lose, Options}};
    /// # let ring = spsc::Options::new().capacity(4096);
    /// let (mut tx, mut rx) = Options::new(ring, Lose::Newest).pair()?;
    /// assert_eq!(tx.send(b"hello")?, Fate::Sent);
    /// # assert_eq!(&rx.recv()?[..], b"hello");
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn send(&mut self, message: &[u8]) -> Result<Fate, SendError> {
        self.send_with(message.len(), |bytes| bytes.copy_from_slice(message))
    }

    /// Sends a message of `len` bytes, which `fill` writes in place, or loses one. `fill` is not called if the message is lost
    /// for lack of room. The bytes hold whatever was there before.
    ///
    /// # Errors
    ///
    /// [`SendError`]; then it has no number, and is not counted as lost.
    #[inline]
    pub fn send_with(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<Fate, SendError> {
        self.outlet.ring_mut().discard();
        let numbered = len.saturating_add(NUMBER);
        if !self.outlet.ring().fits(numbered) {
            // What is given up to make room may be all from which a successor would know the number.
            self.say();
        }
        match self.outlet.try_loan(numbered) {
            Ok(()) => {
                let (number, bytes) = self.outlet.ring_mut().payload_mut().split_at_mut(NUMBER);
                number.copy_from_slice(&self.number.to_ne_bytes());
                fill(bytes);
                self.outlet.send(0);
                self.number = self.number.wrapping_add(1);
                Ok(Fate::Sent)
            }
            Err(NoLoan::Full | NoLoan::Died) => {
                self.number = self.number.wrapping_add(1);
                self.lost += 1;
                self.say();
                Ok(Fate::Lost)
            }
            Err(NoLoan::Closed) => Err(SendError::Closed),
            Err(NoLoan::TooLong) => Err(SendError::TooLong(TooLong { len, max: self.max_message() })),
            Err(NoLoan::Corrupt) => {
                Err(self.outlet.ring().corruption().map_or(SendError::Closed, SendError::Corrupt))
            }
        }
    }

    /// Writes down how many numbers were given.
    fn say(&self) {
        // Release: pairs with the Acquire in `Receiver::error`: who reads it does not take the ring for closed that a
        // successor has opened.
        lend::number(self.end.segment(), Side::Sender).store(self.number, Ordering::Release);
    }

    /// Messages that were lost here for lack of room. Those that are overwritten the receiver counts.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// What this end has done since it was taken.
    ///
    /// ```
    /// # use ringway::spsc::{self, lossy::{Lose, Options}};
    /// # let ring = spsc::Options::new().capacity(4096);
    /// let (mut tx, _rx) = Options::new(ring, Lose::Newest).pair()?;
    /// for _ in 0..1000 {
    ///     tx.send(b"hello")?;
    /// }
    /// assert_eq!(tx.stats().messages + tx.stats().lost, 1000);
    /// assert_eq!(tx.stats().bytes, tx.stats().messages * 24);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        let ring = self.outlet.ring();
        let (waits, bell) = self.outlet.counts();
        let (messages, bytes) =
            (ring.sent().wrapping_sub(self.since.0), ring.position().wrapping_sub(self.since.1));
        Stats { lost: self.lost, ..Stats::new(messages, bytes, waits, bell) }
    }

    /// Tells the receiver that nothing more will come, and leaves. (Dropping does the same, without a word.)
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if this end is poisoned; the receiver is not told then.
    pub fn close(mut self) -> Result<(), Error> {
        self.say();
        self.outlet.close().map_err(Error::Corrupt)
    }

    /// Leaves as [`close`](Self::close) does, and takes the ring's name with it, whatever is still in the ring, if nobody else is
    /// attached; as [`spsc::Sender::abandon`](crate::spsc::Sender::abandon).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let names = ringway::Names::in_dir(dir.path());
    /// # use ringway::spsc::{self, lossy::{Lose, Options}};
    /// # let ring = spsc::Options::new().names(names.clone());
    /// let mut tx = Options::new(ring, Lose::Oldest).sender("prices")?;
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
        max_payload(self.outlet.ring().mem().capacity()) as usize - NUMBER
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

impl Drop for Sender {
    fn drop(&mut self) {
        if self.end.segment().is_ours() {
            self.say();
            // A poisoned end leaves the ring alone; `close` says so to those who ask.
            let _ = self.outlet.close();
            let Self { outlet, end, .. } = self;
            end.leave(outlet.receiver_died(), || outlet.receiver_left());
        }
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("end", &self.end).field("lost", &self.lost).finish_non_exhaustive()
    }
}

/// The number after the last one that a predecessor gave, as far as it is to be known: that of the last message in the
/// ring, what the last sender wrote down when it made room, lost one or left, what the receiver waits for.
fn next_number(end: &End, lose: Lose) -> Result<u64, Corrupt> {
    let segment = end.segment();
    let start = if lose == Lose::Oldest { Start::Oldest } else { Start::Unread };
    // Nobody sends meanwhile: it meets every record once.
    let mut last = Follower::new(lend::ring(segment), start)?;
    // Relaxed: what proves that the last sender has stopped carries the edge. The receiver's only grows, and is loaded after
    // its position: what it has given back meanwhile is counted by one of them.
    let said = [Side::Sender, Side::Receiver].map(|side| lend::number(segment, side).load(Ordering::Relaxed));
    let mut next = if said[0].wrapping_sub(said[1]) <= u64::MAX / 2 { said[0] } else { said[1] };
    for _ in 0..segment.shape().capacity / 8 {
        let Look::Record(record) = last.look() else { break };
        let mut number = [0; NUMBER];
        last.copy(record, &mut number);
        if !last.accept(record) {
            break;
        }
        let after = u64::from_ne_bytes(number).wrapping_add(1);
        if after.wrapping_sub(next) <= u64::MAX / 2 {
            next = after;
        }
    }
    Ok(next)
}
