//! Rings of every kind, and their ends, as a test sees them.

use std::{fs::File, time::Duration};

use ringway::{
    AttachError, Backend, Names, Offer, RecvTimeoutError, SendError, SendTimeoutError, Side, Wait, clean,
    inspect::{self, State},
    spsc::{self, Redelivery, lossy, slots},
};
use tempfile::TempDir;
use zerocopy::IntoBytes;

use crate::{
    killing::{Reached, Verdict},
    map::Map,
    message::{self, Message, Slot},
};

/// The name of a ring that has one, and of the one beside it.
const OWN: &str = "killed";
const NEIGHBOUR: &str = "neighbour";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Records,
    Slots,
    /// Loses the newest.
    Newest,
    /// Loses the oldest.
    Oldest,
}

impl Kind {
    /// Whether a message that was sent is never lost for want of room.
    pub(crate) fn is_lossless(self) -> bool {
        matches!(self, Self::Records | Self::Slots)
    }
}

/// A ring that is there, or will be once an end of it is taken.
pub(crate) struct Ring {
    kind: Kind,
    options: spsc::Options,
    slots: slots::Options,
    place: Place,
}

enum Place {
    Memfd(Offer),
    Named(TempDir, ringway::Place),
}

impl Ring {
    /// A ring of this many bytes, whose ends wait so, and whose receivers get again what a killed one held; with a name, it is
    /// made by the first who comes.
    pub(crate) fn new(kind: Kind, capacity: usize, named: bool, wait: Wait) -> Verdict<Self> {
        let options = spsc::Options::new().capacity(capacity).wait(wait);
        let slots = slots::Options::new().capacity(capacity / size_of::<Slot>()).wait(wait);
        let place = if named {
            let dir = tempfile::tempdir_in("/dev/shm")?;
            let place = Names::in_dir(dir.path()).at(OWN)?;
            Place::Named(dir, place)
        } else {
            Place::Memfd(match kind {
                Kind::Records => options.offer()?,
                Kind::Slots => slots.offer::<Slot>()?,
                Kind::Newest | Kind::Oldest => lossy(&options, kind).offer()?,
            })
        };
        Ok(Self { kind, options, slots, place })
    }

    /// The same, but its receivers get nothing again.
    pub(crate) fn at_most_once(mut self) -> Self {
        self.options = self.options.redelivery(Redelivery::AtMostOnce);
        self.slots = self.slots.redelivery(Redelivery::AtMostOnce);
        self
    }

    fn place(&self) -> &dyn Backend {
        match &self.place {
            Place::Memfd(offer) => offer,
            Place::Named(_, place) => place,
        }
    }

    pub(crate) fn sender(&self) -> Result<Tx, AttachError> {
        Ok(match self.kind {
            Kind::Records => Tx::Records(self.options.sender_at(self.place())?),
            Kind::Slots => Tx::Slots(self.slots.sender_at(self.place())?),
            kind => Tx::Lossy(lossy(&self.options, kind).sender_at(self.place())?),
        })
    }

    pub(crate) fn receiver(&self) -> Result<Rx, AttachError> {
        Ok(match self.kind {
            Kind::Records => Rx::Records(self.options.receiver_at(self.place())?),
            Kind::Slots => Rx::Slots(self.slots.receiver_at(self.place())?),
            kind => Rx::Lossy(lossy(&self.options, kind).receiver_at(self.place())?),
        })
    }

    /// A length that messages here can have, `more` than the shortest if it is free.
    pub(crate) fn message_len(&self, more: usize) -> usize {
        if self.kind == Kind::Slots { size_of::<Slot>() } else { size_of::<u64>() + more }
    }

    /// How it does; an error if it has a name and is not there.
    pub(crate) fn status(&self) -> Result<inspect::Status, AttachError> {
        match &self.place {
            Place::Memfd(offer) => inspect::offered(offer),
            Place::Named(_, place) => inspect::at(place),
        }
    }

    /// Whether the kernel says that somebody holds this end. Nobody holds an end of a ring that is not there.
    pub(crate) fn is_held(&self, side: Side) -> bool {
        self.status().is_ok_and(|status| match side {
            Side::Sender => status.sender.state.is_held(),
            Side::Receiver => status.receiver.state.is_held(),
        })
    }

    /// Its memory, to look at; `None` as long as it has none.
    pub(crate) fn map(&self) -> Option<Map> {
        match &self.place {
            Place::Memfd(offer) => Some(Map::of(offer)),
            Place::Named(_, place) => File::open(place.path()).ok().map(|file| Map::of(&file)),
        }
    }

    /// The names among which this ring has its own.
    fn names(&self) -> Verdict<Names> {
        match &self.place {
            Place::Memfd(_) => Err("a ring without a name".into()),
            Place::Named(dir, _) => Ok(Names::in_dir(dir.path())),
        }
    }

    /// A sender of another ring, beside this one.
    pub(crate) fn neighbour(&self) -> Verdict<Tx> {
        Ok(Tx::Records(self.options.sender_at(&self.names()?.at(NEIGHBOUR)?)?))
    }

    /// Removes all that is dead among the names.
    pub(crate) fn clean(&self) -> Verdict<Vec<clean::Named>> {
        Ok(clean::Options::new().all(&self.names()?)?)
    }

    /// Somebody who cleaned was killed when that had come so far: the neighbour, which is dead, is there as it was, with so
    /// many messages, or gone; and this ring, which lives, is there. Whoever cleans now is hindered by nothing.
    pub(crate) fn neighbour_goes(&self, pending: u64, reached: Reached) -> Verdict {
        let names = self.names()?;
        let is_there = names.list()?.iter().any(|(name, _)| name == NEIGHBOUR);
        if reached != Reached::Midst && is_there != (reached == Reached::Beginning) {
            return Err(format!("the dead neighbour, {reached:?}: is it there? {is_there}").into());
        }
        if is_there {
            let status = inspect::named(&names, NEIGHBOUR)?;
            if (status.sender.state, status.pending_messages) != (State::Dead, Some(pending)) {
                return Err(format!("the dead neighbour is not as it was: {status:?}").into());
            }
        }
        for ring in self.clean()? {
            match (ring.name.as_str(), ring.outcome?) {
                (NEIGHBOUR, clean::Outcome::Removed(_)) if is_there => {}
                (OWN, clean::Outcome::InUse(_)) => {}
                (name, outcome) => return Err(format!("{name}: {outcome:?}").into()),
            }
        }
        let left: Vec<_> = names.list()?.into_iter().map(|(name, _)| name).collect();
        if left != [OWN] || self.files() != 1 {
            return Err(format!("after all was cleaned: {left:?}, {} files", self.files()).into());
        }
        Ok(())
    }

    /// Both ends have left in good order and nothing was pending: a name is gone, and nothing else is left where it was.
    pub(crate) fn left_nothing(self) -> Verdict {
        if let Place::Named(dir, _) = &self.place {
            let left: Vec<_> = std::fs::read_dir(dir.path())?.map(|it| it.map(|it| it.file_name())).collect();
            if !left.is_empty() {
                return Err(format!("left behind: {left:?}").into());
            }
        }
        Ok(())
    }

    /// How many things lie where its name does; 0 for one without a name.
    pub(crate) fn files(&self) -> usize {
        match &self.place {
            Place::Memfd(_) => 0,
            Place::Named(dir, _) => std::fs::read_dir(dir.path()).map_or(0, Iterator::count),
        }
    }
}

fn lossy(options: &spsc::Options, kind: Kind) -> lossy::Options {
    let lose = if kind == Kind::Newest { lossy::Lose::Newest } else { lossy::Lose::Oldest };
    lossy::Options::new(options.clone(), lose)
}

/// A sending end.
#[derive(Debug)]
pub(crate) enum Tx {
    Records(spsc::Sender),
    Slots(slots::Sender<Slot>),
    Lossy(lossy::Sender),
}

impl Tx {
    /// Sends, waiting for room for as long as it takes.
    pub(crate) fn send(&mut self, message: &Message) -> Result<(), SendError> {
        match self {
            Self::Records(tx) => tx.send(message.bytes()),
            Self::Slots(tx) => tx.send(&message.slot()),
            Self::Lossy(tx) => tx.send(message.bytes()).map(drop),
        }
    }

    /// Sends, waiting for room so long at the most.
    pub(crate) fn send_timeout(
        &mut self,
        message: &Message,
        limit: Duration,
    ) -> Result<(), SendTimeoutError> {
        match self {
            Self::Records(tx) => tx.send_timeout(message.bytes(), limit),
            Self::Slots(tx) => tx.send_timeout(&message.slot(), limit),
            Self::Lossy(tx) => match tx.send(message.bytes()) {
                Err(SendError::Closed) => Err(SendTimeoutError::Closed),
                Err(SendError::Corrupt(corrupt)) => Err(SendTimeoutError::Corrupt(corrupt)),
                Err(error) => unreachable!("{error}"),
                Ok(_) => Ok(()),
            },
        }
    }

    /// Loans room and writes the message to it; the loan lasts while `held` runs, and is given up then.
    pub(crate) fn loan(&mut self, message: &Message, held: impl FnOnce()) -> Verdict {
        match self {
            Self::Records(tx) => {
                let mut loan = tx.loan(message.bytes().len())?;
                loan.copy_from_slice(message.bytes());
                held();
            }
            Self::Slots(tx) => {
                let mut loan = tx.loan()?;
                *loan = message.slot();
                held();
            }
            Self::Lossy(_) => return Err("rings that lose messages lend nothing".into()),
        }
        Ok(())
    }

    /// Sends them all at once.
    pub(crate) fn batch(&mut self, messages: &[Message]) -> Verdict {
        match self {
            Self::Records(tx) => {
                let mut batch = tx.batch();
                messages.iter().try_for_each(|message| batch.push(message.bytes()))?;
                batch.send();
            }
            Self::Slots(tx) => {
                let mut batch = tx.batch();
                messages.iter().try_for_each(|message| batch.push(&message.slot()))?;
                batch.send();
            }
            Self::Lossy(_) => return Err("rings that lose messages have no batches".into()),
        }
        Ok(())
    }

    /// Stages messages that nobody will ever see.
    pub(crate) fn stage_and_forget(&mut self, messages: &[Message]) {
        match self {
            Self::Records(tx) => {
                let mut batch = tx.batch();
                let _ = messages.iter().try_for_each(|message| batch.push(message.bytes()));
                std::mem::forget(batch);
            }
            Self::Slots(tx) => {
                let mut batch = tx.batch();
                let _ = messages.iter().try_for_each(|message| batch.push(&message.slot()));
                std::mem::forget(batch);
            }
            Self::Lossy(_) => {}
        }
    }

    pub(crate) fn close(self) -> Result<(), ringway::Error> {
        match self {
            Self::Records(tx) => tx.close(),
            Self::Slots(tx) => tx.close(),
            Self::Lossy(tx) => tx.close(),
        }
    }
}

/// A message as it was received.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Its number, if it is whole.
    pub(crate) number: Result<u64, String>,
    /// Messages that were lost in front of it, as the receiver was told.
    pub(crate) lost: u64,
    /// Whether it says that a killed receiver had taken it, too.
    pub(crate) again: bool,
}

/// A receiving end.
#[derive(Debug)]
pub(crate) enum Rx {
    Records(spsc::Receiver),
    Slots(slots::Receiver<Slot>),
    Lossy(lossy::Receiver),
}

impl Rx {
    /// Receives, waiting so long at the most.
    pub(crate) fn take(&mut self, limit: Duration) -> Result<Taken, RecvTimeoutError> {
        let (number, lost, again) = match self {
            Self::Records(rx) => {
                let received = rx.recv_timeout(limit)?;
                (message::number(&received), 0, received.redelivered())
            }
            Self::Slots(rx) => {
                let received = rx.recv_timeout(limit)?;
                (message::number(received.as_bytes()), 0, received.redelivered())
            }
            Self::Lossy(rx) => {
                let received = rx.recv_timeout(limit)?;
                (message::number(&received), received.lost(), received.redelivered())
            }
        };
        Ok(Taken { number, lost, again })
    }

    /// Receives up to `max` at once, waiting so long at the most, and hands the number of each to `each` before they are
    /// released; those after one that it does not like are left.
    pub(crate) fn take_batch(
        &mut self,
        max: usize,
        limit: Duration,
        each: impl FnMut(Result<u64, String>) -> Verdict,
    ) -> Result<Verdict, RecvTimeoutError> {
        Ok(match self {
            Self::Records(rx) => {
                let batch = rx.recv_batch_timeout(max, limit)?;
                batch.iter().map(|message| message::number(message.bytes())).try_for_each(each)
            }
            Self::Slots(rx) => {
                let batch = rx.recv_batch_timeout(max, limit)?;
                batch.iter().map(|message| message::number(message.as_bytes())).try_for_each(each)
            }
            Self::Lossy(rx) => {
                let received = rx.recv_timeout(limit)?;
                std::iter::once(message::number(&received)).try_for_each(each)
            }
        })
    }

    /// Messages that it passed over when it came, as it says. Rings that lose messages count them as lost.
    pub(crate) fn skipped(&self) -> u64 {
        match self {
            Self::Records(rx) => rx.skipped(),
            Self::Slots(rx) => rx.skipped(),
            Self::Lossy(_) => 0,
        }
    }

    /// Messages that were lost, all in all, as the receiver was told.
    pub(crate) fn lost(&self) -> u64 {
        match self {
            Self::Records(_) | Self::Slots(_) => 0,
            Self::Lossy(rx) => rx.lost(),
        }
    }

    /// Receives, for as long as it takes, without a look at the message; it is held while `held` runs, and released then.
    pub(crate) fn hold(&mut self, held: impl FnOnce()) -> Verdict {
        match self {
            Self::Records(rx) => {
                let _received = rx.recv()?;
                held();
            }
            Self::Slots(rx) => {
                let _received = rx.recv()?;
                held();
            }
            Self::Lossy(rx) => {
                let _received = rx.recv()?;
                held();
            }
        }
        Ok(())
    }

    /// Receives up to `max` at once, without a look at them, and releases them.
    pub(crate) fn pass(&mut self, max: usize) -> Verdict {
        match self {
            Self::Records(rx) => drop(rx.recv_batch(max)?.iter().count()),
            Self::Slots(rx) => drop(rx.recv_batch(max)?.iter().count()),
            Self::Lossy(_) => return Err("rings that lose messages have no batches".into()),
        }
        Ok(())
    }
}
