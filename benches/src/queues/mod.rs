//! Queues that many send to and many receive from, beside each other.
//!
//! The harness has two sides; here there are as many as it takes. A *crew* of threads, or of processes, is told slice by
//! slice which [`Contender`] to use, and for how long. What each of its members does follows from the [`Shape`]. A
//! [`Contest`] has contenders take turns and holds them to its bars.
//!
//! A slice ends by messages. Senders look at the clock now and then; when it is time each says goodbye, by a message that
//! says so, and a receiver leaves with the first goodbye it gets. There are as many of the ones as of the others, and
//! a queue keeps order, so all of them leave, the last one with the last message, and the queue is empty. Nobody has to be
//! woken, and every message is sent and received as in a program that never stops.

mod array_queue;
mod contest;
mod crew;
mod crossbeam;
mod ends;
mod kanal;
mod mpmc;
mod ring;
mod shape;
mod spin;
mod task;
mod window;

use std::process::Command;

use ringway_cli::bench::{Result, Waiting};

pub use array_queue::{ARRAY_QUEUE, ARRAY_QUEUE_YIELDING};
pub use contest::{Contest, hold};
pub use crew::serve_if_member;
pub use crossbeam::CROSSBEAM;
pub use kanal::KANAL;
pub use mpmc::{QUEUE, QUEUE_BATCH, QUEUE_PARK, QUEUE_PROCESSES, QUEUE_YIELDING};
pub use ring::{RING, RING_PROCESSES};
pub use shape::Shape;

use task::Task;

/// Bytes of a message.
const SIZE: usize = 64;
/// Messages that a queue holds.
const SLOTS: usize = 1024;

/// A queue that takes part.
#[derive(Clone, Copy, Debug)]
pub struct Contender {
    /// What tables call it. No other one has this name.
    pub name: &'static str,
    /// What its ends do while they wait.
    pub waiting: Waiting,
    open: Open,
}

/// How what members do with a contender comes to be.
#[derive(Clone, Copy, Debug)]
enum Open {
    /// Members are threads: a task for each of them.
    Threads(fn(Shape) -> Result<Vec<Task>>),
    /// Members are processes.
    Processes(Between),
}

/// How a contender reaches processes.
#[derive(Clone, Copy, Debug)]
struct Between {
    /// Makes its queues and gives them to the members, which are about to be started.
    offer: fn(Shape, &mut [Command]) -> Result<()>,
    /// In a member of this number: takes what was given, and makes its task of it.
    attach: fn(Shape, usize) -> Result<Task>,
}
