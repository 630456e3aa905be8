//! Making and joining rings.

use ringway_segment::{Names, Offer, Segment};

use super::{
    Receiver, Sender,
    end::{End, refuse},
};
use crate::{AttachError, CreateError, Side, Wait, layout};

/// Capacity of a ring for which none was asked for: 1 MiB.
pub const DEFAULT_CAPACITY: usize = 1 << 20;

/// How to make a ring, or to join one that is there.
///
/// # Example
///
/// Two programs, either of which may start first:
///
/// ```
/// use ringway::spsc::Options;
/// # let dir = tempfile::tempdir()?;
/// # let names = ringway::Names::in_dir(dir.path());
///
/// let mut tx = Options::new()
/// #   .names(names.clone())
///     .capacity(1 << 16).sender("prices")?;
/// tx.send(b"first")?;
///
/// let mut rx = Options::new()
/// #   .names(names)
///     .receiver("prices")?;
/// assert_eq!(&rx.recv()?[..], b"first");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Options {
    capacity: Option<usize>,
    wait: Option<Wait>,
    names: Names,
}

impl Options {
    /// A ring of [`DEFAULT_CAPACITY`] whose ends may sleep, with its name, if it gets one, in `/dev/shm`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of data the ring shall have: a power of two, one page at least. Records take 8 bytes and their
    /// payload, rounded up to 8; the longest possible is 16 bytes less than the capacity.
    ///
    /// A ring that is there already is joined if it has as much or more.
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = Some(bytes);
        self
    }

    /// How this end waits; default [`Wait::default`], or as the ring was made.
    ///
    /// A ring *made* with [`Wait::Spin`] never sleeps at either end, and so does without a full fence a message.
    /// An end that joins it spins, too; one that joins another ring with `Wait::Spin` spins by itself.
    pub fn wait(mut self, wait: Wait) -> Self {
        self.wait = Some(wait);
        self
    }

    /// Where names are looked up and made; default `/dev/shm`.
    pub fn names(mut self, names: Names) -> Self {
        self.names = names;
        self
    }

    /// The sending end of the ring of this name, which is made if it is not there.
    ///
    /// A name has 1 to 247 bytes, none of them a slash or a control character.
    ///
    /// # Errors
    ///
    /// [`AttachError`]; with [`AttachError::Held`] if the ring has a living sender.
    pub fn sender(&self, name: &str) -> Result<Sender, AttachError> {
        Sender::new(End::claim(self.open(name)?, Side::Sender, self.wait)?)
    }

    /// The receiving end of the ring of this name, which is made if it is not there.
    ///
    /// A name has 1 to 247 bytes, none of them a slash or a control character.
    ///
    /// # Errors
    ///
    /// [`AttachError`]; with [`AttachError::Held`] if the ring has a living receiver.
    pub fn receiver(&self, name: &str) -> Result<Receiver, AttachError> {
        Receiver::new(End::claim(self.open(name)?, Side::Receiver, self.wait)?)
    }

    /// The sending end of a ring that was offered. What was asked for here beside the wait plays no part.
    ///
    /// # Errors
    ///
    /// [`AttachError`]; with [`AttachError::Held`] if the ring has a living sender.
    pub fn sender_of(&self, offer: &Offer) -> Result<Sender, AttachError> {
        offer.expect_kind(layout::KIND_SPSC)?;
        Sender::new(End::claim(offer.attach()?, Side::Sender, self.wait)?)
    }

    /// The receiving end of a ring that was offered. What was asked for here beside the wait plays no part.
    ///
    /// # Errors
    ///
    /// [`AttachError`]; with [`AttachError::Held`] if the ring has a living receiver.
    pub fn receiver_of(&self, offer: &Offer) -> Result<Receiver, AttachError> {
        offer.expect_kind(layout::KIND_SPSC)?;
        Receiver::new(End::claim(offer.attach()?, Side::Receiver, self.wait)?)
    }

    /// A ring without a name, with neither end taken: to be handed to another process.
    ///
    /// # Errors
    ///
    /// [`CreateError`]
    pub fn offer(&self) -> Result<Offer, CreateError> {
        Offer::create(&self.shape())
    }

    /// Both ends of a ring without a name: for two threads of this process.
    ///
    /// # Errors
    ///
    /// [`AttachError`]
    pub fn pair(&self) -> Result<(Sender, Receiver), AttachError> {
        let offer = self.offer()?;
        Ok((self.sender_of(&offer)?, self.receiver_of(&offer)?))
    }

    fn shape(&self) -> ringway_segment::Shape {
        layout::shape(self.capacity.unwrap_or(DEFAULT_CAPACITY), self.wait == Some(Wait::Spin))
    }

    fn open(&self, name: &str) -> Result<Segment, AttachError> {
        let (segment, _) = self.names.open_or_create(name, &self.shape(), |_| {})?;
        let found = segment.shape().capacity;
        match self.capacity {
            Some(asked) if found < asked as u64 => {
                refuse(segment, |path| AttachError::TooSmall { asked: asked as u64, found, path })
            }
            _ => Ok(segment),
        }
    }
}
