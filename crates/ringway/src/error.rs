//! What can go wrong, an enum an operation.

use std::{error::Error as StdError, fmt, path::PathBuf};

use ringway_segment::Size;

use crate::{ClaimError, Corrupt, CreateError, OpenError, layout, mpmc::Exhausted, spsc::lossy::Lose};

/// The two sides of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The side that sends.
    Sender,
    /// The side that receives.
    Receiver,
}

impl Side {
    /// The opposite side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Sender => Self::Receiver,
            Self::Receiver => Self::Sender,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sender => "sender",
            Self::Receiver => "receiver",
        })
    }
}

/// Who has died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The end that it held.
    pub side: Side,
    /// Its process, as it said itself, numbered in its own pid namespace; 0 if it has said nothing.
    pub pid: u32,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            0 => self.side.fmt(f),
            pid => write!(f, "{} (process {pid})", self.side),
        }
    }
}

/// Why an end could not be had, or a ring not be looked at.
#[derive(Debug)]
#[non_exhaustive]
pub enum AttachError {
    /// The ring did not exist and could not be made.
    Create(CreateError),
    /// The ring could not be opened.
    Open(OpenError),
    /// The role's lock could not be taken for a reason other than that it is held.
    Claim(ClaimError),
    /// The ring has this end already, and its holder lives.
    Held {
        /// The end.
        side: Side,
        /// The process that said last that it holds it, as numbered in its own pid namespace; 0 if it has said
        /// nothing yet.
        pid: u32,
        /// The name's file, if the ring has a name.
        path: Option<PathBuf>,
    },
    /// The ring is there already, with less room than was asked for.
    TooSmall {
        /// Bytes asked for.
        asked: u64,
        /// Bytes it has.
        found: u64,
        /// The name's file, if the ring has a name.
        path: Option<PathBuf>,
    },
    /// The ring was made for ends that never sleep, and [`Wait::Park`](crate::Wait::Park) was asked for.
    Sleepless {
        /// The name's file, if the ring has a name.
        path: Option<PathBuf>,
    },
    /// The ring's control area is not one of this layout.
    ControlArea {
        /// Its bytes.
        found: u64,
        /// The name's file, if the ring has a name.
        path: Option<PathBuf>,
    },
    /// The ring was made with flags that this program does not know.
    Flags {
        /// All its flags.
        found: u32,
        /// Those that this program knows in a ring of its kind.
        known: u32,
        /// The name's file, if the ring has a name.
        path: Option<PathBuf>,
    },
    /// The ring is there already, and loses other messages when it is full than was asked for.
    Loses {
        /// Which were to be lost.
        asked: Lose,
        /// Which are.
        found: Lose,
        /// The name's file, if the ring has a name.
        path: Option<PathBuf>,
    },
    /// The ring's slots are made for messages of another size.
    SlotSize {
        /// Bytes of a message here.
        asked: u64,
        /// Bytes of a message there.
        found: u64,
        /// The name's file, if the ring has a name.
        path: Option<PathBuf>,
    },
    /// The queue's slots are fewer, or shorter, than was asked for: how many, and the longest message's bytes.
    SmallSlots {
        /// What was asked for.
        asked: (usize, usize),
        /// What it has.
        found: (usize, usize),
        /// The name's file, if the queue has a name.
        path: Option<PathBuf>,
    },
    /// A queue cannot have so many slots, or so large ones.
    Slots {
        /// How many were asked for.
        slots: usize,
        /// The longest message's bytes.
        size: usize,
    },
    /// A queue with one receiving end cannot be overwritten: its senders would receive, too.
    Overwrites,
    /// The queue is there already, and was made otherwise than was asked for.
    Policy {
        /// What was asked for, as flags.
        asked: u32,
        /// What it has, of those.
        found: u32,
        /// The name's file, if the queue has a name.
        path: Option<PathBuf>,
    },
    /// As many processes take part in the queue as can.
    NoLine {
        /// How many that is.
        lines: u16,
        /// The name's file, if the queue has a name.
        path: Option<PathBuf>,
    },
    /// The keeper, the thread by whose end others are told if this process dies, cannot do its work.
    Keeper {
        /// What the kernel said.
        source: std::io::Error,
        /// The name's file, if the ring has a name.
        path: Option<PathBuf>,
    },
    /// The ring holds something that no correct peer writes.
    Corrupt {
        /// What it holds, and where.
        corrupt: Corrupt,
        /// The name's file, if the ring has a name.
        path: Option<PathBuf>,
    },
}

/// The kind of a ring, in words.
struct Kind(u32);

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            layout::KIND_SPSC => f.write_str("a byte ring (spsc)"),
            layout::KIND_SLOTS => f.write_str("a ring of slots (spsc::slots)"),
            layout::KIND_LOSSY => f.write_str("a ring that loses messages when it is full (spsc::lossy)"),
            layout::queue::KIND_QUEUE => f.write_str("a queue (mpmc)"),
            other => write!(f, "something of the unknown kind {other}"),
        }
    }
}

/// What a queue was made with, in words: of its flags, those that are in question.
struct Policy(u32, u32);

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use layout::queue::{FLAG_AT_MOST_ONCE, FLAG_OVERWRITES, FLAG_SOLE_RECEIVER, FLAG_SOLE_SENDER};
        let words = [
            (FLAG_AT_MOST_ONCE, "redelivery at most once", "redelivery at least once"),
            (FLAG_OVERWRITES, "overwriting", "no overwriting"),
            (FLAG_SOLE_SENDER, "one sending end at a time", "any number of sending ends"),
            (FLAG_SOLE_RECEIVER, "one receiving end at a time", "any number of receiving ends"),
        ];
        let said = words.into_iter().filter(|(flag, ..)| self.1 & flag != 0);
        for (n, (flag, set, clear)) in said.enumerate() {
            let and = if n > 0 { " and " } else { "" };
            write!(f, "{and}{}", if self.0 & flag != 0 { set } else { clear })?;
        }
        Ok(())
    }
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ring = |path: &Option<PathBuf>| match path {
            Some(path) => path.display().to_string(),
            None => "the ring without a name".into(),
        };
        match self {
            Self::Create(error) => error.fmt(f),
            // The segment knows kinds by their numbers only.
            Self::Open(OpenError::Kind { at, found, wanted }) => write!(
                f,
                "{at}: is {}, but {} was asked for: use the same on both sides, or another name",
                Kind(*found),
                Kind(*wanted)
            ),
            Self::Open(error) => error.fmt(f),
            Self::Claim(error) => error.fmt(f),
            Self::Held { side, pid, path } => {
                write!(f, "{}: has a living {side} already", ring(path))?;
                if *pid != 0 {
                    write!(f, " (process {pid})")?;
                }
                write!(f, ", and a ring has one {side} at a time: stop that one first, or use another name")
            }
            Self::TooSmall { asked, found, path } => write!(
                f,
                "{}: has {}, but {} were asked for: whoever starts first makes the ring, so ask for the same \
                 capacity on both sides, or remove the old ring",
                ring(path),
                Size(*found),
                Size(*asked)
            ),
            Self::Sleepless { path } => write!(
                f,
                "{}: was made for ends that never sleep (Wait::Spin), so nobody would wake this one: choose \
                 Wait::Spin here, or nothing, or make the ring without it",
                ring(path)
            ),
            Self::ControlArea { found, path } => write!(
                f,
                "{}: has a control area of {}, as none of its shape has: its header is damaged; stop all who use it and \
                 remove it",
                ring(path),
                Size(*found)
            ),
            Self::Flags { found, known, path } => write!(
                f,
                "{}: has flags {found:#x}, of which this program knows {known:#x}: build both sides with versions that know \
                 them",
                ring(path)
            ),
            Self::Loses { asked, found, path } => {
                let which = |lose: &Lose| match lose {
                    Lose::Newest => "newest",
                    Lose::Oldest => "oldest",
                };
                write!(
                    f,
                    "{}: loses its {} messages when it is full, but its {} were asked for: whoever starts first makes the \
                     ring, so ask for the same on both sides, or remove the old ring",
                    ring(path),
                    which(found),
                    which(asked)
                )
            }
            Self::SlotSize { asked, found, path } => write!(
                f,
                "{}: has slots for messages of {}, but this side's have {}: use the same type on both sides, or \
                 another name, or remove the old ring",
                ring(path),
                Size(*found),
                Size(*asked)
            ),
            Self::SmallSlots { asked, found, path } => write!(
                f,
                "{}: has {} slots for messages of up to {}, but {} for up to {} were asked for: whoever starts first makes the queue, \
                 so ask for the same everywhere, or remove the old queue",
                ring(path),
                found.0,
                Size(found.1 as u64),
                asked.0,
                Size(asked.1 as u64)
            ),
            Self::Slots { slots, size } => write!(
                f,
                "a queue has 1 to {} slots for messages of up to {}, but {slots} for up to {} were asked for",
                ringway_ring::mpmc::MOST_SLOTS,
                Size(layout::queue::MOST_SIZE as u64),
                Size(*size as u64)
            ),
            Self::Overwrites => f.write_str(
                "a queue with one receiving end cannot be overwritten, because its senders would receive, too: leave out \
                 sole_receiver or overwrite",
            ),
            Self::Policy { asked, found, path } => write!(
                f,
                "{}: {}, but {} was asked for: whoever starts first makes the queue, so ask for the same everywhere, or remove \
                 the old queue",
                ring(path),
                Policy(*found, asked ^ found),
                Policy(*asked, asked ^ found)
            ),
            Self::NoLine { lines, path } => write!(
                f,
                "{}: has {lines} processes that take part, and no queue has more: let one of them leave, or share an end between \
                 threads (clone)",
                ring(path)
            ),
            Self::Keeper { source, path } => write!(
                f,
                "{}: the thread that tells others if this process dies cannot be had: {source}; allow one more thread and \
                 one more mapping (ulimit -u, ulimit -n, vm.max_map_count), or do without (Options::keeper)",
                ring(path)
            ),
            Self::Corrupt { corrupt, path } => write!(f, "{}: {corrupt}", ring(path)),
        }
    }
}

impl StdError for AttachError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Create(error) => error.source(),
            Self::Open(error) => error.source(),
            Self::Claim(error) => error.source(),
            Self::Keeper { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<CreateError> for AttachError {
    fn from(error: CreateError) -> Self {
        Self::Create(error)
    }
}

impl From<OpenError> for AttachError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

impl From<ringway_segment::Error> for AttachError {
    fn from(error: ringway_segment::Error) -> Self {
        match error {
            ringway_segment::Error::Create(error) => Self::Create(error),
            ringway_segment::Error::Open(error) => Self::Open(error),
            other => unreachable!("{other}"),
        }
    }
}

/// A message longer than its ring can ever carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong {
    /// Bytes of the message.
    pub len: usize,
    /// The most that the ring can carry, in bytes.
    pub max: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a message of {} does not fit into this ring, which carries {} at the most: send it in parts, or make \
             the ring with a larger capacity, a queue with a larger slot size",
            Size(self.len as u64),
            Size(self.max as u64)
        )
    }
}

impl StdError for TooLong {}

/// Why [`send`](crate::spsc::Sender::send) or [`loan`](crate::spsc::Sender::loan) failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The receiver left. A successor may come; until then nothing is sent.
    Closed,
    /// The ring is full and the receiver has died. A successor may come; then there may be room.
    PeerDied(Peer),
    /// The message is too long for the ring.
    TooLong(TooLong),
    /// The ring holds something that no correct peer writes; this end is poisoned.
    Corrupt(Corrupt),
}

/// Why [`try_send`](crate::spsc::Sender::try_send) or [`try_loan`](crate::spsc::Sender::try_loan) failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrySendError {
    /// There is no room now.
    Full,
    /// No slot of the queue is free, and none has a message that could be received: all are in somebody's hands.
    Exhausted(Exhausted),
    /// The receiver left. A successor may come; until then nothing is sent.
    Closed,
    /// The ring is full and the receiver has died. A successor may come; then there may be room.
    PeerDied(Peer),
    /// The message is too long for the ring.
    TooLong(TooLong),
    /// The ring holds something that no correct peer writes; this end is poisoned.
    Corrupt(Corrupt),
}

/// Why a send or loan with a timeout or deadline failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendTimeoutError {
    /// There was no room in all that time.
    Timeout,
    /// No slot of the queue was free in all that time, and at its end none had a message: all are in somebody's hands.
    Exhausted(Exhausted),
    /// The receiver left. A successor may come; until then nothing is sent.
    Closed,
    /// The ring is full and the receiver has died. A successor may come; then there may be room.
    PeerDied(Peer),
    /// The message is too long for the ring.
    TooLong(TooLong),
    /// The ring holds something that no correct peer writes; this end is poisoned.
    Corrupt(Corrupt),
}

/// Why [`recv`](crate::spsc::Receiver::recv) failed, or [`look`](crate::spsc::Tap::look).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvError {
    /// Everything was received and the sender left. A successor may come; then there may be more.
    Closed,
    /// Everything was received and the sender has died. A successor may come; then there may be more.
    PeerDied(Peer),
    /// The ring holds something that no correct peer writes; this end is poisoned.
    Corrupt(Corrupt),
}

/// Why [`try_recv`](crate::spsc::Receiver::try_recv) failed, or [`try_look`](crate::spsc::Tap::try_look).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryRecvError {
    /// There is nothing now.
    Empty,
    /// Everything was received and the sender left. A successor may come; then there may be more.
    Closed,
    /// Everything was received and the sender has died. A successor may come; then there may be more.
    PeerDied(Peer),
    /// The ring holds something that no correct peer writes; this end is poisoned.
    Corrupt(Corrupt),
}

/// Why a receive or a look with a timeout or deadline failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvTimeoutError {
    /// There was nothing in all that time.
    Timeout,
    /// Everything was received and the sender left. A successor may come; then there may be more.
    Closed,
    /// Everything was received and the sender has died. A successor may come; then there may be more.
    PeerDied(Peer),
    /// The ring holds something that no correct peer writes; this end is poisoned.
    Corrupt(Corrupt),
}

/// Any error of this crate: what `?` makes of all the others.
///
/// Its `Debug` is its `Display`, so a `main` that returns it says what happened in words.
#[non_exhaustive]
pub enum Error {
    /// An end could not be had.
    Attach(AttachError),
    /// Everything was received and the sender left, or the receiver left.
    Closed(Side),
    /// Everything was received and the sender has died, or the ring is full and the receiver has died.
    PeerDied(Peer),
    /// The time was up.
    Timeout,
    /// There is no room now.
    Full,
    /// No slot of the queue is free, and none has a message that could be received: all are in somebody's hands.
    Exhausted(Exhausted),
    /// There is nothing now.
    Empty,
    /// A message is too long for its ring.
    TooLong(TooLong),
    /// The ring holds something that no correct peer writes; the end is poisoned.
    Corrupt(Corrupt),
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attach(error) => error.fmt(f),
            Self::Closed(Side::Sender) => f.write_str(
                "the sender has closed the ring and everything was received; wait for a new sender, or end",
            ),
            Self::Closed(Side::Receiver) => f.write_str(
                "the receiver has closed the ring, nothing was sent; wait for a new receiver, or end",
            ),
            Self::PeerDied(peer @ Peer { side: Side::Sender, .. }) => {
                write!(
                    f,
                    "the {peer} has died, and everything that it sent was received; start it anew, or end"
                )
            }
            Self::PeerDied(peer) => {
                write!(f, "the {peer} has died, and the ring is full; start it anew, or end")
            }
            Self::Timeout => f.write_str("the time was up; wait longer, or see what the other side is doing"),
            Self::Full => f.write_str("the ring is full; try again when the receiver has caught up"),
            Self::Empty => f.write_str("the ring is empty; try again when the sender has sent something"),
            Self::Exhausted(exhausted) => exhausted.fmt(f),
            Self::TooLong(error) => error.fmt(f),
            Self::Corrupt(error) => error.fmt(f),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Attach(error) => error.source(),
            _ => None,
        }
    }
}

impl<T: Into<AttachError>> From<T> for Error {
    fn from(error: T) -> Self {
        Self::Attach(error.into())
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Closed => Self::Closed(Side::Receiver),
            SendError::PeerDied(peer) => Self::PeerDied(peer),
            SendError::TooLong(error) => Self::TooLong(error),
            SendError::Corrupt(error) => Self::Corrupt(error),
        }
    }
}

impl From<TrySendError> for Error {
    fn from(error: TrySendError) -> Self {
        match error {
            TrySendError::Full => Self::Full,
            TrySendError::Exhausted(exhausted) => Self::Exhausted(exhausted),
            TrySendError::Closed => Self::Closed(Side::Receiver),
            TrySendError::PeerDied(peer) => Self::PeerDied(peer),
            TrySendError::TooLong(error) => Self::TooLong(error),
            TrySendError::Corrupt(error) => Self::Corrupt(error),
        }
    }
}

impl From<SendTimeoutError> for Error {
    fn from(error: SendTimeoutError) -> Self {
        match error {
            SendTimeoutError::Timeout => Self::Timeout,
            SendTimeoutError::Exhausted(exhausted) => Self::Exhausted(exhausted),
            SendTimeoutError::Closed => Self::Closed(Side::Receiver),
            SendTimeoutError::PeerDied(peer) => Self::PeerDied(peer),
            SendTimeoutError::TooLong(error) => Self::TooLong(error),
            SendTimeoutError::Corrupt(error) => Self::Corrupt(error),
        }
    }
}

impl From<RecvError> for Error {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Closed => Self::Closed(Side::Sender),
            RecvError::PeerDied(peer) => Self::PeerDied(peer),
            RecvError::Corrupt(error) => Self::Corrupt(error),
        }
    }
}

impl From<TryRecvError> for Error {
    fn from(error: TryRecvError) -> Self {
        match error {
            TryRecvError::Empty => Self::Empty,
            TryRecvError::Closed => Self::Closed(Side::Sender),
            TryRecvError::PeerDied(peer) => Self::PeerDied(peer),
            TryRecvError::Corrupt(error) => Self::Corrupt(error),
        }
    }
}

impl From<RecvTimeoutError> for Error {
    fn from(error: RecvTimeoutError) -> Self {
        match error {
            RecvTimeoutError::Timeout => Self::Timeout,
            RecvTimeoutError::Closed => Self::Closed(Side::Sender),
            RecvTimeoutError::PeerDied(peer) => Self::PeerDied(peer),
            RecvTimeoutError::Corrupt(error) => Self::Corrupt(error),
        }
    }
}

impl From<TrySendError> for SendError {
    /// The error of a send that waits for ever: `Full` only comes with a deadline.
    fn from(error: TrySendError) -> Self {
        match error {
            TrySendError::PeerDied(peer) => Self::PeerDied(peer),
            TrySendError::TooLong(error) => Self::TooLong(error),
            TrySendError::Corrupt(corrupt) => Self::Corrupt(corrupt),
            TrySendError::Closed | TrySendError::Full | TrySendError::Exhausted(_) => Self::Closed,
        }
    }
}

impl From<TrySendError> for SendTimeoutError {
    /// The error of a send that waits for a time.
    fn from(error: TrySendError) -> Self {
        match error {
            TrySendError::Full => Self::Timeout,
            TrySendError::Exhausted(exhausted) => Self::Exhausted(exhausted),
            TrySendError::Closed => Self::Closed,
            TrySendError::PeerDied(peer) => Self::PeerDied(peer),
            TrySendError::TooLong(error) => Self::TooLong(error),
            TrySendError::Corrupt(corrupt) => Self::Corrupt(corrupt),
        }
    }
}

impl From<TryRecvError> for RecvError {
    /// The error of a receive that waits for ever: `Empty` only comes with a deadline.
    fn from(error: TryRecvError) -> Self {
        match error {
            TryRecvError::PeerDied(peer) => Self::PeerDied(peer),
            TryRecvError::Corrupt(corrupt) => Self::Corrupt(corrupt),
            TryRecvError::Closed | TryRecvError::Empty => Self::Closed,
        }
    }
}

impl From<TryRecvError> for RecvTimeoutError {
    /// The error of a receive that waits for a time.
    fn from(error: TryRecvError) -> Self {
        match error {
            TryRecvError::Empty => Self::Timeout,
            TryRecvError::Closed => Self::Closed,
            TryRecvError::PeerDied(peer) => Self::PeerDied(peer),
            TryRecvError::Corrupt(corrupt) => Self::Corrupt(corrupt),
        }
    }
}

/// `Display` and `Error` of the errors of one operation: in the words of [`enum@Error`].
macro_rules! in_words {
    ($($error:ty),*) => {$(
        impl fmt::Display for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Error::from(*self).fmt(f)
            }
        }
        impl StdError for $error {}
    )*};
}

in_words!(SendError, TrySendError, SendTimeoutError, RecvError, TryRecvError, RecvTimeoutError);
