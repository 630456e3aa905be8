//! Ringway's queue.

use ringway::mpmc::{Options, Receiver, Sender};
use ringway::{Offer, TryRecvError, TrySendError, Wait};
use ringway_cli::bench::{Error, Message, Result, Waiting};

use super::spin::Spin;
use super::task::{Task, task, tasks};
use super::{Between, Contender, Open, SIZE, SLOTS, Shape, ends};

/// Tried until it works, as all that spins.
pub const QUEUE: Contender = Contender {
    name: "queue, spinning",
    waiting: Waiting::Spins,
    open: Open::Threads(|shape| between_threads::<1>(shape, Some(Spin::of(shape)))),
};

/// The same, where who waits yields the CPU at once, to whoever else is on it.
pub const QUEUE_YIELDING: Contender = Contender {
    name: "queue, yielding at once",
    waiting: Waiting::Spins,
    open: Open::Threads(|shape| between_threads::<1>(shape, Some(Spin::Yield))),
};

/// It waits by itself.
pub const QUEUE_PARK: Contender = Contender {
    name: "queue, able to sleep",
    waiting: Waiting::SpinsThenSleeps,
    open: Open::Threads(|shape| between_threads::<1>(shape, None)),
};

/// [`QUEUE`], up to 16 messages at once. A batch may have several goodbyes in it, so this is for one sender and one receiver.
pub const QUEUE_BATCH: Contender = Contender {
    name: "queue, batches of 16",
    waiting: Waiting::Spins,
    open: Open::Threads(|shape| between_threads::<16>(shape, Some(Spin::of(shape)))),
};

/// [`QUEUE`], between processes.
pub const QUEUE_PROCESSES: Contender = Contender {
    name: "queue, spinning, processes",
    waiting: Waiting::Spins,
    open: Open::Processes(Between {
        offer: |shape, members| {
            (0..shape.queues()).try_for_each(|queue| {
                let offer = options::<1>(Some(Spin::of(shape))).offer().map_err(Error::other)?;
                Ok(members.iter_mut().try_for_each(|member| offer.give_to(member, &key(queue)))?)
            })
        },
        attach: |shape, member| {
            let offered = |queue| {
                let offer = Offer::from_env(&key(queue)).map_err(Error::other)?;
                Ok(Offered { offer, spin: Spin::of(shape) })
            };
            task(shape, member, &(0..shape.queues()).map(offered).collect::<Result<Vec<_>>>()?)
        },
    }),
};

fn key(queue: usize) -> String {
    format!("RINGWAY_QUEUES_QUEUE_{queue}")
}

/// A queue whose ends never sleep, where they spin; for so many messages, of which so many may share a slot.
fn options<const BATCH: usize>(spin: Option<Spin>) -> Options {
    let wait = if spin.is_some() { Wait::Spin } else { Wait::default() };
    let size = if BATCH == 1 { SIZE } else { BATCH * (SIZE + 8) };
    Options::new().slots(SLOTS / BATCH).slot_size(size).wait(wait)
}

fn between_threads<const BATCH: usize>(shape: Shape, spin: Option<Spin>) -> Result<Vec<Task>> {
    tasks(shape, || {
        let (sender, receiver) = options::<BATCH>(spin).pair().map_err(Error::other)?;
        Ok(Pair::<BATCH> { sender, receiver, spin })
    })
}

/// A queue between threads: each member has a clone of an end.
#[derive(Debug)]
struct Pair<const BATCH: usize> {
    sender: Sender,
    receiver: Receiver,
    spin: Option<Spin>,
}

impl<const BATCH: usize> ends::Queue for Pair<BATCH> {
    type Sender = End<Sender, BATCH>;
    type Receiver = End<Receiver, BATCH>;

    fn sender(&self) -> Result<Self::Sender> {
        Ok(End { end: self.sender.clone(), spin: self.spin })
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        Ok(End { end: self.receiver.clone(), spin: self.spin })
    }
}

/// A queue between processes: each member attaches an end.
#[derive(Debug)]
struct Offered {
    offer: Offer,
    spin: Spin,
}

impl ends::Queue for Offered {
    type Sender = End<Sender, 1>;
    type Receiver = End<Receiver, 1>;

    fn sender(&self) -> Result<Self::Sender> {
        let spin = Some(self.spin);
        Ok(End { end: options::<1>(spin).sender_of(&self.offer).map_err(Error::other)?, spin })
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        let spin = Some(self.spin);
        Ok(End { end: options::<1>(spin).receiver_of(&self.offer).map_err(Error::other)?, spin })
    }
}

/// An end that handles up to `BATCH` messages at once; without a way to spin it waits by itself.
#[derive(Debug)]
struct End<E, const BATCH: usize> {
    end: E,
    spin: Option<Spin>,
}

impl<const BATCH: usize> ends::Sender for End<Sender, BATCH> {
    #[inline]
    fn send(&mut self, message: &[u8; SIZE]) -> Result<()> {
        match self.spin {
            // It spins by itself.
            None | Some(Spin::Hint | Spin::BackOff) => match self.end.send(message) {
                Ok(()) => Ok(()),
                Err(error) => failed(error),
            },
            Some(spin) => spin.until(|| match self.end.try_send(message) {
                Err(TrySendError::Full | TrySendError::Exhausted(_)) => None,
                sent => Some(sent.map_err(Error::other)),
            }),
        }
    }

    #[inline]
    fn send_many(&mut self, message: &mut Message<SIZE>, mut count: u64) -> Result<()> {
        while count > 0 {
            if BATCH == 1 {
                self.send(message.compose())?;
                count -= 1;
                continue;
            }
            let mut batch = self.end.batch();
            let mut fits = true;
            while fits && count > 0 && batch.len() < BATCH {
                fits = batch.push(message.compose()).is_ok();
                count -= 1;
            }
            batch.send();
            if !fits {
                // A batch does not wait for room. If it was something else, this says so.
                self.send(message.composed())?;
            }
        }
        Ok(())
    }
}

impl<const BATCH: usize> ends::Receiver for End<Receiver, BATCH> {
    #[inline]
    fn receive(&mut self, mut read: impl FnMut(&[u8])) -> Result<()> {
        match self.spin {
            None | Some(Spin::Hint | Spin::BackOff) if BATCH == 1 => match self.end.recv() {
                Ok(received) => read(&received),
                Err(error) => return failed(error),
            },
            Some(spin) if BATCH == 1 => read(&spin.until(|| there(self.end.try_recv()))?),
            None | Some(Spin::Hint | Spin::BackOff) => match self.end.recv_batch(BATCH) {
                Ok(batch) => batch.iter().for_each(|message| read(message.bytes())),
                Err(error) => return failed(error),
            },
            Some(spin) => {
                let batch = spin.until(|| there(self.end.try_recv_batch(BATCH)))?;
                batch.iter().for_each(|message| read(message.bytes()));
            }
        }
        Ok(())
    }
}

/// Why nothing was sent, or received. Converted in place it would keep messages out of registers.
#[cold]
#[inline(never)]
fn failed(error: impl Into<ringway::Error>) -> Result<()> {
    Err(Error::other(error.into()))
}

/// What was received; nothing, if there was nothing.
#[inline]
fn there<T>(tried: std::result::Result<T, TryRecvError>) -> Option<Result<T>> {
    match tried {
        Err(TryRecvError::Empty) => None,
        tried => Some(tried.map_err(Error::other)),
    }
}
