//! Making and joining rings.

use ringway_segment::{Backend, Memory, Names, Offer, Place, Segment};

use super::{
    Receiver, Redelivery, Sender,
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
#[derive(Debug, Clone)]
#[must_use]
pub struct Options {
    capacity: Option<usize>,
    pub(crate) wait: Option<Wait>,
    pub(crate) keeper: bool,
    pub(crate) names: Names,
    pub(crate) memory: Memory,
    pub(super) redelivery: Redelivery,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// A ring of [`DEFAULT_CAPACITY`] whose ends may sleep, with its name, if it gets one, in `/dev/shm`.
    pub fn new() -> Self {
        Self {
            capacity: None,
            wait: None,
            keeper: true,
            names: Names::default(),
            memory: Memory::default(),
            redelivery: Redelivery::default(),
        }
    }

    /// Bytes of data the ring shall have: a power of two, one page at least. Records take 8 bytes and their
    /// payload, rounded up to 8; the longest possible is 16 bytes less than the capacity.
    ///
    /// A ring that is there already is joined if it has as much or more.
    ///
    /// Room for some sixteen messages lets both sides work at once. Messages that are many kilobytes long travel fastest in a ring
    /// that the processor's last-level cache holds with room to spare: 1 to 8 MiB.
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

    /// Whether this process has a keeper, a thread that sleeps all its life and by whose end the kernel tells the other side at
    /// once if this process dies; default `true`. It is shared by all ends of the process, and gone with the last.
    ///
    /// Without it the other side still learns of the death by a descriptor of the process (a pidfd), if both are in the same
    /// pid namespace and it has a keeper itself.
    pub fn keeper(mut self, keeper: bool) -> Self {
        self.keeper = keeper;
        self
    }

    /// What a receiving end does with messages that a killed predecessor had taken and not given back; default
    /// [`Redelivery::AtLeastOnce`]. To a sender it means nothing.
    pub fn redelivery(mut self, redelivery: Redelivery) -> Self {
        self.redelivery = redelivery;
        self
    }

    /// Where names are looked up and made; default `/dev/shm`.
    pub fn names(mut self, names: Names) -> Self {
        self.names = names;
        self
    }

    /// Whether this end's page tables are made when it is taken, so that no message has to wait for the kernel;
    /// default `true`. Without it taking an end of a large ring costs less, and the first lap more.
    pub fn populate(mut self, populate: bool) -> Self {
        self.memory = self.memory.populate(populate);
        self
    }

    /// Whether the ring's memory is locked for as long as this end is held, so that it is never swapped out; default
    /// `false`. It counts against `RLIMIT_MEMLOCK`; where that leaves too little, there is an error with the figures.
    pub fn lock(mut self, lock: bool) -> Self {
        self.memory = self.memory.lock(lock);
        self
    }

    /// Whether the data of a new ring is to lie in huge pages; default `false`. An [`offer`](Options::offer) and a
    /// [`pair`](Options::pair) can have them, if the host's pool has them free; otherwise, and always where the ring
    /// has a name, ordinary pages are taken: [`Offer::pages`] tells which, and why.
    pub fn huge_pages(mut self, huge_pages: bool) -> Self {
        self.memory = self.memory.huge_pages(huge_pages);
        self
    }

    /// Who may open a new ring's file, as `chmod` has it, whatever the umask; default 0600, its owner only. One that
    /// lets others write also makes this end join a ring whose file another user owns.
    pub fn mode(mut self, mode: u32) -> Self {
        self.memory = self.memory.mode(mode);
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
        self.sender_at(&self.place(name)?)
    }

    /// The receiving end of the ring of this name, which is made if it is not there.
    ///
    /// A name has 1 to 247 bytes, none of them a slash or a control character.
    ///
    /// # Errors
    ///
    /// [`AttachError`]; with [`AttachError::Held`] if the ring has a living receiver.
    pub fn receiver(&self, name: &str) -> Result<Receiver, AttachError> {
        self.receiver_at(&self.place(name)?)
    }

    /// The sending end of the ring at this place, which is made if it is not there: at a path ([`Place::file`]), in
    /// memory of the caller's ([`Lent`]), or wherever else a [`Backend`] has it.
    ///
    /// ```
    /// use ringway::{Place, spsc::Options};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("prices");
    /// let place = Place::file(path);
    /// let mut rx = Options::new().receiver_at(&place)?;
    /// let mut tx = Options::new().sender_at(&place)?;
    /// tx.send(b"first")?;
    /// assert_eq!(&rx.recv()?[..], b"first");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`AttachError`]; with [`AttachError::Held`] if the ring has a living sender.
    ///
    /// [`Lent`]: crate::Lent
    pub fn sender_at(&self, place: &dyn Backend) -> Result<Sender, AttachError> {
        Sender::new(End::claim(self.open(place)?, Side::Sender, self)?)
    }

    /// The receiving end of the ring at this place, which is made if it is not there. As
    /// [`sender_at`](Options::sender_at).
    ///
    /// # Errors
    ///
    /// [`AttachError`]; with [`AttachError::Held`] if the ring has a living receiver.
    pub fn receiver_at(&self, place: &dyn Backend) -> Result<Receiver, AttachError> {
        Receiver::new(End::claim(self.open(place)?, Side::Receiver, self)?, self.redelivery)
    }

    /// The sending end of a ring that was offered. What was asked for here beside the wait and how to hold the memory
    /// plays no part.
    ///
    /// # Errors
    ///
    /// [`AttachError`]; with [`AttachError::Held`] if the ring has a living sender.
    pub fn sender_of(&self, offer: &Offer) -> Result<Sender, AttachError> {
        let segment = offer.open(Some(layout::KIND_SPSC), &self.memory)?;
        Sender::new(End::claim(segment, Side::Sender, self)?)
    }

    /// The receiving end of a ring that was offered. What was asked for here beside the wait and how to hold the
    /// memory plays no part.
    ///
    /// # Errors
    ///
    /// [`AttachError`]; with [`AttachError::Held`] if the ring has a living receiver.
    pub fn receiver_of(&self, offer: &Offer) -> Result<Receiver, AttachError> {
        let segment = offer.open(Some(layout::KIND_SPSC), &self.memory)?;
        Receiver::new(End::claim(segment, Side::Receiver, self)?, self.redelivery)
    }

    /// A ring without a name, with neither end taken: to be handed to another process.
    ///
    /// # Errors
    ///
    /// [`CreateError`]
    pub fn offer(&self) -> Result<Offer, CreateError> {
        Offer::create_with(&self.shape(), &self.memory)
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

    pub(super) fn shape(&self) -> ringway_segment::Shape {
        layout::shape(self.capacity.unwrap_or(DEFAULT_CAPACITY), self.wait == Some(Wait::Spin))
    }

    pub(crate) fn place(&self, name: &str) -> Result<Place, CreateError> {
        self.names.at(name).map_err(CreateError::InvalidName)
    }

    fn open(&self, place: &dyn Backend) -> Result<Segment, AttachError> {
        self.open_as(place, &self.shape())
    }

    pub(super) fn open_as(
        &self,
        place: &dyn Backend,
        shape: &ringway_segment::Shape,
    ) -> Result<Segment, AttachError> {
        let (segment, _) = place.open_or_create(shape, &self.memory, &mut |_| {})?;
        let found = segment.shape().capacity;
        match self.capacity {
            Some(asked) if found < asked as u64 => {
                refuse(segment, |path| AttachError::TooSmall { asked: asked as u64, found, path })
            }
            _ => Ok(segment),
        }
    }
}
