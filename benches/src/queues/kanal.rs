//! `kanal`, bounded: a queue behind a lock that is spun for.

use kanal::{Receiver, Sender, bounded};
use ringway_cli::bench::{Error, Result, Waiting};

use super::task::tasks;
use super::{Contender, Open, SIZE, SLOTS, ends};
use crate::value::{Exactly, Value};

/// It spins and yields for a while, then parks.
pub const KANAL: Contender = Contender {
    name: "kanal",
    waiting: Waiting::SpinsThenSleeps,
    open: Open::Threads(|shape| tasks(shape, || Ok(Channel(bounded(SLOTS))))),
};

#[derive(Debug)]
struct Channel((Sender<Exactly<SIZE>>, Receiver<Exactly<SIZE>>));

impl ends::Queue for Channel {
    type Sender = Sender<Exactly<SIZE>>;
    type Receiver = Receiver<Exactly<SIZE>>;

    fn sender(&self) -> Result<Self::Sender> {
        Ok(self.0.0.clone())
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        Ok(self.0.1.clone())
    }
}

impl ends::Sender for Sender<Exactly<SIZE>> {
    #[inline]
    fn send(&mut self, message: &[u8; SIZE]) -> Result<()> {
        Sender::send(self, Exactly::of(message)).map_err(Error::other)
    }
}

impl ends::Receiver for Receiver<Exactly<SIZE>> {
    #[inline]
    fn receive(&mut self, mut read: impl FnMut(&[u8])) -> Result<()> {
        read(self.recv().map_err(Error::other)?.message());
        Ok(())
    }
}
