//! The queue as its users see it.
//!
//! | file | what |
//! |---|---|
//! | `ends` | sending, receiving, waiting, leaving, coming back: what users of `crossbeam-channel` expect |
//! | `slots` | loans and messages that are held, in other threads, for long, or are forgotten; when all slots are in somebody's hands |
//! | `batches` | messages that share slots, or do not fit |
//! | `policies` | overwriting, ends that are the only ones, and what is refused who asks for something else |
//! | `places` | wherever a queue can live, and what becomes of its name |
//! | `processes` | forks; more processes than lines |
//! | `hostile` | somebody writes anything anywhere |
//!
//! That an end is not used after it was closed needs no test: `close` takes it, and messages and loans borrow it, so what would use it
//! does not compile.

mod batches;
mod ends;
mod hostile;
mod places;
mod policies;
mod processes;
mod slots;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use ringway::{
    Names, Wait,
    mpmc::{Options, Receiver, Sender},
};
use tempfile::TempDir;

const SLEEP: Wait = Wait::Park { spin: Duration::ZERO };
const WAITS: [Wait; 3] = [SLEEP, Wait::Park { spin: Duration::from_micros(50) }, Wait::Spin];

/// Slots of the queues here, and the longest message: as small as a queue can be.
const SLOTS: usize = 4;
const SIZE: usize = 1024;

fn options() -> Options {
    Options::new().slots(SLOTS).slot_size(SIZE).wait(SLEEP)
}

fn pair() -> (Sender, Receiver) {
    options().pair().unwrap()
}

/// A directory for names of its own.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir_in("/dev/shm").unwrap())
    }

    fn options(&self) -> Options {
        options().names(Names::in_dir(self.0.path()))
    }

    fn is_empty(&self) -> bool {
        std::fs::read_dir(self.0.path()).unwrap().next().is_none()
    }
}

/// The messages that are there, each of one byte.
fn all(rx: &Receiver) -> Vec<u8> {
    rx.try_iter().map(|message| message.unwrap()[0]).collect()
}
