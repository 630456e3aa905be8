//! Every history of the queue is one that a queue could have had in one order: it is *linearizable*.
//!
//! Processes send and receive, with several threads each, and write down each operation: when it was called, when it came back, and
//! what it did. A checker then looks for what no order of the operations explains.
//!
//! # What is written down
//!
//! - A **send**: of one message by a copy, or a loan's `send` (filling it is no part of it), or a batch's, which is one send for each of
//!   its messages.
//! - A **receive**. Messages that share a slot are taken together, by the call that returns the first of them: the receives of the
//!   others begin when that one's does, though later calls return them.
//! - That there was **nothing**: `Empty`, the one that a timeout ends with, and `Closed`. Each is said to be exact: at some instant of
//!   the call nothing was in the queue.
//! - A **put back**: one more send of the same message, behind all others.
//!
//! *Full* is left out: it is weak, and said to be.
//!
//! # Files
//!
//! | file | what |
//! |---|---|
//! | `history` | what was done, and what of it no queue does |
//! | `oracle` | the same, by trying all orders, for histories of a few operations: it holds the checker to the definition |
//! | `clock` | one time for all processes |
//! | `record` | what a thread has done, on its way to the checker |
//! | `play` | the processes |

mod clock;
mod history;
mod oracle;
mod play;
#[path = "../killed/random.rs"]
mod random;
mod record;
#[path = "../support/mod.rs"]
mod support;

use play::{Ends, Game};
use ringway::Wait;
use std::time::{Duration, Instant};

const SLEEP: Wait = Wait::Park { spin: Duration::ZERO };

/// Plays each game with so many messages, and has its history checked. How many operations there were.
fn check(messages: u64) -> usize {
    let games = [
        // Slots are scarce: senders wait, receivers find nothing, laps go by.
        Game { slots: 2, size: 2048, wait: Wait::default(), ends: Ends::Many, messages: messages / 4 },
        Game { slots: 8, size: 512, wait: SLEEP, ends: Ends::Many, messages: messages / 4 },
        Game { slots: 64, size: 64, wait: Wait::default(), ends: Ends::Many, messages },
        Game { slots: 1024, size: 64, wait: Wait::default(), ends: Ends::Many, messages },
        Game { slots: 64, size: 64, wait: Wait::default(), ends: Ends::SoleSender, messages },
        Game { slots: 64, size: 64, wait: Wait::default(), ends: Ends::SoleReceiver, messages },
        Game { slots: 64, size: 64, wait: Wait::default(), ends: Ends::Sole, messages },
    ];
    let mut operations = 0;
    for game in games {
        let start = Instant::now();
        let history = game.play();
        let (played, start) = (start.elapsed(), Instant::now());
        let tally = history::check(&history).unwrap_or_else(|wrong| panic!("{game:?}: {wrong}"));
        eprintln!("{game:?}: {tally}; {played:.1?}, checked in {:.1?}", start.elapsed());
        assert!(tally.is_telling(), "{game:?}: something did not happen at all: {tally}");
        operations += history.len();
    }
    eprintln!("{operations} operations");
    operations
}

#[test]
fn a_million_operations_of_several_processes_are_those_of_a_queue() {
    assert!(check(100_000) >= 1_000_000);
}

#[test]
#[ignore = "takes minutes"]
fn twenty_million_operations_of_several_processes_are_those_of_a_queue() {
    assert!(check(1_900_000) >= 20_000_000);
}
