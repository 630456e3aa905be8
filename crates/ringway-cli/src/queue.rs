//! What `send` and `recv` have in common: options, how the queue is made, what its errors mean.

use clap::Args;
use ringway::{
    Error, Peer, Side,
    mpmc::{self, Redelivery},
};

use crate::{
    exit::{Exit, Failure},
    place::Place,
    size,
};

/// Which queue, and how.
#[derive(Debug, Args)]
pub(crate) struct Queue {
    /// Name of the queue; whoever starts first makes it.
    name: String,
    /// How many lines the queue shall hold, at least [default: 1024].
    #[arg(long, value_name = "NUMBER")]
    slots: Option<usize>,
    /// Bytes of the longest line that the queue shall carry: 200, 4K, 1M ... [default: 1K].
    #[arg(long, value_name = "BYTES", value_parser = size::parse)]
    slot_size: Option<usize>,
    /// Lose the oldest line when the queue is full, instead of waiting; `ringway stat` counts them. Said when the queue
    /// is made.
    #[arg(long)]
    overwrite: bool,
    /// Lose what a receiver had when it was killed, instead of giving it to another. Said when the queue is made.
    #[arg(long)]
    at_most_once: bool,
    /// Stay when all on the other side have left or were killed, and wait for others.
    #[arg(long)]
    stay: bool,
    #[command(flatten)]
    place: Place,
}

impl Queue {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn options(&self) -> mpmc::Options {
        let mut options = mpmc::Options::new().names(self.place.names()).stay(self.stay);
        if let Some(slots) = self.slots {
            options = options.slots(slots);
        }
        if let Some(bytes) = self.slot_size {
            options = options.slot_size(bytes);
        }
        // What is not said is as whoever made the queue said.
        if self.overwrite {
            options = options.overwrite(true);
        }
        if self.at_most_once {
            options = options.redelivery(Redelivery::AtMostOnce);
        }
        options
    }
}

/// What an end's error means to whoever typed the command.
pub(crate) fn failure(error: impl Into<Error>) -> Failure {
    match error.into() {
        Error::Closed(Side::Receiver) => Failure::new(
            Exit::Failed,
            "all receivers have left; what was sent stays in the queue, and another `ringway recv` receives it \
             (--stay waits for one)",
        ),
        Error::PeerDied(peer @ Peer { side: Side::Sender, .. }) => Failure::new(
            Exit::PeerDied,
            format!("the last {peer} was killed; what it had sent was received (--stay waits for another)"),
        ),
        Error::PeerDied(peer) => Failure::new(
            Exit::PeerDied,
            format!("the queue is full, and the last {peer} was killed (--stay waits for another)"),
        ),
        error => error.into(),
    }
}
