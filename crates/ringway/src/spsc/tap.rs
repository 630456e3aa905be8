//! A reader that takes no part.

use std::{
    fmt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use ringway_ring::spsc::{Follower, Look};
use ringway_segment::{Place, View};
use ringway_wait::primitive::pause;

use super::Message;
use crate::{
    AttachError, Names, Offer, RecvError, RecvTimeoutError, TryRecvError, after,
    inspect::{self, Status},
    lend,
};

/// Looks before the first nap.
const LOOKS: u32 = 1000;
/// The first nap; each is twice as long as the one before.
const LEAST: Duration = Duration::from_micros(10);
/// The longest nap.
const MOST: Duration = Duration::from_millis(1);

/// Follows a byte ring (not one of [`slots`](super::slots), nor a [`lossy`](super::lossy) one) without taking part: it sees
/// every message, and neither end notices.
///
/// It maps the ring for reading only, holds no end, and nobody waits for it; any number of taps may follow a ring, and one
/// who may read a ring's file needs no more. It begins at the oldest message that the receiver has not given back.
///
/// # What it cannot promise
///
/// - *That it sees everything.* The sender waits for the receiver, not for a tap. What the receiver has given back stays
///   readable until the sender writes there again; who comes later is told so, with the exact number of bytes that it
///   has missed ([`Seen::Missed`]), and goes on at what the receiver has not given back. It need not be later than the
///   receiver for that, only by less than the ring: a larger ring gives a tap more time.
/// - *That the receiver sees it, too.* A message was sent, no more.
/// - *To be woken.* It looks again and again: for a moment without pause, then with naps that grow to a millisecond.
/// - *To hear of a death.* A sender that is killed does not close; [`status`](Tap::status) says who is there.
/// - *To follow a name.* When the ring is removed and another takes its name, the tap stays with the first.
///
/// # What it costs the ring
///
/// No store, no wake, no system call of either end. But the lines that a tap reads are no longer the sender's alone, who
/// has to fetch them back to write there again. On a host with two
/// processors, where a tap that looks without pause shares one with an end, a stream of 64-byte messages ran at a third to
/// 0.6 of its rate (medians of three runs), most of it for want of the processor; a tap with a processor of its own was not
/// measured. A tap that waits on a quiet ring looks at one line.
///
/// # Trust
///
/// Each message is copied, word by word, and the copy is checked before it is given out: a message is whole or is missed,
/// and what the ends write later does not change it. Whatever they write, calls end, and stay inside the memory; a
/// message is never longer than the ring. Who may cut off the ring's *file* can end a process that reads it by SIGBUS.
///
/// In a forked child the copy of a tap sees nothing.
///
/// # Example
///
/// ```
/// use ringway::spsc::{Options, Seen, Tap};
/// # let dir = tempfile::tempdir()?;
/// # let names = ringway::Names::in_dir(dir.path());
///
/// let mut tx = Options::new()
/// #   .names(names.clone())
///     .sender("prices")?;
/// let mut tap = Tap::named(&names, "prices")?;
/// tx.send(b"first")?;
///
/// match tap.look()? {
///     Seen::Message(message) => assert_eq!(message.bytes(), b"first"),
///     Seen::Missed { bytes } => println!("{bytes} bytes went by"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Tap {
    follower: Follower<ringway_ring::Lent>,
    /// As long as the longest message yet.
    buffer: Vec<u8>,
    // Dropped last: `follower` uses its memory.
    view: View,
}

/// What a [`Tap`] sees.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'a> {
    /// The next message: a copy of it.
    Message(Message<'a>),
    /// The tap came too late for what was next.
    Missed {
        /// How much it has missed, 8 bytes a message included.
        bytes: u64,
    },
}

/// What a look gave, before anything is borrowed.
enum Found {
    Message { len: usize, kind: u16 },
    Missed { bytes: u64 },
}

impl Tap {
    /// Follows the ring of this name.
    ///
    /// # Errors
    ///
    /// [`AttachError::Open`] if there is none, or none that may be read, or it is not one that can be followed;
    /// [`AttachError::ControlArea`] or [`AttachError::Corrupt`] if it is damaged.
    pub fn named(names: &Names, name: &str) -> Result<Self, AttachError> {
        Self::new(names.observe(name)?)
    }

    /// Follows the ring at this path.
    ///
    /// # Errors
    ///
    /// As [`named`](Self::named).
    pub fn at(place: &Place) -> Result<Self, AttachError> {
        Self::new(place.observe()?)
    }

    /// Follows a ring that was offered.
    ///
    /// # Errors
    ///
    /// As [`named`](Self::named).
    ///
    /// ```
    /// use ringway::spsc::{Options, Sender, Tap};
    ///
    /// let offer = Options::new().offer()?;
    /// let mut tap = Tap::of(&offer)?;
    /// Sender::attach(&offer)?.close()?;
    /// assert_eq!(tap.look().unwrap_err(), ringway::RecvError::Closed);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    pub fn of(offer: &Offer) -> Result<Self, AttachError> {
        Self::new(offer.observe()?)
    }

    fn new(view: View) -> Result<Self, AttachError> {
        let start = inspect::follow(&view)?;
        let follower = Follower::new(lend::observed(&view), start)
            .map_err(|corrupt| AttachError::Corrupt { corrupt, path: view.path().map(Path::to_owned) })?;
        Ok(Self { follower, buffer: Vec::new(), view })
    }

    /// What comes next, waiting until there is something.
    ///
    /// # Errors
    ///
    /// [`RecvError`]
    pub fn look(&mut self) -> Result<Seen<'_>, RecvError> {
        match self.wait(None) {
            Ok(found) => Ok(self.seen(found)),
            Err(why) => Err(why.into()),
        }
    }

    /// What comes next, if there is something now. Wait-free.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`]
    ///
    /// ```
    /// # let offer = ringway::spsc::Options::new().offer()?;
    /// # let mut tap = ringway::spsc::Tap::of(&offer)?;
    /// assert_eq!(tap.try_look().unwrap_err(), ringway::TryRecvError::Empty);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    pub fn try_look(&mut self) -> Result<Seen<'_>, TryRecvError> {
        let found = self.find()?;
        Ok(self.seen(found))
    }

    /// [`look`](Self::look), but waiting only for so long.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`]
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let offer = ringway::spsc::Options::new().offer()?;
    /// # let mut tap = ringway::spsc::Tap::of(&offer)?;
    /// let nothing = tap.look_timeout(Duration::from_millis(1));
    /// assert_eq!(nothing.unwrap_err(), ringway::RecvTimeoutError::Timeout);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    pub fn look_timeout(&mut self, timeout: Duration) -> Result<Seen<'_>, RecvTimeoutError> {
        self.look_until(after(timeout))
    }

    /// [`look`](Self::look), but waiting only until then.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`]
    pub fn look_deadline(&mut self, deadline: Instant) -> Result<Seen<'_>, RecvTimeoutError> {
        self.look_until(Some(deadline))
    }

    fn look_until(&mut self, deadline: Option<Instant>) -> Result<Seen<'_>, RecvTimeoutError> {
        match self.wait(deadline) {
            Ok(found) => Ok(self.seen(found)),
            Err(why) => Err(why.into()),
        }
    }

    /// Looks until there is something, and once more after the deadline.
    fn wait(&mut self, deadline: Option<Instant>) -> Result<Found, TryRecvError> {
        for _ in 0..LOOKS {
            match self.find() {
                Err(TryRecvError::Empty) => pause(1),
                done => return done,
            }
        }
        let mut nap = LEAST;
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_none_or(|left| !left.is_zero()) {
                thread::sleep(left.map_or(nap, |left| nap.min(left)));
            }
            match self.find() {
                Err(TryRecvError::Empty) if left.is_none_or(|left| !left.is_zero()) => {}
                done => return done,
            }
            nap = MOST.min(2 * nap);
        }
    }

    fn find(&mut self) -> Result<Found, TryRecvError> {
        match self.follower.look() {
            Look::Record(record) => {
                let len = record.len() as usize;
                if self.buffer.len() < len {
                    self.buffer.resize(len, 0);
                }
                self.follower.copy(record, &mut self.buffer[..len]);
                if self.follower.accept(record) {
                    return Ok(Found::Message { len, kind: record.kind() });
                }
                self.catch_up()
            }
            Look::Behind => self.catch_up(),
            Look::Empty => Err(TryRecvError::Empty),
            Look::Closed => Err(TryRecvError::Closed),
            Look::Corrupt => Err(self.corruption()),
        }
    }

    #[cold]
    fn catch_up(&mut self) -> Result<Found, TryRecvError> {
        if !self.view.is_ours() {
            return Err(TryRecvError::Empty);
        }
        match self.follower.catch_up() {
            Ok(bytes) => Ok(Found::Missed { bytes }),
            Err(corrupt) => Err(TryRecvError::Corrupt(corrupt)),
        }
    }

    fn corruption(&self) -> TryRecvError {
        self.follower.corruption().map_or(TryRecvError::Empty, TryRecvError::Corrupt)
    }

    fn seen(&self, found: Found) -> Seen<'_> {
        match found {
            Found::Message { len, kind } => {
                Seen::Message(Message { bytes: &self.buffer[..len], kind, redelivered: false })
            }
            Found::Missed { bytes } => Seen::Missed { bytes },
        }
    }

    /// How the ring does: who is at its ends, and what is pending.
    ///
    /// # Errors
    ///
    /// [`AttachError::Open`] if the kernel does not tell, or this is a forked child's copy.
    pub fn status(&self) -> Result<Status, AttachError> {
        inspect::look(&self.view)
    }

    /// How far it has come, in bytes since the ring's birth, 8 a message included.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.follower.position()
    }

    /// Bytes of data the ring has.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.view.shape().capacity as usize
    }

    /// The file that is the ring's name, if it has one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.view.path()
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap")
            .field("view", &self.view)
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}
