//! Making and joining queues.

use std::{marker::PhantomData, sync::Arc};

use ringway_ring::mpmc::{Access, MOST_SLOTS, Many, Sole};
use ringway_segment::{Backend, Names, Offer, Segment, Shape};

use super::{
    Receiver, Sender,
    ends::{ReceivingEnd, SendingEnd},
    participant::{Participant, Terms, refuse},
};
use crate::{
    AttachError, Side, Wait,
    layout::{
        self,
        queue::{
            FLAG_AT_MOST_ONCE, FLAG_OVERWRITES, FLAG_SOLE_RECEIVER, FLAG_SOLE_SENDER, KIND_QUEUE, MOST_SIZE,
            QUEUE_FLAGS, SOLE_RECEIVER, SOLE_SENDER, extent, queue,
        },
    },
    spsc::{self, Redelivery},
};

/// Slots of a queue for which no number was asked for.
pub const DEFAULT_SLOTS: usize = 1024;

/// The longest message of a queue for which no size was asked for, in bytes.
pub const DEFAULT_SLOT_SIZE: usize = 1024;

/// How to make a queue, or to join one that is there.
///
/// # Example
///
/// Any number of programs, in any order:
///
/// ```
/// use ringway::mpmc::Options;
/// # let dir = tempfile::tempdir()?;
/// # let names = ringway::Names::in_dir(dir.path());
///
/// let tx = Options::new()
/// #   .names(names.clone())
///     .slots(256).slot_size(512).sender("jobs")?;
/// tx.send(b"first")?;
///
/// let rx = Options::new()
/// #   .names(names)
///     .receiver("jobs")?;
/// assert_eq!(&rx.recv()?[..], b"first");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `S` and `R` say how many sending and receiving ends it has at a time: [`Many`], or [`Sole`] after
/// [`sole_sender`](Options::sole_sender), [`sole_receiver`](Options::sole_receiver).
#[derive(Debug)]
#[must_use]
pub struct Options<S: Access = Many, R: Access = Many> {
    slots: Option<usize>,
    slot_size: Option<usize>,
    redelivery: Option<Redelivery>,
    overwrite: Option<bool>,
    stay: bool,
    common: spsc::Options,
    ends: PhantomData<fn() -> (S, R)>,
}

impl<S: Access, R: Access> Clone for Options<S, R> {
    fn clone(&self) -> Self {
        let Self { slots, slot_size, redelivery, overwrite, stay, ref common, ends } = *self;
        Self { slots, slot_size, redelivery, overwrite, stay, common: common.clone(), ends }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// A queue of [`DEFAULT_SLOTS`] slots of [`DEFAULT_SLOT_SIZE`] bytes whose ends may sleep, with its name, if it gets one,
    /// in `/dev/shm`.
    pub fn new() -> Self {
        Self {
            slots: None,
            slot_size: None,
            redelivery: None,
            overwrite: None,
            stay: false,
            common: spsc::Options::new(),
            ends: PhantomData,
        }
    }
}

impl<S: Access, R: Access> Options<S, R> {
    /// How many slots the queue shall have, at least, 1 to 65536: so many messages it holds, those in somebody's hands
    /// included. A queue that is there already is joined if it has as many or more.
    ///
    /// It takes 16 KiB, and for each slot 24 bytes, 8 for a cell, of which there are a power of two, and its size rounded up to 64. The
    /// sizes of all slots together are rounded up to a power of two, one page at least, and what that gives is more slots: 64 if 4 of 64
    /// bytes were asked for.
    pub fn slots(mut self, slots: usize) -> Self {
        self.slots = Some(slots);
        self
    }

    /// The longest message that the queue shall carry, in bytes, up to 1 GiB. A queue that is there already is joined if its slots are
    /// as large or larger.
    ///
    /// Several messages of a [batch](Sender::batch) share a slot if they fit, with 8 bytes more each.
    pub fn slot_size(mut self, bytes: usize) -> Self {
        self.slot_size = Some(bytes);
        self
    }

    /// What becomes of messages that a receiver had taken and not given back when it was killed; default
    /// [`Redelivery::AtLeastOnce`]: they go back to the queue, behind all others, [marked](super::Received::redelivered).
    /// With [`Redelivery::AtMostOnce`] they are [counted](Receiver::lost). It is the queue's, said by whoever makes it; who joins with
    /// another one is refused.
    pub fn redelivery(mut self, redelivery: Redelivery) -> Self {
        self.redelivery = Some(redelivery);
        self
    }

    /// Whether a sender that finds no free slot takes that of the oldest message, which is lost and [counted](Receiver::lost), instead of
    /// waiting; default `false`. It is the queue's, as [`redelivery`](Self::redelivery). What receivers and senders have in hand
    /// is not taken from them.
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = Some(overwrite);
        self
    }

    /// Whether these ends stay when all on the other side have left, or the last one has died: a receiver waits for the next
    /// sender's messages, a sender for slots, and neither says `Closed` or `PeerDied`; default `false`.
    ///
    /// ```
    /// use ringway::mpmc::Options;
    /// # let dir = tempfile::tempdir()?;
    /// # let names = ringway::Names::in_dir(dir.path());
    ///
    /// let worker = Options::new()
    /// #   .names(names.clone())
    ///     .stay(true).receiver("jobs")?;
    /// for job in [b"one", b"two"] {
    ///     let tx = Options::new()
    /// #       .names(names.clone())
    ///         .sender("jobs")?;
    ///     tx.send(job)?;
    ///     tx.close()?;
    ///     assert_eq!(&worker.recv()?[..], job);
    ///     assert_eq!(worker.try_recv().unwrap_err(), ringway::TryRecvError::Empty);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stay(mut self, stay: bool) -> Self {
        self.stay = stay;
        self
    }

    /// As [`spsc::Options::wait`].
    pub fn wait(mut self, wait: Wait) -> Self {
        self.common = self.common.wait(wait);
        self
    }

    /// As [`spsc::Options::keeper`].
    pub fn keeper(mut self, keeper: bool) -> Self {
        self.common = self.common.keeper(keeper);
        self
    }

    /// As [`spsc::Options::names`].
    pub fn names(mut self, names: Names) -> Self {
        self.common = self.common.names(names);
        self
    }

    /// As [`spsc::Options::populate`].
    pub fn populate(mut self, populate: bool) -> Self {
        self.common = self.common.populate(populate);
        self
    }

    /// As [`spsc::Options::lock`].
    pub fn lock(mut self, lock: bool) -> Self {
        self.common = self.common.lock(lock);
        self
    }

    /// As [`spsc::Options::huge_pages`].
    pub fn huge_pages(mut self, huge_pages: bool) -> Self {
        self.common = self.common.huge_pages(huge_pages);
        self
    }

    /// As [`spsc::Options::mode`].
    pub fn mode(mut self, mode: u32) -> Self {
        self.common = self.common.mode(mode);
        self
    }

    /// The queue has one sending end at a time, which sends with one read-modify-write less; its successor comes when every
    /// thread of it has stopped.
    ///
    /// ```
    /// let (tx, rx) = ringway::mpmc::Options::new().sole_sender().sole_receiver().pair()?;
    /// tx.send(b"hello")?;
    /// assert_eq!(&rx.recv()?[..], b"hello");
    /// # Ok::<(), ringway::Error>(())
    /// ```
    pub fn sole_sender(self) -> Options<Sole, R> {
        self.with_ends()
    }

    /// The queue has one receiving end at a time, which receives without any read-modify-write; its successor comes when every
    /// thread of it has stopped. It cannot be overwritten.
    pub fn sole_receiver(self) -> Options<S, Sole> {
        self.with_ends()
    }

    fn with_ends<T: Access, U: Access>(self) -> Options<T, U> {
        let Self { slots, slot_size, redelivery, overwrite, stay, common, .. } = self;
        Options { slots, slot_size, redelivery, overwrite, stay, common, ends: PhantomData }
    }

    /// A sending end of the queue of this name, which is made if it is not there.
    ///
    /// A name has 1 to 247 bytes, none of them a slash or a control character. Each call takes one of the queue's 62 lines; a
    /// [`clone`](Sender::clone) of the end does not.
    ///
    /// # Errors
    ///
    /// [`AttachError`]; with [`AttachError::NoLine`] if 62 processes take part already.
    pub fn sender(&self, name: &str) -> Result<Sender<S>, AttachError> {
        self.sender_at(&self.common.place(name)?)
    }

    /// A receiving end of the queue of this name, which is made if it is not there; as [`sender`](Self::sender).
    ///
    /// # Errors
    ///
    /// As [`sender`](Self::sender).
    pub fn receiver(&self, name: &str) -> Result<Receiver<R>, AttachError> {
        self.receiver_at(&self.common.place(name)?)
    }

    /// A sending end of the queue at this place, which is made if it is not there: at a path
    /// ([`Place::file`](crate::Place::file)), in memory of the caller's ([`Lent`](crate::Lent)), or wherever else a [`Backend`] has it.
    ///
    /// # Errors
    ///
    /// As [`sender`](Self::sender).
    pub fn sender_at(&self, place: &dyn Backend) -> Result<Sender<S>, AttachError> {
        Ok(Sender::new(SendingEnd::new(self.come(self.open(place)?, Side::Sender)?)))
    }

    /// A receiving end of the queue at this place, which is made if it is not there; as [`sender_at`](Self::sender_at).
    ///
    /// # Errors
    ///
    /// As [`sender`](Self::sender).
    pub fn receiver_at(&self, place: &dyn Backend) -> Result<Receiver<R>, AttachError> {
        Ok(Receiver::new(ReceivingEnd::new(self.come(self.open(place)?, Side::Receiver)?)))
    }

    /// A sending end of a queue that was offered.
    ///
    /// # Errors
    ///
    /// As [`sender`](Self::sender).
    pub fn sender_of(&self, offer: &Offer) -> Result<Sender<S>, AttachError> {
        Ok(Sender::new(SendingEnd::new(self.come(self.open_offer(offer)?, Side::Sender)?)))
    }

    /// A receiving end of a queue that was offered.
    ///
    /// # Errors
    ///
    /// As [`sender`](Self::sender).
    pub fn receiver_of(&self, offer: &Offer) -> Result<Receiver<R>, AttachError> {
        Ok(Receiver::new(ReceivingEnd::new(self.come(self.open_offer(offer)?, Side::Receiver)?)))
    }

    /// A queue without a name, in which nobody takes part yet: to be handed to other processes.
    ///
    /// # Errors
    ///
    /// [`AttachError`]
    ///
    /// ```
    /// use ringway::mpmc::{Options, Receiver, Sender};
    ///
    /// let offer = Options::new().offer()?;
    /// let tx = Sender::attach(&offer)?;
    /// let rx = Receiver::attach(&offer)?;
    /// tx.send(b"hello")?;
    /// assert_eq!(&rx.recv()?[..], b"hello");
    /// # Ok::<(), ringway::Error>(())
    /// ```
    pub fn offer(&self) -> Result<Offer, AttachError> {
        Ok(Offer::create_with(&self.shape()?, &self.common.memory)?)
    }

    /// Both ends of a queue without a name: for threads of this process, which clone them. They are one participant.
    ///
    /// # Errors
    ///
    /// [`AttachError`]
    ///
    /// ```
    /// let (tx, rx) = ringway::mpmc::Options::new().pair()?;
    /// let workers: Vec<_> = (0..2)
    ///     .map(|_| {
    ///         let rx = rx.clone();
    ///         std::thread::spawn(move || rx.iter().filter_map(Result::ok).count())
    ///     })
    ///     .collect();
    /// for n in 0..100u8 {
    ///     tx.send(&[n])?;
    /// }
    /// tx.close()?;
    /// assert_eq!(workers.into_iter().map(|worker| worker.join().unwrap()).sum::<usize>(), 100);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    pub fn pair(&self) -> Result<(Sender<S>, Receiver<R>), AttachError> {
        let part = self.come(self.open_offer(&self.offer()?)?, Side::Sender)?;
        if R::SOLE {
            // Nobody else knows of the queue.
            part.segment().claim(SOLE_RECEIVER).map_err(AttachError::Claim)?;
        }
        let receiver = Receiver::new(ReceivingEnd::new(part.clone()));
        Ok((Sender::new(SendingEnd::new(part)), receiver))
    }

    /// The flags of a queue as asked for.
    fn flags(&self) -> u32 {
        let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
        flag(self.common.wait == Some(Wait::Spin), layout::FLAG_SLEEPLESS)
            | flag(self.redelivery == Some(Redelivery::AtMostOnce), FLAG_AT_MOST_ONCE)
            | flag(self.overwrite == Some(true), FLAG_OVERWRITES)
            | flag(S::SOLE, FLAG_SOLE_SENDER)
            | flag(R::SOLE, FLAG_SOLE_RECEIVER)
    }

    /// The shape of a queue as asked for.
    fn shape(&self) -> Result<Shape, AttachError> {
        let (slots, size) =
            (self.slots.unwrap_or(DEFAULT_SLOTS), self.slot_size.unwrap_or(DEFAULT_SLOT_SIZE));
        if slots == 0 || slots > MOST_SLOTS as usize || size > MOST_SIZE {
            return Err(AttachError::Slots { slots, size });
        }
        if R::SOLE && self.overwrite == Some(true) {
            return Err(AttachError::Overwrites);
        }
        Ok(queue(slots, size, self.flags()))
    }

    fn open(&self, place: &dyn Backend) -> Result<Segment, AttachError> {
        let (segment, _) = place.open_or_create(&self.shape()?, &self.common.memory, &mut |_| {})?;
        self.admit(segment)
    }

    fn open_offer(&self, offer: &Offer) -> Result<Segment, AttachError> {
        self.admit(offer.open(Some(KIND_QUEUE), &self.common.memory)?)
    }

    /// Checks that a queue is as asked for.
    fn admit(&self, segment: Segment) -> Result<Segment, AttachError> {
        let shape = segment.shape();
        let Some(found) = extent(&shape) else {
            return refuse(segment, |path| AttachError::ControlArea { found: shape.control_len, path });
        };
        if shape.flags & !QUEUE_FLAGS != 0 {
            return refuse(segment, |path| AttachError::Flags {
                found: shape.flags,
                known: QUEUE_FLAGS,
                path,
            });
        }
        let asked = (self.slots.unwrap_or(1), self.slot_size.unwrap_or(0));
        let found = (found.slots as usize, found.size as usize);
        if found.0 < asked.0 || found.1 < asked.1 {
            return refuse(segment, |path| AttachError::SmallSlots { asked, found, path });
        }
        let said = [
            (self.redelivery.is_some(), FLAG_AT_MOST_ONCE),
            (self.overwrite.is_some(), FLAG_OVERWRITES),
            (true, FLAG_SOLE_SENDER | FLAG_SOLE_RECEIVER),
        ];
        let said = said.into_iter().filter(|(is_said, _)| *is_said).fold(0, |all, (_, flag)| all | flag);
        let asked = self.flags() & said;
        if shape.flags & said != asked {
            return refuse(segment, |path| AttachError::Policy { asked, found: shape.flags & said, path });
        }
        Ok(segment)
    }

    fn come(&self, segment: Segment, side: Side) -> Result<Arc<Participant>, AttachError> {
        let sole = match side {
            Side::Sender => S::SOLE.then_some((side, SOLE_SENDER)),
            Side::Receiver => R::SOLE.then_some((side, SOLE_RECEIVER)),
        };
        let terms = Terms { wait: self.common.wait, keeper: self.common.keeper, stays: self.stay, sole };
        Participant::come(segment, terms)
    }
}
