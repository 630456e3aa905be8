//! crossbeam's `ArrayQueue`: the floor. It does not wait by itself.

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;
use ringway_cli::bench::{Result, Waiting};

use super::ends::{Queue, Receiver, Sender};
use super::spin::Spin;
use super::task::{Task, tasks};
use super::{Contender, Open, SIZE, SLOTS, Shape};
use crate::value::{Exactly, Value};

/// Pushed to and popped from until it works.
pub const ARRAY_QUEUE: Contender = Contender {
    name: "ArrayQueue",
    waiting: Waiting::Spins,
    open: Open::Threads(|shape| open(shape, Spin::of(shape))),
};

/// The same, where who waits yields the CPU at once, to whoever else is on it.
pub const ARRAY_QUEUE_YIELDING: Contender = Contender {
    name: "ArrayQueue, yielding at once",
    waiting: Waiting::Spins,
    open: Open::Threads(|shape| open(shape, Spin::Yield)),
};

fn open(shape: Shape, spin: Spin) -> Result<Vec<Task>> {
    tasks(shape, || Ok(End { queue: Arc::new(ArrayQueue::new(SLOTS)), spin }))
}

/// Either end, for they are the same.
#[derive(Clone, Debug)]
struct End {
    queue: Arc<ArrayQueue<Exactly<SIZE>>>,
    spin: Spin,
}

impl Queue for End {
    type Sender = Self;
    type Receiver = Self;

    fn sender(&self) -> Result<Self> {
        Ok(self.clone())
    }

    fn receiver(&self) -> Result<Self> {
        Ok(self.clone())
    }
}

impl Sender for End {
    #[inline]
    fn send(&mut self, message: &[u8; SIZE]) -> Result<()> {
        self.spin.until(|| self.queue.push(Exactly::of(message)).ok());
        Ok(())
    }
}

impl Receiver for End {
    #[inline]
    fn receive(&mut self, mut read: impl FnMut(&[u8])) -> Result<()> {
        read(self.spin.until(|| self.queue.pop()).message());
        Ok(())
    }
}
