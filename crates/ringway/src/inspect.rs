//! Rings seen from outside: what is there and how it does, without taking part.
//!
//! Whoever may read a ring may look at it, whoever uses it, be they alive or dead. Looking is read-only: no word is
//! written, no lock taken, no end held and nobody waited for, so a live ring does not notice; it costs the lines that are
//! looked at. The last end to leave takes a ring's name with it also while somebody looks.
//!
//! What is said of an end are words that it has written, each loaded once, while it may go on: they need not
//! fit each other. Whatever they hold, they are said as they are. What is pending is found by walking along the messages,
//! which costs a line each; what does not make sense is not said. Only whether an end is *held* is the kernel's word, by
//! its lock.
//!
//! Whoever may write a ring's *file* may also cut it off, and who looks at what was cut off just then is ended by SIGBUS.
//!
//! # Example
//!
//! ```
//! use ringway::{Names, inspect, spsc};
//! # let dir = tempfile::tempdir()?;
//! # let names = Names::in_dir(dir.path());
//!
//! let mut tx = spsc::Options::new()
//! #   .names(names.clone())
//!     .capacity(1 << 16).sender("prices")?;
//! tx.send(b"first")?;
//!
//! for ring in inspect::list(&names)? {
//!     let status = ring.status?;
//!     println!("{}: {:?} messages pending", ring.name, status.pending_messages);
//!     assert_eq!(status.sender.pid, Some(std::process::id()));
//!     assert_eq!(status.receiver.state, inspect::State::NeverCame);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod queue;
mod walk;

pub use queue::{Participant, Queue};

use std::path::{Path, PathBuf};

use ringway_ring::{
    slots::{self, Seen},
    spsc::Start,
};

use ringway_segment::{LAYOUT_VERSION, Place, View};
use ringway_wait::{has_left, primitive::Flag};

use walk::Contents;

use crate::{
    AttachError, Names, Offer, OpenError, Side,
    layout::{self, CONTROL_LEN},
    lend,
};

/// How a ring does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The ring's file, if it has one.
    pub path: Option<PathBuf>,
    /// The version of the memory layout.
    pub layout_version: u32,
    /// What the segment is for: 1, a byte ring; 2, a ring of [`slots`](crate::spsc::slots); 3, a
    /// [`lossy`](crate::spsc::lossy) ring; 4, an [`mpmc`](crate::mpmc) queue.
    pub kind: u32,
    /// What the ring was made with: bit 0, that no side ever sleeps; bit 1, that what is oldest is overwritten. Of a queue: bit 2, that
    /// what a dead receiver had is lost; bit 3, that what is oldest is overwritten; bits 4 and 5, that it has one sender, or receiver.
    pub flags: u32,
    /// Bytes of data the ring has.
    pub capacity: u64,
    /// Bytes of the whole segment.
    pub size: u64,
    /// Bytes of memory that it takes at present.
    pub allocated: u64,
    /// Bytes, 8 a record included, that were sent and not released by the receiver, or of a ring that is overwritten,
    /// that can still be received; it was right for a moment, if the ring
    /// is being used. `None` if that cannot be told: what is in the ring contradicts itself, or memory of it was given
    /// back, or it was used so fast that the looking did not keep up.
    pub pending: Option<u64>,
    /// How many messages that is. `None` also if they are very many: more than two millions.
    pub pending_messages: Option<u64>,
    /// How many messages were sent since the ring's birth, if that can be told. The last ones of a sender that
    /// was killed are not counted any more when its successor has come. Of a queue: filled slots, whatever number of messages each has,
    /// those included that came again.
    pub sent: Option<u64>,
    /// Whether the sender has closed: nothing more will come, unless another sender does. Not if `pending` is not known.
    pub closed: bool,
    /// Whether anybody is attached: holds an end, or is about to take one. What nobody is attached to is what
    /// [`clean`](crate::clean) is for.
    pub attached: bool,
    /// The sending end. Of a queue: all of them together, see [`queue`](Self::queue).
    pub sender: End,
    /// The receiving end. Of a queue: all of them together.
    pub receiver: End,
    /// What else there is to be said of a queue; `None` of a ring.
    pub queue: Option<Queue>,
}

impl Status {
    /// Whether the ring was made for ends that never sleep.
    #[must_use]
    pub fn never_sleeps(&self) -> bool {
        self.flags & layout::FLAG_SLEEPLESS != 0
    }

    /// Whether the ring's sender never waits and overwrites what is oldest.
    #[must_use]
    pub fn overwrites(&self) -> bool {
        match self.kind {
            layout::KIND_LOSSY => self.flags & layout::FLAG_OVERWRITING != 0,
            layout::queue::KIND_QUEUE => self.flags & layout::queue::FLAG_OVERWRITES != 0,
            _ => false,
        }
    }
}

/// How an end of a ring does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct End {
    /// Whether somebody is there, and what they do.
    pub state: State,
    /// The process that holds the end, or held it when it was killed, as it said itself, numbered in its own pid namespace.
    pub pid: Option<u32>,
    /// How far it has come, in bytes since the ring's birth; a sender, if [`Status::pending`] is not known, as it said itself
    /// some time ago.
    pub position: u64,
    /// How often holders of this end have slept; one that came after another counts as one. Modulo 2³⁰.
    pub sleeps: u32,
    /// How often holders of this end have woken the other. Modulo 2³².
    pub rings: u32,
    /// The processor that the holder ran on when it last began to wait or rang, if it has.
    pub processor: Option<u32>,
}

/// Whether somebody is at an end of a ring, and what they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Nobody has been there yet.
    NeverCame,
    /// Held by a process that lives and does not sleep for the other end.
    Awake,
    /// Held by a process that lives and sleeps until the other end has news.
    Asleep,
    /// Held by a process that lives and is about to leave in good order.
    Leaving,
    /// Its last holder has left in good order.
    Left,
    /// Its last holder has died, or it was dropped without closing: the kernel says that nobody holds it any more.
    Dead,
}

impl State {
    /// Whether a process that lives holds the end.
    #[must_use]
    pub fn is_held(self) -> bool {
        matches!(self, Self::Awake | Self::Asleep | Self::Leaving)
    }
}

/// What has a ring's name.
#[derive(Debug)]
#[non_exhaustive]
pub struct Named {
    /// The name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// How it does, or why that cannot be seen: it is not a ring, or this process may not read it.
    pub status: Result<Status, AttachError>,
}

/// All that has a ring's name here, in order of the names.
///
/// # Errors
///
/// [`AttachError::Open`] if the directory cannot be read.
pub fn list(names: &Names) -> Result<Vec<Named>, AttachError> {
    let all = names.list().map_err(OpenError::from)?;
    let all = all.into_iter().map(|(name, path)| Named { status: named(names, &name), name, path });
    // One that was removed since is not there.
    Ok(all.filter(|it| !matches!(it.status, Err(AttachError::Open(OpenError::NotFound { .. })))).collect())
}

/// Looks at the ring of this name.
///
/// # Errors
///
/// [`AttachError::Open`] if there is none, or none that may be read; [`AttachError::ControlArea`] if its header is
/// damaged.
///
/// ```
/// use ringway::{AttachError, Names, OpenError, inspect};
/// # let dir = tempfile::tempdir().unwrap();
/// # let names = Names::in_dir(dir.path());
///
/// let nothing = inspect::named(&names, "prices");
/// assert!(matches!(nothing, Err(AttachError::Open(OpenError::NotFound { .. }))));
/// ```
pub fn named(names: &Names, name: &str) -> Result<Status, AttachError> {
    look(&names.observe(name)?)
}

/// Looks at the ring at this path.
///
/// # Errors
///
/// As [`named`].
///
/// ```
/// use ringway::{Place, inspect, spsc};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("prices");
/// let place = Place::file(path);
/// let tx = spsc::Options::new().capacity(1 << 16).sender_at(&place)?;
/// assert!(inspect::at(&place)?.sender.state.is_held());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn at(place: &Place) -> Result<Status, AttachError> {
    look(&place.observe()?)
}

/// Looks at a ring that was offered.
///
/// # Errors
///
/// As [`named`].
///
/// ```
/// use ringway::{inspect, spsc};
///
/// let offer = spsc::Options::new().capacity(1 << 16).offer()?;
/// let mut tx = spsc::Sender::attach(&offer)?;
/// tx.send(b"hello")?;
/// tx.close()?;
/// let status = inspect::offered(&offer)?;
/// assert_eq!((status.pending, status.closed), (Some(16), true));
/// assert_eq!(status.sender.state, inspect::State::Left);
/// # Ok::<(), ringway::Error>(())
/// ```
pub fn offered(offer: &Offer) -> Result<Status, AttachError> {
    look(&offer.observe()?)
}

/// What is in a ring, by its kind.
enum Content {
    /// Records, to be walked along.
    Records(Start),
    /// Messages of this size: the positions say all.
    Slots(u64),
}

/// What is in this ring; refuses what is not a ring that can be looked at.
fn admit(view: &View) -> Result<Content, AttachError> {
    let shape = view.shape();
    let content = match shape.kind {
        layout::KIND_LOSSY if shape.flags & layout::FLAG_OVERWRITING != 0 => Content::Records(Start::Oldest),
        layout::KIND_SPSC | layout::KIND_LOSSY => Content::Records(Start::Unread),
        layout::KIND_SLOTS => Content::Slots(shape.detail),
        found => return Err(other(view, found)),
    };
    if shape.control_len != CONTROL_LEN as u64 {
        let path = view.path().map(Path::to_owned);
        return Err(AttachError::ControlArea { found: shape.control_len, path });
    }
    Ok(content)
}

/// Where a reader that takes no part begins; refuses what is not a ring of plain records.
pub(crate) fn follow(view: &View) -> Result<Start, AttachError> {
    match (admit(view)?, view.shape().kind) {
        (Content::Records(start), layout::KIND_SPSC) => Ok(start),
        (_, found) => Err(other(view, found)),
    }
}

fn other(view: &View, found: u32) -> AttachError {
    OpenError::Kind { at: view.origin().clone(), found, wanted: layout::KIND_SPSC }.into()
}

pub(crate) fn look(view: &View) -> Result<Status, AttachError> {
    if view.shape().kind == layout::queue::KIND_QUEUE {
        return queue::look(view);
    }
    let content = admit(view)?;
    let shape = view.shape();
    // The receiver first: what is released meanwhile is pending for a moment longer, and not released before it was sent.
    let receiver = end(view, Side::Receiver)?;
    let sender = end(view, Side::Sender)?;
    // Of memory without a name only the ends tell.
    let attached =
        sender.state.is_held() || receiver.state.is_held() || view.is_attached().map_err(OpenError::from)?;
    let allocated = view.allocated().map_err(OpenError::from)?;
    let contents = match content {
        // To look at memory that was given back would take it again.
        Content::Records(_) if allocated < view.size() => None,
        Content::Records(start) => walk::contents(view, start),
        Content::Slots(size) => slots(sender.position, receiver.position, size, shape.capacity),
    };
    let (received, sent) = match contents {
        // The oldest message there is is not where the receiver is.
        Some(Contents { end, .. }) if matches!(content, Content::Records(Start::Oldest)) => {
            (receiver.position, end)
        }
        Some(Contents { begin, end, .. }) => (begin, end),
        None => (receiver.position, sender.position),
    };
    Ok(Status {
        path: view.path().map(Path::to_owned),
        layout_version: LAYOUT_VERSION,
        kind: shape.kind,
        flags: shape.flags,
        capacity: shape.capacity,
        size: view.size(),
        allocated,
        pending: contents.map(|found| found.end.wrapping_sub(found.begin)),
        pending_messages: contents.and_then(|found| found.messages),
        sent: contents.and_then(|found| found.sent),
        closed: contents.is_some_and(|found| found.closed),
        attached,
        sender: End { position: sent, ..sender },
        receiver: End { position: received, ..receiver },
        queue: None,
    })
}

/// What is in a ring of messages of one size.
fn slots(producer: u64, consumer: u64, size: u64, capacity: u64) -> Option<Contents> {
    let Seen { pending, closed } = slots::look(producer, consumer, size, capacity)?;
    let stride = size.next_multiple_of(8);
    let end = consumer.wrapping_add(pending * stride);
    Some(Contents { begin: consumer, end, closed, messages: Some(pending), sent: Some(end / stride) })
}

fn end(view: &View, side: Side) -> Result<End, AttachError> {
    let at = side.offsets();
    let asleep = lend::seen_flag(view, at.asleep);
    let pid = lend::seen_flag(view, at.pid);
    let processor = lend::seen_flag(view, at.processor);
    let held = view.is_held(side.role()).map_err(OpenError::from)?;
    let left = has_left(&Flag::new(asleep));
    let odd = asleep % 2 != 0;
    // Without the bit that says that its owner left.
    let number = asleep << 1 >> 1;
    Ok(End {
        state: match (held, left) {
            (true, true) => State::Leaving,
            (true, false) if odd => State::Asleep,
            (true, false) => State::Awake,
            (false, true) => State::Left,
            (false, false) if (asleep, pid) == (0, 0) => State::NeverCame,
            (false, false) => State::Dead,
        },
        pid: (pid != 0).then_some(pid),
        position: lend::seen_position(view, side),
        // Odd is the number of a sleep, even what follows it; who left is odd without a sleep.
        sleeps: if left { number / 2 } else { number.div_ceil(2) },
        rings: lend::seen_flag(view, at.bell),
        processor: processor.checked_sub(1),
    })
}
