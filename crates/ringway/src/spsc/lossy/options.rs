//! Making and joining rings that lose messages.

use ringway_segment::{Backend, Offer, Segment, Shape};

use super::{Receiver, Sender};
use crate::{
    AttachError, CreateError, Side, layout,
    spsc::{
        self,
        end::{End, refuse},
    },
};

/// Which messages are lost when there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lose {
    /// Those that are being sent.
    Newest,
    /// Those that were sent first.
    Oldest,
}

impl Lose {
    pub(super) fn of(segment: &Segment) -> Self {
        if segment.shape().flags & layout::FLAG_OVERWRITING == 0 { Self::Newest } else { Self::Oldest }
    }
}

/// How to make a ring that loses messages, or to join one that is there.
///
/// ```
/// use ringway::spsc::{self, lossy::{Fate, Lose, Options}};
/// # let dir = tempfile::tempdir()?;
/// # let names = ringway::Names::in_dir(dir.path());
///
/// let ring = spsc::Options::new().capacity(4096);
/// # let ring = ring.names(names);
/// let options = Options::new(ring, Lose::Newest);
/// let mut tx = options.sender("trace")?;
/// while tx.send(b"event")? == Fate::Sent {}
/// let mut rx = options.receiver("trace")?;
/// assert_eq!(&rx.recv()?[..], b"event");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Options {
    ring: spsc::Options,
    lose: Lose,
}

impl Options {
    /// A ring as these options say (capacity, wait, names, memory), that loses these messages. Who joins one that is there
    /// must say the same.
    pub fn new(ring: spsc::Options, lose: Lose) -> Self {
        Self { ring, lose }
    }

    /// The sending end of the ring of this name, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`AttachError`]; with [`AttachError::Held`] if the ring has a living sender.
    pub fn sender(&self, name: &str) -> Result<Sender, AttachError> {
        self.sender_at(&self.ring.place(name)?)
    }

    /// The receiving end of the ring of this name, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`AttachError`]; with [`AttachError::Held`] if the ring has a living receiver.
    pub fn receiver(&self, name: &str) -> Result<Receiver, AttachError> {
        self.receiver_at(&self.ring.place(name)?)
    }

    /// The sending end of the ring at this place, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`AttachError`]; with [`AttachError::Held`] if the ring has a living sender.
    pub fn sender_at(&self, place: &dyn Backend) -> Result<Sender, AttachError> {
        Sender::new(self.claim(self.ring.open_as(place, &self.shape())?, Side::Sender)?)
    }

    /// The receiving end of the ring at this place, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`AttachError`]; with [`AttachError::Held`] if the ring has a living receiver.
    pub fn receiver_at(&self, place: &dyn Backend) -> Result<Receiver, AttachError> {
        Receiver::new(
            self.claim(self.ring.open_as(place, &self.shape())?, Side::Receiver)?,
            self.ring.redelivery,
        )
    }

    /// The sending end of a ring that was offered. The capacity asked for here plays no part.
    ///
    /// # Errors
    ///
    /// [`AttachError`]; with [`AttachError::Held`] if the ring has a living sender.
    pub fn sender_of(&self, offer: &Offer) -> Result<Sender, AttachError> {
        let segment = offer.open(Some(layout::KIND_LOSSY), &self.ring.memory)?;
        Sender::new(self.claim(segment, Side::Sender)?)
    }

    /// The receiving end of a ring that was offered. The capacity asked for here plays no part.
    ///
    /// # Errors
    ///
    /// [`AttachError`]; with [`AttachError::Held`] if the ring has a living receiver.
    pub fn receiver_of(&self, offer: &Offer) -> Result<Receiver, AttachError> {
        let segment = offer.open(Some(layout::KIND_LOSSY), &self.ring.memory)?;
        Receiver::new(self.claim(segment, Side::Receiver)?, self.ring.redelivery)
    }

    /// A ring without a name, with neither end taken: to be handed to another process.
    ///
    /// # Errors
    ///
    /// [`CreateError`]
    pub fn offer(&self) -> Result<Offer, CreateError> {
        Offer::create_with(&self.shape(), &self.ring.memory)
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

    fn shape(&self) -> Shape {
        let shape = self.ring.shape();
        let overwriting = if self.lose == Lose::Oldest { layout::FLAG_OVERWRITING } else { 0 };
        Shape { kind: layout::KIND_LOSSY, flags: shape.flags | overwriting, ..shape }
    }

    fn claim(&self, segment: Segment, side: Side) -> Result<End, AttachError> {
        let (asked, found) = (self.lose, Lose::of(&segment));
        if asked != found {
            return refuse(segment, |path| AttachError::Loses { asked, found, path });
        }
        End::claim(segment, side, &self.ring)
    }
}
