//! Queues of every kind, and their ends, as a test sees them.

use std::{fs::File, time::Duration};

use ringway::{
    AttachError, Backend, Error, Names, Offer, RecvTimeoutError, SendError, SendTimeoutError, Side,
    TrySendError, Wait,
    inspect::{self, Participant},
    mpmc::{Access, Message, Options, Receiver, Redelivery, Sender, Slots, SoleReceiver, SoleSender},
};
use tempfile::TempDir;

use crate::{killing::Verdict, map::Map, message};

/// How many slots there are: as few as fill a page, so that a lap is short.
pub(crate) const SLOTS: u64 = 8;
/// Bytes of a slot.
pub(crate) const SIZE: usize = 512;

/// What kind of queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Kind {
    /// What a killed receiver held does not come again.
    pub(crate) once: bool,
    /// A sender that finds no slot loses the oldest message.
    pub(crate) overwrites: bool,
    /// The side that has one end at a time.
    pub(crate) sole: Option<Side>,
}

impl Kind {
    /// Whether a message that was sent may be lost, and is counted then.
    pub(crate) fn loses(self) -> bool {
        self.once || self.overwrites
    }
}

/// A queue that is there, or will be once an end of it is taken.
pub(crate) struct Queue {
    options: Options,
    sole: Option<Side>,
    place: Place,
}

enum Place {
    Memfd(Offer),
    Named(TempDir, ringway::Place),
}

impl Queue {
    /// A queue of this kind, whose ends wait so; with a name, it is made by the first who comes.
    pub(crate) fn new(kind: Kind, named: bool, wait: Wait) -> Verdict<Self> {
        let again = if kind.once { Redelivery::AtMostOnce } else { Redelivery::AtLeastOnce };
        let options = Options::new().slots(SLOTS as usize).slot_size(SIZE).wait(wait);
        let options = options.redelivery(again).overwrite(kind.overwrites);
        let place = if named {
            let dir = tempfile::tempdir_in("/dev/shm")?;
            let place = Names::in_dir(dir.path()).at("killed")?;
            Place::Named(dir, place)
        } else {
            Place::Memfd(match kind.sole {
                None => options.offer()?,
                Some(Side::Sender) => options.clone().sole_sender().offer()?,
                Some(Side::Receiver) => options.clone().sole_receiver().offer()?,
            })
        };
        Ok(Self { options, sole: kind.sole, place })
    }

    fn place(&self) -> &dyn Backend {
        match &self.place {
            Place::Memfd(offer) => offer,
            Place::Named(_, place) => place,
        }
    }

    pub(crate) fn sender(&self) -> Result<Tx, AttachError> {
        let (options, place) = (self.options.clone(), self.place());
        Ok(match self.sole {
            None => Tx::Many(options.sender_at(place)?),
            Some(Side::Sender) => Tx::Sole(options.sole_sender().sender_at(place)?),
            Some(Side::Receiver) => Tx::Many(options.sole_receiver().sender_at(place)?),
        })
    }

    pub(crate) fn receiver(&self) -> Result<Rx, AttachError> {
        let (options, place) = (self.options.clone(), self.place());
        Ok(match self.sole {
            None => Rx::Many(options.receiver_at(place)?),
            Some(Side::Sender) => Rx::Many(options.sole_sender().receiver_at(place)?),
            Some(Side::Receiver) => Rx::Sole(options.sole_receiver().receiver_at(place)?),
        })
    }

    /// What is to be seen of it; an error if it has a name and is not there.
    pub(crate) fn status(&self) -> Verdict<inspect::Queue> {
        let status = match &self.place {
            Place::Memfd(offer) => inspect::offered(offer)?,
            Place::Named(_, place) => inspect::at(place)?,
        };
        Ok(status.queue.ok_or("no queue")?)
    }

    /// Whether anybody who takes part is as asked. Nobody takes part in a queue that is not there.
    pub(crate) fn has(&self, is_so: impl Fn(&Participant) -> bool) -> bool {
        self.status().is_ok_and(|queue| queue.participants.iter().any(is_so))
    }

    /// Its memory, to look at; `None` as long as it has none.
    pub(crate) fn map(&self) -> Option<Map> {
        match &self.place {
            Place::Memfd(offer) => Some(Map::of(offer)),
            Place::Named(_, place) => File::open(place.path()).ok().map(|file| Map::of(&file)),
        }
    }

    /// How many things lie where its name does; 0 for one without a name.
    pub(crate) fn files(&self) -> usize {
        match &self.place {
            Place::Memfd(_) => 0,
            Place::Named(dir, _) => std::fs::read_dir(dir.path()).map_or(0, Iterator::count),
        }
    }

    /// All have left in good order and nothing was pending: a name is gone, and nothing lies where it was.
    pub(crate) fn left_nothing(self) -> Verdict {
        match self.files() {
            0 => Ok(()),
            files => Err(format!("{files} files were left behind").into()),
        }
    }
}

/// A sending end.
#[derive(Debug)]
pub(crate) enum Tx {
    Many(Sender),
    Sole(SoleSender),
}

impl Tx {
    /// Sends, waiting for a slot for as long as it takes.
    pub(crate) fn send(&self, message: &message::Message) -> Result<(), SendError> {
        match self {
            Self::Many(tx) => tx.send(message.bytes()),
            Self::Sole(tx) => tx.send(message.bytes()),
        }
    }

    /// Sends, waiting for a slot so long at the most.
    pub(crate) fn send_timeout(
        &self,
        message: &message::Message,
        limit: Duration,
    ) -> Result<(), SendTimeoutError> {
        match self {
            Self::Many(tx) => tx.send_timeout(message.bytes(), limit),
            Self::Sole(tx) => tx.send_timeout(message.bytes(), limit),
        }
    }

    /// Borrows a slot and writes the message to it; it is lent while `held` runs, and given back then.
    pub(crate) fn loan(&self, message: &message::Message, held: impl FnOnce()) -> Verdict {
        match self {
            Self::Many(tx) => loan(tx, message, held),
            Self::Sole(tx) => loan(tx, message, held),
        }
    }

    /// Borrows a slot, waiting for it so long at the most, and gives it back.
    pub(crate) fn borrow(&self, limit: Duration) -> Result<(), SendTimeoutError> {
        match self {
            Self::Many(tx) => tx.loan_timeout(SIZE, limit).map(drop),
            Self::Sole(tx) => tx.loan_timeout(SIZE, limit).map(drop),
        }
    }

    /// Sends them all at once.
    pub(crate) fn batch(&self, messages: &[message::Message]) -> Result<(), TrySendError> {
        match self {
            Self::Many(tx) => batch(tx, messages),
            Self::Sole(tx) => batch(tx, messages),
        }
    }

    pub(crate) fn slots(&self) -> Slots {
        match self {
            Self::Many(tx) => tx.slots(),
            Self::Sole(tx) => tx.slots(),
        }
    }

    pub(crate) fn close(self) -> Result<(), Error> {
        match self {
            Self::Many(tx) => tx.close(),
            Self::Sole(tx) => tx.close(),
        }
    }
}

fn loan<A: Access>(tx: &Sender<A>, message: &message::Message, held: impl FnOnce()) -> Verdict {
    let mut loan = tx.loan(message.bytes().len())?;
    loan.copy_from_slice(message.bytes());
    held();
    Ok(())
}

fn batch<A: Access>(tx: &Sender<A>, messages: &[message::Message]) -> Result<(), TrySendError> {
    let mut batch = tx.batch();
    messages.iter().try_for_each(|message| batch.push(message.bytes()))?;
    batch.send();
    Ok(())
}

/// A message as it was received.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Its number, if it is whole.
    pub(crate) number: Result<u64, String>,
    /// Whether it says that a killed receiver had taken it, too.
    pub(crate) again: bool,
}

/// A receiving end.
#[derive(Debug)]
pub(crate) enum Rx {
    Many(Receiver),
    Sole(SoleReceiver),
}

impl Rx {
    /// Receives, waiting so long at the most.
    pub(crate) fn take(&self, limit: Duration) -> Result<Taken, RecvTimeoutError> {
        let mut had = None;
        self.take_with(limit, |taken| {
            had = Some(taken);
            false
        })?;
        Ok(had.expect("it was received"))
    }

    /// The same, with a look at the message before it is released, or goes back, as `goes_back` says.
    pub(crate) fn take_with(
        &self,
        limit: Duration,
        goes_back: impl FnOnce(Taken) -> bool,
    ) -> Result<(), RecvTimeoutError> {
        let received = match self {
            Self::Many(rx) => rx.recv_timeout(limit)?,
            Self::Sole(rx) => rx.recv_timeout(limit)?,
        };
        if goes_back(Taken { number: message::number(&received), again: received.redelivered() }) {
            received.put_back();
        }
        Ok(())
    }

    /// Receives up to `max` at once, waiting so long at the most, with a look at each before they are released.
    pub(crate) fn take_batch(
        &self,
        max: usize,
        limit: Duration,
        look: impl FnMut(Taken),
    ) -> Result<(), RecvTimeoutError> {
        match self {
            Self::Many(rx) => take_batch(rx, max, limit, look),
            Self::Sole(rx) => take_batch(rx, max, limit, look),
        }
    }

    /// Receives, for as long as it takes; the message is held while `held` runs, and whole then. It is released; or goes back.
    pub(crate) fn hold(&self, goes_back: bool, held: impl FnOnce()) -> Verdict {
        let received = match self {
            Self::Many(rx) => rx.recv()?,
            Self::Sole(rx) => rx.recv()?,
        };
        held();
        message::number(&received)?;
        if goes_back {
            received.put_back();
        }
        Ok(())
    }

    /// Receives up to `max` at once, without a look at them. Then they are released; or go back.
    pub(crate) fn pass(&self, max: usize, go_back: bool) -> Verdict {
        match self {
            Self::Many(rx) => pass(rx, max, go_back),
            Self::Sole(rx) => pass(rx, max, go_back),
        }
    }

    /// Whether there is nothing to take.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Many(rx) => rx.is_empty(),
            Self::Sole(rx) => rx.is_empty(),
        }
    }

    /// Messages that were lost since the queue's birth.
    pub(crate) fn lost(&self) -> u64 {
        match self {
            Self::Many(rx) => rx.lost(),
            Self::Sole(rx) => rx.lost(),
        }
    }
}

fn take_batch<A: Access>(
    rx: &Receiver<A>,
    max: usize,
    limit: Duration,
    look: impl FnMut(Taken),
) -> Result<(), RecvTimeoutError> {
    let batch = rx.recv_batch_timeout(max, limit)?;
    let taken = |message: Message<'_>| Taken {
        number: message::number(message.bytes()),
        again: message.redelivered(),
    };
    batch.iter().map(taken).for_each(look);
    Ok(())
}

fn pass<A: Access>(rx: &Receiver<A>, max: usize, go_back: bool) -> Verdict {
    let batch = rx.recv_batch(max)?;
    if !go_back {
        batch.iter().for_each(drop);
    }
    Ok(())
}
