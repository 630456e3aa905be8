//! Ringway itself: one ring in each direction.

use std::time::Duration;

use ringway::spsc::{Options, Receiver, Sender};
use ringway::{Offer, Wait};

use super::launch::Side;
use super::{CAPACITY, Channel, Error, Message, Result};

/// Messages a publication, where they come in batches.
const BATCH: usize = 16;

/// Bytes of a ring that no second-level cache holds.
const LARGE: usize = 32 << 20;

/// One side of two rings. It copies messages in and reads them in place.
#[derive(Debug)]
pub(super) struct Ring {
    to: Sender,
    from: Receiver,
}

impl Ring {
    /// Opens this side of two rings that wait in this way; `name` tells them from others.
    fn open(side: &mut Side<'_>, name: &str, wait: Wait) -> Result<Self> {
        Self::open_with(side, name, &Options::new().capacity(CAPACITY).wait(wait))
    }

    fn open_with(side: &mut Side<'_>, name: &str, options: &Options) -> Result<Self> {
        let [down, up] = ["DOWN", "UP"].map(|direction| format!("RINGWAY_BENCH_{name}_{direction}"));
        match side {
            Side::Parent(launch) => {
                let offer = || options.offer().map_err(Error::other);
                let (to, from) = (offer()?, offer()?);
                let ring = Self::attach(options, &to, &from)?;
                launch.pass_rings((&up, from), (&down, to))?;
                Ok(ring)
            }
            Side::Child => {
                let offer = |key: &str| Offer::from_env(key).map_err(Error::other);
                Self::attach(options, &offer(&up)?, &offer(&down)?)
            }
        }
    }

    fn attach(options: &Options, to: &Offer, from: &Offer) -> Result<Self> {
        let to = options.sender_of(to).map_err(Error::other)?;
        let from = options.receiver_of(from).map_err(Error::other)?;
        Ok(Self { to, from })
    }
}

/// Rings that never sleep.
pub(super) fn spinning(side: &mut Side<'_>) -> Result<Ring> {
    Ring::open(side, "SPIN", Wait::Spin)
}

/// Rings that never sleep, of [`LARGE`] each.
pub(super) fn large(side: &mut Side<'_>) -> Result<Ring> {
    Ring::open_with(side, "LARGE", &Options::new().capacity(LARGE).wait(Wait::Spin))
}

/// Rings that spin before they sleep.
pub(super) fn parking(side: &mut Side<'_>) -> Result<Ring> {
    Ring::open(side, "PARK", Wait::default())
}

/// Rings that sleep at once.
pub(super) fn sleeping(side: &mut Side<'_>) -> Result<Ring> {
    Ring::open(side, "SLEEP", Wait::Park { spin: Duration::ZERO })
}

/// Rings that never sleep and publish several messages at once.
pub(super) fn batching(side: &mut Side<'_>) -> Result<Batches> {
    Ring::open(side, "BATCH", Wait::Spin).map(Batches)
}

impl<const N: usize> Channel<N> for Ring {
    fn send(&mut self, message: &mut Message<N>) -> Result<()> {
        self.to.send(message.compose()).map_err(Error::other)
    }

    fn receive(&mut self, message: &mut Message<N>) -> Result<()> {
        message.check(&self.from.recv().map_err(Error::other)?)
    }
}

/// A [`Ring`] whose messages go out and come in several at once where they can.
#[derive(Debug)]
pub(super) struct Batches(Ring);

impl<const N: usize> Channel<N> for Batches {
    fn send(&mut self, message: &mut Message<N>) -> Result<()> {
        self.0.send(message)
    }

    fn receive(&mut self, message: &mut Message<N>) -> Result<()> {
        self.0.receive(message)
    }

    fn send_all(&mut self, message: &mut Message<N>, mut count: u64) -> Result<()> {
        while count > 0 {
            let mut batch = self.0.to.batch();
            let mut fits = true;
            while fits && count > 0 && batch.len() < BATCH {
                fits = batch.push(message.compose()).is_ok();
                count -= 1;
            }
            batch.send();
            if !fits {
                // A batch does not wait for room. If it was something else, this says so.
                self.0.to.send(message.composed()).map_err(Error::other)?;
            }
        }
        Ok(())
    }

    fn receive_all(&mut self, message: &mut Message<N>, mut count: u64) -> Result<()> {
        while count > 0 {
            let batch = self.0.from.recv_batch(BATCH).map_err(Error::other)?;
            for arrived in batch.iter() {
                message.check(arrived.bytes())?;
                count -= 1;
            }
        }
        Ok(())
    }
}
