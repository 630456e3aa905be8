//! Ringway's ring of slots, which has one sender and one receiver: what having many of them costs. And as it crosses from
//! process to process as well as from thread to thread, it tells these apart.

use ringway::spsc::slots::{Options, Receiver, Sender};
use ringway::{Offer, Wait};
use ringway_cli::bench::{Error, Result, Waiting};

use super::task::{task, tasks};
use super::{Between, Contender, Open, SIZE, SLOTS, ends};

/// Between threads.
pub const RING: Contender = Contender {
    name: "ring of slots, threads",
    waiting: Waiting::Spins,
    open: Open::Threads(|shape| tasks(shape, || Ok(Ring(offer()?)))),
};

/// Between processes.
pub const RING_PROCESSES: Contender = Contender {
    name: "ring of slots, processes",
    waiting: Waiting::Spins,
    open: Open::Processes(Between {
        offer: |shape, members| {
            (0..shape.queues()).try_for_each(|queue| {
                let offer = offer()?;
                Ok(members.iter_mut().try_for_each(|member| offer.give_to(member, &key(queue)))?)
            })
        },
        attach: |shape, member| {
            let ring = |queue| Offer::from_env(&key(queue)).map(Ring).map_err(Error::other);
            task(shape, member, &(0..shape.queues()).map(ring).collect::<Result<Vec<_>>>()?)
        },
    }),
};

fn key(queue: usize) -> String {
    format!("RINGWAY_QUEUES_RING_{queue}")
}

fn options() -> Options {
    Options::new().capacity(SLOTS).wait(Wait::Spin)
}

fn offer() -> Result<Offer> {
    options().offer::<[u8; SIZE]>().map_err(Error::other)
}

#[derive(Debug)]
struct Ring(Offer);

impl ends::Queue for Ring {
    type Sender = Sender<[u8; SIZE]>;
    type Receiver = Receiver<[u8; SIZE]>;

    fn sender(&self) -> Result<Self::Sender> {
        options().sender_of(&self.0).map_err(Error::other)
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        options().receiver_of(&self.0).map_err(Error::other)
    }
}

impl ends::Sender for Sender<[u8; SIZE]> {
    #[inline]
    fn send(&mut self, message: &[u8; SIZE]) -> Result<()> {
        Sender::send(self, message).map_err(Error::other)
    }
}

impl ends::Receiver for Receiver<[u8; SIZE]> {
    #[inline]
    fn receive(&mut self, mut read: impl FnMut(&[u8])) -> Result<()> {
        read(&*self.recv().map_err(Error::other)?);
        Ok(())
    }
}
