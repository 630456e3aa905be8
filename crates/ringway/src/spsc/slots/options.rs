//! Making and joining rings of slots.

use ringway_segment::{Backend, Names, Offer, Segment, Shape};

use super::{Receiver, Sender, Value};
use crate::{
    AttachError, CreateError, Side, Wait, layout,
    spsc::{
        self, DEFAULT_CAPACITY, Redelivery,
        end::{End, refuse},
    },
};

/// How to make a ring of slots, or to join one that is there: as [`spsc::Options`], with the type of the messages said where
/// an end is taken.
///
/// # Example
///
/// ```
/// use ringway::spsc::slots::Options;
/// # let dir = tempfile::tempdir()?;
/// # let names = ringway::Names::in_dir(dir.path());
///
/// let mut tx = Options::new()
/// #   .names(names.clone())
///     .capacity(1000).sender::<[f32; 4]>("poses")?;
/// tx.send(&[1.0, 2.0, 3.0, 4.0])?;
///
/// let mut rx = Options::new()
/// #   .names(names)
///     .receiver::<[f32; 4]>("poses")?;
/// assert_eq!(rx.recv()?[3], 4.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Options {
    messages: Option<usize>,
    ring: spsc::Options,
}

impl Options {
    /// A ring of [`DEFAULT_CAPACITY`] bytes whose ends may sleep, with its name, if it gets one, in `/dev/shm`.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many messages the ring shall hold, at least: the memory is rounded up to a power of two, one page at least.
    ///
    /// A ring that is there already is joined if it holds as many or more.
    pub fn capacity(mut self, messages: usize) -> Self {
        self.messages = Some(messages);
        self
    }

    /// As [`spsc::Options::keeper`].
    pub fn keeper(mut self, keeper: bool) -> Self {
        self.ring = self.ring.keeper(keeper);
        self
    }

    /// As [`spsc::Options::wait`].
    pub fn wait(mut self, wait: Wait) -> Self {
        self.ring = self.ring.wait(wait);
        self
    }

    /// As [`spsc::Options::redelivery`].
    pub fn redelivery(mut self, redelivery: Redelivery) -> Self {
        self.ring = self.ring.redelivery(redelivery);
        self
    }

    /// As [`spsc::Options::names`].
    pub fn names(mut self, names: Names) -> Self {
        self.ring = self.ring.names(names);
        self
    }

    /// As [`spsc::Options::populate`].
    pub fn populate(mut self, populate: bool) -> Self {
        self.ring = self.ring.populate(populate);
        self
    }

    /// As [`spsc::Options::lock`].
    pub fn lock(mut self, lock: bool) -> Self {
        self.ring = self.ring.lock(lock);
        self
    }

    /// As [`spsc::Options::huge_pages`].
    pub fn huge_pages(mut self, huge_pages: bool) -> Self {
        self.ring = self.ring.huge_pages(huge_pages);
        self
    }

    /// As [`spsc::Options::mode`].
    pub fn mode(mut self, mode: u32) -> Self {
        self.ring = self.ring.mode(mode);
        self
    }

    /// The sending end of the ring of this name, which is made if it is not there; as [`spsc::Options::sender`].
    ///
    /// # Errors
    ///
    /// [`AttachError`]; with [`AttachError::Held`] if the ring has a living sender, [`AttachError::SlotSize`] if its messages
    /// have another size.
    pub fn sender<T: Value>(&self, name: &str) -> Result<Sender<T>, AttachError> {
        self.sender_at(&self.ring.place(name)?)
    }

    /// The receiving end of the ring of this name, which is made if it is not there; as [`spsc::Options::receiver`].
    ///
    /// # Errors
    ///
    /// [`AttachError`]; with [`AttachError::Held`] if the ring has a living receiver, [`AttachError::SlotSize`] if its messages
    /// have another size.
    pub fn receiver<T: Value>(&self, name: &str) -> Result<Receiver<T>, AttachError> {
        self.receiver_at(&self.ring.place(name)?)
    }

    /// The sending end of the ring at this place, which is made if it is not there; as [`spsc::Options::sender_at`].
    ///
    /// # Errors
    ///
    /// As [`sender`](Options::sender).
    pub fn sender_at<T: Value>(&self, place: &dyn Backend) -> Result<Sender<T>, AttachError> {
        Sender::new(End::claim(self.open::<T>(place)?, Side::Sender, &self.ring)?)
    }

    /// The receiving end of the ring at this place, which is made if it is not there; as [`spsc::Options::receiver_at`].
    ///
    /// # Errors
    ///
    /// As [`receiver`](Options::receiver).
    pub fn receiver_at<T: Value>(&self, place: &dyn Backend) -> Result<Receiver<T>, AttachError> {
        let end = End::claim(self.open::<T>(place)?, Side::Receiver, &self.ring)?;
        Receiver::new(end, self.ring.redelivery)
    }

    /// The sending end of a ring that was offered; as [`spsc::Options::sender_of`].
    ///
    /// # Errors
    ///
    /// As [`sender`](Options::sender).
    pub fn sender_of<T: Value>(&self, offer: &Offer) -> Result<Sender<T>, AttachError> {
        Sender::new(End::claim(self.open_offer::<T>(offer)?, Side::Sender, &self.ring)?)
    }

    /// The receiving end of a ring that was offered; as [`spsc::Options::receiver_of`].
    ///
    /// # Errors
    ///
    /// As [`receiver`](Options::receiver).
    pub fn receiver_of<T: Value>(&self, offer: &Offer) -> Result<Receiver<T>, AttachError> {
        let end = End::claim(self.open_offer::<T>(offer)?, Side::Receiver, &self.ring)?;
        Receiver::new(end, self.ring.redelivery)
    }

    /// A ring without a name, with neither end taken: to be handed to another process.
    ///
    /// # Errors
    ///
    /// [`CreateError`]
    ///
    /// ```
    /// use ringway::spsc::slots::{Options, Receiver, Sender};
    ///
    /// let offer = Options::new().offer::<u64>()?;
    /// let mut tx = Sender::<u64>::attach(&offer)?;
    /// let mut rx = Receiver::<u64>::attach(&offer)?;
    /// tx.send(&7)?;
    /// assert_eq!(*rx.recv()?, 7);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    pub fn offer<T: Value>(&self) -> Result<Offer, CreateError> {
        Offer::create_with(&self.shape::<T>(), &self.ring.memory)
    }

    /// Both ends of a ring without a name: for two threads of this process.
    ///
    /// # Errors
    ///
    /// [`AttachError`]
    pub fn pair<T: Value>(&self) -> Result<(Sender<T>, Receiver<T>), AttachError> {
        let offer = self.offer::<T>()?;
        Ok((self.sender_of(&offer)?, self.receiver_of(&offer)?))
    }

    fn shape<T: Value>(&self) -> Shape {
        let stride = size_of::<T>().next_multiple_of(8);
        let bytes = match self.messages {
            Some(messages) => messages.saturating_mul(stride),
            None => DEFAULT_CAPACITY.max(stride),
        };
        // What cannot be had is refused, with the figures, when it is asked for.
        let bytes = bytes.checked_next_power_of_two().unwrap_or(1 << (usize::BITS - 1));
        let shape = |bytes| layout::slots(size_of::<T>(), bytes, self.ring.wait == Some(Wait::Spin));
        // One page at least, whatever a page is here.
        (12..=16)
            .map(|bits| shape(bytes.max(1 << bits)))
            .find(|shape| shape.total().is_ok())
            .unwrap_or(shape(bytes))
    }

    fn open<T: Value>(&self, place: &dyn Backend) -> Result<Segment, AttachError> {
        let (segment, _) = place.open_or_create(&self.shape::<T>(), &self.ring.memory, &mut |_| {})?;
        let segment = of_this_size::<T>(segment)?;
        let asked = self.messages.map_or(0, |_| self.shape::<T>().capacity);
        let found = segment.shape().capacity;
        if found < asked {
            return refuse(segment, |path| AttachError::TooSmall { asked, found, path });
        }
        Ok(segment)
    }

    fn open_offer<T: Value>(&self, offer: &Offer) -> Result<Segment, AttachError> {
        of_this_size::<T>(offer.open(Some(layout::KIND_SLOTS), &self.ring.memory)?)
    }
}

fn of_this_size<T: Value>(segment: Segment) -> Result<Segment, AttachError> {
    let (asked, found) = (size_of::<T>() as u64, segment.shape().detail);
    if asked == found && asked <= segment.shape().capacity {
        return Ok(segment);
    }
    refuse(segment, |path| AttachError::SlotSize { asked, found, path })
}
