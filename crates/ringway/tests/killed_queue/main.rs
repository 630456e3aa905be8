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
//! # Four under load
//!
//! Two that send and two that receive, in every way there is, are killed at random moments, one or several at a time, tens of thousands of
//! times, and replaced. Of each message it is marked, in memory that outlives them, what was done with it; so each is accounted for. In the
//! same way one is stopped for a while.
//!
//! # Stopped
//!
//! A victim is stopped at each instruction of a send and of a receive that changes the queue, and two others go on; then the victim does.
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
//! | `load`, `log` | four under load; what they mark |
//! | `stopped` | one that is stopped, and two others |
//! | `queue` | queues of every kind, and their ends |
//!
//! The rest is `tests/killed`'s; it finds here, by name, what an operation, a survivor and a [`Ring`] are.

mod ledger;
mod load;
mod log;
mod operation;
mod queue;
mod stopped;
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
#[path = "../killed/random.rs"]
mod random;
#[path = "../killed/report.rs"]
mod report;
#[path = "../killed/sleeper.rs"]
mod sleeper;
#[path = "../killed/stepper.rs"]
mod stepper;
#[path = "../killed/watchdog.rs"]
mod watchdog;

use std::time::{Duration, Instant};

use load::Load;
use plan::Effort;
use queue::{Kind, Queue as Ring};
use ringway::{Side, Wait};
use watchdog::Turn;

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

/// Kills so many under load, of each kind of queue, whose ends sleep at once, or spin first.
fn kill_at_random(kills: u64) {
    const SLEEP: Wait = Wait::Park { spin: Duration::ZERO };
    let _turn = Turn::take();
    let kind = Kind::default();
    let loads = [
        (kind, false, SLEEP),
        (kind, true, Wait::default()),
        (Kind { once: true, ..kind }, false, Wait::default()),
        (Kind { overwrites: true, ..kind }, false, SLEEP),
        (Kind { sole: Some(Side::Sender), ..kind }, false, SLEEP),
        (Kind { sole: Some(Side::Receiver), ..kind }, false, Wait::default()),
    ];
    for (seed, (kind, named, wait)) in (1..).zip(loads) {
        let start = Instant::now();
        let kills = kills / loads.len() as u64;
        let mut load = Load::start(kind, named, wait, seed).unwrap();
        load.kill(kills).unwrap();
        let outcome = load.end().unwrap();
        let rate = kills as f64 / start.elapsed().as_secs_f64();
        eprintln!("{kind:?}: {kills} kills, {rate:.0} a second, {outcome:?}");
    }
}

#[test]
fn killed_at_random_under_load_senders_and_receivers_lose_nothing_that_was_sent() {
    kill_at_random(1_200);
}

#[test]
#[ignore = "takes minutes"]
fn killed_60_000_times_under_load_senders_and_receivers_lose_nothing_that_was_sent() {
    kill_at_random(60_000);
}

#[test]
fn who_is_stopped_for_a_while_holds_up_nobody_and_goes_on_as_if_nothing_had_been() {
    let _turn = Turn::take();
    for (seed, wait) in (1..).zip([Wait::default(), Wait::Park { spin: Duration::ZERO }]) {
        let mut load = Load::start(Kind::default(), false, wait, seed).unwrap();
        load.stop(50).unwrap();
        let outcome = load.end().unwrap();
        assert_eq!(outcome.again, 0, "nobody died: {outcome:?}");
    }
}

#[test]
fn who_is_stopped_at_any_instruction_that_changes_the_queue_holds_up_nobody() {
    stopped::stop_everywhere(&operation::to_be_stopped_in());
}
