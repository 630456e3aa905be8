//! Killed at every instruction: a participant of a queue.
//!
//! As in `tests/killed`, with what that has for it: a *victim* is brought to one point of an operation after the other, and
//! SIGKILLed there. The others are ends of this process, each a participant; one may be asleep; one more may have died before the victim,
//! with something in hand; and somebody new comes, in some operations before anybody has looked, so that it takes the dead one's
//! line.
//!
//! After each kill: the kernel says that the line is free; whoever sleeps wakes for what there is, though nobody calls anything; every
//! message that was committed comes, whole, once, in order; those that a dead one had taken and not released come again, marked, and
//! no others do, or they are counted as lost, and no others are; a receiver is told of a death only if it was the last
//! sender's; all slots are free again, and nobody takes part but the living, who go around the queue, each with each, and part in good order.
//!
//! # The commands
//!
//! `cargo test` does a part of it in seconds. The whole, with a table of the points for each operation:
//!
//! ```text
//! cargo test -p ringway --test killed_queue -- --ignored --nocapture
//! ```
//!
//! # Files
//!
//! | file | what |
//! |---|---|
//! | `operation` | the operations, and in what state of the queue |
//! | `survivor`, `ledger` | the others, and what is promised to them; what they have received |
//! | `queue` | queues of every kind, and their ends |
//!
//! The rest is `tests/killed`'s; it finds here, by name, what an operation, a survivor and a [`Ring`] are.

mod ledger;
mod operation;
mod queue;
mod survivor;

#[path = "../killed/child.rs"]
#[allow(dead_code, reason = "nobody kills itself here")]
mod child;
#[path = "../killed/killing.rs"]
mod killing;
#[path = "../killed/map.rs"]
mod map;
#[path = "../killed/message.rs"]
#[allow(dead_code, reason = "rings of slots have messages of their own")]
mod message;
#[path = "../killed/plan.rs"]
mod plan;
#[path = "../killed/report.rs"]
mod report;
#[path = "../killed/sleeper.rs"]
mod sleeper;
#[path = "../killed/stepper.rs"]
mod stepper;
#[path = "../killed/watchdog.rs"]
mod watchdog;

use std::time::Duration;

use plan::Effort;
use queue::Queue as Ring;

/// How soon survivors get on.
const PROGRESS: Duration = Duration::from_secs(2);

#[test]
fn killed_in_the_midst_of_any_operation_a_process_takes_nobody_and_nothing_with_it() {
    report::kill_everywhere(Effort::Quick);
}

#[test]
#[ignore = "takes minutes"]
fn killed_at_every_instruction_a_process_takes_nobody_and_nothing_with_it() {
    report::kill_everywhere(Effort::Whole);
}
